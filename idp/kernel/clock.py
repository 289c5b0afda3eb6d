"""The one clock. Everything that decides by time takes it from here, inside the unit of work that decides."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Says what time it is, as an aware UTC `datetime`."""

    def now(self) -> datetime: ...


class SystemClock:
    """The time of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ShiftedClock:
    """Another clock, moved by a fixed distance: a demo that plays tomorrow, or a node that follows its database."""

    def __init__(self, base: Clock, offset: timedelta) -> None:
        self._base = base
        self.offset = offset

    def now(self) -> datetime:
        return self._base.now() + self.offset


class FixedClock:
    """Stands still until it is moved. Time in tests moves only this way."""

    def __init__(self, at: datetime) -> None:
        if at.tzinfo is None:
            raise ValueError("a clock needs an aware datetime")
        self._at = at

    def now(self) -> datetime:
        return self._at

    def move(self, distance: timedelta) -> None:
        self._at += distance

    def set(self, at: datetime) -> None:
        self._at = at


def ticks() -> timedelta:
    """Time since some moment in the past, untouched when the machine's clock is set: for measuring distances."""
    return timedelta(microseconds=time.monotonic_ns() // 1000)


def whole_seconds(moment: datetime) -> int:
    """Seconds since the epoch, rounded down: what JWT claims carry (RFC 7519 2, NumericDate)."""
    return int(moment.timestamp())
