"""The counters of attempts."""

from datetime import datetime

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.store.base import Base


class AttemptBudget(Base):
    """What was tried against one thing that can be guessed, since its last success.

    `key` is a keyed hash of kind and subject: rows exist for unknown accounts too, and a copy of the table names
    nobody. `tried_1_at` is the latest attempt, `tried_4_at` the fourth latest: enough for "five within the window".
    """

    __tablename__ = "attempt_budgets"
    __table_args__ = (CheckConstraint("in_a_row >= 0 AND waits >= 0", name="not_negative"),)

    key: Mapped[bytes] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    in_a_row: Mapped[int] = mapped_column(default=0)
    waits: Mapped[int] = mapped_column(default=0)
    waits_until: Mapped[datetime | None] = mapped_column(index=True)
    tried_1_at: Mapped[datetime | None]
    tried_2_at: Mapped[datetime | None]
    tried_3_at: Mapped[datetime | None]
    tried_4_at: Mapped[datetime | None]
    updated_at: Mapped[datetime] = mapped_column(index=True)


class EventCount(Base):
    """How often something happened within one window of time, and the row that whoever counts it waits for.

    `key` is a keyed hash of kind and subject, as in `AttemptBudget`.
    """

    __tablename__ = "event_counts"
    __table_args__ = (CheckConstraint("number >= 0", name="not_negative"),)

    key: Mapped[bytes] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    window_started_at: Mapped[datetime]
    number: Mapped[int] = mapped_column(default=0)
    updated_at: Mapped[datetime] = mapped_column(index=True)
