"""A proof that somebody saw on its way is shown again, at one instant, to several nodes (RFC 9449 11.1; demand 76).

Each proof succeeds once, at the token endpoint and at userinfo, whichever node is asked.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy.orm import Session as Unit

from idp.oidc import used_identifiers
from idp.oidc.models import AccessToken, UsedIdentifier
from tests.attacks.parallel import Node, often, run
from tests.attacks.world import FORM, VERIFIER, World, basic, mutation
from tests.conftest import ISSUER
from tests.factories import SomeClient
from tests.proofs import ProofKey

NODES = 2
KEY = ProofKey()


@dataclass(frozen=True)
class Shown:
    """For each proof, what this process shows it with: a code at the token endpoint, or an access token at userinfo."""

    client: SomeClient
    proofs: list[str]
    codes: list[list[str]]
    access_token: str
    forgets: bool = False


def redeem(world: World, client: SomeClient, code: str, proof: str) -> tuple[int, dict[str, Any]]:
    assert client.secret is not None
    form = {"code": code, "redirect_uri": client.redirect_uri, "code_verifier": VERIFIER}
    response = world.app.test_client(use_cookies=False).post(
        "/token",
        base_url=ISSUER,
        data=urlencode({"grant_type": "authorization_code", **form}),
        headers={"Content-Type": FORM, "Authorization": basic(client.client_id, client.secret), "DPoP": proof},
    )
    return response.status_code, response.get_json()


def userinfo(world: World, token: str, proof: str) -> int:
    return world.browser().get("/userinfo", Authorization=f"DPoP {token}", DPoP=proof).status


def redeem_all(node: Node, given: Shown) -> list[list[tuple[int, dict[str, Any]]]]:
    if given.forgets:
        forget_what_was_used()
    results = []
    for proof, codes in zip(given.proofs, given.codes, strict=True):
        acts: list[Callable[[], Any]] = [
            lambda code=code, proof=proof: redeem(node.world, given.client, code, proof)  # type: ignore[misc]
            for code in codes
        ]
        results.append(node.at_once(acts))
    return results


def look_at_all(node: Node, given: Shown) -> list[list[int]]:
    return [
        node.at_once([lambda proof=proof: userinfo(node.world, given.access_token, proof)] * 3)  # type: ignore[misc]
        for proof in given.proofs
    ]


def forget_what_was_used() -> None:
    """THE FAULT: each node remembers for itself what it saw, and it saw nothing yet."""

    def use(_unit: Unit, *_: object) -> bool:
        return True

    used_identifiers.use = use  # type: ignore[assignment]


def proof_for(world: World, method: str, path: str, token: str | None = None) -> str:
    return KEY.proof(method, ISSUER + path, world.clock.now(), token)


def given_to_each(world: World, number: int, threads: int, forgets: bool = False) -> list[Shown]:
    """As many proofs, each of which every process shows with codes of its own."""
    client = world.make.client()
    browser, page = world.sign_in(client, world.make.person())
    wanted = NODES * number * threads
    codes = [page.code, *(browser.authorize(client).code for _ in range(wanted - 1))]
    proofs = [proof_for(world, "POST", "/token") for _ in range(number)]
    parts = [codes[at : at + threads] for at in range(0, wanted, threads)]
    return [Shown(client, proofs, parts[node::NODES], "", forgets) for node in range(NODES)]


@pytest.mark.demand(76)
def test_proof_shown_to_two_nodes_at_once_yields_tokens_once(world: World, database_url: str) -> None:
    number, threads = often(200, 3), 3
    given = given_to_each(world, number, threads)
    results = run(redeem_all, given, database_url, world.clock.now(), seconds=600)
    for at in range(number):
        answers = [answer for process in results for answer in process[at]]
        assert sorted(status for status, _ in answers) == [200, *[400] * (NODES * threads - 1)]
        assert {body["error"] for status, body in answers if status == 400} == {"invalid_dpop_proof"}
    assert world.count(AccessToken) == world.count(UsedIdentifier) == number
    # The codes of those that came too late are still good.
    client = given[0].client
    left = [code for each in given for part in each.codes for code in part]
    fresh = [redeem(world, client, code, proof_for(world, "POST", "/token"))[0] for code in left[:threads]]
    assert 200 in fresh


@mutation
def test_proof_that_each_node_remembers_for_itself_would_yield_several(world: World, database_url: str) -> None:
    given = given_to_each(world, 1, 1, forgets=True)
    results = run(redeem_all, given, database_url, world.clock.now())
    assert [status for process in results for status, _ in process[0]] == [200, 200]


def test_proof_shown_to_two_nodes_at_once_opens_userinfo_once(world: World, database_url: str) -> None:
    client = world.make.client()
    _, page = world.sign_in(client, world.make.person())
    token = redeem(world, client, page.code, proof_for(world, "POST", "/token"))[1]["access_token"]
    proofs = [proof_for(world, "GET", "/userinfo", token) for _ in range(often(200, 3))]
    given = Shown(client, proofs, [], token)
    results = run(look_at_all, [given] * NODES, database_url, world.clock.now(), seconds=600)
    for at in range(len(proofs)):
        assert sorted(status for process in results for status in process[at]) == [200, *[401] * (NODES * 3 - 1)]
