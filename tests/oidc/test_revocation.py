"""The revocation endpoint (RFC 7009)."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import func, select

from idp.audit.events import Event, TokenRequestRefused, TokenRevoked
from idp.audit.trail import AuditEvent, events
from idp.store.units import UnitsOfWork
from tests.oidc.journeys import Provider, RelyingParty, basic, body, error, form_encoded

KINDS = ("access_token", "refresh_token")


def revoke(party: RelyingParty, token: str, **more: str) -> None:
    """As a client does: there is nothing to read in the answer."""
    assert body(party.post("/revoke", {"token": token, **more})) == {}


def works(party: RelyingParty, tokens: dict[str, Any]) -> dict[str, bool]:
    """Which of these tokens are good for anything."""
    return {kind: body(party.post("/introspect", {"token": tokens[kind]}))["active"] for kind in KINDS}


def recorded(provider: Provider, kind: type[Event], party: RelyingParty) -> Sequence[AuditEvent]:
    """What the audit trail says about this client."""
    with provider.writing() as unit:
        found = events(unit, kind, client_id=party.client_id)
        unit.expunge_all()
        return found


@pytest.fixture
def tokens(provider: Provider, party: RelyingParty) -> dict[str, Any]:
    """Of a session of its own."""
    return party.signed_in(provider.somebody())


def test_access_token_that_is_given_back_ends_alone(
    provider: Provider, party: RelyingParty, tokens: dict[str, Any]
) -> None:
    revoke(party, tokens["access_token"])
    assert works(party, tokens) == {"access_token": False, "refresh_token": True}
    assert provider.userinfo(tokens["access_token"]).status_code == 401
    assert body(party.refresh(tokens["refresh_token"]))["access_token"]


def test_refresh_token_that_is_given_back_takes_everything_of_its_authorization_with_it(
    provider: Provider, party: RelyingParty, tokens: dict[str, Any]
) -> None:
    later = body(party.refresh(tokens["refresh_token"]))
    revoke(party, tokens["refresh_token"])
    for made in (tokens, later):
        assert works(party, made) == {"access_token": False, "refresh_token": False}
        assert provider.userinfo(made["access_token"]).status_code == 401
    assert error(party.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_session_goes_on_when_tokens_are_given_back(provider: Provider, party: RelyingParty) -> None:
    browser, who = provider.browser(), provider.somebody()
    tokens = body(party.redeem(browser.sign_in(party, who).values["code"]))
    revoke(party, tokens["refresh_token"])
    assert browser.sign_in(party, who, prompt="none").values["code"]


def test_jwt_access_token_that_is_given_back_is_dead_at_our_endpoints(provider: Provider) -> None:
    party = provider.client(access_token_format="jwt")
    tokens = party.signed_in(provider.somebody())
    revoke(party, tokens["access_token"])
    assert works(party, tokens) == {"access_token": False, "refresh_token": True}
    assert provider.userinfo(tokens["access_token"]).status_code == 401


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "something_else"])
@pytest.mark.parametrize("kind", KINDS)
def test_hint_is_only_a_hint(party: RelyingParty, tokens: dict[str, Any], kind: str, hint: str) -> None:
    revoke(party, tokens[kind], token_type_hint=hint)
    assert works(party, tokens)[kind] is False


@pytest.mark.parametrize("token", ["x", "a.b.c", "a.0.c", ".", "a" * 8000, "é", "' OR 1=1 --", "A" * 43])
def test_what_is_no_token_is_answered_as_if_it_had_been_one(provider: Provider, token: str) -> None:
    party = provider.client()
    revoke(party, token)
    assert recorded(provider, TokenRevoked, party) == []


def test_token_is_given_back_twice_and_recorded_once(provider: Provider) -> None:
    party = provider.client()
    tokens = party.signed_in(provider.somebody())
    for kind in KINDS:
        revoke(party, tokens[kind])
        revoke(party, tokens[kind])
    found = recorded(provider, TokenRevoked, party)
    assert [event.details["kind"] for event in found] == list(KINDS)
    assert len({event.details["grant_id"] for event in found}) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_token_of_another_client_is_refused_and_stays_good(
    provider: Provider, party: RelyingParty, tokens: dict[str, Any], kind: str
) -> None:
    other = provider.client()
    assert error(other.post("/revoke", {"token": tokens[kind]})) == "invalid_grant"
    assert works(party, tokens) == {"access_token": True, "refresh_token": True}
    (refused,) = recorded(provider, TokenRequestRefused, other)
    assert refused.details["endpoint"] == "revoke"


def test_public_client_gives_back_a_superseded_refresh_token_and_the_family_ends(provider: Provider) -> None:
    party = provider.public_client()
    first = party.signed_in(provider.somebody())
    second = body(party.refresh(first["refresh_token"]))
    revoke(party, first["refresh_token"])
    assert error(party.refresh(second["refresh_token"])) == "invalid_grant"
    assert provider.userinfo(second["access_token"]).status_code == 401


@pytest.fixture
def writing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows with each unit of work that may write."""
    opened, real = [], UnitsOfWork.writing

    def counted(units: UnitsOfWork) -> Any:
        opened.append("writing")
        return real(units)

    monkeypatch.setattr(UnitsOfWork, "writing", counted)
    return opened


def all_events(provider: Provider) -> int:
    with provider.writing() as unit:
        return unit.scalar(select(func.count()).select_from(AuditEvent)) or 0


def test_requests_in_the_name_of_a_public_client_write_nothing_unless_they_give_back_a_token_of_it(
    provider: Provider, tokens: dict[str, Any], writing: list[str]
) -> None:
    public = provider.public_client()
    before = all_events(provider)
    writing.clear()
    for number in range(20):
        assert (
            body(provider.post("/revoke", form_encoded({"client_id": public.client_id, "token": f"no-{number}"}))) == {}
        )
    for form in ({"token": tokens["access_token"]}, {"token": tokens["refresh_token"]}, {}):
        assert error(provider.post("/revoke", form_encoded({"client_id": public.client_id, **form})))
    assert writing == [] and all_events(provider) == before


def test_garbage_of_a_client_that_authenticated_takes_no_lock_either(
    provider: Provider, party: RelyingParty, writing: list[str]
) -> None:
    revoke(party, "A" * 43)
    assert writing == []


def test_wrong_secret_and_no_client_are_invalid_client(provider: Provider, tokens: dict[str, Any]) -> None:
    party = provider.client()
    header = {"Authorization": basic(party.client_id, "wrong")}
    assert error(party.post("/revoke", {"token": tokens["access_token"]}, header), 401) == "invalid_client"
    assert error(provider.post("/revoke", form_encoded({"token": tokens["access_token"]})), 401) == "invalid_client"
    assert provider.userinfo(tokens["access_token"]).status_code == 200


@pytest.mark.parametrize("form", [{}, {"token": ["a", "b"]}, {"token": ""}, {"token": "a\x00"}])
def test_request_without_one_token_is_invalid_request(party: RelyingParty, form: Any) -> None:
    assert error(party.post("/revoke", form)) == "invalid_request"


def test_id_token_is_none_that_could_be_given_back(
    provider: Provider, party: RelyingParty, tokens: dict[str, Any]
) -> None:
    revoke(party, tokens["id_token"])
    assert works(party, tokens) == {"access_token": True, "refresh_token": True}
