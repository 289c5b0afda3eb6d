"""A small OpenID provider that signs real tokens, on a port of its own, and lies when it is told to.

Honest by default: it signs anybody in as Anna without asking. Each test changes the one thing that it is about.
"""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import unquote_plus, urlencode

import requests
from flask import Flask, Response, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import ECKey, KeyParameters, RSAKey
from werkzeug.wrappers import Response as AnyResponse

from idp.demo.server import serving
from idp.kernel.clock import Clock, whole_seconds
from idp_kit.id_token import left_half_of_hash

Claims = dict[str, Any]
Key = RSAKey | ECKey


def new_key(alg: str, kid: str) -> Key:
    parameters: KeyParameters = {"kid": kid, "alg": alg, "use": "sig"}
    if alg == "ES256":
        return ECKey.generate_key("P-256", parameters=parameters)
    return RSAKey.generate_key(2048, parameters=parameters)


class HostileProvider:
    """Its behaviour stands in attributes; those that are functions get what is about to be sent and may change it."""

    def __init__(self, issuer: str, clock: Clock, key: Key) -> None:
        self.issuer, self.clock = issuer, clock
        self.clients = {"atosi": "a secret / with + odd characters"}
        self.signing_key = key
        self.published: list[dict[str, Any]] = [dict(key.as_dict(private=False))]
        self.userinfo: Claims = {
            "sub": "anna-1",
            "name": "Anna de Wit",
            "preferred_username": "anna",
            "organisation_name": "Gemeente Voorbeeld",
            "organisation_code": "10234",
        }
        self.change_claims: Callable[[Claims], None] = lambda claims: None
        self.change_id_token: Callable[[str], str] = lambda id_token: id_token
        self.change_token_response: Callable[[Claims], Any] = lambda response: response
        self.change_discovery: Callable[[Claims], Any] = lambda document: document
        self.change_session_answer: Callable[[Claims], Any] = lambda answer: answer
        self.instead: dict[str, Callable[[], AnyResponse]] = {}
        self.idle_timeout, self.absolute_timeout = timedelta(minutes=30), timedelta(hours=12)
        self.ahead = timedelta(0)
        """How far its clock is from that of the application."""
        self.opened_at = self.last_activity_at = clock.now()
        self.session_ended = False
        self.reports: list[float] = []
        """The moments of activity that it was told of, in seconds since the epoch by its own clock."""
        self.calls: Counter[str] = Counter()
        self._codes: dict[str, dict[str, str]] = {}

    def sign(self, claims: Claims, more: Claims | None = None) -> str:
        header = {"alg": self.signing_key.alg or "RS256", "kid": self.signing_key.kid, **(more or {})}
        return jwt.encode(header, claims, self.signing_key, algorithms=["RS256", "ES256"])

    def logout_token(self, change: Callable[[Claims], None] = lambda claims: None, **header: Any) -> str:
        """A logout token for Atosi of the one session there is, as its provider would sign it, changed."""
        now = whole_seconds(self.clock.now())
        claims: Claims = {
            "iss": self.issuer,
            "sub": "anna-1",
            "aud": "atosi",
            "iat": now,
            "exp": now + 120,
            "jti": secrets.token_urlsafe(16),
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
            "sid": "session-1",
        }
        change(claims)
        return self.sign(claims, {"typ": "logout+jwt", **header})

    def ends_at(self) -> datetime:
        """When the session is over, by its own clock."""
        return min(self.last_activity_at + self.idle_timeout, self.opened_at + self.absolute_timeout)

    def answer_about_session(self) -> Any:
        now = self.clock.now() + self.ahead
        if self.session_ended or now >= self.ends_at():
            return self.change_session_answer({"active": False})
        times = {
            "now": now,
            "last_activity_at": self.last_activity_at,
            "ends_at": self.ends_at(),
            "absolute_ends_at": self.opened_at + self.absolute_timeout,
        }
        left = int((self.ends_at() - now).total_seconds())
        seconds = {name: whole_seconds(moment) for name, moment in times.items()}
        seconds |= {"expires_in": left, "idle_timeout": int(self.idle_timeout.total_seconds())}
        return self.change_session_answer({"active": True, "sid": "session-1", **seconds})

    def take_report(self, last_activity_at: float) -> None:
        now = self.clock.now() + self.ahead
        self.reports.append(last_activity_at)
        if not self.session_ended and now < self.ends_at():
            moment = datetime.fromtimestamp(last_activity_at, UTC)
            self.last_activity_at = max(self.last_activity_at, min(moment, now))

    def knows_client(self) -> bool:
        given = request.authorization
        return given is not None and self.clients.get(given.username or "") == unquote_plus(given.password or "")

    def application(self) -> Flask:
        app = Flask(__name__)

        @app.before_request
        def answer_otherwise() -> AnyResponse | None:
            self.calls[request.path] += 1
            return self.instead[request.path]() if request.path in self.instead else None

        @app.after_request
        def forbid_storing(response: Response) -> Response:
            response.headers["Cache-Control"] = "no-store"
            return response

        @app.get("/.well-known/openid-configuration")
        def discovery() -> Response:
            return jsonify(
                self.change_discovery(
                    {
                        "issuer": self.issuer,
                        "authorization_endpoint": f"{self.issuer}/authorize",
                        "token_endpoint": f"{self.issuer}/token",
                        "userinfo_endpoint": f"{self.issuer}/userinfo",
                        "jwks_uri": f"{self.issuer}/jwks",
                        "end_session_endpoint": f"{self.issuer}/end_session",
                        "session_status_endpoint": f"{self.issuer}/session/status",
                        "session_activity_endpoint": f"{self.issuer}/session/activity",
                        "response_types_supported": ["code"],
                        "subject_types_supported": ["public"],
                        "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
                        "code_challenge_methods_supported": ["S256"],
                        "authorization_response_iss_parameter_supported": True,
                    }
                )
            )

        @app.get("/jwks")
        def jwks() -> Response:
            return jsonify(keys=self.published)

        @app.get("/authorize")
        def authorize() -> AnyResponse:
            code = secrets.token_urlsafe(16)
            if self.session_ended or self.clock.now() + self.ahead >= self.ends_at():
                self.opened_at, self.session_ended = self.clock.now() + self.ahead, False
            self.last_activity_at = self.clock.now() + self.ahead
            self._codes[code] = request.args.to_dict()
            answer = {"code": code, "state": request.args["state"], "iss": self.issuer}
            return redirect(f"{request.args['redirect_uri']}?{urlencode(answer)}", 303)

        @app.post("/token")
        def token() -> AnyResponse | tuple[Response, int]:
            asked = self._codes.pop(request.form.get("code", ""), None)
            credentials = request.authorization
            challenge = urlsafe_b64encode(sha256(request.form.get("code_verifier", "").encode()).digest())
            if (
                asked is None
                or credentials is None
                or self.clients.get(credentials.username or "") != unquote_plus(credentials.password or "")
                or asked["client_id"] != credentials.username
                or asked["redirect_uri"] != request.form["redirect_uri"]
                or asked["code_challenge_method"] != "S256"
                or asked["code_challenge"] != challenge.rstrip(b"=").decode()
            ):
                return jsonify(error="invalid_grant"), 400
            return jsonify(self.change_token_response(self._tokens(asked)))

        @app.post("/session/status")
        def session_status() -> AnyResponse | tuple[Response, int]:
            if not self.knows_client():
                return jsonify(error="invalid_client"), 401
            return jsonify(self.answer_about_session())

        @app.post("/session/activity")
        def session_activity() -> AnyResponse | tuple[Response, int]:
            if not self.knows_client():
                return jsonify(error="invalid_client"), 401
            self.take_report(float(request.form["last_activity_at"]))
            return jsonify(self.answer_about_session())

        @app.get("/userinfo")
        def userinfo() -> Response:
            return jsonify(self.userinfo)

        return app

    def _tokens(self, asked: dict[str, str]) -> Claims:
        access_token, now = secrets.token_urlsafe(16), whole_seconds(self.clock.now())
        claims: Claims = {
            "iss": self.issuer,
            "sub": "anna-1",
            "aud": asked["client_id"],
            "iat": now,
            "exp": now + 300,
            "auth_time": now,
            "nonce": asked.get("nonce"),
            "acr": f"{self.issuer}/acr/3",
            "amr": ["pwd", "otp", "mfa"],
            "sid": "session-1",
            "at_hash": left_half_of_hash(access_token),
        }
        self.change_claims(claims)
        return {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": self.change_id_token(self.sign(claims)),
        }


@contextmanager
def running(clock: Clock, key: Key) -> Iterator[HostileProvider]:
    """An honest provider that answers at its issuer, until a test changes it."""
    provider = HostileProvider("", clock, key)
    with serving(provider.application(), "127.0.0.1", 0) as port:
        provider.issuer = f"http://127.0.0.1:{port}"
        yield provider


def consent_at(authorization_url: str) -> str:
    """Where the provider sends the browser after the authorization request."""
    return requests.get(authorization_url, allow_redirects=False, timeout=5).headers["Location"]
