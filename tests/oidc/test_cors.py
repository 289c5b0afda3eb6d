"""Which endpoints scripts of other origins may call (Fetch Standard, OIDC Core 5.3)."""

import re
from collections.abc import Iterator

import pytest
from werkzeug.test import TestResponse

from tests.oidc.journeys import FORM, Provider, RelyingParty, body

OURS = "https://spa.example"
FOR_BROWSERS = ("/token", "/revoke", "/userinfo", "/session/activity", "/session/status")
WELL_KNOWN = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
FOR_ANYBODY = ("/jwks", *WELL_KNOWN)
STRANGERS = ("https://evil.example", "http://spa.example", "https://spa.example:444", "https://SPA.example", "null", "")


@pytest.fixture
def application(provider: Provider) -> Iterator[RelyingParty]:
    """A browser application at `OURS`."""
    yield provider.public_client(redirect_uris=[f"{OURS}/callback", "https://spa.example:8443/callback"])


def send(provider: Provider, method: str, path: str, origin: str | None, **headers: str) -> TestResponse:
    if origin is not None:
        headers["Origin"] = origin
    address = provider.path + path
    return provider.app.test_client(use_cookies=False).open(
        address, method=method, base_url=provider.origin, headers=headers, data=b"", content_type=FORM
    )


def preflight(provider: Provider, path: str, origin: str) -> TestResponse:
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    return send(provider, "OPTIONS", path, origin, **asked)


def allowed(response: TestResponse) -> str | None:
    """The origin that may read the response; never with cookies."""
    assert "Access-Control-Allow-Credentials" not in response.headers
    return response.headers.get("Access-Control-Allow-Origin")


@pytest.mark.parametrize("path", FOR_BROWSERS)
@pytest.mark.parametrize("origin", [OURS, "https://spa.example:8443"])
def test_origin_of_a_browser_application_may_send_and_read_errors_too(
    provider: Provider, application: RelyingParty, path: str, origin: str
) -> None:
    before = preflight(provider, path, origin)
    assert before.status_code == 200 and allowed(before) == origin
    assert "POST" in before.headers["Access-Control-Allow-Methods"].split(", ")
    assert {"Authorization", "Content-Type", "DPoP"} <= set(before.headers["Access-Control-Allow-Headers"].split(", "))
    assert int(before.headers["Access-Control-Max-Age"]) <= 600
    response = send(provider, "POST", path, origin)
    assert response.status_code in (400, 401) and allowed(response) == origin
    assert {"WWW-Authenticate", "DPoP-Nonce"} <= set(response.headers["Access-Control-Expose-Headers"].split(", "))


@pytest.mark.parametrize("path", FOR_BROWSERS)
@pytest.mark.parametrize("origin", [*STRANGERS, None])
def test_any_other_origin_may_not(provider: Provider, application: RelyingParty, path: str, origin: str | None) -> None:
    for response in (send(provider, "OPTIONS", path, origin), send(provider, "POST", path, origin)):
        assert not [name for name, _ in response.headers if name.startswith("Access-Control-")]
        # What is kept for one origin must not be handed to another.
        assert "Origin" in response.headers["Vary"]


def test_origin_of_an_application_with_a_server_may_not(provider: Provider) -> None:
    provider.client(redirect_uris=["https://server.example/callback"])
    provider.client(
        redirect_uris=["https://phone.example/callback"],
        token_endpoint_auth_method="none",
        application_type="native",
    )
    for origin in ("https://server.example", "https://phone.example"):
        assert allowed(preflight(provider, "/token", origin)) is None


def test_every_other_address_is_read_by_no_other_origin(provider: Provider, application: RelyingParty) -> None:
    """Pages are for people, and what is for servers is not for scripts; above all not where people are sent."""
    every = {re.sub(r"<[^>]+>", "something", rule.rule) for rule in provider.app.url_map.iter_rules()}
    others = every - {*FOR_BROWSERS, *FOR_ANYBODY} | {"/nowhere"}
    assert {"/authorize", "/par", "/end_session", "/introspect", "/register", "/"} <= others
    for path in sorted(others):
        for method in ("OPTIONS", "GET", "POST"):
            for origin in (OURS, "https://evil.example", "null"):
                assert allowed(send(provider, method, path, origin)) is None, (method, path)


@pytest.mark.parametrize("path", FOR_ANYBODY)
@pytest.mark.parametrize("origin", [OURS, "https://evil.example", None])
def test_configuration_and_keys_are_read_by_any_origin(provider: Provider, path: str, origin: str | None) -> None:
    assert allowed(send(provider, "GET", path, origin)) == "*"


def test_browser_application_reads_its_tokens_and_tells_of_activity(provider: Provider) -> None:
    party = provider.public_client(redirect_uris=[f"{OURS}/callback"], session_activity="reported")
    tokens = party.signed_in(provider.somebody())
    bearer = f"Bearer {tokens['access_token']}"
    for path in ("/userinfo", "/session/activity", "/session/status"):
        response = send(provider, "POST", path, OURS, Authorization=bearer)
        assert body(response) and allowed(response) == OURS
