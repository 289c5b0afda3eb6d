"""What must hold before an application believes a logout token (OIDC Back-Channel Logout 1.0, 2.4 and 2.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from idp_kit.signed import LEEWAY, OLDEST, NotYetIssued, TokenRefused, is_identifier, verify

EVENT = "http://schemas.openid.net/event/backchannel-logout"
TYPES = ("logout+jwt", "application/logout+jwt")


@dataclass(frozen=True)
class LogoutToken:
    """Which session is over, or with `sid` None all sessions of the subject that began before `issued_at`.

    `jti` may be used once; after `dead_at` the token is refused anyhow.
    """

    sid: str | None
    sub: str | None
    jti: str
    issued_at: datetime
    dead_at: datetime


def verify_logout_token(
    token: str, jwk_set: Mapping[str, Any], issuer: str, client_id: str, now: datetime
) -> LogoutToken:
    """The token, which is signed by the provider, for us, now, and says that a session ended. Whether it was used
    before is for the caller to see.

    Raises UnknownKey when the key set should be read again, NotYetIssued when it will be right by a later clock,
    TokenRefused for everything else.
    """
    try:
        claims = verify(token, jwk_set, TYPES, issuer, client_id, now)
    except NotYetIssued as early:
        verify_logout_token(token, jwk_set, issuer, client_id, early.issued_at)
        raise
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(EVENT), dict):
        raise TokenRefused("claim events: not that of a logout")
    if "nonce" in claims:
        raise TokenRefused("claim nonce: a logout token has none")
    sid, sub, jti = claims.get("sid"), claims.get("sub"), claims.get("jti")
    if any(value is not None and not is_identifier(value) for value in (sid, sub)):
        raise TokenRefused("claims sid and sub: not between 1 and 255 characters")
    if sid is None and sub is None:
        raise TokenRefused("claims sid and sub: one of them must say what ended")
    if not isinstance(jti, str) or not is_identifier(jti):
        raise TokenRefused("claim jti: not between 1 and 255 characters")
    issued_at = datetime.fromtimestamp(claims["iat"], UTC)
    return LogoutToken(sid, sub, jti, issued_at, dead_at=_dead_at(claims["exp"], issued_at))


def _dead_at(exp: float, issued_at: datetime) -> datetime:
    """When `verify` refuses the token for its age: by `exp` or by `iat`, whichever comes first, and never earlier."""
    by_age = issued_at + OLDEST
    expires = min(exp, by_age.timestamp())
    return datetime.fromtimestamp(expires, UTC) + LEEWAY + LEEWAY
