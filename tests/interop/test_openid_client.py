"""npm's openid-client at the provider."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from joserfc.jwk import ECKey

from idp.oidc.keys import ALGORITHMS
from tests.interop.node_journey import POST_LOGOUT_REDIRECT_URI, REDIRECT_URI, Journey
from tests.live import LiveProvider


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_openid_client_signs_somebody_in_refreshes_and_logs_out(
    live_provider: LiveProvider, package: Path, alg: str
) -> None:
    client = live_provider.add_client(
        "node",
        REDIRECT_URI,
        post_logout_redirect_uris=[POST_LOGOUT_REDIRECT_URI],
        id_token_signed_response_alg=alg,
    )
    journey, browser = Journey(package, live_provider, client), live_provider.browser()
    try:
        callback = live_provider.sign_in(journey.authorization_url(), browser)
        verified, complaint = journey.finish(callback)
    finally:
        journey.stop()
    assert verified is not None, complaint
    assert verified["claims"]["sub"] == verified["userinfo"]["sub"] == live_provider.anna.sub
    assert verified["claims"]["iss"] == live_provider.issuer
    assert verified["userinfo"]["name"] == "Anna de Wit"
    assert verified["refreshed"]["sub"] == live_provider.anna.sub
    assert verified["refreshed"]["auth_time"] == verified["claims"]["auth_time"]
    assert browser.open(verified["end_session_url"]).departure.url == POST_LOGOUT_REDIRECT_URI


def test_openid_client_refuses_our_response_under_another_issuer(live_provider: LiveProvider, package: Path) -> None:
    client = live_provider.add_client("node", REDIRECT_URI)
    journey = Journey(package, live_provider, client)
    try:
        callback = live_provider.sign_in(journey.authorization_url())
        assert "&iss=" in callback
        verified, complaint = journey.finish(callback.replace("&iss=http", "&iss=https"))
    finally:
        journey.stop()
    assert verified is None
    assert 'unexpected "iss"' in complaint, complaint


def test_openid_client_registers_itself_pushes_binds_asks_and_gives_back(
    open_provider: LiveProvider, package: Path
) -> None:
    registered, verified = strictly(open_provider, Journey(package, open_provider, script="strict.mjs"))
    assert registered["token_endpoint_auth_method"] == "private_key_jwt"
    assert verified["userinfo"]["aud"] == registered["client_id"], "signed"


def test_openid_client_is_held_to_fapi2_and_asks_for_nothing_else(open_provider: LiveProvider, package: Path) -> None:
    key = ECKey.generate_key("P-256", {"kid": "signing", "use": "sig", "alg": "ES256"}, private=True)
    open_provider.make.client(
        "strict",
        profile="fapi2",
        redirect_uris=[REDIRECT_URI],
        post_logout_redirect_uris=[POST_LOGOUT_REDIRECT_URI],
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [key.as_dict(private=False)]},
        id_token_signed_response_alg="ES256",
        require_pushed_authorization_requests=True,
        dpop_bound_access_tokens=True,
    )
    private_jwk = json.dumps(key.as_dict(private=True))
    strictly(open_provider, Journey(package, open_provider, ("strict", ""), "strict.mjs", PRIVATE_JWK=private_jwk))


def strictly(provider: LiveProvider, journey: Journey) -> tuple[dict[str, Any], dict[str, Any]]:
    """How the client is registered, and what it verified of a journey with everything that is strict."""
    browser = provider.browser()
    try:
        said = journey.first_words()
        asked = dict(parse_qsl(urlsplit(said["authorization_url"]).query))
        assert set(asked) == {"client_id", "request_uri"} and asked["client_id"] == said["registered"]["client_id"]
        page = browser.open(said["authorization_url"]).submit(provider.anna.names, button="login-submit")
        if page.has("consent-allow"):
            # Whoever registered itself is nobody's own application.
            page = page.submit(button="consent-allow")
        verified, complaint = journey.finish(page.departure.url)
    finally:
        journey.stop()
    assert verified is not None, complaint
    sub = provider.anna.sub
    assert verified["claims"]["sub"] == verified["userinfo"]["sub"] == verified["refreshed"]["sub"] == sub
    assert (verified["token_type"], verified["refreshed_type"]) == ("dpop", "dpop")
    assert verified["before"]["active"] is True and verified["before"]["cnf"]["jkt"]
    assert verified["after"] == {"active": False}
    assert browser.open(verified["end_session_url"]).departure.url == POST_LOGOUT_REDIRECT_URI
    return said["registered"], verified
