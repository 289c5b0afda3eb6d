"""Requests that are answered once: those that were pushed, and those in an object with a `jti`.

Opening one says nothing: pages are loaded again, links are fetched in advance. It is used up in the transaction that
writes its code, or in which the person says no, and by one statement, so that of two tabs one gets an answer.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session as Unit

from idp.oidc import pushed_requests, used_identifiers
from idp.oidc.authorization_request import AuthorizationRequest

# An attempt that an object began may be answered when the object has expired: as long as a request is kept at most.
LONGEST_ATTEMPT = timedelta(days=7)


def use_up(unit: Unit, request: AuthorizationRequest, now: datetime) -> str | None:
    """None when nobody had an answer to this request before; from now on somebody has. Else the error that it is."""
    if request.pushed_as and not pushed_requests.complete(unit, request.pushed_as, request.client_id, now):
        return "invalid_request_uri"
    if request.object_jti is None or request.object_expires_at is None:
        return None
    until = datetime.fromtimestamp(request.object_expires_at, UTC) + LONGEST_ATTEMPT
    is_first = used_identifiers.use(unit, "request_object", request.client_id, request.object_jti, until)
    return None if is_first else "invalid_request_object"
