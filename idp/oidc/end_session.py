"""RP-initiated logout (OIDC RP-Initiated Logout 1.0), simplest correct form.

The session that ends is always the browser's own. `id_token_hint` only says which client asks and spares the question
when it was issued for this very session: a link from anywhere else must not sign anybody out (A77).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from idp.oidc.clients import Client
from idp.oidc.errors import ShownToEndUser
from idp.oidc.parameters import Parameters

KNOWN_PARAMETERS = ("id_token_hint", "logout_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales")


@dataclass(frozen=True)
class EndSessionRequest:
    """A logout request that was accepted."""

    client: Client | None
    sid: str | None
    redirect_to: str | None
    """The registered post-logout redirect URI with `state`; None: our own page is the end."""

    def needs_confirmation(self, live_sid: str | None) -> bool:
        """True unless the hint is of the session that would end, or there is none (RP-Initiated Logout 2)."""
        return live_sid is not None and self.sid != live_sid


def validate(
    parameters: Parameters,
    find_client: Callable[[str], Client | None],
    verified_hint: Callable[[str], dict[str, Any] | None],
) -> EndSessionRequest:
    """The request. Raises ShownToEndUser for all that is not right: logging out never redirects with an error."""
    for name in KNOWN_PARAMETERS:
        if parameters.is_unusable(name):
            raise ShownToEndUser("invalid_request", f"{name} is sent more than once or is too long")
    hint, client_id = parameters.get("id_token_hint"), parameters.get("client_id")
    hinted = verified_hint(hint) if hint else None
    if hint and hinted is None:
        raise ShownToEndUser("invalid_request", "id_token_hint is not an ID token of this issuer")
    audience = _audience(hinted)
    if client_id is not None and audience is not None and client_id != audience:
        raise ShownToEndUser("invalid_request", "client_id and id_token_hint name different clients")
    named = audience or client_id
    client = find_client(named) if named else None
    if named and client is None:
        raise ShownToEndUser("invalid_request", "there is no such client")
    redirect_to = _redirect_to(parameters, client, is_hinted=hinted is not None)
    sid = hinted.get("sid") if hinted else None
    return EndSessionRequest(client, sid if isinstance(sid, str) else None, redirect_to)


def _audience(hinted: dict[str, Any] | None) -> str | None:
    audience = hinted.get("aud") if hinted else None
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    return audience if isinstance(audience, str) else None


def _redirect_to(parameters: Parameters, client: Client | None, is_hinted: bool) -> str | None:
    uri = parameters.get("post_logout_redirect_uri")
    if uri is None:
        return None
    # Exactly registered, and never on the word of a bare client_id alone (RP-Initiated Logout 3).
    if client is None or not is_hinted or uri not in client.post_logout_redirect_uris:
        raise ShownToEndUser("invalid_request", "post_logout_redirect_uri is not registered for a proven client")
    state = parameters.get("state")
    if state is None:
        return uri
    joint = "&" if "?" in uri else "?"
    return f"{uri}{joint}{urlencode({'state': state}, quote_via=quote)}"
