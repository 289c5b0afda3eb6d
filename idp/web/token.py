"""What servers of clients post: to the token endpoint (RFC 6749 3.2), to introspection (RFC 7662 2), revocation
(RFC 7009 2) and pushed authorization (RFC 9126 2)."""

from flask import Response

from idp.web.client_requests import answered, client_request
from idp.web.use_cases import use_cases


def token() -> Response:
    """POST only; what comes in and goes out is decided in `oidc.provider`."""
    return answered(use_cases().provider.respond(client_request()))


def introspect() -> Response:
    """POST only; decided in `oidc.introspection`."""
    return answered(use_cases().introspection.respond(client_request()))


def revoke() -> Response:
    """POST only; decided in `oidc.revocation`."""
    return answered(use_cases().revocation.respond(client_request()))


def push() -> Response:
    """POST only; decided in `oidc.pushed_authorization`."""
    return answered(use_cases().pushed_authorization.respond(client_request()))
