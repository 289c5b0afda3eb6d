"""Assertions with which clients of tests authenticate (RFC 7523 2.2): right, unless a test changes something."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from itertools import count
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
AnyKey = ECKey | OctKey | OKPKey | RSAKey

_numbers = count(1)


def key_of(alg: str) -> AnyKey:
    """A key pair for an algorithm, the same all the time."""
    return _key("RSA" if alg in ("RS256", "PS256") else "OKP" if alg == "EdDSA" else "EC")


@cache
def _key(kind: str) -> AnyKey:
    if kind == "RSA":
        return RSAKey.generate_key(2048)
    return OKPKey.generate_key("Ed25519") if kind == "OKP" else ECKey.generate_key("P-256")


def jwks_of(*keys: AnyKey, **members: Any) -> dict[str, Any]:
    """The keys as their owner publishes them, each with these members as well."""
    return {"keys": [{**key.as_dict(private=False), **members} for key in keys]}


def claims_of(client_id: str, audience: Any, now: datetime, **changes: Any) -> dict[str, Any]:
    """What an assertion says; a change to None leaves a claim out."""
    at = int(now.timestamp())
    right = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": at,
        "exp": at + 60,
        "jti": f"jti-{next(_numbers)}",
    }
    return {name: value for name, value in {**right, **changes}.items() if value is not None}


def signed(claims: Mapping[str, Any] | bytes, key: AnyKey, alg: str = "ES256", **header: Any) -> str:
    """A compact JWS by this key, whatever its header says; None leaves a member of the header out."""
    said = {"alg": alg, "typ": "JWT", **header}
    head = _b64(json.dumps({name: value for name, value in said.items() if value is not None}).encode())
    payload = _b64(claims if isinstance(claims, bytes) else json.dumps(claims).encode())
    signing_input = f"{head}.{payload}"
    return f"{signing_input}.{_b64(jws.JWSRegistry.algorithms[alg].sign(signing_input.encode(), key))}"


def in_body(assertion: str, **more: str) -> dict[str, str]:
    """The parameters that carry it."""
    return {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **more}


def _b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
