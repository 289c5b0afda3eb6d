"""The levels of authentication and the `acr` values of an issuer."""

import pytest

from idp.kernel.levels import LEVELS, PASSWORD, PHISHING_RESISTANT, SECOND_FACTOR, STRONG_SECOND_FACTOR, AcrValues

ISSUER = "https://login.example/idp"
ACR = AcrValues(ISSUER)
ONE, TWO, THREE = (f"{ISSUER}/acr/{level}" for level in (1, 2, 3))


def test_levels_are_ordered_from_password_to_phishing_resistant() -> None:
    assert sorted(LEVELS) == [PASSWORD, SECOND_FACTOR, STRONG_SECOND_FACTOR, PHISHING_RESISTANT]


def test_values_are_uris_under_the_issuer_and_the_registered_one() -> None:
    assert [ACR.value(level) for level in sorted(LEVELS)] == [ONE, TWO, THREE, "phr"]
    assert all(ACR.level(ACR.value(level)) == level for level in LEVELS)


@pytest.mark.parametrize("value", ["", "1", "acr/1", f"{ISSUER}/acr/4", f"{ONE}/", "https://x.example/acr/1", "PHR"])
def test_unknown_values_have_no_level(value: str) -> None:
    assert ACR.level(value) is None
    assert ACR.known([value]) == []


def test_unknown_values_are_ignored_among_known_ones() -> None:
    assert ACR.known(["x", THREE, "", ONE]) == [3, 1]


@pytest.mark.parametrize(
    ("requested", "reached", "stated"),
    [
        ([], 1, ONE),
        ([], 3, THREE),
        ([ONE], 3, ONE),
        ([ONE, TWO], 3, TWO),
        ([TWO, ONE], 3, TWO),
        ([THREE, ONE], 2, ONE),
        ([THREE], 2, TWO),
        (["phr"], 3, THREE),
        (["phr", TWO], 3, TWO),
        (["unknown"], 2, TWO),
        (["unknown", ONE], 2, ONE),
        (["phr"], 4, "phr"),
    ],
)
def test_highest_value_asked_for_that_was_reached_is_stated(requested: list[str], reached: int, stated: str) -> None:
    assert ACR.stated(requested, reached) == stated


@pytest.mark.parametrize(
    ("highest", "supported"), [(1, [ONE]), (2, [ONE, TWO]), (3, [ONE, TWO, THREE]), (4, [ONE, TWO, THREE, "phr"])]
)
def test_what_nobody_can_reach_is_not_supported(highest: int, supported: list[str]) -> None:
    assert ACR.supported(highest) == supported
