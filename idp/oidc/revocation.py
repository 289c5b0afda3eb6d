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
from idp.oidc.recorded_refusals import RecordedRefusals
from idp.oidc.refresh_token import RefreshTokens
from idp.store.units import UnitsOfWork


class Revocation:
    """Answers the revocation endpoint."""

    def __init__(
        self,
        units: UnitsOfWork,
        trail: Trail,
        refusals: RecordedRefusals,
        assertions: ClientAssertions,
        access_tokens: AccessTokens,
        refresh_tokens: RefreshTokens,
    ) -> None:
        self._units, self._trail = units, trail
        self._access_tokens, self._refresh_tokens = access_tokens, refresh_tokens
        self._endpoint = ClientEndpoint("revoke", units, refusals, assertions, ("token", "token_type_hint"))

    def respond(self, request: ClientRequest) -> ClientResponse:
        """200: no token like this works any more, also when none ever did (2.2). The hint is not needed.

        400 `invalid_grant` for a token that was issued to another client; it stays good (2.1, RFC 6749 5.2).
        """
        client = None
        try:
            read = self._endpoint.read(request)
            client = self._endpoint.authenticate(self._endpoint.oauth2_request(request, read))
            token = read.get("token")
            if token is None:
                raise InvalidRequestError("token is missing")
            self._revoke(token, client.client_id)
        except OAuth2Error as error:
            return self._endpoint.refused(error, client)
        return ClientResponse(200, {})

    def _revoke(self, token: str, client_id: str) -> None:
        """Raises InvalidGrantError for a token of another client."""
        key = self._access_tokens.key_of(token)
        # Anybody can send something in the name of a public client: only what is a token of it takes the write lock.
        with self._units.reading() as unit:
            owner = self._refresh_tokens.owner(unit, token) if key is None else self._access_tokens.owner(unit, key)
        if owner is None:
            return
        if owner != client_id:
            raise InvalidGrantError("the token was issued to another client")
        with self._units.writing() as unit:
            if key is None:
                revoked = self._refresh_tokens.revoke(unit, token, client_id)
            else:
                revoked = self._access_tokens.revoke(unit, key, client_id)
            if revoked is not None and revoked.is_news:
                kind = "refresh_token" if key is None else "access_token"
                self._trail.record(unit, TokenRevoked(kind, grant_id=revoked.grant_id, client_id=client_id))
