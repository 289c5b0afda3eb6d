"""The person's own logout: the browser's session ends, whoever asked, and what the person is told about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account
from idp.oidc import clients, frontchannel_logout, receipts
from idp.oidc.backchannel_logout import NO_ADDRESS
from idp.oidc.clients import Client
from idp.oidc.receipts import Receipt
from idp.sessions import idle
from idp.sessions.lifecycle import Sessions, over_at
from idp.sessions.models import Session
from idp.store.units import UnitsOfWork


@dataclass(frozen=True)
class LiveSignIn:
    """Who is signed in with this browser, and to what, for the question whether to sign out: the applications that
    will be told, and those that have no way to be told."""

    sid: str
    username: str
    app_names: Sequence[str]
    untold: Sequence[str]


@dataclass(frozen=True)
class EndedSession:
    """The session that was live until just now, and the clients that took part in it."""

    sid: str
    clients: Sequence[Client]


@dataclass(frozen=True)
class Applications:
    """The names of the applications of a session that ended: who knows it, whom the browser was to tell (nobody learns
    whether it could), who is being told, who could not be, and who has no way to be told."""

    told: Sequence[str] = ()
    asked: Sequence[str] = ()
    waiting: Sequence[str] = ()
    unreached: Sequence[str] = ()
    untold: Sequence[str] = ()


Why = Literal["idle", "absolute", "administrator", "protection"]

# Of a session that the person ended or left for another there is nothing to explain.
EXPLAINED: Mapping[str, Why] = {
    "idle": "idle",
    "absolute": "absolute",
    "ended_by_administrator": "administrator",
    "account_disabled": "administrator",
    "credential_disabled": "protection",
    "credential_reset": "protection",
    "password_changed": "protection",
}


@dataclass(frozen=True)
class Over:
    """A session that ended without the person's doing: why, since when, whose, and the client that joined it last.

    `slots` fill the sentence about it: the limit that was reached, of this very session; none if it is no whole number.
    """

    why: Why
    at: datetime
    account: Account
    client: Client | None
    slots: Mapping[str, int]

    @property
    def notice(self) -> str:
        """The key of the sentence that says why."""
        unnumbered = self.why in ("idle", "absolute") and not self.slots
        return f"identify.notice.signed_out_{self.why}" + ("_unnumbered" if unnumbered else "")


class Logout:
    """Looks at and ends the session of a browser."""

    def __init__(self, units: UnitsOfWork, sessions: Sessions) -> None:
        self._units, self._sessions = units, sessions

    def look(self, session_secret: str | None) -> LiveSignIn | None:
        """The live session of this browser."""
        with self._units.reading() as unit:
            session = self._sessions.load_live(unit, session_secret)
            return self._described(unit, session) if session is not None else None

    def stay(self, session_secret: str | None) -> bool:
        """Somebody was asked and stays, which is activity; False when no session was live any more."""
        with self._units.writing() as unit:
            session = self._sessions.load_live(unit, session_secret, lock=True)
            return session is not None and self._sessions.touch(unit, session)

    def end(self, session_secret: str | None) -> EndedSession | None:
        """No session is left for this browser; the one that was live until now, None when there was none."""
        with self._units.writing() as unit:
            session = self._sessions.load_live(unit, session_secret, lock=True)
            if session is None or not self._sessions.end(unit, session, "logout"):
                return None
            return EndedSession(session.sid, self._participants(unit, session))

    def over(self, session_secret: str | None) -> Over | None:
        """Why this browser's session is over, if somebody comes back to it who did not end it."""
        with self._units.reading() as unit:
            found = self._sessions.over(unit, session_secret)
            why = EXPLAINED.get(found[1]) if found else None
            account = unit.get(Account, found[0].account_id) if found else None
            if found is None or why is None or account is None:
                return None
            session = found[0]
            joined = [client for client in self._participants(unit, session) if client.has_home]
            at = over_at(session) or idle.ends_at(session)
            return Over(why, at, account, joined[-1] if joined else None, _limit(session, why))

    def applications(self, sid: str, left_by_itself: str | None, now: datetime, is_last_look: bool) -> Applications:
        """What became of the applications of the session that ended; who did not answer yet may do so until the last
        look.

        `left_by_itself`: the identifier of the client that asked for this very session to end: it signed the person out
        before it asked.
        """
        with self._units.reading() as unit:
            told, asked, waiting, unreached, untold = (list[str]() for _ in range(5))
            for receipt in receipts.of_session(unit, sid, now):
                if receipt.client_id == left_by_itself or receipt.outcome == "delivered":
                    names = told
                elif receipt.outcome == NO_ADDRESS:
                    names = asked if _was_in_a_frame(unit, receipt) else untold
                elif receipt.outcome == "waiting" or receipt.outcome == "failing" and not is_last_look:
                    names = waiting
                else:
                    names = unreached
                names.append(receipt.client_name)
            return Applications(told, asked, waiting, unreached, untold)

    def _described(self, unit: Unit, session: Session) -> LiveSignIn:
        username = unit.scalars(select(Account.username_shown).where(Account.id == session.account_id)).one()
        told, untold = list[str](), list[str]()
        for client in self._participants(unit, session):
            can_be_told = client.backchannel_logout_uri or frontchannel_logout.is_reachable(client)
            (told if can_be_told else untold).append(client.client_name)
        return LiveSignIn(session.sid, username, told, untold)

    def _participants(self, unit: Unit, session: Session) -> Sequence[Client]:
        joined = self._sessions.participants(unit, session.id)
        return tuple(client for client_id in joined if (client := clients.find(unit, client_id)) is not None)


def _limit(session: Session, why: Why) -> Mapping[str, int]:
    """The limit in whole minutes or hours; nothing when it is not whole, as in a demonstration."""
    limits = {
        "idle": ("minutes", session.idle_timeout, timedelta(minutes=1)),
        "absolute": ("hours", session.absolute_ends_at - session.opened_at, timedelta(hours=1)),
    }
    if why not in limits:
        return {}
    name, limit, unit = limits[why]
    number, rest = divmod(limit, unit)
    return {} if rest else {name: number}


def _was_in_a_frame(unit: Unit, receipt: Receipt) -> bool:
    """True for a client that can be told by its page in a frame only: that page was loaded."""
    client = clients.find(unit, receipt.client_id)
    return client is not None and frontchannel_logout.is_reachable(client)
