"""Authlib's client at the provider, used as its own documentation has it."""

from __future__ import annotations

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.live import LiveProvider

REDIRECT_URI = "http://127.0.0.1:8001/callback"


def session_of(provider: LiveProvider, client: tuple[str, str], auth_method: str) -> OAuth2Session:
    return OAuth2Session(
        *client,
        token_endpoint_auth_method=auth_method,
        scope="openid profile email",
        redirect_uri=REDIRECT_URI,
        code_challenge_method="S256",
        default_timeout=10,
        trust_env=False,
    )


@pytest.mark.parametrize("auth_method", ["client_secret_basic", "client_secret_post"])
def test_authlib_signs_somebody_in_and_refreshes(live_provider: LiveProvider, auth_method: str) -> None:
    client = live_provider.add_client("authlib", REDIRECT_URI, token_endpoint_auth_method=auth_method)
    with session_of(live_provider, client, auth_method) as session:
        metadata = session.get(f"{live_provider.issuer}/.well-known/openid-configuration", withhold_token=True).json()
        url, state = session.create_authorization_url(
            metadata["authorization_endpoint"], code_verifier="v" * 48, nonce="n-1"
        )
        tokens = session.fetch_token(
            metadata["token_endpoint"],
            authorization_response=live_provider.sign_in(url),
            state=state,
            code_verifier="v" * 48,
        )
        keys = KeySet.import_key_set(session.get(metadata["jwks_uri"], withhold_token=True).json())
        decoded = jwt.decode(tokens["id_token"], keys, algorithms=["RS256"])
        claims = CodeIDToken(
            decoded.claims,
            decoded.header,
            {"iss": {"essential": True, "value": live_provider.issuer}},
            {"nonce": "n-1", "client_id": client[0], "access_token": tokens["access_token"]},
        )
        claims.validate(leeway=10)
        userinfo = session.get(metadata["userinfo_endpoint"]).json()
        assert claims["sub"] == userinfo["sub"] == live_provider.anna.sub
        fresh = session.refresh_token(metadata["token_endpoint"], tokens["refresh_token"])
        assert fresh["access_token"] != tokens["access_token"]
        assert session.get(metadata["userinfo_endpoint"]).json()["sub"] == live_provider.anna.sub


def test_authlib_with_the_wrong_code_verifier_gets_no_tokens(live_provider: LiveProvider) -> None:
    client = live_provider.add_client("authlib", REDIRECT_URI)
    with session_of(live_provider, client, "client_secret_basic") as session:
        url, state = session.create_authorization_url(f"{live_provider.issuer}/authorize", code_verifier="v" * 48)
        with pytest.raises(OAuthError) as refused:
            session.fetch_token(
                f"{live_provider.issuer}/token",
                authorization_response=live_provider.sign_in(url),
                state=state,
                code_verifier="w" * 48,
            )
    assert refused.value.error == "invalid_grant"
