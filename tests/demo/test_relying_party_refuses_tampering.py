"""What an application must not believe. Every case is one lie of the provider, or of somebody in between."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from joserfc import jwt
from werkzeug.test import TestResponse

from idp.demo.relying_party import RelyingPartyConfig, create_relying_party
from idp.kernel.clock import FixedClock
from tests.demo.hostile_provider import Claims, HostileProvider, Key, consent_at

Parameters = list[tuple[str, str]]


def callback_parameters(browser: FlaskClient) -> Parameters:
    """What the provider answers to an authorization request of this browser."""
    location = consent_at(browser.get("/login").headers["Location"])
    return parse_qsl(urlsplit(location).query, keep_blank_values=True)


def come_back(browser: FlaskClient, parameters: Parameters) -> TestResponse:
    return browser.get(f"/callback?{urlencode(parameters)}")


def without(parameters: Parameters, name: str) -> Parameters:
    return [(key, value) for key, value in parameters if key != name]


def assert_refused(browser: FlaskClient, answer: TestResponse, status: int = 400) -> None:
    assert answer.status_code == status, answer.text
    assert 'id="problem"' in answer.text and "Opnieuw inloggen" in answer.text
    assert browser.get("/api/session").json == {"signed_in": False}


def test_the_same_journey_without_a_lie_signs_in(browser: FlaskClient) -> None:
    assert come_back(browser, callback_parameters(browser)).status_code == 303
    assert browser.get("/api/session").json["signed_in"] is True  # type: ignore[index]


# The authorization response


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("iss", None),
        ("iss", ""),
        ("iss", "http://127.0.0.1:1"),
        ("state", None),
        ("state", ""),
        ("state", "not-the-state-that-was-sent"),
        ("code", None),
        ("code", ""),
        ("code", "not-a-code-of-this-provider"),
    ],
)
def test_response_with_a_parameter_missing_or_wrong_is_refused(
    browser: FlaskClient, name: str, value: str | None
) -> None:
    parameters = without(callback_parameters(browser), name) + ([] if value is None else [(name, value)])
    assert_refused(browser, come_back(browser, parameters))


def test_response_with_the_issuer_in_another_spelling_is_refused(
    browser: FlaskClient, provider: HostileProvider
) -> None:
    parameters = without(callback_parameters(browser), "iss")
    assert_refused(browser, come_back(browser, [*parameters, ("iss", f"{provider.issuer}/")]))


@pytest.mark.parametrize("name", ["iss", "state", "code"])
def test_response_with_a_parameter_twice_is_refused(browser: FlaskClient, name: str) -> None:
    parameters = callback_parameters(browser)
    assert_refused(browser, come_back(browser, [*parameters, (name, dict(parameters)[name])]))


def test_response_from_the_wrong_issuer_never_reaches_the_token_endpoint(
    browser: FlaskClient, provider: HostileProvider
) -> None:
    parameters = without(callback_parameters(browser), "iss")
    assert_refused(browser, come_back(browser, [*parameters, ("iss", "http://127.0.0.1:1")]))
    assert provider.calls["/token"] == 0


def test_response_that_another_browser_asked_for_is_refused(application: Flask) -> None:
    attacker, victim = application.test_client(), application.test_client()
    victim.get("/login")
    assert_refused(victim, come_back(victim, callback_parameters(attacker)))


def test_response_presented_twice_is_refused_the_second_time(application: Flask) -> None:
    browser = application.test_client()
    parameters = callback_parameters(browser)
    assert come_back(browser, without(parameters, "iss")).status_code == 400
    assert_refused(browser, come_back(browser, parameters))


def test_code_of_another_request_of_the_same_browser_is_refused(browser: FlaskClient) -> None:
    first, second = callback_parameters(browser), callback_parameters(browser)
    mixed = [*without(first, "code"), ("code", dict(second)["code"])]
    assert_refused(browser, come_back(browser, mixed))


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        ("access_denied", 403, "U bent niet ingelogd"),
        ("login_required", 400, "U moet opnieuw inloggen"),
        ("interaction_required", 400, "U moet opnieuw inloggen"),
        ("consent_required", 400, "Uw toestemming is nodig"),
        ("account_selection_required", 400, "Kies een account"),
        ("unmet_authentication_requirements", 403, "niet sterk genoeg"),
        ("temporarily_unavailable", 503, "Inloggen kan nu even niet"),
        ("server_error", 502, "Inloggen kan nu even niet"),
        ("something_of_tomorrow", 400, "Dit inloggen is niet gelukt"),
        ("<script>alert(1)</script>", 400, "Dit inloggen is niet gelukt"),
        ("", 400, "Dit inloggen is niet gelukt"),
    ],
)
def test_error_of_the_provider_is_explained_in_dutch(browser: FlaskClient, error: str, status: int, words: str) -> None:
    parameters = without(callback_parameters(browser), "code")
    answer = come_back(browser, [*parameters, ("error", error), ("error_description", "<b>x</b>\r\ny")])
    assert_refused(browser, answer, status)
    assert words in answer.text
    assert "<script>" not in answer.text and "<b>x" not in answer.text


def test_error_with_the_wrong_issuer_is_not_shown_as_the_providers_word(browser: FlaskClient) -> None:
    parameters = without(without(callback_parameters(browser), "code"), "iss")
    answer = come_back(browser, [*parameters, ("iss", "http://127.0.0.1:1"), ("error", "access_denied")])
    assert_refused(browser, answer)


# The ID token

Change = Callable[[Claims], None]


def setting(**claims: Any) -> Change:
    return lambda sent: sent.update(claims)


def removing(*names: str) -> Change:
    def remove(sent: Claims) -> None:
        for name in names:
            del sent[name]

    return remove


def moving(name: str, seconds: int) -> Change:
    return lambda sent: sent.update({name: sent[name] + seconds})


CLAIM_LIES: dict[str, Change] = {
    "iss of another provider": setting(iss="http://127.0.0.1:1"),
    "iss missing": removing("iss"),
    "iss as a list": lambda sent: sent.update(iss=[sent["iss"]]),
    "aud of another client": setting(aud="rapportages"),
    "aud missing": removing("aud"),
    "aud empty": setting(aud=[]),
    "aud with somebody else beside us": setting(aud=["atosi", "rapportages"]),
    "aud with us as a part of the name": setting(aud="atosi2"),
    "azp of another client": setting(azp="rapportages"),
    "sub missing": removing("sub"),
    "sub empty": setting(sub=""),
    "sub too long": setting(sub="a" * 256),
    "sub a number": setting(sub=7),
    "nonce of another request": setting(nonce="another"),
    "nonce missing": removing("nonce"),
    "nonce as a list": lambda sent: sent.update(nonce=[sent["nonce"]]),
    "exp passed": moving("exp", -361),
    "exp missing": removing("exp"),
    "exp as text": setting(exp="2030-01-01"),
    "exp true": setting(exp=True),
    "iat in the future": moving("iat", 61),
    "iat of long ago": moving("iat", -601),
    "iat missing": removing("iat"),
    "nbf in the future": lambda sent: sent.update(nbf=sent["iat"] + 61),
    "auth_time in the future": moving("auth_time", 61),
    "auth_time that no calendar holds": setting(auth_time=10**30),
    "auth_time as text": setting(auth_time="yesterday"),
    "at_hash of another token": setting(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "at_hash missing": removing("at_hash"),
    "at_hash a number": setting(at_hash=1),
}


@pytest.mark.parametrize("change", CLAIM_LIES.values(), ids=CLAIM_LIES.keys())
def test_id_token_signed_by_the_provider_with_a_wrong_claim_is_refused(
    browser: FlaskClient, provider: HostileProvider, change: Change
) -> None:
    provider.change_claims = change
    assert_refused(browser, come_back(browser, callback_parameters(browser)))


def test_id_token_within_the_leeway_of_clocks_is_accepted(browser: FlaskClient, provider: HostileProvider) -> None:
    provider.change_claims = moving("iat", 59)
    assert come_back(browser, callback_parameters(browser)).status_code == 303


def encoded(value: dict[str, Any]) -> str:
    return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def flip_last_byte_of_signature(id_token: str) -> str:
    signed, _, signature = id_token.rpartition(".")
    return f"{signed}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


def claims_of(id_token: str) -> dict[str, Any]:
    payload = id_token.split(".")[1]
    decoded: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded


def swap_payload(id_token: str) -> str:
    header, _, signature = id_token.split(".")
    return f"{header}.{encoded({**claims_of(id_token), 'sub': 'bram-2'})}.{signature}"


def unsigned(alg: str) -> Callable[[str], str]:
    return lambda id_token: f"{encoded({'alg': alg, 'kid': 'first'})}.{id_token.split('.')[1]}."


TOKEN_LIES: dict[str, Callable[[str], str]] = {
    "signature changed": flip_last_byte_of_signature,
    "signature removed": lambda id_token: id_token.rpartition(".")[0] + ".",
    "claims changed after signing": swap_payload,
    "alg none": unsigned("none"),
    "alg None": unsigned("None"),
    "alg empty": unsigned(""),
    "two parts": lambda id_token: id_token.rpartition(".")[0],
    "five parts": lambda id_token: f"{id_token}.x.y",
    "not a token": lambda id_token: "hello",
    "empty": lambda id_token: "",
    "not ascii": lambda id_token: "é.é.é",
    "huge": lambda id_token: "A" * 1_000_000,
    "header that is a list": lambda id_token: f"{encoded([])}.{id_token.split('.', 1)[1]}",  # type: ignore[arg-type]
}


@pytest.mark.parametrize("change", TOKEN_LIES.values(), ids=TOKEN_LIES.keys())
def test_id_token_changed_after_signing_is_refused(
    browser: FlaskClient, provider: HostileProvider, change: Callable[[str], str]
) -> None:
    provider.change_id_token = change
    assert_refused(browser, come_back(browser, callback_parameters(browser)))


def test_id_token_of_an_unpublished_key_with_a_published_name_is_refused(
    browser: FlaskClient, provider: HostileProvider, other_rsa_key: Key
) -> None:
    forged = {"alg": "RS256", "kid": "first"}
    provider.change_id_token = lambda sent: jwt.encode(forged, claims_of(sent), other_rsa_key, algorithms=["RS256"])
    assert_refused(browser, come_back(browser, callback_parameters(browser)))


def test_id_token_of_an_unknown_key_is_refused(
    browser: FlaskClient, provider: HostileProvider, other_rsa_key: Key
) -> None:
    provider.signing_key = other_rsa_key
    assert_refused(browser, come_back(browser, callback_parameters(browser)))


def test_id_token_that_names_no_key_is_refused(browser: FlaskClient, provider: HostileProvider, rsa_key: Key) -> None:
    provider.change_id_token = lambda sent: jwt.encode({"alg": "RS256"}, claims_of(sent), rsa_key, algorithms=["RS256"])
    assert_refused(browser, come_back(browser, callback_parameters(browser)))


@pytest.mark.parametrize("known_to_others", ["client secret", "public key"])
def test_id_token_signed_with_a_shared_secret_is_refused_though_the_metadata_allow_it(
    browser: FlaskClient, provider: HostileProvider, rsa_key: Key, known_to_others: str
) -> None:
    key = provider.clients["atosi"].encode() if known_to_others == "client secret" else rsa_key.as_pem(private=False)

    def sign_with_hmac(id_token: str) -> str:
        signed = f"{encoded({'alg': 'HS256', 'kid': 'first'})}.{id_token.split('.')[1]}"
        return f"{signed}.{urlsafe_b64encode(hmac.digest(key, signed.encode(), 'sha256')).rstrip(b'=').decode()}"

    provider.change_id_token = sign_with_hmac
    provider.published.append({"kty": "oct", "kid": "first", "k": urlsafe_b64encode(key).rstrip(b"=").decode()})
    assert_refused(browser, come_back(browser, callback_parameters(browser)))


@pytest.mark.parametrize(
    "published",
    [{"use": "enc"}, {"alg": "RS512"}, {"n": "not base64 !"}, {"n": None}, {"kty": "EC"}, {"kty": "unknown"}],
    ids=str,
)
def test_id_token_of_a_key_published_for_something_else_is_refused(
    browser: FlaskClient, provider: HostileProvider, published: dict[str, Any]
) -> None:
    provider.published = [{**provider.published[0], **published}]
    assert_refused(browser, come_back(browser, callback_parameters(browser)))


def test_id_token_of_a_key_name_that_was_published_twice_is_refused(
    browser: FlaskClient, provider: HostileProvider
) -> None:
    provider.published *= 2
    assert_refused(browser, come_back(browser, callback_parameters(browser)))


# The other answers of the provider

TOKEN_RESPONSE_LIES: dict[str, Callable[[Claims], Any]] = {
    "without ID token": lambda sent: {**sent, "id_token": None},
    "without access token": lambda sent: {name: value for name, value in sent.items() if name != "access_token"},
    "of an unknown type": lambda sent: {**sent, "token_type": "mac"},
    "with a type that is a number": lambda sent: {**sent, "token_type": 1},
    "with another access token": lambda sent: {**sent, "access_token": "another"},
    "with a lifetime that is text": lambda sent: {**sent, "expires_in": "soon"},
    "that is a list": lambda sent: [sent],
    "that is text": lambda sent: "tokens",
    "that is null": lambda sent: None,
    "that is an error": lambda sent: {"error": "invalid_grant", "error_description": "\r\n<b>"},
}


@pytest.mark.parametrize("change", TOKEN_RESPONSE_LIES.values(), ids=TOKEN_RESPONSE_LIES.keys())
def test_token_response_that_is_not_one_is_refused(
    browser: FlaskClient, provider: HostileProvider, change: Callable[[Claims], Any]
) -> None:
    provider.change_token_response = change
    assert_refused(browser, come_back(browser, callback_parameters(browser)))


def test_userinfo_about_somebody_else_is_refused(browser: FlaskClient, provider: HostileProvider) -> None:
    provider.userinfo["sub"] = "bram-2"
    assert_refused(browser, come_back(browser, callback_parameters(browser)))


DISCOVERY_LIES: dict[str, Callable[[Claims], Any]] = {
    "of another issuer": lambda sent: {**sent, "issuer": "http://127.0.0.1:1"},
    "of the issuer in another spelling": lambda sent: {**sent, "issuer": sent["issuer"] + "/"},
    "with a foreign authorization endpoint": lambda sent: {**sent, "authorization_endpoint": "http://127.0.0.1:1/"},
    "with a foreign token endpoint": lambda sent: {**sent, "token_endpoint": "http://127.0.0.1:1/token"},
    "with foreign keys": lambda sent: {**sent, "jwks_uri": "http://127.0.0.1:1/jwks"},
    "without keys": lambda sent: {name: value for name, value in sent.items() if name != "jwks_uri"},
    "with an address that is a number": lambda sent: {**sent, "token_endpoint": 1},
    "that is a list": lambda sent: [sent],
    "that is null": lambda sent: None,
}


@pytest.mark.parametrize("change", DISCOVERY_LIES.values(), ids=DISCOVERY_LIES.keys())
def test_discovery_document_that_is_not_our_providers_starts_nothing(
    browser: FlaskClient, provider: HostileProvider, change: Callable[[Claims], Any]
) -> None:
    provider.change_discovery = change
    assert_refused(browser, browser.get("/login"), 503)


def slowly() -> Response:
    time.sleep(1.5)
    return Response("{}", mimetype="application/json")


FAILURES: dict[str, Callable[[], Response]] = {
    "500": lambda: Response("no", 500),
    "a page": lambda: Response("<html>", mimetype="text/html"),
    "nothing": lambda: Response(b"", mimetype="application/json"),
    "bytes": lambda: Response(b"\xff\xfe\x00", mimetype="application/json"),
    "a redirect": lambda: Response("", 302, {"Location": "http://127.0.0.1:1/"}),
    "too late": slowly,
}


@pytest.mark.parametrize("path", ["/token", "/jwks", "/userinfo"])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_endpoint_that_answers_badly_yields_a_page_and_no_session(
    provider: HostileProvider,
    config: RelyingPartyConfig,
    clock: FixedClock,
    path: str,
    failure: Callable[[], Response],
) -> None:
    browser = create_relying_party(replace(config, provider_timeout=timedelta(seconds=0.5)), clock).test_client()
    parameters = callback_parameters(browser)
    provider.instead[path] = failure
    answer = come_back(browser, parameters)
    assert answer.status_code in (400, 503)
    assert_refused(browser, answer, answer.status_code)
