"""Organisations and accounts."""

from datetime import date, datetime, timedelta

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from idp.store.base import Base

ROLES = ("person", "service_desk", "administrator")


class Organization(Base):
    """A tenant: its people sign in with its `org_code`.

    `second_factor_required_from` empty: no campaign. `postpone_until` is the last day on which postponing is possible.
    Both are days in the organisation's own `time_zone`.
    """

    __tablename__ = "organizations"
    __table_args__ = (
        CheckConstraint(
            "postpone_until IS NULL OR (second_factor_required_from IS NOT NULL"
            " AND postpone_until >= second_factor_required_from)",
            name="postpone_within_campaign",
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    org_code: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(200))
    time_zone: Mapped[str] = mapped_column(String(64), default="Europe/Amsterdam")
    second_factor_required_from: Mapped[date | None]
    postpone_until: Mapped[date | None]
    email_allowed: Mapped[bool] = mapped_column(default=True)
    service_desk_phone: Mapped[str | None] = mapped_column(String(40))
    service_desk_hours: Mapped[str | None] = mapped_column(String(200))
    idle_timeout: Mapped[timedelta | None]
    absolute_timeout: Mapped[timedelta | None]
    created_at: Mapped[datetime]


class Account(Base):
    """A person's record in one organisation.

    `sub` is random and never used again, so that a new account with an old username inherits nothing.
    `username` is the canonical form (see `names`), `username_shown` what the person sees.
    """

    __tablename__ = "accounts"
    __table_args__ = (
        UniqueConstraint("organization_id", "username"),
        CheckConstraint("role IN ('person', 'service_desk', 'administrator')", name="role_known"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"), index=True)
    username: Mapped[str] = mapped_column(String(128))
    username_shown: Mapped[str] = mapped_column(String(128))
    sub: Mapped[str] = mapped_column(String(64), unique=True)
    role: Mapped[str] = mapped_column(String(20), default="person")
    password_hash: Mapped[str | None] = mapped_column(String(255))
    password_changed_at: Mapped[datetime | None]
    name: Mapped[str | None] = mapped_column(String(200))
    given_name: Mapped[str | None] = mapped_column(String(100))
    family_name: Mapped[str | None] = mapped_column(String(100))
    email: Mapped[str | None] = mapped_column(String(254))
    email_verified: Mapped[bool] = mapped_column(default=False)
    locale: Mapped[str | None] = mapped_column(String(10))
    blocked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    last_sign_in_at: Mapped[datetime | None]
    last_postponed_at: Mapped[datetime | None]

    organization: Mapped[Organization] = relationship(lazy="joined", innerjoin=True)
