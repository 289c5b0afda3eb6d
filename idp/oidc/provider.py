"""Authlib assembled into our token endpoint: client authentication and grants. No Flask here.

    respond(request) -> TokenResponse
        parameters   single-valued, decoded strictly            (ours)
        client       one method, the registered one             (Authlib's registry, our readers)
        grant        authorization_code, refresh_token          (Authlib's dispatch, our transactions)
        tokens       written with the consequence, signed after (token_issuer)

Authlib's own grants save a token before they mark the code; ours mark first, in the same transaction, by one statement.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from idp.audit.events import TokenRequestRefused, TokensIssued
from idp.audit.trail import Trail
from idp.oidc import client_authentication, clients, parameters
from idp.oidc.authorization_code import AuthorizationCodes
from idp.oidc.clients import Client
from idp.oidc.errors import plain_description
from idp.oidc.refresh_token import RefreshTokens
from idp.oidc.token_issuer import Issued, TokenIssuer
from idp.sessions.lifecycle import Sessions
from idp.store.units import UnitsOfWork

# At DEBUG Authlib prints whole token responses.
logging.getLogger("authlib").setLevel(logging.INFO)

METHODS = list(clients.AUTHENTICATION_METHODS)
KNOWN_PARAMETERS = (
    "grant_type",
    "code",
    "redirect_uri",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "code_verifier",
    "refresh_token",
    "scope",
)
NOT_VALID = "the refresh token is not valid for this client, or its session is over"
NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))


@dataclass(frozen=True)
class TokenRequest:
    """A POST to the token endpoint, as it came."""

    body: bytes
    content_type: str
    authorization: str | None


@dataclass(frozen=True)
class TokenResponse:
    """Status, JSON body and headers (RFC 6749 5)."""

    status: int
    body: Mapping[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


class UnsupportedGrantType(OAuth2Error):  # type: ignore[misc]
    """As Authlib's, without the value that was sent: it may contain what a description must not."""

    error = "unsupported_grant_type"


class Provider:
    """The token endpoint."""

    def __init__(
        self,
        units: UnitsOfWork,
        trail: Trail,
        codes: AuthorizationCodes,
        refresh_tokens: RefreshTokens,
        token_issuer: TokenIssuer,
        sessions: Sessions,
        token_endpoint: str,
    ) -> None:
        self.units, self.trail, self.codes, self.refresh_tokens = units, trail, codes, refresh_tokens
        self.token_issuer, self.sessions, self._token_endpoint = token_issuer, sessions, token_endpoint
        self._server = _Server(self)

    def respond(self, request: TokenRequest) -> TokenResponse:
        """The response of the token endpoint; an error of the specification for every input, never an exception."""
        try:
            read = self._read(request)
        except OAuth2Error as error:
            return self._server.refused(error)
        response: TokenResponse = self._server.create_token_response(read)
        return response

    def _read(self, request: TokenRequest) -> OAuth2Request:
        if request.content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            raise InvalidRequestError("the body must be application/x-www-form-urlencoded")
        try:
            read = parameters.parse(request.body)
        except parameters.Unreadable as error:
            raise InvalidRequestError(f"the body cannot be read: {error}") from error
        for name in KNOWN_PARAMETERS:
            if read.is_unusable(name):
                raise InvalidRequestError(f"{name} is sent more than once or is too long")
            if "\x00" in (read.get(name) or ""):
                raise InvalidRequestError(f"{name} contains a character that is not allowed")
        client_authentication.require_one_method(read, request.authorization)
        headers = {} if request.authorization is None else {"Authorization": request.authorization}
        oauth2_request = OAuth2Request("POST", self._token_endpoint, headers=headers)
        oauth2_request.payload = BasicOAuth2Payload({name: value for name, value in read.values.items() if value})
        if oauth2_request.payload.grant_type is None:
            raise InvalidRequestError("grant_type is missing")
        return oauth2_request

    def find_client(self, client_id: str) -> Client | None:
        with self.units.reading() as unit:
            return clients.find(unit, client_id)


class _Server(AuthorizationServer):  # type: ignore[misc]
    """Authlib's dispatch, answering with TokenResponse values."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self.provider = provider
        for method in METHODS:
            self.register_client_auth_method(method, getattr(client_authentication, method))
        for grant in (_AuthorizationCodeGrant, _RefreshTokenGrant):
            self.register_grant(grant)

    def query_client(self, client_id: str) -> Client | None:
        return self.provider.find_client(client_id)

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

    def create_token_response(self, request: OAuth2Request | None = None) -> TokenResponse:
        try:
            grant = self.get_token_grant(request)
            grant.validate_token_request()
            return TokenResponse(200, grant.create_token_response(), NO_STORE)
        except OAuth2Error as error:
            return self.refused(error, getattr(getattr(request, "client", None), "client_id", None))

    def refused(self, error: OAuth2Error, client_id: str | None = None) -> TokenResponse:
        status, body, headers = error()
        description = plain_description(str(body.get("error_description", "")))
        with self.provider.units.writing() as unit:
            event = TokenRequestRefused(error=str(error.error), detail=description, client_id=client_id)
            self.provider.trail.record(unit, event)
        answer = {"error": error.error} | ({"error_description": description} if description else {})
        challenge = tuple(pair for pair in headers if pair[0] == "WWW-Authenticate")
        return TokenResponse(status or 400, answer, NO_STORE + challenge)


class _Grant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """What both grants share: the client first, then everything else."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    @property
    def provider(self) -> Provider:
        provider: Provider = self.server.provider
        return provider

    def validate_token_request(self) -> None:
        try:
            client = self.authenticate_token_endpoint_client()
        except OAuth2Error as error:
            raise client_authentication.InvalidClient() from error
        self.request.client = client
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("the client is not registered for this grant_type")

    def answer(self, issued: Issued, scope: str) -> dict[str, Any]:
        """The body of a successful response (OIDC Core 3.1.3.3). Signs; no unit of work is open."""
        answer: dict[str, Any] = {
            "access_token": issued.access_token,
            "token_type": "Bearer",
            "expires_in": issued.expires_in_seconds,
            "scope": scope,
            "id_token": self.provider.token_issuer.id_token(self.request.client, issued),
        }
        if issued.refresh_token is not None:
            answer["refresh_token"] = issued.refresh_token
        return answer

    def record_issue(self, unit: Any, issued: Issued) -> None:
        self.provider.trail.record(
            unit,
            TokensIssued(
                grant_type=self.GRANT_TYPE,
                grant_id=issued.grant.grant_id,
                client_id=issued.grant.client_id,
                account_id=issued.account.id,
                sid=issued.session.sid,
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
                unit, code, client.client_id, data.get("redirect_uri"), data.get("code_verifier")
            )
            issued = self.provider.token_issuer.issue(unit, client, grant, None, starts_family=True) if grant else None
            if issued:
                self.record_issue(unit, issued)
        if not issued:
            raise InvalidGrantError("the code is not valid for this request, was used before, or its session is over")
        return self.answer(issued, issued.grant.scope)


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
            used = self.provider.refresh_tokens.use(unit, token, client.client_id, rotates=client.is_public)
            issued = None
            if used:
                if not set(scope) <= set(used.grant.scope.split()):
                    # Raised inside the unit of work: the refresh token is not used up.
                    raise InvalidScopeError("scope is wider than what was granted")
                if client.session_activity == "token_refresh":
                    self.provider.sessions.touch_by_refresh(unit, used.grant.session_id)
                grant = replace(used.grant, scope=" ".join(scope) or used.grant.scope)
                issued = self.provider.token_issuer.issue(unit, client, grant, used.refresh_token, False)
                if issued is None:
                    # Raised inside the unit of work: a refresh token that yields nothing is not used up.
                    raise InvalidGrantError(NOT_VALID)
                self.record_issue(unit, issued)
        if not issued:
            raise InvalidGrantError(NOT_VALID)
        return self.answer(issued, issued.grant.scope)
