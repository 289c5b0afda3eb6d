"""Signing in: password, authenticator app, and the second application without being asked."""

import pytest

from idp.audit.events import CodeIssued, SessionOpened
from tests.journeys.driver import MINUTE, STEP, World, acr


def test_before_the_campaign_the_password_alone_signs_in_at_the_lowest_level(world: World) -> None:
    anna = world.person()
    visit = world.visit()
    assert visit.prompt == "identify" and visit.page.status == 200
    tokens = visit.identify(anna).tokens()
    assert visit.page.departure.via == "handoff"
    assert (tokens.claims["sub"], tokens.claims["acr"], tokens.claims["amr"]) == (anna.sub, acr(1), ["pwd"])
    assert visit.party.userinfo(tokens)["organisation_code"] == "10234"


@pytest.mark.parametrize("typed", [{"organisation": " 10234 "}, {"username": "ANNA"}, {"username": "ａｎｎａ"}])
def test_names_in_another_spelling_sign_in(world: World, typed: dict[str, str]) -> None:
    assert world.visit().identify(world.person(), **typed).tokens()


@pytest.mark.parametrize(
    "typed", [{"organisation": "99999"}, {"username": "nobody"}, {"password": "iets anders dan dit"}]
)
def test_wrong_code_username_and_password_are_answered_alike_and_open_nothing(
    world: World, typed: dict[str, str]
) -> None:
    visit = world.visit().identify(world.person(), **typed)
    assert visit.prompt == "identify" and visit.page.status == 200
    assert "De code, de gebruikersnaam of het wachtwoord klopt niet." in visit.page.text
    assert visit.page.element("organisation").get("value") == typed.get("organisation", "10234")
    assert visit.page.element("username").get("value") == typed.get("username", "anna")
    assert visit.page.element("password").get("value") is None
    assert world.sessions() == []


def test_empty_field_is_named_and_costs_no_attempt(world: World) -> None:
    anna = world.person()
    visit = world.visit()
    for _ in range(8):
        visit.identify(anna, password="")
        assert "Vul uw wachtwoord in." in visit.page.text
    assert visit.identify(anna).tokens()


def test_enrolled_person_is_asked_for_the_code_campaign_or_not_before_anything_opens(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    assert visit.prompt == "verify_second_factor"
    assert world.sessions() == [] and world.events(SessionOpened) == []
    tokens = visit.prove(anna).tokens()
    assert (tokens.claims["acr"], tokens.claims["amr"]) == (acr(3), ["pwd", "otp", "mfa"])
    assert len(world.sessions()) == 1 and len(world.events(CodeIssued)) == 1


def test_authenticator_app_is_enrolled_in_the_campaign_and_asked_for_the_next_time(world: World) -> None:
    els = world.campaigner()
    visit = world.visit().identify(els)
    assert visit.prompt == "enrol_second_factor" and world.sessions() == []
    visit.choose("totp")
    assert visit.page.has("qr") and visit.page.element("otpauth-link").attributes["href"].startswith("otpauth://totp/")
    els = visit.set_up(els)
    assert visit.tokens().claims["acr"] == acr(3)
    world.clock.move(STEP)
    later = world.visit().identify(els)
    assert later.prompt == "verify_second_factor"
    assert later.prove(els).tokens().claims["acr"] == acr(3)


def test_code_that_enrolled_the_app_does_not_sign_in_again(world: World) -> None:
    els = world.campaigner()
    visit = world.visit().identify(els).choose("totp")
    els = visit.set_up(els)
    later = world.visit().identify(els).prove(els)
    assert later.prompt == "verify_second_factor" and "U heeft deze code al gebruikt." in later.page.text
    world.clock.move(STEP)
    assert later.prove(els).tokens()


def test_wrong_first_code_enrols_nothing_and_the_same_key_goes_on(world: World) -> None:
    els = world.campaigner()
    visit = world.visit().identify(els).choose("totp")
    key = visit.page.element("key").text
    for _ in range(3):
        visit.type_code("000000")
        assert visit.prompt == "enrol_second_factor" and visit.page.element("key").text == key
    assert world.sessions() == []
    assert visit.set_up(els) and visit.page.has_left


def test_key_stays_the_same_while_going_back_and_forth_and_differs_between_visits(world: World) -> None:
    els = world.campaigner()
    visit = world.visit().identify(els).choose("totp")
    key = visit.page.element("key").text
    assert visit.reload().page.element("key").text == key
    assert visit.open(visit.url("enrol_second_factor?choose=1")).page.has("method-submit")
    assert visit.choose("totp").page.element("key").text == key
    other = world.visit().identify(els).choose("totp")
    assert other.page.element("key").text != key


def test_key_is_nowhere_once_the_app_is_enrolled(world: World) -> None:
    els = world.campaigner()
    visit = world.visit().identify(els).choose("totp")
    page, key = visit.page.url, visit.page.element("key").text
    visit.set_up(els)
    assert key not in visit.open(page).page.body


@pytest.mark.parametrize("typed", ["", "12345", "1234567", "abcdef"])
def test_code_of_the_wrong_form_costs_no_attempt(world: World, typed: str) -> None:
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    for _ in range(8):
        visit.type_code(typed)
        assert visit.prompt == "verify_second_factor" and visit.page.status == 200
    assert visit.prove(anna).tokens()


def test_sixth_right_code_is_refused_and_not_used_up(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    assert visit.csrf_token
    for _ in range(5):
        visit.type_code(world.wrong_code(anna))
    assert visit.page.status == 429 and visit.page.headers["retry-after"] == "60"
    assert "14.36 uur" in visit.page.text
    right = world.code(anna, steps=1)
    assert visit.post("verify_second_factor", code=right).page.status == 429
    assert world.visit().identify(anna).page.status == 429, "the count is the account's, not the interaction's"
    world.clock.move(MINUTE)
    assert visit.follow("retry").type_code(right).tokens()


def test_wrong_code_after_a_wait_waits_twice_as_long_in_every_tab(world: World) -> None:
    anna = world.person(totp=True)
    visit, other = world.visit().identify(anna), world.visit().identify(anna)
    for _ in range(5):
        visit.type_code(world.wrong_code(anna))
    world.clock.move(MINUTE)
    assert visit.follow("retry").type_code(world.wrong_code(anna)).page.status == 429
    world.clock.move(MINUTE)
    assert other.type_code(world.code(anna)).page.status == 429
    world.clock.move(MINUTE)
    assert other.follow("retry").prove(anna).tokens()


def test_wrong_passwords_start_waits_for_this_name_only(world: World) -> None:
    anna, bram = world.person(), world.person("bram")
    visit = world.visit()
    for _ in range(5):
        visit.identify(anna, password="niet het goede wachtwoord")
    assert visit.prompt == "identify" and visit.page.status == 200
    visit.identify(anna)
    assert visit.page.status == 429 and world.sessions() == []
    assert world.visit().identify(bram).tokens()
    world.clock.move(MINUTE)
    assert visit.follow("retry").identify(anna).tokens()


def test_second_application_is_answered_without_asking(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.signed_in(anna)
    first = visit.tokens()
    world.clock.move(20 * MINUTE)
    other = visit.again(world.party("rapportages"))
    assert other.page.departure.via == "redirect"
    second = other.tokens()
    assert second.claims["aud"] == "rapportages"
    for name in ("sub", "sid", "auth_time", "acr", "amr"):
        assert second.claims[name] == first.claims[name]


def test_blocked_person_hears_it_only_after_a_right_password_and_gets_nothing(world: World) -> None:
    anna = world.person(totp=True)
    world.administer(lambda services: services.accounts.block("10234", "anna"))
    visit = world.visit().identify(anna, password="niet het goede wachtwoord")
    assert visit.page.status == 200
    visit.identify(anna)
    assert visit.page.status == 403 and world.sessions() == []
    assert visit.open(visit.url("verify_second_factor")).prompt == "identify"


def test_person_blocked_between_password_and_code_opens_no_session(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    world.administer(lambda services: services.accounts.block("10234", "anna"))
    visit.prove(anna)
    assert not visit.page.has_left and world.sessions() == []


def test_blocking_a_person_ends_what_the_browser_had(world: World) -> None:
    visit = world.signed_in(world.person())
    world.administer(lambda services: services.accounts.block("10234", "anna"))
    assert visit.again(prompt="none").error == "login_required"
    world.administer(lambda services: services.accounts.unblock("10234", "anna"))
    assert visit.again(prompt="none").error == "login_required"


def test_disabled_app_leads_to_the_service_desk_and_never_to_the_choice(world: World) -> None:
    els = world.campaigner(totp=True)
    world.disable_credential(els)
    visit = world.visit(acr_values=acr(3))
    assert visit.csrf_token
    visit.identify(els)
    assert visit.prompt == "verify_second_factor" and visit.page.status == 403
    assert not visit.page.has("code") and "088" in visit.page.text
    visit.post("enrol_second_factor", method="totp")
    assert visit.prompt == "verify_second_factor" and world.sessions() == []
