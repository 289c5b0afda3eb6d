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
    dpop_jkt: Mapped[str | None] = mapped_column(String(64))
    resources: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    requested_acr: Mapped[list[str]]
    claims: Mapped[dict[str, Any]]
    level: Mapped[int]
    amr: Mapped[list[str]]
    auth_time: Mapped[datetime]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    used_at: Mapped[datetime | None]


class AccessToken(Base):
    """An access token: an opaque one under its hash, a JWT under that of its `jti` (see `oidc.access_token`).

    Without an account it speaks for the client alone (RFC 6749 4.4); without a session it is of offline access.
    `dpop_jkt` is the thumbprint of the key that it is bound to (RFC 9449 6), `audience` names the resource servers that
    it is for (RFC 8707), none meaning this provider.
    """

    __tablename__ = "access_tokens"

    token_hash: Mapped[bytes] = mapped_column(primary_key=True)
    grant_id: Mapped[str] = mapped_column(String(64), index=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.client_id"), index=True)
    account_id: Mapped[int | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    session_id: Mapped[int | None] = mapped_column(ForeignKey("sessions.id"), index=True)
    scope: Mapped[str] = mapped_column(String(1000))
    claims: Mapped[dict[str, Any]]
    dpop_jkt: Mapped[str | None] = mapped_column(String(64))
    audience: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
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
    dpop_jkt: Mapped[str | None] = mapped_column(String(64))
    resources: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    generation: Mapped[int] = mapped_column(default=0)
    rotated_at: Mapped[datetime | None]
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    revoked_at: Mapped[datetime | None]
    revoked_because: Mapped[str | None] = mapped_column(String(40))


class SigningKey(Base):
    """A key pair that signs; `kid` is its thumbprint (RFC 7638), never used again."""

    __tablename__ = "signing_keys"
    __table_args__ = (CheckConstraint("alg IN ('RS256', 'PS256', 'ES256', 'EdDSA')", name="alg_known"),)

    kid: Mapped[str] = mapped_column(String(64), primary_key=True)
    alg: Mapped[str] = mapped_column(String(20))
    public_jwk: Mapped[dict[str, Any]]
    private_sealed: Mapped[bytes]
    created_at: Mapped[datetime]
    signs_from: Mapped[datetime]
    retired_at: Mapped[datetime | None]


class UsedIdentifier(Base):
    """Something that may be used once: the `jti` of a client assertion, of a DPoP proof, of a request object.

    `key` is a hash over the kind, who made it, and the identifier, so that none can stand in for another.
    """

    __tablename__ = "used_identifiers"

    key: Mapped[bytes] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class PushedAuthorizationRequest(Base):
    """What a client pushed (RFC 9126): its parameters as they were accepted, until they are used or expire.

    The `request_uri` is kept as a hash. It can be opened again until the authorization it led to is completed.
    """

    __tablename__ = "pushed_authorization_requests"

    request_uri_hash: Mapped[bytes] = mapped_column(primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("clients.client_id"), index=True)
    request: Mapped[dict[str, Any]]
    pushed_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)
    # An attempt waits for its answer since; None when nobody has come with it, or nothing had to be asked.
    begun_at: Mapped[datetime | None]
    completed_at: Mapped[datetime | None]


class InitialAccessToken(Base):
    """With this somebody may register clients (RFC 7591 3). `uses_left` None: as many as they like."""

    __tablename__ = "initial_access_tokens"
    __table_args__ = (CheckConstraint("uses_left >= 0", name="uses_left_not_negative"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    label: Mapped[str] = mapped_column(String(200))
    uses_left: Mapped[int | None]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
