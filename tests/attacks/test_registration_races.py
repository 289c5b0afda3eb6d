"""A58, A89: registrations that several processes want at the same instant."""

from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.orm import Session as Unit

from idp.admin import initial_access_tokens
from idp.kernel.secrets import hash_secret
from idp.oidc.clients import Client
from idp.oidc.models import InitialAccessToken
from tests import canary
from tests.attacks.parallel import Node, often, run
from tests.attacks.test_registration import sent
from tests.attacks.world import World
from tests.oidc.registering import METADATA, Registrations

TOKEN: dict[str, Any] = {"registration": {"mode": "token", "max_per_minute": 1000}}
OPEN: dict[str, Any] = {"registration": {"mode": "open", "max_per_minute": 1000}}


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return OPEN


@pytest.fixture
def registrations(app: Flask) -> Registrations:
    return Registrations(app)


@dataclass(frozen=True)
class Registering:
    """So many registrations with one token; `looks_first`: the mistake."""

    token: str
    number: int
    looks_first: bool = False


def register_all(node: Node, given: Registering) -> list[int]:
    if given.looks_first:
        _look_first(node)
    registrations = Registrations(node.world.app)
    return node.at_once([lambda: registrations.post(METADATA, given.token).status_code] * given.number)


def _look_first(node: Node) -> None:
    """Look how many uses are left, and write one less afterwards."""

    def take(unit: Unit, token: str, now: Any) -> int | None:
        if not initial_access_tokens.is_good(unit, token, now):
            return None
        node.meet()
        row = unit.query(InitialAccessToken).filter_by(token_hash=hash_secret(token)).one()
        row.uses_left = max(0, (row.uses_left or 0) - 1)
        return row.id

    initial_access_tokens.take = take


def token_for(world: World, uses: int) -> str:
    with world.app.app_context():
        _, token = world.services.initial_access_tokens.add("een leverancier", uses)
    canary.knows(token)
    return token


@pytest.mark.parametrize("uses", [1, 3])
def test_initial_access_token_is_good_for_its_number_on_all_nodes_together(
    world: World, database_url: str, uses: int
) -> None:
    given = Registering(token_for(world, uses), number=4)
    both = run(register_all, [given, given], database_url, world.clock.now(), settings=TOKEN)
    assert sorted(both[0] + both[1]) == [201] * uses + [401] * (8 - uses)
    assert world.count(Client) == uses
    with world.reading() as unit:
        assert unit.query(InitialAccessToken.uses_left).scalar() == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_initial_access_token_that_is_looked_at_first_would_be_good_twice(world: World, database_url: str) -> None:
    given = Registering(token_for(world, 1), number=1, looks_first=True)
    both = run(register_all, [given, given], database_url, world.clock.now(), settings=TOKEN)
    assert both == [[201], [201]]


@dataclass(frozen=True)
class Changing:
    """One client, changed by whoever has its registration access token, ended, or decided about."""

    told: dict[str, Any]
    how: str


def change(node: Node, given: Changing) -> list[int]:
    registrations, path = Registrations(node.world.app), f"/register/{given.told['client_id']}"
    token = given.told["registration_access_token"]
    if given.how == "decided":
        return node.at_once([lambda: _narrow(node.world, given.told["client_id"])])
    if given.how == "deleted":
        return node.at_once([lambda: registrations.send("DELETE", path, token=token).status_code])
    wish = sent(given.told, scope="openid email", redirect_uris=["https://rp.example/other"])
    return node.at_once([lambda: registrations.send("PUT", path, wish, token).status_code] * 2)


def _narrow(world: World, client_id: str) -> int:
    with world.app.app_context():
        world.services.clients.set(client_id, scope="openid")
    return 0


@pytest.mark.parametrize("_round", range(often(200, 4)))
def test_client_that_is_replaced_while_it_is_deleted_is_gone(
    world: World, registrations: Registrations, database_url: str, _round: int
) -> None:
    told = registrations.registered()
    given = [Changing(told, "replaced"), Changing(told, "deleted")]
    replaced, (deleted,) = run(change, given, database_url, world.clock.now(), settings=OPEN)
    assert deleted == 204 and set(replaced) <= {200, 401}
    row = registrations.row(told["client_id"])
    assert row.deleted_at is not None and row.redirect_uris == [] and row.grant_types == []
    assert row.client_secret_hash is None and row.registration_access_token_hash is None
    read = registrations.send("GET", f"/register/{told['client_id']}", token=told["registration_access_token"])
    assert read.status_code == 401


@pytest.mark.parametrize("_round", range(often(400, 8)))
def test_what_an_administrator_decides_while_the_client_replaces_it_holds(
    world: World, registrations: Registrations, database_url: str, _round: int
) -> None:
    # What is decided is what was registered, and what the client would change.
    told = registrations.registered(scope="openid")
    given = [Changing(told, "replaced"), Changing(told, "decided")]
    replaced, _ = run(change, given, database_url, world.clock.now(), settings=OPEN)
    assert replaced == [200, 200]
    row = registrations.row(told["client_id"])
    assert (row.scope, row.decided) == ("openid", ["scope"])
