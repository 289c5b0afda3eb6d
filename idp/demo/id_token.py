"""What must hold before an application believes an ID token (OIDC Core 3.1.3.7).

Algorithms are pinned here and not taken from the provider's metadata: whoever could change the metadata would
otherwise choose how tokens are verified.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import ECKey, RSAKey

from idp.kernel.clock import whole_seconds

ALGORITHMS: Mapping[str, type[RSAKey] | type[ECKey]] = {"RS256": RSAKey, "ES256": ECKey}
LEEWAY = timedelta(seconds=60)
OLDEST = timedelta(minutes=10)
SUB_LENGTH = 255


class IdTokenRefused(Exception):
    """The token proves nothing; the text says why, for the log of the application."""


class UnknownKey(IdTokenRefused):
    """The key set holds no key of that name. The provider may have rotated since it was read (OIDC Core 10.1.1)."""


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

    Raises UnknownKey when the key set should be read again, IdTokenRefused for everything else.
    """
    try:
        signed = jws.extract_compact(id_token.encode())
        key = _key_for(signed.headers(), jwk_set)
        claims = jwt.decode(id_token, key, algorithms=list(ALGORITHMS)).claims
        _require_claims(claims, expected, now)
    except ClaimError as error:
        raise IdTokenRefused(f"claim {error.claim}: {error.description}") from error
    except (JoseError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise IdTokenRefused(f"not a token that can be verified ({type(error).__name__})") from error
    return claims


def left_half_of_hash(value: str) -> str:
    """What `at_hash` and `c_hash` hold when SHA-256 is the hash of the algorithm (OIDC Core 3.1.3.6 and 3.3.2.11)."""
    return urlsafe_b64encode(sha256(value.encode()).digest()[:16]).rstrip(b"=").decode()


def _key_for(header: Mapping[str, Any], jwk_set: Mapping[str, Any]) -> RSAKey | ECKey:
    """The one published key of that name, of the type that the algorithm needs."""
    kid, alg = header.get("kid"), header.get("alg")
    kind = ALGORITHMS.get(alg) if isinstance(alg, str) else None
    if kind is None:
        raise IdTokenRefused("the algorithm is not one that was agreed")
    if not isinstance(kid, str):
        raise IdTokenRefused("the token names no key")
    # Unknown types of key are passed over, as RFC 7517 5 asks.
    named = [jwk for jwk in jwk_set["keys"] if jwk.get("kid") == kid and jwk.get("kty") == kind.key_type]
    if not named:
        raise UnknownKey(f"the provider publishes no {kind.key_type} key {kid!r}")
    if len(named) > 1 or named[0].get("alg", alg) != alg or named[0].get("use", "sig") != "sig":
        raise IdTokenRefused(f"the key {kid!r} is not meant for this")
    return kind.import_key(named[0])


def _require_claims(claims: dict[str, Any], expected: Expected, now: datetime) -> None:
    registry = jwt.JWTClaimsRegistry(
        now=whole_seconds(now),
        leeway=int(LEEWAY.total_seconds()),
        iss={"essential": True, "value": expected.issuer},
        sub={"essential": True},
        aud={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    registry.validate(claims)
    if claims["aud"] not in (expected.client_id, [expected.client_id]):
        raise IdTokenRefused("claim aud: the token is for somebody else, or for others too")
    if claims.get("azp", expected.client_id) != expected.client_id:
        raise IdTokenRefused("claim azp: the token was issued to somebody else")
    if not 1 <= len(claims["sub"]) <= SUB_LENGTH:
        raise IdTokenRefused("claim sub: not between 1 and 255 characters")
    if claims["iat"] < whole_seconds(now - OLDEST):
        raise IdTokenRefused("claim iat: the token is too old to answer a request of now")
    auth_time = claims.get("auth_time", 0)
    if not isinstance(auth_time, int) or not 0 <= auth_time <= whole_seconds(now + LEEWAY):
        raise IdTokenRefused("claim auth_time: not a moment that has been")
    _require_equal(claims, "nonce", expected.nonce)
    _require_equal(claims, "at_hash", expected.access_token and left_half_of_hash(expected.access_token))
    _require_equal(claims, "c_hash", expected.code and left_half_of_hash(expected.code))


def _require_equal(claims: Mapping[str, Any], name: str, value: str | None) -> None:
    stated = claims.get(name)
    if value is None:
        return
    if not isinstance(stated, str) or not hmac.compare_digest(stated.encode(), value.encode()):
        raise IdTokenRefused(f"claim {name}: not what was expected")
