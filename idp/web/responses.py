"""Authorization responses on their way to the client."""

from flask import Response, redirect

from idp.oidc.authorization_response import AuthorizationResponse
from idp.web import headers
from idp.web.pages import render


def send(response: AuthorizationResponse, app_name: str, after_a_form: bool) -> Response:
    """The browser goes to the client with this.

    `after_a_form`: the person has been on our pages. Then a 200 hand-off page leads out, because browsers apply
    `form-action` to every redirect after a form POST; otherwise a 303 does.
    """
    if response.is_form_post:
        headers.allow_form_to_client()
        return render(
            "signin/form_post.html", target=response.redirect_uri, fields=list(response.parameters), app_name=app_name
        )
    if after_a_form:
        return hand_off(response.location(), app_name)
    return see_other(response.location())


def hand_off(target: str, app_name: str) -> Response:
    """A page that leads to the target at once, and by a link: the main button for a native application's scheme."""
    is_web = target.partition(":")[0] in ("http", "https")
    return render("signin/handoff.html", target=target, app_name=app_name, is_web=is_web)


def see_other(address: str) -> Response:
    """303: the browser asks for this address by GET, whatever it sent before."""
    response: Response = redirect(address, 303)  # type: ignore[assignment]  # typed as werkzeug's, made as Flask's
    return response
