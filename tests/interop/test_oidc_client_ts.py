"""npm's oidc-client-ts in Chromium: an application that lives in the browser, on the site of the provider.

On this machine without TLS, and at names of a site of their own with TLS before it. The site matters for renewing in a
frame alone: browsers send our cookie to a frame only there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, send_file
from playwright.sync_api import Page, expect, sync_playwright

from idp.demo.server import serving
from tests.live import LiveProvider
from tests.services.chromium import executable, launch_arguments
from tests.services.node import npm_ci
from tests.services.tls_proxy import TlsProxy

FOLDER = Path(__file__).parent / "browser_application"


@pytest.fixture
def files() -> Iterator[int]:
    """The port on which the application is served: files, and nothing else."""
    library = npm_ci(FOLDER) / "node_modules" / "oidc-client-ts" / "dist" / "browser" / "oidc-client-ts.min.js"
    app = Flask("tests.interop.browser_application", static_folder=None)
    for path in ("/", "/callback", "/silent", "/signed-out"):
        app.add_url_rule(path, path, lambda: send_file(FOLDER / "application.html"))
    app.add_url_rule("/application.js", "script", lambda: send_file(FOLDER / "application.js"))
    app.add_url_rule("/oidc-client-ts.js", "library", lambda: send_file(library))

    @app.after_request
    def uncached(response: Response) -> Response:
        response.headers["Cache-Control"] = "no-store"
        return response

    with serving(app, "localhost", 0) as port:
        yield port


@pytest.fixture
def origin(files: int) -> str:
    return f"http://localhost:{files}"


@contextmanager
def opened(arguments: Sequence[str] = ()) -> Iterator[Page]:
    """A page of a Chromium with these arguments."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=[*launch_arguments(), *arguments])
        found = browser.new_context(locale="nl-NL").new_page()
        found.set_default_timeout(30_000)
        yield found
        browser.close()


@pytest.fixture
def page() -> Iterator[Page]:
    with opened() as found:
        yield found


def known(page: Page, state: str) -> dict[str, Any]:
    """What the application knows when it has come to this state."""
    expect(page.locator("#state")).to_have_text(state, timeout=30_000)
    found: dict[str, Any] = json.loads(page.locator("#known").inner_text())
    return found


def sign_in(
    page: Page, provider: LiveProvider, origin: str, grant_types: list[str], issuer: str | None = None
) -> dict[str, Any]:
    provider.make.client(
        "browser",
        application_type="browser",
        token_endpoint_auth_method="none",
        redirect_uris=[f"{origin}/callback", f"{origin}/silent"],
        post_logout_redirect_uris=[f"{origin}/signed-out"],
        grant_types=grant_types,
    )
    page.goto(f"{origin}/?authority={issuer or provider.issuer}&client_id=browser")
    known(page, "klaar")
    page.click("#login")
    for name, value in provider.anna.names.items():
        page.fill(f"[name={name}]", value)
    page.click("#login-submit")
    if issuer is None:
        # On this machine any program could pose as the application (RFC 8252 8.6): somebody is asked each time.
        page.click("#consent-allow")
    return known(page, "ingelogd")


def test_browser_application_signs_in_renews_gives_back_and_logs_out(
    live_provider: LiveProvider, origin: str, page: Page
) -> None:
    signed_in = sign_in(page, live_provider, origin, ["authorization_code", "refresh_token"])
    assert signed_in["profile"]["sub"] == live_provider.anna.sub
    assert signed_in["profile"]["name"] == "Anna de Wit", "from userinfo"
    assert signed_in["refreshes"] is True

    page.click("#renew")
    renewed = known(page, "vernieuwd")
    for claim in ("sub", "sid", "auth_time"):
        assert renewed["profile"][claim] == signed_in["profile"][claim]
    assert renewed["access_token"] != signed_in["access_token"]

    page.click("#revoke")
    known(page, "teruggegeven")
    userinfo = page.request.get(
        f"{live_provider.issuer}/userinfo", headers={"Authorization": f"Bearer {renewed['access_token']}"}
    )
    assert userinfo.status == 401

    page.click("#logout")
    known(page, "uitgelogd")
    page.goto(f"{origin}/")
    page.click("#login")
    page.wait_for_selector("#login-submit")


def test_browser_application_on_this_machine_that_renews_in_a_frame_hears_that_somebody_must_be_asked(
    live_provider: LiveProvider, origin: str, page: Page
) -> None:
    signed_in = sign_in(page, live_provider, origin, ["authorization_code"])
    assert signed_in["refreshes"] is False
    page.click("#renew")
    assert known(page, "mislukt") == {"error": "consent_required"}


# At names of their own, behind TLS

IDP, ISSUER = "idp.atosi.test", "https://idp.atosi.test"
SAME_SITE, OTHER_SITE = "app.atosi.test", "app.elders.test"


@pytest.fixture
def behind_tls(database_url: str) -> Iterator[LiveProvider]:
    """The provider as it is run: its issuer has a name, and a proxy with TLS stands before it."""
    live = LiveProvider(database_url, issuer=ISSUER, trusted_proxies="127.0.0.1")
    try:
        yield live.start()
    finally:
        live.stop()


@pytest.fixture
def named_page(behind_tls: LiveProvider, files: int, tmp_path: Path) -> Iterator[Page]:
    """A page of a browser that finds provider and application by their names."""
    servers = {IDP: behind_tls.port, SAME_SITE: files, OTHER_SITE: files}
    with TlsProxy(servers, tmp_path) as proxy, opened(proxy.browser_arguments) as found:
        yield found


def test_browser_application_on_the_site_of_the_provider_renews_in_a_frame_and_logs_out(
    behind_tls: LiveProvider, named_page: Page
) -> None:
    origin = f"https://{SAME_SITE}"
    signed_in = sign_in(named_page, behind_tls, origin, ["authorization_code"], ISSUER)
    assert signed_in["profile"]["sub"] == behind_tls.anna.sub and signed_in["profile"]["iss"] == ISSUER
    assert signed_in["refreshes"] is False
    (session,) = (each for each in named_page.context.cookies() if "session" in each["name"])
    assert session["name"].startswith("__Host-") and session["domain"] == IDP
    assert (session["secure"], session["httpOnly"], session["sameSite"]) == (True, True, "Lax")

    asked: list[str] = []
    named_page.on("framenavigated", lambda frame: asked.append(frame.url) if frame.parent_frame else None)
    named_page.click("#renew")
    renewed = known(named_page, "vernieuwd")
    arrived = {url.partition("?")[0] for url in asked} - {"about:blank"}
    assert arrived == {f"{origin}/silent"}, "in a frame, and nobody was asked"
    for claim in ("sub", "sid", "auth_time"):
        assert renewed["profile"][claim] == signed_in["profile"][claim]
    assert renewed["access_token"] != signed_in["access_token"]

    named_page.click("#logout")
    known(named_page, "uitgelogd")
    assert named_page.url.partition("?")[0] == f"{origin}/signed-out"
    named_page.goto(f"{origin}/")
    known(named_page, "klaar")
    named_page.click("#renew")
    assert known(named_page, "mislukt") == {"error": "login_required"}


def test_browser_application_on_another_site_that_renews_in_a_frame_hears_that_nobody_is_signed_in(
    behind_tls: LiveProvider, named_page: Page
) -> None:
    # Its frame goes without our cookie (SameSite=Lax); such an application renews by refresh tokens.
    sign_in(named_page, behind_tls, f"https://{OTHER_SITE}", ["authorization_code"], ISSUER)
    named_page.click("#renew")
    assert known(named_page, "mislukt") == {"error": "login_required"}
