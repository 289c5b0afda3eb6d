"""Bound tokens that belong to no session: a client's own, and those of offline access (RFC 9449 5, 6)."""

import pytest
from sqlalchemy import func, select

from idp.oidc.models import AccessToken
from tests.oidc.journeys import Provider, body, error
from tests.oidc.test_client_credentials import machine
from tests.oidc.test_dpop import KEY, OTHER_KEY, Prover

ALONE = {"grant_type": "client_credentials"}


def number_of_tokens(prover: Prover) -> int:
    mine = AccessToken.client_id == prover.party.client_id
    with prover.provider.writing() as unit:
        return unit.scalar(select(func.count()).select_from(AccessToken).where(mine)) or 0


@pytest.mark.parametrize("access_token_format", ["opaque", "jwt"])
def test_token_of_a_client_alone_is_bound(provider: Provider, access_token_format: str) -> None:
    prover = Prover(machine(provider, access_token_format=access_token_format))
    tokens = body(prover.token(ALONE))
    assert tokens["token_type"] == "DPoP"
    said = body(prover.party.post("/introspect", {"token": tokens["access_token"]}))
    assert (said["token_type"], said["cnf"]) == ("DPoP", {"jkt": KEY.jkt})
    if access_token_format == "jwt":
        assert provider.claims(tokens["access_token"])["cnf"] == {"jkt": KEY.jkt}


def test_client_alone_proves_its_key_if_it_must_and_each_proof_is_good_once(provider: Provider) -> None:
    prover = Prover(machine(provider, dpop_bound_access_tokens=True))
    assert error(prover.token(ALONE, None)) == "invalid_request"
    proof = prover.proof("POST", "/token")
    assert body(prover.token(ALONE, proof))["token_type"] == "DPoP"
    assert error(prover.token(ALONE, proof)) == "invalid_dpop_proof"
    assert number_of_tokens(prover) == 1


def test_resource_server_is_told_the_key_of_a_token_that_is_for_it(provider: Provider) -> None:
    api = "https://api.example/"
    prover = Prover(machine(provider, resources=[api]))
    server = provider.client(
        resources=[api], grant_types=[], response_types=[], redirect_uris=["https://api.example/x"]
    )
    tokens = body(prover.token({**ALONE, "resource": api}))
    said = body(server.post("/introspect", {"token": tokens["access_token"]}))
    assert said["active"] and said["cnf"] == {"jkt": KEY.jkt}


def test_offline_access_of_a_public_client_is_bound_to_its_key(provider: Provider) -> None:
    prover = Prover(provider.public_client(scope="openid offline_access"))
    browser, who = provider.browser(), provider.somebody()
    code = browser.sign_in(prover.party, who, scope="openid offline_access", prompt="consent").values["code"]
    token = body(prover.redeem(code))["refresh_token"]
    browser.get("/end_session")
    assert error(prover.with_key(OTHER_KEY).refresh(token)) == "invalid_grant"
    assert error(prover.refresh(token, proof=None)) == "invalid_grant"
    assert body(prover.refresh(token))["token_type"] == "DPoP"
