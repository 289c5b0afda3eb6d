"""The authenticator app: time-based one-time passwords (RFC 6238), SHA-1, six digits, 30 seconds.

These parameters are what Google Authenticator, Microsoft Authenticator, Authy, andOTP and Digidentity all
understand; some of them silently ignore others. The secret has 160 bits (RFC 4226 4, R6) and is sealed at rest.
"""

import secrets
from base64 import b32encode
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import pyotp
from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from idp.factors.base import Enrolment, Occasion, Person, Verdict
from idp.factors.codes import cleaned, form_problem
from idp.factors.models import Credential, SentCode
from idp.kernel.levels import STRONG_SECOND_FACTOR
from idp.kernel.secrets import is_same

SECRET_BYTES = 20
STEP_SECONDS = 30
# One step either side: the code before and the code after the present one, for clocks that are a little off.
STEPS_EITHER_SIDE = 1


class Totp:
    """`totp`: something in the person's hand."""

    name = "totp"
    reaches = STRONG_SECOND_FACTOR
    amr: tuple[str, ...] = ("otp", "mfa")

    def enrolment_page(self, enrolment: Enrolment, person: Person) -> dict[str, Any]:
        uri = otpauth_uri(enrolment.secret, person.issuer_name, person.username)
        return {"qr": uri, "otpauth_uri": uri, "key_groups": key_groups(enrolment.secret)}

    def begin_enrolment(self, address: str | None = None) -> Enrolment:
        return Enrolment(secret=secrets.token_bytes(SECRET_BYTES))

    def new_credential(self, enrolment: Enrolment, mark: int | None) -> dict[str, Any]:
        return {"last_step": mark}

    def live(self, unit: Session, occasion: Occasion, now: datetime) -> tuple[SentCode, ...]:
        return ()

    def check_form(self, answer: str) -> Verdict | None:
        return form_problem(answer)

    def verify_enrolment(
        self, enrolment: Enrolment, answer: str, now: datetime, sent: tuple[SentCode, ...] = ()
    ) -> tuple[Verdict, int | None]:
        step = matching_step(enrolment.secret, cleaned(answer), now)
        return (Verdict.WRONG, None) if step is None else (Verdict.RIGHT, step)

    def use_enrolment(self, unit: Session, occasion: Occasion, mark: int | None, now: datetime) -> bool:
        """Nothing was accepted before: the new credential begins at this step."""
        return True

    def verify(
        self, credential: Credential, secret: bytes, answer: str, now: datetime, sent: tuple[SentCode, ...] = ()
    ) -> tuple[Verdict, int | None]:
        step = matching_step(secret, cleaned(answer), now)
        if step is None:
            return Verdict.WRONG, None
        if credential.last_step is not None and step <= credential.last_step:
            return Verdict.USED, step
        return Verdict.RIGHT, step

    def use(self, unit: Session, credential: Credential, mark: int | None, now: datetime) -> bool:
        """Each step is accepted once for ever, in rising order (RFC 6238 5.2): of two answers at once one wins."""
        used = unit.execute(
            update(Credential)
            .where(
                Credential.id == credential.id,
                Credential.disabled_at.is_(None),
                Credential.withdrawn_at.is_(None),
                or_(Credential.last_step.is_(None), Credential.last_step < mark),
            )
            .values(last_step=mark, last_used_at=now)
            .returning(Credential.id)
        )
        return used.one_or_none() is not None


def matching_step(secret: bytes, code: str, now: datetime) -> int | None:
    """The accepted time step whose code this is, the latest first; None when it is none of them."""
    totp = pyotp.TOTP(key_text(secret), digits=6, interval=STEP_SECONDS)
    present = int(now.timestamp()) // STEP_SECONDS
    for step in range(present + STEPS_EITHER_SIDE, present - STEPS_EITHER_SIDE - 1, -1):
        if is_same(totp.generate_otp(step), code):
            return step
    return None


def key_text(secret: bytes) -> str:
    """The secret as people type it: base32, 32 letters without padding."""
    return b32encode(secret).decode().rstrip("=")


def key_groups(secret: bytes) -> str:
    """The key in groups of four, for reading."""
    text = key_text(secret)
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def otpauth_uri(secret: bytes, issuer_name: str, username: str) -> str:
    """What the QR code says: the Key URI Format that all authenticator apps read.

    The issuer stands before the username and as a parameter, spaces are `%20` (some apps show a `+`), and the colon
    between them is the only one: it is taken out of both names.
    """
    issuer, account = issuer_name.replace(":", " "), username.replace(":", " ")
    parameters = {
        "secret": key_text(secret),
        "issuer": issuer,
        "algorithm": "SHA1",
        "digits": 6,
        "period": STEP_SECONDS,
    }
    return f"otpauth://totp/{quote(issuer, safe='')}:{quote(account, safe='')}?{urlencode(parameters, quote_via=quote)}"
