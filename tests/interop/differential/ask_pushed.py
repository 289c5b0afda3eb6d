"""Pushed authorization requests, and what browsers bring of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping

from requests import Response

from tests.interop.differential.ask_authorization import CLAIMS, OBJECTS, WRONG, Changes, request_object
from tests.interop.differential.clients import CLIENTS
from tests.interop.differential.normal_form import Answer, answered, arrived
from tests.interop.differential.question import Question
from tests.interop.differential.site import Site
from tests.proofs import ProofKey

ENDPOINT = "pushed_authorization_request"
# What of the authorization endpoint is about the request itself, and not about the browser.
PUSHED = ("redirect-", "type-", "mode-", "scope-", "state-", "nonce-", "pkce-", "prompt-", "max-age", "resource")
PUSHED += ("jkt", "hint-", "registration", "unknown-parameter", "request-", "acr-", "display-")


def questions() -> Iterator[Question]:
    for name, (client_id, changes) in WRONG.items():
        if name.startswith(PUSHED) and client_id in CLIENTS:
            yield Question(f"par/{name}", _pushed(client_id, changes))
    for name, value in CLAIMS.items():
        yield Question(f"par/claims-{name}", _pushed("basic", {"claims": json.dumps(value)}))
    for name in OBJECTS:
        yield Question(f"par/object-{name}", _pushed_object(name))
    for name in CLIENTS:
        yield Question(f"par/right-of-{name}", _pushed(name, {}))
    yield Question("par/client-id-left-out", _pushed("basic", {"client_id": None}))
    yield Question("par/client-id-of-another", _pushed("basic", {"client_id": "other"}))
    yield Question("par/repeated-state", _repeated)
    yield Question("par/body-of-json", _of_json)
    for method in ("GET", "PUT", "DELETE"):
        yield Question(f"par/method-{method.lower()}", _by_method(method))
    yield Question("par/brought", lambda site: _brought(site, "basic", "basic", {}))
    yield Question("par/brought-and-signed-in", _signed_in)
    yield Question("par/brought-by-another-client", lambda site: _brought(site, "basic", "other", {}))
    yield Question("par/brought-without-client", lambda site: _brought(site, "basic", None, {}))
    yield Question("par/brought-of-a-pushing-client", lambda site: _brought(site, "pushing", "pushing", {}))
    yield Question(
        "par/brought-with-another-redirect",
        lambda site: _brought(site, "basic", "basic", {"redirect_uri": "https://evil.example/"}),
    )
    yield Question("par/brought-with-more", lambda site: _brought(site, "basic", "basic", {"prompt": "none"}))
    yield Question(
        "par/brought-with-everything-again", lambda site: _brought(site, "basic", "basic", site.parameters("basic"))
    )
    yield Question("par/brought-twice-before-signing-in", _brought_twice)
    yield Question("par/brought-again-after-signing-in", _brought_after)
    yield Question("par/proof-and-its-jkt", lambda site: _with_proof(site, ProofKey(), same=True))
    yield Question("par/proof-and-another-jkt", lambda site: _with_proof(site, ProofKey(), same=False))
    yield Question("par/proof-nonsense", lambda site: answered(_push(site, "basic", {}, {"DPoP": "nonsense"})))
    yield Question(
        "par/strict-without-pkce", _pushed("strict", {"code_challenge": None, "code_challenge_method": None})
    )
    yield Question("par/strict-without-redirect", _pushed("strict", {"redirect_uri": None}))
    yield Question("par/strict-hybrid", _pushed("strict", {"response_type": "code id_token"}))
    yield Question("par/strict-brought-and-signed-in", _strictly)


def _push(site: Site, client_id: str, changes: Changes, headers: Mapping[str, str] | None = None) -> Response:
    form = {**site.parameters(client_id), **changes}
    return site.post(ENDPOINT, form, site.authentication(client_id), headers)


def _pushed(client_id: str, changes: Changes) -> Callable[[Site], Answer]:
    return lambda site: answered(_push(site, client_id, changes))


def _pushed_object(name: str) -> Callable[[Site], Answer]:
    client_id, claims, header = OBJECTS[name]

    def ask(site: Site) -> Answer:
        form = {"client_id": client_id, "request": request_object(site, client_id, claims, header)}
        return answered(site.post(ENDPOINT, form, site.authentication(client_id)))

    return ask


def _repeated(site: Site) -> Answer:
    by = site.authentication("basic")
    return answered(site.send("POST", ENDPOINT, [*site.parameters("basic").items(), ("state", "x")], by.headers))


def _of_json(site: Site) -> Answer:
    headers = {**site.authentication("basic").headers, "Content-Type": "application/json"}
    return answered(site.send("POST", ENDPOINT, headers=headers, body=json.dumps(site.parameters("basic")).encode()))


def _by_method(method: str) -> Callable[[Site], Answer]:
    return lambda site: {
        "status": site.send(method, ENDPOINT, headers=site.authentication("basic").headers).status_code
    }


def _address(site: Site, client_id: str, brings: str | None, more: Changes) -> str:
    pushed = _push(site, client_id, {})
    assert pushed.status_code == 201, pushed.text
    brought = {**more, "client_id": brings, "request_uri": pushed.json()["request_uri"]}
    return site.authorization_url({name: value for name, value in brought.items() if value is not None})


def _brought(site: Site, client_id: str, brings: str | None, more: Changes) -> Answer:
    return arrived(site.browser().open(_address(site, client_id, brings, more)), site.issuer)


def _signed_in(site: Site) -> Answer:
    return arrived(site.sign_in(site.browser().open(_address(site, "basic", "basic", {}))), site.issuer)


def _brought_twice(site: Site) -> Answer:
    address, browser = _address(site, "basic", "basic", {}), site.browser()
    browser.open(address)
    return arrived(browser.open(address), site.issuer)


def _brought_after(site: Site) -> Answer:
    address, browser = _address(site, "basic", "basic", {}), site.browser()
    site.sign_in(browser.open(address))
    return arrived(browser.open(address), site.issuer)


def _with_proof(site: Site, key: ProofKey, same: bool) -> Answer:
    jkt = key.jkt if same else ProofKey().jkt
    proof = site.proof(key, "POST", ENDPOINT)
    return answered(_push(site, "basic", {"dpop_jkt": jkt}, {"DPoP": proof}))


def _strictly(site: Site) -> Answer:
    return arrived(site.sign_in(site.browser().open(_address(site, "strict", "strict", {}))), site.issuer)
