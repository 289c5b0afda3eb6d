"""What must hold before an application believes an ID token (OIDC Core 3.1.3.7)."""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from idp_kit.clock import whole_seconds
from idp_kit.signed import LEEWAY, TokenRefused, is_identifier, verify

TYPES = (None, "jwt")


@dataclass(frozen=True)
class Expected:
    """What the application knows before it reads the token.

    `nonce` is None only for the answer to a refresh (OIDC Core 12.2). With an `access_token` the token must carry its
    hash, with a `code` (front channel only) that of the code.
    """

    issuer: str
    client_id: str
    nonce: str | None
    access_token: str | None = None
    code: str | None = None


def verify_id_token(id_token: str, jwk_set: Mapping[str, Any], expected: Expected, now: datetime) -> dict[str, Any]:
    """The claims of the token, which is signed by the provider, for us, now, and in answer to our own request.

    Raises UnknownKey when the key set should be read again, TokenRefused for everything else.
    """
    claims = verify(id_token, jwk_set, TYPES, expected.issuer, expected.client_id, now)
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise TokenRefused("claim azp: the token was issued to somebody else")
    if not is_identifier(claims.get("sub")):
        raise TokenRefused("claim sub: not between 1 and 255 characters")
    auth_time = claims.get("auth_time", 0)
    if not isinstance(auth_time, int) or not 0 <= auth_time <= whole_seconds(now + LEEWAY):
        raise TokenRefused("claim auth_time: not a moment that has been")
    _require_equal(claims, "nonce", expected.nonce)
    _require_equal(claims, "at_hash", expected.access_token and left_half_of_hash(expected.access_token))
    _require_equal(claims, "c_hash", expected.code and left_half_of_hash(expected.code))
    return claims


def left_half_of_hash(value: str) -> str:
    """What `at_hash` and `c_hash` hold when SHA-256 is the hash of the algorithm (OIDC Core 3.1.3.6 and 3.3.2.11)."""
    return urlsafe_b64encode(sha256(value.encode()).digest()[:16]).rstrip(b"=").decode()


def _require_equal(claims: Mapping[str, Any], name: str, value: str | None) -> None:
    stated = claims.get(name)
    if value is None:
        return
    if not isinstance(stated, str) or not hmac.compare_digest(stated.encode(), value.encode()):
        raise TokenRefused(f"claim {name}: not what was expected")
