"""The Flask extension: routes, and who is signed in during a request.

    GET  /login?next=           to the provider                     GET  /session/status            time left, as JSON
    GET  /callback              back from it, signed in             POST /session/activity          the page's report
    POST /logout                out, here and at the provider       GET  /session/session.js, .css  the page's script
    POST /session/backchannel-logout   the provider says that a session ended
    GET  /session/frontchannel-logout  the same by way of the browser, if it is switched on

Before each request of an application's own pages it is settled who is signed in. From the known deadline on only the
provider's word keeps somebody signed in; no answer means no.
"""

import hmac
import logging
import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from hashlib import sha256
from typing import ParamSpec, TypeVar, cast

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, redirect, request, session, url_for
from markupsafe import Markup
from werkzeug.wrappers import Response as AnyResponse

from idp_kit.browser_session import BrowserSession, ServerSessions
from idp_kit.clock import Clock, SystemClock
from idp_kit.config import KitConfig
from idp_kit.incoming import idle_seconds, is_opened_by_a_person, is_our_page, local_path
from idp_kit.logout_receiver import LogoutReceiver
from idp_kit.pages import NAME, asset, head, problem_page, time_left
from idp_kit.provider import Provider, ProviderFailed
from idp_kit.reporter import Reporter
from idp_kit.session_clock import SessionClock
from idp_kit.sign_in import SignIn, SignInFailed
from idp_kit.sqlite_store import MemoryStore
from idp_kit.store import ELSEWHERE, INACTIVITY, UNREACHABLE, Kept, Login, Store

P = ParamSpec("P")
R = TypeVar("R")

KEEPS_FOR = timedelta(days=1)

_log = logging.getLogger(__name__)


class SessionKit:
    """One application at one provider. `background` is off in tests that move time themselves."""

    def __init__(
        self,
        app: Flask,
        config: KitConfig,
        store: Store | None = None,
        clock: Clock | None = None,
        background: bool = True,
    ) -> None:
        self.app, self.config, self._clock = app, config, clock or SystemClock()
        self.store: Store = store or MemoryStore()
        self.provider = Provider(app, config, self._clock)
        self.reporter = Reporter(self.store, self.provider, self._clock, background)
        self._sign_in = SignIn(self.provider, config, self._clock)
        self._receiver = LogoutReceiver(self.provider, self.store, config, self._clock)
        app.session_interface = ServerSessions(config, self.store, self._clock)
        app.extensions[NAME] = self
        app.before_request(self._settle)
        app.register_error_handler(SignInFailed, self._explain)
        app.register_blueprint(self._routes())
        app.jinja_env.globals["session_script"] = self.session_script

    # For the application

    @property
    def login(self) -> Login | None:
        """Who is signed in."""
        kept = _session().kept
        return kept.login if kept else None

    @property
    def ended(self) -> str | None:
        """Why the login that was here is over: "inactivity", "elsewhere", or "unreachable" when the provider could not
        be asked at the deadline. None while somebody is signed in."""
        kept = _session().kept
        return kept.ended if kept else None

    def login_required(self, view: Callable[P, R]) -> Callable[P, R | AnyResponse]:
        """The view is for people who are signed in; others are sent to log in, and scripts get a 401. No answer is kept
        by a browser, or on the way, unless the view says so in `Cache-Control`."""

        @wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R | AnyResponse:
            _session().is_guarded = True
            if self.login is not None:
                return view(*args, **kwargs)
            if request.method == "GET" and request.headers.get("Sec-Fetch-Dest", "document") == "document":
                return redirect(url_for(f"{NAME}.login", next=request.full_path.rstrip("?")), 303)
            refused = jsonify(error="login_required")
            refused.status_code = 401
            return refused

        return guarded

    def csrf_token(self) -> str:
        """What the form that logs out must bring along as `csrf_token`; other forms of the application may use it. That
        of a visitor holds for an hour, and needs their cookie."""
        return _session().csrf_token(self.config.secret_key)

    def require_csrf_token(self) -> None:
        """The form came from a page of this session. Raises Forbidden."""
        if _session().key is None:
            abort(403)  # nobody was given one
        given, expected = request.form.get("csrf_token", ""), self.csrf_token()
        if not hmac.compare_digest(given.encode(), expected.encode()):
            abort(403)

    def has_logged_out_everywhere(self) -> bool:
        """True once, on the page to which the provider sends a browser back that logged out."""
        state = session.pop("logout_state", None)
        return state is not None and request.args.get("state") == state

    def session_script(self, lang: str = "nl", logout_form: str = "logout") -> Markup:
        """What a page for people who are signed in carries in its head: the script that warns them before the end, and
        what makes browsers without scripts load the page again just after it. `logout_form` is the `id` of the form
        that logs out."""
        kept = _session().kept
        if kept is None or kept.login is None or kept.clock is None:
            return Markup("")
        settings = {
            "status": url_for(f"{NAME}.status"),
            "activity": url_for(f"{NAME}.activity"),
            "logout": self.config.signed_out_path,
            "logout-form": logout_form,
            "signed-out": self.config.signed_out_path,
            "lang": lang,
            "mark": self._mark(),
        }
        left = kept.clock.times.ends_at - self._clock.now()
        return head(url_for(f"{NAME}.asset", name="session.js"), settings, left)

    def close(self) -> None:
        """No thread and no connection of the kit is left."""
        self.reporter.close()
        self.store.close()

    # Before a request

    def _settle(self) -> None:
        """Who is signed in is known, and what a person does is seen."""
        ours = _session()
        is_anybody = ours.kept is not None and ours.kept.login is not None
        if is_anybody and not _is_static() and self._live_clock() is not None and is_opened_by_a_person():
            self._seen(timedelta(0), wait=False)
        ours.accessed = False  # The answer depends on it where the application looks.

    def _live_clock(self) -> SessionClock | None:
        """The clock of whoever is signed in; from the known deadline on the provider is asked first."""
        kept = _session().kept
        if kept is None or kept.login is None or kept.clock is None:
            return None
        if not kept.clock.has_passed(self._clock.now()):
            return kept.clock
        return self._ask(kept.login.sid)

    def _ask(self, sid: str) -> SessionClock | None:
        """What the provider says of the session now; without an answer it is over, because its time is."""
        try:
            times = self.provider.status(sid)
        except ProviderFailed as failure:
            _log.warning("signed out, because the provider does not say that the session lives: %s", failure)
            self.store.end(sid, self._clock.now(), UNREACHABLE)
            return self._look_again(None)
        if times is None:
            self.store.end(sid, self._clock.now())
            return self._look_again(None)
        return self._look_again(self.store.change_clock(sid, lambda before: before.with_times(times)))

    def _look_again(self, clock: SessionClock | None) -> SessionClock | None:
        """The session of this request is what the store holds after a change."""
        ours = _session()
        if clock is None or ours.kept is None:
            ours.become(ours.key, self.store.load(ours.key, self._clock.now()) if ours.key else None)
            return ours.kept.clock if ours.kept else None
        ours.kept = Kept(ours.kept.data, ours.kept.login, clock)
        return clock

    def _seen(self, ago: timedelta, wait: bool) -> SessionClock | None:
        kept = _session().kept
        if kept is None or kept.login is None:
            return None
        return self._look_again(self.reporter.seen(kept.login.sid, self._clock.now() - ago, wait))

    # Routes

    def _routes(self) -> Blueprint:
        routes, config = Blueprint(NAME, __name__, static_folder=None), self.config
        routes.add_url_rule(config.login_path, "login", self._to_login)
        routes.add_url_rule(config.callback_path, "callback", self._callback)
        routes.add_url_rule(config.logout_path, "logout", self._log_out, methods=["POST"])
        routes.add_url_rule(f"{config.prefix}/status", "status", self._status)
        routes.add_url_rule(f"{config.prefix}/activity", "activity", self._activity, methods=["POST"])
        routes.add_url_rule(f"{config.prefix}/<any('session.js', 'session.css'):name>", "asset", asset)
        back, front = self._receiver.backchannel, self._receiver.frontchannel
        routes.add_url_rule(f"{config.prefix}/backchannel-logout", "backchannel", back, methods=["POST"])
        if config.front_channel_logout:
            routes.add_url_rule(f"{config.prefix}/frontchannel-logout", "frontchannel", front)
        return routes

    def _to_login(self) -> AnyResponse:
        return redirect(self._sign_in.authorization_url(local_path(request.args.get("next", "/"))), 303)

    def _callback(self) -> AnyResponse:
        arrival = self._sign_in.finish(request.args)
        login, now = arrival.login, self._clock.now()
        try:
            clock = self.provider.started(login.sid)
        except ProviderFailed as failure:
            failed = SignInFailed("unreachable", str(failure))
            failed.next_path = arrival.next_path
            raise failed from failure
        # Whoever knew the cookie before knows nothing now.
        before, key = _session().key, secrets.token_urlsafe(32)
        until = now + self.config.absolute_timeout + KEEPS_FOR
        if clock is None or not self.store.sign_in(key, login, clock, max(until, clock.times.absolute_ends_at), now):
            raise SignInFailed("refused", "the session ended meanwhile")
        if before is not None:
            self.store.forget(before)
        _session().become(key, Kept({}, login, clock))
        return redirect(arrival.next_path, 303)

    def _explain(self, failure: SignInFailed) -> Response:
        """What applications show that draw no page of their own for it."""
        _log.warning("nobody was signed in: %s", str(failure).encode("unicode_escape").decode())
        return problem_page(failure.problem, failure.next_path, self.login is not None)

    def _log_out(self) -> AnyResponse:
        login, ours = self.login, _session()
        if login is None:
            return redirect(self.config.signed_out_path, 303)
        self.require_csrf_token()
        self.store.end(login.sid, self._clock.now(), ELSEWHERE)
        self.store.forget(ours.key or "")
        ours.become(None)
        session["logout_state"] = state = secrets.token_urlsafe(16)
        try:
            return redirect(self._sign_in.end_session_url(login.id_token, state), 303)
        except SignInFailed as failure:
            raise SignInFailed("logged_out_here_only", str(failure)) from failure

    def _status(self) -> Response:
        clock, now = self._live_clock(), self._clock.now()
        if clock is not None and self.login is not None and clock.may_be_out_of_date(now):
            try:
                times = self.provider.status(self.login.sid)
            except ProviderFailed:
                times = clock.times  # until its deadline what is known holds
            if times is None:
                self.store.end(self.login.sid, now)
                clock = self._look_again(None)
            else:
                learned = times
                clock = self._look_again(
                    self.store.change_clock(self.login.sid, lambda before: before.with_times(learned))
                )
        return time_left(clock, self._clock.now(), self._mark())

    def _activity(self) -> Response:
        if not is_our_page(self.config):
            abort(403)
        idle = idle_seconds()
        if idle is None:
            refused = jsonify(error="invalid_request", error_description="idle_seconds must be a number")
            refused.status_code = 400
            return refused
        clock = self._live_clock()
        if clock is not None:
            longest = clock.times.idle_timeout.total_seconds()
            clock = self._seen(timedelta(seconds=min(max(idle, 0), longest)), wait=True)
        return time_left(clock, self._clock.now(), self._mark(), is_report=True)

    def _mark(self) -> str:
        """Something else for each session of the provider, by which pages tell whose they are; it opens nothing. Not
        for each cookie: who logs in once more would lose what they were writing in another tab."""
        login = self.login
        whose = f"mark {login.sid} {login.sub}" if login else ""
        return hmac.digest(self.config.secret_key.encode(), whose.encode(), sha256).hex()[:32]


def _session() -> BrowserSession:
    """The session itself and not Flask's stand-in, each use of which counts as access."""
    return cast(BrowserSession, session._get_current_object())  # type: ignore[attr-defined]


def _is_static() -> bool:
    """Files and notices concern nobody who is signed in."""
    endpoint = request.endpoint or ""
    return endpoint == "static" or endpoint.endswith(".static") or endpoint in _OF_NOBODY


_OF_NOBODY = {f"{NAME}.{name}" for name in ("asset", "status", "activity", "backchannel", "frontchannel")}


def kit() -> SessionKit:
    """The kit of the application that handles this request."""
    return cast(SessionKit, current_app.extensions[NAME])


__all__ = ["ELSEWHERE", "INACTIVITY", "UNREACHABLE", "SessionKit", "kit", "local_path"]
