"""Errors as pages. Each shows the request code that is in the log, in the audit trail and in `X-Request-Id`."""

import logging
import traceback
from typing import Any

from flask import Flask, Response, g, jsonify, request, url_for
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from idp.audit.events import AuthorizationRefused
from idp.kernel.errors import Throttled
from idp.oidc.discovery import OPENID_CONFIGURATION
from idp.oidc.errors import ShownToEndUser
from idp.web.pages import render
from idp.web.use_cases import use_cases

log = logging.getLogger(__name__)

TEMPLATES = {
    400: "bad_request",
    403: "forbidden",
    404: "not_found",
    405: "not_found",
    413: "bad_request",
    429: "too_many",
}
# Nobody is known yet whose organisation would have a zone of its own.
ZONE = "Europe/Amsterdam"
# The database is locked, away, or has no connection left.
BUSY = (OperationalError, PoolTimeout)
# Read by programs: their errors are JSON, never a page (RFC 6749 5.2, OIDC Core 5.3.3).
FOR_PROGRAMS = (
    "/token",
    "/par",
    "/introspect",
    "/revoke",
    "/userinfo",
    "/register",
    "/session/activity",
    "/session/status",
    "/jwks",
    OPENID_CONFIGURATION,
    "/health/live",
    "/health/ready",
)
# RFC 8414 3.1.
OAUTH_METADATA = "/.well-known/oauth-authorization-server"


def register(app: Flask) -> None:
    """Errors of this application become pages."""
    app.register_error_handler(ShownToEndUser, shown_to_end_user)
    app.register_error_handler(Throttled, throttled)
    app.register_error_handler(HTTPException, http_error)
    for busy in BUSY:
        app.register_error_handler(busy, unavailable)
    app.register_error_handler(Exception, unexpected)


def shown_to_end_user(error: ShownToEndUser) -> Response:
    """400: the application that sent the person here made a mistake; its developer finds out which."""
    services = use_cases()
    try:
        refused = AuthorizationRefused(error=error.error, detail=error.description[:500], shown=True)
        services.refusals.record(refused)
    except Exception as failure:  # Flask asks no handler about what a handler raises
        return unavailable(failure) if isinstance(failure, BUSY) else unexpected(failure)
    return _page("bad_request", 400, developer_text=f"{error.error}: {error.description}")


def throttled(error: Throttled) -> Response:
    """503 when the machine is busy and nobody did anything wrong; 429 where too much came from one network."""
    if error.message_key == "error.busy":
        response = _page("busy", 503)
    else:
        response = _page("too_many", 429, until=use_cases().clock.now() + error.retry_after, zone=ZONE)
    response.headers["Retry-After"] = str(max(1, round(error.retry_after.total_seconds())))
    return response


def http_error(error: HTTPException) -> Response:
    """4xx, in the form that the endpoint speaks; 405 names the methods that are allowed (RFC 9110 15.5.6)."""
    status = error.code or 500
    if 300 <= status < 400:
        return Response(status=404)
    response = _for_program("invalid_request", status) if _is_for_programs() else _for_person(error, status)
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _for_person(error: HTTPException, status: int) -> Response:
    template = TEMPLATES.get(status, "bad_request" if status < 500 else "server_error")
    extra: dict[str, Any] = {"developer_text": error.name} if template == "bad_request" else {}
    if template == "too_many":
        extra = {"until": None}
    if template == "forbidden":
        extra = {"retry_url": _begin_anew()}
    return _page(template, status, **extra)


def _begin_anew() -> str | None:
    """Where whoever sent a form that was refused begins anew: with the attempt to sign in, or to sign out."""
    if request.endpoint == "idp.answer":
        return url_for("idp.restart", interaction_id=(request.view_args or {})["interaction_id"])
    if request.endpoint == "idp.end_session_confirm":
        return url_for("idp.end_session") + "?" + request.query_string.decode("ascii", "replace")
    return None


def unavailable(error: Exception) -> Response:
    """503: the database is busy or away for a moment. Nothing was half done: its transaction is gone."""
    log.error("request %s found no database: %s", g.get("request_code"), _kind(error))
    response = _for_program("temporarily_unavailable", 503) if _is_for_programs() else _page("busy", 503)
    response.headers["Retry-After"] = "2"
    return response


def _kind(error: Exception) -> str:
    original = getattr(error, "orig", None) or error
    return f"{type(original).__name__} {getattr(original, 'sqlstate', None) or ''}".strip()


def unexpected(error: Exception) -> Response:
    """500: the fault is ours. The details go to the log only."""
    if isinstance(error, DBAPIError):
        # A driver's message can quote the values of a row; where it happened says enough.
        frames = "".join(traceback.format_tb(error.__traceback__))
        log.error("request %s failed in the database: %s\n%s", g.get("request_code"), _kind(error), frames)
    else:
        log.exception("request %s failed", g.get("request_code"), exc_info=error)
    return _for_program("server_error", 500) if _is_for_programs() else _page("server_error", 500)


def _is_for_programs() -> bool:
    issuer_path = use_cases().settings.issuer_path
    path = request.path.removeprefix(issuer_path)
    return path in FOR_PROGRAMS or path.startswith("/register/") or request.path == OAUTH_METADATA + issuer_path


def _for_program(error: str, status: int) -> Response:
    response: Response = jsonify({"error": error})
    response.status_code = status
    return response


def _page(template: str, status: int, **context: Any) -> Response:
    return render(f"errors/{template}.html", status=status, request_code=g.get("request_code", ""), **context)
