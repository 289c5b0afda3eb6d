"""An application with the routes that the page script needs, and a sign-in that ends after seconds of real time."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Event, Lock
from uuid import uuid4

from flask import Flask, Response, abort, jsonify, request, send_from_directory
from markupsafe import escape

from idp.kernel.clock import ticks

STATIC = Path(__file__).parents[2] / "clients/python/idp_kit/static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'"
)

PAGE = """<!doctype html>
<html lang="{lang}"><head><title>{name}</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="stylesheet" href="/page.css"><link rel="icon" href="/icon.svg">
<script src="/session/session.js" defer data-status="/session/status" data-activity="/session/activity"
 data-logout="/logged-out" data-signed-out="/signed-out" data-lang="{lang}" data-mark="{mark}" {form}></script></head>
<body><main><h1>{name}</h1>
<p><label for="field">Naam</label> <input id="field"></p>
<p><a id="onward" href="/page/onward">Verder</a></p>
<form id="leaving" method="post" action="/logout"><button id="logout">Uitloggen</button></form>
<div class="long"></div></main></body></html>"""
STYLE = """body { margin: 0; padding: 1rem; font: 400 1rem/1.5 system-ui, sans-serif; }
h1 { text-transform: uppercase; } button { width: 100%; text-transform: uppercase; } .long { height: 3000px; }"""
OTHER = '<!doctype html><html lang="nl"><head><title>{0}</title><link rel="icon" href="/icon.svg"></head><h1>{0}</h1>'
ICON = '<svg xmlns="http://www.w3.org/2000/svg"/>'


class Application:
    """One sign-in in it, which `idle` and `absolute` end. `origin` is set by who serves it.

    `reports` are the reports that came, each with its moment; `questions` the moments of mere questions. Its answers
    are whole seconds rounded down, and `modest` less than that; or always `says_left`. `logging_out` is how long the
    browser waits for the answer to its logging out, while everything else is answered.
    """

    def __init__(self, idle: float = 4, warn: int = 2, absolute: float = 3600) -> None:
        self.idle, self.warn, self.absolute = timedelta(seconds=idle), warn, timedelta(seconds=absolute)
        self.origin = ""
        self.reports: list[tuple[timedelta, int]] = []
        self.questions: list[timedelta] = []
        self.departures: list[str] = []
        self.broken = False
        self.provider_is_away = False
        self.modest = timedelta(0)
        self.logging_out = timedelta(0)
        self.says_left: int | None = None
        self.mark = ""
        self._hangs = Event()
        self._hangs.set()
        self._lock = Lock()
        self._opened = self._last = ticks()
        self._out = False
        self.flask = self._routes()

    # what happens elsewhere

    def sign_in(self) -> None:
        """Somebody signs in now, who is not whoever was signed in before."""
        self.mark = f"login {uuid4()}"
        self._opened = self._last = ticks()
        self._out = False

    def used_elsewhere(self) -> None:
        """Somebody is active now in another application of the same sign-in, which does not tell this one."""
        with self._lock:
            if self._left() > timedelta(0):
                self._last = max(self._last, ticks())

    def end(self) -> None:
        """The sign-in ends elsewhere."""
        self._out = True

    def hang(self) -> None:
        """From now on no question is answered, until `recover`."""
        self._hangs.clear()

    def recover(self) -> None:
        self._hangs.set()

    @property
    def over_at(self) -> timedelta:
        return min(self._last + self.idle, self._opened + self.absolute)

    @property
    def is_signed_in(self) -> bool:
        return self._left() > timedelta(0)

    def _left(self) -> timedelta:
        return timedelta(0) if self._out else self.over_at - ticks()

    # routes

    def _routes(self) -> Flask:
        app = Flask("tests.kit_script", static_folder=None)
        for path in ("session.js", "session.css"):
            app.add_url_rule(
                f"/session/{path}", path, send_from_directory, defaults={"directory": STATIC, "path": path}
            )
        app.add_url_rule("/session/status", "status", self._status)
        app.add_url_rule("/session/activity", "activity", self._activity, methods=["POST"])
        app.add_url_rule("/page/<name>", "page", self._page)
        app.add_url_rule("/page.css", "style", lambda: Response(STYLE, mimetype="text/css"))
        app.add_url_rule("/icon.svg", "icon", lambda: Response(ICON, mimetype="image/svg+xml"))
        app.add_url_rule("/signed-out", "signed-out", lambda: self._gone("U bent automatisch uitgelogd"))
        app.add_url_rule("/logout", "logout", self._log_out, methods=["POST"])
        app.add_url_rule("/logged-out", "logged-out", lambda: self._gone("U bent uitgelogd"))
        app.add_url_rule("/elsewhere", "elsewhere", lambda: OTHER.format("Elders"))
        return app

    def _page(self, name: str) -> Response:
        form = 'data-logout-form="leaving"' if request.args.get("form") else ""
        page = PAGE.format(name=escape(name), lang=escape(request.args.get("lang", "nl")), mark=self.mark, form=form)
        headers = {"Content-Security-Policy": POLICY}
        if not request.args.get("kept"):
            headers["Cache-Control"] = "no-store"
        return Response(page, headers=headers)

    def _log_out(self) -> Response:
        self.end()
        self.recover()
        Event().wait(self.logging_out.total_seconds())
        return self._gone("U bent uitgelogd")

    def _gone(self, heading: str) -> Response:
        self.departures.append(f"{request.method} {request.full_path.rstrip('?')}")
        return Response(OTHER.format(heading), headers={"Content-Security-Policy": POLICY})

    def _status(self) -> Response:
        self.questions.append(ticks())
        return self._answer()

    def _activity(self) -> Response:
        if request.headers.get("X-Session-Kit") != "1" or request.headers.get("Origin") != self.origin:
            abort(403)
        idle_seconds = request.get_json()["idle_seconds"]
        assert isinstance(idle_seconds, int) and idle_seconds >= 0
        now = ticks()
        self.reports.append((now, idle_seconds))
        if not self.broken and not self.provider_is_away:
            with self._lock:
                if self._left() > timedelta(0):
                    self._last = max(self._last, now - timedelta(seconds=idle_seconds))
        return self._answer(reported=not self.provider_is_away)

    def _answer(self, reported: bool = True) -> Response:
        self._hangs.wait(timeout=20)
        if self.broken:
            abort(503)
        left = self._left()
        answer: dict[str, object] = {"signed_in": left > timedelta(0), "expires_in": None, "warn_before": self.warn}
        if left > timedelta(0):
            seconds = max(0, int((left - self.modest).total_seconds()))
            answer["expires_in"] = seconds if self.says_left is None else self.says_left
            answer["mark"] = self.mark
            if not reported:
                answer["reported"] = False
            if self._last + self.idle >= self._opened + self.absolute:
                answer["at_limit"] = True
        return jsonify(answer)
