"""The userinfo endpoint (OIDC Core 5.3): GET and POST, the token in the header or in a form body."""

from flask import Response, jsonify, request

from idp.oidc import discovery, parameters
from idp.oidc.protected_resource import AccessTokenError, ResourceRequest
from idp.web.client_requests import challenged
from idp.web.use_cases import use_cases


def userinfo() -> Response:
    """The claims of the token's person, or a challenge that says why not."""
    try:
        asked = ResourceRequest(
            request.method,
            discovery.PATHS["userinfo_endpoint"],
            request.headers.get("Authorization"),
            request.headers.get("DPoP"),
            _in_body(),
            request.args.get("access_token"),
        )
        claims = use_cases().userinfo.respond(asked)
    except AccessTokenError as error:
        return challenged(error, "userinfo")
    response: Response = jsonify(claims)
    return response


def _in_body() -> str | None:
    if request.method != "POST" or request.mimetype != "application/x-www-form-urlencoded":
        return None
    try:
        body = parameters.parse(request.get_data(cache=False))
    except parameters.Unreadable as error:
        raise AccessTokenError(400, "invalid_request", "the body cannot be read") from error
    if body.is_unusable("access_token"):
        raise AccessTokenError(400, "invalid_request", "the access token was sent more than once or is too long")
    return body.get("access_token")
