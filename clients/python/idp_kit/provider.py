"""The provider as the application knows it: its metadata, its keys, and what it says of a session.

Nothing that it answers is believed before it was looked at. Whatever is wrong with an answer raises ProviderFailed.
"""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote_plus

import requests
from authlib.integrations.flask_client import OAuth
from flask import Flask
from requests import RequestException

from idp_kit.clock import Clock
from idp_kit.config import KitConfig, origin
from idp_kit.session_clock import SessionClock, Times
from idp_kit.signed import UnknownKey

JWKS_AT_MOST_EVERY = timedelta(seconds=10)
MOST_BYTES = 65_536
# What a hostile or broken answer makes Authlib and requests raise, besides their own errors.
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError)
NEEDED = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint", "jwks_uri", "end_session_endpoint")
STATUS, ACTIVITY = "session_status_endpoint", "session_activity_endpoint"

T = TypeVar("T")
_log = logging.getLogger(__name__)


class ProviderFailed(Exception):
    """No answer that can be used; the text says why, for the log. After a `refusal` the same question is pointless."""

    def __init__(self, detail: str, refusal: bool = False) -> None:
        super().__init__(detail.encode("unicode_escape").decode())
        self.refusal = refusal


class KeysJustRead(UnknownKey):
    """The key set holds no key of that name, and was read too short ago to be read again."""


class Provider:
    """One provider, for any number of threads. `client` is Authlib's."""

    def __init__(self, app: Flask, config: KitConfig, clock: Clock) -> None:
        self._config, self._clock = config, clock
        self.client: Any = OAuth(app).register(
            "provider",
            client_id=config.client_id,
            # Form-encoded in a Basic header (RFC 6749 2.3.1); Authlib sends it raw.
            client_secret=quote_plus(config.client_secret),
            server_metadata_url=f"{config.issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": config.scope,
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": "client_secret_basic",
                "default_timeout": config.provider_timeout.total_seconds(),
                "leeway": 0,
                "max_redirects": 0,
                "trust_env": False,
            },
        )
        self._jwk_set: dict[str, Any] = {"keys": []}
        self._keys_tried_at: datetime | None = None
        self._keys_failed = False
        self._reading_keys = Lock()

    def metadata(self) -> Mapping[str, Any]:
        """The discovery document, which is our provider's and names only addresses of our provider."""
        try:
            metadata: dict[str, Any] = self.client.load_server_metadata()
            if metadata.get("issuer") != self._config.issuer:
                raise ValueError("the discovery document belongs to another issuer")
            for name in (*NEEDED, *(each for each in (STATUS, ACTIVITY) if each in metadata)):
                if origin(metadata[name]) != origin(self._config.issuer):
                    raise ValueError(f"{name} lies outside the issuer")
        except (RequestException, *MALFORMED) as error:
            self.client.server_metadata.clear()
            raise ProviderFailed(f"no discovery document that can be used: {error}") from error
        return metadata

    def checked(self, check: Callable[[Mapping[str, Any]], T], answers_us: bool = False) -> T:
        """What the check of a token says by the published keys. They are read for a key that is unknown, in one thread
        at a time, and tried no more often than every ten seconds, whatever came of it: then KeysJustRead is raised, or
        ProviderFailed, besides what the check raises. Anybody can send a token that names an unknown key.

        `answers_us`: the provider itself has just given us the token, so that it could not be asked a moment ago no
        longer says anything."""
        known = self._jwk_set
        try:
            return check(known)
        except UnknownKey as error:
            unknown = error
        with self._reading_keys:
            if self._jwk_set is known:
                self._read_keys(unknown, answers_us)
        return check(self._jwk_set)

    def started(self, sid: str) -> SessionClock | None:
        """The clock of a session with which somebody signs in now; None when it is over already."""
        if STATUS in self.metadata():
            times = self.status(sid)
        else:
            now, idle, absolute = self._clock.now(), self._config.idle_timeout, self._config.absolute_timeout
            times = Times(now, now + min(idle, absolute), now + absolute, idle)
        return None if times is None else SessionClock.started(times)

    def status(self, sid: str) -> Times | None:
        """How long the session still has, which asking does not change; None when it is over, also for a provider that
        cannot be asked."""
        return self._ask(STATUS, {"sid": sid}) if STATUS in self.metadata() else None

    def report(self, sid: str, clock: SessionClock, moment: datetime) -> Times | None:
        """The provider knows that the user was active at that moment; the deadline that follows, or None when the
        session was over before."""
        if STATUS not in self.metadata():
            return clock.times.after(moment, self._clock.now())
        return self._ask(ACTIVITY, {"sid": sid, "last_activity_at": f"{clock.at_provider(moment):.3f}"})

    def _read_keys(self, unknown: UnknownKey, answers_us: bool) -> None:
        tried_at, now = self._keys_tried_at, self._clock.now()
        just_tried = tried_at is not None and abs(now - tried_at) < JWKS_AT_MOST_EVERY
        if just_tried and not (answers_us and self._keys_failed):
            if self._keys_failed:
                raise ProviderFailed("the keys could not be read a moment ago")
            raise KeysJustRead(str(unknown)) from unknown
        self._keys_failed = True
        try:
            self.metadata()
            jwk_set: dict[str, Any] = self.client.fetch_jwk_set(force=True)
            if not all(isinstance(jwk, dict) for jwk in jwk_set["keys"]):
                raise ValueError("not a key set")
        except (RequestException, RuntimeError, *MALFORMED) as error:
            raise ProviderFailed(f"the keys could not be read: {error}") from error
        finally:
            # Also of what failed, and when it was over: a provider that is slow to fail is not asked without a pause.
            self._keys_tried_at = self._clock.now()
        self._jwk_set, self._keys_failed = jwk_set, False

    def _ask(self, endpoint: str, form: Mapping[str, str]) -> Times | None:
        try:
            url = str(self.metadata()[endpoint])
            asked_at = self._clock.now()
            status, body = self._post(url, form)
            if status == 401:
                _log.error("the client secret is wrong: the provider does not know this application (%s)", endpoint)
            if status != 200:
                raise ProviderFailed(f"{endpoint} answered {status}", refusal=400 <= status < 500 and status != 429)
            answer = json.loads(body)
            return None if answer["active"] is False else _times(answer, form["sid"], asked_at)
        except (RequestException, RecursionError, *MALFORMED) as error:
            raise ProviderFailed(f"{endpoint}: {type(error).__name__}: {error}") from error

    def _post(self, url: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        credentials = quote_plus(self._config.client_id), quote_plus(self._config.client_secret)
        with requests.Session() as session:
            session.trust_env = False
            with session.post(
                url,
                data=dict(form),
                auth=credentials,
                timeout=self._config.provider_timeout.total_seconds(),
                allow_redirects=False,
                stream=True,
            ) as answer:
                body = b""
                for part in answer.iter_content(MOST_BYTES):
                    body += part
                    if len(body) > MOST_BYTES:
                        raise ValueError("the answer is too long")
                return answer.status_code, body


def _times(answer: Any, sid: str, asked_at: datetime) -> Times:
    """What a live session's answer says, by our clock. Its numbers are whole seconds, rounded down: neither moment is
    later than the truth."""
    if answer["active"] is not True or answer["sid"] != sid:
        raise ValueError("neither a live session nor one that is over")
    now, absolute, left, idle = (
        _number(answer, name) for name in ("now", "absolute_ends_at", "expires_in", "idle_timeout")
    )
    if idle == 0:
        raise ValueError("no session lasts so")
    return Times(
        asked_at=asked_at,
        ends_at=asked_at + timedelta(seconds=left),
        absolute_ends_at=asked_at + timedelta(seconds=absolute - now),
        idle_timeout=timedelta(seconds=idle),
        ahead=timedelta(seconds=now - asked_at.timestamp()),
    )


def _number(answer: Mapping[str, Any], name: str) -> float:
    value = answer[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise ValueError(f"{name} is not a number of seconds")
    return float(value)
