"""A65: addresses of strangers that hang hold no more than one thread of a process, and never the last one; what people
use, and what administrators registered, has a place that they cannot take.

The threads of a server are those of a pool here: as many requests at a time, the others wait for their turn.
"""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.attacks.world import World
from tests.client_assertions import claims_of, in_body, jwks_of, key_of, signed
from tests.conftest import ISSUER, START
from tests.egress.receivers import Receiver, after, hangs, status
from tests.factories import SomeClient
from tests.oidc.registering import METADATA, Registrations

THREADS = 4
# Less than the two seconds that one call may take.
SOON = 1.5
KEYED: dict[str, Any] = {"token_endpoint_auth_method": "private_key_jwt"}
# They registered themselves: the one that people signed in to, or that somebody vouched for, and the other.
KNOWN: dict[str, Any] = {"registration_access_token_hash": b"h" * 32}
STRANGER: dict[str, Any] = {**KNOWN, "unused_until": START + timedelta(days=1)}
OWN: dict[str, Any] = {"grant_types": ["client_credentials"], "scope": "reports", "redirect_uris": []}
PUBLISHES = status(200, json.dumps(jwks_of(key_of("ES256"))).encode(), **{"Content-Type": "application/json"})


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return {
        "egress": {"allow_loopback": True},
        "server": {"threads": THREADS},
        "registration": {"mode": "open", "max_per_minute": 100},
    }


@pytest.fixture
def hanging() -> Iterator[Receiver]:
    with Receiver(hangs) as receiver:
        yield receiver


@pytest.fixture
def server() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(THREADS) as pool:
        yield pool


def assertion(world: World, client_id: str) -> dict[str, str | None]:
    return {
        "grant_type": "client_credentials",
        **in_body(signed(claims_of(client_id, ISSUER, world.clock.now()), key_of("ES256"))),
    }


def asks_for_keys(world: World, client: SomeClient) -> Callable[[], object]:
    sent = assertion(world, client.client_id)
    return lambda: world.token(None, **sent)


def asks_for_an_object(world: World, client: SomeClient, address: str) -> Callable[[], object]:
    return lambda: world.browser().authorize(client, request_uri=address)


def seconds_of_others(world: World, server: ThreadPoolExecutor, attack: list[Callable[[], object]]) -> float:
    """How long ten requests of another client take that come right after all of the attack."""
    victim = world.make.client("salaris", grant_types=["client_credentials"], scope="reports", redirect_uris=[])
    started = [server.submit(act) for act in attack]
    begun = time.monotonic()
    answers: list[Future[Any]] = [
        server.submit(world.token, victim, grant_type="client_credentials") for _ in range(10)
    ]
    assert {answer.result().status for answer in answers} == {200}
    took = time.monotonic() - begun
    for each in started:
        each.result()
    return took


def test_keys_of_strangers_at_addresses_that_hang_do_not_stop_others(
    world: World, hanging: Receiver, server: ThreadPoolExecutor
) -> None:
    strangers = [
        world.make.client(f"vreemd{each}", **KEYED, **STRANGER, jwks_uri=f"{hanging.url}?{each}") for each in range(12)
    ]
    assert seconds_of_others(world, server, [asks_for_keys(world, each) for each in strangers]) < SOON
    assert hanging.most_at_once == 1


def test_many_requests_of_one_stranger_do_not_stop_others(
    world: World, hanging: Receiver, server: ThreadPoolExecutor
) -> None:
    stranger = world.make.client("vreemd", **KEYED, **STRANGER, jwks_uri=hanging.url)
    assert seconds_of_others(world, server, [asks_for_keys(world, stranger) for _ in range(12)]) < SOON


def test_request_objects_of_a_stranger_at_addresses_that_hang_do_not_stop_others_and_are_left_alone_together(
    world: World, hanging: Receiver, server: ThreadPoolExecutor
) -> None:
    addresses = [f"{hanging.url}?{each}" for each in range(12)]
    stranger = world.make.client("vreemd", **STRANGER, jwks=jwks_of(key_of("ES256")), request_uris=addresses)
    attack = [asks_for_an_object(world, stranger, each) for each in addresses]
    assert seconds_of_others(world, server, attack) < SOON
    # One address of a stranger that did not answer speaks for the others of the same one.
    before = len(hanging.calls)
    for each in addresses:
        assert world.browser().authorize(stranger, request_uri=each).answer["error"]
    assert (before, len(hanging.calls)) == (1, 1)


def test_registrations_that_lead_to_addresses_that_hang_do_not_stop_others(
    world: World, hanging: Receiver, server: ThreadPoolExecutor
) -> None:
    registrations, answers = Registrations(world.app), list[TestResponse]()

    def register(number: int) -> None:
        wish = {**METADATA, "sector_identifier_uri": f"{hanging.url}?{number}", "subject_type": "pairwise"}
        answers.append(registrations.post(wish))

    attack: list[Callable[[], object]] = [lambda number=each: register(number) for each in range(12)]  # type: ignore[misc]
    assert seconds_of_others(world, server, attack) < SOON
    assert {answer.status_code for answer in answers} == {400, 429}
    assert all(answer.headers["Retry-After"] for answer in answers if answer.status_code == 429)


@pytest.mark.parametrize("standing", [STRANGER, KNOWN], ids=["stranger", "known"])
def test_clients_of_administrators_have_their_keys_fetched_while_those_that_registered_themselves_hang(
    world: World, hanging: Receiver, server: ThreadPoolExecutor, standing: dict[str, Any]
) -> None:
    others = [
        world.make.client(f"vreemd{each}", **KEYED, **standing, jwks_uri=f"{hanging.url}?{each}") for each in range(12)
    ]
    with Receiver(PUBLISHES) as receiver:
        client = world.make.client("eigen", **KEYED, **OWN, jwks_uri=receiver.url)
        started = [server.submit(asks_for_keys(world, each)) for each in others]
        hanging.wait_for(1)
        assert world.token(None, **assertion(world, client.client_id)).status == 200
        for each in started:
            each.result()


def test_known_client_has_its_keys_fetched_while_a_stranger_answers_just_in_time(
    world: World, server: ThreadPoolExecutor
) -> None:
    # An address that answers never rests, so whoever has it could keep the place of strangers for good.
    with Receiver(after(1.0)) as slow, Receiver(PUBLISHES) as receiver:
        stranger = world.make.client("vreemd", **STRANGER, jwks=jwks_of(key_of("ES256")), request_uris=[slow.url])
        known = world.make.client("bekend", **KEYED, **KNOWN, **OWN, jwks_uri=receiver.url)
        started = server.submit(asks_for_an_object(world, stranger, slow.url))
        slow.wait_for(1)
        assert world.token(None, **assertion(world, known.client_id)).status == 200
        started.result()
