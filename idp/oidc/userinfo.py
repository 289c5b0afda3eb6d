"""The userinfo endpoint (OIDC Core 5.3)."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from idp.oidc import claims
from idp.oidc.clients import Client
from idp.oidc.keys import Keys
from idp.oidc.protected_resource import AccessTokenError, ProtectedResources, ResourceRequest, shown
from idp.store.units import UnitsOfWork


class Userinfo:
    """Answers what an access token may know about its person."""

    def __init__(self, units: UnitsOfWork, protected_resources: ProtectedResources, keys: Keys, issuer: str) -> None:
        self._units, self._protected_resources, self._keys, self._issuer = units, protected_resources, keys, issuer

    def respond(self, request: ResourceRequest) -> Mapping[str, Any] | str:
        """The claims; for a client that wants them signed, a JWT of them with `iss` and `aud` (5.3.2).

        Raises AccessTokenError from the very instant at which the token or its session is over.
        """
        found = self._protected_resources.admit(request)
        scope = found.token.scope.split()
        if "openid" not in scope:
            scheme = shown(request).scheme
            raise AccessTokenError(403, "insufficient_scope", "the access token was not issued for openid", scheme)
        client_id = found.token.client_id
        said = claims.userinfo(found.account, scope, found.token.claims)
        with self._units.reading() as unit:
            alg = unit.scalar(select(Client.userinfo_signed_response_alg).where(Client.client_id == client_id))
        return said if alg is None else self._keys.sign(alg, {**said, "iss": self._issuer, "aud": client_id})
