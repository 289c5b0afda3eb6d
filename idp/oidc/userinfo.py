"""The userinfo endpoint (OIDC Core 5.3)."""

from collections.abc import Mapping
from typing import Any

from idp.oidc import claims
from idp.oidc.keys import Keys
from idp.oidc.protected_resource import AccessTokenError, ProtectedResources, ResourceRequest, shown
from idp.oidc.subjects import Subjects


class Userinfo:
    """Answers what an access token may know about its person."""

    def __init__(self, protected_resources: ProtectedResources, subjects: Subjects, keys: Keys, issuer: str) -> None:
        self._protected_resources, self._subjects, self._keys, self._issuer = (
            protected_resources,
            subjects,
            keys,
            issuer,
        )

    def respond(self, request: ResourceRequest) -> Mapping[str, Any] | str:
        """The claims; for a client that wants them signed, a JWT of them with `iss` and `aud` (5.3.2).

        Raises AccessTokenError from the very instant at which the token or its session is over.
        """
        found = self._protected_resources.admit(request)
        scope = found.token.scope.split()
        if "openid" not in scope or found.account is None:
            scheme = shown(request).scheme
            raise AccessTokenError(403, "insufficient_scope", "the access token was not issued for openid", scheme)
        client = found.client
        said = claims.userinfo(found.account, scope, found.token.claims)
        said |= {"sub": self._subjects.of(client, found.account)}
        alg = client.userinfo_signed_response_alg
        return said if alg is None else self._keys.sign(alg, {**said, "iss": self._issuer, "aud": client.client_id})
