"""The authorization request: validated, and kept (OIDC Core 3.1.2.1, RFC 6749 4.1.1, RFC 7636 4.3).

The order of the checks is the order of trust: first who asks (`request_intake`) and where the answer may go, since
until both are certain an error must not travel; then everything else.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from datetime import timedelta
from typing import Any

from idp.kernel.levels import AcrValues
from idp.oidc.claims import BY_SCOPE, names_for
from idp.oidc.claims_parameter import essential_values, wish
from idp.oidc.clients import Client
from idp.oidc.parameters import Parameters
from idp.oidc.request_checks import LONGEST_NONCE, Checks
from idp.oidc.requesting_client import certain_redirect_uri

LISTED = ("scope", "prompt", "acr_values", "essential_acr", "resources")


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
    dpop_jkt: str | None = None
    resources: tuple[str, ...] = ()
    # What makes it a request that is answered once (see `answered_once`).
    pushed_as: str | None = None
    object_jti: str | None = None
    object_expires_at: int | None = None

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
        """The request that was stored; members that another release added mean nothing here."""
        known = {each.name for each in fields(cls)}
        values: dict[str, Any] = {name: value for name, value in stored.items() if name in known}
        return cls(**values | {name: tuple(values[name]) for name in LISTED if name in values})


def validate(parameters: Parameters, client: Client, hinted_sub: Callable[[str], str | None]) -> AuthorizationRequest:
    """The request that this client makes with these parameters, whichever way they came (see `request_intake`).

    `hinted_sub` answers with the subject of an ID token that we issued, expired or not; None for anything else.

    Raises ShownToEndUser while the redirect URI is not certain, SentToClient afterwards.
    """
    redirect_uri = certain_redirect_uri(parameters, client)
    checked = Checks(parameters, client, redirect_uri)
    return AuthorizationRequest(
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        response_mode=checked.response_mode,
        response_type=checked.response_type(),
        state=checked.state,
        scope=checked.scope(),
        nonce=checked.limited("nonce", LONGEST_NONCE),
        code_challenge=checked.code_challenge(),
        dpop_jkt=checked.dpop_jkt(),
        resources=checked.resources(),
        prompt=checked.prompt(),
        max_age_seconds=checked.max_age(),
        claims=(claims := checked.claims()),
        acr_values=checked.acr_values(claims),
        essential_acr=essential_values(wish(claims, "acr")),
        login_hint=checked.limited("login_hint", 500),
        hinted_sub=checked.hinted_sub(hinted_sub, claims),
        ui_locales=checked.limited("ui_locales", 200),
    )


def requested_levels(request: AuthorizationRequest, acr: AcrValues) -> tuple[int, ...]:
    """The known levels among those asked for; where some are essential, those alone (OIDC Core 5.5.1.1)."""
    return tuple(acr.known(request.essential_acr or request.acr_values))
