"""Somebody at a browser: tabs, and what they do on the pages that they reach."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import pyotp
from axe_playwright_python.sync_playwright import Axe
from cv2 import IMREAD_COLOR, QRCodeDetector, QRCodeDetectorAruco, imdecode, resize
from numpy import frombuffer, uint8
from playwright.sync_api import BrowserContext, Locator, Page
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.browser.watch import Watch
from tests.factories import Somebody

RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"target-size": {"enabled": True}},
}
INLINE = re.compile(r"<style|<script(?![^>]*\bsrc=)|<[^>]*\s(?:style|on[a-z]+)=", re.IGNORECASE)

# Headings of pages
LOGIN = "Inloggen bij Atosi"
CHOOSE = "Kies hoe u uw account extra beveiligt"
SET_UP = "Stel uw authenticator app in"
CODE = "Vul de code uit uw app in"
MAIL_CODE = "Vul de code uit uw e-mail in"
SURE = "Weet u zeker dat u wilt uitstellen?"
WELCOME = "Welkom, Anna de Wit"
EXPIRED = "Het inloggen duurde te lang"

_LOOKED_AT: set[tuple[str, str]] = set()


class Visitor:
    """One browser profile: its tabs share cookies. `watch` hears what happens in all of them."""

    def __init__(self, context: BrowserContext, provider: str, script: bool) -> None:
        self.context, self.script = context, script
        self.watch = Watch(context, provider)

    def tab(self) -> Tab:
        return Tab(self, self.context.new_page())

    def forget(self) -> None:
        """The browser was closed, and somebody opens it anew with nothing kept."""
        self.context.clear_cookies()


class Tab:
    """One tab. Whatever it does, it ends at a page that has been looked at."""

    def __init__(self, visitor: Visitor, page: Page) -> None:
        self.visitor, self.page = visitor, page

    def open(self, url: str) -> Tab:
        self.page.goto(url)
        return self

    def at(self, heading: str) -> Tab:
        """This is the page with the heading: one heading, no inline code, no closed button, accessible.

        The heading is awaited: hand-off pages pass by themselves.
        """
        try:
            self.page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()
        except PlaywrightTimeout:
            raise AssertionError(f"{self.page.url}, not {heading!r}:\n{self.text('body')}") from None
        assert self.page.locator("h1").count() == 1, self.page.url
        assert INLINE.search(self.page.content()) is None, self.page.url
        assert self.page.locator("button:disabled, input:disabled").count() == 0, self.page.url
        # What reads the same is built the same: looking at it once is enough.
        read = (self.page.title(), "".join(filter(str.isalpha, self.page.locator("body").inner_text())))
        if self.visitor.script and read not in _LOOKED_AT:
            _LOOKED_AT.add(read)
            found = Axe().run(self.page, options=RULES).response["violations"]
            assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == [], self.page.url
        return self

    def fill(self, **fields: str) -> Tab:
        for name, value in fields.items():
            self.page.fill(f"#{name}", value)
        return self

    def check(self, name: str) -> Tab:
        """The choice with this id was pressed at its label, as people do."""
        self.page.locator(f"label[for={name}]").click()
        assert self.page.locator(f"#{name}").is_checked()
        return self

    def press(self, selector: str) -> Tab:
        """The button or link was pressed, and the page behind it has come."""
        with self.page.expect_navigation():
            self.page.click(selector)
        return self

    def reload(self) -> Tab:
        self.page.reload()
        return self

    def back(self) -> Tab:
        self.page.go_back()
        return self

    def find(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def value(self, selector: str) -> str:
        return self.page.input_value(selector)

    def text(self, selector: str) -> str:
        """What people read there, each no-break space as a space."""
        return self.page.locator(selector).inner_text().replace("\N{NO-BREAK SPACE}", " ")

    @property
    def interaction(self) -> str:
        """The identifier of the interaction whose page this is."""
        _, directory, identifier, *_ = urlsplit(self.page.url).path.split("/")
        assert directory == "s", self.page.url
        return identifier

    # Steps that most journeys share

    def log_in(self, who: Somebody) -> Tab:
        """Code, username and password were sent."""
        return self.fill(organisation=who.org_code, username=who.username, password=who.password).press("#login-submit")

    def send_code(self, code: str) -> Tab:
        return self.fill(code=code).press("#code-submit")

    def scan(self) -> pyotp.TOTP:
        """The authenticator app that scanned the QR code on the screen, which is the key written beside it."""
        uri = read_qr_code(self.find(".qr").screenshot())
        assert parse_qs(urlsplit(uri).query)["secret"] == [(self.find("#key").text_content() or "").replace(" ", "")]
        app = pyotp.parse_uri(uri)
        assert isinstance(app, pyotp.TOTP)
        return app


def read_qr_code(png: bytes) -> str:
    """What the QR code in the picture says; empty when none can be read."""
    picture = imdecode(frombuffer(png, dtype=uint8), IMREAD_COLOR)
    assert picture is not None
    # Each of OpenCV's detectors misses a code now and then.
    for detector in (QRCodeDetectorAruco(), QRCodeDetector()):
        for scale in (1, 2):
            if read := detector.detectAndDecode(resize(picture, None, fx=scale, fy=scale))[0]:
                return str(read)
    return ""


def start(tab: Tab, application: str) -> Tab:
    """Somebody opens the application and presses its button that logs in."""
    return tab.open(application).press("#login")
