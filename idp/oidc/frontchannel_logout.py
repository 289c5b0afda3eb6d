"""Front-channel logout (OIDC Front-Channel Logout 1.0): clients whose page is loaded in a frame when somebody logs out.

`iss` and `sid` are always sent, both, whether or not the client registered that it needs them (3): browsers keep the
cookies of other sites from frames, so most clients know the session by them alone.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from idp.kernel.uris import with_query
from idp.oidc.clients import Client, origin

# What stands in the policy of a page must not be able to say more there than one host.
_PLAIN_ORIGIN = re.compile(r"https?://[a-z0-9._\-]+(:\d+)?|https?://\[[0-9a-f:.]+\](:\d+)?")


@dataclass(frozen=True)
class Frame:
    """One client's page: the address to load, and the origin that the policy has to allow."""

    client_name: str
    address: str
    origin: str


def is_reachable(client: Client) -> bool:
    """True for a client that is told by its page in a frame."""
    return _origin(client) is not None


def frames(clients: Iterable[Client], issuer: str, sid: str) -> Sequence[Frame]:
    """A frame for each of these clients that registered a page; a query that it registered is kept (2)."""
    found = []
    for client in clients:
        uri, allowed = client.frontchannel_logout_uri, _origin(client)
        if uri and allowed:
            address = with_query(uri, [("iss", issuer), ("sid", sid)])
            found.append(Frame(client.client_name, address, allowed))
    return tuple(found)


def _origin(client: Client) -> str | None:
    found = origin(client.frontchannel_logout_uri) if client.frontchannel_logout_uri else None
    return found if found is not None and _PLAIN_ORIGIN.fullmatch(found) else None
