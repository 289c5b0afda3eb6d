"""Access while nobody is signed in (OIDC Core 11): who gets it, what it yields, and what ends it (#49, A69)."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from idp.audit.events import OfflineAccessEnded
from idp.audit.trail import events
from idp.consents import record
from idp.kernel.secrets import hash_secret
from idp.oidc import offline_access
from idp.oidc.clients import Client
from idp.oidc.models import RefreshFamily
from idp.sessions.models import Participation, Session
from tests.factories import Somebody
from tests.oidc.journeys import Browser, Provider, RelyingParty, body, error

SCOPE = "openid profile offline_access"
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
NOT_ACTIVE = {"active": False}


@pytest.fixture(params=["first party", "third party", "public"])
def party(request: pytest.FixtureRequest, provider: Provider) -> RelyingParty:
    return {"first party": offline, "third party": third_party, "public": public}[request.param](provider)


def offline(provider: Provider, **values: Any) -> RelyingParty:
    return provider.client(scope="openid profile email offline_access", **values)


def third_party(provider: Provider) -> RelyingParty:
    return offline(provider, first_party=False)


def public(provider: Provider) -> RelyingParty:
    return offline(provider, token_endpoint_auth_method="none", application_type="browser")


def given(party: RelyingParty, who: Somebody, **changes: Any) -> dict[str, Any]:
    """The token response to a client that was allowed to come while nobody is signed in."""
    return party.signed_in(who, **{"scope": SCOPE, "prompt": "consent", **changes})


def end_sessions(provider: Provider, who: Somebody) -> None:
    with provider.writing() as unit:
        provider.services.sessions.end_all_of(unit, who.id, "logout")


def introspect(party: RelyingParty, token: str) -> dict[str, Any]:
    return body(party.post("/introspect", {"token": token}))


# Who gets it


@pytest.mark.demand(49)
def test_person_is_asked_each_time_also_by_a_first_party(provider: Provider, party: RelyingParty) -> None:
    browser, who = provider.browser(), provider.somebody()
    for _ in range(2):
        answer = browser.sign_in(party, who, scope=SCOPE, prompt="consent")
        tokens = body(party.redeem(answer.values["code"]))
        assert set(tokens["scope"].split()) == set(SCOPE.split()) and tokens["refresh_token"]
    asked = [page.text for page in browser.seen if 'id="consent-allow"' in page.text]
    assert len(asked) == 2
    assert all("Toegang als u niet ingelogd bent" in text for text in asked)


def test_who_says_no_gives_nothing(provider: Provider, party: RelyingParty) -> None:
    answer = provider.browser().deny(party, provider.somebody(), scope=SCOPE, prompt="consent")
    assert answer.values["error"] == "access_denied"


def test_without_asking_for_consent_it_is_ignored(provider: Provider, party: RelyingParty, browser: Browser) -> None:
    who = provider.somebody()
    tokens = body(party.redeem(browser.sign_in(party, who, scope=SCOPE).values["code"]))
    assert tokens["scope"] == "openid profile"
    assert "code" in browser.silent(party, scope=SCOPE).values
    end_sessions(provider, who)
    assert error(party.refresh(tokens["refresh_token"])) == "invalid_grant"


@pytest.mark.parametrize(
    "values",
    [
        {"scope": "openid profile"},
        {"scope": "openid profile offline_access", "grant_types": ["authorization_code"]},
    ],
)
def test_client_that_may_not_have_it_gets_none(provider: Provider, values: dict[str, Any]) -> None:
    party, who = provider.client(**values), provider.somebody()
    tokens = given(party, who)
    assert tokens["scope"] == "openid profile"
    end_sessions(provider, who)
    if "refresh_token" in tokens:
        assert error(party.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_client_that_lost_it_between_question_and_code_gets_none(provider: Provider) -> None:
    party, who = offline(provider), provider.somebody()
    code = provider.browser().sign_in(party, who, scope=SCOPE, prompt="consent").values["code"]
    set_client(provider, party, scope="openid profile email")
    tokens = body(party.redeem(code))
    assert tokens["scope"] == "openid profile"
    end_sessions(provider, who)
    assert error(party.refresh(tokens["refresh_token"])) == "invalid_grant"


# What it yields


def test_it_outlives_its_session_and_says_how_the_person_signed_in(provider: Provider, party: RelyingParty) -> None:
    who = provider.somebody(totp=True)
    first = given(party, who, acr_values=f"{provider.issuer}/acr/2")
    before = provider.claims(first["id_token"])
    provider.clock.move(31 * MINUTE)
    assert provider.userinfo(first["access_token"]).status_code == 401
    second = body(party.refresh(first["refresh_token"]))
    after = provider.claims(second["id_token"])
    same = ("iss", "sub", "aud", "auth_time", "acr", "amr")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert "sid" in before and "sid" not in after and "nonce" not in after
    assert second["expires_in"] == 300
    assert body(provider.userinfo(second["access_token"]))["sub"] == who.sub
    provider.clock.move(29 * DAY)
    third = body(party.refresh(second["refresh_token"]))
    assert provider.userinfo(third["access_token"]).status_code == 200
    provider.clock.move(DAY)
    assert error(party.refresh(third["refresh_token"])) == "invalid_grant"


def test_last_access_token_ends_with_it(provider: Provider) -> None:
    party = offline(provider)
    token = given(party, provider.somebody())["refresh_token"]
    provider.clock.move(30 * DAY - 2 * MINUTE)
    assert body(party.refresh(token))["expires_in"] == 120
    provider.clock.move(2 * MINUTE - timedelta(milliseconds=1))
    assert error(party.refresh(token)) == "invalid_grant", "under a second counts as over"


def test_it_touches_no_session_and_takes_part_in_none(provider: Provider, browser: Browser) -> None:
    party, other, who = offline(provider, session_activity="token_refresh"), provider.client(), provider.somebody()
    tokens = body(party.redeem(browser.sign_in(party, who, scope=SCOPE, prompt="consent").values["code"]))
    started = provider.clock.now()
    provider.clock.move(10 * MINUTE)
    refreshed = body(party.refresh(tokens["refresh_token"]))
    with provider.writing() as unit:
        session = unit.scalars(select(Session).filter_by(account_id=who.id)).one()
        assert session.last_activity_at == started
    for response in (
        provider.get("/session/status", {"Authorization": f"Bearer {refreshed['access_token']}"}),
        provider.post("/session/activity", "", {"Authorization": f"Bearer {refreshed['access_token']}"}),
    ):
        assert response.status_code == 401
    end_sessions(provider, who)
    body(other.redeem(browser.sign_in(other, who).values["code"]))
    body(party.refresh(refreshed["refresh_token"]))
    with provider.writing() as unit:
        live = unit.scalars(select(Session).filter_by(account_id=who.id, ended_at=None)).one()
        assert unit.scalars(select(Participation.client_id).filter_by(session_id=live.id)).all() == [other.client_id]


@pytest.mark.parametrize("access_token_format", ["opaque", "jwt"])
def test_introspection_describes_both_tokens(provider: Provider, access_token_format: str) -> None:
    party, who = offline(provider, access_token_format=access_token_format), provider.somebody()
    token = given(party, who)["refresh_token"]
    end_sessions(provider, who)
    tokens = body(party.refresh(token))
    for name in ("access_token", "refresh_token"):
        said = introspect(party, tokens[name])
        assert (said["active"], said["sub"]) == (True, who.sub)
    assert introspect(party, token)["exp"] - introspect(party, token)["iat"] == 30 * 24 * 3600


def test_public_client_moves_on_and_reuse_ends_all_of_it(provider: Provider) -> None:
    party, who = public(provider), provider.somebody()
    first = given(party, who)
    end_sessions(provider, who)
    second = body(party.refresh(first["refresh_token"]))
    assert second["refresh_token"] != first["refresh_token"]
    provider.clock.move(MINUTE)
    assert error(party.refresh(first["refresh_token"])) == "invalid_grant"
    assert error(party.refresh(second["refresh_token"])) == "invalid_grant"
    assert provider.userinfo(second["access_token"]).status_code == 401


def test_narrower_scope_stays_offline_and_wider_is_refused(provider: Provider, party: RelyingParty) -> None:
    who = provider.somebody()
    token = given(party, who)["refresh_token"]
    end_sessions(provider, who)
    assert error(party.refresh(token, scope="openid email")) == "invalid_scope"
    narrow = body(party.refresh(token, scope="openid"))
    assert narrow["scope"] == "openid"
    assert set(body(party.refresh(narrow["refresh_token"]))["scope"].split()) == set(SCOPE.split())


def test_reset_while_the_code_is_being_redeemed_ends_it(provider: Provider) -> None:
    # What counts is when the person proved who they are, not when their application got around to it.
    party, who = offline(provider), provider.somebody()
    token = given(party, who)["refresh_token"]
    provider.clock.move(MINUTE)
    _reset(provider, party, who)
    provider.clock.move(MINUTE)
    with provider.writing() as unit:
        late = update(RefreshFamily).where(RefreshFamily.account_id == who.id)
        unit.execute(late.values(issued_at=provider.clock.now()))
    assert error(party.refresh(token)) == "invalid_grant"


def test_what_was_taken_from_the_client_comes_no_more(provider: Provider) -> None:
    # A69, A70: in a session, and without one.
    wished = '{"id_token": {"email": null}, "userinfo": {"email": null}}'
    for asked in ({"scope": "openid email"}, {"scope": SCOPE, "prompt": "consent"}):
        party, who = offline(provider), provider.somebody()
        tokens = party.signed_in(who, claims=wished, **asked)
        assert provider.claims(tokens["id_token"])["email"]
        set_client(provider, party, scope="openid profile offline_access")
        if "prompt" in asked:
            end_sessions(provider, who)
        refreshed = body(party.refresh(tokens["refresh_token"]))
        assert "email" not in refreshed["scope"].split()
        assert "email" not in provider.claims(refreshed["id_token"])
        assert "email" not in body(provider.userinfo(refreshed["access_token"]))


# What ends it


def set_client(provider: Provider, party: RelyingParty, **values: Any) -> None:
    with provider.writing() as unit:
        unit.execute(update(Client).where(Client.client_id == party.client_id).values(**values))


def _reset(provider: Provider, party: RelyingParty, who: Somebody) -> None:
    with provider.app.app_context():
        said = {"reason": "phone lost", "caller_checked": "called back", "actor": "karin"}
        provider.services.service_desk.reset(who.org_code, who.username, **said)


def _block(provider: Provider, party: RelyingParty, who: Somebody) -> None:
    with provider.app.app_context():
        provider.services.accounts.block(who.org_code, who.username)


def _block_and_unblock(provider: Provider, party: RelyingParty, who: Somebody) -> None:
    _block(provider, party, who)
    with provider.app.app_context():
        provider.services.accounts.unblock(who.org_code, who.username)


def _password(provider: Provider, party: RelyingParty, who: Somebody) -> None:
    with provider.app.app_context():
        provider.services.accounts.set_password(who.org_code, who.username, "een heel nieuw lang geheim 2")


def _consent(provider: Provider, party: RelyingParty, who: Somebody) -> None:
    with provider.writing() as unit:
        record.revoke(unit, who.id, party.client_id)


def _withdrawn_and_given_again(provider: Provider, party: RelyingParty, who: Somebody) -> None:
    with provider.writing() as unit:
        offline_access.withdraw_consent(unit, who.id, party.client_id, provider.clock.now())
    given(party, who)


def _click(provider: Provider, party: RelyingParty, who: Somebody) -> None:
    with provider.app.app_context():
        assert provider.services.offline_access.end(who.org_code, who.username, party.client_id, actor="karin") == 1


ENDS = [_reset, _block, _block_and_unblock, _password, _consent, _withdrawn_and_given_again, _click]


@pytest.mark.parametrize("ends", ENDS)
def test_what_ends_it_ends_its_refresh_and_access_tokens_at_once(
    provider: Provider, ends: Callable[[Provider, RelyingParty, Somebody], None]
) -> None:
    party, who = third_party(provider), provider.somebody()
    token = given(party, who)["refresh_token"]
    end_sessions(provider, who)
    provider.clock.move(MINUTE)
    tokens = body(party.refresh(token))
    assert provider.userinfo(tokens["access_token"]).status_code == 200
    ends(provider, party, who)
    assert provider.userinfo(tokens["access_token"]).status_code == 401
    assert introspect(party, tokens["access_token"]) == NOT_ACTIVE
    assert introspect(party, tokens["refresh_token"]) == NOT_ACTIVE
    assert error(party.refresh(token)) == "invalid_grant"


@pytest.mark.parametrize(
    "values",
    [{"scope": "openid profile email"}, {"grant_types": ["authorization_code"]}, {"minimum_acr": 2}],
    ids=["scope taken", "grant taken", "level raised"],
)
def test_client_that_may_not_any_more_gets_nothing_by_it(provider: Provider, values: dict[str, Any]) -> None:
    party, who = offline(provider), provider.somebody()
    token = given(party, who)["refresh_token"]
    end_sessions(provider, who)
    set_client(provider, party, **values)
    assert error(party.refresh(token)) in ("invalid_grant", "unauthorized_client")
    restored = {"scope": "openid profile email offline_access", "minimum_acr": None}
    set_client(provider, party, grant_types=["authorization_code", "refresh_token"], **restored)
    assert party.refresh(token).status_code == 200, "a refused refresh used nothing up"


def test_scope_that_the_client_lost_is_not_in_what_comes_next(provider: Provider) -> None:
    party, who = offline(provider), provider.somebody()
    token = given(party, who)["refresh_token"]
    set_client(provider, party, scope="openid offline_access")
    assert body(party.refresh(token))["scope"] == "openid offline_access"


def test_giving_it_back_ends_it(provider: Provider, party: RelyingParty) -> None:
    who = provider.somebody()
    first = given(party, who)
    end_sessions(provider, who)
    tokens = body(party.refresh(first["refresh_token"]))
    assert party.post("/revoke", {"token": tokens["refresh_token"]}).status_code == 200
    assert error(party.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert provider.userinfo(tokens["access_token"]).status_code == 401


def test_end_is_of_one_application_and_one_person_and_leaves_the_session(provider: Provider, browser: Browser) -> None:
    party, other = offline(provider), third_party(provider)
    anna, bram = provider.somebody(), provider.somebody(username="bram")
    mine = body(party.redeem(browser.sign_in(party, anna, scope=SCOPE, prompt="consent").values["code"]))
    theirs, of_bram = given(other, anna), given(party, bram)
    with provider.app.app_context():
        use_case = provider.services.offline_access
        held = use_case.list(anna.org_code, anna.username)
        assert {each.client.client_id for each in held} == {party.client_id, other.client_id}
        assert use_case.end(anna.org_code, anna.username, party.client_id, actor="karin") == 1
        assert [each.client.client_id for each in use_case.list(anna.org_code)] == [other.client_id]
        assert use_case.end(anna.org_code, anna.username, party.client_id, actor="karin") == 0
    assert error(party.refresh(mine["refresh_token"])) == "invalid_grant"
    assert party.refresh(of_bram["refresh_token"]).status_code == 200
    assert other.refresh(theirs["refresh_token"]).status_code == 200
    assert "code" in browser.silent(party).values
    with provider.writing() as unit:
        (event,) = (each for each in events(unit, OfflineAccessEnded) if each.account_id == anna.id)
        assert (event.client_id, event.actor, event.details["authorizations"]) == (party.client_id, "karin", 1)


def test_code_of_before_the_end_opens_nothing_that_lasts(provider: Provider) -> None:
    party, who = offline(provider), provider.somebody()
    browser = provider.browser()
    code = browser.sign_in(party, who, scope=SCOPE, prompt="consent").values["code"]
    with provider.writing() as unit:
        offline_access.end(unit, who.id, party.client_id, "ended", provider.clock.now())
    assert error(party.redeem(code)) == "invalid_grant"


def test_code_used_twice_ends_it(provider: Provider) -> None:
    # A49
    party, who = offline(provider), provider.somebody()
    code = provider.browser().sign_in(party, who, scope=SCOPE, prompt="consent").values["code"]
    tokens = body(party.redeem(code))
    assert error(party.redeem(code)) == "invalid_grant"
    assert error(party.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_silent_request_gets_none(provider: Provider, browser: Browser) -> None:
    party, who = offline(provider), provider.somebody()
    browser.sign_in(party, who, scope=SCOPE, prompt="consent")
    tokens = body(party.redeem(browser.silent(party, scope=SCOPE).values["code"]))
    assert "offline_access" not in tokens["scope"]
    with provider.writing() as unit:
        handle = hash_secret(tokens["refresh_token"].partition(".")[0])
        assert unit.scalars(select(RefreshFamily).filter_by(handle_hash=handle)).one().session_id is not None
