"""What the kit itself shows in a browser: a page for a login that failed, what stands in the head of other pages,
and what their script is told.

The page of a login that failed loads nothing and has no style or script, so that no content security policy of an
application breaks it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from flask import Response, jsonify, request, send_from_directory, url_for
from markupsafe import Markup

from idp_kit.session_clock import SessionClock

NAME = "idp_kit"
STATIC = Path(__file__).resolve().parent / "static"
RETRY_AFTER = timedelta(minutes=1)
# So that the deadline has surely passed when a page is loaded again.
AFTER_THE_END = timedelta(seconds=1)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

PAGE = Markup("""<!doctype html>
<html lang="{lang}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{heading}</title>
</head>
<body>
<main>
<h1>{heading}</h1>
<p>{text}</p>
{way_on}</main>
</body>
</html>
""")
WAY_ON = Markup('<p><a href="{address}">{words}</a></p>\n')


@dataclass(frozen=True)
class Problem:
    """What is said of it in Dutch and in English: a heading, and what somebody can do."""

    status: int
    dutch: tuple[str, str]
    english: tuple[str, str]


_AWAY = "Inloggen kan nu even niet", "Signing in is not possible right now"
_FAILED = "Inloggen is niet gelukt", "Signing in did not work"
PROBLEMS: Mapping[str, Problem] = {
    "unreachable": Problem(
        503,
        (_AWAY[0], "De inlogdienst antwoordt niet. Wacht een minuut en probeer het dan opnieuw."),
        (_AWAY[1], "The sign-in service does not answer. Wait a minute, then try again."),
    ),
    "error.temporarily_unavailable": Problem(
        503,
        (_AWAY[0], "De inlogdienst heeft het druk. Wacht een minuut en probeer het dan opnieuw."),
        (_AWAY[1], "The sign-in service is busy. Wait a minute, then try again."),
    ),
    "logged_out_here_only": Problem(
        503,
        (
            "U bent alleen hier uitgelogd",
            "De inlogdienst antwoordt niet. Sluit uw browser om overal uitgelogd te zijn.",
        ),
        (
            "You are signed out here only",
            "The sign-in service does not answer. Close your browser to sign out everywhere.",
        ),
    ),
    "error.access_denied": Problem(
        403,
        ("U bent niet ingelogd", "U heeft het inloggen afgebroken, of u heeft geen toegang tot deze applicatie."),
        ("You are not signed in", "You cancelled signing in, or you have no access to this application."),
    ),
    "unknown_state": Problem(
        400,
        (_FAILED[0], "De aanvraag is al gebruikt, verlopen of in een andere browser begonnen."),
        (_FAILED[1], "The request was used before, has expired, or was begun in another browser."),
    ),
}
OTHER = Problem(
    400,
    (_FAILED[0], "Probeer het opnieuw. Lukt het weer niet? Vraag dan uw beheerder om hulp."),
    (_FAILED[1], "Try again. If it fails once more, ask your administrator for help."),
)
ALREADY_IN = Problem(
    400,
    ("U bent al ingelogd", "Dit inloggen is al gebruikt of in een ander tabblad afgerond."),
    ("You are already signed in", "This sign-in was used before, or finished in another tab."),
)


def problem_page(problem: str, next_path: str, is_signed_in: bool) -> Response:
    """Says what went wrong, in Dutch unless the browser prefers English, and leads to another try or onward.

    `next_path` is a path of this application.
    """
    is_already_in = problem == "unknown_state" and is_signed_in
    found = ALREADY_IN if is_already_in else PROBLEMS.get(problem, OTHER)
    lang = request.accept_languages.best_match(("nl", "en"), "nl")
    heading, text = found.dutch if lang == "nl" else found.english
    way_on = Markup("")
    if is_already_in:
        way_on = WAY_ON.format(address="/", words="Verder" if lang == "nl" else "Continue")
    elif problem != "logged_out_here_only":
        words = "Probeer het opnieuw" if lang == "nl" else "Try again"
        way_on = WAY_ON.format(address=login_address(next_path), words=words)
    page = PAGE.format(lang=lang, heading=heading, text=text, way_on=way_on)
    answer = Response(page, found.status, HEADERS, mimetype="text/html")
    if found.status == 503:
        answer.headers["Retry-After"] = str(int(RETRY_AFTER.total_seconds()))
    return answer


def login_address(next_path: str) -> str:
    """Where somebody logs in who wants that page."""
    return url_for(f"{NAME}.login") if next_path == "/" else url_for(f"{NAME}.login", next=next_path)


def head(source: str, settings: Mapping[str, str], left: timedelta) -> Markup:
    """The script that warns; a browser that runs none loads the page again just after the end, when the server says
    what is so. That is no activity: browsers say that nobody did it, unless somebody pressed something just before."""
    attributes = Markup(" ").join(Markup('data-{}="{}"').format(name, value) for name, value in settings.items())
    script = Markup('<script src="{}" defer {}></script>').format(source, attributes)
    seconds = math.ceil((max(left, timedelta(0)) + AFTER_THE_END).total_seconds())
    return script + Markup('<noscript><meta http-equiv="refresh" content="{}"></noscript>').format(seconds)


def time_left(clock: SessionClock | None, now: datetime, mark: str, is_report: bool = False) -> Response:
    """What the script of a page is told; without a clock, that nobody is signed in. `mark`: in which login."""
    if clock is None:
        answer = jsonify(signed_in=False, expires_in=None, warn_before=0)
    else:
        # Down: what a page counts from this is never later than the truth. At 0 it asks again.
        left = math.floor((clock.times.ends_at - now).total_seconds())
        warn_before = max(1, int(clock.warn_before.total_seconds()))
        more = _more_about(clock, is_report)
        answer = jsonify(signed_in=True, expires_in=max(0, left), warn_before=warn_before, mark=mark, **more)
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _more_about(clock: SessionClock, is_report: bool) -> dict[str, bool]:
    """What a page says beside its warning, where it is so: that the provider has not heard of the report yet, and that
    no activity moves the end."""
    more: dict[str, bool] = {}
    if is_report and clock.is_pending:
        more["reported"] = False
    if clock.is_at_limit:
        more["at_limit"] = True
    return more


def asset(name: str) -> Response:
    """The page's script, or its look."""
    answer = send_from_directory(STATIC, name, max_age=3600)
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
