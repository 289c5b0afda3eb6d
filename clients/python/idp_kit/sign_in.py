"""The code flow: Authlib's client, and the checks that Authlib leaves to its caller.

Authlib makes the request (PKCE, state, nonce), keeps what must be remembered, and exchanges the code. Added here: the
issuer of the discovery document (OIDC Discovery 4.3), the `iss` of the response (RFC 9207 2.4), pinned algorithms and
every claim of the ID token (`id_token`), the subject of userinfo (OIDC Core 5.3.2), and limits on outgoing calls.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from authlib.integrations.base_client import OAuthError
from flask import session
from requests import RequestException
from werkzeug.datastructures import MultiDict

from idp_kit.clock import Clock
from idp_kit.config import KitConfig
from idp_kit.id_token import Expected, verify_id_token
from idp_kit.provider import MALFORMED, Provider, ProviderFailed
from idp_kit.signed import TokenRefused, is_identifier
from idp_kit.store import Login

MOST_PENDING = 20


class SignInFailed(Exception):
    """Nobody was signed in, or out. `problem` names the page that explains it; `detail` is for the log.

    unknown_state           this browser did not ask for this response, or it was used before
    refused                 the response, or a token in it, proves nothing
    unreachable             the provider does not answer, or not as a provider does
    logged_out_here_only    the login here is over, but the provider could not be reached
    error.CODE              the provider's own word: error.access_denied, error.login_required ... (OIDC Core 3.1.2.6)

    `next_path` is the page of this application that they wanted, `/` where it is not known.
    """

    def __init__(self, problem: str, detail: str) -> None:
        super().__init__(f"{problem}: {detail}")
        self.problem, self.next_path = problem, "/"


@dataclass(frozen=True)
class Arrival:
    """Somebody who came back from the provider, and the page that they wanted."""

    login: Login
    next_path: str


class SignIn:
    """Sends people to the provider and judges what comes back."""

    def __init__(self, provider: Provider, config: KitConfig, clock: Clock) -> None:
        self._provider, self._config, self._clock = provider, config, clock

    def authorization_url(self, next_path: str) -> str:
        """Where the browser goes; state, nonce and verifier are remembered in its session.

        Raises SignInFailed when the provider cannot be reached.
        """
        with _wanting(next_path):
            self._metadata()
        made = self._provider.client.create_authorization_url(self._config.redirect_uri)
        pending = [key for key in session if key.startswith("_state_provider_")]
        for oldest in pending[: max(0, len(pending) - MOST_PENDING + 1)]:
            session.pop(oldest, None)
        self._provider.client.save_authorize_data(redirect_uri=self._config.redirect_uri, next=next_path, **made)
        return str(made["url"])

    def finish(self, response: MultiDict[str, str]) -> Arrival:
        """The person behind a successful authorization response; its state can be used once.

        Raises SignInFailed for everything else.
        """
        remembered = self._claim_state(response)
        with _wanting(remembered["next"]):
            return self._arrive(response, remembered)

    def _arrive(self, response: MultiDict[str, str], remembered: Mapping[str, Any]) -> Arrival:
        if _only(response, "iss") != self._config.issuer:
            raise SignInFailed("refused", "the response does not come from our provider (iss)")
        if "error" in response:
            raise SignInFailed(f"error.{_only(response, 'error')}", "the provider answered with an error")
        code = _only(response, "code")
        if not code:
            raise SignInFailed("refused", "the response holds no code")
        tokens = self._exchange(code, remembered)
        claims = self._verify(tokens, remembered["nonce"])
        userinfo = self._userinfo(tokens, claims["sub"])
        login = Login(claims["sid"], claims["sub"], claims, userinfo, tokens["id_token"])
        return Arrival(login, remembered["next"])

    def end_session_url(self, id_token: str, state: str) -> str:
        """Where the browser goes to end the session at the provider (OIDC RP-Initiated Logout 2).

        Raises SignInFailed when the provider cannot be reached.
        """
        self._metadata()
        made = self._provider.client.create_logout_url(
            self._config.post_logout_redirect_uri, id_token_hint=id_token, state=state, client_id=self._config.client_id
        )
        return str(made["url"])

    def _claim_state(self, response: MultiDict[str, str]) -> dict[str, Any]:
        state, framework = _only(response, "state"), self._provider.client.framework
        remembered = framework.get_state_data(session, state) if state else None
        if remembered is None:
            raise SignInFailed("unknown_state", "this browser did not ask for this response (state)")
        framework.clear_state_data(session, state)
        return dict(remembered)

    def _metadata(self) -> None:
        try:
            self._provider.metadata()
        except ProviderFailed as error:
            raise SignInFailed("unreachable", str(error)) from error

    def _exchange(self, code: str, remembered: Mapping[str, Any]) -> Mapping[str, Any]:
        """A token response with a bearer token and an ID token (RFC 6749 5.1, OIDC Core 3.1.3.3)."""
        self._metadata()
        try:
            tokens = self._provider.client.fetch_access_token(
                redirect_uri=self._config.redirect_uri, code=code, code_verifier=remembered["code_verifier"]
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
        expected = Expected(self._config.issuer, self._config.client_id, nonce, tokens["access_token"])
        try:
            claims = self._provider.checked(
                lambda jwk_set: verify_id_token(tokens["id_token"], jwk_set, expected, self._clock.now()),
                answers_us=True,
            )
            if not is_identifier(claims.get("sid")):
                raise TokenRefused("claim sid: without it nobody can be signed out")
        except TokenRefused as error:
            raise SignInFailed("refused", f"the ID token was refused: {error}") from error
        except ProviderFailed as error:
            raise SignInFailed("unreachable", str(error)) from error
        return claims

    def _userinfo(self, tokens: Mapping[str, Any], sub: str) -> dict[str, Any]:
        try:
            userinfo = dict(self._provider.client.userinfo(token=tokens))
        except (RequestException, OAuthError, *MALFORMED) as error:
            raise SignInFailed("unreachable", f"userinfo did not answer: {error}") from error
        if userinfo.get("sub") != sub:
            raise SignInFailed("refused", "userinfo is about somebody else (sub)")
        return userinfo


@contextmanager
def _wanting(next_path: str) -> Iterator[None]:
    """What fails meanwhile says which page was wanted."""
    try:
        yield
    except SignInFailed as failure:
        failure.next_path = next_path
        raise


def _only(response: MultiDict[str, str], name: str) -> str | None:
    """The value of a parameter that stands there once; a repeated one counts as missing (RFC 6749 3.1)."""
    values = response.getlist(name)
    return values[0] if len(values) == 1 else None
