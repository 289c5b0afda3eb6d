"""A pushed request that comes with a proof of a key: its code is bound to that key (RFC 9449 10.1; demands 77, 78)."""

import pytest
from werkzeug.test import TestResponse

from idp.oidc.models import PushedAuthorizationRequest, UsedIdentifier
from tests.oidc.journeys import Parameter, Provider, basic, body, error
from tests.oidc.test_dpop import KEY, OTHER_KEY, Prover, demanding, rows

__all__ = ["demanding"]


@pytest.fixture
def prover(provider: Provider) -> Prover:
    return Prover(provider.client())


def push(prover: Prover, proof: str | None = "", **changes: Parameter) -> TestResponse:
    """A pushed request; `proof` as in `Prover.token`."""
    made = prover.proof("POST", "/par") if proof == "" else proof
    party = prover.party
    headers = {"Authorization": basic(party.client_id, party.secret)} | ({} if made is None else {"DPoP": made})
    return party.post("/par", party.request(**changes), headers)


def code_of(prover: Prover, pushed: TestResponse) -> str:
    """What somebody's browser brings back from the pushed request."""
    party = prover.party
    brought: dict[str, Parameter] = {**dict.fromkeys(party.request()), "client_id": party.client_id}
    return party.code(**{**brought, "request_uri": str(body(pushed, 201)["request_uri"])})


@pytest.mark.demand(78)
def test_proof_at_the_push_binds_the_code(prover: Prover) -> None:
    bound = code_of(prover, push(prover))
    assert error(prover.redeem(bound, proof=None)) == "invalid_grant"
    assert error(prover.with_key(OTHER_KEY).redeem(bound)) == "invalid_grant"
    assert body(prover.redeem(bound))["token_type"] == "DPoP"


def test_parameter_binds_the_code_as_well_and_says_the_same_key(prover: Prover) -> None:
    for pushed in (push(prover, None, dpop_jkt=KEY.jkt), push(prover, dpop_jkt=KEY.jkt)):
        bound = code_of(prover, pushed)
        assert error(prover.with_key(OTHER_KEY).redeem(bound)) == "invalid_grant"
        assert body(prover.redeem(bound))


@pytest.mark.demand(78)
def test_parameter_of_a_request_in_the_browser_binds_the_code(prover: Prover) -> None:
    bound = prover.party.code(dpop_jkt=KEY.jkt)
    assert error(prover.redeem(bound, proof=None)) == "invalid_grant"
    assert body(prover.redeem(bound))


@pytest.mark.demand(78)
def test_parameter_that_says_another_key_is_refused_and_nothing_is_kept(prover: Prover) -> None:
    before = rows(prover.provider, PushedAuthorizationRequest, UsedIdentifier)
    assert error(push(prover, dpop_jkt=OTHER_KEY.jkt)) == "invalid_dpop_proof"
    assert rows(prover.provider, PushedAuthorizationRequest, UsedIdentifier) == before


def test_wrong_proof_is_refused_and_nothing_is_kept(prover: Prover) -> None:
    before = rows(prover.provider, PushedAuthorizationRequest, UsedIdentifier)
    twice = f"{prover.proof('POST', '/par')}, {prover.proof('POST', '/par')}"
    for wrong in (prover.proof("POST", "/token"), prover.proof("GET", "/par"), twice, " ", "e30.e30.e30"):
        assert error(push(prover, wrong)) == "invalid_dpop_proof"
    assert rows(prover.provider, PushedAuthorizationRequest, UsedIdentifier) == before


def test_proof_is_good_for_one_request(prover: Prover) -> None:
    proof = prover.proof("POST", "/par")
    assert body(push(prover, proof), 201)
    before = rows(prover.provider, PushedAuthorizationRequest)
    assert error(push(prover, proof)) == "invalid_dpop_proof"
    assert rows(prover.provider, PushedAuthorizationRequest) == before


def test_refused_request_does_not_use_its_proof_up(prover: Prover) -> None:
    proof = prover.proof("POST", "/par")
    assert error(push(prover, proof, response_type="token")) == "unsupported_response_type"
    assert body(push(prover, proof), 201)


@pytest.mark.demand(77)
def test_nonce_is_asked_for(demanding: Prover) -> None:
    asked = push(demanding)
    assert error(asked) == "use_dpop_nonce"
    knowing = Prover(demanding.party, nonce=asked.headers["DPoP-Nonce"])
    answer = push(knowing)
    assert body(answer, 201) and answer.headers["DPoP-Nonce"]
