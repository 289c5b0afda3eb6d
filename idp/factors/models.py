"""Enrolled second factors."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.store.base import Base


class Credential(Base):
    """A second factor that was proven once.

    `last_step` (totp): the latest time step that was accepted; only later ones are, so each code works once for ever.
    A disabled credential still counts as enrolled; a withdrawn one (service-desk reset) does not.
    """

    __tablename__ = "credentials"
    __table_args__ = (
        CheckConstraint("method IN ('totp', 'email', 'passkey', 'recovery_code')", name="method_known"),
        # One authenticator app or mailbox in force per account; the database settles two tabs that enrol at once.
        Index(
            "uq_credentials_account_method_in_force",
            "account_id",
            "method",
            unique=True,
            sqlite_where=text("withdrawn_at IS NULL AND method IN ('totp', 'email')"),
            postgresql_where=text("withdrawn_at IS NULL AND method IN ('totp', 'email')"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    method: Mapped[str] = mapped_column(String(20))
    label: Mapped[str] = mapped_column(String(100), default="")
    secret_sealed: Mapped[bytes | None]
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    enrolled_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
