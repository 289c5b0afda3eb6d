"""Looking events up."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.audit.trail import AuditEvent


def find(
    unit: Unit,
    *,
    kind: str | None = None,
    account_id: int | None = None,
    request_code: str | None = None,
    since: datetime | None = None,
    limit: int,
) -> Sequence[AuditEvent]:
    """The newest events of which all of this is true, oldest first."""
    query = select(AuditEvent).order_by(AuditEvent.id.desc()).limit(limit)
    if kind is not None:
        query = query.where(AuditEvent.type == kind)
    if account_id is not None:
        query = query.where(AuditEvent.account_id == account_id)
    if request_code is not None:
        query = query.where(AuditEvent.request_code == request_code)
    if since is not None:
        query = query.where(AuditEvent.at >= since)
    return unit.scalars(query).all()[::-1]
