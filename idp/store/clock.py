"""The time of the database server, so that several nodes decide by one clock."""

import logging
from datetime import UTC, datetime, timedelta
from threading import Lock

from sqlalchemy import Engine, NullPool, create_engine, text

from idp.kernel.clock import Clock

log = logging.getLogger(__name__)

SAMPLES = 5
RESAMPLE_AFTER = timedelta(minutes=1)
# Beyond this the sample says more about the network than about the clock.
LONGEST_ROUND_TRIP = timedelta(seconds=1)
UNTRUSTED_AFTER = timedelta(minutes=5)


class DatabaseClock:
    """The local clock corrected by its distance to PostgreSQL's, the median of five samples, taken again each minute.

    `is_trusted` turns False when no sample succeeded for five minutes: such a node must not decide anything.
    """

    def __init__(self, engine: Engine, local: Clock) -> None:
        # A connection of its own: the clock is read inside units of work, and must not wait for a place in their pool.
        self._engine = create_engine(engine.url, poolclass=NullPool, connect_args={"connect_timeout": 5})
        self._local = local
        self._offset = timedelta(0)
        self._sampled_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._lock = Lock()

    def now(self) -> datetime:
        local = self._local.now()
        if self._tried_at is None or local - self._tried_at >= RESAMPLE_AFTER:
            self._resample(local)
        return self._local.now() + self._offset

    @property
    def is_trusted(self) -> bool:
        self.now()
        return self._sampled_at is not None and self._local.now() - self._sampled_at < UNTRUSTED_AFTER

    def _resample(self, local: datetime) -> None:
        # One thread samples; the others go on with the offset at hand, except before there is any.
        if not self._lock.acquire(blocking=self._sampled_at is None):
            return
        try:
            if self._tried_at is not None and local - self._tried_at < RESAMPLE_AFTER:
                return
            self._tried_at = local
            samples = self._samples()
            if samples:
                self._offset = sorted(samples)[len(samples) // 2]
                self._sampled_at = local
        except Exception:  # any failure to reach the database: the clock becomes untrusted, the caller fails on its own
            log.exception("the database's clock could not be read")
        finally:
            self._lock.release()

    def _samples(self) -> list[timedelta]:
        offsets = []
        with self._engine.connect() as connection:
            for _ in range(SAMPLES):
                before = self._local.now()
                # clock_timestamp() is the server's clock itself; the forbidden now() is the start of a transaction.
                server: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
                after = self._local.now()
                if after - before <= LONGEST_ROUND_TRIP:
                    offsets.append(server.astimezone(UTC) - (before + (after - before) / 2))
        return offsets
