"""Arbitrary bytes and JSON at the endpoints that browsers come to, and at the one where their requests are pushed.

Never our fault (5xx), never a way to a foreign address, and no row of what is refused. `make test-long` tries far more.
"""

import json
from typing import Any
from urllib.parse import quote_from_bytes, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oidc.hostile import (
    AUTHORIZE,
    FORM,
    JSON,
    KNOWN_CLIENT,
    SETTINGS,
    STRANGER_AT_AUTHORIZE,
    VALUE,
    Ledger,
    changes,
    encoded,
    is_error_for_a_client,
    is_harmless_page,
    is_json,
    is_refused_or_begun,
    right_request,
)
from tests.oidc.journeys import VERIFIER, Browser, Provider, RelyingParty, basic, challenge_of, form_encoded, was_sent
from tests.oidc.signing import public_keys, signed
from tests.proofs import ProofKey

ENDS = st.sampled_from([b"identify", b"consent", b"restart", b"leave"])
END_SESSION = ("id_token_hint", "client_id", "post_logout_redirect_uri", "state", "logout_hint", "ui_locales", "lang")
PUSHED = "urn:ietf:params:oauth:request_uri:"
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
    return provider.client(
        grant_types=["authorization_code", "refresh_token"],
        jwks=public_keys("ES256"),
        request_uris=["https://[::1/", "https://app.example:99999/", "https://a\x00b/", "urn:x"],
        post_logout_redirect_uris=["https://app.example/signed-out"],
    )


@pytest.fixture(scope="module")
def desk(provider: Provider, target: RelyingParty) -> Browser:
    """A browser in which somebody is signed in."""
    assert target.code()
    return provider.desk()[0]


# The authorization endpoint


@SETTINGS
@given(changed=changes(AUTHORIZE), raw=st.booleans(), silent=st.booleans(), is_signed_in=st.booleans())
def test_authorization_request_is_refused_without_a_trace_or_accepted(
    provider: Provider,
    target: RelyingParty,
    desk: Browser,
    ledger: Ledger,
    changed: Changes,
    raw: bool,
    silent: bool,
    is_signed_in: bool,
) -> None:
    query = encoded(right_request(target) | ({"prompt": "none"} if silent else {}), changed, raw)
    ledger.changed()
    response = (desk if is_signed_in else provider).get("/authorize", query=query)
    if is_refused_or_begun(provider, target, response):
        ledger.is_unchanged_but_for(*STRANGER_AT_AUTHORIZE)
    else:
        assert ledger.changed()


@SETTINGS
@given(changed=changes(AUTHORIZE), raw=st.booleans())
def test_authorization_request_by_post_writes_nothing_and_is_led_to_our_own_get(
    provider: Provider, target: RelyingParty, ledger: Ledger, changed: Changes, raw: bool
) -> None:
    content = encoded(right_request(target), changed, raw)
    ledger.changed()
    response = provider.post("/authorize", content)
    is_harmless_page(response)
    if response.status_code == 303:
        assert response.headers["Location"].startswith("/authorize?")
        assert response.headers["Location"].isprintable() and " " not in response.headers["Location"]
    else:
        assert response.status_code == 400
    ledger.is_unchanged_but_for(*STRANGER_AT_AUTHORIZE)


@SETTINGS
@given(
    wishes=st.fixed_dictionaries(
        {},
        optional={
            part: JSON | st.dictionaries(st.sampled_from(["acr", "auth_time", "name", "sub", "x"]), JSON, max_size=3)
            for part in ("id_token", "userinfo", "access_token")
        },
    ),
    is_signed_in=st.booleans(),
    pushes=st.booleans(),
)
def test_claims_parameter_of_any_json_is_refused_without_a_trace_or_accepted(
    provider: Provider,
    target: RelyingParty,
    desk: Browser,
    ledger: Ledger,
    wishes: Any,
    is_signed_in: bool,
    pushes: bool,
) -> None:
    asked = form_encoded({**target.request(), "claims": json.dumps(wishes)})
    ledger.changed()
    if pushes:
        _is_pushed_or_refused(provider, target, ledger, asked)
    elif is_refused_or_begun(provider, target, (desk if is_signed_in else provider).get("/authorize", query=asked)):
        ledger.is_unchanged_but_for(*STRANGER_AT_AUTHORIZE)


@SETTINGS
@given(changed=changes(("request_uri", "client_id", "state", "request")), urn=st.booleans(), raw=st.booleans())
def test_browser_with_a_request_uri_that_nobody_pushed_is_refused(
    provider: Provider, target: RelyingParty, desk: Browser, ledger: Ledger, changed: Changes, urn: bool, raw: bool
) -> None:
    if urn:
        changed = [(name, PUSHED.encode() + value if name == b"request_uri" else value) for name, value in changed]
    right = {"client_id": target.client_id, "request_uri": PUSHED + "x" * 43}
    ledger.changed()
    assert is_refused_or_begun(provider, target, desk.get("/authorize", query=encoded(right, changed, raw)))
    ledger.is_unchanged_but_for(*STRANGER_AT_AUTHORIZE)


# Pushed requests


def _is_pushed_or_refused(
    provider: Provider, target: RelyingParty, ledger: Ledger, content: str | bytes, **headers: str
) -> bool:
    """True when the request was pushed: one row, and its proof if there was one. Otherwise it left nothing."""
    response = provider.post("/par", content, {"Authorization": basic(target.client_id, target.secret), **headers})
    if response.status_code == 201:
        assert set(is_json(response)) == {"request_uri", "expires_in"}
        proof = {"used_identifiers"} if "DPoP" in headers else set()
        assert set(ledger.changed()) == {"pushed_authorization_requests"} | proof
        return True
    is_error_for_a_client(response)
    ledger.is_unchanged_but_for(KNOWN_CLIENT)
    return False


@SETTINGS
@given(changed=changes((*AUTHORIZE, "client_secret", "client_assertion")), raw=st.booleans(), proves=st.booleans())
def test_pushed_authorization_request_is_refused_without_a_trace_or_kept(
    provider: Provider, target: RelyingParty, ledger: Ledger, changed: Changes, raw: bool, proves: bool
) -> None:
    content = encoded(right_request(target), changed, raw)
    proof = KEY.proof("POST", f"{provider.issuer}/par", provider.clock.now())
    headers = {"Authorization": basic(target.client_id, target.secret)} | ({"DPoP": proof} if proves else {})
    ledger.changed()
    response = provider.post("/par", content, headers)
    if response.status_code == 201:
        assert set(ledger.changed()) == {"pushed_authorization_requests"} | ({"used_identifiers"} if proves else set())
        query = urlencode({"client_id": target.client_id, "request_uri": is_json(response)["request_uri"]})
        is_refused_or_begun(provider, target, provider.get("/authorize", query=query))
        return
    is_error_for_a_client(response)
    ledger.is_unchanged_but_for(KNOWN_CLIENT)


# Request objects

CLAIMS = (*AUTHORIZE, "iss", "aud", "exp", "nbf", "iat", "jti", "sub")
HEADERS = ("alg", "typ", "kid", "crit", "b64", "jwk", "cty", "zip", "jku", "x5c")


@SETTINGS
@given(
    claims=st.dictionaries(st.sampled_from(CLAIMS), JSON, max_size=4),
    header=st.dictionaries(st.sampled_from(HEADERS), JSON, max_size=2),
    pushes=st.booleans(),
    is_signed_in=st.booleans(),
)
def test_request_object_that_is_signed_rightly_is_refused_without_a_trace_or_accepted(
    provider: Provider,
    target: RelyingParty,
    desk: Browser,
    ledger: Ledger,
    claims: dict[str, Any],
    header: dict[str, Any],
    pushes: bool,
    is_signed_in: bool,
) -> None:
    right = {**right_request(target), "iss": target.client_id, "aud": provider.issuer, "exp": 4 * 10**9}
    token = signed({**right, **claims}, **{name: value for name, value in header.items() if name != "alg"})
    ledger.changed()
    if pushes:
        _is_pushed_or_refused(provider, target, ledger, urlencode({"request": token}))
        return
    query = urlencode({"client_id": target.client_id, "request": token})
    if is_refused_or_begun(provider, target, (desk if is_signed_in else provider).get("/authorize", query=query)):
        ledger.is_unchanged_but_for(*STRANGER_AT_AUTHORIZE)


@SETTINGS
@given(parts=st.lists(VALUE | st.sampled_from([b"e30", b'{"alg":"none"}']), max_size=4), pushes=st.booleans())
def test_request_object_that_is_none_is_refused(
    provider: Provider, target: RelyingParty, desk: Browser, ledger: Ledger, parts: list[bytes], pushes: bool
) -> None:
    asked = encoded(right_request(target), [(b"request", b".".join(parts) + b".")], raw=False)
    ledger.changed()
    if pushes:
        assert not _is_pushed_or_refused(provider, target, ledger, asked)
    else:
        assert is_refused_or_begun(provider, target, desk.get("/authorize", query=asked))
        ledger.is_unchanged_but_for(*STRANGER_AT_AUTHORIZE)


# Logging out


@pytest.fixture(scope="module")
def hint(provider: Provider, target: RelyingParty, desk: Browser) -> str:
    """An ID token of the same client, for a session that is not the one at the desk: it spares no question."""
    return str(target.signed_in(provider.somebody())["id_token"])


@SETTINGS
@given(changed=changes(END_SESSION), raw=st.booleans(), by_post=st.booleans(), is_signed_in=st.booleans())
def test_end_session_request_ends_nothing_before_somebody_confirmed(
    provider: Provider,
    target: RelyingParty,
    desk: Browser,
    hint: str,
    ledger: Ledger,
    changed: Changes,
    raw: bool,
    by_post: bool,
    is_signed_in: bool,
) -> None:
    right = {"client_id": target.client_id, "state": "s", "id_token_hint": hint}
    content = encoded(right, changed, raw)
    browser = desk if is_signed_in else provider.browser()
    ledger.changed()
    response = browser.post("/end_session", content) if by_post else browser.get("/end_session", query=content)
    is_harmless_page(response)
    assert not was_sent(response)
    if response.status_code == 303:
        # To our own GET, or, where nobody is signed in, to the page that says so.
        assert response.headers["Location"].partition("?")[0] in ("/end_session", "/signed-out")
    else:
        assert response.status_code == 200
    ledger.is_unchanged_but_for()


# The pages of an interaction


@SETTINGS
@given(interaction=VALUE, prompt=st.one_of(ENDS, VALUE), posts=st.booleans())
def test_address_of_an_interaction_that_nobody_began_changes_nothing(
    provider: Provider, ledger: Ledger, interaction: bytes, prompt: bytes, posts: bool
) -> None:
    path = f"/s/{quote_from_bytes(interaction, safe='')}/{quote_from_bytes(prompt, safe='')}"
    browser = provider.browser()
    browser.client.set_cookie("__Host-idp_browser", "a", domain="login.example", secure=True)
    ledger.changed()
    response = browser.post(path, b"code=1&csrf_token=x") if posts else browser.get(path)
    is_harmless_page(response)
    assert not was_sent(response)
    ledger.is_unchanged_but_for(*(FORM if posts else ()))


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


def test_right_request_is_not_hostile(provider: Provider, target: RelyingParty, desk: Browser, ledger: Ledger) -> None:
    # The tests above say nothing when even the request they start from is refused.
    right = encoded(right_request(target), [], False)
    assert provider.get("/authorize", query=right).headers["Location"].startswith("/s/")
    assert not is_refused_or_begun(provider, target, desk.get("/authorize", query=right + b"&prompt=none"))
    assert right_request(target)["code_challenge"] == challenge_of(VERIFIER)
    assert target.signed_in()["id_token"]
    ledger.changed()
    proof = KEY.proof("POST", f"{provider.issuer}/par", provider.clock.now())
    assert _is_pushed_or_refused(provider, target, ledger, right, DPoP=proof)
