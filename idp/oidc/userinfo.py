"""The userinfo endpoint (OIDC Core 5.3), for bearer tokens (RFC 6750)."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from idp.oidc import claims
from idp.oidc.access_token import INVALID_TOKEN, AccessTokens, BearerError
from idp.oidc.clients import Client
from idp.oidc.keys import Keys
from idp.store.units import UnitsOfWork


class Userinfo:
    """Answers what an access token may know about its person."""

    def __init__(self, units: UnitsOfWork, access_tokens: AccessTokens, keys: Keys, issuer: str) -> None:
        self._units, self._access_tokens, self._keys, self._issuer = units, access_tokens, keys, issuer

    def respond(self, token: str) -> Mapping[str, Any] | str:
        """The claims; for a client that wants them signed, a JWT of them with `iss` and `aud` (5.3.2).

        Raises BearerError from the very instant at which the token or its session is over.
        """
        found = self._access_tokens.find(token)
        if found is None:
            raise BearerError(*INVALID_TOKEN)
        scope = found.token.scope.split()
        if "openid" not in scope:
            raise BearerError(403, "insufficient_scope", "the access token was not issued for openid")
        client_id = found.token.client_id
        said = claims.userinfo(found.account, scope, found.token.claims)
        with self._units.reading() as unit:
            alg = unit.scalar(select(Client.userinfo_signed_response_alg).where(Client.client_id == client_id))
        return said if alg is None else self._keys.sign(alg, {**said, "iss": self._issuer, "aud": client_id})
