"""The one clock of the kit. Everything that decides by time takes it from here."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Protocol

# Clocks are set by less all the time: then the kit's stands still until the machine has caught up.
DRIFT = timedelta(seconds=2)


class Clock(Protocol):
    """Says what time it is, as an aware UTC `datetime`."""

    def now(self) -> datetime: ...


class SystemClock:
    """The time of this machine, which never goes back while this clock exists: a login whose time is over does not
    live on because somebody set the machine's clock back. It then goes on by its ticks, until the machine has caught
    up. A new process knows nothing of this, and believes the machine."""

    def __init__(
        self, wall: Callable[[], datetime] | None = None, ticks: Callable[[], timedelta] | None = None
    ) -> None:
        """`wall` and `ticks`: the machine's own, unless a test has others."""
        self._wall, self._ticks = wall or _machine, ticks or _since_some_moment
        self._highest, self._tick = self._wall(), self._ticks()
        self._lock = Lock()

    def now(self) -> datetime:
        # Read inside the lock: a thread that was held up in between would bring an old moment.
        with self._lock:
            said, tick = self._wall(), self._ticks()
            carried = self._highest + max(tick - self._tick, timedelta(0))
            behind = carried - said
            self._highest = carried if behind > DRIFT else max(said, self._highest)
            self._tick = tick
            return self._highest


def whole_seconds(moment: datetime) -> int:
    """Seconds since the epoch, rounded down: what JWT claims carry (RFC 7519 2, NumericDate)."""
    return int(moment.timestamp())


def _machine() -> datetime:
    return datetime.now(UTC)


def _since_some_moment() -> timedelta:
    return timedelta(microseconds=time.monotonic_ns() // 1000)
