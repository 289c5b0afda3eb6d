"""Under which name a client knows a person (OIDC Core 8).

    public      the account's `sub`, the same for every such client
    pairwise    a keyed hash of the client's sector and the account's `sub` (8.1): clients of one sector know the person
                by one name, those of another sector by another, and the names do not tell that they are the same person

While somebody is signed in, `sid` does tell: it names the session, and is the same for all clients that take part.

The key comes from the OLDEST secret key that is configured, since these names have to outlive a change of the secret
key: dropping that key from `previous_secret_keys` makes everybody a stranger to every pairwise client.
"""

from urllib.parse import urlsplit

from idp.accounts.models import Account
from idp.kernel.secrets import DerivedKeys
from idp.oidc.clients import Client

PURPOSE = "pairwise_subject"


class Subjects:
    """Knows the name of an account for a client."""

    def __init__(self, keys_of_oldest_secret: DerivedKeys) -> None:
        self._keys = keys_of_oldest_secret

    def of(self, client: Client, account: Account) -> str:
        """The `sub` of the account for this client, in every token and response."""
        return self.of_sub(client, account.sub)

    def of_sub(self, client: Client, sub: str) -> str:
        """As `of`, by the account's own `sub`."""
        if client.subject_type != "pairwise":
            return sub
        if not client.sector_identifier:
            raise RuntimeError(f"the pairwise client {client.client_id} has no sector")
        return self._keys.mac_text(PURPOSE, client.sector_identifier, sub)


def hosts_of(client: Client) -> set[str]:
    """The hosts of the redirect URIs, of which a sector without a document of its own has exactly one (8.1)."""
    return {urlsplit(uri).hostname or "" for uri in client.redirect_uris}
