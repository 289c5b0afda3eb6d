"""What the hot paths ask of the database, exactly: unlike time, that does not depend on the machine.

Whoever needs one more statement here says so by changing the number. `python -m bench.hot_paths` measures the time.
"""

import pytest
from flask import Flask

from bench.counting import HEADER, counted
from idp.kernel.clock import FixedClock
from tests.factories import Factories
from tests.oidc.journeys import Browser, Provider, RelyingParty, basic, body
from tests.proofs import ProofKey

GRANTS = ["authorization_code", "refresh_token", "client_credentials"]


@pytest.fixture
def provider(app: Flask, clock: FixedClock, make: Factories) -> Provider:
    return Provider(counted(app), clock, make)


@pytest.fixture
def party(provider: Provider) -> RelyingParty:
    return provider.client(grant_types=GRANTS)


@pytest.fixture
def desk(provider: Provider, party: RelyingParty) -> Browser:
    """A browser in which somebody is signed in, at a provider that has read its keys and answered before."""
    assert party.signed_in()["id_token"]
    return provider.desk()[0]


def test_token_request_for_a_code(party: RelyingParty, desk: Browser) -> None:
    code = desk.silent(party).values["code"]
    assert party.redeem(code).headers[HEADER] == "8 in 2"


def test_authorization_request_that_asks_nobody(party: RelyingParty, desk: Browser) -> None:
    assert desk.authorize(party, prompt="none").headers[HEADER] == "8 in 2"


def test_refresh(party: RelyingParty, desk: Browser) -> None:
    refresh_token = party.signed_in()["refresh_token"]
    assert party.refresh(refresh_token).headers[HEADER] == "7 in 2"


def test_refresh_that_counts_as_activity(provider: Provider, desk: Browser) -> None:
    party = provider.client(session_activity="token_refresh")
    refresh_token = party.signed_in()["refresh_token"]
    assert party.refresh(refresh_token).headers[HEADER] == "9 in 2"


def test_client_credentials(party: RelyingParty, desk: Browser) -> None:
    assert party.token({"grant_type": "client_credentials"}).headers[HEADER] == "3 in 2"


def test_userinfo(provider: Provider, party: RelyingParty, desk: Browser) -> None:
    access_token = party.signed_in()["access_token"]
    assert provider.userinfo(access_token).headers[HEADER] == "1 in 1"


def test_introspection(party: RelyingParty, desk: Browser) -> None:
    access_token = party.signed_in()["access_token"]
    answer = party.post("/introspect", {"token": access_token})
    assert body(answer)["active"] is True
    assert answer.headers[HEADER] == "2 in 2"


def test_pushed_request_with_a_proof(provider: Provider, party: RelyingParty, desk: Browser) -> None:
    proof = ProofKey().proof("POST", f"{provider.issuer}/par", provider.clock.now())
    headers = {"Authorization": basic(party.client_id, party.secret), "DPoP": proof}
    answer = party.post("/par", party.request(), headers)
    assert body(answer, 201)["request_uri"]
    assert answer.headers[HEADER] == "3 in 2"


def test_keys_and_metadata_ask_nothing(provider: Provider, desk: Browser) -> None:
    for path in ("/jwks", "/.well-known/openid-configuration"):
        assert provider.get(path).headers[HEADER] == "0 in 0"


def test_counting_counts_what_a_request_asks_and_no_more(provider: Provider, party: RelyingParty) -> None:
    # A client that nobody knows: one statement; and the same again, not added up.
    for _ in range(2):
        answer = provider.post("/introspect", "token=x", {"Authorization": basic("nobody", "x")})
        assert answer.headers[HEADER] == "1 in 1"
