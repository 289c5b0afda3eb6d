"""What an administrator decided about a client that registered itself holds, whatever the client sends (RFC 7592 2.2).

    remember    an administrator set these
    counting    the metadata that a client sends, with what was decided in place of what it says of that

The client is told what holds, by the answer to its request; a server may replace what was asked for. What stands beside
a decision and does not go with it is refused as always.
"""

from collections.abc import Collection, Mapping
from typing import Any

from idp.admin.client_metadata import LOCALIZED, MEMBERS
from idp.oidc.clients import Client

# Keys are in one place: where one is decided, the other is too.
TOGETHER = frozenset({"jwks", "jwks_uri"})


def remember(client: Client, columns: Collection[str]) -> None:
    """These are not the client's own to change any more. Nobody but an administrator changes any other client."""
    if client.registered_itself:
        client.decided = sorted({*client.decided, *columns})


def decided_of(client: Client) -> frozenset[str]:
    """The columns that the client has no say in."""
    return frozenset(client.decided) | (TOGETHER if TOGETHER & set(client.decided) else frozenset())


def counting(document: Mapping[str, Any], client: Client) -> dict[str, Any]:
    """The metadata that counts, of what this client sends: also a name in some language is as an administrator has it.

    A member without a value is as good as absent.
    """
    decided = decided_of(client)
    names = {name for name, member in MEMBERS.items() if member.column in decided}
    own = {name: value for name, value in document.items() if _without_language(name) not in names}
    held = {name: getattr(client, MEMBERS[name].column) for name in names}
    localized = {name: value for name, value in client.localized.items() if _without_language(name) in names}
    return own | held | localized


def _without_language(name: str) -> str:
    match = LOCALIZED.fullmatch(name)
    return match[1] if match else name
