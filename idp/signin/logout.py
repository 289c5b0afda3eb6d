"""The person's own logout: the browser's session ends, whoever asked."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account
from idp.oidc import clients
from idp.sessions.lifecycle import Sessions
from idp.sessions.models import Session
from idp.store.units import UnitsOfWork


@dataclass(frozen=True)
class LiveSignIn:
    """Who is signed in with this browser, and to what: for the question whether to sign out."""

    sid: str
    username: str
    app_names: list[str]


class Logout:
    """Looks at and ends the session of a browser."""

    def __init__(self, units: UnitsOfWork, sessions: Sessions) -> None:
        self._units, self._sessions = units, sessions

    def look(self, session_secret: str | None) -> LiveSignIn | None:
        """The live session of this browser."""
        with self._units.reading() as unit:
            session = self._sessions.load_live(unit, session_secret)
            return self._described(unit, session) if session is not None else None

    def end(self, session_secret: str | None) -> bool:
        """No session is left for this browser; True when one was live until now."""
        with self._units.writing() as unit:
            session = self._sessions.load_live(unit, session_secret, lock=True)
            return session is not None and self._sessions.end(unit, session, "logout")

    def _described(self, unit: Unit, session: Session) -> LiveSignIn:
        username = unit.scalars(select(Account.username_shown).where(Account.id == session.account_id)).one()
        joined = self._sessions.participants(unit, session.id)
        names = [client.client_name for client_id in joined if (client := clients.find(unit, client_id))]
        return LiveSignIn(session.sid, username, names)
