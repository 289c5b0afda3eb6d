"""Putting messages into the outbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from idp.outbox.models import OutboxMessage


def enqueue(
    session: Session,
    kind: str,
    receiver: str,
    payload: dict[str, Any],
    now: datetime,
    subject: str | None = None,
    payload_sealed: bytes | None = None,
    expires_at: datetime | None = None,
) -> int:
    """The message will be sent at least once, if the open unit of work is committed; its id.

    `receiver` bounds how many are sent to one place at a time; `subject` is what it is about (a `sid`).
    `payload_sealed` is what must not be read in the database. After `expires_at` it is not sent.
    """
    statement = insert(OutboxMessage).values(
        kind=kind,
        receiver=receiver,
        subject=subject,
        payload=payload,
        payload_sealed=payload_sealed,
        created_at=now,
        next_try_at=now,
        tries=0,
        expires_at=expires_at,
    )
    return session.execute(statement.returning(OutboxMessage.id)).scalar_one()


@dataclass(frozen=True)
class Message:
    """One of several messages of one kind. `failure`: why it cannot be sent; it is kept as a receipt only."""

    receiver: str
    payload: dict[str, Any]
    subject: str
    expires_at: datetime
    failure: str | None = None


def enqueue_all(session: Session, kind: str, messages: Sequence[Message], now: datetime) -> None:
    """As `enqueue`, for all of the messages in one statement; those that cannot be sent are given up from the start."""
    rows = [
        {
            "kind": kind,
            "receiver": message.receiver,
            "subject": message.subject,
            "payload": message.payload,
            "created_at": now,
            "next_try_at": now,
            "tries": 0,
            "expires_at": message.expires_at,
            "failed_at": now if message.failure else None,
            "failure": message.failure,
        }
        for message in messages
    ]
    session.execute(insert(OutboxMessage).values(rows))
