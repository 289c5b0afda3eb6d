"""The face each second factor has."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, Protocol, runtime_checkable

from sqlalchemy.orm import Session as Unit

from idp.factors.models import Credential, SentCode
from idp.mail.letters import Desk


class Verdict(StrEnum):
    """What came of an answer. An expected "no" is a value."""

    RIGHT = "right"
    WRONG = "wrong"
    USED = "used"
    """The code is right, but it was accepted before."""
    EMPTY = "empty"
    SHORT = "short"
    LONG = "long"
    NOT_DIGITS = "not_digits"


@dataclass(frozen=True)
class Person:
    """Who enrols: what the page and the app show, and where codes can be sent."""

    username: str
    issuer_name: str
    address: str | None = None


@dataclass(frozen=True)
class Enrolment:
    """An enrolment that was begun: kept sealed on the interaction until the first right code, never in a form.

    `secret` is what the factor will prove the possession of: a key, or the address of a mailbox.
    """

    secret: bytes


Purpose = Literal["enrolment", "verification"]


@dataclass(frozen=True)
class Occasion:
    """Whose code it is, what it is for, and in which browser it is good (by the hash of its binding)."""

    account_id: int
    purpose: Purpose
    browser_hash: bytes


@dataclass(frozen=True)
class Recipient:
    """Where a code goes, and what its message says around it."""

    address: str
    language: str
    time_zone: str
    device: str
    desk: Desk


@dataclass(frozen=True)
class Sent:
    """A code is on its way."""

    valid_until: datetime


@dataclass(frozen=True)
class NotYet:
    """Nothing was sent; `limit` is what stands in the way until then: `pause`, `hour`, `day` or `address`."""

    until: datetime
    limit: str


@dataclass(frozen=True)
class SendingState:
    """What the page of a code that is sent tells: the newest live code, and when the next one can be asked for."""

    valid_until: datetime | None
    message_id: int | None
    next_at: datetime | None
    limit: str | None


class SecondFactor(Protocol):
    """One method of proving more than a password.

    `reaches` is the level that password and this factor reach together; `amr` what it adds to the claim (RFC 8176).
    One whose codes travel to the person also has the face of `SendsCodes`.

    A *mark* is what an answer uses up: a time step, or the row of a code that was sent.
    """

    name: str
    reaches: int
    amr: tuple[str, ...]

    def begin_enrolment(self, address: str | None = None) -> Enrolment:
        """A new secret, known to nobody yet; for a factor that is sent, the address to be proven."""
        ...

    def enrolment_page(self, enrolment: Enrolment, person: Person) -> dict[str, Any]:
        """What the page of setting up shows, by the names of its template; `qr` is drawn as a QR code."""
        ...

    def new_credential(self, enrolment: Enrolment, mark: int | None) -> dict[str, Any]:
        """The columns of the credential that are this factor's own, once it is proven."""
        ...

    def live(self, unit: Unit, occasion: Occasion, now: datetime) -> tuple[SentCode, ...]:
        """The codes of this occasion that an answer is compared with; none for a factor that is not sent."""
        ...

    def check_form(self, answer: str) -> Verdict | None:
        """What is wrong with the answer whatever the secret is; None when it has to be verified."""
        ...

    def verify_enrolment(
        self, enrolment: Enrolment, answer: str, now: datetime, sent: tuple[SentCode, ...] = ()
    ) -> tuple[Verdict, int | None]:
        """Whether the answer proves that the person holds the secret, and the mark that it uses up."""
        ...

    def use_enrolment(self, unit: Unit, occasion: Occasion, mark: int | None, now: datetime) -> bool:
        """The one statement that uses an enrolment's answer up. False: it was used before, or is no longer live."""
        ...

    def verify(
        self, credential: Credential, secret: bytes, answer: str, now: datetime, sent: tuple[SentCode, ...] = ()
    ) -> tuple[Verdict, int | None]:
        """Whether the answer is right for this credential, and the mark that it uses up. Changes nothing."""
        ...

    def use(self, unit: Unit, credential: Credential, mark: int | None, now: datetime) -> bool:
        """The one statement that uses the answer up. False: it was used before, or the credential is out of force."""
        ...


@runtime_checkable
class SendsCodes(SecondFactor, Protocol):
    """A factor whose codes travel to the person, who needs an address for it; `send` comes before `verify`."""

    def send(self, unit: Unit, occasion: Occasion, to: Recipient, now: datetime) -> Sent | NotYet:
        """A fresh code is on its way if the open unit of work is committed, as far as the limits allow it."""
        ...

    def sending(self, unit: Unit, occasion: Occasion, address: str, now: datetime) -> SendingState:
        """What was sent on this occasion. Changes nothing."""
        ...
