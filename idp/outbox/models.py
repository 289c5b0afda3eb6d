"""Messages that wait to be sent."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.store.base import Base

# What stands in `failure` when it was not sent in time.
EXPIRED = "expired"
# How long a notice is tried, from its session's end or from being tried again by hand. A client that is away for longer
# has asked for no tokens in the meantime, and its own sessions are over.
TRIED_FOR = timedelta(hours=72)
OPEN = text("delivered_at IS NULL AND failed_at IS NULL")


class OutboxMessage(Base):
    """One message of one kind (`logout_notice`, `mail`) for one receiver, with what became of it.

    What must not be read in the database is in `payload_sealed`, which is erased when the message is sent or expires.
    After `expires_at` it is never sent. A worker that is at it holds it until `leased_until`.
    """

    __tablename__ = "outbox_messages"
    __table_args__ = (
        Index("ix_outbox_messages_due", "kind", "next_try_at", sqlite_where=OPEN, postgresql_where=OPEN),
        Index("ix_outbox_messages_at_receiver", "receiver", "kind", sqlite_where=OPEN, postgresql_where=OPEN),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    receiver: Mapped[str] = mapped_column(String(200))
    subject: Mapped[str | None] = mapped_column(String(64), index=True)
    payload: Mapped[dict[str, Any]]
    payload_sealed: Mapped[bytes | None]
    created_at: Mapped[datetime]
    next_try_at: Mapped[datetime]
    tries: Mapped[int] = mapped_column(default=0)
    leased_until: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    failed_at: Mapped[datetime | None]
    failure: Mapped[str | None] = mapped_column(String(200))
