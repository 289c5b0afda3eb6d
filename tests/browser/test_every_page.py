"""What a browser makes of every page in every state: its structure, its fields, focus, large text, and its weight."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from itertools import pairwise, product
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from idp.demo import server
from idp.web.texts import LANGUAGES
from tests.browser.conftest import Begin
from tests.browser.visitor import CODE, LOGIN, start
from tests.browser.world import World
from tests.conftest import is_long
from tests.services.ports import LOOPBACK
from tests.web.page_states import FRAME, LEAVING, SECRET, STATES, make_app

pytestmark = pytest.mark.xdist_group("browser")

Facts = Mapping[tuple[str, str], Mapping[str, Any]]
"""What a browser says of each state of a page (FACTS), by the state's name and the language."""

STAYING = sorted(STATES.keys() - LEAVING)
WITH_MUCH_TO_PRESS = (
    "identify-error-wrong",
    "choose",
    "enrol",
    "verify-error-short",
    "consent",
    "logout",
    "postpone",
    "home",
)

FACTS = """(secret) => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const says = (elements) => elements.map((element) => element.outerHTML.slice(0, 200));
  const isSeen = (element) => {
    const box = element.getBoundingClientRect();
    return element.checkVisibility({ visibilityProperty: true }) && box.width > 1 && box.height > 1;
  };
  const inputs = all("input:not([type=hidden]), select, textarea");
  const standsAlone = (link) => link.parentElement.textContent.trim() === link.textContent.trim();
  const phone = document.querySelector("aside section:first-child a.tel");
  const [page] = performance.getEntriesByType("navigation");
  // Browsers ask for the icon when they have nothing else to do, and once for all pages.
  const icon = document.querySelector("link[rel=icon]").href;
  const loaded = performance.getEntriesByType("resource").filter((resource) => resource.name !== icon);
  return {
    language: document.documentElement.lang,
    ownNames: all("nav a").map((link) => [link.lang, link.textContent, link.hasAttribute("aria-current")]),
    title: document.title,
    levels: all("h1, h2, h3, h4, h5, h6").filter(isSeen).map((heading) => Number(heading.localName[1])),
    landmarks: ["main", "header", "footer"].map((name) => all(name).filter(isSeen).length),
    viewport: document.querySelector("meta[name=viewport]").content,
    positive: says(all("[tabindex]").filter((element) => element.tabIndex > 0)),
    phone: phone && isSeen(phone) && [phone.getAttribute("href"), phone.textContent.trim()],
    phoneIsAfterContent: Boolean(phone && document.querySelector(".main").compareDocumentPosition(phone) & 4),
    phonesElsewhere: says(all("a[href^='tel:']").filter((link) => link !== phone)),
    unlabelled: says(inputs.filter((input) => ![...(input.labels ?? [])].some(isSeen))),
    placeholders: says(all("[placeholder]")),
    autocomplete: Object.fromEntries(inputs.map((input) => [input.name, input.autocomplete])),
    code: inputs.filter(({ name }) => name === "code").map((code) => [code.type, code.inputMode, code.maxLength]),
    formsThatValidate: says([...document.forms].filter((form) => !form.noValidate)),
    closed: says(all(":disabled")),
    inline: says(all("style, script:not([src]), [style]").concat(all("*").filter((element) =>
      element.getAttributeNames().some((name) => name.startsWith("on"))))),
    secretFields: says(all("input, button, textarea").filter((field) => field.value.includes(secret))),
    secretAddresses: [location.href, ...loaded.map((resource) => resource.name)].filter((url) => url.includes(secret)),
    lowLinks: says(all("main a[href]").filter((link) =>
      isSeen(link) && standsAlone(link) && link.getBoundingClientRect().height < 44)),
    requests: loaded.map((resource) => resource.initiatorType),
    weight: page.decodedBodySize + loaded.reduce((sum, resource) => sum + resource.decodedBodySize, 0),
  };
}"""

FOCUS_EACH = """() => {
  const faults = [];
  const pressable = "a[href], button, input:not([type=hidden]), summary, select, textarea, [tabindex='0']";
  for (const element of [...document.querySelectorAll(pressable)].filter((found) => found.checkVisibility())) {
    element.focus();
    const drawn = [element, element.closest(".card")].filter(Boolean).map((found) => getComputedStyle(found));
    const box = [...element.getClientRects()].find((found) => found.width && found.height);
    const hit = box && document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
    const isOnTop = Boolean(hit) && [element, ...(element.labels ?? [])].some((found) => found.contains(hit));
    const isOutlined = drawn.some((style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2);
    if (document.activeElement !== element || !isOnTop || !isOutlined) faults.push(element.outerHTML.slice(0, 200));
  }
  return faults;
}"""

# What can be scrolled sideways with the keyboard is not cut off there: lines of code keep their length.
CUT_OFF = """() => [...document.querySelectorAll("body *")].filter((element) => {
  const style = getComputedStyle(element);
  const hides = [style.overflowX, style.overflowY].some((overflow) => overflow !== "visible");
  const isScrolled = style.overflowX === "auto" && element.tabIndex === 0;
  const isTooWide = element.scrollWidth > element.clientWidth + 1 && !isScrolled;
  const isCut = element.scrollHeight > element.clientHeight + 1 || isTooWide;
  return hides && isCut && element.innerText?.trim() && !element.closest(".vh") && style.display !== "inline";
}).map((element) => element.outerHTML.slice(0, 200))"""

UNFOLD = "() => document.querySelectorAll('details').forEach((details) => { details.open = true; })"

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


@pytest.fixture(scope="module")
def facts(browser: Browser, states: str) -> Facts:
    found = {}
    with browser.new_context(base_url=states, viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        for name in STAYING:
            for language in LANGUAGES:
                page.goto(f"/page/{name}?lang={language}")
                found[name, language] = page.evaluate(FACTS, SECRET)
    return found


def test_every_page_has_one_heading_of_the_first_level_and_skips_none(facts: Facts) -> None:
    for about, page in facts.items():
        levels = page["levels"]
        assert levels.count(1) == 1 and page["landmarks"] == [1, 1, 1], about
        assert all(deeper <= level + 1 for level, deeper in pairwise(levels[levels.index(1) :])), about


def test_every_page_says_which_language_it_speaks_and_names_the_other_in_its_own(facts: Facts) -> None:
    for (name, language), page in facts.items():
        assert page["language"] == language, name
        assert page["ownNames"] == [[other, text, other == language] for other, text in LANGUAGES.items()], name


def test_titles_tell_pages_apart_name_the_organisation_and_begin_with_the_error(facts: Facts) -> None:
    pages = defaultdict(set)
    for (name, language), page in facts.items():
        state, mark = STATES[name], {"nl": "Fout: ", "en": "Error: "}[language]
        assert page["title"].endswith(f" – {(state.organization or FRAME).name}"), name
        assert page["title"].startswith(mark) == (state.error is not None), name
        # The code of each method is asked for by the same page.
        pages[language, page["title"].removeprefix(mark)].add(state.template.replace("/email/verify", "/totp/verify"))
    assert {title: templates for title, templates in pages.items() if len(templates) > 1} == {}


def test_first_tab_lands_on_the_skip_link_of_every_page_that_has_not_put_the_focus_elsewhere(page: Page) -> None:
    for name in STAYING:
        page.goto(f"/page/{name}?lang=nl")
        if page.evaluate("document.activeElement === document.body"):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.className") == "skip", name
            page.keyboard.press("Enter")
            assert page.evaluate("document.activeElement.localName") == "main", name


def test_focus_is_drawn_and_uncovered_wherever_it_is_on_every_page(page: Page) -> None:
    for name in STAYING:
        page.goto(f"/page/{name}?lang=nl")
        page.evaluate(UNFOLD)
        page.keyboard.press("Tab")
        assert page.evaluate(FOCUS_EACH) == [], name


def test_no_page_changes_the_order_of_tab_or_forbids_to_enlarge_it(facts: Facts) -> None:
    for about, page in facts.items():
        assert page["positive"] == [], about
        assert not {"maximum-scale", "user-scalable"} & set(page["viewport"].replace("=", " ").split()), about


def test_links_that_stand_alone_are_as_high_as_buttons(facts: Facts) -> None:
    for about, page in facts.items():
        assert page["lowLinks"] == [], about


def test_service_desk_can_be_called_in_the_same_place_of_every_page(facts: Facts) -> None:
    for (name, _), page in facts.items():
        frame = STATES[name].organization or FRAME
        if frame.service_desk_phone:
            href, text = page["phone"]
            assert href == frame.phone_link and text.endswith(frame.phone_text), name
            assert page["phoneIsAfterContent"] and page["phonesElsewhere"] == [], name
        else:
            assert page["phone"] is None, name


def test_every_field_has_a_label_that_is_seen_and_no_words_inside(facts: Facts) -> None:
    for about, page in facts.items():
        assert page["unlabelled"] == [] and page["placeholders"] == [], about


def test_browsers_and_password_managers_know_each_field(facts: Facts) -> None:
    told = {"username": "username webauthn", "password": "current-password", "code": "one-time-code"}
    seen: set[str] = set()
    for about, page in facts.items():
        found = {name: told[name] for name in page["autocomplete"].keys() & told.keys()}
        assert found.items() <= page["autocomplete"].items(), about
        assert all(kind == ["text", "numeric", 12] for kind in page["code"]), about
        seen |= found.keys()
    assert seen == told.keys()


def test_no_page_closes_a_button_or_leaves_complaints_to_the_browser(facts: Facts) -> None:
    for about, page in facts.items():
        assert page["closed"] == [] and page["formsThatValidate"] == [], about


def test_key_of_the_app_is_in_no_field_and_no_address_that_is_asked_for(facts: Facts) -> None:
    for about, page in facts.items():
        assert page["secretFields"] == [] and page["secretAddresses"] == [], about


def test_no_page_has_code_or_style_of_its_own(facts: Facts) -> None:
    for about, page in facts.items():
        assert page["inline"] == [], about


def test_every_page_is_light_and_asks_once_for_a_stylesheet_and_a_script(facts: Facts) -> None:
    """What is needed to paint a page is asked for by the page itself, so two round trips paint it."""
    for about, page in facts.items():
        logo = ["img"] if about[0] == "identify-logo" else []
        assert sorted(page["requests"]) == [*logo, "link", "script"] and page["weight"] <= 60_000, about


def test_nothing_is_cut_off_when_text_is_twice_as_large(page: Page) -> None:
    for name, language in product(STAYING, LANGUAGES if is_long() else ("nl",)):
        page.goto(f"/page/{name}?lang={language}")
        page.evaluate("document.documentElement.style.fontSize = '32px'")
        for details in page.locator("details").all():
            details.locator("summary").click()
        assert page.evaluate(CUT_OFF) == [], name
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), name


@pytest.mark.parametrize("name", WITH_MUCH_TO_PRESS)
def test_keyboard_focus_is_drawn_never_covered_and_goes_in_reading_order(page: Page, name: str) -> None:
    page.goto(f"/page/{name}?lang=nl")
    page.evaluate(UNFOLD)
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
    assert (
        page.locator(
            "[tabindex]:not([tabindex='-1'], pre[tabindex='0']), [tabindex='-1']:not(main):not(#summary)"
        ).count()
        == 0
    )


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
