"""Enrolled second factors."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.store.base import Base


class Credential(Base):
    """A second factor that was proven once.

    `last_step` (totp): the latest time step that was accepted; only later ones are, so each code works once for ever.
    `address` (email): where the codes go, proven by a code that was sent there; the account's own address may have
    changed since. A disabled credential still counts as enrolled; a withdrawn one (service-desk reset) does not.
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
    address: Mapped[str | None] = mapped_column(String(254))
    last_step: Mapped[int | None] = mapped_column(BigInteger)
    enrolled_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    disabled_at: Mapped[datetime | None]
    withdrawn_at: Mapped[datetime | None]
    withdrawn_by_reset_id: Mapped[int | None] = mapped_column(index=True)


class SentCode(Base):
    """A code that travels to the person, good for one account, one purpose and one browser.

    Of the code and of the address only keyed hashes are kept. `message_id` is its message in the outbox. A code whose
    `used_at` is set is spent; a success spends all codes of the account that were still live.
    """

    __tablename__ = "sent_codes"
    __table_args__ = (
        CheckConstraint("purpose IN ('enrolment', 'verification')", name="purpose_known"),
        Index("ix_sent_codes_account_created", "account_id", "created_at"),
        Index("ix_sent_codes_address_created", "address_hash", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"))
    method: Mapped[str] = mapped_column(String(20))
    purpose: Mapped[str] = mapped_column(String(20))
    browser_hash: Mapped[bytes]
    address_hash: Mapped[bytes]
    code_hash: Mapped[bytes]
    message_id: Mapped[int | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]
