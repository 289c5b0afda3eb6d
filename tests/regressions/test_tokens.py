"""Which tokens a client gets after its minimum level was raised."""

import pytest
from sqlalchemy import update

from idp.oidc.clients import Client
from tests.attacks.world import Browser, World
from tests.factories import Somebody, SomeClient
from tests.regressions.ways import MINUTE, acr, claims_of, enrol


def set_minimum(world: World, client: SomeClient, level: int | None) -> None:
    with world.writing() as unit:
        unit.execute(update(Client).where(Client.client_id == client.client_id).values(minimum_acr=level))


def step_up(world: World, browser: Browser, els: Somebody) -> None:
    """The session reaches level 3, asked for by another client."""
    page, _ = enrol(world, browser, browser.begin(world.make.client("other"), acr_values=acr(3)), els)
    assert page.code


def test_code_given_below_the_clients_minimum_yields_no_tokens_although_the_session_reaches_it_now(
    world: World,
) -> None:
    els, client = world.make.person(username="els"), world.make.client()
    browser, page = world.sign_in(client, els)
    step_up(world, browser, els)
    set_minimum(world, client, 3)
    assert world.redeem(client, page.code).error == "invalid_grant"
    # A request of its own gets a code of the level that the session has now.
    tokens = world.redeem(client, browser.begin(client).code)
    assert claims_of(tokens.body["id_token"])["acr"] == acr(3)


def test_refresh_token_given_below_the_clients_minimum_yields_none_although_the_session_reaches_it_now(
    world: World,
) -> None:
    els, client = world.make.person(username="els"), world.make.client()
    browser, page = world.sign_in(client, els)
    refresh_token = world.redeem(client, page.code).body["refresh_token"]
    step_up(world, browser, els)
    assert world.refresh(client, refresh_token).status == 200
    set_minimum(world, client, 3)
    assert world.refresh(client, refresh_token).error == "invalid_grant"


@pytest.mark.parametrize("times", [1, 2])
def test_public_refresh_token_that_yielded_nothing_is_neither_used_up_nor_an_alarm(world: World, times: int) -> None:
    els = world.make.person(username="els")
    client = world.make.client("spa", token_endpoint_auth_method="none", application_type="browser")
    browser, page = world.sign_in(client, els)
    refresh_token = world.redeem(client, page.code).body["refresh_token"]
    set_minimum(world, client, 3)
    for _ in range(times):
        assert world.refresh(client, refresh_token).error == "invalid_grant"
        # Longer than a superseded token is answered again.
        world.clock.move(MINUTE)
    set_minimum(world, client, None)
    again = world.refresh(client, refresh_token)
    assert again.status == 200 and again.body["refresh_token"] != refresh_token
