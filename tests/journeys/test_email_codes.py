"""Codes by e-mail: one mail for each wish, a code for one person, purpose and browser, and never too many."""

from datetime import timedelta

import pytest

from idp.accounts.models import Account, Organization
from idp.audit.events import CodeNotSent, CodeSent, SecondFactorEnrolled
from idp.factors.models import Credential, SentCode
from tests.conftest import ISSUER
from tests.factories import Somebody
from tests.journeys.driver import MINUTE, Visit, World, acr
from tests.relying_party import Browser

SECOND = timedelta(seconds=1)
SENDING = "Wij sturen nu een e-mail naar"


@pytest.fixture
def els(world: World) -> Somebody:
    return world.campaigner()


@pytest.fixture
def bram(world: World) -> Somebody:
    """Somebody whose mailbox was proven before."""
    return world.with_mailbox(world.person("bram"))


def wrong(world: World, somebody: Somebody) -> str:
    sent = {str(letter.facts["code"]) for letter in world.letters(somebody)}
    return next(code for code in ("000000", "111111", "222222", "333333", "444444", "555555") if code not in sent)


def test_mailbox_is_enrolled_by_the_code_that_was_sent_there(world: World, els: Somebody) -> None:
    visit = world.visit().identify(els)
    assert "e•••••@voorbeeld.example" in visit.page.text and world.letters(els) == []
    visit.choose("email")
    assert visit.page.heading == "Vul de code uit uw e-mail in" and SENDING in visit.page.text
    assert "tot 14.45 uur" in visit.page.text.replace("\N{NO-BREAK SPACE}", " ")
    assert world.sessions() == [] and world.events(SecondFactorEnrolled) == []
    tokens = visit.type_code(world.mailed_code(els)).tokens()
    assert (tokens.claims["acr"], tokens.claims["amr"]) == (acr(2), ["pwd", "otp"])
    assert [event.details["method"] for event in world.events(SecondFactorEnrolled)] == ["email"]
    assert len(world.letters(els, "method_added")) == 1


def test_right_password_sends_one_code_and_the_code_signs_in(world: World, bram: Somebody) -> None:
    visit = world.visit()
    assert world.letters(bram) == []
    visit.identify(bram)
    assert visit.prompt == "verify_second_factor" and len(world.letters(bram)) == 1
    assert visit.type_code(world.mailed_code(bram)).tokens().claims["acr"] == acr(2)


def test_wrong_password_sends_nothing(world: World, bram: Somebody) -> None:
    world.visit().identify(bram, password="a wrong password")
    assert world.letters(bram) == []


def test_reading_the_page_again_sends_nothing(world: World, bram: Somebody) -> None:
    visit = world.visit().identify(bram)
    for _ in range(3):
        world.clock.move(MINUTE)
        visit.reload()
    assert len(world.letters(bram)) == 1 and visit.page.has("code-submit")


def test_typing_the_password_in_a_second_tab_within_the_pause_sends_no_second_mail(
    world: World, bram: Somebody
) -> None:
    first = world.visit().identify(bram)
    second = world.visit(first.browser).identify(bram)
    assert len(world.letters(bram)) == 1
    assert second.type_code(world.mailed_code(bram)).tokens().claims["acr"] == acr(2), "same browser, same person"


def test_new_code_within_the_pause_is_not_sent_and_the_page_says_when(world: World, bram: Somebody) -> None:
    visit = world.visit().identify(bram).press("code-resend")
    assert len(world.letters(bram)) == 1 and "U heeft net een code gevraagd." in visit.page.text
    assert "14.36 uur" in visit.page.text.replace("\N{NO-BREAK SPACE}", " ")
    assert world.events(CodeNotSent)[0].details["limit"] == "pause"


def test_new_code_leaves_the_one_before_it_in_force(world: World, bram: Somebody) -> None:
    visit = world.visit().identify(bram)
    world.clock.move(30 * SECOND)
    visit.press("code-resend")
    assert len(world.letters(bram)) == 2 and "De vorige code werkt ook nog." in visit.page.text
    assert visit.type_code(world.mailed_code(bram, 0)).page.has_left


def test_success_spends_every_other_code(world: World, bram: Somebody) -> None:
    visit = world.visit().identify(bram)
    world.clock.move(30 * SECOND)
    visit.press("code-resend").type_code(world.mailed_code(bram, 1))
    assert visit.page.has_left
    again = visit.again(prompt="login").identify(bram)
    assert again.type_code(world.mailed_code(bram, 0)).prompt == "verify_second_factor"
    assert "Deze code klopt niet." in again.page.text


def test_fourth_code_puts_the_oldest_out_of_force(world: World, bram: Somebody) -> None:
    visit = world.visit().identify(bram)
    for _ in range(3):
        world.clock.move(30 * SECOND)
        visit.press("code-resend")
    assert len(world.letters(bram)) == 4
    assert visit.type_code(world.mailed_code(bram, 0)).prompt == "verify_second_factor"
    assert visit.type_code(world.mailed_code(bram, 1)).page.has_left


def test_code_is_right_until_ten_minutes_have_passed_and_then_simply_wrong(world: World, bram: Somebody) -> None:
    visit = world.visit().identify(bram)
    world.clock.move(10 * MINUTE)
    assert "Deze code klopt niet." in visit.type_code(world.mailed_code(bram)).page.text
    assert "Stuur mij een code" in visit.page.text
    fresh = visit.press("code-resend")
    world.clock.move(10 * MINUTE - SECOND)
    assert fresh.type_code(world.mailed_code(bram)).page.has_left


def test_five_mails_in_an_hour_are_all_and_the_page_names_the_time_of_the_next(world: World, bram: Somebody) -> None:
    visit = world.visit().identify(bram)
    for _ in range(6):
        world.clock.move(MINUTE)
        if visit.page.has("code-resend"):
            visit.press("code-resend")
    assert len(world.letters(bram)) == 5
    assert "Vanaf 15.35 uur kan het weer." in visit.page.text.replace("\N{NO-BREAK SPACE}", " ")
    visit.post("verify_second_factor", method="email", action="send")
    assert len(world.letters(bram)) == 5 and world.events(CodeNotSent)[-1].details["limit"] == "hour"
    world.clock.move(55 * MINUTE)
    fresh = visit.again(prompt="login").identify(bram)
    assert len(world.letters(bram)) == 6 and fresh.page.has("code-submit")


def test_twenty_mails_in_a_day_are_all(world: World, bram: Somebody) -> None:
    for _ in range(8):
        visit = world.visit().identify(bram)
        for _ in range(4):
            world.clock.move(MINUTE)
            visit.post("verify_second_factor", method="email", action="send")
        world.clock.move(60 * MINUTE)
    assert len(world.letters(bram)) == 20
    assert world.events(CodeNotSent)[-1].details["limit"] == "day"


def test_two_accounts_with_one_mailbox_share_its_pause(world: World) -> None:
    first, second = (world.with_mailbox(world.person(name)) for name in ("een", "twee"))
    for somebody in (first, second):
        with world.app.app_context(), world.services.units.writing() as unit:
            unit.query(Credential).filter_by(account_id=somebody.id).update({"address": "samen@voorbeeld.example"})
    world.visit().identify(first)
    visit = world.visit().identify(second)
    assert [event.account_id for event in world.events(CodeSent)] == [first.id]
    assert "Er is nog geen code gestuurd" in visit.page.text
    world.clock.move(30 * SECOND)
    visit.press("code-resend")
    assert len(world.events(CodeSent)) == 2


def test_choice_warns_when_the_address_stands_on_another_account(world: World, els: Somebody) -> None:
    warning = "Let op: dit e-mailadres staat ook bij een ander account."
    assert warning not in world.visit().identify(els).page.text
    other = world.campaigner("ilse")
    world.change(Account, other.id, email="ELS@voorbeeld.example")
    assert warning in world.visit().identify(els).page.text


def test_without_an_address_the_choice_says_so_and_refuses_mail(world: World, els: Somebody) -> None:
    world.change(Account, els.id, email=None)
    visit = world.visit().identify(els)
    assert "Er is nog geen e-mailadres bij uw account bekend." in visit.page.text and not visit.page.has("method-email")
    visit.post("enrol_second_factor", method="email")
    assert "Deze methode kunt u niet kiezen." in visit.page.text and world.letters(els) == []


def test_where_mail_is_not_allowed_it_is_neither_offered_nor_taken(world: World, els: Somebody) -> None:
    world.change(Organization, world.campaign, email_allowed=False)
    visit = world.visit().identify(els)
    assert not visit.page.has("method-email") and "e-mailadres bij uw account" not in visit.page.text
    visit.post("enrol_second_factor", method="email")
    assert world.letters(els) == [] and world.sessions() == []


def test_enrolled_mailbox_of_an_organisation_that_switched_mail_off_leads_to_the_service_desk(
    world: World, bram: Somebody
) -> None:
    world.change(Organization, world.organization, email_allowed=False)
    visit = world.visit(acr_values=acr(3)).identify(bram)
    assert visit.page.status == 403 and world.letters(bram) == [] and world.sessions() == []


def test_corrected_address_gets_a_new_code_and_the_old_address_proves_nothing(world: World, els: Somebody) -> None:
    visit = world.visit().identify(els).choose("email")
    old = world.mailed_code(els)
    world.change(Account, els.id, email="nieuw@voorbeeld.example")
    visit.open(visit.url("enrol_second_factor") + "?choose=1")
    world.clock.move(30 * SECOND)
    visit.choose("email")
    assert "n•••••@voorbeeld.example" in visit.page.text
    assert visit.type_code(old).prompt == "enrol_second_factor" and world.sessions() == []


def test_neither_resending_nor_an_old_code_proves_an_address_that_is_not_theirs_any_more(
    world: World, els: Somebody
) -> None:
    visit = world.visit().identify(els).choose("email")
    world.change(Account, els.id, email="nieuw@voorbeeld.example")
    visit.type_code(world.mailed_code(els))
    assert visit.prompt == "enrol_second_factor" and visit.page.has("method-submit") and world.sessions() == []
    world.clock.move(30 * SECOND)
    visit.choose("email")
    world.change(Account, els.id, email="nieuwer@voorbeeld.example")
    world.clock.move(30 * SECOND)
    sent = len(world.events(CodeSent))
    visit.press("code-resend")
    assert visit.page.has("method-submit") and len(world.events(CodeSent)) == sent


def test_code_goes_where_it_was_proven_although_the_account_has_another_address_now(
    world: World, bram: Somebody
) -> None:
    world.change(Account, bram.id, email="nieuw@voorbeeld.example")
    visit = world.visit().identify(bram)
    assert "b•••••@voorbeeld.example" in visit.page.text
    assert visit.type_code(world.mailed_code(bram)).page.has_left


def test_level_three_is_not_reached_by_mail_and_the_app_is_enrolled_after_the_mailbox_is_proven(
    world: World, bram: Somebody
) -> None:
    visit = world.visit(acr_values=acr(3)).identify(bram)
    assert visit.prompt == "verify_second_factor"
    visit.type_code(world.mailed_code(bram))
    assert visit.prompt == "enrol_second_factor" and not visit.page.has("method-email")
    visit.choose("totp").set_up(bram)
    assert visit.tokens().claims["acr"] == acr(3)


def test_another_method_can_be_used_and_chosen_mail_leaves_with_the_choice(world: World) -> None:
    anna = world.with_mailbox(world.person("anna", totp=True))
    visit = world.visit().identify(anna)
    assert visit.page.heading == "Vul de code uit uw app in" and world.letters(anna) == []
    visit.open(visit.url("verify_second_factor") + "?choose=1")
    assert visit.page.heading == "Hoe wilt u nu inloggen?" and world.letters(anna) == []
    visit.choose("email")
    assert visit.page.heading == "Vul de code uit uw e-mail in" and len(world.letters(anna)) == 1
    visit.type_code(wrong(world, anna))
    assert visit.page.heading == "Vul de code uit uw e-mail in", "an error does not lead back to the first method"
    assert visit.type_code(world.mailed_code(anna)).tokens().claims["acr"] == acr(2)


def test_method_that_is_not_the_persons_is_not_chosen(world: World, bram: Somebody) -> None:
    visit = world.visit().identify(bram)
    visit.post("verify_second_factor", method="totp", action="choose")
    assert visit.prompt == "verify_second_factor" and visit.page.has("code-submit")


def test_step_up_with_a_live_session_sends_nothing_until_it_is_asked_for(world: World, bram: Somebody) -> None:
    visit = world.visit().identify(bram)
    visit.type_code(world.mailed_code(bram))
    with world.app.app_context(), world.services.units.writing() as unit:
        unit.query(SentCode).delete()
    session = world.sessions()[0]
    world.change(type(session), session.id, level=1, amr=["pwd"])
    world.clock.move(MINUTE)
    sent = len(world.letters(bram))
    stepped = visit.again(acr_values=acr(2))
    assert stepped.prompt == "verify_second_factor" and len(world.letters(bram)) == sent
    assert "Er is nog geen code gestuurd" in stepped.page.text
    stepped.press("code-resend")
    assert stepped.type_code(world.mailed_code(bram)).tokens().claims["acr"] == acr(2)


def test_mail_speaks_the_language_of_the_page(world: World, bram: Somebody) -> None:
    world.visit(ui_locales="en").identify(bram)
    assert [letter.language for letter in world.letters(bram)] == ["en"]


def test_only_hashes_of_codes_and_addresses_are_kept_beside_the_sealed_letter(world: World, bram: Somebody) -> None:
    visit = world.visit().identify(bram)
    code = world.mailed_code(bram).encode()
    with world.app.app_context(), world.services.units.reading() as unit:
        for row in unit.query(SentCode):
            kept = repr([getattr(row, column.key) for column in SentCode.__table__.columns]).encode()
            assert code not in kept and b"bram" not in kept
    assert visit.page.has("code-submit")


def enrol_by_mail(world: World, somebody: Somebody) -> Visit:
    """The right code, typed after the person chose e-mail."""
    visit = world.visit().identify(somebody).choose("email")
    return visit.type_code(world.mailed_code(somebody))


def test_mailbox_that_was_disabled_by_guessing_can_be_enrolled_again_after_a_reset(
    world: World, bram: Somebody
) -> None:
    with world.app.app_context():
        for _ in range(99):
            world.clock.move(61 * MINUTE)
            with world.services.units.writing() as unit:
                world.services.answers.verify.attempts.pay(unit, str(bram.id), "email")
    world.clock.move(61 * MINUTE)
    visit = world.visit().identify(bram)
    visit.type_code(wrong(world, bram))
    assert visit.page.status == 403
    reset(world, bram)
    assert enrol_by_mail(world, bram).page.has_left
    world.clock.move(MINUTE)
    again = world.visit().identify(bram)
    assert again.type_code(world.mailed_code(bram)).page.has_left, "and it counts from the beginning"


def test_wait_while_a_mailbox_is_being_enrolled_is_seen_and_lifted_by_the_desk_and_gone_after_a_reset(
    world: World, els: Somebody
) -> None:
    visit = world.visit().identify(els).choose("email")
    for _ in range(5):
        visit.type_code(wrong(world, els))
    assert visit.page.status == 429
    with world.app.app_context():
        desk = world.services.service_desk
        assert [(wait.kind, wait.method) for wait in desk.show(els.org_code, els.username).waits] == [
            ("second_factor", "email")
        ]
        desk.lift_wait(els.org_code, els.username, kind="second_factor", actor="desk")
    assert visit.reload().page.status == 200
    visit.type_code(wrong(world, els))
    assert visit.page.status == 429
    reset(world, els)
    assert enrol_by_mail(world, els).page.has_left


def test_no_number_of_wrong_codes_keeps_somebody_from_enrolling_for_ever(world: World, els: Somebody) -> None:
    with world.app.app_context():
        for _ in range(120):
            world.clock.move(61 * MINUTE)
            with world.services.units.writing() as unit:
                world.services.answers.enrol.attempts.pay(unit, str(els.id), "email")
    world.clock.move(61 * MINUTE)
    assert enrol_by_mail(world, els).page.has_left


def test_daily_limit_names_the_day_on_which_it_goes_on(world: World, bram: Somebody) -> None:
    for _ in range(5):
        visit = world.visit().identify(bram)
        for _ in range(4):
            world.clock.move(MINUTE)
            visit.post("verify_second_factor", method="email", action="send")
        world.clock.move(61 * MINUTE)
    text = world.visit().identify(bram).page.text.replace("\N{NO-BREAK SPACE}", " ")
    assert "Vanaf dinsdag 24 november om 14.35 uur kan het weer." in text


def test_mail_about_a_new_method_names_the_device(world: World, els: Somebody) -> None:
    client = world.app.test_client()
    client.environ_base["HTTP_USER_AGENT"] = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"
    visit = world.visit(Browser(client, ISSUER)).identify(els).choose("email")
    visit.type_code(world.mailed_code(els))
    [letter] = world.letters(els, "method_added")
    assert letter.facts["device"] == "Firefox (Windows)"


def reset(world: World, somebody: Somebody) -> None:
    with world.app.app_context():
        world.services.service_desk.reset(
            somebody.org_code, somebody.username, reason="Telefoon kwijt", caller_checked="Teruggebeld", actor="desk"
        )
    world.clock.move(MINUTE)
