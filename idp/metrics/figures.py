"""What happens in this process, counted.

With PROMETHEUS_MULTIPROC_DIR in the environment when prometheus_client is imported, its values are kept in a file of
that folder for each process, where `exposition` reads them; otherwise in memory.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from sqlalchemy import event
from sqlalchemy.orm import Session as Unit

from idp.oidc.backchannel_logout import Outcome
from idp.sessions.lifecycle import EndReason
from idp.sessions.models import Session

# Seconds. Told apart: within the 5 seconds that are promised (p95), and up to the 72 hours for which a notice is tried.
DELAYS: Final = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 4, 5, 7.5, 10, 15, 30, 60, 120, 300, 900, 3600, 21600, 86400, 259200)

# When a series began is said by files for several processes neither, and nobody asks.
disable_created_metrics()  # type: ignore[no-untyped-call]


class Figures:
    """Is told of ends and notices (`SessionEndListener`, `NoticeObserver`). What cannot be counted twice is not."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ends = Counter("idp_session_ends", "Sessions that ended, by reason.", ["reason"], registry=self.registry)
        self._notices = Counter(
            "idp_logout_notices",
            "Notices of an end to clients about which nothing is left to do, by outcome.",
            ["outcome"],
            registry=self.registry,
        )
        self._delay = Histogram(
            "idp_logout_notice_delay_seconds",
            "From the moment a session was over until a client knew.",
            buckets=DELAYS,
            registry=self.registry,
        )
        # All of them from the start: what appears with its first event has not risen, to whoever compares.
        for reason in get_args(EndReason):
            self._ends.labels(reason)
        for outcome in get_args(Outcome):
            self._notices.labels(outcome)

    def session_ended(self, unit: Unit, session: Session, client_ids: Sequence[str], now: datetime) -> None:
        """The end is counted when the unit of work is committed, and not when it is rolled back."""
        if self not in unit.info:
            unit.info[self] = []
            event.listen(unit, "after_commit", self._committed)
            event.listen(unit, "after_rollback", self._rolled_back)
        unit.info[self].append(session.end_reason)

    def notice_settled(self, client_id: str, outcome: Outcome, delay: timedelta | None) -> None:
        """The notice is counted, and its delay when the client was told."""
        self._notices.labels(outcome).inc()
        if delay is not None:
            # Of two clocks one may be a little ahead.
            self._delay.observe(max(0.0, delay.total_seconds()))

    def _committed(self, unit: Unit) -> None:
        if unit.in_nested_transaction():
            return
        for reason in unit.info[self]:
            self._ends.labels(reason).inc()
        unit.info[self].clear()

    def _rolled_back(self, unit: Unit) -> None:
        unit.info[self].clear()
