"""Access tokens when they come back to our own endpoints. How they are shown: `protected_resource`.

    opaque   256 random bits; the hash of the token is the key of its row
    jwt      RFC 9068; the hash of its `jti` is, once the signature is verified

Whatever a token looks like, one statement decides: the token, and the account and session that it belongs to, if it
belongs to any, must all be good at this very instant.
What a JWT says about its own end is for others.
"""

import re
from dataclasses import dataclass

from sqlalchemy import Select, and_, bindparam, or_, select, update
from sqlalchemy.orm import Session as Unit
from sqlalchemy.orm import joinedload

from idp.accounts.models import Account
from idp.kernel.clock import Clock
from idp.kernel.secrets import hash_secret
from idp.oidc import offline_access
from idp.oidc.authorization_code import Revoked
from idp.oidc.clients import Client
from idp.oidc.keys import Keys
from idp.oidc.models import AccessToken
from idp.sessions import idle
from idp.sessions.models import Session
from idp.store.base import UtcDateTime
from idp.store.units import UnitsOfWork

# As `kernel.secrets.random_token` makes them.
OPAQUE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class LiveAccessToken:
    """An access token that is good now, the client that it was issued to, whose it is, and its session.

    Without an account it speaks for the client alone (RFC 6749 4.4), without a session it is of offline access.
    """

    token: AccessToken
    client: Client
    account: Account | None
    session: Session | None

    def is_for(self, issuer: str) -> bool:
        """True when this provider is meant by its audience (RFC 8707)."""
        return not self.token.audience or issuer in self.token.audience


def key_of_jwt(jti: str) -> bytes:
    """The key of the row of a JWT access token.

    Its `jti` stands in logs of resource servers. What is hashed here is nothing that could be presented as a token: an
    opaque one holds no dot (`OPAQUE`), and one with dots must be a JWT that we signed.
    """
    return hash_secret(f"jti.{jti}")


class AccessTokens:
    """Finds what a presented access token stands for."""

    def __init__(self, units: UnitsOfWork, clock: Clock, keys: Keys, issuer: str) -> None:
        self._units, self._clock, self._keys, self._issuer = units, clock, keys, issuer
        self._live_token = _live_token()

    def find(self, presented: str) -> LiveAccessToken | None:
        """What the token stands for; None from the very instant at which it or its session is over."""
        key = self.key_of(presented)
        if key is None:
            return None
        with self._units.reading() as unit:
            found = unit.execute(self._live_token, {"key": key, "now": self._clock.now()}).one_or_none()
            return None if found is None else LiveAccessToken(*found)

    def find_for_us(self, presented: str) -> LiveAccessToken | None:
        """As `find`, for what this provider itself is asked by an access token: None for one that is for others."""
        found = self.find(presented)
        return found if found is not None and found.is_for(self._issuer) else None

    def owner(self, unit: Unit, key: bytes) -> str | None:
        """The `client_id` that the token of this key was issued to, whatever it is still worth; None for none."""
        return unit.scalars(select(AccessToken.client_id).where(AccessToken.token_hash == key)).one_or_none()

    def revoke(self, unit: Unit, key: bytes, client_id: str) -> Revoked | None:
        """The token of this key has ended, if it is this client's; None when there is none."""
        columns = AccessToken.grant_id, AccessToken.client_id
        ended = unit.execute(
            update(AccessToken)
            .where(AccessToken.token_hash == key, AccessToken.client_id == client_id, AccessToken.revoked_at.is_(None))
            .values(revoked_at=self._clock.now())
            .returning(*columns)
            .execution_options(synchronize_session=False)
        ).one_or_none()
        found = ended or unit.execute(select(*columns).where(AccessToken.token_hash == key)).one_or_none()
        return None if found is None else Revoked(found.grant_id, found.client_id, is_news=ended is not None)

    def key_of(self, presented: str) -> bytes | None:
        """The key of its row, by its form alone; None for what is no access token of ours."""
        if OPAQUE.fullmatch(presented):
            return hash_secret(presented)
        claims = self._keys.verified_access_token(presented, self._issuer)
        return None if claims is None else key_of_jwt(claims["jti"])


def _live_token() -> Select[AccessToken, Client, Account, Session]:
    """The one statement that decides, for the parameters `key` and `now`; making it takes longer than asking.

    The token is of a session, of offline access, or of the client alone. A row that an outer join did not find is NULL
    all over: it has to be there to be good.
    """
    now = bindparam("now", type_=UtcDateTime())
    good_account = and_(Account.id.is_not(None), Account.blocked_at.is_(None))
    good_session = and_(Session.id.is_not(None), idle.live(now))
    no_session, no_account = AccessToken.session_id.is_(None), AccessToken.account_id.is_(None)
    return (
        select(AccessToken, Client, Account, Session)
        .join(Client, Client.client_id == AccessToken.client_id)
        .outerjoin(Account, Account.id == AccessToken.account_id)
        .outerjoin(Session, Session.id == AccessToken.session_id)
        # Loaded along with an account; by an inner join it would throw out the rows that have none.
        .options(joinedload(Account.organization, innerjoin=False))
        .where(
            AccessToken.token_hash == bindparam("key"),
            AccessToken.revoked_at.is_(None),
            AccessToken.expires_at > now,
            or_(
                and_(good_account, good_session),
                and_(no_session, good_account, offline_access.holds(AccessToken)),
                and_(no_session, no_account),
            ),
        )
    )
