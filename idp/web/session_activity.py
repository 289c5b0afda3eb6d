"""Applications take part in the 30-minute clock: POST /session/activity, GET or POST /session/status."""

from collections.abc import Callable

from flask import Response

from idp.oidc.client_endpoint import ClientRequest, ClientResponse
from idp.oidc.protected_resource import AccessTokenError
from idp.web.client_requests import answered, challenged, client_request
from idp.web.use_cases import use_cases


def activity() -> Response:
    """The person did something in the application."""
    return _respond(use_cases().session_activity.report)


def status() -> Response:
    """How long the session lasts if nothing happens; asking moves nothing."""
    return _respond(use_cases().session_activity.status)


def _respond(use_case: Callable[[ClientRequest], ClientResponse]) -> Response:
    try:
        return answered(use_case(client_request()))
    except AccessTokenError as error:
        return challenged(error, "session")
