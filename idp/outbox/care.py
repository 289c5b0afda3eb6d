"""What an administrator sees of the outbox, and trying again by hand."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from idp.kernel.errors import IdpError
from idp.outbox.models import EXPIRED, TRIED_FOR, OutboxMessage


class CannotRetry(IdpError):
    """Another try makes no sense; the text says why."""


def unsent(unit: Session, limit: int, with_sent: bool = False) -> Sequence[OutboxMessage]:
    """The newest messages that were not sent, oldest first; with those that were, if asked."""
    query = select(OutboxMessage).order_by(OutboxMessage.id.desc()).limit(limit)
    if not with_sent:
        query = query.where(OutboxMessage.delivered_at.is_(None))
    return tuple(reversed(unit.scalars(query).all()))


def state_of(message: OutboxMessage, now: datetime) -> str:
    """`sent`, `expired`, `given up`, `sending`, `failing` or `waiting`."""
    if message.delivered_at is not None:
        return "sent"
    if message.failed_at is not None and message.failure != EXPIRED:
        return "given up"
    if message.failure == EXPIRED or message.expires_at is not None and message.expires_at <= now:
        return "expired"
    if message.leased_until is not None and message.leased_until > now:
        return "sending"
    return "waiting" if message.failure is None else "failing"


def described(message: OutboxMessage, now: datetime) -> Mapping[str, Any]:
    """A message without its content; the receiver of a letter is masked already where it is kept."""
    return {
        "id": message.id,
        "kind": message.kind,
        "about": message.payload.get("letter") or message.subject,
        "receiver": message.receiver,
        "state": state_of(message, now),
        "tries": message.tries,
        "failure": message.failure,
        "next_try_at": message.next_try_at if message.delivered_at is None and message.failed_at is None else None,
        "created_at": message.created_at,
        "expires_at": message.expires_at,
    }


def retry(unit: Session, message_id: int, now: datetime) -> None:
    """The message is tried at once; also one that was given up, if its content is kept.

    A notice that was given up or expired is tried for another 72 hours: that a session ended stays true. A letter is
    never sent after it expired. Raises CannotRetry when there is none, when it was sent, and for
    a letter that expired or whose content was erased.
    """
    message = unit.get(OutboxMessage, message_id, with_for_update=True)
    if message is None:
        raise CannotRetry(f"there is no message {message_id}")
    values: dict[str, Any] = {"next_try_at": now, "failed_at": None}
    if message.kind != "mail" and state_of(message, now) in ("given up", "expired"):
        values |= {"expires_at": now + TRIED_FOR, "failure": None}
    can_be_sent = and_(
        OutboxMessage.delivered_at.is_(None),
        or_(OutboxMessage.kind != "mail", OutboxMessage.expires_at.is_(None), OutboxMessage.expires_at > now),
        or_(OutboxMessage.failed_at.is_(None), OutboxMessage.kind != "mail", OutboxMessage.payload_sealed.is_not(None)),
    )
    trying = update(OutboxMessage).where(OutboxMessage.id == message_id, can_be_sent)
    statement = trying.values(values).returning(OutboxMessage.id)
    if unit.execute(statement.execution_options(synchronize_session=False)).one_or_none() is not None:
        return
    reasons = {"sent": "was sent", "expired": "is expired"}
    why = reasons.get(state_of(message, now), f"was given up ({message.failure}), and what it said was erased")
    raise CannotRetry(f"message {message_id} {why}")
