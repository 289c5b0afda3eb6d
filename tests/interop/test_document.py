"""The requests of `docs/relying-applications.md`, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.live import LiveProvider

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "relying-applications.md"
REDIRECT_URI, SIGNED_OUT = "http://127.0.0.1:5000/callback", "http://127.0.0.1:5000/signed-out"

WORDS = (
    "openid-configuration",
    "/authorize?",
    "/token ",
    "/session/status",
    "/session/activity -u",
    "/end_session?",
    "Bearer",
)

pytestmark = pytest.mark.skipif(shutil.which("jq") is None or shutil.which("curl") is None, reason="needs curl and jq")


class Shell:
    """A shell at a provider, whose variables live from one block of commands to the next."""

    def __init__(self, issuer: str, folder: Path, **variables: str) -> None:
        self._issuer, self._kept = issuer, folder / "variables"
        self.variables = {"PATH": os.environ["PATH"], "no_proxy": "*", **variables}

    def run(self, block: str) -> str:
        """What the commands print. Nothing may fail on the way."""
        assert "http://localhost:8000/" in block
        commands = block.replace("http://localhost:8000", self._issuer)
        done = subprocess.run(
            ["bash", "-c", f"set -aeuo pipefail\n{commands}\nenv -0 > {self._kept}"],
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        self.variables |= dict(each.split("=", 1) for each in self._kept.read_text().split("\0") if each)
        return done.stdout.strip()


def blocks() -> dict[str, str]:
    """The commands that speak with the provider, by a word that stands in each of them alone."""
    section = DOCUMENT.read_text().partition("## The same in plain requests")[2].partition("## The two endpoints")[0]
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    found = [block for language, block in fenced if not language and "http://localhost:8000/" in block]
    named = {word: block for word in WORDS for block in found if word in block}
    assert sorted(named.values()) == sorted(found), "a request of the document is not tried"
    return named


def parameters(url: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}


def test_requests_of_the_document_sign_in_tell_of_activity_and_log_out(
    live_provider: LiveProvider, tmp_path: Path
) -> None:
    _, secret = live_provider.add_client(
        "rooster", REDIRECT_URI, post_logout_redirect_uris=[SIGNED_OUT], session_activity="reported"
    )
    shell, requests = Shell(live_provider.issuer, tmp_path, ROOSTER_SECRET=secret), blocks()

    def told(word: str) -> Any:
        return json.loads(shell.run(requests[word]))

    assert all(told("openid-configuration").values())
    browser = live_provider.browser()
    back = parameters(live_provider.sign_in(shell.run(requests["/authorize?"]), browser))
    assert back["state"] == shell.variables["STATE"]
    shell.variables["CODE"] = back["code"]
    shell.run(requests["/token "])
    status = told("/session/status")
    assert status["active"] is True and status["sid"] == shell.variables["SID"]
    (example,) = re.findall(r'^\{"active": true, .*\}$', DOCUMENT.read_text(), re.MULTILINE)
    assert json.loads(example).keys() == status.keys()
    assert told("/session/activity -u")["active"] is True
    assert told("Bearer")["active"] is True

    address = shell.run(requests["/end_session?"])
    left = browser.open(address).departure.url
    assert left.startswith(SIGNED_OUT) and parameters(left)["state"] == parameters(address)["state"]
    assert told("/session/status") == {"active": False}
