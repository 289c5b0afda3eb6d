"""The token endpoint (RFC 6749 3.2)."""

from flask import Response, jsonify, request

from idp.oidc.provider import TokenRequest
from idp.web.use_cases import use_cases


def token() -> Response:
    """POST only; what comes in and goes out is decided in `oidc.provider`."""
    answer = use_cases().provider.respond(
        TokenRequest(request.get_data(cache=False), request.content_type or "", request.headers.get("Authorization"))
    )
    response: Response = jsonify(answer.body)
    response.status_code = answer.status
    response.headers.update(answer.headers)
    return response
