"""A56, A64, A75, A76: requests that were pushed or signed. Swapped, used twice, made less strict, or led elsewhere."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from idp.audit.trail import AuditEvent
from idp.oidc import pushed_requests
from idp.oidc.models import AuthorizationCode, PushedAuthorizationRequest
from tests.attacks.parallel import Node, run
from tests.attacks.world import Page, World, basic, mutation, parameters
from tests.conftest import ISSUER
from tests.egress.receivers import Receiver, status
from tests.factories import SomeClient
from tests.oidc.signing import public_keys, signed

URN = "urn:ietf:params:oauth:request_uri:"
EVIL = "https://evil.example/callback"


def push(world: World, client: SomeClient, **changes: str | None) -> Page:
    return world.browser().post(
        "/par",
        parameters(client, **changes),
        Authorization=basic(client.client_id, client.secret or ""),
    )


def said_by(page: Page) -> dict[str, Any]:
    """The JSON of a response."""
    found: dict[str, Any] = json.loads(page.text)
    return found


def pushed(world: World, client: SomeClient, **changes: str | None) -> str:
    answer = push(world, client, **changes)
    assert answer.status == 201, answer.text
    return str(said_by(answer)["request_uri"])


def by(client: SomeClient, request_uri: str) -> dict[str, str | None]:
    """What a browser brings, instead of a request."""
    return {**dict.fromkeys(parameters(client)), "client_id": client.client_id, "request_uri": request_uri}


def said(client: SomeClient, **changes: str | None) -> str:
    """A signed request."""
    return signed({**parameters(client, **changes), "iss": client.client_id, "aud": ISSUER})


# A76: two processes


@dataclass(frozen=True)
class Openings:
    """One request_uri, opened by somebody who is signed in, many times at once."""

    client: SomeClient
    request_uri: str
    cookies: dict[str, str]
    number: int
    looks_first: bool = False


def open_all(node: Node, given: Openings) -> list[str]:
    if given.looks_first:
        _look_first(node)
    browsers = [node.world.browser() for _ in range(given.number)]
    for browser in browsers:
        browser.cookies.update(given.cookies)
    asked = by(given.client, given.request_uri)
    answers = node.at_once([lambda each=each: each.authorize(given.client, **asked).answer for each in browsers])  # type: ignore[misc]
    return ["code" if "code" in answer else answer["error"] for answer in answers]


def _look_first(node: Node) -> None:
    """The mistake: look whether it was answered, and write it down afterwards."""

    def complete(unit: Any, name: str, client_id: str, now: Any) -> bool:
        return True

    pushed_requests.complete = complete


def _openings(world: World, number: int, **more: bool) -> Openings:
    client, anna = world.make.client(), world.make.person()
    browser, _ = world.sign_in(client, anna)
    return Openings(client, pushed(world, client), dict(browser.cookies), number, **more)


def test_a76_request_uri_opened_in_parallel_on_two_nodes_yields_one_code(world: World, database_url: str) -> None:
    given = _openings(world, 4)
    before = world.count(AuthorizationCode)
    results = [each for process in run(open_all, [given] * 2, database_url, world.clock.now()) for each in process]
    assert sorted(results) == ["code", *["invalid_request_uri"] * 7]
    assert world.count(AuthorizationCode) == before + 1


@mutation
def test_a76_request_uri_that_is_not_used_up_by_a_statement_would_yield_several(
    world: World, database_url: str
) -> None:
    given = _openings(world, 2, looks_first=True)
    results = [each for process in run(open_all, [given] * 2, database_url, world.clock.now()) for each in process]
    assert results.count("code") > 1


# A76: swapped and reused


def test_a76_what_one_client_pushed_or_signed_is_nothing_to_another(world: World) -> None:
    keys = public_keys("ES256")
    owner, other = world.make.client(jwks=keys), world.make.client("ander", jwks=public_keys("ES256", number=1))
    request_uri = pushed(world, owner)
    for asked in (by(other, request_uri), {**by(other, ""), "request_uri": None, "request": said(owner)}):
        page = world.browser().authorize(other, **asked)
        assert page.status == 400 and page.target is None
    inside = {**parameters(other), "request": said(owner)}
    refused = world.browser().post("/par", inside, Authorization=basic(other.client_id, other.secret or ""))
    assert said_by(refused)["error"] == "invalid_request_object"
    browser = world.browser()
    page = browser.begin(owner, **by(owner, request_uri))
    assert browser.submit(page, **world.make.person().names).code


def test_a76_pushing_with_the_identifier_of_another_client_is_refused(world: World) -> None:
    owner, other = world.make.client(), world.make.client("ander")
    secret = basic(owner.client_id, owner.secret or "")
    for client_id in (other.client_id, owner.client_id.upper(), f" {owner.client_id}", f"{owner.client_id}\t"):
        answer = world.browser().post("/par", {**parameters(owner), "client_id": client_id}, Authorization=secret)
        assert said_by(answer)["error"] in ("invalid_client", "invalid_request"), client_id
    assert world.count(PushedAuthorizationRequest) == 0


def test_a76_request_uri_is_worth_nothing_where_another_secret_belongs(world: World) -> None:
    # A72.
    client = world.make.client()
    request_uri = pushed(world, client)
    secret = basic(client.client_id, client.secret or "")
    for value in (request_uri, request_uri.removeprefix(URN)):
        browser = world.browser()
        form = {"grant_type": "authorization_code", "code": value, "redirect_uri": client.redirect_uri}
        assert said_by(browser.post("/token", form, Authorization=secret))["error"] == "invalid_grant"
        assert browser.get("/userinfo", Authorization=f"Bearer {value}").status == 401
        assert browser.get(f"/s/{value}/identify").target is None
    browser, page = world.sign_in(client, world.make.person())
    code = page.code
    assert browser.authorize(client, **by(client, URN + code)).status == 400


# A75


def test_a75_demands_that_were_pushed_or_signed_cannot_be_taken_out_by_the_person(world: World) -> None:
    client, anna = world.make.client(jwks=public_keys("ES256")), world.make.person()
    browser, _ = world.sign_in(client, anna)
    strict: dict[str, str | None] = {"prompt": "login", "max_age": "0"}
    lenient: dict[str, str | None] = {"prompt": "none", "max_age": "999999"}
    for asked in (by(client, pushed(world, client, **strict)), {"request": said(client, **strict)}):
        page = browser.begin(client, **{**asked, **lenient})
        assert page.prompt == "identify"
        # Nor by coming back with another request while the first one waits.
        assert browser.get(f"{page.url}?{urlencode(lenient)}").prompt == "identify"
        before = world.clock.now()
        code = browser.submit(page, **anna.names).code
        with world.reading() as unit:
            newest = select(AuthorizationCode.auth_time).order_by(AuthorizationCode.issued_at.desc()).limit(1)
            assert unit.scalars(newest).one() >= before
        assert world.redeem(client, code).status == 200


# A56


@pytest.mark.parametrize("uri", [EVIL, "//evil.example", "javascript:alert(1)", "", "https://app.example/callback/"])
@pytest.mark.parametrize(
    "wrong", [{}, {"response_type": "token"}, {"scope": "profile"}, {"response_mode": "x"}, {"prompt": "none"}], ids=str
)
def test_a56_no_error_leads_to_an_address_that_is_not_registered(
    world: World, uri: str, wrong: dict[str, str | None]
) -> None:
    client = world.make.client(jwks=public_keys("ES256"))
    changes = {**wrong, "redirect_uri": uri}
    answer = push(world, client, **changes)
    assert (answer.status, said_by(answer)["error"]) == (400, "invalid_request")
    inside: dict[str, str | None] = {"request": said(client, **changes)}
    requests: list[dict[str, str | None]] = [
        {**inside, "redirect_uri": None},
        {**inside, "redirect_uri": uri},
        {"request": "e30.e30.", **changes},
        {"request_uri": "https://app.example/x", **changes},
        {"request_uri": f"{URN}x", **changes},
        {"request": "x", "request_uri": "x", **changes},
    ]
    for asked in requests:
        page = world.browser().authorize(client, **asked)
        reached = page.target or page.location or ""
        # What is empty in an object counts as left out, and what stands beside it is then registered or nothing.
        assert page.status == 400 and not reached, (asked, reached)
        assert "evil.example" not in str(page.headers)


# A64


@pytest.fixture
def sentinel() -> Iterator[Receiver]:
    with Receiver(status(200, b"x", **{"Content-Type": "application/jwt"})) as receiver:
        yield receiver


FORMS = (
    "http://127.0.0.1:{port}/",
    "https://127.0.0.1:{port}/",
    "https://localhost:{port}/",
    "https://[::1]:{port}/",
    "https://[::ffff:127.0.0.1]:{port}/",
    "https://[::ffff:7f00:1]:{port}/",
    "https://0.0.0.0:{port}/",
    "https://[::]:{port}/",
    "https://127.1:{port}/",
    "https://2130706433:{port}/",
    "https://0x7f000001:{port}/",
    "https://0177.0.0.1:{port}/",
    "https://127.0.0.1.:{port}/",
    "https://LOCALHOST:{port}/",
    "https://user@127.0.0.1:{port}/",
    "https://app.example@127.0.0.1:{port}/",
    "https://127.0.0.1:{port}\\@app.example/",
    "https://169.254.169.254/latest/meta-data",
    "https://[fe80::1]/",
    "https://10.0.0.1/",
    "https://192.168.0.1/",
    "file:///etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/",
    "data:application/jwt,x",
    "https:///x",
    "https://",
)


def test_a64_request_uri_never_reaches_this_machine_or_a_private_network(world: World, sentinel: Receiver) -> None:
    # Even if such an address could be registered.
    uris = [form.format(port=sentinel.port) for form in FORMS]
    client = world.make.client(jwks=public_keys("ES256"), request_uris=uris)
    for uri in uris:
        page = world.browser().authorize(client, request_uri=uri)
        assert page.answer["error"] == "invalid_request_uri", uri
    assert not sentinel.calls


# Nothing is left of what was refused


def test_refused_push_writes_no_row_for_who_is_not_known(world: World) -> None:
    client = world.make.client()
    before = world.count(AuditEvent)
    for authorization in ("", basic(client.client_id, "wrong"), basic("nobody", "x"), "Bearer x"):
        headers = {"Authorization": authorization} if authorization else {}
        assert world.browser().post("/par", parameters(client), **headers).status == 401
    assert world.count(PushedAuthorizationRequest) == 0
    assert world.count(AuditEvent) == before
