"""Clients read, replace and end what they registered (RFC 7592; demand 65)."""

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select

from idp.audit.events import ClientRegistration
from idp.audit.trail import events
from idp.consents.record import granted_scope
from idp.kernel.clock import FixedClock
from idp.kernel.errors import Refused
from idp.oidc import receipts
from idp.oidc.models import AccessToken, AuthorizationCode, RefreshFamily
from idp.sessions.models import Participation
from tests.factories import Factories, Somebody
from tests.oidc.journeys import Browser, Provider, RelyingParty, body, error
from tests.oidc.registering import CALLBACK, Registrations, some_client

REFRESHING = ["authorization_code", "refresh_token"]
TOLD = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return {"registration": {"mode": "open", "max_per_minute": 100}}


@pytest.fixture
def registrations(app: Flask) -> Registrations:
    return Registrations(app)


@pytest.fixture
def provider(app: Flask, clock: FixedClock) -> Provider:
    return Provider(app, clock, Factories(app))


@pytest.fixture
def told(registrations: Registrations) -> dict[str, Any]:
    return registrations.registered(grant_types=REFRESHING, client_uri="https://rp.example/")


def path(told: dict[str, Any]) -> str:
    return f"/register/{told['client_id']}"


def sent(told: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What a client sends that read itself and changed something."""
    kept = {name: value for name, value in told.items() if name not in TOLD}
    return {name: value for name, value in {**kept, **changes}.items() if value is not None}


# Whose it is


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_wrong_token_and_unknown_client_are_answered_alike_and_change_nothing(
    registrations: Registrations, told: dict[str, Any], method: str
) -> None:
    other = registrations.registered()
    atosi = Factories(registrations.app).client()
    before = registrations.rows()
    right = told["registration_access_token"]
    answers = [
        registrations.send(method, path(told), sent(told), other["registration_access_token"]),
        registrations.send(method, path(told), sent(told), told["client_secret"]),
        registrations.send(method, "/register/nobody", sent(told), right),
        registrations.send(method, f"/register/{atosi.client_id}", sent(told), right),
        registrations.send(method, f"/register/{told['client_id'].swapcase()}", sent(told), right),
        registrations.send(method, f"/register/{told['client_id']}%20", sent(told), right),
        # What is kept of a token is no token (A60).
        registrations.send(
            method,
            path(told),
            sent(told),
            (registrations.row(told["client_id"]).registration_access_token_hash or b"").hex(),
        ),
    ]
    assert {(answer.status_code, answer.data, answer.headers["WWW-Authenticate"]) for answer in answers} == {
        (401, answers[0].data, answers[0].headers["WWW-Authenticate"])
    }
    assert 'error="invalid_token"' in answers[0].headers["WWW-Authenticate"]
    assert registrations.rows() == before and registrations.row(told["client_id"]).client_name == "Een derde partij"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_without_a_token_there_is_a_challenge(registrations: Registrations, told: dict[str, Any], method: str) -> None:
    answer = registrations.send(method, path(told), sent(told))
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="register"')


# Reading


@pytest.mark.demand(65)
def test_client_reads_itself(registrations: Registrations, told: dict[str, Any]) -> None:
    # What is told of the secret is that it does not expire: nobody here knows it.
    answer = registrations.send("GET", path(told), token=told["registration_access_token"])
    assert body(answer) == {name: value for name, value in told.items() if name != "client_secret"}
    assert answer.headers["Cache-Control"] == "no-store"


# Replacing


def test_what_is_left_out_is_gone_and_what_is_given_holds(
    registrations: Registrations, provider: Provider, told: dict[str, Any]
) -> None:
    # RFC 7592 2.2.
    other = "https://rp.example/other"
    wish = sent(told, redirect_uris=[other], client_name="Een ander", client_uri=None, contacts=None)
    answer = body(registrations.send("PUT", path(told), wish, told["registration_access_token"]))
    assert answer["redirect_uris"] == [other] and answer["client_name"] == "Een ander"
    assert not {"client_uri", "contacts", "client_secret"} & set(answer)
    assert answer["registration_access_token"] == told["registration_access_token"]
    again = body(registrations.send("GET", path(told), token=told["registration_access_token"]))
    assert again == answer
    party = RelyingParty(provider, some_client({**told, "redirect_uris": [other]}))
    assert party.signed_in()["id_token"]
    refused = provider.browser().authorize(RelyingParty(provider, some_client(told)))
    assert refused.status_code == 400
    with registrations.app.app_context(), registrations.services.units.reading() as unit:
        changes = [event.details["change"] for event in events(unit, ClientRegistration)]
    assert changes == ["registered", "replaced redirect_uris, contacts, client_name, client_uri"]


def test_secret_stays_and_another_method_that_needs_one_gets_one(
    registrations: Registrations, told: dict[str, Any]
) -> None:
    token = told["registration_access_token"]
    post = body(
        registrations.send("PUT", path(told), sent(told, token_endpoint_auth_method="client_secret_post"), token)
    )
    assert "client_secret" not in post and registrations.row(told["client_id"]).has_secret(told["client_secret"])
    wish = sent(told, client_secret=None, token_endpoint_auth_method="none")
    none = body(registrations.send("PUT", path(told), wish, token))
    assert not {"client_secret", "client_secret_expires_at"} & set(none)
    assert registrations.row(told["client_id"]).client_secret_hash is None
    back = body(registrations.send("PUT", path(told), sent(told, client_secret=None), token))
    assert back["client_secret"] != told["client_secret"] and back["client_secret_expires_at"] == 0
    assert registrations.row(told["client_id"]).has_secret(back["client_secret"])


REFUSED: list[dict[str, Any]] = [
    {"client_id": None},
    {"client_id": "another"},
    {"client_secret": "a-secret-of-my-own-that-is-long-enough"},
    {"client_secret": 7},
    {"client_secret": "\u00fc"},
    {"registration_access_token": "x"},
    {"registration_client_uri": "https://rp.example/"},
    {"client_id_issued_at": 1},
    {"client_secret_expires_at": 0},
    {"grant_types": ["implicit"]},
    {"application_type": "native", "redirect_uris": ["com.example.app:/x"], "session_activity": "always"},
]


@pytest.mark.parametrize("changes", REFUSED, ids=str)
def test_replacement_that_must_not_be_is_refused_and_changes_nothing(
    registrations: Registrations, told: dict[str, Any], changes: dict[str, Any]
) -> None:
    token, before = told["registration_access_token"], registrations.rows()
    answer = registrations.send("PUT", path(told), sent(told, **changes), token)
    assert body(answer, 400)["error"] == "invalid_client_metadata"
    kept = body(registrations.send("GET", path(told), token=token))
    assert kept == {name: value for name, value in told.items() if name != "client_secret"}
    assert registrations.rows() == before


def test_redirect_uri_that_must_not_be_is_refused_in_a_replacement_too(
    registrations: Registrations, told: dict[str, Any]
) -> None:
    wish = sent(told, redirect_uris=[CALLBACK, "https://evil.example/#"])
    answer = registrations.send("PUT", path(told), wish, told["registration_access_token"])
    assert body(answer, 400)["error"] == "invalid_redirect_uri"


def test_what_an_administrator_decided_stays(registrations: Registrations, told: dict[str, Any]) -> None:
    with registrations.app.app_context():
        registrations.services.clients.set(
            told["client_id"], first_party=True, minimum_acr=2, access_token_format="jwt"
        )
    wish = sent(told, client_name="Anders", first_party=False)
    body(registrations.send("PUT", path(told), wish, told["registration_access_token"]))
    row = registrations.row(told["client_id"])
    assert (row.client_name, row.first_party, row.minimum_acr, row.access_token_format) == ("Anders", True, 2, "jwt")
    assert row.require_pkce


@pytest.mark.parametrize("scope", [" ", None])
def test_client_does_not_make_itself_a_resource_server(
    registrations: Registrations, told: dict[str, Any], scope: str | None
) -> None:
    # What it may have tokens for is not what it is: resource servers learn what tokens of others are worth.
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], resources=["https://api.example"])
    wish = sent(told, grant_types=[], response_types=[], redirect_uris=[], scope=scope, session_activity="none")
    answer = registrations.send("PUT", path(told), wish, told["registration_access_token"])
    assert body(answer, 400)["error"] == "invalid_client_metadata"


def test_client_that_moves_elsewhere_loses_what_it_was_allowed(
    registrations: Registrations, provider: Provider, told: dict[str, Any]
) -> None:
    token, elsewhere = told["registration_access_token"], "https://evil.example/callback"
    party, browser, who = RelyingParty(provider, some_client(told)), provider.browser(), provider.somebody()
    scope = {"scope": "openid profile offline_access", "prompt": "consent"}
    tokens = body(party.redeem(browser.sign_in(party, who, **scope).values["code"]))
    assert "code" in browser.silent(party, scope="openid profile").values
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], first_party=True)
    at_home = sent(told, redirect_uris=[CALLBACK, CALLBACK + "/2"])
    body(registrations.send("PUT", path(told), at_home, token))
    assert registrations.row(told["client_id"]).first_party, "it lives where it lived"

    body(registrations.send("PUT", path(told), sent(told, redirect_uris=[CALLBACK, elsewhere]), token))
    assert not registrations.row(told["client_id"]).first_party
    moved = RelyingParty(provider, some_client({**told, "redirect_uris": [elsewhere]}))
    assert browser.silent(moved, scope="openid profile").values["error"] == "consent_required"
    assert error(party.refresh(tokens["refresh_token"])) == "invalid_grant"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("client_secret_basic", "none"),
        ("none", "client_secret_basic"),
        ("client_secret_basic", "client_secret_jwt"),
        ("client_secret_jwt", "client_secret_post"),
    ],
)
def test_client_moves_and_changes_how_it_authenticates_at_once(
    registrations: Registrations, before: str, after: str
) -> None:
    told = registrations.registered(token_endpoint_auth_method=before)
    wish = sent(
        told, client_secret=None, token_endpoint_auth_method=after, redirect_uris=["https://other.example/callback"]
    )
    answer = body(registrations.send("PUT", path(told), wish, told["registration_access_token"]))
    row = registrations.row(told["client_id"])
    assert (row.token_endpoint_auth_method, row.redirect_uris) == (after, ["https://other.example/callback"])
    assert (row.client_secret_hash is None, row.client_secret_sealed is None) == (
        after == "none",
        after != "client_secret_jwt",
    )
    # A secret that it can go on with stays.
    assert ("client_secret" in answer) == (after in ("client_secret_jwt", "client_secret_basic"))


# Ending


@pytest.fixture
def in_use(provider: Provider, told: dict[str, Any]) -> tuple[Browser, Somebody, RelyingParty, dict[str, Any]]:
    """Somebody is signed in to the client, which has tokens."""
    party = RelyingParty(provider, some_client(told))
    browser, who = provider.browser(), provider.somebody()
    tokens = body(party.redeem(browser.sign_in(party, who).values["code"]))
    return browser, who, party, tokens


def deleted(registrations: Registrations, told: dict[str, Any]) -> None:
    answer = registrations.send("DELETE", path(told), token=told["registration_access_token"])
    assert (answer.status_code, answer.data, answer.headers["Cache-Control"]) == (204, b"", "no-store")


@pytest.mark.demand(65)
def test_with_a_client_ends_everything_that_hangs_on_it(
    registrations: Registrations, provider: Provider, told: dict[str, Any], in_use: tuple[Any, ...]
) -> None:
    # RFC 7592 2.3.
    browser, who, party, tokens = in_use
    unused = browser.silent(party).values["code"]
    waiting = provider.browser()
    page = waiting.get(waiting.authorize(party).headers["Location"])
    deleted(registrations, told)
    assert provider.userinfo(tokens["access_token"]).status_code == 401
    assert error(party.refresh(tokens["refresh_token"]), 401) == "invalid_client"
    assert error(party.redeem(unused), 401) == "invalid_client"
    assert browser.authorize(party).status_code == 400
    assert waiting.post(*waiting.answered(page, who.names)).status_code in (400, 404, 410)
    with provider.writing() as unit:
        assert granted_scope(unit, who.id, told["client_id"]) == frozenset()
        for model, ended in (
            (AuthorizationCode, "used_at"),
            (AccessToken, "revoked_at"),
            (RefreshFamily, "revoked_at"),
        ):
            live = select(func.count()).select_from(model).where(model.client_id == told["client_id"])
            assert unit.scalar(live.where(getattr(model, ended).is_(None))) == 0
    # The session goes on, with everything else in it.
    assert browser.silent(provider.client()).values["code"]
    for method in ("GET", "PUT", "DELETE"):
        answer = registrations.send(method, path(told), sent(told), told["registration_access_token"])
        assert answer.status_code == 401


def test_tokens_of_other_clients_stay(
    registrations: Registrations, provider: Provider, told: dict[str, Any], in_use: tuple[Any, ...]
) -> None:
    browser, who, _, _ = in_use
    other = provider.client()
    tokens = body(other.redeem(browser.silent(other).values["code"]))
    deleted(registrations, told)
    assert body(provider.userinfo(tokens["access_token"]))["sub"] == who.sub
    assert body(other.refresh(tokens["refresh_token"]))


def test_participations_and_receipts_of_a_client_that_is_gone_can_be_read(
    registrations: Registrations, provider: Provider, told: dict[str, Any], in_use: tuple[Any, ...]
) -> None:
    _, _, _, tokens = in_use
    sid = provider.claims(tokens["id_token"])["sid"]
    deleted(registrations, told)
    with provider.writing() as unit:
        assert told["client_id"] in unit.scalars(select(Participation.client_id)).all()
        session = provider.services.sessions.load_live_of_client(unit, sid, told["client_id"])
        assert session is not None
        provider.services.sessions.end(unit, session, "logout")
        (receipt,) = receipts.of_session(unit, sid, provider.clock.now())
    assert (receipt.client_name, receipt.outcome, receipt.failure) == ("Een derde partij", "refused", "client is gone")


def test_nothing_that_could_be_used_is_left_and_nobody_gets_the_identifier(
    registrations: Registrations, told: dict[str, Any]
) -> None:
    deleted(registrations, told)
    row = registrations.row(told["client_id"])
    assert row.deleted_at is not None and row.client_secret_hash is None and row.redirect_uris == []
    with registrations.app.app_context():
        clients = registrations.services.clients
        assert clients.list() == []
        with pytest.raises(Refused, match="no client"):
            clients.show(told["client_id"])
        for taken in (told["client_id"], told["client_id"].swapcase()):
            with pytest.raises(Refused) as refused:
                clients.add("Een ander", [CALLBACK], client_id=taken)
            assert refused.value.message_key == "client.exists"


def test_end_of_a_client_leaves_an_event(registrations: Registrations, told: dict[str, Any]) -> None:
    deleted(registrations, told)
    with registrations.app.app_context(), registrations.services.units.reading() as unit:
        assert [event.details["change"] for event in events(unit, ClientRegistration)] == ["registered", "deleted"]
