"""idpyoidc's relying party at the provider, in the few calls that its documentation gives."""

from __future__ import annotations

import logging
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from idpyoidc.client.defaults import DEFAULT_OIDC_SERVICES
from idpyoidc.client.oidc.end_session import EndSession
from idpyoidc.client.rp_handler import RPHandler
from idpyoidc.exception import VerificationError

from tests.live import LiveProvider

REDIRECT_URI = "http://127.0.0.1:8001/callback"
POST_LOGOUT_REDIRECT_URI = "http://127.0.0.1:8001/signed-out"


@pytest.fixture(autouse=True)
def quietly() -> None:
    """At DEBUG the library prints every secret that it has."""
    logging.getLogger("idpyoidc").setLevel(logging.INFO)


def relying_party(provider: LiveProvider, client: tuple[str, str]) -> RPHandler:
    """Every option is the library's default but for those with a reason."""
    keys = {"key_defs": [{"type": "EC", "crv": "P-256", "use": ["sig"]}]}
    return RPHandler(
        base_url="http://127.0.0.1:8001",
        httpc_params={"timeout": 30},
        # Otherwise the library writes keys into the folder that it runs in.
        key_conf=keys,
        client_configs={
            provider.issuer: {
                "issuer": provider.issuer,
                "client_id": client[0],
                "client_secret": client[1],
                "key_conf": keys,
                "redirect_uris": [REDIRECT_URI],
                "post_logout_redirect_uris": [POST_LOGOUT_REDIRECT_URI],
                "response_types_supported": ["code"],
                "scopes_supported": ["openid", "profile", "email"],
                "token_endpoint_auth_methods_supported": ["client_secret_basic"],
                "client_type": "oidc",
                # Logging out is among its services, and not among those that it begins with.
                "services": {**DEFAULT_OIDC_SERVICES, "end_session": {"class": EndSession}},
                # New clients must use PKCE here; an add-on of the library does.
                "add_ons": {
                    "pkce": {
                        "function": "idpyoidc.client.oauth2.add_on.pkce.add_support",
                        "kwargs": {"code_challenge_length": 64, "code_challenge_method": "S256"},
                    }
                },
            }
        },
        hash_seed=secrets.token_hex(16),
    )


def parameters(callback: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(callback).query))


def test_idpyoidc_signs_somebody_in_and_logs_out(live_provider: LiveProvider) -> None:
    client = live_provider.add_client("idpyoidc", REDIRECT_URI, post_logout_redirect_uris=[POST_LOGOUT_REDIRECT_URI])
    party, browser = relying_party(live_provider, client), live_provider.browser()
    callback = live_provider.sign_in(party.begin(live_provider.issuer), browser)
    finished: dict[str, Any] = party.finalize(live_provider.issuer, parameters(callback))
    assert "error" not in finished, finished
    assert finished["userinfo"]["sub"] == finished["id_token"]["sub"] == live_provider.anna.sub
    assert finished["id_token"]["iss"] == live_provider.issuer
    leaving = party.logout(finished["state"], post_logout_redirect_uri=POST_LOGOUT_REDIRECT_URI)
    departure = browser.open(leaving["url"]).departure.url
    assert departure.startswith(POST_LOGOUT_REDIRECT_URI)


def test_idpyoidc_refuses_our_response_under_another_issuer(live_provider: LiveProvider) -> None:
    client = live_provider.add_client("idpyoidc", REDIRECT_URI)
    party = relying_party(live_provider, client)
    callback = live_provider.sign_in(party.begin(live_provider.issuer))
    with pytest.raises(VerificationError, match="Issuer mismatch"):
        party.finalize(live_provider.issuer, parameters(callback) | {"iss": "https://evil.example"})
