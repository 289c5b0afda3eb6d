"""Registering clients: safe values of their own accord, and everything that is wrong told at once."""

from datetime import timedelta
from typing import Any

import pytest

from idp.admin.refusals import Refusals
from idp.audit.events import ClientChanged
from idp.audit.trail import events
from idp.kernel.clock import FixedClock
from idp.kernel.errors import Refused
from idp.wiring import Services

CALLBACK = "https://app.example/callback"
REFRESHING = ("authorization_code", "refresh_token")


def test_new_client_has_safe_values_of_its_own_accord(services: Services) -> None:
    client, secret = services.clients.add("Atosi", [CALLBACK])
    assert secret is not None and len(secret) == 43 and len(client.client_id) == 22
    shown = services.clients.show(client.client_id)
    assert shown.has_secret(secret) and not shown.has_secret(secret + "x")
    assert (shown.token_endpoint_auth_method, shown.grant_types) == ("client_secret_basic", ["authorization_code"])
    assert shown.require_pkce and not shown.first_party and shown.profile == "oidc"
    assert shown.response_types == ["code"] and shown.id_token_signed_response_alg == "RS256"
    with services.units.reading() as unit:
        assert [(e.client_id, e.details) for e in events(unit, ClientChanged)] == [
            (client.client_id, {"change": "registered"})
        ]


def test_secret_is_kept_as_a_hash_only(services: Services) -> None:
    client, secret = services.clients.add("Atosi", [CALLBACK])
    assert secret is not None and client.client_secret_hash is not None
    assert secret.encode() not in client.client_secret_hash and len(client.client_secret_hash) == 32


@pytest.mark.parametrize("application_type", ["browser", "native"])
def test_client_that_cannot_keep_a_secret_gets_none(services: Services, application_type: str) -> None:
    client, secret = services.clients.add(
        "Atosi", [CALLBACK], application_type=application_type, session_activity="reported"
    )
    assert secret is None and client.client_secret_hash is None and client.is_public and client.require_pkce


@pytest.mark.parametrize(
    ("grant_types", "session_activity"), [(("authorization_code",), "none"), (REFRESHING, "token_refresh")]
)
def test_web_client_tells_activity_by_refreshes_when_it_has_them(
    services: Services, grant_types: tuple[str, ...], session_activity: str
) -> None:
    client, _ = services.clients.add("Atosi", [CALLBACK], grant_types=grant_types)
    assert client.session_activity == session_activity


def test_client_that_nobody_signs_in_to_needs_no_redirect_uri(services: Services) -> None:
    client, secret = services.clients.add("Nachttaken", grant_types=("client_credentials",), scope="reports:read")
    assert secret is not None
    assert (client.redirect_uris, client.response_types, client.session_activity) == ([], [], "none")
    with pytest.raises(Refusals) as refused:
        services.clients.set(client.client_id, grant_types=("authorization_code",))
    assert "client.redirect_uri_missing" in refused.value.message_keys
    changes: dict[str, Any] = {"grant_types": REFRESHING, "redirect_uris": [CALLBACK], "scope": "openid"}
    changed, _ = services.clients.set(client.client_id, **changes)
    assert changed.response_types == ["code"]


def test_resource_server_has_no_grant_and_names_itself(services: Services) -> None:
    server, secret = services.clients.add("Salaris", grant_types=(), resources=["https://payroll.example/"])
    assert secret is not None and server.is_resource_server
    assert (server.scope, server.redirect_uris, server.response_types) == ("", [], [])


def test_pairwise_client_keeps_the_host_that_its_names_are_made_for(services: Services) -> None:
    client, _ = services.clients.add("Atosi", [CALLBACK, f"{CALLBACK}/2"], client_id="atosi", subject_type="pairwise")
    assert client.sector_identifier == "app.example"
    services.clients.set("atosi", redirect_uris=[CALLBACK])
    with pytest.raises(Refusals) as refused:
        services.clients.set("atosi", redirect_uris=["https://other.example/callback"])
    assert refused.value.message_keys == ("client.sector",)


def test_chosen_session_activity_stands_over_the_default(services: Services) -> None:
    client, _ = services.clients.add("Atosi", [CALLBACK], grant_types=REFRESHING, session_activity="reported")
    assert client.session_activity == "reported"


def test_identifier_and_secret_of_ones_own_are_kept(services: Services) -> None:
    own = "a secret of our own, written down".replace(" ", "-")
    client, secret = services.clients.add("Atosi", [CALLBACK], client_id="atosi", client_secret=own)
    assert (client.client_id, secret) == ("atosi", own)
    with pytest.raises(Refused) as refused:
        services.clients.add("Een ander", [CALLBACK], client_id="atosi")
    assert refused.value.message_key == "client.exists"
    assert [each.client_name for each in services.clients.list()] == ["Atosi"]


def test_native_client_may_come_back_by_its_own_scheme(services: Services) -> None:
    uris = ["com.example.app:/callback", "http://127.0.0.1/callback"]
    client, _ = services.clients.add("App", uris, application_type="native", session_activity="none")
    assert client.redirect_uris == uris


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"redirect_uris": []}, "client.redirect_uri_missing"),
    ({"redirect_uris": [CALLBACK, CALLBACK]}, "client.redirect_uri_twice"),
    ({"redirect_uris": ["http://app.example/callback"]}, "client.redirect_uri_https"),
    ({"redirect_uris": ["https://app.example/*"]}, "client.redirect_uri_characters"),
    ({"redirect_uris": [CALLBACK + "#x"]}, "client.redirect_uri_fragment"),
    ({"redirect_uris": ["https://user@app.example/"]}, "client.redirect_uri_host"),
    ({"redirect_uris": [f"https://{'a' * 243}.example.nl/"]}, "client.redirect_uri_host"),
    ({"redirect_uris": ["com.example.app:/callback"]}, "client.redirect_uri_scheme"),
    ({"redirect_uris": ["javascript:alert(1)"]}, "client.redirect_uri_scheme"),
    ({"redirect_uris": [f"https://app.example/{'x' * 2000}"]}, "client.uri_too_long"),
    ({"post_logout_redirect_uris": ["http://app.example/"]}, "client.redirect_uri_https"),
    ({"backchannel_logout_uri": "http://app.example/"}, "client.redirect_uri_https"),
    ({"backchannel_logout_uri": "https://app.example/#x"}, "client.redirect_uri_fragment"),
    ({"client_uri": "javascript:alert(1)"}, "client.redirect_uri_scheme"),
    ({"client_name": " "}, "client.name"),
    ({"client_name": "twee\nregels"}, "client.name"),
    ({"client_id": "a b"}, "client.client_id"),
    ({"client_id": "a:b"}, "client.client_id"),
    ({"client_secret": "kort"}, "client.secret_too_weak"),
    ({"application_type": "desktop", "session_activity": "none"}, "client.application_type"),
    ({"token_endpoint_auth_method": "tls_client_auth"}, "client.auth_method"),
    ({"token_endpoint_auth_method": "none"}, "client.web_is_confidential"),
    (
        {
            "application_type": "browser",
            "session_activity": "none",
            "token_endpoint_auth_method": "client_secret_basic",
        },
        "client.cannot_keep_secret",
    ),
    (
        {"application_type": "native", "session_activity": "none", "client_secret": "x" * 43},
        "client.public_has_no_secret",
    ),
    ({"application_type": "browser", "session_activity": "none", "require_pkce": False}, "client.pkce_required"),
    ({"application_type": "browser"}, "client.session_activity_missing"),
    ({"application_type": "native"}, "client.session_activity_missing"),
    ({"session_activity": "always"}, "client.session_activity"),
    ({"session_activity": "token_refresh"}, "client.session_activity_without_refresh"),
    ({"grant_types": ("refresh_token",)}, "client.grant_types"),
    ({"grant_types": ("authorization_code", "implicit")}, "client.grant_types"),
    (
        {"grant_types": ("refresh_token", "client_credentials"), "scope": "", "session_activity": "none"},
        "client.grant_types",
    ),
    ({"grant_types": (), "scope": ""}, "client.grant_types"),
    (
        {
            "application_type": "native",
            "session_activity": "none",
            "grant_types": ("authorization_code", "client_credentials"),
        },
        "client.client_credentials_public",
    ),
    ({"grant_types": ("client_credentials",), "scope": "openid reports"}, "client.scope_of_people"),
    ({"grant_types": ("client_credentials",), "scope": 'rep"orts'}, "client.scope_unknown"),
    ({"scope": "openid reports"}, "client.scope_unknown"),
    ({"subject_type": "secret"}, "client.subject_type"),
    ({"resources": ["payroll"]}, "client.resource"),
    ({"resources": ["https://payroll.example/#x"]}, "client.resource"),
    ({"resources": ["urn:x:y", "urn:x:y"]}, "client.resource_twice"),
    (
        {
            "application_type": "native",
            "session_activity": "none",
            "grant_types": (),
            "scope": "",
            "resources": ["urn:x:y"],
        },
        "client.resource_server_public",
    ),
    ({"subject_type": "pairwise", "redirect_uris": [CALLBACK, "https://other.example/"]}, "client.sector"),
    ({"scope": "profile"}, "client.scope_without_openid"),
    ({"scope": "openid offline_access admin", "grant_types": REFRESHING}, "client.scope_unknown"),
    ({"scope": "openid offline_access"}, "client.offline_access_without_refresh"),
    ({"id_token_signed_response_alg": "none"}, "client.signing_algorithm"),
    ({"id_token_signed_response_alg": "HS256"}, "client.signing_algorithm"),
    ({"minimum_acr": 0}, "client.minimum_acr"),
    ({"minimum_acr": 4}, "client.minimum_acr"),
]


@pytest.mark.parametrize(("metadata", "message_key"), REFUSED)
def test_client_that_would_be_unsafe_is_refused(services: Services, metadata: dict[str, Any], message_key: str) -> None:
    with pytest.raises(Refusals) as refused:
        services.clients.add(**{"client_name": "Atosi", "redirect_uris": [CALLBACK], **metadata})
    assert refused.value.message_keys == (message_key,)
    assert services.clients.list() == []


def test_all_that_is_wrong_is_told_at_once(services: Services) -> None:
    with pytest.raises(Refusals) as refused:
        services.clients.add("", ["http://a.example/", "https://b.example/#"], application_type="native")
    assert refused.value.message_keys == (
        "client.name",
        "client.session_activity_missing",
        "client.redirect_uri_https",
        "client.redirect_uri_fragment",
    )
    assert "'http://a.example/': https is required" in refused.value.detail


def test_level_that_can_be_reached_may_be_demanded(services: Services) -> None:
    client, _ = services.clients.add("Atosi", [CALLBACK], minimum_acr=3)
    assert client.minimum_acr == 3


def test_unknown_client_is_refused_in_words(services: Services) -> None:
    with pytest.raises(Refused, match="there is no client 'atosi'"):
        services.clients.show("atosi")


def test_change_holds_from_now_on_and_the_rest_stays(services: Services, clock: FixedClock) -> None:
    added, secret = services.clients.add("Atosi", [CALLBACK], client_id="atosi", grant_types=REFRESHING)
    clock.move(timedelta(minutes=1))
    notices = "https://app.example/session/backchannel-logout"
    services.clients.set("atosi", backchannel_logout_uri=notices, session_activity="reported")
    shown = services.clients.show("atosi")
    assert (shown.backchannel_logout_uri, shown.session_activity) == (notices, "reported")
    assert secret is not None and shown.has_secret(secret)
    assert (shown.redirect_uris, shown.grant_types) == (added.redirect_uris, added.grant_types)
    assert shown.updated_at == clock.now() > shown.created_at
    with services.units.reading() as unit:
        changes = [event.details["change"] for event in events(unit, ClientChanged)]
    assert changes == ["registered", "set backchannel_logout_uri, session_activity"]


def test_change_to_what_is_already_so_is_not_recorded(services: Services) -> None:
    services.clients.add("Atosi", [CALLBACK], client_id="atosi")
    services.clients.set("atosi", client_name="Atosi", redirect_uris=(CALLBACK,))
    with services.units.reading() as unit:
        assert len(events(unit, ClientChanged)) == 1


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"redirect_uris": []}, "client.redirect_uri_missing"),
        ({"backchannel_logout_uri": "http://app.example/logout"}, "client.redirect_uri_https"),
        ({"frontchannel_logout_uri": "https://elsewhere.example/logout"}, "client.frontchannel_logout_origin"),
        ({"frontchannel_logout_uri": "https://app.example:8443/logout"}, "client.frontchannel_logout_origin"),
        ({"session_activity": "token_refresh"}, "client.session_activity_without_refresh"),
        ({"access_token_format": "paseto"}, "client.access_token_format"),
    ],
)
def test_change_that_would_make_a_client_wrong_is_refused_and_changes_nothing(
    services: Services, changes: dict[str, Any], key: str
) -> None:
    services.clients.add("Atosi", [CALLBACK], client_id="atosi")
    with pytest.raises(Refused) as refused:
        services.clients.set("atosi", client_name="Nieuw", **changes)
    assert refused.value.message_key == key
    assert services.clients.show("atosi").client_name == "Atosi"


def test_unknown_client_cannot_be_changed(services: Services) -> None:
    with pytest.raises(Refused) as refused:
        services.clients.set("nobody", client_name="Nieuw")
    assert refused.value.message_key == "client.unknown"


def test_frontchannel_logout_uri_of_the_same_origin_is_taken(services: Services) -> None:
    same = "https://APP.example:443/logout?x=1"
    client, _ = services.clients.add("Atosi", [CALLBACK], frontchannel_logout_uri=same)
    assert client.frontchannel_logout_uri == same
