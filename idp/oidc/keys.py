"""Signing keys: made, sealed at rest, published, parsed once.

RS256 is what every library understands and the default for ID tokens (OIDC Core 2); ES256 is what we advise: a
signature costs a tenth. `kid` is the key's thumbprint (RFC 7638), so it can never be given to another key.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet, RSAKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from idp.kernel.clock import Clock
from idp.kernel.envelope import Envelope
from idp.oidc.models import SigningKey
from idp.store.units import UnitsOfWork

ALGORITHMS = ("RS256", "ES256")
RSA_BITS = 2048
# `typ` of the header of an access token (RFC 9068 2.1).
ACCESS_TOKEN = "at+jwt"  # noqa: S105 - a type, not a password
# Every node knows a new key well before it signs: it reads the table this often, and keys sign later than they are
# published.
READ_AGAIN_AFTER = timedelta(seconds=30)


def create(session: Session, envelope: Envelope, alg: str, now: datetime, signs_from: datetime) -> SigningKey:
    """A new key pair exists; it is published at once and signs from `signs_from` on."""
    key: RSAKey | ECKey = RSAKey.generate_key(RSA_BITS) if alg == "RS256" else ECKey.generate_key("P-256")
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
    signing: Mapping[str, Callable[[dict[str, str], dict[str, Any]], str]]
    published: Mapping[str, Any]
    verifying: KeySet


class Keys:
    """The keys of the database, parsed once for this process and read again every 30 seconds."""

    def __init__(self, units: UnitsOfWork, envelope: Envelope, clock: Clock) -> None:
        self._units, self._envelope, self._clock = units, envelope, clock
        self._known: _Known | None = None
        self._parsed: dict[str, RSAKey | ECKey] = {}
        self._lock = Lock()

    def load(self) -> None:
        """The keys are fresh for the next 30 seconds. To be called with no unit of work open."""
        now = self._clock.now()
        if self._known is not None and abs(now - self._known.read_at) < READ_AGAIN_AFTER:
            return
        with self._units.reading() as session:
            rows = [row for row in listed(session) if row.retired_at is None]
        with self._lock:
            self._known = self._parse(rows, now)

    def published(self) -> Mapping[str, Any]:
        """The JSON Web Key Set (RFC 7517 5), public parts only."""
        return self._fresh().published

    def is_ready(self) -> bool:
        """True when there is a key for each algorithm."""
        return set(self._fresh().signing) == set(ALGORITHMS)

    def sign(self, alg: str, claims: dict[str, Any], typ: str = "JWT") -> str:
        """The claims as a signed JWT, by the one active key of this algorithm; `kid` is in the header."""
        return self._fresh().signing[alg]({"alg": alg, "typ": typ}, claims)

    def verified_id_token(self, token: str, issuer: str) -> dict[str, Any] | None:
        """The claims of an ID token that this issuer signed, expired or not; None for everything else."""
        claims = self._verified(token, issuer, "JWT")
        return claims if claims is not None and "auth_time" in claims else None

    def verified_access_token(self, token: str, issuer: str) -> dict[str, Any] | None:
        """As `verified_id_token`, for an access token (RFC 9068 2.1); `jti` is a string."""
        claims = self._verified(token, issuer, ACCESS_TOKEN)
        return claims if claims is not None and isinstance(claims.get("jti"), str) else None

    def _verified(self, token: str, issuer: str, typ: str) -> dict[str, Any] | None:
        """Algorithms are pinned, so neither `none` nor a public key used as an HMAC secret passes, and a token of one
        type never stands for another (RFC 8725 3.1 and 3.11)."""
        try:
            decoded = jwt.decode(token, self._fresh().verifying, algorithms=list(ALGORITHMS))
        except (JoseError, ValueError, TypeError, RecursionError):
            # joserfc raises TypeError for header members of another type than the specification gives them.
            return None
        claims, header = decoded.claims, decoded.header
        # Whatever else a header says (`crit`, `jwk`, `zip`), ours never does.
        is_ours = set(header) == {"alg", "kid", "typ"} and header["typ"] == typ and claims.get("iss") == issuer
        return claims if is_ours and isinstance(claims.get("sub"), str) else None

    def _fresh(self) -> _Known:
        self.load()
        if self._known is None:
            raise RuntimeError("no keys were loaded")
        return self._known

    def _parse(self, rows: Sequence[SigningKey], now: datetime) -> _Known:
        signing: dict[str, Callable[[dict[str, str], dict[str, Any]], str]] = {}
        for row in sorted(rows, key=lambda row: row.signs_from):
            if row.signs_from <= now:
                signing[row.alg] = self._signer(row)
        published = {"keys": [row.public_jwk for row in rows]}
        return _Known(now, signing, published, KeySet.import_key_set(published))  # type: ignore[arg-type]

    def _signer(self, row: SigningKey) -> Callable[[dict[str, str], dict[str, Any]], str]:
        def sign(header: dict[str, str], claims: dict[str, Any]) -> str:
            key = self._private(row)
            return jwt.encode({**header, "kid": row.kid}, claims, key, algorithms=[row.alg])

        return sign

    def _private(self, row: SigningKey) -> RSAKey | ECKey:
        # Importing a private RSA key takes 30 ms: once per process, not once per token.
        if row.kid not in self._parsed:
            pem = self._envelope.open(row.private_sealed, f"signing_keys:{row.kid}")
            self._parsed[row.kid] = RSAKey.import_key(pem) if row.alg == "RS256" else ECKey.import_key(pem)
        return self._parsed[row.kid]
