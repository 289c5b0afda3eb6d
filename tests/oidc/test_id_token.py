"""What the ID token says, and where claims about the person go (OIDC Core 2, 3.1.3.6, 5.4, 5.5)."""

import json
from base64 import urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256, sha512
from typing import Any

import pytest

from idp.accounts.models import Account
from idp.kernel.clock import whole_seconds
from idp.oidc import keys
from idp.sessions.models import Session
from tests.accounts.test_standard_claims import EVERY
from tests.factories import Somebody
from tests.oidc.journeys import Answer, Browser, Parameter, Provider, RelyingParty, body

ALWAYS = {"iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "sid", "at_hash"}


def _half_hash(text: str, alg: str) -> str:
    """OIDC Core 3.1.3.6, written down a second time. #52: the hash is that of the algorithm; Ed25519 uses SHA-512."""
    digest = (sha512 if alg == "EdDSA" else sha256)(text.encode()).digest()
    return urlsafe_b64encode(digest[: len(digest) // 2]).rstrip(b"=").decode()


def _asking(**sections: Any) -> str:
    return json.dumps(sections)


@pytest.mark.demand(53)
@pytest.mark.parametrize("alg", keys.ALGORITHMS)
def test_header_names_algorithm_and_published_key(provider: Provider, alg: str) -> None:
    tokens = provider.client(id_token_signed_response_alg=alg).signed_in()
    header = provider.decoded(tokens["id_token"]).header
    key = next(each for each in body(provider.get("/jwks"))["keys"] if each["kid"] == header["kid"])
    assert header == {"alg": alg, "typ": "JWT", "kid": key["kid"]}
    assert key["alg"] == alg


@pytest.mark.demand("E6", 52)
@pytest.mark.parametrize("alg", keys.ALGORITHMS)
def test_claims_are_those_of_the_specification(provider: Provider, alg: str) -> None:
    party, who, started = provider.client(id_token_signed_response_alg=alg), provider.somebody(), provider.clock.now()
    tokens = party.signed_in(who)
    claims = provider.claims(tokens["id_token"])
    now = whole_seconds(provider.clock.now())
    assert set(claims) == ALWAYS
    assert claims["iss"] == provider.issuer
    assert claims["sub"] == who.sub
    assert claims["aud"] == party.client_id
    assert claims["iat"] == now
    assert claims["exp"] == now + 300
    assert claims["auth_time"] == whole_seconds(started)
    assert claims["nonce"] == "n0nce"
    assert claims["at_hash"] == _half_hash(tokens["access_token"], alg)
    assert all(type(claims[name]) is int for name in ("exp", "iat", "auth_time"))


@pytest.mark.demand("E6")
def test_subject_is_short_ascii_and_the_same_for_every_client(provider: Provider) -> None:
    who = provider.somebody()
    subjects = {provider.claims(provider.client().signed_in(who)["id_token"])["sub"] for _ in range(3)}
    (sub,) = subjects
    assert sub.isascii() and sub.isprintable() and len(sub) <= 255
    assert who.username not in sub


def test_session_identifier_is_that_of_the_session_and_no_cookie(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    code = browser.sign_in(party, provider.somebody()).values["code"]
    sid = provider.claims(body(party.redeem(code))["id_token"])["sid"]
    with provider.writing() as unit:
        assert unit.query(Session).filter_by(sid=sid, ended_at=None).count() == 1
    cookies = [cookie for response in browser.seen for cookie in response.headers.getlist("Set-Cookie")]
    assert not any(sid in cookie for cookie in cookies)


def test_two_clients_in_one_browser_share_session_identifier_and_authentication_time(
    provider: Provider, browser: Browser
) -> None:
    first, second = provider.client(), provider.client()
    one = provider.claims(body(first.redeem(browser.sign_in(first, provider.somebody()).values["code"]))["id_token"])
    provider.clock.move(timedelta(minutes=10))
    other = provider.claims(body(second.redeem(browser.silent(second).values["code"]))["id_token"])
    assert (one["sid"], one["auth_time"], one["sub"]) == (other["sid"], other["auth_time"], other["sub"])
    assert other["iat"] - one["iat"] == 600


@pytest.mark.demand(11)
@pytest.mark.parametrize("nonce", ["n" * 43, "n" * 64, "aZ09-._~" * 48, 'odd "nonce" \u2603 <&>', "0", "null"])
def test_nonce_comes_back_unchanged(provider: Provider, party: RelyingParty, nonce: str) -> None:
    assert provider.claims(party.signed_in(nonce=nonce)["id_token"])["nonce"] == nonce


@pytest.mark.demand(10)
def test_absent_nonce_stays_absent(provider: Provider, party: RelyingParty) -> None:
    assert "nonce" not in provider.claims(party.signed_in(nonce=None)["id_token"])


def test_nonce_may_be_used_again(provider: Provider, party: RelyingParty) -> None:
    # Checking that is the client's business (OIDC Core 3.1.3.7).
    assert {provider.claims(party.signed_in(nonce="same")["id_token"])["nonce"] for _ in range(2)} == {"same"}


def test_id_token_lives_five_minutes_whatever_the_deadline_of_the_session(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    browser.sign_in(party, provider.somebody())
    provider.clock.move(timedelta(minutes=29))
    tokens = body(party.redeem(browser.silent(party).values["code"]))
    claims = provider.claims(tokens["id_token"])
    assert tokens["expires_in"] == 60
    assert claims["exp"] - claims["iat"] == 300


# Authentication time


@pytest.mark.demand(15, 16)
def test_authentication_again_moves_authentication_time_and_keeps_the_session(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    who = provider.somebody()
    first = provider.claims(body(party.redeem(browser.sign_in(party, who).values["code"]))["id_token"])
    for name, value, seconds in (("prompt", "login", 1), ("max_age", "1", 2), ("max_age", "0", 1)):
        provider.clock.move(timedelta(seconds=seconds))
        again = browser.sign_in(party, who, **{name: value})
        second = provider.claims(body(party.redeem(again.values["code"]))["id_token"])
        assert second["auth_time"] == first["auth_time"] + seconds == second["iat"]
        assert second["sid"] == first["sid"]
        first = second


@pytest.mark.demand(18)
@pytest.mark.parametrize("changes", [{"max_age": "1"}, {"max_age": "0"}, {"prompt": "login", "max_age": "1"}], ids=str)
def test_who_needs_longer_than_max_age_for_the_second_factor_is_not_asked_again(
    provider: Provider, party: RelyingParty, browser: Browser, changes: dict[str, Parameter]
) -> None:
    # The code comes half a minute after the password.
    who = provider.somebody(totp=True)
    for _ in range(2):
        began = whole_seconds(provider.clock.now())
        browser.seen.clear()
        code = browser.sign_in(party, who, **changes).values["code"]
        assert provider.claims(body(party.redeem(code))["id_token"])["auth_time"] == began
        assert sum(page.request.method == "POST" for page in browser.seen) == 2
        provider.clock.move(timedelta(seconds=2))


@pytest.mark.demand(17)
def test_large_max_age_asks_nothing_and_keeps_authentication_time(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    signed_in = browser.sign_in(party, provider.somebody(), max_age="10000")
    first = provider.claims(body(party.redeem(signed_in.values["code"]))["id_token"])
    assert first["auth_time"] == whole_seconds(provider.clock.now())
    provider.clock.move(timedelta(seconds=60))
    for max_age in ("10000", "15000", str(10**18)):
        code = Answer.read(browser.authorize(party, max_age=max_age)).values["code"]
        claims = provider.claims(body(party.redeem(code))["id_token"])
        assert claims["auth_time"] == first["auth_time"]


@pytest.mark.parametrize("max_age", ["0", "1", "59"])
def test_passed_max_age_is_login_required_when_nobody_may_be_asked(
    provider: Provider, party: RelyingParty, browser: Browser, max_age: str
) -> None:
    browser.sign_in(party, provider.somebody())
    provider.clock.move(timedelta(seconds=60))
    assert browser.silent(party, max_age=max_age).values["error"] == "login_required"


# acr and amr


def _stated(provider: Provider, party: RelyingParty, who: Somebody, **changes: Parameter) -> tuple[str, list[str]]:
    claims = provider.claims(party.signed_in(who, **changes)["id_token"])
    return claims["acr"].removeprefix(provider.issuer), claims["amr"]


def test_password_alone_states_the_lowest_level(provider: Provider, party: RelyingParty) -> None:
    assert _stated(provider, party, provider.somebody()) == ("/acr/1", ["pwd"])


def test_second_factor_states_the_level_it_reaches(provider: Provider, party: RelyingParty) -> None:
    assert _stated(provider, party, provider.somebody(totp=True)) == ("/acr/3", ["pwd", "otp", "mfa"])


@pytest.mark.parametrize(
    ("asked", "stated"),
    [
        ("{i}/acr/1", "/acr/1"),
        ("{i}/acr/2", "/acr/2"),
        ("{i}/acr/3", "/acr/3"),
        ("{i}/acr/1 {i}/acr/2", "/acr/2"),
        ("{i}/acr/3 {i}/acr/1", "/acr/3"),
        ("phr {i}/acr/2", "/acr/2"),
        ("unknown", "/acr/3"),
        ("unknown {i}/acr/2", "/acr/2"),
    ],
)
def test_highest_value_asked_for_that_the_session_satisfies_is_stated(
    provider: Provider, party: RelyingParty, asked: str, stated: str
) -> None:
    values = asked.format(i=provider.issuer)
    assert _stated(provider, party, provider.somebody(totp=True), acr_values=values)[0] == stated


def test_level_may_be_asked_for_by_the_claim(provider: Provider, party: RelyingParty) -> None:
    wish = {"acr": {"essential": True, "values": ["unknown", f"{provider.issuer}/acr/2"]}}
    assert _stated(provider, party, provider.somebody(totp=True), claims=_asking(id_token=wish))[0] == "/acr/2"
    wish = {"acr": {"value": f"{provider.issuer}/acr/1"}}
    assert _stated(provider, party, provider.somebody(totp=True), claims=_asking(id_token=wish))[0] == "/acr/1"


@pytest.mark.demand(21)
@pytest.mark.parametrize(("has_a_factor", "stated"), [(False, "/acr/1"), (True, "/acr/3")])
def test_who_asks_for_everything_that_is_advertised_hears_one_of_it(
    provider: Provider, party: RelyingParty, has_a_factor: bool, stated: str
) -> None:
    advertised = body(provider.get("/.well-known/openid-configuration"))["acr_values_supported"]
    who = provider.somebody(totp=has_a_factor)
    for asked in (advertised, advertised[::-1]):
        assert _stated(provider, party, who, acr_values=" ".join(asked))[0] == stated


def test_voluntary_level_that_cannot_be_reached_states_what_was_reached(
    provider: Provider, party: RelyingParty
) -> None:
    assert _stated(provider, party, provider.somebody(totp=True), acr_values="phr")[0] == "/acr/3"


@pytest.mark.demand(22)
def test_essential_level_that_cannot_be_reached_is_an_error_and_never_a_lower_level(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    wish = _asking(id_token={"acr": {"essential": True, "values": ["phr"]}})
    answer = browser.sign_in(party, provider.somebody(totp=True), claims=wish)
    assert answer.values["error"] == "unmet_authentication_requirements"


def test_level_that_the_session_lacks_is_interaction_required_when_nobody_may_be_asked(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    browser.sign_in(party, provider.somebody())
    silent = browser.silent(party, acr_values=f"{provider.issuer}/acr/3")
    assert silent.values["error"] == "interaction_required"


# The claims parameter (OIDC Core 5.5)


@pytest.mark.demand(54)
def test_scope_claims_go_to_userinfo_and_not_into_the_id_token(provider: Provider, party: RelyingParty) -> None:
    tokens = party.signed_in(scope="openid profile email")
    assert set(provider.claims(tokens["id_token"])) == ALWAYS
    assert {"name", "email"} <= set(body(provider.userinfo(tokens["access_token"])))


@pytest.mark.demand(23)
def test_claim_asked_for_in_userinfo_is_there_and_not_in_the_id_token(provider: Provider, party: RelyingParty) -> None:
    tokens = party.signed_in(scope="openid", claims=_asking(userinfo={"name": {"essential": True}}))
    assert set(provider.claims(tokens["id_token"])) == ALWAYS
    assert set(body(provider.userinfo(tokens["access_token"]))) == {"sub", "name"}


def test_claim_asked_for_in_the_id_token_is_there_and_not_in_userinfo(provider: Provider, party: RelyingParty) -> None:
    tokens = party.signed_in(scope="openid", claims=_asking(id_token={"email": None, "email_verified": None}))
    claims = provider.claims(tokens["id_token"])
    assert set(claims) == ALWAYS | {"email", "email_verified"}
    assert claims["email_verified"] is False
    assert set(body(provider.userinfo(tokens["access_token"]))) == {"sub"}


@pytest.mark.demand(23)
@pytest.mark.parametrize(
    "wishes",
    [
        {},
        {"userinfo": {}},
        {"userinfo": None},
        {"userinfo": {"name": None}},
        {"userinfo": {"name": {}}},
        {"userinfo": {"name": {"essential": False}}},
        {"userinfo": {"name": {"value": "somebody else", "values": ["x"], "unknown": {"deep": [1, 2]}}}},
        {"userinfo": {"https://example.com/claim#x": {"essential": True}, 'nick"name': None}},
        {"id_token": {"auth_time": {"essential": True}, "acr": None, "sub": None, "iss": None}},
        {"id_token": {"acr": {"values": "not a list"}, "name": {"value": None}}},
        {"id_token": {"acr": {"values": [1, None, {}, []]}}},
        {"verified_claims": {"a": 1}, "userinfo": {"name": {"value": 1.5}}},
    ],
    ids=str,
)
def test_wishes_of_every_form_are_tolerated(provider: Provider, party: RelyingParty, wishes: dict[str, Any]) -> None:
    tokens = party.signed_in(scope="openid", claims=json.dumps(wishes))
    userinfo = body(provider.userinfo(tokens["access_token"]))
    assert set(userinfo) - {"sub", "name"} == set()
    assert ALWAYS <= set(provider.claims(tokens["id_token"]))


def test_wish_cannot_change_what_the_token_says_about_itself(provider: Provider, party: RelyingParty) -> None:
    wish = {name: {"value": "forged"} for name in ("iss", "aud", "exp", "iat", "nonce", "sid", "amr", "at_hash")}
    claims = provider.claims(party.signed_in(claims=_asking(id_token=wish))["id_token"])
    assert set(claims) == ALWAYS
    assert "forged" not in claims.values()


@pytest.mark.parametrize(
    "claims",
    [
        "{",
        "null",
        "[]",
        '"text"',
        "1",
        "{'userinfo': {}}",
        '{"userinfo": []}',
        '{"userinfo": "name"}',
        '{"userinfo": {"name": true}}',
        '{"userinfo": {"name": ["x"]}}',
        '{"id_token": {"acr": {"value": NaN}}}',
        '{"userinfo": {"name": {"value": Infinity}}}',
        '{"a":' * 1200 + "1" + "}" * 1200,
        "[" * 7999,
        '{"userinfo":' * 600,
        '{"id_token": {"a": {"value": ' + "1" * 5000 + "}}}",
        "\u2603",
        "\x00",
    ],
    ids=lambda claims: claims[:30],
)
def test_claims_that_are_not_the_json_of_the_specification_are_invalid_request(
    party: RelyingParty, browser: Browser, claims: str
) -> None:
    answer = Answer.read(browser.authorize(party, claims=claims))
    assert answer.values["error"] == "invalid_request"


@pytest.mark.parametrize(
    "claims",
    [
        '{"userinfo": {"name": {"value": 1e999}}}',
        '{"userinfo": {"name": {"x": ' + "[" * 400 + "]" * 400 + "}}}",
        '{"userinfo": {"name": {"x": ' + '{"a":' * 450 + "1" + "}" * 450 + "}}}",
        '{"x": ' + '{"a":' * 450 + "1" + "}" * 450 + "}",
        '{"userinfo": {"\\ud800": {"value": "\\ud800\\u0000"}}, "id_token": {"acr": {"value": "\\udfff\\u0000"}}}',
        '{"userinfo": {"name": null, "name": {}}}',
    ],
    ids=lambda claims: claims[:60],
)
def test_strange_but_valid_json_leads_to_tokens(provider: Provider, party: RelyingParty, claims: str) -> None:
    tokens = party.signed_in(scope="openid", claims=claims)
    assert provider.userinfo(tokens["access_token"]).status_code == 200


def test_subject_that_the_client_names_is_the_only_one_it_hears_about(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    # OIDC Core 3.1.2.2 and 5.5.1: no tokens about anybody else.
    who, other = provider.somebody(), provider.somebody()
    browser.sign_in(party, who)
    mine = _asking(id_token={"sub": {"value": who.sub}})
    theirs = _asking(id_token={"sub": {"value": other.sub}})
    assert "code" in browser.silent(party, claims=mine).values
    assert browser.silent(party, claims=theirs).values["error"] == "login_required"
    assert provider.browser().sign_in(party, who, claims=theirs).values["error"] == "login_required"


def test_hint_and_named_subject_must_be_the_same_person(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    tokens = party.signed_in(provider.somebody())
    wish = _asking(id_token={"sub": {"value": provider.somebody().sub}})
    answer = Answer.read(browser.authorize(party, id_token_hint=tokens["id_token"], claims=wish))
    assert answer.values["error"] == "invalid_request"


def test_claim_outside_of_the_client_s_scope_is_not_given(provider: Provider) -> None:
    party = provider.client(scope="openid")
    wish = _asking(userinfo={"email": {"essential": True}}, id_token={"email": None, "name": None})
    tokens = party.signed_in(scope="openid", claims=wish)
    assert set(provider.claims(tokens["id_token"])) == ALWAYS
    assert set(body(provider.userinfo(tokens["access_token"]))) == {"sub"}


def test_claim_of_a_scope_that_nobody_consented_to_is_asked_first(provider: Provider, browser: Browser) -> None:
    party, who = provider.client(first_party=False), provider.somebody()
    browser.sign_in(party, who, scope="openid")
    assert "code" in browser.silent(party, scope="openid").values
    for place in ("userinfo", "id_token"):
        wish = _asking(**{place: {"email": None}})
        assert browser.silent(party, scope="openid", claims=wish).values["error"] == "consent_required"


@pytest.mark.demand(56)
def test_claims_that_are_unknown_are_left_out_and_never_null(provider: Provider, party: RelyingParty) -> None:
    who = provider.somebody(email=None)
    wish = {"email": {"essential": True}, "email_verified": None, "given_name": None, "phone_number": None}
    tokens = party.signed_in(who, claims=_asking(id_token=wish, userinfo=wish))
    claims = provider.claims(tokens["id_token"]) | body(provider.userinfo(tokens["access_token"]))
    assert not {"email", "email_verified", "given_name", "phone_number"} & set(claims)
    assert None not in claims.values() and "" not in claims.values()


STANDARD: dict[str, type] = {
    **dict.fromkeys(("name", "given_name", "family_name", "middle_name", "nickname", "preferred_username"), str),
    **dict.fromkeys(("profile", "picture", "website", "gender", "birthdate", "zoneinfo", "locale"), str),
    **{"email": str, "phone_number": str, "address": dict, "updated_at": int},
    **dict.fromkeys(("email_verified", "phone_number_verified"), bool),
}


@pytest.mark.demand("E6", 55)
def test_standard_claims_have_their_types_wherever_they_are_asked_for(provider: Provider) -> None:
    """OIDC Core 5.1, written down a second time."""
    names = {"given_name": "Anna", "family_name": "de Wit", "locale": "nl-NL", "email_verified": True}
    who = provider.somebody(standard_claims=EVERY, **names)
    party = provider.client(scope="openid profile email phone address")
    wish = dict.fromkeys(STANDARD)
    tokens = party.signed_in(who, scope="openid", claims=_asking(id_token=wish, userinfo=wish))
    for claims in (provider.claims(tokens["id_token"]), body(provider.userinfo(tokens["access_token"]))):
        assert {name: type(claims[name]) for name in STANDARD} == STANDARD
        texts = [value for value in (*claims.values(), *claims["address"].values()) if isinstance(value, str)]
        assert all(text.strip() for text in texts)


@pytest.mark.demand("E6", 56)
@pytest.mark.parametrize("blank", ["", " ", "\t", "\u00a0"], ids=repr)
def test_claim_that_is_blank_is_left_out(provider: Provider, party: RelyingParty, blank: str) -> None:
    who = provider.somebody(email=blank, given_name=blank, family_name=blank, locale=blank)
    wish = dict.fromkeys(("email", "email_verified", "given_name", "family_name", "locale"))
    tokens = party.signed_in(who, claims=_asking(id_token=wish, userinfo=wish))
    claims = provider.claims(tokens["id_token"]) | body(provider.userinfo(tokens["access_token"]))
    assert not set(wish) & set(claims)


def test_account_that_was_blocked_between_code_and_token_gets_none(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    who = provider.somebody()
    code = browser.sign_in(party, who).values["code"]
    with provider.writing() as unit:
        account = unit.get(Account, who.id)
        assert account is not None
        account.blocked_at = provider.clock.now()
    assert body(party.redeem(code), 400)["error"] == "invalid_grant"
