"""Keys of clients, by value and by reference, from a real server that behaves well, badly or not at all.

Demands #50 and #51, attacks A64 and A65, OIDC Core 10.1.1.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import ECKey
from sqlalchemy.pool import QueuePool

from idp.egress.guarded import GuardedClient
from idp.egress.places import Places
from idp.kernel.clock import FixedClock
from idp.kernel.clock import ticks as real_ticks
from idp.oidc import client_keys
from idp.oidc.client_keys import KEPT_FOR, KEPT_WITHOUT_ANSWER, ClientKeys
from idp.oidc.clients import Client
from idp.store.engine import db
from tests.client_assertions import AnyKey, claims_of, in_body, jwks_of, key_of, signed
from tests.egress.receivers import Behaviour, Handler, Receiver, after, drips, hangs, sends, status
from tests.factories import Factories
from tests.oidc.journeys import Provider, body, error, form_encoded

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
# Long enough for a busy machine where an answer is expected; those that never answer have a client of their own.
LIMIT = timedelta(seconds=5)
SHORT = timedelta(milliseconds=300)
# Of the server: all but one of them may wait.
THREADS = 12
CLAIMS = {"sub": "atosi"}
JSON = {"Content-Type": "application/json"}


class Ticks:
    """A machine's ticks that stand still until they are moved."""

    def __init__(self) -> None:
        self.now = timedelta(days=3)

    def __call__(self) -> timedelta:
        return self.now

    def move(self, by: timedelta) -> None:
        self.now += by


def named(kid: str) -> AnyKey:
    """A new key of this name."""
    return ECKey.generate_key("P-256", {"kid": kid})


def publishes(*keys: AnyKey, **members: Any) -> Behaviour:
    return status(200, json.dumps(jwks_of(*keys, **members)).encode(), **JSON)


def by(key: AnyKey, alg: str = "ES256", **header: Any) -> str:
    """Something that the key signed; the header names it."""
    return signed(CLAIMS, key, alg, **{"kid": key.get("kid"), **header})


def client_at(uri: str) -> Client:
    return Client(client_id="atosi", jwks=None, jwks_uri=uri)


def client_with(jwks: dict[str, Any]) -> Client:
    return Client(client_id="atosi", jwks=jwks, jwks_uri=None)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def keys(ticks: Ticks) -> ClientKeys:
    return ClientKeys(GuardedClient(allow_loopback=True, timeout=LIMIT), Places(THREADS), ticks)


@pytest.fixture
def impatient(ticks: Ticks) -> ClientKeys:
    return ClientKeys(GuardedClient(allow_loopback=True, timeout=SHORT), Places(THREADS), ticks)


# By value


def test_keys_by_value_verify_and_nothing_is_fetched(keys: ClientKeys) -> None:
    one, other = named("1"), named("2")
    client = client_with(jwks_of(one, other))
    for key in (one, other):
        found = keys.verified(client, by(key))
        assert found is not None and found.claims == CLAIMS
    assert keys.verified(client, by(named("1"))) is None
    assert keys.verified(client, by(named("3"))) is None


@pytest.mark.demand(51)
@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES256", "EdDSA"])
def test_key_without_kid_and_alg_verifies(keys: ClientKeys, alg: str) -> None:
    # #51
    bare = [
        {name: value for name, value in jwk.items() if name not in ("kid", "alg", "use")}
        for jwk in jwks_of(*map(key_of, ("RS256", "ES256", "EdDSA")))["keys"]
    ]
    for kid in (None, "some-name"):
        assert keys.verified(client_with({"keys": bare}), by(key_of(alg), alg, kid=kid)) is not None


def test_without_a_kid_each_of_several_keys_is_tried(keys: ClientKeys) -> None:
    all_of_them = [named(str(number)) for number in range(5)]
    for key in all_of_them:
        assert keys.verified(client_with(jwks_of(*all_of_them)), by(key, kid=None)) is not None


def test_algorithm_is_one_of_those_asked_for(keys: ClientKeys) -> None:
    client = client_with(jwks_of(key_of("RS256"), key_of("ES256")))
    assert keys.verified(client, by(key_of("RS256"), "RS256"), ("PS256", "ES256")) is None
    assert keys.verified(client, by(key_of("RS256"), "PS256"), ("PS256", "ES256")) is not None
    assert keys.verified(client, by(key_of("RS256"), "PS256"), ()) is None
    assert keys.verified(client, by(key_of("RS256"), "RS512"), ("RS512",)) is None


def test_client_without_keys_signed_nothing(keys: ClientKeys) -> None:
    assert keys.verified(Client(client_id="atosi", jwks=None, jwks_uri=None), by(named("1"))) is None


# By reference


def test_keys_are_fetched_once_and_kept_for_ten_minutes(keys: ClientKeys, ticks: Ticks, receiver: Receiver) -> None:
    key, client = named("1"), client_at(receiver.url)
    receiver.behaviour = publishes(key)
    for _ in range(5):
        assert keys.verified(client, by(key)) is not None
    ticks.move(KEPT_FOR - SECOND)
    assert keys.verified(client, by(key)) is not None
    assert len(receiver.calls) == 1
    ticks.move(SECOND)
    assert keys.verified(client, by(key)) is not None
    assert len(receiver.calls) == 2
    assert (receiver.calls[0].method, receiver.calls[0].path) == ("GET", "/logout")


@pytest.mark.demand(50)
def test_client_that_rotates_its_key_uses_the_new_one_at_once(
    keys: ClientKeys, ticks: Ticks, receiver: Receiver
) -> None:
    # #50
    old, new, newest = named("old"), named("new"), named("newest")
    client = client_at(receiver.url)
    receiver.behaviour = publishes(old)
    assert keys.verified(client, by(old)) is not None
    receiver.behaviour = publishes(new)
    assert keys.verified(client, by(new)) is not None
    assert keys.verified(client, by(old)) is None
    # Another one in the next moment has to wait, but not for long.
    receiver.behaviour = publishes(newest)
    assert keys.verified(client, by(newest)) is None
    assert len(receiver.calls) == 2
    ticks.move(10 * SECOND)
    assert keys.verified(client, by(newest)) is not None


@pytest.mark.demand(50)
def test_unknown_kid_calls_an_address_once_in_ten_seconds_whatever_is_sent(
    keys: ClientKeys, ticks: Ticks, receiver: Receiver
) -> None:
    key, client = named("1"), client_at(receiver.url)
    receiver.behaviour = publishes(key)
    assert keys.verified(client, by(key)) is not None
    for number in range(100):
        assert keys.verified(client, by(named(str(number + 2)))) is None
        ticks.move(SECOND)
    # At first at once, and then every ten seconds.
    assert len(receiver.calls) == 1 + 10
    assert keys.verified(client, by(key)) is not None


def test_wrong_signature_under_a_known_kid_fetches_nothing(keys: ClientKeys, receiver: Receiver) -> None:
    key, client = named("1"), client_at(receiver.url)
    receiver.behaviour = publishes(key)
    assert keys.verified(client, by(key)) is not None
    for _ in range(10):
        assert keys.verified(client, by(named("1"))) is None
    assert len(receiver.calls) == 1


def test_nothing_is_fetched_for_an_algorithm_that_is_not_allowed(keys: ClientKeys, receiver: Receiver) -> None:
    receiver.behaviour = publishes(named("1"))
    for token in ("a.b.c", by(key_of("RS256"), "RS512"), "eyJhbGciOiJub25lIn0.e30.", ""):
        assert keys.verified(client_at(receiver.url), token) is None
    assert receiver.calls == []


def test_key_that_names_nobody_is_found_after_a_rotation_without_kids(
    keys: ClientKeys, ticks: Ticks, receiver: Receiver
) -> None:
    old, new = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    client = client_at(receiver.url)
    receiver.behaviour = publishes(old)
    assert keys.verified(client, by(old)) is not None
    receiver.behaviour = publishes(new)
    assert keys.verified(client, by(new)) is not None


def test_key_that_was_withdrawn_is_not_believed_after_ten_minutes(
    keys: ClientKeys, ticks: Ticks, receiver: Receiver
) -> None:
    key, client = named("1"), client_at(receiver.url)
    receiver.behaviour = publishes(key)
    assert keys.verified(client, by(key)) is not None
    receiver.behaviour = publishes()
    ticks.move(KEPT_FOR)
    assert keys.verified(client, by(key)) is None


def test_keys_of_one_address_are_not_those_of_another(keys: ClientKeys, receiver: Receiver) -> None:
    receiver.behaviour = publishes(named("1"))
    key = named("2")
    with Receiver(publishes(key)) as other:
        assert keys.verified(client_at(other.url), by(key)) is not None
        assert keys.verified(client_at(receiver.url), by(key)) is None


# An address that does not answer as it should (A64, A65)


@pytest.mark.parametrize("how", [status(503), hangs, status(200, b"<html>maintenance</html>"), sends(b"")])
def test_known_keys_go_on_for_a_day_while_the_address_is_down(
    ticks: Ticks, receiver: Receiver, how: Behaviour, impatient: ClientKeys
) -> None:
    key, client = named("1"), client_at(receiver.url)
    receiver.behaviour = publishes(key)
    assert impatient.verified(client, by(key)) is not None
    answered_at = ticks.now
    receiver.behaviour = how
    for hours in (1, 8, 23):
        ticks.now = answered_at + timedelta(hours=hours)
        assert impatient.verified(client, by(key)) is not None, hours
    ticks.now = answered_at + KEPT_WITHOUT_ANSWER
    assert impatient.verified(client, by(key)) is None
    receiver.behaviour = publishes(key)
    ticks.move(2 * MINUTE)
    assert impatient.verified(client, by(key)) is not None


def test_address_that_does_not_answer_is_asked_less_and_less_often(
    keys: ClientKeys, ticks: Ticks, receiver: Receiver
) -> None:
    key, client = named("1"), client_at(receiver.url)
    receiver.behaviour = status(500)
    began, asked_at = ticks.now, []
    for _ in range(500):
        before = len(receiver.calls)
        assert keys.verified(client, by(key)) is None
        if len(receiver.calls) > before:
            asked_at.append((ticks.now - began).total_seconds())
        ticks.move(SECOND)
    assert asked_at == [0, 10, 30, 70, 150, 270, 390]
    receiver.behaviour = publishes(key)
    ticks.move(2 * MINUTE)
    assert keys.verified(client, by(key)) is not None


BAD: dict[str, Behaviour] = {
    "hangs": hangs,
    "late": after(5.0, publishes(key_of("ES256"))),
    "drips its head": drips(b"HTTP/1.1 200 OK\r\nX: "),
    "drips its body": drips(b'HTTP/1.1 200 OK\r\n\r\n{"keys":['),
    "huge": status(200, b'{"keys": [' + b" " * 70_000 + b"]}"),
    "huge without length": sends(b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 200_000),
    "cut off": sends(b'HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n{"keys": ['),
    "no http": sends(b"SSH-2.0-OpenSSH_9\r\n"),
    "nothing": sends(b""),
    "html": status(200, b"<!DOCTYPE html><html></html>", **{"Content-Type": "text/html"}),
    "not found": status(404, json.dumps(jwks_of(key_of("ES256"))).encode()),
    "error": status(500),
    "no content": status(204),
    "a list": status(200, b"[]"),
    "no keys": status(200, b"{}"),
    "keys of another kind": status(200, b'{"keys": {"kty": "EC"}}'),
    "not utf-8": status(200, b'{"keys": ["\xff"]}'),
    "deep": status(200, b"[" * 60_000),
    "a huge number": status(200, b'{"keys": [], "x": ' + b"9" * 5000 + b"}"),
    "gzip": status(200, b"\x1f\x8b\x08" + bytes(100), **{"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("how", BAD)
def test_answer_that_is_no_key_set_is_none_and_costs_no_more_than_the_time_limit(
    impatient: ClientKeys, receiver: Receiver, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.behaviour = BAD[how]
    started = real_ticks()
    with caplog.at_level(logging.WARNING):
        assert impatient.verified(client_at(receiver.url), by(key_of("ES256"), kid="1")) is None
    assert real_ticks() - started < LIMIT
    assert "keys of a client cannot be read" in caplog.text
    assert len(receiver.calls) == 1


def test_redirect_is_not_followed(impatient: ClientKeys, receiver: Receiver) -> None:
    key = named("1")
    with Receiver(publishes(key)) as target:
        for code in (301, 302, 303, 307, 308):
            receiver.behaviour = status(code, **{"Location": target.url})
            assert impatient.verified(client_at(f"{receiver.url}?{code}"), by(key)) is None
        assert target.calls == [] and len(receiver.calls) == 5


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
        "data:application/json,{}",
        "http://169.254.169.254/latest/meta-data",
        "https://user:secret@app.example/jwks",
        "http://[::ffff:169.254.169.254]/",
        "https://",
        "http:///",
        "not an address",
        "http://127.0.0.1:1/\r\nX: y",
        "http://\u00e9\u0000/",
    ],
)
def test_address_that_must_not_be_called_is_not(keys: ClientKeys, uri: str, caplog: pytest.LogCaptureFixture) -> None:
    assert keys.verified(client_at(uri), by(named("1"))) is None
    assert all("\n" not in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0"])
def test_this_machine_is_not_called_unless_it_may_be(receiver: Receiver, host: str) -> None:
    strict = ClientKeys(GuardedClient(timeout=LIMIT), Places(THREADS))
    for scheme in ("http", "https"):
        assert strict.verified(client_at(f"{scheme}://{host}:{receiver.port}/jwks"), by(named("1"))) is None
    assert receiver.calls == []


def test_only_so_many_addresses_are_remembered(
    keys: ClientKeys, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_keys, "MOST_KEPT", 10)
    key = named("1")
    receiver.behaviour = publishes(key)
    for number in range(30):
        assert keys.verified(client_at(f"{receiver.url}?{number}"), by(key)) is not None
    assert len(keys._addresses) == 10


# Many at once


def at_once(actions: Sequence[Callable[[], object]]) -> list[threading.Thread]:
    """The actions, each in a thread of its own, released together."""
    gate = threading.Barrier(len(actions))

    def act(action: Callable[[], object]) -> None:
        gate.wait()
        action()

    threads = [threading.Thread(target=act, args=[action], daemon=True) for action in actions]
    for thread in threads:
        thread.start()
    return threads


def test_those_who_come_while_one_asks_wait_for_its_answer(keys: ClientKeys, receiver: Receiver) -> None:
    key, client, found = named("1"), client_at(receiver.url), []
    receiver.behaviour = after(0.3, publishes(key))
    token = by(key)
    for thread in at_once([lambda: found.append(keys.verified(client, token))] * (THREADS - 1)):
        thread.join()
    assert len(found) == THREADS - 1 and None not in found
    assert len(receiver.calls) == 1


def test_those_who_come_while_one_looks_for_a_new_key_find_it_too(keys: ClientKeys, receiver: Receiver) -> None:
    old, new, found = named("old"), named("new"), []
    client = client_at(receiver.url)
    receiver.behaviour = publishes(old)
    assert keys.verified(client, by(old)) is not None
    receiver.behaviour = after(0.3, publishes(old, new))
    tokens = [by(new)] * 5 + [by(old)] * 5
    for thread in at_once([lambda token=token: found.append(keys.verified(client, token)) for token in tokens]):
        thread.join()
    assert len(found) == 10 and None not in found
    assert len(receiver.calls) == 2


def _left(threads: Sequence[threading.Thread], most: int) -> int:
    """How many are still there when no more than `most` are, or after a while."""
    deadline = real_ticks() + LIMIT / 2
    while sum(thread.is_alive() for thread in threads) > most and real_ticks() < deadline:
        threading.Event().wait(0.01)
    return sum(thread.is_alive() for thread in threads)


def test_address_that_hangs_holds_few_threads(keys: ClientKeys, receiver: Receiver) -> None:
    # A65
    receiver.behaviour = hangs
    client, token = client_at(receiver.url), by(named("1"))
    threads = at_once([lambda: keys.verified(client, token)] * 40)
    receiver.wait_for(1)
    assert _left(threads, THREADS - 1) <= THREADS - 1
    receiver.stopping.set()
    for thread in threads:
        thread.join()
    assert len(receiver.calls) == 1


def test_nobody_waits_who_can_go_on_with_known_keys(keys: ClientKeys, ticks: Ticks, receiver: Receiver) -> None:
    key, client = named("1"), client_at(receiver.url)
    receiver.behaviour = publishes(key)
    assert keys.verified(client, by(key)) is not None
    receiver.behaviour = hangs
    ticks.move(KEPT_FOR)
    (asking,) = at_once([lambda: keys.verified(client, by(key))])
    receiver.wait_for(2)
    assert keys.verified(client, by(key)) is not None
    assert asking.is_alive()
    receiver.stopping.set()
    asking.join()
    assert len(receiver.calls) == 2


def test_many_addresses_that_hang_hold_few_threads(keys: ClientKeys, receiver: Receiver) -> None:
    receiver.behaviour = hangs
    clients = [client_at(f"{receiver.url}?{number}") for number in range(40)]
    token = by(named("1"))
    threads = at_once([lambda client=client: keys.verified(client, token) for client in clients])
    receiver.wait_for(THREADS - 1)
    assert _left(threads, THREADS - 1) <= THREADS - 1
    receiver.stopping.set()
    for thread in threads:
        thread.join()
    assert receiver.most_at_once == THREADS - 1


def test_address_that_hung_and_answers_again_is_believed_again(
    impatient: ClientKeys, ticks: Ticks, receiver: Receiver
) -> None:
    key, client = named("1"), client_at(receiver.url)
    receiver.behaviour = hangs
    for _ in range(THREADS + 2):
        assert impatient.verified(client, by(key)) is None
        ticks.move(10 * MINUTE)
    receiver.behaviour = publishes(key)
    assert impatient.verified(client, by(key)) is not None


# At the token endpoint


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return {"egress": {"allow_loopback": True}}


@pytest.fixture
def near(app: Flask, clock: FixedClock, make: Factories) -> Provider:
    """A provider that may call this machine."""
    return Provider(app, clock, make)


@pytest.mark.demand(50)
def test_client_with_keys_at_an_address_signs_in_rotates_and_refreshes(near: Provider, receiver: Receiver) -> None:
    # #50, as the certification suite's refresh-token-rp-key-rotation does it.
    party = near.client(token_endpoint_auth_method="private_key_jwt", jwks_uri=receiver.url)
    receiver.behaviour = publishes(key_of("ES256"))
    tokens = party.signed_in()
    new = named("new")
    receiver.behaviour = publishes(new)
    assertion = signed(claims_of(party.client_id, near.issuer, near.clock.now()), new, kid="new")
    shown = {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"], **in_body(assertion)}
    assert body(near.post("/token", form_encoded(shown)))["access_token"]
    assert len(receiver.calls) == 2


def test_no_connection_to_the_database_is_held_while_keys_are_fetched(near: Provider, receiver: Receiver) -> None:
    held: list[int] = []

    def look(handler: Handler) -> None:
        with near.app.app_context():
            pool = db.engine.pool
        held.append(pool.checkedout() if isinstance(pool, QueuePool) else -1)
        publishes(key_of("ES256"))(handler)

    receiver.behaviour = look
    party = near.client(token_endpoint_auth_method="private_key_jwt", jwks_uri=receiver.url)
    assert error(party.refresh("x")) == "invalid_grant"
    assert held == [0]


def test_client_whose_address_hangs_is_refused_and_others_are_not(near: Provider, receiver: Receiver) -> None:
    receiver.behaviour = hangs
    stuck = near.client(token_endpoint_auth_method="private_key_jwt", jwks_uri=receiver.url)
    fine = near.client(token_endpoint_auth_method="private_key_jwt")
    waiting = threading.Thread(target=lambda: stuck.refresh("x"), daemon=True)
    waiting.start()
    receiver.wait_for(1)
    assert error(fine.refresh("x")) == "invalid_grant"
    assert waiting.is_alive()
    receiver.stopping.set()
    waiting.join()
    assert error(stuck.refresh("x"), 401) == "invalid_client"
