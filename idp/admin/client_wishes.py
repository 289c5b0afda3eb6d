"""What else is wrong with a client: what it wishes for its requests, its tokens and its subjects, and what it shows.

`supported` is what the provider says about itself (`oidc.discovery`): nothing that is not advertised can be registered.
"""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

from idp.admin.refusals import Reasons
from idp.oidc.clients import LOOPBACK_HOSTS, SUBJECT_TYPES, Client
from idp.oidc.clients import check_redirect_uri as check_uri

# Column -> the list of the provider that holds its values.
ONE_OF = {
    "subject_type": "subject_types_supported",
    "id_token_signed_response_alg": "id_token_signing_alg_values_supported",
    "userinfo_signed_response_alg": "userinfo_signing_alg_values_supported",
    "introspection_signed_response_alg": "introspection_signing_alg_values_supported",
    "request_object_signing_alg": "request_object_signing_alg_values_supported",
    "token_endpoint_auth_method": "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg": "token_endpoint_auth_signing_alg_values_supported",
}
# What somebody whom nobody knows may have: nothing for itself, and no scope of one's own that another server believes.
GRANTS = ("authorization_code", "refresh_token")
# Column -> what the provider says when it can do that.
IF_SAID = {
    "require_pushed_authorization_requests": "pushed_authorization_request_endpoint",
    "require_signed_request_object": "request_object_signing_alg_values_supported",
    "dpop_bound_access_tokens": "dpop_signing_alg_values_supported",
    "request_uris": "request_uri_parameter_supported",
}


def check_wishes(
    client: Client, supported: Mapping[str, Any], wrong: Reasons, decided: Collection[str] = frozenset()
) -> None:
    """Everything of this that is wrong. Columns that an administrator decided about are no wishes."""
    _check_support(client, supported, wrong, decided)
    _check_flows(client, wrong)
    if "session_activity" not in decided:
        # Else anybody's application could let the session of all applications live on, with nobody there.
        wrong.unless(
            client.session_activity in ("", "none"),
            "client.session_activity_given",
            "session_activity is none for a client that registers itself; an administrator can give it another",
        )
    # A fragment of a request URI tells versions of what stands there apart (OIDC Core 6.2).
    shown = [uri for name, uri in client.localized.items() if not name.startswith("client_name")]
    for uri in (client.logo_uri, client.sector_identifier_uri, *client.request_uris, *shown):
        if uri is not None:
            wrong.checking(check_uri, uri.partition("#")[0] if uri in client.request_uris else uri, "web")


def _check_support(client: Client, supported: Mapping[str, Any], wrong: Reasons, decided: Collection[str]) -> None:
    for column, names in ONE_OF.items():
        value, values = getattr(client, column), supported.get(names, ())
        wrong.unless(column in decided or value is None or value in values, f"client.{column}", _one_of(column, values))
    for column, given, values in (
        ("response_types", client.response_types, supported["response_types_supported"]),
        ("grant_types", client.grant_types, GRANTS),
        ("scope", client.scope.split(), supported["scopes_supported"]),
    ):
        wrong.unless(column in decided or set(given) <= set(values), f"client.{column}", _one_of(column, values))
    for column, name in IF_SAID.items():
        wrong.unless(
            not getattr(client, column) or bool(supported.get(name)),
            f"client.{column}",
            f"{column} is not supported here",
        )


def _one_of(column: str, values: Any) -> str:
    return f"{column} is one of {', '.join(values)}" if values else f"{column} is not supported here"


def _check_flows(client: Client, wrong: Reasons) -> None:
    """RFC 7591 2.1: how somebody is sent to us, and what the answer is exchanged for, go together."""
    wrong.unless(
        "authorization_code" in client.grant_types,
        "client.grant_types",
        "a client that registers itself signs people in: it has the grant authorization_code",
    )
    wants_code = any("code" in value.split() for value in client.response_types)
    wrong.unless(
        wants_code == ("authorization_code" in client.grant_types),
        "client.flows",
        "response_types with code and the grant authorization_code go together",
    )


def check_sector(client: Client, wrong: Reasons) -> None:
    """`sector_identifier` is the host that the client's subjects are computed for (OIDC Core 8.1); wrong when there is
    none, or more than one.
    """
    client.sector_identifier = None
    if client.subject_type not in SUBJECT_TYPES or client.subject_type == "public":
        return
    if client.sector_identifier_uri is not None:
        client.sector_identifier = host_of(client.sector_identifier_uri)
        return
    hosts = {host_of(uri) for uri in client.redirect_uris}
    if client.application_type == "native":
        # The machine of whoever opens it is no sector: applications of anybody live there.
        hosts -= set(LOOPBACK_HOSTS)
    client.sector_identifier = hosts.pop() if len(hosts) == 1 else None
    wrong.unless(
        client.sector_identifier is not None,
        "client.sector",
        "pairwise subjects for redirect URIs on several hosts, or on none, need a sector_identifier_uri",
    )


def host_of(uri: str) -> str | None:
    """The host of a web address."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return None
    return parts.hostname if parts.scheme in ("http", "https") else None


def is_on_loopback(uri: str) -> bool:
    """True for an address on the machine of whoever opens it."""
    return host_of(uri) in LOOPBACK_HOSTS
