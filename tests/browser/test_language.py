"""The links to the other language."""

import pytest

from tests.browser.conftest import Begin
from tests.browser.visitor import LOGIN, WELCOME, start
from tests.browser.world import World

pytestmark = pytest.mark.xdist_group("browser")

ENGLISH = "a[lang=en]"
DUTCH = "a[lang=nl]"


def test_language_changes_within_the_sign_in_and_what_was_sent_before_stays(
    visit: Begin, site: World, script: bool
) -> None:
    anna, tab = site.newcomer(), visit(script).tab()
    start(tab, site.atosi).at(LOGIN)
    interaction = tab.interaction
    tab.fill(organisation=anna.org_code, username=anna.username, password="iets anders").press("#login-submit").at(
        LOGIN
    )
    tab.press(ENGLISH).at("Sign in to Atosi")
    assert tab.interaction == interaction and tab.find("html").get_attribute("lang") == "en"
    assert tab.page.title().startswith("Error:")
    assert (tab.value("#organisation"), tab.value("#username"), tab.value("#password")) == (
        anna.org_code,
        anna.username,
        "",
    )
    tab.fill(password=anna.password).press("#login-submit").at("Choose how to protect your account")
    assert tab.interaction == interaction
    app = tab.press("#method-submit").at("Set up your authenticator app").scan()
    tab.press(DUTCH).at("Stel uw authenticator app in")
    assert tab.scan().secret == app.secret
    tab.send_code(app.now()).at(WELCOME)


def test_language_link_takes_along_what_was_typed_but_not_the_password(visit: Begin, site: World) -> None:
    tab = start(visit().tab(), site.atosi).fill(organisation="10234", username="anna", password="geheim")
    tab.check("remember").find("[data-shows=password]").click()  # a password that is shown is still one
    tab.press(ENGLISH).at("Sign in to Atosi")
    assert (tab.value("#organisation"), tab.value("#username")) == ("10234", "anna")
    assert tab.value("#password") == "" and tab.find("#remember").is_checked()
    assert tab.page.evaluate("sessionStorage.length") == 0
    tab.reload().at("Sign in to Atosi")
    assert tab.value("#username") == ""


def test_language_link_takes_the_chosen_method_along(visit: Begin, site: World) -> None:
    anna, tab = site.newcomer(), visit().tab()
    start(tab, site.atosi).log_in(anna).check("method-postpone")
    tab.press(ENGLISH).at("Choose how to protect your account")
    assert tab.find("#method-postpone").is_checked()
