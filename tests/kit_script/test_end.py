"""The end: on time, in every tab, with and without a network, and whatever the clock and the browser do."""

from datetime import timedelta
from itertools import pairwise
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser

from idp.kernel.clock import ticks
from tests.kit_script.application import Application
from tests.kit_script.conftest import Begin, Stopwatch
from tests.kit_script.test_warning import DIALOG, SIGNED_OUT, STAY, gone, warned

# The machine's clock as the page sees it; `moved` is how many milliseconds it was set forward.
CLOCK = """(() => {
  const real = Date.now.bind(Date);
  window.moved = 0;
  Date.now = () => real() + window.moved;
})()"""
REVEALED = """() => {
  new MutationObserver(() => {
    if (!document.documentElement.classList.contains("session-kit-over")) violated("somebody else's page is seen");
  }).observe(document.documentElement, { attributes: true });
}"""
CONCEALED = "() => getComputedStyle(document.querySelector('h1')).visibility === 'hidden'"

# Seconds. Busy machines are late; what keeps a page alive lets it live on.
LATE = 6.0


def lateness(application: Application) -> float:
    """Seconds since the sign-in was over."""
    return (ticks() - application.over_at).total_seconds()


def test_page_with_nobody_is_left_on_time_for_the_page_that_says_so_with_the_way_back(begin: Begin) -> None:
    visit = begin(Application(idle=4, warn=2))
    page = visit.tab("/page/start?lang=nl&x=1")
    page.wait_for_url(SIGNED_OUT)
    assert -0.5 < lateness(visit.application) < LATE
    parts = urlsplit(page.url)
    assert (parts.path, parse_qs(parts.query)) == ("/signed-out", {"next": ["/page/start?lang=nl&x=1"]})
    # First answer, before the warning, each second of it, at the end and once more: the last second may not be over.
    assert len(visit.application.questions) <= 7


def test_sign_in_that_lives_although_no_second_is_left_is_asked_about_once_in_a_second(begin: Begin) -> None:
    application = Application(idle=5, warn=1)
    application.modest = timedelta(seconds=3)
    page = begin(application).tab()
    page.wait_for_url(SIGNED_OUT)
    assert -0.5 < lateness(application) < LATE
    apart = [(later - sooner).total_seconds() for sooner, later in pairwise(application.questions)]
    assert min(apart[2:]) > 0.5 and 3 <= len(application.questions) <= 8


def test_page_that_was_left_does_not_come_back_with_the_back_button(begin: Begin) -> None:
    visit = begin(Application(idle=2, warn=1))
    page = visit.context.new_page()
    page.goto(f"{visit.application.origin}/elsewhere")
    page.goto(f"{visit.application.origin}/page/start?kept=1")
    page.wait_for_url(SIGNED_OUT)
    page.go_back()
    assert urlsplit(page.url).path == "/elsewhere"


def test_background_tab_is_left_too(begin: Begin) -> None:
    visit = begin(Application(idle=4, warn=2))
    background = visit.tab()
    background.evaluate(
        """() => {
          Object.defineProperty(document, "hidden", { get: () => true });
          Object.defineProperty(document, "visibilityState", { get: () => "hidden" });
          document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    front = visit.context.new_page()
    front.bring_to_front()
    background.wait_for_url(SIGNED_OUT)
    assert lateness(visit.application) < LATE


def test_two_tabs_end_together(begin: Begin) -> None:
    visit = begin(Application(idle=4, warn=2))
    tabs = [visit.tab(), visit.tab("/page/other")]
    for page in tabs:
        warned(page)
    for page in tabs:
        page.wait_for_url(SIGNED_OUT)
    assert lateness(visit.application) < LATE


def test_sign_in_that_ended_elsewhere_is_seen_when_somebody_looks_again(begin: Begin) -> None:
    visit = begin(Application(idle=60, warn=5))
    page, other = visit.tab(), visit.tab("/page/other")
    page.wait_for_timeout(1100)
    visit.application.end()
    page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    page.wait_for_url(SIGNED_OUT)
    other.wait_for_url(SIGNED_OUT)  # it heard that there is something to ask


def test_sign_in_that_ended_elsewhere_is_seen_when_somebody_does_something(begin: Begin) -> None:
    visit = begin(Application(idle=60, warn=5))
    page = visit.tab()
    visit.application.end()
    page.keyboard.press("a")
    page.wait_for_url(SIGNED_OUT)


def test_logging_out_is_not_overtaken_by_the_news_of_its_own_end(begin: Begin) -> None:
    visit = begin(Application(idle=60, warn=5))
    page = visit.tab()
    visit.application.logging_out = timedelta(seconds=1.5)
    # The press is activity, which is reported; the answer comes when the sign-in is over and the browser still waits
    # for where logging out leads, at the provider.
    visit.application.hang()
    page.click("#logout", no_wait_after=True)
    page.wait_for_url("**/logout")
    assert visit.application.reports and visit.application.departures == ["POST /logout"]


def test_page_whose_logging_out_comes_to_nothing_is_left_all_the_same(begin: Begin) -> None:
    visit = begin(Application(idle=60, warn=5))
    page, watch = visit.tab(), Stopwatch()
    visit.application.logging_out = timedelta(seconds=20)
    page.click("#logout", no_wait_after=True)
    page.wait_for_url(SIGNED_OUT, timeout=19_000)
    assert 9 < watch.seconds < 19


def test_sign_in_that_ended_elsewhere_is_seen_though_nobody_touches_the_page(begin: Begin) -> None:
    visit = begin(Application(idle=60, warn=5))
    page, watch = visit.tab(), Stopwatch()
    visit.application.end()
    page.wait_for_url(SIGNED_OUT)
    assert watch.seconds < 12 and visit.application.reports == []


def test_deadline_without_a_network_ends_it(begin: Begin) -> None:
    visit = begin(Application(idle=4, warn=2))
    visit.may_be_unreachable = True
    page = visit.tab()
    visit.context.set_offline(True)
    warned(page)
    page.wait_for_function("() => location.protocol === 'chrome-error:'")
    assert -1.5 < lateness(visit.application) < LATE
    visit.context.set_offline(False)
    page.wait_for_timeout(200)
    assert page.locator("#field").count() == 0


def test_deadline_with_a_provider_that_cannot_be_asked_ends_it(begin: Begin) -> None:
    visit = begin(Application(idle=4, warn=2))
    visit.may_be_unreachable = True
    page = visit.tab()
    visit.application.broken = True
    page.wait_for_url(SIGNED_OUT)
    # Whole seconds are rounded down, so that it may be a second early.
    assert -1.5 < lateness(visit.application) < LATE


def test_deadline_with_a_server_that_hangs_hides_the_page_and_ends_it(begin: Begin) -> None:
    visit = begin(Application(idle=3, warn=1))
    visit.may_be_unreachable = True
    page = visit.tab()
    visit.application.hang()
    page.wait_for_function(CONCEALED)
    assert -1.5 < lateness(visit.application) < LATE
    page.wait_for_url(SIGNED_OUT)


def test_network_that_is_away_only_meanwhile_ends_nothing(begin: Begin) -> None:
    visit = begin(Application(idle=6, warn=2))
    visit.may_be_unreachable = True
    page = visit.tab()
    visit.context.set_offline(True)
    page.keyboard.press("a")
    page.wait_for_timeout(500)
    visit.context.set_offline(False)
    with page.expect_response("**/session/activity"):
        pass
    assert visit.application.is_signed_in
    warned(page).click(STAY)
    gone(page)


def test_application_that_asks_before_a_page_is_left_is_not_asked(begin: Begin) -> None:
    visit = begin(Application(idle=3, warn=1))
    page = visit.tab()
    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.evaluate(
        """() => {
          const ask = (event) => { event.preventDefault(); return "no"; };
          window.onbeforeunload = ask;
          addEventListener("beforeunload", ask);
        }"""
    )
    page.fill("#field", "niet bewaard")
    page.keyboard.press("a")  # a browser asks only for somebody who did something
    page.wait_for_url(SIGNED_OUT)
    assert asked == []


def test_clock_that_is_set_back_gives_no_time(begin: Begin) -> None:
    visit = begin(Application(idle=4, warn=2))
    visit.context.add_init_script(CLOCK)
    page = visit.tab()
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    page.evaluate("() => { window.moved = -3_600_000; }")
    page.keyboard.press("b")
    page.wait_for_url(SIGNED_OUT)
    assert -0.5 < lateness(visit.application) < LATE


def test_clock_that_is_set_back_keeps_nobody_from_being_told_of(begin: Begin) -> None:
    visit = begin(Application(idle=14, warn=3))
    visit.context.add_init_script(CLOCK)
    page = visit.tab()
    with page.expect_response("**/session/activity"):
        page.keyboard.press("a")
    page.evaluate("() => { window.moved = -3_600_000; }")
    page.wait_for_timeout(300)
    with page.expect_response("**/session/activity"):
        page.keyboard.press("b")
    _, idle_seconds = visit.application.reports[-1]
    assert idle_seconds <= 7, "it was told when the warning was near, not at the end of the interval"


def test_laptop_that_slept_past_the_end_shows_nothing_and_asks(begin: Begin) -> None:
    visit = begin(Application(idle=600, warn=5))
    visit.context.add_init_script(CLOCK)
    page = visit.tab()
    visit.application.end()
    visit.application.hang()
    page.evaluate("() => { window.moved = 601_000; }")
    page.wait_for_function(CONCEALED, timeout=3000)
    visit.application.recover()
    page.wait_for_url(SIGNED_OUT)


def test_clock_that_is_set_forward_ends_nothing_early(begin: Begin) -> None:
    visit = begin(Application(idle=600, warn=5))
    visit.context.add_init_script(CLOCK)
    page = visit.tab()
    with page.expect_response("**/session/status"):
        page.evaluate("() => { window.moved = 601_000; }")
    page.wait_for_function(f"() => !({CONCEALED})()")
    assert page.locator(DIALOG).count() == 0 and urlsplit(page.url).path == "/page/start"


@pytest.mark.parametrize("ended", [True, False], ids=["ended meanwhile", "still signed in"])
def test_page_that_the_browser_kept_is_hidden_until_it_was_asked_about(
    begin: Begin, keeping_browser: Browser, ended: bool
) -> None:
    visit = begin(Application(idle=60, warn=5), keeping_browser)
    page = visit.tab("/page/start?kept=1")
    page.evaluate("() => { window.kept = true; }")
    page.goto(f"{visit.application.origin}/elsewhere")
    if ended:
        visit.application.end()
    visit.application.hang()
    page.go_back(wait_until="commit")
    assert page.evaluate("() => window.kept"), "the browser did not keep the page"
    assert page.evaluate(CONCEALED)
    visit.application.recover()
    if ended:
        page.wait_for_url(SIGNED_OUT)
    else:
        page.wait_for_function(f"() => !({CONCEALED})()")
        with page.expect_response("**/session/activity"):
            page.keyboard.press("a")


def test_page_that_the_browser_kept_of_somebody_else_is_never_seen_and_left(
    begin: Begin, keeping_browser: Browser
) -> None:
    visit = begin(Application(idle=60, warn=5), keeping_browser)
    page = visit.tab("/page/start?kept=1")
    page.evaluate("() => { window.kept = true; }")
    page.goto(f"{visit.application.origin}/elsewhere")
    visit.application.end()
    visit.application.sign_in()
    visit.application.hang()
    page.go_back(wait_until="commit")
    assert page.evaluate("() => window.kept"), "the browser did not keep the page"
    assert page.evaluate(CONCEALED)
    page.evaluate(REVEALED)
    visit.application.recover()
    page.wait_for_url(SIGNED_OUT)


def test_page_that_the_browser_kept_stays_hidden_as_long_as_nobody_can_be_asked(
    begin: Begin, keeping_browser: Browser
) -> None:
    visit = begin(Application(idle=60, warn=5), keeping_browser)
    visit.may_be_unreachable = True
    page = visit.tab("/page/start?kept=1")
    page.evaluate("() => { window.kept = true; }")
    page.goto(f"{visit.application.origin}/elsewhere")
    visit.application.broken = True
    with page.expect_response("**/session/status"):
        page.go_back(wait_until="commit")
    assert page.evaluate("() => window.kept"), "the browser did not keep the page"
    page.wait_for_timeout(500)
    assert page.evaluate(CONCEALED)
    visit.application.broken = False
    page.wait_for_function(f"() => !({CONCEALED})()")


def test_page_of_somebody_else_is_left_when_another_tab_signs_in_anew(begin: Begin) -> None:
    visit = begin(Application(idle=60, warn=5))
    page = visit.tab()
    visit.application.sign_in()
    other = visit.tab("/page/other")
    page.wait_for_url(SIGNED_OUT)
    other.wait_for_timeout(1000)
    assert urlsplit(other.url).path == "/page/other", "what other tabs hear makes nobody leave"


def test_page_that_the_browser_prepares_asks_nothing_before_it_is_seen(begin: Begin) -> None:
    visit = begin(Application(idle=60, warn=5))
    visit.context.add_init_script("Object.defineProperty(document, 'prerendering', { get: () => true })")
    page = visit.context.new_page()
    page.goto(f"{visit.application.origin}/page/start")
    page.keyboard.press("a")
    page.wait_for_timeout(300)
    assert visit.application.questions == [] and visit.application.reports == []
    with page.expect_response("**/session/status"):
        page.evaluate("() => { document.dispatchEvent(new Event('prerenderingchange')); }")
