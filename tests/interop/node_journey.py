"""Scripts of the folder `node` as processes that are talked to line by line."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live import LiveProvider
from tests.services.node import node_environment, node_executable, npm_ci

PACKAGE = Path(__file__).parent / "node"
REDIRECT_URI = "http://127.0.0.1:8001/callback"
POST_LOGOUT_REDIRECT_URI = "http://127.0.0.1:8001/signed-out"


class Journey:
    """A script that says where to go, and is told where somebody arrived. `more` are variables of its environment."""

    def __init__(
        self,
        folder: Path,
        provider: LiveProvider,
        client: tuple[str, str] = ("", ""),
        script: str = "journey.mjs",
        **more: str,
    ) -> None:
        self._process = subprocess.Popen(
            [node_executable(), script],
            cwd=folder,
            env={
                **node_environment(),
                "ISSUER": provider.issuer,
                "CLIENT_ID": client[0],
                "CLIENT_SECRET": client[1],
                "REDIRECT_URI": REDIRECT_URI,
                "POST_LOGOUT_REDIRECT_URI": POST_LOGOUT_REDIRECT_URI,
                **more,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def first_words(self) -> dict[str, Any]:
        """What it says before anybody goes anywhere."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.communicate(timeout=10)[1]
        said: dict[str, Any] = json.loads(line)
        return said

    def authorization_url(self) -> str:
        return str(self.first_words()["authorization_url"])

    def finish(self, callback: str) -> tuple[dict[str, Any] | None, str]:
        """What the library verified, or None, and what it complained of."""
        output, complaint = self._process.communicate(f"{callback}\n", timeout=60)
        return (json.loads(output) if self._process.returncode == 0 else None), complaint

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture(params=["off", "on"], ids=["no nonce", "nonce"])
def open_provider(database_url: str, request: pytest.FixtureRequest) -> Iterator[LiveProvider]:
    """A provider at which applications register themselves, with nonces of its own in proofs of keys or without."""
    live = LiveProvider(
        database_url,
        registration={"mode": "open", "allow_loopback": True},
        tokens={"dpop_nonce": request.param},
    )
    try:
        yield live.start()
    finally:
        live.stop()


@pytest.fixture(scope="session")
def package() -> Path:
    return npm_ci(PACKAGE)
