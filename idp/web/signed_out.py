"""The page after signing out, which names the applications.

They are told by the worker, a moment after the session ended. So the page has an address of its own with a reference to
that session, and asks for itself again a few times while somebody is still being told. The reference is sealed: nobody
reads a `sid` in it or makes one; it opens for ten minutes, and only in the browser that signed out.
"""

import base64
import binascii
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask import Response, request, url_for

from idp.kernel.envelope import CannotOpen
from idp.kernel.secrets import hash_secret
from idp.signin.logout import Applications
from idp.web import cookies
from idp.web.pages import render
from idp.web.use_cases import use_cases

KEPT_FOR = timedelta(minutes=10)
LONGEST_REFERENCE = 2000
PAUSES = (1, 2, 2, 3)
"""Seconds until the page asks for itself again; after the last it says what it knows by then. An application that did
not answer at once is tried again within these."""


@dataclass(frozen=True)
class Reference:
    """The session that ended, the client whose request it was, and whether it had signed the person out itself."""

    sid: str
    client_id: str | None
    left_by_itself: bool


def signed_out() -> Response:
    """GET: what became of the applications; without a reference that opens here, only that the person is signed out."""
    services = use_cases()
    found = _opened(request.args.get("about", ""), services.clock.now())
    if found is None:
        return page(None, Applications())
    left = found.client_id if found.left_by_itself else None
    next_look = _next_look()
    applications = services.logout.applications(found.sid, left, services.clock.now(), is_last_look=next_look is None)
    return page(found.client_id, applications, next_look if applications.waiting else None)


def page(client_id: str | None, applications: Applications, next_look: tuple[int, str] | None = None) -> Response:
    """The page, with a button that leads back to the client; `next_look`: in so many seconds, at that address."""
    client = use_cases().provider.find_client(client_id) if client_id else None
    response = render(
        "end_session/signed_out.html",
        app_name=client.client_name if client else None,
        app_url=client.home(use_cases().settings.issuer) if client else None,
        told=applications.told,
        asked=applications.asked,
        waiting=applications.waiting,
        unreached=applications.unreached,
        untold=applications.untold,
        is_last_look=next_look is None,
    )
    if next_look is not None:
        # The header and not the element: nothing on the page is lost by it, and nobody has to finish anything in time.
        seconds, address = next_look
        response.headers["Refresh"] = f"{seconds}; url={address}"
    return response


def address(reference: Reference) -> str:
    """Where this is shown; without names when this browser has nothing that the reference could be bound to."""
    place = _place()
    about = _sealed(reference, place) if place is not None else None
    return url_for("idp.signed_out", about=about, ui_locales=request.args.get("ui_locales"))


def _next_look() -> tuple[int, str] | None:
    looked = request.args.get("looked", "0")
    count = int(looked) if looked in map(str, range(len(PAUSES))) else len(PAUSES)
    if count == len(PAUSES):
        return None
    kept: dict[str, Any] = {name: request.args.get(name) for name in ("about", "lang", "ui_locales")}
    return PAUSES[count], url_for("idp.signed_out", **kept, looked=count + 1)


def _sealed(reference: Reference, place: str) -> str:
    until = (use_cases().clock.now() + KEPT_FOR).timestamp()
    content = json.dumps([reference.sid, reference.client_id, reference.left_by_itself, until])
    return base64.urlsafe_b64encode(use_cases().envelope.seal(content.encode(), place)).decode().rstrip("=")


def _opened(about: str, now: datetime) -> Reference | None:
    place = _place()
    if place is None or not about or len(about) > LONGEST_REFERENCE:
        return None
    try:
        sealed = base64.b64decode(about + "=" * (-len(about) % 4), altchars=b"-_", validate=True)
        sid, client_id, left_by_itself, until = json.loads(use_cases().envelope.open(sealed, place))
    except (CannotOpen, binascii.Error, ValueError):
        return None
    return Reference(sid, client_id, left_by_itself) if now.timestamp() < until else None


def _place() -> str | None:
    """Bound to the cookie that stays when the session's is gone; None without it."""
    binding = cookies.browser().binding
    return f"signed_out:{hash_secret(binding).hex()}" if binding else None
