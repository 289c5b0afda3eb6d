"""JSON Web Signatures that come from outside: read, and verified by one named algorithm (RFC 7515, RFC 8725 3.1).

joserfc does the cryptography. What it leaves open is settled here: which key may verify what, and how long a header is.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey, import_key
from joserfc.jws import JWSRegistry

# What others may sign with: no `none`, and no HMAC with anything that is published.
ASYMMETRIC = ("RS256", "PS256", "ES256", "EdDSA")
KEY_TYPES: Mapping[str, str] = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "OKP"}
HMAC = ("HS256", "HS384", "HS512")
# RFC 7518 3.2: a secret has at least as many bytes as the hash.
LEAST_SECRET_BYTES: Mapping[str, int] = {"HS256": 32, "HS384": 48, "HS512": 64}
# What clients of a profile authenticate with (OIDC Core 9; FAPI 2.0 Security Profile 5.4.1).
ALGORITHMS_OF_METHOD: Mapping[str, Mapping[str, Sequence[str]]] = {
    "oidc": {"private_key_jwt": ASYMMETRIC, "client_secret_jwt": HMAC},
    "fapi2": {"private_key_jwt": ("PS256", "ES256", "EdDSA")},
}
MOST_KEYS = 50
CURVES: Mapping[str, str] = {"EC": "P-256", "OKP": "Ed25519"}
# Weaker ones are no keys (RFC 7518 3.3); larger ones and long exponents only cost time.
RSA_BITS = range(2048, 8192 + 1)
LONGEST_EXPONENT = 64
PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_DROPPED = PRIVATE_MEMBERS | {"key_ops"}

AnyKey = RSAKey | ECKey | OKPKey | OctKey


class Registry(JWSRegistry):
    """As joserfc's, for one list of algorithms, for headers of more than 512 bytes (a DPoP proof carries an RSA key),
    and with members that mean nothing to us (RFC 7515 4).
    """

    max_header_length = 4096

    def __init__(self, algorithms: Sequence[str]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)

    def get_alg(self, name: str) -> Any:
        """One of the list. EdDSA (with Ed25519) is what libraries say and read, whatever RFC 9864 calls it now."""
        if name not in (self.allowed or ()):
            raise UnsupportedAlgorithmError(f"{name!r} is not allowed here")
        return self.algorithms[name]


@dataclass(frozen=True)
class Signed:
    """Header and claims of a JWT whose signature was verified; nothing else of it was looked at."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def header_of(token: str) -> Mapping[str, Any]:
    """The header of a compact JWS, nothing of it verified; empty for what has none."""
    return decoded_json(token, 0)


def decoded_json(token: str, segment: int) -> Mapping[str, Any]:
    """The JSON object in a segment (0 the header, 1 the payload) of a compact JWS, nothing of it verified; empty for
    what is none.
    """
    encoded = token.split(".")[segment : segment + 1]
    with suppress(ValueError, RecursionError):
        found = json.loads(urlsafe_b64decode(encoded[0] + "=" * (-len(encoded[0]) % 4))) if encoded else None
        if isinstance(found, dict):
            return found
    return {}


def imported(jwk_set: Any) -> Sequence[AnyKey]:
    """The keys of a set that can verify signatures; others, and what is no key, are passed over (RFC 7517 5)."""
    listed = jwk_set.get("keys") if isinstance(jwk_set, dict) else None
    keys: list[AnyKey] = []
    for jwk in (listed if isinstance(listed, list) else [])[:MOST_KEYS]:
        if isinstance(jwk, dict) and _is_for_signatures(jwk):
            with suppress(JoseError, ValueError, TypeError, KeyError):
                # Only the public members: who publishes a private key shall not hand it to us as well.
                keys.append(import_key({name: jwk[name] for name in jwk if name not in _DROPPED}))
    return keys


def _is_for_signatures(jwk: Mapping[str, Any]) -> bool:
    """True for a key that says it is of a kind, a size and a use that count here."""
    if jwk.get("use", "sig") != "sig":
        return False
    if jwk.get("kty") == "RSA":
        return _bits(jwk.get("n")) in RSA_BITS and _bits(jwk.get("e")) <= LONGEST_EXPONENT
    return jwk.get("kty") in ("EC", "OKP") and jwk.get("crv") == CURVES[jwk["kty"]]


def _bits(encoded: Any) -> int:
    """The length of a Base64urlUInt (RFC 7518 2); 0 for anything else."""
    if not isinstance(encoded, str):
        return 0
    with suppress(ValueError):
        return int.from_bytes(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)), "big").bit_length()
    return 0


def verified_by(token: str, key: AnyKey, alg: str) -> Signed | None:
    """Header and claims, if this key signed them with this algorithm."""
    try:
        found = jws.deserialize_compact(token, key, [alg], Registry([alg]))
        claims = json.loads(found.payload)
    except (JoseError, ValueError, TypeError, RecursionError):
        return None
    header = found.headers()
    # No extension is understood here, that of RFC 7797 either (RFC 7515 4.1.11).
    if not isinstance(claims, dict) or "crit" in header or "b64" in header:
        return None
    return Signed(header, claims)


def candidates(keys: Sequence[AnyKey], alg: str, kid: Any) -> Sequence[AnyKey]:
    """Those among the keys that can have made such a signature."""
    of_kind = [key for key in keys if key.key_type == KEY_TYPES[alg] and key.get("alg") in (None, alg)]
    named = [key for key in of_kind if kid is not None and key.get("kid") == kid]
    # A key that says nothing of its name may be meant by any (OIDC Core 10.1: only needed among several).
    return named or [key for key in of_kind if kid is None or key.get("kid") is None]
