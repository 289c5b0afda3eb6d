"""Registration of clients by themselves, and its management."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from requests import Response

from tests.interop.differential.clients import CALLBACK, KEYS
from tests.interop.differential.normal_form import Answer, answered, arrived
from tests.interop.differential.question import Question
from tests.interop.differential.site import Site

RIGHT: Mapping[str, Any] = {"redirect_uris": [CALLBACK], "client_name": "App"}
# Members whose values both should answer with alike.
SHOWN = (
    "redirect_uris",
    "client_name",
    "response_types",
    "application_type",
    "token_endpoint_auth_method",
    "subject_type",
    "id_token_signed_response_alg",
    "default_max_age",
    "require_auth_time",
    "client_secret_expires_at",
)
# What every registered client has, and what providers may add.
USUAL = ("client_id", "client_id_issued_at", "registration_access_token", "registration_client_uri")
# With a member of our own, which the peer does not know.
NATIVE = {"application_type": "native", "token_endpoint_auth_method": "none", "session_activity": "none"}

DOCUMENTS: Mapping[str, Mapping[str, Any]] = {
    "right": {},
    "redirects-missing": {"redirect_uris": None},
    "redirects-empty": {"redirect_uris": []},
    "redirects-text": {"redirect_uris": CALLBACK},
    "redirects-numbers": {"redirect_uris": [5]},
    "redirect-fragment": {"redirect_uris": [f"{CALLBACK}#x"]},
    "redirect-empty-fragment": {"redirect_uris": [f"{CALLBACK}#"]},
    "redirect-relative": {"redirect_uris": ["/callback"]},
    "redirect-http": {"redirect_uris": ["http://app.example/callback"]},
    "redirect-localhost-of-a-web-client": {"redirect_uris": ["http://localhost/callback"]},
    "redirect-script": {"redirect_uris": ["javascript:alert(1)"]},
    "redirect-data-of-a-native-client": {**NATIVE, "redirect_uris": ["data:text/html,x"]},
    "redirect-script-of-a-native-client": {**NATIVE, "redirect_uris": ["javascript:alert(1)"]},
    "redirect-scheme-of-a-native-client": {**NATIVE, "redirect_uris": ["com.example.app:/callback"]},
    "redirect-short-scheme-of-a-native-client": {**NATIVE, "redirect_uris": ["myapp:/callback"]},
    "redirect-loopback-of-a-native-client": {**NATIVE, "redirect_uris": ["http://127.0.0.1/callback"]},
    "redirect-http-of-a-native-client": {**NATIVE, "redirect_uris": ["http://app.example/callback"]},
    "redirect-https-of-a-native-client": {**NATIVE, "redirect_uris": [CALLBACK]},
    "redirect-user": {"redirect_uris": ["https://user@app.example/callback"]},
    "redirect-wildcard": {"redirect_uris": ["https://*.app.example/callback"]},
    "redirect-space": {"redirect_uris": ["https://app.example/call back"]},
    "redirect-query": {"redirect_uris": [f"{CALLBACK}?x=1"]},
    "redirect-twice-the-same": {"redirect_uris": [CALLBACK, CALLBACK]},
    "type-unknown": {"application_type": "magic"},
    "grant-unknown": {"grant_types": ["magic"]},
    "grant-refresh-too": {"grant_types": ["authorization_code", "refresh_token"]},
    "grant-implicit": {"grant_types": ["implicit"], "response_types": ["id_token"]},
    "grant-text": {"grant_types": "authorization_code"},
    "grants-without-code": {"grant_types": ["refresh_token"], "response_types": ["code"]},
    "response-type-unknown": {"response_types": ["magic"]},
    "response-type-hybrid": {"response_types": ["code id_token"]},
    "method-unknown": {"token_endpoint_auth_method": "magic"},
    "method-post": {"token_endpoint_auth_method": "client_secret_post"},
    "method-hmac": {"token_endpoint_auth_method": "client_secret_jwt"},
    "method-none": {"token_endpoint_auth_method": "none"},
    "method-none-and-a-member-of-our-own": {"token_endpoint_auth_method": "none", "session_activity": "none"},
    "method-signed": {"token_endpoint_auth_method": "private_key_jwt", "jwks": KEYS},
    "method-signed-without-keys": {"token_endpoint_auth_method": "private_key_jwt"},
    "keys-twice": {"jwks": KEYS, "jwks_uri": "https://app.example/jwks"},
    "keys-text": {"jwks": "keys"},
    "keys-none": {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": []}},
    "keys-private": {
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [{**KEYS["keys"][0], "d": "AAAA"}]},
    },
    "keys-symmetric": {
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": {"keys": [{"kty": "oct", "k": "AAAA"}]},
    },
    "signing-algorithm-of-the-method-wrong": {
        "token_endpoint_auth_method": "private_key_jwt",
        "jwks": KEYS,
        "token_endpoint_auth_signing_alg": "HS256",
    },
    "id-token-algorithm": {"id_token_signed_response_alg": "ES256"},
    "id-token-algorithm-none": {"id_token_signed_response_alg": "none"},
    "id-token-algorithm-unknown": {"id_token_signed_response_alg": "XS256"},
    "id-token-encrypted": {"id_token_encrypted_response_alg": "RSA-OAEP"},
    "userinfo-algorithm": {"userinfo_signed_response_alg": "ES256"},
    "subject-pairwise": {"subject_type": "pairwise"},
    "subject-unknown": {"subject_type": "magic"},
    "pairwise-of-two-hosts": {
        "subject_type": "pairwise",
        "redirect_uris": [CALLBACK, "https://other.example/callback"],
    },
    "sector-http": {"subject_type": "pairwise", "sector_identifier_uri": "http://app.example/sector"},
    "max-age": {"default_max_age": 60},
    "max-age-negative": {"default_max_age": -1},
    "max-age-text": {"default_max_age": "60"},
    "auth-time": {"require_auth_time": True},
    "auth-time-text": {"require_auth_time": "true"},
    "acr-unknown": {"default_acr_values": ["magic"]},
    "scope": {"scope": "openid profile"},
    "scope-unknown": {"scope": "openid magic"},
    "scope-without-openid": {"scope": "profile"},
    "contacts": {"contacts": ["somebody@app.example"]},
    "contacts-text": {"contacts": "somebody@app.example"},
    "uris-http": {"client_uri": "http://app.example/", "policy_uri": "http://app.example/p"},
    "uris-script": {"client_uri": "javascript:alert(1)"},
    "logo-no-uri": {"logo_uri": "logo"},
    "initiate-http": {"initiate_login_uri": "http://app.example/login"},
    "initiate-https": {"initiate_login_uri": "https://app.example/login"},
    "logout-redirects": {"post_logout_redirect_uris": ["https://app.example/signed-out"]},
    "logout-redirect-fragment": {"post_logout_redirect_uris": ["https://app.example/signed-out#x"]},
    "logout-redirect-relative": {"post_logout_redirect_uris": ["/signed-out"]},
    "backchannel": {"backchannel_logout_uri": "https://app.example/bc", "backchannel_logout_session_required": True},
    "backchannel-fragment": {"backchannel_logout_uri": "https://app.example/bc#x"},
    "pushing": {"require_pushed_authorization_requests": True},
    "pushing-text": {"require_pushed_authorization_requests": "yes"},
    "bound": {"dpop_bound_access_tokens": True},
    "object-algorithm-none": {"request_object_signing_alg": "none"},
    "name-in-a-language": {"client_name#nl": "Toepassing"},
    "name-number": {"client_name": 5},
    "unknown-member": {"magic": 1},
    "secret-chosen": {"client_secret": "chosen"},
    "identifier-chosen": {"client_id": "chosen"},
    "statement": {"software_statement": "a.b.c"},
    "null-members": {"client_uri": None, "contacts": None},
    "client-credentials": {"redirect_uris": [], "response_types": [], "grant_types": ["client_credentials"]},
}
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "right": {},
    "name": {"client_name": "Another"},
    "redirects": {"redirect_uris": [f"{CALLBACK}/two"]},
    "redirect-wrong": {"redirect_uris": ["javascript:alert(1)"]},
    "identifier-left-out": {"client_id": None},
    "identifier-other": {"client_id": "other"},
    "secret-other": {"client_secret": "chosen"},
    "secret-left-out": {"client_secret": None},
    "token-too": {"registration_access_token": "x"},
    "address-too": {"registration_client_uri": "https://app.example/"},
    "issued-at-too": {"client_id_issued_at": 1},
    "expires-at-too": {"client_secret_expires_at": 0},
}


def questions() -> Iterator[Question]:
    for name, changes in DOCUMENTS.items():
        yield Question(f"registration/{name}", _registered(changes))
    for name, body in {"no-json": "{", "list": "[]", "text": '"x"', "empty": "", "twice": '{"a": 1, "a": 2}'}.items():
        yield Question(f"registration/body-{name}", _of_type("application/json", body))
    yield Question("registration/body-of-a-form", _of_type("application/x-www-form-urlencoded", "client_name=x"))
    yield Question("registration/body-without-type", _of_type(None, "{}"))
    for method in ("GET", "PUT", "DELETE"):
        yield Question(f"registration/method-{method.lower()}", _by_method(method))
    yield Question("registration/then-read", _then("GET"))
    yield Question("registration/then-read-without-token", _then("GET", token=""))
    yield Question("registration/then-read-with-a-wrong-token", _then("GET", token="wrong"))
    yield Question("registration/then-read-with-the-token-of-another", _with_the_token_of_another)
    yield Question("registration/then-read-somebody-unknown", _unknown)
    yield Question("registration/then-deleted", _then("DELETE"))
    yield Question("registration/then-deleted-without-token", _then("DELETE", token=""))
    yield Question("registration/then-deleted-and-read", _deleted_and_read)
    yield Question("registration/then-posted", _then("POST"))
    yield Question("registration/then-patched", _then("PATCH"))
    yield Question("registration/then-authorized", _then_authorized)
    for name, changes in CHANGES.items():
        yield Question(f"registration/replaced-{name}", _replaced(changes))
    yield Question("registration/replaced-by-a-form", _replaced_by_a_form)


def _normal(answer: Response) -> Answer:
    found = dict(answered(answer, *SHOWN))
    if answer.ok and "client_id" in found.get("members", ()):
        # Which defaults a provider names is its own affair (RFC 7591 3.2.1); which of these it gives is not.
        found["members"] = [name for name in (*USUAL, "client_secret") if name in answer.json()]
    return found


def _document(changes: Mapping[str, Any]) -> dict[str, Any]:
    # None in `null-members` is meant: it is sent.
    left_out = {name for name, value in changes.items() if value is None and name in RIGHT}
    return {name: value for name, value in {**RIGHT, **changes}.items() if name not in left_out}


def _register(site: Site, changes: Mapping[str, Any]) -> Response:
    return site.json("POST", site.address("registration"), _document(changes))


def _registered(changes: Mapping[str, Any]) -> Callable[[Site], Answer]:
    return lambda site: _normal(_register(site, changes))


def _of_type(content_type: str | None, body: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        headers = {"Content-Type": content_type} if content_type else {}
        return _normal(site.send("POST", "registration", headers=headers, body=body.encode()))

    return ask


def _by_method(method: str) -> Callable[[Site], Answer]:
    return lambda site: {"status": site.send(method, "registration").status_code}


def _then(method: str, token: str | None = None) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        client = _register(site, {}).json()
        shown = client["registration_access_token"] if token is None else token
        headers = {"Authorization": f"Bearer {shown}"} if shown else {}
        answer = site.send(method, client["registration_client_uri"], headers=headers)
        return {"status": answer.status_code} if method in ("POST", "PATCH") else _normal(answer)

    return ask


def _with_the_token_of_another(site: Site) -> Answer:
    client, other = _register(site, {}).json(), _register(site, {}).json()
    headers = {"Authorization": f"Bearer {other['registration_access_token']}"}
    return _normal(site.get(client["registration_client_uri"], headers))


def _unknown(site: Site) -> Answer:
    client = _register(site, {}).json()
    headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
    return _normal(site.get(client["registration_client_uri"].replace(client["client_id"], "nobody"), headers))


def _deleted_and_read(site: Site) -> Answer:
    client = _register(site, {}).json()
    headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
    site.send("DELETE", client["registration_client_uri"], headers=headers)
    return _normal(site.get(client["registration_client_uri"], headers))


def _then_authorized(site: Site) -> Answer:
    client = _register(site, {}).json()
    parameters = {**site.parameters("basic"), "client_id": client["client_id"]}
    return arrived(site.sign_in(site.browser().open(site.authorization_url(parameters))), site.issuer)


def _replaced(changes: Mapping[str, Any]) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        client = _register(site, {}).json()
        kept = {"client_id": client["client_id"], "client_secret": client["client_secret"]}
        document = {name: value for name, value in {**RIGHT, **kept, **changes}.items() if value is not None}
        return _normal(
            site.json("PUT", client["registration_client_uri"], document, client["registration_access_token"])
        )

    return ask


def _replaced_by_a_form(site: Site) -> Answer:
    client = _register(site, {}).json()
    headers = {"Authorization": f"Bearer {client['registration_access_token']}"}
    return _normal(site.send("PUT", client["registration_client_uri"], {"client_id": client["client_id"]}, headers))
