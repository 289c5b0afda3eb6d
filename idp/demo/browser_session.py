"""Sessions of an application, kept in its memory. The cookie holds a random value that means nothing by itself.

Tokens, the code verifier and the nonce therefore never travel to the browser. A restart signs everybody out, which is
what a demonstration wants.
"""

import hmac
import secrets
from collections import OrderedDict
from datetime import datetime, timedelta
from hashlib import sha256
from threading import Lock
from typing import Any

from flask import Flask, Request, Response, request
from flask.sessions import SessionInterface, SessionMixin

from idp.kernel.clock import Clock

MOST_SESSIONS = 10_000


class BrowserSession(dict[str, Any], SessionMixin):
    """What is kept for one browser. `identifier` is the value of the cookie; None until something is kept."""

    identifier: str | None = None

    def replace(self) -> None:
        """The session is empty, and gets a new identifier once something is put in."""
        self.clear()
        self.identifier = None

    def csrf_token(self, key: str) -> str:
        """What a form of this session must bring along; nobody else can compute it."""
        return hmac.digest(key.encode(), f"csrf {self.identifier}".encode(), sha256).hex()


class MemorySessions(SessionInterface):
    """Flask's session, in memory. A session unused for `idle_timeout` is gone."""

    def __init__(self, cookie: str, secure: bool, clock: Clock, idle_timeout: timedelta) -> None:
        self._cookie, self._secure, self._clock, self._idle_timeout = cookie, secure, clock, idle_timeout
        self._kept: OrderedDict[str, tuple[datetime, BrowserSession]] = OrderedDict()
        self._lock = Lock()

    def open_session(self, app: Flask, arriving: Request) -> BrowserSession:
        """The live session that the cookie names, or an empty one."""
        identifier = arriving.cookies.get(self._cookie, "")
        with self._lock:
            used_at, session = self._kept.pop(identifier, (None, None))
            if used_at is None or session is None or self._clock.now() - used_at >= self._idle_timeout:
                return BrowserSession()
            if session.identifier != identifier:  # replaced since: the old cookie opens nothing
                return BrowserSession()
            self._keep(identifier, session)
            return session

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """What was put in is kept, and the browser has the cookie; an empty session is forgotten on both sides."""
        assert isinstance(session, BrowserSession)  # noqa: S101 - open_session makes no others
        flags: dict[str, Any] = {"path": "/", "secure": self._secure, "httponly": True, "samesite": "Lax"}
        presented = request.cookies.get(self._cookie)
        with self._lock:
            if session:
                session.identifier = session.identifier or secrets.token_urlsafe(32)
                self._keep(session.identifier, session)
                if session.identifier != presented:
                    response.set_cookie(self._cookie, session.identifier, **flags)
            elif presented is not None:
                self._kept.pop(presented, None)
                response.delete_cookie(self._cookie, **flags)

    def _keep(self, identifier: str, session: BrowserSession) -> None:
        self._kept[identifier] = (self._clock.now(), session)
        self._kept.move_to_end(identifier)
        while len(self._kept) > MOST_SESSIONS:
            self._kept.popitem(last=False)
