"""One stored attempt to sign in."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.store.base import Base


class Interaction(Base):
    """What was asked for, by which browser, and what was proven so far.

    Bound to the browser by the hash of a cookie: the identifier in the URL alone is worth nothing (A29). Pinned to the
    first account whose password was right (A25, A26). `request` is the validated authorization request; the answer is
    made from it, never from what the browser sends again. Once proofs became a session (`session_id`) they are spent:
    from then on only that session speaks for the person.
    """

    __tablename__ = "interactions"
    __table_args__ = (
        CheckConstraint("account_id IS NOT NULL OR password_proven_at IS NULL", name="password_has_account"),
        CheckConstraint("account_id IS NOT NULL OR factor_level IS NULL", name="factor_has_account"),
    )

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    browser_hash: Mapped[bytes]
    purpose: Mapped[str] = mapped_column(String(20), default="authorization")
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.client_id"), index=True)
    request: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    last_activity_at: Mapped[datetime] = mapped_column(index=True)

    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    password_proven_at: Mapped[datetime | None]
    verifying_method: Mapped[str | None] = mapped_column(String(20))
    factor_method: Mapped[str | None] = mapped_column(String(20))
    factor_level: Mapped[int | None]
    factor_proven_at: Mapped[datetime | None]
    factor_amr: Mapped[list[str]] = mapped_column(default=list)
    postponed_until: Mapped[datetime | None]
    consented: Mapped[bool] = mapped_column(default=False)
    account_chosen: Mapped[bool] = mapped_column(default=False)
    names_another_account: Mapped[bool] = mapped_column(default=False)
    leaves_session: Mapped[bool] = mapped_column(default=False)

    enrolling_method: Mapped[str | None] = mapped_column(String(20))
    enrolling_sealed: Mapped[bytes | None]
    enrolment_failures: Mapped[int] = mapped_column(default=0)
    postpone_asked: Mapped[bool] = mapped_column(default=False)

    typed_organisation: Mapped[str] = mapped_column(String(256), default="")
    typed_username: Mapped[str] = mapped_column(String(256), default="")
    error: Mapped[dict[str, Any] | None]
    notice: Mapped[str | None] = mapped_column(String(60))

    session_id: Mapped[int | None] = mapped_column(ForeignKey("sessions.id"), index=True)
    finished_at: Mapped[datetime | None]
    finished_how: Mapped[str | None] = mapped_column(String(40))
