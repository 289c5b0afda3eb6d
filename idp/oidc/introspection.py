"""Token introspection (RFC 7662): what a token is worth at this very instant, for the client that it was issued to,
and for the resource servers that it was issued for (RFC 8707).

Whatever is not good now, or is somebody else's, is answered the same: not active (2.2). The answer is JSON, or a JWT
signed for who asked (RFC 9701), for clients that are registered for one and whenever one is asked for.
"""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError

from idp.kernel.clock import Clock, whole_seconds
from idp.oidc import resource_indicators
from idp.oidc.access_token import AccessTokens, LiveAccessToken
from idp.oidc.client_assertion import ClientAssertions
from idp.oidc.client_endpoint import NO_STORE, ClientEndpoint, ClientRequest, ClientResponse
from idp.oidc.clients import Client
from idp.oidc.keys import Keys
from idp.oidc.models import AccessToken, RefreshFamily
from idp.oidc.recorded_refusals import RecordedRefusals
from idp.oidc.refresh_token import RefreshTokens
from idp.oidc.subjects import Subjects
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
        refusals: RecordedRefusals,
        assertions: ClientAssertions,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
        keys: Keys,
        subjects: Subjects,
        issuer: str,
    ) -> None:
        self._units, self._clock, self._keys, self._subjects = units, clock, keys, subjects
        self._issuer = issuer
        self._access_tokens, self._refresh_tokens = access_tokens, refresh_tokens
        self._endpoint = ClientEndpoint("introspect", units, refusals, assertions, ("token", "token_type_hint"))

    def respond(self, request: ClientRequest) -> ClientResponse:
        """What the token is worth. The hint is not needed: no token could be of both kinds (2.1)."""
        client = None
        try:
            read = self._endpoint.read(request)
            client = self._endpoint.confidential_client(request, read)
            token = read.get("token")
            if token is None:
                raise InvalidRequestError("token is missing")
        except OAuth2Error as error:
            return self._endpoint.refused(error, client)
        said = self._of(token, client) or NOT_ACTIVE
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
        usual = "ES256" if client.profile == "fapi2" else DEFAULT_ALG
        return self._keys.sign(client.introspection_signed_response_alg or usual, claims, TYP)

    def _of(self, token: str, client: Client) -> Mapping[str, Any] | None:
        found = self._access_tokens.find(token)
        if found is not None:
            return self._of_access_token(found) if _may_ask(client, found) else None
        with self._units.reading() as unit:
            family = self._refresh_tokens.find_live(unit, token)
        if family is None or family.token.client_id != client.client_id:
            return None
        return self._said(family.token, self._subjects.of_sub(client, family.sub), {})

    def _of_access_token(self, found: LiveAccessToken) -> Mapping[str, Any]:
        """Who it is about by the name that the client knows, whoever asks (OIDC Core 8)."""
        sub = found.client.client_id if found.account is None else self._subjects.of(found.client, found.account)
        aud = resource_indicators.as_claim(found.token.audience, self._issuer)
        token_type = "DPoP" if found.token.dpop_jkt else "Bearer"
        return self._said(found.token, sub, {"token_type": token_type, "aud": aud})

    def _said(self, token: AccessToken | RefreshFamily, sub: str, more: Mapping[str, Any]) -> Mapping[str, Any]:
        scope = {"scope": token.scope} if token.scope else {}
        return {
            "active": True,
            **scope,
            "client_id": token.client_id,
            "sub": sub,
            "iss": self._issuer,
            "iat": whole_seconds(token.issued_at),
            "exp": whole_seconds(token.expires_at),
            **({"cnf": {"jkt": token.dpop_jkt}} if token.dpop_jkt else {}),
            **more,
        }


def _may_ask(client: Client, found: LiveAccessToken) -> bool:
    """Its own tokens anybody; those of others only a resource server that the token is for (RFC 7662 2.1 and 4)."""
    if found.client.client_id == client.client_id:
        return True
    return client.is_resource_server and not set(client.resources).isdisjoint(found.token.audience)
