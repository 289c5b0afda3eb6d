"""oidc-provider as a process of its own (`peer/provider.mjs`), at an address of this machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from idp.oidc import claims, clients, dpop, keys
from idp.oidc.discovery import AUTHENTICATION_ALGORITHMS
from idp.oidc.signatures import ASYMMETRIC
from tests.interop.differential.clients import CLIENTS, for_peer
from tests.services.node import node_environment, node_executable, npm_ci
from tests.services.ports import free_port
from tests.services.processes import ChildProcess

PACKAGE = Path(__file__).parent.parent / "peer"


@contextmanager
def running(folder: Path, secrets: Mapping[str, str | None], person: Mapping[str, Any]) -> Iterator[str]:
    """Its issuer, while it runs with the same clients, secrets and person as ours. Raises ProcessFailed."""
    port = free_port()
    issuer = f"http://localhost:{port}"
    configuration = {
        "port": port,
        "issuer": issuer,
        "clients": [for_peer(client_id, client, secrets[client_id]) for client_id, client in CLIENTS.items()],
        "person": person,
        "acr_values": [f"{issuer}/acr/{level}" for level in (1, 2, 3)],
        "scopes": [*clients.SCOPES, "orders:read", "orders:write"],
        "claims": {scope: list(names) for scope, names in claims.BY_SCOPE.items()},
        "algorithms": {
            "clientAuthSigningAlgValues": AUTHENTICATION_ALGORITHMS,
            "idTokenSigningAlgValues": keys.ALGORITHMS,
            "userinfoSigningAlgValues": keys.ALGORITHMS,
            "introspectionSigningAlgValues": keys.ALGORITHMS,
            "requestObjectSigningAlgValues": ASYMMETRIC,
            "dPoPSigningAlgValues": dpop.ALGORITHMS,
        },
    }
    file = folder / "peer.json"
    file.write_text(json.dumps(configuration))
    child = ChildProcess(
        [node_executable(), "provider.mjs"],
        environment={**node_environment(), "PEER": str(file)},
        folder=npm_ci(PACKAGE),
    )
    with child:
        child.wait_for_output("ready")
        yield issuer
