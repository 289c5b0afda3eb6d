"""The time of the database server, so that several nodes decide by one clock."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock

from sqlalchemy import Engine, NullPool, create_engine, text

from idp.kernel.clock import REMARKABLE_JUMP, Onward, SystemClock, ticks

log = logging.getLogger(__name__)

SAMPLES = 5
RESAMPLE_AFTER = timedelta(minutes=1)
# Beyond this the sample says more about the network than about the clock.
LONGEST_ROUND_TRIP = timedelta(seconds=1)
UNTRUSTED_AFTER = timedelta(minutes=5)

Ticks = Callable[[], timedelta]


class DatabaseClock:
    """PostgreSQL's clock: the median of five samples, taken again each minute, carried on by this machine's ticks.

    The machine's own clock may be wrong or be set meanwhile; it is not used. When the server's is set back, or a server
    that is behind takes over, this node goes on by its ticks until the server has caught up: see `kernel.clock`. A node
    that starts meanwhile is behind the others, so then restart all of them. `is_trusted` turns False when no sample
    succeeded for five minutes: such a node must not decide anything.
    """

    def __init__(self, engine: Engine, ticks: Ticks = ticks) -> None:
        # A connection of its own: the clock is read inside units of work, and must not wait for a place in their pool.
        self._engine = create_engine(engine.url, poolclass=NullPool, connect_args={"connect_timeout": 5})
        self._ticks = ticks
        # The server's time at tick 0, when the last sample was taken, and when one was last tried.
        self._at_tick_zero: datetime | None = None
        self._sampled_at: timedelta | None = None
        self._tried_at: timedelta | None = None
        self._lock = Lock()
        self._onward = Onward("the database's clock")

    def now(self) -> datetime:
        tick = self._ticks()
        if self._tried_at is None or tick - self._tried_at >= RESAMPLE_AFTER:
            self._resample(tick)
        if self._at_tick_zero is None:
            # Nothing was ever sampled: the database is away, and what asks will fail on its own.
            return SystemClock().now()
        return self._onward.follow(self._carried_on)

    def _carried_on(self) -> tuple[datetime, timedelta]:
        tick = self._ticks()
        if self._at_tick_zero is None:
            raise RuntimeError("nothing was ever sampled")
        return self._at_tick_zero + tick, tick

    @property
    def is_trusted(self) -> bool:
        self.now()
        return self._sampled_at is not None and self._ticks() - self._sampled_at < UNTRUSTED_AFTER

    def _resample(self, tick: timedelta) -> None:
        # One thread samples; the others go on with what is known, except before anything is.
        if not self._lock.acquire(blocking=self._at_tick_zero is None):
            return
        try:
            if self._tried_at is not None and tick - self._tried_at < RESAMPLE_AFTER:
                return
            self._tried_at = tick
            if samples := self._samples():
                self._take(sorted(samples)[len(samples) // 2], tick)
        except Exception:  # any failure to reach the database: the clock becomes untrusted, the caller fails on its own
            log.exception("the database's clock could not be read")
        finally:
            self._lock.release()

    def _take(self, at_tick_zero: datetime, tick: timedelta) -> None:
        known = self._at_tick_zero
        # A server's clock that moves further than this between two samples was set, or is another server's. Back is
        # told by what does not follow it.
        if known is not None and at_tick_zero - known > REMARKABLE_JUMP:
            log.error("the database's clock moved by %s", at_tick_zero - known)
        self._at_tick_zero, self._sampled_at = at_tick_zero, tick

    def _samples(self) -> list[datetime]:
        moments = []
        with self._engine.connect() as connection:
            for _ in range(SAMPLES):
                before = self._ticks()
                # clock_timestamp() is the server's clock itself; the forbidden now() is the start of a transaction.
                server: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
                after = self._ticks()
                if after - before <= LONGEST_ROUND_TRIP:
                    moments.append(server.astimezone(UTC) - (before + (after - before) / 2))
        return moments
