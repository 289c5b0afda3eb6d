"""What can be kept about somebody for applications, and in which forms (OIDC Core 5.1, #55, #56)."""

from typing import Any

import pytest

from idp.accounts.standard_claims import FORMS, problem_with

EVERY: dict[str, Any] = {
    "middle_name": "Maria",
    "nickname": "An",
    "profile": "https://voorbeeld.example/anna",
    "picture": "https://voorbeeld.example/anna.png",
    "website": "https://anna.voorbeeld.example/",
    "gender": "female",
    "birthdate": "1980-02-29",
    "zoneinfo": "Europe/Amsterdam",
    "phone_number": "+31 20 123 4567",
    "phone_number_verified": True,
    "address": {
        "formatted": "Dorpsstraat 1\n3511 AA Utrecht",
        "street_address": "Dorpsstraat 1",
        "locality": "Utrecht",
        "region": "Utrecht",
        "postal_code": "3511 AA",
        "country": "NL",
    },
}


def test_every_claim_without_a_column_of_its_own_can_be_kept() -> None:
    assert set(EVERY) == set(FORMS)
    assert [problem_with(name, value) for name, value in EVERY.items()] == [None] * len(EVERY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("birthdate", "1980"),
        ("birthdate", "0000-02-29"),
        ("phone_number", "+1 (604) 555-1234;ext=5678"),
        ("phone_number_verified", False),
        ("zoneinfo", "UTC"),
        ("address", {"country": "NL"}),
        ("website", "http://[2001:db8::1]:8080/~anna?x=y#z"),
    ],
)
def test_form_of_the_specification_is_right(name: str, value: Any) -> None:
    assert problem_with(name, value) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, wrong) for name in EVERY for wrong in (None, "", 1, [], {}, "\x00", "a\nb", " ")),
        *(
            ("birthdate", wrong)
            for wrong in ("0000", "1980-2-29", "1981-02-29", "29-02-1980", "1980-13-01", "\u0661980")
        ),
        *(
            ("zoneinfo", wrong)
            for wrong in ("Europe/Nowhere", "../../etc/passwd", "/etc/localtime", "Europe", "\ud800")
        ),
        *(("phone_number", wrong) for wrong in ("020 123 4567", "+31", "+31 20 ;ext=", "+" + "1" * 99, "+31x20")),
        *(
            ("website", wrong)
            for wrong in ("javascript:alert(1)", "//x.example", "https://", "https://a@b.example", "x")
        ),
        ("website", "https://x.example/" + "x" * 1000),
        ("nickname", "x" * 201),
        ("phone_number_verified", "true"),
        ("address", {"locality": ""}),
        ("address", {"locality": None}),
        ("address", {"planet": "Earth"}),
        ("address", {"locality": "\x00"}),
        ("address", "Utrecht"),
    ],
)
def test_value_of_another_form_is_a_problem(name: str, value: Any) -> None:
    problem = problem_with(name, value)
    assert problem is not None and name in problem


@pytest.mark.parametrize("name", ["sub", "email", "iss", "role", "", "birthdate "])
def test_claim_that_stands_elsewhere_or_nowhere_cannot_be_kept(name: str) -> None:
    assert problem_with(name, "x") is not None
