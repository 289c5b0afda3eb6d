"""npm's openid-client at the provider."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from idp.oidc.keys import ALGORITHMS
from tests.live import LiveProvider
from tests.services.node import node_environment, node_executable, npm_ci

PACKAGE = Path(__file__).parent / "node"
REDIRECT_URI = "http://127.0.0.1:8001/callback"
POST_LOGOUT_REDIRECT_URI = "http://127.0.0.1:8001/signed-out"


class Journey:
    """The script `journey.mjs` as a process that is talked to line by line."""

    def __init__(self, folder: Path, provider: LiveProvider, client: tuple[str, str]) -> None:
        self._process = subprocess.Popen(
            [node_executable(), "journey.mjs"],
            cwd=folder,
            env={
                **node_environment(),
                "ISSUER": provider.issuer,
                "CLIENT_ID": client[0],
                "CLIENT_SECRET": client[1],
                "REDIRECT_URI": REDIRECT_URI,
                "POST_LOGOUT_REDIRECT_URI": POST_LOGOUT_REDIRECT_URI,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def authorization_url(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, self._process.communicate(timeout=10)[1]
        url: str = json.loads(line)["authorization_url"]
        return url

    def finish(self, callback: str) -> tuple[dict[str, Any] | None, str]:
        """What the library verified, or None, and what it complained of."""
        output, complaint = self._process.communicate(f"{callback}\n", timeout=60)
        return (json.loads(output) if self._process.returncode == 0 else None), complaint

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@pytest.fixture(scope="session")
def package() -> Path:
    return npm_ci(PACKAGE)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_openid_client_signs_somebody_in_refreshes_and_logs_out(
    live_provider: LiveProvider, package: Path, alg: str
) -> None:
    client = live_provider.add_client(
        "node",
        REDIRECT_URI,
        post_logout_redirect_uris=[POST_LOGOUT_REDIRECT_URI],
        id_token_signed_response_alg=alg,
    )
    journey, browser = Journey(package, live_provider, client), live_provider.browser()
    try:
        callback = live_provider.sign_in(journey.authorization_url(), browser)
        verified, complaint = journey.finish(callback)
    finally:
        journey.stop()
    assert verified is not None, complaint
    assert verified["claims"]["sub"] == verified["userinfo"]["sub"] == live_provider.anna.sub
    assert verified["claims"]["iss"] == live_provider.issuer
    assert verified["userinfo"]["name"] == "Anna de Wit"
    assert verified["refreshed"]["sub"] == live_provider.anna.sub
    assert verified["refreshed"]["auth_time"] == verified["claims"]["auth_time"]
    assert browser.open(verified["end_session_url"]).departure.url == POST_LOGOUT_REDIRECT_URI


def test_openid_client_refuses_our_response_under_another_issuer(live_provider: LiveProvider, package: Path) -> None:
    client = live_provider.add_client("node", REDIRECT_URI)
    journey = Journey(package, live_provider, client)
    try:
        callback = live_provider.sign_in(journey.authorization_url())
        assert "&iss=" in callback
        verified, complaint = journey.finish(callback.replace("&iss=http", "&iss=https"))
    finally:
        journey.stop()
    assert verified is None
    assert 'unexpected "iss"' in complaint, complaint
