"""Both providers at once, with the same clients and the same person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.interop.differential import peer
from tests.interop.differential.clients import CLIENTS, for_ours
from tests.interop.differential.site import Site
from tests.live import LiveProvider


@contextmanager
def running(database_url: str, folder: Path) -> Iterator[tuple[Site, Site]]:
    """Ours and the peer, while they run."""
    live = LiveProvider(database_url, registration={"mode": "open", "max_per_minute": 10_000})
    try:
        live.start()
        secrets = {name: live.make.client(name, **for_ours(client)).secret for name, client in CLIENTS.items()}
        ours = Site(live.issuer, secrets, live.anna.names)
        told = ours.get(
            ours.address("userinfo"),
            {"Authorization": f"Bearer {ours.tokens('basic')['access_token']}"},
        ).json()
        person = {"sub": told["sub"], "claims": told}
        with peer.running(folder, secrets, person) as issuer:
            yield ours, Site(issuer, secrets, live.anna.names)
    finally:
        live.stop()
