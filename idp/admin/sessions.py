"""Sessions, as administrators see them: which are live, what became of the others, and ending them.

Live is what the clock says: a session past its deadline is over here too, whether or not the sweep has come by.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Select, case, func, or_, select
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account, Organization, lock_account
from idp.accounts.names import canonical
from idp.admin import accounts, organizations
from idp.audit.events import SessionsEndedByAdministrator
from idp.audit.trail import Trail
from idp.kernel.clock import Clock
from idp.kernel.errors import Refused
from idp.oidc import receipts
from idp.oidc.receipts import Receipt
from idp.sessions import idle
from idp.sessions.lifecycle import Sessions, over_at
from idp.sessions.models import Participation, Session
from idp.store.units import UnitsOfWork

LONGEST_ACTOR = 100


@dataclass(frozen=True)
class ShownSession:
    """A session, whose it is, and how many applications take part in it.

    `ends_at` is when it is over if nothing happens any more. `over_at` and `reason` are None while it is live.
    """

    session: Session
    account: Account
    applications: int
    ends_at: datetime
    over_at: datetime | None
    reason: str | None


@dataclass(frozen=True)
class SessionWithReceipts:
    """One session: the clients in it, in the order they joined, and once it is over what each was told."""

    shown: ShownSession
    client_ids: Sequence[str]
    receipts: Sequence[Receipt]


@dataclass(frozen=True)
class Ended:
    """What ending came to: the sessions that were live until now, and what their applications hear.

    `told` applications have a notice on its way, `untold` cannot be told: they have no address for it, or are gone.
    """

    sids: Sequence[str]
    told: int
    untold: int


class SessionAdministration:
    """The use cases about sessions. `actor` is who ends one; names and identifiers that are unknown are refused."""

    def __init__(self, units: UnitsOfWork, clock: Clock, trail: Trail, sessions: Sessions) -> None:
        self._units, self._clock, self._trail, self._sessions = units, clock, trail, sessions

    def list(
        self, org_code: str | None = None, username: str | None = None, *, over: bool = False, limit: int = 100
    ) -> Sequence[ShownSession]:
        """The live sessions, those that were used last first; or those that are `over`, the last that ended first.

        Of one organisation, of everybody with this username, or of one account. Raises Refused for unknown names.
        """
        with self._units.reading() as unit:
            now = self._clock.now()
            query = _shown().where(_is_over(now) if over else idle.live(now))
            if org_code is not None and username is not None:
                query = query.where(Session.account_id == accounts.found(unit, org_code, username).id)
            elif org_code is not None:
                query = query.where(Account.organization_id == organizations.found(unit, org_code).id)
            elif username is not None:
                query = query.where(Account.username == canonical(username))
            newest = func.coalesce(Session.ended_at, _deadline()) if over else Session.last_activity_at
            rows = unit.execute(query.order_by(newest.desc(), Session.id.desc()).limit(limit))
            return [_of(session, account, number, now) for session, account, number in rows]

    def show(self, sid: str) -> SessionWithReceipts:
        """One session, whoever's and however long it is over. Raises Refused for one that is not known."""
        with self._units.reading() as unit:
            now = self._clock.now()
            shown = _found(unit, sid, now)
            client_ids = self._sessions.participants(unit, shown.session.id)
            return SessionWithReceipts(shown, client_ids, receipts.of_session(unit, sid, now))

    def end(self, sid: str, *, actor: str) -> Ended:
        """The session is over. Nothing happens when it was already: `sids` is empty then. Raises Refused."""
        actor = _checked(actor)
        with self._units.writing() as unit:
            account = _found(unit, sid, self._clock.now()).account
            lock_account(unit, account.id)
            return self._end(unit, account, Session.sid == sid, actor, sid)

    def end_all_of(self, org_code: str, username: str, *, actor: str) -> Ended:
        """No session of the account is live any more. Raises Refused."""
        actor = _checked(actor)
        with self._units.writing() as unit:
            account = accounts.locked(unit, org_code, username)
            return self._end(unit, account, Session.account_id == account.id, actor)

    def _end(
        self, unit: Unit, account: Account, which: ColumnElement[bool], actor: str, sid: str | None = None
    ) -> Ended:
        # What is over by the clock keeps its own reason: the sweep writes it.
        live = select(Session).where(which, idle.live(self._clock.now())).order_by(Session.id).with_for_update()
        ended = [
            session.sid
            for session in unit.scalars(live).all()
            if self._sessions.end(unit, session, "ended_by_administrator")
        ]
        outcomes = [each.outcome for one in ended for each in receipts.of_session(unit, one, self._clock.now())]
        if ended:
            event = SessionsEndedByAdministrator(
                sessions=len(ended),
                sid=sid,
                account_id=account.id,
                organization_id=account.organization_id,
                actor=actor,
            )
            self._trail.record(unit, event)
        told = outcomes.count("waiting")
        return Ended(ended, told, len(outcomes) - told)


def _shown() -> Select[Session, Account, int]:
    number = select(func.count()).where(Participation.session_id == Session.id).scalar_subquery()
    return (
        select(Session, Account, number)
        .join(Account, Account.id == Session.account_id)
        .join(Organization, Organization.id == Account.organization_id)
    )


def _found(unit: Unit, sid: str, now: datetime) -> ShownSession:
    row = unit.execute(_shown().where(Session.sid == sid)).one_or_none()
    if row is None:
        raise Refused("session.unknown", f"there is no session {sid!r}, or it is over for more than 30 days")
    return _of(row[0], row[1], row[2], now)


def _of(session: Session, account: Account, applications: int, now: datetime) -> ShownSession:
    ends_at = idle.ends_at(session)
    if session.ended_at is not None:
        return ShownSession(session, account, applications, ends_at, over_at(session), session.end_reason)
    reason = idle.end_reason(session, now)
    return ShownSession(session, account, applications, ends_at, ends_at if reason else None, reason)


def _is_over(now: datetime) -> ColumnElement[bool]:
    return or_(Session.ended_at.is_not(None), Session.idle_ends_at <= now, Session.absolute_ends_at <= now)


def _deadline() -> ColumnElement[datetime]:
    return case((Session.idle_ends_at < Session.absolute_ends_at, Session.idle_ends_at), else_=Session.absolute_ends_at)


def _checked(actor: str) -> str:
    actor = actor.strip()
    if not (0 < len(actor) <= LONGEST_ACTOR and actor.isprintable()):
        raise Refused("session.actor", f"actor is needed: one line of at most {LONGEST_ACTOR} characters")
    return actor
