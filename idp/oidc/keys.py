"""Signing keys: made, sealed at rest, published, parsed once.

    RS256   what every library understands, and the default for ID tokens (OIDC Core 2)
    ES256   what we advise: a signature costs a tenth
    PS256   for clients whose profile wants RSA, but not the padding of RS256 (FAPI 2.0 5.4.1)
    EdDSA   with Ed25519

Each has a key of its own, made when an installation is: `alg` stands in the published key, so an RSA key that served
two algorithms could not say which (RFC 7517 4.4). `kid` is the key's thumbprint (RFC 7638), so it can never be given to
another key. When keys follow each other says `admin.signing_keys`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.kernel.clock import Clock
from idp.kernel.envelope import Envelope
from idp.oidc.models import SigningKey
from idp.oidc.signatures import AnyKey, Registry, header_of, verified_by
from idp.store.units import UnitsOfWork

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
RSA_BITS = 2048
PrivateKey = RSAKey | ECKey | OKPKey
_KINDS: Mapping[str, type[PrivateKey]] = {"RS256": RSAKey, "PS256": RSAKey, "ES256": ECKey, "EdDSA": OKPKey}
# `typ` of the header of an access token (RFC 9068 2.1).
ACCESS_TOKEN = "at+jwt"  # noqa: S105 - a type, not a password
# Every node knows a new key well before it signs: it reads the table this often, and keys sign later than they are
# published.
READ_AGAIN_AFTER = timedelta(seconds=30)


def generate(alg: str) -> PrivateKey:
    """A new key pair for this algorithm. Takes its time for RSA: to be called with no unit of work open."""
    if alg in ("RS256", "PS256"):
        return RSAKey.generate_key(RSA_BITS)
    return ECKey.generate_key("P-256") if alg == "ES256" else OKPKey.generate_key("Ed25519")


def create(
    session: Session, envelope: Envelope, alg: str, now: datetime, signs_from: datetime, key: PrivateKey | None = None
) -> SigningKey:
    """A key pair, new unless one is given, exists; it is published at once and signs from `signs_from` on."""
    key = key or generate(alg)
    kid = key.thumbprint()
    public = {**key.as_dict(private=False), "kid": kid, "use": "sig", "alg": alg}
    row = SigningKey(
        kid=kid,
        alg=alg,
        public_jwk=public,
        private_sealed=envelope.seal(key.as_pem(private=True), f"signing_keys:{kid}"),
        created_at=now,
        signs_from=signs_from,
    )
    session.add(row)
    return row


def listed(session: Session) -> Sequence[SigningKey]:
    """All keys, oldest first."""
    return session.scalars(select(SigningKey).order_by(SigningKey.created_at, SigningKey.kid)).all()


@dataclass(frozen=True)
class _Known:
    read_at: datetime
    rows: Sequence[SigningKey]
    published: Mapping[str, Any]
    verifying: Mapping[str, tuple[str, AnyKey]]


class Keys:
    """The keys of the database, parsed once for this process and read again every 30 seconds."""

    def __init__(self, units: UnitsOfWork, envelope: Envelope, clock: Clock) -> None:
        self._units, self._envelope, self._clock = units, envelope, clock
        self._known: _Known | None = None
        self._parsed: dict[str, PrivateKey] = {}
        self._lock = Lock()

    def load(self) -> None:
        """The keys are fresh for the next 30 seconds. To be called with no unit of work open."""
        now = self._clock.now()
        if self._known is not None and abs(now - self._known.read_at) < READ_AGAIN_AFTER:
            return
        with self._units.reading() as session:
            rows = [row for row in listed(session) if row.retired_at is None]
        published = {"keys": [row.public_jwk for row in rows]}
        verifying = {row.kid: (row.alg, import_key(row.public_jwk)) for row in rows}
        with self._lock:
            self._known = _Known(now, rows, published, verifying)
            self._parsed = {kid: key for kid, key in self._parsed.items() if kid in verifying}

    def published(self) -> Mapping[str, Any]:
        """The JSON Web Key Set (RFC 7517 5), public parts only."""
        return self._fresh().published

    def is_ready(self) -> bool:
        """True when there is a key that signs for each algorithm."""
        known = self._fresh()
        return all(self._signing(known, alg) is not None for alg in ALGORITHMS)

    def sign(self, alg: str, claims: dict[str, Any], typ: str = "JWT") -> str:
        """The claims as a signed JWT, by the one active key of this algorithm; `kid` is in the header."""
        row = self._signing(self._fresh(), alg)
        if row is None:
            raise LookupError(f"there is no key that signs {alg}")
        header = {"alg": alg, "typ": typ, "kid": row.kid}
        return jwt.encode(header, claims, self._private(row), [alg], Registry([alg]))

    def verified_id_token(self, token: str, issuer: str) -> dict[str, Any] | None:
        """The claims of an ID token that this issuer signed, expired or not; None for everything else."""
        claims = self._verified(token, issuer, "JWT")
        return claims if claims is not None and "auth_time" in claims else None

    def verified_access_token(self, token: str, issuer: str) -> dict[str, Any] | None:
        """As `verified_id_token`, for an access token (RFC 9068 2.1); `jti` is a string."""
        claims = self._verified(token, issuer, ACCESS_TOKEN)
        return claims if claims is not None and isinstance(claims.get("jti"), str) else None

    def _verified(self, token: str, issuer: str, typ: str) -> dict[str, Any] | None:
        """The key that `kid` names, by its own algorithm and no other: neither `none` nor a public key used as an HMAC
        secret passes, and a token of one type never stands for another (RFC 8725 3.1 and 3.11)."""
        kid = header_of(token).get("kid")
        alg, key = self._fresh().verifying.get(kid, ("", None)) if isinstance(kid, str) else ("", None)
        signed = verified_by(token, key, alg) if key is not None else None
        if signed is None:
            return None
        claims, header = dict(signed.claims), signed.header
        # Whatever else a header says (`crit`, `jwk`, `zip`), ours never does.
        is_ours = set(header) == {"alg", "kid", "typ"} and header["typ"] == typ and claims.get("iss") == issuer
        return claims if is_ours and isinstance(claims.get("sub"), str) else None

    def _fresh(self) -> _Known:
        self.load()
        if self._known is None:
            raise RuntimeError("no keys were loaded")
        return self._known

    def _signing(self, known: _Known, alg: str) -> SigningKey | None:
        """Of the keys whose time to sign has come, the last one."""
        now = self._clock.now()
        begun = [row for row in known.rows if row.alg == alg and row.signs_from <= now]
        return max(begun, key=lambda row: (row.signs_from, row.kid), default=None)

    def _private(self, row: SigningKey) -> PrivateKey:
        # Importing a private RSA key takes 30 ms: once per process, not once per token.
        key = self._parsed.get(row.kid)
        if key is None:
            pem = self._envelope.open(row.private_sealed, f"signing_keys:{row.kid}")
            key = self._parsed[row.kid] = _KINDS[row.alg].import_key(pem)
        return key
