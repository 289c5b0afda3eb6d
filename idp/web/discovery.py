"""What the provider says about itself: configuration and keys, for any origin."""

from typing import Any

from flask import Response, jsonify

from idp.factors.registry import highest_level
from idp.oidc import discovery
from idp.web.use_cases import use_cases

# Long enough to spare requests, short enough that a new key is everywhere long before it signs.
FRESH_FOR = "public, max-age=300"


def document() -> dict[str, Any]:
    """What this deployment says about itself, the one time it is put together: for programs and for people."""
    return discovery.metadata(use_cases().settings.issuer, highest_level(), use_cases().registration.is_on)


def openid_configuration() -> Response:
    """OIDC Discovery 4, and RFC 8414 3: the same document at both addresses."""
    return _public(document())


def jwks() -> Response:
    """The public keys (RFC 7517 5)."""
    return _public(use_cases().keys.published())


def _public(document: object) -> Response:
    response: Response = jsonify(document)
    response.headers["Cache-Control"] = FRESH_FOR
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
