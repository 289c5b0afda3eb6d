"""The figures of the database are those of this moment by the clock, and cost nobody more than two seconds."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import pytest
from flask import Flask
from sqlalchemy import update

from idp import create_app
from idp.jobs.sweep_idle_sessions import sweep
from idp.kernel.clock import FixedClock, ticks
from idp.metrics.database import DatabaseFigures
from idp.outbox.models import OutboxMessage
from idp.outbox.queue import enqueue
from idp.sessions.models import Session
from idp.wiring import Services
from tests.conftest import START, dispose, make_settings
from tests.factories import Factories
from tests.jobs.test_sweep_idle_sessions import IDLE, INSTANT, open_sessions
from tests.metrics.scraped import Figures, of
from tests.services.ports import free_port

MINUTE = timedelta(minutes=1)
NOTHING = {
    "idp_database_up": 1,
    "idp_live_sessions": 0,
    "idp_session_sweep_lag_seconds": 0,
    "idp_logout_notices_waiting": 0,
    "idp_logout_notices_oldest_seconds": 0,
}


class Looking:
    """Looks at the database now and then; time between two looks passes only here."""

    def __init__(self, app: Flask, services: Services) -> None:
        self.passed = timedelta(0)
        self.collector = DatabaseFigures(services.units, services.clock, app.app_context, lambda: self.passed)

    def later(self) -> Figures:
        self.passed += MINUTE
        return of(self.collector)


@pytest.fixture
def looking(app: Flask) -> Looking:
    # Without the context of this thread: a look has one of its own.
    return Looking(app, app.extensions["idp"])


def test_empty_database_has_nothing_live_and_nothing_waiting(looking: Looking) -> None:
    assert looking.later() == NOTHING


def test_live_sessions_are_counted_by_the_clock_and_not_by_the_sweep(
    looking: Looking, services: Services, make: Factories, clock: FixedClock
) -> None:
    first, *_ = open_sessions(services, make.person().id, number=3)
    assert looking.later()["idp_live_sessions"] == 3
    with services.units.writing() as unit:
        services.sessions.end(unit, unit.get_one(Session, first), "logout")
    assert looking.later()["idp_live_sessions"] == 2
    clock.move(IDLE - INSTANT)
    assert looking.later()["idp_live_sessions"] == 2
    clock.move(INSTANT)
    assert looking.later()["idp_live_sessions"] == 0


def test_session_that_is_over_and_that_nobody_ended_shows_how_far_the_sweep_is_behind(
    looking: Looking, services: Services, make: Factories, clock: FixedClock
) -> None:
    open_sessions(services, make.person().id)
    clock.move(IDLE)
    assert looking.later()["idp_session_sweep_lag_seconds"] == 0
    clock.move(MINUTE)
    assert looking.later()["idp_session_sweep_lag_seconds"] == 60
    sweep(services.units, services.sessions)
    assert looking.later()["idp_session_sweep_lag_seconds"] == 0


def test_notices_wait_until_they_are_delivered_or_given_up(
    looking: Looking, services: Services, clock: FixedClock
) -> None:
    with services.units.writing() as unit:
        for receiver in ("atosi", "rapportages", "third"):
            enqueue(unit, "logout_notice", receiver, {}, clock.now())
            clock.move(MINUTE)
        enqueue(unit, "mail", "j•••@voorbeeld.example", {}, START)
    told = looking.later()
    assert (told["idp_logout_notices_waiting"], told["idp_logout_notices_oldest_seconds"]) == (3, 180)
    for receiver, became in (("atosi", "delivered_at"), ("rapportages", "failed_at")):
        with services.units.writing() as unit:
            unit.execute(update(OutboxMessage).where(OutboxMessage.receiver == receiver).values({became: clock.now()}))
    told = looking.later()
    assert (told["idp_logout_notices_waiting"], told["idp_logout_notices_oldest_seconds"]) == (1, 60)


def test_many_looks_within_five_seconds_ask_the_database_once(
    looking: Looking, services: Services, make: Factories
) -> None:
    assert looking.later()["idp_live_sessions"] == 0
    open_sessions(services, make.person().id)
    looking.passed += timedelta(seconds=4, milliseconds=999)
    assert of(looking.collector)["idp_live_sessions"] == 0
    looking.passed += timedelta(milliseconds=1)
    assert of(looking.collector)["idp_live_sessions"] == 1


class Broken(Exception):
    """The database is away."""


def test_database_that_is_not_there_is_said_to_be_down() -> None:
    app = create_app(make_settings(f"postgresql://idp@127.0.0.1:{free_port()}/idp"), FixedClock(START))
    services: Services = app.extensions["idp"]
    assert of(DatabaseFigures(services.units, services.clock, app.app_context)) == {"idp_database_up": 0}
    dispose(app)


def test_database_that_is_away_takes_its_figures_with_it_until_it_is_back(app: Flask, services: Services) -> None:
    away = True
    passed = [timedelta(0)]

    @contextmanager
    def scope() -> Iterator[None]:
        if away:
            raise Broken
        with app.app_context():
            yield

    collector = DatabaseFigures(services.units, services.clock, scope, lambda: passed[0])
    assert of(collector) == {"idp_database_up": 0}
    away = False
    passed[0] += MINUTE
    assert of(collector) == NOTHING


def test_database_that_hangs_keeps_nobody_waiting_and_is_asked_once_at_a_time(app: Flask, services: Services) -> None:
    goes_on, passed = Event(), [timedelta(0)]
    asked: list[None] = []

    @contextmanager
    def scope() -> Iterator[None]:
        asked.append(None)
        goes_on.wait(30)
        with app.app_context():
            yield

    collector = DatabaseFigures(services.units, services.clock, scope, lambda: passed[0])
    begun = ticks()
    assert of(collector) == {"idp_database_up": 0}
    assert timedelta(seconds=1) < ticks() - begun < timedelta(seconds=10)
    passed[0] += timedelta(seconds=30)
    goes_on.set()
    assert of(collector) == NOTHING and len(asked) == 1
