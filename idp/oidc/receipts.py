"""Receipts: what became of the notices that a session ended, client by client (OIDC Back-Channel Logout 1.0)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.oidc.backchannel_logout import KIND, NO_ADDRESS
from idp.oidc.clients import Client
from idp.outbox.models import EXPIRED, OutboxMessage
from idp.sessions import idle
from idp.sessions.lifecycle import over_at
from idp.sessions.models import Participation, Session

Outcome = Literal["delivered", "waiting", "failing", "refused", "expired", "no address"]


@dataclass(frozen=True)
class Receipt:
    """What became of one client's notice.

    `delivered`: the client said that it knows. `waiting`: not tried yet. `failing`: tried, and will be again. Final are
    `refused` (the client's own answer, or it is gone), `expired` (tried as long as notices are kept) and `no address`
    (the client has none where it could be told).
    `delay` lies between the moment the session was over and the delivery, None until then.
    """

    client_id: str
    client_name: str
    outcome: Outcome
    tries: int
    delay: timedelta | None
    failure: str | None


def of_session(unit: Unit, sid: str, now: datetime) -> Sequence[Receipt]:
    """One receipt for each client that took part, in the order they joined; none while the session is live.

    A session that is over by the clock and not swept yet: everybody is waiting. None for one that nobody knows, and
    when its notices are older than the outbox is kept.
    """
    session = unit.scalars(select(Session).filter_by(sid=sid)).one_or_none()
    if session is None or idle.is_live(session, now):
        return ()
    if session.ended_at is None:
        return _not_swept_yet(unit, session)
    query = (
        select(OutboxMessage, Client.client_name)
        .outerjoin(Client, Client.client_id == OutboxMessage.receiver)
        .where(OutboxMessage.kind == KIND, OutboxMessage.subject == sid)
        .order_by(OutboxMessage.id)
    )
    since = over_at(session)
    return tuple(_receipt(notice, name, since, now) for notice, name in unit.execute(query))


def _not_swept_yet(unit: Unit, session: Session) -> Sequence[Receipt]:
    query = (
        select(Participation.client_id, Client.client_name)
        .outerjoin(Client, Client.client_id == Participation.client_id)
        .where(Participation.session_id == session.id)
        .order_by(Participation.joined_at, Participation.client_id)
    )
    return tuple(
        Receipt(client_id, name or client_id, "waiting", 0, None, None) for client_id, name in unit.execute(query)
    )


def _receipt(notice: OutboxMessage, client_name: str | None, since: datetime | None, now: datetime) -> Receipt:
    delivered = notice.delivered_at
    return Receipt(
        client_id=notice.receiver,
        client_name=client_name or notice.receiver,
        outcome=_outcome(notice, now),
        tries=notice.tries,
        delay=delivered - since if delivered is not None and since is not None else None,
        failure=notice.failure,
    )


def _outcome(notice: OutboxMessage, now: datetime) -> Outcome:
    if notice.delivered_at is not None:
        return "delivered"
    if notice.failure == NO_ADDRESS:
        return "no address"
    if notice.failure == EXPIRED or notice.expires_at is not None and notice.expires_at <= now:
        return "expired"
    if notice.failed_at is not None:
        return "refused"
    return "waiting" if notice.failure is None else "failing"
