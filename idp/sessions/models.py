"""Sessions and the clients that take part in them."""

from datetime import datetime, timedelta

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from idp.store.base import Base

NOT_ENDED = text("ended_at IS NULL")


class Session(Base):
    """One person signed in with one browser.

    `level` and `amr` say what was proven in it; `auth_time` moves when the password was asked, `factor_proven_at` when
    a second factor that reaches the level was proven. `postponed_until` is set when the person postponed enrolment in
    this session, and answers that prompt until then.
    """

    __tablename__ = "sessions"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (end_reason IS NULL)", name="end_has_reason"),
        # What the sweep looks for, among those that nobody ended yet.
        Index("ix_sessions_live_idle", "idle_ends_at", sqlite_where=NOT_ENDED, postgresql_where=NOT_ENDED),
        Index("ix_sessions_live_absolute", "absolute_ends_at", sqlite_where=NOT_ENDED, postgresql_where=NOT_ENDED),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sid: Mapped[str] = mapped_column(String(64), unique=True)
    secret_hash: Mapped[bytes] = mapped_column(unique=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    level: Mapped[int]
    amr: Mapped[list[str]]
    auth_time: Mapped[datetime]
    factor_proven_at: Mapped[datetime | None]
    opened_at: Mapped[datetime]
    last_activity_at: Mapped[datetime]
    idle_timeout: Mapped[timedelta]
    idle_ends_at: Mapped[datetime]
    absolute_ends_at: Mapped[datetime]
    postponed_until: Mapped[datetime | None]
    ended_at: Mapped[datetime | None] = mapped_column(index=True)
    end_reason: Mapped[str | None] = mapped_column(String(40))


class Participation(Base):
    """This client received tokens in this session, and is told when the session ends.

    `signalled_at`: when it first told of activity, by a report or a refresh, whether or not that moved the clock.
    """

    __tablename__ = "participations"
    __table_args__ = (Index("ix_participations_client_id", "client_id", "joined_at"),)

    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id"), primary_key=True)
    client_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    joined_at: Mapped[datetime]
    signalled_at: Mapped[datetime | None]
