"""Who asks, and where the answer may go. Until both are certain an error must not travel (RFC 6749 4.1.2.1)."""

import re
from collections.abc import Callable
from urllib.parse import urlsplit

from idp.oidc.clients import LOOPBACK_HOSTS, Client
from idp.oidc.errors import ShownToEndUser, plain_description
from idp.oidc.parameters import Parameters


def certain_client(parameters: Parameters, find_client: Callable[[str], Client | None]) -> Client:
    """The client that asks. Raises ShownToEndUser when there is no such client."""
    client_id = parameters.get("client_id")
    if client_id is None:
        raise ShownToEndUser("invalid_request", "client_id is missing or sent more than once")
    client = find_client(client_id)
    if client is None:
        raise ShownToEndUser("invalid_client", f"there is no client {plain_description(client_id)[:100]}")
    return client


def certain_redirect_uri(parameters: Parameters, client: Client) -> str:
    """Where the answer goes: an address that is registered for this client. Raises ShownToEndUser for any other."""
    redirect_uri = parameters.get("redirect_uri")
    if redirect_uri is None:
        raise ShownToEndUser("invalid_request", "redirect_uri is missing or sent more than once")
    if is_registered(redirect_uri, client):
        return redirect_uri
    raise ShownToEndUser(
        "invalid_request",
        f"redirect_uri is not registered for client {client.client_id}. "
        f"Received: {plain_description(redirect_uri)[:200]} Known: {len(client.redirect_uris)}",
    )


def is_registered(redirect_uri: str, client: Client) -> bool:
    """Simple string comparison, nothing else (OIDC Core 3.1.2.1, RFC 3986 6.2.1, RFC 9700 4.1.3)."""
    return redirect_uri in client.redirect_uris or _is_registered_but_for_the_port(redirect_uri, client)


_LOOPBACK_WITH_PORT = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?(/.*)?", re.DOTALL)


def _is_registered_but_for_the_port(redirect_uri: str, client: Client) -> bool:
    """Native applications listen on whatever port is free, on a literal loopback address (RFC 8252 7.3)."""
    asked = _LOOPBACK_WITH_PORT.fullmatch(redirect_uri)
    if client.application_type != "native" or asked is None:
        return False
    known = (_LOOPBACK_WITH_PORT.fullmatch(uri) for uri in client.redirect_uris)
    return any(match is not None and match.groups() == asked.groups() for match in known)


def anybody_can_pose_as(client: Client, redirect_uri: str) -> bool:
    """True for a public client whose answer goes to a program on the device that proves nothing (RFC 8252 8.6)."""
    parts = urlsplit(redirect_uri)
    return client.is_public and (parts.scheme not in ("http", "https") or parts.hostname in LOOPBACK_HOSTS)
