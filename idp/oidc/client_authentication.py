"""Client authentication: none, client_secret_basic, client_secret_post (RFC 6749 2.3, OIDC Core 9).

Exactly one method per request, and the one that the client is registered for; those with a JWT are in
`client_assertion`. Authlib keeps the registry of methods;
how each is read is ours, because its own readers fail on bytes that are not UTF-8 and decode `+` differently than RFC
6749 2.3.1.
"""

import binascii
from base64 import b64decode
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError

from idp.oidc.clients import Client
from idp.oidc.parameters import Parameters
from idp.oidc.signatures import HMAC, header_of

ASSERTION = frozenset({"client_assertion", "client_assertion_type"})
FindClient = Callable[[str], Client | None]


class InvalidClient(OAuth2Error):  # type: ignore[misc]
    """401 with a challenge, whichever method was tried (RFC 6749 5.2). The description never says what was wrong;
    `reason` does, for those who run the provider.
    """

    error = "invalid_client"
    status_code = 401
    description = "client authentication failed"

    def __init__(self, reason: str) -> None:
        super().__init__()
        self.reason = reason

    def get_headers(self) -> list[tuple[str, str]]:
        headers: list[tuple[str, str]] = super().get_headers()
        return [*headers, ("WWW-Authenticate", 'Basic realm="token endpoint", error="invalid_client"')]


def require_one_method(parameters: Parameters, authorization: str | None) -> None:
    """Raises InvalidRequestError when the request uses more than one method (RFC 6749 2.3)."""
    sent = set(parameters.values)
    if sum((authorization is not None, "client_secret" in sent, bool(ASSERTION & sent))) > 1:
        raise InvalidRequestError("the client used more than one method to authenticate")


def method_of(request: Any) -> str:
    """The method that a request tries, by what is in it. It has passed `require_one_method`."""
    data = request.payload.data
    if request.headers.get("Authorization") is not None:
        return "client_secret_basic"
    if ASSERTION & set(data):
        # Which of both is said by the algorithm (OIDC Core 9).
        is_hmac = header_of(data.get("client_assertion", "")).get("alg") in HMAC
        return "client_secret_jwt" if is_hmac else "private_key_jwt"
    return "client_secret_post" if "client_secret" in data else "none"


def basic_credentials(authorization: str | None) -> tuple[str, str] | None:
    """Identifier and secret of a Basic header, form-decoded as RFC 6749 2.3.1 has it; None for anything else."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
        pair = unquote_plus(client_id, errors="strict"), unquote_plus(secret, errors="strict")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return pair if colon else None


# The three below have the form that Authlib's registry asks for: (query_client, request) -> the client, or None.


def client_secret_basic(find: FindClient, request: Any) -> Client | None:
    credentials = basic_credentials(request.headers.get("Authorization"))
    if credentials is None:
        return None
    client_id, secret = credentials
    in_body = request.payload.data.get("client_id")
    if in_body is not None and in_body != client_id:
        return None
    return _with_secret(find(client_id), secret)


def client_secret_post(find: FindClient, request: Any) -> Client | None:
    client_id, secret = request.payload.data.get("client_id"), request.payload.data.get("client_secret")
    return _with_secret(find(client_id), secret) if client_id and secret else None


def none(find: FindClient, request: Any) -> Client | None:
    data = request.payload.data
    # Whoever tries to prove something is no client that proves nothing.
    if request.headers.get("Authorization") is not None or ({"client_secret"} | ASSERTION) & set(data):
        return None
    return find(data["client_id"]) if data.get("client_id") else None


def _with_secret(client: Client | None, secret: str) -> Client | None:
    return client if client is not None and client.has_secret(secret) else None
