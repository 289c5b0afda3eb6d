"""The clients that both providers know, by the metadata of the specifications."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.client_assertions import jwks_of, key_of

CALLBACK, WITH_QUERY = "https://app.example/callback", "https://app.example/callback?of=two&x=1"
SIGNED_OUT = "https://app.example/signed-out"
RESOURCE, OTHER_RESOURCE = "https://api.example/orders", "https://api.example/invoices"
ALG = "ES256"
KEY = key_of(ALG)
KEYS = jwks_of(KEY, kid="signing", use="sig", alg=ALG)
SCOPE = "openid profile email"
WITHOUT_PEOPLE: Mapping[str, Any] = {"redirect_uris": [], "post_logout_redirect_uris": [], "response_types": []}

USUAL: Mapping[str, Any] = {
    "redirect_uris": [CALLBACK],
    "post_logout_redirect_uris": [SIGNED_OUT],
    "token_endpoint_auth_method": "client_secret_basic",
    "application_type": "web",
    "grant_types": ["authorization_code", "refresh_token"],
    "response_types": ["code"],
    "scope": SCOPE,
    "first_party": True,
    "require_pkce": True,
}
SIGNS: Mapping[str, Any] = {"token_endpoint_auth_method": "private_key_jwt", "jwks": KEYS}
STRICT: Mapping[str, Any] = {
    **SIGNS,
    "profile": "fapi2",
    "id_token_signed_response_alg": ALG,
    "require_pushed_authorization_requests": True,
    "dpop_bound_access_tokens": True,
}
# What each has instead of the usual.
DIFFERENT: Mapping[str, Mapping[str, Any]] = {
    "basic": {},
    "other": {},
    "post": {"token_endpoint_auth_method": "client_secret_post", "redirect_uris": [CALLBACK, WITH_QUERY]},
    "hmac": {"token_endpoint_auth_method": "client_secret_jwt"},
    "signing": SIGNS,
    "public": {"token_endpoint_auth_method": "none", "application_type": "browser"},
    "native": {
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/callback", "com.example.app:/callback"],
    },
    "stranger": {"first_party": False},
    # Third parties of which each is asked about for one question only: what somebody allowed is remembered.
    "denied": {"first_party": False},
    "remembered": {"first_party": False},
    "wanting": {"first_party": False},
    "lax": {"require_pkce": False},
    "short": {"grant_types": ["authorization_code"]},
    "offline": {"scope": f"{SCOPE} offline_access", "first_party": False},
    "bound": {"dpop_bound_access_tokens": True},
    "pushing": {"require_pushed_authorization_requests": True},
    "objects": {**SIGNS, "request_object_signing_alg": ALG, "require_signed_request_object": True},
    "told": {"userinfo_signed_response_alg": ALG, "introspection_signed_response_alg": ALG},
    "aged": {"default_max_age": 3600},
    "pairwise": {"subject_type": "pairwise"},
    "shop": {"resources": [RESOURCE, OTHER_RESOURCE]},
    "robot": {**WITHOUT_PEOPLE, "grant_types": ["client_credentials"], "scope": "orders:read orders:write"},
    "api": {**WITHOUT_PEOPLE, "grant_types": [], "scope": "", "resources": [RESOURCE]},
    "strict": STRICT,
}
CLIENTS: Mapping[str, Mapping[str, Any]] = {name: {**USUAL, **more} for name, more in DIFFERENT.items()}


def for_ours(client: Mapping[str, Any]) -> dict[str, Any]:
    """As the columns of our table (`tests.factories.Factories.client`)."""
    columns = dict(client)
    if "default_max_age" in columns:
        columns["default_max_age_seconds"] = columns.pop("default_max_age")
    if columns.get("subject_type") == "pairwise":
        columns["sector_identifier"] = "app.example"
    return columns


def for_peer(client_id: str, client: Mapping[str, Any], secret: str | None) -> dict[str, Any]:
    """As oidc-provider reads it: to the specifications an application in the page is a web application."""
    members = {**client, "client_id": client_id, **({"client_secret": secret} if secret else {})}
    if members["application_type"] == "browser":
        members["application_type"] = "web"
    if not members["scope"]:
        del members["scope"]
    return members
