"""From the application through the provider and back, in a browser."""

import re
from datetime import timedelta

import pytest

from tests.browser.conftest import Begin
from tests.browser.visitor import CHOOSE, CODE, EXPIRED, LOGIN, SET_UP, SURE, WELCOME, start
from tests.browser.world import World, not_a_code_of

pytestmark = pytest.mark.xdist_group("browser")

HAS_FOCUS = "(element) => element === document.activeElement"


def test_first_login_sets_up_the_app_by_its_qr_code_and_the_next_one_asks_for_its_code(
    visit: Begin, site: World, script: bool
) -> None:
    anna, visitor = site.newcomer(), visit(script)
    tab = start(visitor.tab().open(site.atosi).at("Welkom bij Atosi"), site.atosi).at(LOGIN)
    tab.log_in(anna).at(CHOOSE)
    assert tab.text("legend") == "Welke methode kiest u?"
    assert [radio.get_attribute("value") for radio in tab.find("[name=method]").all()] == [
        "totp",
        "email",
        "postpone",
    ]
    assert tab.find("#method").is_checked()
    assert tab.text("#method-submit") == "Methode activeren"
    app = tab.press("#method-submit").at(SET_UP).scan()
    assert app.name == "anna" and app.issuer == "Atosi"

    tab.send_code(app.now()).at(WELCOME)
    assert tab.page.url == f"{site.atosi}/"
    assert "wachtwoord, code" in tab.text("#claim-amr")
    assert app.secret not in visitor.watch.sent()

    visitor.forget()
    start(tab, site.atosi).log_in(anna).at(CODE).send_code(site.next_code_of(app)).at(WELCOME)


def test_wrong_code_is_told_with_the_focus_in_the_summary_and_a_spaced_one_is_accepted(
    visit: Begin, site: World, script: bool
) -> None:
    anna, tab = site.app_user(), visit(script).tab()
    start(tab, site.atosi).log_in(anna).at(CODE)
    assert tab.find("#code").evaluate(HAS_FOCUS)
    tab.send_code(site.wrong_code(anna)).at(CODE)
    sentence = "Deze code klopt niet. Vul de code in die u nu in de app ziet."
    assert tab.find("#summary").evaluate(HAS_FOCUS)
    assert tab.text("#summary a") == sentence and tab.text("#code-error").endswith(sentence)
    assert tab.find("#code").get_attribute("aria-invalid") == "true"
    assert "code-error" in (tab.find("#code").get_attribute("aria-describedby") or "")
    assert tab.page.title().startswith("Fout:") and tab.value("#code") == ""
    tab.find("#summary a").click()
    assert tab.find("#code").evaluate(HAS_FOCUS)

    code = site.code(anna)
    tab.send_code(f" {code[:3]} {code[3:]}").at(WELCOME)


def test_code_in_full_width_digits_with_a_dash_is_accepted(visit: Begin, site: World) -> None:
    anna, tab = site.app_user(), visit().tab()
    start(tab, site.atosi).log_in(anna).at(CODE)
    wide = site.code(anna).translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
    tab.send_code(f"{wide[:3]}-{wide[3:]}").at(WELCOME)


def test_code_keeps_the_zero_with_which_it_begins(visit: Begin, site: World) -> None:
    anna, tab = site.app_user(), visit().tab()
    start(tab, site.atosi).log_in(anna).at(CODE)
    tab.send_code(site.code_that_begins("0", anna)).at(WELCOME)


def test_pressing_the_button_twice_signs_in_once(visit: Begin, site: World) -> None:
    anna, tab = site.app_user(), visit().tab()
    start(tab, site.atosi).log_in(anna).at(CODE).fill(code=site.code(anna)).page.dblclick("#code-submit")
    tab.at(WELCOME)
    assert [event.details["outcome"] for event in site.events(type="second_factor_checked", account_id=anna.id)] == [
        "right"
    ]


def test_postponing_takes_a_confirmation_and_the_next_login_reminds(visit: Begin, site: World, script: bool) -> None:
    anna, visitor = site.newcomer(timedelta(days=12)), visit(script)
    tab = start(visitor.tab(), site.atosi).log_in(anna).at(CHOOSE)
    assert tab.find(".note").count() == 0
    tab.check("method-postpone").press("#method-submit").at(SURE)
    tab.press("#postpone-back").at(CHOOSE)
    tab.check("method-postpone").press("#method-submit").at(SURE).press("#postpone-confirm").at(WELCOME)
    assert tab.text("#claim-acr").startswith("alleen wachtwoord")

    visitor.forget()
    start(tab, site.atosi).log_in(anna).at(CHOOSE)
    assert "U kunt nog twaalf dagen zonder code inloggen." in tab.text(".note")


def test_after_the_deadline_postponing_is_gone_and_a_hand_made_request_for_it_is_refused(
    visit: Begin, site: World, script: bool
) -> None:
    anna, tab = site.newcomer(postponable_for=None), visit(script).tab()
    start(tab, site.atosi).log_in(anna).at(CHOOSE)
    assert tab.find("[value=postpone]").count() == 0
    tab.find("#method").evaluate("(radio) => { radio.value = 'postpone'; }")
    tab.press("#method-submit").at(CHOOSE)
    assert tab.text("#summary a") == (
        "Uitstellen kan niet meer. Kies nu een methode. U heeft die nodig om in te loggen."
    )
    assert tab.find("[value=postpone]").count() == 0


def test_deadline_that_passes_while_the_page_is_open_ends_postponing(visit: Begin, site: World) -> None:
    anna, tab = site.newcomer(timedelta(0)), visit().tab()
    start(tab, site.atosi).log_in(anna).at(CHOOSE)
    assert tab.text(".note") == "Vandaag kunt u voor het laatst uitstellen."
    site.move_deadline(anna, site.today() - timedelta(days=1))
    tab.check("method-postpone").press("#method-submit").at(CHOOSE)
    assert tab.text("#summary a").startswith("Uitstellen kan niet meer.")


def test_wrong_password_keeps_code_and_username_and_empties_the_password(
    visit: Begin, site: World, script: bool
) -> None:
    anna, tab = site.password_user(), visit(script).tab()
    start(tab, site.atosi).at(LOGIN)
    tab.fill(organisation=anna.org_code, username=anna.username, password="iets anders").press("#login-submit").at(
        LOGIN
    )
    assert tab.find("#summary").evaluate(HAS_FOCUS)
    assert (tab.value("#organisation"), tab.value("#username")) == (anna.org_code, anna.username)
    assert tab.value("#password") == ""
    tab.fill(password=anna.password).press("#login-submit").at(WELCOME)


def test_unknown_person_and_wrong_password_look_the_same(visit: Begin, site: World) -> None:
    anna, shown = site.password_user(), []
    for username in (anna.username, "bestaatniet"):
        visitor = visit()
        tab = start(visitor.tab(), site.atosi)
        tab.fill(organisation=anna.org_code, username=username, password="iets anders").press("#login-submit").at(LOGIN)
        page = tab.page.content().replace(tab.interaction, "").replace(f'value="{username}"', "")
        statuses = [answer.status for answer in visitor.watch.documents]
        shown.append((statuses, re.sub(r'(name="csrf_token" value=)"[^"]*"', r"\1", page)))
    assert shown[0] == shown[1]


def test_nothing_filled_in_is_told_in_our_own_words(visit: Begin, site: World) -> None:
    tab = start(visit().tab(), site.atosi).press("#login-submit").at(LOGIN)
    assert tab.text("#summary a") == "Vul uw code in."


def test_organisation_code_is_not_asked_again_after_it_was_remembered(visit: Begin, site: World) -> None:
    anna, visitor = site.password_user(), visit()
    start(visitor.tab(), site.atosi).check("remember").log_in(anna).at(WELCOME)
    visitor.context.clear_cookies(name=re.compile("session"))
    tab = start(visitor.tab(), site.atosi).at(LOGIN)
    assert tab.value("#organisation") == anna.org_code
    assert tab.find("#username").evaluate(HAS_FOCUS) and tab.find("#remember").is_checked()


def test_organisation_code_is_not_asked_again_in_the_same_journey(visit: Begin, site: World, script: bool) -> None:
    anna, visitor = site.app_user(), visit(script)
    visitor.watch.expect(410)
    tab = start(visitor.tab(), site.atosi)
    tab.fill(organisation=anna.org_code).press("#login-submit").at(LOGIN)
    assert tab.value("#organisation") == anna.org_code
    tab.log_in(anna).at(CODE).press("#not-you").at(LOGIN)
    assert (tab.value("#organisation"), tab.value("#username")) == (anna.org_code, "")
    tab.log_in(anna).at(CODE)
    site.pass_time(timedelta(minutes=31))
    tab.reload().at(EXPIRED).press("#restart").at(LOGIN)
    assert tab.value("#organisation") == anna.org_code and tab.find("#username").evaluate(HAS_FOCUS)
    tab.fill(username=anna.username, password=anna.password).press("#login-submit").at(CODE)
    tab.send_code(site.code(anna)).at(WELCOME)


def test_five_wrong_codes_lead_to_a_wait_in_which_the_right_code_is_not_used_up(visit: Begin, site: World) -> None:
    anna, visitor = site.app_user(), visit()
    visitor.watch.expect(429)
    tab = start(visitor.tab(), site.atosi).log_in(anna)
    for _ in range(4):
        tab.send_code(site.wrong_code(anna)).at(CODE)
    # There is no QR code on this page to scan again.
    assert "De code klopt weer niet." in tab.text("#summary a") and "QR" not in tab.text("#summary a")
    assert "U kunt het nog één keer proberen." in tab.text("#summary a")
    other = start(visitor.tab(), site.rapportages).log_in(anna).at(CODE)
    tab.send_code(site.wrong_code(anna))
    if tab.find("#code").count():  # the fifth try is still free; the wait begins after it
        tab.send_code(site.wrong_code(anna))
    tab.at("U heeft te vaak een verkeerde code ingevuld")
    assert re.search(r"U kunt het om \d{1,2}\.\d\d uur opnieuw proberen\.", tab.text("main"))
    assert 1 <= int(visitor.watch.documents[-1].headers["retry-after"]) <= 60

    other.send_code(site.code(anna)).at("U heeft te vaak een verkeerde code ingevuld")
    assert site.is_code_unused(anna)
    site.pass_time(timedelta(seconds=61))
    other.press("#retry").at(CODE).send_code(site.code(anna)).at(WELCOME)
    tab.press("#retry").at(WELCOME)


def test_blocked_person_is_told_so_only_after_the_right_password(visit: Begin, site: World) -> None:
    anna, visitor = site.password_user(), visit()
    visitor.watch.expect(403)
    with site.live.app.app_context():
        site.live.services.accounts.block(anna.org_code, anna.username)
    tab = start(visitor.tab(), site.atosi)
    tab.fill(organisation=anna.org_code, username=anna.username, password="iets anders").press("#login-submit").at(
        LOGIN
    )
    tab.fill(password=anna.password).press("#login-submit").at("Uw account is geblokkeerd")


def test_second_wrong_code_while_setting_up_keeps_the_qr_code(visit: Begin, site: World) -> None:
    anna, tab = site.newcomer(), visit().tab()
    app = start(tab, site.atosi).log_in(anna).press("#method-submit").at(SET_UP).scan()
    for _ in range(2):
        tab.send_code(not_a_code_of(app, site.live.services.clock.now())).at(SET_UP)
    assert tab.text("#summary a").endswith("Of scan de QR-code opnieuw.")
    assert tab.scan().secret == app.secret
    tab.send_code(app.now()).at(WELCOME)
