"""No path extends a session past its limits, and none that is over comes back: arbitrary lives beside a plain model."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import ColumnElement, and_, update
from sqlalchemy.orm import Session as Unit

from idp.jobs.sweep_idle_sessions import sweep
from idp.kernel.clock import FixedClock
from idp.sessions import idle
from idp.sessions.lifecycle import Proven, Sessions
from idp.sessions.models import Session
from tests.attacks.world import SESSION_COOKIE, World, basic
from tests.conftest import START, is_long

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
MOMENT = timedelta(microseconds=1)
LONG_AGO = timedelta(days=2)
REASONS = ["logout", "ended_by_person", "ended_by_administrator", "password_changed", "replaced"]
DISTANCES = st.one_of(
    st.sampled_from([MOMENT, 14 * SECOND, 15 * SECOND, 5 * MINUTE, 29 * MINUTE]), st.timedeltas(MOMENT, 40 * MINUTE)
)


class Model:
    """What is true of one session, in plain Python: its limits, the last activity that counted, and its end."""

    def __init__(self, opened_at: datetime, idle_for: timedelta, lasts: timedelta) -> None:
        self.last, self.idle_for, self.absolute_end = opened_at, idle_for, opened_at + lasts
        self.ended = False
        self.coalesced = min(15 * SECOND, idle_for / 20)
        # Every moment at which something happened that counts, whether or not it was written.
        self.counted = [opened_at]

    @property
    def over_at(self) -> datetime:
        return min(self.last + self.idle_for, self.absolute_end)

    def is_live(self, now: datetime) -> bool:
        return not self.ended and now < self.over_at

    def happens(self, at: datetime, now: datetime, at_least: timedelta = timedelta(0)) -> None:
        """Something that counts happened at this moment, and is known now."""
        if not self.is_live(now):
            return
        at = min(at, now)
        # What was long known changes nothing.
        self.counted.append(max(at, self.last))
        if at - self.last >= at_least:
            self.last = at


class Life(RuleBasedStateMachine):
    """One session, everything that can happen to it, and what the provider says of it."""

    world: World

    @initialize(minutes=st.sampled_from([1, 10, 30]), lasts=st.sampled_from([15, 60, 720]))
    def sign_in(self, minutes: int, lasts: int) -> None:
        world = self.world
        world.clock.set(START)
        self.anna, self.clients = PEOPLE[id(world)]
        limits = (minutes * MINUTE, lasts * MINUTE)
        proven = Proven(1, "acr/1", ["pwd"], START, None)
        with world.writing() as unit:
            # Of the lives before this one nothing is left.
            unit.execute(update(Session).where(Session.ended_at.is_(None)).values(ended_at=START, end_reason="logout"))
            opened = world.services.sessions.open(unit, self.anna.id, proven, *limits)
        self.session_id, self.sid = opened.session.id, opened.session.sid
        self.browser = world.browser()
        self.browser.cookies[SESSION_COOKIE] = opened.secret
        self.refresh_tokens: dict[str, str] = {}
        for kind, client in self.clients.items():
            code = self.browser.authorize(client, prompt="none").code
            self.refresh_tokens[kind] = world.redeem(client, code).body["refresh_token"]
        self.model = Model(START, *limits)
        self.was_over = False
        self.highest = START

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    # time

    @rule(thousandths=st.sampled_from([1, 100, 500, 900, 999]))
    def time_passes(self, thousandths: int) -> None:
        """So much of what is left: lives are long enough for something to happen in them."""
        left = max(self.model.over_at - self.now, MINUTE)
        self.world.clock.move(left * thousandths / 1000)

    @rule(distance=DISTANCES, really=st.integers(0, 4))
    def much_time_passes(self, distance: timedelta, really: int) -> None:
        if not really:
            self.world.clock.move(distance)

    @rule(before=st.sampled_from([16 * SECOND, SECOND, MOMENT, MOMENT, timedelta(0)]))
    def time_passes_to_the_deadline(self, before: timedelta) -> None:
        self.world.clock.set(max(self.now, self.model.over_at - before))

    # what counts

    @rule(prompt=st.sampled_from([None, "login", "none"]), dest=st.sampled_from([None, "document", "iframe", "image"]))
    def authorization_request(self, prompt: str | None, dest: str | None) -> None:
        headers = {} if dest is None else {"Sec-Fetch-Dest": dest}
        self.browser.headers = headers
        answer = self.browser.authorize(self.clients["none"], prompt=prompt).answer
        self.browser.headers = {}
        assert ("code" in answer) == (prompt != "login" and self.model.is_live(self.now))
        if prompt != "none" and dest in (None, "document"):
            self.model.happens(self.now, self.now)

    @precondition(lambda self: self.model.is_live(self.now))
    @rule()
    def password_on_our_own_page(self) -> None:
        self.browser.headers = {"Sec-Fetch-Dest": "iframe"}
        page = self.browser.begin(self.clients["none"], prompt="login")
        self.browser.headers = {}
        assert self.browser.submit(page, **self.anna.names).code
        self.model.happens(self.now, self.now)

    @rule(distance=st.one_of(st.none(), st.timedeltas(-LONG_AGO, LONG_AGO), st.timedeltas(-40 * SECOND, 40 * SECOND)))
    def report(self, distance: timedelta | None) -> None:
        form = {"sid": self.sid}
        at = self.now
        if distance is not None:
            # Whole seconds: what is reported is exact.
            at = datetime.fromtimestamp(int((self.now + distance).timestamp()), tz=self.now.tzinfo)
            form["last_activity_at"] = str(int(at.timestamp()))
        client = self.clients["reported"]
        answer = self.browser.post(
            "/session/activity", form, Authorization=basic(client.client_id, client.secret or "")
        )
        self.model.happens(at, self.now, self.model.coalesced)
        assert ('"active":true' in answer.text) == self.model.is_live(self.now), answer.text

    @rule(distance=st.timedeltas(-40 * MINUTE, 40 * MINUTE))
    def report_of_a_session_read_before(self, distance: timedelta) -> None:
        at = self.now + distance
        self.lifecycle(lambda sessions, unit, session: sessions.report(unit, session, at, "reported"))
        self.model.happens(at, self.now, self.model.coalesced)

    @rule(kind=st.sampled_from(["none", "token_refresh", "reported"]))
    def refresh(self, kind: str) -> None:
        model, over_at = self.model, self.model.over_at
        if kind == "token_refresh" and self.now - model.last >= model.coalesced:
            over_at = min(self.now + model.idle_for, model.absolute_end)
        # Under a second before the end nothing is issued, and nothing of the refresh is written.
        is_served = model.is_live(self.now) and over_at - self.now >= SECOND
        if kind == "token_refresh" and is_served:
            model.happens(self.now, self.now, model.coalesced)
        status = self.world.refresh(self.clients[kind], self.refresh_tokens[kind]).status
        assert (status == 200) == is_served

    @rule()
    def password_asked_in_another_tab(self) -> None:
        self.lifecycle(lambda sessions, unit, session: sessions.password_asked(unit, session, "acr/1", self.now))

    @rule()
    def touch_of_a_session_read_before(self) -> None:
        self.lifecycle(lambda sessions, unit, session: sessions.touch(unit, session))
        self.model.happens(self.now, self.now)

    @rule()
    def authentication_for_a_session_read_before(self) -> None:
        proven = Proven(1, "acr/1", ["pwd"], self.now, None)
        again = self.lifecycle(lambda sessions, unit, session: sessions.reauthenticate(unit, session, proven))
        assert (again is not None) == self.model.is_live(self.now)
        if again is not None:
            self.browser.cookies[SESSION_COOKIE] = again.secret
        self.model.happens(self.now, self.now)

    def lifecycle(self, act: Callable[[Sessions, Unit, Session], Any]) -> Any:
        with self.world.writing() as unit:
            return act(self.world.services.sessions, unit, unit.get_one(Session, self.session_id))

    # the end

    @rule(reason=st.sampled_from(REASONS), really=st.integers(0, 9))
    def end(self, reason: Any, really: int) -> None:
        if really:
            return
        ended = self.lifecycle(lambda sessions, unit, session: sessions.end(unit, session, reason))
        assert ended == (not self.model.ended)
        self.model.ended = True

    @rule()
    def cleaner(self) -> None:
        with self.world.app.app_context():
            swept = sweep(self.world.services.units, self.world.services.sessions)
        assert swept == (not self.model.ended and not self.model.is_live(self.now))
        self.model.ended = self.model.ended or bool(swept)

    # what always holds

    @invariant()
    def provider_and_model_agree(self) -> None:
        with self.world.reading() as unit:
            row = unit.get_one(Session, self.session_id)
            sessions = self.world.services.sessions
            live = sessions.load_live_by_id(unit, self.session_id) is not None
            assert live == (sessions.load_live(unit, self.browser.session) is not None)
        model, now = self.model, self.now
        assert live == model.is_live(now)
        assert (row.last_activity_at, row.idle_ends_at) == (model.last, model.last + model.idle_for)
        assert row.absolute_ends_at == model.absolute_end
        assert (row.ended_at is not None) == model.ended
        # In words that do not depend on how the model counts.
        assert row.last_activity_at >= self.highest, "last activity only rises"
        assert row.last_activity_at in model.counted, "it is a moment that counted"
        assert max(model.counted) - row.last_activity_at < model.coalesced, (
            "and the last one, but for what is coalesced"
        )
        assert not (live and now >= min(max(model.counted) + model.idle_for, START + timedelta(hours=12)))
        assert not (live and self.was_over), "nothing that was over lives again"
        self.highest = row.last_activity_at
        self.was_over = self.was_over or not live


PEOPLE: dict[int, Any] = {}
KINDS = ("none", "token_refresh", "reported")


@pytest.fixture
def world(app: Flask, clock: FixedClock) -> World:
    world = World(app, clock)
    clients = {kind: world.make.client(kind.replace("_", "-"), session_activity=kind) for kind in KINDS}
    PEOPLE[id(world)] = (world.make.person(), clients)
    return world


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return {"tokens": {"access_token_lifetime": "PT60M"}}


def busy_up_to_the_absolute_limit(life: Life) -> None:
    """What chance seldom leads to."""
    life.sign_in(minutes=30, lasts=60)
    for _ in range(3):
        life.time_passes(thousandths=500)
        life.authorization_request(prompt=None, dest="document")
        life.provider_and_model_agree()
    for before in (MOMENT, timedelta(0), timedelta(0)):
        life.time_passes_to_the_deadline(before=before)
        life.touch_of_a_session_read_before()
        life.report(distance=None)
        life.provider_and_model_agree()
    assert life.now == START + 60 * MINUTE


def used_by_nobody_but_frames(life: Life) -> None:
    """What an application does by itself while nobody is there."""
    life.sign_in(minutes=30, lasts=720)
    for dest in ("iframe", "image", "document"):
        life.time_passes(thousandths=500)
        life.authorization_request(prompt="none" if dest == "document" else None, dest=dest)
        life.provider_and_model_agree()


def live_through(world: World, examples: int, phases: tuple[Phase, ...] = tuple(Phase)) -> None:
    """Arbitrary lives of sessions. Raises when the provider and the model disagree."""
    machine = type("LifeHere", (Life,), {"world": world})
    for known in (busy_up_to_the_absolute_limit, used_by_nobody_but_frames):
        known(machine())
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            derandomize=not is_long(),
            phases=phases,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_no_path_extends_a_session_past_its_limits_and_none_that_is_over_comes_back(world: World) -> None:
    live_through(world, 500 if is_long() else 12)


def lenient_boundary(now: datetime) -> ColumnElement[bool]:
    return and_(Session.ended_at.is_(None), Session.idle_ends_at >= now, Session.absolute_ends_at > now)


def without_absolute_limit(now: datetime) -> ColumnElement[bool]:
    return and_(Session.ended_at.is_(None), Session.idle_ends_at > now)


def although_ended(now: datetime) -> ColumnElement[bool]:
    return and_(Session.idle_ends_at > now, Session.absolute_ends_at > now)


def whenever(
    _: Sessions, unit: Unit, session: Session, at: datetime, now: datetime, at_least: timedelta = timedelta(0)
) -> bool:
    """Moves the clock of a session that is over, too."""
    moved = update(Session).where(Session.id == session.id, Session.last_activity_at <= at - at_least)
    unit.execute(moved.values(**idle.moved_by_activity(session, at)))
    return True


def back_and_forth(
    _: Sessions, unit: Unit, session: Session, at: datetime, now: datetime, at_least: timedelta = timedelta(0)
) -> bool:
    """Moves the clock back, too."""
    moved = update(Session).where(Session.id == session.id, idle.live(now))
    unit.execute(moved.values(**idle.moved_by_activity(session, at)))
    return True


MUTANTS: dict[str, tuple[object, str, object]] = {
    "live at the deadline itself": (idle, "live", lenient_boundary),
    "no absolute limit": (idle, "live", without_absolute_limit),
    "live although ended": (idle, "live", although_ended),
    "activity revives": (Sessions, "_extend", whenever),
    "last activity moves back": (Sessions, "_extend", back_and_forth),
    "everything is coalesced for a minute": (idle, "coalesced", lambda _: MINUTE),
    "every request is a navigation": (
        "idp.web.authorize",
        "is_top_level_navigation",
        lambda *_: True,
    ),
    "a report says when it came": (
        idle,
        "moved_by_activity",
        lambda session, at: {"last_activity_at": at + SECOND, "idle_ends_at": at + SECOND + session.idle_timeout},
    ),
}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("name", MUTANTS)
def test_a_clock_with_a_fault_is_noticed(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    where, attribute, mutant = MUTANTS[name]
    if isinstance(where, str):
        monkeypatch.setattr(f"{where}.{attribute}", mutant)
    else:
        monkeypatch.setattr(where, attribute, mutant)
    with pytest.raises(AssertionError):
        live_through(world, 40, (Phase.generate,))
