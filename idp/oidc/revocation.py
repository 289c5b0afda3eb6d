"""Token revocation (RFC 7009): a client gives back what it was issued and needs no more.

    refresh token   its family ends, with every access token of the same authorization (2.1)
    access token    it ends alone, whatever form it has

The session goes on: giving back a token is not signing out.
"""

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError

from idp.audit.events import TokenRevoked
from idp.audit.trail import Trail
from idp.oidc.access_token import AccessTokens
from idp.oidc.client_assertion import ClientAssertions
from idp.oidc.client_endpoint import ClientEndpoint, ClientRequest, ClientResponse
from idp.oidc.refresh_token import RefreshTokens
from idp.store.units import UnitsOfWork


class Revocation:
    """Answers the revocation endpoint."""

    def __init__(
        self,
        units: UnitsOfWork,
        trail: Trail,
        assertions: ClientAssertions,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
    ) -> None:
        self._units, self._trail = units, trail
        self._access_tokens, self._refresh_tokens = access_tokens, refresh_tokens
        self._endpoint = ClientEndpoint("revoke", units, trail, assertions, ("token", "token_type_hint"))

    def respond(self, request: ClientRequest) -> ClientResponse:
        """200: no token like this works any more, also when none ever did (2.2). The hint is not needed.

        400 `invalid_grant` for a token that was issued to another client; it stays good (2.1, RFC 6749 5.2).
        """
        client_id = None
        try:
            read = self._endpoint.read(request)
            client_id = self._endpoint.authenticate(self._endpoint.oauth2_request(request, read)).client_id
            token = read.get("token")
            if token is None:
                raise InvalidRequestError("token is missing")
            self._revoke(token, client_id)
        except OAuth2Error as error:
            return self._endpoint.refused(error, client_id)
        return ClientResponse(200, {})

    def _revoke(self, token: str, client_id: str) -> None:
        """Raises InvalidGrantError for a token of another client."""
        key = self._access_tokens.key_of(token)
        with self._units.writing() as unit:
            if key is None:
                revoked = self._refresh_tokens.revoke(unit, token, client_id)
            else:
                revoked = self._access_tokens.revoke(unit, key, client_id)
            if revoked is None:
                return
            if revoked.client_id != client_id:
                raise InvalidGrantError("the token was issued to another client")
            if revoked.is_news:
                kind = "refresh_token" if key is None else "access_token"
                self._trail.record(unit, TokenRevoked(kind, grant_id=revoked.grant_id, client_id=client_id))
