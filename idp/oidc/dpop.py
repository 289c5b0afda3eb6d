"""DPoP (RFC 9449): who sends a request proves, in its `DPoP` header, to hold the key that a token is bound to.

    Proofs.verified   one header, a JWT signed by the public key that it carries, made for this method, address and
                      access token, and made now: by its `iat`, or by a nonce of ours when nonces are demanded
    Proofs.use        each proof once, on all nodes, in the unit of work that writes what it was shown for: what is
                      refused uses nothing up and writes nothing

A nonce is an HMAC over the five minutes in which it was handed out, so any node knows it and none stores it.
"""

import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError
from sqlalchemy.orm import Session as Unit

from idp.kernel.clock import Clock
from idp.kernel.secrets import DerivedKeys, is_same
from idp.oidc import used_identifiers
from idp.oidc.clients import Client
from idp.oidc.signatures import ASYMMETRIC, KEY_TYPES, PRIVATE_MEMBERS, AnyKey, header_of, imported, verified_by

ALGORITHMS = ASYMMETRIC
# FAPI 2.0 Security Profile 5.4.1.
ALGORITHMS_OF = {"oidc": ALGORITHMS, "fapi2": ("PS256", "ES256", "EdDSA")}
LONGEST = 8192
# How old a proof may be, and how far ahead the clock of whoever made it (RFC 9449 11.1).
OLDEST = timedelta(seconds=60)
AHEAD = timedelta(seconds=10)
# A nonce is good in the period in which it was handed out, and in the one after it.
NONCE_PERIOD = timedelta(minutes=5)
EPOCH = datetime.fromtimestamp(0, UTC)

_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_URI = re.compile(r"[\x21-\x7e]+")
_ENCODED = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~-]")
_DEFAULT_PORTS = {"https": 443, "http": 80}


class InvalidDpopProof(OAuth2Error):  # type: ignore[misc]
    """The proof is missing, wrong, too old, made for something else, or was used before (RFC 9449 5 and 7.1)."""

    error = "invalid_dpop_proof"


class UseDpopNonce(InvalidDpopProof):
    """The proof has to carry the nonce that comes with this error (RFC 9449 8 and 9)."""

    error = "use_dpop_nonce"
    description = "the DPoP proof needs the nonce of the DPoP-Nonce header"


@dataclass(frozen=True)
class Proof:
    """A proof that is right, not used yet: the thumbprint of its key (RFC 7638), and when it is too old."""

    jkt: str
    jti: str
    expires_at: datetime


class Proofs:
    """Verifies proofs, and lets each be used once."""

    def __init__(self, clock: Clock, keys: DerivedKeys, issuer: str, demands_nonce: bool) -> None:
        self._clock, self._keys, self._issuer, self._demands_nonce = clock, keys, issuer, demands_nonce

    @property
    def nonce(self) -> str | None:
        """The nonce for the next proof; None when none is demanded."""
        return self._nonce(self._period()) if self._demands_nonce else None

    def of_client(self, client: Client, presented: str | None, path: str) -> Proof | None:
        """The proof with which a client asks for tokens; None when it shows none and needs none. Raises
        InvalidDpopProof, and InvalidRequestError when it shows none and needs one (RFC 6749 5.2).
        """
        if presented is not None:
            return self.verified(presented, client, "POST", path)
        if client.needs_dpop:
            raise InvalidRequestError("a DPoP proof is required")
        return None

    def verified(
        self, presented: str, client: Client, method: str, path: str, access_token: str | None = None
    ) -> Proof:
        """The proof, made for this request to our endpoint at `path` below the issuer (RFC 9449 4.3). Raises
        InvalidDpopProof. To be called with no unit of work open.
        """
        if len(presented) > LONGEST or not _COMPACT.fullmatch(presented):
            raise InvalidDpopProof("the DPoP header must be there once, and hold one signed JWT")
        header = header_of(presented)
        alg = header.get("alg")
        if header.get("typ") != "dpop+jwt" or alg not in ALGORITHMS_OF[client.profile]:
            raise InvalidDpopProof("typ must be dpop+jwt, and alg one that this client may use")
        if "crit" in header:
            raise InvalidDpopProof("crit names what is not understood")
        key = _public_key(header.get("jwk"), alg)
        signed = verified_by(presented, key, alg)
        # Whoever reads the header must read the same in it.
        if signed is None or signed.header != header:
            raise InvalidDpopProof("it is not signed by the key that it carries")
        claims = signed.claims
        jti = claims.get("jti")
        if not isinstance(jti, str) or not jti:
            raise InvalidDpopProof("jti is missing")
        if claims.get("htm") != method:
            raise InvalidDpopProof("htm is not the method of this request")
        if _normalised(claims.get("htu")) != _normalised(self._issuer + path):
            raise InvalidDpopProof("htu is not the address of this endpoint")
        if access_token is not None and not _is_of(claims.get("ath"), access_token):
            raise InvalidDpopProof("ath is not the hash of the access token")
        self._require_own_times(claims)
        return Proof(key.thumbprint(), jti, self._expires_at(claims))

    def use(self, unit: Unit, proof: Proof) -> None:
        """The proof is used up, if the unit of work is committed. Raises InvalidDpopProof when it was before."""
        if not used_identifiers.use(unit, "dpop_proof", proof.jkt, proof.jti, proof.expires_at):
            raise InvalidDpopProof("the DPoP proof was used before")

    def _require_own_times(self, claims: Any) -> None:
        """Raises InvalidDpopProof when the proof says itself that it is not good now (RFC 7519 4.1.4 and 4.1.5)."""
        now = self._clock.now()
        if "exp" in claims and not (_is_number(claims["exp"]) and now.timestamp() < claims["exp"]):
            raise InvalidDpopProof("exp has passed, or is no moment")
        if "nbf" in claims and not (_is_number(claims["nbf"]) and claims["nbf"] <= (now + AHEAD).timestamp()):
            raise InvalidDpopProof("nbf is still to come, or is no moment")

    def _expires_at(self, claims: Any) -> datetime:
        """Until when the proof is fresh. With a nonce our own clock says it, and the client's may be wrong."""
        iat, now = claims.get("iat"), self._clock.now()
        if not _is_number(iat):
            raise InvalidDpopProof("iat is missing")
        if self._demands_nonce:
            nonce, current = claims.get("nonce"), self._period()
            for period in (current, current - 1):
                if isinstance(nonce, str) and is_same(nonce, self._nonce(period)):
                    return EPOCH + (period + 2) * NONCE_PERIOD
            raise UseDpopNonce()
        # Compared as numbers: not every number is a moment, and NaN is in no order with any.
        if not (now - OLDEST).timestamp() < iat <= (now + AHEAD).timestamp():
            raise InvalidDpopProof("iat is not now")
        return datetime.fromtimestamp(iat, UTC) + OLDEST

    def _period(self) -> int:
        return (self._clock.now() - EPOCH) // NONCE_PERIOD

    def _nonce(self, period: int) -> str:
        return self._keys.mac_text("dpop_nonce", str(period))


def _public_key(jwk: Any, alg: str) -> AnyKey:
    """The public key that a proof carries. Raises InvalidDpopProof for one that is private, symmetric, weak or for
    another use.
    """
    if not isinstance(jwk, dict) or jwk.get("kty") != KEY_TYPES[alg]:
        raise InvalidDpopProof("jwk is no public key for this algorithm")
    if PRIVATE_MEMBERS & set(jwk):
        raise InvalidDpopProof("jwk must not contain a private key")
    keys = imported({"keys": [jwk]})
    if len(keys) != 1 or jwk.get("alg", alg) != alg:
        raise InvalidDpopProof("jwk is no public key for this algorithm, or too weak")
    return keys[0]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_of(ath: Any, access_token: str) -> bool:
    digest = urlsafe_b64encode(sha256(access_token.encode()).digest()).rstrip(b"=").decode()
    return isinstance(ath, str) and is_same(ath, digest)


def _normalised(uri: Any) -> tuple[str, str, int, str] | None:
    """Scheme, host, port and path, by which two spellings of an address are the same (RFC 3986 6.2.2 and 6.2.3),
    without query and fragment; None for what is no address.
    """
    if not isinstance(uri, str) or not _URI.fullmatch(uri):
        return None
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    # Port 0 is a port, though a wrong one.
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    return (parts.scheme, parts.hostname, port, _normalised_path(parts.path))


def _normalised_path(path: str) -> str:
    kept: list[str] = []
    segments = _ENCODED.sub(_decoded, path).split("/")[1:] or [""]
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/" + "/".join(kept)


def _decoded(encoded: re.Match[str]) -> str:
    character = chr(int(encoded[1], 16))
    return character if _UNRESERVED.fullmatch(character) else encoded[0].upper()
