"""The userinfo endpoint (OIDC Core 5.3), for bearer tokens (RFC 6750)."""

from typing import Any

from idp.oidc import claims
from idp.oidc.access_token import INVALID_TOKEN, AccessTokens, BearerError
from idp.oidc.subjects import Subjects


class Userinfo:
    """Answers what an access token may know about its person."""

    def __init__(self, access_tokens: AccessTokens, subjects: Subjects) -> None:
        self._access_tokens, self._subjects = access_tokens, subjects

    def respond(self, token: str) -> dict[str, Any]:
        """The claims. Raises BearerError from the very instant at which the token or its session is over."""
        found = self._access_tokens.find_for_us(token)
        if found is None:
            raise BearerError(*INVALID_TOKEN)
        scope = found.token.scope.split()
        if "openid" not in scope or found.account is None:
            raise BearerError(403, "insufficient_scope", "the access token was not issued for openid")
        known = claims.userinfo(found.account, scope, found.token.claims)
        return known | {"sub": self._subjects.of(found.client, found.account)}
