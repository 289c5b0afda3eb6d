"""What clients authenticate with: each method keeps what it needs and nothing else (OIDC Core 9, Registration 2)."""

from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from idp.admin.refusals import Refusals
from idp.kernel.errors import Refused
from idp.wiring import Services

CALLBACK = "https://app.example/callback"
EC = ECKey.generate_key("P-256")
RSA = RSAKey.generate_key(2048)
JWKS = {"keys": [EC.as_dict(private=False), RSA.as_dict(private=False)]}
JWKS_URI = "https://app.example/jwks"
BY_KEY = {"token_endpoint_auth_method": "private_key_jwt", "jwks": JWKS}
BY_HMAC = {"token_endpoint_auth_method": "client_secret_jwt"}
OWN = "x" * 40


@pytest.mark.parametrize("keys", [{"jwks": JWKS}, {"jwks_uri": JWKS_URI}])
def test_client_with_keys_has_no_secret(services: Services, keys: dict[str, Any]) -> None:
    client, secret = services.clients.add("Atosi", [CALLBACK], token_endpoint_auth_method="private_key_jwt", **keys)
    assert secret is None
    shown = services.clients.show(client.client_id)
    assert (shown.client_secret_hash, shown.client_secret_sealed) == (None, None)
    assert {name: getattr(shown, name) for name in keys} == keys


def test_secret_that_makes_hmacs_is_sealed_for_this_client_and_long_enough_for_each(services: Services) -> None:
    client, secret = services.clients.add("Atosi", [CALLBACK], **BY_HMAC)
    shown = services.clients.show(client.client_id)
    assert secret is not None and len(secret) >= 64 and shown.has_secret(secret)
    assert shown.client_secret_sealed is not None and secret.encode() not in shown.client_secret_sealed
    place = f"clients:{client.client_id}"
    assert services.envelope.open(shown.client_secret_sealed, place).decode() == secret


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_secret_that_is_only_compared_is_not_sealed(services: Services, method: str) -> None:
    client, secret = services.clients.add("Atosi", [CALLBACK], token_endpoint_auth_method=method)
    assert secret is not None and services.clients.show(client.client_id).client_secret_sealed is None


WEAK = {"kty": "RSA", "e": "AQAB", "n": RSA.as_dict(private=False)["n"][:171]}
REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"token_endpoint_auth_method": "private_key_jwt"}, "client.keys_missing"),
    (BY_KEY | {"jwks_uri": JWKS_URI}, "client.keys_in_two_places"),
    (BY_KEY | {"client_secret": OWN}, "client.key_instead_of_secret"),
    (BY_KEY | {"jwks": {}}, "client.jwks"),
    (BY_KEY | {"jwks": []}, "client.jwks"),
    (BY_KEY | {"jwks": {"keys": {}}}, "client.jwks"),
    (BY_KEY | {"jwks": {"keys": ["x"]}}, "client.jwks"),
    (BY_KEY | {"jwks": {"keys": []}}, "client.jwks_unusable"),
    (BY_KEY | {"jwks": {"keys": [WEAK]}}, "client.jwks_unusable"),
    (BY_KEY | {"jwks": {"keys": [ECKey.generate_key("P-384").as_dict(private=False)]}}, "client.jwks_unusable"),
    (BY_KEY | {"jwks": {"keys": [OKPKey.generate_key("X25519").as_dict(private=False)]}}, "client.jwks_unusable"),
    (BY_KEY | {"jwks": {"keys": [EC.as_dict(private=False) | {"use": "enc"}]}}, "client.jwks_unusable"),
    (BY_KEY | {"jwks": {"keys": [EC.as_dict(private=True)]}}, "client.jwks_private"),
    (BY_KEY | {"jwks": {"keys": [RSA.as_dict(private=True)]}}, "client.jwks_private"),
    ({"jwks": {"keys": [OctKey.generate_key(256).as_dict(private=True)]}}, "client.jwks_private"),
    (BY_KEY | {"jwks": {"keys": [EC.as_dict(private=False)], "x": "x" * 40_000}}, "client.jwks_too_large"),
    (
        BY_KEY | {"jwks": {"keys": [EC.as_dict(private=False)]}, "token_endpoint_auth_signing_alg": "PS256"},
        "client.jwks_unusable",
    ),
    (BY_KEY | {"token_endpoint_auth_signing_alg": "HS256"}, "client.auth_signing_algorithm"),
    (BY_KEY | {"token_endpoint_auth_signing_alg": "none"}, "client.auth_signing_algorithm"),
    (BY_HMAC | {"token_endpoint_auth_signing_alg": "RS256"}, "client.auth_signing_algorithm"),
    ({"token_endpoint_auth_signing_alg": "RS256"}, "client.auth_signing_algorithm"),
    (BY_HMAC | {"client_secret": OWN, "token_endpoint_auth_signing_alg": "HS512"}, "client.secret_too_weak"),
    ({"jwks_uri": "http://app.example/jwks"}, "client.redirect_uri_https"),
    ({"jwks_uri": "file:///etc/passwd"}, "client.redirect_uri_scheme"),
]


@pytest.mark.parametrize(("metadata", "message_key"), REFUSED)
def test_credentials_that_cannot_work_or_are_unsafe_are_refused(
    services: Services, metadata: dict[str, Any], message_key: str
) -> None:
    with pytest.raises(Refusals) as refused:
        services.clients.add("Atosi", [CALLBACK], **metadata)
    assert refused.value.message_keys == (message_key,)
    assert services.clients.list() == []


def test_keys_of_any_kind_may_be_published_by_who_signs_nothing(services: Services) -> None:
    encryption = {"keys": [EC.as_dict(private=False) | {"use": "enc"}]}
    client, secret = services.clients.add("Atosi", [CALLBACK], jwks=encryption)
    assert secret is not None and services.clients.show(client.client_id).jwks == encryption


def test_client_goes_over_to_keys_and_its_secret_is_forgotten(services: Services) -> None:
    _, old = services.clients.add("Atosi", [CALLBACK], client_id="atosi")
    _, secret = services.clients.set("atosi", **BY_KEY)
    shown = services.clients.show("atosi")
    assert old is not None and secret is None and not shown.has_secret(old)
    assert shown.token_endpoint_auth_method == "private_key_jwt" and shown.jwks == JWKS


def test_client_that_goes_over_to_hmacs_gets_a_new_secret_because_only_a_hash_is_left_of_the_old(
    services: Services,
) -> None:
    _, old = services.clients.add("Atosi", [CALLBACK], client_id="atosi")
    _, secret = services.clients.set("atosi", **BY_HMAC)
    shown = services.clients.show("atosi")
    assert old is not None and secret is not None and shown.has_secret(secret) and not shown.has_secret(old)
    assert shown.client_secret_sealed is not None


def test_client_that_goes_back_from_hmacs_keeps_its_secret_and_nothing_sealed(services: Services) -> None:
    _, old = services.clients.add("Atosi", [CALLBACK], client_id="atosi", **BY_HMAC)
    _, secret = services.clients.set("atosi", token_endpoint_auth_method="client_secret_post")
    shown = services.clients.show("atosi")
    assert old is not None and secret is None and shown.has_secret(old) and shown.client_secret_sealed is None


@pytest.mark.parametrize("before", [{}, BY_HMAC, BY_KEY])
def test_other_changes_leave_the_credentials_alone(services: Services, before: dict[str, Any]) -> None:
    added, old = services.clients.add("Atosi", [CALLBACK], client_id="atosi", **before)
    _, secret = services.clients.set("atosi", client_name="Nieuw")
    shown = services.clients.show("atosi")
    assert secret is None
    assert (shown.client_secret_hash, shown.client_secret_sealed, shown.jwks) == (
        added.client_secret_hash,
        added.client_secret_sealed,
        added.jwks,
    )
    assert old is None or shown.has_secret(old)


def test_keys_move_from_value_to_reference_in_one_step(services: Services) -> None:
    services.clients.add("Atosi", [CALLBACK], client_id="atosi", **BY_KEY)
    with pytest.raises(Refused, match="by jwks or by jwks_uri"):
        services.clients.set("atosi", jwks_uri=JWKS_URI)
    services.clients.set("atosi", jwks_uri=JWKS_URI, jwks=None)
    shown = services.clients.show("atosi")
    assert (shown.jwks, shown.jwks_uri) == (None, JWKS_URI)
