"""RP-initiated logout (OIDC RP-Initiated Logout 1.0), simplest correct form.

The session that ends is always the browser's own. `id_token_hint` only says which client asks and spares the question
when it was issued for this very session: a link from anywhere else must not sign anybody out (A77). Whoever wants to
sign out can, whatever is wrong with the request: then the person is asked, and led nowhere.

With nobody signed in there is nothing to ask about, so a bare `client_id` is led to its registered address at once.
That is safe: nothing ends by it, and the address is one that this very client registered, so whoever makes people open
such a link could as well link to the address itself. What somebody may add is `state`, as in any link to the client.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from idp.kernel.uris import with_query
from idp.oidc.clients import Client
from idp.oidc.parameters import Parameters

log = logging.getLogger(__name__)

KNOWN_PARAMETERS = ("id_token_hint", "logout_hint", "client_id", "post_logout_redirect_uri", "state", "ui_locales")


@dataclass(frozen=True)
class EndSessionRequest:
    """What of a logout request can be relied on; nothing, when anything is wrong with it."""

    client: Client | None = None
    """Named by the hint, or by a bare `client_id`: anybody can write that, so it spares no question."""
    sid: str | None = None
    """The session that the hint was issued for."""
    redirect_to: str | None = None
    """The registered post-logout redirect URI with `state`; None: our own page is the end."""

    def needs_confirmation(self, live_sid: str | None) -> bool:
        """True unless the hint is of the session that would end, or there is none (RP-Initiated Logout 2)."""
        return live_sid is not None and self.sid != live_sid


class _Wrong(Exception):
    """The request cannot be relied on. The message is for the log."""


def accept(
    parameters: Parameters,
    find_client: Callable[[str], Client | None],
    verified_hint: Callable[[str], dict[str, Any] | None],
) -> EndSessionRequest:
    """What the request says and can be relied on. What is wrong with it is in the log, for the client's developer."""
    try:
        return _accepted(parameters, find_client, verified_hint)
    except _Wrong as wrong:
        log.warning("a logout request is not relied on: %s", wrong)
        return EndSessionRequest()


def _accepted(
    parameters: Parameters,
    find_client: Callable[[str], Client | None],
    verified_hint: Callable[[str], dict[str, Any] | None],
) -> EndSessionRequest:
    for name in KNOWN_PARAMETERS:
        if parameters.is_unusable(name):
            raise _Wrong(f"{name} is sent more than once or is too long")
    hint, client_id = parameters.get("id_token_hint"), parameters.get("client_id")
    hinted = verified_hint(hint) if hint else None
    if hint and hinted is None:
        raise _Wrong("id_token_hint is not an ID token of this issuer")
    audience = _audience(hinted)
    if client_id is not None and audience is not None and client_id != audience:
        raise _Wrong("client_id and id_token_hint name different clients")
    named = audience or client_id
    client = find_client(named) if named else None
    if named and client is None:
        raise _Wrong("there is no such client")
    sid = hinted.get("sid") if hinted else None
    return EndSessionRequest(client, sid if isinstance(sid, str) else None, _redirect_to(parameters, client))


def _audience(hinted: dict[str, Any] | None) -> str | None:
    audience = hinted.get("aud") if hinted else None
    if isinstance(audience, list) and len(audience) == 1:
        audience = audience[0]
    return audience if isinstance(audience, str) else None


def _redirect_to(parameters: Parameters, client: Client | None) -> str | None:
    uri = parameters.get("post_logout_redirect_uri")
    if uri is None:
        return None
    # Exactly registered for the client that is named, so nothing but the client's own pages is ever led to (3).
    if client is None or uri not in client.post_logout_redirect_uris:
        raise _Wrong("post_logout_redirect_uri is not registered for the client")
    state = parameters.get("state")
    return uri if state is None else with_query(uri, [("state", state)])
