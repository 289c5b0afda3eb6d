"""What this provider says about itself (OIDC Discovery 3, RFC 8414 2, RFC 9207 3). It says only what is true here."""

from typing import Any

from idp.kernel.levels import AcrValues
from idp.oidc import claims, clients, dpop, keys, signatures
from idp.oidc.client_endpoint import METHODS
from idp.oidc.request_checks import PROMPT_VALUES, RESPONSE_MODES, RESPONSE_TYPES
from idp.oidc.signatures import ASYMMETRIC, HMAC

# Discovery 4: below the issuer, whose path comes first.
OPENID_CONFIGURATION = "/.well-known/openid-configuration"
PATHS = {
    "authorization_endpoint": "/authorize",
    "pushed_authorization_request_endpoint": "/par",
    "token_endpoint": "/token",
    "userinfo_endpoint": "/userinfo",
    "jwks_uri": "/jwks",
    "introspection_endpoint": "/introspect",
    "revocation_endpoint": "/revoke",
    "end_session_endpoint": "/end_session",
    # Our own extension: docs/relying-applications.md.
    "session_activity_endpoint": "/session/activity",
    "session_status_endpoint": "/session/status",
}
AUTHENTICATION_ALGORITHMS = (*ASYMMETRIC, *HMAC)
ID_TOKEN_CLAIMS = ("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash")


def metadata(issuer: str, highest_level: int, registers: bool = False) -> dict[str, Any]:
    """The provider's configuration; every URL stands under the issuer. `registers`: clients may register themselves."""
    return {
        "issuer": issuer,
        **{name: issuer + path for name, path in PATHS.items()},
        **({"registration_endpoint": f"{issuer}/register"} if registers else {}),
        "response_types_supported": list(RESPONSE_TYPES),
        "response_modes_supported": list(RESPONSE_MODES),
        "grant_types_supported": list(clients.GRANT_TYPES),
        "subject_types_supported": list(clients.SUBJECT_TYPES),
        "id_token_signing_alg_values_supported": list(keys.ALGORITHMS),
        "userinfo_signing_alg_values_supported": list(keys.ALGORITHMS),
        "introspection_signing_alg_values_supported": list(keys.ALGORITHMS),
        "token_endpoint_auth_methods_supported": list(METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(AUTHENTICATION_ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": [method for method in METHODS if method != "none"],
        "introspection_endpoint_auth_signing_alg_values_supported": list(AUTHENTICATION_ALGORITHMS),
        "revocation_endpoint_auth_methods_supported": list(METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": list(AUTHENTICATION_ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        "scopes_supported": list(clients.SCOPES),
        "claims_supported": list(dict.fromkeys((*ID_TOKEN_CLAIMS, *claims.SUPPORTED))),
        "acr_values_supported": AcrValues(issuer).supported(highest_level),
        "prompt_values_supported": list(PROMPT_VALUES),
        "display_values_supported": ["page"],
        "ui_locales_supported": ["nl", "en"],
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": True,
        "request_object_signing_alg_values_supported": list(signatures.ASYMMETRIC),
        "require_signed_request_object": False,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
        "authorization_response_iss_parameter_supported": True,
    }
