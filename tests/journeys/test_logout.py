"""RP-initiated logout: with the hint of the session, without one, and with somebody else's."""

import pytest

from idp.audit.events import SessionEnded
from tests.journeys.driver import Visit, World

SIGNED_OUT = "https://app.example/signed-out"


@pytest.fixture
def visit(world: World) -> Visit:
    return world.signed_in(world.anna)


def test_hint_of_the_session_signs_out_without_a_question_and_leads_back(world: World, visit: Visit) -> None:
    tokens = visit.tokens()
    url = visit.party.end_session_url(tokens.id_token, post_logout_redirect_uri=SIGNED_OUT, state="x y&z")
    departure = visit.open(url).page.departure
    assert departure.url.startswith(SIGNED_OUT) and departure.parameters == {"state": "x y&z"}
    (ended,) = world.events(SessionEnded)
    assert ended.details == {"reason": "logout", "clients": 1}
    assert world.notices() == [("atosi", tokens.claims["sid"])]
    assert visit.again(prompt="none").error == "login_required"


def test_every_application_of_the_session_is_told(world: World, visit: Visit) -> None:
    tokens = visit.tokens()
    assert visit.again(world.party("rapportages")).tokens()
    visit.open(visit.party.end_session_url(tokens.id_token))
    assert sorted(receiver for receiver, _ in world.notices()) == ["atosi", "rapportages"]


def test_without_a_hint_it_asks_and_signs_out_when_confirmed(world: World, visit: Visit) -> None:
    visit.tokens()
    visit.open(visit.party.end_session_url())
    assert visit.page.has("logout-confirm") and "Atosi" in visit.page.text
    assert visit.again(prompt="none").tokens(), "nothing ended yet"
    visit.open(visit.party.end_session_url()).press("logout-confirm")
    assert visit.page.status == 200
    assert visit.again(prompt="none").error == "login_required"


def test_without_a_hint_one_can_stay(world: World, visit: Visit) -> None:
    visit.open(visit.party.end_session_url()).press("logout-cancel")
    assert visit.again(prompt="none").tokens() and world.events(SessionEnded) == []


def test_hint_of_another_session_asks(world: World, visit: Visit) -> None:
    other = world.signed_in(world.person("bram"))
    visit.open(visit.party.end_session_url(other.tokens().id_token))
    assert visit.page.has("logout-confirm")
    assert visit.again(prompt="none").tokens() and other.again(prompt="none").tokens()


def test_only_the_session_of_this_browser_ends(world: World, visit: Visit) -> None:
    elsewhere = world.visit().identify(world.anna)
    visit.open(visit.party.end_session_url(visit.tokens().id_token))
    assert visit.again(prompt="none").error == "login_required"
    assert elsewhere.again(prompt="none").tokens()


def test_confirmation_without_our_token_is_refused(world: World, visit: Visit) -> None:
    page = visit.browser.post("/end_session/confirm", {"decision": "logout"})
    assert page.status == 403 and visit.again(prompt="none").tokens()


def test_browser_without_a_session_is_simply_signed_out(world: World) -> None:
    page = world.browser().open(world.party().end_session_url())
    assert page.status == 200 and not page.has("logout-confirm")


@pytest.mark.parametrize("uri", ["https://app.example/elsewhere", SIGNED_OUT + "/", "https://evil.example/signed-out"])
def test_address_that_is_not_registered_is_never_led_to(world: World, visit: Visit, uri: str) -> None:
    tokens = visit.tokens()
    visit.open(visit.party.end_session_url(tokens.id_token, post_logout_redirect_uri=uri))
    assert visit.page.heading == "Wilt u uitloggen?" and not visit.page.has_left
    assert visit.again(prompt="none").tokens()
    visit.open(visit.party.end_session_url(tokens.id_token, post_logout_redirect_uri=uri)).press("logout-confirm")
    assert visit.page.heading == "U bent uitgelogd" and not visit.page.has_left


def test_address_without_a_hint_is_led_to_after_the_question(world: World, visit: Visit) -> None:
    visit.open(visit.party.end_session_url(post_logout_redirect_uri=SIGNED_OUT, state="x"))
    assert visit.page.heading == "Wilt u uitloggen?"
    assert visit.press("logout-confirm").page.departure.url == f"{SIGNED_OUT}?state=x"
    assert visit.again(prompt="none").error == "login_required"


def test_expired_id_token_is_a_hint_too(world: World, visit: Visit) -> None:
    tokens = visit.tokens()
    world.clock.move(world.services.settings.tokens.id_token_lifetime * 2)
    visit.open(visit.party.end_session_url(tokens.id_token, post_logout_redirect_uri=SIGNED_OUT))
    assert visit.page.departure.url == SIGNED_OUT


def test_tokens_of_the_session_die_with_it(world: World, visit: Visit) -> None:
    tokens = visit.tokens()
    assert visit.party.userinfo(tokens)
    visit.open(visit.party.end_session_url(tokens.id_token))
    assert visit.party.userinfo_request(tokens.access_token).status == 401
    answer = visit.party.token_request(grant_type="refresh_token", refresh_token=tokens.refresh_token)
    assert answer.json()["error"] == "invalid_grant"


def test_logout_by_post_is_led_to_our_own_page(world: World, visit: Visit) -> None:
    id_token = visit.tokens().id_token
    assert id_token is not None
    page = visit.browser.post("/end_session", {"id_token_hint": id_token, "post_logout_redirect_uri": SIGNED_OUT})
    assert page.departure.url == SIGNED_OUT
    assert visit.again(prompt="none").error == "login_required"


def test_sign_in_that_was_half_done_survives_the_logout_of_another_tab(world: World, visit: Visit) -> None:
    anna = world.anna
    half = visit.again(prompt="login")
    visit.open(visit.party.end_session_url(visit.tokens().id_token))
    assert half.identify(anna).tokens().claims["sub"] == anna.sub
