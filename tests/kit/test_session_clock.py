"""When a report is due, by numbers alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from idp_kit.session_clock import SessionClock, Times

AT = datetime(2026, 2, 2, 9, 30, tzinfo=UTC)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def started(idle: float = 1800, absolute: float = 43_200, ahead: float = 0) -> SessionClock:
    times = Times(AT, AT + seconds(min(idle, absolute)), AT + seconds(absolute), seconds(idle), seconds(ahead))
    return SessionClock.started(times)


@pytest.mark.parametrize(
    ("idle", "interval", "warning"), [(1800, 60, 120), (300, 60, 100), (240, 60, 80), (60, 15, 20), (6, 1.5, 2)]
)
def test_interval_is_a_minute_or_a_quarter_and_the_warning_two_minutes_or_a_third(
    idle: float, interval: float, warning: float
) -> None:
    clock = started(idle)
    assert clock.interval == seconds(interval)
    assert clock.warn_before == seconds(warning)


@pytest.mark.parametrize(("after", "due"), [(1, False), (59.999, False), (60, True), (600, True)])
def test_first_activity_after_the_login_is_reported_when_its_minute_is_over(after: float, due: bool) -> None:
    clock = started().with_activity(AT + seconds(0.5))
    assert clock.may_report(AT + seconds(after)) is due


@pytest.mark.parametrize(
    ("idle", "left", "urgent"), [(1800, 90, False), (1800, 89.999, True), (60, 22.5, False), (60, 22.4, True)]
)
def test_activity_near_the_deadline_is_reported_whatever_left_before(idle: float, left: float, urgent: bool) -> None:
    now = AT + seconds(idle - left)
    clock = started(idle).with_activity(now).with_claim(now)
    assert clock.is_urgent(now) is clock.may_report(now) is urgent


def test_nothing_is_urgent_where_only_the_absolute_limit_is_near() -> None:
    clock = started(idle=1800, absolute=100)
    assert not clock.with_activity(AT + seconds(50)).is_urgent(AT + seconds(50))


def test_activity_only_moves_on() -> None:
    clock = started().with_activity(AT + seconds(30))
    assert clock.with_activity(AT + seconds(20)) == clock
    assert not clock.with_times(clock.times, reported_at=AT + seconds(30)).is_pending


def test_answer_to_an_older_question_changes_no_deadline() -> None:
    clock = started()
    newer = replace(clock.times, asked_at=AT + seconds(10), ends_at=AT + seconds(1810))
    assert clock.with_times(newer).with_times(clock.times).times == newer


def test_deadline_passes_at_its_moment() -> None:
    assert not started(60).has_passed(AT + seconds(59.999))
    assert started(60).has_passed(AT + seconds(60))


@pytest.mark.parametrize(("ahead", "told"), [(0, 5), (-0.9, 5), (2, 5), (2.5, 7.5), (-3600, -3595)])
def test_moment_is_told_by_the_providers_clock_unless_both_are_the_same(ahead: float, told: float) -> None:
    assert started(ahead=ahead).at_provider(AT + seconds(5)) == AT.timestamp() + told


def test_clock_survives_a_row() -> None:
    clock = started(ahead=-3.25).with_activity(AT + seconds(7.125))
    assert SessionClock.from_row(clock.as_row()) == clock
