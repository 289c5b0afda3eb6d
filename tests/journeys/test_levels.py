"""`acr_values`, the `acr` claim and the client's own minimum: reached, enrolled, or out of reach."""

import json
from typing import Any

import pytest

from tests.journeys.driver import MINUTE, STEP, World, acr


def claim(*values: str, essential: bool = False) -> str:
    """The `claims` parameter that asks for `acr` (OIDC Core 5.5.1.1)."""
    wish: dict[str, object] = {"essential": True} if essential else {}
    if values:
        wish |= {"value": values[0]} if len(values) == 1 else {"values": list(values)}
    return json.dumps({"id_token": {"acr": wish or None}})


@pytest.mark.parametrize(
    "asked",
    [
        {"acr_values": acr(3)},
        {"acr_values": f"urn:unknown {acr(3)}"},
        {"acr_values": acr(2)},
        {"claims": claim(acr(3))},
        {"claims": claim(acr(3), essential=True)},
        {"claims": claim(acr(4), acr(3), essential=True)},
    ],
    ids=str,
)
def test_level_is_reached_by_enrolling_what_reaches_it(world: World, asked: dict[str, Any]) -> None:
    anna = world.person()
    visit = world.visit(**asked).identify(anna)
    assert visit.prompt == "enrol_second_factor" and "Voor Atosi is een code verplicht." in visit.page.text
    assert not visit.page.has("method-postpone")
    visit.choose("totp").set_up(anna)
    tokens = visit.tokens()
    assert tokens.claims["acr"] == (acr(2) if asked.get("acr_values") == acr(2) else acr(3))
    assert visit.again(prompt="none").tokens().claims["acr"] == acr(3)


def test_level_is_reached_in_a_live_session_by_the_code_alone(world: World) -> None:
    els = world.campaigner()
    visit = world.visit().identify(els).postpone()
    other = world.visit().identify(els).choose("totp")
    els = other.set_up(els)
    world.clock.move(MINUTE)
    higher = visit.again(acr_values=acr(3))
    assert higher.prompt == "verify_second_factor"
    assert higher.prove(els).tokens().claims["acr"] == acr(3)


def test_old_session_gives_the_password_again_before_anything_is_enrolled(world: World) -> None:
    anna = world.person()
    visit = world.signed_in(anna)
    world.clock.move(5 * MINUTE + STEP)
    higher = visit.again(acr_values=acr(3))
    assert higher.prompt == "identify"
    assert higher.identify(anna).prompt == "enrol_second_factor"
    higher.choose("totp").set_up(anna)
    claims = higher.tokens().claims
    assert (claims["acr"], claims["auth_time"]) == (acr(3), int(world.clock.now().timestamp()))


def test_password_alone_never_enrols_on_an_account_that_has_a_factor(world: World) -> None:
    anna = world.person(totp=True)
    requests: list[dict[str, Any]] = [
        {"acr_values": acr(3)},
        {"acr_values": acr(4)},
        {"claims": claim(acr(4), essential=True)},
    ]
    for asked in requests:
        visit = world.visit(**asked)
        assert visit.csrf_token
        visit.identify(anna)
        for form in ({"method": "totp"}, {"method": "totp", "code": "000000"}, {"method": "postpone"}, {}):
            visit.post("enrol_second_factor", **form)
            assert visit.prompt == "verify_second_factor", (asked, form)
    assert world.sessions() == []


def test_voluntary_level_that_nobody_can_reach_goes_on_with_what_was_reached(world: World) -> None:
    anna, bram = world.person(totp=True), world.person("bram")
    assert world.visit(acr_values=acr(4)).identify(anna).prove(anna).tokens().claims["acr"] == acr(3)
    assert world.visit(acr_values=acr(4)).identify(bram).tokens().claims["acr"] == acr(1)
    assert world.visit(claims=claim(acr(4))).identify(bram).tokens().claims["acr"] == acr(1)


def test_voluntary_level_that_nobody_can_reach_leaves_the_campaign_a_choice(world: World) -> None:
    els = world.campaigner()
    visit = world.visit(acr_values=acr(4)).identify(els)
    assert visit.prompt == "enrol_second_factor"
    visit.choose("totp").set_up(els)
    assert visit.tokens().claims["acr"] == acr(3)


def test_unknown_levels_are_ignored(world: World) -> None:
    anna = world.person()
    requests: list[dict[str, Any]] = [
        {"acr_values": "urn:unknown 9"},
        {"claims": claim("urn:unknown")},
        {"claims": claim()},
    ]
    for asked in requests:
        assert world.visit(**asked).identify(anna).tokens().claims["acr"] == acr(1), asked


def test_acr_that_is_essential_without_a_value_asks_for_no_level(world: World) -> None:
    anna = world.person()
    visit = world.visit(claims=claim(essential=True)).identify(anna)
    assert visit.tokens().claims["acr"] == acr(1)
    assert visit.again(prompt="none", claims=claim(essential=True)).tokens()


def test_essential_level_that_nobody_can_reach_is_an_error_of_its_own(world: World) -> None:
    anna = world.person(totp=True)
    asked: dict[str, Any] = {"claims": claim(acr(4), essential=True)}
    visit = world.visit(**asked).identify(anna).prove(anna)
    assert visit.error == "unmet_authentication_requirements"
    assert visit.again(**asked).error == "unmet_authentication_requirements"
    assert visit.again().tokens().claims["acr"] == acr(3)


def test_essential_value_that_is_unknown_is_not_reached(world: World) -> None:
    visit = world.visit(claims=claim("urn:unknown", essential=True)).identify(world.person())
    assert visit.error == "unmet_authentication_requirements"


def test_id_token_states_the_highest_level_asked_for_that_was_reached(world: World) -> None:
    visit = world.signed_in(world.person(totp=True))
    for asked, stated in (
        (None, 3),
        (acr(1), 1),
        (f"{acr(1)} {acr(2)}", 2),
        (f"{acr(2)} {acr(4)}", 2),
        (f"{acr(4)}", 3),
        (f"{acr(3)} {acr(1)} {acr(2)}", 3),
    ):
        assert visit.again(acr_values=asked).tokens().claims["acr"] == acr(stated), asked


def test_clients_minimum_is_reached_by_enrolling(world: World) -> None:
    els = world.campaigner()
    streng = world.party("streng", minimum_acr=3)
    visit = world.visit(party=streng).identify(els)
    assert visit.prompt == "enrol_second_factor" and not visit.page.has("method-postpone")
    visit.choose("totp").set_up(els)
    assert visit.tokens().claims["acr"] == acr(3)


def test_clients_minimum_is_reached_by_proving(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit(party=world.party("streng", minimum_acr=3)).identify(anna).prove(anna)
    assert visit.tokens().claims["acr"] == acr(3)


def test_clients_minimum_holds_whatever_lower_level_the_request_asks_for(world: World) -> None:
    streng = world.party("streng", minimum_acr=3)
    visit = world.signed_in(world.person())
    assert visit.again(streng, acr_values=acr(1)).prompt == "enrol_second_factor"


@pytest.mark.parametrize("live", [False, True], ids=["signing in", "in a live session"])
def test_clients_minimum_out_of_reach_is_explained_and_then_access_is_denied(world: World, live: bool) -> None:
    anna = world.person(totp=True)
    strenger = world.party("strenger", minimum_acr=4)
    if live:
        visit = world.signed_in(anna).again(strenger)
    else:
        visit = world.visit(party=strenger).identify(anna).prove(anna)
    assert visit.page.status == 403 and "088" in visit.page.text
    assert not visit.page.has_left
    assert visit.follow("continue").error == "access_denied"
    assert visit.page.departure.via == "handoff" and visit.page.heading == "U gaat nu naar Strenger"


def test_disabled_app_out_of_reach_of_the_clients_minimum_gives_nothing(world: World) -> None:
    anna = world.person(totp=True)
    world.disable_credential(anna)
    visit = world.visit(party=world.party("streng", minimum_acr=3)).identify(anna)
    assert visit.prompt == "verify_second_factor" and visit.page.status == 403
    assert world.sessions() == []
