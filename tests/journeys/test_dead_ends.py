"""No page is the end of the road: after a block, for somebody else, after the application was already opened."""

from urllib.parse import parse_qs, urlsplit

import pytest

from idp.accounts.models import Account
from tests.conftest import ISSUER
from tests.journeys.driver import Visit, World, acr


@pytest.fixture
def blocked(world: World) -> Visit:
    """Anna, whose account is blocked, typed the right password."""
    world.change(Account, world.anna.id, blocked_at=world.clock.now())
    visit = world.visit().identify(world.anna)
    assert visit.page.status == 403 and visit.page.heading == "Uw account is geblokkeerd"
    return visit


def test_login_form_comes_back_after_a_blocked_account(world: World, blocked: Visit) -> None:
    blocked.open(blocked.url("identify"))
    assert blocked.page.status == 200 and blocked.page.has("login-submit")
    assert blocked.page.field("username").get("value") == "anna"
    bram = world.person("bram")
    assert blocked.identify(bram).tokens().claims["sub"] == bram.sub


def test_page_of_a_blocked_account_leads_to_another_account(world: World, blocked: Visit) -> None:
    bram = world.person("bram")
    blocked.follow("account-other")
    assert blocked.page.has("login-submit") and blocked.page.field("username").get("value") in (None, "")
    assert blocked.identify(bram).tokens().claims["sub"] == bram.sub


def test_page_of_a_blocked_account_is_shown_no_longer_than_the_account_is_blocked(world: World, blocked: Visit) -> None:
    assert blocked.reload().page.status == 403
    world.change(Account, world.anna.id, blocked_at=None)
    assert blocked.reload().page.has("login-submit")


def test_page_of_a_blocked_account_needs_the_right_password(world: World) -> None:
    anna = world.person()
    world.change(Account, anna.id, blocked_at=world.clock.now())
    visit = world.visit().identify(anna, password="niet het goede wachtwoord")
    assert visit.page.has("login-submit")
    assert visit.open(f"{visit.url('identify')}?blocked=1").page.has("login-submit")


def test_somebody_else_signs_in_where_a_session_is_live(world: World) -> None:
    anna, bram = world.person(totp=True), world.person("bram", totp=True)
    visit = world.visit(acr_values=acr(1)).identify(anna).prove(anna)
    step = visit.again(prompt="login").identify(anna)
    assert step.prompt == "verify_second_factor"
    step.follow("not-you")
    assert step.page.has("login-submit") and step.page.field("username").get("value") in (None, "")
    assert visit.again(prompt="none").tokens().claims["sub"] == anna.sub, "nothing ended by looking"
    assert step.identify(bram).prove(bram).tokens().claims["sub"] == bram.sub


def test_somebody_else_answers_the_question_of_consent(world: World) -> None:
    anna, bram = world.person(), world.person("bram")
    visit = world.signed_in(anna).again(world.party("derde", first_party=False))
    assert visit.prompt == "consent"
    visit.follow("account-other")
    assert visit.page.has("login-submit") and visit.page.field("username").get("value") in (None, "")
    assert visit.identify(bram).prompt == "consent"
    assert visit.press("consent-allow").tokens().claims["sub"] == bram.sub


def test_link_for_somebody_else_fills_in_no_name_of_the_request(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit(login_hint="10234\\anna").identify(anna)
    visit.follow("not-you")
    assert visit.page.field("organisation").get("value") == "10234"
    assert visit.page.field("username").get("value") in (None, "")


def test_restart_of_an_expired_page_keeps_the_session(world: World) -> None:
    visit = world.signed_in(world.anna).again(prompt="login")
    assert visit.open(f"{ISSUER}/s/{visit.interaction_id}/restart").prompt == "identify"
    assert visit.page.field("username").get("value") == "anna"


def test_finished_attempt_of_somebody_who_signed_out_leads_back_to_the_application(world: World) -> None:
    visit = world.visit()
    address = visit.url("identify")
    visit.identify(world.anna)
    assert visit.browser.open(address).heading == "U bent al ingelogd"
    visit.open(visit.party.end_session_url(visit.tokens().id_token))
    page = visit.browser.open(address)
    assert page.heading == "Deze inlogpoging is afgerond"
    link = page.element("app-link")
    assert (link.text, link.get("href")) == ("Open Atosi opnieuw", "https://app.example/")


@pytest.mark.parametrize("query", ["", "?from=idp"])
def test_link_to_an_application_that_begins_logins_says_who_sends_the_person(world: World, query: str) -> None:
    begins = f"https://app.example/login{query}"
    visit = world.visit(party=world.party("planning", client_uri=None, initiate_login_uri=begins))
    visit.identify(world.anna)
    visit.open(visit.party.end_session_url(visit.tokens().id_token))
    link = visit.page.element("app-link").get("href") or ""
    assert link.startswith(begins) and parse_qs(urlsplit(link).query)["iss"] == [ISSUER]
    assert set(parse_qs(urlsplit(link).query)) == {"iss"} | ({"from"} if query else set())


def test_refused_form_leads_to_a_new_beginning(world: World) -> None:
    visit = world.visit()
    page = visit.browser.post(visit.url("identify"), {**world.anna.names, "csrf_token": "x"})
    assert page.status == 403
    visit.page = page.follow("restart")
    assert visit.identify(world.anna).tokens()
    page = visit.browser.post("/end_session/confirm?state=x", {"decision": "logout", "csrf_token": "x"})
    assert page.status == 403
    visit.page = page.follow("restart")
    assert visit.press("logout-confirm").page.heading == "U bent uitgelogd"


def test_signing_out_claims_nothing_about_applications_that_nobody_tells(world: World) -> None:
    visit = world.signed_in(world.anna)
    tokens = visit.tokens()
    assert visit.again(world.party("rapportages")).tokens()
    visit.open(visit.party.end_session_url())
    assert "U logt dan uit bij" not in visit.page.text
    assert "Atosi kan open blijven." in visit.page.text and "Rapportages kan open blijven." in visit.page.text
    visit.open(visit.party.end_session_url(tokens.id_token))
    assert visit.page.heading == "U bent uitgelogd"
    assert "Rapportages kan nog open staan" in visit.page.text and "Atosi kan nog" not in visit.page.text
