"""The append-only table of events."""

import re
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlalchemy import Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.audit.events import Event
from idp.kernel.clock import Clock
from idp.store import rows
from idp.store.base import Base

_COMMON = tuple(field.name for field in fields(Event))


class AuditEvent(Base):
    """One thing that happened. Rows are inserted and never changed."""

    __tablename__ = "audit_events"
    __table_args__ = (Index("ix_audit_events_type_at", "type", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    type: Mapped[str] = mapped_column(String(60))
    request_code: Mapped[str | None] = mapped_column(String(12), index=True)
    client_address: Mapped[str | None] = mapped_column(String(45))
    actor: Mapped[str | None] = mapped_column(String(100))
    account_id: Mapped[int | None] = mapped_column(index=True)
    organization_id: Mapped[int | None]
    client_id: Mapped[str | None] = mapped_column(String(200))
    sid: Mapped[str | None] = mapped_column(String(64), index=True)
    interaction_id: Mapped[str | None] = mapped_column(String(64), index=True)
    details: Mapped[dict[str, Any]]


class AuditLink(Base):
    """One link of the chain: `digest` covers the event and the link before it, so nothing can be changed unseen."""

    __tablename__ = "audit_chain"

    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    event_id: Mapped[int] = mapped_column(unique=True)
    digest: Mapped[bytes]


def event_type(event: type[Event]) -> str:
    """`SessionEnded` is stored as `session_ended`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", event.__name__).lower()


# The code of the request at hand, which its error page shows too, and where it came from; None outside of one.
request_code: ContextVar[str | None] = ContextVar("request_code", default=None)
request_origin: ContextVar[str | None] = ContextVar("request_origin", default=None)


class Trail:
    """Writes events."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def record(self, session: Session, event: Event) -> None:
        """The event is in the trail if, and only if, the open unit of work is committed."""
        values: dict[str, Any] = {name: getattr(event, name) for name in _COMMON}
        details = {field.name: getattr(event, field.name) for field in fields(event) if field.name not in _COMMON}
        rows.add(
            session,
            AuditEvent,
            at=self._clock.now(),
            type=event_type(type(event)),
            request_code=request_code.get(),
            client_address=request_origin.get(),
            details=details,
            **values,
        )


def events(session: Session, kind: type[Event], **about: Any) -> Sequence[AuditEvent]:
    """The events of one kind, oldest first."""
    return session.scalars(select(AuditEvent).filter_by(type=event_type(kind), **about).order_by(AuditEvent.id)).all()
