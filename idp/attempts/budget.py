"""Paying for an attempt.

    five tries within the window  ->  wait 1 minute, one try, wait 2 minutes, one try, ... wait 60 minutes, one try, ...

A success clears the tries and the waits; nothing else does: not a new transaction, not another factor, not a new code.
The single UPDATE below is the whole decision: it reads and writes the counters at once, so parallel attempts queue up
behind each other in the database and each pays for itself (NIST SP 800-63B-4 3.2.2, RFC 4226 7.3).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Executable,
    and_,
    bindparam,
    case,
    delete,
    literal,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.orm import Session

from idp.attempts.models import AttemptBudget
from idp.kernel.clock import Clock
from idp.kernel.secrets import DerivedKeys
from idp.store.base import UtcDateTime
from idp.store.dialects import insert_or


@dataclass(frozen=True)
class Limits:
    """How many attempts are free, and how the waits grow after them."""

    attempts: int
    window: timedelta
    wait_first: timedelta
    wait_longest: timedelta
    disable_after: int | None

    def __post_init__(self) -> None:
        if self.attempts != 5:
            raise ValueError("the table keeps the four tries before the present one: five attempts per window")

    def wait(self, number: int) -> timedelta:
        """The length of the `number`-th wait in a row, counted from 0."""
        doubled: timedelta = self.wait_first * 2**number
        return min(doubled, self.wait_longest)


@dataclass(frozen=True)
class Paid:
    """The attempt may be verified now. `left` more tries are free before the next wait; None inside the waits."""

    in_a_row: int
    left: int | None


@dataclass(frozen=True)
class MustWait:
    """The attempt may not be verified, and a right answer in it is not used up."""

    until: datetime


@dataclass(frozen=True)
class Exhausted:
    """So many wrong attempts in a row that nothing more is verified, right or wrong."""


Payment = Paid | MustWait | Exhausted


class Attempts:
    """The counters, for one kind of secret and its limits."""

    def __init__(self, keys: DerivedKeys, clock: Clock, kind: str, limits: Limits) -> None:
        self._keys = keys
        self._clock = clock
        self.kind = kind
        self.limits = limits

    def now(self) -> datetime:
        """The present, by the clock that decides."""
        return self._clock.now()

    def key(self, *subject: str) -> bytes:
        """The row's key: a keyed hash, bounded in size whatever was typed."""
        return self._keys.mac(f"attempts:{self.kind}", *subject)

    def pay(self, session: Session, *subject: str) -> Payment:
        """One more attempt is counted as wrong, or it is refused. To be committed before anything is verified.

        `succeed` takes it back when the answer turns out right.
        """
        key, now = self.key(*subject), self._clock.now()
        self._make_row(session, key, now)
        paid = session.execute(self._payment(key, now)).one_or_none()
        if paid is not None:
            return Paid(in_a_row=paid.in_a_row, left=self._left(paid, now))
        row = session.execute(select(AttemptBudget.in_a_row, AttemptBudget.waits_until).filter_by(key=key)).one()
        if self.limits.disable_after is not None and row.in_a_row >= self.limits.disable_after:
            return Exhausted()
        return MustWait(until=row.waits_until or now)

    def waiting_until(self, session: Session, *subject: str) -> datetime | None:
        """The moment the present wait ends; None when an attempt would be taken."""
        until = session.scalar(select(AttemptBudget.waits_until).filter_by(key=self.key(*subject)))
        return until if until is not None and until > self._clock.now() else None

    def succeed(self, session: Session, *subject: str) -> None:
        """The count starts anew: to be called in the transaction that records the success, by that factor alone."""
        session.execute(delete(AttemptBudget).where(AttemptBudget.key == self.key(*subject)))

    def lift(self, session: Session, *subject: str) -> datetime | None:
        """The present wait is over, and when it would have ended; None when there was none.

        One attempt is taken now. The count stays, and so does the number of waits: another wrong one begins the wait
        that would have come next.
        """
        until = self.waiting_until(session, *subject)
        lifted = session.execute(
            update(AttemptBudget)
            .where(AttemptBudget.key == self.key(*subject), AttemptBudget.waits_until > self._clock.now())
            .values(waits_until=None)
            .returning(AttemptBudget.key)
        )
        return until if lifted.one_or_none() is not None else None

    def _make_row(self, session: Session, key: bytes, now: datetime) -> None:
        values = {"key": key, "kind": self.kind, "in_a_row": 0, "waits": 0, "updated_at": now}
        # A row that is there is locked, not only seen: on PostgreSQL a success at the same moment could delete it
        # between this statement and the payment.
        statement = insert_or(session, AttemptBudget).values(values)
        session.execute(
            statement.on_conflict_do_update(index_elements=[AttemptBudget.key], set_={"kind": statement.excluded.kind})
        )

    def _payment(self, key: bytes, now: datetime) -> Executable:
        budget = AttemptBudget
        at = bindparam("at", now, UtcDateTime())
        window_start = literal(now - self.limits.window, UtcDateTime())
        fifth = and_(budget.tried_4_at.is_not(None), budget.tried_4_at > window_start)
        starts_wait = or_(budget.waits > 0, fifth)
        open_now = or_(budget.waits_until.is_(None), budget.waits_until <= at)
        conditions: list[ColumnElement[bool]] = [budget.key == key, open_now]
        if self.limits.disable_after is not None:
            conditions.append(budget.in_a_row < self.limits.disable_after)
        return (
            update(budget)
            .where(*conditions)
            .values(
                in_a_row=budget.in_a_row + 1,
                tried_1_at=at,
                tried_2_at=budget.tried_1_at,
                tried_3_at=budget.tried_2_at,
                tried_4_at=budget.tried_3_at,
                waits=case((starts_wait, budget.waits + 1), else_=0),
                waits_until=case(*self._wait_cases(now, starts_wait), else_=null()),
                updated_at=at,
            )
            .returning(
                budget.in_a_row,
                budget.waits,
                budget.tried_1_at,
                budget.tried_2_at,
                budget.tried_3_at,
                budget.tried_4_at,
            )
        )

    def _wait_cases(self, now: datetime, starts_wait: ColumnElement[bool]) -> list[tuple[ColumnElement[bool], object]]:
        cases: list[tuple[ColumnElement[bool], object]] = []
        number = 0
        while (length := self.limits.wait(number)) < self.limits.wait_longest:
            cases.append((and_(starts_wait, AttemptBudget.waits == number), literal(now + length, UtcDateTime())))
            number += 1
        cases.append((starts_wait, literal(now + self.limits.wait_longest, UtcDateTime())))
        return cases

    def _left(self, paid: object, now: datetime) -> int | None:
        if getattr(paid, "waits"):  # noqa: B009 - a Row has no static attributes
            return None
        tried = [getattr(paid, f"tried_{number}_at") for number in (1, 2, 3, 4)]
        recent = [moment for moment in tried if moment is not None and moment > now - self.limits.window]
        return self.limits.attempts - len(recent)
