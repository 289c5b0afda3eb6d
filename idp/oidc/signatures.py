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
MOST_KEYS = 50
LEAST_RSA_BITS = 2048
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k", "key_ops"})

AnyKey = RSAKey | ECKey | OKPKey | OctKey


class Registry(JWSRegistry):
    """As joserfc's, for one list of algorithms, for headers of more than 512 bytes (a DPoP proof carries an RSA key),
    and with members that mean nothing to us (RFC 7515 4). What `crit` names must be understood, or is refused.
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
    encoded = token.partition(".")[0]
    with suppress(ValueError, RecursionError):
        header = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        if isinstance(header, dict):
            return header
    return {}


def imported(jwk_set: Any) -> Sequence[AnyKey]:
    """The keys of a set that can verify signatures; others, and what is no key, are passed over (RFC 7517 5)."""
    listed = jwk_set.get("keys") if isinstance(jwk_set, dict) else None
    keys: list[AnyKey] = []
    for jwk in (listed if isinstance(listed, list) else [])[:MOST_KEYS]:
        if isinstance(jwk, dict) and jwk.get("kty") in KEY_TYPES.values() and jwk.get("use", "sig") == "sig":
            with suppress(JoseError, ValueError, TypeError, KeyError):
                # Only the public members: who publishes a private key shall not hand it to us as well.
                keys.append(import_key({name: jwk[name] for name in jwk if name not in _PRIVATE}))
    return [key for key in keys if not isinstance(key, RSAKey) or key.raw_value.key_size >= LEAST_RSA_BITS]


def verified_by(token: str, key: AnyKey, alg: str) -> Signed | None:
    """Header and claims, if this key signed them with this algorithm."""
    try:
        found = jws.deserialize_compact(token, key, [alg], Registry([alg]))
        claims = json.loads(found.payload)
    except (JoseError, ValueError, TypeError, RecursionError):
        return None
    return Signed(found.headers(), claims) if isinstance(claims, dict) else None


def candidates(keys: Sequence[AnyKey], alg: str, kid: Any) -> Sequence[AnyKey]:
    """Those among the keys that can have made such a signature."""
    of_kind = [key for key in keys if key.key_type == KEY_TYPES[alg] and key.get("alg") in (None, alg)]
    named = [key for key in of_kind if kid is not None and key.get("kid") == kid]
    # A key that says nothing of its name may be meant by any (OIDC Core 10.1: only needed among several).
    return named or [key for key in of_kind if kid is None or key.get("kid") is None]
