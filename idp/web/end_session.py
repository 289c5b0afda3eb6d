"""The end-session endpoint (OIDC RP-Initiated Logout 1.0)."""

from flask import Response, redirect, request, url_for

from idp.oidc import end_session as protocol
from idp.oidc.end_session import EndSessionRequest
from idp.web import cookies, csrf, front_channel, responses
from idp.web.pages import render
from idp.web.use_cases import use_cases

ABOUT = "end_session"


def end_session() -> Response:
    """GET: ends the browser's session, after a question unless the hint is of that very session."""
    accepted = _accepted()
    live = use_cases().logout.look(cookies.browser().session_secret)
    if live is not None and accepted.needs_confirmation(live.sid):
        action = url_for("idp.end_session_confirm") + "?" + request.query_string.decode("ascii")
        return render(
            "end_session/confirm.html",
            action=action,
            csrf_token=csrf.token(ABOUT),
            username=live.username,
            app_names=live.app_names,
        )
    return _end(accepted)


def end_session_post() -> Response:
    """POST: the same request, led to our own GET, because Lax cookies do not travel with a cross-site POST."""
    body = request.get_data(cache=False)
    front_channel.parameters_of(body)
    return front_channel.lead_to_get("idp.end_session", body)


def end_session_confirm() -> Response:
    """POST: the person's answer to the question."""
    csrf.require(ABOUT)
    accepted = _accepted()
    if request.form.get("decision") == "stay":
        home = accepted.client.home if accepted.client else None
        if home is not None and accepted.client is not None:
            return responses.hand_off(home, accepted.client.client_name)
        staying: Response = redirect(url_for("idp.home"), 303)  # type: ignore[assignment]
        return staying
    return _end(accepted)


def _end(accepted: EndSessionRequest) -> Response:
    logout, secret, client = use_cases().logout, cookies.browser().session_secret, accepted.client
    live = logout.look(secret)
    logout.end(secret)
    if accepted.redirect_to is not None and client is not None:
        response = responses.hand_off(accepted.redirect_to, client.client_name)
    else:
        response = render(
            "end_session/signed_out.html",
            app_name=client.client_name if client else None,
            app_url=client.home if client else None,
            # Who asks has signed the person out itself. The others are told by nobody yet.
            unreached=[name for name in live.app_names if client is None or name != client.client_name] if live else [],
        )
    cookies.drop_session(response)
    return response


def _accepted() -> EndSessionRequest:
    services = use_cases()
    return protocol.accept(
        front_channel.parameters_of(request.query_string),
        services.provider.find_client,
        lambda hint: services.keys.verified_id_token(hint, services.settings.issuer),
    )
