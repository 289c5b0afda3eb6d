"""Authlib's client at the provider, used as its own documentation has it."""

from __future__ import annotations

import json

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import ClientSecretJWT, PrivateKeyJWT
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.client_assertions import jwks_of, key_of
from tests.egress.receivers import Receiver, status
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


# Authlib signs as joserfc has it, which would rather call EdDSA with Ed25519 by the name of its curve (RFC 9864).
@pytest.mark.filterwarnings("ignore:EdDSA is deprecated:joserfc.errors.SecurityWarning")
@pytest.mark.parametrize(
    ("made", "keys"),
    [
        (ClientSecretJWT(), None),
        (ClientSecretJWT(alg="HS512"), None),
        (PrivateKeyJWT(), "jwks"),
        (PrivateKeyJWT(alg="PS256"), "jwks_uri"),
        (PrivateKeyJWT(alg="ES256"), "jwks_uri"),
        (PrivateKeyJWT(alg="EdDSA"), "jwks"),
    ],
    ids=lambda value: getattr(value, "alg", value),
)
def test_authlib_authenticates_by_jwt_at_every_endpoint(
    live_provider: LiveProvider, made: ClientSecretJWT, keys: str | None
) -> None:
    """Its assertions live for an hour by their own words, and say the address that is called as their audience."""
    jwks = jwks_of(key_of(made.alg))
    with Receiver(status(200, json.dumps(jwks).encode())) as published:
        given = {None: {}, "jwks": {"jwks": jwks}, "jwks_uri": {"jwks_uri": published.url}}[keys]
        client = live_provider.make.client(
            "authlib", redirect_uris=[REDIRECT_URI], token_endpoint_auth_method=made.name, **given
        )
        secret = client.secret if keys is None else key_of(made.alg)
        with session_of(live_provider, (client.client_id, secret), made.name) as session:  # type: ignore[arg-type]
            session.revocation_endpoint_auth_method = made.name
            session.register_client_auth_method(made)
            endpoints = session.get(
                f"{live_provider.issuer}/.well-known/openid-configuration", withhold_token=True
            ).json()
            url, state = session.create_authorization_url(endpoints["authorization_endpoint"], code_verifier="v" * 48)
            tokens = session.fetch_token(
                endpoints["token_endpoint"],
                authorization_response=live_provider.sign_in(url),
                state=state,
                code_verifier="v" * 48,
            )
            fresh = session.refresh_token(endpoints["token_endpoint"], tokens["refresh_token"])
            said = session.introspect_token(endpoints["introspection_endpoint"], fresh["access_token"]).json()
            assert said["active"] is True and said["client_id"] == "authlib"
            assert session.revoke_token(endpoints["revocation_endpoint"], fresh["refresh_token"]).status_code == 200
            said = session.introspect_token(endpoints["introspection_endpoint"], fresh["access_token"]).json()
            assert said == {"active": False}
        assert len(published.calls) == (1 if keys == "jwks_uri" else 0)
