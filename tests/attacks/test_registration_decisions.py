"""A58, A89: whoever holds a client's registration access token, and wants what an administrator gave the client, or to
be rid of what an administrator took from it."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from idp.admin.client_end import end_unused
from idp.audit.events import ClientRegistration
from idp.audit.trail import events
from idp.oidc.clients import Client
from tests.attacks.test_registration import BOTH, KEYS, put
from tests.attacks.world import World
from tests.oidc.journeys import basic
from tests.oidc.registering import CALLBACK, Registrations, some_client
from tests.oidc.signing import public_keys
from tests.regressions.ways import on_postgresql, wait_until_somebody_waits

EVIL = "https://evil.example/callback"
OTHER_KEYS = public_keys("ES256", number=1)
FOR_ITSELF: dict[str, Any] = {
    "grant_types": ["authorization_code", "client_credentials"],
    "scope": "openid email orders:write",
}


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return {"registration": {"mode": "open", "max_per_minute": 100}}


@pytest.fixture
def registrations(app: Flask) -> Registrations:
    return Registrations(app)


def decided(registrations: Registrations, told: dict[str, Any], **changes: Any) -> None:
    """An administrator sets this of the client."""
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], **changes)


def replaced(registrations: Registrations, told: dict[str, Any], **changes: Any) -> Client:
    """The client after a replacement that is taken."""
    answer = put(registrations, told, **changes)
    assert answer.status_code == 200, answer.text
    return registrations.row(told["client_id"])


# Another origin is another client: what this one was allowed is not that one's


@pytest.mark.parametrize(
    ("allowed", "left"),
    [
        ({"session_activity": "token_refresh"}, {"session_activity": "none"}),
        ({"session_activity": "reported"}, {"session_activity": "none"}),
        (FOR_ITSELF, {"grant_types": ["authorization_code"], "scope": "openid email"}),
        ({"resources": ["https://api.example/"]}, {"resources": []}),
        ({"first_party": True}, {"first_party": False}),
    ],
    ids=str,
)
@pytest.mark.parametrize("added", [True, False], ids=["added", "instead"])
def test_client_that_moves_has_nothing_that_no_client_can_register_for_itself(
    registrations: Registrations, allowed: dict[str, Any], left: dict[str, Any], added: bool
) -> None:
    told = registrations.registered(grant_types=BOTH, scope="openid email")
    decided(registrations, told, **allowed)
    elsewhere = [CALLBACK, EVIL] if added else [EVIL]
    row = replaced(registrations, told, redirect_uris=elsewhere)
    assert {name: getattr(row, name) for name in left} == left
    # Neither does it get it back at home, or by sending once more what it was told before.
    row = replaced(registrations, told, redirect_uris=[CALLBACK])
    assert {name: getattr(row, name) for name in left} == left


def test_client_that_stays_where_it_lives_keeps_what_it_was_allowed(registrations: Registrations) -> None:
    told = registrations.registered(grant_types=BOTH, scope="openid email")
    allowed = {"session_activity": "token_refresh", "resources": ["https://api.example/"], "first_party": True}
    decided(registrations, told, **allowed)
    row = replaced(registrations, told, redirect_uris=[CALLBACK, CALLBACK + "/2"])
    assert {name: getattr(row, name) for name in allowed} == allowed


def test_client_that_moves_stays_as_bound_as_it_was(registrations: Registrations) -> None:
    told = registrations.registered(grant_types=BOTH, scope="openid profile email")
    bound = {"minimum_acr": 2, "dpop_bound_access_tokens": True, "scope": "openid", "grant_types": BOTH[:1]}
    decided(registrations, told, **bound)
    for uri in (EVIL, CALLBACK):
        row = replaced(registrations, told, redirect_uris=[uri], dpop_bound_access_tokens=False)
        assert {name: getattr(row, name) for name in bound} == bound


def test_client_that_moves_is_told_what_it_has_left_and_the_audit_trail_what_it_has_not(
    registrations: Registrations,
) -> None:
    told = registrations.registered(scope="openid email")
    decided(registrations, told, **FOR_ITSELF, first_party=True)
    answer = put(registrations, told, redirect_uris=[EVIL]).json
    assert (answer["grant_types"], answer["scope"]) == (["authorization_code"], "openid email")
    with registrations.app.app_context(), registrations.services.units.reading() as unit:
        changes = [event.details["change"] for event in events(unit, ClientRegistration)]
    assert changes == ["registered", "replaced redirect_uris, first_party, grant_types, scope"]


# Rights of the client's own are used with its credentials alone


@pytest.mark.parametrize("allowed", [FOR_ITSELF, {"resources": ["https://api.example/"]}], ids=["itself", "resources"])
def test_credentials_of_a_client_with_rights_of_its_own_are_not_exchanged(
    registrations: Registrations, allowed: dict[str, Any]
) -> None:
    told = registrations.registered(**KEYS, scope="openid email")
    decided(registrations, told, **allowed)
    row = replaced(registrations, told, jwks=OTHER_KEYS, token_endpoint_auth_signing_alg="ES256")
    assert (row.jwks, row.token_endpoint_auth_signing_alg) == (KEYS["jwks"], None)
    row = replaced(registrations, told, jwks=None, jwks_uri="https://rp.example/jwks")
    assert (row.jwks, row.jwks_uri) == (KEYS["jwks"], None)
    row = replaced(registrations, told, token_endpoint_auth_method="client_secret_basic")
    assert (row.token_endpoint_auth_method, row.client_secret_hash) == ("private_key_jwt", None)


def test_holder_of_the_registration_token_gets_no_token_for_the_client_itself(registrations: Registrations) -> None:
    told = registrations.registered(scope="openid email")
    decided(registrations, told, **FOR_ITSELF)
    # A secret is kept; to have another one, the holder goes over to a key of its own, and back.
    for method in (KEYS, {"token_endpoint_auth_method": "client_secret_basic"}):
        changed = put(registrations, told, client_secret=None, **method)
        assert changed.status_code == 200, changed.text
    secret = changed.json.get("client_secret") or "none-was-told"
    asked = registrations.app.test_client().post(
        "/token",
        data={"grant_type": "client_credentials", "scope": "orders:write"},
        headers={"Authorization": basic(told["client_id"], secret)},
    )
    assert asked.status_code == 401, asked.text
    assert registrations.row(told["client_id"]).has_secret(told["client_secret"])


def test_client_without_rights_of_its_own_exchanges_its_credentials(registrations: Registrations) -> None:
    told = registrations.registered(**KEYS, grant_types=BOTH)
    decided(registrations, told, scope="openid", grant_types=BOTH, session_activity="reported")
    assert replaced(registrations, told, jwks=OTHER_KEYS).jwks == OTHER_KEYS
    row = replaced(registrations, told, jwks=None, token_endpoint_auth_method="client_secret_basic")
    assert row.client_secret_hash is not None


def test_client_that_moved_away_from_its_rights_exchanges_its_credentials(registrations: Registrations) -> None:
    told = registrations.registered(**KEYS, scope="openid email")
    decided(registrations, told, **FOR_ITSELF, resources=["https://api.example/"])
    replaced(registrations, told, redirect_uris=[EVIL])
    assert replaced(registrations, told, redirect_uris=[EVIL], jwks=OTHER_KEYS).jwks == OTHER_KEYS


# What is decided is not dodged by what stands beside it


@pytest.mark.parametrize(
    "dodge",
    [
        {"token_endpoint_auth_method": "client_secret_basic", "jwks": None},
        {"token_endpoint_auth_method": "client_secret_jwt"},
        {"token_endpoint_auth_method": "none"},
        {"token_endpoint_auth_method": "none", "application_type": "native"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "keys", [{"jwks": OTHER_KEYS}, {"jwks": None, "jwks_uri": "https://rp.example/jwks"}], ids=["jwks", "jwks_uri"]
)
def test_keys_that_an_administrator_gave_are_not_dodged_by_another_method(
    registrations: Registrations, keys: dict[str, Any], dodge: dict[str, Any]
) -> None:
    told = registrations.registered(**KEYS, token_endpoint_auth_signing_alg="ES256")
    decided(registrations, told, **keys)
    row = replaced(registrations, told, **{"token_endpoint_auth_signing_alg": None, **dodge})
    assert {name: getattr(row, name) for name in keys} == keys
    assert (row.token_endpoint_auth_method, row.token_endpoint_auth_signing_alg) == ("private_key_jwt", "ES256")
    assert (row.application_type, row.client_secret_hash) == ("web", None)


def test_client_does_not_turn_native_to_widen_the_redirect_uris_that_an_administrator_gave_it(
    registrations: Registrations, world: World
) -> None:
    told = registrations.registered()
    near = "http://127.0.0.1:8080/cb"
    decided(registrations, told, redirect_uris=[near])
    row = replaced(registrations, told, application_type="native")
    assert (row.application_type, row.redirect_uris) == ("web", [near])
    client = some_client(told)
    assert world.browser().authorize(client, redirect_uri=near).status == 303
    assert world.browser().authorize(client, redirect_uri="http://127.0.0.1:9999/cb").status == 400


@pytest.mark.parametrize(
    ("kind", "is_"),
    [
        ({"token_endpoint_auth_method": "none"}, "browser"),
        ({"token_endpoint_auth_method": "none", "application_type": "native"}, "native"),
        ({}, "web"),
    ],
    ids=["browser", "native", "web"],
)
def test_kind_of_a_client_stays_with_the_redirect_uris_that_an_administrator_gave_it(
    registrations: Registrations, kind: dict[str, Any], is_: str
) -> None:
    told = registrations.registered(**kind)
    decided(registrations, told, redirect_uris=[CALLBACK, CALLBACK + "/2"])
    row = replaced(registrations, told, application_type=None, contacts=["other@rp.example"])
    assert (row.application_type, row.contacts) == (is_, ["other@rp.example"])


# What an administrator gave is no wish of the client's


@pytest.mark.parametrize("column", ["redirect_uris", "post_logout_redirect_uris"])
def test_as_many_addresses_as_an_administrator_likes_leave_the_client_its_replacements(
    registrations: Registrations, column: str
) -> None:
    told = registrations.registered()
    many = [f"{CALLBACK}/{number}" for number in range(51)]
    decided(registrations, told, **{column: many})
    row = replaced(registrations, told, client_name="Een ander")
    assert (row.client_name, getattr(row, column)) == ("Een ander", many)


# A client that is gone


@on_postgresql
def test_client_that_is_purged_while_it_replaces_itself_is_gone(
    world: World, registrations: Registrations, database_url: str
) -> None:
    told = registrations.registered()
    world.clock.move(timedelta(days=2))
    answers: list[int] = []

    def replace() -> None:
        answers.append(put(registrations, told, client_name="Een ander").status_code)

    replacing = threading.Thread(target=replace, daemon=True)
    engine = create_engine(database_url)
    with Session(engine) as purging:
        assert end_unused(purging, world.clock.now(), 10) == 1
        replacing.start()
        wait_until_somebody_waits(world)
        purging.commit()
    engine.dispose()
    replacing.join(30)
    assert answers == [401]
    assert registrations.row(told["client_id"]).client_name == "Een derde partij"
