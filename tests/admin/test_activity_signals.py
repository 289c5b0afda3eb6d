"""Clients that should tell that their user is active and never do are known to administrators."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, select

from idp.admin.activity_signals import LOOKED_AT
from idp.kernel.clock import FixedClock
from idp.sessions.lifecycle import Proven
from idp.sessions.models import Participation, Session
from idp.store.engine import db
from idp.wiring import Services
from tests.attacks.world import World, basic
from tests.factories import Factories, Somebody, SomeClient

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


class BehindAnother:
    """A session in which another client has just reported, so that whatever `app` tells moves the clock no more."""

    def __init__(self, app: Flask, clock: FixedClock, activity: str) -> None:
        self.world, self.clock = World(app, clock), clock
        self.app = self.world.make.client("app", session_activity=activity)
        self.other = self.world.make.client("other", session_activity="reported")
        self.anna = self.world.make.person()

    def sign_in(self) -> None:
        self.browser, page = self.world.sign_in(self.app, self.anna)
        self.refresh_token = self.world.redeem(self.app, page.code).body["refresh_token"]
        self.world.redeem(self.other, self.browser.authorize(self.other, prompt="none").code)
        with self.world.reading() as unit:
            self.sid = unit.scalars(select(Session.sid).order_by(Session.id.desc())).first() or ""
        self.clock.move(MINUTE)
        self.report(self.other)
        self.clock.move(timedelta(seconds=1))

    def report(self, client: SomeClient) -> None:
        header = basic(client.client_id, client.secret or "")
        answered = self.browser.post("/session/activity", {"sid": self.sid}, Authorization=header)
        assert '"active":true' in answered.text.replace(" ", "")

    def tell(self) -> None:
        self.report(self.app) if self.app_reports() else self.world.refresh(self.app, self.refresh_token)

    def app_reports(self) -> bool:
        return self.world.services.clients.show("app").session_activity == "reported"

    def signalled_at(self) -> Any:
        with self.world.reading() as unit:
            ours = select(Participation.signalled_at).join(Session, Session.id == Participation.session_id)
            return unit.scalars(ours.where(Session.sid == self.sid, Participation.client_id == "app")).one()

    def end(self) -> None:
        with self.world.writing() as unit:
            session = unit.scalars(select(Session).filter_by(sid=self.sid)).one()
            self.world.services.sessions.end(unit, session, "logout")
        self.browser.cookies.clear()


@pytest.mark.parametrize("activity", ["reported", "token_refresh"])
def test_client_whose_signals_always_come_just_after_another_s_is_not_silent(
    app: Flask, services: Services, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, activity: str
) -> None:
    monkeypatch.setattr("idp.admin.activity_signals.LOOKED_AT", 2)
    behind = BehindAnother(app, clock, activity)
    for _ in range(2):
        behind.sign_in()
        with behind.world.reading() as unit:
            before = unit.scalars(select(Session.idle_ends_at).filter_by(sid=behind.sid)).one()
        behind.tell()
        assert behind.signalled_at() == clock.now()
        with behind.world.reading() as unit:
            assert unit.scalars(select(Session.idle_ends_at).filter_by(sid=behind.sid)).one() == before
        behind.end()
    assert not services.clients.is_silent("app")


def test_signal_of_a_session_that_is_over_is_none(app: Flask, services: Services, clock: FixedClock) -> None:
    behind = BehindAnother(app, clock, "reported")
    behind.sign_in()
    with behind.world.writing() as unit:
        live = unit.scalars(select(Session).filter_by(sid=behind.sid)).one()
        clock.set(live.idle_ends_at)
        assert not services.sessions.report(unit, live, clock.now(), "app")
    assert behind.signalled_at() is None


def test_report_that_moves_nothing_is_written_once(app: Flask, services: Services, clock: FixedClock) -> None:
    behind = BehindAnother(app, clock, "reported")
    behind.sign_in()
    behind.report(behind.app)
    first, written = behind.signalled_at(), []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        written.extend([statement] if statement.startswith(("UPDATE", "INSERT")) else [])

    clock.move(timedelta(seconds=1))
    event.listen(db.engine, "before_cursor_execute", note)
    try:
        behind.report(behind.app)
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
    assert written == [] and behind.signalled_at() == first
