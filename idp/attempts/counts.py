"""Counting over many accounts: how often something happened within a window of time.

    pay         one more, unless that would be above the limit
    count       one more
    give_back   one less: what was paid for did not happen after all

A window begins with the first that is counted after the one before is over. Each of these is one statement, so that
of any number of processes at once each sees a number of its own. A row is overwritten by the next window of the same
subject, and deleted a day after its last one (`idp.jobs.purge_expired`).
"""

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any

from sqlalchemy import ColumnElement, case, literal, or_, select, update
from sqlalchemy.orm import Session

from idp.attempts.models import EventCount
from idp.kernel.clock import Clock
from idp.kernel.secrets import DerivedKeys
from idp.store.base import UtcDateTime
from idp.store.dialects import insert_or

HOUR = timedelta(hours=1)
# Whoever has one IPv6 address has a network of them (RFC 6177 2).
IPV6_NETWORK = 64


class Counts:
    """The windows of one kind of thing."""

    def __init__(self, keys: DerivedKeys, clock: Clock, kind: str, window: timedelta = HOUR) -> None:
        self._keys, self._clock = keys, clock
        self.kind, self.window = kind, window

    def key(self, *subject: str) -> bytes:
        """The row's key: a keyed hash, bounded in size whatever the subject is."""
        return self._keys.mac(f"counts:{self.kind}", *subject)

    def count(self, session: Session, *subject: str) -> int:
        """One more; the number within the present window, this one included. Nobody else gets the same number."""
        number = session.execute(self._one_more(session, subject, None)).scalar_one()
        return int(number)

    def pay(self, session: Session, limit: int, *subject: str) -> bool:
        """One more, if there were fewer than the limit: False otherwise, and nothing was counted."""
        return session.execute(self._one_more(session, subject, limit)).one_or_none() is not None

    def give_back(self, session: Session, *subject: str) -> None:
        """One less within the present window."""
        session.execute(
            update(EventCount)
            .where(EventCount.key == self.key(*subject), EventCount.number > 0, self._is_present(self._clock.now()))
            .values(number=EventCount.number - 1)
        )

    def number(self, session: Session, *subject: str) -> int:
        """How many there are in the present window."""
        present = self._is_present(self._clock.now())
        return session.scalar(select(EventCount.number).where(EventCount.key == self.key(*subject), present)) or 0

    def left(self, session: Session, *subject: str) -> timedelta:
        """How long the present window lasts from now; nothing when there is none."""
        query = select(EventCount.window_started_at).filter_by(key=self.key(*subject))
        started_at: datetime | None = session.scalar(query)
        return timedelta() if started_at is None else max(timedelta(), started_at + self.window - self._clock.now())

    def _one_more(self, session: Session, subject: tuple[str, ...], limit: int | None) -> Any:
        now = self._clock.now()
        present = self._is_present(now)
        values = {"key": self.key(*subject), "kind": self.kind, "number": 1}
        statement = insert_or(session, EventCount).values(**values, window_started_at=now, updated_at=now)
        return statement.on_conflict_do_update(
            index_elements=[EventCount.key],
            set_={
                "number": case((present, EventCount.number + 1), else_=1),
                "window_started_at": case((present, EventCount.window_started_at), else_=_instant(now)),
                "updated_at": _instant(now),
            },
            where=None if limit is None else or_(~present, EventCount.number < limit),
        ).returning(EventCount.number)

    def _is_present(self, now: datetime) -> ColumnElement[bool]:
        # A window that begins after now was written by a clock that was ahead, and is as good as the present one.
        return EventCount.window_started_at > _instant(now - self.window)


def _instant(moment: datetime) -> ColumnElement[datetime]:
    return literal(moment, UtcDateTime())


def source_of(address: str | None) -> str:
    """Where requests come from, as far as one party can choose it: an IPv4 address, or an IPv6 network of 64 bits.

    What is no address counts as one source, whatever it is.
    """
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return "unknown"
    return str(parsed) if parsed.version == 4 else str(ip_network((parsed, IPV6_NETWORK), strict=False))
