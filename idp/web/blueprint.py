"""Every route, below the path of the issuer."""

from flask import Blueprint, request
from werkzeug.exceptions import MethodNotAllowed, NotFound

from idp.oidc.discovery import OPENID_CONFIGURATION
from idp.web import (
    appearance,
    authorize,
    discovery,
    end_session,
    error_pages,
    health,
    home,
    registration,
    session_activity,
    signed_out,
    signin,
    token,
    userinfo,
)

ROUTES = (
    ("/authorize", "authorize", authorize.authorize, ("GET",)),
    ("/authorize", "authorize_post", authorize.authorize_post, ("POST",)),
    ("/par", "push", token.push, ("POST",)),
    ("/token", "token", token.token, ("POST",)),
    ("/introspect", "introspect", token.introspect, ("POST",)),
    ("/revoke", "revoke", token.revoke, ("POST",)),
    ("/register", "register", registration.register, ("POST",)),
    ("/register/<client_id>", "registered_client", registration.registered_client, ("GET",)),
    ("/register/<client_id>", "replace_client", registration.replace_client, ("PUT",)),
    ("/register/<client_id>", "delete_client", registration.delete_client, ("DELETE",)),
    ("/session/activity", "session_activity", session_activity.activity, ("POST",)),
    ("/session/status", "session_status", session_activity.status, ("GET", "POST")),
    ("/userinfo", "userinfo", userinfo.userinfo, ("GET", "POST")),
    ("/jwks", "jwks", discovery.jwks, ("GET",)),
    (OPENID_CONFIGURATION, "openid_configuration", discovery.openid_configuration, ("GET",)),
    ("/end_session", "end_session", end_session.end_session, ("GET",)),
    ("/end_session", "end_session_post", end_session.end_session_post, ("POST",)),
    ("/end_session/confirm", "end_session_confirm", end_session.end_session_confirm, ("POST",)),
    ("/signed_out", "signed_out", signed_out.signed_out, ("GET",)),
    ("/s/<interaction_id>/restart", "restart", signin.restart, ("GET",)),
    ("/s/<interaction_id>/leave", "leave", signin.leave, ("GET",)),
    ("/s/<interaction_id>/<prompt>", "show", signin.show, ("GET",)),
    ("/s/<interaction_id>/<prompt>", "answer", signin.answer, ("POST",)),
    ("/t/<org_code>/theme.<digest>.css", "own_look", appearance.own_look, ("GET",)),
    ("/t/<org_code>/logo-<any(light,dark):variant>.<digest>.png", "own_logo", appearance.own_logo, ("GET",)),
    ("/c/<client_id>/logo.<digest>.png", "client_logo", appearance.client_logo, ("GET",)),
    ("/health/live", "live", health.live, ("GET",)),
    ("/health/ready", "ready", health.ready, ("GET",)),
    ("/", "home", home.home, ("GET",)),
)


# A GET of these does something; who only wants the headers (a scanner, a preview) must not do it.
WITHOUT_HEAD = frozenset({"idp.authorize", "idp.show", "idp.restart", "idp.leave", "idp.end_session"})


def blueprint() -> Blueprint:
    """The routes, not yet below a path."""
    result = Blueprint("idp", __name__)
    result.before_request(_refuse_nul)
    result.before_request(_refuse_head)
    for path, endpoint, view, methods in ROUTES:
        # Only for the home page below a path, which is found without its slash too: nothing here ever redirects.
        result.add_url_rule(path, endpoint, view, methods=list(methods), strict_slashes=path != "/")
    return result


def at_the_root(issuer_path: str) -> Blueprint:
    """The one route that does not stand below the path of the issuer: the path stands below it (RFC 8414 3.1)."""
    result = Blueprint("idp_root", __name__)
    result.add_url_rule(
        error_pages.OAUTH_METADATA + issuer_path, "oauth_authorization_server", discovery.openid_configuration
    )
    return result


def _refuse_nul() -> None:
    # PostgreSQL takes no text with it; no address of ours has one.
    if "\x00" in request.path:
        raise NotFound


def _refuse_head() -> None:
    if request.method == "HEAD" and request.endpoint in WITHOUT_HEAD:
        raise MethodNotAllowed(["GET"])
