"""The hash chain over the trail.

    link     events that are not in the chain yet become its next links; run by the worker
    verify   every link is computed again; the first that does not fit is named
    head     the newest link, to be noted somewhere else

Events are plain inserts; the chain is made afterwards, by one worker at a time, in the order of the events' numbers. An
event whose transaction committed late comes after those that were linked before it. So positions have neither gap nor
fork, and no request waits for another one's event. See `docs/decisions/0013-audit-trail-is-linked-by-the-worker.md`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, exists, func, insert, select
from sqlalchemy.orm import Session as Unit

from idp.audit.trail import AuditEvent, AuditLink
from idp.kernel.secrets import DerivedKeys, is_same
from idp.store.dialects import take_turns
from idp.store.units import UnitsOfWork

PURPOSE = "audit-chain"
# Any number that no other turn of this installation has.
TURN = 7_206_516
BATCH = 500
# An event that is committed late has a number near the newest one in the chain; older ones are found by `everything`.
LOOK_BACK = 10_000
GENESIS = b""

_COLUMNS = tuple(AuditEvent.__table__.columns)


@dataclass(frozen=True)
class Head:
    """The newest link; `position` 0 when there is none."""

    position: int
    digest: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.digest.hex()}"

    @classmethod
    def read(cls, text: str) -> "Head":
        """What `str` wrote. Raises ValueError."""
        position, _, digest = text.partition(":")
        if not position.isascii() or not position.isdecimal():
            raise ValueError("is not POSITION:DIGEST")
        return cls(int(position), bytes.fromhex(digest))


@dataclass(frozen=True)
class Verified:
    """What `verify` found.

    The links from `first` to `head` were computed; those before `first` hang on events that were purged. `unlinked`
    events are too new to be in the chain. `broken_at` is the first position that does not fit, None when all do;
    `why` says how, in words for an administrator.
    """

    first: int | None
    since: datetime | None
    head: Head
    unlinked: int
    broken_at: int | None = None
    why: str | None = None


def link(units: UnitsOfWork, keys: DerivedKeys, everything: bool = False) -> int:
    """Every event that is committed now is in the chain; the number of links that were added.

    Without `everything`, no event is looked at whose number is far below the newest one in the chain.
    """
    added = 0
    while True:
        with units.reading() as unit:
            if not unit.scalars(_unlinked(unit, everything).limit(1)).first():
                return added
        with units.writing() as unit:
            take_turns(unit, TURN)
            added += _link_some(unit, keys, everything)


def head(units: UnitsOfWork) -> Head:
    """The newest link."""
    with units.reading() as unit:
        return _head(unit)


def verify(units: UnitsOfWork, keys: Sequence[DerivedKeys], expected: Head | None = None) -> Verified:
    """The whole chain, computed again with any of the keys: the present one first, then those it replaced.

    `expected` is a head that was noted before: the chain must still hold it, so that its newest links were not cut off.
    """
    found = _verify_once(units, keys, expected)
    # Old events may be purged while they are looked at; what was tampered with is broken the second time too.
    return found if found.why is None else _verify_once(units, keys, expected)


def _verify_once(units: UnitsOfWork, keys: Sequence[DerivedKeys], expected: Head | None) -> Verified:
    walk = _Walk(keys, expected)
    position = 0
    while rows := _some_links(units, position):
        if not all(walk.step(row) for row in rows):
            break
        position = rows[-1].position
    walk.end()
    with units.reading() as unit:
        unlinked = unit.scalar(select(func.count()).select_from(_unlinked(unit, everything=True).subquery())) or 0
        newest = _head(unit)
    return Verified(walk.first, walk.since, newest, unlinked, walk.broken_at, walk.why)


class _Walk:
    """Goes from link to link, and remembers the first that does not fit."""

    def __init__(self, keys: Sequence[DerivedKeys], expected: Head | None) -> None:
        self._keys, self._expected = keys, expected
        self._before = Head(0, GENESIS)
        self._has_met = expected == self._before
        self.first: int | None = None
        self.since: datetime | None = None
        self.broken_at: int | None = None
        self.why: str | None = None

    def step(self, row: Row[Any]) -> bool:
        """One more link; True when it fits."""
        here = Head(row.position, row.digest)
        if row.id is None and self.first is None:
            self._before = here
            return self._compare(here)
        if row.position != self._before.position + 1:
            return self._break(self._before.position + 1, "the link is missing")
        if row.id is None:
            return self._break(row.position, f"event {row.event_id} is missing")
        if not any(is_same(_digest(keys, self._before, row), row.digest) for keys in self._keys):
            return self._break(row.position, f"event {row.id} was changed, or is not the one that was linked here")
        if self.first is None:
            self.first, self.since = row.position, row.at
        self._before = here
        return self._compare(here)

    def end(self) -> None:
        """There are no more links."""
        if self.first is None and self._before.position and self.why is None:
            # The purge keeps the newest event, whatever its age.
            self._break(self._before.position, "the event of the newest link is missing")
        expected = self._expected
        if expected is None or self._has_met:
            return
        if expected.position > self._before.position:
            self._break(self._before.position + 1, f"the chain ends here, and was known to reach {expected.position}")
        else:
            self._break(expected.position, "the link that was known is not there any more: was it purged?")

    def _compare(self, here: Head) -> bool:
        expected = self._expected
        if expected is None or expected.position != here.position:
            return True
        self._has_met = True
        if is_same(expected.digest, here.digest):
            return True
        return self._break(here.position, "the link is another one than the one that was known")

    def _break(self, position: int, why: str) -> bool:
        if self.why is None:
            self.broken_at, self.why = position, why
        return False


def _link_some(unit: Unit, keys: DerivedKeys, everything: bool) -> int:
    # Asked again, now that nobody else adds links.
    ids = unit.scalars(_unlinked(unit, everything).limit(BATCH)).all()
    rows = unit.execute(select(*_COLUMNS).where(AuditEvent.id.in_(ids)).order_by(AuditEvent.id)).all()
    before = _head(unit)
    links = []
    for row in rows:
        before = Head(before.position + 1, _digest(keys, before, row))
        links.append({"position": before.position, "event_id": row.id, "digest": before.digest})
    if links:
        unit.execute(insert(AuditLink), links)
    return len(links)


def _unlinked(unit: Unit, everything: bool) -> Any:
    query = select(AuditEvent.id).where(~exists().where(AuditLink.event_id == AuditEvent.id)).order_by(AuditEvent.id)
    if everything:
        return query
    newest = unit.scalar(select(func.max(AuditLink.event_id))) or 0
    return query.where(AuditEvent.id > newest - LOOK_BACK)


def _head(unit: Unit) -> Head:
    row = unit.execute(
        select(AuditLink.position, AuditLink.digest).order_by(AuditLink.position.desc()).limit(1)
    ).one_or_none()
    return Head(row.position, row.digest) if row is not None else Head(0, GENESIS)


def _some_links(units: UnitsOfWork, position: int) -> Sequence[Row[Any]]:
    """The links after this position, with their events."""
    chain, events = AuditLink.__table__, AuditEvent.__table__
    query = (
        select(chain.c.position, chain.c.event_id, chain.c.digest, *_COLUMNS)
        .select_from(chain.outerjoin(events, events.c.id == chain.c.event_id))
        .where(chain.c.position > position)
        .order_by(chain.c.position)
        .limit(BATCH)
    )
    with units.reading() as unit:
        return unit.execute(query).all()


def _digest(keys: DerivedKeys, before: Head, event: Row[Any]) -> bytes:
    """Covers the link before, the place, and everything that is in the event's row."""
    return keys.mac(PURPOSE, before.digest.hex(), str(before.position + 1), _canonical(event))


def _canonical(event: Row[Any]) -> str:
    """One text for one event, on every database. What is empty is left out, so that new columns change nothing."""
    values = {column.key: getattr(event, column.key) for column in _COLUMNS}
    present = {name: _plain(value) for name, value in values.items() if value is not None}
    return json.dumps(present, sort_keys=True, separators=(",", ":"))


def _plain(value: Any) -> Any:
    return value.astimezone(UTC).isoformat(timespec="microseconds") if isinstance(value, datetime) else value
