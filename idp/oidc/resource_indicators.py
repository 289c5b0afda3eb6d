"""Which resource servers an access token is for (RFC 8707).

    asked for at authorization    kept with the code and with the family of refresh tokens
    asked for at the token        one or more of those, or this provider itself; without asking, all of those
    endpoint

A token for nobody in particular is for this provider: for userinfo and for the sessions of its person. One that is for
others is refused here. An audience is only ever what the client is registered for at that moment.
"""

from collections.abc import Sequence

from authlib.oauth2 import OAuth2Error

from idp.oidc.clients import Client
from idp.oidc.parameters import Parameters


class InvalidTarget(OAuth2Error):  # type: ignore[misc]
    """400: the resource is unknown, or not one that this client may have tokens for (RFC 8707 2)."""

    error = "invalid_target"


def asked(parameters: Parameters) -> tuple[str, ...]:
    """The resources that a token request names. Raises InvalidTarget for one that cannot be read."""
    if parameters.is_unusable("resource"):
        raise InvalidTarget("the resource is too long")
    return parameters.get_all("resource")


def audience(client: Client, granted: Sequence[str], asked: Sequence[str], issuer: str) -> list[str]:
    """Whom the token is for; empty: this provider. Raises InvalidTarget for anything that was not granted (2.2)."""
    left = [resource for resource in granted if resource in client.resources]
    if granted and not left:
        # Never wider than what was granted: without any audience it would be for us.
        raise InvalidTarget("the client is not registered any more for what was granted")
    if any(resource != issuer and resource not in left for resource in asked):
        raise InvalidTarget("the resource was not granted")
    return list(asked) or left


def as_claim(audience: Sequence[str], issuer: str) -> str | list[str]:
    """The value of `aud` (RFC 7519 4.1.3): one text, or a list of several."""
    return list(audience) if len(audience) > 1 else (audience[0] if audience else issuer)
