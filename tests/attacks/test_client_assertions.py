"""A61-A63, A72: assertions of clients that are replayed on another node, forged, or were signed for something else."""

import json
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc.jwk import ECKey, OctKey

from idp.audit.events import TokenRequestRefused
from idp.kernel.secrets import hash_secret
from idp.oidc import used_identifiers
from idp.oidc.client_assertion import ClientAssertions
from idp.oidc.clients import Client
from idp.oidc.models import AccessToken, UsedIdentifier
from tests.attacks.parallel import Node, often, run
from tests.attacks.world import World, mutation
from tests.client_assertions import AnyKey, claims_of, in_body, jwks_of, key_of, signed
from tests.conftest import ISSUER
from tests.factories import SomeClient

NODES = 2
THREADS = 50


def signing_client(world: World, client_id: str = "atosi", **values: Any) -> SomeClient:
    values = {"jwks": jwks_of(*map(key_of, ("RS256", "ES256", "EdDSA"))), **values}
    return world.make.client(client_id, token_endpoint_auth_method="private_key_jwt", **values)


def assertion(world: World, client: SomeClient, **changes: Any) -> str:
    return signed(claims_of(client.client_id, ISSUER, world.clock.now(), **changes), key_of("ES256"))


def ask(world: World, shown: str, **more: str) -> tuple[int, str | None]:
    """What the token endpoint says to whoever shows this: invalid_grant is the answer to an authenticated client."""
    answered = world.token(None, None, grant_type="refresh_token", refresh_token="x", **in_body(shown), **more)
    return answered.status, answered.error


def ask_strictly(world: World, shown: str) -> tuple[int, str | None]:
    """The same where no proof of a key is due, as it is for tokens of the profile `fapi2`."""
    answered = world.browser().post("/introspect", {"token": "x", **in_body(shown)})
    return PASSED if answered.status == 200 else (answered.status, json.loads(answered.text)["error"])


PASSED = (400, "invalid_grant")
REFUSED = (401, "invalid_client")


# A61


@dataclass(frozen=True)
class Replays:
    """Assertions, each shown by so many threads of each process at once."""

    assertions: list[str]
    threads: int
    looks_first: bool = False


def replay(node: Node, given: Replays) -> list[list[tuple[int, str | None]]]:
    if given.looks_first:
        look_before_writing()
    return [
        node.at_once([lambda shown=shown: ask(node.world, shown)] * given.threads)  # type: ignore[misc]
        for shown in given.assertions
    ]


def look_before_writing() -> None:
    """THE FAULT: the identifier is looked up, and written down only when it was not found."""
    right, check, looked_up = used_identifiers.use, ClientAssertions._check, threading.local()

    def look(assertions: ClientAssertions, client: Client, signed: Any, *rest: Any) -> None:
        check(assertions, client, signed, *rest)
        named = f"client_assertion:{len(client.client_id)}:{client.client_id}:{signed.claims['jti']}"
        with assertions._units.reading() as unit:
            looked_up.is_new = unit.get(UsedIdentifier, hash_secret(named)) is None
        time.sleep(0.3)

    def use(*of: Any) -> bool:
        right(*of)
        return bool(looked_up.is_new)

    ClientAssertions._check = look  # type: ignore[method-assign,assignment]
    used_identifiers.use = use  # type: ignore[assignment]


def test_a61_an_assertion_replayed_on_several_nodes_at_once_is_good_once(world: World, database_url: str) -> None:
    # CVE-2020-5300, CVE-2020-15222.
    client = signing_client(world)
    shown = [assertion(world, client) for _ in range(often(100, 3))]
    results = run(replay, [Replays(shown, THREADS)] * NODES, database_url, world.clock.now(), seconds=300)
    for number in range(len(shown)):
        answers = [answer for process in results for answer in process[number]]
        assert sorted(answers) == [PASSED] + [REFUSED] * (NODES * THREADS - 1)
    assert world.count(UsedIdentifier) == len(shown)
    assert all(ask(world, one) == REFUSED for one in shown)
    # The trail holds the first refusals of so many, and no more.
    assert any("was used before" in event.details["detail"] for event in world.events(TokenRequestRefused))


@mutation
def test_a61_an_identifier_that_is_looked_up_first_would_be_good_twice(world: World, database_url: str) -> None:
    given = Replays([assertion(world, signing_client(world))], 2, looks_first=True)
    results = run(replay, [given] * NODES, database_url, world.clock.now())
    assert [answer for process in results for answer in process[0]].count(PASSED) > 1


def test_a61_an_assertion_for_somebody_else_or_for_ever_is_refused(world: World) -> None:
    client, now = signing_client(world), int(world.clock.now().timestamp())
    strict = signing_client(world, "streng", profile="fapi2")
    audiences: tuple[Any, ...] = (
        "https://evil.example",
        "https://login.example.evil.example",
        ISSUER.upper(),
        ISSUER + "/",
        ISSUER.replace("https", "http"),
        f"{ISSUER}/token/",
        f"{ISSUER}/token?x",
        f"{ISSUER}/revoke",
        ["https://evil.example"],
        None,
        "",
        [],
    )
    for audience in audiences:
        assert ask(world, assertion(world, client, aud=audience)) == REFUSED, audience
        assert ask_strictly(world, assertion(world, strict, aud=audience)) == REFUSED, audience
    for audience in ([ISSUER], f"{ISSUER}/token", [ISSUER, f"{ISSUER}/token"]):
        assert ask(world, assertion(world, client, aud=audience)) == PASSED, audience
        assert ask_strictly(world, assertion(world, strict, aud=audience)) == REFUSED, audience
    for seconds in (2 * 3600, 24 * 3600, 10 * 365 * 24 * 3600):
        assert ask(world, assertion(world, client, exp=now + seconds)) == REFUSED
        assert ask_strictly(world, assertion(world, strict, exp=now + seconds)) == REFUSED
    assert ask_strictly(world, assertion(world, strict, exp=now + 3600)) == REFUSED
    assert world.count(AccessToken) == 0


def test_a61_what_may_live_for_an_hour_by_its_own_words_is_over_after_five_minutes(world: World) -> None:
    client, now = signing_client(world), int(world.clock.now().timestamp())
    stolen = [assertion(world, client, exp=now + 3600) for _ in range(2)]
    world.clock.move(timedelta(minutes=4, seconds=59))
    assert ask(world, stolen[0]) == PASSED
    world.clock.move(timedelta(seconds=1))
    assert ask(world, stolen[1]) == REFUSED


# A62


def forged(world: World, client: SomeClient) -> Mapping[str, str]:
    """Assertions by somebody who knows everything but the client's private keys and secret."""
    own_rsa, own_ec = key_of("RS256"), key_of("ES256")
    thief = ECKey.generate_key("P-256")
    claims = claims_of(client.client_id, ISSUER, world.clock.now())
    right = signed(claims, own_ec)
    head, payload, signature = right.split(".")
    made: dict[str, str] = {"unsigned": f"{head}.{payload}.", "cut": f"{head}.{payload}"}
    for none in ("none", "None", "NONE", "nOnE", "", None, 0, [], {}, ["ES256"], "HS256", "RS512", "ES384"):
        said = {"alg": none, "typ": "JWT"}
        made[f"alg {none!r}"] = f"{_part(said)}.{payload}."
        made[f"alg {none!r} with a signature"] = f"{_part(said)}.{payload}.{signature}"
    for name, key in (("rsa", own_rsa), ("ec", own_ec)):
        raw = key.public_key  # type: ignore[union-attr]
        pem = raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        secrets = {
            "pem": pem,
            "pem without line end": pem.rstrip(),
            "der": raw.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "jwk": json.dumps(dict(key.as_dict(private=False))).encode(),
            "jwks": json.dumps(jwks_of(key)).encode(),
            "client_id": client.client_id.encode(),
            "nothing": b"\0",
        }
        for kind, secret in secrets.items():
            for alg in ("HS256", "HS384", "HS512"):
                made[f"{alg} with {kind} of {name}"] = signed(claims, _octets(secret), alg)
    for name, value in {
        "jwk": dict(thief.as_dict(private=False)),
        "jku": "https://evil.example/jwks",
        "x5u": "https://evil.example/cert",
        "x5c": ["MIIB"],
    }.items():
        made[f"with a {name} of one's own"] = signed(claims, thief, **{name: value})
    for kid in ("../../../dev/null", "/dev/null", "' UNION SELECT 'x", "\x00", "", "x" * 2000, 0, None, {}, []):
        made[f"kid {str(kid)[:20]!r}"] = signed(claims, thief, kid=kid)
    for crit in (["exp"], ["b64"], ["foo"], [], "alg"):
        made[f"crit {crit!r}"] = signed(claims, own_ec, **{"crit": crit, "b64": False, "foo": 1})
    made["too large"] = signed(claims, own_ec, x="x" * 5000)
    made["zip bomb"] = signed(b"\x78\x9c" + bytes(3000), own_ec, zip="DEF")
    made["deep"] = signed(b"[" * 5000, own_ec)
    made["other claims"] = f"{head}.{_part({**claims, 'jti': 'x'})}.{signature}"
    return made


def _octets(secret: bytes) -> AnyKey:
    """An HMAC key that joserfc would warn of, as an attacker has no such qualms."""
    octets = object.__new__(OctKey)
    octets.__init__(secret, secret)  # type: ignore[misc]
    return octets


def _part(content: Mapping[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("method", ["private_key_jwt", "client_secret_jwt"])
def test_a62_a_forged_assertion_authenticates_nobody_anywhere(world: World, method: str) -> None:
    if method == "private_key_jwt":
        client = signing_client(world)
    else:
        jwks = jwks_of(key_of("RS256"), key_of("ES256"))
        client = world.make.client(token_endpoint_auth_method=method, jwks=jwks)
    browser = world.browser()
    for name, shown in forged(world, client).items():
        if len(shown) > 8000:
            assert ask(world, shown)[0] in (400, 401), name
            continue
        assert ask(world, shown) == REFUSED, name
        assert ask(world, shown, client_id=client.client_id) == REFUSED, name
        for endpoint in ("/introspect", "/revoke", "/session/activity", "/session/status"):
            answered = browser.post(endpoint, {"token": "x", "sid": "x", **in_body(shown)})
            assert answered.status == 401, (endpoint, name)
    assert world.count(UsedIdentifier) == world.count(AccessToken) == 0


# A63, A72


def test_a63_what_we_signed_is_no_assertion_of_a_client(world: World) -> None:
    client = signing_client(world)
    tokens = world.make.client("andere", access_token_format="jwt")
    given = world.tokens(tokens, world.make.person(totp=True))
    for token in (given["id_token"], given["access_token"], given["refresh_token"]):
        assert ask(world, token) == REFUSED
        assert ask(world, token, client_id=client.client_id) == REFUSED


def test_a63_an_assertion_is_no_token(world: World) -> None:
    client = signing_client(world)
    shown = assertion(world, client)
    assert world.userinfo(shown) == 401
    answered = world.browser().post("/introspect", {"token": shown, **in_body(assertion(world, client))})
    assert answered.status == 200 and json.loads(answered.text) == {"active": False}
    assert ask(world, shown) == PASSED


@pytest.mark.parametrize("kind", ["dpop_proof", "request_object"])
def test_a72_an_identifier_used_for_another_purpose_says_nothing_of_this_one(world: World, kind: Any) -> None:
    client = signing_client(world)
    with world.writing() as unit:
        assert used_identifiers.use(unit, kind, client.client_id, "j-1", world.clock.now())
        # What is written in another way, though it reads the same when it is joined.
        assert used_identifiers.use(unit, "client_assertion", f"{client.client_id}:j", "-1", world.clock.now())
    assert ask(world, assertion(world, client, jti="j-1")) == PASSED
    assert ask(world, assertion(world, client, jti="j-1")) == REFUSED
