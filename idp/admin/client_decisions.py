"""What an administrator decided about a client that registered itself holds, whatever the client sends (RFC 7592 2.2).

    remember          an administrator set these
    own               what a client says of the rest
    held              what was decided, in place of what the client says of that
    become_stranger   a client that moved has nothing that it could not register for itself

The client is told what holds, by the answer to its request; a server may replace what was asked for. What stands beside
a decision and does not go with it is refused as always.
"""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from idp.admin.client_metadata import LOCALIZED, MEMBERS
from idp.admin.client_wishes import GRANTS
from idp.oidc.clients import SCOPES, Client

# Whether a secret is kept depends on the kind of application too.
CREDENTIALS = frozenset(
    {"application_type", "token_endpoint_auth_method", "token_endpoint_auth_signing_alg", "jwks", "jwks_uri"}
)
# Where one is decided, these are too: else it would be dodged by what stands beside it.
TOGETHER: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "jwks": CREDENTIALS,
        "jwks_uri": CREDENTIALS,
        "token_endpoint_auth_method": frozenset({"application_type"}),
        # A native application may use each port of a loopback address (RFC 8252 7.3).
        "redirect_uris": frozenset({"application_type"}),
    }
)


def remember(client: Client, columns: Collection[str]) -> None:
    """These are not the client's own to change any more. Nobody but an administrator changes any other client."""
    if client.registered_itself:
        client.decided = sorted({*client.decided, *columns})


def own(document: Mapping[str, Any], client: Client) -> dict[str, Any]:
    """The metadata that this client has a say in, of what it sends: also a name in some language is as an administrator
    has it.
    """
    decided = _decided(client)
    names = {name for name, member in MEMBERS.items() if member.column in decided}
    said = {name: value for name, value in document.items() if _without_language(name) not in names}
    localized = {name: value for name, value in client.localized.items() if _without_language(name) in names}
    return said | localized


def held(client: Client) -> dict[str, Any]:
    """The columns of metadata that the client has no say in. No limit for what is sent is one for them."""
    decided = _decided(client)
    return {member.column: getattr(client, member.column) for member in MEMBERS.values() if member.column in decided}


def become_stranger(client: Client) -> list[str]:
    """What an administrator allowed is gone, unless every client may have it; which columns. What was forbidden stays
    so, and what was decided is not the client's to change.
    """
    left = {
        "first_party": False,
        "session_activity": "none",
        "grant_types": [grant for grant in client.grant_types if grant in GRANTS],
        "scope": " ".join(value for value in client.scope.split() if value in SCOPES),
        "resources": [],
    }
    gone = [name for name, value in left.items() if getattr(client, name) != value]
    for name in gone:
        setattr(client, name, left[name])
    return gone


def _decided(client: Client) -> frozenset[str]:
    decided = frozenset(client.decided)
    with_them = frozenset[str]().union(*(TOGETHER.get(name, frozenset()) for name in decided))
    return decided | with_them | (CREDENTIALS if _has_rights_of_its_own(client, decided) else frozenset())


def _has_rights_of_its_own(client: Client, decided: Collection[str]) -> bool:
    """True when its credentials alone open something, because an administrator trusts whoever has these."""
    for_itself = "grant_types" in decided and "client_credentials" in client.grant_types
    return for_itself or ("resources" in decided and bool(client.resources))


def _without_language(name: str) -> str:
    match = LOCALIZED.fullmatch(name)
    return match[1] if match else name
