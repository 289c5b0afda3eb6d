"""Which endpoints scripts of other origins may call, and read (Fetch Standard 3.2, OIDC Core 5.3).

    any origin         configuration and keys, which are the same for everybody       (web/discovery.py)
    those registered   the endpoints below, for the origins of the redirect URIs of browser applications
    none               all others: pages are for people, introspection is for servers

Browsers are never told to take cookies along, and none of these endpoints reads one: what a script can do here, it can
do with the tokens that it has.
"""

import logging
from datetime import timedelta

from flask import Response, request
from sqlalchemy.exc import SQLAlchemyError

from idp.web.use_cases import use_cases

log = logging.getLogger(__name__)

FOR_BROWSERS = frozenset(
    f"idp.{name}" for name in ("token", "revoke", "userinfo", "session_activity", "session_status")
)
# As long as a browser may go on asking without asking first; short, since a registration may be withdrawn.
PREFLIGHT_LASTS = timedelta(minutes=10)


def set_cors(response: Response) -> Response:
    """Scripts of registered origins may read the response, an error too."""
    if request.endpoint not in FOR_BROWSERS:
        return response
    response.vary.add("Origin")
    asking = request.headers.get("Origin")
    if not asking or not _is_registered(asking):
        return response
    headers = response.headers
    headers["Access-Control-Allow-Origin"] = asking
    headers["Access-Control-Expose-Headers"] = "WWW-Authenticate, DPoP-Nonce, Retry-After, X-Request-Id"
    if request.method == "OPTIONS":
        headers["Access-Control-Allow-Methods"] = ", ".join(sorted(response.allow))
        headers["Access-Control-Allow-Headers"] = "Authorization, Content-Type, DPoP"
        headers["Access-Control-Max-Age"] = str(int(PREFLIGHT_LASTS.total_seconds()))
    return response


def _is_registered(origin: str) -> bool:
    try:
        return use_cases().provider.is_origin_of_a_browser_application(origin)
    except SQLAlchemyError:
        log.warning("no database to say whether scripts of an origin may read a response: they may not")
        return False
