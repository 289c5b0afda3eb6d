"""What counts as somebody being here, and when the application hears of it."""

from itertools import pairwise

import pytest

from idp.kernel.clock import ticks
from tests.kit_script.application import Application
from tests.kit_script.conftest import Begin, Stopwatch
from tests.kit_script.test_warning import DIALOG, SIGNED_OUT, STAY, warned

# Everything that scripts can do to look alive, ten times a second. Some of the events that follow are trusted.
TIMER = """() => {
  window.heard = new Set();
  const kinds = ["pointerdown", "keydown", "wheel", "click", "touchmove", "scroll", "focus", "submit"];
  for (const kind of kinds) addEventListener(kind, (event) => window.heard.add(`${kind} ${event.isTrusted}`), true);
  const form = document.createElement("form");
  form.onsubmit = (event) => event.preventDefault();
  document.body.append(form);
  let turn = 0;
  setInterval(() => {
    const target = document.querySelector(".session-kit-stay") ?? document.getElementById("field");
    target.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true, isPrimary: true }));
    target.dispatchEvent(new KeyboardEvent("keydown", { bubbles: true, key: "Enter" }));
    target.dispatchEvent(new KeyboardEvent("keydown", { bubbles: true, key: "Escape" }));
    target.dispatchEvent(new WheelEvent("wheel", { bubbles: true, deltaY: 9 }));
    target.dispatchEvent(new MouseEvent("click", { bubbles: true }));
    target.dispatchEvent(new Event("touchmove", { bubbles: true }));
    target.click();
    document.querySelector("label").click();
    target.blur();
    target.focus();
    scrollTo(0, (turn += 1) % 2 ? 500 : 0);
    form.requestSubmit();
    document.querySelector("dialog")?.requestClose();
    document.dispatchEvent(new Event("visibilitychange"));
    dispatchEvent(new Event("online"));
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: false }));
  }, 100);
}"""


def test_page_with_a_timer_that_imitates_somebody_ends_on_time(begin: Begin) -> None:
    visit = begin(Application(idle=8, warn=2))
    page = visit.tab()
    page.evaluate(TIMER)
    page.wait_for_function("() => window.heard.has('scroll true')")
    assert page.locator(DIALOG).count() == 0, "it is too late to see that it counts nothing"
    warned(page)
    heard = page.evaluate("() => [...window.heard]")
    page.wait_for_url(SIGNED_OUT)
    late = (ticks() - visit.application.over_at).total_seconds()
    assert -0.5 < late < 6
    assert visit.application.reports == []
    assert len(visit.application.questions) <= 16, "it asks no more than once in a second"
    assert {"pointerdown false", "keydown false", "wheel false", "click false", "scroll true", "submit true"} <= {
        *heard
    }


def test_page_that_asks_all_the_time_ends_on_time(begin: Begin) -> None:
    visit = begin(Application(idle=3, warn=1))
    page = visit.tab()
    page.evaluate("() => { setInterval(() => fetch('/session/status'), 100); }")
    page.wait_for_url(SIGNED_OUT)
    assert (ticks() - visit.application.over_at).total_seconds() < 6
    assert len(visit.application.questions) > 10


def test_moving_the_mouse_is_nobody(begin: Begin) -> None:
    visit = begin(Application(idle=3, warn=1))
    page = visit.tab()
    for step in range(20):
        page.mouse.move(100 + step, 100 + step)
        page.wait_for_timeout(50)
    page.wait_for_url(SIGNED_OUT)
    assert visit.application.reports == []


@pytest.mark.parametrize("act", ["key", "press", "wheel", "touch"])
def test_what_somebody_really_does_is_told_at_once(begin: Begin, act: str) -> None:
    visit = begin(Application(idle=30, warn=5), has_touch=act == "touch")
    page = visit.tab()
    with page.expect_response("**/session/activity"):
        match act:
            case "key":
                page.keyboard.press("a")
            case "press":
                page.mouse.click(300, 400)
            case "wheel":
                page.mouse.wheel(0, 200)
            case "touch":
                page.touchscreen.tap(300, 400)
    assert [idle_seconds for _, idle_seconds in visit.application.reports] == [0]


def test_somebody_who_works_is_never_warned_and_told_of_seldom_with_the_last_moment_at_the_end(begin: Begin) -> None:
    visit = begin(Application(idle=12, warn=4))
    application = visit.application
    page, watch = visit.tab(), Stopwatch()
    while watch.seconds < 6:
        page.keyboard.press("a")
        last = ticks()
        page.wait_for_timeout(150)
    page.wait_for_timeout(5000)
    moments = [moment for moment, _ in application.reports]
    apart = [(later - sooner).total_seconds() for sooner, later in pairwise(moments)]
    # Half of the time until the warning, which shrinks while it passes: (12 - 4) / 2 and less.
    assert 2 <= len(apart) <= 4 and min(apart) > 1.2
    # The last report came after the last key, and tells when that was, to the second and not later than it was.
    reported_at, idle_seconds = application.reports[-1]
    late = (reported_at - last).total_seconds() - idle_seconds
    assert reported_at > last and idle_seconds >= 1 and -1.2 < late < 1.5
    assert page.locator(DIALOG).count() == 0


def test_next_page_does_not_begin_a_new_minute(begin: Begin) -> None:
    visit = begin(Application(idle=600, warn=5))
    page = visit.tab()
    with page.expect_response("**/session/activity"):
        page.keyboard.press("a")
    for _ in range(3):
        with page.expect_response("**/session/status"):
            page.click("#onward")
        page.keyboard.press("a")
    page.wait_for_timeout(500)
    assert len(visit.application.reports) == 1


def test_browser_that_stores_nothing_tells_all_the_same(begin: Begin) -> None:
    visit = begin(Application(idle=30, warn=5))
    visit.context.add_init_script("delete Window.prototype.localStorage; delete window.localStorage")
    page = visit.tab()
    with page.expect_response("**/session/activity"):
        page.keyboard.press("a")
    assert len(visit.application.reports) == 1


def test_tabs_share_activity_and_the_minute(begin: Begin) -> None:
    visit = begin(Application(idle=9, warn=2))
    idle, busy = visit.tab(), visit.tab("/page/other")
    watch = Stopwatch()
    while watch.seconds < 10:
        busy.keyboard.press("a")
        busy.wait_for_timeout(150)
        assert idle.locator(DIALOG).count() == 0
    reports = [moment for moment, _ in visit.application.reports]
    assert min((later - sooner).total_seconds() for sooner, later in pairwise(reports)) > 0.5
    # Nobody asks in the idle tab while the busy one is told.
    assert len(visit.application.questions) <= 4
    assert visit.application.is_signed_in


def test_last_moment_in_a_closed_tab_is_told_by_the_one_that_stays(begin: Begin) -> None:
    visit = begin(Application(idle=30, warn=4))
    stays, closes = visit.tab(), visit.tab("/page/other")
    with closes.expect_response("**/session/activity"):
        closes.keyboard.press("a")
    closes.wait_for_timeout(1200)
    closes.keyboard.press("b")
    last = ticks()
    closes.wait_for_timeout(100)
    closes.close()
    assert len(visit.application.reports) == 1
    with stays.expect_response("**/session/activity"):
        pass
    reported_at, idle_seconds = visit.application.reports[-1]
    assert -1.2 < (reported_at - last).total_seconds() - idle_seconds < 1.5


def test_report_that_fails_is_sent_again(begin: Begin) -> None:
    visit = begin(Application(idle=9, warn=3))
    visit.may_be_unreachable = True
    page = visit.tab()
    visit.application.broken = True
    with page.expect_response("**/session/activity"):
        page.keyboard.press("a")
    last = ticks()
    visit.application.broken = False
    with page.expect_response("**/session/activity"):
        pass
    reported_at, idle_seconds = visit.application.reports[-1]
    assert (reported_at - last).total_seconds() <= idle_seconds + 1.5
    warned(page).click(STAY)
