"""npm's oidc-client-ts in Chromium: an application that lives in the browser, on the site of the provider.

The site matters for renewing in a frame alone: browsers send our cookie to a frame only there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, send_file
from playwright.sync_api import Page, expect, sync_playwright

from idp.demo.server import serving
from tests.live import LiveProvider
from tests.services.chromium import executable, launch_arguments
from tests.services.node import npm_ci

FOLDER = Path(__file__).parent / "browser_application"


@pytest.fixture
def origin() -> Iterator[str]:
    """Where the application is served: files, and nothing else."""
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
        yield f"http://localhost:{port}"


@pytest.fixture
def page() -> Iterator[Page]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=launch_arguments())
        found = browser.new_context(locale="nl-NL").new_page()
        found.set_default_timeout(30_000)
        yield found
        browser.close()


def known(page: Page, state: str) -> dict[str, Any]:
    """What the application knows when it has come to this state."""
    expect(page.locator("#state")).to_have_text(state, timeout=30_000)
    found: dict[str, Any] = json.loads(page.locator("#known").inner_text())
    return found


def sign_in(page: Page, provider: LiveProvider, origin: str, grant_types: list[str]) -> dict[str, Any]:
    provider.make.client(
        "browser",
        application_type="browser",
        token_endpoint_auth_method="none",
        redirect_uris=[f"{origin}/callback", f"{origin}/silent"],
        post_logout_redirect_uris=[f"{origin}/signed-out"],
        grant_types=grant_types,
    )
    page.goto(f"{origin}/?authority={provider.issuer}&client_id=browser")
    known(page, "klaar")
    page.click("#login")
    for name, value in provider.anna.names.items():
        page.fill(f"[name={name}]", value)
    page.click("#login-submit")
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
