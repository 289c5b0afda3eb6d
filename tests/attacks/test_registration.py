"""A58, A89: clients that register themselves, and want more than an administrator, or other applications, give them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, text, update

from idp.jobs.purge_expired import purge
from idp.oidc import clients
from idp.oidc.clients import Client
from tests import canary
from tests.attacks.parallel import Node, often, run
from tests.attacks.world import World
from tests.factories import SomeClient
from tests.oidc.registering import CALLBACK, METADATA, Registrations, some_client
from tests.oidc.signing import public_keys

ELSEWHERE = "https://rp.example/old"
BOTH = ["authorization_code", "refresh_token"]
KEYS: dict[str, Any] = {"token_endpoint_auth_method": "private_key_jwt", "jwks": public_keys("ES256")}


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return {"registration": {"mode": "open", "max_per_minute": 100}}


@pytest.fixture
def registrations(app: Flask) -> Registrations:
    return Registrations(app)


def sent(told: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A replacement: what was told when the client was registered, with these changes."""
    ours = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")
    merged = {**{name: value for name, value in told.items() if name not in ours}, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def put(registrations: Registrations, told: dict[str, Any], **changes: Any) -> Any:
    path = f"/register/{told['client_id']}"
    return registrations.send("PUT", path, sent(told, **changes), told["registration_access_token"])


# What an administrator decided outlives what the client sends (RFC 7592 2.2)

DECIDED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # What an administrator set, and what the client would have instead.
    ({"scope": "openid"}, {"scope": "openid profile email offline_access"}),
    ({"scope": "openid"}, {"scope": None}),
    ({"grant_types": ["authorization_code"]}, {"grant_types": BOTH, "scope": "openid"}),
    ({"dpop_bound_access_tokens": True}, {"dpop_bound_access_tokens": False}),
    ({"dpop_bound_access_tokens": True}, {"dpop_bound_access_tokens": None}),
    ({"redirect_uris": [CALLBACK]}, {"redirect_uris": [CALLBACK, ELSEWHERE]}),
    ({"session_activity": "none"}, {"session_activity": None}),
    ({"session_activity": "reported"}, {"session_activity": None}),
    ({"token_endpoint_auth_method": "client_secret_post"}, {"token_endpoint_auth_method": "none"}),
    ({"backchannel_logout_uri": "https://rp.example/over"}, {"backchannel_logout_uri": None}),
    ({"userinfo_signed_response_alg": "ES256"}, {"userinfo_signed_response_alg": None}),
    ({"policy_uri": None}, {"policy_uri": "https://rp.example/policy"}),
    ({"client_name": "Niet de bank"}, {"client_name": "De bank"}),
    ({"resources": ["https://api.example/"], "minimum_acr": 2}, {"resources": [], "minimum_acr": 1}),
]


@pytest.mark.parametrize(("decided", "wished"), DECIDED, ids=str)
def test_client_does_not_get_back_what_an_administrator_decided(
    registrations: Registrations, decided: dict[str, Any], wished: dict[str, Any]
) -> None:
    told = registrations.registered(grant_types=BOTH, scope="openid profile email")
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], **decided)
    answer = put(registrations, told, **wished, contacts=["other@rp.example"])
    assert answer.status_code == 200, answer.text
    row = registrations.row(told["client_id"])
    assert {name: getattr(row, name) for name in decided} == decided
    # The rest is the client's own, and it is told what holds.
    assert row.contacts == ["other@rp.example"]
    said = {name: answer.json.get(name) for name in decided if name not in ("resources", "minimum_acr")}
    assert said == {name: decided[name] for name in said}


@pytest.mark.parametrize("wished", [{"profile": "oidc"}, {"profile": None, "dpop_bound_access_tokens": False}], ids=str)
def test_client_does_not_leave_the_profile_that_an_administrator_gave_it(
    registrations: Registrations, wished: dict[str, Any]
) -> None:
    told = registrations.registered(**KEYS, id_token_signed_response_alg="ES256")
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], profile="fapi2")
    answer = put(registrations, told, **wished, require_pushed_authorization_requests=False)
    assert answer.status_code == 200, answer.text
    row = registrations.row(told["client_id"])
    assert row.profile == "fapi2"
    assert row.require_pkce and row.require_pushed_authorization_requests and row.dpop_bound_access_tokens
    # What does not go with it is refused, as it is for everybody.
    weaker = put(registrations, told, token_endpoint_auth_method="client_secret_basic", jwks=None)
    assert (weaker.status_code, weaker.json["error"]) == (400, "invalid_client_metadata")


def test_name_that_an_administrator_gave_stands_in_every_language(registrations: Registrations) -> None:
    told = registrations.registered()
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], client_name="Niet de bank")
    assert put(registrations, told, **{"client_name#nl": "De bank", "tos_uri#nl": "https://rp.example/nl"}).json
    row = registrations.row(told["client_id"])
    assert row.shown("client_name", "nl") == "Niet de bank"
    assert row.shown("tos_uri", "nl") == "https://rp.example/nl"


def test_keys_that_an_administrator_gave_are_not_exchanged_for_an_address(registrations: Registrations) -> None:
    told = registrations.registered(**KEYS)
    others = public_keys("ES256", number=1)
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], jwks=others)
    assert put(registrations, told, jwks=None, jwks_uri="https://rp.example/jwks").status_code == 200
    row = registrations.row(told["client_id"])
    assert (row.jwks, row.jwks_uri) == (others, None)


def test_more_than_a_client_can_ask_for_stays_when_it_replaces_the_rest(registrations: Registrations) -> None:
    told = registrations.registered()
    given: dict[str, Any] = {"grant_types": ["authorization_code", "client_credentials"], "scope": "openid orders"}
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], **given, redirect_uris=["http://localhost/callback"])
    assert put(registrations, told, client_name="Een ander").status_code == 200
    row = registrations.row(told["client_id"])
    assert (row.client_name, row.scope, row.grant_types) == ("Een ander", given["scope"], given["grant_types"])
    assert row.redirect_uris == ["http://localhost/callback"]


def test_what_an_administrator_leaves_to_the_client_again_is_its_own(registrations: Registrations) -> None:
    told = registrations.registered()
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], scope="openid", client_name="Niet de bank")
        registrations.services.clients.leave(told["client_id"])
    assert put(registrations, told, scope="openid email", client_name="De bank").status_code == 200
    row = registrations.row(told["client_id"])
    assert (row.scope, row.client_name, row.decided) == ("openid email", "De bank", [])


# Nobody lets the session of all applications live on by their own word


@pytest.mark.parametrize("activity", ["reported", "token_refresh"])
@pytest.mark.parametrize("kind", [{}, {"token_endpoint_auth_method": "none"}], ids=["web", "browser"])
def test_client_that_registers_itself_does_not_make_itself_count_as_activity(
    registrations: Registrations, activity: str, kind: dict[str, Any]
) -> None:
    before = registrations.rows()
    wish = {**METADATA, **kind, "grant_types": BOTH}
    assert registrations.refused({**wish, "session_activity": activity}) == "invalid_client_metadata"
    assert registrations.rows() == before
    told = registrations.registered(**kind, grant_types=BOTH)
    assert told["session_activity"] == "none"
    answer = put(registrations, told, session_activity=activity)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_client_metadata")
    assert registrations.row(told["client_id"]).session_activity == "none"


# Clients that nobody uses do not pile up

DAY, MOMENT = timedelta(days=1), timedelta(milliseconds=1)


def purged(world: World) -> None:
    with world.app.app_context():
        purge(world.services.units, world.clock, DAY)


def number_of_clients(world: World) -> int:
    return world.count(Client)


def is_known(registrations: Registrations, told: dict[str, Any]) -> bool:
    answer = registrations.send("GET", f"/register/{told['client_id']}", token=told["registration_access_token"])
    return answer.status_code == 200


def test_client_that_nobody_used_for_a_day_is_gone_and_soon_its_row_too(
    world: World, registrations: Registrations
) -> None:
    told = registrations.registered()
    # Somebody looks at its login page, which is no use: nobody signed in.
    world.browser().begin(some_client(told))
    world.clock.move(DAY - MOMENT)
    purged(world)
    assert is_known(registrations, told)
    world.clock.move(MOMENT)
    purged(world)
    assert not is_known(registrations, told)
    assert world.browser().authorize(some_client(told)).status == 400
    world.clock.move(3 * DAY)
    purged(world)
    assert number_of_clients(world) == 0


def test_client_that_deletes_what_nobody_used_leaves_no_row_behind_for_ever(
    world: World, registrations: Registrations
) -> None:
    told = registrations.registered()
    registrations.send("DELETE", f"/register/{told['client_id']}", token=told["registration_access_token"])
    world.clock.move(2 * DAY + MOMENT)
    purged(world)
    assert number_of_clients(world) == 0


def test_client_that_somebody_signed_in_to_an_administrator_looked_after_or_a_token_vouched_for_stays(
    world: World, registrations: Registrations
) -> None:
    used, kept = registrations.registered(), registrations.registered()
    with registrations.app.app_context():
        _, token = registrations.services.initial_access_tokens.add("een leverancier")
        registrations.services.clients.set(kept["client_id"], client_name="Een ander")
    canary.knows(token)
    vouched = registrations.registered(token)
    anna, client = world.make.person(), some_client(used)
    browser, asked = world.browser(), {"scope": "openid"}
    page = browser.submit(browser.begin(client, **asked), **anna.names)
    assert browser.submit(page, decision="allow").code
    never = world.make.client()
    world.clock.move(400 * DAY)
    purged(world)
    for told in (used, kept, vouched):
        assert is_known(registrations, told)
    assert number_of_clients(world) == 4 and never


@dataclass(frozen=True)
class FirstUse:
    """What one process does at the moment at which the client is gone if nobody used it."""

    client: SomeClient | None
    cookies: dict[str, str]


def use_or_purge(node: Node, given: FirstUse) -> list[str]:
    if given.client is None:
        return node.at_once([lambda: purged(node.world) or "purged"])
    browser = node.world.browser()
    browser.cookies.update(given.cookies)
    client = given.client
    return node.at_once([lambda: "code" if "code" in browser.authorize(client, scope="openid").answer else "none"])


@pytest.mark.parametrize("_round", range(often(100, 3)))
def test_first_use_and_the_end_of_an_unused_client_are_decided_by_the_database(
    world: World, registrations: Registrations, database_url: str, _round: int
) -> None:
    told = registrations.registered()
    # Of a client that nobody is asked about, and that is still nobody's.
    with world.app.app_context(), world.services.units.writing() as unit:
        unit.execute(update(Client).values(first_party=True))
    browser, _ = world.sign_in(world.make.client("ander"), world.make.person())
    world.clock.move(timedelta(minutes=10))
    with world.app.app_context(), world.services.units.writing() as unit:
        unit.execute(update(Client).where(Client.unused_until.is_not(None)).values(unused_until=world.clock.now()))
    given = [FirstUse(some_client(told), dict(browser.cookies)), FirstUse(None, {})]
    settings = {"registration": {"mode": "open"}}
    (used,), _ = run(use_or_purge, given, database_url, world.clock.now(), settings=settings)
    row = registrations.row(told["client_id"])
    assert (used == "code") == (row.deleted_at is None)
    assert (used == "code") == (row.unused_until is None)


def register_all(node: Node, number: int) -> list[int]:
    registrations = Registrations(node.world.app)
    return node.at_once([lambda: registrations.post().status_code] * number)


def test_budget_for_registrations_holds_across_processes(world: World, database_url: str) -> None:
    settings = {"registration": {"mode": "open", "max_per_minute": 4}}
    both = run(register_all, [4, 4], database_url, world.clock.now(), settings=settings)
    assert sorted(both[0] + both[1]) == [201] * 4 + [429] * 4
    assert number_of_clients(world) == 4


# Many clients do not slow down the requests of others


def many_browser_clients(world: World, number: int) -> None:
    with world.app.app_context(), world.services.units.writing() as unit:
        now = world.clock.now()
        unit.add_all(
            Client(
                client_id=f"c{each}",
                client_name="c",
                token_endpoint_auth_method="none",
                application_type="browser",
                redirect_uris=[f"https://a{each}.example/callback", f"https://b{each}.example:8443/callback"],
                post_logout_redirect_uris=[],
                grant_types=["authorization_code"],
                response_types=["code"],
                scope="openid",
                session_activity="none",
                created_at=now,
                updated_at=now,
            )
            for each in range(number)
        )


def test_origin_of_a_script_is_looked_up_by_an_index_however_many_clients_there_are(world: World) -> None:
    many_browser_clients(world, 800)
    asked: list[tuple[str, Any]] = []
    with world.app.app_context(), world.services.units.writing() as unit:
        unit.execute(text("ANALYZE"))
        engine = unit.get_bind()
        listen = (engine, "before_cursor_execute", lambda _c, _cur, sql, values, *_: asked.append((sql, values)))
        event.listen(*listen)
        try:
            assert clients.is_origin_of_a_browser_application(unit, "https://b799.example:8443")
        finally:
            event.remove(*listen)
        ((sql, values),) = asked
        explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
        plan = str(unit.connection().exec_driver_sql(explain + sql, values).all())
    assert "Seq Scan" not in plan and "SCAN" not in plan and "client_origins" in plan, plan


def test_origins_follow_what_is_registered(world: World, registrations: Registrations) -> None:
    def is_one(asked: str) -> bool:
        with world.app.app_context():
            return world.services.provider.is_origin_of_a_browser_application(asked)

    told = registrations.registered(token_endpoint_auth_method="none")
    assert is_one("https://rp.example")
    put(registrations, told, redirect_uris=["https://other.example/callback"])
    assert (is_one("https://rp.example"), is_one("https://other.example")) == (False, True)
    put(registrations, told, token_endpoint_auth_method="client_secret_basic")
    assert not is_one("https://rp.example")
    again = registrations.registered(token_endpoint_auth_method="none", redirect_uris=["https://spa.example/callback"])
    assert is_one("https://spa.example")
    registrations.send("DELETE", f"/register/{again['client_id']}", token=again["registration_access_token"])
    assert not is_one("https://spa.example")
    registrations.registered(token_endpoint_auth_method="none")
    world.clock.move(DAY)
    purged(world)
    assert not is_one("https://rp.example")
