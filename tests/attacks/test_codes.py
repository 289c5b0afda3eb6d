"""A49-A52: a code presented twice, by somebody else, for another address, or without what belongs to it."""

import threading
import time
from dataclasses import dataclass, fields
from typing import Any

import pytest
from sqlalchemy import select, update

from idp.audit.events import CodeReused, TokenRequestRefused
from idp.kernel.secrets import hash_secret
from idp.oidc.authorization_code import AuthorizationCodes, Grant
from idp.oidc.models import AccessToken, AuthorizationCode, RefreshFamily
from idp.oidc.provider import Provider
from tests.attacks.parallel import Node, often, run
from tests.attacks.world import VERIFIER, Browser, World, challenge_of, mutation
from tests.conftest import is_long
from tests.factories import SomeClient

NODES = 3


def codes(world: World, client: SomeClient, number: int) -> list[str]:
    """Fresh codes of one session, for one client."""
    browser, page = world.sign_in(client, world.make.person(totp=True))
    return [page.code, *(browser.authorize(client).code for _ in range(number - 1))]


# A49


@dataclass(frozen=True)
class Redemptions:
    """Each code, presented by so many threads of each process at once."""

    client: SomeClient
    codes: list[str]
    threads: int
    claims_late: bool = False


def redeem_all(node: Node, given: Redemptions) -> list[list[tuple[int, dict[str, Any]]]]:
    """For each code the answers that this process got."""
    if given.claims_late:
        claim_after_issuing()
    world, results = node.world, []

    def present(code: str) -> tuple[int, dict[str, Any]]:
        answered = world.redeem(given.client, code)
        return answered.status, answered.body

    for code in given.codes:
        results.append(node.at_once([lambda code=code: present(code)] * given.threads))  # type: ignore[misc]
    return results


def claim_after_issuing() -> None:
    """THE FAULT: a code is looked up, tokens are saved, and only then it is marked, as Authlib's own grant does it."""
    looked_up = threading.local()

    def redeem(_codes: AuthorizationCodes, unit: Any, code: str, *_: object) -> Grant:
        found = looked_up.found
        unit.execute(update(AuthorizationCode).values(used_at=found.issued_at))
        return Grant(**{field.name: getattr(found, field.name) for field in fields(Grant)})

    respond = Provider.respond

    def look_first(provider: Provider, request: Any) -> Any:
        with provider.units.reading() as unit:
            found = unit.scalars(select(AuthorizationCode).where(AuthorizationCode.used_at.is_(None))).first()
        time.sleep(0.3)
        if found is None:
            return respond(provider, request)
        looked_up.found = found
        return respond(provider, request)

    AuthorizationCodes.redeem = redeem  # type: ignore[method-assign,assignment]
    Provider.respond = look_first  # type: ignore[method-assign,assignment]


def test_a49_a_code_redeemed_in_parallel_yields_tokens_once_and_they_are_revoked(
    world: World, database_url: str
) -> None:
    client = world.make.client()
    # A thousand codes, each a hundred times at once, in the long run; otherwise few codes and enough at once.
    presented = codes(world, client, 1000 if is_long() else 5)
    given = Redemptions(client, presented, often(100, 12) // NODES)
    results = run(redeem_all, [given] * NODES, database_url, world.clock.now(), seconds=600)
    for number in range(len(presented)):
        answers = [answer for process in results for answer in process[number]]
        statuses = sorted(status for status, _ in answers)
        assert statuses == [200, *[400] * (len(answers) - 1)]
        assert {body["error"] for status, body in answers if status == 400} == {"invalid_grant"}
        tokens = next(body for status, body in answers if status == 200)
        assert world.userinfo(tokens["access_token"]) == 401, "the first use is revoked when the code comes back"
        assert world.refresh(client, tokens["refresh_token"]).error == "invalid_grant"
    assert world.count(AccessToken) == world.count(RefreshFamily) == len(presented)
    assert world.events(CodeReused)


@mutation
def test_a49_a_code_that_is_claimed_after_the_tokens_would_yield_several(world: World, database_url: str) -> None:
    client = world.make.client(grant_types=["authorization_code"])
    given = Redemptions(client, codes(world, client, 1), 2, claims_late=True)
    results = run(redeem_all, [given] * NODES, database_url, world.clock.now())
    answers = [answer for process in results for answer in process[0]]
    assert [status for status, _ in answers].count(200) > 1


def test_a49_a_code_that_comes_back_revokes_what_it_gave_and_leaves_the_session(world: World) -> None:
    client = world.make.client()
    browser, page = world.sign_in(client, world.make.person(totp=True))
    tokens = world.redeem(client, page.code).body
    assert world.userinfo(tokens["access_token"]) == 200
    assert world.redeem(client, page.code).error == "invalid_grant"
    assert world.userinfo(tokens["access_token"]) == 401
    assert world.refresh(client, tokens["refresh_token"]).error == "invalid_grant"
    assert browser.authorize(client, prompt="none").code
    assert len(world.events(CodeReused)) == 1


# A50


def test_a50_a_code_redeemed_by_another_client_is_refused_audited_and_not_burnt(world: World) -> None:
    owner = world.make.client()
    other, public = world.make.client("ander"), world.make.client("open", token_endpoint_auth_method="none")
    (code,) = codes(world, owner, 1)
    assert other.secret is not None
    attempts = {
        "another client": world.redeem(other, code),
        "a public client": world.redeem(public, code),
        "another client that names the owner": world.redeem(other, code, client_id=owner.client_id),
        "the owner without its secret": world.token(
            None, grant_type="authorization_code", client_id=owner.client_id, code=code, code_verifier=VERIFIER
        ),
        "the owner with the other's secret": world.redeem(
            SomeClient(owner.client_id, other.secret, owner.redirect_uri), code
        ),
        "the owner as a public client": world.redeem(SomeClient(owner.client_id, None, owner.redirect_uri), code),
    }
    for who, answered in attempts.items():
        assert answered.status in (400, 401) and "access_token" not in answered.body, who
    assert len(world.events(TokenRequestRefused)) == len(attempts)
    assert {event.client_id for event in world.events(TokenRequestRefused)} >= {"ander", "open"}
    assert not world.events(CodeReused) and world.count(AccessToken) == 0
    assert world.redeem(owner, code).status == 200, "it is not burnt for its owner"
    assert world.redeem(other, code).error == "invalid_grant"
    assert not world.events(CodeReused), "a stranger cannot revoke what the owner got"


# A51


def test_a51_a_code_with_another_or_no_redirect_uri_is_refused_and_not_burnt(world: World) -> None:
    second = "https://app.example/other"
    client = world.make.client(redirect_uris=["https://app.example/callback", second])
    (code,) = codes(world, client, 1)
    uri = client.redirect_uri
    for wrong in (None, "", second, uri + "/", uri.upper(), uri + "?", uri + "#", uri + "\x00", " " + uri, uri[:-1]):
        answered = world.redeem(client, code, redirect_uri=wrong)
        refusal = "invalid_request" if wrong and "\x00" in wrong else "invalid_grant"
        assert (answered.status, answered.error) == (400, refusal), wrong
    assert world.redeem(client, code).status == 200


# A52

CHALLENGES: dict[str, dict[str, str | None]] = {
    "S256": {},
    "plain": {"code_challenge": VERIFIER, "code_challenge_method": "plain"},
    "method left out": {"code_challenge": VERIFIER, "code_challenge_method": None},
    "none": {"code_challenge": None, "code_challenge_method": None},
}
VERIFIERS = {"right": VERIFIER, "omitted": None, "wrong": "w" * 50}


@pytest.mark.parametrize("requires_pkce", [True, False])
def test_a52_every_downgrade_of_pkce_is_refused(world: World, requires_pkce: bool) -> None:
    client = world.make.client(require_pkce=requires_pkce)
    browser, _ = world.sign_in(client, world.make.person(totp=True))
    outcomes = {
        (challenge, verifier): downgrade(world, client, browser, CHALLENGES[challenge], VERIFIERS[verifier])
        for challenge in CHALLENGES
        for verifier in VERIFIERS
    }
    assert len(outcomes) == 12
    good = {("S256", "right")} | (set() if requires_pkce else {("none", "omitted")})
    assert {cell for cell, outcome in outcomes.items() if outcome == "tokens"} == good
    refused_at_once = {"plain", "method left out"} | ({"none"} if requires_pkce else set())
    assert {cell for cell, outcome in outcomes.items() if outcome == "no code"} == {
        (challenge, verifier) for challenge in refused_at_once for verifier in VERIFIERS
    }


def downgrade(
    world: World, client: SomeClient, browser: Browser, challenge: dict[str, str | None], verifier: str | None
) -> str:
    answer = browser.authorize(client, **challenge).answer
    if "code" not in answer:
        assert answer["error"] == "invalid_request" and answer["iss"]
        return "no code"
    answered = world.redeem(client, answer["code"], code_verifier=verifier)
    assert answered.status == 200 or answered.error == "invalid_grant"
    return "tokens" if answered.status == 200 else "no tokens"


def test_a52_a_verifier_that_only_looks_right_is_refused_and_does_not_burn_the_code(world: World) -> None:
    client = world.make.client()
    (code,) = codes(world, client, 1)
    challenge = challenge_of(VERIFIER)
    for wrong in (
        challenge,
        "",
        VERIFIER + "=",
        VERIFIER[:-1],
        VERIFIER.upper(),
        " " + VERIFIER,
        VERIFIER + "\x00",
        "é" * 50,
    ):
        refusal = "invalid_request" if "\x00" in wrong else "invalid_grant"
        assert world.redeem(client, code, code_verifier=wrong).error == refusal, ascii(wrong)
    assert world.redeem(client, code).status == 200


def test_a52_a_challenge_that_is_no_sha256_is_refused(world: World) -> None:
    client = world.make.client(require_pkce=False)
    browser, _ = world.sign_in(client, world.make.person(totp=True))
    challenge = challenge_of(VERIFIER)
    for wrong in ("x", challenge[:-1], challenge + "=", challenge + "A", "." * 43, challenge + "\n", "é" * 43):
        assert browser.authorize(client, code_challenge=wrong).answer["error"] == "invalid_request", ascii(wrong)
    for method in ("s256", "S512", "none", "S256 plain", "PLAIN"):
        assert browser.authorize(client, code_challenge_method=method).answer["error"] == "invalid_request", method
    # Without a value a parameter counts as left out (RFC 6749 3.1), so this asks for no PKCE at all.
    empty = browser.authorize(client, code_challenge="", code_challenge_method="")
    assert world.redeem(client, empty.code).error == "invalid_grant"


@mutation
def test_a52_without_the_comparison_a_stolen_code_would_be_enough(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = world.make.client()
    (code,) = codes(world, client, 1)

    def lenient(_codes: AuthorizationCodes, code: str, client_id: str, *_: object) -> Any:
        return (AuthorizationCode.code_hash == hash_secret(code)) & (AuthorizationCode.client_id == client_id)

    monkeypatch.setattr(AuthorizationCodes, "_presented_rightly", lenient)
    assert world.redeem(client, code, code_verifier=None).status == 200
