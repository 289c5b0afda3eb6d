"""Putting messages into the outbox."""

from datetime import datetime
from typing import Any

from sqlalchemy import insert
from sqlalchemy.orm import Session

from idp.outbox.models import OutboxMessage


def enqueue(
    session: Session, kind: str, receiver: str, payload: dict[str, Any], now: datetime, subject: str | None = None
) -> None:
    """The message will be sent at least once, if the open unit of work is committed.

    `receiver` bounds how many are sent to one place at a time; `subject` is what it is about (a `sid`).
    """
    session.execute(
        insert(OutboxMessage).values(
            kind=kind, receiver=receiver, subject=subject, payload=payload, created_at=now, next_try_at=now, tries=0
        )
    )
