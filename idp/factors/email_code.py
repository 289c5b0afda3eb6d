"""Codes by e-mail: six digits that travel to a mailbox which was proven to be the person's.

    send      one INSERT decides whether a mail may go now, and the message is in the outbox in the same transaction
    verify    the answer's keyed hash is compared with those of the codes that are live on this occasion
    use       one UPDATE spends the code; every other code of the account that was still live is spent with it

A code is good for one account, one purpose and one browser: all three are in its keyed hash. A new code does not kill
the one before it, because mails overtake each other; at most three are live. How often mail goes to an account or an
address is counted over all tabs, browsers and nodes. E-mail is no second factor for NIST SP 800-63B-4 3.1.3.1, so it
adds `otp` and never `mfa` (RFC 8176).
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, insert, literal, select, true, update
from sqlalchemy.orm import Session as Unit

from idp.attempts.models import EventCount
from idp.factors.base import Enrolment, NotYet, Occasion, Person, Recipient, SendingState, Sent, Verdict
from idp.factors.codes import DIGITS, cleaned, form_problem
from idp.factors.models import Credential, SentCode
from idp.kernel.levels import SECOND_FACTOR
from idp.kernel.secrets import DerivedKeys, is_same
from idp.mail import letters
from idp.mail.post import Post
from idp.store.base import UtcDateTime
from idp.store.dialects import insert_or

MOST_LIVE = 3
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Limits:
    """How long a code lives, and how often one is sent."""

    lifetime: timedelta
    pause: timedelta
    per_hour: int
    per_day: int
    per_address_per_hour: int


@dataclass(frozen=True)
class Cap:
    """No more than `number` mails within `window`, counted over the rows that `about` selects."""

    name: str
    window: timedelta
    number: int
    about: ColumnElement[bool]

    def number_sent(self, now: datetime) -> Any:
        """How many there were, as a part of a statement."""
        since = literal(now - self.window, UtcDateTime())
        return select(func.count()).where(self.about, SentCode.created_at > since).scalar_subquery()

    def open_from(self, unit: Unit, now: datetime) -> datetime | None:
        """When the next one may go; None when it may go now."""
        newest = select(SentCode.created_at).where(self.about, SentCode.created_at > now - self.window)
        nth = unit.scalar(newest.order_by(SentCode.created_at.desc()).offset(self.number - 1).limit(1))
        return None if nth is None else nth + self.window


class EmailCode:
    """`email`: access to a mailbox."""

    name = "email"
    reaches = SECOND_FACTOR
    amr: tuple[str, ...] = ("otp",)

    def __init__(self, keys: DerivedKeys, post: Post, limits: Limits) -> None:
        self._keys, self._post, self._limits = keys, post, limits

    def begin_enrolment(self, address: str | None = None) -> Enrolment:
        if address is None:
            raise ValueError("a mailbox has an address")
        return Enrolment(secret=address.encode())

    def enrolment_page(self, enrolment: Enrolment, person: Person) -> dict[str, Any]:
        return {"address": enrolment.secret.decode()}

    def new_credential(self, enrolment: Enrolment, mark: int | None) -> dict[str, Any]:
        return {"address": enrolment.secret.decode()}

    def send(self, unit: Unit, occasion: Occasion, to: Recipient, now: datetime) -> Sent | NotYet:
        address_hash = self._address_hash(to.address)
        self._wait_for_others(unit, address_hash, now)
        caps = self._caps(occasion.account_id, address_hash)
        code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
        valid_until = now + self._limits.lifetime
        values = {
            "account_id": occasion.account_id,
            "method": self.name,
            "purpose": occasion.purpose,
            "browser_hash": occasion.browser_hash,
            "address_hash": address_hash,
            "code_hash": self._code_hash(occasion, code),
            "created_at": now,
            "expires_at": valid_until,
        }
        columns = [SentCode.__table__.c[name] for name in values]
        row = select(*(literal(value, column.type) for value, column in zip(values.values(), columns, strict=True)))
        allowed = row.where(true(), *(cap.number_sent(now) < cap.number for cap in caps))
        made = unit.execute(insert(SentCode).from_select(list(values), allowed).returning(SentCode.id)).scalar()
        if made is None:
            return self._not_yet(unit, caps, now)
        letter = letters.code(
            to.desk, to.address, to.language, code, until=valid_until, zone=to.time_zone, requested_at=now,
            device=to.device,
        )  # fmt: skip
        message_id = self._post.enqueue(unit, letter, expires_at=valid_until)
        unit.execute(update(SentCode).where(SentCode.id == made).values(message_id=message_id))
        self._keep_newest(unit, occasion.account_id, now)
        return Sent(valid_until)

    def sending(self, unit: Unit, occasion: Occasion, address: str, now: datetime) -> SendingState:
        newest = next(iter(self.live(unit, occasion, now)), None)
        waits = self._waits(unit, self._caps(occasion.account_id, self._address_hash(address)), now)
        until, limit = max(waits, default=(None, None), key=lambda wait: wait[0])
        return SendingState(
            valid_until=newest.expires_at if newest else None,
            message_id=newest.message_id if newest else None,
            next_at=until,
            limit=limit,
        )

    def live(self, unit: Unit, occasion: Occasion, now: datetime) -> tuple[SentCode, ...]:
        """The newest first."""
        query = select(SentCode).filter_by(
            account_id=occasion.account_id,
            method=self.name,
            purpose=occasion.purpose,
            browser_hash=occasion.browser_hash,
            used_at=None,
        )
        newest = query.where(SentCode.expires_at > now).order_by(SentCode.created_at.desc(), SentCode.id.desc())
        return tuple(unit.scalars(newest.limit(MOST_LIVE)))

    def check_form(self, answer: str) -> Verdict | None:
        return form_problem(answer)

    def verify_enrolment(
        self, enrolment: Enrolment, answer: str, now: datetime, sent: tuple[SentCode, ...] = ()
    ) -> tuple[Verdict, int | None]:
        of_the_address = self._address_hash(enrolment.secret.decode())
        return self._matching([code for code in sent if is_same(code.address_hash, of_the_address)], answer, now)

    def use_enrolment(self, unit: Unit, occasion: Occasion, mark: int | None, now: datetime) -> bool:
        return self._spend(unit, occasion.account_id, mark, now)

    def verify(
        self, credential: Credential, secret: bytes, answer: str, now: datetime, sent: tuple[SentCode, ...] = ()
    ) -> tuple[Verdict, int | None]:
        return self._matching([code for code in sent if code.account_id == credential.account_id], answer, now)

    def use(self, unit: Unit, credential: Credential, mark: int | None, now: datetime) -> bool:
        in_force = unit.execute(
            update(Credential)
            .where(Credential.id == credential.id, Credential.disabled_at.is_(None), Credential.withdrawn_at.is_(None))
            .values(last_used_at=now)
            .returning(Credential.id)
        ).one_or_none()
        return in_force is not None and self._spend(unit, credential.account_id, mark, now)

    def _matching(self, codes: Sequence[SentCode], answer: str, now: datetime) -> tuple[Verdict, int | None]:
        for code in codes:
            # A condition of the table leaves no other purposes.
            occasion = Occasion(code.account_id, code.purpose, code.browser_hash)  # type: ignore[arg-type]
            if now < code.expires_at and is_same(code.code_hash, self._code_hash(occasion, cleaned(answer))):
                return Verdict.RIGHT, code.id
        return Verdict.WRONG, None

    def _spend(self, unit: Unit, account_id: int, mark: int | None, now: datetime) -> bool:
        """Of two answers at once one wins; with the code every other one that was still live is spent."""
        live = (SentCode.account_id == account_id, SentCode.method == self.name, SentCode.used_at.is_(None))
        spent = unit.execute(
            update(SentCode)
            .where(SentCode.id == mark, *live, SentCode.expires_at > now)
            .values(used_at=now)
            .returning(SentCode.id)
        ).one_or_none()
        if spent is None:
            return False
        unit.execute(update(SentCode).where(*live, SentCode.expires_at > now).values(used_at=now))
        return True

    def _keep_newest(self, unit: Unit, account_id: int, now: datetime) -> None:
        """At most three codes of the account are live."""
        live = (SentCode.account_id == account_id, SentCode.method == self.name, SentCode.used_at.is_(None))
        kept = select(SentCode.id).where(*live, SentCode.expires_at > now).order_by(SentCode.id.desc()).limit(MOST_LIVE)
        unit.execute(update(SentCode).where(*live, SentCode.id.not_in(kept)).values(used_at=now))

    def _caps(self, account_id: int, address_hash: bytes) -> tuple[Cap, ...]:
        limits = self._limits
        of_address, of_account = SentCode.address_hash == address_hash, SentCode.account_id == account_id
        return (
            Cap("pause", limits.pause, 1, of_address),
            Cap("hour", HOUR, limits.per_hour, of_account),
            Cap("day", DAY, limits.per_day, of_account),
            Cap("address", HOUR, limits.per_address_per_hour, of_address),
        )

    def _waits(self, unit: Unit, caps: Sequence[Cap], now: datetime) -> list[tuple[datetime, str]]:
        return [(until, cap.name) for cap in caps if (until := cap.open_from(unit, now)) is not None and until > now]

    def _not_yet(self, unit: Unit, caps: Sequence[Cap], now: datetime) -> NotYet:
        until, limit = max(self._waits(unit, caps, now), default=(now + self._limits.pause, "pause"))
        return NotYet(until, limit)

    def _wait_for_others(self, unit: Unit, address_hash: bytes, now: datetime) -> None:
        """Whoever else is sending to this address, for whatever account, comes before or after, not beside."""
        values = {
            "key": self._keys.mac("sent codes", address_hash.hex()),
            "kind": "sent_codes",
            "window_started_at": now,
            "number": 1,
            "updated_at": now,
        }
        unit.execute(
            insert_or(unit, EventCount)
            .values(values)
            .on_conflict_do_update(index_elements=[EventCount.key], set_={"updated_at": now})
        )

    def _address_hash(self, address: str) -> bytes:
        """A mailbox is one mailbox, however its letters are written."""
        return self._keys.mac("address", address.strip().casefold())

    def _code_hash(self, occasion: Occasion, code: str) -> bytes:
        about = (str(occasion.account_id), occasion.purpose, occasion.browser_hash.hex())
        return self._keys.mac("sent code", *about, code)
