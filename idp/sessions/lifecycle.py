"""A session's life: opened in one place, read by one reader, ended by one road.

open             only `signin.flow` calls it, when no authentication prompt is due any more
reauthenticate   the same account proved itself again: same `sid`, new secret, never a lower level
password_asked   its password alone was right again, where the session answers all the rest
load_live        the only reader that pages, protocol and administration may use
touch            something happened; also `touch_by_refresh`, and `report`: a client says so
join             a client received its first tokens in this session
end              the only road by which a session ends: end, audit event and one notice per client, together
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session as Unit

from idp.audit.events import SessionEnded, SessionOpened, SessionReauthenticated
from idp.audit.trail import Trail
from idp.kernel.clock import Clock
from idp.kernel.secrets import hash_secret, random_identifier, random_token
from idp.sessions import idle
from idp.sessions.models import Participation, Session
from idp.store.dialects import insert_or

EndReason = Literal[
    "idle",
    "absolute",
    "logout",
    "ended_by_person",
    "ended_by_administrator",
    "account_disabled",
    "credential_disabled",
    "credential_reset",
    "password_changed",
    "replaced",
]


def over_at(session: Session) -> datetime | None:
    """Since when an ended session is over: its deadline, however late the sweep was, or when somebody ended it."""
    return idle.ends_at(session) if session.end_reason in ("idle", "absolute") else session.ended_at


class SessionEndListener(Protocol):
    """Is told that a session ended, in the transaction that ends it; joined in `wiring`."""

    def session_ended(self, unit: Unit, session: Session, client_ids: Sequence[str], now: datetime) -> None: ...


@dataclass(frozen=True)
class Proven:
    """What was proven about the account: the level, the methods (RFC 8176) and when the password was asked.

    `factor_proven_at`: when a second factor that reaches the level was proven, if it was proven this time.
    """

    level: int
    acr: str
    amr: list[str]
    auth_time: datetime
    postponed_until: datetime | None
    factor_proven_at: datetime | None = None


@dataclass(frozen=True)
class Opened:
    """A session, and the secret for its cookie; the database keeps only the secret's hash."""

    session: Session
    secret: str


class Sessions:
    """Everything that happens to sessions."""

    def __init__(
        self,
        clock: Clock,
        trail: Trail,
        idle_timeout: timedelta,
        absolute_timeout: timedelta,
        listeners: Sequence[SessionEndListener] = (),
    ) -> None:
        self._clock = clock
        self._trail = trail
        self._idle_timeout = idle_timeout
        self._absolute_timeout = absolute_timeout
        self._listeners = tuple(listeners)

    def open(
        self,
        unit: Unit,
        account_id: int,
        proven: Proven,
        idle_timeout: timedelta | None = None,
        absolute_timeout: timedelta | None = None,
    ) -> Opened:
        """A new session exists, live from now on. An organisation's own limits only ever shorten the general ones."""
        now, secret = self._clock.now(), random_token()
        idle_for = min(idle_timeout or self._idle_timeout, self._idle_timeout)
        lasts = min(absolute_timeout or self._absolute_timeout, self._absolute_timeout)
        session = Session(
            sid=random_identifier(),
            secret_hash=hash_secret(secret),
            account_id=account_id,
            level=proven.level,
            amr=proven.amr,
            auth_time=proven.auth_time,
            factor_proven_at=proven.factor_proven_at,
            opened_at=now,
            last_activity_at=now,
            idle_timeout=idle_for,
            idle_ends_at=now + idle_for,
            absolute_ends_at=now + lasts,
            postponed_until=proven.postponed_until,
        )
        unit.add(session)
        unit.flush()  # the row's id is needed by the interaction and the code
        self._trail.record(unit, SessionOpened(acr=proven.acr, amr=proven.amr, account_id=account_id, sid=session.sid))
        return Opened(session, secret)

    def reauthenticate(self, unit: Unit, session: Session, proven: Proven) -> Opened | None:
        """The session keeps its `sid`, gets a new secret and the higher of both levels. None: it ended meanwhile."""
        now, secret = self._clock.now(), random_token()
        rises = proven.level >= session.level
        values = {
            "secret_hash": hash_secret(secret),
            "level": max(proven.level, session.level),
            "amr": proven.amr if rises else session.amr,
            "auth_time": max(proven.auth_time, session.auth_time),
            "factor_proven_at": proven.factor_proven_at or session.factor_proven_at,
            "postponed_until": proven.postponed_until or session.postponed_until,
            # Never back, should another node's clock be ahead of ours.
            **idle.moved_by_activity(session, max(now, session.last_activity_at)),
        }
        changed = unit.execute(
            update(Session).where(Session.id == session.id, idle.live(now)).values(values).returning(Session.id)
        ).one_or_none()
        if changed is None:
            return None
        unit.refresh(session)
        self._trail.record(
            unit,
            SessionReauthenticated(acr=proven.acr, amr=session.amr, account_id=session.account_id, sid=session.sid),
        )
        return Opened(session, secret)

    def password_asked(self, unit: Unit, session: Session, acr: str, asked_at: datetime) -> None:
        """The account's password was right once more, in another tab; the secret that all tabs share stays."""
        unit.execute(
            update(Session)
            .where(Session.id == session.id, Session.auth_time < asked_at, idle.live(self._clock.now()))
            .values(auth_time=asked_at)
        )
        unit.refresh(session)
        self._trail.record(
            unit, SessionReauthenticated(acr=acr, amr=session.amr, account_id=session.account_id, sid=session.sid)
        )

    def load_live(self, unit: Unit, secret: str | None, lock: bool = False) -> Session | None:
        """The live session of this cookie; None for none, an unknown one, and one that is over even if nobody ended it.

        `lock`: nobody ends it before the unit of work is over, so what is issued in between was issued to a live
        session.
        """
        return self._live(unit, Session.secret_hash == hash_secret(secret), lock) if secret else None

    def load_live_by_id(self, unit: Unit, session_id: int | None, lock: bool = False) -> Session | None:
        """As `load_live`, for something that belongs to a session: a code, a token, an interaction."""
        if session_id is None:
            return None
        return self._live(unit, Session.id == session_id, lock)

    def _live(self, unit: Unit, which: ColumnElement[bool], lock: bool) -> Session | None:
        query = select(Session).where(which, idle.live(self._clock.now()))
        if not lock:
            return unit.scalars(query).one_or_none()
        query = query.with_for_update().execution_options(populate_existing=True)
        session = unit.scalars(query).one_or_none()
        # Once more: who waited for the row until the deadline had passed comes too late.
        return session if session is not None and idle.is_live(session, self._clock.now()) else None

    def load_live_of_client(self, unit: Unit, sid: str | None, client_id: str) -> Session | None:
        """The live session with this public name, if the client takes part in it; to all others it does not exist."""
        if not sid:
            return None
        takes_part = exists().where(Participation.session_id == Session.id, Participation.client_id == client_id)
        query = select(Session).where(Session.sid == sid, idle.live(self._clock.now()), takes_part)
        return unit.scalars(query).one_or_none()

    def over(self, unit: Unit, secret: str | None) -> tuple[Session, str] | None:
        """The session of this cookie and why it is over, to tell the person so; None for a live one, and for none."""
        query = select(Session).where(Session.secret_hash == hash_secret(secret or ""))
        session = unit.scalars(query).one_or_none() if secret else None
        if session is None:
            return None
        reason = session.end_reason or idle.end_reason(session, self._clock.now())
        return (session, reason) if reason is not None else None

    def touch(self, unit: Unit, session: Session) -> bool:
        """Something happened now, if the session is still live; False when it is over and stays so.

        The session was loaded with `lock`: who waits for its row until the deadline has passed comes too late.
        """
        now = self._clock.now()
        return self._extend(unit, session, now, now)

    def touch_by_refresh(self, unit: Unit, session_id: int | None, client_id: str) -> None:
        """A refresh counted as activity: written at most once in 15 seconds, never later than the truth."""
        session = self.load_live_by_id(unit, session_id, lock=True)
        if session is None:
            return
        now = self._clock.now()
        if idle.is_worth_writing(session, now):
            self._extend(unit, session, now, now, idle.coalesced(session))
            unit.refresh(session)
        self._signalled(unit, session, client_id, now)

    def report(self, unit: Unit, session: Session, at: datetime, client_id: str) -> bool:
        """Its person did something at this moment, as this client says, if the session is still live now.

        A moment in the future is now, one before the last known activity changes nothing (False). Written at most once
        in 15 seconds, so a session may end that much early, and never late.
        """
        unit.refresh(session, with_for_update=True)  # as for `touch`: the time is read when the row is ours
        now = self._clock.now()
        is_moved = self._extend(unit, session, min(at, now), now, idle.coalesced(session))
        self._signalled(unit, session, client_id, now)
        return is_moved

    def has_signalled(self, unit: Unit, session: Session, client_id: str) -> bool:
        """The client has told of activity in this session, so nothing new is known when it tells again."""
        query = select(Participation.signalled_at).filter_by(session_id=session.id, client_id=client_id)
        return unit.scalars(query).one_or_none() is not None

    def _signalled(self, unit: Unit, session: Session, client_id: str, now: datetime) -> None:
        """The client told of activity in a live session: known since the first time, whether or not it was news."""
        is_live = exists().where(Session.id == session.id, idle.live(now))
        ours = (Participation.session_id == session.id, Participation.client_id == client_id)
        first = update(Participation).where(*ours, Participation.signalled_at.is_(None), is_live)
        unit.execute(first.values(signalled_at=now).execution_options(synchronize_session=False))

    def _extend(
        self, unit: Unit, session: Session, at: datetime, now: datetime, at_least: timedelta = timedelta(0)
    ) -> bool:
        """THE ONE STATEMENT that moves the clock: only of a session that is live now, and only forward."""
        extended = unit.execute(
            update(Session)
            .where(Session.id == session.id, idle.live(now), Session.last_activity_at <= at - at_least)
            .values(**idle.moved_by_activity(session, at))
            .returning(Session.id)
        )
        return extended.one_or_none() is not None

    def join(self, unit: Unit, session_id: int, client_id: str) -> None:
        """The client takes part in the session from its first tokens on, and will be told when it ends."""
        values = {"session_id": session_id, "client_id": client_id, "joined_at": self._clock.now()}
        unit.execute(insert_or(unit, Participation).values(values).on_conflict_do_nothing())

    def participants(self, unit: Unit, session_id: int) -> Sequence[str]:
        """The clients that received tokens in this session, in the order they joined."""
        query = select(Participation.client_id).filter_by(session_id=session_id)
        return unit.scalars(query.order_by(Participation.joined_at, Participation.client_id)).all()

    def end(self, unit: Unit, session: Session, reason: EndReason) -> bool:
        """The session is over for good; each client that took part has a notice waiting. False when it already was."""
        now = self._clock.now()
        ended = unit.execute(
            update(Session)
            .where(Session.id == session.id, Session.ended_at.is_(None))
            .values(ended_at=now, end_reason=reason)
            .returning(Session.id)
        ).one_or_none()
        if ended is None:
            return False
        client_ids = self.participants(unit, session.id)
        self._trail.record(
            unit,
            SessionEnded(reason=reason, clients=len(client_ids), account_id=session.account_id, sid=session.sid),
        )
        for listener in self._listeners:
            listener.session_ended(unit, session, client_ids, now)
        return True

    def end_all_of(self, unit: Unit, account_id: int, reason: EndReason) -> int:
        """Every session of the account is over; the number that were not before."""
        sessions = unit.scalars(
            select(Session).filter_by(account_id=account_id, ended_at=None).order_by(Session.id)
        ).all()
        return sum(self.end(unit, session, reason) for session in sessions)

    def overdue(self, unit: Unit, limit: int, lock: bool = False) -> Sequence[Session]:
        """Sessions that are over by the clock and were not ended yet, for the sweep: at most `limit`.

        `lock`: they are ours to end in this unit of work, without those that somebody else is ending at this moment.
        """
        now = self._clock.now()
        found: dict[int, Session] = {}
        # One query for each index: a condition on both deadlines at once would look at every live session.
        for deadline in (Session.idle_ends_at, Session.absolute_ends_at):
            query = select(Session).where(Session.ended_at.is_(None), deadline <= now).order_by(deadline)
            query = query.limit(limit - len(found))
            over = unit.scalars(query.with_for_update(skip_locked=True) if lock else query).all()
            found |= {session.id: session for session in over}
            if len(found) >= limit:
                break
        return tuple(found.values())
