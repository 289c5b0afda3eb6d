"""What the page of the issuer gives developers to copy, run as it stands there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, session

from tests.interop.node_journey import PACKAGE
from tests.live import LiveProvider
from tests.oidc.journeys import VERIFIER, challenge_of
from tests.services.node import node_environment, node_executable, npm_ci
from tests.web.reading import Element
from tests.web.reading import Page as ReadPage

REDIRECT_URI = "http://127.0.0.1:5000/callback"
NAMES = ("configuration", "registration", "authorization", "token", "userinfo", "openid_client", "authlib")


@pytest.fixture(scope="module", params=[("", "open"), ("/aan/melden", "token")], ids=["open", "below a path"])
def provider(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveProvider]:
    """A provider whose page is read by somebody whose applications may register themselves."""
    path, mode = request.param
    database = tmp_path_factory.mktemp("issuer_page") / "idp.db"
    shutil.copyfile(sqlite_template, database)
    live = LiveProvider(f"sqlite:///{database}", path=path, registration={"mode": mode})
    try:
        yield live.start()
    finally:
        live.stop()


def examples(provider: LiveProvider) -> dict[str, str]:
    """Name -> what a person copies, character by character."""
    page = ReadPage.read(provider.browser().open(f"{provider.issuer}/").body).root
    blocks = [element for element in page.all("code") if element.attributes.get("id", "").startswith("example-")]
    return {element.attributes["id"].removeprefix("example-"): _characters(element) for element in blocks}


def _characters(element: Element) -> str:
    return "".join(child if isinstance(child, str) else _characters(child) for child in element.children)


class Shell:
    """A shell whose variables live from one command to the next."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self._kept = folder / "variables"
        self.variables = {"PATH": os.environ["PATH"], "no_proxy": "*", **variables}

    def run(self, command: str) -> str:
        """What the command prints. Nothing may fail on the way."""
        done = subprocess.run(
            ["bash", "-c", f"set -aeuo pipefail\n{command}\nenv -0 > {self._kept}"],
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        self.variables |= dict(each.split("=", 1) for each in self._kept.read_text().split("\0") if each)
        return done.stdout.strip()

    def told(self, command: str) -> Any:
        return json.loads(self.run(command))


def parameters(url: str) -> dict[str, str]:
    return {name: value for name, (value,) in parse_qs(urlsplit(url).query).items()}


def test_examples_of_the_page_register_an_application_and_sign_somebody_in(
    provider: LiveProvider, tmp_path: Path
) -> None:
    shown = examples(provider)
    assert tuple(shown) == NAMES, "an example is not tried"
    client_id, secret = provider.add_client("shell", REDIRECT_URI)
    shell = Shell(tmp_path, CLIENT_ID=client_id, CLIENT_SECRET=secret, REDIRECT_URI=REDIRECT_URI)
    assert shell.told(shown["configuration"])["issuer"] == provider.issuer
    if "INITIAL_ACCESS_TOKEN" in shown["registration"]:
        with provider.app.app_context():
            shell.variables["INITIAL_ACCESS_TOKEN"] = provider.services.initial_access_tokens.add("een leverancier")[1]
    registered = shell.told(shown["registration"])
    assert registered["client_name"] == "Example" and registered["client_secret"]
    back = parameters(provider.sign_in(shell.run(shown["authorization"])))
    assert (back["state"], back["iss"]) == (shell.variables["STATE"], provider.issuer)
    shell.variables["CODE"] = back["code"]
    tokens = shell.told(shown["token"])
    assert {"access_token", "id_token"} <= set(tokens)
    shell.variables["ACCESS_TOKEN"] = tokens["access_token"]
    assert shell.told(shown["userinfo"])["sub"] == provider.anna.sub


def test_lines_for_openid_client_configure_it(provider: LiveProvider, tmp_path: Path) -> None:
    client_id, secret = provider.add_client("openid-client", REDIRECT_URI)
    lines = examples(provider)["openid_client"]
    code = parameters(provider.sign_in(authorization_url(provider, client_id)))["code"]
    script = npm_ci(PACKAGE) / f"issuer-page-{os.getpid()}.mjs"
    # The library as it is configured by these lines redeems a code.
    script.write_text(
        lines
        + f"""
const back = new URL("{REDIRECT_URI}?code={code}&iss=" + encodeURIComponent("{provider.issuer}"));
const tokens = await client.authorizationCodeGrant(config, back, {{ pkceCodeVerifier: "{VERIFIER}" }});
console.log(JSON.stringify(tokens.claims()));
"""
    )
    try:
        done = subprocess.run(
            [node_executable(), script],
            cwd=script.parent,
            env={**node_environment(), "CLIENT_ID": client_id, "CLIENT_SECRET": secret},
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        script.unlink()
    assert done.returncode == 0, done.stderr
    claims = json.loads(done.stdout)
    assert (claims["iss"], claims["sub"]) == (provider.issuer, provider.anna.sub)


def authorization_url(provider: LiveProvider, client_id: str) -> str:
    return (
        f"{provider.issuer}/authorize?response_type=code&client_id={client_id}&redirect_uri={REDIRECT_URI}"
        f"&scope=openid&code_challenge={challenge_of(VERIFIER)}&code_challenge_method=S256"
    )


def test_lines_for_authlib_configure_it(provider: LiveProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    client_id, secret = provider.add_client("authlib", REDIRECT_URI)
    for name, value in {"CLIENT_ID": client_id, "CLIENT_SECRET": secret, "no_proxy": "*"}.items():
        monkeypatch.setenv(name, value)
    app = Flask("rooster")
    app.secret_key = "of this test alone"
    names: dict[str, Any] = {"app": app}
    exec(examples(provider)["authlib"], names)  # noqa: S102 - as somebody does who copies it
    there = names["oauth"].idp
    with app.test_request_context("/login", base_url="http://127.0.0.1:5000"):
        asked = there.authorize_redirect(REDIRECT_URI).headers["Location"]
        kept = dict(session)
    assert parameters(asked)["scope"] == "openid profile email" and parameters(asked)["code_challenge_method"] == "S256"
    back = urlsplit(provider.sign_in(asked))
    with app.test_request_context(f"{back.path}?{back.query}", base_url="http://127.0.0.1:5000"):
        session.update(kept)
        claims = there.authorize_access_token()["userinfo"]
    assert (claims["iss"], claims["sub"]) == (provider.issuer, provider.anna.sub)
