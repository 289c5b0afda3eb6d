"""Clients register themselves (RFC 7591, OpenID Connect Registration 1.0; demands E2, 64 and 66; A55, A58)."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from idp.admin.registration import NEW
from idp.admin.registration_request import Judge, Rules
from idp.audit.events import ClientRegistration, InitialAccessTokenChanged
from idp.audit.trail import events
from idp.kernel.clock import FixedClock
from idp.kernel.errors import ProtocolError, Refused
from idp.oidc.clients import Client
from tests import canary
from tests.client_assertions import in_body, jwks_of, key_of
from tests.conftest import ISSUER, START
from tests.factories import Factories
from tests.oidc.journeys import Provider, RelyingParty, body, form_encoded
from tests.oidc.registering import CALLBACK, METADATA, Registrations, some_client

DISCOVERY = "/.well-known/openid-configuration"
NATIVE: dict[str, Any] = {
    "application_type": "native",
    "token_endpoint_auth_method": "none",
    "session_activity": "none",
    "redirect_uris": ["com.example.app:/callback"],
}
JWK = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}


@pytest.fixture
def mode() -> str:
    return "open"


@pytest.fixture
def settings_values(mode: str) -> dict[str, Any]:
    return {"registration": {"mode": mode, "max_per_minute": 100}}


@pytest.fixture
def registrations(app: Flask) -> Registrations:
    return Registrations(app)


@pytest.fixture
def initial_token(registrations: Registrations) -> Callable[..., str]:
    def make(**options: Any) -> str:
        with registrations.app.app_context():
            _, token = registrations.services.initial_access_tokens.add("een leverancier", **options)
        canary.knows(token)
        return token

    return make


# What is answered


@pytest.mark.demand("E2", 64)
def test_registration_of_the_certification_suite_is_answered_as_it_wants(registrations: Registrations) -> None:
    answer = registrations.post()
    assert answer.status_code == 201 and answer.content_type == "application/json"
    assert (answer.headers["Cache-Control"], answer.headers["Pragma"]) == ("no-store", "no-cache")
    assert "Access-Control-Allow-Origin" not in answer.headers and "Set-Cookie" not in answer.headers
    told = body(answer, 201)
    assert METADATA.items() <= told.items()
    assert len(told["client_id"]) == 22 and len(told["client_secret"]) == 43
    assert told["client_secret_expires_at"] == 0
    assert told["client_id_issued_at"] == int(START.timestamp())
    assert told["registration_client_uri"] == f"{ISSUER}/register/{told['client_id']}"
    assert len(told["registration_access_token"]) == 43


@pytest.mark.demand(53, 64)
def test_defaults_are_echoed(registrations: Registrations) -> None:
    # RFC 7591 2, OpenID Connect Registration 2.
    told = body(registrations.post({"redirect_uris": [CALLBACK]}), 201)
    assert {name: told[name] for name in told if not name.startswith(("client_", "registration_"))} == {
        "redirect_uris": [CALLBACK],
        "response_types": ["code"],
        "grant_types": ["authorization_code"],
        "application_type": "web",
        "scope": "openid profile email phone address",
        "subject_type": "public",
        "id_token_signed_response_alg": "RS256",
        "token_endpoint_auth_method": "client_secret_basic",
        "require_auth_time": False,
        "require_signed_request_object": False,
        "require_pushed_authorization_requests": False,
        "dpop_bound_access_tokens": False,
        "backchannel_logout_session_required": False,
        "frontchannel_logout_session_required": False,
        "session_activity": "none",
        "profile": "oidc",
    }
    assert told["client_name"] == "rp.example"


EVERYTHING: dict[str, Any] = {
    **METADATA,
    "grant_types": ["authorization_code", "refresh_token"],
    "client_uri": "https://rp.example/",
    "policy_uri": "https://rp.example/policy",
    "tos_uri": "https://rp.example/terms",
    "logo_uri": "https://rp.example/logo.png",
    "scope": "openid email",
    "jwks": {"keys": [JWK]},
    "id_token_signed_response_alg": "ES256",
    "default_max_age": 3600,
    "require_auth_time": True,
    "default_acr_values": [f"{ISSUER}/acr/2"],
    "initiate_login_uri": "https://rp.example/login",
    "post_logout_redirect_uris": ["https://rp.example/signed-out"],
    "backchannel_logout_uri": "https://rp.example/backchannel",
    "backchannel_logout_session_required": True,
    "frontchannel_logout_uri": "https://rp.example/frontchannel",
    "frontchannel_logout_session_required": True,
    "software_id": "4NRB1-0XZABZI9E6-5SM3R",
    "software_version": "2.1",
    "session_activity": "none",
    "client_name#nl": "Een derde",
    "policy_uri#nl": "https://rp.example/beleid",
}


@pytest.mark.demand(64, 65)
def test_all_registered_metadata_is_echoed_and_can_be_read(registrations: Registrations) -> None:
    told = body(registrations.post(EVERYTHING), 201)
    assert EVERYTHING.items() <= told.items()
    answer = registrations.send("GET", f"/register/{told['client_id']}", token=told["registration_access_token"])
    assert body(answer) == {name: value for name, value in told.items() if name != "client_secret"}


def test_what_is_unknown_is_neither_kept_nor_echoed_and_null_is_as_good_as_absent(registrations: Registrations) -> None:
    sent = {
        **METADATA,
        "client_uri": None,
        "client_name#nl": None,
        "favourite_colour": "blue",
        "redirect_uris#nl": ["https://evil.example/"],
        "first_party": True,
        "require_pkce": False,
        "minimum_acr": 3,
        "access_token_format": "jwt",
        "client_id": "atosi",
        "client_secret": "a-secret-of-my-own-that-is-long-enough",
        "registration_access_token": "x" * 43,
    }
    told = body(registrations.post(sent), 201)
    assert not {"client_uri", "favourite_colour", "redirect_uris#nl", "first_party", "client_name#nl"} & set(told)
    row = registrations.row(told["client_id"])
    assert row.localized == {} and not row.first_party and row.require_pkce and row.minimum_acr is None
    # A58: nobody chooses a client_id, or a secret.
    assert told["client_id"] != "atosi" and told["client_secret"] != sent["client_secret"]
    assert told["registration_access_token"] != "x" * 43


def test_secret_and_token_are_kept_as_hashes_only(registrations: Registrations) -> None:
    told = registrations.registered()
    row = registrations.row(told["client_id"])
    assert row.has_secret(told["client_secret"]) and row.client_secret_sealed is None
    assert row.registration_access_token_hash is not None and len(row.registration_access_token_hash) == 32


@pytest.mark.demand(64)
def test_client_without_a_secret_is_given_none(registrations: Registrations) -> None:
    told = registrations.registered(**NATIVE)
    assert not {"client_secret", "client_secret_expires_at"} & set(told)
    assert told["application_type"] == "native"


def test_web_client_without_a_secret_runs_in_the_page(registrations: Registrations) -> None:
    told = registrations.registered(token_endpoint_auth_method="none")
    assert told["application_type"] == "web" and "client_secret" not in told
    assert registrations.row(told["client_id"]).application_type == "browser"


def test_native_client_that_registers_each_installation_may_keep_a_secret(registrations: Registrations) -> None:
    # RFC 8252 8.4; the default of RFC 7591 is client_secret_basic.
    told = registrations.registered(**{**NATIVE, "token_endpoint_auth_method": None})
    assert told["token_endpoint_auth_method"] == "client_secret_basic" and told["client_secret"]


def test_registered_client_signs_somebody_in_with_consent(registrations: Registrations, clock: FixedClock) -> None:
    provider = Provider(registrations.app, clock, Factories(registrations.app))
    party = RelyingParty(provider, some_client(registrations.registered()))
    browser, who = provider.browser(), provider.somebody()
    answer = browser.sign_in(party, who)
    assert any(page.request.path.endswith("/consent") for page in browser.seen)
    assert provider.claims(body(party.redeem(answer.values["code"]))["id_token"])["sub"] == who.sub


@pytest.mark.demand("E2", 51)
@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "private_key_jwt"])
def test_client_of_the_certification_suite_registers_with_a_bare_key_works_and_leaves(
    registrations: Registrations, clock: FixedClock, method: str
) -> None:
    # One RSA key that names neither itself nor its algorithm.
    provider = Provider(registrations.app, clock, Factories(registrations.app))
    (jwk,) = jwks_of(key_of("RS256"))["keys"]
    jwks = {"keys": [{name: jwk[name] for name in ("kty", "n", "e")}]}
    told = registrations.registered(jwks=jwks, token_endpoint_auth_method=method)
    assert told["jwks"] == jwks and ("client_secret" in told) == (method != "private_key_jwt")
    assert ("client_secret_expires_at" in told) == ("client_secret" in told)
    party, browser = RelyingParty(provider, some_client(told), method), provider.browser()
    code = browser.sign_in(party, provider.somebody()).values["code"]
    if method == "private_key_jwt":
        shown = {**party.code_request(code), **in_body(party.assertion("RS256"))}
        assert "kid" not in json.loads(urlsafe_b64decode(shown["client_assertion"].partition(".")[0] + "=="))
        tokens = body(provider.post("/token", form_encoded(shown)))
    else:
        tokens = body(party.redeem(code))
    assert provider.decoded(tokens["id_token"]).header["alg"] == "RS256"
    assert body(provider.userinfo(tokens["access_token"]))["sub"]
    path, token = f"/register/{told['client_id']}", told["registration_access_token"]
    assert told["registration_client_uri"] == ISSUER + path
    assert registrations.send("DELETE", path, token=token).status_code == 204
    assert registrations.send("GET", path, token=token).status_code == 401


@pytest.mark.demand(49)
def test_registered_client_may_come_while_nobody_is_signed_in(registrations: Registrations, clock: FixedClock) -> None:
    # As refresh-token-rp-key-rotation and the tests of refresh tokens ask for it.
    provider = Provider(registrations.app, clock, Factories(registrations.app))
    assert "refresh_token" in body(registrations.send("GET", DISCOVERY))["grant_types_supported"]
    told = registrations.registered(grant_types=["authorization_code", "refresh_token"])
    party, browser = RelyingParty(provider, some_client(told)), provider.browser()
    who, scope = provider.somebody(), "openid offline_access"
    answer = browser.sign_in(party, who, scope=scope, prompt="consent")
    tokens = body(party.redeem(answer.values["code"]))
    assert set(tokens["scope"].split()) == set(scope.split())
    clock.move(timedelta(hours=2))
    refreshed = body(party.refresh(tokens["refresh_token"]))
    assert body(provider.userinfo(refreshed["access_token"]))["sub"] == who.sub


def test_registration_leaves_an_event(registrations: Registrations) -> None:
    told = registrations.registered()
    with registrations.app.app_context(), registrations.services.units.reading() as unit:
        (event,) = events(unit, ClientRegistration)
    assert (event.client_id, event.details["change"]) == (told["client_id"], "registered")


# Who may


@pytest.mark.parametrize("mode", ["off"])
@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
def test_nothing_is_there_where_nobody_may_register(registrations: Registrations, method: str) -> None:
    answer = registrations.send(method, "/register" if method == "POST" else "/register/atosi", METADATA, "x")
    assert body(answer, 404) == {"error": "invalid_request"}
    assert "registration_endpoint" not in body(registrations.send("GET", DISCOVERY))


@pytest.mark.parametrize("mode", ["open", "token"])
def test_discovery_names_the_endpoint_where_somebody_may(registrations: Registrations) -> None:
    assert body(registrations.send("GET", DISCOVERY))["registration_endpoint"] == f"{ISSUER}/register"


@pytest.mark.parametrize("mode", ["token"])
def test_without_a_good_token_nobody_registers_and_the_answer_is_a_challenge(
    registrations: Registrations, initial_token: Callable[..., str], clock: FixedClock
) -> None:
    expired, used_up, revoked = (initial_token(lifetime=timedelta(hours=1)), initial_token(uses=1), initial_token())
    registrations.registered(used_up)
    with registrations.app.app_context():
        registrations.services.initial_access_tokens.revoke(3)
    clock.move(timedelta(hours=1))
    before = registrations.rows()
    for token in (None, "", "x" * 43, expired, used_up, revoked):
        answer = registrations.post(METADATA, token)
        assert answer.status_code == 401, token
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="register"')
        assert answer.headers["Cache-Control"] == "no-store"
    assert registrations.rows() == before


@pytest.mark.demand(68)
@pytest.mark.parametrize("mode", ["token"])
def test_token_counts_its_registrations_and_only_those_that_succeed(
    registrations: Registrations, initial_token: Callable[..., str]
) -> None:
    token = initial_token(uses=2)
    assert registrations.refused({**METADATA, "redirect_uris": ["https://rp.example/#a"]}, token)
    told = registrations.registered(token)
    registrations.registered(token)
    assert registrations.post(METADATA, token).status_code == 401
    assert registrations.row(told["client_id"]).registered_with == 1
    with registrations.app.app_context(), registrations.services.units.reading() as unit:
        assert [event.details["registered_with"] for event in events(unit, ClientRegistration)] == [1, 1]
        assert [event.details["change"] for event in events(unit, InitialAccessTokenChanged)] == ["added"]


@pytest.mark.parametrize("mode", ["token", "open"])
def test_token_without_a_number_of_uses_is_good_for_any(
    registrations: Registrations, initial_token: Callable[..., str]
) -> None:
    token = initial_token(uses=None)
    assert len({registrations.registered(token)["client_id"] for _ in range(3)}) == 3


def test_wrong_token_is_refused_where_none_is_needed_too(registrations: Registrations) -> None:
    assert registrations.post(METADATA, "x" * 43).status_code == 401


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"label": " "}, "client_token.label"),
        ({"label": "a\nb"}, "client_token.label"),
        ({"label": "a", "uses": 0}, "client_token.uses"),
        ({"label": "a", "lifetime": timedelta(0)}, "client_token.lifetime"),
    ],
)
def test_initial_access_token_that_means_nothing_is_refused(
    registrations: Registrations, values: dict[str, Any], key: str
) -> None:
    with registrations.app.app_context(), pytest.raises(Refused) as refused:
        registrations.services.initial_access_tokens.add(**values)
    assert refused.value.message_key == key


@pytest.mark.demand(68)
def test_a_hundred_registrations_a_minute_are_taken_from_one_source_and_no_more(
    registrations: Registrations, clock: FixedClock
) -> None:
    for _ in range(100):
        registrations.registered()
    answer = registrations.post()
    assert body(answer, 429) == {"error": "temporarily_unavailable"}
    assert 0 < int(answer.headers["Retry-After"]) <= 60
    clock.move(timedelta(minutes=1))
    registrations.registered()


# What is refused

REDIRECT_URIS: list[str] = [
    # A55, demand 66.
    "https://rp.example/callback#fragment",
    "https://rp.example/callback#",
    "http://rp.example/callback",
    "https://user@rp.example/callback",
    "https://rp.example@evil.example/",
    "https://rp.example\\@evil.example/",
    "https://rp.example/%00\x00",
    "https://*.rp.example/callback",
    "https://rp.example/call back",
    "https://r\u00fc.example/callback",
    "https:///callback",
    "//rp.example/callback",
    "/callback",
    "callback",
    "javascript:alert(1)",
    "data:text/html,x",
    "urn:ietf:wg:oauth:2.0:oob",
    "com.example.app:/callback",
    "http://localhost/callback",
    "https://localhost/callback",
    "http://127.0.0.1/callback",
    "http://[::1]/callback",
    "https://[::1/callback",
    "https://rp.example:port/callback",
    f"https://{'a' * 243}.rp.example/callback",
]


@pytest.mark.demand(66)
@pytest.mark.parametrize("uri", REDIRECT_URIS)
def test_redirect_uri_of_a_web_client_that_must_not_be_is_refused(registrations: Registrations, uri: str) -> None:
    before = registrations.rows()
    error = registrations.refused({**METADATA, "redirect_uris": [CALLBACK, uri]})
    # What is no text of a line at all is no redirect URI either.
    assert error == ("invalid_client_metadata" if "\x00" in uri else "invalid_redirect_uri")
    assert registrations.rows() == before


def test_host_that_is_as_long_as_a_host_can_be_is_taken(registrations: Registrations) -> None:
    # RFC 1035 2.3.4, without the dot at the end.
    uri = f"https://{'a' * 242}.rp.example/callback"
    assert registrations.registered(redirect_uris=[uri])["redirect_uris"] == [uri]


def test_one_that_anybody_registers_has_no_more_than_ten_redirect_uris_and_few_origins(
    registrations: Registrations,
) -> None:
    # Each stands with its host in a row and an index of its own: 50 of 1900 characters took 218 KB of database.
    uris = [f"https://{number:0242}.rp.example/callback" for number in range(11)]
    in_a_page = {**METADATA, "token_endpoint_auth_method": "none", "session_activity": "none"}
    before = registrations.rows()
    answer = registrations.post({**in_a_page, "redirect_uris": uris})
    assert answer.status_code == 400 and "at most 10 redirect_uris" in body(answer, 400)["error_description"]
    assert registrations.rows() == before
    assert registrations.post({**in_a_page, "redirect_uris": uris[:10]}).status_code == 201
    assert registrations.rows()["client_origins"] == 10


@pytest.mark.parametrize("uri", ["com.example.app:/callback", "http://127.0.0.1/callback", "http://localhost:8080/"])
def test_redirect_uri_of_a_native_client_may_be_its_own_scheme_or_loopback(
    registrations: Registrations, uri: str
) -> None:
    assert registrations.registered(**{**NATIVE, "redirect_uris": [uri]})["redirect_uris"] == [uri]


@pytest.mark.parametrize(
    "uri", ["app:/callback", "http://rp.example/", "com.example.app:/callback#a", "javascript.a:x#"]
)
def test_redirect_uri_of_a_native_client_is_not_just_anything(registrations: Registrations, uri: str) -> None:
    assert registrations.refused({**METADATA, **NATIVE, "redirect_uris": [uri]}) == "invalid_redirect_uri"


REFUSED: list[dict[str, Any]] = [
    {"initiate_login_uri": "http://rp.example/login"},  # demand 66
    {"initiate_login_uri": "http://localhost/login"},
    {"grant_types": ["implicit"], "response_types": ["id_token"]},
    {"grant_types": ["authorization_code", "password"]},
    {"grant_types": ["refresh_token"], "response_types": ["code"]},
    {"grant_types": []},
    {"grant_types": [], "response_types": [], "redirect_uris": [], "scope": " "},
    {"grant_types": ["client_credentials"], "response_types": [], "scope": "orders"},
    {"grant_types": ["authorization_code", "client_credentials"], "scope": "openid orders"},
    {"response_types": ["code id_token"]},
    {"response_types": []},
    {"application_type": "browser"},
    {"application_type": "spa"},
    {"token_endpoint_auth_method": "tls_client_auth"},
    {"token_endpoint_auth_signing_alg": "none"},
    {"id_token_signed_response_alg": "none"},
    {"id_token_signed_response_alg": "HS256"},
    {"userinfo_signed_response_alg": "none"},
    {"request_object_signing_alg": "none"},
    {"subject_type": "ephemeral"},
    {"profile": "fapi9"},
    {"profile": "fapi2"},  # needs a key of the client's own
    {"scope": "openid admin"},
    {"scope": "email"},
    {"session_activity": "always"},
    {"session_activity": "reported"},
    {"session_activity": "token_refresh", "grant_types": ["authorization_code", "refresh_token"]},
    {"jwks": {"keys": [JWK]}, "jwks_uri": "https://rp.example/jwks"},
    {"jwks": {"keys": [{**JWK, "d": "x"}]}},
    {"jwks": {"keys": "x"}},
    {"jwks_uri": "http://rp.example/jwks"},
    {"logo_uri": "javascript:alert(1)"},
    {"logo_uri": "http://rp.example/logo.png"},
    {"policy_uri": "data:text/html,x"},
    {"policy_uri#nl": "javascript:alert(1)"},
    {"tos_uri#en-GB": "http://evil.example/"},
    {"sector_identifier_uri": "http://rp.example/sector"},
    {"backchannel_logout_uri": "http://rp.example/logout"},
    {"frontchannel_logout_uri": "https://evil.example/logout"},
    {"post_logout_redirect_uris": ["https://rp.example/#a"]},
    {"request_uris": ["http://rp.example/request"]},
    {"default_max_age": -1},
    {"default_max_age": 2**31},
    {"default_max_age": True},
    {"default_max_age": 1.5},
    {"default_max_age": "60"},
    {"require_auth_time": "true"},
    {"contacts": "ops@rp.example"},
    {"contacts": [None]},
    {"contacts": ["a"] * 51},
    {"redirect_uris": [CALLBACK, CALLBACK]},
    {"redirect_uris": {"a": CALLBACK}},
    {"client_name": ""},
    {"client_name": "a" * 201},
    {"client_name": "a\u202eb"},
    {"client_name": 7},
    {"client_name#nl": ["a"]},
    {"client_uri": "https://rp.example/" + "a" * 2000},
    {"software_id": "a" * 201},
]


@pytest.mark.demand(66)
@pytest.mark.parametrize("changes", REFUSED, ids=str)
def test_metadata_that_must_not_be_is_refused_and_nothing_is_written(
    registrations: Registrations, changes: dict[str, Any]
) -> None:
    before = registrations.rows()
    assert registrations.refused({**METADATA, **changes}) == "invalid_client_metadata"
    assert registrations.rows() == before


@pytest.mark.parametrize("redirect_uris", [None, []])
def test_missing_redirect_uri_is_refused(registrations: Registrations, redirect_uris: Any) -> None:
    assert registrations.refused({**METADATA, "redirect_uris": redirect_uris}) == "invalid_redirect_uri"


@pytest.mark.parametrize(
    ("statement", "error"), [("e30.e30.e30", "unapproved"), ("x", "invalid"), (7, "invalid"), ({}, "invalid")]
)
def test_software_statement_is_not_approved(registrations: Registrations, statement: Any, error: str) -> None:
    # RFC 7591 3.2.2.
    sent = {**METADATA, "software_statement": statement}
    assert registrations.refused(sent) == f"{error}_software_statement"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"null",
        b"\xff",
        b'{"client_name": "\\ud800"}',
        b'{"client_name": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"redirect_uris": ["https://a.example/"], "redirect_uris": ["https://b.example/"]}',
        b'{"default_max_age": NaN}',
        b'{"default_max_age": 1e999}',
        b'{"default_max_age": ' + b"9" * 5000 + b"}",
        b"[" * 50_000,
        b'{"a":' * 20_000,
        b"redirect_uris=https%3A%2F%2Frp.example%2F",
    ],
    ids=lambda sent: str(sent[:30]),
)
def test_body_that_is_no_json_object_is_refused(registrations: Registrations, sent: bytes) -> None:
    assert registrations.refused(sent) == "invalid_client_metadata"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "", "application/jwt"])
def test_body_of_another_type_is_refused(registrations: Registrations, kind: str) -> None:
    assert body(registrations.post(METADATA, content_type=kind), 400)["error"] == "invalid_client_metadata"


def test_scripts_of_other_origins_may_not_read_it(registrations: Registrations) -> None:
    told = registrations.registered(token_endpoint_auth_method="none", session_activity="none")
    for method, path in (("POST", "/register"), ("OPTIONS", "/register"), ("GET", f"/register/{told['client_id']}")):
        answer = registrations.send(method, path, METADATA, Origin="https://rp.example")
        assert "Access-Control-Allow-Origin" not in answer.headers


# What this deployment allows


def judge(**rules: Any) -> Judge:
    supported = {
        "scopes_supported": ["openid", "offline_access"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "private_key_jwt"],
    }
    return Judge(Rules("open", 100, **rules), supported)


def test_loopback_may_be_allowed_for_development() -> None:
    wished = {**METADATA, "redirect_uris": ["http://localhost:3000/callback"], "scope": "openid"}
    assert judge(allows_loopback=True).client(wished, Client(client_id="a", **NEW)).redirect_uris
    with pytest.raises(ProtocolError):
        judge().client(wished, Client(client_id="a", **NEW))


@pytest.mark.parametrize(
    ("changes", "sector"),
    [
        ({}, "rp.example"),
        ({"redirect_uris": [CALLBACK, "https://rp.example:8443/other"]}, "rp.example"),
        ({"redirect_uris": [CALLBACK, "https://b.example/"]}, None),
        (
            {"redirect_uris": [CALLBACK, "https://b.example/"], "sector_identifier_uri": "https://s.example/x"},
            "s.example",
        ),
        # On their own machine live applications of anybody.
        (
            {
                "application_type": "native",
                "session_activity": "none",
                "redirect_uris": ["http://127.0.0.1/callback"],
            },
            None,
        ),
    ],
)
def test_pairwise_subjects_have_one_sector(changes: dict[str, Any], sector: str | None) -> None:
    # OIDC Core 8.1.
    new = Client(client_id="a", **NEW)
    wished = {**METADATA, "subject_type": "pairwise", "scope": "openid", **changes}
    if sector is None:
        with pytest.raises(ProtocolError) as refused:
            judge().client(wished, new)
        assert refused.value.error == "invalid_client_metadata"
        assert "pairwise subjects" in refused.value.description
    else:
        assert judge().client(wished, new).sector_identifier == sector


@pytest.mark.parametrize("settings_values", [{"registration": {"mode": "open", "require_pkce": False}}])
def test_confidential_clients_may_be_excused_from_pkce_and_no_others(registrations: Registrations) -> None:
    # decisions: only dynamically registered confidential clients of the profile oidc, where configuration says so.
    excused = registrations.registered()
    public = registrations.registered(**NATIVE)
    assert not registrations.row(excused["client_id"]).require_pkce
    assert registrations.row(public["client_id"]).require_pkce
