"""`prompt` and `max_age`: what is asked again, and what `prompt=none` answers in each state."""

import pytest

from tests.journeys.driver import MINUTE, STEP, World, acr


def test_prompt_none_without_a_session_is_login_required(world: World) -> None:
    visit = world.visit(prompt="none")
    assert visit.error == "login_required" and visit.page.departure.via == "redirect"


def test_prompt_none_with_a_half_made_sign_in_is_login_required(world: World) -> None:
    visit = world.visit().identify(world.person(totp=True))
    assert visit.prompt == "verify_second_factor"
    assert visit.again(prompt="none").error == "login_required"


def test_prompt_none_with_a_session_yields_a_code(world: World) -> None:
    anna = world.person(totp=True)
    tokens = world.signed_in(anna).again(prompt="none").tokens()
    assert (tokens.claims["sub"], tokens.claims["acr"]) == (anna.sub, acr(3))


def test_prompt_none_when_the_password_is_too_old_is_login_required(world: World) -> None:
    visit = world.signed_in(world.person())
    assert visit.again(prompt="none", max_age="0").error == "login_required"
    assert visit.again(prompt="none", max_age="10").tokens()


def test_prompt_none_when_a_second_factor_would_be_asked_is_interaction_required(world: World) -> None:
    anna, els = world.person(), world.campaigner()
    assert world.signed_in(anna).again(prompt="none", acr_values=acr(3)).error == "interaction_required"
    first = world.visit().identify(els).postpone()
    enrolled = world.visit().identify(els).choose("totp")
    enrolled.set_up(els)
    assert first.again(prompt="none").error == "interaction_required"


def test_prompt_none_when_consent_is_missing_is_consent_required(world: World) -> None:
    visit = world.signed_in(world.person())
    assert visit.again(world.party("derde", first_party=False), prompt="none").error == "consent_required"


def test_prompt_none_when_the_clients_minimum_was_not_reached_is_interaction_required(world: World) -> None:
    visit = world.signed_in(world.person())
    assert visit.again(world.party("streng", minimum_acr=3), prompt="none").error == "interaction_required"
    assert visit.again(world.party("strenger", minimum_acr=4), prompt="none").error == "interaction_required"


def test_prompt_none_never_moves_the_clock(world: World) -> None:
    visit = world.signed_in(world.person())
    for _ in range(5):
        world.clock.move(5 * MINUTE)
        assert visit.again(prompt="none").tokens()
    world.clock.move(5 * MINUTE)
    assert visit.again(prompt="none").error == "login_required"


@pytest.mark.demand(15)
def test_prompt_login_asks_everything_again_and_moves_auth_time(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.signed_in(anna)
    before = visit.tokens()
    world.clock.move(10 * MINUTE)
    again = visit.again(prompt="login")
    assert again.prompt == "identify" and again.page.field("username").get("value") == "anna"
    assert again.identify(anna).prompt == "verify_second_factor"
    after = again.prove(anna).tokens()
    assert after.claims["auth_time"] == before.claims["auth_time"] + 600
    assert after.claims["sid"] == before.claims["sid"]
    assert len(world.sessions()) == 1


def test_prompt_login_that_is_not_answered_leaves_the_session_as_it_was(world: World) -> None:
    visit = world.signed_in(world.person())
    asked = visit.again(prompt="login")
    assert asked.open(asked.url("continue")).prompt == "identify"
    assert asked.open(asked.url("consent")).prompt == "identify"
    assert visit.again(prompt="none").tokens()


def test_password_again_without_the_code_gives_no_code_although_the_session_lives(world: World) -> None:
    anna = world.person(totp=True)
    again = world.signed_in(anna).again(prompt="login").identify(anna)
    assert again.prompt == "verify_second_factor"
    assert again.open(again.url("continue")).prompt == "verify_second_factor"


def test_authenticating_again_changes_the_cookie_and_the_old_one_is_worth_nothing(world: World) -> None:
    anna = world.person()
    visit = world.signed_in(anna)
    client = visit.browser.client
    old = client.get_cookie("__Host-idp_session", domain="login.example")
    assert old is not None
    visit.again(prompt="login").identify(anna)
    new = client.get_cookie("__Host-idp_session", domain="login.example")
    assert new is not None and new.value != old.value
    thief = world.browser()
    thief.client.set_cookie("__Host-idp_session", old.value, domain="login.example", secure=True)
    assert world.visit(thief, prompt="none").error == "login_required"


@pytest.mark.demand(16, 18)
@pytest.mark.parametrize(
    ("max_age", "waited", "asks"),
    [("0", 0, True), ("0", 1, True), ("1", 1, False), ("1", 2, True), ("10000", 1700, False), ("", 1700, False)],
)
def test_max_age_asks_when_the_password_is_older(world: World, max_age: str, waited: int, asks: bool) -> None:
    anna = world.person()
    visit = world.signed_in(anna)
    world.clock.move(waited * (STEP / 30))
    again = visit.again(max_age=max_age)
    assert (again.prompt == "identify") is asks
    if asks:
        again.identify(anna)
    claims = again.tokens().claims
    assert claims["auth_time"] == int(world.clock.now().timestamp()) - (0 if asks else waited)


@pytest.mark.parametrize("max_age", ["-1", "1.5", "ten", "1e3", "٣"])
def test_max_age_that_is_no_number_of_seconds_is_refused(world: World, max_age: str) -> None:
    assert world.visit(max_age=max_age).error == "invalid_request"


def test_auth_time_does_not_move_when_only_the_code_was_asked(world: World) -> None:
    anna = world.person()
    visit = world.signed_in(anna)
    before = visit.tokens().claims
    world.clock.move(4 * MINUTE)
    higher = visit.again(acr_values=acr(3)).choose("totp")
    higher.set_up(anna)
    after = higher.tokens().claims
    assert after["auth_time"] == before["auth_time"] and after["sid"] == before["sid"]
    assert (after["acr"], after["amr"]) == (acr(3), ["pwd", "otp", "mfa"])


def test_select_account_offers_to_go_on_as_the_same_person(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.signed_in(anna)
    asked = visit.again(prompt="select_account")
    assert asked.page.has("account-continue") and "anna" in asked.page.text
    assert asked.press("account-continue").tokens().claims["sub"] == anna.sub


def test_select_account_offers_to_sign_in_as_somebody_else_who_replaces_the_session(world: World) -> None:
    anna, bram = world.person(), world.person("bram")
    visit = world.signed_in(anna)
    sid = visit.tokens().claims["sid"]
    asked = visit.again(prompt="select_account").press("account-other")
    assert asked.prompt == "identify" and asked.page.field("username").get("value") in (None, "")
    assert asked.identify(bram).tokens().claims["sub"] == bram.sub
    old, new = world.sessions()
    assert (old.sid, old.end_reason, new.ended_at) == (sid, "replaced", None)
    assert visit.again(prompt="none").tokens().claims["sub"] == bram.sub


def test_select_account_and_the_same_person_after_all_keeps_the_session(world: World) -> None:
    anna = world.person()
    visit = world.signed_in(anna)
    asked = visit.again(prompt="select_account").press("account-other").identify(anna)
    assert asked.tokens().claims["sub"] == anna.sub
    assert [session.ended_at for session in world.sessions()] == [None]


def test_select_account_without_a_session_is_an_ordinary_sign_in(world: World) -> None:
    visit = world.visit(prompt="select_account")
    assert visit.page.has("login-submit")
    assert visit.identify(world.person()).tokens()


def test_login_and_select_account_together_ask_for_both(world: World) -> None:
    anna = world.person()
    asked = world.signed_in(anna).again(prompt="login select_account")
    assert asked.page.has("account-continue")
    asked.press("account-continue")
    assert asked.page.has("login-submit")
    assert asked.identify(anna).tokens()


def test_prompt_login_consent_asks_for_both(world: World) -> None:
    anna, derde = world.person(), world.party("derde", first_party=False)
    visit = world.visit(party=derde).identify(anna).press("consent-allow")
    assert visit.tokens()
    again = visit.again(prompt="login consent").identify(anna)
    assert again.prompt == "consent"
    assert again.press("consent-allow").tokens()
