"""A browser, applications with short sign-ins, and tabs that listen for everything that goes wrong in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, sync_playwright

from idp.demo.server import serving
from idp.kernel.clock import ticks
from tests.kit_script.application import Application
from tests.services.chromium import executable, launch_arguments
from tests.services.ports import LOOPBACK

UNREACHABLE = ("net::ERR_", "the server responded with a status of 503")
VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) => {
  violated(`${event.violatedDirective} refuses ${event.blockedURI}`);
});"""


class Visit:
    """Somebody's browser at one application. `faults` are what the console said and the policy refused."""

    def __init__(self, context: BrowserContext, application: Application) -> None:
        self.context, self.application = context, application
        self.faults: list[str] = []
        self.may_be_unreachable = False
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"script: {error.error}"))
        context.expose_binding("violated", lambda source, what: self.faults.append(what))
        context.add_init_script(VIOLATIONS)

    def tab(self, path: str = "/page/start") -> Page:
        """A new tab with a signed-in page, whose script has had its first answer."""
        page = self.context.new_page()
        with page.expect_response(lambda answer: answer.url.endswith("/session/status")):
            page.goto(self.application.origin + path)
        return page

    def _console(self, message: ConsoleMessage) -> None:
        if not (self.may_be_unreachable and any(words in message.text for words in UNREACHABLE)):
            self.faults.append(f"console ({message.type}): {message.text}")


Begin = Callable[..., Visit]


@pytest.fixture(scope="package")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="package")
def browser(playwright: Playwright) -> Iterator[Browser]:
    started = playwright.chromium.launch(executable_path=executable(), args=launch_arguments())
    yield started
    started.close()


@pytest.fixture
def keeping_browser(playwright: Playwright) -> Iterator[Browser]:
    """A browser that keeps pages to show them again on Back, which Playwright keeps browsers from."""
    started = playwright.chromium.launch(
        executable_path=executable(), args=launch_arguments(), ignore_default_args=["--disable-back-forward-cache"]
    )
    yield started
    started.close()


@pytest.fixture
def begin(browser: Browser) -> Iterator[Begin]:
    """Makes visits. When the test ends, nothing may have been wrong on any page."""
    visits: list[Visit] = []
    with ExitStack() as stack:

        def begin(application: Application, other_browser: Browser | None = None, **options: Any) -> Visit:
            port = stack.enter_context(serving(application.flask, LOOPBACK, 0))
            stack.callback(application.recover)
            application.origin = f"http://{LOOPBACK}:{port}"
            context = (other_browser or browser).new_context(**({"viewport": {"width": 1280, "height": 800}} | options))
            stack.callback(context.close)
            context.set_default_timeout(15_000)
            visits.append(Visit(context, application))
            application.sign_in()
            return visits[-1]

        yield begin
    assert [fault for visit in visits for fault in visit.faults] == []


class Stopwatch:
    """How long something took; started when made."""

    def __init__(self) -> None:
        self._since = ticks()

    @property
    def seconds(self) -> float:
        return (ticks() - self._since) / timedelta(seconds=1)
