"""What is in the database when somebody looks: the same figures at every node."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Lock, Thread

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select

from idp.kernel.clock import Clock, ticks
from idp.oidc.backchannel_logout import KIND
from idp.outbox.models import OutboxMessage
from idp.sessions import idle
from idp.sessions.models import Session
from idp.store.units import UnitsOfWork

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(seconds=5)
WAITED_FOR = timedelta(seconds=2)
# A connection whose other end is gone may never say so.
GIVEN_UP_AFTER = timedelta(minutes=1)


@dataclass(frozen=True)
class Seen:
    """`oldest` is how long the notice that waits longest has waited; zero when none does.

    `sweep_lag`: how long a session is over that no worker has ended yet; zero when there is none.
    """

    live_sessions: int
    sweep_lag: timedelta
    notices_waiting: int
    oldest: timedelta


@dataclass
class _Look:
    """One look at the database. `seen` stays None when it failed."""

    begun: timedelta
    done: Event = field(default_factory=Event)
    seen: Seen | None = None


class DatabaseFigures(Collector):
    """Looks at most once in 5 seconds, and makes nobody wait for longer than 2.

    While the database does not answer, `idp_database_up` is 0 and there are no other figures: an old one would look
    like a true one. `scope` is what each look runs in.
    """

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        scope: Callable[[], AbstractContextManager[object]],
        ticks: Callable[[], timedelta] = ticks,
    ) -> None:
        self._units, self._clock, self._scope, self._ticks = units, clock, scope, ticks
        self._lock = Lock()
        self._last: _Look | None = None

    def collect(self) -> Iterator[Metric]:
        seen = self._seen()
        yield GaugeMetricFamily("idp_database_up", "1 when the database answers, otherwise 0.", int(seen is not None))
        if seen is None:
            return
        yield GaugeMetricFamily("idp_live_sessions", "Sessions that are live by the clock.", seen.live_sessions)
        yield GaugeMetricFamily(
            "idp_session_sweep_lag_seconds",
            "How long a session is over that no worker has ended yet; 0 when there is none.",
            seen.sweep_lag.total_seconds(),
        )
        yield GaugeMetricFamily(
            "idp_logout_notices_waiting", "Notices to clients that were not delivered yet.", seen.notices_waiting
        )
        yield GaugeMetricFamily(
            "idp_logout_notices_oldest_seconds",
            "How long the notice has waited that waits longest; 0 when none does.",
            seen.oldest.total_seconds(),
        )

    def _seen(self) -> Seen | None:
        with self._lock:
            if self._last is None or self._is_old(self._last):
                self._last = _Look(self._ticks())
                Thread(target=self._look, args=[self._last], name="looks for figures", daemon=True).start()
            look = self._last
        look.done.wait(WAITED_FOR.total_seconds())
        return look.seen

    def _is_old(self, look: _Look) -> bool:
        return self._ticks() - look.begun >= (KEPT_FOR if look.done.is_set() else GIVEN_UP_AFTER)

    def _look(self, look: _Look) -> None:
        try:
            with self._scope():
                look.seen = self._counted()
        except Exception as error:  # whatever it is, the figures are missing and the next look may see them
            log.warning("the database could not be asked for figures: %s", type(error).__name__)
        finally:
            look.done.set()

    def _counted(self) -> Seen:
        waiting = (
            OutboxMessage.kind == KIND,
            OutboxMessage.delivered_at.is_(None),
            OutboxMessage.failed_at.is_(None),
        )
        with self._units.reading() as unit:
            now = self._clock.now()
            live = unit.scalar(select(func.count()).select_from(Session).where(idle.live(now)))
            number, first = unit.execute(select(func.count(), func.min(OutboxMessage.created_at)).where(*waiting)).one()
            deadlines = [
                unit.scalar(select(func.min(deadline)).where(Session.ended_at.is_(None)))
                for deadline in (Session.idle_ends_at, Session.absolute_ends_at)
            ]
        return Seen(live or 0, _since(deadlines, now), number, _since([first], now))


def _since(moments: Iterable[datetime | None], now: datetime) -> timedelta:
    """How long the earliest moment is past; zero when there is none, or none is."""
    return max((now - moment for moment in moments if moment is not None and moment <= now), default=timedelta(0))
