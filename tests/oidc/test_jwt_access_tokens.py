"""Access tokens as JWTs (RFC 9068): readable by resource servers, and over with their session at our own endpoints."""

from datetime import timedelta
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey
from sqlalchemy import select

from idp.oidc.keys import ALGORITHMS
from idp.oidc.models import AccessToken
from tests.oidc.journeys import Provider, RelyingParty, body

MINUTE = timedelta(minutes=1)


@pytest.fixture(params=ALGORITHMS)
def party(provider: Provider, request: pytest.FixtureRequest) -> RelyingParty:
    return provider.client(access_token_format="jwt", id_token_signed_response_alg=request.param)


@pytest.fixture
def tokens(provider: Provider, party: RelyingParty) -> dict[str, Any]:
    return party.signed_in(provider.somebody())


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_header_and_claims_are_those_of_the_specification(
    provider: Provider, tokens: dict[str, Any], party: RelyingParty
) -> None:
    decoded, now = provider.decoded(tokens["access_token"]), int(provider.clock.now().timestamp())
    id_token = provider.claims(tokens["id_token"])
    assert decoded.header["typ"] == "at+jwt"
    assert {name: value for name, value in decoded.claims.items() if name != "jti"} == {
        "iss": provider.issuer,
        "sub": id_token["sub"],
        "aud": provider.issuer,
        "client_id": party.client_id,
        "iat": now,
        "exp": now + tokens["expires_in"],
        "scope": "openid profile email",
        "auth_time": id_token["auth_time"],
        "acr": id_token["acr"],
        "amr": id_token["amr"],
    }


def test_two_of_the_same_second_differ(provider: Provider, party: RelyingParty) -> None:
    jtis = {provider.claims(party.signed_in()["access_token"])["jti"] for _ in range(3)}
    assert len(jtis) == 3


def test_our_own_endpoints_take_it(provider: Provider, party: RelyingParty, tokens: dict[str, Any]) -> None:
    token = tokens["access_token"]
    assert body(provider.userinfo(token))["sub"] == provider.claims(token)["sub"]
    assert body(provider.get("/session/status", bearer(token)))["active"] is True
    assert body(party.post("/introspect", {"token": token}))["active"] is True


def test_our_own_endpoints_refuse_it_from_the_instant_of_the_deadline(provider: Provider, party: RelyingParty) -> None:
    first = party.signed_in(provider.somebody())
    provider.clock.move(28 * MINUTE)
    token = body(party.refresh(first["refresh_token"]))["access_token"]
    assert provider.claims(token)["exp"] == int((provider.clock.now() + 2 * MINUTE).timestamp())
    provider.clock.move(2 * MINUTE - timedelta(microseconds=1))
    assert provider.userinfo(token).status_code == 200
    provider.clock.move(timedelta(microseconds=1))
    assert provider.userinfo(token).status_code == 401
    assert provider.get("/session/status", bearer(token)).status_code == 401
    assert body(party.post("/introspect", {"token": token})) == {"active": False}


def test_our_own_endpoints_refuse_it_after_logout_though_it_says_otherwise(
    provider: Provider, tokens: dict[str, Any], party: RelyingParty
) -> None:
    with provider.writing() as unit:
        row = unit.scalars(select(AccessToken).filter_by(client_id=party.client_id)).one()
        session = provider.services.sessions.load_live_by_id(unit, row.session_id)
        assert session is not None and provider.services.sessions.end(unit, session, "logout")
    assert provider.claims(tokens["access_token"])["exp"] > provider.clock.now().timestamp()
    assert provider.userinfo(tokens["access_token"]).status_code == 401


@pytest.mark.parametrize("form", ["{}", "jti {}", "jti.{}", "jti.{}.", ".{}.", "jti%20{}", "jti\t{}"])
def test_its_jti_is_no_access_token_in_whatever_form(
    provider: Provider, party: RelyingParty, tokens: dict[str, Any], form: str
) -> None:
    shown = form.format(provider.claims(tokens["access_token"])["jti"])
    assert provider.userinfo(shown).status_code == 401
    assert provider.get("/session/status", bearer(shown)).status_code == 401
    assert body(party.post("/introspect", {"token": shown})) == {"active": False}


def test_token_signed_by_somebody_else_is_refused(provider: Provider, tokens: dict[str, Any]) -> None:
    decoded = provider.decoded(tokens["access_token"])
    key = ECKey.generate_key("P-256")
    for header in ({**decoded.header, "alg": "ES256"}, {"alg": "ES256", "typ": "at+jwt"}):
        forged = jwt.encode(header, decoded.claims, key, algorithms=["ES256"])
        assert provider.userinfo(forged).status_code == 401


@pytest.mark.parametrize("typ", ["JWT", "logout+jwt"])
def test_other_jwts_of_ours_are_no_access_tokens(provider: Provider, tokens: dict[str, Any], typ: str) -> None:
    claims = provider.claims(tokens["access_token"])
    with provider.app.app_context():
        assert provider.userinfo(provider.services.keys.sign("RS256", claims, typ)).status_code == 401
        assert provider.userinfo(provider.services.keys.sign("RS256", claims, "at+jwt")).status_code == 200
    assert provider.userinfo(tokens["id_token"]).status_code == 401


def test_access_token_is_no_id_token_hint(provider: Provider, tokens: dict[str, Any]) -> None:
    with provider.app.app_context():
        assert provider.services.keys.verified_id_token(tokens["access_token"], provider.issuer) is None
        assert provider.services.keys.verified_id_token(tokens["id_token"], provider.issuer) is not None
