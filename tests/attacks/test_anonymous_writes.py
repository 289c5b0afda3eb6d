"""What anybody can send writes no more than a little: requests that are pushed by clients that prove nothing, and those
that are refused.
"""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from idp.attempts.models import EventCount
from idp.audit.trail import AuditEvent
from idp.jobs.purge_expired import purge
from idp.oidc.models import PushedAuthorizationRequest
from idp.store.base import metadata as tables
from tests.attacks.parallel import Node, run
from tests.attacks.test_requests import URN, by, said_by
from tests.attacks.world import Browser, Page, World, basic, parameters
from tests.factories import SomeClient

LIMIT = 3
SETTINGS: dict[str, Any] = {
    "trusted_proxies": ["127.0.0.1/32"],
    "tokens": {"pushed_requests_per_minute": LIMIT},
    "audit": {"refusals_per_hour": 3},
}
PUBLIC: dict[str, Any] = {"token_endpoint_auth_method": "none", "application_type": "native"}
LIFETIME = timedelta(seconds=90)
MOMENT = timedelta(milliseconds=1)
# How long an attempt that was begun can be answered, and how long what is over is kept for who comes late.
REQUEST_LIFETIME, LATE = timedelta(days=1), timedelta(minutes=10)


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return SETTINGS


def at(world: World, address: str = "192.0.2.1") -> Browser:
    return world.browser(**{"X-Forwarded-For": address})


def push(browser: Browser, client: SomeClient) -> Page:
    headers = {} if client.secret is None else {"Authorization": basic(client.client_id, client.secret)}
    return browser.post("/par", parameters(client), **headers)


def rows(world: World) -> dict[str, int]:
    with world.reading() as unit:
        return {
            name: unit.scalar(select(func.count()).select_from(table)) or 0 for name, table in tables.tables.items()
        }


# A budget for each source


def test_pushes_that_nobody_answers_for_are_taken_a_few_times_a_minute_from_one_source(world: World) -> None:
    # RFC 9126 2.3, RFC 6585 4.
    client, other = world.make.client(**PUBLIC), world.make.client("ander", **PUBLIC)
    assert [push(at(world), client).status for _ in range(LIMIT)] == [201] * LIMIT
    before = rows(world)
    for asking in (client, other):
        refused = push(at(world), asking)
        assert (refused.status, said_by(refused)["error"]) == (429, "temporarily_unavailable")
        assert 0 < int(refused.header("Retry-After") or 0) <= 60
        assert refused.header("Cache-Control") == "no-store"
    assert rows(world) == before, "a push that is turned away writes nothing"
    assert push(at(world, "192.0.2.2"), client).status == 201
    world.clock.move(timedelta(minutes=1))
    assert push(at(world), client).status == 201


def test_client_that_an_administrator_gave_a_secret_pushes_as_often_as_it_likes(world: World) -> None:
    client = world.make.client()
    assert {push(at(world), client).status for _ in range(LIMIT + 2)} == {201}
    assert world.count(EventCount) == 0


def test_client_that_gave_itself_a_secret_has_a_budget_wherever_it_comes_from(world: World) -> None:
    client = world.make.client(registration_access_token_hash=b"h" * 32)
    answers = [push(at(world, f"192.0.2.{number}"), client).status for number in range(LIMIT + 1)]
    assert answers == [201] * LIMIT + [429]


def test_clients_that_gave_themselves_secrets_share_the_budget_of_where_they_come_from(world: World) -> None:
    # One address can register twenty of them a minute.
    clients = [world.make.client(f"eigen{each}", registration_access_token_hash=b"h" * 32) for each in range(LIMIT + 1)]
    assert [push(at(world), client).status for client in clients] == [201] * LIMIT + [429]
    before = rows(world)
    assert push(at(world), clients[-1]).status == 429
    assert rows(world) == before, "neither is its own budget touched"
    assert push(at(world, "192.0.2.2"), clients[-1]).status == 201


def push_all(node: Node, client: SomeClient) -> list[int]:
    return node.at_once([lambda: push(at(node.world), client).status] * LIMIT)


def test_budget_holds_across_processes(world: World, database_url: str) -> None:
    client = world.make.client(**PUBLIC)
    both = run(push_all, [client, client], database_url, world.clock.now(), settings=SETTINGS)
    assert sorted(both[0] + both[1]) == [201] * LIMIT + [429] * LIMIT
    assert world.count(PushedAuthorizationRequest) == LIMIT


# What is over goes soon (decision 0021)


def purged(world: World) -> int:
    with world.app.app_context():
        purge(world.services.units, world.clock, REQUEST_LIFETIME)
    return world.count(PushedAuthorizationRequest)


def request_uri(world: World, client: SomeClient) -> str:
    return str(said_by(push(at(world), client))["request_uri"])


def test_request_that_nobody_came_with_is_gone_soon_after_it_expired(world: World) -> None:
    push(at(world), world.make.client(**PUBLIC))
    world.clock.move(LIFETIME + LATE)
    assert purged(world) == 1
    world.clock.move(MOMENT)
    assert purged(world) == 0


def test_request_that_was_answered_is_gone_as_soon_and_is_no_more_answered_in_another_tab(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    uri = request_uri(world, client)
    first, second = world.browser(), world.browser()
    pages = [each.begin(client, **by(client, uri)) for each in (first, second)]
    assert first.submit(pages[0], **anna.names).code
    world.clock.move(LIFETIME + LATE + MOMENT)
    assert purged(world) == 0
    assert second.submit(pages[1], **anna.names).answer["error"] == "invalid_request_uri"
    assert world.browser().authorize(client, **by(client, uri)).status == 400


def test_request_that_an_attempt_waits_for_stays_as_long_as_that_can_be_answered(world: World) -> None:
    client, anna, browser = world.make.client(), world.make.person(), world.browser()
    uri = request_uri(world, client)
    page = browser.begin(client, **by(client, uri))
    assert uri.startswith(URN)
    world.clock.move(REQUEST_LIFETIME - MOMENT)
    assert purged(world) == 1
    again = browser.follow(browser.get(page.url.rpartition("/")[0] + "/restart"))
    assert browser.submit(again, **anna.names).code
    other = world.browser()
    other.begin(client, **by(client, request_uri(world, client)))
    world.clock.move(LIFETIME + REQUEST_LIFETIME + LATE)
    assert purged(world) == 1
    world.clock.move(MOMENT)
    assert purged(world) == 0


# What is refused stands in the trail, but not as often as anybody likes

REFUSED_BY_HOUR = 3


def refuse_all(world: World, address: str = "192.0.2.1") -> list[int]:
    """Everything that is refused whoever sends it, twice as often as it is recorded."""
    client, public = SomeClient("atosi", None, "https://app.example/callback"), "open"
    answers: list[int] = []
    for _ in range(2 * REFUSED_BY_HOUR):
        browser = at(world, address)
        answers += [
            browser.authorize(client, response_type="token").status,
            browser.authorize(client, redirect_uri="https://evil.example/").status,
            browser.post("/token", {"grant_type": "authorization_code", "code": "x", "client_id": "nobody"}).status,
            browser.post("/token", {"grant_type": "authorization_code", "code": "x", "client_id": public}).status,
            browser.post("/token", {"grant_type": "refresh_token", "refresh_token": "x", "client_id": public}).status,
            browser.post("/token", {"grant_type": "x"}).status,
            browser.post("/end_session/confirm", {"decision": "yes"}).status,
            browser.post(f"/s/{'a' * 22}/identify", {"username": "x"}).status,
        ]
    return answers


def test_refused_requests_of_anybody_write_a_few_rows_an_hour_and_no_more(world: World) -> None:
    world.make.client()
    world.make.client("open", **PUBLIC)
    before = world.count(AuditEvent)
    assert set(refuse_all(world)) == {303, 400, 401, 403}
    assert world.count(AuditEvent) == before + REFUSED_BY_HOUR
    kept = rows(world)
    refuse_all(world)
    assert rows(world) == kept, "a refused request writes no row"
    refuse_all(world, "192.0.2.2")
    assert world.count(AuditEvent) == before + 2 * REFUSED_BY_HOUR
    world.clock.move(timedelta(hours=1))
    refuse_all(world)
    assert world.count(AuditEvent) == before + 3 * REFUSED_BY_HOUR


def test_what_a_client_that_proved_itself_is_refused_always_stands_in_the_trail(world: World) -> None:
    client, before = world.make.client(), world.count(AuditEvent)
    for _ in range(2 * REFUSED_BY_HOUR):
        assert world.redeem(client, "x").status == 400
    assert world.count(AuditEvent) == before + 2 * REFUSED_BY_HOUR


def test_what_a_client_that_gave_itself_a_secret_is_refused_stands_there_a_few_times_an_hour(world: World) -> None:
    client, before = world.make.client(registration_access_token_hash=b"h" * 32), world.count(AuditEvent)
    for number in range(2 * REFUSED_BY_HOUR):
        browser, secret = at(world, f"192.0.2.{number}"), basic(client.client_id, client.secret or "")
        form = {"grant_type": "authorization_code", "code": "x"}
        assert browser.post("/token", form, Authorization=secret).status == 400
        assert browser.post("/par", parameters(client, scope="x"), Authorization=secret).status in (400, 429)
    assert world.count(AuditEvent) == before + REFUSED_BY_HOUR


def test_what_such_clients_of_one_address_are_refused_stands_there_no_more_often(world: World) -> None:
    clients = [world.make.client(f"eigen{each}", registration_access_token_hash=b"h" * 32) for each in range(5)]
    before = world.count(AuditEvent)
    for _ in range(2):
        for client in clients:
            secret = basic(client.client_id, client.secret or "")
            form = {"grant_type": "authorization_code", "code": "x"}
            assert at(world).post("/token", form, Authorization=secret).status == 400
    assert world.count(AuditEvent) == before + REFUSED_BY_HOUR
