"""A session's life: opened, read by one reader, moved by activity, ended once by one road."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from idp.audit.events import SessionEnded, SessionOpened, SessionReauthenticated
from idp.audit.trail import AuditEvent, events
from idp.kernel.clock import FixedClock
from idp.outbox.models import OutboxMessage
from idp.sessions.idle import COALESCE
from idp.sessions.lifecycle import Opened, Proven
from idp.sessions.models import Session
from idp.wiring import Services
from tests.conftest import START
from tests.factories import Factories, Somebody

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
TICK = timedelta(microseconds=1)
PASSWORD = Proven(1, "acr/1", ["pwd"], START, None)
APP = Proven(3, "acr/3", ["pwd", "otp", "mfa"], START, None)


class Life:
    """The services for sessions, each call in a unit of work of its own."""

    def __init__(self, services: Services, clock: FixedClock) -> None:
        self.services, self.clock, self.sessions = services, clock, services.sessions

    def open(self, somebody: Somebody, proven: Proven = PASSWORD, **limits: timedelta) -> Opened:
        with self.services.units.writing() as unit:
            return self.sessions.open(unit, somebody.id, proven, **limits)

    def reauthenticate(self, opened: Opened, proven: Proven) -> Opened | None:
        with self.services.units.writing() as unit:
            session = unit.get(Session, opened.session.id)
            return self.sessions.reauthenticate(unit, session, proven) if session else None

    def live(self, secret: str | None) -> Session | None:
        with self.services.units.reading() as unit:
            return self.sessions.load_live(unit, secret)

    def is_live(self, opened: Opened) -> bool:
        with self.services.units.reading() as unit:
            by_id = self.sessions.load_live_by_id(unit, opened.session.id)
            by_secret = self.sessions.load_live(unit, opened.secret)
        assert (by_id is None) == (by_secret is None)
        return by_id is not None

    def touch(self, opened: Opened) -> bool:
        with self.services.units.writing() as unit:
            session = unit.get(Session, opened.session.id)
            return session is not None and self.sessions.touch(unit, session)

    def refresh(self, opened: Opened) -> None:
        with self.services.units.writing() as unit:
            self.sessions.touch_by_refresh(unit, opened.session.id, "atosi")

    def join(self, opened: Opened, *client_ids: str) -> None:
        for client_id in client_ids:
            with self.services.units.writing() as unit:
                self.sessions.join(unit, opened.session.id, client_id)
            self.clock.move(timedelta(seconds=1))

    def end(self, opened: Opened, reason: str = "logout") -> bool:
        with self.services.units.writing() as unit:
            session = unit.get(Session, opened.session.id)
            return session is not None and self.sessions.end(unit, session, reason)  # type: ignore[arg-type]

    def row(self, opened: Opened) -> Session:
        with self.services.units.reading() as unit:
            return unit.scalars(select(Session).filter_by(id=opened.session.id)).one()

    def notices(self) -> list[OutboxMessage]:
        with self.services.units.reading() as unit:
            return list(unit.scalars(select(OutboxMessage).order_by(OutboxMessage.id)))

    def events(self, kind: type[SessionEnded] | type[SessionOpened] | type[SessionReauthenticated]) -> list[AuditEvent]:
        with self.services.units.reading() as unit:
            return list(events(unit, kind))


@pytest.fixture
def life(services: Services, clock: FixedClock) -> Life:
    return Life(services, clock)


@pytest.fixture
def anna(make: Factories) -> Somebody:
    return make.person()


# opening


def test_opened_session_is_found_by_its_secret_and_by_nothing_else(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    found = life.live(opened.secret)
    assert found is not None and found.id == opened.session.id
    for wrong in (None, "", opened.session.sid, opened.secret[:-1], opened.secret + "A", opened.secret.lower()):
        assert life.live(wrong) is None


def test_two_sessions_share_neither_secret_nor_sid(life: Life, anna: Somebody) -> None:
    first, second = life.open(anna), life.open(anna)
    assert first.secret != second.secret and first.session.sid != second.session.sid
    assert first.secret not in (first.session.sid, second.session.sid)


def test_opening_leaves_one_event(life: Life, anna: Somebody) -> None:
    opened = life.open(anna, APP)
    (event,) = life.events(SessionOpened)
    assert (event.sid, event.account_id, event.details) == (
        opened.session.sid,
        anna.id,
        {"acr": "acr/3", "amr": ["pwd", "otp", "mfa"]},
    )


# the two limits


def test_session_is_live_at_29_59_999_and_dead_at_30_00_for_every_reader(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    life.clock.move(30 * MINUTE - timedelta(milliseconds=1))
    assert life.is_live(opened)
    life.clock.move(timedelta(milliseconds=1))
    assert not life.is_live(opened)
    assert not life.touch(opened)
    assert life.reauthenticate(opened, PASSWORD) is None
    assert life.row(opened).last_activity_at == START


def test_session_ends_at_its_absolute_limit_although_it_was_used_all_the_time(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    for _ in range(35):
        life.clock.move(20 * MINUTE)
        assert life.touch(opened)
    life.clock.move(20 * MINUTE - TICK)
    assert life.is_live(opened) and life.touch(opened)
    life.clock.move(TICK)
    assert life.clock.now() == START + 12 * HOUR
    assert not life.is_live(opened) and not life.touch(opened)


def test_organisation_shortens_limits_and_never_lengthens_them(life: Life, anna: Somebody) -> None:
    short = life.open(anna, idle_timeout=10 * MINUTE, absolute_timeout=HOUR)
    assert (short.session.idle_ends_at, short.session.absolute_ends_at) == (START + 10 * MINUTE, START + HOUR)
    long = life.open(anna, idle_timeout=10 * HOUR, absolute_timeout=100 * HOUR)
    assert (long.session.idle_ends_at, long.session.absolute_ends_at) == (START + 30 * MINUTE, START + 12 * HOUR)
    life.clock.move(10 * MINUTE)
    assert not life.is_live(short) and life.is_live(long)


# activity


def test_activity_starts_the_thirty_minutes_anew(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    life.clock.move(29 * MINUTE)
    assert life.touch(opened)
    life.clock.move(30 * MINUTE - TICK)
    assert life.is_live(opened)
    life.clock.move(TICK)
    assert not life.is_live(opened)


def test_last_activity_only_rises(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    life.clock.move(10 * MINUTE)
    assert life.touch(opened)
    life.clock.move(-5 * MINUTE)
    assert not life.touch(opened)
    assert life.row(opened).last_activity_at == START + 10 * MINUTE
    assert life.row(opened).idle_ends_at == START + 40 * MINUTE


def test_refresh_within_fifteen_seconds_writes_nothing_and_a_later_one_does(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    life.clock.move(COALESCE - TICK)
    life.refresh(opened)
    assert life.row(opened).last_activity_at == START
    life.clock.move(TICK)
    life.refresh(opened)
    assert life.row(opened).last_activity_at == START + COALESCE


def test_refresh_does_not_revive_a_session_that_is_over(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    life.clock.move(30 * MINUTE)
    life.refresh(opened)
    assert not life.is_live(opened) and life.row(opened).last_activity_at == START


# authenticating again


def test_authenticating_again_keeps_the_sid_and_changes_the_secret(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    life.clock.move(10 * MINUTE)
    again = life.reauthenticate(opened, replace(APP, auth_time=life.clock.now()))
    assert again is not None
    assert (again.session.id, again.session.sid) == (opened.session.id, opened.session.sid)
    assert life.live(opened.secret) is None
    found = life.live(again.secret)
    assert found is not None
    assert (found.level, found.amr, found.auth_time) == (3, APP.amr, START + 10 * MINUTE)
    assert (found.opened_at, found.last_activity_at) == (START, START + 10 * MINUTE)
    assert found.absolute_ends_at == START + 12 * HOUR
    assert [event.sid for event in life.events(SessionReauthenticated)] == [opened.session.sid]


def test_authenticating_again_never_lowers_the_level_nor_what_it_stands_on(life: Life, anna: Somebody) -> None:
    opened = life.open(anna, APP)
    life.clock.move(MINUTE)
    again = life.reauthenticate(opened, replace(PASSWORD, auth_time=life.clock.now()))
    assert again is not None
    assert (again.session.level, again.session.amr) == (3, APP.amr)
    assert again.session.auth_time == START + MINUTE


def test_moment_of_the_password_never_moves_back(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    again = life.reauthenticate(opened, replace(APP, auth_time=START - HOUR))
    assert again is not None and again.session.auth_time == START


def test_authenticating_again_keeps_that_enrolment_was_postponed(life: Life, anna: Somebody) -> None:
    opened = life.open(anna, replace(PASSWORD, postponed_until=START + HOUR))
    again = life.reauthenticate(opened, PASSWORD)
    assert again is not None and again.session.postponed_until == START + HOUR


# ending


def test_ending_leaves_one_notice_for_each_participant_and_one_event(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    life.join(opened, "rapportages", "atosi", "rapportages")
    assert life.end(opened, "logout")
    notices = life.notices()
    assert [(notice.receiver, notice.kind, notice.subject) for notice in notices] == [
        ("rapportages", "logout_notice", opened.session.sid),
        ("atosi", "logout_notice", opened.session.sid),
    ]
    assert {str(notice.payload) for notice in notices} == {str({"sid": opened.session.sid, "sub": anna.sub})}
    (event,) = life.events(SessionEnded)
    assert (event.sid, event.details) == (opened.session.sid, {"reason": "logout", "clients": 2})
    row = life.row(opened)
    assert (row.ended_at, row.end_reason) == (life.clock.now(), "logout")
    assert not life.is_live(opened)


def test_session_ends_once(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    life.join(opened, "atosi")
    assert life.end(opened, "logout")
    life.clock.move(MINUTE)
    assert not life.end(opened, "idle")
    assert life.row(opened).end_reason == "logout"
    assert len(life.notices()) == 1 and len(life.events(SessionEnded)) == 1


def test_session_without_participants_ends_without_notices(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    assert life.end(opened, "ended_by_person")
    assert life.notices() == [] and len(life.events(SessionEnded)) == 1


def test_end_that_is_rolled_back_leaves_nothing_behind(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    life.join(opened, "atosi")
    with pytest.raises(LookupError), life.services.units.writing() as unit:
        session = unit.get(Session, opened.session.id)
        assert session is not None and life.sessions.end(unit, session, "logout")
        raise LookupError
    assert life.is_live(opened)
    assert life.notices() == [] and life.events(SessionEnded) == []


def test_ended_session_is_moved_by_nothing(life: Life, anna: Somebody) -> None:
    opened = life.open(anna)
    life.end(opened)
    life.clock.move(MINUTE)
    assert not life.touch(opened)
    assert life.reauthenticate(opened, APP) is None
    life.refresh(opened)
    assert life.row(opened).last_activity_at == START


def test_ending_all_sessions_of_an_account_leaves_those_of_others(life: Life, make: Factories) -> None:
    organization = make.organization()
    anna, bram = make.account(organization, "anna"), make.account(organization, "bram")
    annas, brams = [life.open(anna) for _ in range(3)], life.open(bram)
    life.end(annas[0])
    with life.services.units.writing() as unit:
        assert life.sessions.end_all_of(unit, anna.id, "password_changed") == 2
    assert not any(life.is_live(each) for each in annas) and life.is_live(brams)
    assert [life.row(each).end_reason for each in annas] == ["logout", "password_changed", "password_changed"]


def test_overdue_are_the_sessions_that_are_over_by_the_clock_and_not_ended(life: Life, anna: Somebody) -> None:
    first = life.open(anna)
    life.clock.move(MINUTE)
    second, ended = life.open(anna), life.open(anna)
    life.end(ended)
    life.clock.move(29 * MINUTE - TICK)

    def overdue(limit: int = 10) -> list[int]:
        with life.services.units.reading() as unit:
            return [session.id for session in life.sessions.overdue(unit, limit)]

    assert overdue() == []
    life.clock.move(TICK)
    assert overdue() == [first.session.id]
    life.clock.move(MINUTE)
    assert overdue() == [first.session.id, second.session.id]
    assert overdue(limit=1) == [first.session.id]
    life.end(first, "idle")
    assert overdue() == [second.session.id]
