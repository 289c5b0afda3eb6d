"""The course of the FAPI 2.0 Security Profile plan: pushed requests, private_key_jwt, DPoP, two clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import pytest
from joserfc.jwk import RSAKey

from idp.kernel.clock import SystemClock
from tests.certification.automation import Automation
from tests.certification.conftest import Begin
from tests.certification.party import Provider, departure
from tests.certification.suite import Suite
from tests.client_assertions import claims_of, in_body, signed
from tests.proofs import ProofKey
from tests.relying_party import AuthorizationRequest, ErrorResponse, RelyingParty, Tokens

# One demonstration, not one in each process of the tests.
pytestmark = pytest.mark.xdist_group("certification-fapi2")

PLAN = "fapi2-security-profile-final-test-plan"
MODULE = "fapi2-security-profile-final-"
SECOND_QUERY = "?dummy1=lorem&dummy2=ipsum"


class Client:
    """A client of the configuration, with the keys that stand there and a DPoP key of its own."""

    def __init__(self, provider: Provider, suite: Suite, browser: Automation, name: str) -> None:
        self._told: Mapping[str, Any] = browser.configuration[name]
        [self._jwk] = self._told["jwks"]["keys"]
        callback = suite.at(browser.configuration["alias"], "callback")
        self.party: RelyingParty = provider.party(
            {
                "client_id": self._told["client_id"],
                "redirect_uris": [callback + (SECOND_QUERY if name == "client2" else "")],
                "token_endpoint_auth_method": "none",
            },
            scope=self._told["scope"],
            key=ProofKey("ES256"),
        )
        self._provider = provider

    @property
    def proof_of_identity(self) -> dict[str, str]:
        """A client assertion for the issuer alone."""
        claims = claims_of(self._told["client_id"], self.party.issuer, SystemClock().now())
        key = RSAKey.import_key(self._jwk)
        return in_body(signed(claims, key, self._jwk["alg"], kid=self._jwk["kid"]))

    def pushed(self, **changes: str | None) -> tuple[AuthorizationRequest, str]:
        """A request that was pushed, and the address to open for it."""
        asked = self.party.authorization_request(**changes)
        answer = self._provider.push({**asked.parameters, **self.proof_of_identity})
        assert answer.status_code == 201, answer.text
        sent = answer.json()
        assert sent["expires_in"] > 5
        reference = {"client_id": self.party.client_id, "request_uri": sent["request_uri"]}
        return asked, f"{self.party.metadata['authorization_endpoint']}?{urlencode(reference)}"

    def finish(self, asked: AuthorizationRequest, suite: Suite) -> Tokens:
        code = self.party.code_of(departure(self.party, suite.next("callback")), asked)
        return self.party.exchange(code, asked, **self.proof_of_identity)


@pytest.mark.parametrize("name", ["client", "client2"])
def test_happy_flow_both_clients_of_the_configuration_get_tokens_that_are_bound_to_their_keys(
    module: Begin, provider: Provider, suite: Suite, name: str
) -> None:
    browser = module(f"{MODULE}happy-flow", PLAN)
    client = Client(provider, suite, browser, name)
    asked, address = client.pushed()
    browser.visit(address)
    tokens = client.finish(asked, suite)
    answer = client.party.userinfo_request(tokens.access_token)
    assert answer.status == 200 and answer.json()["sub"] == tokens.claims["sub"] and answer.headers["date"]
    assert client.party.metadata["userinfo_endpoint"] == browser.configuration["resource"]["resourceUrl"]
    assert provider.send("GET", f"{provider.issuer}/userinfo", token=tokens.access_token).status_code == 401
    assert client.party.refresh(tokens, **client.proof_of_identity).claims["sub"] == tokens.claims["sub"]


@pytest.mark.parametrize("name", ["client", "client2"])
def test_user_rejects_authentication_is_access_denied_for_clients_that_nobody_allowed_anything(
    module: Begin, provider: Provider, suite: Suite, name: str
) -> None:
    browser = module(f"{MODULE}user-rejects-authentication", PLAN)
    client = Client(provider, suite, browser, name)
    asked, address = client.pushed()
    browser.visit(address)
    with pytest.raises(ErrorResponse, match="access_denied"):
        client.finish(asked, suite)


def test_par_attempt_reuse_request_uri_is_an_error_at_the_callback_the_second_time(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    browser = module(f"{MODULE}par-attempt-reuse-request_uri", PLAN)
    client = Client(provider, suite, browser, "client")
    asked, address = client.pushed()
    browser.visit(address)
    assert client.finish(asked, suite).claims["sub"]
    browser.visit(address)
    with pytest.raises(ErrorResponse, match="invalid_request_uri"):
        client.finish(asked, suite)


def test_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    browser = module(f"{MODULE}par-ensure-reused-request-uri-prior-to-auth-completion-succeeds", PLAN)
    client = Client(provider, suite, browser, "client")
    asked, address = client.pushed()
    assert "/identify" in browser.visit(address) and suite.nothing_came()
    browser.visit(address)
    assert client.finish(asked, suite).claims["sub"]


def test_par_attempt_to_use_request_uri_for_different_client_shows_an_error_page(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    browser = module(f"{MODULE}par-attempt-to-use-request_uri-for-different-client", PLAN)
    first, second = (Client(provider, suite, browser, name) for name in ("client", "client2"))
    _, address = first.pushed()
    browser.visit(
        address.replace(urlencode({"client_id": first.party.client_id}), f"client_id={second.party.client_id}")
    )
    assert len(browser.pictures) == 1 and suite.nothing_came()


def test_ensure_unsigned_authorization_request_without_using_par_is_an_error_at_the_callback(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    browser = module(f"{MODULE}ensure-unsigned-authorization-request-without-using-par-fails", PLAN)
    client = Client(provider, suite, browser, "client")
    asked = client.party.authorization_request()
    browser.visit(asked.url)
    with pytest.raises(ErrorResponse, match="invalid_request"):
        client.finish(asked, suite)
