"""Token introspection (RFC 7662): what a token is worth at this very instant, for the client that it was issued to.

Whatever is not good now, or is somebody else's, is answered the same: not active (2.2). The answer is JSON, or a JWT
signed for who asked (RFC 9701), for clients that are registered for one and whenever one is asked for.
"""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError

from idp.audit.trail import Trail
from idp.kernel.clock import Clock, whole_seconds
from idp.oidc.access_token import AccessTokens
from idp.oidc.client_assertion import ClientAssertions
from idp.oidc.client_endpoint import NO_STORE, ClientEndpoint, ClientRequest, ClientResponse
from idp.oidc.clients import Client
from idp.oidc.keys import Keys
from idp.oidc.refresh_token import RefreshTokens
from idp.store.units import UnitsOfWork

TYP = "token-introspection+jwt"
MEDIA_TYPE = f"application/{TYP}"
# RFC 9701 6.
DEFAULT_ALG = "RS256"
NOT_ACTIVE: Mapping[str, Any] = {"active": False}


class Introspection:
    """Answers the introspection endpoint."""

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        trail: Trail,
        assertions: ClientAssertions,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        keys: Keys,
        issuer: str,
    ) -> None:
        self._units, self._clock, self._keys, self._issuer = units, clock, keys, issuer
        self._access_tokens, self._refresh_tokens = access_tokens, refresh_tokens
        self._endpoint = ClientEndpoint("introspect", units, trail, assertions, ("token", "token_type_hint"))

    def respond(self, request: ClientRequest) -> ClientResponse:
        """What the token is worth. The hint is not needed: no token could be of both kinds (2.1)."""
        client_id = None
        try:
            read = self._endpoint.read(request)
            client = self._endpoint.confidential_client(request, read)
            client_id = client.client_id
            token = read.get("token")
            if token is None:
                raise InvalidRequestError("token is missing")
        except OAuth2Error as error:
            return self._endpoint.refused(error, client_id)
        said = self._of(token, client_id) or NOT_ACTIVE
        if client.introspection_signed_response_alg is None and MEDIA_TYPE not in request.accept:
            return ClientResponse(200, said)
        return ClientResponse(200, self._signed(client, said), (*NO_STORE, ("Content-Type", MEDIA_TYPE)))

    def _signed(self, client: Client, said: Mapping[str, Any]) -> str:
        """The answer as a JWT (RFC 9701 5): nothing about the token outside of `token_introspection`, and a `typ` that
        keeps it from being taken for an access token (8.1)."""
        claims = {
            "iss": self._issuer,
            "aud": client.client_id,
            "iat": whole_seconds(self._clock.now()),
            "token_introspection": dict(said),
        }
        return self._keys.sign(client.introspection_signed_response_alg or DEFAULT_ALG, claims, TYP)

    def _of(self, token: str, client_id: str) -> Mapping[str, Any] | None:
        found = self._access_tokens.find(token)
        if found is not None:
            return self._said(
                found.token,
                client_id,
                found.account.sub,
                {"token_type": "DPoP" if found.token.dpop_jkt else "Bearer", "aud": self._issuer},
            )
        with self._units.reading() as unit:
            family = self._refresh_tokens.find_live(unit, token)
            return None if family is None else self._said(family.token, client_id, family.sub, {})

    def _said(self, token: Any, client_id: str, sub: str, more: Mapping[str, Any]) -> Mapping[str, Any] | None:
        if token.client_id != client_id:
            return None
        return {
            "active": True,
            "scope": token.scope,
            "client_id": client_id,
            "sub": sub,
            "iss": self._issuer,
            "iat": whole_seconds(token.issued_at),
            "exp": whole_seconds(token.expires_at),
            **({"cnf": {"jkt": token.dpop_jkt}} if token.dpop_jkt else {}),
            **more,
        }
