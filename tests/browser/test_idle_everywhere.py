"""Two applications in two tabs of one browser, by a real stopwatch: whoever works stays in both, silence ends both."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from idp.kernel.clock import ticks
from tests.browser.visitor import CODE, LOGIN, WELCOME, Tab, Visitor, start
from tests.demo.command import Demo, base_port, code, running
from tests.demo.test_idle import told

pytestmark = pytest.mark.xdist_group("browser")

# Seconds. The kit warns a third of it before the end.
IDLE = 12.0
WARNING = "dialog.session-kit-dialog"
ENDED = "U bent automatisch uitgelogd"


def test_work_in_one_tab_keeps_both_applications_and_silence_ends_both_with_a_warning(
    browser: Browser, tmp_path: Path
) -> None:
    with running(tmp_path, "--idle", f"{IDLE:.0f}", IDP_DEMO_PORT=str(base_port())) as demo:
        context = browser.new_context(locale="nl-NL", reduced_motion="reduce")
        context.set_default_timeout(30_000)
        anna = Visitor(context, demo.answer["issuer"], script=True)
        atosi = start(anna.tab(), demo.atosi).at(LOGIN)
        log_in(atosi, demo)
        rapportages = start(anna.tab(), demo.rapportages).at(WELCOME)

        last = work(atosi.page, IDLE * 1.3)
        for tab in (atosi, rapportages):
            assert tab.find("h1").inner_text() == WELCOME
            expect(tab.find(WARNING)).to_have_count(0)

        pages = [atosi.page, rapportages.page]
        for page in pages:
            page.locator(WARNING).wait_for()
            expect(page.locator(f"{WARNING} h2")).to_have_text("U wordt bijna uitgelogd")
        assert (ticks() - last).total_seconds() < IDLE
        for page in pages:
            page.get_by_role("heading", level=1, name=ENDED).wait_for()
            after = (ticks() - last).total_seconds()
            # A second for whole seconds in answers, and some for a machine with much to do.
            assert IDLE - 2 <= after <= IDLE + 7, after
        for tab in (atosi, rapportages):
            tab.at(ENDED)
        (session,) = told(demo, "session", "list", "--ended")
        assert session["reason"] == "idle"
        assert anna.watch.faults == []
        context.close()


def log_in(tab: Tab, demo: Demo) -> None:
    user = demo.answer["users"]["anna"]
    tab.fill(organisation=user["organisation"], username="anna", password=user["password"]).press("#login-submit")
    tab.at(CODE).send_code(code(user["totp_key"])).at(WELCOME)


def work(page: Page, seconds: float) -> timedelta:
    """Somebody presses a key now and then, and never leaves the page; since when nothing more is pressed."""
    page.bring_to_front()
    last = since = ticks()
    while (last - since).total_seconds() < seconds:
        page.wait_for_timeout(400)
        last = ticks()
        page.keyboard.press("ArrowDown")
    return last
