"""What a client asks to be registered with, judged by itself: nobody is asked, nothing is written.

token_in         the token that was shown
document         the metadata that was sent
check_identity   a client that replaces its metadata stays who it is
Judge            rules of this deployment; the client as it would be, or everything that is wrong with it
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from idp.admin import client_metadata, client_profile
from idp.admin.client_wishes import check_sector, check_wishes, is_on_loopback
from idp.admin.clients import check
from idp.admin.refusals import Reasons, Refusals
from idp.kernel.errors import ProtocolError, Refused
from idp.oidc.clients import PROFILES, Client
from idp.oidc.clients import check_redirect_uri as check_uri
from idp.oidc.errors import plain_description

JSON = "application/json"
NOBODY = b"\x00" * 32
# RFC 7592 2.2: what the client was told about its registration is not what it can ask for.
NOT_TO_BE_SENT = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
)
OFFLINE = "offline_access"
NOTHING: Mapping[str, Any] = MappingProxyType({})
# Anybody may ask for a row; an administrator may give a client more.
MOST_REDIRECT_URIS = 10


@dataclass(frozen=True)
class Rules:
    """What this deployment allows."""

    mode: str
    per_minute: int
    requires_pkce: bool = True
    allows_loopback: bool = False
    keeps_logos: bool = False
    unused_lifetime: timedelta = timedelta(days=1)


class WrongToken(ProtocolError):
    """401: there is no token, or it opens nothing here. These tokens are bearer tokens, with a scheme of one word."""

    def challenge(self, realm: str) -> str:
        """The value of the `WWW-Authenticate` header, which names no error without any credentials (RFC 6750 3.1)."""
        said = f'Bearer realm="{realm}"'
        return said + (f', error="{self.error}", error_description="{self.description}"' if self.error else "")


def wrong_token() -> WrongToken:
    """The same whatever is wrong with it."""
    return WrongToken("invalid_token", "the token is unknown, used up, expired or revoked")


def token_in(authorization: str | None) -> str:
    """The token in the header. Raises WrongToken when there is none."""
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not credentials.strip():
        raise WrongToken("")
    return credentials.strip()


def document(body: bytes, content_type: str | None) -> dict[str, Any]:
    """The metadata that was sent. Raises ProtocolError."""
    if (content_type or "").partition(";")[0].strip().lower() != JSON:
        raise ProtocolError("invalid_client_metadata", f"the body must be {JSON}")
    try:
        return client_metadata.parsed(body)
    except Refused as refused:
        raise ProtocolError("invalid_client_metadata", refused.detail) from refused


def check_identity(sent: Mapping[str, Any], present: Client) -> None:
    """Raises ProtocolError: who a client is, is not among what it can replace (RFC 7592 2.2)."""
    wrong = Reasons()
    wrong.unless(sent.get("client_id") == present.client_id, "client.client_id", "client_id must be that of the client")
    too_much = [name for name in NOT_TO_BE_SENT if name in sent]
    wrong.unless(not too_much, "client.not_to_be_sent", f"{', '.join(too_much)} must not be sent")
    secret = sent.get("client_secret")
    wrong.unless(
        secret is None or isinstance(secret, str) and present.has_secret(secret),
        "client.client_secret",
        "a client_secret that is sent must be the present one: it cannot be chosen",
    )
    _raise(wrong, "invalid_client_metadata")


def check_subjects(wished: Client, present: Client) -> None:
    """Raises ProtocolError: with other subjects everybody would be a stranger to the client (OIDC Core 8.1)."""
    wrong = Reasons()
    wrong.unless(
        (wished.subject_type, wished.sector_identifier) == (present.subject_type, present.sector_identifier),
        "client.subjects",
        "subject_type and the sector of pairwise subjects are for good",
    )
    _raise(wrong, "invalid_client_metadata")


class Judge:
    """Judges what is asked for. `supported` is what the provider says about itself; nothing else can be registered."""

    def __init__(self, rules: Rules, supported: Mapping[str, Any]) -> None:
        self._rules, self._supported = rules, supported

    def client(self, document: Mapping[str, Any], client: Client, held: Mapping[str, Any] = NOTHING) -> Client:
        """The client with what it is registered with by this document. Raises ProtocolError.

        `held`: columns that are as an administrator decided, whatever the document says; they are no wishes.
        """
        if (statement := document.get("software_statement")) is not None:
            # What it says would count more than the rest of the request; leaving it out would register something else.
            error = "unapproved" if isinstance(statement, str) and statement.count(".") == 2 else "invalid"
            raise ProtocolError(f"{error}_software_statement", "no software statement is approved here")
        wrong = Reasons()
        columns = {**client_metadata.read(document, wrong), **held}
        columns["localized"] = client_metadata.localized(document, wrong)
        _raise(wrong, "invalid_client_metadata")
        given = {name for name, value in document.items() if value is not None} | set(held)
        self._fill_in(columns, given, held)
        # Everything else takes these two for granted.
        wrong.unless(
            columns["application_type"] in ("web", "native", "browser"),
            "client.application_type",
            "application_type is web or native",
        )
        wrong.unless(columns["profile"] in PROFILES, "client.profile", f"profile is one of {', '.join(PROFILES)}")
        _raise(wrong, "invalid_client_metadata")
        for column, value in columns.items():
            setattr(client, column, value)
        client_profile.follow(client)
        # Before it is checked: such a client keeps a secret of its own wherever it is installed (RFC 8252 8.4).
        client.registration_access_token_hash = NOBODY
        self._check_redirect_uris(client, are_decided="redirect_uris" in held)
        check_sector(client, wrong)
        wrong.checking(check, client)
        check_wishes(client, self._supported, wrong, held)
        if not (self._rules.allows_loopback or client.initiate_login_uri is None or "initiate_login_uri" in held):
            # OpenID Connect Registration 2 wants https, and knows no exception.
            wrong.unless(
                client.initiate_login_uri.startswith("https:"), "client.initiate_login", "initiate_login_uri is https"
            )
        _raise(wrong, "invalid_client_metadata")
        return client

    def _fill_in(self, columns: dict[str, Any], given: Collection[str], held: Collection[str]) -> None:
        """What was left out has the value that the specifications give it, or we (RFC 7591 2)."""
        columns["profile"] = columns["profile"] or "oidc"
        columns["token_endpoint_auth_method"] = columns["token_endpoint_auth_method"] or (
            "private_key_jwt" if columns["profile"] == "fapi2" else "client_secret_basic"
        )
        kind = columns["application_type"] or "web"
        is_in_the_page = kind == "web" and columns["token_endpoint_auth_method"] == "none"  # noqa: S105 - a method
        if "application_type" not in held:
            # To us `browser` is something that a request cannot say.
            columns["application_type"] = "browser" if is_in_the_page else "" if kind == "browser" else kind
        if "grant_types" not in given:
            columns["grant_types"] = ["authorization_code"]
        if "response_types" not in given:
            columns["response_types"] = ["code"] if "authorization_code" in columns["grant_types"] else []
        columns["subject_type"] = columns["subject_type"] or "public"
        columns["id_token_signed_response_alg"] = columns["id_token_signed_response_alg"] or (
            "ES256" if columns["profile"] == "fapi2" else "RS256"
        )
        refreshes = "refresh_token" in columns["grant_types"]
        scope = (value for value in self._supported["scopes_supported"] if value != OFFLINE or refreshes)
        columns["scope"] = " ".join(((columns["scope"] or "").strip() or " ".join(scope)).split())
        columns["session_activity"] = columns["session_activity"] or "none"
        columns["client_name"] = columns["client_name"] or _a_name(columns["redirect_uris"])

    def _check_redirect_uris(self, client: Client, are_decided: bool) -> None:
        wrong = Reasons()
        wrong.unless(
            bool(client.redirect_uris) or "authorization_code" not in client.grant_types,
            "client.redirect_uri_missing",
            "redirect_uris are missing",
        )
        wrong.unless(
            are_decided or len(client.redirect_uris) <= MOST_REDIRECT_URIS,
            "client.redirect_uris_many",
            f"a client that registers itself has at most {MOST_REDIRECT_URIS} redirect_uris",
        )
        for uri in client.redirect_uris:
            wrong.checking(check_uri, uri, client.application_type)
            # OpenID Connect Registration 2: localhost is for native applications.
            wrong.unless(
                are_decided
                or client.application_type == "native"
                or self._rules.allows_loopback
                or not is_on_loopback(uri),
                "client.redirect_uri_loopback",
                f"{uri!r}: only a native application has its redirect URI on the machine of its user",
            )
        _raise(wrong, "invalid_redirect_uri")


def _raise(wrong: Reasons, error: str) -> None:
    """Raises ProtocolError with everything that is wrong, if anything is."""
    try:
        wrong.raise_any()
    except Refusals as refused:
        raise ProtocolError(error, plain_description(refused.detail)) from refused


def _a_name(redirect_uris: Sequence[str]) -> str:
    """What an application that has no name is called: where it lives. Browsers show people the same."""
    first = redirect_uris[0] if redirect_uris else ""
    return (first.partition("://")[2].partition("/")[0] or first.partition(":")[0])[:200] or "?"
