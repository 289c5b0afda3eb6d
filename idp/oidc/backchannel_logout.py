"""OpenID Connect Back-Channel Logout 1.0: a client is told that a session ended.

LogoutNotices     ending a session leaves one message in the outbox for each client that took part, in the same
                  transaction; `jobs.deliver_logout_notices` sends them
LogoutTokens      what is sent: made when it is sent, and anew at each try
NoticeObserver    who counts what became of the notices
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account
from idp.kernel.clock import Clock, whole_seconds
from idp.kernel.secrets import random_identifier
from idp.oidc.clients import Client
from idp.oidc.keys import Keys
from idp.oidc.subjects import Subjects
from idp.outbox.models import TRIED_FOR
from idp.outbox.queue import Message, enqueue_all
from idp.sessions.models import Session

KIND = "logout_notice"
# The token is used at once; what a thief of it could do is log somebody out of one application (2.4 wants it short).
TOKEN_LIFETIME = timedelta(minutes=2)
EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYP = "logout+jwt"
NO_ADDRESS = "no address"
CLIENT_IS_GONE = "client is gone"

Outcome = Literal["delivered", "refused", "expired"]


class NoticeObserver(Protocol):
    """Is told what became of a notice for good.

    `delay`: from the moment at which the session was over to the client's answer; None when it was not delivered.
    """

    def notice_settled(self, client_id: str, outcome: Outcome, delay: timedelta | None) -> None: ...


class LogoutNotices:
    """Listens to `sessions.lifecycle.end`."""

    def __init__(self, subjects: Subjects) -> None:
        self._subjects = subjects

    def session_ended(self, unit: Unit, session: Session, client_ids: Sequence[str], now: datetime) -> None:
        """Each participating client has a notice: one that waits, or one that says why it cannot be told."""
        if not client_ids:
            return
        sub = unit.scalars(select(Account.sub).where(Account.id == session.account_id)).one()
        there = unit.scalars(select(Client).where(Client.client_id.in_(client_ids), Client.deleted_at.is_(None)))
        clients = {client.client_id: client for client in there}
        notices = [self._notice(each, clients.get(each), session.sid, sub, now) for each in client_ids]
        enqueue_all(unit, KIND, notices, now)

    def _notice(self, client_id: str, client: Client | None, sid: str, sub: str, now: datetime) -> Message:
        # Each client knows the person by the name that it was given (OIDC Core 8.1).
        payload = {"sid": sid, "sub": sub if client is None else self._subjects.of_sub(client, sub)}
        return Message(client_id, payload, sid, now + TRIED_FOR, _cannot_be_told(client))


def _cannot_be_told(client: Client | None) -> str | None:
    if client is None:
        return CLIENT_IS_GONE
    return None if client.backchannel_logout_uri else NO_ADDRESS


class LogoutTokens:
    """Makes logout tokens."""

    def __init__(self, keys: Keys, clock: Clock, issuer: str) -> None:
        self._keys, self._clock, self._issuer = keys, clock, issuer

    def make(self, client_id: str, alg: str, sid: str, sub: str) -> str:
        """A logout token with a `jti` of its own (2.4). To be called with no unit of work open."""
        now = self._clock.now()
        claims = {
            "iss": self._issuer,
            "sub": sub,
            "aud": client_id,
            "iat": whole_seconds(now),
            "exp": whole_seconds(now + TOKEN_LIFETIME),
            "jti": random_identifier(),
            "events": {EVENT: {}},
            "sid": sid,
        }
        return self._keys.sign(alg, claims, typ=TYP)
