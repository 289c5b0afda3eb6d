"""The userinfo endpoint (OIDC Core 5.3)."""

from typing import Any

from idp.oidc import claims
from idp.oidc.protected_resource import AccessTokenError, ProtectedResources, ResourceRequest, shown
from idp.oidc.subjects import Subjects


class Userinfo:
    """Answers what an access token may know about its person."""

    def __init__(self, protected_resources: ProtectedResources, subjects: Subjects) -> None:
        self._protected_resources, self._subjects = protected_resources, subjects

    def respond(self, request: ResourceRequest) -> dict[str, Any]:
        """The claims. Raises AccessTokenError from the very instant at which the token or its session is over."""
        found = self._protected_resources.admit(request)
        scope = found.token.scope.split()
        if "openid" not in scope or found.account is None:
            scheme = shown(request).scheme
            raise AccessTokenError(403, "insufficient_scope", "the access token was not issued for openid", scheme)
        known = claims.userinfo(found.account, scope, found.token.claims)
        return known | {"sub": self._subjects.of(found.client, found.account)}
