"""The authorization request: what is accepted, and which errors are shown and which sent (RFC 6749 4.1.2.1)."""

import json
import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from idp.accounts.models import Account
from idp.oidc.models import AuthorizationCode
from tests.factories import Somebody
from tests.oidc.journeys import (
    VERIFIER,
    Answer,
    Browser,
    Parameter,
    Provider,
    RelyingParty,
    body,
    form_encoded,
    was_sent,
)


def _is_a_page(response: TestResponse, status: int = 400) -> bool:
    """An error that stays with us: nothing in it leads the browser to the client."""
    assert response.status_code == status, (response.status_code, response.headers.get("Location"))
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    return not was_sent(response)


def _error(response: TestResponse, party: RelyingParty, state: str | None = "st4te") -> str:
    """The error that was sent to the client, at its own address and with nothing else than what belongs there."""
    answer = Answer.read(response)
    assert answer.address == party.redirect_uri
    assert answer.values.get("state") == state
    assert answer.values["iss"] == party.provider.issuer
    assert set(answer.values) <= {"error", "error_description", "error_uri", "state", "iss"}
    description = answer.values.get("error_description", "")
    assert all("\x20" <= character <= "\x7e" and character not in '"\\' for character in description)
    return answer.values["error"]


# Client and redirect URI: a page, never a redirect


@pytest.mark.demand(1, 2)
@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": None},
        {"client_id": ""},
        {"client_id": "nobody"},
        {"client_id": "no\x00body"},
        {"client_id": "x" * 9000},
        {"client_id": '<script>"\r\n'},
        {"redirect_uri": None},
        {"redirect_uri": ""},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "https://app.example/callback/random"},
        {"redirect_uri": "https://app.example/callback?a=b"},
        {"redirect_uri": "https://app.example/callback#fragment"},
        {"redirect_uri": "https://app.example/callback "},
        {"redirect_uri": "https://app.example/Callback"},
        {"redirect_uri": "https://app.example:443/callback"},
        {"redirect_uri": "https://app.example/x/../callback"},
        {"redirect_uri": "https://app.example/%63allback"},
        {"redirect_uri": "https://app.example@evil.example/callback"},
        {"redirect_uri": "//app.example/callback"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "https://app.example/callback\r\nSet-Cookie: a=b"},
        {"redirect_uri": "https://app.example/callback\x00"},
        {"redirect_uri": "https://\u0430pp.example/callback"},
        {"redirect_uri": "https://app.example/callback" + "x" * 9000},
    ],
    ids=str,
)
def test_client_or_redirect_uri_that_is_not_right_is_shown_and_never_redirected(
    party: RelyingParty, browser: Browser, changes: dict[str, Parameter]
) -> None:
    assert _is_a_page(browser.authorize(party, **changes))


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_repeated_client_or_redirect_uri_is_shown(party: RelyingParty, browser: Browser, name: str) -> None:
    right = party.request()[name]
    assert isinstance(right, str)
    assert _is_a_page(browser.authorize(party, **{name: [right, right]}))


@pytest.mark.demand(1)
def test_redirect_uri_of_another_client_is_shown(provider: Provider, browser: Browser) -> None:
    mine = provider.client(redirect_uris=["https://mine.example/cb"])
    provider.client(redirect_uris=["https://theirs.example/cb"])
    assert _is_a_page(browser.authorize(mine, redirect_uri="https://theirs.example/cb"))


def test_missing_redirect_uri_is_shown_also_when_only_one_is_registered(party: RelyingParty, browser: Browser) -> None:
    # RFC 6749 3.1.2.3 would allow it, OIDC Core 3.1.2.1 requires the parameter.
    assert _is_a_page(browser.authorize(party, redirect_uri=None, state="s"))


@pytest.mark.demand(1)
def test_missing_redirect_uri_is_shown_when_several_are_registered(provider: Provider, browser: Browser) -> None:
    party = provider.client(redirect_uris=["https://app.example/one", "https://app.example/two"])
    assert _is_a_page(browser.authorize(party, redirect_uri=None))


def test_everything_wrong_at_once_is_shown(party: RelyingParty, browser: Browser) -> None:
    wrong = browser.authorize(party, client_id="nobody", response_type="x", prompt="none", response_mode="form_post")
    assert _is_a_page(wrong)


@pytest.mark.demand(2)
def test_registered_query_must_match_exactly(provider: Provider, browser: Browser) -> None:
    party = provider.client(redirect_uris=["https://app.example/cb?tenant=1"])
    assert browser.authorize(party).status_code == 303
    for other in ("https://app.example/cb", "https://app.example/cb?tenant=2", "https://app.example/cb?tenant=1&a=b"):
        assert _is_a_page(browser.authorize(party, redirect_uri=other))


@pytest.mark.parametrize("port", ["", ":1", ":51234", ":65535"])
@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_native_client_may_use_any_port_on_a_literal_loopback_address(
    provider: Provider, browser: Browser, host: str, port: str
) -> None:
    party = provider.client(
        token_endpoint_auth_method="none", application_type="native", redirect_uris=[f"http://{host}:7000/cb?a=b"]
    )
    accepted = browser.authorize(party, redirect_uri=f"http://{host}{port}/cb?a=b", prompt="none")
    assert Answer.read(accepted).address == f"http://{host}{port}/cb"


@pytest.mark.parametrize(
    "other",
    [
        "http://127.0.0.1:7001/other",
        "http://localhost:7000/cb",
        "https://127.0.0.1:7001/cb",
        "http://127.0.0.1:7001@evil.example/cb",
        "http://127.0.0.1.evil.example:7000/cb",
        "http://127.0.0.1:7001/cb\n",
        "http://127.0.0.2:7000/cb",
    ],
)
def test_native_client_on_loopback_may_change_nothing_but_the_port(
    provider: Provider, browser: Browser, other: str
) -> None:
    party = provider.client(
        token_endpoint_auth_method="none", application_type="native", redirect_uris=["http://127.0.0.1:7000/cb"]
    )
    assert _is_a_page(browser.authorize(party, redirect_uri=other))


def test_web_client_may_not_change_the_port(provider: Provider, browser: Browser) -> None:
    party = provider.client(redirect_uris=["http://127.0.0.1:7000/cb"])
    assert _is_a_page(browser.authorize(party, redirect_uri="http://127.0.0.1:7001/cb"))


# Everything else: sent to the client


@pytest.mark.demand(8, 9)
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "invalid_request"),
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": ["code", "code"]}, "invalid_request"),
        ({"response_type": "x" * 9000}, "invalid_request"),
        ({"response_type": "code\x00"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "id_token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "code token"}, "unsupported_response_type"),
        ({"response_type": "none"}, "unsupported_response_type"),
        ({"response_type": 'f"o\\o'}, "unsupported_response_type"),
        ({"response_type": "c\u00f6de"}, "unsupported_response_type"),
        ({"response_type": "code\r\nX: y"}, "unsupported_response_type"),
        ({"response_mode": "jwt"}, "invalid_request"),
        ({"response_mode": 'quer"y'}, "invalid_request"),
        ({"response_mode": ["query", "fragment"]}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "profile email"}, "invalid_scope"),
        ({"scope": "OPENID"}, "invalid_scope"),
        ({"scope": ["openid", "profile"]}, "invalid_request"),
        ({"scope": "openid " + "x" * 3000}, "invalid_request"),
        ({"nonce": ["a", "b"]}, "invalid_request"),
        ({"nonce": "n" * 2001}, "invalid_request"),
        ({"nonce": "a\x00b"}, "invalid_request"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "none consent"}, "invalid_request"),
        ({"prompt": "create"}, "invalid_request"),
        ({"prompt": "LOGIN"}, "invalid_request"),
        ({"prompt": ["none", "none"]}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"max_age": "+1"}, "invalid_request"),
        ({"max_age": "1.0"}, "invalid_request"),
        ({"max_age": "1e3"}, "invalid_request"),
        ({"max_age": " 1"}, "invalid_request"),
        ({"max_age": "soon"}, "invalid_request"),
        ({"max_age": "\u0661"}, "invalid_request"),
        ({"max_age": "9" * 41}, "invalid_request"),
        ({"max_age": ["1", "2"]}, "invalid_request"),
        ({"id_token_hint": "not a token"}, "invalid_request"),
        ({"id_token_hint": "e30.e30."}, "invalid_request"),
        ({"id_token_hint": "\u00e9.\u00e9.\u00e9"}, "invalid_request"),
        ({"request": "e30.e30."}, "invalid_request_object"),
        ({"request_uri": "https://app.example/request"}, "invalid_request_uri"),
        ({"registration": "{}"}, "registration_not_supported"),
        ({"request": ["a", "b"]}, "invalid_request"),
        ({"login_hint": "x" * 501}, "invalid_request"),
        ({"acr_values": "x" * 1001}, "invalid_request"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_wrong_parameter_is_an_error_at_the_client(
    party: RelyingParty, browser: Browser, changes: Mapping[str, Parameter], error: str
) -> None:
    assert _error(browser.authorize(party, **changes), party) == error
    assert _error(browser.authorize(party, **{"prompt": "none", **changes}), party) == error, "nor is a page shown"


@pytest.mark.demand(4)
def test_missing_response_type_is_told_in_the_query(party: RelyingParty, browser: Browser) -> None:
    answer = Answer.read(browser.authorize(party, response_type=None))
    assert answer.query["error"] == "invalid_request"
    assert not answer.fragment and not answer.form


def test_response_type_that_the_client_is_not_registered_for_is_unauthorized_client(
    provider: Provider, browser: Browser
) -> None:
    party = provider.client(response_types=["id_token"])
    assert _error(browser.authorize(party), party) == "unauthorized_client"


def test_grant_type_that_the_client_is_not_registered_for_is_unauthorized_client(
    provider: Provider, browser: Browser
) -> None:
    party = provider.client(grant_types=["refresh_token"])
    assert _error(browser.authorize(party), party) == "unauthorized_client"


def test_error_does_not_follow_the_wrong_request_into_another_address(provider: Provider, browser: Browser) -> None:
    party = provider.client(redirect_uris=["https://first.example/cb", "https://second.example/cb"])
    wrong = browser.authorize(party, redirect_uri="https://second.example/cb", response_type=None)
    assert Answer.read(wrong).address == "https://second.example/cb"


@pytest.mark.parametrize(
    "changes",
    [
        {"login_hint": "buffy@sunnydale.example"},
        {"login_hint": "10234\\anna"},
        {"ui_locales": "se"},
        {"ui_locales": "nl-NL en fr"},
        {"ui_locales": "../../etc/passwd"},
        {"claims_locales": "se"},
        {"display": "page"},
        {"display": "popup"},
        {"display": "wap"},
        {"acr_values": "1 2"},
        {"acr_values": "phr unknown"},
        {"extra": "parameter"},
        {"extra": ["repeated", "parameter"]},
        {"ext\x00ra": "\x00"},
        {"nonce": None},
        {"nonce": "n" * 384},
        {"scope": "openid"},
        {"scope": "openid offline_access"},
        {"scope": "openid  profile openid nonsense"},
        {"prompt": "login"},
        {"prompt": "consent"},
        {"prompt": "select_account"},
        {"prompt": "login consent select_account"},
        {"prompt": "login login"},
        {"max_age": "0"},
        {"max_age": "1"},
        {"max_age": "15000"},
        {"max_age": "0003600"},
        {"max_age": str(10**18)},
        {"response_mode": "query"},
        {"response_mode": "fragment"},
        {"response_mode": "form_post"},
        {"request": ""},
        {"request_uri": ""},
        {"registration": ""},
        {"nonce": ""},
        {"state": ""},
        {"prompt": ""},
        {"max_age": ""},
        {"claims": ""},
        {"display": ""},
        {"id_token_hint": ""},
        {"response_mode": ""},
        {"login_hint": ""},
        {"acr_values": ""},
    ],
    ids=str,
)
def test_right_unknown_or_empty_parameter_leads_to_sign_in(
    party: RelyingParty, browser: Browser, changes: Mapping[str, Parameter]
) -> None:
    begun = browser.authorize(party, **changes)
    assert begun.status_code == 303, begun.headers.get("Location")
    assert begun.headers["Location"].startswith("/s/")
    assert browser.get(begun.headers["Location"]).status_code == 200


@pytest.mark.demand(20)
@pytest.mark.parametrize(
    "changes",
    [
        {"login_hint": "buffy@sunnydale.example"},
        {"ui_locales": "se"},
        {"claims_locales": "se"},
        {"display": "page"},
        {"display": "popup"},
        {"acr_values": "1 2"},
        {"extra": "foobar"},
    ],
    ids=str,
)
def test_parameter_that_may_be_ignored_leads_to_tokens(
    provider: Provider, party: RelyingParty, browser: Browser, changes: Mapping[str, Parameter]
) -> None:
    code = browser.sign_in(party, provider.somebody(), **changes).values["code"]
    assert body(party.redeem(code))["id_token"]


def test_parameter_order_does_not_matter(party: RelyingParty, browser: Browser) -> None:
    pairs = list(party.request().items())
    for seed in range(5):
        random.Random(seed).shuffle(pairs)
        assert browser.get("/authorize", query=form_encoded(dict(pairs))).status_code == 303


# state


@pytest.mark.demand(7)
@pytest.mark.parametrize(
    "state",
    [
        "s",
        "a b+c%20d&e=f#g?h;i",
        "<script>alert('x')</script>\"'`",
        '\\"quoted\\" {json: [1]}',
        "".join(map(chr, range(0x20, 0x7F))),
        "na\u00efef \u2603 \U0001f511",
        "%0d%0aSet-Cookie: a=b",
        "a" * 128,
        "aZ09-._~" * 125,
        "+/=" * 500,
    ],
    ids=lambda state: state[:12],
)
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
def test_state_comes_back_unchanged(party: RelyingParty, browser: Browser, state: str, mode: str) -> None:
    answer = browser.silent(party, state=state, response_mode=mode)
    assert answer.values["error"] == "login_required"
    assert answer.values["state"] == state


@pytest.mark.demand(7)
def test_random_state_of_every_length_comes_back_unchanged(party: RelyingParty, browser: Browser) -> None:
    draw = random.Random(7)
    for length in (1, 2, 43, 128, 512, 1000, 1024, 2048):
        state = "".join(chr(draw.randrange(0x20, 0x7F)) for _ in range(length))
        assert browser.silent(party, state=state).values["state"] == state


def _odd(length: int) -> str:
    draw = random.Random(length)
    return "".join(chr(draw.randrange(0x20, 0x7F)) for _ in range(length))


@pytest.mark.demand("E4", 7)
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
@pytest.mark.parametrize("state", [None, _odd(128), _odd(1000)], ids=["none", "128", "1000"])
def test_state_comes_back_with_the_code_as_it_went(
    provider: Provider, party: RelyingParty, browser: Browser, mode: str, state: str | None
) -> None:
    asked = browser.sign_in(party, provider.somebody(), state=state, response_mode=mode)
    silent = browser.silent(party, state=state, response_mode=mode)
    for answer in (asked, silent):
        assert "code" in answer.values
        assert answer.values.get("state") == state


@pytest.mark.demand(7)
@pytest.mark.parametrize("state", [None, ""])
def test_absent_state_stays_absent(party: RelyingParty, browser: Browser, state: str | None) -> None:
    assert "state" not in browser.silent(party, state=state).values


@pytest.mark.parametrize("state", [["a", "b"], "s" * 5000, "a\x00b"], ids=["twice", "too long", "NUL"])
def test_state_that_cannot_be_echoed_is_refused_and_not_cut(
    party: RelyingParty, browser: Browser, state: Parameter
) -> None:
    assert _error(browser.authorize(party, state=state), party, state=None) == "invalid_request"


# What is no request at all


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"&&&===",
        b"client_id",
        b"%",
        b"client_id=%ff%fe",
        b"client_id=\xff",
        b"state=%ff&client_id=atosi",
        b"a=b&" * 500,
        b"client_id=" + b"x" * 1_000_000,
        b"\x00=\x00",
    ],
    ids=lambda query: repr(query[:24]),
)
def test_unreadable_request_is_shown(provider: Provider, query: bytes) -> None:
    assert _is_a_page(provider.get("/authorize", query=query))


def test_state_that_is_not_utf_8_is_shown(provider: Provider, party: RelyingParty) -> None:
    query = form_encoded(party.request(state=None)).encode() + b"&state=%ff"
    assert _is_a_page(provider.get("/authorize", query=query))


# POST (OIDC Core 3.1.2.1)


@pytest.mark.demand(12)
def test_request_by_post_is_the_same_request(provider: Provider, party: RelyingParty, browser: Browser) -> None:
    who, state = provider.somebody(), "odd #state& with+plus%"
    posted = browser.post("/authorize", form_encoded(party.request(state=state)))
    assert posted.status_code == 303
    answer = Answer.read(browser.finish(posted, who))
    assert answer.address == party.redirect_uri
    assert answer.values["state"] == state
    assert party.redeem(answer.values["code"]).status_code == 200


@pytest.mark.demand(12)
def test_request_by_post_from_another_site_needs_no_token_of_ours(party: RelyingParty, browser: Browser) -> None:
    headers = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
    posted = browser.post("/authorize", form_encoded(party.request()), headers)
    assert posted.status_code == 303
    assert posted.headers["Location"].startswith("/authorize?")


@pytest.mark.parametrize(
    "content",
    [
        b"client_id=a\r\nSet-Cookie: stolen=1",
        b"client_id=a\n\nbody",
        b"#client_id=a",
        b"client_id=a b",
        b'client_id=a&state="><script>',
        b"//evil.example/?client_id=a",
        b"\\evil.example",
    ],
    ids=repr,
)
def test_body_that_is_no_form_never_reaches_a_header_as_it_is(browser: Browser, content: bytes) -> None:
    posted = browser.post("/authorize", content)
    assert posted.status_code == 303
    assert posted.headers["Location"].startswith("/authorize?")
    assert not posted.headers.getlist("Set-Cookie")
    assert not set(posted.headers["Location"]) & set(' "<>#\r\n\\')
    assert _is_a_page(browser.get(posted.headers["Location"]))


def test_body_keeps_what_follows_a_number_sign(party: RelyingParty, browser: Browser) -> None:
    content = form_encoded(party.request(prompt="none", state=None)) + "&state=a#b&ui_locales=nl"
    posted = browser.post("/authorize", content)
    assert Answer.read(browser.get(posted.headers["Location"])).values["state"] == "a#b"


def test_repeated_parameter_of_a_post_stays_repeated(party: RelyingParty, browser: Browser) -> None:
    posted = browser.post("/authorize", form_encoded(party.request(scope=["openid", "openid"])))
    assert _error(browser.get(posted.headers["Location"]), party) == "invalid_request"


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"state=%ff", b"a=b&" * 500, b"a=" + b"x" * 40_000], ids=lambda content: repr(content[:9])
)
def test_unreadable_post_is_shown(provider: Provider, content: bytes) -> None:
    assert _is_a_page(provider.post("/authorize", content))


def test_body_of_a_megabyte_is_refused_before_it_is_read(provider: Provider) -> None:
    assert _is_a_page(provider.post("/authorize", b"a=" + b"x" * 1_000_000), 413)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused_and_the_right_ones_named(provider: Provider, method: str) -> None:
    response = provider.app.test_client().open("/authorize", method=method, base_url=provider.origin)
    assert response.status_code == 405
    assert {"GET", "POST"} <= set(response.headers["Allow"].replace(" ", "").split(","))


# PKCE (RFC 7636 4.4.1)


@pytest.mark.demand(41)
@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge": ""},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain", "code_challenge": VERIFIER},
        {"code_challenge_method": "s256"},
        {"code_challenge_method": "S512"},
        {"code_challenge": "too-short"},
        {"code_challenge": "x" * 44},
        {"code_challenge": "x" * 42 + "="},
        {"code_challenge": "x" * 42 + "\u00e9"},
        {"code_challenge": "x" * 42 + "\n"},
        {"code_challenge": ["x" * 43, "y" * 43]},
    ],
    ids=str,
)
def test_challenge_that_is_missing_or_no_s256_is_refused(
    party: RelyingParty, browser: Browser, changes: Mapping[str, Parameter]
) -> None:
    assert _error(browser.authorize(party, **changes), party) == "invalid_request"


@pytest.mark.demand(41)
def test_public_client_cannot_be_excused_from_pkce(provider: Provider, browser: Browser) -> None:
    party = provider.public_client(require_pkce=False)
    refused = browser.authorize(party, code_challenge=None, code_challenge_method=None)
    assert _error(refused, party) == "invalid_request"


@pytest.mark.demand(41)
def test_confidential_client_can_be_excused_from_pkce(provider: Provider, browser: Browser) -> None:
    party = provider.client(require_pkce=False)
    answer = browser.sign_in(party, provider.somebody(), code_challenge=None, code_challenge_method=None)
    assert party.redeem(answer.values["code"], code_verifier=None).status_code == 200


def test_client_that_is_excused_from_pkce_is_held_to_a_challenge_it_sends(provider: Provider, browser: Browser) -> None:
    party = provider.client(require_pkce=False)
    assert _error(browser.authorize(party, code_challenge_method="plain"), party) == "invalid_request"


# Hints and demands that are answered at once


@pytest.mark.demand(19)
def test_own_id_token_as_hint_is_accepted_also_when_it_has_expired(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    who = provider.somebody()
    code = browser.sign_in(party, who).values["code"]
    hint = body(party.redeem(code))["id_token"]
    assert "code" in browser.silent(party, id_token_hint=hint).values
    provider.clock.move(timedelta(minutes=20))
    assert "code" in browser.silent(party, id_token_hint=hint).values


@pytest.mark.demand(19)
def test_hint_of_somebody_else_gets_login_required(provider: Provider, party: RelyingParty, browser: Browser) -> None:
    hint = party.signed_in(provider.somebody())["id_token"]
    browser.sign_in(party, provider.somebody())
    assert browser.silent(party, id_token_hint=hint).values["error"] == "login_required"


def test_hint_of_another_issuer_or_without_signature_is_refused(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    header, payload, _signature = party.signed_in()["id_token"].split(".")
    none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    for forged in (f"{none}.{payload}.", f"{header}.{payload}.", f"{header}.{payload}.AAAA", f"{header}.e30.AAAA"):
        assert _error(browser.authorize(party, id_token_hint=forged), party) == "invalid_request"


@pytest.mark.demand(13)
def test_silent_request_never_shows_a_page_of_ours(provider: Provider, browser: Browser) -> None:
    party = provider.client(first_party=False)
    assert browser.silent(party).values["error"] == "login_required"
    browser.deny(party, provider.somebody())
    assert browser.silent(party).values["error"] == "consent_required"


Silent = Callable[[Provider, Browser], tuple[RelyingParty, dict[str, Parameter]]]


def _signed_in(provider: Provider, browser: Browser, **values: Any) -> tuple[RelyingParty, Somebody]:
    """A client, in whose browser somebody is signed in to another one."""
    who = provider.somebody()
    browser.sign_in(provider.client(), who)
    return provider.client(**values), who


def _session_is_over(provider: Provider, browser: Browser) -> tuple[RelyingParty, dict[str, Parameter]]:
    party, _ = _signed_in(provider, browser)
    provider.clock.move(timedelta(minutes=30))
    return party, {}


def _password_is_too_old(provider: Provider, browser: Browser) -> tuple[RelyingParty, dict[str, Parameter]]:
    party, _ = _signed_in(provider, browser)
    provider.clock.move(timedelta(seconds=2))
    return party, {"max_age": "1"}


def _somebody_else_is_meant(provider: Provider, browser: Browser) -> tuple[RelyingParty, dict[str, Parameter]]:
    party, _ = _signed_in(provider, browser)
    return party, {"id_token_hint": party.signed_in(provider.somebody())["id_token"]}


def _somebody_else_is_named(provider: Provider, browser: Browser) -> tuple[RelyingParty, dict[str, Parameter]]:
    party, _ = _signed_in(provider, browser)
    return party, {"claims": json.dumps({"id_token": {"sub": {"value": provider.somebody().sub}}})}


def _factor_has_to_be_enrolled(provider: Provider, browser: Browser) -> tuple[RelyingParty, dict[str, Parameter]]:
    party, who = _signed_in(provider, browser)
    with provider.writing() as unit:
        unit.get_one(Account, who.id).organization.second_factor_required_from = provider.clock.now().date()
    return party, {}


def _scope_is_wider_than_consent(provider: Provider, browser: Browser) -> tuple[RelyingParty, dict[str, Parameter]]:
    party, who = provider.client(first_party=False), provider.somebody()
    browser.sign_in(party, who, scope="openid")
    return party, {"scope": "openid email"}


SILENT: dict[str, tuple[Silent, str]] = {
    "nobody is signed in": (lambda provider, _: (provider.client(), {}), "login_required"),
    "the session is over": (_session_is_over, "login_required"),
    "the password is too old": (_password_is_too_old, "login_required"),
    "the hint means somebody else": (_somebody_else_is_meant, "login_required"),
    "the claim names somebody else": (_somebody_else_is_named, "login_required"),
    "a factor has to be enrolled": (_factor_has_to_be_enrolled, "interaction_required"),
    "the level is not reached": (
        lambda provider, browser: (
            _signed_in(provider, browser)[0],
            {"acr_values": f"{provider.issuer}/acr/3"},
        ),
        "interaction_required",
    ),
    "the client wants a higher level": (
        lambda provider, browser: (_signed_in(provider, browser, minimum_acr=3)[0], {}),
        "interaction_required",
    ),
    "consent was never given": (
        lambda provider, browser: (_signed_in(provider, browser, first_party=False)[0], {}),
        "consent_required",
    ),
    "consent was given to less": (_scope_is_wider_than_consent, "consent_required"),
}


@pytest.mark.demand(6, 13)
@pytest.mark.parametrize("mode", ["query", "fragment", "form_post"])
@pytest.mark.parametrize("case", SILENT)
def test_silent_request_that_cannot_be_granted_is_an_error_at_the_client_and_no_page(
    provider: Provider, browser: Browser, case: str, mode: str
) -> None:
    make, expected = SILENT[case]
    party, changes = make(provider, browser)
    response = browser.authorize(party, prompt="none", response_mode=mode, **changes)
    assert _error(response, party) == expected
    assert {name: bool(getattr(Answer.read(response), name)) for name in ("query", "fragment", "form")} == {
        name: mode.startswith(name) for name in ("query", "fragment", "form")
    }
    assert response.status_code == (200 if mode == "form_post" else 303)


@pytest.mark.demand(14)
def test_consent_once_given_answers_later_silent_requests(provider: Provider) -> None:
    party, who = provider.client(first_party=False), provider.somebody()
    provider.browser().sign_in(party, who)
    other = provider.browser()
    other.sign_in(provider.client(), who)
    assert "code" in other.silent(party).values


@pytest.mark.demand(28)
def test_refused_consent_is_access_denied_with_state_and_issuer(provider: Provider, browser: Browser) -> None:
    party = provider.client(first_party=False)
    answer = browser.deny(party, provider.somebody())
    assert (answer.values["error"], answer.values["state"]) == ("access_denied", "st4te")
    assert answer.values["iss"] == provider.issuer


def test_answer_does_not_go_to_an_address_that_was_taken_from_the_client_meanwhile(provider: Provider) -> None:
    party, browser, who = provider.client(), provider.browser(), provider.somebody()
    begun = browser.authorize(party)
    with provider.app.app_context():
        provider.services.clients.set(party.client_id, redirect_uris=["https://app.example/elsewhere"])
    page = browser.get(begun.headers["Location"])
    assert not was_sent(page) and page.status_code == 404
    restart = begun.headers["Location"].rpartition("/")[0] + "/restart"
    assert not was_sent(browser.get(restart))
    with provider.writing() as unit:
        found = select(AuthorizationCode).where(AuthorizationCode.client_id == party.client_id)
        assert unit.scalars(found).all() == [] and who.id
