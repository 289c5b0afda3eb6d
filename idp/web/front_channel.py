"""Protocol requests that come through the browser: read strictly, and a POST led to our own GET.

Lax cookies do not travel with a cross-site POST, so what an application posts is asked again as a GET, with all of its
parameters, by the browser itself.
"""

from urllib.parse import quote

from flask import Response, url_for

from idp.oidc import parameters
from idp.oidc.errors import ShownToEndUser
from idp.web.responses import see_other

LONGEST_QUERY = 32 * 1024


def parameters_of(encoded: bytes) -> parameters.Parameters:
    """The parameters of a query or form body that leads to pages. Raises ShownToEndUser when they cannot be read."""
    if len(encoded) > LONGEST_QUERY:
        raise ShownToEndUser("invalid_request", "the request is too long")
    try:
        return parameters.parse(encoded)
    except parameters.Unreadable as error:
        raise ShownToEndUser("invalid_request", f"the parameters cannot be read: {error}") from error


def lead_to_get(endpoint: str, body: bytes) -> Response:
    """303 to our own GET with the parameters of a form body, each as often and exactly as it was sent.

    What a query cannot hold as it stands (`#`, spaces, control characters) is percent-encoded, so no body ends the
    query early or reaches into the headers.
    """
    return see_other(url_for(endpoint) + "?" + quote(body, safe="%&=+"))
