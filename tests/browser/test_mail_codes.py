"""Codes by e-mail, at a browser: which step sends a mail, what the mail says, and which codes still work."""

import re

import pytest

from tests.browser.conftest import Begin
from tests.browser.visitor import CHOOSE, MAIL_CODE, WELCOME, Tab, start
from tests.browser.world import PAUSE, World
from tests.factories import Somebody
from tests.services.smtp import ReceivedMessage

pytestmark = pytest.mark.xdist_group("browser")

CLOCK_TIME = re.compile(r"U kunt om \d{1,2}\.\d\d uur een nieuwe code vragen\.")
SECONDS = re.compile(r"Een nieuwe code vragen kan over \d{1,2} seconden\.")


def codes_mailed(site: World, who: Somebody) -> list[str]:
    """The codes that were sent so far, oldest first; other mails have none in their subject."""
    found = (re.match(r"(\d{6}) ", mail.subject) for mail in site.mails_to(who))
    return [match[1] for match in found if match]


def part_of(mail: ReceivedMessage, kind: str) -> str:
    """The source of the part of this kind: `plain` or `html`."""
    part = mail.message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def codes_in(mail: ReceivedMessage, kind: str) -> set[str]:
    """Whatever looks like a code in what people read of this part."""
    return set(re.findall(r"(?<!\d)\d{6}(?!\d)", re.sub(r"<[^>]*>", " ", part_of(mail, kind))))


def choose_mail(tab: Tab, site: World, who: Somebody) -> Tab:
    """The person chose e-mail at the first login, and the mail has left."""
    start(tab, site.atosi).log_in(who).at(CHOOSE).check("method-email").press("#method-submit").at(MAIL_CODE)
    site.deliver()
    return tab.reload().at(MAIL_CODE)


def test_activating_sends_one_mail_whose_subject_and_both_parts_carry_the_one_code(
    visit: Begin, site: World, script: bool
) -> None:
    anna, tab = site.newcomer(), visit(script).tab()
    start(tab, site.atosi).log_in(anna).at(CHOOSE)
    assert site.mails_to(anna) == []
    tab.check("method-email").press("#method-submit").at(MAIL_CODE)
    [mail] = site.mails_to(anna)
    [code] = codes_mailed(site, anna)
    assert mail.text.splitlines().count(code) == 1
    assert codes_in(mail, "plain") == codes_in(mail, "html") == {code}
    assert "http" not in mail.text and not re.search(r"<a\b|href=|src=|http", part_of(mail, "html"))

    tab.send_code(code).at(WELCOME)
    assert tab.page.url == f"{site.atosi}/" and codes_mailed(site, anna) == [code]


def test_refreshing_sends_no_mail_and_after_a_wrong_code_uses_up_no_try(
    visit: Begin, site: World, script: bool
) -> None:
    anna, visitor = site.newcomer(), visit(script)
    tab = choose_mail(visitor.tab(), site, anna)
    [code] = codes_mailed(site, anna)
    for _ in range(3):
        tab.reload().at(MAIL_CODE)
    assert codes_mailed(site, anna) == [code]

    tab.send_code("111111" if code != "111111" else "222222").at(MAIL_CODE)
    forms, happened = visitor.watch.posts(), site.events_so_far()
    for _ in range(3):
        tab.reload().at(MAIL_CODE)
    assert tab.text("#summary a") == "Deze code klopt niet. Kijk of u de nieuwste e-mail heeft geopend."
    assert (visitor.watch.posts(), site.events_so_far()) == (forms, happened)
    tab.send_code(code).at(WELCOME)
    assert codes_mailed(site, anna) == [code]


def test_asking_twice_within_a_minute_sends_one_mail_tells_when_and_leaves_the_earlier_code_good(
    visit: Begin, site: World, script: bool
) -> None:
    anna, visitor = site.newcomer(), visit(script)
    tab = choose_mail(visitor.tab(), site, anna)
    site.pass_time(PAUSE)
    tab.press("#code-resend").at(MAIL_CODE)
    assert tab.text("#notice") == "Wij sturen een nieuwe code. De vorige code werkt ook nog."
    tab.press("#code-resend").at(MAIL_CODE)
    assert tab.text("#notice") == "U heeft net een code gevraagd. Wacht even voordat u een nieuwe vraagt."
    # The page says a clock time; a script counts down in its place.
    assert CLOCK_TIME.search(visitor.watch.documents[-1].text().replace("\N{NO-BREAK SPACE}", " "))
    assert (SECONDS if script else CLOCK_TIME).fullmatch(tab.text("#resend-wait"))

    first, _ = codes_mailed(site, anna)
    tab.send_code(first).at(WELCOME)


def test_code_of_a_later_login_is_sent_once_its_password_is_right(visit: Begin, site: World, script: bool) -> None:
    anna, visitor = site.newcomer(), visit(script)
    tab = choose_mail(visitor.tab(), site, anna)
    tab.send_code(site.mailed_code(anna)).at(WELCOME)
    visitor.forget()
    site.pass_time(PAUSE)

    tab = start(visitor.tab(), site.atosi)
    tab.fill(organisation=anna.org_code, username=anna.username, password="iets anders").press("#login-submit")
    assert len(codes_mailed(site, anna)) == 1
    tab.fill(password=anna.password).press("#login-submit").at(MAIL_CODE)
    assert len(codes_mailed(site, anna)) == 2
    second = start(visitor.tab(), site.rapportages).log_in(anna).at(MAIL_CODE)
    assert len(codes_mailed(site, anna)) == 2, "the one that was just sent is good here too"
    second.send_code(site.mailed_code(anna)).at(WELCOME)
    assert second.page.url == f"{site.rapportages}/"
