"""THE 30-MINUTE CLOCK, as pure functions and as a condition for the database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from idp.sessions import idle
from idp.sessions.models import Session
from idp.wiring import Services
from tests.factories import Factories

NOW = datetime(2026, 11, 23, 13, 35, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)


def session(idle_for: timedelta = 30 * MINUTE, lasts: timedelta = 720 * MINUTE, **values: object) -> Session:
    return Session(
        idle_timeout=idle_for,
        last_activity_at=NOW,
        idle_ends_at=NOW + idle_for,
        absolute_ends_at=NOW + lasts,
        ended_at=None,
        **values,
    )


def test_session_is_live_at_29_59_999_and_dead_at_30_00() -> None:
    assert idle.is_live(session(), NOW + 30 * MINUTE - MILLISECOND)
    assert idle.is_live(session(), NOW + 30 * MINUTE - TICK)
    assert not idle.is_live(session(), NOW + 30 * MINUTE)
    assert not idle.is_live(session(), NOW + 30 * MINUTE + TICK)


def test_session_is_dead_at_its_absolute_limit_however_busy_it_is() -> None:
    busy = session(lasts=20 * MINUTE)
    assert idle.is_live(busy, NOW + 20 * MINUTE - TICK)
    assert not idle.is_live(busy, NOW + 20 * MINUTE)


def test_session_that_somebody_ended_is_dead_at_once() -> None:
    ended = session()
    ended.ended_at = NOW
    assert not idle.is_live(ended, NOW)


@pytest.mark.parametrize(
    ("lasts", "now", "reason"),
    [
        (720 * MINUTE, NOW, None),
        (720 * MINUTE, NOW + 30 * MINUTE - TICK, None),
        (720 * MINUTE, NOW + 30 * MINUTE, "idle"),
        (20 * MINUTE, NOW + 20 * MINUTE, "absolute"),
        (30 * MINUTE, NOW + 30 * MINUTE, "absolute"),
    ],
)
def test_reason_why_a_session_is_over_is_the_limit_that_was_reached(
    lasts: timedelta, now: datetime, reason: str | None
) -> None:
    assert idle.end_reason(session(lasts=lasts), now) == reason


def test_activity_moves_the_idle_limit_and_not_the_absolute_one() -> None:
    moved = idle.moved_by_activity(session(), NOW + 10 * MINUTE)
    assert moved == {"last_activity_at": NOW + 10 * MINUTE, "idle_ends_at": NOW + 40 * MINUTE}


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (0 * MINUTE, 1800),
        (TICK, 1799),
        (30 * MINUTE - timedelta(seconds=1), 1),
        (30 * MINUTE - timedelta(seconds=1) + TICK, 0),
        (30 * MINUTE, 0),
        (90 * MINUTE, 0),
    ],
)
def test_seconds_left_are_whole_and_rounded_down(after: timedelta, seconds: int) -> None:
    assert idle.seconds_left(session(), NOW + after) == seconds


@pytest.mark.parametrize(
    ("header", "counts"),
    [
        (None, True),
        ("document", True),
        ("iframe", False),
        ("empty", False),
        ("image", False),
        ("Document", False),
        ("", False),
    ],
)
def test_only_a_top_level_navigation_is_somebody_opening_a_page(header: str | None, counts: bool) -> None:
    assert idle.is_top_level_navigation(header) is counts


@pytest.mark.parametrize("purpose", ["prefetch", "prefetch;prerender", ""])
def test_page_that_is_fetched_in_advance_was_opened_by_nobody(purpose: str) -> None:
    assert not idle.is_top_level_navigation("document", purpose)
    assert not idle.is_top_level_navigation(None, purpose)


DISTANCES = st.timedeltas(timedelta(0), timedelta(hours=13))


@given(DISTANCES, DISTANCES, DISTANCES)
def test_live_session_has_no_reason_to_be_over_and_a_dead_one_has(
    idle_for: timedelta, lasts: timedelta, after: timedelta
) -> None:
    found, now = session(idle_for, lasts), NOW + after
    assert idle.is_live(found, now) == (idle.end_reason(found, now) is None) == (now < idle.ends_at(found))
    assert (idle.seconds_left(found, now) > 0) <= idle.is_live(found, now)


def test_database_decides_as_the_pure_function_does_down_to_the_microsecond(
    services: Services, make: Factories
) -> None:
    anna = make.person()
    limits = [(30, 720), (30, 20), (30, 30), (5, 720)]
    with services.units.writing() as unit:
        for number, (idle_minutes, lasts_minutes) in enumerate(limits):
            unit.add(
                session(
                    idle_minutes * MINUTE,
                    lasts_minutes * MINUTE,
                    sid=str(number),
                    secret_hash=bytes([number]),
                    account_id=anna.id,
                    level=1,
                    amr=["pwd"],
                    auth_time=NOW,
                    opened_at=NOW,
                )
            )
    for minutes in (5, 20, 30, 720):
        for now in (NOW + minutes * MINUTE - TICK, NOW + minutes * MINUTE, NOW + minutes * MINUTE + TICK):
            with services.units.reading() as unit:
                everyone = unit.scalars(select(Session)).all()
                live = set(unit.scalars(select(Session.sid).where(idle.live(now))))
                over = set(unit.scalars(select(Session.sid).where(~idle.live(now))))
            assert live == {each.sid for each in everyone if idle.is_live(each, now)}
            assert over == {each.sid for each in everyone} - live
