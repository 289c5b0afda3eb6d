"""The customer's manual, chapter by chapter, as somebody walks through it at a browser."""

from datetime import timedelta

import pytest

from tests.browser.conftest import Begin
from tests.browser.visitor import CHOOSE, CODE, LOGIN, MAIL_CODE, SET_UP, SURE, WELCOME, start
from tests.browser.world import PAUSE, World

pytestmark = pytest.mark.xdist_group("browser")

INACTIVITY = "Doet u 30 minuten niets? Dan wordt u automatisch uitgelogd. U moet daarna opnieuw inloggen."


def test_instellen_authenticator_app(visit: Begin, site: World, script: bool) -> None:
    els, visitor = site.newcomer(), visit(script)
    tab = start(visitor.tab(), site.atosi).at(LOGIN).log_in(els).at(CHOOSE)
    app = tab.check("method").press("#method-submit").at(SET_UP).scan()
    assert tab.text("#code-submit") == "Verzenden" and INACTIVITY in tab.text("aside")
    assert "088 - 600 6400" in tab.text("aside")
    tab.send_code(app.now()).at(WELCOME)
    assert tab.page.url == f"{site.atosi}/"

    visitor.forget()
    start(tab, site.atosi).log_in(els).at(CODE).send_code(site.next_code_of(app)).at(WELCOME)


def test_instellen_e_mail(visit: Begin, site: World, script: bool) -> None:
    els, visitor = site.newcomer(), visit(script)
    tab = start(visitor.tab(), site.atosi).log_in(els).at(CHOOSE)
    tab.check("method-email").press("#method-submit").at(MAIL_CODE)
    [mail] = site.mails_to(els)
    code = mail.subject.split()[0]
    assert code in mail.text.splitlines() and "http" not in mail.text
    tab.send_code(code).at(WELCOME)

    visitor.forget()
    site.pass_time(PAUSE)
    start(tab, site.atosi).log_in(els).at(MAIL_CODE).send_code(site.mailed_code(els)).at(WELCOME)
    assert "wachtwoord, code" in tab.text("#claim-amr")


def test_uitstellen_van_uw_keuze(visit: Begin, site: World, script: bool) -> None:
    els, visitor = site.newcomer(timedelta(days=20)), visit(script)
    tab = start(visitor.tab(), site.atosi).log_in(els).at(CHOOSE)
    tab.check("method-postpone").press("#method-submit").at(SURE)
    tab.press("#postpone-back").at(CHOOSE)
    tab.check("method-postpone").press("#method-submit").at(SURE).press("#postpone-confirm").at(WELCOME)

    visitor.forget()
    start(tab, site.atosi).log_in(els).at(CHOOSE)
    assert "U heeft uw keuze uitgesteld." in tab.text(".note")


def test_heeft_u_geen_toegang_meer_tot_uw_authenticator_app_of_mailbox(visit: Begin, site: World, script: bool) -> None:
    anna, visitor = site.app_user(), visit(script)
    tab = start(visitor.tab(), site.atosi).log_in(anna).at(CODE)
    assert "Dan resetten wij uw account." in tab.text("aside")
    with site.live.app.app_context():
        site.live.services.service_desk.reset(
            anna.org_code, anna.username, reason="Telefoon kwijt", caller_checked="Teruggebeld", actor="Servicedesk"
        )
    assert any("gereset" in mail.text for mail in site.mails_to(anna))

    start(tab, site.atosi).log_in(anna).at(CHOOSE)
    assert "De servicedesk heeft uw account gereset." in tab.text("main .note")
    assert tab.find("#method-postpone").count() == 0
    app = tab.check("method").press("#method-submit").at(SET_UP).scan()
    tab.send_code(app.now()).at(WELCOME)
