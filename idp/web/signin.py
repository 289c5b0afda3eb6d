"""The pages of signing in: two functions for all prompts.

`show` renders what is pending; `answer` takes a prompt's name and is refused unless that is the pending one. No prompt
has a route of its own, so none can lack a guard.
"""

from typing import Any

from flask import Response, g, request, url_for
from werkzeug.exceptions import NotFound

from idp.accounts.names import canonical
from idp.signin.answers.common import Blocked, Wait
from idp.signin.logout import Over
from idp.signin.outcomes import Advanced, Begun, Closed, Completed, OutOfReach
from idp.web import cookies, csrf, responses, session_over
from idp.web.pages import render
from idp.web.screens import SCREENS, blocked, waiting
from idp.web.use_cases import use_cases

# How an attempt is finished in which nobody signed in.
NOT_SIGNED_IN = ("level_unreachable", "denied", "begun_again")


def show(interaction_id: str, prompt: str) -> Response:
    """GET: the page of the pending prompt; another address leads there; with nothing pending the flow completes."""
    flow, browser = use_cases().flow, cookies.browser()
    if browser.binding is None:
        return _without_binding(interaction_id)
    look = flow.look(interaction_id, browser)
    if isinstance(look, Closed):
        return _closed(look, interaction_id)
    g.ui_locales = look.request.ui_locales
    if "fresh" in request.args:
        # The cookie has arrived. Kept as a bookmark, the address would blame cookies whenever they are gone.
        kept = {name: value for name, value in request.args.items() if name != "fresh"}
        return go_to(interaction_id, prompt, **kept)
    if look.pending is None:
        return _complete(interaction_id)
    if look.pending.name != prompt:
        return go_to(interaction_id, look.pending.name)
    if "blocked" in request.args and use_cases().answers.is_blocked(look):
        return blocked(look)
    until = None if "choose" in request.args else use_cases().answers.waits_until(look, browser)
    if until is not None and (prompt != "identify" or "wait" in request.args):
        return waiting(look, until)
    return SCREENS[prompt](look)


def answer(interaction_id: str, prompt: str) -> Response:
    """POST: one answer to the pending prompt. Always leads to a GET."""
    browser = cookies.browser()
    if browser.binding is None:
        return _once_more(interaction_id)
    csrf.require(interaction_id)
    # PostgreSQL takes no text with NUL, and no keyboard types one.
    form = {name: value.replace("\x00", "\N{REPLACEMENT CHARACTER}") for name, value in request.form.items()}
    reaction = use_cases().answers.advance(interaction_id, browser, prompt, form)
    if isinstance(reaction, Closed):
        return _closed(reaction, interaction_id)
    if isinstance(reaction, Wait):
        return go_to(reaction.interaction_id, prompt, wait="1", **_tick(prompt))
    if isinstance(reaction, Blocked):
        return go_to(reaction.interaction_id, prompt, blocked="1", **_tick(prompt))
    if isinstance(reaction, Completed):
        return responses.see_other(_url("idp.leave", interaction_id))
    return _advanced(reaction, prompt)


def restart(interaction_id: str) -> Response:
    """The same request from the start, with nothing proven. `account=other`: for somebody else than is signed in."""
    for_another = request.args.get("account") == "other"
    begun = use_cases().flow.begin_again(interaction_id, cookies.browser(), leaves_session=for_another)
    if isinstance(begun, Closed):
        return _closed(begun, interaction_id)
    return _begun(begun)


def leave(interaction_id: str) -> Response:
    """Back to the client that could not be served, with the error it has to hear."""
    outcome = use_cases().flow.leave(interaction_id, cookies.browser())
    if isinstance(outcome, Closed):
        return _closed(outcome, interaction_id)
    return responses.send(outcome.response, outcome.client.client_name, after_a_form=True)


def go_to(interaction_id: str, prompt: str, binding: str | None = None, **query: Any) -> Response:
    """303 to the page of a prompt; the browser keeps `binding`, when it is new."""
    response = responses.see_other(url_for("idp.show", interaction_id=interaction_id, prompt=prompt, **query))
    if binding is not None and binding != cookies.browser().binding:
        cookies.set_binding(response, binding)
    return response


def _begun(begun: Begun) -> Response:
    # A browser that comes back without the cookie it just got keeps none at all.
    return go_to(begun.interaction_id, begun.prompt, begun.binding, fresh="1")


def _without_binding(interaction_id: str) -> Response:
    restart_url = _url("idp.restart", interaction_id)
    if "fresh" in request.args:
        return render("signin/cookies_off.html", status=400, restart_url=restart_url)
    return responses.see_other(restart_url)


def _once_more(interaction_id: str) -> Response:
    """A form came in without the cookie it was given with. Nothing in it is evaluated; it is asked for once more.

    Only when the form was one of ours are names filled in again, and a cookie is set: a form from elsewhere travels
    without cookies, and must not replace them.
    """
    if request.headers.get("Sec-Fetch-Site") != "same-origin":
        return responses.see_other(_url("idp.restart", interaction_id))
    typed = {name: request.form.get(name, "").replace("\x00", "") for name in ("organisation", "username")}
    begun = use_cases().flow.begin_once_more(interaction_id, cookies.browser(), **typed)
    return _closed(begun, interaction_id) if isinstance(begun, Closed) else _begun(begun)


def _advanced(advanced: Advanced, answered: str) -> Response:
    response = go_to(advanced.interaction_id, advanced.prompt, **_tick(advanced.prompt))
    if advanced.opened is not None:
        cookies.set_session(response, advanced.opened.secret)
    if advanced.known_device is not None:
        cookies.set_device(response, advanced.known_device)
    if answered == "identify" and "organisation" in request.form and advanced.prompt != "identify":
        remembered = canonical(request.form["organisation"])[:64] if request.form.get("remember") else None
        cookies.remember_organisation(response, remembered)
    return response


def _tick(prompt: str) -> dict[str, str]:
    """Whether the organisation code is to be remembered, for a login form that is shown once more."""
    if prompt != "identify" or "organisation" not in request.form:
        return {}
    return {"remember": "1" if request.form.get("remember") else "0"}


def _complete(interaction_id: str) -> Response:
    outcome = use_cases().flow.complete(interaction_id, cookies.browser())
    if isinstance(outcome, Closed):
        return _closed(outcome, interaction_id)
    if isinstance(outcome, Advanced):
        return go_to(interaction_id, outcome.prompt)
    if isinstance(outcome, OutOfReach):
        name = outcome.look.client.client_name
        continue_url = _url("idp.leave", interaction_id)
        return render("signin/level_unreachable.html", status=403, app_name=name, continue_url=continue_url)
    return _leave(outcome)


def _leave(completed: Completed) -> Response:
    return responses.send(completed.response, completed.look.client.client_name, after_a_form=True)


def _closed(closed: Closed, interaction_id: str) -> Response:
    if closed.why == "unknown":
        raise NotFound("there is no such attempt")
    if (over := _session_over(closed)) is not None:
        restart_url = _url("idp.restart", interaction_id) if closed.why == "expired" else None
        return session_over.page(over, closed.client, restart_url, status=410)
    client, issuer = closed.client, use_cases().settings.issuer
    name, home = (client.client_name, client.home(issuer)) if client else (None, None)
    app: dict[str, Any] = {"app_name": name, "app_url": home}
    if closed.why == "foreign":
        # Somebody else's link, or a cookie that is gone: start anew for this browser, nothing filled in (A29).
        return responses.see_other(_url("idp.restart", interaction_id))
    how = closed.interaction.finished_how if closed.why == "finished" and closed.interaction else None
    if how in ("level_unreachable", "denied"):
        # Shown again, a refusal stays one.
        return responses.see_other(_url("idp.leave", interaction_id))
    if how not in (None, "begun_again"):
        signed_in = use_cases().logout.look(cookies.browser().session_secret) is not None
        return render("signin/finished.html", signed_in=signed_in, **app)
    attempt = closed.interaction
    if closed.why == "expired" and request.method == "GET" and attempt is not None and attempt.account_id is None:
        # Nobody proved anything in it: nothing is lost, and nothing has to be told.
        return responses.see_other(_url("idp.restart", interaction_id))
    can_restart = closed.why in ("expired", "finished")
    restart_url = _url("idp.restart", interaction_id) if can_restart else None
    scanned = closed.why == "expired" and attempt is not None and attempt.enrolling_method == "totp"
    # What people see in their app: the name that was in the QR code.
    line = use_cases().settings.brand_name if scanned else None
    return render("signin/expired.html", status=410, restart_url=restart_url, line_in_app=line, **app)


def _session_over(closed: Closed) -> Over | None:
    """The session that was live when the attempt began, and ended meanwhile without the person's doing.

    Only for a page on which somebody was known: an attempt without anybody begins anew, and is told there.
    """
    attempt = closed.interaction
    is_left_standing = closed.why == "expired" and (request.method == "POST" or attempt and attempt.account_id)
    is_answered = closed.why == "finished" and attempt and attempt.finished_how not in NOT_SIGNED_IN
    if attempt is None or not (is_left_standing or is_answered):
        return None
    over = use_cases().logout.over(cookies.browser().session_secret)
    return over if over is not None and over.at > attempt.created_at else None


def _url(endpoint: str, interaction_id: str) -> str:
    return url_for(endpoint, interaction_id=interaction_id)
