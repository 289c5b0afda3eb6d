"""The simulation of a day says what the pipeline does on that day."""

from datetime import UTC, date, datetime, timedelta
from itertools import count
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from idp.accounts.models import Account
from idp.kernel.clock import FixedClock
from idp.kernel.errors import Refused
from idp.signin.simulate import Meeting
from idp.wiring import Services
from tests.factories import Factories, Somebody
from tests.journeys.driver import World

DAYS = st.dates(date(2026, 11, 1), date(2027, 3, 1))
NUMBERS = count(1)


@pytest.fixture
def world(app: Flask, clock: FixedClock) -> World:
    return World(app, clock)


def met(world: World, somebody: Somebody, day: date) -> tuple[str, bool]:
    """What somebody meets on that day at noon who types the right password, and whether postponing is offered."""
    world.clock.set(datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo("Europe/Amsterdam")).astimezone(UTC))
    visit = world.visit().identify(somebody)
    if visit.page.has_left:
        return "signs_in", False
    if "geblokkeerd" in visit.page.text:
        return "blocked", False
    if visit.page.status == 403:
        return "service_desk", False
    return visit.prompt, visit.page.has("method-postpone")


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    required_from=st.none() | DAYS,
    postponable_for=st.none() | st.integers(0, 40),
    extended_for=st.none() | st.integers(0, 60),
    on=DAYS,
    kind=st.sampled_from(["nothing", "app", "disabled", "mailbox", "blocked", "reset", "reset long ago", "staff"]),
)
def test_simulation_and_pipeline_agree(
    world: World,
    required_from: date | None,
    postponable_for: int | None,
    extended_for: int | None,
    on: date,
    kind: str,
) -> None:
    last_day = required_from + timedelta(postponable_for) if required_from and postponable_for is not None else None
    code = f"{next(NUMBERS)}"
    organization = world.make.organization(code, required_from=required_from, postpone_until=last_day)
    role = "service_desk" if kind == "staff" else "person"
    somebody = world.make.account(organization, "iemand", code, totp=kind in ("app", "disabled"), role=role)
    noon = datetime(on.year, on.month, on.day, 12, tzinfo=ZoneInfo("Europe/Amsterdam")).astimezone(UTC)
    if required_from and extended_for is not None:
        world.change(Account, somebody.id, postpone_extended_until=required_from + timedelta(extended_for))
    if kind == "disabled":
        world.disable_credential(somebody)
    if kind == "mailbox":
        world.with_mailbox(somebody)
    if kind == "blocked":
        world.change(Account, somebody.id, blocked_at=noon)
    if kind.startswith("reset"):
        opened = noon - timedelta(hours=72 if kind == "reset long ago" else 71)
        world.change(Account, somebody.id, reset_at=opened, enrolment_open_until=opened + timedelta(hours=72))
    with world.app.app_context():
        services: Services = world.services
        [simulated] = services.simulation.on(code, on)
    assert (simulated.meets, simulated.days_left is not None) == met(world, somebody, on)


def test_simulation_counts_the_days_after_the_one_that_was_asked_about(services: Services, make: Factories) -> None:
    organization = make.organization(required_from=date(2026, 11, 1), postpone_until=date(2027, 2, 1))
    make.account(organization, "els")
    [meeting] = services.simulation.on("10234", date(2027, 1, 30))
    assert meeting == Meeting("els", "enrol_second_factor", ("campaign",), 2, ())
    [meeting] = services.simulation.on("10234", date(2027, 2, 1))
    assert meeting.days_left == 0
    [meeting] = services.simulation.on("10234", date(2027, 2, 2))
    assert meeting.days_left is None


def test_simulation_for_a_demanding_application_offers_no_postponing(services: Services, make: Factories) -> None:
    organization = make.organization(required_from=date(2026, 11, 1), postpone_until=date(2027, 2, 1))
    make.account(organization, "els")
    [meeting] = services.simulation.on("10234", date(2026, 12, 1), minimum_acr=3)
    assert (meeting.meets, meeting.days_left) == ("enrol_second_factor", None)


def test_simulation_of_an_unknown_organisation_is_refused(services: Services) -> None:
    with pytest.raises(Refused):
        services.simulation.on("99999", date(2027, 1, 1))
