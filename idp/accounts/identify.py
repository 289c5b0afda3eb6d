"""Organisation code + username + password: the first step of signing in.

    pay       one attempt is counted, committed before anything is looked at
    verify    one argon2id verification, of the account's hash or of a dummy: unknown accounts cost the same
    record    the count starts anew, in the transaction that records the proof

Whether the code, the username or the password was wrong is never told, and a blocked account only after a right
password.
"""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account, Organization
from idp.accounts.names import canonical
from idp.accounts.passwords import Passwords
from idp.attempts.budget import Attempts, Payment
from idp.store.units import UnitsOfWork

UNKNOWN_DEVICE = "unknown device"


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


class Identification:
    """The password step."""

    def __init__(self, units: UnitsOfWork, passwords: Passwords, attempts: Attempts) -> None:
        self._units, self._passwords, self._attempts = units, passwords, attempts

    def admitted(self) -> AbstractContextManager[None]:
        """A place in the queue for hashing, to be had before paying. Raises Throttled when all are taken."""
        return self._passwords.admitted()

    def pay(self, typed: Typed, device: str = UNKNOWN_DEVICE) -> Payment:
        """One attempt for this name and device is counted, whether or not there is such an account."""
        with self._units.writing() as unit:
            return self._attempts.pay(unit, typed.org_code, typed.username, device)

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
        self._attempts.succeed(unit, typed.org_code, typed.username, device)
        return True


def find(unit: Unit, org_code: str, username: str) -> Account | None:
    """The account with these canonical names."""
    query = select(Account).join(Account.organization)
    return unit.scalars(query.where(Organization.org_code == org_code, Account.username == username)).one_or_none()
