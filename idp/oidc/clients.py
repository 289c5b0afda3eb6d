"""Registered relying applications and their metadata (OpenID Connect Registration 2)."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import (
    JSON,
    CheckConstraint,
    Connection,
    ForeignKey,
    String,
    delete,
    event,
    false,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.orm import Mapped, Session, mapped_column

from idp.egress.places import Standing
from idp.kernel.errors import Refused
from idp.kernel.secrets import hash_secret, is_same
from idp.kernel.uris import with_query
from idp.store.base import Base

PROFILES = ("oidc", "fapi2")
# How a client tells that its user is active, and what that means for people. Administrators are told these sentences.
SESSION_ACTIVITY = {
    "reported": "it says when its user last did something; recommended.",
    "token_refresh": "each refresh counts. That is not exact: people may be signed out up to one access-token lifetime"
    " early, and an application that refreshes on a timer keeps an empty chair until the absolute limit.",
    "none": "people working in it are signed out 30 minutes after they last visited us.",
}
AUTHENTICATION_METHODS = ("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none")
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
SUBJECT_TYPES = ("public", "pairwise")
ACCESS_TOKEN_FORMATS = ("opaque", "jwt")
APPLICATION_TYPES = ("web", "browser", "native")
OFFLINE_ACCESS = "offline_access"
SCOPES = ("openid", "profile", "email", "phone", "address", OFFLINE_ACCESS)
# Columns that are not metadata: secrets, and a picture.
NEVER_SHOWN = frozenset(
    {
        "client_secret_hash",
        "client_secret_sealed",
        "registration_access_token_hash",
        "registered_with",
        "logo",
        "deleted_at",
    }
)
# RFC 1035 2.3.4: 255 octets with the length of each label and the empty one at the end.
LONGEST_HOST = 253
LOOPBACK_HOSTS = ("127.0.0.1", "::1", "localhost")


class Client(Base):
    """A relying application. The secret is kept as a hash; sealed as well where HMACs are made with it.

    `profile` fixes the security rules; `session_activity` says how the application tells us that its person is active;
    `minimum_acr` is a level (see `kernel.levels`) that holds at every issue of tokens; a `first_party` client asks no
    consent.
    """

    __tablename__ = "clients"
    __table_args__ = (
        CheckConstraint("profile IN ('oidc', 'fapi2')", name="profile_known"),
        CheckConstraint("session_activity IN ('reported', 'token_refresh', 'none')", name="session_activity_known"),
        CheckConstraint("application_type IN ('web', 'browser', 'native')", name="application_type_known"),
        CheckConstraint("access_token_format IN ('opaque', 'jwt')", name="access_token_format_known"),
        CheckConstraint(
            "(token_endpoint_auth_method IN ('none', 'private_key_jwt')) = (client_secret_hash IS NULL)",
            name="secret_iff_used",
        ),
        # An HMAC needs the secret itself; no other method does.
        CheckConstraint(
            "(token_endpoint_auth_method = 'client_secret_jwt') = (client_secret_sealed IS NOT NULL)",
            name="sealed_secret_iff_hmac",
        ),
        CheckConstraint("jwks IS NULL OR jwks_uri IS NULL", name="keys_in_one_place"),
        CheckConstraint("subject_type IN ('public', 'pairwise')", name="subject_type_known"),
    )

    client_id: Mapped[str] = mapped_column(String(200), primary_key=True)
    client_name: Mapped[str] = mapped_column(String(200))
    client_secret_hash: Mapped[bytes | None]
    client_secret_sealed: Mapped[bytes | None]
    token_endpoint_auth_method: Mapped[str] = mapped_column(String(40))
    application_type: Mapped[str] = mapped_column(String(20), default="web")
    redirect_uris: Mapped[list[str]]
    post_logout_redirect_uris: Mapped[list[str]]
    grant_types: Mapped[list[str]]
    response_types: Mapped[list[str]]
    scope: Mapped[str] = mapped_column(String(1000))
    id_token_signed_response_alg: Mapped[str] = mapped_column(String(20), default="RS256")
    profile: Mapped[str] = mapped_column(String(20), default="oidc")
    require_pkce: Mapped[bool] = mapped_column(default=True)
    session_activity: Mapped[str] = mapped_column(String(20))
    minimum_acr: Mapped[int | None]
    first_party: Mapped[bool] = mapped_column(default=False)
    client_uri: Mapped[str | None] = mapped_column(String(2000))
    policy_uri: Mapped[str | None] = mapped_column(String(2000))
    tos_uri: Mapped[str | None] = mapped_column(String(2000))
    initiate_login_uri: Mapped[str | None] = mapped_column(String(2000))
    backchannel_logout_uri: Mapped[str | None] = mapped_column(String(2000))
    backchannel_logout_session_required: Mapped[bool] = mapped_column(default=False, server_default=false())
    frontchannel_logout_uri: Mapped[str | None] = mapped_column(String(2000))
    frontchannel_logout_session_required: Mapped[bool] = mapped_column(default=False, server_default=false())
    access_token_format: Mapped[str] = mapped_column(String(10), default="opaque", server_default="opaque")
    # Keys of the client's own: by value or by reference (OpenID Connect Registration 2).
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    jwks_uri: Mapped[str | None] = mapped_column(String(2000))
    token_endpoint_auth_signing_alg: Mapped[str | None] = mapped_column(String(20))
    # Its requests (RFC 9101, RFC 9126).
    request_object_signing_alg: Mapped[str | None] = mapped_column(String(20))
    require_signed_request_object: Mapped[bool] = mapped_column(default=False, server_default=false())
    require_pushed_authorization_requests: Mapped[bool] = mapped_column(default=False, server_default=false())
    request_uris: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    default_max_age_seconds: Mapped[int | None]
    require_auth_time: Mapped[bool] = mapped_column(default=False, server_default=false())
    default_acr_values: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    # Its tokens (RFC 9449, RFC 8707) and what is signed for it.
    dpop_bound_access_tokens: Mapped[bool] = mapped_column(default=False, server_default=false())
    resources: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    userinfo_signed_response_alg: Mapped[str | None] = mapped_column(String(20))
    introspection_signed_response_alg: Mapped[str | None] = mapped_column(String(20))
    # Pairwise subjects (OIDC Core 8.1): `sector_identifier` is the host that they are computed for.
    subject_type: Mapped[str] = mapped_column(String(20), default="public", server_default="public")
    sector_identifier_uri: Mapped[str | None] = mapped_column(String(2000))
    sector_identifier: Mapped[str | None] = mapped_column(String(255))
    # What people and administrators are shown. `localized` holds members such as `client_name#nl`.
    contacts: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    logo_uri: Mapped[str | None] = mapped_column(String(2000))
    # Only the page that shows it reads it.
    logo: Mapped[bytes | None] = mapped_column(deferred=True)
    localized: Mapped[dict[str, Any]] = mapped_column(default=dict, server_default="{}")
    software_id: Mapped[str | None] = mapped_column(String(200))
    software_version: Mapped[str | None] = mapped_column(String(200))
    # How a client that registered itself manages its registration (RFC 7592); None for all others.
    registration_access_token_hash: Mapped[bytes | None]
    registered_with: Mapped[int | None] = mapped_column(ForeignKey("initial_access_tokens.id"), index=True)
    # Columns that an administrator set since: no replacement by the client changes them.
    decided: Mapped[list[str]] = mapped_column(default=list, server_default="[]")
    # When it is gone unless somebody signed in to it; None for all that stay.
    unused_until: Mapped[datetime | None] = mapped_column(index=True)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    # Of a client that is gone the row stays: for the receipts that name it, and so that nobody gets its identifier.
    deleted_at: Mapped[datetime | None]

    @property
    def registered_itself(self) -> bool:
        """True for a client that no administrator registered (RFC 7591): each installation is a client of its own."""
        return self.registration_access_token_hash is not None

    @property
    def standing(self) -> Standing:
        """Who answers for it. A stranger nobody vouched for when it registered itself, and nobody signed in to."""
        if not self.registered_itself:
            return Standing.ADMINISTERED
        return Standing.KNOWN if self.unused_until is None else Standing.STRANGER

    @property
    def is_public(self) -> bool:
        """True for a client that cannot keep a secret (RFC 6749 2.1)."""
        return self.token_endpoint_auth_method == "none"  # noqa: S105 - the name of a method, not a password

    @property
    def gets_jwt_access_tokens(self) -> bool:
        """True when its access tokens are JWTs (RFC 9068)."""
        return self.access_token_format == "jwt"  # noqa: S105 - a kind of token, not a password

    @property
    def is_resource_server(self) -> bool:
        """True for a client that asks for no tokens: it is given them, and its `resources` are its own names."""
        return not self.grant_types

    @property
    def may_have_offline_access(self) -> bool:
        """True when it may ask people for access while they are not signed in (OIDC Core 11)."""
        return OFFLINE_ACCESS in self.scope.split() and self.check_grant_type("refresh_token")

    @property
    def needs_dpop(self) -> bool:
        """True when it gets no tokens but those bound to a key of its own (RFC 9449 5.2, FAPI 2.0 5.3.2.1)."""
        return self.dpop_bound_access_tokens or self.profile == "fapi2"

    @property
    def has_home(self) -> bool:
        """True when a person can be led back to the application without a request of its own."""
        return bool(self.client_uri or self.initiate_login_uri)

    def home(self, issuer: str) -> str | None:
        """Where a person goes back to the application, when the request at hand no longer says it.

        An address at which the application begins a login is told who we are (OIDC Core 4).
        """
        if self.client_uri or not self.initiate_login_uri:
            return self.client_uri
        return with_query(self.initiate_login_uri, [("iss", issuer)])

    def shown(self, name: str, language: str) -> str | None:
        """A member that people see, in this language if it was registered in it (OpenID Connect Registration 2.1)."""
        of_language = (value for key, value in self.localized.items() if key.lower().startswith(f"{name}#{language}"))
        found: str | None = self.localized.get(f"{name}#{language}") or next(of_language, None) or getattr(self, name)
        return found

    def has_secret(self, secret: str) -> bool:
        """True for the client's secret; a stored hash presented as a secret is none."""
        return self.client_secret_hash is not None and is_same(self.client_secret_hash, hash_secret(secret))

    def allows_scope(self, scope: Sequence[str]) -> list[str]:
        """The values of the requested scope that the client may have of a person, in the order asked for; others are
        ignored."""
        allowed = self.scope.split()
        return [value for value in scope if value in allowed and value in SCOPES]

    @property
    def own_scope(self) -> list[str]:
        """What the client may have for itself, with nobody signed in: the values that are not about a person."""
        return [value for value in self.scope.split() if value not in SCOPES]

    # What Authlib's client authentication asks of a client.
    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return method == self.token_endpoint_auth_method

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type in self.grant_types


class ClientOrigin(Base):
    """An origin at which a browser application has a redirect URI: what scripts that call us are looked up by.

    Follows what the client is registered with by itself, whoever changes that.
    """

    __tablename__ = "client_origins"

    origin: Mapped[str] = mapped_column(String(2000), primary_key=True)
    client_id: Mapped[str] = mapped_column(
        ForeignKey("clients.client_id", ondelete="CASCADE"), primary_key=True, index=True
    )


@event.listens_for(Client, "after_insert")
@event.listens_for(Client, "after_update")
def _follow_origins(_mapper: object, connection: Connection, client: Client) -> None:
    state = inspect(client)
    if not any(state.attrs[name].history.has_changes() for name in ("application_type", "redirect_uris")):
        return
    found = {origin(uri) for uri in client.redirect_uris} if client.application_type == "browser" else set()
    connection.execute(delete(ClientOrigin).where(ClientOrigin.client_id == client.client_id))
    rows = [{"origin": each, "client_id": client.client_id} for each in sorted(filter(None, found))]
    if rows:
        connection.execute(insert(ClientOrigin), rows)


def sealed_secret_place(client: Client) -> str:
    """Where the secret of a client is sealed for (`kernel.envelope`)."""
    return f"clients:{client.client_id}"


def find(session: Session, client_id: str | None) -> Client | None:
    """The client with exactly this identifier, unless it is gone; none has one that a database cannot be asked for."""
    is_text = client_id and not any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in client_id)
    client = session.get(Client, client_id) if is_text else None
    return None if client is None or client.deleted_at is not None else client


def check_resource(uri: str) -> None:
    """Raises Refused with the reason in words for what is no resource indicator: an absolute URI (RFC 8707 2)."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21\x24-\x3B\x3D\x3F-\x5B\x5D\x5F\x61-\x7A\x7E]+", uri):
        raise Refused("client.resource", f"{uri!r}: a resource is named by an absolute URI without a fragment")


def check_redirect_uri(uri: str, application_type: str) -> None:
    """Raises Refused with the reason in words for a URI that must not be registered.

    Exact strings are compared later, so whatever two parsers could read differently is refused here
    (RFC 9700 2.1 and 4.1, RFC 8252 7 and 8.4, OpenID Connect Registration 2).
    """
    if any(ord(character) <= 0x20 or ord(character) >= 0x7F or character in '\\"<>^`{|}*' for character in uri):
        raise Refused("client.redirect_uri_characters", f"{uri!r}: only plain URI characters, no wildcard")
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as error:
        raise Refused("client.redirect_uri_unreadable", f"{uri!r}: {error}") from error
    if parts.fragment or uri.endswith("#"):
        raise Refused("client.redirect_uri_fragment", f"{uri!r}: a redirect URI has no fragment")
    if parts.scheme in ("http", "https"):
        if not parts.hostname or "@" in parts.netloc:
            raise Refused("client.redirect_uri_host", f"{uri!r}: needs a host and no user information")
        if len(parts.hostname) > LONGEST_HOST:
            raise Refused("client.redirect_uri_host", f"{uri!r}: a host has at most {LONGEST_HOST} characters")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK_HOSTS:
            raise Refused("client.redirect_uri_https", f"{uri!r}: https is required, except on loopback")
    elif application_type != "native" or "." not in parts.scheme:
        raise Refused(
            "client.redirect_uri_scheme", f"{uri!r}: https, or for native applications a scheme such as com.example.app"
        )


def origin(uri: str) -> str | None:
    """Scheme, host and port of a web address as browsers write them (RFC 6454 6.2); None for anything else."""
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    implied = port in (None, {"https": 443, "http": 80}[parts.scheme])
    return f"{parts.scheme}://{host}" + ("" if implied else f":{port}")


def is_origin_of_a_browser_application(session: Session, asked: str) -> bool:
    """True when scripts of this origin are those of a registered browser application: it has a redirect URI there."""
    here = select(ClientOrigin.origin).where(
        ClientOrigin.origin == asked, Client.client_id == ClientOrigin.client_id, Client.deleted_at.is_(None)
    )
    is_text = not any(char == "\x00" or "\ud800" <= char <= "\udfff" for char in asked)
    return is_text and session.scalars(here.limit(1)).first() is not None


def use(session: Session, client: Client) -> bool:
    """Somebody signs in to the client, so it stays; False when it was gone by then. The database decides, by one UPDATE
    of the row, and only for the first of them.
    """
    if client.unused_until is None:
        return True
    stays = update(Client).where(Client.client_id == client.client_id, Client.deleted_at.is_(None))
    kept = stays.values(unused_until=None).returning(Client.client_id).execution_options(synchronize_session=False)
    return session.execute(kept).one_or_none() is not None


def as_metadata(client: Client) -> dict[str, Any]:
    """The client's metadata by the names of the specification; never its secret."""
    names = [column.key for column in Client.__table__.columns if column.key not in NEVER_SHOWN]
    return {name: getattr(client, name) for name in names}
