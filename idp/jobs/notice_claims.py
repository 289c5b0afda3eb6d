"""Logout notices in the outbox: which are tried now, and what became of each try.

    claim     one statement takes what is due and leases it: at most two at a time for one client, over all workers. A
              worker that dies leaves its notices to the next when their lease ends
    record    what became of a try, as soon as it is known, so that a crash repeats only what was under way

While a notice is leased, or its client rests, `next_try_at` lies in the future: what is due is found by its index,
however much waits. It never lies after `expires_at`, so a notice that is too late is found by it as well.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, literal, not_, or_, select, update
from sqlalchemy.orm import Session as Unit

from idp.oidc.backchannel_logout import CLIENT_IS_GONE, KIND, NO_ADDRESS
from idp.oidc.clients import Client
from idp.outbox.models import EXPIRED, TRIED_FOR, OutboxMessage
from idp.sessions.lifecycle import over_at
from idp.sessions.models import Session
from idp.store.base import UtcDateTime
from idp.store.dialects import take_turns

AT_ONCE = 2
# The longest call, and what a busy machine and two clocks may add. For as long a killed worker's notices rest.
LEASE = timedelta(seconds=15)
# However much waits, a claim costs the same. What lies before others in here belongs to clients that may be called now,
# and soon to fewer: a client that has all it may have is passed over.
MOST_LOOKED_AT = 1000
# Of a unit that moves what waits: on SQLite everybody waits for it.
AT_A_TIME = 500
# Of all advisory locks of this program: workers that claim wait for each other, so that none overlooks a lease.
TURN = 7_208_602


@dataclass(frozen=True)
class Notice:
    """A notice that is ours until its lease ends. `tries` counts this one, so no two claims are alike."""

    id: int
    client_id: str
    sid: str
    sub: str
    tries: int
    expires_at: datetime | None
    uri: str | None
    alg: str
    over_at: datetime | None
    cannot_be_sent: str | None


@dataclass(frozen=True)
class Places:
    """How many notices may be taken, and to whom: clients with trouble share `for_slow`, silent ones get one each,
    and none while they rest.
    """

    free: int
    for_slow: int
    slow: Collection[str]
    silent: Collection[str]
    resting: Collection[str] = ()


def take_turn(unit: Unit) -> None:
    """Nobody else claims before this unit of work is over. To be called first in it."""
    take_turns(unit, TURN)


def is_something_due(unit: Unit, now: datetime) -> bool:
    """Looked at before anything is changed: on SQLite, everybody waits for a unit that writes."""
    return bool(unit.scalar(select(exists().where(_due(now)))))


def give_up_late_ones(unit: Unit, now: datetime) -> Sequence[str]:
    """Notices that should have been delivered by now are not tried again, at most `AT_A_TIME`; the client of each."""
    giving_up = _some(and_(_due(now), not_(_in_time(now)))).values(failed_at=now, failure=EXPIRED, leased_until=None)
    return unit.scalars(_quietly(giving_up.returning(OutboxMessage.receiver))).all()


def let_rest(unit: Unit, resting: Mapping[str, datetime], now: datetime) -> None:
    """Less is due for these clients before they have rested: at most `AT_A_TIME` for each; `claim` leaves the rest."""
    for client_id, until in resting.items():
        due = and_(_due(now), OutboxMessage.receiver == client_id)
        unit.execute(_quietly(_some(due).values(next_try_at=_not_after_expiry(until))))


def wake(unit: Unit, client_id: str, now: datetime) -> bool:
    """What only waited for this client to answer again is due; a notice that failed itself keeps its own wait.

    True when that was all: at most `AT_A_TIME` are woken.
    """
    waiting = and_(_open(), OutboxMessage.receiver == client_id, OutboxMessage.tries == 0)
    waking = _some(and_(waiting, OutboxMessage.next_try_at > now)).values(next_try_at=now)
    return len(unit.scalars(_quietly(waking.returning(OutboxMessage.id))).all()) < AT_A_TIME


def claim(unit: Unit, places: Places, now: datetime) -> Sequence[Notice]:
    """Notices that are due, oldest first and each client's first before another's second, leased to the caller.

    To be called after `take_turn`.
    """
    ends = now + LEASE
    # Passing over what is locked: somebody may be recording or retrying the same notice.
    ours = select(OutboxMessage.id).where(OutboxMessage.id.in_(_chosen(places, now))).with_for_update(skip_locked=True)
    claiming = (
        update(OutboxMessage)
        .where(OutboxMessage.id.in_(ours))
        .values(leased_until=ends, next_try_at=_not_after_expiry(ends), tries=OutboxMessage.tries + 1)
        .returning(
            OutboxMessage.id,
            OutboxMessage.receiver,
            OutboxMessage.payload,
            OutboxMessage.tries,
            OutboxMessage.expires_at,
        )
    )
    return _with_addresses(unit, unit.execute(_quietly(claiming)).all())


def record_delivered(unit: Unit, notice: Notice, at: datetime) -> bool:
    """The client knows, which is true whoever holds the notice by now; False when that was recorded before."""
    values = {"delivered_at": at, "failed_at": None, "failure": None, "leased_until": None}
    return _changed(unit, and_(OutboxMessage.id == notice.id, OutboxMessage.delivered_at.is_(None)), values)


def record_refused(unit: Unit, notice: Notice, failure: str, now: datetime) -> bool:
    """Nobody tries again. False when somebody else has claimed the notice since."""
    return _changed(unit, _ours(notice), {"failed_at": now, "failure": failure, "leased_until": None})


def record_failed(unit: Unit, notice: Notice, failure: str, next_try_at: datetime) -> bool:
    """It is tried again then. False when somebody else has claimed the notice since."""
    values = {"next_try_at": _not_after_expiry(next_try_at), "failure": failure, "leased_until": None}
    return _changed(unit, _ours(notice), values)


def give_back(unit: Unit, notice: Notice, now: datetime) -> bool:
    """It is due: nobody was called. False when somebody else has claimed the notice since."""
    return _changed(unit, _ours(notice), {"next_try_at": _not_after_expiry(now), "leased_until": None})


def _chosen(places: Places, now: datetime) -> Any:
    """The notices that may be taken now."""
    under_way = (
        select(OutboxMessage.receiver, func.count().label("number"))
        .where(_open(), OutboxMessage.next_try_at <= now + LEASE, OutboxMessage.leased_until > now)
        .group_by(OutboxMessage.receiver)
        .subquery("under_way")
    )
    age = (OutboxMessage.next_try_at, OutboxMessage.id)
    # Whoever gets nothing now must not fill what is looked at: the others' notices may be younger than all of it.
    most = case((under_way.c.receiver.in_(places.silent), 1), else_=AT_ONCE)
    busy = select(under_way.c.receiver).where(under_way.c.number >= most)
    passed_over = {*places.resting, *(() if places.for_slow else places.slow)}
    oldest = (
        select(OutboxMessage.id, OutboxMessage.receiver, OutboxMessage.next_try_at)
        .where(_due(now), _in_time(now))
        .where(OutboxMessage.receiver.not_in(busy), OutboxMessage.receiver.not_in(passed_over))
        .order_by(*age)
        .limit(MOST_LOOKED_AT)
        .subquery("oldest")
    )
    place = func.row_number().over(partition_by=oldest.c.receiver, order_by=(oldest.c.next_try_at, oldest.c.id))
    due = select(oldest, place.label("place")).subquery("due")
    may_be_under_way = case((due.c.receiver.in_(places.silent), 1), else_=AT_ONCE)
    is_slow = case((due.c.receiver.in_(places.slow), 1), else_=0)
    order = (due.c.place, due.c.next_try_at, due.c.id)
    allowed = (
        select(
            due.c.id,
            is_slow.label("is_slow"),
            func.row_number().over(partition_by=is_slow, order_by=order).label("place"),
        )
        .outerjoin(under_way, under_way.c.receiver == due.c.receiver)
        .where(due.c.place + func.coalesce(under_way.c.number, 0) <= may_be_under_way)
        .subquery("allowed")
    )
    return (
        select(allowed.c.id)
        .where(or_(allowed.c.is_slow == 0, allowed.c.place <= places.for_slow))
        .order_by(allowed.c.is_slow, allowed.c.place)
        .limit(places.free)
    )


def _with_addresses(unit: Unit, claimed: Sequence[Any]) -> Sequence[Notice]:
    """With where each goes now, and since when its session is over."""
    if not claimed:
        return ()
    receivers, sids = {row.receiver for row in claimed}, {row.payload["sid"] for row in claimed}
    columns = Client.client_id, Client.backchannel_logout_uri, Client.id_token_signed_response_alg
    query = select(*columns).where(Client.client_id.in_(receivers), Client.deleted_at.is_(None))
    clients = {row.client_id: row for row in unit.execute(query)}
    sessions = {each.sid: each for each in unit.scalars(select(Session).where(Session.sid.in_(sids)))}
    notices = []
    for row in sorted(claimed, key=lambda row: row.id):
        client, session = clients.get(row.receiver), sessions.get(row.payload["sid"])
        uri = client.backchannel_logout_uri if client is not None else None
        notices.append(
            Notice(
                id=row.id,
                client_id=row.receiver,
                sid=row.payload["sid"],
                sub=row.payload["sub"],
                tries=row.tries,
                expires_at=row.expires_at,
                uri=uri,
                alg=client.id_token_signed_response_alg if client is not None else "",
                over_at=over_at(session) if session is not None else None,
                cannot_be_sent=CLIENT_IS_GONE if client is None else None if uri else NO_ADDRESS,
            )
        )
    return notices


def _open() -> ColumnElement[bool]:
    return and_(OutboxMessage.kind == KIND, OutboxMessage.delivered_at.is_(None), OutboxMessage.failed_at.is_(None))


def _due(now: datetime) -> ColumnElement[bool]:
    """To be tried or given up, and nobody is at it."""
    is_free = or_(OutboxMessage.leased_until.is_(None), OutboxMessage.leased_until <= now)
    return and_(_open(), OutboxMessage.next_try_at <= now, is_free)


def _in_time(now: datetime) -> ColumnElement[bool]:
    """Not too late to tell. Releases before wrote no `expires_at`."""
    without = and_(OutboxMessage.expires_at.is_(None), OutboxMessage.created_at > now - TRIED_FOR)
    return or_(and_(OutboxMessage.expires_at.is_not(None), OutboxMessage.expires_at > now), without)


def _some(condition: ColumnElement[bool]) -> Any:
    """An UPDATE of at most `AT_A_TIME` of them, without those that somebody else has hold of."""
    some = select(OutboxMessage.id).where(condition).limit(AT_A_TIME).with_for_update(skip_locked=True)
    return update(OutboxMessage).where(OutboxMessage.id.in_(some))


def _ours(notice: Notice) -> ColumnElement[bool]:
    return and_(_open(), OutboxMessage.id == notice.id, OutboxMessage.tries == notice.tries)


def _not_after_expiry(moment: datetime) -> Any:
    return case((OutboxMessage.expires_at < moment, OutboxMessage.expires_at), else_=literal(moment, UtcDateTime()))


def _changed(unit: Unit, condition: ColumnElement[bool], values: Mapping[str, Any]) -> bool:
    statement = update(OutboxMessage).where(condition).values(values).returning(OutboxMessage.id)
    return unit.execute(_quietly(statement)).one_or_none() is not None


def _quietly(statement: Any) -> Any:
    return statement.execution_options(synchronize_session=False)
