"""A79, A80, A82: keeping an empty chair signed in, the instant of the deadline, and a clock that is set back."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import create_engine, select, text, update
from sqlalchemy.orm import Session as Unit

from idp import create_app
from idp.jobs.sweep_idle_sessions import sweep
from idp.kernel.clock import Clock, FixedClock, SystemClock, ticks
from idp.oidc.clients import Client
from idp.sessions import idle
from idp.sessions.lifecycle import Opened, Proven, Sessions
from idp.sessions.models import Session
from idp.store.clock import DatabaseClock
from tests.attacks.parallel import Node, often, run
from tests.attacks.world import SESSION_COOKIE, Browser, World, basic, mutation, parameters
from tests.conftest import START, dispose, give_keys, is_long, make_settings
from tests.factories import SomeClient
from tests.services.servers_clock import ServersClock

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
IDLE = 30 * MINUTE
MOMENT = timedelta(microseconds=1)


# A79


class Tricks:
    """A signed-in browser, clients of each kind in its session, and everything that keeps an empty chair busy."""

    def __init__(self, world: World) -> None:
        self.world, self.anna = world, world.make.person()
        self.silent = world.make.client("silent", session_activity="none")
        self.reporting = world.make.client("reporting", session_activity="reported")
        self.browser, page = world.sign_in(self.silent, self.anna)
        self.tokens = world.redeem(self.silent, page.code).body
        of_reporting = world.redeem(self.reporting, self.browser.authorize(self.reporting, prompt="none").code).body
        self.reporting_tokens = of_reporting
        self.opened_at = str(world.clock.now().timestamp())
        with world.reading() as unit:
            self.sid = unit.scalars(select(Session.sid)).one()

    def all(self) -> dict[str, Callable[[], bool]]:
        """By name, and whether it was served: a trick that is refused proves nothing."""
        return {
            "refresh by a client that does not signal": self.refresh,
            "refresh by a client that reports": lambda: (
                self.world.refresh(self.reporting, self.reporting_tokens["refresh_token"]).status == 200
            ),
            "prompt=none": lambda: "code" in self.browser.authorize(self.silent, prompt="none").answer,
            "prompt=none as a page": lambda: self.authorize("document", prompt="none"),
            "keep-alive image": lambda: self.authorize("image"),
            "frame": lambda: self.authorize("iframe"),
            "fetch": lambda: self.authorize("empty"),
            "userinfo": lambda: self.world.userinfo(self.access_token()) == 200,
            "introspection": lambda: self.ask("/introspect", self.silent, token=self.access_token()),
            "introspection of the refresh token": lambda: self.ask(
                "/introspect", self.silent, token=self.tokens["refresh_token"]
            ),
            "status": lambda: self.ask("/session/status", self.silent, sid=self.sid),
            "the same old moment reported again": lambda: self.ask(
                "/session/activity", self.reporting, sid=self.sid, last_activity_at=self.opened_at
            ),
            "logout page": lambda: "logout-confirm" in self.browser.get("/end_session").text,
        }

    def refresh(self) -> bool:
        return self.world.refresh(self.silent, self.tokens["refresh_token"]).status == 200

    def access_token(self) -> str:
        answered = self.world.refresh(self.silent, self.tokens["refresh_token"])
        return str(answered.body.get("access_token"))

    def authorize(self, destination: str, **changes: str | None) -> bool:
        query = urlencode(parameters(self.silent, **changes))
        return "code" in self.browser.get(f"/authorize?{query}", **{"Sec-Fetch-Dest": destination}).answer

    def ask(self, path: str, client: SomeClient, **form: str) -> bool:
        answered = self.browser.post(path, form, Authorization=basic(client.client_id, client.secret or ""))
        return '"active": true' in answered.text or '"active":true' in answered.text

    def is_live(self) -> bool:
        with self.world.reading() as unit:
            return self.world.services.sessions.load_live(unit, self.browser.session) is not None


@pytest.mark.parametrize("every", [5 * MINUTE, 14 * SECOND])
def test_a79_whatever_is_polled_the_session_of_an_empty_chair_ends_at_thirty_minutes(
    world: World, every: timedelta
) -> None:
    tricks = Tricks(world)
    opened = world.clock.now()
    # The narrow interval in the last minute only: it is about reports and refreshes that are written together.
    start = opened + 5 * MINUTE if every > MINUTE else opened + IDLE - MINUTE
    world.clock.set(start)
    while world.clock.now() < opened + IDLE - SECOND:
        served = {name: trick() for name, trick in tricks.all().items()}
        assert all(served.values()), (world.clock.now() - opened, served)
        world.clock.move(every)
    world.clock.set(opened + IDLE - MOMENT)
    assert tricks.is_live()
    world.clock.set(opened + IDLE)
    assert not tricks.is_live()
    assert not any(trick() for trick in tricks.all().values())


@mutation
def test_a79_if_every_refresh_counted_a_timer_would_keep_the_chair(world: World) -> None:
    tricks = Tricks(world)
    with world.writing() as unit:
        unit.execute(update(Client).values(session_activity="token_refresh"))
    for _ in range(8):
        world.clock.move(5 * MINUTE)
        tricks.refresh()
    assert tricks.is_live()


# A80


KINDS = ("touch", "report", "refresh", "authorize", "activity")


@dataclass(frozen=True)
class AtTheDeadline:
    """A session, how something happens in it, and when it is over."""

    kind: str
    opened: tuple[int, str, str]
    refresh_token: str
    ends_at: datetime


@dataclass(frozen=True)
class Race:
    """What each process is told: `role` is early (a microsecond before each deadline), late (at it) or sweeper."""

    role: str
    sessions: list[AtTheDeadline]
    refreshing: SomeClient
    reporting: SomeClient
    threads: int
    is_faulty: bool = False
    # Each part of the long run waits differently.
    part: int = 0


def sessions_at_the_deadline(world: World, number: int, kinds: tuple[str, ...] = KINDS) -> Race:
    """Sessions whose deadlines are a millisecond apart, from half an hour after now on."""
    anna = world.make.person()
    refreshing = world.make.client("refreshing", session_activity="token_refresh")
    reporting = world.make.client("reporting", session_activity="reported")
    found = []
    for position in range(number):
        world.clock.move(timedelta(milliseconds=1))
        browser = world.browser()
        with world.writing() as unit:
            opened = world.services.sessions.open(unit, anna.id, Proven(1, "acr/1", ["pwd"], world.clock.now(), None))
        browser.cookies[SESSION_COOKIE] = opened.secret
        kind = kinds[position % len(kinds)]
        refresh_token = ""
        if kind == "refresh":
            code = browser.authorize(refreshing, prompt="none").code
            refresh_token = world.redeem(refreshing, code).body["refresh_token"]
        elif kind == "activity":
            world.redeem(reporting, browser.authorize(reporting, prompt="none").code)
        identity = (opened.session.id, opened.session.sid, opened.secret)
        found.append(AtTheDeadline(kind, identity, refresh_token, world.clock.now() + IDLE))
    return Race("", found, refreshing, reporting, 0)


def race(node: Node, given: Race) -> list[list[bool]]:
    """For each session which of this process's threads were told that something happened in a live session."""
    if given.is_faulty:
        look_then_write()
    chance, results = random.Random(f"{given.part} {node.number}"), []
    for one in given.sessions:
        node.world.clock.set(one.ends_at - (MOMENT if given.role == "early" else timedelta(0)))
        wait = chance.random() / 200

        def act(one: AtTheDeadline = one, wait: float = wait) -> bool:
            time.sleep(wait)
            return sweep_all(node.world) if given.role == "sweeper" else happens(node.world, given, one)

        results.append(node.at_once([act] * given.threads))
    return results


def sweep_all(world: World) -> bool:
    with world.app.app_context():
        return sweep(world.services.units, world.services.sessions) > 0


def happens(world: World, given: Race, one: AtTheDeadline) -> bool:
    """True when the provider said that it happened in a live session."""
    session_id, sid, secret = one.opened
    browser = Browser(world.app, cookies={SESSION_COOKIE: secret})
    if one.kind == "refresh":
        return world.refresh(given.refreshing, one.refresh_token).status == 200
    if one.kind == "authorize":
        return "code" in browser.authorize(given.refreshing).answer
    if one.kind == "activity":
        header = basic(given.reporting.client_id, given.reporting.secret or "")
        return '"active":true' in browser.post("/session/activity", {"sid": sid}, Authorization=header).text.replace(
            " ", ""
        )
    with world.writing() as unit:
        sessions = world.services.sessions
        session = sessions.load_live_by_id(unit, session_id, lock=one.kind == "touch")
        if session is None:
            return False
        if one.kind == "touch":
            return sessions.touch(unit, session)
        return sessions.report(unit, session, world.clock.now(), given.reporting.client_id)


def look_then_write() -> None:
    """THE FAULT: whether the session is live is looked up, and then it is written."""

    def extend(
        _: Sessions, unit: Unit, session: Session, at: datetime, now: datetime, at_least: timedelta = timedelta(0)
    ) -> bool:
        time.sleep(0.02)
        unit.execute(update(Session).where(Session.id == session.id).values(last_activity_at=at))
        return True

    def load(_: Sessions, unit: Unit, session_id: int, lock: bool = False) -> Session | None:
        return unit.scalars(select(Session).where(Session.id == session_id, Session.ended_at.is_(None))).one_or_none()

    Sessions._extend = extend  # type: ignore[method-assign]
    Sessions.load_live_by_id = load  # type: ignore[method-assign,assignment]


def contradictions(world: World, given: Race, results: list[list[list[bool]]]) -> tuple[list[str], int, int]:
    """What no order of the actions explains; how many sessions ended, and how many went on."""
    early, late, _ = results
    with world.reading() as unit:
        rows = {row.id: row for row in unit.scalars(select(Session))}
    wrong, ended, went_on = [], 0, 0
    for position, one in enumerate(given.sessions):
        row, in_time, too_late = rows[one.opened[0]], any(early[position]), any(late[position])
        has_ended = row.ended_at is not None
        ended, went_on = ended + has_ended, went_on + (not has_ended)
        last = row.last_activity_at
        moved = {one.ends_at - MOMENT} | ({one.ends_at} if too_late else set())
        rules = {
            "it ended, or somebody came in time": has_ended != in_time,
            "nobody comes at the deadline unless somebody came before it": in_time or not too_late,
            "an ended session was not moved": not has_ended or last == one.ends_at - IDLE,
            "one that goes on was moved to a moment of somebody who came": has_ended or last in moved,
            "the idle limit is the activity's": row.idle_ends_at == last + IDLE,
        }
        wrong += [f"{position} {one.kind}: {rule}" for rule, holds in rules.items() if not holds]
    return wrong, ended, went_on


# 10 000 rounds in the long run, in parts: each has a provider of its own, and ends in a time that is known.
PARTS = 50 if is_long() else 1


@pytest.mark.parametrize("part", range(PARTS))
def test_a80_at_the_deadline_a_session_ends_or_goes_on_and_every_answer_agrees(
    world: World, database_url: str, part: int
) -> None:
    given = replace(sessions_at_the_deadline(world, often(200, 30)), part=part)
    roles = [replace(given, role=role, threads=2 if role != "sweeper" else 1) for role in ("early", "late", "sweeper")]
    results = run(race, roles, database_url, world.clock.now(), seconds=1800)
    wrong, ended, went_on = contradictions(world, given, results)
    assert not wrong
    assert ended and went_on, "the race was one"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a80_if_the_database_did_not_decide_an_ended_session_would_be_moved(world: World, database_url: str) -> None:
    given = sessions_at_the_deadline(world, 12, ("touch",))
    roles = [
        replace(given, role=role, threads=2 if role != "sweeper" else 1, is_faulty=role == "early")
        for role in ("early", "late", "sweeper")
    ]
    results = run(race, roles, database_url, world.clock.now())
    wrong, _, _ = contradictions(world, given, results)
    assert wrong


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_a80_who_waits_for_the_row_until_the_deadline_has_passed_comes_too_late(
    world: World, database_url: str, kind: str
) -> None:
    given = sessions_at_the_deadline(world, 1, (kind,))
    (one,) = given.sessions
    world.clock.set(one.ends_at - SECOND)
    answers: list[bool] = []
    engine = create_engine(database_url)
    with engine.connect() as holder:
        holder.execute(text("SELECT 1 FROM sessions FOR UPDATE"))
        waiting = threading.Thread(target=lambda: answers.append(happens(world, given, one)), daemon=True)
        waiting.start()
        _wait_for_a_waiter(engine)
        world.clock.set(one.ends_at)
        holder.rollback()
        waiting.join(30)
    engine.dispose()
    assert answers == [False]
    with world.reading() as unit:
        assert unit.scalars(select(Session.last_activity_at)).one() == one.ends_at - IDLE


def _wait_for_a_waiter(engine: Any) -> None:
    """Somebody waits for a lock in this database."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    until = time.monotonic() + 30
    while time.monotonic() < until:
        with engine.connect() as connection:
            if connection.execute(query).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waited")


# A82


class Machine:
    """The time of a whole installation: what passes, passes everywhere; what is set, is the one clock that counts."""

    def __init__(self, database_url: str) -> None:
        self._passed = timedelta(0)
        if database_url.startswith("sqlite"):
            self._wall = FixedClock(START)
            self.servers_clock, self._engine = None, None
            self.clock: Clock = SystemClock(self._wall.now, lambda: self._passed)
        else:
            self.servers_clock = ServersClock(database_url)
            self._engine = create_engine(database_url)
            self.clock = DatabaseClock(self._engine, lambda: ticks() + self._passed)

    def passes(self, distance: timedelta) -> None:
        self._passed += distance
        self.set_by(distance)

    def set_by(self, distance: timedelta) -> None:
        if self.servers_clock is None:
            self._wall.move(distance)
        else:
            self.servers_clock.set_by(distance)

    def close(self) -> None:
        if self.servers_clock is not None and self._engine is not None:
            self.servers_clock.close()
            self._engine.dispose()


@pytest.fixture
def machine(database_url: str) -> Iterator[Machine]:
    machine = Machine(database_url)
    yield machine
    machine.close()


@pytest.fixture
def dated(database_url: str, machine: Machine) -> Iterator[World]:
    """A provider by the machine's time."""
    app: Flask = create_app(make_settings(database_url), machine.clock)
    with app.app_context():
        give_keys(app.extensions["idp"])
    yield World(app, machine.clock)  # type: ignore[arg-type]
    dispose(app)


BACK = [timedelta(hours=1), timedelta(days=1)]


def openings(world: World) -> dict[str, Callable[[], bool]]:
    """What a session and its codes and tokens open; each once."""
    client = world.make.client(session_activity="reported")
    browser, page = world.sign_in(client, world.make.person())
    tokens = world.redeem(client, page.code).body
    with world.reading() as unit:
        sid = unit.scalars(select(Session.sid)).one()
    code = browser.authorize(client, prompt="none").code
    header = basic(client.client_id, client.secret or "")

    def is_active(path: str, **form: str) -> bool:
        return '"active":true' in browser.post(path, form, Authorization=header).text.replace(" ", "")

    return {
        "code": lambda: world.redeem(client, code).status == 200,
        "access token": lambda: world.userinfo(tokens["access_token"]) == 200,
        "refresh token": lambda: world.refresh(client, tokens["refresh_token"]).status == 200,
        "session": lambda: "code" in browser.authorize(client, prompt="none").answer,
        "status": lambda: is_active("/session/status", sid=sid),
        "activity": lambda: is_active("/session/activity", sid=sid),
        "introspection": lambda: is_active("/introspect", token=tokens["refresh_token"]),
    }


@pytest.mark.parametrize("back", BACK)
def test_a82_a_clock_that_is_set_back_revives_no_session_token_or_code(
    dated: World, machine: Machine, caplog: pytest.LogCaptureFixture, back: timedelta
) -> None:
    doors = openings(dated)
    machine.passes(IDLE + MINUTE)
    assert {name for name, opens in doors.items() if opens()} == set()
    machine.set_by(-back)
    for _ in range(3):
        machine.passes(MINUTE + SECOND)
        assert {name for name, opens in doors.items() if opens()} == set()
    assert caplog.text.count("was set back by") == 1 and "ALARM" in caplog.text


@pytest.mark.parametrize("back", BACK)
def test_a82_a_clock_that_is_set_back_lengthens_no_session_that_is_live(
    dated: World, machine: Machine, back: timedelta
) -> None:
    doors = openings(dated)
    machine.passes(20 * MINUTE)
    assert doors["status"](), "somebody asked, so the time is known"
    machine.set_by(-back)
    machine.passes(10 * MINUTE - 5 * SECOND)
    assert doors["status"]()
    machine.passes(6 * SECOND)
    assert {name for name, opens in doors.items() if opens()} == set()


@mutation
def test_a82_by_a_clock_that_follows_the_machine_back_a_session_would_live_again(world: World) -> None:
    doors = openings(world)
    world.clock.move(IDLE)
    assert not doors["session"]()
    world.clock.move(-timedelta(hours=1))
    assert doors["session"]() or doors["status"]()


def test_a82_what_was_ended_or_used_stays_so_even_for_a_process_that_starts_while_the_clock_is_behind(
    world: World, database_url: str
) -> None:
    doors = openings(world)
    assert doors["code"]()
    world.clock.move(IDLE)
    assert sweep_all(world)
    behind = FixedClock(world.clock.now() - timedelta(days=1))
    app = create_app(make_settings(database_url), behind)
    try:
        there = World(app, behind)
        world.clock.set(behind.now())
        assert {name for name, opens in doors.items() if opens()} == set()
        with there.reading() as unit:
            session = unit.scalars(select(Session)).one()
            assert not idle.is_live(session, behind.now())
        with there.writing() as unit:
            session = unit.scalars(select(Session)).one()
            assert not there.services.sessions.touch(unit, session)
    finally:
        dispose(app)


def test_a82_a_node_that_is_behind_cannot_shorten_or_lengthen_what_others_wrote(world: World) -> None:
    anna = world.make.person()
    with world.writing() as unit:
        opened: Opened = world.services.sessions.open(unit, anna.id, Proven(1, "a", ["pwd"], START, None))
    world.clock.move(-5 * SECOND)
    with world.writing() as unit:
        session = unit.scalars(select(Session)).one()
        assert not world.services.sessions.touch(unit, session)
        again = world.services.sessions.reauthenticate(unit, session, Proven(1, "a", ["pwd"], START, None))
        assert again is not None
    with world.reading() as unit:
        row = unit.scalars(select(Session)).one()
        assert (row.last_activity_at, row.idle_ends_at) == (START, START + IDLE) and row.id == opened.session.id
