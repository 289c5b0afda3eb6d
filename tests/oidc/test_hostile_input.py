"""Arbitrary bytes in every parameter of every endpoint: never our fault (5xx), never a way to a foreign address.

`make test-long` tries far more of them.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote_from_bytes, urlencode, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import OctKey
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from idp.oidc.models import UsedIdentifier
from idp.schema import metadata
from tests.client_assertions import claims_of, in_body, key_of, signed
from tests.conftest import is_long
from tests.oidc import signing as objects
from tests.oidc.journeys import (
    VERIFIER,
    Answer,
    Provider,
    RelyingParty,
    basic,
    challenge_of,
    form_encoded,
    was_sent,
)
from tests.proofs import ProofKey, b64

SETTINGS = settings(
    max_examples=2000 if is_long() else 60,
    derandomize=not is_long(),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
SPECIAL = [
    b"",
    b"\x00",
    b"a\x00b",
    b"\r\nSet-Cookie: a=b",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    "\u2603\U0001f511\u0301".encode(),
    b"\"\\'<script>",
    b"//evil.example",
    b"https://evil.example/",
    b"https://app.example@evil.example/",
    b"javascript:alert(1)",
    b"-1",
    b"9" * 400,
    b"1e309",
    b"[" * 3000,
    b'{"id_token":{"acr":{"values":[NaN]}}}',
    b'{"userinfo":{"\\ud800":{"value":"\\u0000"}}}',
    b"e30.e30.e30",
    b"a.0.b",
    b"%00%ff%",
    b"x" * 9000,
    b"login none consent",
    b"form_post",
    b"fragment",
]
TEXT = st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
VALUE = st.one_of(st.sampled_from(SPECIAL), st.binary(max_size=40), TEXT)
FORMS = st.sampled_from(["application/x-www-form-urlencoded", "text/plain", ""])
ENDS = st.sampled_from([b"identify", b"consent", b"restart", b"leave"])
AUTHORIZE = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "claims",
    "acr_values",
    "id_token_hint",
    "login_hint",
    "ui_locales",
    "request",
    "request_uri",
    "registration",
    "dpop_jkt",
    "resource",
    "display",
    "lang",
)
TOKEN = (
    "grant_type",
    "code",
    "redirect_uri",
    "client_id",
    "client_secret",
    "code_verifier",
    "refresh_token",
    "scope",
    "client_assertion",
    "client_assertion_type",
)
END_SESSION = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales", "lang")


def _changes(names: tuple[str, ...]) -> st.SearchStrategy[list[tuple[bytes, bytes]]]:
    name = st.one_of(st.sampled_from(names).map(str.encode), VALUE)
    return st.lists(st.tuples(name, VALUE), min_size=1, max_size=4)


def _encoded(right: Mapping[str, str], changes: list[tuple[bytes, bytes]], raw: bool) -> bytes:
    """The right parameters with some replaced, repeated or added, percent-encoded or as they are."""
    replaced = {name for name, _ in changes}
    pairs = [(name.encode(), value.encode()) for name, value in right.items() if name.encode() not in replaced]
    if raw:
        return b"&".join(name + b"=" + value for name, value in [*pairs, *changes])
    return "&".join(f"{quote_from_bytes(n)}={quote_from_bytes(v)}" for n, v in [*pairs, *changes]).encode()


def _is_harmless_page(response: TestResponse) -> None:
    assert response.status_code < 500, response.text
    assert response.content_type == "text/html; charset=utf-8"
    assert not {name for name, _ in response.headers if "\n" in name}
    assert all("stolen" not in cookie and "a=b" not in cookie for cookie in response.headers.getlist("Set-Cookie"))


def _is_json(response: TestResponse) -> None:
    assert response.status_code < 500, response.text
    assert response.content_type == "application/json"
    assert isinstance(json.loads(response.text), dict)
    assert response.headers["Cache-Control"] == "no-store"


@pytest.fixture(scope="module")
def target(provider: Provider) -> RelyingParty:
    """The one client that is attacked."""
    return provider.client(
        grant_types=["authorization_code", "refresh_token"],
        jwks=objects.public_keys("ES256"),
        request_uris=["https://[::1/", "https://app.example:99999/", "https://a\x00b/", "urn:x"],
    )


def _rows(provider: Provider) -> dict[str, int]:
    """How many rows there are in each table; the trail apart, which tells of refusals."""
    with provider.writing() as unit:
        return {
            table.name: unit.scalar(select(func.count()).select_from(table)) or 0
            for table in metadata.sorted_tables
            if not table.name.startswith("audit_")
        }


def _is_refused_or_begun(provider: Provider, target: RelyingParty, response: TestResponse) -> bool:
    """True when the request was refused: on a page, or at an address of the client. False when somebody may sign in."""
    _is_harmless_page(response)
    location = response.headers.get("Location", "")
    if response.status_code == 303 and not urlsplit(location).scheme:
        assert location.startswith("/s/")
        return False
    if response.status_code == 303 or was_sent(response):
        answer = Answer.read(response)
        assert answer.address == target.redirect_uri
        assert answer.values["iss"] == provider.issuer
        assert "error" in answer.values
    else:
        assert response.status_code == 400
    return True


def _request(party: RelyingParty) -> dict[str, str]:
    return {name: value for name, value in party.request().items() if isinstance(value, str)}


@SETTINGS
@given(changes=_changes(AUTHORIZE), raw=st.booleans(), silent=st.booleans())
def test_authorization_request(
    provider: Provider, target: RelyingParty, changes: list[tuple[bytes, bytes]], raw: bool, silent: bool
) -> None:
    right = _request(target) | ({"prompt": "none"} if silent else {})
    before = _rows(provider)
    response = provider.get("/authorize", query=_encoded(right, changes, raw))
    assert _is_refused_or_begun(provider, target, response) == (_rows(provider) == before)


@SETTINGS
@given(changes=_changes(AUTHORIZE), raw=st.booleans())
def test_authorization_request_by_post(
    provider: Provider, target: RelyingParty, changes: list[tuple[bytes, bytes]], raw: bool
) -> None:
    response = provider.post("/authorize", _encoded(_request(target), changes, raw))
    _is_harmless_page(response)
    if response.status_code == 303:
        assert response.headers["Location"].startswith("/authorize?")
        assert response.headers["Location"].isprintable() and " " not in response.headers["Location"]
    else:
        assert response.status_code == 400


@SETTINGS
@given(changes=_changes((*AUTHORIZE, "client_secret", "client_assertion")), raw=st.booleans())
def test_pushed_authorization_request(
    provider: Provider, target: RelyingParty, changes: list[tuple[bytes, bytes]], raw: bool
) -> None:
    before, content = _rows(provider), _encoded(_request(target), changes, raw)
    response = provider.post("/par", content, {"Authorization": basic(target.client_id, target.secret)})
    _is_json(response)
    if response.status_code == 201:
        pushed = response.get_json()
        query = urlencode({"client_id": target.client_id, "request_uri": pushed["request_uri"]})
        opened = provider.get("/authorize", query=query)
        _is_refused_or_begun(provider, target, opened)
        return
    assert response.status_code in (400, 401)
    assert set(response.get_json()) <= {"error", "error_description"}
    assert (response.status_code == 401) == (response.get_json()["error"] == "invalid_client")
    assert _rows(provider) == before


@SETTINGS
@given(changes=_changes(("request_uri", "client_id", "state", "request")), urn=st.booleans(), raw=st.booleans())
def test_browser_with_a_request_uri(
    provider: Provider, target: RelyingParty, changes: list[tuple[bytes, bytes]], urn: bool, raw: bool
) -> None:
    begins = "urn:ietf:params:oauth:request_uri:"
    if urn:
        changes = [(name, begins.encode() + value if name == b"request_uri" else value) for name, value in changes]
    right = {"client_id": target.client_id, "request_uri": begins + "x" * 43}
    before = _rows(provider)
    assert _is_refused_or_begun(provider, target, provider.get("/authorize", query=_encoded(right, changes, raw)))
    assert _rows(provider) == before


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CLAIMS = (*AUTHORIZE, "iss", "aud", "exp", "nbf", "iat", "jti", "sub")


@SETTINGS
@given(
    claims=st.dictionaries(
        st.sampled_from(CLAIMS), JSON | st.sampled_from(["a\x00b", "\ud800", 10**400, 1e308]), max_size=4
    ),
    header=st.dictionaries(
        st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "cty", "zip"]), JSON, max_size=2
    ),
    pushes=st.booleans(),
)
def test_request_object(
    provider: Provider, target: RelyingParty, claims: dict[str, Any], header: dict[str, Any], pushes: bool
) -> None:
    right = {**_request(target), "iss": target.client_id, "aud": provider.issuer, "exp": 4 * 10**9}
    token = objects.signed({**right, **claims}, **{name: value for name, value in header.items() if name != "alg"})
    before = _rows(provider)
    if pushes:
        content = urlencode({"request": token})
        response = provider.post("/par", content, {"Authorization": basic(target.client_id, target.secret)})
        _is_json(response)
        refused = response.status_code == 400
        assert refused or response.status_code == 201
    else:
        query = urlencode({"client_id": target.client_id, "request": token})
        refused = _is_refused_or_begun(provider, target, provider.get("/authorize", query=query))
    assert refused == (_rows(provider) == before)


@SETTINGS
@given(changes=_changes(TOKEN), raw=st.booleans(), grant=st.sampled_from(["authorization_code", "refresh_token"]))
def test_token_request(
    provider: Provider, target: RelyingParty, changes: list[tuple[bytes, bytes]], raw: bool, grant: str
) -> None:
    right = {"grant_type": grant, "code": "c", "refresh_token": "a.0.b", "redirect_uri": target.redirect_uri}
    content = _encoded({**right, "code_verifier": VERIFIER}, changes, raw)
    response = provider.post("/token", content, {"Authorization": basic(target.client_id, target.secret)})
    _is_json(response)
    assert response.status_code in (400, 401)
    assert set(response.get_json()) <= {"error", "error_description"}
    assert (response.status_code == 401) == (response.get_json()["error"] == "invalid_client")


@SETTINGS
@given(
    changes=_changes((*TOKEN, "token", "token_type_hint", "sid", "last_activity_at")),
    raw=st.booleans(),
    path=st.sampled_from(["/introspect", "/revoke", "/session/activity", "/session/status"]),
)
def test_request_of_a_client_about_its_tokens_and_sessions(
    provider: Provider, target: RelyingParty, changes: list[tuple[bytes, bytes]], raw: bool, path: str
) -> None:
    content = _encoded({"token": "a.0.b", "sid": "s", "last_activity_at": "0"}, changes, raw)
    response = provider.post(path, content, {"Authorization": basic(target.client_id, target.secret)})
    _is_json(response)
    assert response.status_code in (200, 400, 401)
    if response.status_code == 200:
        assert response.get_json() in ({}, {"active": False})
    else:
        assert (response.status_code == 401) == (response.get_json()["error"] == "invalid_client")


# What only JSON can say, and what only looks like a moment or an identifier.
ODD = st.sampled_from(["\ud800", "\x00", "", "https://login.example", 1e308, 2**70, -1, True, None, [], {}, "9" * 400])
JSON = st.recursive(
    st.one_of(ODD, st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
CLAIMS = st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "x"]), JSON, max_size=4)
HEADERS = st.dictionaries(st.sampled_from(["typ", "kid", "crit", "b64", "jwk", "jku", "x5c", "zip"]), JSON, max_size=3)


@SETTINGS
@given(claims=CLAIMS, header=HEADERS, method=st.sampled_from(["client_secret_jwt", "private_key_jwt"]))
def test_claims_of_a_client_assertion_that_is_signed_rightly(
    provider: Provider, signing: Mapping[str, RelyingParty], claims: dict[str, Any], header: dict[str, Any], method: str
) -> None:
    party = signing[method]
    said = {**claims_of(party.client_id, provider.issuer, provider.clock.now()), **claims}
    key, alg = (
        (OctKey.import_key(party.secret), "HS256") if method == "client_secret_jwt" else (key_of("ES256"), "ES256")
    )
    shown = {"grant_type": "refresh_token", "refresh_token": "x", **in_body(signed(said, key, alg, **header))}
    response = provider.post("/token", form_encoded(shown))
    _is_json(response)
    assert (response.status_code, response.get_json()["error"]) in ((400, "invalid_grant"), (401, "invalid_client"))


@pytest.fixture(scope="module")
def signing(provider: Provider) -> Mapping[str, RelyingParty]:
    """Clients that authenticate by a JWT, by the method."""
    methods = ("client_secret_jwt", "private_key_jwt")
    return {method: provider.client(token_endpoint_auth_method=method) for method in methods}


@SETTINGS
@given(authorization=VALUE, scheme=st.sampled_from([b"Basic ", b"Bearer ", b"DPoP ", b"", b"basic\t"]), content=VALUE)
def test_authorization_header(provider: Provider, authorization: bytes, scheme: bytes, content: bytes) -> None:
    value = (scheme + authorization).replace(b"\r", b"").replace(b"\n", b"").decode("latin-1")
    token = provider.post("/token", b"grant_type=refresh_token&refresh_token=" + content, {"Authorization": value})
    userinfo = provider.post("/userinfo", b"access_token=" + content, {"Authorization": value})
    for response in (token, userinfo):
        _is_json(response)
        assert response.status_code in (400, 401)


KEY = ProofKey()
PARTS = st.one_of(VALUE, st.sampled_from([json.dumps(KEY.header()).encode(), b"{}", b"[]", b"5", b'"\\ud800"']))


@pytest.fixture(scope="module")
def bound(provider: Provider) -> tuple[RelyingParty, str]:
    """A client, and an access token of it that is bound to the key."""
    party = provider.client()
    proof = KEY.proof("POST", f"{provider.issuer}/token", provider.clock.now())
    headers = {"Authorization": basic(party.client_id, party.secret), "DPoP": proof}
    tokens = party.token(party.code_request(party.code()), headers).get_json()
    return party, tokens["access_token"]


@SETTINGS
@given(parts=st.lists(PARTS, max_size=4), encoded=st.booleans(), signs=st.booleans())
def test_proof_of_a_key(
    provider: Provider, bound: tuple[RelyingParty, str], parts: list[bytes], encoded: bool, signs: bool
) -> None:
    party, token = bound
    written = [b64(part).encode() if encoded else part for part in parts]
    if signs and len(written) == 2:
        written.append(b64(KEY.signature(b".".join(written))).encode())
    proof = b".".join(written).replace(b"\r", b"").replace(b"\n", b"").decode("latin-1")
    before = _used(provider)
    headers = {"Authorization": basic(party.client_id, party.secret), "DPoP": proof}
    refused = party.token({"grant_type": "refresh_token", "refresh_token": "a.0.b"}, headers)
    for response in (refused, provider.get("/userinfo", {"Authorization": f"DPoP {token}", "DPoP": proof})):
        _is_json(response)
        assert response.status_code in (400, 401)
        assert response.get_json()["error"] == "invalid_dpop_proof"
    assert _used(provider) == before


def _used(provider: Provider) -> int:
    with provider.writing() as unit:
        return unit.scalar(select(func.count()).select_from(UsedIdentifier)) or 0


@SETTINGS
@given(name=VALUE, content=VALUE, query=VALUE, content_type=FORMS)
def test_userinfo_request(provider: Provider, name: bytes, content: bytes, query: bytes, content_type: str) -> None:
    for response in (
        provider.get("/userinfo", query=b"access_token=" + query),
        provider.get("/userinfo", query=query),
        provider.post("/userinfo", name + b"=" + content + b"&access_token=" + content, content_type=content_type),
    ):
        _is_json(response)
        assert response.status_code in (400, 401)
        assert response.headers["WWW-Authenticate"].startswith("Bearer ")


@SETTINGS
@given(changes=_changes(END_SESSION), raw=st.booleans(), by_post=st.booleans())
def test_end_session_request(
    provider: Provider, target: RelyingParty, changes: list[tuple[bytes, bytes]], raw: bool, by_post: bool
) -> None:
    right = {"client_id": target.client_id, "state": "s"}
    content = _encoded(right, changes, raw)
    response = provider.post("/end_session", content) if by_post else provider.get("/end_session", query=content)
    _is_harmless_page(response)
    assert not was_sent(response)
    if response.status_code == 303:
        assert response.headers["Location"].partition("?")[0] == "/end_session"
    else:
        assert response.status_code == 200


@SETTINGS
@given(interaction=VALUE, prompt=st.one_of(ENDS, VALUE), posts=st.booleans())
def test_address_of_an_interaction(provider: Provider, interaction: bytes, prompt: bytes, posts: bool) -> None:
    path = f"/s/{quote_from_bytes(interaction, safe='')}/{quote_from_bytes(prompt, safe='')}"
    browser = provider.browser()
    browser.client.set_cookie("__Host-idp_browser", "a", domain="login.example", secure=True)
    response = browser.post(path, b"code=1&csrf_token=x") if posts else browser.get(path)
    _is_harmless_page(response)
    assert not was_sent(response)


@pytest.mark.parametrize("path", ["/s/a%00b/restart", "/s/a%00b/leave", "/s/a%00b/identify", "/s/%00/%00", "/%00"])
def test_address_with_nul_is_not_found(provider: Provider, path: str) -> None:
    assert provider.get(path).status_code == 404


@pytest.mark.parametrize("field", ["organisation", "username", "password", "account", "method", "code", "\x00"])
def test_answer_with_nul_is_wrong_like_any_other(provider: Provider, target: RelyingParty, field: str) -> None:
    browser, who = provider.browser(), provider.somebody()
    page = browser.get(browser.authorize(target).headers["Location"])
    again = browser.post(*browser.answered(page, {**who.names, field: "a\x00b"}))
    assert again.status_code == 303
    assert browser.get(again.headers["Location"]).status_code == 200


def test_right_request_is_not_hostile(provider: Provider, target: RelyingParty) -> None:
    # The tests above say nothing when even the request they start from is refused.
    assert provider.get("/authorize", query=_encoded(_request(target), [], False)).headers["Location"].startswith("/s/")
    assert _request(target)["code_challenge"] == challenge_of(VERIFIER)
    assert target.signed_in()["id_token"]
