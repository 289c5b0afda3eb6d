"""What people type in a code field."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.factors.base import Verdict
from idp.factors.codes import cleaned, form_problem


@pytest.mark.parametrize(
    "typed",
    ["012345", " 012345 ", "012 345", "012-345", "0 1 2 3 4 5", "012\N{NO-BREAK SPACE}345", "012\N{EN DASH}345",
     "０１２３４５", "012.345", "012\t345\n"],
)  # fmt: skip
def test_code_with_what_people_put_between_digits_is_the_code_with_its_leading_zero(typed: str) -> None:
    assert cleaned(typed) == "012345"
    assert form_problem(typed) is None


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", Verdict.EMPTY),
        ("  - ", Verdict.EMPTY),
        ("12345", Verdict.SHORT),
        ("1", Verdict.SHORT),
        ("1234567", Verdict.LONG),
        ("12345 678", Verdict.LONG),
        ("12345a", Verdict.NOT_DIGITS),
        ("12345\x00", Verdict.NOT_DIGITS),
        ("١٢٣٤٥٦", Verdict.NOT_DIGITS),
        ("+12345", Verdict.NOT_DIGITS),
        ("123456" + "x" * 100_000, Verdict.NOT_DIGITS),
        ("1" * 100_000, Verdict.LONG),
    ],
)
def test_form_of_a_code_that_cannot_be_right_is_named(typed: str, problem: Verdict) -> None:
    assert form_problem(typed) is problem


@given(st.text(max_size=80))
def test_only_six_plain_digits_are_ever_verified(typed: str) -> None:
    if form_problem(typed) is None:
        code = cleaned(typed)
        assert len(code) == 6 and all(character in "0123456789" for character in code)


@given(
    st.text("0123456789", min_size=6, max_size=6), st.lists(st.sampled_from(" -\u2009\u00b7"), min_size=5, max_size=5)
)
def test_digits_survive_whatever_stands_between_them(code: str, between: list[str]) -> None:
    typed = "".join(digit + separator for digit, separator in zip(code, [*between, ""], strict=True))
    assert cleaned(typed) == code
