"""What clients sign: keys of theirs, and compact JSON Web Signatures made by hand, so that they can say anything."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import Any

from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")


@cache
def key(alg: str, number: int = 0) -> RSAKey | ECKey | OKPKey:
    """A key for this algorithm, made once; another number is another key."""
    if alg == "ES256":
        return ECKey.generate_key("P-256")
    if alg == "EdDSA":
        return OKPKey.generate_key("Ed25519")
    return RSAKey.generate_key(2048)


def public_keys(*algorithms: str, number: int = 0) -> dict[str, Any]:
    """The `jwks` of a client that signs with these."""
    made = [(alg, key(alg, number)) for alg in algorithms]
    return {"keys": [each.as_dict(private=False) | {"kid": f"{alg}-{number}", "alg": alg} for alg, each in made]}


def encoded(value: Any) -> str:
    """base64url of what JSON writes, or of bytes."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(claims: Mapping[str, Any] | bytes, alg: str = "ES256", number: int = 0, **header: Any) -> str:
    """A JWT with this payload, signed by the key with that number; the header says more, or something else."""
    start = f"{encoded({'alg': alg, 'kid': f'{alg}-{number}', **header})}.{encoded(claims)}"
    signature = JWSRegistry.algorithms[alg].sign(start.encode(), key(alg, number))
    return f"{start}.{encoded(signature)}"
