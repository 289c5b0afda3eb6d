"""Flask's `session`, kept on the server. The cookie holds a random value that means nothing by itself."""

import copy
import hmac
import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Any

from flask import Flask, Request, Response, request
from flask.sessions import SessionInterface, SessionMixin

from idp_kit.clock import Clock
from idp_kit.config import KitConfig
from idp_kit.store import Kept, Store

ANONYMOUS_FOR = timedelta(hours=1)
HAS_FORM = "idp_kit_form"


class BrowserSession(dict[str, Any], SessionMixin):
    """What is kept for one browser; values are what JSON can hold. `key` is the value of the cookie, None until
    something is kept, and `is_new` until the store knows it; `kept` is what the store held at the start of the
    request. `accessed` when the answer depends on it, `is_guarded` when it is for people who are signed in."""

    is_guarded = False

    def __init__(self, key: str | None = None, kept: Kept | None = None) -> None:
        super().__init__(kept.data if kept else {})
        self.key, self.kept, self.is_new = key, kept, False
        self._before = copy.deepcopy(dict(self))

    def become(self, key: str | None, kept: Kept | None = None) -> None:
        """From here on it is another session, in the store and in the browser."""
        self.clear()
        self.update(kept.data if kept else {})
        self.key, self.kept, self.is_new, self._before = key, kept, False, copy.deepcopy(dict(self))

    def changes(self) -> tuple[dict[str, Any], set[str]]:
        """What was set and what was removed since it was read."""
        changed = {name: value for name, value in self.items() if self._before.get(name, self) != value}
        return changed, self._before.keys() - self.keys()

    def named(self) -> str:
        """The key, which is made now where there was none."""
        if self.key is None:
            self.key, self.is_new = secrets.token_urlsafe(32), True
        return self.key

    def csrf_token(self, key: str) -> str:
        """What a form of this session must bring along; nobody else can compute it. The session of a visitor is kept
        from now on, so that the form comes back with the same key."""
        if self.key is None:
            self[HAS_FORM] = True
        return hmac.digest(key.encode(), f"csrf {self.named()}".encode(), sha256).hex()


class ServerSessions(SessionInterface):
    """Keeps sessions in a store. Requests at the same time change different entries without losing one."""

    def __init__(self, config: KitConfig, store: Store, clock: Clock) -> None:
        self._config, self._store, self._clock = config, store, clock

    def open_session(self, app: Flask, arriving: Request) -> BrowserSession:
        """The live session that the cookie names, or an empty one."""
        key = arriving.cookies.get(self._config.cookie)
        kept = self._store.load(key, self._clock.now()) if key else None
        return BrowserSession(key, kept) if kept else BrowserSession()

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """What changed is kept, and the browser has the cookie; an empty session is forgotten on both sides."""
        assert isinstance(session, BrowserSession)  # noqa: S101 - open_session makes no others
        _keep_from_others(session, response)
        flags: dict[str, Any] = {"path": "/", "secure": self._config.is_secure, "httponly": True, "samesite": "Lax"}
        presented, now = request.cookies.get(self._config.cookie), self._clock.now()
        changed, removed = session.changes()
        if not session and (session.kept is None or session.kept.is_nobody):
            # A cookie that opens nothing is left alone: it may be that of a login which has just replaced this session.
            if session.key is not None:
                self._store.forget(session.key)
                response.delete_cookie(self._config.cookie, **flags)
            return
        if changed or removed:
            self._store.save(session.named(), changed, removed, now + ANONYMOUS_FOR, session.is_new, now)
        if session.key is not None and session.key != presented:
            response.set_cookie(self._config.cookie, session.key, **flags)


def _keep_from_others(session: BrowserSession, response: Response) -> None:
    """Nobody is shown what was answered to somebody else. What is for people who are signed in is kept by nobody, also
    not by their own browser, in which somebody else may sign in; unless the application says how long it is."""
    if session.accessed:
        response.vary.add("Cookie")
    if session.is_guarded:
        response.headers.setdefault("Cache-Control", "no-store")
