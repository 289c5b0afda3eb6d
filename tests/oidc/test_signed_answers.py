"""Userinfo and introspection as signed JWTs (OIDC Core 5.3.2, RFC 9701)."""

from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from idp.kernel.clock import whole_seconds
from idp.oidc.keys import ALGORITHMS
from tests.conftest import ISSUER
from tests.oidc.journeys import Provider, RelyingParty, basic, body, error

INTROSPECTION = "application/token-introspection+jwt"


def signed(provider: Provider, response: TestResponse, content_type: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a JWT that is the whole body and verifies with a published key."""
    assert response.status_code == 200, response.text
    assert response.content_type == content_type
    assert response.headers["Cache-Control"] == "no-store"
    decoded = provider.decoded(response.text)
    return dict(decoded.header), dict(decoded.claims)


def introspect(party: RelyingParty, token: str, accept: str | None = None) -> TestResponse:
    headers = {"Authorization": basic(party.client_id, party.secret)}
    return party.post("/introspect", {"token": token}, headers if accept is None else {**headers, "Accept": accept})


# Userinfo


@pytest.mark.demand(58)
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_userinfo_of_a_client_that_wants_it_signed_is_a_jwt_with_issuer_and_audience(
    provider: Provider, alg: str
) -> None:
    # #58, #59
    party, who = provider.client(userinfo_signed_response_alg=alg), provider.somebody()
    tokens = party.signed_in(who, scope="openid email")
    header, claims = signed(provider, provider.userinfo(tokens["access_token"]), "application/jwt")
    assert header["alg"] == alg and header["kid"]
    assert claims == {
        "iss": ISSUER,
        "aud": party.client_id,
        "sub": provider.claims(tokens["id_token"])["sub"],
        "email": f"{who.username}@voorbeeld.example",
        "email_verified": False,
    }


def test_userinfo_of_every_other_client_is_json(provider: Provider, party: RelyingParty) -> None:
    claims = body(provider.userinfo(party.signed_in()["access_token"]))
    assert not {"iss", "aud", "nonce"} & set(claims)


@pytest.mark.demand(60)
def test_userinfo_has_a_date_signed_or_not(provider: Provider) -> None:
    # #60
    for party in (provider.client(), provider.client(userinfo_signed_response_alg="ES256")):
        response = provider.userinfo(party.signed_in()["access_token"])
        assert response.date == provider.clock.now().replace(microsecond=0)


def test_refusal_of_userinfo_is_a_challenge_for_such_a_client_too(provider: Provider) -> None:
    party = provider.client(userinfo_signed_response_alg="ES256")
    token = party.signed_in()["access_token"]
    provider.clock.move(timedelta(minutes=5))
    response = provider.userinfo(token)
    assert body(response, 401)["error"] == "invalid_token"


def test_signed_userinfo_is_neither_id_token_nor_access_token(provider: Provider) -> None:
    # A62: every claim that can be asked for, in the hope that one makes an ID token of it.
    party = provider.client(userinfo_signed_response_alg="RS256")
    wish = '{"userinfo": {"auth_time": {"essential": true}, "jti": null, "sid": null, "acr": null}}'
    made = provider.userinfo(party.signed_in(claims=wish)["access_token"]).text
    with provider.app.app_context():
        assert provider.services.keys.verified_id_token(made, ISSUER) is None
        assert provider.services.keys.verified_access_token(made, ISSUER) is None
    assert provider.userinfo(made).status_code == 401


# Introspection


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_introspection_of_a_client_registered_for_it_is_a_jwt(provider: Provider, alg: str) -> None:
    party = provider.client(introspection_signed_response_alg=alg)
    plain = body(introspect(provider.client(), "x"))
    tokens = party.signed_in()
    header, claims = signed(provider, introspect(party, tokens["access_token"]), INTROSPECTION)
    assert header == {"alg": alg, "kid": header["kid"], "typ": "token-introspection+jwt"}
    assert {name: claims[name] for name in ("iss", "aud", "iat")} == {
        "iss": ISSUER,
        "aud": party.client_id,
        "iat": whole_seconds(provider.clock.now()),
    }
    assert set(claims) == {"iss", "aud", "iat", "token_introspection"}
    assert claims["token_introspection"]["active"] is True
    assert claims["token_introspection"]["sub"] == provider.claims(tokens["id_token"])["sub"]
    assert plain == {"active": False}


@pytest.mark.parametrize("accept", [INTROSPECTION, INTROSPECTION.upper(), f"application/json;q=0.1, {INTROSPECTION}"])
def test_introspection_is_a_jwt_for_who_asks_for_one(provider: Provider, party: RelyingParty, accept: str) -> None:
    token = party.signed_in()["access_token"]
    header, claims = signed(provider, introspect(party, token, accept), INTROSPECTION)
    assert header["alg"] == "RS256"
    assert claims["token_introspection"] == body(introspect(party, token))


@pytest.mark.parametrize("accept", [None, "", "*/*", "application/*", "application/json", f"{INTROSPECTION};q=0", "x"])
def test_introspection_is_json_for_everybody_else(party: RelyingParty, accept: str | None) -> None:
    assert body(introspect(party, "x", accept)) == {"active": False}


def test_jwt_about_a_token_that_is_not_good_says_no_more_than_that(provider: Provider, party: RelyingParty) -> None:
    theirs = provider.client().signed_in()["access_token"]
    for token in ("x", theirs):
        claims = signed(provider, introspect(party, token, INTROSPECTION), INTROSPECTION)[1]
        assert claims["token_introspection"] == {"active": False}


def test_refused_introspection_is_plain_json(provider: Provider) -> None:
    party = provider.client(introspection_signed_response_alg="ES256")
    headers = {"Authorization": basic(party.client_id, "wrong"), "Accept": INTROSPECTION}
    assert error(party.post("/introspect", {"token": "x"}, headers), 401) == "invalid_client"
    headers["Authorization"] = basic(party.client_id, party.secret)
    assert error(party.post("/introspect", {}, headers)) == "invalid_request"


def test_answer_of_introspection_is_no_token_of_ours(provider: Provider, party: RelyingParty) -> None:
    # A62, RFC 9701 8.1
    made = introspect(party, party.signed_in()["access_token"], INTROSPECTION).text
    assert provider.userinfo(made).status_code == 401
    assert body(introspect(party, made)) == {"active": False}
    with provider.app.app_context():
        assert provider.services.keys.verified_id_token(made, ISSUER) is None
