"""Organisations and accounts."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column, relationship
from sqlalchemy.orm import Session as Unit

from idp.store.base import Base

ROLES = ("person", "service_desk", "administrator")


class Organization(Base):
    """A tenant: its people sign in with its `org_code`.

    `second_factor_required_from` empty: no campaign. `postpone_until` is the last day on which postponing is possible.
    Both are days in the organisation's own `time_zone`. `brand_colour` is `#rrggbb`; `texts` holds plain text for the
    slots of pages, by language and slot; the logos are in `OrganizationLogo`.
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
    service_desk_email: Mapped[str | None] = mapped_column(String(254))
    brand_colour: Mapped[str | None] = mapped_column(String(7))
    privacy_uri: Mapped[str | None] = mapped_column(String(500))
    texts: Mapped[dict[str, Any] | None]
    idle_timeout: Mapped[timedelta | None]
    absolute_timeout: Mapped[timedelta | None]
    created_at: Mapped[datetime]


class OrganizationLogo(Base):
    """The logo of an organisation, drawn anew by us as PNG: for light pages, and perhaps another for dark ones."""

    __tablename__ = "organization_logos"
    __table_args__ = (CheckConstraint("variant IN ('light', 'dark')", name="variant_known"),)

    organization_id: Mapped[int] = mapped_column(ForeignKey("organizations.id"), primary_key=True)
    variant: Mapped[str] = mapped_column(String(10), primary_key=True)
    png: Mapped[bytes]
    digest: Mapped[str] = mapped_column(String(64), index=True)


class Account(Base):
    """A person's record in one organisation.

    `sub` is random and never used again, so that a new account with an old username inherits nothing.
    `username` is the canonical form (see `names`), `username_shown` what the person sees. A half-made sign-in whose
    password was not proven after `proofs_void_before` begins again: a block, a new password and a reset set it.

    `postpone_extended_until` is this person's own last day for postponing, where the service desk gave one. `reset_at`
    stands from a reset of the second factor until something is enrolled; enrolling is possible until
    `enrolment_open_until` only, and afterwards needs another reset.
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
    # By their names in OIDC Core 5.1; what may be in it says `standard_claims`.
    standard_claims: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    blocked_at: Mapped[datetime | None]
    proofs_void_before: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    last_sign_in_at: Mapped[datetime | None]
    last_postponed_at: Mapped[datetime | None]
    postpone_extended_until: Mapped[date | None]
    reset_at: Mapped[datetime | None]
    enrolment_open_until: Mapped[datetime | None]

    organization: Mapped[Organization] = relationship(lazy="joined", innerjoin=True)


class Reset(Base):
    """The service desk withdrew every second factor of an account, and why; undone, everything is as it was before.

    `caller_checked` says how the desk made sure who called. `restores` is what an undo puts back on the account.
    """

    __tablename__ = "resets"

    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(100))
    reason: Mapped[str] = mapped_column(String(500))
    caller_checked: Mapped[str] = mapped_column(String(200))
    restores: Mapped[dict[str, Any]]
    undone_at: Mapped[datetime | None]


class CampaignMail(Base):
    """This person was told that postponing ends on `last_day`, so many days before: once each."""

    __tablename__ = "campaign_mails"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    last_day: Mapped[date] = mapped_column(primary_key=True)
    days_before: Mapped[int] = mapped_column(primary_key=True)
    enqueued_at: Mapped[datetime]


class KnownDevice(Base):
    """A browser in which this person signed in completely; of its cookie only the hash is kept."""

    __tablename__ = "known_devices"

    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    device_hash: Mapped[bytes] = mapped_column(primary_key=True, index=True)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime] = mapped_column(index=True)


def lock_account(unit: Unit, account_id: int | None) -> None:
    """Nobody else changes the account, or opens or ends its sessions by hand, before the unit of work is over.

    Taken before any other lock, always; `FOR NO KEY UPDATE`, so that rows which only refer to the account go on.
    """
    if account_id is not None:
        unit.execute(select(Account.id).where(Account.id == account_id).with_for_update(key_share=True))
