"""Consents."""

from datetime import datetime

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.store.base import Base


class Consent(Base):
    """The scope values that this account allowed this client."""

    __tablename__ = "consents"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(200), primary_key=True, index=True)
    scope: Mapped[str] = mapped_column(String(1000))
    granted_at: Mapped[datetime]
