"""What a provider could advertise: for each list of its metadata the values that specifications and registries know.

IANA: JSON Web Signature and Encryption Algorithms, OAuth Token Endpoint Authentication Methods, OAuth Authorization
Endpoint Response Types, PKCE Code Challenge Methods, OAuth URI, JSON Web Token Claims; OAuth 2.0 Multiple Response
Types, JARM, OpenID Connect Core 3.1.2.1, 5.1 and 5.4, Initiating User Registration 4.1. Some are made up.
`{issuer}` stands for the issuer.
"""

from collections.abc import Mapping, Sequence

HMAC = ("HS256", "HS384", "HS512")
SIGNATURES = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519", "Ed448"),
)
JWS = (*SIGNATURES, *HMAC, "none")
AUTHENTICATION = (
    *("client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt", "none"),
    *("tls_client_auth", "self_signed_tls_client_auth", "attest_jwt_client_auth"),
)
KEY_MANAGEMENT = ("RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A256KW", "A256KW", "dir")
CONTENT_ENCRYPTION = ("A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM")

VALUES: Mapping[str, Sequence[str]] = {
    "response_types_supported": (
        *("code", "token", "id_token", "none", "id_token token", "code id_token", "code token", "code id_token token"),
        *("vp_token", "vp_token id_token", "device_code"),
    ),
    "response_modes_supported": (
        *("query", "fragment", "form_post", "jwt", "query.jwt", "fragment.jwt", "form_post.jwt"),
        *("web_message", "direct_post", "direct_post.jwt", "QUERY"),
    ),
    "grant_types_supported": (
        *("authorization_code", "refresh_token", "client_credentials", "implicit", "password"),
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:saml2-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:ietf:params:oauth:grant-type:pre-authorized_code",
        "urn:ietf:params:oauth:grant-type:uma-ticket",
        "urn:openid:params:grant-type:ciba",
    ),
    "subject_types_supported": ("public", "pairwise", "ephemeral", "PUBLIC"),
    "id_token_signing_alg_values_supported": JWS,
    "userinfo_signing_alg_values_supported": JWS,
    "introspection_signing_alg_values_supported": JWS,
    "request_object_signing_alg_values_supported": JWS,
    "dpop_signing_alg_values_supported": JWS,
    **{f"{endpoint}_endpoint_auth_methods_supported": AUTHENTICATION for endpoint in ("token", "introspection")},
    "revocation_endpoint_auth_methods_supported": AUTHENTICATION,
    **{f"{endpoint}_endpoint_auth_signing_alg_values_supported": JWS for endpoint in ("token", "introspection")},
    "revocation_endpoint_auth_signing_alg_values_supported": JWS,
    "code_challenge_methods_supported": ("S256", "plain", "S512", "s256"),
    "scopes_supported": (
        *("openid", "profile", "email", "phone", "address", "offline_access"),
        *("online_access", "device_sso", "groups", "roles", "uma_protection", "OPENID"),
    ),
    "claims_supported": (
        *("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"),
        *("name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture"),
        *("website", "email", "email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number"),
        *("phone_number_verified", "address", "updated_at", "organisation_code", "organisation_name"),
        *("jti", "nbf", "azp", "c_hash", "s_hash", "sub_jwk", "act", "may_act", "cnf", "scope", "client_id"),
        *("roles", "groups", "entitlements", "nationalities", "place_of_birth", "birth_family_name", "title"),
        *("msisdn", "verified_claims", "txn", "vot", "entity", "password", "password_hash"),
    ),
    "acr_values_supported": (
        *("{issuer}/acr/1", "{issuer}/acr/2", "{issuer}/acr/3", "{issuer}/acr/0", "{issuer}/acr/4"),
        *("phr", "phrh", "0", "urn:mace:incommon:iap:silver", "https://elsewhere.example/acr/1"),
    ),
    "prompt_values_supported": ("none", "login", "consent", "select_account", "create", "register", "LOGIN"),
    "display_values_supported": ("page", "popup", "touch", "wap"),
    "ui_locales_supported": ("nl", "en", "de", "fr", "fy", "es"),
    "id_token_encryption_alg_values_supported": KEY_MANAGEMENT,
    "id_token_encryption_enc_values_supported": CONTENT_ENCRYPTION,
    "userinfo_encryption_alg_values_supported": KEY_MANAGEMENT,
    "userinfo_encryption_enc_values_supported": CONTENT_ENCRYPTION,
    "introspection_encryption_alg_values_supported": KEY_MANAGEMENT,
    "introspection_encryption_enc_values_supported": CONTENT_ENCRYPTION,
    "request_object_encryption_alg_values_supported": KEY_MANAGEMENT,
    "request_object_encryption_enc_values_supported": CONTENT_ENCRYPTION,
    "authorization_signing_alg_values_supported": JWS,
    "authorization_encryption_alg_values_supported": KEY_MANAGEMENT,
    "authorization_encryption_enc_values_supported": CONTENT_ENCRYPTION,
    "authorization_details_types_supported": ("payment_initiation", "openid_credential"),
}
