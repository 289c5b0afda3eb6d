"""Access tokens when they come back to our own endpoints. How they are shown: `protected_resource`.

    opaque   256 random bits; the hash of the token is the key of its row
    jwt      RFC 9068; the hash of its `jti` is, once the signature is verified

Whatever a token looks like, one statement decides: token, account and session must all be good at this very instant.
What a JWT says about its own end is for others.
"""

import re
from dataclasses import dataclass

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account
from idp.kernel.clock import Clock
from idp.kernel.secrets import hash_secret
from idp.oidc.authorization_code import Revoked
from idp.oidc.keys import Keys
from idp.oidc.models import AccessToken
from idp.sessions import idle
from idp.sessions.models import Session
from idp.store.units import UnitsOfWork

# As `kernel.secrets.random_token` makes them.
OPAQUE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class LiveAccessToken:
    """An access token that is good now, whose it is, and the session that it lives in."""

    token: AccessToken
    account: Account
    session: Session


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

    def find(self, presented: str) -> LiveAccessToken | None:
        """What the token stands for; None from the very instant at which it or its session is over."""
        key = self.key_of(presented)
        if key is None:
            return None
        with self._units.reading() as unit:
            now = self._clock.now()
            found = unit.execute(
                select(AccessToken, Account, Session)
                .join(Account, Account.id == AccessToken.account_id)
                .join(Session, Session.id == AccessToken.session_id)
                .where(
                    AccessToken.token_hash == key,
                    AccessToken.revoked_at.is_(None),
                    AccessToken.expires_at > now,
                    Account.blocked_at.is_(None),
                    idle.live(now),
                )
            ).one_or_none()
            return None if found is None else LiveAccessToken(*found)

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
