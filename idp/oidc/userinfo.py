"""The userinfo endpoint (OIDC Core 5.3), for bearer tokens (RFC 6750)."""

from typing import Any

from sqlalchemy import select

from idp.accounts.models import Account
from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError
from idp.kernel.secrets import hash_secret
from idp.oidc import claims
from idp.oidc.models import AccessToken
from idp.sessions import idle
from idp.sessions.models import Session
from idp.store.units import UnitsOfWork


class BearerError(ProtocolError):
    """401, 403 or 400 with a `WWW-Authenticate: Bearer` challenge (RFC 6750 3)."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error, description)
        self.status = status

    @property
    def challenge(self) -> str:
        """The header's value. Without any credentials it names no error (RFC 6750 3.1)."""
        if not self.error:
            return 'Bearer realm="userinfo"'
        return f'Bearer realm="userinfo", error="{self.error}", error_description="{self.description}"'


def bearer_token(authorization: str | None, in_body: str | None, in_query: str | None) -> str:
    """The one access token of a request. Raises BearerError for none, several, or one in the query (RFC 9700 4.3.2)."""
    scheme, _, credentials = (authorization or "").partition(" ")
    in_header = credentials.strip() if scheme.lower() == "bearer" else None
    if in_query is not None:
        raise BearerError(400, "invalid_request", "an access token does not belong into the query")
    if in_header is not None and in_body is not None:
        raise BearerError(400, "invalid_request", "the access token was sent more than once")
    token = in_header if in_header is not None else in_body
    if not token:
        raise BearerError(401, "", "")
    return token


class Userinfo:
    """Answers what an access token may know about its person."""

    def __init__(self, units: UnitsOfWork, clock: Clock) -> None:
        self._units, self._clock = units, clock

    def respond(self, token: str) -> dict[str, Any]:
        """The claims. Raises BearerError from the very instant at which the token or its session is over."""
        with self._units.reading() as unit:
            now = self._clock.now()
            found = unit.execute(
                select(AccessToken, Account)
                .join(Account, Account.id == AccessToken.account_id)
                .join(Session, Session.id == AccessToken.session_id)
                .where(
                    AccessToken.token_hash == hash_secret(token),
                    AccessToken.revoked_at.is_(None),
                    AccessToken.expires_at > now,
                    Account.blocked_at.is_(None),
                    idle.live(now),
                )
            ).one_or_none()
        if found is None:
            raise BearerError(401, "invalid_token", "the access token is unknown, expired or revoked")
        access_token, account = found
        scope = access_token.scope.split()
        if "openid" not in scope:
            raise BearerError(403, "insufficient_scope", "the access token was not issued for openid")
        return claims.userinfo(account, scope, access_token.claims)
