"""One sign-in for two applications, in one tab and in two, and the end of it."""

from datetime import timedelta

import pytest

from tests.browser.conftest import Begin
from tests.browser.elsewhere import ARRIVED, site_that
from tests.browser.visitor import CODE, EXPIRED, LOGIN, WELCOME, start
from tests.browser.world import World

pytestmark = pytest.mark.xdist_group("browser")


def test_second_application_asks_nothing_and_logging_out_at_one_ends_both(
    visit: Begin, site: World, script: bool
) -> None:
    anna, visitor = site.app_user(), visit(script)
    tab = start(visitor.tab(), site.atosi).log_in(anna).send_code(site.code(anna)).at(WELCOME)
    session = tab.text("#claim-sid")
    forms = visitor.watch.posts()
    tab.press("#other").at(WELCOME)
    assert tab.page.url == f"{site.rapportages}/" and tab.text("#claim-sid") == session
    assert visitor.watch.posts() == forms

    tab.press("#logout").at("U bent uitgelogd")
    assert tab.page.url.startswith(f"{site.rapportages}/signed-out")
    start(visitor.tab(), site.rapportages).at("Inloggen bij Rapportages")
    visitor.context.clear_cookies(name="atosi_session")
    start(visitor.tab(), site.atosi).at(LOGIN)


def test_logout_that_nobody_asked_for_is_confirmed_first(visit: Begin, site: World) -> None:
    anna, visitor = site.password_user(), visit()
    tab = start(visitor.tab(), site.atosi).log_in(anna).at(WELCOME)
    start(tab, site.rapportages).at(WELCOME)
    leaving = f"{site.issuer}/end_session"
    tab.open(leaving).at("Wilt u uitloggen?")
    warned = tab.find("main .note").all_inner_texts()
    assert warned == [f"{name} kan open blijven. Log daar zelf uit." for name in ("Atosi", "Rapportages")]
    tab.press("#logout-cancel").at("Inloggen voor Atosi")
    visitor.context.clear_cookies(name="rapportages_session")
    start(tab, site.rapportages).at(WELCOME)

    tab.open(leaving).press("#logout-confirm").at("U bent uitgelogd")
    for application, heading in ((site.atosi, LOGIN), (site.rapportages, "Inloggen bij Rapportages")):
        visitor.context.clear_cookies(name="atosi_session")
        visitor.context.clear_cookies(name="rapportages_session")
        start(visitor.tab(), application).at(heading)
    tab.open(leaving).at("U bent uitgelogd")


@pytest.mark.parametrize("first_to_finish", ["atosi", "rapportages"])
def test_each_of_two_tabs_ends_at_its_own_application(visit: Begin, site: World, first_to_finish: str) -> None:
    anna, visitor = site.app_user(), visit()
    tabs = {
        "atosi": (start(visitor.tab(), site.atosi), site.atosi),
        "rapportages": (start(visitor.tab(), site.rapportages), site.rapportages),
    }
    first, address = tabs.pop(first_to_finish)
    first.log_in(anna).at(CODE).send_code(site.code(anna)).at(WELCOME)
    assert first.page.url == f"{address}/"
    ((second, other_address),) = tabs.values()
    second.log_in(anna).at(WELCOME)
    assert second.page.url == f"{other_address}/"


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["first tab first", "second tab first"])
def test_two_tabs_that_ask_for_the_code_end_at_their_own_address_with_their_own_state(
    visit: Begin, site: World, order: tuple[int, int]
) -> None:
    anna, visitor = site.app_user(), visit()
    with site_that() as one, site_that() as two:
        tabs = []
        for number, (address, _) in enumerate((one, two)):
            client = site.live.make.client(f"tab-{number}-of-{order}", redirect_uris=[f"{address}/callback"])
            url = site.authorization_url(client.client_id, client.redirect_uri, state=f"state of tab {number}")
            tabs.append(visitor.tab().open(url).log_in(anna).at(CODE))
        code = site.code(anna)
        for number in order:
            tabs[number].send_code(code).at(ARRIVED)
    for number, (address, received) in enumerate((one, two)):
        assert tabs[number].page.url.startswith(f"{address}/callback?")
        assert [answer["state"] for answer in received] == [f"state of tab {number}"]


def test_tabs_that_both_expired_at_the_code_still_end_at_their_own_applications(visit: Begin, site: World) -> None:
    anna, visitor = site.app_user(), visit()
    visitor.watch.expect(410)
    first = start(visitor.tab(), site.atosi).log_in(anna).at(CODE)
    second = start(visitor.tab(), site.rapportages).log_in(anna).at(CODE)
    site.pass_time(timedelta(minutes=31))
    first.send_code(site.code(anna)).at(EXPIRED).press("#restart").at(LOGIN)
    first.log_in(anna).at(CODE).send_code(site.code(anna)).at(WELCOME)
    second.reload().at(EXPIRED).press("#restart").at(WELCOME)
    assert (first.page.url, second.page.url) == (f"{site.atosi}/", f"{site.rapportages}/")


def test_tab_that_expired_meanwhile_still_ends_at_its_own_application(visit: Begin, site: World) -> None:
    anna, visitor = site.password_user(), visit()
    second = start(visitor.tab(), site.rapportages)
    site.pass_time(timedelta(minutes=31))
    start(visitor.tab(), site.atosi).log_in(anna).at(WELCOME)
    second.reload().at(WELCOME)
    assert second.page.url == f"{site.rapportages}/"


def test_password_alone_opens_nothing_in_a_second_tab(visit: Begin, site: World) -> None:
    anna, visitor = site.app_user(), visit()
    start(visitor.tab(), site.atosi).log_in(anna).at(CODE)
    second = start(visitor.tab(), site.atosi).at(LOGIN)
    second.log_in(anna).at(CODE).send_code(site.code(anna)).at(WELCOME)


def test_second_tab_of_somebody_else_asks_which_account_it_is_to_be(visit: Begin, site: World) -> None:
    anna, bram, visitor = site.password_user(), site.password_user(), visit()
    second = start(visitor.tab(), site.rapportages)
    start(visitor.tab(), site.atosi).log_in(anna).at(WELCOME)
    second.log_in(bram).at("U bent al ingelogd als anna")
    second.press("#account-other").at("Inloggen bij Rapportages").log_in(bram).at(WELCOME)
    assert second.text("#claim-organisation_name").endswith(bram.org_code)
