"""The one writer of authorization responses: success and error, query, fragment and form_post.

`iss` is in every response (RFC 9207 2), `state` exactly as it was sent or not at all, a query that the client
registered stays (RFC 6749 3.1.2, OAuth 2.0 Multiple Response Types 5, Form Post 2).
"""

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from idp.kernel.uris import with_query
from idp.oidc.authorization_request import AuthorizationRequest
from idp.oidc.errors import SentToClient, plain_description


@dataclass(frozen=True)
class AuthorizationResponse:
    """What goes to the client's redirect URI, and how."""

    client_id: str
    redirect_uri: str
    response_mode: str
    parameters: tuple[tuple[str, str], ...]

    @property
    def is_form_post(self) -> bool:
        return self.response_mode == "form_post"

    def location(self) -> str:
        """The URI that the browser is sent to, for `query` and `fragment`."""
        if self.response_mode == "fragment":
            return f"{self.redirect_uri}#{urlencode(self.parameters, quote_via=quote)}"
        return with_query(self.redirect_uri, self.parameters)


def success(request: AuthorizationRequest, issuer: str, code: str) -> AuthorizationResponse:
    """The code, for the client that asked."""
    return _response(request.client_id, request.redirect_uri, request.response_mode, request.state, issuer, code=code)


def failure(request: AuthorizationRequest, issuer: str, error: str, description: str) -> AuthorizationResponse:
    """An OAuth error in answer to a valid request."""
    return _response(
        request.client_id,
        request.redirect_uri,
        request.response_mode,
        request.state,
        issuer,
        error=error,
        error_description=plain_description(description),
    )


def refusal(error: SentToClient, issuer: str) -> AuthorizationResponse:
    """An OAuth error in answer to a request that was not accepted."""
    return _response(
        error.client_id,
        error.redirect_uri,
        error.response_mode,
        error.state,
        issuer,
        error=error.error,
        error_description=error.description,
    )


def _response(
    client_id: str, redirect_uri: str, response_mode: str, state: str | None, issuer: str, **outcome: str
) -> AuthorizationResponse:
    parameters = [(name, value) for name, value in outcome.items() if value]
    if state is not None:
        parameters.append(("state", state))
    parameters.append(("iss", issuer))
    return AuthorizationResponse(client_id, redirect_uri, response_mode, tuple(parameters))
