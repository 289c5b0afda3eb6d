"""Arbitrary bytes and JSON at the endpoints that servers of clients call: parameters, assertions, proofs, tokens.

Never our fault (5xx), always the content type of the specification, and no row of what is refused.
"""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import OctKey

from tests.client_assertions import claims_of, in_body, key_of
from tests.client_assertions import signed as signed_assertion
from tests.oidc.hostile import (
    ASSERTION,
    JSON,
    KNOWN_CLIENT,
    SETTINGS,
    STRANGER_AT_TOKEN,
    TOKEN,
    VALUE,
    Ledger,
    Remains,
    changes,
    encoded,
    in_header,
    is_error_for_a_client,
    is_json,
)
from tests.oidc.journeys import VERIFIER, Provider, RelyingParty, basic, form_encoded
from tests.proofs import ProofKey, ath, b64

CONTENT_TYPES = st.sampled_from(["application/x-www-form-urlencoded", "text/plain", ""])
SIGNED_ANSWER = "application/token-introspection+jwt"
KEY = ProofKey()
Changes = list[tuple[bytes, bytes]]


@pytest.fixture(scope="module")
def provider(attacked: Provider) -> Provider:
    return attacked


@pytest.fixture(scope="module")
def ledger(provider: Provider) -> Ledger:
    return Ledger(provider.app)


@pytest.fixture(scope="module")
def target(provider: Provider) -> RelyingParty:
    """The one client that is attacked."""
    return provider.client(grant_types=["authorization_code", "refresh_token"])


# Parameters


@SETTINGS
@given(changed=changes(TOKEN), raw=st.booleans(), grant=st.sampled_from(["authorization_code", "refresh_token"]))
def test_token_request_without_a_grant_is_refused_without_a_trace(
    provider: Provider, target: RelyingParty, ledger: Ledger, changed: Changes, raw: bool, grant: str
) -> None:
    right = {"grant_type": grant, "code": "c", "refresh_token": "a.0.b", "redirect_uri": target.redirect_uri}
    content = encoded({**right, "code_verifier": VERIFIER}, changed, raw)
    ledger.changed()
    is_error_for_a_client(provider.post("/token", content, {"Authorization": basic(target.client_id, target.secret)}))
    ledger.is_unchanged_but_for(KNOWN_CLIENT, *STRANGER_AT_TOKEN)


@SETTINGS
@given(
    changed=changes((*TOKEN, "token", "token_type_hint", "sid", "last_activity_at")),
    raw=st.booleans(),
    path=st.sampled_from(["/introspect", "/revoke", "/session/activity", "/session/status"]),
    accept=st.sampled_from(["*/*", SIGNED_ANSWER, f"{SIGNED_ANSWER};q=0", "\u00ff;q=x,,;"]),
)
def test_request_of_a_client_about_its_tokens_and_sessions_writes_nothing(
    provider: Provider, target: RelyingParty, ledger: Ledger, changed: Changes, raw: bool, path: str, accept: str
) -> None:
    content = encoded({"token": "a.0.b", "sid": "s", "last_activity_at": "0"}, changed, raw)
    headers = {"Authorization": basic(target.client_id, target.secret), "Accept": accept}
    ledger.changed()
    response = provider.post(path, content, headers)
    if response.status_code != 200:
        is_error_for_a_client(response)
    elif path == "/introspect" and accept == SIGNED_ANSWER:
        assert response.content_type == SIGNED_ANSWER
        assert response.headers["Cache-Control"] == "no-store"
        assert provider.claims(response.text)["token_introspection"] == {"active": False}
    else:
        assert is_json(response) in ({}, {"active": False})
    ledger.is_unchanged_but_for(KNOWN_CLIENT)


@SETTINGS
@given(authorization=VALUE, scheme=st.sampled_from([b"Basic ", b"Bearer ", b"DPoP ", b"", b"basic\t"]), content=VALUE)
def test_authorization_header_of_a_stranger_opens_and_writes_nothing(
    provider: Provider, ledger: Ledger, authorization: bytes, scheme: bytes, content: bytes
) -> None:
    headers = {"Authorization": in_header(scheme + authorization)}
    ledger.changed()
    is_error_for_a_client(provider.post("/token", b"grant_type=refresh_token&refresh_token=" + content, headers))
    ledger.is_unchanged_but_for(*STRANGER_AT_TOKEN)
    for path, name in (("/introspect", b"token="), ("/revoke", b"token="), ("/par", b"request=")):
        is_error_for_a_client(provider.post(path, name + content, headers))
    _is_challenged(provider.post("/userinfo", b"access_token=" + content, headers))
    ledger.is_unchanged_but_for()


def _is_challenged(response: Any) -> str:
    said = is_json(response)
    assert response.status_code in (400, 401)
    assert set(said) <= {"error", "error_description"}
    assert response.headers["WWW-Authenticate"].startswith(("Bearer ", "DPoP "))
    return str(said.get("error", ""))


# Assertions


@pytest.fixture(scope="module")
def signing(provider: Provider) -> Mapping[str, RelyingParty]:
    """Clients that authenticate by a JWT, by the method."""
    methods = ("client_secret_jwt", "private_key_jwt")
    return {method: provider.client(token_endpoint_auth_method=method) for method in methods}


CLAIMS = st.dictionaries(st.sampled_from(["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "x"]), JSON, max_size=4)
HEADERS = st.dictionaries(st.sampled_from(["typ", "kid", "crit", "b64", "jwk", "jku", "x5c", "zip"]), JSON, max_size=3)
# What each endpoint is asked, so that it refuses even a client that proved who it is.
REFUSED_AT = {
    "/token": {"grant_type": "refresh_token", "refresh_token": "x"},
    "/par": {"response_type": "token"},
    "/introspect": {},
    "/revoke": {},
}


@SETTINGS
@given(
    claims=CLAIMS,
    header=HEADERS,
    method=st.sampled_from(["client_secret_jwt", "private_key_jwt"]),
    path=st.sampled_from(list(REFUSED_AT)),
)
def test_claims_of_a_client_assertion_that_is_signed_rightly_leave_no_more_than_its_use(
    provider: Provider,
    signing: Mapping[str, RelyingParty],
    ledger: Ledger,
    claims: dict[str, Any],
    header: dict[str, Any],
    method: str,
    path: str,
) -> None:
    party = signing[method]
    said = {**claims_of(party.client_id, provider.issuer, provider.clock.now()), **claims}
    key, alg = (
        (OctKey.import_key(party.secret), "HS256") if method == "client_secret_jwt" else (key_of("ES256"), "ES256")
    )
    shown = {**REFUSED_AT[path], **in_body(signed_assertion(said, key, alg, **header))}
    ledger.changed()
    error = is_error_for_a_client(provider.post(path, form_encoded(shown)))
    if error == "invalid_client":
        ledger.is_unchanged_but_for(*_strangers_at(path))
    else:
        ledger.is_unchanged_but_for(KNOWN_CLIENT, ASSERTION)


def _strangers_at(path: str) -> tuple[Remains, ...]:
    return STRANGER_AT_TOKEN if path == "/token" else ()


@SETTINGS
@given(
    parts=st.lists(VALUE | st.sampled_from([b"{}", b"[]", b'{"alg":"ES256"}', b'{"sub":"\\ud800"}']), max_size=4),
    is_encoded=st.booleans(),
    path=st.sampled_from(list(REFUSED_AT)),
)
def test_client_assertion_that_is_none_proves_and_writes_nothing(
    provider: Provider, ledger: Ledger, parts: list[bytes], is_encoded: bool, path: str
) -> None:
    written = b".".join(b64(part).encode() if is_encoded else part for part in parts)
    content = encoded({**REFUSED_AT[path], **in_body("")}, [(b"client_assertion", written)], raw=False)
    ledger.changed()
    is_error_for_a_client(provider.post(path, content))
    ledger.is_unchanged_but_for(*_strangers_at(path))


# Proofs


@pytest.fixture(scope="module")
def bound(provider: Provider) -> tuple[RelyingParty, str]:
    """A client, and an access token of it that is bound to the key."""
    party = provider.client()
    proof = KEY.proof("POST", f"{provider.issuer}/token", provider.clock.now())
    headers = {"Authorization": basic(party.client_id, party.secret), "DPoP": proof}
    tokens = party.token(party.code_request(party.code()), headers).get_json()
    return party, tokens["access_token"]


PARTS = st.one_of(VALUE, st.sampled_from([json.dumps(KEY.header()).encode(), b"{}", b"[]", b"5", b'"\\ud800"']))


def _shown(provider: Provider, bound: tuple[RelyingParty, str], path: str, proof: str) -> Any:
    """The answer to a request that would be right but for its proof."""
    party, token = bound
    if path == "/userinfo":
        return provider.get(path, {"Authorization": f"DPoP {token}", "DPoP": proof})
    content = party.request() if path == "/par" else party.code_request("x")
    return party.post(path, content, {"Authorization": basic(party.client_id, party.secret), "DPoP": proof})


@SETTINGS
@given(
    parts=st.lists(PARTS, max_size=4),
    is_encoded=st.booleans(),
    signs=st.booleans(),
    path=st.sampled_from(["/token", "/par", "/userinfo"]),
)
def test_proof_of_a_key_that_is_none_is_refused_without_a_trace(
    provider: Provider,
    bound: tuple[RelyingParty, str],
    ledger: Ledger,
    parts: list[bytes],
    is_encoded: bool,
    signs: bool,
    path: str,
) -> None:
    written = [b64(part).encode() if is_encoded else part for part in parts]
    if signs and len(written) == 2:
        written.append(b64(KEY.signature(b".".join(written))).encode())
    ledger.changed()
    response = _shown(provider, bound, path, in_header(b".".join(written)))
    said = is_json(response)
    assert response.status_code in (400, 401) and said["error"] == "invalid_dpop_proof"
    ledger.is_unchanged_but_for(*(() if path == "/userinfo" else (KNOWN_CLIENT,)))


@SETTINGS
@given(
    header=st.dictionaries(st.sampled_from(["typ", "alg", "jwk", "crit", "kid", "x5c", "b64"]), JSON, max_size=2),
    claims=st.dictionaries(st.sampled_from(["jti", "htm", "htu", "iat", "ath", "nonce"]), JSON, max_size=3),
    path=st.sampled_from(["/token", "/par", "/userinfo"]),
)
def test_proof_of_any_json_is_used_up_by_what_succeeds_alone(
    provider: Provider,
    bound: tuple[RelyingParty, str],
    ledger: Ledger,
    header: dict[str, Any],
    claims: dict[str, Any],
    path: str,
) -> None:
    method = "GET" if path == "/userinfo" else "POST"
    right = KEY.claims(method, f"{provider.issuer}{path}", provider.clock.now(), ath=ath(bound[1]))
    proof = KEY.signed({**KEY.header(), **header}, {**right, **claims})
    ledger.changed()
    response = _shown(provider, bound, path, proof)
    assert is_json(response)
    if response.status_code < 400:
        assert "used_identifiers" in ledger.changed()
    else:
        # A right proof comes at the token endpoint with a code that is wrong.
        assert response.get_json()["error"] in ("invalid_dpop_proof", "invalid_grant")
        ledger.is_unchanged_but_for(*(() if path == "/userinfo" else (KNOWN_CLIENT,)))


# Userinfo


@SETTINGS
@given(name=VALUE, content=VALUE, query=VALUE, content_type=CONTENT_TYPES)
def test_userinfo_request_without_a_token_is_refused_without_a_trace(
    provider: Provider, ledger: Ledger, name: bytes, content: bytes, query: bytes, content_type: str
) -> None:
    ledger.changed()
    for response in (
        provider.get("/userinfo", query=b"access_token=" + query),
        provider.get("/userinfo", query=query),
        provider.post("/userinfo", name + b"=" + content + b"&access_token=" + content, content_type=content_type),
    ):
        _is_challenged(response)
    ledger.is_unchanged_but_for()


def test_right_requests_are_answered_and_leave_their_rows(
    provider: Provider, bound: tuple[RelyingParty, str], signing: Mapping[str, RelyingParty], ledger: Ledger
) -> None:
    # The tests above say nothing when even the requests they start from are refused.
    for path, method in (("/userinfo", "GET"), ("/par", "POST")):
        ledger.changed()
        proof = KEY.proof(method, f"{provider.issuer}{path}", provider.clock.now(), bound[1])
        assert _shown(provider, bound, path, proof).status_code < 300
        assert "used_identifiers" in ledger.changed()
    for party in signing.values():
        assert party.post("/introspect", {"token": "x"}).get_json() == {"active": False}
        assert "used_identifiers" in ledger.changed()


def test_signed_userinfo_has_its_type_and_its_errors_are_json(provider: Provider, ledger: Ledger) -> None:
    party = provider.client(userinfo_signed_response_alg="ES256")
    token = party.signed_in()["access_token"]
    assert provider.userinfo(token).content_type == "application/jwt"
    ledger.changed()
    _is_challenged(provider.userinfo(token + "x"))
    ledger.is_unchanged_but_for()
