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


class BrowserSession(dict[str, Any], SessionMixin):
    """What is kept for one browser; values are what JSON can hold. `key` is the value of the cookie, None until
    something is kept; `kept` is what the store held at the start of the request."""

    def __init__(self, key: str | None = None, kept: Kept | None = None) -> None:
        super().__init__(kept.data if kept else {})
        self.key, self.kept = key, kept
        self._before = copy.deepcopy(dict(self))

    def become(self, key: str | None, kept: Kept | None = None) -> None:
        """From here on it is another session, in the store and in the browser."""
        self.clear()
        self.update(kept.data if kept else {})
        self.key, self.kept, self._before = key, kept, copy.deepcopy(dict(self))

    def changes(self) -> tuple[dict[str, Any], set[str]]:
        """What was set and what was removed since it was read."""
        changed = {name: value for name, value in self.items() if self._before.get(name, self) != value}
        return changed, self._before.keys() - self.keys()

    def csrf_token(self, key: str) -> str:
        """What a form of this session must bring along; nobody else can compute it."""
        return hmac.digest(key.encode(), f"csrf {self.key}".encode(), sha256).hex()


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
            new = session.key is None
            session.key = session.key or secrets.token_urlsafe(32)
            self._store.save(session.key, changed, removed, now + ANONYMOUS_FOR, new, now)
        if session.key is not None and session.key != presented:
            response.set_cookie(self._config.cookie, session.key, **flags)
