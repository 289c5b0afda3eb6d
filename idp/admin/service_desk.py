"""What the service desk does for somebody who cannot get in, each with a trace of who did it and why.

    reset                 every second factor is withdrawn, every session ends, and the person chooses anew
    undo_reset            within ten minutes, and while nothing new is enrolled, everything is as it was
    lift_wait             the present wait after wrong attempts is over; the count stays
    extend                one person may postpone until a later day
    withdraw_extension    and no longer
    show                  what the desk sees of one account

Each is one unit of work with the account locked: whoever signs in at the same moment comes before it, and is signed
out, or after it, and finds what it left (see `docs/decisions/0012-what-the-service-desk-may-do.md`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, exists, func, select, update
from sqlalchemy.orm import Session as Unit

from idp.accounts.correspondence import Correspondence, distinct, language_of
from idp.accounts.devices import Devices
from idp.accounts.identify import UNKNOWN_DEVICE
from idp.accounts.models import Account, KnownDevice, Reset
from idp.admin import extensions
from idp.admin.accounts import EnrolledMethod, found, locked, methods_of
from idp.admin.refusals import Reasons
from idp.attempts.budget import Attempts
from idp.audit.events import (
    ExtensionGiven,
    ExtensionWithdrawn,
    SecondFactorReset,
    SecondFactorResetUndone,
    WaitLifted,
)
from idp.audit.trail import Trail
from idp.factors.models import Credential, SentCode
from idp.factors.registry import FACTORS
from idp.kernel.clock import Clock
from idp.kernel.errors import Refused
from idp.mail import letters
from idp.mail.letters import Desk, Letter
from idp.mail.post import Post
from idp.sessions.lifecycle import Sessions
from idp.store.units import UnitsOfWork

LONGEST = {"reason": 500, "caller_checked": 200, "actor": 100}

Kind = Literal["password", "second_factor"]
KINDS: tuple[Kind, ...] = ("password", "second_factor")


@dataclass(frozen=True)
class ResetTimes:
    """How long somebody can enrol after a reset, and how long the reset can be undone."""

    window: timedelta
    undo: timedelta


@dataclass(frozen=True)
class Wait:
    """Attempts of this kind are not taken until then. `method` names the second factor, None for the password."""

    kind: Kind
    method: str | None
    until: datetime


@dataclass(frozen=True)
class ShownPerson:
    """What the service desk sees: the account, its second factors, its waits and its newest reset.

    `undo_until` is when that reset can no longer be undone; None when it cannot be now.
    """

    account: Account
    methods: Sequence[EnrolledMethod]
    waits: Sequence[Wait]
    reset: Reset | None
    undo_until: datetime | None


@dataclass(frozen=True)
class Counted:
    """Something of the account that can be guessed at, and where its attempts are counted."""

    attempts: Attempts
    method: str | None
    subject: tuple[str, ...]


class ServiceDesk:
    """The use cases of the service desk. `actor` is who sits at the desk; unknown people are refused everywhere."""

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        trail: Trail,
        sessions: Sessions,
        post: Post,
        correspondence: Correspondence,
        attempts: Mapping[str, Attempts],
        times: ResetTimes,
    ) -> None:
        self._units, self._clock, self._trail, self._sessions = units, clock, trail, sessions
        self._post, self._correspondence = post, correspondence
        self._attempts, self._times = attempts, times

    def reset(self, org_code: str, username: str, *, reason: str, caller_checked: str, actor: str) -> Reset:
        """Nothing that was enrolled or postponed counts any more, and every session of the account is over.

        Enrolling is possible until the window ends; a second reset while it is open opens it anew. Half-made sign-ins
        begin again, codes that are on their way are spent, no device is known. The person is told by mail, at the
        account's address and at those where codes went. `caller_checked` says how the desk made sure who called.
        Raises Refused.
        """
        said = _said(reason=reason, caller_checked=caller_checked, actor=actor)
        with self._units.writing() as unit:
            account = locked(unit, org_code, username)
            now = self._clock.now()
            reset = Reset(account_id=account.id, at=now, restores=_kept(account), undone_at=None, **said)
            unit.add(reset)
            unit.flush()  # the credentials name it
            withdrawn = _set(
                unit, _in_force(account), Credential.address, withdrawn_at=now, withdrawn_by_reset_id=reset.id
            )
            account.last_postponed_at = account.postpone_extended_until = None
            account.reset_at = account.proofs_void_before = account.updated_at = now
            account.enrolment_open_until = now + self._times.window
            self._sessions.end_all_of(unit, account.id, "credential_reset")
            Devices.forget(unit, account.id)
            for factor in FACTORS:
                # Whoever guessed at what was being set up does not keep its owner waiting.
                self._attempts["enrolment"].succeed(unit, str(account.id), factor.name)
            live = (SentCode.account_id == account.id, SentCode.used_at.is_(None))
            _set(unit, live, SentCode.id, used_at=now)
            self._write(unit, account, letters.second_factor_reset, withdrawn, now)
            event = SecondFactorReset(
                reset_id=reset.id,
                credentials=len(withdrawn),
                enrolment_open_until=account.enrolment_open_until.isoformat(),
                reason=said["reason"],
                caller_checked=said["caller_checked"],
                **_about(account, said),
            )
            self._trail.record(unit, event)
        return reset

    def undo_reset(self, org_code: str, username: str, *, actor: str) -> Reset:
        """The newest reset did not happen: what it withdrew is in force again. Sessions stay ended.

        Signed in since then without what is in force again: that is over too. Of two resets, one after the other, the
        newer one is undone, then the older. The person is told by mail. Raises Refused, with the reason: there was no
        reset, it is undone already, something new is enrolled, or it is too long ago.
        """
        said = _said(actor=actor)
        with self._units.writing() as unit:
            account = locked(unit, org_code, username)
            now = self._clock.now()
            of_account = (Reset.account_id == account.id, Reset.undone_at.is_(None))
            newest = select(func.max(Reset.id)).where(*of_account).scalar_subquery()
            undoable = (Reset.id == newest, *of_account, Reset.at > now - self._times.undo)
            undone = _set(unit, (*undoable, ~exists().where(*_in_force(account))), Reset.id, undone_at=now)
            if not undone:
                raise self._why_not(unit, account)
            reset = unit.get_one(Reset, undone[0])
            restored = _set(
                unit,
                (
                    Credential.account_id == account.id,
                    Credential.withdrawn_by_reset_id == reset.id,
                    # Old resets are deleted, and SQLite gives their numbers again.
                    Credential.withdrawn_at == reset.at,
                ),
                Credential.address,
                withdrawn_at=None,
                withdrawn_by_reset_id=None,
            )
            for name, value in _restored(reset).items():
                setattr(account, name, value)
            account.proofs_void_before = account.updated_at = now
            self._sessions.end_all_of(unit, account.id, "credential_reset")
            self._write(unit, account, letters.second_factor_reset_undone, restored, now)
            event = SecondFactorResetUndone(reset_id=reset.id, credentials=len(restored), **_about(account, said))
            self._trail.record(unit, event)
        return reset

    def lift_wait(self, org_code: str, username: str, *, kind: Kind, actor: str) -> datetime:
        """One attempt is taken now; a wrong one starts the wait that would have come next. The count stays.

        When the last of the waits would have ended. Raises Refused when nobody has to wait.
        """
        said = _said(actor=actor)
        with self._units.writing() as unit:
            account = locked(unit, org_code, username)
            counted = self._counted(unit, account, kind)
            lifted = [until for each in counted if (until := each.attempts.lift(unit, *each.subject))]
            if not lifted:
                what = kind.replace("_", " ")
                raise Refused("service_desk.no_wait", f"there is no wait for the {what} of {username!r} to lift")
            self._trail.record(
                unit, WaitLifted(kind=kind, would_have_ended_at=max(lifted).isoformat(), **_about(account, said))
            )
        return max(lifted)

    def extend(self, org_code: str, username: str, *, until: date, reason: str, actor: str) -> Account:
        """This person may postpone until that day of the organisation's calendar, the day included.

        Raises Refused for a day that means nothing and for whoever may not postpone (see `extensions`).
        """
        said = _said(reason=reason, actor=actor)
        with self._units.writing() as unit:
            account = locked(unit, org_code, username)
            now = self._clock.now()
            extensions.check_last_day(account, until, now)
            may = (Account.id == account.id, Account.role == "person", Account.reset_at.is_(None))
            free = ~exists().where(*_in_force(account))
            if not _set(unit, (*may, free), Account.id, postpone_extended_until=until, updated_at=now):
                raise extensions.why_none(account)
            unit.refresh(account)
            event = ExtensionGiven(until=until.isoformat(), reason=said["reason"], **_about(account, said))
            self._trail.record(unit, event)
        return account

    def withdraw_extension(self, org_code: str, username: str, *, actor: str, reason: str | None = None) -> Account:
        """The organisation's last day holds for this person too, from the next sign-in on. Raises Refused."""
        said = _said(actor=actor, **({} if reason is None else {"reason": reason}))
        with self._units.writing() as unit:
            account = locked(unit, org_code, username)
            until = account.postpone_extended_until
            if until is None:
                raise Refused("service_desk.no_extension", f"{username!r} has no extension to take back")
            account.postpone_extended_until, account.updated_at = None, self._clock.now()
            event = ExtensionWithdrawn(until=until.isoformat(), reason=said.get("reason"), **_about(account, said))
            self._trail.record(unit, event)
        return account

    def show(self, org_code: str, username: str) -> ShownPerson:
        """What the desk sees of one account. Raises Refused."""
        with self._units.reading() as unit:
            account = found(unit, org_code, username)
            waits = [
                Wait(kind, each.method, until)
                for kind in KINDS
                for each in self._counted(unit, account, kind)
                if (until := each.attempts.waiting_until(unit, *each.subject))
            ]
            methods = methods_of(unit, account)
            reset = unit.scalars(
                select(Reset).filter_by(account_id=account.id).order_by(Reset.id.desc()).limit(1)
            ).one_or_none()
            return ShownPerson(account, methods, waits, reset, self._undo_until(reset, bool(methods)))

    def _undo_until(self, reset: Reset | None, is_enrolled: bool) -> datetime | None:
        if reset is None or reset.undone_at is not None or is_enrolled:
            return None
        until = reset.at + self._times.undo
        return until if self._clock.now() < until else None

    def _counted(self, unit: Unit, account: Account, kind: Kind) -> Sequence[Counted]:
        """What is counted about the account: by second factor, also while it is being set up; or by device."""
        if kind == "second_factor":
            return [
                Counted(self._attempts[counter], factor.name, (str(account.id), factor.name))
                for factor in FACTORS
                for counter in ("second_factor", "enrolment")
            ]
        known = unit.scalars(select(KnownDevice.device_hash).filter_by(account_id=account.id))
        devices = [UNKNOWN_DEVICE, *sorted(device.hex() for device in known)]
        names = (account.organization.org_code, account.username)
        return [Counted(self._attempts["password"], None, (*names, device)) for device in devices]

    def _write(
        self,
        unit: Unit,
        account: Account,
        letter: Callable[[Desk, str, str, datetime, str], Letter],
        addresses: Sequence[str | None],
        at: datetime,
    ) -> None:
        """To the account's own address, and to those that were proven to be the person's."""
        organization = account.organization
        desk = self._correspondence.desk(organization)
        for address in distinct([account.email, *addresses]):
            self._post.enqueue(unit, letter(desk, address, language_of(account), at, organization.time_zone))

    def _why_not(self, unit: Unit, account: Account) -> Refused:
        who = f"{account.organization.org_code} {account.username}"
        newest = unit.scalars(select(Reset).filter_by(account_id=account.id).order_by(Reset.id.desc())).first()
        if newest is None:
            return Refused("service_desk.no_reset", f"there was no reset of {who}")
        if newest.undone_at is not None:
            return Refused("service_desk.undone_already", f"the reset of {who} is undone already")
        if unit.scalar(select(exists().where(*_in_force(account)))):
            return Refused("service_desk.enrolled_since", f"{who} enrolled something new since the reset: it stays")
        minutes = self._times.undo // timedelta(minutes=1)
        return Refused("service_desk.too_late", f"a reset can be undone for {minutes} minutes, and these are over")


def _said(**texts: str) -> dict[str, str]:
    """The texts, each one line that says something. Raises Refusals."""
    wrong = Reasons()
    said = {name: text.strip() for name, text in texts.items()}
    for name, text in said.items():
        fits = 0 < len(text) <= LONGEST[name] and text.isprintable()
        wrong.unless(fits, f"service_desk.{name}", f"{name} is needed: one line of at most {LONGEST[name]} characters")
    wrong.raise_any()
    return said


def _about(account: Account, said: Mapping[str, str]) -> dict[str, Any]:
    """Whom an event is about, and who did it."""
    return {"account_id": account.id, "organization_id": account.organization_id, "actor": said["actor"]}


def _in_force(account: Account) -> tuple[ColumnElement[bool], ...]:
    """Which credentials count as enrolled, disabled ones too."""
    return Credential.account_id == account.id, Credential.withdrawn_at.is_(None)


def _set(unit: Unit, where: Sequence[ColumnElement[bool]], returned: Any, **values: Any) -> Sequence[Any]:
    """One UPDATE of the rows for which all of it holds; `returned` of each row that was changed."""
    statement = update(returned.class_).where(*where).values(values).returning(returned)
    return unit.scalars(statement.execution_options(synchronize_session=False)).all()


# What a reset changes on the account and an undo puts back: how it is written down, and read.
_MOMENT: tuple[Callable[[Any], str], Callable[[str], Any]] = (datetime.isoformat, datetime.fromisoformat)
_DAY: tuple[Callable[[Any], str], Callable[[str], Any]] = (date.isoformat, date.fromisoformat)
_RESTORES = {
    "last_postponed_at": _MOMENT,
    "postpone_extended_until": _DAY,
    "reset_at": _MOMENT,
    "enrolment_open_until": _MOMENT,
}


def _kept(account: Account) -> dict[str, Any]:
    values = {name: getattr(account, name) for name in _RESTORES}
    return {name: None if value is None else _RESTORES[name][0](value) for name, value in values.items()}


def _restored(reset: Reset) -> dict[str, Any]:
    return {name: None if value is None else _RESTORES[name][1](value) for name, value in reset.restores.items()}
