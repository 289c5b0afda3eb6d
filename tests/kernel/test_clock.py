"""The clocks: aware, in UTC, and moved by nothing but what moves them."""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from threading import Event

import pytest

from idp.kernel.clock import REMARKABLE_JUMP, FixedClock, ShiftedClock, SystemClock, ticks, whole_seconds

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Machine:
    """A machine whose clock can be set; only `passes` moves its ticks."""

    def __init__(self) -> None:
        self.wall, self.passed = FixedClock(NOON), timedelta(0)
        self.clock = SystemClock(self.wall.now, lambda: self.passed)

    def passes(self, distance: timedelta) -> datetime:
        self.wall.move(distance)
        self.passed += distance
        return self.clock.now()

    def set_by(self, distance: timedelta) -> datetime:
        self.wall.move(distance)
        return self.clock.now()


@pytest.fixture
def machine() -> Machine:
    made = Machine()
    made.clock.now()
    return made


@pytest.mark.parametrize("back", [HOUR, timedelta(days=1), REMARKABLE_JUMP + timedelta(microseconds=1)])
def test_system_clock_goes_on_by_ticks_when_the_machine_is_set_back(machine: Machine, back: timedelta) -> None:
    assert machine.passes(HOUR) == NOON + HOUR
    assert machine.set_by(-back) == NOON + HOUR
    assert machine.passes(30 * SECOND) == NOON + HOUR + 30 * SECOND
    assert machine.set_by(back) == NOON + HOUR + 30 * SECOND, "and meets the machine's clock when that is right again"
    assert machine.passes(SECOND) == machine.wall.now()


def test_machine_that_is_set_back_before_anybody_asked_again_does_not_win_the_time_that_passed(
    machine: Machine,
) -> None:
    machine.passed += HOUR
    assert machine.set_by(SECOND) == NOON + HOUR


def test_each_jump_back_is_told_once_as_an_alarm(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    def alarms() -> list[str]:
        return [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]

    machine.set_by(-HOUR)
    assert alarms() == ["ALARM: the machine's clock was set back by 1:00:00: the time goes on without it"]
    for _ in range(5):
        machine.passes(SECOND)
    assert len(alarms()) == 1
    machine.set_by(-HOUR)
    assert len(alarms()) == 2, "another jump, while it is behind already"
    machine.set_by(HOUR)
    machine.set_by(-HOUR / 2)
    assert len(alarms()) == 3, "and one after it was set right by half"
    machine.set_by(3 * HOUR)
    machine.set_by(-HOUR)
    assert len(alarms()) == 4, "and one after it had caught up"


def test_drift_is_followed_without_an_alarm_and_without_going_back(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    given = [machine.set_by(-REMARKABLE_JUMP)]
    given += [machine.passes(SECOND / 2) for _ in range(10)]
    assert given[0] == NOON and given == sorted(given)
    assert given[-1] == machine.wall.now() == NOON + 3 * SECOND
    assert not caplog.records


def test_machine_that_slept_is_believed(machine: Machine) -> None:
    assert machine.set_by(8 * HOUR) == NOON + 8 * HOUR


def test_system_clock_never_goes_back_for_any_of_several_threads() -> None:
    clock, walls = SystemClock(), iter(range(1_000_000))
    swaying = SystemClock(lambda: clock.now() - HOUR * (next(walls) % 3))

    def ask(_: int) -> bool:
        given = [swaying.now() for _ in range(500)]
        return given == sorted(given)

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(ask, range(8)))


def test_reader_that_was_held_up_while_another_one_read_sees_no_jump(caplog: pytest.LogCaptureFixture) -> None:
    is_reading, has_read = Event(), Event()

    def wall() -> datetime:
        if is_reading.is_set():
            return NOON + 10 * SECOND
        is_reading.set()
        # Whoever may read at the same time is done by then.
        has_read.wait(0.5)
        return NOON

    clock = SystemClock(wall, lambda: timedelta(0))

    def second() -> datetime:
        is_reading.wait(10)
        given = clock.now()
        has_read.set()
        return given

    with ThreadPoolExecutor(2) as threads:
        given = [threads.submit(clock.now), threads.submit(second)]
        assert [each.result(timeout=10) for each in given] == [NOON, NOON + 10 * SECOND]
    assert not caplog.records


def test_system_clock_tells_the_time_of_this_machine_in_utc() -> None:
    told = SystemClock().now()
    assert told.utcoffset() == timedelta(0)
    assert abs(told.timestamp() - time.time()) < 5


def test_shifted_clock_keeps_its_distance() -> None:
    base = FixedClock(NOON)
    shifted = ShiftedClock(base, timedelta(days=1))
    assert shifted.now() == NOON + timedelta(days=1)
    base.move(timedelta(seconds=1))
    assert shifted.now() == NOON + timedelta(days=1, seconds=1)


def test_fixed_clock_stands_still_until_it_is_moved() -> None:
    clock = FixedClock(NOON)
    assert clock.now() == clock.now() == NOON
    clock.move(timedelta(microseconds=1))
    assert clock.now() == NOON + timedelta(microseconds=1)
    clock.set(NOON)
    assert clock.now() == NOON


def test_fixed_clock_refuses_a_time_without_a_zone() -> None:
    with pytest.raises(ValueError, match="aware"):
        FixedClock(NOON.replace(tzinfo=None))


def test_ticks_only_rise() -> None:
    first = ticks()
    assert ticks() >= first >= timedelta(0)


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        (datetime(1970, 1, 1, tzinfo=UTC), 0),
        (datetime(2026, 11, 23, 12, 0, 0, 999_999, tzinfo=UTC), 1795435200),
        (datetime(2026, 11, 23, 13, 0, tzinfo=timezone(timedelta(hours=1))), 1795435200),
    ],
)
def test_whole_seconds_are_rounded_down_and_of_utc(moment: datetime, seconds: int) -> None:
    assert whole_seconds(moment) == seconds
