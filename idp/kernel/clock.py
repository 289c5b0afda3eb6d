"""The one clock. Everything that decides by time takes it from here, inside the unit of work that decides.

WITHIN A PROCESS TIME NEVER GOES BACK (`Onward`): what is over stays over when the machine's clock is set back. What
follows from that, and what it cannot do:

    set back            the process goes on by its ticks, ahead of the machine's clock until that has caught up
    set ahead wrongly   is believed: nobody can tell it from a machine that slept. Sessions end; set right again, the
                        process stays ahead. Once the clock is right, restart every process
    restart             forgets all this. What the sweep ended, what was used and what was revoked stays so, because its
                        row says it; a row that was merely past its time counts again while the clock is behind
    several processes   on SQLite, one that started after the jump is behind the others until they are restarted too

docs/operations.md says what to do.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Protocol

log = logging.getLogger(__name__)

# Less is drift, which is followed without ever going back: the time then stands still for so long.
REMARKABLE_JUMP = timedelta(seconds=2)


class Clock(Protocol):
    """Says what time it is, as an aware UTC `datetime`."""

    def now(self) -> datetime: ...


class Onward:
    """Makes a time that only goes forward out of what a clock says: an alarm (ERROR) for each jump back."""

    def __init__(self, whose: str) -> None:
        """`whose`: whose clock it is, for the log."""
        self._whose = whose
        # The highest moment given out, at which tick, and how far the clock was behind it when that was last told.
        self._highest: datetime | None = None
        self._tick = timedelta(0)
        self._behind = timedelta(0)
        self._lock = Lock()

    def follow(self, read: Callable[[], tuple[datetime, timedelta]]) -> datetime:
        """What the clock says, read with the tick; when it was set back, the highest moment and what passed since then.

        Read inside the lock: a thread that was held up in between would bring an old moment, which looks like a jump.
        """
        with self._lock:
            said, tick = read()
            highest, passed = self._highest or said, max(tick - self._tick, timedelta(0))
            carried = highest + passed if self._highest else said
            behind = carried - said
            if behind <= REMARKABLE_JUMP:
                self._behind, given = timedelta(0), max(said, highest)
            else:
                self._tell(behind)
                given = carried
            self._highest, self._tick = given, max(tick, self._tick)
            return given

    def _tell(self, behind: timedelta) -> None:
        if behind - self._behind > REMARKABLE_JUMP:
            log.error("ALARM: %s was set back by %s: the time goes on without it", self._whose, behind - self._behind)
            self._behind = behind
        self._behind = min(behind, self._behind)


class SystemClock:
    """The time of this machine, which never goes back while this clock exists."""

    def __init__(
        self, wall: Callable[[], datetime] | None = None, ticks: Callable[[], timedelta] | None = None
    ) -> None:
        """`wall` and `ticks`: the machine's own, unless a test has others."""
        self._wall, self._ticks, self._onward = wall or _machine, ticks or _ticks, Onward("the machine's clock")

    def now(self) -> datetime:
        return self._onward.follow(lambda: (self._wall(), self._ticks()))


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


# Under a name of its own: arguments are called `ticks` too.
_ticks = ticks


def _machine() -> datetime:
    return datetime.now(UTC)


def whole_seconds(moment: datetime) -> int:
    """Seconds since the epoch, rounded down: what JWT claims carry (RFC 7519 2, NumericDate)."""
    return int(moment.timestamp())
