"""What registering a client for FAPI 2.0 brings with it, and what does not fit (Security Profile 5.3.2 and 5.4)."""

from typing import Any

import pytest
from joserfc.jwk import ECKey

from idp.admin.refusals import Refusals
from idp.wiring import Services

CALLBACK = "https://app.example/callback"
KEYS: dict[str, Any] = {"jwks": {"keys": [ECKey.generate_key("P-256").as_dict(private=False)]}}


def test_client_of_fapi2_pushes_its_requests_and_uses_pkce_and_dpop(services: Services) -> None:
    client, secret = services.clients.add("Atosi", [CALLBACK], profile="fapi2", **KEYS)
    assert secret is None and client.token_endpoint_auth_method == "private_key_jwt"
    assert client.require_pushed_authorization_requests and client.require_pkce and client.dpop_bound_access_tokens
    assert client.id_token_signed_response_alg == "ES256" and client.needs_dpop


@pytest.mark.parametrize(
    ("metadata", "message_keys"),
    [
        ({"profile": "fapi1", **KEYS}, ("client.profile",)),
        ({"profile": "fapi2"}, ("client.keys_missing",)),
        ({"profile": "fapi2", "token_endpoint_auth_method": "client_secret_basic"}, ("client.fapi2_auth_method",)),
        ({"profile": "fapi2", "id_token_signed_response_alg": "RS256", **KEYS}, ("client.fapi2_signing_algorithm",)),
        ({"profile": "fapi2", "userinfo_signed_response_alg": "RS256", **KEYS}, ("client.fapi2_signing_algorithm",)),
        (
            {"profile": "fapi2", "application_type": "browser", "session_activity": "none"},
            ("client.fapi2_auth_method",),
        ),
    ],
)
def test_what_does_not_fit_the_profile_is_refused(
    services: Services, metadata: dict[str, Any], message_keys: tuple[str, ...]
) -> None:
    with pytest.raises(Refusals) as refused:
        services.clients.add("Atosi", [CALLBACK], **metadata)
    assert refused.value.message_keys == message_keys
    assert services.clients.list() == []


def test_client_that_becomes_one_of_fapi2_changes_what_does_not_fit(services: Services) -> None:
    client, _ = services.clients.add("Atosi", [CALLBACK])
    with pytest.raises(Refusals) as refused:
        services.clients.set(client.client_id, profile="fapi2")
    assert refused.value.message_keys == ("client.fapi2_signing_algorithm", "client.fapi2_auth_method")
    changed, _ = services.clients.set(
        client.client_id,
        profile="fapi2",
        token_endpoint_auth_method="private_key_jwt",
        id_token_signed_response_alg="ES256",
        **KEYS,
    )
    assert changed.require_pushed_authorization_requests and changed.dpop_bound_access_tokens
    with pytest.raises(Refusals) as refused:
        services.clients.set(client.client_id, dpop_bound_access_tokens=False)
    assert refused.value.message_keys == ("client.fapi2_dpop",)


def test_any_client_may_have_its_tokens_bound(services: Services) -> None:
    client, _ = services.clients.add("Atosi", [CALLBACK], dpop_bound_access_tokens=True)
    assert client.needs_dpop and client.profile == "oidc"
    changed, _ = services.clients.set(client.client_id, dpop_bound_access_tokens=False)
    assert not changed.needs_dpop
