"""Authlib assembled into our token endpoint: client authentication and grants. No Flask here.

    respond(request) -> ClientResponse
        parameters   single-valued, decoded strictly            (client_endpoint)
        client       one method, the registered one             (client_endpoint)
        proof        of the key that tokens are bound to        (dpop)
        grant        authorization_code, refresh_token,
                     client_credentials                         (Authlib's dispatch, our transactions)
        tokens       written with the consequence, signed after (token_issuer)

Authlib's own grants save a token before they mark the code; ours mark first, in the same transaction, by one statement.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import (
    AuthorizationServer,
    BaseGrant,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    TokenEndpointMixin,
    UnauthorizedClientError,
)
from sqlalchemy.orm import Session as Unit

from idp.audit.events import TokensIssued
from idp.audit.trail import Trail
from idp.oidc import clients, resource_indicators
from idp.oidc.authorization_code import AuthorizationCodes
from idp.oidc.client_assertion import ClientAssertions
from idp.oidc.client_endpoint import ClientEndpoint, ClientRequest, ClientResponse
from idp.oidc.clients import OFFLINE_ACCESS, Client
from idp.oidc.discovery import PATHS
from idp.oidc.dpop import Proof, Proofs
from idp.oidc.recorded_refusals import RecordedRefusals
from idp.oidc.refresh_token import Refreshed, RefreshTokens
from idp.oidc.token_issuer import Issued, TokenIssuer
from idp.sessions.lifecycle import Sessions
from idp.store.units import UnitsOfWork

# At DEBUG Authlib prints whole token responses.
logging.getLogger("authlib").setLevel(logging.INFO)

KNOWN_PARAMETERS = ("grant_type", "code", "redirect_uri", "code_verifier", "refresh_token", "scope")
NOT_VALID = "the refresh token is not valid for this client, or its session is over"


class UnsupportedGrantType(OAuth2Error):  # type: ignore[misc]
    """As Authlib's, without the value that was sent: it may contain what a description must not."""

    error = "unsupported_grant_type"


class Provider:
    """The token endpoint."""

    def __init__(
        self,
        units: UnitsOfWork,
        trail: Trail,
        refusals: RecordedRefusals,
        assertions: ClientAssertions,
        codes: AuthorizationCodes,
        refresh_tokens: RefreshTokens,
        token_issuer: TokenIssuer,
        sessions: Sessions,
        proofs: Proofs,
    ) -> None:
        self.units, self.trail, self.codes, self.refresh_tokens = units, trail, codes, refresh_tokens
        self.token_issuer, self.sessions, self.proofs = token_issuer, sessions, proofs
        self.endpoint = ClientEndpoint("token", units, refusals, assertions, KNOWN_PARAMETERS, records_strangers=True)
        self._server = _Server(self)

    def respond(self, request: ClientRequest) -> ClientResponse:
        """The response of the token endpoint; an error of the specification for every input, never an exception."""
        try:
            parameters = self.endpoint.read(request)
            read = self.endpoint.oauth2_request(request, parameters)
            read.parameters = parameters
            if read.payload.grant_type is None:
                raise InvalidRequestError("grant_type is missing")
        except OAuth2Error as error:
            return self.endpoint.refused(error)
        response: ClientResponse = self._server.create_token_response(read)
        return response

    def find_client(self, client_id: str) -> Client | None:
        return self.endpoint.find_client(client_id)

    def is_origin_of_a_browser_application(self, origin: str) -> bool:
        """True for an origin, written as browsers write it, that a browser application has a redirect URI on."""
        with self.units.reading() as unit:
            return clients.is_origin_of_a_browser_application(unit, origin)


class _Server(AuthorizationServer):  # type: ignore[misc]
    """Authlib's dispatch, answering with ClientResponse values."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self.provider = provider
        for grant in (_AuthorizationCodeGrant, _RefreshTokenGrant, _ClientCredentialsGrant):
            self.register_grant(grant)

    def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
        return request

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nothing listens."""

    def get_token_grant(self, request: OAuth2Request) -> "_Grant":
        for grant, _ in self._token_grants:
            if grant.check_token_endpoint(request):
                found: _Grant = grant(request, self)
                return found
        raise UnsupportedGrantType("this grant_type is not supported")

    def create_token_response(self, request: OAuth2Request | None = None) -> ClientResponse:
        try:
            grant = self.get_token_grant(request)
            grant.validate_token_request()
            return ClientResponse(200, grant.create_token_response())
        except OAuth2Error as error:
            return self.provider.endpoint.refused(error, getattr(request, "client", None))


class _Grant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """What all grants share: the client first, then its proof, then everything else."""

    proof: Proof | None = None

    @property
    def provider(self) -> Provider:
        provider: Provider = self.server.provider
        return provider

    def validate_token_request(self) -> None:
        client = self.provider.endpoint.authenticate(self.request)
        self.request.client = client
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("the client is not registered for this grant_type")
        presented = self.request.headers.get("DPoP")
        self.proof = self.provider.proofs.of_client(client, presented, PATHS["token_endpoint"])

    @property
    def jkt(self) -> str | None:
        """The key that this request proves to have."""
        return None if self.proof is None else self.proof.jkt

    def audience(self, granted: Sequence[str]) -> list[str]:
        """Whom the access token is for, of those that were granted. Raises InvalidTarget."""
        asked = resource_indicators.asked(self.request.parameters)
        return resource_indicators.audience(self.request.client, granted, asked, self.provider.token_issuer.issuer)

    def answer(self, issued: Issued) -> dict[str, Any]:
        """The body of a successful response (RFC 6749 5.1, OIDC Core 3.1.3.3). Signs; no unit of work is open."""
        client, token_issuer = self.request.client, self.provider.token_issuer
        access_token = token_issuer.access_token(client, issued)
        answer: dict[str, Any] = {
            "access_token": access_token,
            "token_type": "Bearer" if issued.dpop_jkt is None else "DPoP",
            "expires_in": issued.expires_in_seconds,
        }
        if issued.scope:
            answer["scope"] = issued.scope
        if issued.person is not None:
            answer["id_token"] = token_issuer.id_token(client, issued, issued.person, access_token)
        if issued.refresh_token is not None:
            answer["refresh_token"] = issued.refresh_token
        return answer

    def conclude(self, unit: Unit, issued: Issued) -> None:
        """The proof is used up by this, and the issue is recorded. Raises InvalidDpopProof when it was before."""
        if self.proof is not None:
            self.provider.proofs.use(unit, self.proof)
        self.provider.trail.record(
            unit,
            TokensIssued(
                grant_type=self.GRANT_TYPE,
                grant_id=issued.grant_id,
                client_id=self.request.client.client_id,
                account_id=issued.person.account.id if issued.person else None,
                sid=issued.person.sid if issued.person else None,
            ),
        )


class _AuthorizationCodeGrant(_Grant):
    """`authorization_code` (RFC 6749 4.1.3, RFC 7636 4.5)."""

    GRANT_TYPE = "authorization_code"

    def create_token_response(self) -> dict[str, Any]:
        data, client = self.request.payload.data, self.request.client
        code = data.get("code")
        if not code:
            raise InvalidRequestError("code is missing")
        with self.provider.units.writing() as unit:
            grant = self.provider.codes.redeem(
                unit, code, client.client_id, data.get("redirect_uri"), data.get("code_verifier"), self.jkt
            )
            if grant and not client.may_have_offline_access:
                # It was taken from the client since the person was asked.
                kept = [value for value in grant.scope.split() if value != OFFLINE_ACCESS]
                grant = replace(grant, scope=" ".join(kept))
            issued = None
            if grant:
                audience = self.audience(grant.resources)
                issued = self.provider.token_issuer.issue(unit, client, grant, None, True, audience, self.jkt)
            if issued:
                self.conclude(unit, issued)
        if not issued:
            raise InvalidGrantError("the code is not valid for this request, was used before, or its session is over")
        return self.answer(issued)


class _RefreshTokenGrant(_Grant):
    """`refresh_token` (RFC 6749 6, OIDC Core 12)."""

    GRANT_TYPE = "refresh_token"

    def create_token_response(self) -> dict[str, Any]:
        data, client = self.request.payload.data, self.request.client
        token = data.get("refresh_token")
        if not token:
            raise InvalidRequestError("refresh_token is missing")
        scope = (data.get("scope") or "").split()
        with self.provider.units.writing() as unit:
            used = self.provider.refresh_tokens.use(unit, token, client.client_id, client.is_public, self.jkt)
            issued = None
            if used:
                if not set(scope) <= set(used.grant.scope.split()):
                    # Raised inside the unit of work: the refresh token is not used up.
                    raise InvalidScopeError("scope is wider than what was granted")
                issued = self._issued(unit, client, used, " ".join(scope) or used.grant.scope)
                if issued is None:
                    # Raised inside the unit of work: a refresh token that yields nothing is not used up.
                    raise InvalidGrantError(NOT_VALID)
                self.conclude(unit, issued)
        if not issued:
            raise InvalidGrantError(NOT_VALID)
        return self.answer(issued)

    def _issued(self, unit: Unit, client: Client, used: Refreshed, scope: str) -> Issued | None:
        audience = self.audience(used.grant.resources)
        if used.grant.session_id is None:
            return self.provider.token_issuer.issue_offline(unit, client, used, scope, audience, self.jkt)
        if client.session_activity == "token_refresh":
            self.provider.sessions.touch_by_refresh(unit, used.grant.session_id, client.client_id)
        grant = replace(used.grant, scope=scope)
        return self.provider.token_issuer.issue(unit, client, grant, used.refresh_token, False, audience, self.jkt)


class _ClientCredentialsGrant(_Grant):
    """`client_credentials` (RFC 6749 4.4): the client speaks for itself, nobody is signed in.

    So there is no ID token, no refresh token (4.4.3), and nothing in the scope that is about a person.
    """

    GRANT_TYPE = "client_credentials"

    def create_token_response(self) -> dict[str, Any]:
        client: Client = self.request.client
        if client.is_public:
            raise UnauthorizedClientError("a client that proves nothing does not get tokens of its own")
        scope = list(dict.fromkeys((self.request.payload.data.get("scope") or "").split()))
        if not set(scope) <= set(client.own_scope):
            raise InvalidScopeError("scope is wider than what the client may have for itself")
        audience = self.audience(client.resources)
        with self.provider.units.writing() as unit:
            own = " ".join(scope or client.own_scope)
            issued = self.provider.token_issuer.issue_to_client(unit, client, own, audience, self.jkt)
            self.conclude(unit, issued)
        return self.answer(issued)
