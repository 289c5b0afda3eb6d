"""`id_token_hint` and `login_hint`: whom the application means."""

import pytest

from tests.journeys.driver import World
from tests.relying_party import Tokens


def id_token(tokens: Tokens) -> str:
    assert tokens.id_token is not None
    return tokens.id_token


def test_hint_of_the_person_whose_session_it_is_asks_nothing(world: World) -> None:
    anna = world.person()
    visit = world.signed_in(anna)
    hint = id_token(visit.tokens())
    assert visit.again(prompt="none", id_token_hint=hint).tokens().claims["sub"] == anna.sub
    assert visit.again(id_token_hint=hint).page.departure.via == "redirect"


def test_hint_of_another_person_under_prompt_none_is_login_required(world: World) -> None:
    hint = id_token(world.signed_in(world.person()).tokens())
    bram = world.signed_in(world.person("bram"))
    assert bram.again(prompt="none", id_token_hint=hint).error == "login_required"


def test_hint_of_another_person_asks_that_person_to_sign_in(world: World) -> None:
    anna = world.person()
    hint = id_token(world.signed_in(anna).tokens())
    bram = world.signed_in(world.person("bram"))
    visit = bram.again(id_token_hint=hint)
    assert visit.prompt == "identify"
    assert visit.identify(anna).tokens().claims["sub"] == anna.sub
    assert [session.end_reason for session in world.sessions()] == [None, "replaced", None]


def test_somebody_else_than_the_hint_means_is_never_a_positive_answer(world: World) -> None:
    hint = id_token(world.signed_in(world.person()).tokens())
    bram = world.person("bram")
    visit = world.visit(id_token_hint=hint).identify(bram)
    assert visit.error == "login_required"


@pytest.mark.parametrize("hint", ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_hint_that_is_no_id_token_of_ours_is_refused(world: World, hint: str) -> None:
    assert world.visit(id_token_hint=hint).error == "invalid_request"


def test_login_hint_fills_the_form_and_proves_nothing(world: World) -> None:
    anna = world.person()
    visit = world.visit(login_hint="10234\\anna")
    assert visit.prompt == "identify"
    assert visit.page.field("organisation").get("value") == "10234"
    assert visit.page.field("username").get("value") == "anna"
    visit.page = visit.page.submit({"password": anna.password}, button="login-submit")
    assert visit.tokens().claims["sub"] == anna.sub


def test_login_hint_without_an_organisation_fills_the_username(world: World) -> None:
    visit = world.visit(login_hint="anna")
    assert visit.page.field("username").get("value") == "anna"
    assert visit.page.field("organisation").get("value") in (None, "")


def test_login_hint_is_shown_as_text_whatever_it_contains(world: World) -> None:
    hint = '"><script>alert(1)</script>'
    visit = world.visit(login_hint=hint)
    assert visit.page.field("username").get("value") == hint and "<script>alert" not in visit.page.body


def test_hint_does_not_keep_somebody_else_from_signing_in(world: World) -> None:
    bram = world.person("bram")
    assert world.visit(login_hint="10234\\anna").identify(bram).tokens().claims["sub"] == bram.sub


def test_organisation_code_is_remembered_only_when_asked_and_forgotten_when_not(world: World) -> None:
    anna = world.person()
    visit = world.visit().identify(anna)
    assert visit.again(prompt="login").page.field("remember").get("checked") is None
    visit.again(prompt="login").identify(anna, remember="1")
    world.clock.move(world.services.settings.session.idle_timeout)
    later = visit.again()
    assert later.page.field("organisation").get("value") == "10234"
    assert later.page.field("username").get("value") in (None, "")
    assert later.page.field("remember").get("checked") is not None
    later.page = later.page.submit({**anna.names, "remember": None}, button="login-submit")
    # A session that ended by itself keeps the code too; this browser was closed.
    later.browser.client.delete_cookie("__Host-idp_session", domain="login.example")
    assert later.again().page.field("organisation").get("value") in (None, "")
