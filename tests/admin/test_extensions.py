"""A later last day for one person: who gets one, until when, and that it is taken back."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from idp.accounts.campaign import Campaign
from idp.accounts.models import Account
from idp.admin.extensions import LONGEST_EXTENSION
from idp.admin.refusals import Refusals
from idp.audit.events import ExtensionGiven, ExtensionWithdrawn
from idp.audit.trail import events
from idp.kernel.clock import FixedClock
from idp.kernel.errors import Refused
from idp.wiring import Services
from tests.admin.desk import ACTOR, account, change, enrol, reset
from tests.factories import Factories, Somebody

FIRST, LAST = date(2026, 11, 1), date(2026, 12, 1)
TODAY, LATER = date(2026, 11, 23), date(2027, 1, 15)
DAY = timedelta(days=1)


@pytest.fixture
def anna(make: Factories) -> Somebody:
    """Somebody in an organisation where postponing is possible until 1 December."""
    return make.account(make.organization(required_from=FIRST, postpone_until=LAST))


def extend(services: Services, until: date = LATER, reason: str = "Verlof", actor: str = "karin") -> Account:
    return services.service_desk.extend("10234", "anna", until=until, reason=reason, actor=actor)


def refusals(services: Services, until: date = LATER) -> tuple[str, ...]:
    """Why the extension is refused; nothing has changed then."""
    before = account(services).postpone_extended_until
    with pytest.raises(Refused) as refused:
        extend(services, until)
    assert account(services).postpone_extended_until == before
    with services.units.reading() as unit:
        assert not events(unit, ExtensionGiven)
    return getattr(refused.value, "message_keys", (refused.value.message_key,))


def test_extension_lets_this_person_postpone_until_the_end_of_that_day(
    services: Services, anna: Somebody, clock: FixedClock
) -> None:
    given = extend(services)
    assert given.postpone_extended_until == LATER and given.updated_at == clock.now()
    mine = Campaign.of(given.organization, account(services).postpone_extended_until)
    end = datetime(2027, 1, 15, 23, tzinfo=UTC)
    assert mine.is_postponable(end - timedelta(microseconds=1)) and not mine.is_postponable(end)


def test_extension_is_told_in_the_audit_trail_with_who_and_why(services: Services, anna: Somebody) -> None:
    extend(services)
    with services.units.reading() as unit:
        (event,) = events(unit, ExtensionGiven)
    assert (event.actor, event.account_id) == ("karin", anna.id)
    assert event.details == {"until": "2027-01-15", "reason": "Verlof"}


@pytest.mark.parametrize("said", [{"reason": ""}, {"reason": "twee\nregels"}, {"actor": " "}])
def test_extension_without_a_reason_or_somebody_who_gives_it_is_refused(
    services: Services, anna: Somebody, said: dict[str, str]
) -> None:
    with pytest.raises(Refusals, match="is needed: one line"):
        extend(services, LATER, **said)
    assert account(services).postpone_extended_until is None


def test_extension_that_was_given_can_be_made_longer_and_shorter(services: Services, anna: Somebody) -> None:
    for until in (LATER, LATER + DAY, LAST + DAY):
        assert extend(services, until).postpone_extended_until == until


@pytest.mark.parametrize(
    ("until", "keys"),
    [
        (TODAY - DAY, ("service_desk.day_is_past", "service_desk.day_adds_nothing")),
        (LAST, ("service_desk.day_adds_nothing",)),
        (TODAY + LONGEST_EXTENSION + DAY, ("service_desk.day_too_far",)),
        (date.max, ("service_desk.day_too_far",)),
    ],
)
def test_day_that_is_past_adds_nothing_or_is_too_far_is_refused(
    services: Services, anna: Somebody, until: date, keys: tuple[str, ...]
) -> None:
    assert refusals(services, until) == keys


def test_first_and_last_day_that_can_be_given(services: Services, anna: Somebody) -> None:
    for until in (LAST + DAY, TODAY + LONGEST_EXTENSION):
        assert extend(services, until).postpone_extended_until == until


def test_today_is_that_of_the_organisation(services: Services, make: Factories, clock: FixedClock) -> None:
    make.account(make.organization(required_from=FIRST, time_zone="Pacific/Kiritimati"))
    clock.set(datetime(2026, 11, 23, 12, tzinfo=UTC))
    assert refusals(services, TODAY) == ("service_desk.day_is_past",)
    assert extend(services, TODAY + DAY).postpone_extended_until == TODAY + DAY


def test_extension_lets_one_person_postpone_where_nobody_may_but_not_before_anybody_is_asked(
    services: Services, make: Factories
) -> None:
    begins = date(2027, 1, 10)
    make.account(make.organization(required_from=begins))
    assert refusals(services, begins - DAY) == ("service_desk.day_adds_nothing",)
    assert extend(services, begins).postpone_extended_until == begins


def test_without_a_campaign_there_is_nothing_to_postpone(services: Services, make: Factories) -> None:
    make.person()
    assert refusals(services) == ("service_desk.no_campaign",)


def enrolled(services: Services, anna: Somebody) -> None:
    enrol(services, anna.id)


def enrolled_and_disabled(services: Services, anna: Somebody) -> None:
    enrol(services, anna.id, disabled_at=services.clock.now())


def was_reset(services: Services, _: Somebody) -> None:
    reset(services)


def is_staff(role: str) -> Callable[[Services, Somebody], None]:
    return lambda services, anna: change(services, anna.id, role=role)


@pytest.mark.parametrize(
    ("become", "key"),
    [
        pytest.param(enrolled, "service_desk.enrolled", id="enrolled"),
        pytest.param(enrolled_and_disabled, "service_desk.enrolled", id="enrolled and disabled"),
        pytest.param(was_reset, "service_desk.reset_is_open", id="reset"),
        pytest.param(is_staff("service_desk"), "service_desk.staff", id="service desk"),
        pytest.param(is_staff("administrator"), "service_desk.staff", id="administrator"),
    ],
)
def test_who_has_nothing_to_postpone_gets_no_extension(
    services: Services, anna: Somebody, become: Any, key: str
) -> None:
    become(services, anna)
    assert refusals(services) == (key,)


def test_somebody_whose_reset_was_undone_gets_an_extension(services: Services, anna: Somebody) -> None:
    reset(services)
    services.service_desk.undo_reset("10234", "anna", **ACTOR)
    assert extend(services).postpone_extended_until == LATER


def test_extension_is_taken_back_once(services: Services, anna: Somebody) -> None:
    extend(services)
    taken = services.service_desk.withdraw_extension("10234", "anna", reason="Weer aan het werk", **ACTOR)
    assert taken.postpone_extended_until is None and account(services).postpone_extended_until is None
    with services.units.reading() as unit:
        (event,) = events(unit, ExtensionWithdrawn)
    assert (event.actor, event.details) == ("karin", {"until": "2027-01-15", "reason": "Weer aan het werk"})
    with pytest.raises(Refused, match="has no extension to take back"):
        services.service_desk.withdraw_extension("10234", "anna", **ACTOR)
