"""Back and refresh, after each step: never a resubmit page, an error or a blank page, and nothing happens twice."""

import re

import pytest

from tests.browser.conftest import Begin
from tests.browser.visitor import CHOOSE, CODE, LOGIN, MAIL_CODE, SET_UP, SURE, WELCOME, Tab, start
from tests.browser.world import PAUSE, World, not_a_code_of

pytestmark = pytest.mark.xdist_group("browser")


def without_seconds(tab: Tab) -> str:
    """What people read on the page, but not how long a countdown still takes."""
    return re.sub(r"\d+ seconden", "seconden", tab.text("main"))


def refresh(tab: Tab, site: World, heading: str) -> Tab:
    """The page is the same after a refresh, no form was sent, and nothing happened at the provider."""
    before = tab.visitor.watch.posts(), site.events_so_far()
    shown = without_seconds(tab)
    tab.reload().at(heading)
    assert without_seconds(tab) == shown
    assert (tab.visitor.watch.posts(), site.events_so_far()) == before
    return tab


def back(tab: Tab, heading: str) -> Tab:
    """The page before works, whichever page it now is, and no form was sent."""
    before = tab.visitor.watch.posts()
    tab.back().at(heading)
    assert tab.page.url.startswith("http") and tab.visitor.watch.posts() == before
    return tab


def test_back_and_refresh_are_harmless_at_every_step_of_the_first_login(
    visit: Begin, site: World, script: bool
) -> None:
    anna, visitor = site.newcomer(), visit(script)
    tab = start(visitor.tab(), site.atosi).at(LOGIN)
    refresh(tab, site, LOGIN)
    back(tab, "Welkom bij Atosi").press("#login").at(LOGIN)
    tab.fill(organisation=anna.org_code, username=anna.username, password="iets anders").press("#login-submit").at(
        LOGIN
    )
    refresh(tab, site, LOGIN)
    assert tab.find("#summary").count() == 1

    refresh(tab.fill(password=anna.password).press("#login-submit").at(CHOOSE), site, CHOOSE)
    back(tab, CHOOSE)
    refresh(tab.check("method-postpone").press("#method-submit").at(SURE), site, SURE)
    back(tab, SURE).press("#postpone-back").at(CHOOSE)

    app = refresh(tab.check("method").press("#method-submit").at(SET_UP), site, SET_UP).scan()
    back(tab, CHOOSE).press("#method-submit").at(SET_UP)
    assert tab.scan().secret == app.secret
    tab.send_code(not_a_code_of(app, site.live.services.clock.now())).at(SET_UP)
    refresh(tab, site, SET_UP)
    assert tab.find("#summary").count() == 1
    back(tab, SET_UP)

    tab.send_code(app.now()).at(WELCOME)
    tab.reload().at(WELCOME)
    back(tab, "U bent al ingelogd")
    refresh(tab, site, "U bent al ingelogd").press("#app-link").at(WELCOME)


def test_back_and_refresh_are_harmless_at_every_step_with_codes_by_mail(
    visit: Begin, site: World, script: bool
) -> None:
    anna, visitor = site.newcomer(), visit(script)
    tab = start(visitor.tab(), site.atosi).log_in(anna).at(CHOOSE)
    tab.check("method-email").press("#method-submit").at(MAIL_CODE)
    code = site.mailed_code(anna)
    refresh(tab.reload(), site, MAIL_CODE)
    back(tab, MAIL_CODE).press(".actions a").at(CHOOSE)
    refresh(tab, site, CHOOSE)
    back(tab, MAIL_CODE)

    tab.send_code("111111" if code != "111111" else "222222").at(MAIL_CODE)
    refresh(tab, site, MAIL_CODE)
    assert tab.find("#summary").count() == 1
    back(tab, MAIL_CODE)
    site.pass_time(PAUSE)
    tab.press("#code-resend").at(MAIL_CODE)
    assert "Wij sturen een nieuwe code." in tab.text("#notice")
    site.deliver()
    refresh(tab.reload(), site, MAIL_CODE)
    back(tab, MAIL_CODE)

    tab.send_code(code).at(WELCOME)
    tab.reload().at(WELCOME)
    back(tab, "U bent al ingelogd")
    refresh(tab, site, "U bent al ingelogd").press("#app-link").at(WELCOME)
    assert len(site.mails_to(anna)) == 3, "two codes, and the news that there is a method"


def test_back_and_refresh_are_harmless_when_a_code_is_asked(visit: Begin, site: World, script: bool) -> None:
    anna, visitor = site.app_user(), visit(script)
    tab = start(visitor.tab(), site.atosi).log_in(anna).at(CODE)
    refresh(tab, site, CODE)
    back(tab, CODE)
    tab.send_code(site.wrong_code(anna)).at(CODE)
    for _ in range(6):
        tab.reload()
    assert tab.at(CODE).find("#summary").count() == 1
    assert [event.details["outcome"] for event in site.events(type="second_factor_checked", account_id=anna.id)] == [
        "wrong"
    ]
    tab.send_code(site.code(anna)).at(WELCOME)
    back(tab, "U bent al ingelogd")
