"""Accounts, as administrators see them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict, Unpack

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Unit

from idp.accounts import identify
from idp.accounts.addresses import is_email_address
from idp.accounts.correspondence import Correspondence, distinct, language_of
from idp.accounts.devices import Devices
from idp.accounts.models import ROLES, Account, Organization, lock_account
from idp.accounts.names import canonical, checked
from idp.accounts.passwords import CONTAINS_NAME, NOT_TEXT, TOO_COMMON, TOO_LONG, TOO_SHORT, Passwords
from idp.accounts.standard_claims import problem_with
from idp.admin import organizations
from idp.admin.refusals import Reasons
from idp.audit.events import AccountChanged
from idp.audit.trail import Trail
from idp.factors.models import Credential, SentCode
from idp.kernel.clock import Clock
from idp.kernel.errors import Refused
from idp.kernel.secrets import random_identifier
from idp.mail import letters
from idp.mail.post import Post
from idp.sessions.lifecycle import Sessions
from idp.store.units import UnitsOfWork

LONGEST = {"name": 200, "given_name": 100, "family_name": 100}
LONGEST_REASON = 500
# A language, or a language and a country: the part of BCP 47 that people's browsers and records use.
LOCALE = re.compile(r"[a-z]{2,3}(-[A-Z]{2})?")
PASSWORD_PROBLEMS = {
    TOO_SHORT: "the password is too short",
    TOO_LONG: "the password is longer than 1024 bytes",
    TOO_COMMON: "the password is one that many people use",
    CONTAINS_NAME: "the password is made of the person's or the organisation's own names",
    NOT_TEXT: "the password holds what is no text",
}


@dataclass(frozen=True)
class EnrolledMethod:
    """A second factor of an account; a disabled one still counts as enrolled."""

    method: str
    label: str
    enrolled_at: datetime
    last_used_at: datetime | None
    is_disabled: bool


@dataclass(frozen=True)
class ShownAccount:
    """An account and its second factors."""

    account: Account
    methods: Sequence[EnrolledMethod]


class Changes(TypedDict, total=False):
    """What can be set later; None clears it."""

    name: str | None
    given_name: str | None
    family_name: str | None
    email: str | None
    locale: str | None
    standard_claims: Mapping[str, Any]


class Accounts:
    """Creates and changes accounts. `actor` is who does it, where that is known; `reason` is one line."""

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        trail: Trail,
        passwords: Passwords,
        sessions: Sessions,
        post: Post,
        correspondence: Correspondence,
    ) -> None:
        self._units, self._clock, self._trail = units, clock, trail
        self._passwords, self._sessions = passwords, sessions
        self._post, self._correspondence = post, correspondence

    def add(
        self,
        org_code: str,
        username: str,
        password: str | None = None,
        *,
        name: str | None = None,
        given_name: str | None = None,
        family_name: str | None = None,
        email: str | None = None,
        email_verified: bool = False,
        locale: str | None = None,
        role: str = "person",
        standard_claims: Mapping[str, Any] | None = None,
    ) -> Account:
        """The organisation has a new account; without a password nobody can sign in with it yet. Raises Refused."""
        canonical_name = checked(username, "username")
        with self._units.reading() as unit:
            organization = organizations.found(unit, org_code)
        now = self._clock.now()
        account = Account(
            organization=organization,
            username=canonical_name,
            username_shown=username.strip(),
            sub=random_identifier(),
            role=role,
            name=name,
            given_name=given_name,
            family_name=family_name,
            email=email,
            email_verified=email_verified,
            locale=locale,
            standard_claims=_joined({}, standard_claims or {}),
            created_at=now,
            updated_at=now,
        )
        wrong = Reasons()
        _check(account, wrong)
        if password is not None:
            # Nothing is enrolled yet: whether a second factor is due depends on dates that can still change.
            self._check_password(account, password, stands_alone=True, wrong=wrong)
        wrong.raise_any()
        if password is not None:
            account.password_hash, account.password_changed_at = self._passwords.hash(password), now
        self._insert(account)
        return account

    def set_password(self, org_code: str, username: str, password: str) -> Account:
        """Only the new password works, and every session of the account is over. Raises Refused."""
        with self._units.reading() as unit:
            account = found(unit, org_code, username)
            protected = any(not method.is_disabled for method in methods_of(unit, account))
        wrong = Reasons()
        self._check_password(account, password, stands_alone=not protected, wrong=wrong)
        wrong.raise_any()
        password_hash = self._passwords.hash(password)
        with self._units.writing() as unit:
            account = locked(unit, org_code, username)
            account.password_hash = password_hash
            account.password_changed_at = account.updated_at = account.proofs_void_before = self._clock.now()
            self._sessions.end_all_of(unit, account.id, "password_changed")
            Devices.forget(unit, account.id)
            self._record(unit, account, "password set")
        return account

    def set(self, org_code: str, username: str, *, actor: str | None = None, **changes: Unpack[Changes]) -> Account:
        """The changes given hold from now on; the others stay. Raises Refused.

        Another e-mail address is not verified, and both the old and the new one are told by mail; codes that were sent
        to enrol the old one are spent. Somebody who has codes by e-mail enrolled gets them where they always did: at
        the address that was proven then (`Credential.address`). A reset withdraws it.

        Of `standard_claims` those that are given change, and None takes one away. Another number is not verified.
        """
        with self._units.writing() as unit:
            account = locked(unit, org_code, username)
            old_address = account.email
            if "standard_claims" in changes:
                changes["standard_claims"] = _joined(account.standard_claims, changes["standard_claims"])
            changed = [name for name, value in changes.items() if getattr(account, name) != value]
            for name in changed:
                setattr(account, name, changes[name])  # type: ignore[literal-required]
            account.email_verified = account.email_verified and "email" not in changed
            wrong = Reasons()
            _check(account, wrong)
            wrong.raise_any()
            if changed:
                account.updated_at = self._clock.now()
                self._record(unit, account, "set " + ", ".join(changed), actor=actor)
            if "email" in changed:
                self._tell_both(unit, account, old_address)
        return account

    def block(self, org_code: str, username: str, *, reason: str | None = None, actor: str | None = None) -> Account:
        """Nobody can sign in with the account, and every session of it is over. Raises Refused."""
        reason = _checked_reason(reason)
        with self._units.writing() as unit:
            account = locked(unit, org_code, username)
            if account.blocked_at is None:
                account.blocked_at = account.updated_at = account.proofs_void_before = self._clock.now()
                self._record(unit, account, "blocked", reason, actor)
            self._sessions.end_all_of(unit, account.id, "account_disabled")
            Devices.forget(unit, account.id)
        return account

    def unblock(self, org_code: str, username: str, *, reason: str | None = None, actor: str | None = None) -> Account:
        """The account can be used again, with the password and the second factors it had. Raises Refused."""
        reason = _checked_reason(reason)
        with self._units.writing() as unit:
            account = locked(unit, org_code, username)
            if account.blocked_at is not None:
                account.blocked_at, account.updated_at = None, self._clock.now()
                self._record(unit, account, "unblocked", reason, actor)
        return account

    def list(self, org_code: str | None = None) -> Sequence[Account]:
        """The accounts of one organisation, or of all, by code and username. Raises Refused for an unknown code."""
        query = select(Account).join(Account.organization).order_by(Organization.org_code, Account.username)
        with self._units.reading() as unit:
            if org_code is not None:
                query = query.where(Account.organization_id == organizations.found(unit, org_code).id)
            return unit.scalars(query).all()

    def show(self, org_code: str, username: str) -> ShownAccount:
        """One account with its second factors. Raises Refused when there is none with these names."""
        with self._units.reading() as unit:
            account = found(unit, org_code, username)
            return ShownAccount(account, methods_of(unit, account))

    def _insert(self, account: Account) -> None:
        code = account.organization.org_code
        taken = Refused("account.exists", f"organisation {code} has an account {account.username!r} already")
        try:
            with self._units.writing() as unit:
                account.organization = organizations.found(unit, code)
                if identify.find(unit, code, account.username) is not None:
                    raise taken
                unit.add(account)
                unit.flush()  # the event needs its id
                self._record(unit, account, "created")
        except IntegrityError as error:
            # On PostgreSQL two can add the same username at once; the database lets one of them.
            raise taken from error

    def _check_password(self, account: Account, password: str, stands_alone: bool, wrong: Reasons) -> None:
        organization = account.organization
        own = (account.username, account.name, account.given_name, account.family_name, account.email)
        words = [word for word in (*own, organization.name, organization.org_code) if word]
        for key in self._passwords.check_new(password, stands_alone=stands_alone, context_words=words):
            wrong.add(key, PASSWORD_PROBLEMS[key])

    def _tell_both(self, unit: Unit, account: Account, old_address: str | None) -> None:
        now, organization = self._clock.now(), account.organization
        unit.execute(
            update(SentCode)
            .where(SentCode.account_id == account.id, SentCode.purpose == "enrolment", SentCode.used_at.is_(None))
            .values(used_at=now)
        )
        desk, language = self._correspondence.desk(organization), language_of(account)
        for address in distinct([old_address, account.email]):
            self._post.enqueue(unit, letters.address_changed(desk, address, language, now, organization.time_zone))

    def _record(
        self, unit: Unit, account: Account, change: str, reason: str | None = None, actor: str | None = None
    ) -> None:
        event = AccountChanged(
            change=change,
            reason=reason,
            account_id=account.id,
            organization_id=account.organization_id,
            actor=actor,
        )
        self._trail.record(unit, event)


def _check(account: Account, wrong: Reasons) -> None:
    wrong.unless(account.role in ROLES, "account.role_unknown", f"role is one of {', '.join(ROLES)}")
    shown = account.username_shown
    wrong.unless(
        shown.isprintable() and len(shown) <= 128, "username.name_not_allowed", "a username is one line of text"
    )
    for name, longest in LONGEST.items():
        text = getattr(account, name) or ""
        fits = len(text) <= longest and text.isprintable()
        wrong.unless(fits, f"account.{name}", f"{name} is one line of at most {longest} characters")
    if account.email is not None:
        fits = is_email_address(account.email)
        wrong.unless(fits, "account.email", f"{account.email!r} is no e-mail address")
    else:
        wrong.unless(not account.email_verified, "account.email", "only an address can be verified")
    for claim, value in account.standard_claims.items():
        problem = problem_with(claim, value)
        wrong.unless(problem is None, "account.standard_claims", problem or "")
    wrong.unless(
        account.locale is None or LOCALE.fullmatch(account.locale) is not None,
        "account.locale",
        f"{account.locale!r} is no locale such as nl or nl-NL",
    )


def _joined(kept: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A number that is another one is not verified, as with an e-mail address, unless that is said with it."""
    changes = dict(changes)
    if changes.get("phone_number", kept.get("phone_number")) != kept.get("phone_number"):
        changes.setdefault("phone_number_verified", None)
    return {name: value for name, value in {**kept, **changes}.items() if value is not None}


def _checked_reason(reason: str | None) -> str | None:
    if reason is None or not reason.strip():
        return None
    if len(reason) > LONGEST_REASON or not reason.strip().isprintable():
        raise Refused("account.reason", f"a reason is one line of at most {LONGEST_REASON} characters")
    return reason.strip()


def locked(unit: Unit, org_code: str, username: str) -> Account:
    """The account, locked before its sessions are, and as it is now that it is locked. Raises Refused."""
    account = found(unit, org_code, username)
    lock_account(unit, account.id)
    unit.refresh(account)
    return account


def methods_of(unit: Unit, account: Account) -> Sequence[EnrolledMethod]:
    """The second factors that count as enrolled, the oldest first."""
    query = select(Credential).filter_by(account_id=account.id, withdrawn_at=None).order_by(Credential.id)
    return [
        EnrolledMethod(each.method, each.label, each.enrolled_at, each.last_used_at, each.disabled_at is not None)
        for each in unit.scalars(query)
    ]


def found(unit: Unit, org_code: str, username: str) -> Account:
    """The account with these names, however they are spelled. Raises Refused."""
    account = identify.find(unit, canonical(org_code), canonical(username))
    if account is None:
        raise Refused("account.unknown", f"organisation {org_code!r} has no account {username!r}")
    return account
