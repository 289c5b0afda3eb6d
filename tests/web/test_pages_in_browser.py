"""The pages in a real browser under their policy: accessible, never too wide, and what the scripts add."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import pytest
from axe_playwright_python.sync_playwright import Axe
from cv2 import IMREAD_COLOR, QRCodeDetector, imdecode
from numpy import frombuffer, uint8
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.conftest import is_long
from tests.services.chromium import executable, launch_arguments
from tests.web.page_states import LEAVING, OTPAUTH_URI, STATES, make_app

STAYING = sorted(STATES.keys() - LEAVING)
"""The states whose page does not leave by itself."""

RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"target-size": {"enabled": True}},
}

TEXT_SPACING = """() => {
  for (const element of document.querySelectorAll("body, body *")) {
    element.style.setProperty("line-height", "1.5", "important");
    element.style.setProperty("letter-spacing", "0.12em", "important");
    element.style.setProperty("word-spacing", "0.16em", "important");
  }
  for (const paragraph of document.querySelectorAll("p")) {
    paragraph.style.setProperty("margin-bottom", "2em", "important");
  }
}"""

TOO_WIDE = "() => document.documentElement.scrollWidth > innerWidth"

BORDERS = """(elements) => elements.map((element) => {
  const style = getComputedStyle(element);
  return {
    html: element.outerHTML.slice(0, 100), style: style.borderTopStyle, width: parseFloat(style.borderTopWidth),
    colour: style.borderTopColor, ground: getComputedStyle(document.body).backgroundColor,
  };
})"""

SMALL_TARGETS = """() => [...document.querySelectorAll("button, .btn, .card, .link, .tel, summary, .lang a, .input")]
  .filter((element) => element.checkVisibility() && element.getBoundingClientRect().height < 44)
  .map((element) => element.outerHTML)"""


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Says nothing: what a page loads is no news."""


@dataclass(frozen=True)
class Pages:
    browser: Browser
    origin: str

    def context(self, *, width: int = 1280, scheme: str = "light", script: bool = True) -> BrowserContext:
        narrow = width < 900
        return self.browser.new_context(
            base_url=self.origin,
            viewport={"width": width, "height": 800},
            color_scheme="dark" if scheme == "dark" else "light",
            has_touch=narrow,
            is_mobile=narrow,
            java_script_enabled=script,
        )


@pytest.fixture(scope="module")
def pages() -> Iterator[Pages]:
    server = make_server("127.0.0.1", 0, make_app(), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable(), args=launch_arguments())
            yield Pages(browser, f"http://127.0.0.1:{server.server_port}")
            browser.close()
    finally:
        server.shutdown()
        thread.join()


@pytest.fixture
def page(pages: Pages) -> Iterator[Page]:
    with pages.context() as context:
        yield context.new_page()


def _listen(page: Page) -> list[str]:
    """What the console says from now on, refusals of the policy included."""
    heard: list[str] = []
    page.on("console", lambda message: heard.append(message.text))
    page.on("pageerror", lambda error: heard.append(str(error)))
    return heard


# These two differ in all three; the long run tries all of them.
SHOWN = [("nl", 1280, "light"), ("en", 390, "dark")]
EVERY_WAY_SHOWN = list(product(("nl", "en"), (320, 390, 1280), ("light", "dark")))


@pytest.mark.parametrize(("language", "width", "scheme"), EVERY_WAY_SHOWN if is_long() else SHOWN)
def test_every_page_is_accessible_and_keeps_to_its_policy(pages: Pages, language: str, width: int, scheme: str) -> None:
    with pages.context(width=width, scheme=scheme) as context:
        page = context.new_page()
        heard = _listen(page)
        axe = Axe()
        for name in STAYING:
            page.goto(f"/page/{name}?lang={language}")
            for details in page.locator("details").all():
                details.locator("summary").click()
            found = axe.run(page, options=RULES).response["violations"]
            assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == [], name
            assert page.evaluate(SMALL_TARGETS) == [], name
        # The browser itself reports the pages whose status is an error.
        assert [said for said in heard if "the server responded with a status of" not in said] == []


def test_no_page_is_wider_than_a_narrow_screen_also_with_wide_text_spacing(pages: Pages) -> None:
    with pages.context(width=320) as context:
        page = context.new_page()
        for name, language in product(STAYING, ("nl", "en")):
            page.goto(f"/page/{name}?lang={language}")
            assert not page.evaluate(TOO_WIDE), name
            page.evaluate(TEXT_SPACING)
            assert not page.evaluate(TOO_WIDE), f"{name} with text spacing"


@pytest.mark.parametrize("script", [True, False])
def test_focus_starts_in_the_error_summary_also_without_a_script(pages: Pages, script: bool) -> None:
    with pages.context(script=script) as context:
        page = context.new_page()
        page.goto("/page/verify-error-short")
        assert page.locator("#summary:focus").count() == 1
        page.goto("/page/verify")
        assert page.locator("#code:focus").count() == 1


def test_first_tab_leads_to_the_skip_link_and_the_link_to_the_content(page: Page) -> None:
    page.goto("/page/choose?lang=nl")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Direct naar de inhoud"
    page.keyboard.press("Enter")
    assert page.locator("main:focus").count() == 1


@pytest.mark.parametrize(("width", "visible"), [(390, True), (1280, False)])
def test_link_to_the_app_is_there_where_the_app_may_be(pages: Pages, width: int, visible: bool) -> None:
    with pages.context(width=width) as context:
        page = context.new_page()
        page.goto("/page/enrol")
        assert page.locator("#otpauth-link").is_visible() == visible
        link, drawing = page.locator("#otpauth-link").bounding_box(), page.locator("#qr").bounding_box()
        assert drawing is not None and (link is None or link["y"] + link["height"] < drawing["y"])


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (390, "dark"), (1280, "dark")])
def test_qr_code_is_read_back_from_the_screen(pages: Pages, width: int, scheme: str) -> None:
    with pages.context(width=width, scheme=scheme) as context:
        page = context.new_page()
        page.goto("/page/enrol")
        assert page.locator("#qr").evaluate("(drawing) => drawing.getBoundingClientRect().width") >= 208
        picture = imdecode(frombuffer(page.locator(".qr").screenshot(), dtype=uint8), IMREAD_COLOR)
        assert picture is not None
        assert QRCodeDetector().detectAndDecode(picture)[0] == OTPAUTH_URI


def test_nothing_secret_is_printed(page: Page) -> None:
    page.goto("/page/enrol")
    page.locator("summary").click()
    page.emulate_media(media="print")
    for selector in ("#qr", "#key", "#otpauth-link", "#code-submit"):
        assert not page.locator(selector).is_visible()


def test_forced_colours_draw_a_border_around_every_button_and_choice(page: Page) -> None:
    page.emulate_media(forced_colors="active")
    for name in ("identify", "choose", "postpone", "enrol", "verify-mail", "consent", "logout"):
        page.goto(f"/page/{name}")
        pressed = page.locator(".btn:visible, .card:visible, input[type=radio]:visible").evaluate_all(BORDERS)
        assert pressed, name
        for border in pressed:
            assert border["style"] == "solid" and border["width"] >= 1, border
            assert border["colour"] != border["ground"], border


def test_forced_colours_keep_the_choice_and_the_qr_code_visible(page: Page) -> None:
    page.emulate_media(forced_colors="active")
    page.goto("/page/choose")
    background = "(input) => getComputedStyle(input, '::before').backgroundColor"
    chosen, other = (page.locator(selector).evaluate(background) for selector in ("#method", "#method-email"))
    assert chosen != other
    page.goto("/page/enrol")
    assert page.locator(".qr").evaluate("(plate) => getComputedStyle(plate).backgroundColor") == "rgb(255, 255, 255)"


def test_nothing_moves_for_those_who_want_no_motion(page: Page) -> None:
    moves = """() => [...document.querySelectorAll("*")].flatMap((element) => {
      const style = getComputedStyle(element);
      return [style.transitionDuration, style.animationName];
    })"""
    page.emulate_media(reduced_motion="reduce")
    for name in STAYING:
        page.goto(f"/page/{name}")
        assert set(page.evaluate(moves)) == {"0s", "none"}, name
    page.emulate_media(reduced_motion="no-preference")
    page.goto("/page/choose")
    assert "0.12s, 0.12s" in page.evaluate(moves), "the colours of buttons change slowly for others"


def test_password_is_shown_and_hidden_by_its_button(page: Page) -> None:
    page.goto("/page/identify?lang=nl")
    page.fill("#password", "geheim")
    page.get_by_role("button", name="Wachtwoord laten zien").click()
    assert page.locator("#password").get_attribute("type") == "text"
    page.get_by_role("button", name="Wachtwoord verbergen").click()
    assert page.locator("#password").get_attribute("type") == "password"


def test_shown_password_is_hidden_again_when_it_is_sent(page: Page) -> None:
    page.goto("/page/identify?lang=nl")
    page.get_by_role("button", name="Wachtwoord laten zien").click()
    page.evaluate("document.addEventListener('submit', (event) => event.preventDefault())")
    page.click("#login-submit")
    assert page.locator("#password").get_attribute("type") == "password"


def test_caps_lock_is_told_and_forgotten(page: Page) -> None:
    page.goto("/page/identify?lang=nl")
    press = """(on) => document.getElementById("password").dispatchEvent(
      new KeyboardEvent("keydown", { key: "a", modifierCapsLock: on, bubbles: true }))"""
    note = page.locator("[data-caps-lock-of=password]")
    page.focus("#password")
    page.evaluate(press, True)
    assert note.inner_text() == "Let op: Caps Lock staat aan."
    page.evaluate(press, False)
    assert note.inner_text() == ""
    page.evaluate(press, True)
    page.focus("#username")
    assert note.inner_text() == ""


def test_without_a_script_nothing_stands_there_that_does_nothing(pages: Pages) -> None:
    with pages.context(script=False) as context:
        page = context.new_page()
        page.goto("/page/identify")
        assert [button.get_attribute("id") for button in page.locator("button:visible").all()] == ["login-submit"]
        page.goto("/page/enrol")
        page.locator("summary").click()
        assert [button.get_attribute("id") for button in page.locator("button:visible").all()] == ["code-submit"]
        assert page.locator("#key").is_visible()


def test_key_is_copied_without_its_spaces(pages: Pages) -> None:
    with pages.context() as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.goto("/page/enrol?lang=nl")
        page.locator("summary").click()
        page.get_by_role("button", name="Sleutel kopiëren").click()
        page.get_by_text("De sleutel is gekopieerd.").wait_for()
        assert page.evaluate("navigator.clipboard.readText()") == "JBSWY3DPEHPK3PXPKRSXG5BAMF2G643J"


def test_example_is_copied_character_by_character(pages: Pages) -> None:
    with pages.context() as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.goto("/page/home?lang=nl")
        page.locator("main summary").click()
        page.get_by_role("button", name="Kopiëren", description="Python met Authlib en Flask").click()
        page.get_by_text("Gekopieerd.").wait_for()
        examples = dict(STATES["home"].context["examples"])  # type: ignore[call-overload]
        assert page.evaluate("navigator.clipboard.readText()") == examples["authlib"]


@pytest.mark.parametrize("width", [320, 390])
def test_listing_scrolls_inside_itself_by_the_keyboard_and_is_selected_by_one_press_without_a_script(
    pages: Pages, width: int
) -> None:
    with pages.context(width=width, script=False) as context:
        page = context.new_page()
        for name in (name for name in STAYING if name.startswith("home")):
            page.goto(f"/page/{name}?lang=nl")
            page.locator("main summary").click()
            assert not page.evaluate(TOO_WIDE), name
            listings = page.locator("pre")
            assert listings.count() == len(STATES[name].context["examples"])  # type: ignore[arg-type]
            for listing in listings.all():
                listing.scroll_into_view_if_needed()
                assert listing.evaluate("(pre) => pre.getBoundingClientRect().right <= innerWidth"), name
        page.locator("main summary").focus()
        page.keyboard.press("Tab")
        assert page.locator("pre:focus").count() == 1
        example = page.locator("pre:has(#example-authlib)")
        example.focus()
        page.keyboard.press("ArrowRight")
        # Nothing in the page can be waited for where no script runs.
        page.wait_for_timeout(500)
        assert example.evaluate("(pre) => pre.scrollLeft") > 0
        example.locator("code").click(position={"x": 5, "y": 5})
        examples = dict(STATES[name].context["examples"])  # type: ignore[call-overload]
        assert page.evaluate("() => getSelection().toString()").strip() == examples["authlib"]


def test_second_submit_within_three_seconds_is_ignored_and_a_later_one_is_not(page: Page) -> None:
    page.clock.install()
    page.goto("/page/verify")
    page.evaluate(
        """() => {
          window.passed = 0;
          window.addEventListener("submit", (event) => {
            if (!event.defaultPrevented) window.passed += 1;
            event.preventDefault();
          });
        }"""
    )
    page.click("#code-submit")
    page.click("#code-submit")
    assert page.evaluate("window.passed") == 1
    assert page.locator("#code-submit").is_enabled()
    page.clock.fast_forward(3_100)
    page.click("#code-submit")
    assert page.evaluate("window.passed") == 2


@pytest.mark.parametrize("name", ["handoff", "form-post"])
def test_page_that_leaves_goes_on_by_itself(page: Page, name: str) -> None:
    heard = _listen(page)
    page.goto(f"/page/{name}")
    page.wait_for_url("**/stay*")
    assert heard == []


@pytest.mark.parametrize(("name", "way"), [("handoff-app", "#handoff-link"), ("form-post", "#form-post-submit")])
def test_page_that_cannot_leave_by_itself_has_a_way_on(pages: Pages, name: str, way: str) -> None:
    with pages.context(script=False) as context:
        page = context.new_page()
        page.goto(f"/page/{name}")
        assert page.locator(way).is_visible()
