"""The end-session endpoint (OIDC RP-Initiated Logout 1.0), and the page of frames (OIDC Front-Channel Logout 1.0)."""

import logging
from collections.abc import Sequence
from urllib.parse import quote

from flask import Response, request, url_for

from idp.oidc import end_session as protocol
from idp.oidc import frontchannel_logout
from idp.oidc.end_session import EndSessionRequest
from idp.oidc.errors import ShownToEndUser
from idp.oidc.frontchannel_logout import Frame
from idp.signin.logout import Applications
from idp.web import cookies, csrf, front_channel, headers, responses, session_over, signed_out
from idp.web.pages import is_web_address, render
from idp.web.use_cases import use_cases

log = logging.getLogger(__name__)

ABOUT = "end_session"


def end_session() -> Response:
    """GET: ends the browser's session, after a question unless the hint is of that very session."""
    accepted = _accepted()
    live = use_cases().logout.look(cookies.browser().session_secret)
    if live is not None and accepted.needs_confirmation(live.sid):
        return render(
            "end_session/confirm.html",
            action=url_for("idp.end_session_confirm") + "?" + quote(_readable(request.query_string), safe="%&=+"),
            csrf_token=csrf.token(ABOUT),
            username=live.username,
            app_names=live.app_names,
            untold=live.untold,
        )
    return _end(accepted)


def end_session_post() -> Response:
    """POST: the same request, led to our own GET, because Lax cookies do not travel with a cross-site POST."""
    return front_channel.lead_to_get("idp.end_session", _readable(request.get_data(cache=False)))


def end_session_confirm() -> Response:
    """POST: the person's answer to the question."""
    csrf.require(ABOUT)
    accepted = _accepted()
    return _stay(accepted) if request.form.get("decision") == "stay" else _end(accepted)


def _stay(accepted: EndSessionRequest) -> Response:
    services, secret, client = use_cases(), cookies.browser().session_secret, accepted.client
    if not services.logout.stay(secret) and (over := services.logout.over(secret)) is not None:
        return session_over.page(over, client)
    home = client.home(services.settings.issuer) if client is not None else None
    if client is not None and home is not None:
        return responses.hand_off(home, client.client_name)
    return responses.see_other(url_for("idp.home"))


def _end(accepted: EndSessionRequest) -> Response:
    services, secret, client = use_cases(), cookies.browser().session_secret, accepted.client
    ended = services.logout.end(secret)
    frames: Sequence[Frame] = ()
    if ended is not None:
        frames = frontchannel_logout.frames(ended.clients, services.settings.issuer, ended.sid)
    if accepted.redirect_to is not None and client is not None:
        response = _leave(accepted.redirect_to, client.client_name, frames)
    elif ended is not None:
        client_id = client.client_id if client else None
        # Somebody else's hint, or a bare client_id, is no sign that the client did anything.
        reference = signed_out.Reference(ended.sid, client_id, left_by_itself=accepted.sid == ended.sid)
        address = signed_out.address(reference)
        response = _through_frames(address, None, frames) if frames else responses.see_other(address)
    elif (over := services.logout.over(secret)) is not None:
        response = session_over.page(over, client)
    else:
        response = signed_out.page(client.client_id if client else None, Applications())
    cookies.drop_session(response)
    return response


def _leave(target: str, app_name: str, frames: Sequence[Frame]) -> Response:
    return _through_frames(target, app_name, frames) if frames else responses.hand_off(target, app_name)


def _through_frames(target: str, app_name: str | None, frames: Sequence[Frame]) -> Response:
    """The pages of these clients are loaded first; then the browser goes on to the target (Front-Channel Logout 3)."""
    headers.allow_frames({frame.origin for frame in frames})
    return render(
        "end_session/frames.html",
        target=target,
        app_name=app_name,
        is_web=app_name is None or is_web_address(target),
        frames=frames,
    )


def _accepted() -> EndSessionRequest:
    services = use_cases()
    return protocol.accept(
        front_channel.parameters_of(_readable(request.query_string)),
        services.provider.find_client,
        lambda hint: services.keys.verified_id_token(hint, services.settings.issuer),
    )


def _readable(encoded: bytes) -> bytes:
    """The parameters, or none at all: whoever wants to sign out can, also when nobody can read the request."""
    try:
        front_channel.parameters_of(encoded)
    except ShownToEndUser as error:
        log.warning("a logout request is not relied on: %s", error.description)
        return b""
    return encoded
