"""The authorization request: parse, validate, keep (OIDC Core 3.1.2.1, RFC 6749 4.1.1, RFC 7636 4.3).

The order of the checks is the order of trust: first who asks and where the answer may go, since until both are certain
an error must not travel; then everything else.
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any, Never
from urllib.parse import urlsplit

from idp.kernel.levels import AcrValues
from idp.oidc.claims import BY_SCOPE, names_for
from idp.oidc.clients import LOOPBACK_HOSTS, OFFLINE_ACCESS, Client
from idp.oidc.errors import SentToClient, ShownToEndUser, plain_description
from idp.oidc.parameters import Parameters

RESPONSE_TYPES = ("code",)
RESPONSE_MODES = ("query", "fragment", "form_post")
PROMPT_VALUES = ("none", "login", "consent", "select_account")
LONGEST_STATE = 4096
LONGEST_NONCE = 2000
LONGEST_MAX_AGE = 10 * 365 * 24 * 3600
_S256_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request that was accepted. It is stored with the interaction, and the answer is made from it alone."""

    client_id: str
    redirect_uri: str
    response_type: str
    response_mode: str
    scope: tuple[str, ...]
    state: str | None = None
    nonce: str | None = None
    code_challenge: str | None = None
    prompt: tuple[str, ...] = ()
    max_age_seconds: int | None = None
    acr_values: tuple[str, ...] = ()
    essential_acr: tuple[str, ...] = ()
    claims: dict[str, Any] = field(default_factory=dict)
    login_hint: str | None = None
    hinted_sub: str | None = None
    ui_locales: str | None = None

    @property
    def max_age(self) -> timedelta | None:
        return None if self.max_age_seconds is None else timedelta(seconds=self.max_age_seconds)

    @property
    def is_silent(self) -> bool:
        return "none" in self.prompt

    @property
    def consent_scope(self) -> frozenset[str]:
        """What has to be allowed: the scope, and those values that claims asked for by name belong to."""
        wished = {name for section in self.claims.values() for name in section} - names_for(self.scope)
        return frozenset(self.scope) | {value for value, names in BY_SCOPE.items() if wished & set(names)}

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> "AuthorizationRequest":
        listed = {name: tuple(stored[name]) for name in ("scope", "prompt", "acr_values", "essential_acr")}
        return cls(**{**stored, **listed})


def validate(
    parameters: Parameters,
    find_client: Callable[[str], Client | None],
    hinted_sub: Callable[[str], str | None],
) -> tuple[AuthorizationRequest, Client]:
    """The request, and the client that makes it.

    `hinted_sub` answers with the subject of an ID token that we issued, expired or not; None for anything else.

    Raises ShownToEndUser while client or redirect URI are not certain, SentToClient afterwards.
    """
    client = _client(parameters, find_client)
    redirect_uri = _redirect_uri(parameters, client)
    checked = _Checked(parameters, client, redirect_uri)
    request = AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        response_mode=checked.response_mode,
        response_type=checked.response_type(),
        state=checked.state,
        scope=checked.scope(),
        nonce=checked.limited("nonce", LONGEST_NONCE),
        code_challenge=checked.code_challenge(),
        prompt=checked.prompt(),
        max_age_seconds=checked.max_age(),
        claims=(claims := checked.claims()),
        acr_values=checked.acr_values(claims),
        essential_acr=_essential_values(_wish(claims, "acr")),
        login_hint=checked.limited("login_hint", 500),
        hinted_sub=checked.hinted_sub(hinted_sub, claims),
        ui_locales=checked.limited("ui_locales", 200),
    )
    return request, client


def requested_levels(request: AuthorizationRequest, acr: AcrValues) -> tuple[int, ...]:
    """The known levels among those asked for; where some are essential, those alone (OIDC Core 5.5.1.1)."""
    return tuple(acr.known(request.essential_acr or request.acr_values))


def _acr_by_claim(wish: dict[str, Any]) -> tuple[str, ...]:
    return (wish["value"],) if "value" in wish else tuple(wish.get("values", ()))


def _essential_values(wish: dict[str, Any]) -> tuple[str, ...]:
    """The values of which one has to be reached; without any, it is only the claim that has to be there."""
    return _acr_by_claim(wish) if wish.get("essential") else ()


def anybody_can_pose_as(client: Client, redirect_uri: str) -> bool:
    """True for a public client whose answer goes to a program on the device that proves nothing (RFC 8252 8.6)."""
    parts = urlsplit(redirect_uri)
    return client.is_public and (parts.scheme not in ("http", "https") or parts.hostname in LOOPBACK_HOSTS)


def _client(parameters: Parameters, find_client: Callable[[str], Client | None]) -> Client:
    client_id = parameters.get("client_id")
    if client_id is None:
        raise ShownToEndUser("invalid_request", "client_id is missing or sent more than once")
    client = find_client(client_id)
    if client is None:
        raise ShownToEndUser("invalid_client", f"there is no client {plain_description(client_id)[:100]}")
    return client


def _redirect_uri(parameters: Parameters, client: Client) -> str:
    redirect_uri = parameters.get("redirect_uri")
    if redirect_uri is None:
        raise ShownToEndUser("invalid_request", "redirect_uri is missing or sent more than once")
    # Simple string comparison, nothing else (OIDC Core 3.1.2.1, RFC 3986 6.2.1, RFC 9700 4.1.3).
    if redirect_uri in client.redirect_uris or _is_registered_but_for_the_port(redirect_uri, client):
        return redirect_uri
    raise ShownToEndUser(
        "invalid_request",
        f"redirect_uri is not registered for client {client.client_id}. "
        f"Received: {plain_description(redirect_uri)[:200]} Known: {len(client.redirect_uris)}",
    )


_LOOPBACK_WITH_PORT = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?(/.*)?", re.DOTALL)


def _is_registered_but_for_the_port(redirect_uri: str, client: Client) -> bool:
    """Native applications listen on whatever port is free, on a literal loopback address (RFC 8252 7.3)."""
    asked = _LOOPBACK_WITH_PORT.fullmatch(redirect_uri)
    if client.application_type != "native" or asked is None:
        return False
    known = (_LOOPBACK_WITH_PORT.fullmatch(uri) for uri in client.redirect_uris)
    return any(match is not None and match.groups() == asked.groups() for match in known)


class _Checked:
    """The checks whose errors are sent to the client. `state` and `response_mode` come first: errors need them."""

    def __init__(self, parameters: Parameters, client: Client, redirect_uri: str) -> None:
        self._parameters, self._client, self._redirect_uri = parameters, client, redirect_uri
        self.response_mode = "query"
        self.state: str | None = None
        self.state = self.limited("state", LONGEST_STATE)
        mode = self.limited("response_mode", 40)
        if mode is not None and mode not in RESPONSE_MODES:
            self._refuse("invalid_request", "this response_mode is not supported")
        self.response_mode = mode or "query"
        self._refuse_what_is_not_supported()

    def _refuse(self, error: str, description: str) -> Never:
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
            self._refuse("invalid_request", f"{name} is sent more than once or is too long")
        if value is not None and "\x00" in value:
            self._refuse("invalid_request", f"{name} contains a character that is not allowed")
        return value

    def _refuse_what_is_not_supported(self) -> None:
        for name, error in (
            ("request", "request_not_supported"),
            ("request_uri", "request_uri_not_supported"),
            ("registration", "registration_not_supported"),
        ):
            if self._parameters.get(name) is not None or self._parameters.is_unusable(name):
                self._refuse(error, f"the parameter {name} is not supported")

    def response_type(self) -> str:
        value = self.limited("response_type", 100)
        if value is None:
            self._refuse("invalid_request", "response_type is missing")
        if value not in RESPONSE_TYPES:
            self._refuse("unsupported_response_type", "this response_type is not supported")
        if value not in self._client.response_types or not self._client.check_grant_type("authorization_code"):
            self._refuse("unauthorized_client", "the client is not registered for this response_type")
        return value

    def scope(self) -> tuple[str, ...]:
        value = self.limited("scope", 2000)
        asked = list(dict.fromkeys((value or "").split(" ")))
        if "openid" not in asked:
            self._refuse("invalid_scope", "scope must contain openid")
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
                self._refuse("invalid_request", "code_challenge is missing")
            if self._client.require_pkce or self._client.is_public:
                self._refuse("invalid_request", "code_challenge is required (PKCE, S256)")
            return None
        if method != "S256":
            self._refuse("invalid_request", "code_challenge_method must be S256")
        if not _S256_CHALLENGE.fullmatch(challenge):
            self._refuse("invalid_request", "code_challenge is not a base64url-encoded SHA-256")
        return challenge

    def prompt(self) -> tuple[str, ...]:
        values = tuple(dict.fromkeys((self.limited("prompt", 200) or "").split()))
        if any(value not in PROMPT_VALUES for value in values):
            self._refuse("invalid_request", "this prompt value is not supported")
        if "none" in values and len(values) > 1:
            self._refuse("invalid_request", "prompt=none goes with no other value")
        return values

    def max_age(self) -> int | None:
        value = self.limited("max_age", 40)
        if value is None:
            return None
        if not (value.isascii() and value.isdigit()):
            self._refuse("invalid_request", "max_age is not a number of seconds")
        return min(int(value), LONGEST_MAX_AGE)

    def claims(self) -> dict[str, Any]:
        """The wishes that this client can have fulfilled (OIDC Core 5.5), in the form {section: {claim: wish}}."""
        value = self.limited("claims", 8000)
        if value is None:
            return {}
        try:
            asked = json.loads(value, parse_constant=_no_json)
        except (ValueError, RecursionError):
            self._refuse("invalid_request", "claims is not JSON")
        if not isinstance(asked, dict):
            self._refuse("invalid_request", "claims is not a JSON object")
        sections: dict[str, Any] = {
            name: asked[name] for name in ("id_token", "userinfo") if asked.get(name) is not None
        }
        for section in sections.values():
            if not isinstance(section, dict) or not all(
                wish is None or isinstance(wish, dict) for wish in section.values()
            ):
                self._refuse("invalid_request", "claims does not have the form of OIDC Core 5.5")
        possible = {"acr", *names_for(self._client.scope.split())}
        return {
            name: {claim: _plain(wish or {}) for claim, wish in section.items() if claim in possible}
            for name, section in sections.items()
        }

    def acr_values(self, claims: dict[str, Any]) -> tuple[str, ...]:
        return (*_acr_by_claim(_wish(claims, "acr")), *(self.limited("acr_values", 1000) or "").split())

    def hinted_sub(self, hinted_sub: Callable[[str], str | None], claims: dict[str, Any]) -> str | None:
        """The one person whom the answer may be about, by hint or by name (OIDC Core 3.1.2.2)."""
        hint, named = self.limited("id_token_hint", 8000), _wish(claims, "sub").get("value")
        if hint is None:
            return named
        sub = hinted_sub(hint)
        if sub is None:
            self._refuse("invalid_request", "id_token_hint is not an ID token of this issuer")
        if named not in (None, sub):
            self._refuse("invalid_request", "id_token_hint and the sub claim name different people")
        return sub


def _wish(claims: dict[str, Any], name: str) -> dict[str, Any]:
    """What is wished of a claim of the ID token; empty when nothing particular is."""
    wish: dict[str, Any] = claims.get("id_token", {}).get(name, {})
    return wish


def _plain(wish: dict[str, Any]) -> dict[str, Any]:
    """The members of a wish that mean something here; our claims that can be wished by value are text."""
    plain: dict[str, Any] = {"essential": True} if wish.get("essential") is True else {}
    if isinstance(wish.get("value"), str):
        plain["value"] = wish["value"]
    if isinstance(wish.get("values"), list):
        plain["values"] = [value for value in wish["values"] if isinstance(value, str)]
    return plain


def _no_json(constant: str) -> Never:
    raise ValueError(f"{constant} is no JSON")
