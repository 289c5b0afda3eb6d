"""A client that speaks for itself: no person, no session (RFC 6749 4.4, RFC 9068 2.2)."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from idp.accounts.models import Account
from idp.audit.events import TokensIssued
from idp.audit.trail import events
from idp.oidc.models import AccessToken
from idp.sessions.models import Session
from tests.oidc.journeys import Parameter, Provider, RelyingParty, body, error

OWN = ["reports:read", "reports:write"]
NOT_ACTIVE = {"active": False}


def machine(provider: Provider, **values: Any) -> RelyingParty:
    """A client that nobody signs in to."""
    given = {"grant_types": ["client_credentials"], "response_types": [], "redirect_uris": [], "scope": " ".join(OWN)}
    return provider.client(**{**given, **values})


def asked(party: RelyingParty, **changes: Parameter) -> Any:
    return party.token({"grant_type": "client_credentials", **changes})


def introspect(party: RelyingParty, token: str) -> dict[str, Any]:
    return body(party.post("/introspect", {"token": token}))


@pytest.fixture(params=["opaque", "jwt"])
def party(request: pytest.FixtureRequest, provider: Provider) -> RelyingParty:
    return machine(provider, access_token_format=request.param)


def number_of_tokens(provider: Provider) -> int:
    with provider.writing() as unit:
        return unit.scalar(select(func.count()).select_from(AccessToken)) or 0


def test_client_gets_an_access_token_and_nothing_about_anybody(provider: Provider, party: RelyingParty) -> None:
    response = asked(party)
    said = body(response)
    assert set(said) == {"access_token", "token_type", "expires_in", "scope"}
    assert (said["token_type"], said["expires_in"], said["scope"]) == ("Bearer", 300, " ".join(OWN))
    assert response.headers["Cache-Control"] == "no-store"
    with provider.writing() as unit:
        event = events(unit, TokensIssued)[-1]
        row = unit.scalars(select(AccessToken).filter_by(client_id=party.client_id)).one()
    assert (event.client_id, event.account_id, event.sid) == (party.client_id, None, None)
    assert event.details["grant_type"] == "client_credentials"
    assert (row.account_id, row.session_id) == (None, None)


def test_token_is_described_until_its_end(provider: Provider, party: RelyingParty) -> None:
    token = body(asked(party, scope="reports:read"))["access_token"]
    now = int(provider.clock.now().timestamp())
    assert introspect(party, token) == {
        "active": True,
        "scope": "reports:read",
        "client_id": party.client_id,
        "sub": party.client_id,
        "iss": provider.issuer,
        "aud": provider.issuer,
        "iat": now,
        "exp": now + 300,
        "token_type": "Bearer",
    }
    assert introspect(provider.client(), token) == NOT_ACTIVE
    provider.clock.move(timedelta(seconds=300))
    assert introspect(party, token) == NOT_ACTIVE


def test_jwt_has_the_client_as_its_subject_and_no_sign_in(provider: Provider) -> None:
    party = machine(provider, access_token_format="jwt")
    decoded = provider.decoded(body(asked(party))["access_token"])
    assert decoded.header["typ"] == "at+jwt"
    names = {"iss", "sub", "aud", "client_id", "iat", "exp", "jti", "scope"}
    assert set(decoded.claims) == names
    assert decoded.claims["sub"] == decoded.claims["client_id"] == party.client_id


def test_client_without_a_scope_gets_a_token_without_one(provider: Provider) -> None:
    party = machine(provider, scope="")
    said = body(asked(party))
    assert "scope" not in said
    assert "scope" not in introspect(party, said["access_token"])


@pytest.mark.parametrize(
    "scope", ["openid", "reports:read openid", "profile", "offline_access", "admin", "reports:read admin", "\u2603"]
)
def test_scope_that_is_not_the_clients_own_is_refused_and_writes_no_token(provider: Provider, scope: str) -> None:
    # A70. The client may have openid where people sign in to it, never for itself.
    party = provider.client(
        grant_types=["authorization_code", "client_credentials"], scope="openid profile email reports:read"
    )
    before = number_of_tokens(provider)
    assert error(asked(party, scope=scope)) == "invalid_scope"
    assert number_of_tokens(provider) == before
    assert body(asked(party))["scope"] == "reports:read"


def test_scope_of_its_own_is_not_for_people_who_sign_in(provider: Provider) -> None:
    party = provider.client(
        grant_types=["authorization_code", "client_credentials"], scope="openid profile reports:read"
    )
    assert party.signed_in(scope="openid reports:read")["scope"] == "openid"


def test_client_that_is_not_registered_for_it_is_refused(provider: Provider) -> None:
    assert error(asked(provider.client())) == "unauthorized_client"
    # Whatever a row says: who proves nothing gets nothing (RFC 6749 4.4).
    public = provider.public_client(grant_types=["client_credentials"], scope="reports:read")
    assert error(asked(public)) == "unauthorized_client"


def test_userinfo_and_sessions_refuse_it(provider: Provider, party: RelyingParty) -> None:
    token = body(asked(party))["access_token"]
    response = provider.userinfo(token)
    assert response.status_code == 403
    assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
    header = {"Authorization": f"Bearer {token}"}
    for response in (provider.get("/session/status", header), provider.post("/session/activity", "", header)):
        assert response.status_code == 401
        assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]


def test_it_can_be_given_back(provider: Provider, party: RelyingParty) -> None:
    token = body(asked(party))["access_token"]
    assert error(provider.client().post("/revoke", {"token": token})) == "invalid_grant"
    assert introspect(party, token)["active"] is True
    assert party.post("/revoke", {"token": token}).status_code == 200
    assert introspect(party, token) == NOT_ACTIVE


def test_no_session_hears_of_it(provider: Provider) -> None:
    party = provider.client(
        grant_types=["authorization_code", "refresh_token", "client_credentials"],
        scope="openid reports:read",
        session_activity="token_refresh",
    )
    sid = provider.claims(party.signed_in(provider.somebody(), scope="openid")["id_token"])["sid"]
    provider.clock.move(timedelta(minutes=10))
    assert asked(party).status_code == 200
    with provider.writing() as unit:
        session = unit.scalars(select(Session).filter_by(sid=sid)).one()
        assert provider.clock.now() - session.last_activity_at == timedelta(minutes=10)


@pytest.mark.parametrize("column", ["account", "session"])
def test_token_of_a_person_is_not_taken_for_one_of_a_client(provider: Provider, column: str) -> None:
    """The outer joins of the deciding statement: what a token belongs to has to be good."""
    tokens = provider.client().signed_in(provider.somebody())
    with provider.writing() as unit:
        session = unit.scalars(select(Session).filter_by(sid=provider.claims(tokens["id_token"])["sid"])).one()
        if column == "session":
            provider.services.sessions.end(unit, session, "logout")
        else:
            unit.get_one(Account, session.account_id).blocked_at = provider.clock.now()
    assert provider.userinfo(tokens["access_token"]).status_code == 401
