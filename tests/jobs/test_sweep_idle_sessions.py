"""Sessions that are over are ended once, for the right reason, and their clients have a notice waiting."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Thread

import pytest
from flask import Flask
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session as Unit

from idp.audit.events import SessionEnded
from idp.audit.trail import events
from idp.jobs import sweep_idle_sessions
from idp.jobs.sweep_idle_sessions import sweep
from idp.kernel.clock import FixedClock
from idp.kernel.levels import PASSWORD
from idp.outbox.models import OutboxMessage
from idp.sessions.lifecycle import Proven, Sessions
from idp.sessions.models import Session
from idp.wiring import Services
from tests.factories import Factories

IDLE = timedelta(minutes=30)
INSTANT = timedelta(microseconds=1)


def proven(at: datetime) -> Proven:
    return Proven(level=PASSWORD, acr="acr", amr=["pwd"], auth_time=at, postponed_until=None)


def open_sessions(services: Services, account_id: int, number: int = 1, client_id: str | None = None) -> list[int]:
    ids = []
    with services.units.writing() as unit:
        for _ in range(number):
            session = services.sessions.open(unit, account_id, proven(services.clock.now())).session
            if client_id is not None:
                services.sessions.join(unit, session.id, client_id)
            ids.append(session.id)
    return ids


def reasons(services: Services) -> list[str | None]:
    with services.units.reading() as unit:
        return list(unit.scalars(select(Session.end_reason).order_by(Session.id)))


def test_session_is_ended_at_its_idle_deadline_and_not_before(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    open_sessions(services, make.person().id)
    clock.move(IDLE - INSTANT)
    assert sweep(services.units, services.sessions) == 0
    assert reasons(services) == [None]
    clock.move(INSTANT)
    assert sweep(services.units, services.sessions) == 1
    assert reasons(services) == ["idle"]
    assert sweep(services.units, services.sessions) == 0


def test_swept_session_leaves_one_notice_and_one_event(services: Services, make: Factories, clock: FixedClock) -> None:
    person, client = make.person(), make.client()
    open_sessions(services, person.id, client_id=client.client_id)
    clock.move(IDLE)
    sweep(services.units, services.sessions)
    sweep(services.units, services.sessions)
    with services.units.reading() as unit:
        assert [message.receiver for message in unit.scalars(select(OutboxMessage))] == [client.client_id]
        assert [event.details["reason"] for event in events(unit, SessionEnded)] == ["idle"]


def test_busy_session_ends_at_its_absolute_limit_for_that_reason(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    (session_id,) = open_sessions(services, make.person().id)
    for _ in range(35):
        clock.move(timedelta(minutes=20))
        with services.units.writing() as unit:
            session = services.sessions.load_live_by_id(unit, session_id)
            assert session is not None and services.sessions.touch(unit, session)
    clock.move(timedelta(minutes=20))
    assert sweep(services.units, services.sessions) == 1
    assert reasons(services) == ["absolute"]


def test_late_sweep_names_the_limit_that_came_first(services: Services, make: Factories, clock: FixedClock) -> None:
    open_sessions(services, make.person().id)
    clock.move(timedelta(days=2))
    sweep(services.units, services.sessions)
    assert reasons(services) == ["idle"]


def test_more_sessions_than_a_batch_are_all_ended(
    services: Services, make: Factories, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_idle_sessions, "BATCH", 2)
    open_sessions(services, make.person().id, number=5)
    clock.move(IDLE)
    assert sweep(services.units, services.sessions) == 5
    assert reasons(services) == ["idle"] * 5


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_session_that_somebody_has_hold_of_keeps_no_other_from_ending(
    app: Flask, services: Services, make: Factories, clock: FixedClock, database_url: str
) -> None:
    held, *_ = open_sessions(services, make.person().id, number=5)
    clock.move(IDLE)
    ended: list[int] = []

    def work() -> None:
        with app.app_context():
            ended.append(sweep(services.units, services.sessions))

    engine, sweeping = create_engine(database_url), Thread(target=work, daemon=True)
    with engine.connect() as holder:
        holder.execute(text("SELECT 1 FROM sessions WHERE id = :id FOR UPDATE"), {"id": held})
        sweeping.start()
        sweeping.join(20)
        waited = sweeping.is_alive()
        holder.rollback()
    sweeping.join(30)
    engine.dispose()
    assert not waited and ended == [4]
    assert reasons(services) == [None] + ["idle"] * 4
    assert sweep(services.units, services.sessions) == 1


class Breaks:
    """A listener that cannot take the end of one session."""

    def __init__(self, session_id: int) -> None:
        self._session_id = session_id

    def session_ended(self, unit: Unit, session: Session, client_ids: Sequence[str], now: datetime) -> None:
        if session.id == self._session_id:
            raise ValueError("this one breaks")


def test_session_that_cannot_be_ended_holds_up_no_other_one(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    ids = open_sessions(services, make.person().id, number=25)
    clock.move(IDLE)
    sessions = Sessions(clock, services.trail, IDLE, 24 * IDLE, (Breaks(ids[3]),))
    assert sweep(services.units, sessions) == 24
    assert reasons(services) == ["idle"] * 3 + [None] + ["idle"] * 21
    assert sweep(services.units, services.sessions) == 1
