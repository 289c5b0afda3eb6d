"""The requests of `docs/relying-applications.md`, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, send_file

from idp.demo.server import serving
from tests.live import LiveProvider

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "relying-applications.md"
OWN = "http://127.0.0.1:5000"
REDIRECT_URI, SIGNED_OUT = f"{OWN}/callback", f"{OWN}/signed-out"
KEYS = "https://rooster.example.org/jwks.json"
COMMAND = ".venv/bin/idp --config ~/demo/idp.toml"

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

    def __init__(self, issuer: str, folder: Path, own: str = OWN, **variables: str) -> None:
        """`own`: where the application shows its keys."""
        self._issuer, self._own, self._folder, self._kept = issuer, own, folder, folder / "variables"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.variables = {"PATH": path, "no_proxy": "*", **variables}

    def run(self, block: str) -> str:
        """What the commands print. Nothing may fail on the way."""
        commands = block.replace("http://localhost:8000", self._issuer)
        commands = commands.replace(KEYS, f"{self._own}/jwks.json")
        commands = commands.replace(COMMAND, f"{sys.executable} -m idp.cli")
        done = subprocess.run(
            ["bash", "-c", f"set -aeuo pipefail\n{commands}\nenv -0 > {self._kept}"],
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=60,
            cwd=self._folder,
        )
        assert done.returncode == 0, done.stderr
        self.variables |= dict(each.split("=", 1) for each in self._kept.read_text().split("\0") if each)
        return done.stdout.strip()


def fenced(after: str, before: str) -> list[tuple[str, str]]:
    """The blocks of a part of the document, each with its language."""
    section = DOCUMENT.read_text().partition(after)[2].partition(before)[0]
    return re.findall(r"^```(\w*)\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def blocks() -> dict[str, str]:
    """The commands that speak with the provider, by a word that stands in each of them alone."""
    found = [
        block
        for language, block in fenced("## The same in plain requests", "## The two endpoints")
        if not language and "http://localhost:8000/" in block
    ]
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


# The rest of the protocol

REST = (
    "client token add",
    "REGISTERED=",
    "-X PUT",
    '"$AS/par"',
    '"$AS/userinfo"',
    '"$AS/revoke"',
    "client_credentials",
    "-X DELETE",
)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[str]:
    """Where the application shows its public keys."""
    app = Flask("tests.interop.keys", static_folder=None)
    app.add_url_rule("/jwks.json", "jwks", lambda: send_file(tmp_path / "jwks.json"))
    with serving(app, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.mark.parametrize("mode", ["open", "token"])
def test_rest_of_the_document_registers_pushes_binds_asks_and_gives_back(
    database_url: str, tmp_path: Path, own: str, mode: str
) -> None:
    live = LiveProvider(database_url, registration={"mode": mode})
    try:
        rest_of_the_document(live.start(), tmp_path, own, mode)
    finally:
        live.stop()


def rest_of_the_document(live: LiveProvider, folder: Path, own: str, mode: str) -> None:
    parts = fenced("## The rest of the protocol", "## Nothing comes after it")
    (signing,) = [block for language, block in parts if language == "python"]
    commands = [block for language, block in parts if not language]
    blocks_of_rest = {word: block for word in REST for block in commands if word in block}
    assert sorted(blocks_of_rest.values()) == sorted(commands), "commands of the document are not tried"

    (folder / "sign.py").write_text(signing)
    shell = Shell(live.issuer, folder, own, **{**live.environment, "PYTHONPATH": str(DOCUMENT.parents[1])})
    (folder / "jwks.json").write_text(shell.run("python3 sign.py keys"))

    def told(word: str) -> str:
        return shell.run(blocks_of_rest[word])

    if mode == "token":
        told("client token add")
    told("REGISTERED=")
    assert "registration_access_token" in shell.variables["REGISTERED"], shell.variables["REGISTERED"]
    assert json.loads(told("-X PUT"))["frontchannel_logout_uri"] == "https://rooster.example.org/frontchannel-logout"

    shell.run(blocks()["/authorize?"])
    page = live.browser().open(told('"$AS/par"')).submit(live.anna.names, button="login-submit")
    back = parameters(page.submit(button="consent-allow").departure.url)
    assert back["state"] == shell.variables["STATE"]
    shell.variables["CODE"] = back["code"]
    assert json.loads(told('"$AS/userinfo"'))["sub"] == live.anna.sub
    assert json.loads(shell.variables["TOKENS"])["token_type"] == "DPoP"

    before, given_back, after = map(json.loads, told('"$AS/revoke"').splitlines())
    assert before["client_id"] == shell.variables["CLIENT_ID"]
    assert (given_back, after) == ({}, {"active": False})

    asked = json.loads(told("client_credentials"))
    assert (asked["client_id"], asked["aud"]) == ("nachtwerk", "https://planning.example.org/")
    assert told("-X DELETE") == "204"
    refused = shell.run('curl -s http://localhost:8000/introspect -d "$(who)" -d token=x')
    assert json.loads(refused)["error"] == "invalid_client"
