"""Keys that make DPoP proofs (RFC 9449 4.2), written down a second time, without the library that the provider uses.

key = ProofKey()
key.proof("POST", "https://idp.example/token", at=clock.now())
key.proof("GET", address, at=now, access_token=token)
key.signed(header, claims)                                      # whatever a test wants to be wrong
"""

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int, octets: int | None = None) -> str:
    return b64(value.to_bytes(octets or (value.bit_length() + 7) // 8, "big"))


def ath(access_token: str) -> str:
    """RFC 9449 4.2."""
    return b64(sha256(access_token.encode("ascii")).digest())


class ProofKey:
    """A key pair of a client, for one algorithm."""

    def __init__(self, alg: str = "ES256", bits: int = 2048) -> None:
        self.alg = alg
        self._private: Any
        if alg in ("RS256", "PS256"):
            self._private = rsa.generate_private_key(65537, bits)
        elif alg == "EdDSA":
            self._private = ed25519.Ed25519PrivateKey.generate()
        else:
            self._private = ec.generate_private_key(ec.SECP256R1())

    @property
    def jwk(self) -> dict[str, Any]:
        public = self._private.public_key()
        if isinstance(public, rsa.RSAPublicKey):
            numbers = public.public_numbers()
            return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}
        if isinstance(public, ec.EllipticCurvePublicKey):
            point = public.public_numbers()
            return {"kty": "EC", "crv": "P-256", "x": number(point.x, 32), "y": number(point.y, 32)}
        return {"kty": "OKP", "crv": "Ed25519", "x": b64(public.public_bytes_raw())}

    @property
    def private_jwk(self) -> dict[str, Any]:
        if isinstance(self._private, ed25519.Ed25519PrivateKey):
            return {**self.jwk, "d": b64(self._private.private_bytes_raw())}
        numbers = self._private.private_numbers()
        if isinstance(numbers, rsa.RSAPrivateNumbers):
            return {**self.jwk, "d": number(numbers.d), "p": number(numbers.p), "q": number(numbers.q)}
        return {**self.jwk, "d": number(numbers.private_value, 32)}

    @property
    def jkt(self) -> str:
        """The thumbprint of the key (RFC 7638 3)."""
        written = json.dumps(self.jwk, sort_keys=True, separators=(",", ":"))
        return b64(sha256(written.encode()).digest())

    def header(self, **changes: Any) -> dict[str, Any]:
        """None leaves a member out."""
        return _without_none({"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk, **changes})

    def claims(self, method: str, address: str, at: datetime, /, **changes: Any) -> dict[str, Any]:
        """None leaves a member out."""
        wanted = {"jti": str(uuid4()), "htm": method, "htu": address, "iat": int(at.timestamp()), **changes}
        return _without_none(wanted)

    def proof(
        self, method: str, address: str, at: datetime, access_token: str | None = None, nonce: str | None = None
    ) -> str:
        """A proof for this request."""
        more = {"ath": None if access_token is None else ath(access_token), "nonce": nonce}
        return self.signed(self.header(), self.claims(method, address, at, **more))

    def signed(self, header: Mapping[str, Any], claims: Any) -> str:
        """Both as they are, signed by this key."""
        message = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        return f"{message}.{b64(self.signature(message.encode()))}"

    def signature(self, message: bytes) -> bytes:
        if self.alg == "RS256":
            signed: bytes = self._private.sign(message, padding.PKCS1v15(), hashes.SHA256())
        elif self.alg == "PS256":
            salted = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            signed = self._private.sign(message, salted, hashes.SHA256())
        elif self.alg == "EdDSA":
            signed = self._private.sign(message)
        else:
            r, s = utils.decode_dss_signature(self._private.sign(message, ec.ECDSA(hashes.SHA256())))
            signed = r.to_bytes(32, "big") + s.to_bytes(32, "big")
        return signed


def signed_by_hmac(secret: bytes, header: Mapping[str, Any], claims: Any) -> str:
    """What somebody makes of a public key, in the hope that it is taken for a shared secret."""
    message = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
    signing = hmac.HMAC(secret, hashes.SHA256())
    signing.update(message.encode())
    return f"{message}.{b64(signing.finalize())}"


def _without_none(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
