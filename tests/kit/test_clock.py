"""The kit's clock only goes forward, whatever happens to that of the machine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from idp_kit.clock import SystemClock
from idp_kit.session_clock import SessionClock, Times

AT = datetime(2026, 2, 2, 9, 30, tzinfo=UTC)
HOUR, A_SECOND = timedelta(hours=1), timedelta(seconds=1)


class Machine:
    """Its clock, which can be set, and its ticks, which cannot."""

    def __init__(self) -> None:
        self.wall, self.ticks = AT, HOUR

    def passes(self, distance: timedelta) -> None:
        self.wall += distance
        self.ticks += distance

    def sleeps(self, distance: timedelta) -> None:
        """The ticks stand still meanwhile."""
        self.wall += distance


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> SystemClock:
    return SystemClock(lambda: machine.wall, lambda: machine.ticks)


def test_clock_says_what_the_machine_says_also_after_it_slept(clock: SystemClock, machine: Machine) -> None:
    assert clock.now() == AT
    machine.passes(A_SECOND)
    assert clock.now() == AT + A_SECOND
    machine.sleeps(HOUR)
    assert clock.now() == AT + A_SECOND + HOUR


def test_clock_goes_on_by_its_ticks_when_the_machine_is_set_back(clock: SystemClock, machine: Machine) -> None:
    clock.now()
    machine.wall -= HOUR
    assert clock.now() == AT
    for passed in range(1, 4):
        machine.passes(A_SECOND)
        assert clock.now() == AT + passed * A_SECOND
    machine.wall = AT + HOUR
    assert clock.now() == AT + HOUR, "the machine has caught up"


def test_login_passes_its_deadline_although_the_machine_is_set_back(clock: SystemClock, machine: Machine) -> None:
    times = Times(clock.now(), AT + HOUR / 2, AT + 12 * HOUR, HOUR / 2)
    login = SessionClock.started(times)
    machine.wall -= HOUR
    machine.passes(HOUR / 4)
    newer = replace(times, asked_at=clock.now(), ends_at=clock.now() + HOUR / 2)
    assert login.with_times(newer).times == newer, "what the provider says now counts"
    machine.passes(HOUR / 4)
    assert login.has_passed(clock.now())


def test_clock_of_this_machine_is_the_time_of_this_machine() -> None:
    clock, before = SystemClock(), datetime.now(UTC)
    assert before <= clock.now() <= datetime.now(UTC)
