"""The checks of an authorization request whose errors are sent to the client, parameter by parameter."""

import re
from collections.abc import Callable
from typing import Any, Never

from idp.oidc import claims_parameter
from idp.oidc.claims_parameter import acr_by_claim, wish
from idp.oidc.clients import OFFLINE_ACCESS, Client
from idp.oidc.errors import SentToClient
from idp.oidc.parameters import Parameters

RESPONSE_TYPES = ("code",)
RESPONSE_MODES = ("query", "fragment", "form_post")
PROMPT_VALUES = ("none", "login", "consent", "select_account")
LONGEST_STATE = 4096
LONGEST_NONCE = 2000
LONGEST_MAX_AGE = 10 * 365 * 24 * 3600
_SHA256 = re.compile(r"[A-Za-z0-9_-]{43}")
# Everything that a request may say; what else it says is ignored.
NAMES = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "claims",
    "acr_values",
    "id_token_hint",
    "login_hint",
    "ui_locales",
    "dpop_jkt",
    "resource",
    "registration",
)


def default_response_mode(response_type: str | None) -> str:
    """How an answer travels when the client does not say it: never in the query with what is not for servers' logs."""
    carried = set((response_type or "").split())
    return "fragment" if carried & {"token", "id_token"} else "query"


class Checks:
    """The checks whose errors are sent to the client. `state` and `response_mode` come first: errors need them."""

    def __init__(self, parameters: Parameters, client: Client, redirect_uri: str) -> None:
        self._parameters, self._client, self._redirect_uri = parameters, client, redirect_uri
        # Errors, too, arrive where answers of this type do (OAuth 2.0 Multiple Response Types 2.1 and 5).
        self.response_mode = default_response_mode(parameters.get("response_type"))
        self.state: str | None = None
        self.state = self.limited("state", LONGEST_STATE)
        mode = self.limited("response_mode", 40)
        if mode is not None and mode not in RESPONSE_MODES:
            self.refuse("invalid_request", "this response_mode is not supported")
        self.response_mode = mode or self.response_mode
        self._refuse_registration()

    def refuse(self, error: str, description: str) -> Never:
        """The error is sent to the client. Raises SentToClient."""
        raise SentToClient(
            error,
            description,
            client_id=self._client.client_id,
            redirect_uri=self._redirect_uri,
            response_mode=self.response_mode,
            state=self.state,
        )

    def limited(self, name: str, longest: int) -> str | None:
        value = self._parameters.get(name)
        if self._parameters.is_unusable(name) or (value is not None and len(value) > longest):
            self.refuse("invalid_request", f"{name} is sent more than once or is too long")
        if value is not None and "\x00" in value:
            self.refuse("invalid_request", f"{name} contains a character that is not allowed")
        return value

    def _refuse_registration(self) -> None:
        if self._parameters.get("registration") is not None or self._parameters.is_unusable("registration"):
            self.refuse("registration_not_supported", "the parameter registration is not supported")

    def response_type(self) -> str:
        value = self.limited("response_type", 100)
        if value is None:
            self.refuse("invalid_request", "response_type is missing")
        if value not in RESPONSE_TYPES:
            self.refuse("unsupported_response_type", "this response_type is not supported")
        is_of_profile = self._client.profile == "oidc" or value == "code"
        if (
            not is_of_profile
            or value not in self._client.response_types
            or not self._client.check_grant_type("authorization_code")
        ):
            self.refuse("unauthorized_client", "the client is not registered for this response_type")
        return value

    def scope(self) -> tuple[str, ...]:
        value = self.limited("scope", 2000)
        asked = list(dict.fromkeys((value or "").split(" ")))
        if "openid" not in asked:
            self.refuse("invalid_scope", "scope must contain openid")
        allowed = self._client.allows_scope(asked)
        if "consent" not in self.prompt() or not self._client.may_have_offline_access:
            # OIDC Core 11: ignored, unless somebody will be asked.
            allowed = [value for value in allowed if value != OFFLINE_ACCESS]
        return tuple(allowed)

    def code_challenge(self) -> str | None:
        challenge = self.limited("code_challenge", 128)
        method = self.limited("code_challenge_method", 20)
        if challenge is None:
            if method is not None:
                self.refuse("invalid_request", "code_challenge is missing")
            if self._client.require_pkce or self._client.is_public or self._client.profile == "fapi2":
                self.refuse("invalid_request", "code_challenge is required (PKCE, S256)")
            return None
        if method != "S256":
            self.refuse("invalid_request", "code_challenge_method must be S256")
        if not _SHA256.fullmatch(challenge):
            self.refuse("invalid_request", "code_challenge is not a base64url-encoded SHA-256")
        return challenge

    def prompt(self) -> tuple[str, ...]:
        values = tuple(dict.fromkeys((self.limited("prompt", 200) or "").split()))
        if any(value not in PROMPT_VALUES for value in values):
            self.refuse("invalid_request", "this prompt value is not supported")
        if "none" in values and len(values) > 1:
            self.refuse("invalid_request", "prompt=none goes with no other value")
        return values

    def max_age(self) -> int | None:
        value = self.limited("max_age", 40)
        if value is None:
            return self._client.default_max_age_seconds
        if not (value.isascii() and value.isdigit()):
            self.refuse("invalid_request", "max_age is not a number of seconds")
        return min(int(value), LONGEST_MAX_AGE)

    def claims(self) -> dict[str, Any]:
        """The wishes that this client can have fulfilled (OIDC Core 5.5), in the form {section: {claim: wish}}."""
        value = self.limited("claims", 8000)
        if value is None:
            return {}
        try:
            return claims_parameter.read(value, self._client.scope.split())
        except ValueError as error:
            self.refuse("invalid_request", str(error))

    def acr_values(self, claims: dict[str, Any]) -> tuple[str, ...]:
        """Those asked for; where none are, the client's own (OpenID Connect Registration 2)."""
        asked = (*acr_by_claim(wish(claims, "acr")), *(self.limited("acr_values", 1000) or "").split())
        return asked or tuple(self._client.default_acr_values)

    def dpop_jkt(self) -> str | None:
        """The thumbprint of the key that the code is bound to (RFC 9449 10)."""
        value = self.limited("dpop_jkt", 128)
        if value is not None and not _SHA256.fullmatch(value):
            self.refuse("invalid_request", "dpop_jkt is not a base64url-encoded SHA-256")
        return value

    def resources(self) -> tuple[str, ...]:
        """The resource servers that the tokens are for (RFC 8707 2): each one that the client is registered for."""
        asked = self._parameters.get_all("resource")
        if self._parameters.is_unusable("resource") or any(each not in self._client.resources for each in asked):
            self.refuse("invalid_target", "the client is not registered for this resource")
        return asked

    def hinted_sub(self, hinted_sub: Callable[[str], str | None], claims: dict[str, Any]) -> str | None:
        """The one person whom the answer may be about, by hint or by name (OIDC Core 3.1.2.2)."""
        hint, named = self.limited("id_token_hint", 8000), wish(claims, "sub").get("value")
        if hint is None:
            return named
        sub = hinted_sub(hint)
        if sub is None:
            self.refuse("invalid_request", "id_token_hint is not an ID token of this issuer")
        if named not in (None, sub):
            self.refuse("invalid_request", "id_token_hint and the sub claim name different people")
        return sub
