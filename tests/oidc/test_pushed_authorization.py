"""Pushed authorization requests (RFC 9126). Demands 8, 29, 30, 31, 71, 72, 73."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from idp.audit.trail import AuditEvent
from idp.oidc.models import AuthorizationCode, PushedAuthorizationRequest
from idp.signin.interaction import Interaction
from tests.client_assertions import in_body
from tests.oidc.journeys import (
    VERIFIER,
    Answer,
    Browser,
    Parameter,
    Provider,
    RelyingParty,
    basic,
    body,
    challenge_of,
    error,
    form_encoded,
    was_sent,
)
from tests.oidc.signing import public_keys, signed
from tests.proofs import ProofKey

URN = "urn:ietf:params:oauth:request_uri:"
LIFETIME = timedelta(seconds=90)
MOMENT = timedelta(milliseconds=1)
JKT = challenge_of("the thumbprint of some key")


def push(party: RelyingParty, **changes: Parameter) -> TestResponse:
    return party.post("/par", party.request(**changes))


def pushed(party: RelyingParty, **changes: Parameter) -> str:
    """The request_uri of a request that was accepted."""
    return str(body(push(party, **changes), 201)["request_uri"])


def by(party: RelyingParty, request_uri: str, **changes: Parameter) -> dict[str, Parameter]:
    """What the browser brings: client_id and request_uri, and nothing else."""
    return {**dict.fromkeys(party.request()), "client_id": party.client_id, "request_uri": request_uri, **changes}


def count(provider: Provider, model: Any) -> int:
    with provider.writing() as unit:
        return unit.scalar(select(func.count()).select_from(model)) or 0


def is_a_page_that_says(response: TestResponse, what: str) -> bool:
    return response.status_code == 400 and not was_sent(response) and what in response.text


@pytest.fixture
def strict(provider: Provider) -> RelyingParty:
    """A client of the profile fapi2."""
    return provider.client(profile="fapi2", require_pkce=False, jwks=public_keys("ES256"))


# The endpoint


@pytest.mark.demand(71)
def test_pushed_request_is_answered_201_with_a_request_uri_that_cannot_be_guessed(party: RelyingParty) -> None:
    # 35, 71, RFC 9126 2.2.
    response = push(party)
    answer = body(response, 201)
    assert set(answer) == {"request_uri", "expires_in"}
    assert answer["expires_in"] == 90
    assert answer["request_uri"].startswith(URN) and len(answer["request_uri"]) == len(URN) + 43
    assert response.headers["Cache-Control"] == "no-store"
    assert answer["request_uri"] != pushed(party)


@pytest.mark.demand(72)
@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_is_taken(provider: Provider, method: str) -> None:
    # 72.
    response = provider.app.test_client().open("/par", method=method, base_url=provider.origin)
    assert body(response, 405) == {"error": "invalid_request"}
    assert "POST" in response.headers["Allow"]


@pytest.mark.demand(72)
@pytest.mark.parametrize(
    "method", ["client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"]
)
def test_client_authenticates_as_at_the_token_endpoint(provider: Provider, method: str) -> None:
    # 72, RFC 9126 2: public clients may push, too.
    party = provider.client(token_endpoint_auth_method=method)
    answer = provider.browser().sign_in(party, provider.somebody(), **by(party, pushed(party)))
    assert body(party.redeem(answer.values["code"]))["id_token"]


def test_client_id_is_required_though_the_client_authenticates(party: RelyingParty) -> None:
    # RFC 9126 2.1: a parameter that an authorization request must have, a pushed one must have as well.
    for client_id in (None, "", [party.client_id, party.client_id]):
        assert error(push(party, client_id=client_id)) == "invalid_request"


def test_client_id_of_a_request_object_is_enough(provider: Provider) -> None:
    # RFC 9126 3: beside the object stand only parameters that authenticate the client.
    party = provider.client(jwks=public_keys("ES256"))
    token = signed({**party.request(), "iss": party.client_id, "aud": provider.issuer})
    headers = {"Authorization": basic(party.client_id, party.secret)}
    assert body(party.post("/par", {"request": token}, headers), 201)["request_uri"]
    nameless = {name: value for name, value in party.request().items() if name != "client_id"}
    unnamed = signed({**nameless, "iss": party.client_id, "aud": provider.issuer})
    assert error(party.post("/par", {"request": unnamed}, headers)) == "invalid_request"


@pytest.mark.demand(38)
@pytest.mark.parametrize(
    ("audience", "is_right"),
    [
        ("{issuer}", True),
        ("{issuer}/token", False),
        ("{issuer}/par", False),
        (["{issuer}"], False),
        (["{issuer}", "https://other.example"], False),
        ("https://other.example", False),
    ],
    ids=str,
)
def test_fapi2_client_names_the_issuer_alone_when_it_pushes(
    provider: Provider, audience: str | list[str], is_right: bool
) -> None:
    # FAPI 2.0 5.3.2.1: par-test-*-audience-fails.
    party = provider.client(profile="fapi2", token_endpoint_auth_method="private_key_jwt")
    several = isinstance(audience, list)
    named = [each.format(issuer=provider.issuer) for each in ([audience] if isinstance(audience, str) else audience)]
    shown = in_body(party.assertion(aud=named if several else named[0]))
    response = provider.post("/par", form_encoded({**party.request(), **shown}))
    assert response.status_code == (201 if is_right else 401)
    assert is_right or error(response, 401) == "invalid_client"


@pytest.mark.parametrize("client_id", ["somebody else", "\u00e9", "x" * 300])
def test_client_id_of_another_client_is_refused(party: RelyingParty, client_id: str) -> None:
    assert error(push(party, client_id=client_id), 401) == "invalid_client"


def test_wrong_or_missing_authentication_is_invalid_client_and_writes_nothing(
    provider: Provider, party: RelyingParty
) -> None:
    before = count(provider, PushedAuthorizationRequest), count(provider, AuditEvent)
    for headers in ({}, {"Authorization": basic(party.client_id, "wrong")}, {"Authorization": "Bearer x"}):
        assert error(party.post("/par", party.request(), headers), 401) == "invalid_client"
    both = {"client_secret": party.secret}
    assert error(push(party, **both)) == "invalid_request"
    assert (count(provider, PushedAuthorizationRequest), count(provider, AuditEvent)) == before


@pytest.mark.demand(72)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"request_uri": "https://app.example/x"}, "invalid_request"),
        ({"request_uri": f"{URN}x"}, "invalid_request"),
        ({"request_uri": ["a", "b"]}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/"}, "invalid_request"),
        ({"redirect_uri": "https://\u0430pp.example/callback"}, "invalid_request"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": ["code", "code"]}, "invalid_request"),
        ({"response_mode": "jwt"}, "invalid_request"),
        ({"scope": "profile"}, "invalid_scope"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"state": "s" * 5000}, "invalid_request"),
        ({"state": "a\x00b"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"claims": "{"}, "invalid_request"),
        ({"id_token_hint": "x"}, "invalid_request"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"request": "e30.e30."}, "invalid_request_object"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"resource": "https://api.example/"}, "invalid_target"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_request_is_judged_completely_when_it_is_pushed(
    provider: Provider, party: RelyingParty, changes: Mapping[str, Parameter], expected: str
) -> None:
    # RFC 9126 2.1 and 2.3.
    before = count(provider, PushedAuthorizationRequest)
    assert error(push(party, **changes)) == expected
    assert count(provider, PushedAuthorizationRequest) == before


def test_refused_push_of_an_authenticated_client_stands_in_the_trail(provider: Provider, party: RelyingParty) -> None:
    assert error(push(party, scope="profile")) == "invalid_scope"
    with provider.writing() as unit:
        last = unit.scalars(select(AuditEvent).order_by(AuditEvent.id.desc()).limit(1)).one()
        assert (last.type, last.client_id) == ("token_request_refused", party.client_id)
        assert (last.details["endpoint"], last.details["error"]) == ("par", "invalid_scope")


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
def test_body_that_is_no_form_is_refused(provider: Provider, party: RelyingParty, content_type: str) -> None:
    headers = {"Authorization": basic(party.client_id, party.secret)}
    response = provider.post("/par", form_encoded(party.request()), headers, content_type)
    assert error(response) == "invalid_request"


def test_parameters_in_the_query_of_a_push_do_not_count(provider: Provider, party: RelyingParty) -> None:
    headers = {"Authorization": basic(party.client_id, party.secret)}
    response = provider.post("/par", "", headers, query=form_encoded(party.request()))
    assert error(response) == "invalid_request"


# The browser comes


def test_browser_brings_the_client_and_the_request_uri_and_nothing_else_counts(
    provider: Provider, party: RelyingParty
) -> None:
    # RFC 9126 4, A76.
    uri = pushed(party, scope="openid", state="pushed", nonce="pushed", response_mode="fragment")
    query = by(
        party, uri, scope="openid email", state="query", nonce="query", redirect_uri="https://evil.example/",
        response_mode="form_post", prompt="none", max_age="0", acr_values="phr", request="x", code_challenge="x",
        registration="{}", login_hint="x" * 600,
    )  # fmt: skip
    answer = provider.browser().sign_in(party, provider.somebody(), **query)
    assert answer.address == party.redirect_uri
    assert answer.fragment["state"] == "pushed"
    tokens = body(party.redeem(answer.values["code"]))
    assert (tokens["scope"], provider.claims(tokens["id_token"])["nonce"]) == ("openid", "pushed")


def test_request_by_post_with_a_request_uri_is_the_same(provider: Provider, party: RelyingParty) -> None:
    browser, query = provider.browser(), by(party, pushed(party))
    response = browser.post("/authorize", form_encoded(query))
    assert "code" in Answer.read(browser.finish(response, provider.somebody())).values


@pytest.mark.demand(29, 73)
def test_request_uri_can_be_opened_again_until_its_authorization_is_completed_and_is_dead_after(
    provider: Provider, party: RelyingParty
) -> None:
    # 29, 73: par-ensure-reused-request-uri-prior-to-auth-completion-succeeds, par-attempt-reuse-request_uri.
    query, browser = by(party, pushed(party, state="s", response_mode="fragment")), provider.browser()
    for each in (browser, browser, provider.browser()):
        assert each.authorize(party, **query).headers["Location"].startswith("/s/")
    assert "code" in browser.sign_in(party, provider.somebody(), **query).values
    for each in (browser, provider.browser()):
        again = Answer.read(each.authorize(party, **query))
        assert again.address == party.redirect_uri
        assert (again.fragment["error"], again.fragment["state"]) == ("invalid_request_uri", "s")
        assert again.fragment["iss"] == provider.issuer


def test_of_two_tabs_with_one_request_uri_one_gets_the_code(provider: Provider, party: RelyingParty) -> None:
    # A76.
    query, who = by(party, pushed(party)), provider.somebody()
    tabs = [provider.browser(), provider.browser()]
    begun = [tab.authorize(party, **query) for tab in tabs]
    answers = [Answer.read(tab.finish(page, who)).values for tab, page in zip(tabs, begun, strict=True)]
    assert ["code" in answer for answer in answers] == [True, False]
    assert answers[1]["error"] == "invalid_request_uri"


def test_answer_without_a_page_uses_the_request_up_too(provider: Provider, party: RelyingParty) -> None:
    browser = provider.browser()
    browser.sign_in(party, provider.somebody())
    query = by(party, pushed(party))
    assert "code" in Answer.read(browser.authorize(party, **query)).values
    assert Answer.read(browser.authorize(party, **query)).values["error"] == "invalid_request_uri"


def test_silent_request_that_could_not_be_answered_is_not_used_up(provider: Provider, party: RelyingParty) -> None:
    browser, query = provider.browser(), by(party, pushed(party, prompt="none"))
    assert Answer.read(browser.authorize(party, **query)).values["error"] == "login_required"
    browser.sign_in(party, provider.somebody())
    assert "code" in Answer.read(browser.authorize(party, **query)).values


def test_who_says_no_has_answered(provider: Provider) -> None:
    party = provider.client(first_party=False)
    query = by(party, pushed(party))
    assert provider.browser().deny(party, provider.somebody(), **query).values["error"] == "access_denied"
    assert Answer.read(provider.browser().authorize(party, **query)).values["error"] == "invalid_request_uri"


@pytest.mark.demand(71, 73)
def test_request_uri_expires_exactly_and_what_it_began_goes_on(provider: Provider, party: RelyingParty) -> None:
    # 71, 73: par-attempt-to-use-expired-request_uri.
    query, browser = by(party, pushed(party)), provider.browser()
    provider.clock.move(LIFETIME - MOMENT)
    begun = browser.authorize(party, **query)
    assert begun.headers["Location"].startswith("/s/")
    provider.clock.move(MOMENT)
    late = Answer.read(provider.browser().authorize(party, **query))
    assert (late.address, late.values["error"]) == (party.redirect_uri, "invalid_request_uri")
    assert "code" in Answer.read(browser.finish(begun, provider.somebody())).values


@pytest.mark.demand(72)
def test_request_uri_of_another_client_is_shown_and_stays_good_for_its_owner(
    provider: Provider, party: RelyingParty
) -> None:
    # 72, A76.
    uri, other = pushed(party), provider.client()
    assert is_a_page_that_says(provider.browser().authorize(other, **by(other, uri)), "invalid_request_uri")
    assert "code" in provider.browser().sign_in(party, provider.somebody(), **by(party, uri)).values


@pytest.mark.demand(73)
@pytest.mark.parametrize(
    "uri", [URN, f"{URN}x", f"{URN}{'A' * 43}", f"{URN}\x00", f"{URN}\u00e9", f"{URN}{'x' * 5000}", f"{URN}#"]
)
def test_unknown_request_uri_is_shown(party: RelyingParty, browser: Browser, uri: str) -> None:
    pushed(party)
    beside = by(party, uri, redirect_uri=party.redirect_uri)
    assert is_a_page_that_says(browser.authorize(party, **beside), "invalid_request_uri")


def test_request_uri_with_something_added_opens_nothing(party: RelyingParty, browser: Browser) -> None:
    # A71.
    uri = pushed(party)
    for wrong in (uri[:-1], f"{uri}x", f"{uri} ", f"{uri}#", uri.swapcase()):
        assert browser.authorize(party, **by(party, wrong)).status_code == 400, wrong
    assert browser.authorize(party, **by(party, uri)).status_code == 303


@pytest.mark.parametrize("changes", [{"client_id": None}, {"client_id": "nobody"}, {"client_id": ["CLIENT", "CLIENT"]}])
def test_request_uri_without_its_client_is_shown(
    party: RelyingParty, browser: Browser, changes: dict[str, Parameter]
) -> None:
    if isinstance(changes["client_id"], list):
        changes = {"client_id": [party.client_id, party.client_id]}
    refused = browser.authorize(party, **by(party, pushed(party), **changes))
    assert refused.status_code == 400 and not was_sent(refused)


def test_redirect_uri_that_is_no_longer_registered_is_not_led_to(provider: Provider, browser: Browser) -> None:
    party = provider.client(redirect_uris=["https://app.example/old", "https://app.example/new"])
    uri = pushed(party)
    with provider.app.app_context():
        provider.services.clients.set(party.client_id, redirect_uris=["https://app.example/new"])
    for distance in (timedelta(0), LIFETIME):
        provider.clock.move(distance)
        refused = browser.authorize(party, **by(party, uri))
        assert refused.status_code == 400 and not was_sent(refused)


@pytest.mark.demand(7)
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
@pytest.mark.parametrize("state", ["aZ09-._~" * 125, "".join(map(chr, range(0x20, 0x7F))), None, "na\u00efef \u2603"])
def test_state_of_a_pushed_request_comes_back_unchanged(
    provider: Provider, party: RelyingParty, mode: str, state: str | None
) -> None:
    # 7, 8: fapi2 long-state, without-state.
    browser = provider.browser()
    browser.sign_in(party, provider.somebody())
    query = by(party, pushed(party, state=state, response_mode=mode))
    for outcome in ("code", "error"):
        answer = Answer.read(browser.authorize(party, **query))
        assert outcome in answer.values
        assert (answer.values.get("state"), answer.values["iss"]) == (state, provider.issuer)


@pytest.mark.demand(3)
def test_registered_query_is_kept(provider: Provider) -> None:
    # 3: fapi2 happy-flow, second client.
    uri = "https://app.example/cb?dummy1=lorem&dummy2=ipsum"
    party = provider.client(redirect_uris=[uri])
    query, browser = by(party, pushed(party, prompt="none")), provider.browser()
    assert browser.authorize(party, **query).headers["Location"].startswith(f"{uri}&error=login_required")


def test_restart_of_an_attempt_goes_on_with_what_was_pushed(provider: Provider, party: RelyingParty) -> None:
    browser = provider.browser()
    begun = browser.authorize(party, **by(party, pushed(party))).headers["Location"]
    provider.clock.move(timedelta(minutes=40))
    again = browser.get(begun.rpartition("/")[0] + "/restart")
    assert "code" in Answer.read(browser.finish(again, provider.somebody())).values


def test_what_was_pushed_is_kept_as_a_hash(provider: Provider, party: RelyingParty) -> None:
    uri = pushed(party)
    browser = provider.browser()
    browser.authorize(party, **by(party, uri))
    with provider.writing() as unit:
        kept = [
            str(row.request) + row.request_uri_hash.hex() for row in unit.scalars(select(PushedAuthorizationRequest))
        ]
        kept += [str(each) for each in unit.scalars(select(Interaction.request))]
    assert not any(uri.removeprefix(URN) in each for each in kept)


# Clients that must push


def test_client_that_pushes_its_requests_is_held_to_it(provider: Provider, browser: Browser) -> None:
    # 31, RFC 9126 6.
    party = provider.client(require_pushed_authorization_requests=True)
    refused = Answer.read(browser.authorize(party))
    assert (refused.address, refused.values["error"]) == (party.redirect_uri, "invalid_request")
    assert "code" in browser.sign_in(party, provider.somebody(), **by(party, pushed(party))).values


@pytest.mark.demand(31)
def test_fapi2_client_always_pushes(strict: RelyingParty, browser: Browser) -> None:
    # 31: ensure-unsigned-authorization-request-without-using-par-fails.
    assert Answer.read(browser.authorize(strict)).values["error"] == "invalid_request"
    signed_only = signed({**strict.request(), "iss": strict.client_id, "aud": strict.provider.issuer})
    by_value = strict.request(request=signed_only)
    assert Answer.read(browser.authorize(strict, **by_value)).values["error"] == "invalid_request"
    shown = browser.authorize(strict, redirect_uri="https://evil.example/")
    assert shown.status_code == 400 and not was_sent(shown)


@pytest.mark.demand(30, 41)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"code_challenge": None, "code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain", "code_challenge": VERIFIER}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
    ],
    ids=str,
)
def test_fapi2_client_has_code_and_pkce_and_its_redirect_uri_in_what_it_pushes(
    strict: RelyingParty, changes: dict[str, Parameter], expected: str
) -> None:
    # 30, FAPI 2.0 5.3.2.2: the profile stands over what the client is registered for.
    assert error(push(strict, **changes)) == expected


@pytest.mark.demand(11)
@pytest.mark.parametrize("length", [43, 64, 384])
def test_fapi2_journey(provider: Provider, strict: RelyingParty, length: int) -> None:
    nonce = ("aZ09-._~" * 48)[:length]
    answer = provider.browser().sign_in(strict, provider.somebody(), **by(strict, pushed(strict, nonce=nonce)))
    proof = ProofKey().proof("POST", f"{provider.issuer}/token", provider.clock.now())
    headers = {"Authorization": basic(strict.client_id, strict.secret), "DPoP": proof}
    tokens = body(strict.token(strict.code_request(answer.values["code"]), headers))
    assert provider.claims(tokens["id_token"])["nonce"] == nonce
    assert answer.values["iss"] == provider.issuer


# What the code is bound to, and what it is for


@pytest.mark.parametrize("way", ["query", "pushed", "object"])
def test_thumbprint_and_resources_stand_with_the_code(provider: Provider, way: str) -> None:
    # RFC 9449 10, RFC 8707 2.
    resources = ["https://api.example/", "https://files.example/a?b=c", "urn:example:x"]
    party = provider.client(resources=[*resources, "https://other.example/"], jwks=public_keys("ES256"))
    asked: dict[str, Parameter] = {"dpop_jkt": JKT, "resource": [*resources, resources[0]]}
    if way == "pushed":
        asked = by(party, pushed(party, **asked))
    elif way == "object":
        token = signed({**party.request(**asked), "iss": party.client_id, "aud": provider.issuer})
        asked = {"request": token}
    assert "code" in provider.browser().sign_in(party, provider.somebody(), **asked).values
    with provider.writing() as unit:
        code = unit.scalars(select(AuthorizationCode).where(AuthorizationCode.client_id == party.client_id)).one()
        assert (code.dpop_jkt, code.resources) == (JKT, resources)


def test_key_that_is_proven_when_pushing_binds_the_code(provider: Provider, party: RelyingParty) -> None:
    # 78, RFC 9449 10.1.
    key, other = ProofKey(), ProofKey()

    def proven(jkt: str | None) -> TestResponse:
        proof = key.proof("POST", f"{provider.issuer}/par", provider.clock.now())
        headers = {"Authorization": basic(party.client_id, party.secret), "DPoP": proof}
        return party.post("/par", party.request(dpop_jkt=jkt), headers)

    assert error(proven(other.jkt)) == "invalid_dpop_proof"
    for jkt in (None, key.jkt):
        uri = body(proven(jkt), 201)["request_uri"]
        assert "code" in provider.browser().sign_in(party, provider.somebody(), **by(party, uri)).values
    with provider.writing() as unit:
        codes = unit.scalars(select(AuthorizationCode.dpop_jkt).where(AuthorizationCode.client_id == party.client_id))
        assert codes.all() == [key.jkt, key.jkt]


def test_proof_that_is_wrong_or_was_used_refuses_the_push(provider: Provider, party: RelyingParty) -> None:
    key, before = ProofKey(), count(provider, PushedAuthorizationRequest)
    proof = key.proof("POST", f"{provider.issuer}/par", provider.clock.now())
    elsewhere = key.proof("POST", f"{provider.issuer}/token", provider.clock.now())
    secret = basic(party.client_id, party.secret)
    answers = [
        party.post("/par", party.request(), {"Authorization": secret, "DPoP": each})
        for each in (proof, proof, elsewhere, "x")
    ]
    assert [each.status_code for each in answers] == [201, 400, 400, 400]
    assert {error(each) for each in answers[1:]} == {"invalid_dpop_proof"}
    assert count(provider, PushedAuthorizationRequest) == before + 1


@pytest.mark.parametrize(
    "resource",
    [
        "https://other.example/",
        "https://api.example",
        "https://api.example/x",
        "https://api.example/#fragment",
        "/relative",
        "api.example",
        "https://api.example/\x00",
        ["https://api.example/", "https://other.example/"],
        "x" * 9000,
    ],
    ids=lambda value: str(value)[:40],
)
def test_resource_that_the_client_is_not_registered_for_is_invalid_target(
    provider: Provider, browser: Browser, resource: Parameter
) -> None:
    party = provider.client(resources=["https://api.example/"])
    assert Answer.read(browser.authorize(party, resource=resource)).values["error"] == "invalid_target"


@pytest.mark.parametrize("jkt", ["", None])
def test_thumbprint_may_be_left_out(party: RelyingParty, browser: Browser, jkt: str | None) -> None:
    assert browser.authorize(party, dpop_jkt=jkt).headers["Location"].startswith("/s/")


@pytest.mark.parametrize("jkt", ["x", "x" * 42, "x" * 44, "x" * 42 + "=", "x" * 42 + "\n", [JKT, JKT]], ids=repr)
def test_thumbprint_of_another_form_is_refused(party: RelyingParty, browser: Browser, jkt: Parameter) -> None:
    assert Answer.read(browser.authorize(party, dpop_jkt=jkt)).values["error"] == "invalid_request"


# What the client is registered to ask for without saying it


def test_default_max_age_of_the_client_holds_where_the_request_says_none(provider: Provider) -> None:
    # OpenID Connect Registration 2: default_max_age. A75.
    party, browser = provider.client(default_max_age_seconds=60), provider.browser()
    browser.sign_in(party, provider.somebody())
    assert "code" in browser.silent(party).values
    provider.clock.move(timedelta(seconds=61))
    assert browser.silent(party).values["error"] == "login_required"
    assert "code" in browser.silent(party, max_age="3600").values


def test_default_acr_values_of_the_client_hold_where_the_request_names_none(provider: Provider) -> None:
    # OpenID Connect Registration 2: default_acr_values.
    first, third = (f"{provider.issuer}/acr/{level}" for level in (1, 3))
    party, who = provider.client(default_acr_values=[third]), provider.somebody(totp=True)
    assert provider.claims(party.signed_in(who)["id_token"])["acr"] == third
    unnamed = provider.client(default_acr_values=[third])
    assert unnamed.signed_in(provider.somebody(), acr_values=first)
    assert provider.claims(party.signed_in(who, acr_values=first)["id_token"])["acr"] == first


@pytest.mark.parametrize("required", [True, False])
def test_auth_time_is_always_there(provider: Provider, required: bool) -> None:
    party = provider.client(require_auth_time=required)
    assert provider.claims(party.signed_in()["id_token"])["auth_time"]
