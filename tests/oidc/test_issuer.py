"""Where the provider says it is: from its settings, path included, whatever the request says (OIDC Discovery 4.1)."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from werkzeug.test import TestResponse

from idp import create_app
from idp.kernel.clock import FixedClock
from idp.oidc import discovery
from tests.client_assertions import in_body
from tests.conftest import START, dispose, make_settings
from tests.factories import Factories
from tests.oidc.journeys import Answer, Provider, basic, body, form_encoded
from tests.oidc.test_cors import FOR_BROWSERS, WELL_KNOWN
from tests.web.reading import Page

LIES = {
    "Host": "evil.example",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "81",
    "X-Original-URL": "/evil",
    "X-Rewrite-URL": "/evil",
    "Forwarded": "host=evil.example;proto=http",
}


@pytest.fixture(scope="module", params=["https://login.example/idp", "https://login.example:8443/a/b.c~d_e"])
def below(
    request: pytest.FixtureRequest, sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider]:
    """A provider whose issuer has a path."""
    path = tmp_path_factory.mktemp("issuer") / "idp.db"
    shutil.copyfile(sqlite_template, path)
    clock = FixedClock(START)
    application = create_app(make_settings(f"sqlite:///{path}", issuer=request.param), clock)
    made = Provider(application, clock, Factories(application))
    with application.app_context():
        made.services.signing_keys.ensure()
    yield made
    dispose(application)


def _addresses(response: TestResponse) -> list[str]:
    """Every address of ours that a response leads to or loads from."""
    found = [response.headers["Location"]] if "Location" in response.headers else []
    if response.mimetype == "text/html" and response.text.startswith('<!doctype html>\n<html lang="'):
        root = Page.read(response.text).root
        for name in ("href", "src", "action"):
            found += [element.attributes[name] for element in root.having(name)]
    return [each for each in found if not urlsplit(each).scheme and not each.startswith(("#", "?"))]


@pytest.mark.demand(63)
def test_configuration_stands_below_the_issuer_and_nowhere_else(below: Provider) -> None:
    metadata = body(below.get("/.well-known/openid-configuration"))
    assert metadata["issuer"] == below.issuer
    addresses = [value for name, value in metadata.items() if name.endswith(("_endpoint", "_uri"))]
    assert len(addresses) == len(discovery.PATHS)
    assert all(address.startswith(below.issuer + "/") for address in addresses)
    root = below.app.test_client()
    for path in ("/.well-known/openid-configuration", "/authorize", "/token", "/jwks", "/health/live", "/"):
        assert root.get(path, base_url=below.origin).status_code == 404


def test_assertion_of_a_client_names_the_issuer_with_its_path(below: Provider) -> None:
    party = below.client(token_endpoint_auth_method="private_key_jwt")
    for audience in (below.issuer, f"{below.issuer}/token"):
        shown = form_encoded({"token": "x", **in_body(party.assertion(aud=audience))})
        assert body(below.post("/introspect", shown)) == {"active": False}
    for audience in (below.origin, f"{below.origin}/token", f"{below.origin}/introspect"):
        shown = form_encoded({"token": "x", **in_body(party.assertion(aud=audience))})
        assert body(below.post("/introspect", shown), 401)["error"] == "invalid_client"


def test_every_route_stands_below_the_path(below: Provider) -> None:
    rules = [rule.rule for rule in below.app.url_map.iter_rules()]
    assert len(rules) > 15
    outside = [rule for rule in rules if not rule.startswith(below.path + "/")]
    assert outside == [f"/.well-known/oauth-authorization-server{below.path}"]


@pytest.mark.demand(63)
def test_oauth_metadata_stand_between_host_and_path_and_say_the_same(below: Provider) -> None:
    root = below.app.test_client()
    address = f"/.well-known/oauth-authorization-server{below.path}"
    response = root.get(address, base_url=below.origin)
    assert body(response) == body(below.get("/.well-known/openid-configuration"))
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert body(root.post(address, base_url=below.origin), 405) == {"error": "invalid_request"}
    for wrong in ("/.well-known/oauth-authorization-server", f"{below.path}/.well-known/oauth-authorization-server"):
        assert root.get(wrong, base_url=below.origin).status_code == 404


def test_scripts_of_other_origins_may_call_the_same_endpoints_below_the_path(below: Provider) -> None:
    ours, client = "https://spa.example", below.app.test_client(use_cookies=False)
    below.public_client(redirect_uris=[f"{ours}/callback"])

    def allowed(path: str, method: str = "POST") -> str | None:
        answer = client.open(path, method=method, base_url=below.origin, headers={"Origin": ours})
        return answer.headers.get("Access-Control-Allow-Origin")

    assert {allowed(below.path + path) for path in FOR_BROWSERS} == {ours}
    own, oauth = below.path + WELL_KNOWN[0], WELL_KNOWN[1] + below.path
    assert {allowed(path, "GET") for path in (own, oauth, f"{below.path}/jwks")} == {"*"}
    assert {allowed(below.path + path, method) for path in ("/authorize", "/par") for method in ("GET", "POST")} == {
        None
    }


def test_whole_journey_stays_below_the_path(below: Provider) -> None:
    party, browser = below.client(), below.browser()
    answer = browser.sign_in(party, below.somebody(totp=True))
    assert answer.values["iss"] == below.issuer
    tokens = body(party.redeem(answer.values["code"]))
    claims = below.claims(tokens["id_token"])
    assert (claims["iss"], claims["acr"]) == (below.issuer, f"{below.issuer}/acr/3")
    assert body(below.userinfo(tokens["access_token"]))["sub"] == claims["sub"]
    assert body(party.refresh(tokens["refresh_token"]))
    browser.get("/end_session")
    browser.get("/end_session", query=form_encoded({"id_token_hint": tokens["id_token"]}))
    browser.get("/nowhere")
    addresses = [address for response in browser.seen for address in _addresses(response)]
    assert len(addresses) > 20
    assert all(address.startswith(below.path + "/") for address in addresses)


def test_cookies_belong_to_the_whole_host_so_that_their_prefix_holds(below: Provider) -> None:
    browser = below.browser()
    browser.sign_in(below.client(), below.somebody())
    cookies = [cookie for response in browser.seen for cookie in response.headers.getlist("Set-Cookie")]
    assert cookies
    assert all("; Path=/;" in f"{cookie};" and cookie.startswith("__Host-") for cookie in cookies)


def test_static_files_are_found_below_the_path(below: Provider) -> None:
    page = below.get("/")
    found = re.findall(r'(?:href|src)="([^"]+/static/[^"]+)"', page.text)
    assert found
    for address in found:
        assert address.startswith(f"{below.path}/static/")
        assert below.app.test_client().get(address, base_url=below.origin).status_code == 200


def test_post_to_authorization_and_end_session_stays_below_the_path(below: Provider) -> None:
    for path in ("/authorize", "/end_session"):
        posted = below.post(path, "client_id=x")
        assert posted.headers["Location"] == f"{below.path}{path}?client_id=x"


# Host and forwarding headers


def test_configuration_ignores_what_the_request_says_about_the_host(provider: Provider) -> None:
    honest = body(provider.get("/.well-known/openid-configuration"))
    assert body(provider.get("/.well-known/openid-configuration", LIES)) == honest
    assert "evil" not in str(honest)


@pytest.mark.parametrize("name", LIES)
def test_redirects_pages_and_tokens_ignore_what_the_request_says_about_the_host(provider: Provider, name: str) -> None:
    party, browser, lie = provider.client(), provider.browser(), {name: LIES[name]}
    begun = browser.get("/authorize", lie, form_encoded(party.request()))
    assert begun.headers["Location"].startswith("/s/")
    assert begun.headers["Set-Cookie"].startswith("__Host-")
    page = browser.get(begun.headers["Location"], lie)
    if name != "Host":
        # With another host the browser has no cookie of ours, and starts anew.
        assert page.status_code == 200
    silent = browser.get("/authorize", lie, form_encoded(party.request(prompt="none")))
    assert Answer.read(silent).values["iss"] == provider.issuer
    code = provider.browser().sign_in(party, provider.somebody()).values["code"]
    headers = {**lie, "Authorization": basic(party.client_id, party.secret)}
    tokens = body(provider.post("/token", form_encoded(party.code_request(code)), headers))
    assert provider.claims(tokens["id_token"])["iss"] == provider.issuer
    for response in (begun, page, silent):
        assert "evil" not in response.text + str(response.headers)


@pytest.mark.parametrize(
    "path", ["//authorize", "/authorize//", "//evil.example/authorize", "/s//evil.example/identify", "/jwks/", "//"]
)
def test_address_with_other_slashes_leads_nowhere(provider: Provider, path: str) -> None:
    # Set as it goes over the wire: a test client takes what begins with two slashes for a host.
    client, wire = provider.app.test_client(), {"PATH_INFO": path, "HTTP_HOST": "evil.example"}
    response = client.get("/", base_url=provider.origin, environ_overrides=wire)
    # Slashes in front of the address are nothing but an address that begins with one.
    assert response.status_code == {"//authorize": 400, "//": 200}.get(path, 404)
    assert "Location" not in response.headers
    assert "//evil" not in response.text


def test_address_of_the_issuer_itself_shows_the_home_page(below: Provider) -> None:
    for path in ("", "/"):
        response = below.get(path, {"Host": "evil.example"})
        assert response.status_code == 200
        assert "evil" not in response.text
