"""A58, A89: clients that register themselves, and want more than an administrator, or other applications, give them."""

from typing import Any

import pytest
from flask import Flask

from tests.oidc.registering import CALLBACK, METADATA, Registrations
from tests.oidc.signing import public_keys

ELSEWHERE = "https://rp.example/old"
BOTH = ["authorization_code", "refresh_token"]
KEYS = {"token_endpoint_auth_method": "private_key_jwt", "jwks": public_keys("ES256")}


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return {"registration": {"mode": "open", "max_per_minute": 100}}


@pytest.fixture
def registrations(app: Flask) -> Registrations:
    return Registrations(app)


def sent(told: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A replacement: what was told when the client was registered, with these changes."""
    ours = ("registration_access_token", "registration_client_uri", "client_secret_expires_at", "client_id_issued_at")
    merged = {**{name: value for name, value in told.items() if name not in ours}, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def put(registrations: Registrations, told: dict[str, Any], **changes: Any) -> Any:
    path = f"/register/{told['client_id']}"
    return registrations.send("PUT", path, sent(told, **changes), told["registration_access_token"])


# What an administrator decided outlives what the client sends (RFC 7592 2.2)

DECIDED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    # What an administrator set, and what the client would have instead.
    ({"scope": "openid"}, {"scope": "openid profile email offline_access"}),
    ({"scope": "openid"}, {"scope": None}),
    ({"grant_types": ["authorization_code"]}, {"grant_types": BOTH, "scope": "openid"}),
    ({"dpop_bound_access_tokens": True}, {"dpop_bound_access_tokens": False}),
    ({"dpop_bound_access_tokens": True}, {"dpop_bound_access_tokens": None}),
    ({"redirect_uris": [CALLBACK]}, {"redirect_uris": [CALLBACK, ELSEWHERE]}),
    ({"session_activity": "none"}, {"session_activity": None}),
    ({"session_activity": "reported"}, {"session_activity": None}),
    ({"token_endpoint_auth_method": "client_secret_post"}, {"token_endpoint_auth_method": "none"}),
    ({"backchannel_logout_uri": "https://rp.example/over"}, {"backchannel_logout_uri": None}),
    ({"userinfo_signed_response_alg": "ES256"}, {"userinfo_signed_response_alg": None}),
    ({"policy_uri": None}, {"policy_uri": "https://rp.example/policy"}),
    ({"client_name": "Niet de bank"}, {"client_name": "De bank"}),
    ({"resources": ["https://api.example/"], "minimum_acr": 2}, {"resources": [], "minimum_acr": 1}),
]


@pytest.mark.parametrize(("decided", "wished"), DECIDED, ids=str)
def test_client_does_not_get_back_what_an_administrator_decided(
    registrations: Registrations, decided: dict[str, Any], wished: dict[str, Any]
) -> None:
    told = registrations.registered(grant_types=BOTH, scope="openid profile email")
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], **decided)
    answer = put(registrations, told, **wished, contacts=["other@rp.example"])
    assert answer.status_code == 200, answer.text
    row = registrations.row(told["client_id"])
    assert {name: getattr(row, name) for name in decided} == decided
    # The rest is the client's own, and it is told what holds.
    assert row.contacts == ["other@rp.example"]
    said = {name: answer.json.get(name) for name in decided if name not in ("resources", "minimum_acr")}
    assert said == {name: decided[name] for name in said}


@pytest.mark.parametrize("wished", [{"profile": "oidc"}, {"profile": None, "dpop_bound_access_tokens": False}], ids=str)
def test_client_does_not_leave_the_profile_that_an_administrator_gave_it(
    registrations: Registrations, wished: dict[str, Any]
) -> None:
    told = registrations.registered(**KEYS, id_token_signed_response_alg="ES256")
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], profile="fapi2")
    answer = put(registrations, told, **wished, require_pushed_authorization_requests=False)
    assert answer.status_code == 200, answer.text
    row = registrations.row(told["client_id"])
    assert row.profile == "fapi2"
    assert row.require_pkce and row.require_pushed_authorization_requests and row.dpop_bound_access_tokens
    # What does not go with it is refused, as it is for everybody.
    weaker = put(registrations, told, token_endpoint_auth_method="client_secret_basic", jwks=None)
    assert (weaker.status_code, weaker.json["error"]) == (400, "invalid_client_metadata")


def test_name_that_an_administrator_gave_stands_in_every_language(registrations: Registrations) -> None:
    told = registrations.registered()
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], client_name="Niet de bank")
    assert put(registrations, told, **{"client_name#nl": "De bank", "tos_uri#nl": "https://rp.example/nl"}).json
    row = registrations.row(told["client_id"])
    assert row.shown("client_name", "nl") == "Niet de bank"
    assert row.shown("tos_uri", "nl") == "https://rp.example/nl"


def test_keys_that_an_administrator_gave_are_not_exchanged_for_an_address(registrations: Registrations) -> None:
    told = registrations.registered(**KEYS)
    others = public_keys("ES256", number=1)
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], jwks=others)
    assert put(registrations, told, jwks=None, jwks_uri="https://rp.example/jwks").status_code == 200
    row = registrations.row(told["client_id"])
    assert (row.jwks, row.jwks_uri) == (others, None)


def test_more_than_a_client_can_ask_for_stays_when_it_replaces_the_rest(registrations: Registrations) -> None:
    told = registrations.registered()
    given: dict[str, Any] = {"grant_types": ["authorization_code", "client_credentials"], "scope": "openid orders"}
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], **given, redirect_uris=["http://localhost/callback"])
    assert put(registrations, told, client_name="Een ander").status_code == 200
    row = registrations.row(told["client_id"])
    assert (row.client_name, row.scope, row.grant_types) == ("Een ander", given["scope"], given["grant_types"])
    assert row.redirect_uris == ["http://localhost/callback"]


def test_what_an_administrator_leaves_to_the_client_again_is_its_own(registrations: Registrations) -> None:
    told = registrations.registered()
    with registrations.app.app_context():
        registrations.services.clients.set(told["client_id"], scope="openid", client_name="Niet de bank")
        registrations.services.clients.leave(told["client_id"])
    assert put(registrations, told, scope="openid email", client_name="De bank").status_code == 200
    row = registrations.row(told["client_id"])
    assert (row.scope, row.client_name, row.decided) == ("openid email", "De bank", [])


# Nobody lets the session of all applications live on by their own word


@pytest.mark.parametrize("activity", ["reported", "token_refresh"])
@pytest.mark.parametrize("kind", [{}, {"token_endpoint_auth_method": "none"}], ids=["web", "browser"])
def test_client_that_registers_itself_does_not_make_itself_count_as_activity(
    registrations: Registrations, activity: str, kind: dict[str, Any]
) -> None:
    before = registrations.rows()
    wish = {**METADATA, **kind, "grant_types": BOTH}
    assert registrations.refused({**wish, "session_activity": activity}) == "invalid_client_metadata"
    assert registrations.rows() == before
    told = registrations.registered(**kind, grant_types=BOTH)
    assert told["session_activity"] == "none"
    answer = put(registrations, told, session_activity=activity)
    assert (answer.status_code, answer.json["error"]) == (400, "invalid_client_metadata")
    assert registrations.row(told["client_id"]).session_activity == "none"
