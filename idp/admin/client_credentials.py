"""What a client authenticates with: the secret it gets, and what is wrong with its choice (OIDC Core 9).

method                 keeps                     we keep
client_secret_basic    a secret                  its hash
client_secret_post     a secret                  its hash
client_secret_jwt      a secret                  its hash, and the secret sealed: an HMAC needs it
private_key_jwt        a private key             its public keys, by value or by reference
none                   nothing
"""

import json
import re

from idp.admin.refusals import Reasons
from idp.kernel.envelope import Envelope
from idp.kernel.secrets import hash_secret, random_token
from idp.oidc.clients import AUTHENTICATION_METHODS, Client, sealed_secret_place
from idp.oidc.signatures import ALGORITHMS_OF_METHOD, KEY_TYPES, LEAST_SECRET_BYTES, PRIVATE_MEMBERS, imported

CLIENT_SECRET = re.compile(r"[\x21-\x7e]{32,512}")
LARGEST_JWKS = 32 * 1024


def give_secret(client: Client, envelope: Envelope, given: str | None = None) -> str | None:
    """The client keeps what its method needs and nothing else. A secret that is new is returned, this once.

    One that the new method can go on with stays; an HMAC can only go on with a secret that is sealed.
    """
    method = client.token_endpoint_auth_method
    if method in ("none", "private_key_jwt"):
        client.client_secret_hash = client.client_secret_sealed = None
        return None
    is_hmac = method == "client_secret_jwt"
    kept = client.client_secret_sealed if is_hmac else client.client_secret_hash
    if given is None and kept is not None:
        client.client_secret_sealed = client.client_secret_sealed if is_hmac else None
        return None
    # Long enough for HS512 (RFC 7518 3.2).
    secret = given or random_token() + (random_token() if is_hmac else "")
    client.client_secret_hash = hash_secret(secret)
    client.client_secret_sealed = envelope.seal(secret.encode(), sealed_secret_place(client)) if is_hmac else None
    return secret


def check_credentials(client: Client, given_secret: str | None, wrong: Reasons) -> None:
    """Everything that is wrong with the method, the secret that was given, and the keys."""
    _check_method(client, wrong)
    _check_secret(client, given_secret, wrong)
    check_keys(client, wrong)


def _check_method(client: Client, wrong: Reasons) -> None:
    method, kind = client.token_endpoint_auth_method, client.application_type
    if method not in AUTHENTICATION_METHODS:
        wrong.add("client.auth_method", f"token_endpoint_auth_method is one of {', '.join(AUTHENTICATION_METHODS)}")
        return
    if kind == "web":
        wrong.unless(method != "none", "client.web_is_confidential", "a web client keeps a secret on its server")
    elif not (kind == "native" and client.registered_itself):
        # RFC 6749 2.1, RFC 8252 8.5: what is shipped to everybody is no secret. One that each installation registers
        # for itself is (RFC 8252 8.4).
        wrong.unless(method == "none", "client.cannot_keep_secret", f"a {kind} client cannot keep a secret: use none")
    if client.profile == "fapi2":
        # FAPI 2.0 Security Profile 5.3.2.1-6.
        wrong.unless(method == "private_key_jwt", "client.fapi2_auth_method", "a fapi2 client uses private_key_jwt")
    alg = client.token_endpoint_auth_signing_alg
    allowed = ALGORITHMS_OF_METHOD[client.profile].get(method, ())
    wrong.unless(
        alg is None or alg in allowed,
        "client.auth_signing_algorithm",
        f"token_endpoint_auth_signing_alg is for {method} one of {', '.join(allowed)}"
        if allowed
        else "token_endpoint_auth_signing_alg goes with private_key_jwt and client_secret_jwt",
    )


def _check_secret(client: Client, given: str | None, wrong: Reasons) -> None:
    if given is None:
        return
    method = client.token_endpoint_auth_method
    wrong.unless(method != "none", "client.public_has_no_secret", "a public client has no secret")
    wrong.unless(
        method != "private_key_jwt", "client.key_instead_of_secret", "with private_key_jwt a client has no secret"
    )
    least = LEAST_SECRET_BYTES.get(client.token_endpoint_auth_signing_alg or "HS256", 32)
    wrong.unless(
        CLIENT_SECRET.fullmatch(given) is not None and len(given) >= least,
        "client.secret_too_weak",
        f"a client secret of one's own has {least} to 512 printable ASCII characters",
    )


def check_keys(client: Client, wrong: Reasons) -> None:
    """Everything that is wrong with `jwks` and `jwks_uri`; the address itself is checked with all the others."""
    jwks = client.jwks
    needs_keys = client.token_endpoint_auth_method in ("private_key_jwt",)
    wrong.unless(
        jwks is None or client.jwks_uri is None, "client.keys_in_two_places", "keys are given by jwks or by jwks_uri"
    )
    if jwks is None:
        wrong.unless(
            not needs_keys or client.jwks_uri is not None,
            "client.keys_missing",
            "private_key_jwt needs the client's public keys: jwks or jwks_uri",
        )
        return
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not all(isinstance(key, dict) for key in keys):
        wrong.add("client.jwks", "jwks is a JWK Set: an object with a list of keys")
        return
    wrong.unless(
        not any(PRIVATE_MEMBERS & set(key) or key.get("kty") == "oct" for key in keys),
        "client.jwks_private",
        "jwks holds public keys only: this private key is known to others now, make a new one",
    )
    wrong.unless(
        len(json.dumps(jwks)) <= LARGEST_JWKS, "client.jwks_too_large", f"jwks has at most {LARGEST_JWKS} bytes"
    )
    kind = KEY_TYPES.get(client.token_endpoint_auth_signing_alg or "")
    usable = [key for key in imported(jwks) if kind in (None, key.key_type)]
    wrong.unless(
        bool(usable) or not needs_keys,
        "client.jwks_unusable",
        "jwks holds no key that can verify signatures here: RSA of 2048 bits or more, P-256 or Ed25519",
    )
