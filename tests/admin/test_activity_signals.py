"""Clients that should tell that their user is active and never do are known to administrators."""

from datetime import timedelta

import pytest

from idp.admin.activity_signals import LOOKED_AT
from idp.kernel.clock import FixedClock
from idp.sessions.lifecycle import Proven
from idp.wiring import Services
from tests.factories import Factories, Somebody

MINUTE = timedelta(minutes=1)


@pytest.fixture
def anna(make: Factories) -> Somebody:
    return make.person()


def sign_in_and_out(
    services: Services, clock: FixedClock, anna: Somebody, times: int, *, by: str = "", ends: bool = True
) -> None:
    """So many sessions of the client `app`, which in each reports, refreshes (`by`) or does nothing."""
    for _ in range(times):
        sessions = services.sessions
        with services.units.writing() as unit:
            session = sessions.open(unit, anna.id, Proven(1, "1", ["pwd"], clock.now(), None)).session
            sessions.join(unit, session.id, "app")
        clock.move(MINUTE)
        with services.units.writing() as unit:
            live = sessions.load_live_by_id(unit, session.id)
            assert live is not None
            if by == "report":
                assert sessions.report(unit, live, clock.now(), "app")
            if by == "refresh":
                sessions.touch_by_refresh(unit, live.id, "app")
            if ends:
                sessions.end(unit, live, "logout")


@pytest.mark.parametrize("activity", ["reported", "token_refresh"])
def test_client_that_told_nothing_in_its_last_twenty_sessions_is_silent(
    services: Services, make: Factories, clock: FixedClock, anna: Somebody, activity: str
) -> None:
    make.client("app", session_activity=activity)
    sign_in_and_out(services, clock, anna, LOOKED_AT - 1)
    assert not services.clients.is_silent("app")
    sign_in_and_out(services, clock, anna, 1, ends=False)
    assert not services.clients.is_silent("app")
    sign_in_and_out(services, clock, anna, 1)
    assert services.clients.is_silent("app")


@pytest.mark.parametrize(("activity", "by"), [("reported", "report"), ("token_refresh", "refresh")])
def test_client_that_told_once_is_not_silent_until_that_is_twenty_sessions_ago(
    services: Services, make: Factories, clock: FixedClock, anna: Somebody, activity: str, by: str
) -> None:
    make.client("app", session_activity=activity)
    sign_in_and_out(services, clock, anna, 5)
    sign_in_and_out(services, clock, anna, 1, by=by)
    sign_in_and_out(services, clock, anna, LOOKED_AT - 1)
    assert not services.clients.is_silent("app")
    sign_in_and_out(services, clock, anna, 1)
    assert services.clients.is_silent("app")


def test_client_that_is_registered_to_tell_nothing_is_never_silent(
    services: Services, make: Factories, clock: FixedClock, anna: Somebody
) -> None:
    make.client("app", session_activity="none")
    sign_in_and_out(services, clock, anna, LOOKED_AT)
    assert not services.clients.is_silent("app")


def test_other_clients_of_the_same_sessions_do_not_speak_for_it(
    services: Services, make: Factories, clock: FixedClock, anna: Somebody
) -> None:
    make.client("app", session_activity="reported")
    for _ in range(LOOKED_AT):
        with services.units.writing() as unit:
            session = services.sessions.open(unit, anna.id, Proven(1, "1", ["pwd"], clock.now(), None)).session
            for client_id in ("app", "other"):
                services.sessions.join(unit, session.id, client_id)
        clock.move(MINUTE)
        with services.units.writing() as unit:
            live = services.sessions.load_live_by_id(unit, session.id)
            assert live is not None and services.sessions.report(unit, live, clock.now(), "other")
            services.sessions.end(unit, live, "logout")
    assert services.clients.is_silent("app")
