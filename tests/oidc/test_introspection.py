"""The introspection endpoint (RFC 7662)."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from idp.accounts.models import Account
from idp.sessions.models import Session
from tests.oidc.journeys import Provider, RelyingParty, basic, body, error

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
NOT_ACTIVE = {"active": False}


def introspect(party: RelyingParty, token: str, **more: str) -> dict[str, Any]:
    return body(party.post("/introspect", {"token": token, **more}))


@pytest.fixture
def tokens(provider: Provider, party: RelyingParty) -> dict[str, Any]:
    """Of a session of its own."""
    return party.signed_in(provider.somebody())


def test_access_token_is_described(provider: Provider, party: RelyingParty, tokens: dict[str, Any]) -> None:
    now = int(provider.clock.now().timestamp())
    assert introspect(party, tokens["access_token"]) == {
        "active": True,
        "scope": "openid profile email",
        "client_id": party.client_id,
        "sub": provider.claims(tokens["id_token"])["sub"],
        "iss": provider.issuer,
        "aud": provider.issuer,
        "iat": now,
        "exp": now + 300,
        "token_type": "Bearer",
    }


def test_refresh_token_is_described_and_not_used(
    provider: Provider, tokens: dict[str, Any], party: RelyingParty
) -> None:
    said = introspect(party, tokens["refresh_token"])
    assert said["active"] is True and "token_type" not in said
    assert said["exp"] - said["iat"] == 12 * 3600
    assert party.refresh(tokens["refresh_token"]).status_code == 200


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "something_else"])
def test_hint_is_only_a_hint(party: RelyingParty, tokens: dict[str, Any], hint: str) -> None:
    for name in ("access_token", "refresh_token"):
        assert introspect(party, tokens[name], token_type_hint=hint)["active"] is True


def test_token_of_somebody_else_is_not_active(provider: Provider, tokens: dict[str, Any]) -> None:
    other = provider.client()
    for name in ("access_token", "refresh_token"):
        assert introspect(other, tokens[name]) == NOT_ACTIVE


@pytest.mark.parametrize("token", ["x", "a.b.c", "a.0.c", ".", "..", "a" * 8000, "é", "' OR 1=1 --"])
def test_what_is_no_token_is_not_active(party: RelyingParty, token: str) -> None:
    assert introspect(party, token) == NOT_ACTIVE


def test_id_token_is_not_active(party: RelyingParty, tokens: dict[str, Any]) -> None:
    assert introspect(party, tokens["id_token"]) == NOT_ACTIVE


def test_tokens_are_not_active_from_the_instant_of_the_idle_deadline(provider: Provider, party: RelyingParty) -> None:
    browser, who = provider.browser(), provider.somebody()
    first = body(party.redeem(browser.sign_in(party, who).values["code"]))
    provider.clock.move(28 * MINUTE)
    # The client's refreshes do not count: the access token ends with the session, before its 5 minutes.
    tokens = body(party.refresh(first["refresh_token"]))
    provider.clock.move(2 * MINUTE - timedelta(microseconds=1))
    assert introspect(party, tokens["access_token"])["active"] is True
    assert introspect(party, tokens["refresh_token"])["active"] is True
    provider.clock.move(timedelta(microseconds=1))
    assert introspect(party, tokens["access_token"]) == NOT_ACTIVE
    assert introspect(party, tokens["refresh_token"]) == NOT_ACTIVE


def test_tokens_are_not_active_once_the_session_was_ended(
    provider: Provider, party: RelyingParty, tokens: dict[str, Any]
) -> None:
    with provider.writing() as unit:
        sid = provider.claims(tokens["id_token"])["sid"]
        session = unit.scalars(select(Session).filter_by(sid=sid)).one()
        assert provider.services.sessions.end(unit, session, "logout")
    for name in ("access_token", "refresh_token"):
        assert introspect(party, tokens[name]) == NOT_ACTIVE


def test_tokens_of_a_blocked_account_are_not_active(
    provider: Provider, party: RelyingParty, tokens: dict[str, Any]
) -> None:
    with provider.writing() as unit:
        sub = provider.claims(tokens["id_token"])["sub"]
        unit.execute(update(Account).where(Account.sub == sub).values(blocked_at=provider.clock.now()))
    for name in ("access_token", "refresh_token"):
        assert introspect(party, tokens[name]) == NOT_ACTIVE


def test_public_client_and_wrong_secret_are_refused(provider: Provider, party: RelyingParty) -> None:
    assert error(provider.public_client().post("/introspect", {"token": "x"}), 401) == "invalid_client"
    header = {"Authorization": basic(party.client_id, "wrong")}
    assert error(party.post("/introspect", {"token": "x"}, header), 401) == "invalid_client"


def test_request_without_a_token_or_with_two_is_refused(party: RelyingParty) -> None:
    assert error(party.post("/introspect", {})) == "invalid_request"
    assert error(party.post("/introspect", {"token": ["a", "b"]})) == "invalid_request"
