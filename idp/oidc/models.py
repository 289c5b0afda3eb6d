"""What the protocol remembers: codes, tokens and keys. Secrets are stored as hashes, private keys sealed.

`grant_id` joins everything that came from one authorization: the code, its access tokens, its refresh family.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from idp.store.base import Base


class AuthorizationCode(Base):
    """A code that was handed to a client, with all that its tokens will say."""

    __tablename__ = "authorization_codes"

    code_hash: Mapped[bytes] = mapped_column(primary_key=True)
    grant_id: Mapped[str] = mapped_column(String(64), unique=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.client_id"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    session_id: Mapped[int] = mapped_column(ForeignKey("sessions.id"), index=True)
    redirect_uri: Mapped[str] = mapped_column(String(2000))
    code_challenge: Mapped[str | None] = mapped_column(String(128))
    scope: Mapped[str] = mapped_column(String(1000))
    nonce: Mapped[str | None] = mapped_column(String(2000))
    requested_acr: Mapped[list[str]]
    claims: Mapped[dict[str, Any]]
    level: Mapped[int]
    amr: Mapped[list[str]]
    auth_time: Mapped[datetime]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class AccessToken(Base):
    """An access token: an opaque one under its hash, a JWT under that of its `jti` (see `oidc.access_token`)."""

    __tablename__ = "access_tokens"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    grant_id: Mapped[str] = mapped_column(String(64), index=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.client_id"))
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    session_id: Mapped[int | None] = mapped_column(ForeignKey("sessions.id"), index=True)
    scope: Mapped[str] = mapped_column(String(1000))
    claims: Mapped[dict[str, Any]]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]


class RefreshFamily(Base):
    """The refresh tokens that follow each other from one authorization.

    No token is stored: each is the family's handle, a generation and an HMAC over both. A confidential client keeps
    generation 0; a public one moves on at each use.
    """

    __tablename__ = "refresh_families"
    __table_args__ = (CheckConstraint("generation >= 0", name="generation_not_negative"),)

    grant_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    handle_hash: Mapped[bytes] = mapped_column(unique=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.client_id"), index=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("accounts.id"), index=True)
    session_id: Mapped[int | None] = mapped_column(ForeignKey("sessions.id"), index=True)
    scope: Mapped[str] = mapped_column(String(1000))
    requested_acr: Mapped[list[str]]
    claims: Mapped[dict[str, Any]]
    level: Mapped[int]
    amr: Mapped[list[str]]
    auth_time: Mapped[datetime]
    generation: Mapped[int] = mapped_column(default=0)
    rotated_at: Mapped[datetime | None]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    revoked_because: Mapped[str | None] = mapped_column(String(40))


class SigningKey(Base):
    """A key pair that signs; `kid` is its thumbprint (RFC 7638), never used again."""

    __tablename__ = "signing_keys"
    __table_args__ = (CheckConstraint("alg IN ('RS256', 'ES256')", name="alg_known"),)

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    alg: Mapped[str] = mapped_column(String(20))
    public_jwk: Mapped[dict[str, Any]]
    private_sealed: Mapped[bytes]
    created_at: Mapped[datetime]
    signs_from: Mapped[datetime]
    retired_at: Mapped[datetime | None]
