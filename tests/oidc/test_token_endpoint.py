"""The token endpoint: its form, client authentication, and codes (RFC 6749 2.3, 3.2, 4.1.3, 5; RFC 7636 4.5)."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from math import log2

import pytest
from sqlalchemy import delete

from idp.kernel.secrets import hash_secret
from idp.oidc.clients import Client
from idp.oidc.models import AuthorizationCode
from tests.oidc.journeys import (
    FORM,
    VERIFIER,
    Browser,
    Parameter,
    Provider,
    RelyingParty,
    basic,
    body,
    error,
    form_encoded,
)


@pytest.fixture
def code(party: RelyingParty) -> str:
    """A fresh code for the client."""
    return party.code()


def _with_secret(provider: Provider, client_id: str, secret: str, method: str = "client_secret_basic") -> RelyingParty:
    """A client whose secret is exactly this."""
    made = provider.client(client_id, token_endpoint_auth_method=method)
    with provider.writing() as unit:
        stored = unit.get(Client, client_id)
        assert stored is not None
        stored.client_secret_hash = hash_secret(secret)
    return made


# The response


@pytest.mark.demand("E5", 43, 44)
def test_token_response_has_the_members_of_the_specification(party: RelyingParty, code: str) -> None:
    response = party.redeem(code)
    answer = body(response)
    assert set(answer) == {"access_token", "token_type", "expires_in", "scope", "id_token", "refresh_token"}
    assert answer["token_type"] == "Bearer"
    assert (type(answer["expires_in"]), answer["expires_in"]) == (int, 300)
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Pragma"] == "no-cache"
    assert "Set-Cookie" not in response.headers


def test_client_without_the_refresh_grant_gets_no_refresh_token(provider: Provider) -> None:
    party = provider.client(grant_types=["authorization_code"])
    assert "refresh_token" not in party.signed_in()


@pytest.mark.demand(35)
def test_tokens_and_codes_have_256_random_bits(provider: Provider, party: RelyingParty, browser: Browser) -> None:
    who = provider.somebody()
    codes = {browser.sign_in(party, who).values["code"]} | {browser.silent(party).values["code"] for _ in range(20)}
    tokens = {body(party.redeem(each))["access_token"] for each in codes}
    assert len(codes) == len(tokens) == 21
    assert all(len(each) >= 43 and each.isascii() and each.isprintable() for each in codes | tokens)


def _bits(text: str) -> float:
    """Shannon's entropy of the text, as the certification suite estimates it."""
    shares = [text.count(character) / len(text) for character in set(text)]
    return -len(text) * sum(share * log2(share) for share in shares)


@pytest.mark.demand(35)
def test_what_must_not_be_guessed_looks_as_random_as_it_is(provider: Provider, browser: Browser) -> None:
    confidential, public = provider.client(), provider.public_client()
    browser.sign_in(confidential, provider.somebody())
    made = [body(confidential.post("/par", confidential.request()), 201)["request_uri"].rpartition(":")[2]]
    for party in (confidential, public):
        code = browser.silent(party).values["code"]
        tokens = body(party.redeem(code))
        made += [code, tokens["access_token"], tokens["refresh_token"]]
    assert all(len(each) >= 16 and _bits(each) >= 96 for each in made)
    assert all("\x20" <= character <= "\x7e" for each in made for character in each)


def test_access_token_ends_with_its_session_at_the_latest(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    browser.sign_in(party, provider.somebody())
    provider.clock.move(timedelta(minutes=28, seconds=30, milliseconds=1))
    answer = body(party.redeem(browser.silent(party).values["code"]))
    assert answer["expires_in"] == 89


def test_scope_of_the_response_is_what_was_granted(provider: Provider) -> None:
    party = provider.client(scope="openid email")
    assert party.signed_in(scope="openid profile email offline_access nonsense")["scope"] == "openid email"


# The request


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_only_post_is_taken(provider: Provider, party: RelyingParty, code: str, method: str) -> None:
    answer = provider.app.test_client().open(
        "/token",
        method=method,
        base_url=provider.origin,
        query_string=form_encoded(party.code_request(code)),
        headers={"Authorization": basic(party.client_id, party.secret)},
    )
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.content_type == "application/json"
    assert body(party.redeem(code))


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "multipart/form-data; boundary=x", "text/plain", FORM + "x", "", None],
)
def test_body_of_another_type_is_invalid_request(
    provider: Provider, party: RelyingParty, code: str, content_type: str | None
) -> None:
    headers = {"Authorization": basic(party.client_id, party.secret)}
    data = party.code_request(code)
    content = json.dumps(data) if content_type == "application/json" else form_encoded(data)
    assert error(provider.post("/token", content, headers, content_type)) == "invalid_request"
    assert body(party.redeem(code))


@pytest.mark.parametrize("content_type", [FORM + "; charset=UTF-8", FORM.upper(), FORM + ";charset=utf-8; x=y"])
def test_type_of_the_body_may_carry_parameters(
    provider: Provider, party: RelyingParty, code: str, content_type: str
) -> None:
    headers = {"Authorization": basic(party.client_id, party.secret)}
    content = form_encoded(party.code_request(code))
    assert body(provider.post("/token", content, headers, content_type))


def test_parameters_in_the_query_count_for_nothing(provider: Provider, party: RelyingParty, code: str) -> None:
    headers = {"Authorization": basic(party.client_id, party.secret)}
    refused = provider.post("/token", "", headers, query=form_encoded(party.code_request(code)))
    assert error(refused) == "invalid_request"


@pytest.mark.parametrize("name", ["grant_type", "code", "redirect_uri", "code_verifier", "client_id", "scope"])
def test_repeated_parameter_is_invalid_request(party: RelyingParty, code: str, name: str) -> None:
    right = {**party.code_request(code), "client_id": party.client_id, "scope": "openid"}[name]
    assert isinstance(right, str)
    assert error(party.redeem(code, **{name: [right, right]})) == "invalid_request"
    assert body(party.redeem(code))


@pytest.mark.demand(41)
@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": ""}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:device_code"}, "unsupported_grant_type"),
        ({"grant_type": 'auth"or\\ization_c\u00f6de\r\n'}, "unsupported_grant_type"),
        ({"grant_type": "x" * 9000}, "invalid_request"),
        ({"code": None}, "invalid_request"),
        ({"code": ""}, "invalid_request"),
        ({"code": "x" * 9000}, "invalid_request"),
        ({"code": "unknown"}, "invalid_grant"),
        ({"code": "\x00"}, "invalid_request"),
        ({"code": "\u2603\U0001f511"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"redirect_uri": ""}, "invalid_grant"),
        ({"redirect_uri": "https://app.example/other"}, "invalid_grant"),
        ({"redirect_uri": "https://app.example/callback\x00"}, "invalid_request"),
        ({"code_verifier": None}, "invalid_grant"),
        ({"code_verifier": ""}, "invalid_grant"),
        ({"code_verifier": VERIFIER + "x"}, "invalid_grant"),
        ({"code_verifier": VERIFIER.upper()}, "invalid_grant"),
        ({"code_verifier": "\u00e9" * 43}, "invalid_grant"),
        ({"code_verifier": "\x00" * 43}, "invalid_request"),
        ({"code_verifier": "x" * 8192}, "invalid_grant"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_wrong_parameter_is_refused_and_does_not_use_up_the_code(
    party: RelyingParty, code: str, changes: dict[str, Parameter], expected: str
) -> None:
    assert error(party.redeem(code, **changes)) == expected
    assert body(party.redeem(code))


@pytest.mark.parametrize(
    "content", [b"", b"&&&===", b"\xff\xfe", b"grant_type=%ff", b"a=b&" * 500, b"a=" + b"x" * 70_000], ids=range(6)
)
def test_unreadable_body_is_invalid_request(provider: Provider, party: RelyingParty, content: bytes) -> None:
    headers = {"Authorization": basic(party.client_id, party.secret)}
    assert error(provider.post("/token", content, headers)) == "invalid_request"


def test_body_of_a_megabyte_is_refused_in_json(provider: Provider) -> None:
    assert body(provider.post("/token", b"a=" + b"x" * 1_000_000), 413) == {"error": "invalid_request"}


def test_unknown_parameters_are_ignored(party: RelyingParty, code: str) -> None:
    assert body(party.redeem(code, audience="x", extra=["a", "b"], claims="{"))


# Client authentication


def test_client_secret_post_works_for_the_client_that_is_registered_for_it(provider: Provider) -> None:
    assert provider.client(token_endpoint_auth_method="client_secret_post").signed_in()["id_token"]


def test_public_client_names_itself(provider: Provider) -> None:
    assert provider.public_client().signed_in()["id_token"]


@pytest.mark.demand(36)
@pytest.mark.parametrize(
    "secret", ["colon:plus+percent%25 and space", "\u00fcml\u00e4ut \u2603 \U0001f511", "%2B+%", "a=b&c=d;e/f?g#h\"'"]
)
def test_basic_credentials_are_form_decoded(provider: Provider, browser: Browser, secret: str) -> None:
    client_id = f"client:{abs(hash(secret)) % 10**9}+%41\u00e9"
    party = _with_secret(provider, client_id, secret)
    code = browser.sign_in(party, provider.somebody()).values["code"]
    answer = party.token(party.code_request(code), {"Authorization": basic(client_id, secret)})
    assert body(answer)["id_token"]


def test_basic_scheme_is_case_insensitive(party: RelyingParty, code: str) -> None:
    headers = {"Authorization": basic(party.client_id, party.secret).replace("Basic", "bASIC")}
    assert body(party.token(party.code_request(code), headers))


def _encoded(pair: bytes) -> str:
    return "Basic " + b64encode(pair).decode()


WRONG_HEADERS: dict[str, Callable[[RelyingParty], str]] = {
    "wrong secret": lambda party: basic(party.client_id, "wrong"),
    "empty secret": lambda party: basic(party.client_id, ""),
    "unknown client": lambda party: basic("nobody", party.secret),
    "NUL in the client": lambda party: basic("no\x00body", party.secret),
    "hash instead of the secret": lambda party: basic(party.client_id, hash_secret(party.secret).hex()),
    "no colon": lambda party: _encoded(party.client_id.encode()),
    "not base64": lambda party: "Basic !!!",
    "not ASCII": lambda party: "Basic \u00e9\u00e9",
    "not UTF-8": lambda party: _encoded(b"\xff\xfe:\xff"),
    "percent-encoded and not UTF-8": lambda party: _encoded(b"%ff:%fe"),
    "no credentials": lambda party: "Basic",
    "bearer": lambda party: "Bearer " + party.secret,
    "unknown scheme": lambda party: "Digest username=x",
    "empty": lambda party: "",
    "two in one": lambda party: f"{basic(party.client_id, party.secret)}, {basic(party.client_id, party.secret)}",
}


@pytest.mark.demand(40)
@pytest.mark.parametrize("kind", WRONG_HEADERS)
def test_wrong_credentials_are_invalid_client_with_a_challenge(party: RelyingParty, code: str, kind: str) -> None:
    refused = party.token(party.code_request(code), {"Authorization": WRONG_HEADERS[kind](party)})
    assert error(refused, 401) == "invalid_client"
    assert refused.headers["WWW-Authenticate"].startswith("Basic ")
    assert body(party.redeem(code))


def test_no_credentials_at_all_are_invalid_client(party: RelyingParty, code: str) -> None:
    assert error(party.token(party.code_request(code), {}), 401) == "invalid_client"
    assert error(party.token({**party.code_request(code), "client_id": party.client_id}, {}), 401) == "invalid_client"


@pytest.mark.demand(37)
def test_method_that_the_client_is_not_registered_for_is_invalid_client(provider: Provider, browser: Browser) -> None:
    by_basic, by_post = provider.client(), provider.client(token_endpoint_auth_method="client_secret_post")
    public = provider.public_client()
    for party in (by_basic, by_post, public):
        code = browser.sign_in(party, provider.somebody()).values["code"]
        request, secret = party.code_request(code), party.client.secret or "anything"
        header = {"Authorization": basic(party.client_id, secret)}
        in_body = {**request, "client_id": party.client_id, "client_secret": secret}
        if party is not by_basic:
            assert error(party.token(request, header), 401) == "invalid_client"
        if party is not by_post:
            assert error(party.token(in_body, {}), 401) == "invalid_client"
        if party is not public:
            assert error(party.token({**request, "client_id": party.client_id}, {}), 401) == "invalid_client"
        assert body(party.redeem(code))


@pytest.mark.demand(37)
def test_two_methods_in_one_request_are_invalid_request(party: RelyingParty, code: str) -> None:
    header = {"Authorization": basic(party.client_id, party.secret)}
    for second in ({"client_secret": party.secret}, {"client_assertion": "e30.e30.e30"}):
        assert error(party.token({**party.code_request(code), **second}, header)) == "invalid_request"


def test_secret_that_is_sent_twice_is_invalid_request(provider: Provider, browser: Browser) -> None:
    party = provider.client(token_endpoint_auth_method="client_secret_post")
    code = browser.sign_in(party, provider.somebody()).values["code"]
    assert error(party.redeem(code, client_secret=[party.secret, party.secret])) == "invalid_request"


@pytest.mark.demand(42)
def test_client_id_in_the_body_must_be_that_of_the_credentials(
    provider: Provider, party: RelyingParty, code: str
) -> None:
    assert error(party.redeem(code, client_id=provider.client().client_id), 401) == "invalid_client"
    assert body(party.redeem(code, client_id=party.client_id))


@pytest.mark.demand(40)
def test_status_401_is_for_invalid_client_only(provider: Provider, party: RelyingParty, code: str) -> None:
    refused = [
        party.redeem(code, grant_type="password"),
        party.redeem("unknown"),
        party.redeem(code, code_verifier=None),
        party.refresh("unknown"),
        provider.client(grant_types=["refresh_token"]).redeem(code),
    ]
    assert [(each.status_code, "WWW-Authenticate" in each.headers) for each in refused] == [(400, False)] * 5
    assert error(refused[-1]) == "unauthorized_client"


def test_client_authentication_is_checked_before_the_code(provider: Provider, code: str) -> None:
    stranger = {"Authorization": basic("x", "y")}
    refused = provider.client().token({"grant_type": "authorization_code", "code": code}, stranger)
    assert error(refused, 401) == "invalid_client"


# Codes


@pytest.mark.demand(34)
def test_code_is_good_for_less_than_60_seconds(provider: Provider, party: RelyingParty, browser: Browser) -> None:
    browser.sign_in(party, provider.somebody())
    in_time, late = (browser.silent(party).values["code"] for _ in range(2))
    provider.clock.move(timedelta(seconds=59, milliseconds=999))
    assert body(party.redeem(in_time))
    provider.clock.move(timedelta(milliseconds=1))
    assert error(party.redeem(late)) == "invalid_grant"


@pytest.mark.demand(32)
def test_code_presented_twice_revokes_what_its_first_use_produced(
    provider: Provider, party: RelyingParty, code: str
) -> None:
    first = body(party.redeem(code))
    assert provider.userinfo(first["access_token"]).status_code == 200
    assert error(party.redeem(code)) == "invalid_grant"
    assert provider.userinfo(first["access_token"]).status_code == 401
    assert error(party.refresh(first["refresh_token"])) == "invalid_grant"


@pytest.mark.demand(32)
def test_code_presented_twice_revokes_a_jwt_too(provider: Provider) -> None:
    party = provider.client(access_token_format="jwt")
    code = party.code()
    token = body(party.redeem(code))["access_token"]
    provider.clock.move(timedelta(seconds=30))
    assert body(provider.userinfo(token))["sub"]
    assert error(party.redeem(code)) == "invalid_grant"
    assert provider.userinfo(token).status_code == 401
    assert body(party.post("/introspect", {"token": token})) == {"active": False}


def test_code_presented_twice_leaves_the_session_and_other_grants_alone(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    used = browser.sign_in(party, provider.somebody()).values["code"]
    other = body(party.redeem(browser.silent(party).values["code"]))
    party.redeem(used)
    assert error(party.redeem(used)) == "invalid_grant"
    assert provider.userinfo(other["access_token"]).status_code == 200
    assert "code" in browser.silent(party).values


@pytest.mark.demand(33)
def test_code_presented_again_after_it_expired_is_still_invalid_grant(
    provider: Provider, party: RelyingParty, code: str
) -> None:
    first = body(party.redeem(code))
    provider.clock.move(timedelta(seconds=61))
    assert error(party.redeem(code)) == "invalid_grant"
    assert provider.userinfo(first["access_token"]).status_code == 401


@pytest.mark.demand(33)
def test_code_whose_row_was_purged_is_still_invalid_grant(provider: Provider, party: RelyingParty, code: str) -> None:
    body(party.redeem(code))
    unused = party.code()
    with provider.writing() as unit:
        hashes = [hash_secret(each) for each in (code, unused)]
        unit.execute(delete(AuthorizationCode).where(AuthorizationCode.code_hash.in_(hashes)))
    assert error(party.redeem(code)) == error(party.redeem(unused)) == "invalid_grant"


@pytest.mark.demand(42)
def test_code_of_another_client_is_invalid_grant_and_stays_good_for_its_owner(
    provider: Provider, party: RelyingParty, code: str
) -> None:
    thief = provider.client()
    assert error(thief.redeem(code)) == "invalid_grant"
    tokens = body(party.redeem(code))
    assert error(thief.redeem(code)) == "invalid_grant"
    assert provider.userinfo(tokens["access_token"]).status_code == 200


def test_code_presented_again_with_a_wrong_verifier_does_not_revoke(
    provider: Provider, party: RelyingParty, code: str
) -> None:
    # Whoever cannot prove to be the client must not be able to end its tokens.
    tokens = body(party.redeem(code))
    assert error(party.redeem(code, code_verifier="w" * 43)) == "invalid_grant"
    assert provider.userinfo(tokens["access_token"]).status_code == 200


def test_verifier_for_a_code_without_challenge_is_invalid_grant(provider: Provider, browser: Browser) -> None:
    # RFC 9700 4.8.2: otherwise an attacker could strip the challenge from the request.
    party = provider.client(require_pkce=False)
    answer = browser.sign_in(party, provider.somebody(), code_challenge=None, code_challenge_method=None)
    assert error(party.redeem(answer.values["code"], code_verifier=VERIFIER)) == "invalid_grant"
    assert body(party.redeem(answer.values["code"], code_verifier=None))


def test_code_is_stored_as_a_hash(provider: Provider, code: str) -> None:
    with provider.writing() as unit:
        stored = unit.query(AuthorizationCode).filter_by(code_hash=hash_secret(code)).one()
        values = [getattr(stored, column.key) for column in AuthorizationCode.__table__.columns]
    assert code not in map(str, values)


def test_code_is_worth_nothing_once_its_session_is_over(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    tokens = body(party.redeem(browser.sign_in(party, provider.somebody()).values["code"]))
    code = browser.silent(party).values["code"]
    browser.get("/end_session", query=form_encoded({"id_token_hint": tokens["id_token"]}))
    assert error(party.redeem(code)) == "invalid_grant"
