"""The code flow of a relying application: Authlib's Flask client, and the checks that Authlib leaves to its caller.

Authlib makes the request (PKCE, state, nonce), keeps what must be remembered, and exchanges the code. Added here: the
issuer of the discovery document (OIDC Discovery 4.3), the `iss` of the response (RFC 9207 2.4), pinned algorithms and
every claim of the ID token (`id_token`), the subject of userinfo (OIDC Core 5.3.2), and limits on outgoing calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, urlsplit

from authlib.integrations.base_client import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask, session
from requests import RequestException
from werkzeug.datastructures import MultiDict

from idp.demo.id_token import Expected, IdTokenRefused, UnknownKey, verify_id_token
from idp.kernel.clock import Clock

JWKS_AT_MOST_EVERY = timedelta(seconds=10)
MOST_PENDING = 20
# What a hostile or broken answer makes Authlib and requests raise, besides their own errors.
MALFORMED = (ValueError, TypeError, KeyError, AttributeError)


class SignInFailed(Exception):
    """No session came of it. `problem` names the page that explains it; `detail` is for the log."""

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(f"{problem}: {detail}")
        self.problem = problem


@dataclass(frozen=True)
class SignedIn:
    """What the application knows about the person who came back."""

    claims: dict[str, Any]
    userinfo: dict[str, Any]
    id_token: str
    next_path: str


class SignIn:
    """Sends people to the provider and judges what comes back."""

    def __init__(
        self,
        app: Flask,
        clock: Clock,
        *,
        issuer: str,
        client_id: str,
        client_secret: str,
        scope: str,
        redirect_uri: str,
        timeout: timedelta,
    ) -> None:
        self._clock, self._issuer, self._client_id, self._redirect_uri = clock, issuer, client_id, redirect_uri
        self._client = OAuth(app).register(
            "provider",
            client_id=client_id,
            client_secret=quote_plus(
                client_secret
            ),  # form-encoded in a Basic header (RFC 6749 2.3.1); Authlib sends it raw
            server_metadata_url=f"{issuer.rstrip('/')}/.well-known/openid-configuration",
            client_kwargs={
                "scope": scope,
                "code_challenge_method": "S256",
                "token_endpoint_auth_method": "client_secret_basic",
                "default_timeout": timeout.total_seconds(),
                "leeway": 0,
                "max_redirects": 0,
                "trust_env": False,
            },
        )
        self._jwk_set: dict[str, Any] = {}
        self._jwk_set_read_at: datetime | None = None

    def authorization_url(self, next_path: str) -> str:
        """Where the browser goes; state, nonce and verifier are remembered in its session.

        Raises SignInFailed when the provider cannot be reached.
        """
        self._metadata()
        made = self._client.create_authorization_url(self._redirect_uri)
        pending = [key for key in session if key.startswith("_state_provider_")]
        for oldest in pending[: max(0, len(pending) - MOST_PENDING + 1)]:
            session.pop(oldest, None)
        self._client.save_authorize_data(redirect_uri=self._redirect_uri, next=next_path, **made)
        return str(made["url"])

    def finish(self, response: MultiDict[str, str]) -> SignedIn:
        """The person behind a successful authorization response; its state can be used once.

        Raises SignInFailed for everything else.
        """
        remembered = self._claim_state(response)
        if _only(response, "iss") != self._issuer:
            raise SignInFailed("refused", "the response does not come from our provider (iss)")
        if "error" in response:
            raise SignInFailed(f"error.{_only(response, 'error')}", "the provider answered with an error")
        code = _only(response, "code")
        if not code:
            raise SignInFailed("refused", "the response holds no code")
        tokens = self._exchange(code, remembered)
        claims = self._verify(tokens, remembered["nonce"])
        userinfo = self._userinfo(tokens, claims["sub"])
        return SignedIn(claims, userinfo, tokens["id_token"], remembered["next"])

    def end_session_url(self, id_token: str, post_logout_redirect_uri: str, state: str) -> str:
        """Where the browser goes to end the session at the provider (OIDC RP-Initiated Logout 2).

        Raises SignInFailed when the provider cannot be reached.
        """
        self._metadata()
        made = self._client.create_logout_url(
            post_logout_redirect_uri, id_token_hint=id_token, state=state, client_id=self._client_id
        )
        return str(made["url"])

    def _claim_state(self, response: MultiDict[str, str]) -> dict[str, Any]:
        state = _only(response, "state")
        remembered = self._client.framework.get_state_data(session, state) if state else None
        if remembered is None:
            raise SignInFailed("unknown_state", "this browser did not ask for this response (state)")
        self._client.framework.clear_state_data(session, state)
        return dict(remembered)

    def _metadata(self) -> Mapping[str, Any]:
        """The discovery document, which is our provider's and names only addresses of our provider."""
        try:
            metadata: dict[str, Any] = self._client.load_server_metadata()
            if metadata.get("issuer") != self._issuer:
                raise ValueError("the discovery document belongs to another issuer")
            for name in (
                "authorization_endpoint",
                "token_endpoint",
                "userinfo_endpoint",
                "jwks_uri",
                "end_session_endpoint",
            ):
                if origin(metadata[name]) != origin(self._issuer):
                    raise ValueError(f"{name} lies outside the issuer")
        except (RequestException, *MALFORMED) as error:
            self._client.server_metadata.clear()
            raise SignInFailed("unreachable", f"no discovery document that can be used: {error}") from error
        return metadata

    def _exchange(self, code: str, remembered: Mapping[str, Any]) -> Mapping[str, Any]:
        """A token response with a bearer token and an ID token (RFC 6749 5.1, OIDC Core 3.1.3.3)."""
        self._metadata()
        try:
            tokens = self._client.fetch_access_token(
                redirect_uri=self._redirect_uri, code=code, code_verifier=remembered["code_verifier"]
            )
            if not all(isinstance(tokens[name], str) for name in ("access_token", "token_type", "id_token")):
                raise ValueError("the token response lacks a token")
            if tokens["token_type"].lower() != "bearer":
                raise ValueError("the access token is of an unknown type")
        except OAuthError as error:
            raise SignInFailed("refused", f"the provider refused the code: {error.error}") from error
        except RequestException as error:
            raise SignInFailed("unreachable", f"the token endpoint did not answer: {error}") from error
        except MALFORMED as error:
            raise SignInFailed("refused", f"the token response cannot be read: {error}") from error
        return dict(tokens)

    def _verify(self, tokens: Mapping[str, Any], nonce: str) -> dict[str, Any]:
        expected = Expected(self._issuer, self._client_id, nonce, tokens["access_token"])
        try:
            try:
                return verify_id_token(tokens["id_token"], self._keys(), expected, self._clock.now())
            except UnknownKey:
                return verify_id_token(tokens["id_token"], self._keys(reread=True), expected, self._clock.now())
        except IdTokenRefused as error:
            raise SignInFailed("refused", f"the ID token was refused: {error}") from error

    def _keys(self, reread: bool = False) -> Mapping[str, Any]:
        """The published keys; read again for an unknown key, but not more often than every ten seconds."""
        now, read_at = self._clock.now(), self._jwk_set_read_at
        if read_at is None or (reread and now - read_at >= JWKS_AT_MOST_EVERY):
            try:
                self._jwk_set = self._client.fetch_jwk_set(force=True)
            except (RequestException, RuntimeError, *MALFORMED) as error:
                raise SignInFailed("unreachable", f"the keys could not be read: {error}") from error
            self._jwk_set_read_at = now
        return self._jwk_set

    def _userinfo(self, tokens: Mapping[str, Any], sub: str) -> dict[str, Any]:
        try:
            userinfo = dict(self._client.userinfo(token=tokens))
        except (RequestException, OAuthError, *MALFORMED) as error:
            raise SignInFailed("unreachable", f"userinfo did not answer: {error}") from error
        if userinfo.get("sub") != sub:
            raise SignInFailed("refused", "userinfo is about somebody else (sub)")
        return userinfo


def origin(url: str) -> tuple[str, str]:
    """Scheme and host with port."""
    parts = urlsplit(url)
    return parts.scheme, parts.netloc


def _only(response: MultiDict[str, str], name: str) -> str | None:
    """The value of a parameter that stands there once; a repeated one counts as missing (RFC 6749 3.1)."""
    values = response.getlist(name)
    return values[0] if len(values) == 1 else None
