"""Tokens that the provider signs: which key, which algorithm, and the claims that all of them share.

Algorithms are pinned here and not taken from the provider's metadata: whoever could change the metadata would
otherwise choose how tokens are verified.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ClaimError, JoseError
from joserfc.jwk import ECKey, RSAKey

from idp_kit.clock import whole_seconds

ALGORITHMS: Mapping[str, type[RSAKey] | type[ECKey]] = {"RS256": RSAKey, "ES256": ECKey}
LEEWAY = timedelta(seconds=60)
OLDEST = timedelta(minutes=10)
LONGEST = 255


class TokenRefused(Exception):
    """The token proves nothing; the text says why, for the log of the application."""


class UnknownKey(TokenRefused):
    """The key set holds no key of that name. The provider may have rotated since it was read (OIDC Core 10.1.1)."""


class NotYetIssued(TokenRefused):
    """`iat` lies in the future by our clock, which may be behind. What else the claims say was not looked at."""

    def __init__(self, issued_at: datetime) -> None:
        super().__init__("claim iat: the token was issued in the future")
        self.issued_at = issued_at


def verify(
    token: str,
    jwk_set: Mapping[str, Any],
    types: Collection[str | None],
    issuer: str,
    client_id: str,
    now: datetime,
) -> dict[str, Any]:
    """The claims of a token of one of these types (`typ` of its header, in lower case; None: it has none), which is
    signed by a published key of the issuer, for this client alone, a moment ago. `iss`, `aud`, `iat` and `exp` were
    checked.

    Raises UnknownKey when the key set should be read again, which only a token with a proper header can cause;
    NotYetIssued for one that is signed and comes from the future; TokenRefused for everything else.
    """
    try:
        header = jws.extract_compact(token.encode()).headers()
        typ = header.get("typ")
        if (None if typ is None else str(typ).lower()) not in types:
            raise TokenRefused("typ: a token of another kind")
        key = _key_for(header, jwk_set)
        claims = jwt.decode(token, key, algorithms=list(ALGORITHMS)).claims
        _require_claims(claims, issuer, client_id, now)
        return claims
    except ClaimError as error:
        raise TokenRefused(f"claim {error.claim}: {error.description}") from error
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise TokenRefused(f"not a token that can be verified ({type(error).__name__})") from error


def is_identifier(value: object) -> bool:
    """True for what `sub`, `sid` and `jti` may be: text of 1 to 255 characters."""
    return isinstance(value, str) and 1 <= len(value) <= LONGEST


def _key_for(header: Mapping[str, Any], jwk_set: Mapping[str, Any]) -> RSAKey | ECKey:
    """The one published key of that name, of the type that the algorithm needs."""
    kid, alg = header.get("kid"), header.get("alg")
    kind = ALGORITHMS.get(alg) if isinstance(alg, str) else None
    if kind is None:
        raise TokenRefused("the algorithm is not one that was agreed")
    if not isinstance(kid, str):
        raise TokenRefused("the token names no key")
    # Unknown types of key are passed over, as RFC 7517 5 asks.
    named = [jwk for jwk in jwk_set["keys"] if jwk.get("kid") == kid and jwk.get("kty") == kind.key_type]
    if not named:
        raise UnknownKey(f"the provider publishes no {kind.key_type} key {kid!r}")
    if len(named) > 1 or named[0].get("alg", alg) != alg or named[0].get("use", "sig") != "sig":
        raise TokenRefused(f"the key {kid!r} is not meant for this")
    return kind.import_key(named[0])


def _require_claims(claims: dict[str, Any], issuer: str, client_id: str, now: datetime) -> None:
    issued = claims.get("iat")
    if isinstance(issued, int | float) and issued > whole_seconds(now + LEEWAY):
        raise NotYetIssued(datetime.fromtimestamp(issued, UTC))
    registry = jwt.JWTClaimsRegistry(
        now=whole_seconds(now),
        leeway=int(LEEWAY.total_seconds()),
        iss={"essential": True, "value": issuer},
        aud={"essential": True},
        exp={"essential": True},
        iat={"essential": True},
    )
    registry.validate(claims)
    if claims["aud"] not in (client_id, [client_id]):
        raise TokenRefused("claim aud: the token is for somebody else, or for others too")
    if claims["iat"] < whole_seconds(now - OLDEST):
        raise TokenRefused("claim iat: the token is too old")
