"""Clients register themselves (RFC 7591 3) and manage that (RFC 7592 2); decided in `admin.registration`.

Where nobody may register there is nothing here: 404.
"""

from collections.abc import Callable
from typing import Any

from flask import Response, abort, jsonify, request

from idp.admin.registration_request import WrongToken
from idp.kernel.errors import ProtocolError, Throttled
from idp.oidc.client_endpoint import NO_STORE
from idp.web.use_cases import use_cases

REALM = "register"


def register() -> Response:
    """201 and what the client is registered with."""
    sent = request.get_data(cache=False), request.content_type, request.headers.get("Authorization")
    return _answered(201, lambda: use_cases().registration.register(*sent))


def registered_client(client_id: str) -> Response:
    """200 and what the client is registered with."""
    return _answered(200, lambda: use_cases().registration.read(client_id, request.headers.get("Authorization")))


def replace_client(client_id: str) -> Response:
    """200 and what the client is registered with from now on."""
    sent = request.get_data(cache=False), request.content_type, request.headers.get("Authorization")
    return _answered(200, lambda: use_cases().registration.replace(client_id, *sent))


def delete_client(client_id: str) -> Response:
    """204: the client is gone."""
    return _answered(204, lambda: use_cases().registration.delete(client_id, request.headers.get("Authorization")))


def _answered(status: int, act: Callable[[], dict[str, Any] | None]) -> Response:
    if not use_cases().registration.is_on:
        abort(404)
    try:
        done = act()
        response: Response = Response(status=status) if done is None else jsonify(done)
        response.status_code = status
    except WrongToken as error:
        response = jsonify({"error": error.error, "error_description": error.description} if error.error else {})
        response.status_code = 401
        response.headers["WWW-Authenticate"] = error.challenge(REALM)
    except ProtocolError as error:
        response = jsonify({"error": error.error, "error_description": error.description})
        response.status_code = 400
    except Throttled as throttled:
        response = jsonify({"error": "temporarily_unavailable"})
        response.status_code = 429
        response.headers["Retry-After"] = str(max(1, round(throttled.retry_after.total_seconds())))
    response.headers.update(NO_STORE)
    return response
