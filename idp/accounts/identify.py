"""Organisation code + username + password: the first step of signing in.

    device_of   which budget is paid from: that of a known device of this account, or that of all others together
    pay         one attempt is counted, committed before anything is looked at
    verify      one argon2id verification, of the account's hash or of a dummy: unknown accounts cost the same
    record      the count starts anew, in the transaction that records the proof
    fail        the password was wrong: counted for the organisation and for all together, and perhaps an alarm

Unknown devices also pay from the budget of where they come from, so that trying one password on many accounts ends
soon; while there is an alarm over all, each source has a tenth of it. Known devices are never turned away for that.

Whether the code, the username or the password was wrong is never told, and a blocked account only after a right
password.
"""

import logging
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Unit

from idp.accounts.devices import Devices
from idp.accounts.models import Account, Organization
from idp.accounts.names import canonical
from idp.accounts.passwords import Passwords
from idp.attempts.budget import Attempts, Paid, Payment
from idp.attempts.counts import Counts, source_of
from idp.audit.events import OrganizationUnderAttack, PasswordsUnderAttack
from idp.audit.trail import Trail, request_origin
from idp.kernel.errors import Throttled
from idp.store.units import UnitsOfWork

log = logging.getLogger(__name__)

UNKNOWN_DEVICE = "unknown device"
UNKNOWN_ORGANIZATION = "unknown"
# What is left of a source's tries while there is an alarm over all.
UNDER_ATTACK = 10


@dataclass(frozen=True)
class Typed:
    """What was typed, in canonical form; the password as it came."""

    org_code: str
    username: str
    password: str

    @classmethod
    def of(cls, organisation: str, username: str, password: str) -> "Typed":
        return cls(canonical(organisation), canonical(username), password)


@dataclass(frozen=True)
class Identified:
    """The password was right for this account."""

    account: Account
    verified_hash: str
    new_hash: str | None


@dataclass(frozen=True)
class FailureLimits:
    """Wrong passwords within an hour: of one source before it is turned away, of an organisation and of all: alarms."""

    per_source: int
    per_organization: int
    overall: int


class Failures:
    """Wrong passwords over many accounts."""

    def __init__(self, counts: Counts, trail: Trail, limits: FailureLimits) -> None:
        self._counts, self._trail, self._limits = counts, trail, limits

    def pay(self, unit: Unit) -> None:
        """The source of the present request has one try less. Raises Throttled when it has none left."""
        source = _source()
        limit = self._limits.per_source
        if self._counts.number(unit, "overall") >= self._limits.overall:
            limit = max(1, limit // UNDER_ATTACK)
        if not self._counts.pay(unit, limit, *source):
            detail = "too many wrong passwords from one source"
            raise Throttled(self._counts.left(unit, *source), detail=detail)

    def give_back(self, unit: Unit) -> None:
        """It was no wrong password after all."""
        self._counts.give_back(unit, *_source())

    def count(self, unit: Unit, organization_id: int | None) -> None:
        """One more wrong password; what reaches a limit raises an alarm, once within an hour."""
        # An unknown organisation code costs the same work, and all of them together have one row.
        subject = UNKNOWN_ORGANIZATION if organization_id is None else str(organization_id)
        of_organization = self._counts.count(unit, "organization", subject)
        overall = self._counts.count(unit, "overall")
        if of_organization == self._limits.per_organization and organization_id is not None:
            log.error("ALARM: %d wrong passwords for one organisation within an hour", of_organization)
            self._trail.record(unit, OrganizationUnderAttack(failures=of_organization, organization_id=organization_id))
        if overall == self._limits.overall:
            log.error("ALARM: %d wrong passwords within an hour", overall)
            self._trail.record(unit, PasswordsUnderAttack(failures=overall))


def _source() -> tuple[str, str]:
    return "source", source_of(request_origin.get())


class Identification:
    """The password step."""

    def __init__(
        self, units: UnitsOfWork, passwords: Passwords, attempts: Attempts, devices: Devices, failures: Failures
    ) -> None:
        self._units, self._passwords, self._attempts = units, passwords, attempts
        self._devices, self._failures = devices, failures

    def admitted(self, device: str = UNKNOWN_DEVICE) -> AbstractContextManager[None]:
        """A place in the queue for hashing, to be had before paying. Raises Throttled when all are taken."""
        return self._passwords.admitted(is_known=device != UNKNOWN_DEVICE)

    def device_of(self, typed: Typed, secret: str | None) -> str:
        """The device with this cookie, as `pay`, `record` and `waits_until` want it."""
        if secret is None:
            return UNKNOWN_DEVICE
        with self._units.reading() as unit:
            return self._devices.known(unit, typed.org_code, typed.username, secret) or UNKNOWN_DEVICE

    def pay(self, typed: Typed, device: str = UNKNOWN_DEVICE) -> Payment:
        """One attempt for this name and device is counted, whether or not there is such an account.

        Raises Throttled when an unknown device comes from where too many wrong passwords came from: nobody's count
        moves then.
        """
        with self._units.writing() as unit:
            if device == UNKNOWN_DEVICE:
                self._failures.pay(unit)
            payment = self._attempts.pay(unit, typed.org_code, typed.username, device)
            if device == UNKNOWN_DEVICE and not isinstance(payment, Paid):
                self._failures.give_back(unit)
            return payment

    def fail(self, typed: Typed) -> None:
        """The password was wrong: to be called once nothing is open, whoever it was and from whichever device."""
        with self._units.writing() as unit:
            organization_id = unit.scalar(select(Organization.id).where(Organization.org_code == typed.org_code))
            self._failures.count(unit, organization_id)

    def waits_until(self, typed: Typed, device: str = UNKNOWN_DEVICE) -> datetime | None:
        """When the next attempt for this name and device will be taken; None when it is taken now."""
        with self._units.reading() as unit:
            return self._attempts.waiting_until(unit, typed.org_code, typed.username, device)

    def verify(self, typed: Typed) -> Identified | None:
        """The account, if its password is right. Opens no transaction while it hashes."""
        with self._units.reading() as unit:
            account = find(unit, typed.org_code, typed.username)
        stored = account.password_hash if account else None
        verification = self._passwords.verify(typed.password, stored)
        if account is None or stored is None or not verification.matches:
            return None
        new_hash = self._passwords.hash(typed.password) if verification.needs_rehash else None
        return Identified(account, stored, new_hash)

    def record(self, unit: Unit, identified: Identified, typed: Typed, device: str = UNKNOWN_DEVICE) -> bool:
        """The proof holds in this transaction: the password is still the one that was verified, the count starts anew.

        False when it was changed, or the account blocked, between verification and now.
        """
        account = Account.__table__
        # Without a better hash the row is written as it is: what counts is the condition, decided by the database.
        values = {"password_hash": identified.new_hash or identified.verified_hash}
        holds = unit.execute(
            update(Account)
            .where(
                account.c.id == identified.account.id,
                account.c.password_hash == identified.verified_hash,
                account.c.blocked_at.is_(None),
            )
            .values(values)
            .returning(account.c.id)
        ).one_or_none()
        if holds is None:
            return False
        # In the order in which they were paid, so that two requests never wait for each other.
        if device == UNKNOWN_DEVICE:
            self._failures.give_back(unit)
        self._attempts.succeed(unit, typed.org_code, typed.username, device)
        return True


def find(unit: Unit, org_code: str, username: str) -> Account | None:
    """The account with these canonical names."""
    query = select(Account).join(Account.organization)
    return unit.scalars(query.where(Organization.org_code == org_code, Account.username == username)).one_or_none()
