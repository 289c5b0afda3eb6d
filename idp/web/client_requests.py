"""What the servers of clients send, and what they are answered."""

from flask import Response, jsonify, request

from idp.oidc.client_endpoint import ClientRequest, ClientResponse
from idp.oidc.protected_resource import AccessTokenError


def client_request() -> ClientRequest:
    """The request at hand, as it came."""
    is_get = request.method == "GET"
    encoded = request.query_string if is_get else request.get_data(cache=False)
    return ClientRequest(
        encoded,
        None if is_get else request.content_type or "",
        request.headers.get("Authorization"),
        request.headers.get("DPoP"),
        request.method,
    )


def answered(answer: ClientResponse) -> Response:
    """The answer as JSON."""
    response: Response = jsonify(answer.body)
    response.status_code = answer.status
    response.headers.update(answer.headers)
    return response


def challenged(error: AccessTokenError, realm: str) -> Response:
    """The challenge for an access token that is missing or not good (RFC 6750 3, RFC 9449 7.1)."""
    body = {"error": error.error, "error_description": error.description} if error.error else {}
    response: Response = jsonify(body)
    response.status_code = error.status
    response.headers["WWW-Authenticate"] = error.challenge(realm)
    return response
