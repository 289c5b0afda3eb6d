"""The issuer that the suite needs: https, by a proxy on this machine that ends TLS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Browser
from sqlalchemy import select

from idp.audit.trail import AuditEvent
from idp.demo.provider import services_of
from idp.kernel.clock import SystemClock
from idp.settings import load
from tests.certification.automation import Automation
from tests.certification.conftest import configuration
from tests.certification.party import WITHOUT_PKCE, Provider, finish
from tests.certification.suite import Suite
from tests.certification.test_fapi2 import PLAN, Client
from tests.demo.command import Demo, base_port, running
from tests.services.processes import ProcessFailed
from tests.services.tls_proxy import TlsProxy

# One demonstration, not one in each process of the tests.
pytestmark = pytest.mark.xdist_group("certification-behind_tls")

BASIC = "oidcc-basic-certification-test-plan"


@dataclass(frozen=True)
class Certified:
    demo: Demo
    provider: Provider
    data: Path


@pytest.fixture(scope="module")
def certified(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Certified]:
    """`idp demo --certification --issuer https://...` in a folder to keep, behind a proxy that speaks TLS."""
    folder = tmp_path_factory.mktemp("tls")
    behind = base_port()
    with TlsProxy({"localhost": behind}, folder) as proxy:
        issuer = f"https://localhost:{proxy.port}"
        arguments = ("--certification", "--suite", suite.url, "--issuer", issuer, "--data", str(folder / "data"))
        with running(folder, *arguments, IDP_DEMO_PORT=str(behind)) as demo:
            yield Certified(demo, Provider(issuer, proxy.authority.file), folder / "data")


@pytest.fixture
def visitor(browser: Browser, certified: Certified, suite: Suite) -> Iterator[Automation]:
    context = browser.new_context(locale="en-US", ignore_https_errors=True)
    context.set_default_timeout(30_000)
    suite.forget()
    yield Automation(context, configuration(certified.demo, BASIC), "oidcc-server")
    context.close()


def test_every_address_of_the_metadata_is_https_and_below_the_issuer(certified: Certified) -> None:
    metadata, issuer = certified.provider.metadata, certified.provider.issuer
    addresses = [value for name, value in metadata.items() if name.endswith("_endpoint") or name == "jwks_uri"]
    assert certified.demo.answer["issuer"] == metadata["issuer"] == issuer
    assert len(addresses) >= 10 and all(address.startswith(f"{issuer}/") for address in addresses)


def test_registered_client_signs_in_by_cookies_for_https_alone_and_unregisters(
    certified: Certified, visitor: Automation, suite: Suite
) -> None:
    registered = certified.provider.register(suite)
    party = certified.provider.party(registered)
    asked = party.authorization_request(**WITHOUT_PKCE)
    visitor.visit(asked.url)
    tokens = finish(party, asked, suite.next("callback"))
    assert party.userinfo(tokens)["sub"] == tokens.claims["sub"]
    cookies = visitor.cookies_of(certified.provider.issuer)
    assert cookies and all(cookie["name"].startswith("__Host-") and cookie["secure"] for cookie in cookies)
    assert certified.provider.unregister(registered) == 204


def test_client_of_fapi2_gets_tokens_that_are_bound_to_its_key(
    certified: Certified, browser: Browser, suite: Suite
) -> None:
    context = browser.new_context(locale="en-US", ignore_https_errors=True)
    obeying = Automation(context, configuration(certified.demo, PLAN), "fapi2-security-profile-final-happy-flow")
    client = Client(certified.provider, suite, obeying, "client")
    asked, address = client.pushed()
    obeying.visit(address)
    tokens = client.finish(asked, suite)
    assert client.party.userinfo_request(tokens.access_token).status == 200
    context.close()


def test_what_the_proxy_says_of_the_source_of_a_request_is_believed(certified: Certified) -> None:
    settings = load(Path(certified.demo.answer["config"]), environ={})
    source, here = "203.0.113.9", f"http://127.0.0.1:{settings.server.port}"
    refused = requests.get(f"{here}/authorize?client_id=nobody", headers={"X-Forwarded-For": source}, timeout=30)
    assert refused.status_code == 400
    with services_of(settings, SystemClock()) as services, services.units.reading() as unit:
        assert source in unit.scalars(select(AuditEvent.client_address)).all()


def test_folder_that_was_kept_is_the_same_again_and_refused_for_anything_else(
    certified: Certified, suite: Suite, tmp_path: Path
) -> None:
    """The demonstration of the fixture goes on meanwhile: the folder's ports are taken, which is found out later."""
    files = sorted((certified.data / "certification").iterdir())
    before = {file.name: file.read_bytes() for file in files}
    assert set(before) == {"client-keys.json", "fapi2.json", "oidc-static.json", "oidc.json"}
    assert {file.stat().st_mode & 0o077 for file in files} == {0}
    for arguments, said in (
        ((), "name another folder"),
        (("--certification", "--suite", suite.url), "issuer"),
        (("--certification", "--issuer", certified.provider.issuer), "taken"),
    ):
        with (
            pytest.raises(ProcessFailed, match=said),
            running(tmp_path, *arguments, "--data", str(certified.data)),
        ):
            pass
    assert {file.name: file.read_bytes() for file in files} == before
