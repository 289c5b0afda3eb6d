"""The userinfo endpoint and bearer tokens (OIDC Core 5.3, RFC 6750)."""

from datetime import timedelta

import pytest
from sqlalchemy import select
from werkzeug.test import TestResponse

from idp.accounts.models import Account
from idp.kernel.secrets import hash_secret
from idp.oidc.models import AccessToken
from tests.accounts.test_standard_claims import EVERY
from tests.oidc.journeys import FORM, Browser, Provider, RelyingParty, body, form_encoded


@pytest.fixture
def token(party: RelyingParty) -> str:
    """A fresh access token for openid, profile and email."""
    return str(party.signed_in()["access_token"])


def _challenge(response: TestResponse, status: int) -> str:
    """The refusal's challenge; the body repeats its error in JSON."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    challenge = response.headers["WWW-Authenticate"]
    assert challenge.startswith("Bearer ")
    said = response.get_json().get("error")
    assert (f'error="{said}"' in challenge) if said else ("error" not in challenge)
    return said or ""


# How the token is shown


@pytest.mark.demand("E7", 57)
def test_get_with_header(provider: Provider, token: str) -> None:
    response = provider.get("/userinfo", {"Authorization": f"Bearer {token}"})
    assert body(response)["sub"]
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.demand(57)
def test_post_with_header(provider: Provider, token: str) -> None:
    header = {"Authorization": f"Bearer {token}"}
    assert body(provider.post("/userinfo", "", header))["sub"]
    assert body(provider.post("/userinfo", "", header, content_type=None))["sub"]


@pytest.mark.demand(57)
def test_post_with_body(provider: Provider, token: str) -> None:
    content = form_encoded({"access_token": token})
    assert body(provider.post("/userinfo", content))["sub"]
    assert body(provider.post("/userinfo", content, content_type=FORM + "; charset=utf-8"))["sub"]


@pytest.mark.demand(58)
@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "BeArEr", "Bearer  "])
def test_scheme_is_case_insensitive(provider: Provider, token: str, scheme: str) -> None:
    assert body(provider.get("/userinfo", {"Authorization": f"{scheme} {token}"}))["sub"]


@pytest.mark.demand(61)
def test_query_is_refused_also_with_a_right_token(provider: Provider, token: str) -> None:
    query = form_encoded({"access_token": token})
    assert _challenge(provider.get("/userinfo", query=query), 400) == "invalid_request"
    both = provider.get("/userinfo", {"Authorization": f"Bearer {token}"}, query)
    assert _challenge(both, 400) == "invalid_request"
    assert _challenge(provider.post("/userinfo", query, query=query), 400) == "invalid_request"


def test_several_tokens_are_refused(provider: Provider, token: str) -> None:
    header, content = {"Authorization": f"Bearer {token}"}, form_encoded({"access_token": token})
    assert _challenge(provider.post("/userinfo", content, header), 400) == "invalid_request"
    assert _challenge(provider.post("/userinfo", f"{content}&{content}"), 400) == "invalid_request"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x", None])
def test_body_of_another_type_shows_no_token(provider: Provider, token: str, content_type: str | None) -> None:
    response = provider.post("/userinfo", form_encoded({"access_token": token}), content_type=content_type)
    assert _challenge(response, 401) == ""


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dTpw", "DPoPtoken", "Bearertoken"])
def test_no_token_is_a_challenge_without_an_error(provider: Provider, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header}
    assert _challenge(provider.get("/userinfo", headers), 401) == ""


@pytest.mark.parametrize(
    "wrong", ["unknown", "a b", "\u00e9", "x" * 5000, '"quoted"', "e30.e30.e30", "%00", "Bearer Bearer"]
)
def test_unknown_token_is_invalid_token(provider: Provider, wrong: str) -> None:
    assert _challenge(provider.get("/userinfo", {"Authorization": f"Bearer {wrong}"}), 401) == "invalid_token"
    assert _challenge(provider.post("/userinfo", form_encoded({"access_token": wrong})), 401) == "invalid_token"


@pytest.mark.parametrize("content", [b"\xff", b"access_token=%ff", b"a=b&" * 500, b"access_token=" + b"x" * 9000])
def test_unreadable_body_is_invalid_request(provider: Provider, content: bytes) -> None:
    assert _challenge(provider.post("/userinfo", content), 400) == "invalid_request"


def test_body_of_a_megabyte_is_refused_in_json(provider: Provider) -> None:
    assert body(provider.post("/userinfo", b"a=" + b"x" * 1_000_000), 413) == {"error": "invalid_request"}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
def test_other_methods_are_refused_in_json(provider: Provider, token: str, method: str) -> None:
    response = provider.app.test_client().open(
        "/userinfo", method=method, base_url=provider.origin, headers={"Authorization": f"Bearer {token}"}
    )
    assert body(response, 405)
    assert {"GET", "POST"} <= set(response.headers["Allow"].replace(" ", "").split(","))


def test_id_token_is_no_access_token(provider: Provider, party: RelyingParty) -> None:
    assert _challenge(provider.userinfo(party.signed_in()["id_token"]), 401) == "invalid_token"


# When it is over


def test_token_is_good_until_the_very_instant_it_expires(provider: Provider, token: str) -> None:
    provider.clock.move(timedelta(seconds=299, microseconds=999_999))
    assert provider.userinfo(token).status_code == 200
    provider.clock.move(timedelta(microseconds=1))
    assert _challenge(provider.userinfo(token), 401) == "invalid_token"


def test_token_dies_with_the_idle_session_at_the_same_instant(
    provider: Provider, party: RelyingParty, browser: Browser
) -> None:
    browser.sign_in(party, provider.somebody())
    provider.clock.move(timedelta(minutes=27))
    tokens = body(party.redeem(browser.silent(party).values["code"]))
    provider.clock.move(timedelta(minutes=2, seconds=59, microseconds=999_999))
    assert provider.userinfo(tokens["access_token"]).status_code == 200
    assert "code" in browser.silent(party).values
    provider.clock.move(timedelta(microseconds=1))
    assert _challenge(provider.userinfo(tokens["access_token"]), 401) == "invalid_token"
    assert browser.silent(party).values["error"] == "login_required"


def test_token_dies_with_logout_at_once(provider: Provider, party: RelyingParty, browser: Browser) -> None:
    tokens = body(party.redeem(browser.sign_in(party, provider.somebody()).values["code"]))
    assert provider.userinfo(tokens["access_token"]).status_code == 200
    browser.get("/end_session", query=form_encoded({"id_token_hint": tokens["id_token"]}))
    assert _challenge(provider.userinfo(tokens["access_token"]), 401) == "invalid_token"


def test_revoked_token_is_invalid_token(provider: Provider, token: str) -> None:
    with provider.writing() as unit:
        stored = unit.scalars(select(AccessToken).where(AccessToken.token_hash == hash_secret(token))).one()
        stored.revoked_at = provider.clock.now()
    assert _challenge(provider.userinfo(token), 401) == "invalid_token"


def test_token_of_a_blocked_account_is_invalid_token(provider: Provider, party: RelyingParty) -> None:
    who = provider.somebody()
    token = party.signed_in(who)["access_token"]
    with provider.writing() as unit:
        account = unit.get(Account, who.id)
        assert account is not None
        account.blocked_at = provider.clock.now()
    assert _challenge(provider.userinfo(token), 401) == "invalid_token"


def test_userinfo_does_not_keep_the_session_alive(provider: Provider, party: RelyingParty, browser: Browser) -> None:
    tokens = body(party.redeem(browser.sign_in(party, provider.somebody()).values["code"]))
    provider.clock.move(timedelta(minutes=4))
    assert provider.userinfo(tokens["access_token"]).status_code == 200
    provider.clock.move(timedelta(minutes=26))
    assert browser.silent(party).values["error"] == "login_required"


def test_token_without_openid_is_insufficient_scope(provider: Provider, token: str) -> None:
    with provider.writing() as unit:
        stored = unit.scalars(select(AccessToken).where(AccessToken.token_hash == hash_secret(token))).one()
        stored.scope = "profile"
    assert _challenge(provider.userinfo(token), 403) == "insufficient_scope"


# What it says


@pytest.mark.parametrize(
    ("scope", "claims"),
    [
        ("openid", {"sub"}),
        (
            "openid profile",
            {
                "sub",
                "name",
                "given_name",
                "family_name",
                "preferred_username",
                "locale",
                "updated_at",
                "organisation_code",
                "organisation_name",
            },
        ),
        ("openid email", {"sub", "email", "email_verified"}),
    ],
)
def test_scope_stands_for_these_claims(provider: Provider, party: RelyingParty, scope: str, claims: set[str]) -> None:
    who = provider.somebody(given_name="Anna", family_name="de Wit", locale="nl-NL")
    assert set(body(provider.userinfo(party.signed_in(who, scope=scope)["access_token"]))) == claims


BY_SCOPE = {
    "phone": {"phone_number", "phone_number_verified"},
    "address": {"address"},
    "email": {"email", "email_verified"},
    "profile": {
        *("name", "family_name", "given_name", "middle_name", "nickname", "preferred_username", "profile"),
        *("picture", "website", "gender", "birthdate", "zoneinfo", "locale", "updated_at"),
    },
}


@pytest.mark.demand(55)
@pytest.mark.parametrize("scope", BY_SCOPE)
def test_every_standard_claim_arrives_by_its_scope(provider: Provider, scope: str) -> None:
    # #55: OIDC Core 5.1 and 5.4, written down a second time.
    who = provider.somebody(given_name="Anna", family_name="de Wit", locale="nl-NL", standard_claims=EVERY)
    party = provider.client(scope=f"openid {scope}")
    claims = body(provider.userinfo(party.signed_in(who, scope=f"openid {scope}")["access_token"]))
    own = {"organisation_code", "organisation_name"} if scope == "profile" else set()
    assert set(claims) - own == {"sub", *BY_SCOPE[scope]}
    assert {name: claims[name] for name in set(claims) & set(EVERY)} == {
        name: value for name, value in EVERY.items() if name in BY_SCOPE[scope]
    }


@pytest.mark.demand(56)
def test_verification_of_a_number_that_is_unknown_is_left_out(provider: Provider) -> None:
    # #56
    party = provider.client(scope="openid phone address")
    for kept, told in (
        ({"phone_number_verified": True}, {}),
        ({"phone_number": "+31201234567"}, {"phone_number_verified": False}),
    ):
        who = provider.somebody(standard_claims=kept)
        claims = body(provider.userinfo(party.signed_in(who, scope="openid phone address")["access_token"]))
        assert {name: value for name, value in claims.items() if name not in ("sub", "phone_number")} == told


def test_claims_have_the_types_of_the_specification(provider: Provider, party: RelyingParty) -> None:
    who = provider.somebody(given_name="Anna", family_name="de Wit", locale="nl-NL", email_verified=True)
    claims = body(provider.userinfo(party.signed_in(who)["access_token"]))
    assert claims["email_verified"] is True
    assert type(claims["updated_at"]) is int
    texts = {name: value for name, value in claims.items() if name not in ("email_verified", "updated_at")}
    assert all(isinstance(value, str) and value for value in texts.values())
    assert claims["organisation_code"] == who.org_code


@pytest.mark.demand(56)
def test_unknown_and_empty_claims_are_left_out(provider: Provider, party: RelyingParty) -> None:
    who = provider.somebody(email=None, given_name=None, family_name="")
    claims = body(provider.userinfo(party.signed_in(who)["access_token"]))
    assert not {"email", "email_verified", "given_name", "family_name"} & set(claims)
    assert not any(value in (None, "", "null") for value in claims.values())


@pytest.mark.demand(59)
def test_subject_is_that_of_the_id_token(provider: Provider, party: RelyingParty) -> None:
    tokens = party.signed_in()
    assert body(provider.userinfo(tokens["access_token"]))["sub"] == provider.claims(tokens["id_token"])["sub"]


def test_access_token_is_stored_as_a_hash(provider: Provider, token: str) -> None:
    with provider.writing() as unit:
        stored = unit.scalars(select(AccessToken).where(AccessToken.token_hash == hash_secret(token))).one()
        values = [str(getattr(stored, column.key)) for column in AccessToken.__table__.columns]
    assert not any(token in value for value in values)
