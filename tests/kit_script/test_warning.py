"""The warning: when it is seen, what it says, and what its buttons and keys do."""

from itertools import pairwise

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from idp.kernel.clock import ticks
from tests.conftest import is_long
from tests.kit_script.application import Application
from tests.kit_script.conftest import Begin, Stopwatch

RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"target-size": {"enabled": True}},
}
DIALOG = "dialog.session-kit-dialog"
STAY, LEAVE = ".session-kit-stay", ".session-kit-leave"
SIGNED_OUT = "**/signed-out?*"
FOCUSED = "() => document.activeElement.className || document.activeElement.id || document.activeElement.nodeName"
WAYS = [("light", 1280), ("dark", 390)]
ALL_WAYS = [(scheme, width) for scheme in ("light", "dark") for width in (320, 390, 1280)]


def warned(page: Page) -> Page:
    """The warning has come."""
    page.locator(DIALOG).wait_for()
    return page


def gone(page: Page) -> Page:
    page.locator(DIALOG).wait_for(state="detached")
    return page


def test_warning_comes_when_the_time_to_warn_begins_and_not_before(begin: Begin) -> None:
    application = Application(idle=10, warn=6)
    visit = begin(application)
    page = visit.context.new_page()
    application.sign_in()
    page.goto(f"{application.origin}/page/start")
    page.wait_for_timeout(1500)
    assert page.locator(DIALOG).count() == 0
    warned(page)
    # Whole seconds are rounded down, so that it may be a second early.
    assert 0 < (application.over_at - ticks()).total_seconds() < 6 + 1
    assert 2 <= len(application.questions) <= 4, "it asked again before it warned"
    assert visit.application.reports == []


@pytest.mark.parametrize(("scheme", "width"), ALL_WAYS if is_long() else WAYS)
def test_warning_is_accessible_and_fits(begin: Begin, scheme: str, width: int) -> None:
    visit = begin(
        Application(idle=30, warn=30),
        color_scheme=scheme,
        viewport={"width": width, "height": 700},
        has_touch=width < 900,
    )
    page = warned(visit.tab())
    page.wait_for_timeout(200)  # until it has faded in
    found = Axe().run(page, options=RULES).response["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []
    for button in page.locator(f"{DIALOG} button").all():
        box = button.bounding_box()
        assert box is not None and box["height"] >= 44 and box["width"] >= 44
        assert box["x"] >= 0 and box["x"] + box["width"] <= width
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
    ground = page.locator(DIALOG).evaluate("(dialog) => getComputedStyle(dialog).backgroundColor")
    assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def test_warning_without_colours_or_with_large_text_still_shows_its_buttons(begin: Begin) -> None:
    visit = begin(Application(idle=30, warn=30), forced_colors="active", viewport={"width": 320, "height": 256})
    page = warned(visit.tab())
    for button in page.locator(f"{DIALOG} button").all():
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        assert box is not None and box["y"] >= 0 and box["y"] + box["height"] <= 256
        assert button.evaluate("(button) => parseFloat(getComputedStyle(button).borderTopWidth)") >= 2


def test_warning_moves_only_for_people_who_do_not_mind(begin: Begin) -> None:
    names = []
    for motion in ("reduce", "no-preference"):
        page = warned(begin(Application(idle=30, warn=30), reduced_motion=motion).tab())
        names.append(page.locator(DIALOG).evaluate("(dialog) => getComputedStyle(dialog).animationName"))
    assert names == ["none", "session-kit-appear"]


@pytest.mark.parametrize(
    ("language", "heading", "stay", "leave", "clock"),
    [
        ("nl", "U wordt bijna uitgelogd", "Ingelogd blijven", "Nu uitloggen", "U heeft een tijd niets gedaan. Nog "),
        ("en", "You will soon be signed out", "Stay signed in", "Sign out now", "not done anything for a while. "),
    ],
)
def test_warning_speaks_the_language_of_the_application(
    begin: Begin, language: str, heading: str, stay: str, leave: str, clock: str
) -> None:
    page = warned(begin(Application(idle=60, warn=120)).tab(f"/page/start?lang={language}"))
    dialog = page.get_by_role("alertdialog", name=heading)
    expect(dialog).to_be_visible()
    expect(dialog).to_have_attribute("lang", language)
    assert dialog.get_by_role("button").all_inner_texts() == [stay, leave]
    assert clock in dialog.get_by_role("timer").inner_text()
    assert page.title() == heading


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (61, "U wordt over 1 minuut en 1 seconde uitgelogd"),
        (60, "U wordt over 1 minuut uitgelogd"),
        (47, "U wordt over 47 seconden uitgelogd"),
    ],
)
def test_warning_says_the_time_that_is_really_left(begin: Begin, seconds: int, said: str) -> None:
    application = Application(idle=120, warn=120)
    application.says_left = seconds  # A slow machine may lose a second on the way, which is no fault of the words.
    page = warned(begin(application).tab())
    expect(page.get_by_role("alertdialog")).to_have_accessible_description(said)


def test_countdown_is_seen_each_second_and_spoken_only_at_its_marks(begin: Begin) -> None:
    page = warned(begin(Application(idle=33.9, warn=60)).tab())
    page.evaluate(
        """() => {
          window.seen = []; window.said = [];
          const note = (selector, list) => new MutationObserver(() => {
            const text = document.querySelector(selector).textContent;
            if (list.at(-1) !== text) list.push(text);
          }).observe(document.querySelector(selector), { childList: true, characterData: true, subtree: true });
          note(".session-kit-clock", window.seen);
          note(".session-kit-spoken", window.said);
        }"""
    )
    page.wait_for_function("() => window.seen.includes('U heeft een tijd niets gedaan. Nog 0:28.')")
    seen, said = page.evaluate("() => [window.seen, window.said]")
    left = [int(text.removeprefix("U heeft een tijd niets gedaan. Nog 0:").removesuffix(".")) for text in seen]
    # A busy machine may miss a second.
    assert len(left) >= 4 and all(later < sooner for sooner, later in pairwise(left))
    assert said == ["U wordt over 30 seconden uitgelogd"]
    expect(page.locator(".session-kit-heading")).to_have_text("U wordt bijna uitgelogd")
    assert page.title() == "U wordt bijna uitgelogd"


def test_staying_by_keyboard_extends_and_gives_focus_and_title_back(begin: Begin) -> None:
    visit = begin(Application(idle=9, warn=4))
    page = visit.tab()
    page.evaluate("() => document.getElementById('field').focus()")
    warned(page)
    assert page.evaluate(FOCUSED) == "session-kit-stay"
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED) == "session-kit-leave"
    page.keyboard.press("Shift+Tab")
    assert page.evaluate(FOCUSED) == "session-kit-stay"
    assert visit.application.reports == [], "going through the warning is no answer to it"
    page.keyboard.press("Enter")
    gone(page)
    assert [idle_seconds for _, idle_seconds in visit.application.reports] == [0]
    assert page.evaluate(FOCUSED) == "field" and page.title() == "start"


def test_staying_can_be_repeated_past_any_number_of_deadlines(begin: Begin) -> None:
    visit = begin(Application(idle=4.9, warn=2))
    page, watch = visit.tab(), Stopwatch()
    for press in (
        lambda: page.click(STAY),
        lambda: page.keyboard.press("Escape"),
        lambda: page.keyboard.press("Space"),
    ):
        warned(page)
        press()
        gone(page)
    assert visit.application.is_signed_in and len(visit.application.reports) == 3
    page.wait_for_url(SIGNED_OUT)
    assert watch.seconds > 6


def test_escape_reaches_nothing_else_on_the_page(begin: Begin) -> None:
    page = begin(Application(idle=4, warn=3)).tab()
    page.evaluate("() => addEventListener('keydown', (event) => { window.heard = event.key; })")
    warned(page).keyboard.press("Escape")
    gone(page)
    assert page.evaluate("() => window.heard ?? null") is None


def test_key_that_is_held_down_presses_no_button(begin: Begin) -> None:
    visit = begin(Application(idle=5, warn=3))
    page = visit.tab()
    page.keyboard.down("Enter")  # something lies on the key
    warned(page)
    for _ in range(60):
        page.keyboard.down("Enter")
        page.wait_for_timeout(100)
    page.wait_for_url(SIGNED_OUT)
    # The first press is one.
    assert [idle_seconds for _, idle_seconds in visit.application.reports] == [0]


def test_what_scripts_do_to_the_warning_neither_extends_nor_removes_it(begin: Begin) -> None:
    visit = begin(Application(idle=14, warn=11))
    page = warned(visit.tab())
    for attack in (
        "document.querySelector('.session-kit-stay').click()",
        "document.querySelector('dialog').requestClose()",
        "document.querySelector('dialog').dispatchEvent(new Event('cancel'))",
        "dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true }))",
        "document.querySelector('dialog').close()",
        "document.querySelector('dialog').remove()",
    ):
        page.evaluate(f"() => {{ {attack} }}")
    expect(page.locator(STAY)).to_be_visible()
    assert page.evaluate("() => document.querySelector('dialog').matches(':modal')")
    page.wait_for_url(SIGNED_OUT)
    assert visit.application.reports == []


@pytest.mark.parametrize(("query", "request_line"), [("", "GET /logged-out"), ("?form=1", "POST /logout")])
def test_logging_out_now_takes_the_applications_own_way(begin: Begin, query: str, request_line: str) -> None:
    visit = begin(Application(idle=30, warn=30))
    page = warned(visit.tab(f"/page/start{query}"))
    with page.expect_navigation():
        page.click(LEAVE)
    assert visit.application.departures == [request_line]


def test_activity_in_another_application_prevents_the_warning(begin: Begin) -> None:
    visit = begin(Application(idle=10, warn=2))
    page = visit.tab()
    page.wait_for_timeout(4000)
    visit.application.used_elsewhere()
    page.wait_for_timeout(4500)  # the first time to warn has come and gone
    assert page.locator(DIALOG).count() == 0
    warned(page)


def test_activity_in_another_application_closes_the_warning_in_all_tabs(begin: Begin) -> None:
    visit = begin(Application(idle=20, warn=12))
    tabs = [visit.tab(), visit.tab("/page/other")]
    for page in tabs:
        warned(page)
    visit.application.used_elsewhere()
    for page in tabs:
        gone(page)
    assert visit.application.reports == []
    assert [page.title() for page in tabs] == ["start", "other"]


def test_staying_in_one_tab_closes_the_warning_in_the_other(begin: Begin) -> None:
    visit = begin(Application(idle=14, warn=11))
    first, second = visit.tab(), visit.tab("/page/other")
    warned(first)
    warned(second).click(STAY)
    gone(second)
    gone(first)
    assert len(visit.application.reports) == 1


def test_somebody_who_can_stay_no_longer_is_told_and_can_go_on_until_the_end(begin: Begin) -> None:
    visit = begin(Application(idle=60, warn=6, absolute=8))
    page = visit.tab()
    warned(page).click(STAY)
    expect(page.get_by_role("alert")).to_have_text("Langer ingelogd blijven kan niet. Sla uw werk nu op.")
    page.get_by_role("button", name="Verder werken").click()
    gone(page)
    page.fill("#field", "het laatste")
    assert page.title() == "start"
    page.wait_for_url(SIGNED_OUT)
    assert -1.5 < (ticks() - visit.application.over_at).total_seconds() < 6


def test_staying_without_a_server_is_said_and_can_be_tried_again(begin: Begin) -> None:
    visit = begin(Application(idle=12, warn=10))
    visit.may_be_unreachable = True
    page = warned(visit.tab())
    visit.context.set_offline(True)
    page.click(STAY)
    expect(page.get_by_role("alert")).to_have_text("Het lukt nu niet. Controleer uw internet en probeer het opnieuw.")
    visit.context.set_offline(False)
    page.click(STAY, timeout=5000)
    gone(page)


def test_staying_while_the_provider_is_away_is_said_and_can_be_tried_again(begin: Begin) -> None:
    visit = begin(Application(idle=14, warn=10))
    page = warned(visit.tab())
    visit.application.provider_is_away = True
    page.click(STAY)
    expect(page.get_by_role("alert")).to_have_text("Het lukt nu niet. Probeer het opnieuw.")
    expect(page.locator(STAY)).to_have_text("Ingelogd blijven")
    visit.application.provider_is_away = False
    page.click(STAY, timeout=5000)
    gone(page)
