"""Security headers of every response.

The policy allows nothing but our own style, script and images, and forms to ourselves. Browsers apply `form-action` to
the whole chain of redirects after a form POST, so flows end by a 200 hand-off page, and the page that carries a
`form_post` response goes without `form-action`.

Pages that an application may open in a window of its own leave that window its opener (docs/decisions/0014); all others
are cut off from whoever opened them.

One page loads others in frames: that of a logout, the pages of the applications that registered one, and only their
origins are allowed there.
"""

from collections.abc import Iterable

from flask import Response, g, request

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
FORMS_TO_OURSELVES = "; form-action 'self'"
# Where an application sends a window, up to the page that leads back to it.
IN_A_WINDOW_OF_THE_APPLICATION = frozenset(
    f"idp.{name}"
    for name in (
        *("authorize", "authorize_post", "show", "answer", "restart", "leave"),
        *("end_session", "end_session_post", "end_session_confirm", "signed_out"),
    )
)


PICTURE_ONLY = "sandbox; default-src 'none'"


def show_as_picture_only() -> None:
    """This response is a picture that others gave us: opened by itself it loads, runs and sends nothing."""
    g.policy = PICTURE_ONLY


def allow_form_to_client() -> None:
    """This response posts a form to a client's redirect URI."""
    g.forms_leave = True


def allow_frames(origins: Iterable[str]) -> None:
    """This response loads pages of these origins in frames."""
    g.frame_origins = sorted(origins)


def set_headers(response: Response) -> Response:
    """Every response says how browsers have to treat it."""
    headers = response.headers
    own_policy = POLICY + ("" if g.get("forms_leave") else FORMS_TO_OURSELVES)
    if origins := g.get("frame_origins"):
        own_policy += "; frame-src " + " ".join(origins)
    headers["Content-Security-Policy"] = g.get("policy", own_policy)
    headers.setdefault("Cache-Control", "no-store")
    headers["Referrer-Policy"] = "no-referrer"
    headers["X-Content-Type-Options"] = "nosniff"
    headers["X-Frame-Options"] = "DENY"
    keeps_opener = request.endpoint in IN_A_WINDOW_OF_THE_APPLICATION
    headers["Cross-Origin-Opener-Policy"] = "unsafe-none" if keeps_opener else "same-origin"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
    if g.get("is_secure"):
        headers["Strict-Transport-Security"] = "max-age=31536000"
    if code := g.get("request_code"):
        headers["X-Request-Id"] = code
    return response
