"""Waiting too long, and requests that cannot be answered."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import Begin
from tests.browser.visitor import EXPIRED, LOGIN, SET_UP, WELCOME, Visitor, start
from tests.browser.world import World
from tests.services.chromium import executable, launch_arguments

pytestmark = pytest.mark.xdist_group("browser")

# Chromium's CONTENT_SETTING_BLOCK.
BLOCKED = 2


def test_expired_sign_in_starts_again_with_one_button_and_ends_at_its_application(
    visit: Begin, site: World, script: bool
) -> None:
    anna, visitor = site.newcomer(), visit(script)
    visitor.watch.expect(410)
    tab = start(visitor.tab(), site.atosi).log_in(anna).press("#method-submit").at(SET_UP)
    old = tab.scan()
    site.pass_time(timedelta(minutes=31))
    tab.send_code(old.now()).at(EXPIRED)
    assert visitor.watch.documents[-1].status == 410
    tab.press("#restart").at(LOGIN).log_in(anna).press("#method-submit").at(SET_UP)
    app = tab.scan()
    assert app.secret != old.secret
    tab.send_code(app.now()).at(WELCOME)
    assert tab.page.url == f"{site.atosi}/"


def test_password_on_a_login_page_that_waited_too_long_is_simply_taken(visit: Begin, site: World) -> None:
    anna, tab = site.password_user(), visit().tab()
    start(tab, site.atosi).at(LOGIN)
    site.pass_time(timedelta(minutes=31))
    tab.log_in(anna).at(WELCOME)


def test_thirty_minutes_without_activity_end_the_session(visit: Begin, site: World) -> None:
    anna, visitor = site.password_user(), visit()
    start(visitor.tab(), site.atosi).log_in(anna).at(WELCOME)
    site.pass_time(timedelta(minutes=29))
    tab = start(visitor.tab(), site.rapportages).at(WELCOME)
    site.pass_time(timedelta(minutes=31))
    visitor.context.clear_cookies(name="rapportages_session")
    start(tab, site.rapportages).at("Inloggen bij Rapportages")
    assert "30 minuten niets gedaan" in tab.text(".note") and tab.value("#organisation") == anna.org_code


def test_unregistered_redirect_uri_ends_at_our_own_page_with_a_code_that_is_in_the_trail(
    visit: Begin, site: World
) -> None:
    visitor = visit()
    visitor.watch.expect(400)
    tab = visitor.tab().open(site.authorization_url("atosi", "https://elsewhere.example/callback"))
    tab.at("Inloggen kan nu niet via deze link")
    assert len(visitor.watch.documents) == 1 and visitor.watch.documents[0].status == 400
    assert len(site.events(type="authorization_refused", request_code=tab.text("#request-code"))) == 1


def test_address_that_does_not_exist_is_told_in_our_own_words(visit: Begin, site: World) -> None:
    visitor = visit()
    visitor.watch.expect(404)
    visitor.tab().open(f"{site.issuer}/nergens").at("Deze pagina bestaat niet")


def test_link_of_somebody_elses_sign_in_starts_one_of_ones_own(visit: Begin, site: World) -> None:
    anna, bram = site.password_user(), site.password_user()
    theirs = start(visit().tab(), site.atosi)
    theirs.fill(organisation=anna.org_code, username=anna.username, password="iets anders").press("#login-submit")
    visitor = visit()
    ours = visitor.tab().open(theirs.page.url).at(LOGIN)
    assert ours.interaction != theirs.interaction and ours.value("#username") == ""
    # The application asked another browser, so it takes no answer from this one.
    visitor.watch.expect(400)
    ours.log_in(bram).at("Dit inloggen is niet gelukt")


def test_browser_that_keeps_no_cookies_is_told_so(browser: Browser, site: World, tmp_path: Path) -> None:
    settings = {"profile": {"default_content_setting_values": {"cookies": BLOCKED}}}
    (tmp_path / "Default").mkdir()
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(settings))
    context = browser.browser_type.launch_persistent_context(
        tmp_path, executable_path=executable(), args=launch_arguments(), locale="nl-NL"
    )
    with context:
        visitor = Visitor(context, site.issuer, script=True)
        visitor.watch.expect(400)
        tab = visitor.tab().open(site.authorization_url("atosi", f"{site.atosi}/callback")).at("Cookies staan uit")
        tab.press("#retry").at("Cookies staan uit")
        assert context.cookies() == [] and visitor.watch.faults == []
