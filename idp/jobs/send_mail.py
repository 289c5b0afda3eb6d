"""Letters leave the outbox: each at least once, none after it expired, none for work that was rolled back.

    claim     one statement takes a letter and leases it; a worker that dies leaves it to the next when the lease ends
    send      no transaction is open while the relay is spoken to
    record    what became of it, in a unit of its own; the sealed content is erased with the last word

Letters that expire first go first, so that a code never waits behind a campaign.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, or_, select, update
from sqlalchemy.orm import Session as Unit

from idp.jobs.worker import described
from idp.kernel.clock import Clock
from idp.mail.failures import NotSent
from idp.mail.post import KIND, Post
from idp.mail.relay import Relay
from idp.outbox.models import EXPIRED, OutboxMessage
from idp.store.units import UnitsOfWork

log = logging.getLogger(__name__)

FIRST_WAIT = timedelta(seconds=2)
LONGEST_WAIT = timedelta(minutes=5)
# Beyond the longest that the relay can take: the clocks of two machines, and a database that answers late.
LEASE_MARGIN = timedelta(seconds=30)
MOST_LOOKED_AT = 100


@dataclass(frozen=True)
class Claimed:
    """A letter that is ours until `leased_until`. `tries` counts this one, so no two claims are alike."""

    id: int
    payload_sealed: bytes
    tries: int
    expires_at: datetime
    leased_until: datetime


class MailSender:
    """Sends what is due. Without a relay letters wait until they expire, and the log says so."""

    def __init__(self, units: UnitsOfWork, clock: Clock, post: Post, relay: Relay | None) -> None:
        self._units = units
        self._clock = clock
        self._post = post
        self._relay = relay
        self._told_about: set[str] = set()

    def run(self, is_stopping: Callable[[], bool] = lambda: False) -> int:
        """Every letter that is due was tried once, and every late one given up; the number that were sent.

        Returns early, between two letters, when `is_stopping`. Needs an application context.
        """
        if self._relay is None:
            self._give_up_late_ones()
            self._tell_what_waits()
            return 0
        sent = 0
        while not is_stopping() and self._is_there(or_(_late(now := self._clock.now()), _due(now))):
            if (claimed := self._claim(self._relay)) is None:
                break
            sent += self._send(self._relay, claimed)
        return sent

    def _is_there(self, condition: ColumnElement[bool]) -> bool:
        """Looked at before anything is changed: on SQLite, everybody waits for a unit that writes."""
        with self._units.reading() as unit:
            return bool(unit.scalar(select(exists().where(condition))))

    def _give_up_late_ones(self) -> None:
        if self._is_there(_late(self._clock.now())):
            with self._units.writing() as unit:
                _give_up(unit, self._clock.now())

    def _claim(self, relay: Relay) -> Claimed | None:
        """The letter that expires first, ours alone for as long as the relay can take; None when no other is due."""
        with self._units.writing() as unit:
            now = self._clock.now()
            _give_up(unit, now)
            first = select(OutboxMessage.id).where(_due(now)).order_by(OutboxMessage.expires_at, OutboxMessage.id)
            # PostgreSQL passes over what another worker is taking; on SQLite only one unit writes at a time.
            one = first.limit(1).with_for_update(skip_locked=True).scalar_subquery()
            claiming = (
                update(OutboxMessage)
                .where(OutboxMessage.id == one)
                .values(leased_until=now + relay.longest + LEASE_MARGIN, tries=OutboxMessage.tries + 1)
                .returning(
                    OutboxMessage.id,
                    OutboxMessage.payload_sealed,
                    OutboxMessage.tries,
                    OutboxMessage.expires_at,
                    OutboxMessage.leased_until,
                )
            )
            row = unit.execute(claiming.execution_options(synchronize_session=False)).one_or_none()
            if row is None:
                return None
            return Claimed(row.id, row.payload_sealed, row.tries, row.expires_at, row.leased_until)

    def _send(self, relay: Relay, claimed: Claimed) -> bool:
        """One try, and what came of it is recorded; True when the relay took the letter."""
        try:
            self._hand_over(relay, claimed)
        except NotSent as failure:
            self._record_failure(claimed, failure)
            return False
        except Exception as error:  # one letter that cannot be written must not keep the others back
            log.error("letter %d cannot be sent: %s", claimed.id, described(error))
            self._record_failure(claimed, NotSent(f"failed: {type(error).__name__}"))
            return False
        self._record(claimed, delivered_at=self._clock.now(), payload_sealed=None, failure=None)
        return True

    def _hand_over(self, relay: Relay, claimed: Claimed) -> None:
        letter = self._post.open(claimed.payload_sealed)
        message = relay.message(letter, self._clock.now())
        with relay.connection() as connection:
            # Reaching the relay took its time.
            if self._clock.now() >= min(claimed.expires_at, letter.expires_at, claimed.leased_until):
                raise NotSent("too late")
            connection.send(message)

    def _record_failure(self, claimed: Claimed, failure: NotSent) -> None:
        now = self._clock.now()
        log.warning("letter %d was not sent: %s; try %d", claimed.id, failure.detail, claimed.tries)
        if failure.is_final:
            self._record(claimed, failed_at=now, payload_sealed=None, failure=failure.detail)
        else:
            self._record(claimed, next_try_at=now + wait_after(claimed.tries), failure=failure.detail)

    def _record(self, claimed: Claimed, **values: object) -> None:
        """What became of the try that was claimed. Nothing is changed when somebody else has claimed the letter since,
        unless it was sent: that is true whoever holds it."""
        recording = update(OutboxMessage).where(OutboxMessage.id == claimed.id, OutboxMessage.delivered_at.is_(None))
        if "delivered_at" not in values:
            recording = recording.where(OutboxMessage.tries == claimed.tries, OutboxMessage.failed_at.is_(None))
        with self._units.writing() as unit:
            statement = recording.values(leased_until=None, **values)
            unit.execute(statement.execution_options(synchronize_session=False))

    def _tell_what_waits(self) -> None:
        with self._units.reading() as unit:
            waiting = unit.scalars(select(OutboxMessage.payload).where(_due(self._clock.now())).limit(MOST_LOOKED_AT))
            names = {str(payload["letter"]) for payload in waiting}
        for name in sorted(names - self._told_about):
            self._told_about.add(name)
            log.warning("no mail relay is set up: letters of the kind %r wait until they expire", name)


def wait_after(tries: int) -> timedelta:
    """How long a letter rests after so many tries: an outage of the relay costs about as long again, or 5 minutes."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(tries - 1, 16)))


def _open_letters(now: datetime) -> ColumnElement[bool]:
    """Neither sent nor given up, and nobody is at it."""
    return and_(
        OutboxMessage.kind == KIND,
        OutboxMessage.delivered_at.is_(None),
        OutboxMessage.failed_at.is_(None),
        or_(OutboxMessage.leased_until.is_(None), OutboxMessage.leased_until <= now),
    )


def _due(now: datetime) -> ColumnElement[bool]:
    return and_(_open_letters(now), OutboxMessage.expires_at > now, OutboxMessage.next_try_at <= now)


def _late(now: datetime) -> ColumnElement[bool]:
    return and_(_open_letters(now), OutboxMessage.expires_at <= now)


def _give_up(unit: Unit, now: datetime) -> None:
    """No letter is left that would arrive too late; what was in them is gone."""
    giving_up = update(OutboxMessage).where(_late(now))
    statement = giving_up.values(failed_at=now, failure=EXPIRED, payload_sealed=None, leased_until=None)
    unit.execute(statement.execution_options(synchronize_session=False))
