"""The clocks: aware, in UTC, and moved by nothing but what moves them."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from idp.kernel.clock import FixedClock, ShiftedClock, SystemClock, ticks, whole_seconds

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


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
