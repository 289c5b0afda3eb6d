"""Registering relying applications (OpenID Connect Registration 2)."""

import re
from collections.abc import Collection, Sequence
from typing import Any, TypedDict, Unpack
from urllib.parse import urlsplit

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account
from idp.admin import activity_signals, client_decisions, client_end, client_profile
from idp.admin.client_credentials import check_credentials, give_secret
from idp.admin.refusals import Reasons
from idp.audit.events import ClientChanged
from idp.audit.trail import Trail
from idp.factors.registry import highest_level
from idp.kernel.clock import Clock
from idp.kernel.envelope import Envelope
from idp.kernel.errors import Refused
from idp.kernel.levels import PASSWORD
from idp.kernel.secrets import random_identifier
from idp.oidc import clients as registered
from idp.oidc.clients import (
    ACCESS_TOKEN_FORMATS,
    APPLICATION_TYPES,
    GRANT_TYPES,
    OFFLINE_ACCESS,
    SCOPES,
    SESSION_ACTIVITY,
    SUBJECT_TYPES,
    Client,
    origin,
)
from idp.oidc.clients import check_redirect_uri as check_uri
from idp.oidc.keys import ALGORITHMS
from idp.oidc.subjects import hosts_of
from idp.store.units import UnitsOfWork

RESPONSE_TYPES = ("code",)
# Unreserved characters (RFC 3986 2.3): the same in a URL, in a form and in HTTP Basic authentication.
CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,200}")
# RFC 6749 3.3.
SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,100}")
DEFAULT_SCOPE = "openid profile email"
LONGEST_NAME = 200
SIGNED = ("id_token_signed_response_alg", "userinfo_signed_response_alg", "introspection_signed_response_alg")
LONGEST_URI = 2000


class Changes(TypedDict, total=False):
    """What can be set later, by the names of `Clients.add`."""

    client_name: str
    redirect_uris: Sequence[str]
    post_logout_redirect_uris: Sequence[str]
    grant_types: Sequence[str]
    scope: str
    session_activity: str
    minimum_acr: int | None
    first_party: bool
    profile: str
    dpop_bound_access_tokens: bool
    id_token_signed_response_alg: str
    userinfo_signed_response_alg: str | None
    introspection_signed_response_alg: str | None
    access_token_format: str
    resources: Sequence[str]
    token_endpoint_auth_method: str
    token_endpoint_auth_signing_alg: str | None
    jwks: dict[str, Any] | None
    jwks_uri: str | None
    client_uri: str | None
    policy_uri: str | None
    tos_uri: str | None
    initiate_login_uri: str | None
    backchannel_logout_uri: str | None
    backchannel_logout_session_required: bool
    frontchannel_logout_uri: str | None
    frontchannel_logout_session_required: bool


class Clients:
    """Registers, changes and ends clients."""

    def __init__(self, units: UnitsOfWork, clock: Clock, trail: Trail, envelope: Envelope) -> None:
        self._units, self._clock, self._trail, self._envelope = units, clock, trail, envelope

    def add(
        self,
        client_name: str,
        redirect_uris: Sequence[str] = (),
        *,
        application_type: str = "web",
        client_id: str | None = None,
        client_secret: str | None = None,
        token_endpoint_auth_method: str | None = None,
        token_endpoint_auth_signing_alg: str | None = None,
        jwks: dict[str, Any] | None = None,
        jwks_uri: str | None = None,
        grant_types: Sequence[str] = ("authorization_code",),
        scope: str | None = None,
        post_logout_redirect_uris: Sequence[str] = (),
        session_activity: str | None = None,
        minimum_acr: int | None = None,
        first_party: bool = False,
        require_pkce: bool = True,
        profile: str = "oidc",
        dpop_bound_access_tokens: bool = False,
        id_token_signed_response_alg: str | None = None,
        client_uri: str | None = None,
        policy_uri: str | None = None,
        tos_uri: str | None = None,
        initiate_login_uri: str | None = None,
        backchannel_logout_uri: str | None = None,
        backchannel_logout_session_required: bool = False,
        frontchannel_logout_uri: str | None = None,
        frontchannel_logout_session_required: bool = False,
        access_token_format: str = "opaque",  # noqa: S107 - a kind of token, not a password
        userinfo_signed_response_alg: str | None = None,
        introspection_signed_response_alg: str | None = None,
        subject_type: str = "public",
        resources: Sequence[str] = (),
    ) -> tuple[Client, str | None]:
        """The client exists; its secret is returned this once. A public client and one with keys have none.

        Without `client_id` and `client_secret` both are random (128 and 256 bit). `minimum_acr` is a level (1 to 3).
        A `web` client with the refresh_token grant has `session_activity` `token_refresh` unless it says otherwise, one
        without it `none`; `browser` and `native` clients must choose. The profile `fapi2` brings with it what it
        demands of requests and tokens; ID tokens are signed by ES256 then, otherwise by RS256, if nothing is said.

        Without the grant authorization_code nobody signs in to it: it needs no redirect URI, and its scope says nothing
        about people. `resources` are those that it may have tokens for; a client without any grant is a resource server
        and these are its own names. `subject_type` is for good, as is the host that makes the sector of a pairwise one.

        Raises Refused with everything that is wrong.
        """
        now = self._clock.now()
        alg = "ES256" if profile == "fapi2" else "RS256"
        usual = "private_key_jwt" if profile == "fapi2" else "client_secret_basic"
        method = token_endpoint_auth_method or (usual if application_type == "web" else "none")
        session_activity = session_activity or default_session_activity(application_type, grant_types)
        if scope is None:
            scope = DEFAULT_SCOPE if "authorization_code" in grant_types else ""
        client = Client(
            client_id=client_id or random_identifier(),
            client_name=client_name.strip(),
            token_endpoint_auth_method=method,
            token_endpoint_auth_signing_alg=token_endpoint_auth_signing_alg,
            jwks=jwks,
            jwks_uri=jwks_uri,
            application_type=application_type,
            redirect_uris=list(redirect_uris),
            post_logout_redirect_uris=list(post_logout_redirect_uris),
            grant_types=list(grant_types),
            response_types=_response_types(grant_types),
            scope=" ".join(scope.split()),
            id_token_signed_response_alg=id_token_signed_response_alg or alg,
            profile=profile,
            require_pkce=require_pkce,
            dpop_bound_access_tokens=dpop_bound_access_tokens,
            session_activity=session_activity or "",
            minimum_acr=minimum_acr,
            first_party=first_party,
            client_uri=client_uri,
            policy_uri=policy_uri,
            tos_uri=tos_uri,
            initiate_login_uri=initiate_login_uri,
            backchannel_logout_uri=backchannel_logout_uri,
            backchannel_logout_session_required=backchannel_logout_session_required,
            frontchannel_logout_uri=frontchannel_logout_uri,
            frontchannel_logout_session_required=frontchannel_logout_session_required,
            access_token_format=access_token_format,
            userinfo_signed_response_alg=userinfo_signed_response_alg,
            introspection_signed_response_alg=introspection_signed_response_alg,
            subject_type=subject_type,
            resources=list(resources),
            created_at=now,
            updated_at=now,
        )
        if subject_type == "pairwise":
            client.sector_identifier = min(hosts_of(client), default=None)
        client_profile.follow(client)
        check(client, client_secret)
        secret = give_secret(client, self._envelope, client_secret)
        self._insert(client)
        return client, secret

    def set(self, client_id: str, **changes: Unpack[Changes]) -> tuple[Client, str | None]:
        """The changes given hold from now on, for the next request; the others stay. Where another method of
        authentication needs a secret that the client has not, it gets one, which is returned this once. A client that
        registered itself does not change them back.

        Raises Refused, and all that is wrong at once.
        """
        with self._units.writing() as unit:
            client = _found(unit, client_id, lock=True)
            changed = [name for name, value in changes.items() if getattr(client, name) != _kept(value)]
            for name in changed:
                setattr(client, name, _kept(changes[name]))  # type: ignore[literal-required]
            client.response_types = _response_types(client.grant_types)
            if "profile" in changed:
                client_profile.follow(client)
            client_decisions.remember(client, changes)
            client.unused_until = None
            check(client)
            secret = give_secret(client, self._envelope)
            if changed or unit.is_modified(client):
                client.updated_at = self._clock.now()
                event = ClientChanged(change="set " + ", ".join(changed or changes), client_id=client_id)
                self._trail.record(unit, event)
        return client, secret

    def delete(self, client_id: str) -> Client:
        """The client is gone, with everything that it could use; sessions go on, and its identifier is never given to
        another one (decision 0029). Raises Refused.
        """
        with self._units.writing() as unit:
            client = _found(unit, client_id, lock=True)
            client_end.end(unit, client, self._clock.now())
            unit.flush()
            self._trail.record(unit, ClientChanged(change="deleted", client_id=client_id))
        return client

    def leave(self, client_id: str) -> Client:
        """What administrators decided about a client that registered itself holds until the client replaces it; what
        it can never choose stays. Raises Refused.
        """
        with self._units.writing() as unit:
            client = _found(unit, client_id, lock=True)
            if not client.registered_itself:
                raise Refused("client.registered_by_administrator", f"{client_id!r} did not register itself")
            if client.decided:
                client.decided, client.updated_at = [], self._clock.now()
                self._trail.record(unit, ClientChanged(change="left to itself", client_id=client_id))
        return client

    def list(self) -> Sequence[Client]:
        """All clients, by name."""
        with self._units.reading() as unit:
            known = select(Client).where(Client.deleted_at.is_(None))
            return unit.scalars(known.order_by(Client.client_name, Client.client_id)).all()

    def show(self, client_id: str) -> Client:
        """One client. Raises Refused when there is none with this identifier."""
        with self._units.reading() as unit:
            return _found(unit, client_id)

    def is_silent(self, client_id: str) -> bool:
        """Whether the client never tells that its user is active though it is registered to. Raises Refused."""
        with self._units.reading() as unit:
            return activity_signals.is_silent(unit, _found(unit, client_id))

    def silent(self) -> Collection[str]:
        """The `client_id` of each client for which `is_silent` is true."""
        with self._units.reading() as unit:
            return {
                client.client_id for client in unit.scalars(select(Client)) if activity_signals.is_silent(unit, client)
            }

    def _insert(self, client: Client) -> None:
        taken = Refused("client.exists", f"there is a client {client.client_id!r} already")
        try:
            with self._units.writing() as unit:
                if _is_confusing(unit, client.client_id):
                    raise taken
                unit.add(client)
                unit.flush()
                self._trail.record(unit, ClientChanged(change="registered", client_id=client.client_id))
        except IntegrityError as error:
            # On PostgreSQL two can register the same identifier at once; the database lets one of them.
            raise taken from error


def _found(unit: Unit, client_id: str, lock: bool = False) -> Client:
    client = registered.find(unit, client_id)
    if client is not None and lock:
        # A client that replaces or ends its registration at the same moment is waited for, and what it wrote is seen.
        unit.refresh(client, with_for_update={"key_share": True})
    if client is None or client.deleted_at is not None:
        raise Refused("client.unknown", f"there is no client {client_id!r}")
    return client


def _kept(value: object) -> object:
    """As the columns keep it."""
    return list(value) if isinstance(value, tuple) else value


def _response_types(grant_types: Sequence[str]) -> list[str]:
    """What goes with the grants (OpenID Connect Registration 2)."""
    return list(RESPONSE_TYPES) if "authorization_code" in grant_types else []


def _is_confusing(unit: Unit, client_id: str) -> bool:
    """True for an identifier that is taken, in whatever case, or that a person has as `sub` (RFC 9700 4.15)."""
    same = select(Client.client_id).where(func.lower(Client.client_id) == client_id.lower())
    somebody = select(Account.id).where(Account.sub == client_id)
    return unit.scalars(same).first() is not None or unit.scalars(somebody).first() is not None


def default_session_activity(application_type: str, grant_types: Sequence[str]) -> str | None:
    """What a client is registered with that says nothing of it; None where it must choose."""
    if application_type != "web":
        return None
    return "token_refresh" if "refresh_token" in grant_types else "none"


def check(client: Client, given_secret: str | None = None) -> None:
    """Raises Refused with everything that is wrong."""
    wrong = Reasons()
    client_profile.check(client, wrong)
    _check_identity(client, given_secret, wrong)
    _check_grants(client, wrong)
    _check_subject_type(client, wrong)
    _check_session_activity(client, wrong)
    _check_addresses(client, wrong)
    wrong.raise_any()


def _check_identity(client: Client, given_secret: str | None, wrong: Reasons) -> None:
    name = client.client_name
    wrong.unless(
        bool(name) and len(name) <= LONGEST_NAME and name.isprintable(),
        "client.name",
        f"a client needs a name of one line and at most {LONGEST_NAME} characters",
    )
    wrong.unless(
        CLIENT_ID.fullmatch(client.client_id) is not None,
        "client.client_id",
        "client_id holds letters, digits and . _ ~ - only, at most 200",
    )
    if client.application_type not in APPLICATION_TYPES:
        wrong.add("client.application_type", f"application_type is one of {', '.join(APPLICATION_TYPES)}")
        return
    check_credentials(client, given_secret, wrong)


def _check_grants(client: Client, wrong: Reasons) -> None:
    grants = client.grant_types
    signs_people_in, for_itself = "authorization_code" in grants, "client_credentials" in grants
    without_people = not grants and client.resources or (for_itself and "refresh_token" not in grants)
    wrong.unless(
        bool(signs_people_in or without_people) and set(grants) <= set(GRANT_TYPES) and len(set(grants)) == len(grants),
        "client.grant_types",
        "grant_types are authorization_code and, if wanted, refresh_token; and client_credentials, or that alone; a"
        " resource server has none, and names itself as a resource",
    )
    wrong.unless(
        not (for_itself and client.is_public),
        "client.client_credentials_public",
        "only a client that keeps a secret gets tokens for itself (client_credentials)",
    )
    wrong.unless(
        not (client.is_resource_server and client.is_public),
        "client.resource_server_public",
        "a resource server keeps a secret: it asks what tokens are worth",
    )
    for resource in client.resources:
        wrong.checking(registered.check_resource, resource)
    wrong.unless(
        len(set(client.resources)) == len(client.resources), "client.resource_twice", "a resource is given twice"
    )
    scope = client.scope.split()
    if signs_people_in:
        wrong.unless("openid" in scope, "client.scope_without_openid", "scope must hold openid")
    else:
        about_people = [value for value in scope if value in SCOPES]
        wrong.unless(
            not about_people,
            "client.scope_of_people",
            f"nobody signs in to a client without authorization_code: no {' '.join(about_people)} for it",
        )
    unknown = [value for value in scope if value not in SCOPES and not (for_itself and SCOPE_TOKEN.fullmatch(value))]
    wrong.unless(
        not unknown,
        "client.scope_unknown",
        f"scope {' '.join(unknown)!r} is not among {' '.join(SCOPES)}; values of one's own need client_credentials",
    )
    wrong.unless(
        OFFLINE_ACCESS not in scope or "refresh_token" in grants,
        "client.offline_access_without_refresh",
        f"{OFFLINE_ACCESS} needs the refresh_token grant",
    )
    wrong.unless(
        client.require_pkce or not client.is_public, "client.pkce_required", "a public client always uses PKCE"
    )
    for name in SIGNED:
        alg = getattr(client, name)
        known = alg in ALGORITHMS or (alg is None and name != "id_token_signed_response_alg")
        wrong.unless(known, "client.signing_algorithm", f"{name} is one of {', '.join(ALGORITHMS)}")
    wrong.unless(
        client.access_token_format in ACCESS_TOKEN_FORMATS,
        "client.access_token_format",
        f"access_token_format is one of {', '.join(ACCESS_TOKEN_FORMATS)}",
    )
    # A level that nobody can reach would lock everybody out.
    wrong.unless(
        client.minimum_acr is None or PASSWORD <= client.minimum_acr <= highest_level(),
        "client.minimum_acr",
        f"minimum_acr is a level from {PASSWORD} to {highest_level()}",
    )


def _check_subject_type(client: Client, wrong: Reasons) -> None:
    if client.subject_type not in SUBJECT_TYPES:
        wrong.add("client.subject_type", f"subject_type is one of {', '.join(SUBJECT_TYPES)}")
    elif client.subject_type == "pairwise" and client.sector_identifier_uri:
        wrong.unless(
            client.sector_identifier == (urlsplit(client.sector_identifier_uri).hostname or ""),
            "client.sector",
            "the sector of a pairwise client is the host of its sector_identifier_uri",
        )
    elif client.subject_type == "pairwise":
        # OIDC Core 8.1. Were the host to change, everybody would be a stranger to the client.
        wrong.unless(
            bool(client.sector_identifier) and hosts_of(client) == {client.sector_identifier},
            "client.sector",
            "the redirect URIs of a pairwise client have one host, and keep it"
            + (f": {client.sector_identifier}" if client.sector_identifier else ""),
        )


def _check_session_activity(client: Client, wrong: Reasons) -> None:
    activity = client.session_activity
    if not activity:
        wrong.add(
            "client.session_activity_missing",
            f"a {client.application_type} client must choose how it tells that its user is active (session_activity). "
            + " ".join(f"{value}: {sentence}" for value, sentence in SESSION_ACTIVITY.items()),
        )
    elif activity not in SESSION_ACTIVITY:
        wrong.add("client.session_activity", f"session_activity is one of {', '.join(SESSION_ACTIVITY)}")
    elif activity == "token_refresh" and "refresh_token" not in client.grant_types:
        wrong.add("client.session_activity_without_refresh", "token_refresh needs the refresh_token grant")


def _check_addresses(client: Client, wrong: Reasons) -> None:
    wrong.unless(
        bool(client.redirect_uris) or "authorization_code" not in client.grant_types,
        "client.redirect_uri_missing",
        "a client that people sign in to needs a redirect URI",
    )
    for uri in (*client.redirect_uris, *client.post_logout_redirect_uris):
        wrong.checking(check_uri, uri, client.application_type)
    addresses = (
        *("client_uri", "policy_uri", "tos_uri", "initiate_login_uri", "jwks_uri"),
        *("backchannel_logout_uri", "frontchannel_logout_uri"),
    )
    # https, or http on loopback: also for the address that logout notices go to (Back-Channel Logout 2.2).
    for uri in filter(None, (getattr(client, name) for name in addresses)):
        wrong.checking(check_uri, uri, "web")
    every = [
        *client.resources,
        *client.redirect_uris,
        *client.post_logout_redirect_uris,
        *(getattr(client, name) for name in addresses),
    ]
    longest = max((len(uri) for uri in every if uri), default=0)
    wrong.unless(longest <= LONGEST_URI, "client.uri_too_long", f"an address has at most {LONGEST_URI} characters")
    if client.frontchannel_logout_uri:
        # Front-Channel Logout 2: what is loaded in our page belongs to who receives the codes.
        wrong.unless(
            origin(client.frontchannel_logout_uri) in {origin(uri) for uri in client.redirect_uris} - {None},
            "client.frontchannel_logout_origin",
            "frontchannel_logout_uri has the scheme, host and port of a redirect URI",
        )
    twice = len(set(client.redirect_uris)) < len(client.redirect_uris)
    wrong.unless(not twice, "client.redirect_uri_twice", "a redirect URI is given twice")
