"""What the kit keeps on the server: sessions of browsers, the clock of each session of the provider, and what ended.

The cookie holds a random value and nothing else; tokens, the code verifier and the nonce never travel to the browser.
A store has one rule that everything leans on: **what ended stays ended**. A change to a session that is gone changes
nothing, and no login starts with a session of the provider that was said to be over.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from idp_kit.logout_token import LogoutToken
from idp_kit.session_clock import SessionClock

INACTIVITY = "inactivity"
ELSEWHERE = "elsewhere"
UNREACHABLE = "unreachable"


@dataclass(frozen=True)
class Login:
    """Who is signed in, and by which session of the provider (`sid`)."""

    sid: str
    sub: str
    claims: dict[str, Any]
    userinfo: dict[str, Any]
    id_token: str


@dataclass(frozen=True)
class Kept:
    """The session of one browser. `ended` says why the login that was here is over: INACTIVITY, ELSEWHERE,
    or UNREACHABLE when the provider could not be asked at the deadline."""

    data: dict[str, Any]
    login: Login | None = None
    clock: SessionClock | None = None
    ended: str | None = None

    @property
    def is_nobody(self) -> bool:
        """Nobody is signed in here, nor was."""
        return self.login is None and self.ended is None


class Store(Protocol):
    """Any number of threads; whether also any number of processes is for each implementation to say.

    `key` is the value of a cookie. Any error is raised, and then nobody is signed in.
    """

    def load(self, key: str, now: datetime) -> Kept | None:
        """What is kept for a browser; None for an unknown or forgotten key."""

    def save(
        self, key: str, changed: Mapping[str, Any], removed: Collection[str], until: datetime, new: bool, now: datetime
    ) -> None:
        """These entries of a session are set and removed, and no others: requests at the same time lose nothing.
        A session that is not `new` and not there stays away. It is kept until then, or longer if it was to be."""

    def forget(self, key: str) -> None:
        """Nothing is kept for this browser."""

    def sign_in(self, key: str, login: Login, clock: SessionClock, until: datetime, now: datetime) -> bool:
        """A new session holds the login; False, and nothing is kept, when its session of the provider is over."""

    def end(self, sid: str, now: datetime, reason: str | None = None) -> None:
        """No browser is signed in with this session of the provider, nor ever will be. Without a reason the clock tells
        whether it was inactivity."""

    def end_if_known(self, sid: str, now: datetime) -> None:
        """The same for a `sid` that anybody may have invented; nothing is kept of one that nobody is signed in with."""

    def end_by_notice(self, token: LogoutToken, now: datetime) -> bool:
        """What the logout token says is over, in the transaction that uses up its `jti`; False for one used before."""

    def change_clock(self, sid: str, change: Callable[[SessionClock], SessionClock]) -> SessionClock | None:
        """The clock after the change, which nothing comes between; None when nobody is signed in with the session."""

    def pending(self, now: datetime) -> list[str]:
        """The sessions of which a report is due."""

    def next_due(self) -> datetime | None:
        """When the first of all reports is due; None when all were sent."""

    def close(self) -> None:
        """Files and connections are closed."""
