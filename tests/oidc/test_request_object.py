"""Request objects: signed by the client, by value and by reference (OIDC Core 6, RFC 9101). Demands 24, 25, 26, 74."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from idp.oidc.models import AuthorizationCode, UsedIdentifier
from idp.signin.interaction import Interaction
from tests.egress.receivers import Receiver, status
from tests.oidc.journeys import Answer, Browser, Parameter, Provider, RelyingParty, basic, body, was_sent
from tests.oidc.signing import ALGORITHMS, encoded, public_keys, signed
from tests.proofs import ProofKey

OBJECT = "application/oauth-authz-req+jwt"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def party(provider: Provider) -> RelyingParty:
    """A client that can sign with each algorithm."""
    return provider.client(jwks=public_keys(*ALGORITHMS))


def said(party: RelyingParty, **changes: Any) -> dict[str, Any]:
    """What a request object says: the whole request, for whom it is and who wrote it. None leaves a claim out."""
    claims = {"iss": party.client_id, "aud": party.provider.issuer, **party.request(), **changes}
    return {name: value for name, value in claims.items() if value is not None}


def outer(party: RelyingParty, token: str, **changes: Parameter) -> dict[str, Parameter]:
    """The least that stands beside an object (OIDC Core 6.1)."""
    nothing: dict[str, Parameter] = dict.fromkeys(party.request())
    least = {"client_id": party.client_id, "response_type": "code", "scope": "openid", "request": token}
    return {**nothing, **least, **changes}


def seconds(provider: Provider, distance: timedelta = timedelta(0)) -> int:
    return int((provider.clock.now() + distance).timestamp())


def error(response: TestResponse) -> str:
    """The error, wherever it is told: on a page of ours, or at the client."""
    if was_sent(response):
        return Answer.read(response).values["error"]
    assert response.status_code == 400, response.headers.get("Location")
    (found,) = (each for each in KNOWN if each in response.text)
    return found


KNOWN = ("invalid_request_object", "invalid_request_uri")


# By value


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_request_in_an_object_leads_to_a_code(provider: Provider, party: RelyingParty, alg: str) -> None:
    answer = provider.browser().sign_in(party, provider.somebody(), **outer(party, signed(said(party), alg)))
    assert answer.address == party.redirect_uri
    assert answer.values["state"] == "st4te"
    tokens = body(party.redeem(answer.values["code"]))
    assert provider.claims(tokens["id_token"])["nonce"] == "n0nce"


@pytest.mark.demand(25)
def test_values_of_the_object_override_those_beside_it(provider: Provider, browser: Browser) -> None:
    # 25, OIDC Core 6.1: oidcc-ensure-request-object-with-redirect-uri.
    uris = ["https://app.example/one", "https://app.example/two"]
    party = provider.client(jwks=public_keys("ES256"), redirect_uris=uris)
    token = signed(said(party, redirect_uri=uris[1], state="inner", response_mode="fragment", scope=None))
    request = party.request(request=token, redirect_uri=uris[0], state="outer", response_mode="query", prompt="none")
    answer = Answer.read(browser.authorize(party, **request))
    assert (answer.address, answer.fragment["state"]) == (uris[1], "inner")


@pytest.mark.demand(25)
def test_address_of_the_object_counts_whatever_address_stands_beside_it(
    provider: Provider, party: RelyingParty
) -> None:
    token = signed(said(party), "RS256")
    beside = outer(party, token, redirect_uri="https://evil.example/callback", state="outer")
    answer = provider.browser().sign_in(party, provider.somebody(), **beside)
    assert (answer.address, answer.values["state"]) == (party.redirect_uri, "st4te")
    assert body(party.redeem(answer.values["code"]))["id_token"]


@pytest.mark.demand(25)
def test_value_beside_the_object_counts_where_the_object_has_none(party: RelyingParty, browser: Browser) -> None:
    token = signed(said(party, state=None, nonce=None))
    assert browser.silent(party, **outer(party, token, state="outer")).values["state"] == "outer"


def test_typed_values_mean_what_text_means(provider: Provider, party: RelyingParty) -> None:
    claims = {"userinfo": {"name": {"essential": True}}, "id_token": {"acr": None}}
    token = signed(said(party, max_age=3600, claims=claims, scope="openid"))
    who, browser = provider.somebody(), provider.browser()
    tokens = body(party.redeem(browser.sign_in(party, who, **outer(party, token)).values["code"]))
    assert body(provider.userinfo(tokens["access_token"]))["name"]
    provider.clock.move(2 * 60 * MINUTE)
    assert browser.silent(party, **outer(party, token)).values["error"] == "login_required"


@pytest.mark.parametrize(
    "changes",
    [
        {"max_age": 0},
        {"max_age": "60"},
        {"claims": '{"userinfo": {"name": null}}'},
        {"aud": ["https://other.example", "ISSUER"]},
        {"iss": None},
        {"client_id": None},
        {"response_type": None},
        {"exp": 60},
        {"exp": 10**9},
        {"nbf": -60},
        {"nbf": 8},
        {"iat": 0},
        {"sub": "somebody"},
        {"unknown": {"a": [1]}},
        {"state": "s" * 1000},
        {"jti": "a", "exp": 60},
        {"jti": "without an end"},
    ],
    ids=str,
)
def test_right_object_leads_to_sign_in(
    provider: Provider, party: RelyingParty, browser: Browser, changes: dict[str, Any]
) -> None:
    changes = dict(changes)
    for name in set(changes) & {"exp", "nbf", "iat"}:
        changes[name] += seconds(provider)
    if "aud" in changes:
        changes["aud"] = [provider.issuer if each == "ISSUER" else each for each in changes["aud"]]
    begun = browser.authorize(party, **outer(party, signed(said(party, **changes))))
    assert begun.headers.get("Location", "").startswith("/s/"), (begun.status_code, begun.headers.get("Location"))


@pytest.mark.parametrize("typ", ["JWT", "jwt", "oauth-authz-req+jwt", "application/oauth-authz-req+jwt"])
def test_type_of_the_object_may_be_said(party: RelyingParty, browser: Browser, typ: str) -> None:
    begun = browser.authorize(party, **outer(party, signed(said(party), typ=typ)))
    assert begun.headers["Location"].startswith("/s/")


@pytest.mark.demand(74)
@pytest.mark.parametrize(
    "changes",
    [
        {"aud": None},
        {"aud": "https://other.example"},
        {"aud": []},
        {"aud": {"ISSUER": 1}},
        {"iss": "somebody else"},
        {"iss": 1},
        {"client_id": "somebody else"},
        {"sub": "CLIENT"},
        {"response_type": "id_token"},
        {"request": "e30.e30."},
        {"request_uri": "https://app.example/x"},
        {"exp": 0},
        {"exp": -1},
        {"nbf": 61},
        {"exp": "tomorrow"},
        {"exp": True},
        {"exp": [1]},
        {"nbf": {}},
        {"iat": "now"},
        {"exp": 1e300},
        {"jti": 1, "exp": 60},
        {"jti": "x" * 501, "exp": 60},
        {"state": 1},
        {"state": "\ud800"},
        {"max_age": 1.5},
        {"max_age": True},
        {"scope": ["openid"]},
        {"redirect_uri": ["https://app.example/callback"]},
        {"claims": []},
        {"resource": [1]},
    ],
    ids=str,
)
def test_wrong_object_is_invalid_request_object(
    provider: Provider, party: RelyingParty, browser: Browser, changes: dict[str, Any]
) -> None:
    # 74, RFC 9101 6.3 and 10.8.
    changes = dict(changes)
    for name in set(changes) & {"exp", "nbf"}:
        if type(changes[name]) is int:
            changes[name] += seconds(provider)
    if "sub" in changes:
        changes["sub"] = party.client_id
    token = signed(said(party, **changes))
    shown = browser.authorize(party, **outer(party, token))
    sent = browser.authorize(party, **outer(party, token, redirect_uri=party.redirect_uri, state="outer"))
    assert not was_sent(shown) and error(shown) == "invalid_request_object"
    answer = Answer.read(sent)
    assert (answer.values["error"], answer.values["state"]) == ("invalid_request_object", "outer")


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "logout+jwt", "secevent+jwt", "", 1, ["JWT"]], ids=repr)
def test_object_of_another_type_is_refused(party: RelyingParty, browser: Browser, typ: Any) -> None:
    # A63.
    refused = browser.authorize(party, **outer(party, signed(said(party), typ=typ)))
    assert error(refused) == "invalid_request_object"


FORGERIES = (
    "none",
    "None",
    "none, with a signature",
    "no signature",
    "two parts",
    "five parts",
    "another payload",
    "another key",
    "another key, under the name of the right one",
    "its own key",
    "a key at an address",
    "what must be understood",
    "not encoded",
    "no object",
    "no JSON",
    "nothing",
    "deep",
    "text",
    "dots",
)


def _forged(party: RelyingParty) -> Mapping[str, str]:
    claims, right = said(party), signed(said(party))
    header, payload, signature = right.split(".")
    other = encoded(claims | {"state": "another"})
    return {
        "none": f"{encoded({'alg': 'none'})}.{payload}.",
        "None": f"{encoded({'alg': 'None'})}.{payload}.",
        "none, with a signature": f"{encoded({'alg': 'none'})}.{payload}.{signature}",
        "no signature": f"{header}.{payload}.",
        "two parts": f"{header}.{payload}",
        "five parts": f"{right}.a.b",
        "another payload": f"{header}.{other}.{signature}",
        "another key": signed(claims, number=1),
        "another key, under the name of the right one": signed(claims, number=1, kid="ES256-0"),
        "its own key": signed(claims, number=1, jwk=public_keys("ES256", number=1)["keys"][0]),
        "a key at an address": signed(claims, number=1, jku="https://evil.example/jwks"),
        "what must be understood": signed(claims, crit=["exp"]),
        "not encoded": signed(claims, b64=False, crit=["b64"]),
        "no object": signed(b"[]"),
        "no JSON": signed(b"client_id=x"),
        "nothing": signed(b""),
        "deep": signed(b"[" * 50_000),
        "text": "not a token",
        "dots": "....",
    }


@pytest.mark.parametrize("how", FORGERIES)
def test_object_that_the_client_did_not_sign_is_refused(party: RelyingParty, browser: Browser, how: str) -> None:
    # 24, A62: unsigned objects are refused, as the metadata says.
    refused = browser.authorize(party, **outer(party, _forged(party)[how]))
    assert not was_sent(refused) and refused.status_code == 400, how


def test_object_of_a_client_without_keys_is_refused(provider: Provider, browser: Browser) -> None:
    party = provider.client()
    assert error(browser.authorize(party, **outer(party, signed(said(party))))) == "invalid_request_object"


def test_object_of_another_client_is_refused(provider: Provider, party: RelyingParty, browser: Browser) -> None:
    other = provider.client(jwks=public_keys("ES256"))
    refused = browser.authorize(party, **outer(party, signed(said(other))))
    assert error(refused) == "invalid_request_object"


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_algorithm_that_a_client_is_registered_for_is_the_only_one(
    provider: Provider, browser: Browser, alg: str
) -> None:
    party = provider.client(jwks=public_keys(*ALGORITHMS), request_object_signing_alg=alg)
    for each in ALGORITHMS:
        answer = browser.authorize(party, **outer(party, signed(said(party), each)))
        assert answer.headers.get("Location", "").startswith("/s/") == (each == alg), each


def test_client_that_signs_its_requests_is_held_to_it(provider: Provider, browser: Browser) -> None:
    party = provider.client(jwks=public_keys("ES256"), require_signed_request_object=True)
    assert Answer.read(browser.authorize(party)).values["error"] == "invalid_request"
    assert browser.authorize(party, **outer(party, signed(said(party)))).headers["Location"].startswith("/s/")


def test_nothing_is_added_to_what_such_a_client_signed(provider: Provider, browser: Browser) -> None:
    # RFC 9101 10.5: whoever changes the address on the way adds nothing to the request.
    party = provider.client(jwks=public_keys("ES256"), require_signed_request_object=True)
    token = signed(said(party, nonce=None, state=None, scope="openid"))
    added = {"nonce": "attacker", "state": "attacker", "claims": '{"userinfo": {"email": null}}'}
    answer = browser.sign_in(party, provider.somebody(), **outer(party, token, **added))
    assert "state" not in answer.values
    tokens = body(party.redeem(answer.values["code"]))
    assert "nonce" not in provider.claims(tokens["id_token"])
    assert "email" not in body(provider.userinfo(tokens["access_token"]))


def test_redirect_uri_in_an_object_is_no_less_registered(party: RelyingParty, browser: Browser) -> None:
    # A76: a right signature opens no way to another address.
    for uri in ("https://evil.example/", "https://app.example/callback/x", "javascript:alert(1)"):
        refused = browser.authorize(party, **outer(party, signed(said(party, redirect_uri=uri))))
        assert not was_sent(refused) and refused.status_code == 400
        beside = outer(party, signed(said(party, redirect_uri=None)), redirect_uri=uri)
        refused = browser.authorize(party, **beside)
        assert not was_sent(refused) and refused.status_code == 400


def test_repeated_parameter_is_refused_though_the_object_overrides_it(party: RelyingParty, browser: Browser) -> None:
    beside = outer(party, signed(said(party)), nonce=["a", "b"])
    assert Answer.read(browser.authorize(party, **beside)).values["error"] == "invalid_request"
    twice = outer(party, "", request=[signed(said(party)), signed(said(party))], redirect_uri=party.redirect_uri)
    assert Answer.read(browser.authorize(party, **twice)).values["error"] == "invalid_request"


def test_object_and_request_uri_do_not_go_together(party: RelyingParty, browser: Browser) -> None:
    both = party.request(request=signed(said(party)), request_uri="https://app.example/x")
    assert Answer.read(browser.authorize(party, **both)).values["error"] == "invalid_request"


@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
@pytest.mark.parametrize(
    "state", ["aZ09-._~" * 125, "".join(map(chr, range(0x20, 0x7F))), "na\u00efef \u2603 \U0001f511"]
)
def test_state_of_an_object_comes_back_unchanged(party: RelyingParty, browser: Browser, mode: str, state: str) -> None:
    # 7.
    token = signed(said(party, state=state, response_mode=mode, prompt="none"))
    answer = Answer.read(browser.authorize(party, **outer(party, token)))
    assert (answer.values["error"], answer.values["state"]) == ("login_required", state)
    assert answer.values["iss"] == party.provider.issuer


# jti


def _with_jti(party: RelyingParty, jti: str, **changes: Any) -> str:
    return signed(said(party, jti=jti, exp=seconds(party.provider, 5 * MINUTE), **changes))


def test_object_with_jti_can_be_opened_again_until_it_is_answered_and_not_after(
    provider: Provider, party: RelyingParty
) -> None:
    request = outer(party, _with_jti(party, "reload"))
    browser, who = provider.browser(), provider.somebody()
    for _ in range(3):
        assert browser.authorize(party, **request).headers["Location"].startswith("/s/")
    assert "code" in browser.sign_in(party, who, **request).values
    for again in (browser, provider.browser()):
        assert Answer.read(again.authorize(party, **request)).values["error"] == "invalid_request_object"


def test_of_two_tabs_with_one_object_one_gets_the_code(provider: Provider, party: RelyingParty) -> None:
    request = outer(party, _with_jti(party, "two tabs"))
    who, tabs = provider.somebody(), [provider.browser(), provider.browser()]
    begun = [tab.authorize(party, **request) for tab in tabs]
    answers = [Answer.read(tab.finish(page, who)).values for tab, page in zip(tabs, begun, strict=True)]
    assert ["code" in answer for answer in answers] == [True, False]
    assert answers[1]["error"] == "invalid_request_object"


def test_jti_is_its_clients_own(provider: Provider) -> None:
    # A72.
    for _ in range(2):
        party = provider.client(jwks=public_keys("ES256"))
        request = outer(party, _with_jti(party, "the same"))
        assert "code" in provider.browser().sign_in(party, provider.somebody(), **request).values


def test_object_that_was_refused_is_not_used_up(provider: Provider, party: RelyingParty, browser: Browser) -> None:
    with provider.writing() as unit:
        before = unit.scalar(select(func.count()).select_from(UsedIdentifier))
    token = _with_jti(party, "silent")
    assert browser.silent(party, **outer(party, token)).values["error"] == "login_required"
    with provider.writing() as unit:
        assert unit.scalar(select(func.count()).select_from(UsedIdentifier)) == before


def test_who_says_no_has_answered(provider: Provider) -> None:
    party = provider.client(jwks=public_keys("ES256"), first_party=False)
    request = outer(party, _with_jti(party, "denied"))
    assert provider.browser().deny(party, provider.somebody(), **request).values["error"] == "access_denied"
    refused = provider.browser().authorize(party, **request)
    assert Answer.read(refused).values["error"] == "invalid_request_object"


# By reference


@pytest.fixture
def shelf() -> Iterator[Receiver]:
    """A server of the client, on which objects stand."""
    with Receiver() as receiver:
        yield receiver


def _stands(shelf: Receiver, content: str, code: int = 200, content_type: str = OBJECT) -> None:
    shelf.behaviour = status(code, content.encode(), **{"Content-Type": content_type})


def _at(shelf: Receiver, path: str = "/request") -> str:
    return f"http://127.0.0.1:{shelf.port}{path}"


def _by_reference(party: RelyingParty, request_uri: str, **changes: Parameter) -> dict[str, Parameter]:
    return outer(party, "", request=None, request_uri=request_uri, **changes)


def _referring(provider: Provider, *uris: str) -> RelyingParty:
    return provider.client(jwks=public_keys(*ALGORITHMS), request_uris=list(uris))


@pytest.mark.demand(26)
@pytest.mark.parametrize(
    "content_type", [OBJECT, "application/jwt", "Application/JWT; charset=utf-8", "application/jose"]
)
def test_request_by_reference_leads_to_a_code(provider: Provider, shelf: Receiver, content_type: str) -> None:
    # 26: oidcc-request-uri-signed-rs256.
    party = _referring(provider, _at(shelf))
    _stands(shelf, signed(said(party), "RS256"), content_type=content_type)
    answer = provider.browser().sign_in(party, provider.somebody(), **_by_reference(party, _at(shelf)))
    assert body(party.redeem(answer.values["code"]))["id_token"]


@pytest.mark.demand(26)
def test_object_is_fetched_without_the_fragment_and_each_time(provider: Provider, shelf: Receiver) -> None:
    long = _at(shelf, "/request/" + "x" * 150)
    party = _referring(provider, long)
    for state in ("one", "two"):
        _stands(shelf, signed(said(party, state=state)) + "\n")
        browser = provider.browser()
        assert browser.silent(party, **_by_reference(party, f"{long}#fragment")).values["state"] == state
    assert [call.path for call in shelf.calls] == ["/request/" + "x" * 150] * 2


@pytest.mark.demand(26)
def test_fragment_says_which_version_it_is_and_is_compared_with_nothing(
    provider: Provider, shelf: Receiver, browser: Browser
) -> None:
    # The certification suite registers the hash of something else: the object does not exist by then.
    digests = [urlsafe_b64encode(sha256(text).digest()).rstrip(b"=").decode() for text in (b"one", b"another")]
    party = _referring(provider, f"{_at(shelf)}#{digests[0]}", _at(shelf, "/any"))
    _stands(shelf, signed(said(party), "RS256"))
    for uri in (f"{_at(shelf)}#{digests[0]}", f"{_at(shelf, '/any')}#{digests[1]}"):
        begun = browser.authorize(party, **_by_reference(party, uri))
        assert begun.headers.get("Location", "").startswith("/s/"), uri
    assert [call.path for call in shelf.calls] == ["/request", "/any"]


@pytest.mark.demand(26)
def test_address_that_is_not_registered_is_never_called(provider: Provider, shelf: Receiver, browser: Browser) -> None:
    # A64.
    party = _referring(provider, _at(shelf), _at(shelf, "/fixed#fragment"))
    other = _referring(provider, _at(shelf, "/of-another-client"))
    for uri in (
        _at(shelf, "/request/"),
        _at(shelf, "/request?x"),
        _at(shelf, "/Request"),
        _at(shelf, "/fixed"),
        _at(shelf, "/fixed#another"),
        _at(shelf, "/of-another-client"),
        "http://127.0.0.1/request",
        "https://evil.example/",
        "file:///etc/passwd",
        "urn:ietf:params:oauth:request_uri",
        "URN:ietf:params:oauth:request_uri:x",
        "x",
    ):
        assert error(browser.authorize(party, **_by_reference(party, uri))) == "invalid_request_uri", uri
    assert not shelf.calls
    assert other.client.client_id != party.client_id


@pytest.mark.parametrize(
    ("code", "content_type"), [(404, OBJECT), (302, OBJECT), (204, OBJECT), (200, "text/html"), (200, ""), (500, "")]
)
def test_what_is_no_object_there_is_invalid_request_uri(
    provider: Provider, shelf: Receiver, browser: Browser, code: int, content_type: str
) -> None:
    party = _referring(provider, _at(shelf))
    shelf.behaviour = status(
        code, signed(said(party)).encode(), **{"Content-Type": content_type, "Location": _at(shelf, "/elsewhere")}
    )
    shown = browser.authorize(party, **_by_reference(party, _at(shelf)))
    assert not was_sent(shown) and error(shown) == "invalid_request_uri"
    beside = _by_reference(party, _at(shelf), redirect_uri=party.redirect_uri, state="outer", response_mode="fragment")
    answer = Answer.read(browser.authorize(party, **beside))
    assert (answer.fragment["error"], answer.fragment["state"]) == ("invalid_request_uri", "outer")
    assert {call.path for call in shelf.calls} == {"/request"}, "no redirect is followed"


@pytest.mark.parametrize("content", ["", "x", "\u00e9.\u00e9.\u00e9", "e30.e30.", "x" * 70_000])
def test_object_there_that_is_not_signed_is_invalid_request_uri(
    provider: Provider, shelf: Receiver, browser: Browser, content: str
) -> None:
    party = _referring(provider, _at(shelf))
    _stands(shelf, content)
    assert error(browser.authorize(party, **_by_reference(party, _at(shelf)))) == "invalid_request_uri"


# Profile fapi2: the object alone counts (RFC 9101 6.3); it is pushed


def _fapi2(provider: Provider, **values: Any) -> RelyingParty:
    return provider.client(profile="fapi2", jwks=public_keys(*ALGORITHMS), **values)


def _fresh(party: RelyingParty, **changes: Any) -> dict[str, Any]:
    now = seconds(party.provider)
    return said(party, **{"exp": now + 300, "nbf": now, **changes})


def _pushed(party: RelyingParty, token: str, **changes: Parameter) -> TestResponse:
    return party.post("/par", {"client_id": party.client_id, "request": token, **changes})


@pytest.mark.demand(25)
def test_fapi2_only_what_the_object_says_counts(provider: Provider) -> None:
    # 25: fapi2 state-only-outside, different nonce and state.
    party = _fapi2(provider)
    token = signed(_fresh(party, state=None))
    uri = body(_pushed(party, token, state="outside", nonce="outside", scope="openid email"), 201)["request_uri"]
    who, browser = provider.somebody(), provider.browser()
    request = {**dict.fromkeys(party.request()), "client_id": party.client_id, "request_uri": uri, "state": "query"}
    answer = browser.sign_in(party, who, **request)
    assert "state" not in answer.values
    proof = ProofKey().proof("POST", f"{provider.issuer}/token", provider.clock.now())
    headers = {"Authorization": basic(party.client_id, party.secret), "DPoP": proof}
    tokens = body(party.token(party.code_request(answer.values["code"]), headers))
    assert provider.claims(tokens["id_token"])["nonce"] == "n0nce"
    assert tokens["scope"] == "openid profile email"


@pytest.mark.demand(74, 75)
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"exp": None},
        {"nbf": None},
        {"exp": -1},
        {"exp": 3700},
        {"nbf": -3700, "exp": 60},
        {"nbf": 61},
        {"aud": "https://other.example"},
    ],
    ids=str,
)
def test_fapi2_object_that_is_too_old_too_long_or_incomplete_is_refused(
    provider: Provider, changes: dict[str, Any]
) -> None:
    party = _fapi2(provider)
    changes = {
        name: value + seconds(provider) if name in ("exp", "nbf") and value is not None else value
        for name, value in changes.items()
    }
    refused = _pushed(party, signed(_fresh(party, **changes)))
    assert body(refused, 400)["error"] == "invalid_request_object"


@pytest.mark.demand(75)
@pytest.mark.parametrize(
    "changes",
    [
        {"nbf": 8},
        {"exp": 3600},
        {"nbf": -3590, "exp": 10},
        {"aud": ["https://other.example", "ISSUER"]},
        {"iat": 0},
        {"iat": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("typ", [None, "oauth-authz-req+jwt"])
def test_fapi2_object_that_is_right_is_taken(provider: Provider, changes: dict[str, Any], typ: str | None) -> None:
    party, moved = _fapi2(provider), dict(changes)
    for name in {"exp", "nbf", "iat"} & set(moved):
        moved[name] = None if moved[name] is None else moved[name] + seconds(provider)
    if "aud" in moved:
        moved["aud"] = [provider.issuer if each == "ISSUER" else each for each in moved["aud"]]
    header = {} if typ is None else {"typ": typ}
    assert _pushed(party, signed(_fresh(party, **moved), **header)).status_code == 201


@pytest.mark.demand(74)
@pytest.mark.parametrize("how", [each for each in FORGERIES if each != "deep"])  # too long for a body of ours
def test_object_that_the_client_did_not_sign_is_refused_when_it_is_pushed(provider: Provider, how: str) -> None:
    for party in (provider.client(jwks=public_keys(*ALGORITHMS)), _fapi2(provider)):
        refused = party.post("/par", {"client_id": party.client_id, "request": _forged(party)[how]})
        assert body(refused, 400)["error"] == "invalid_request_object", how


@pytest.mark.demand(75)
def test_fapi2_algorithms(provider: Provider) -> None:
    party = _fapi2(provider)
    answers = {alg: _pushed(party, signed(_fresh(party), alg)).status_code for alg in ALGORITHMS}
    assert answers == {"RS256": 400, "PS256": 201, "ES256": 201, "EdDSA": 201}


def test_fapi2_parameter_missing_in_the_object_is_missing(provider: Provider) -> None:
    party = _fapi2(provider)
    for name in ("redirect_uri", "response_type", "code_challenge"):
        beside = {name: value for name, value in party.request().items() if name != "client_id"}
        assert body(_pushed(party, signed(_fresh(party, **{name: None})), **beside), 400)["error"] == "invalid_request"


# Nothing is left of what was refused


def test_refused_object_writes_no_row(provider: Provider, party: RelyingParty, browser: Browser) -> None:
    def rows() -> list[int | None]:
        with provider.writing() as unit:
            return [
                unit.scalar(select(func.count()).select_from(model))
                for model in (UsedIdentifier, Interaction, AuthorizationCode)
            ]

    before = rows()
    token = signed(said(party, jti="refused", exp=seconds(provider, MINUTE), response_type="token"))
    browser.authorize(party, **outer(party, token, response_type="token"))
    browser.authorize(party, **outer(party, signed(said(party, aud="x"))))
    browser.authorize(party, **outer(party, signed(json.dumps(said(party)).encode()[:-1])))
    assert rows() == before
