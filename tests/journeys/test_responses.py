"""How the answer travels: query, fragment and form_post, from a redirect and from a page."""

import pytest

from tests.journeys.driver import World


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_answer_travels_in_the_mode_that_was_asked_for(world: World, mode: str) -> None:
    anna = world.person()
    visit = world.visit(response_mode=mode).identify(anna)
    departure = visit.page.departure
    assert departure.mode == mode and visit.page.status == 200
    assert departure.via == ("form_post" if mode == "form_post" else "handoff")
    assert set(departure.parameters) == {"code", "state", "iss"}
    assert visit.tokens().claims["sub"] == anna.sub
    silent = visit.again(response_mode=mode, prompt="none")
    assert silent.page.departure.mode == mode
    assert silent.page.departure.via == ("form_post" if mode == "form_post" else "redirect")
    assert silent.tokens().claims["sub"] == anna.sub


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_error_travels_in_the_mode_that_was_asked_for(world: World, mode: str) -> None:
    visit = world.visit(response_mode=mode, prompt="none")
    assert visit.error == "login_required" and visit.page.departure.mode == mode
    derde = world.party("derde", first_party=False)
    denied = world.visit(party=derde, response_mode=mode).identify(world.person()).press("consent-deny")
    assert denied.error == "access_denied" and denied.page.departure.mode == mode


def test_page_that_posts_the_answer_allows_forms_to_leave_and_no_other_page_does(world: World) -> None:
    visit = world.visit(response_mode="form_post")
    assert "form-action 'self'" in visit.page.headers["content-security-policy"]
    visit.identify(world.person())
    assert "form-action" not in visit.page.headers["content-security-policy"]
    handed = visit.again(prompt="login", response_mode=None).identify(world.person("bram"))
    assert "form-action 'self'" in handed.page.headers["content-security-policy"]


def test_answer_is_never_stored_and_tells_no_referrer(world: World) -> None:
    for mode in ("query", "form_post"):
        page = world.visit(response_mode=mode).identify(world.anna).page
        assert page.headers["cache-control"] == "no-store"
        assert page.headers["referrer-policy"] == "no-referrer"


def test_state_comes_back_exactly_or_not_at_all(world: World) -> None:
    anna = world.person()
    state = "é ü?&=+%20#\"<'>"
    assert world.visit(state=state).identify(anna).page.departure.parameters["state"] == state
    assert "state" not in world.visit(state=None).identify(anna).page.departure.parameters


def test_every_answer_to_a_form_is_a_redirect_to_our_own_page(world: World) -> None:
    visit = world.visit()
    client = visit.browser.client
    form = {**world.person(totp=True).names, "csrf_token": visit.csrf_token}
    response = client.post(visit.page.path, base_url="https://login.example", data=form)
    assert response.status_code == 303
    assert response.headers["Location"] == f"/s/{visit.interaction_id}/verify_second_factor"


def test_request_by_post_is_led_to_our_own_page_and_signs_in(world: World) -> None:
    anna, party, browser = world.person(), world.party(), world.browser()
    asked = party.authorization_request()
    page = browser.post("/authorize", dict(asked.parameters))
    assert page.has("login-submit")
    assert party.finish(page.submit(anna.names, button="login-submit").departure, asked).claims["sub"] == anna.sub
