"""Refresh tokens: what a refresh may change, and how families end (RFC 6749 6, OIDC Core 12, RFC 9700 4.14)."""

from datetime import timedelta

import pytest

from idp.kernel.secrets import hash_secret
from idp.oidc.clients import Client
from idp.oidc.models import RefreshFamily
from idp.sessions.models import Session
from tests.client_assertions import in_body
from tests.oidc.journeys import Browser, Parameter, Provider, RelyingParty, body, error, form_encoded
from tests.proofs import ProofKey

SAME = ("iss", "sub", "aud", "auth_time", "sid", "acr", "amr")


@pytest.fixture(params=["confidential", "public"])
def refreshing(request: pytest.FixtureRequest, provider: Provider) -> RelyingParty:
    """A client of either kind."""
    return provider.client() if request.param == "confidential" else provider.public_client()


@pytest.mark.demand(43, 45)
def test_refreshed_id_token_is_about_the_same_sign_in(provider: Provider, refreshing: RelyingParty) -> None:
    # #45
    first = refreshing.signed_in(provider.somebody(totp=True), acr_values=f"{provider.issuer}/acr/2")
    provider.clock.move(timedelta(seconds=90))
    response = refreshing.refresh(first["refresh_token"])
    second = body(response)
    before, after = provider.claims(first["id_token"]), provider.claims(second["id_token"])
    assert {name: after[name] for name in SAME} == {name: before[name] for name in SAME}
    assert after["iat"] == before["iat"] + 90
    assert after["exp"] == after["iat"] + 300
    assert "nonce" not in after
    assert after["at_hash"] != before["at_hash"]
    assert second["access_token"] != first["access_token"]
    assert (second["token_type"], second["scope"]) == ("Bearer", first["scope"])
    assert response.headers["Cache-Control"] == "no-store"
    assert provider.userinfo(second["access_token"]).status_code == 200


@pytest.mark.demand(47)
def test_confidential_client_keeps_its_refresh_token(party: RelyingParty) -> None:
    token = party.signed_in()["refresh_token"]
    assert [body(party.refresh(token))["refresh_token"] for _ in range(3)] == [token] * 3


@pytest.mark.demand(45)
def test_sign_in_that_was_repeated_meanwhile_does_not_change_what_a_refresh_says(
    provider: Provider, refreshing: RelyingParty, browser: Browser
) -> None:
    who = provider.somebody(totp=True)
    first = body(refreshing.redeem(browser.sign_in(refreshing, who).values["code"]))
    provider.clock.move(timedelta(seconds=90))
    again = body(refreshing.redeem(browser.sign_in(refreshing, who, prompt="login").values["code"]))
    before, later = provider.claims(first["id_token"]), provider.claims(again["id_token"])
    assert later["auth_time"] > before["auth_time"] and later["sid"] == before["sid"]
    after = provider.claims(body(refreshing.refresh(first["refresh_token"]))["id_token"])
    assert {name: after[name] for name in SAME} == {name: before[name] for name in SAME}
    assert after["iat"] > later["auth_time"]


@pytest.mark.demand(47)
@pytest.mark.parametrize("profile", ["oidc", "fapi2"])
def test_refresh_token_of_a_confidential_client_is_good_long_after_it_was_used(
    provider: Provider, profile: str
) -> None:
    party = provider.client(token_endpoint_auth_method="private_key_jwt", session_activity="token_refresh")
    token, key = party.signed_in()["refresh_token"], ProofKey()
    with provider.writing() as unit:
        unit.get_one(Client, party.client_id).profile = profile
    for seconds in (0, 29, 31, 600):
        provider.clock.move(timedelta(seconds=seconds))
        proof = key.proof("POST", f"{provider.issuer}/token", provider.clock.now())
        shown = {"grant_type": "refresh_token", "refresh_token": token, **in_body(party.assertion(aud=provider.issuer))}
        answer = body(provider.post("/token", form_encoded(shown), {"DPoP": proof}))
        assert (answer["refresh_token"], answer["token_type"]) == (token, "DPoP")


def test_public_client_gets_a_new_refresh_token_each_time(provider: Provider) -> None:
    party = provider.public_client()
    tokens = [party.signed_in()["refresh_token"]]
    for _ in range(4):
        tokens.append(body(party.refresh(tokens[-1]))["refresh_token"])
    assert len(set(tokens)) == 5


@pytest.mark.demand(47)
def test_lost_answer_can_be_asked_again_for_thirty_seconds_and_gives_the_same_successor(provider: Provider) -> None:
    party = provider.public_client()
    first = party.signed_in()["refresh_token"]
    successor = body(party.refresh(first))["refresh_token"]
    provider.clock.move(timedelta(seconds=29, milliseconds=999))
    assert body(party.refresh(first))["refresh_token"] == successor
    assert body(party.refresh(successor))["refresh_token"] not in (first, successor)


@pytest.mark.parametrize("how", ["thirty seconds later", "after the successor was used"])
def test_superseded_refresh_token_ends_its_family_and_leaves_the_session(
    provider: Provider, browser: Browser, how: str
) -> None:
    party = provider.public_client()
    answer = browser.sign_in(party, provider.somebody())
    first = body(party.redeem(answer.values["code"]))
    second = body(party.refresh(first["refresh_token"]))
    if how == "thirty seconds later":
        provider.clock.move(timedelta(seconds=30))
    else:
        second = body(party.refresh(second["refresh_token"]))
    assert error(party.refresh(first["refresh_token"])) == "invalid_grant"
    assert error(party.refresh(second["refresh_token"])) == "invalid_grant"
    assert provider.userinfo(second["access_token"]).status_code == 401
    assert "code" in browser.silent(party).values


@pytest.mark.demand(46)
def test_narrower_scope_is_granted_and_the_family_keeps_its_own(provider: Provider, party: RelyingParty) -> None:
    token = party.signed_in(scope="openid profile email")["refresh_token"]
    narrow = body(party.refresh(token, scope="openid email"))
    assert narrow["scope"] == "openid email"
    assert "name" not in body(provider.userinfo(narrow["access_token"]))
    assert body(party.refresh(token))["scope"] == "openid profile email"
    assert body(party.refresh(token, scope="email profile openid"))["scope"] == "email profile openid"


@pytest.mark.parametrize("scope", ["openid profile", "openid offline_access", "nonsense", "openid \u2603"])
def test_wider_scope_is_refused_and_does_not_use_up_the_token(
    provider: Provider, refreshing: RelyingParty, scope: str
) -> None:
    token = refreshing.signed_in(scope="openid email")["refresh_token"]
    assert error(refreshing.refresh(token, scope=scope)) == "invalid_scope"
    provider.clock.move(timedelta(seconds=31))
    assert body(refreshing.refresh(token))["scope"] == "openid email"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"refresh_token": None}, "invalid_request"),
        ({"refresh_token": ""}, "invalid_request"),
        ({"refresh_token": "unknown"}, "invalid_grant"),
        ({"refresh_token": "a.0.b"}, "invalid_grant"),
        ({"refresh_token": "a.-1.b"}, "invalid_grant"),
        ({"refresh_token": "a.\u0661.b"}, "invalid_grant"),
        ({"refresh_token": "a." + "9" * 30 + ".b"}, "invalid_grant"),
        ({"refresh_token": "...."}, "invalid_grant"),
        ({"refresh_token": "\u2603.0.\u2603"}, "invalid_grant"),
        ({"refresh_token": ["a", "b"]}, "invalid_request"),
        ({"refresh_token": "\x00"}, "invalid_request"),
    ],
    ids=str,
)
def test_what_is_no_refresh_token_is_refused(party: RelyingParty, changes: dict[str, Parameter], expected: str) -> None:
    assert error(party.token({"grant_type": "refresh_token", **changes})) == expected


def test_generation_cannot_be_made_up(provider: Provider) -> None:
    party = provider.public_client()
    token = party.signed_in()["refresh_token"]
    handle, generation, mac = token.split(".")
    for forged in (f"{handle}.{int(generation) + 1}.{mac}", f"{handle}.00.{mac}", f"{handle}.0.{mac}x", f"{handle}.0."):
        assert error(party.refresh(forged)) == "invalid_grant"
    assert body(party.refresh(token))


def test_refresh_token_of_another_client_is_refused_and_stays_good(
    provider: Provider, refreshing: RelyingParty
) -> None:
    token = refreshing.signed_in()["refresh_token"]
    for thief in (provider.client(), provider.public_client()):
        assert error(thief.refresh(token)) == "invalid_grant"
    assert body(refreshing.refresh(token))


def test_refresh_token_is_worth_nothing_without_the_client_s_secret(provider: Provider, party: RelyingParty) -> None:
    data: dict[str, Parameter] = {"grant_type": "refresh_token", "refresh_token": party.signed_in()["refresh_token"]}
    assert error(party.token({**data, "client_id": party.client_id}, {}), 401) == "invalid_client"


def test_access_token_is_no_refresh_token_and_the_other_way_round(provider: Provider, party: RelyingParty) -> None:
    tokens = party.signed_in()
    assert error(party.refresh(tokens["access_token"])) == "invalid_grant"
    assert provider.userinfo(tokens["refresh_token"]).status_code == 401


def test_refresh_token_dies_with_its_session_at_the_same_instant(provider: Provider, refreshing: RelyingParty) -> None:
    token = refreshing.signed_in()["refresh_token"]
    provider.clock.move(timedelta(minutes=29, seconds=59))
    token = body(refreshing.refresh(token))["refresh_token"]
    provider.clock.move(timedelta(seconds=1))
    assert error(refreshing.refresh(token)) == "invalid_grant"


def test_refresh_token_dies_with_logout(provider: Provider, refreshing: RelyingParty, browser: Browser) -> None:
    tokens = body(refreshing.redeem(browser.sign_in(refreshing, provider.somebody()).values["code"]))
    browser.get("/end_session", query=form_encoded({"id_token_hint": tokens["id_token"]}))
    assert error(refreshing.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_refresh_in_the_last_second_of_a_session_is_too_late(provider: Provider, party: RelyingParty) -> None:
    token = party.signed_in()["refresh_token"]
    provider.clock.move(timedelta(minutes=29, seconds=59, milliseconds=1))
    assert error(party.refresh(token)) == "invalid_grant"


def test_refresh_moves_the_deadline_only_for_clients_that_say_so(provider: Provider) -> None:
    for activity, minutes in (("token_refresh", 30), ("none", 20)):
        party = provider.client(session_activity=activity)
        tokens = party.signed_in()
        provider.clock.move(timedelta(minutes=10))
        assert body(party.refresh(tokens["refresh_token"]))
        with provider.writing() as unit:
            session = unit.query(Session).filter_by(sid=provider.claims(tokens["id_token"])["sid"]).one()
        assert session.idle_ends_at == provider.clock.now() + timedelta(minutes=minutes)


def test_refresh_holds_the_client_s_minimum_level(provider: Provider, party: RelyingParty) -> None:
    token = party.signed_in(provider.somebody())["refresh_token"]
    with provider.writing() as unit:
        client = unit.get(Client, party.client_id)
        assert client is not None
        client.minimum_acr = 2
    assert error(party.refresh(token)) == "invalid_grant"


def test_refresh_token_is_not_stored(provider: Provider, party: RelyingParty) -> None:
    token = party.signed_in()["refresh_token"]
    with provider.writing() as unit:
        family = unit.query(RefreshFamily).filter_by(handle_hash=hash_secret(token.split(".")[0])).one()
        values = [str(getattr(family, column.key)) for column in RefreshFamily.__table__.columns]
    assert not any(part in value for part in token.split(".")[::2] for value in values)
