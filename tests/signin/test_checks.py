"""What may be answered, and what is left when nothing is to be asked: `may_postpone` and `shortfall`."""

import itertools
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from idp.signin.checks import has_credential_but_none_proven, may_postpone, shortfall, unproven_before_enrolment
from idp.signin.situation import Asked, Enrolled, LiveSession, Person, Proofs, Situation

TOTP = Enrolled("totp", reaches=3, is_usable=True)
NOTHING_SPECIAL = Asked()
PROVEN = Proofs(account_id=1, password=True)


def postponing(asked: Asked = NOTHING_SPECIAL, session: LiveSession | None = None, **person: Any) -> bool:
    values: dict[str, Any] = {"is_required_to_enrol": True, "is_postponable_today": True, **person}
    who = Person(account_id=1, can_enrol=(("totp", 3),), **values)
    return may_postpone(Situation(asked=asked, proofs=PROVEN, session=session, person=who))


def test_postponing_in_the_campaign_before_the_deadline_is_admissible() -> None:
    assert postponing()


def test_postponing_is_admissible_in_exactly_one_case_of_all() -> None:
    flags = itertools.product([False, True], repeat=5)
    admissible = [
        (required, today, enrolled, staff, level)
        for required, today, enrolled, staff, level in flags
        if postponing(
            Asked(requested_levels=(3,)) if level else Asked(),
            is_required_to_enrol=required,
            is_postponable_today=today,
            enrolled=(TOTP,) if enrolled else (),
            is_staff=staff,
        )
    ]
    assert admissible == [(True, True, False, False, False)]


@pytest.mark.parametrize("enrolled", [TOTP, Enrolled("totp", 3, False), Enrolled("email", 0, False)])
def test_postponing_with_a_credential_usable_or_not_is_refused(enrolled: Enrolled) -> None:
    assert not postponing(enrolled=(enrolled,))


@pytest.mark.parametrize("asked", [Asked(requested_levels=(2,)), Asked(requested_levels=(4,)), Asked(client_minimum=2)])
def test_postponing_when_a_level_is_demanded_is_refused(asked: Asked) -> None:
    assert not postponing(asked)


def test_postponing_when_only_the_lowest_level_is_asked_for_is_admissible() -> None:
    assert postponing(Asked(requested_levels=(1,)))
    assert postponing(Asked(requested_levels=(3, 1)))


def test_postponing_by_nobody_is_refused() -> None:
    assert not may_postpone(Situation())


def falling_short(
    asked: Asked, password: bool = True, factor: int | None = None, session: int | None = None
) -> str | None:
    live = LiveSession(1, session, timedelta(0)) if session else None
    proofs = Proofs(account_id=1, password=password, factor_level=factor)
    return shortfall(Situation(asked=asked, session=live, proofs=proofs, person=Person(1)))


@pytest.mark.parametrize(
    ("asked", "reached", "short_by"),
    [
        (Asked(), 1, None),
        (Asked(requested_levels=(3,)), 1, None),
        (Asked(requested_levels=(3,), acr_is_essential=True), 1, "essential"),
        (Asked(requested_levels=(3,), acr_is_essential=True), 2, "essential"),
        (Asked(requested_levels=(3,), acr_is_essential=True), 3, None),
        (Asked(requested_levels=(4, 2), acr_is_essential=True), 2, None),
        (Asked(requested_levels=(4, 2), acr_is_essential=True), 1, "essential"),
        (Asked(client_minimum=3), 1, "client"),
        (Asked(client_minimum=3), 2, "client"),
        (Asked(client_minimum=3), 3, None),
        (Asked(client_minimum=4), 3, "client"),
        (Asked(client_minimum=3, requested_levels=(3,), acr_is_essential=True), 1, "client"),
        (Asked(client_minimum=2, requested_levels=(3,), acr_is_essential=True), 2, "essential"),
    ],
)
def test_shortfall_names_who_demanded_more_than_was_reached(asked: Asked, reached: int, short_by: str | None) -> None:
    assert falling_short(asked, factor=reached if reached > 1 else None) == short_by
    assert falling_short(asked, password=False, session=reached) == short_by


def test_shortfall_of_a_higher_session_when_the_password_alone_was_proven_again_counts_the_password_alone() -> None:
    assert falling_short(Asked(client_minimum=3), password=True, session=3) == "client"


ANNA, BRAM = 1, 2
NOW, EARLIER = timedelta(seconds=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("account", "level", "factor_age", "password_age", "password", "counts"),
    [
        pytest.param(ANNA, 3, NOW, EARLIER, True, True, id="factor after the password"),
        pytest.param(ANNA, 2, NOW, EARLIER, True, True, id="a factor of the lower level"),
        pytest.param(ANNA, 3, EARLIER, NOW, True, False, id="factor before the password"),
        pytest.param(ANNA, 3, NOW, NOW, True, False, id="factor not after the password"),
        pytest.param(BRAM, 3, NOW, EARLIER, True, False, id="somebody else's session"),
        pytest.param(ANNA, 1, NOW, EARLIER, True, False, id="session of the password alone"),
        pytest.param(ANNA, 3, None, EARLIER, True, False, id="no factor at any known moment"),
        pytest.param(ANNA, 3, NOW, None, True, False, id="password at no known moment"),
        pytest.param(ANNA, 3, NOW, EARLIER, False, False, id="no password here"),
    ],
)
def test_factor_of_the_live_session_counts_only_when_the_same_account_proved_it_after_the_password(
    account: int,
    level: int,
    factor_age: timedelta | None,
    password_age: timedelta | None,
    password: bool,
    counts: bool,
) -> None:
    situation = Situation(
        session=LiveSession(account, level, EARLIER, factor_age=factor_age),
        proofs=Proofs(account_id=ANNA, password=password, password_age=password_age),
        person=Person(ANNA, enrolled=(TOTP,)),
    )
    assert situation.factor_was_proven_in_session is counts
    if password:
        assert situation.reached_level == (level if counts else 1)
        assert situation.has_proven_factor is counts
        assert has_credential_but_none_proven(situation) is not counts
    assert unproven_before_enrolment(replace(situation, asked=Asked(requested_levels=(4,)), person=CAN_GO_HIGHER))


CAN_GO_HIGHER = Person(ANNA, enrolled=(TOTP,), can_enrol=(("passkey", 4),))
