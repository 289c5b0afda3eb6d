"""Post: a letter goes into the outbox, sealed; pages ask what became of it."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.kernel.clock import Clock
from idp.kernel.envelope import Envelope
from idp.kernel.secrets import random_identifier
from idp.mail.letters import Letter
from idp.outbox.models import EXPIRED, OutboxMessage
from idp.outbox.queue import enqueue
from idp.texts.addresses import mask

KIND = "mail"
PLACE = "outbox_messages:mail"
# A letter that is not about a moment is still worth reading after a long weekend.
LONGEST_WAIT = timedelta(days=3)


class MailState(StrEnum):
    """What became of a letter.

    WAITING: no try has ended yet. SENT: the relay took it. FAILING: at least one try failed and none succeeded, or it
    was given up. EXPIRED: it was not sent in time, and never will be.
    """

    WAITING = "waiting"
    SENT = "sent"
    FAILING = "failing"
    EXPIRED = "expired"


@dataclass(frozen=True)
class SealedLetter:
    """A letter as it was put in the outbox, with the left part of its Message-ID: the same at every try.

    When it expires stands inside the seal too: whoever can write in the database cannot make a code late.
    """

    letter: Letter
    reference: str
    expires_at: datetime


class Post:
    """Takes letters; sending them is the worker's."""

    def __init__(self, envelope: Envelope, clock: Clock) -> None:
        self._envelope = envelope
        self._clock = clock

    def enqueue(self, unit: Unit, letter: Letter, expires_at: datetime | None = None) -> int:
        """The letter will be sent at least once, if the unit is committed; the id of its message in the outbox.

        It is never sent after `expires_at`, three days from now where nothing else is said. Outside the seal stand the
        name of the letter and the masked address. Raises ValueError when `to` is no e-mail address.
        """
        now = self._clock.now()
        expires_at = expires_at or now + LONGEST_WAIT
        beside = {"reference": random_identifier(), "expires_at": expires_at.isoformat()}
        content = json.dumps({**asdict(letter), **beside}).encode()
        return enqueue(
            unit,
            KIND,
            str(mask(letter.to))[:200],
            {"letter": letter.name},
            now,
            payload_sealed=self._envelope.seal(content, PLACE),
            expires_at=expires_at,
        )

    def open(self, sealed: bytes) -> SealedLetter:
        """The letter of a message. Raises CannotOpen when it was sealed with a key that is not configured."""
        content: dict[str, Any] = json.loads(self._envelope.open(sealed, PLACE))
        reference, expires_at = content.pop("reference"), datetime.fromisoformat(content.pop("expires_at"))
        return SealedLetter(Letter(**content), reference, expires_at)

    def state(self, unit: Unit, message_id: int) -> MailState:
        """What became of the letter; EXPIRED where the message is no longer kept."""
        query = select(
            OutboxMessage.delivered_at, OutboxMessage.failed_at, OutboxMessage.failure, OutboxMessage.expires_at
        ).where(OutboxMessage.id == message_id, OutboxMessage.kind == KIND)
        found = unit.execute(query).one_or_none()
        if found is None:
            return MailState.EXPIRED
        if found.delivered_at is not None:
            return MailState.SENT
        if found.failed_at is not None and found.failure != EXPIRED:
            return MailState.FAILING
        if found.failed_at is not None or found.expires_at is not None and found.expires_at <= self._clock.now():
            return MailState.EXPIRED
        return MailState.WAITING if found.failure is None else MailState.FAILING
