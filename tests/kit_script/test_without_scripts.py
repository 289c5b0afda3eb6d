"""A page of an application with the kit, in a browser that runs no scripts, leaves the screen after the end too."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from flask import Response, request
from playwright.sync_api import Browser, Page

from idp.demo.server import serving
from idp.kernel.clock import FixedClock
from idp_kit import SessionKit
from tests.demo.hostile_provider import HostileProvider
from tests.kit.conftest import MakeKit, clock, make_kit, provider, rsa_key, signed_in
from tests.services.ports import LOOPBACK

__all__ = ["clock", "make_kit", "provider", "rsa_key"]

HOME = "/week"
IDLE = timedelta(seconds=2)
A_SECOND = timedelta(seconds=1)
SHOWN = "Vergadering met Jansen"


class Seen:
    """A page that shows what only its person may see, and what browsers said when they asked for it."""

    def __init__(self, kit: SessionKit) -> None:
        self.kit, self.opened_by = kit, list[str | None]()
        kit.app.add_url_rule(HOME, "week", kit.login_required(self.week))

    def week(self) -> str:
        self.opened_by.append(request.headers.get("Sec-Fetch-User"))
        assert request.headers["Sec-Fetch-Dest"] == "document" and request.headers["Sec-Fetch-Mode"] == "navigate"
        return f"<!doctype html><html lang='nl'><head>{self.kit.session_script()}</head><body>{SHOWN}</body></html>"


@pytest.fixture
def seen(make_kit: MakeKit, provider: HostileProvider) -> Seen:
    provider.idle_timeout = IDLE
    return Seen(make_kit())


@pytest.fixture
def page(seen: Seen, provider: HostileProvider, browser: Browser) -> Iterator[Page]:
    """The page, just opened by somebody who runs no scripts."""
    cookie = signed_in(seen.kit).get_cookie("app_session")
    assert cookie is not None
    provider.instead["/authorize"] = lambda: Response("Log in", mimetype="text/plain")
    with serving(seen.kit.app, LOOPBACK, 0) as port:
        context = browser.new_context(java_script_enabled=False)
        origin = f"http://{LOOPBACK}:{port}"
        context.add_cookies([{"name": "app_session", "value": cookie.value, "url": origin}])
        opened = context.new_page()
        answer = opened.goto(origin + HOME)
        assert answer is not None and SHOWN in answer.text()
        yield opened
        context.close()


def test_page_without_scripts_is_gone_just_after_the_end(page: Page, clock: FixedClock) -> None:
    clock.move(IDLE)
    page.wait_for_url("**/authorize?*", timeout=10_000)
    assert page.inner_text("body") == "Log in"


def test_page_without_scripts_that_loads_itself_again_is_no_activity(
    page: Page, seen: Seen, provider: HostileProvider, clock: FixedClock
) -> None:
    # Looking into the page would be a gesture to the browser, as a key is: a page that loads itself again within five
    # seconds of a gesture was loaded by somebody who is there.
    by_the_person = list(provider.reports)
    clock.move(IDLE - A_SECOND)
    provider.last_activity_at = clock.now()  # in another application
    clock.move(A_SECOND)
    page.wait_for_event("load", timeout=10_000)
    assert seen.opened_by == ["?1", None]
    assert provider.reports == by_the_person
    clock.move(IDLE - A_SECOND)
    page.wait_for_url("**/authorize?*", timeout=10_000)
