"""The face each second factor has."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from sqlalchemy.orm import Session

from idp.factors.models import Credential


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
    """Who enrols: what the page and the app show."""

    username: str
    issuer_name: str


@dataclass(frozen=True)
class Enrolment:
    """An enrolment that was begun: kept sealed on the interaction until the first right code, never in a form."""

    secret: bytes


class SecondFactor(Protocol):
    """One method of proving more than a password.

    `reaches` is the level that password and this factor reach together; `amr` what it adds to the claim (RFC 8176).
    """

    name: str
    reaches: int
    amr: tuple[str, ...]

    def enrolment_page(self, enrolment: Enrolment, person: Person) -> dict[str, Any]:
        """What the page of setting up shows, by the names of its template; `qr` is drawn as a QR code."""
        ...

    def begin_enrolment(self) -> Enrolment:
        """A new secret, known to nobody yet."""
        ...

    def check_form(self, answer: str) -> Verdict | None:
        """What is wrong with the answer whatever the secret is; None when it has to be verified."""
        ...

    def verify_enrolment(self, enrolment: Enrolment, answer: str, now: datetime) -> tuple[Verdict, int | None]:
        """Whether the answer proves that the person holds the secret, and the time step that it used."""
        ...

    def verify(self, credential: Credential, secret: bytes, answer: str, now: datetime) -> tuple[Verdict, int | None]:
        """Whether the answer is right for this credential, and the time step that it used. Changes nothing."""
        ...

    def use(self, session: Session, credential: Credential, step: int | None, now: datetime) -> bool:
        """The one statement that uses the answer up. False: it was used before, or the credential is out of force."""
        ...
