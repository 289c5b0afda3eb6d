"""What a browser shows of each page: large text, the keyboard's focus, pasting, and the weight of the first page."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page

from idp.demo import server
from tests.browser.conftest import Begin
from tests.browser.visitor import CODE, LOGIN, start
from tests.browser.world import World
from tests.services.ports import LOOPBACK
from tests.web.page_states import STATES, make_app

pytestmark = pytest.mark.xdist_group("browser")

STAYING = sorted(STATES.keys() - {"handoff", "handoff-app", "form-post"})
WITH_MUCH_TO_PRESS = ("identify-error-wrong", "choose", "enrol", "verify-error-short", "consent", "logout", "postpone")

CUT_OFF = """() => [...document.querySelectorAll("body *")].filter((element) => {
  const style = getComputedStyle(element);
  const hides = [style.overflowX, style.overflowY].some((overflow) => overflow !== "visible");
  const isCut = element.scrollHeight > element.clientHeight + 1 || element.scrollWidth > element.clientWidth + 1;
  return hides && isCut && element.innerText?.trim() && !element.closest(".vh") && style.display !== "inline";
}).map((element) => element.outerHTML.slice(0, 200))"""

FOCUSED = """() => {
  const element = document.activeElement;
  const drawn = [element, element.closest(".card")].filter(Boolean).map((found) => getComputedStyle(found));
  const box = [...element.getClientRects()].find((found) => found.width && found.height);
  const hit = box && document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
  return {
    place: [...document.querySelectorAll("*")].indexOf(element),
    html: element.outerHTML.slice(0, 200),
    isBody: element === document.body,
    isOutlined: drawn.some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2),
    isOnTop: Boolean(hit) && [element, ...(element.labels ?? [])].some((found) => found.contains(hit)),
  };
}"""


@pytest.fixture(scope="module")
def states() -> Iterator[str]:
    """The origin at which each state of each page is served."""
    with server.serving(make_app(), LOOPBACK, 0) as port:
        yield f"http://{LOOPBACK}:{port}"


@pytest.fixture
def page(browser: Browser, states: str) -> Iterator[Page]:
    with browser.new_context(base_url=states, viewport={"width": 1280, "height": 800}) as context:
        yield context.new_page()


def test_nothing_is_cut_off_when_text_is_twice_as_large(page: Page) -> None:
    for name in STAYING:
        page.goto(f"/page/{name}?lang=nl")
        page.evaluate("document.documentElement.style.fontSize = '32px'")
        for details in page.locator("details").all():
            details.locator("summary").click()
        assert page.evaluate(CUT_OFF) == [], name
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), name


@pytest.mark.parametrize("name", WITH_MUCH_TO_PRESS)
def test_keyboard_focus_is_drawn_never_covered_and_goes_in_reading_order(page: Page, name: str) -> None:
    page.goto(f"/page/{name}?lang=nl")
    page.evaluate("document.activeElement.blur()")
    page.locator("body").evaluate("(body) => { body.tabIndex = -1; body.focus(); body.removeAttribute('tabindex'); }")
    places = []
    for _ in range(40):
        page.keyboard.press("Tab")
        focused = page.evaluate(FOCUSED)
        if focused["isBody"] or focused["place"] in places:
            break
        assert focused["isOutlined"], focused["html"]
        assert focused["isOnTop"], focused["html"]
        places.append(focused["place"])
    assert len(places) >= 5 and places == sorted(places)
    assert page.locator("[tabindex]:not([tabindex='-1']), [tabindex='-1']:not(main):not(#summary)").count() == 0


def test_password_and_code_can_be_pasted_and_six_digits_send_nothing(visit: Begin, site: World) -> None:
    anna, visitor = site.app_user(), visit(permissions=["clipboard-read", "clipboard-write"])
    tab = start(visitor.tab(), site.atosi).at(LOGIN)
    tab.fill(organisation=anna.org_code, username=anna.username)
    for selector, text in (("#password", anna.password), ("#code", "123 456")):
        tab.page.evaluate("(text) => navigator.clipboard.writeText(text)", text)
        tab.page.focus(selector)
        tab.page.keyboard.press("Control+V")
        assert tab.value(selector) == text
        if selector == "#password":
            tab.press("#login-submit").at(CODE)
    forms = visitor.watch.posts()
    tab.fill(code="")
    tab.page.keyboard.type("1234567")
    tab.page.wait_for_timeout(300)
    assert tab.value("#code") == "1234567" and visitor.watch.posts() == forms


def test_first_page_is_light_and_asks_for_little(visit: Begin, site: World) -> None:
    visitor = visit()
    start(visitor.tab(), site.atosi).at(LOGIN)
    ours = [request for request in visitor.watch.requests if request.url.startswith(site.issuer)]
    answers = [answer for request in ours if (answer := request.response()) is not None and answer.status == 200]
    assert len(answers) <= 3 + 1, "page, stylesheet, script, and the icon where a browser wants one"
    assert sum(len(answer.body()) for answer in answers) <= 60_000
