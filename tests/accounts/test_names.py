"""The canonical form of names: look-alikes are one name, and what misleads is refused (A47)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.accounts.names import LONGEST_STORED, LONGEST_TYPED, canonical, checked
from idp.kernel.errors import Refused

# Characters that become many under NFKC, beside ordinary text.
TYPED = st.text(max_size=LONGEST_TYPED + 40) | st.text("ﷺﬃßİ\u0345 a", max_size=LONGEST_TYPED + 40)


@given(TYPED)
def test_canonical_form_of_a_canonical_form_is_itself(typed: str) -> None:
    assert canonical(canonical(typed)) == canonical(typed)


@given(TYPED)
def test_canonical_form_is_bounded_in_length_and_has_no_white_space_around_it(typed: str) -> None:
    result = canonical(typed)
    assert len(result) <= LONGEST_TYPED and result == result.strip()


def test_canonical_form_of_text_that_grows_is_bounded_and_stable() -> None:
    grown = canonical("\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * LONGEST_TYPED)
    assert len(grown) <= LONGEST_TYPED and canonical(grown) == grown


@given(st.text(max_size=60))
def test_spelling_composed_or_decomposed_and_in_capitals_of_a_name_is_the_same_name(typed: str) -> None:
    same = {canonical(unicodedata.normalize(form, typed)) for form in ("NFC", "NFD", "NFKC", "NFKD")}
    assert same == {canonical(typed)}


@pytest.mark.parametrize(
    "typed",
    [
        "anna",
        "ANNA",
        "Anna",
        " anna ",
        "\tanna\n",
        "\N{NO-BREAK SPACE}anna",
        "ａｎｎａ",
        "𝐚𝐧𝐧𝐚",
        "aｎnA\N{IDEOGRAPHIC SPACE}",
    ],
)
def test_name_in_another_spelling_is_the_same_name(typed: str) -> None:
    assert canonical(typed) == "anna"


def test_sharp_s_and_double_s_are_the_same_name() -> None:
    assert canonical("Straße") == canonical("STRASSE") == canonical("strasse")


@given(st.text(max_size=60))
def test_name_that_may_be_created_is_in_canonical_form(name: str) -> None:
    try:
        created = checked(name, "username")
    except Refused:
        return
    assert created == canonical(name) == checked(created, "username")
    assert 0 < len(created) <= LONGEST_STORED


@pytest.mark.parametrize(
    "name", ["anna", "Anna.de.Wit", "j.o'brien", "zoë", "müller-lüdenscheid", "10234", "anna_1", "анна"]
)
def test_ordinary_name_may_be_created(name: str) -> None:
    assert checked(name, "username") == canonical(name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param(" \t", id="only white space"),
        pytest.param("\N{RIGHT-TO-LEFT OVERRIDE}anna", id="right-to-left override"),
        pytest.param("an\N{ZERO WIDTH SPACE}na", id="zero-width space"),
        pytest.param("an\N{ZERO WIDTH NON-JOINER}na", id="zero-width non-joiner"),
        pytest.param("an\N{SOFT HYPHEN}na", id="soft hyphen"),
        pytest.param("an na", id="inner space"),
        pytest.param("an\N{NO-BREAK SPACE}na", id="inner no-break space"),
        pytest.param("anna\x00", id="NUL"),
        pytest.param("an\x1bna", id="escape"),
        pytest.param("an\u2028na", id="line separator"),
        pytest.param("an\ue000na", id="private use"),
        pytest.param("an\U000e0041na", id="tag character"),
        pytest.param("an\u0378na", id="unassigned"),
        pytest.param("anna.", id="trailing dot"),
        pytest.param("anna\N{ONE DOT LEADER}", id="trailing dot by another character"),
        pytest.param("10234\\anna", id="backslash, the separator of login_hint"),
        pytest.param("10234\N{FULLWIDTH REVERSE SOLIDUS}anna", id="backslash by another character"),
        pytest.param("\N{CYRILLIC SMALL LETTER A}nna", id="a Cyrillic letter among Latin ones"),
        pytest.param("ann\N{GREEK SMALL LETTER ALPHA}", id="a Greek letter among Latin ones"),
        pytest.param("a" * (LONGEST_STORED + 1), id="too long"),
        pytest.param("ﷺ" * 20, id="too long once it is spelled out"),
    ],
)
def test_misleading_name_is_refused_at_creation(name: str) -> None:
    with pytest.raises(Refused):
        checked(name, "username")
