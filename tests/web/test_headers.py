"""Security headers of every response of every route, errors included."""

import re

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from idp.kernel.clock import FixedClock
from tests.factories import Factories
from tests.oidc.journeys import Provider

ALWAYS = {
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Strict-Transport-Security": "max-age=31536000",
}
MAY_BE_KEPT = ("/jwks", "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server")


@pytest.fixture
def provider(app: Flask, clock: FixedClock) -> Provider:
    return Provider(app, clock, Factories(app))


def _policy(response: TestResponse) -> dict[str, str]:
    """The directives of the content security policy; there is exactly one policy."""
    (policy,) = response.headers.getlist("Content-Security-Policy")
    directives = [part.strip().partition(" ") for part in policy.split(";")]
    names = [name for name, _, _ in directives]
    assert len(names) == len(set(names))
    return {name: value for name, _, value in directives}


def _check(response: TestResponse, what: str) -> None:
    assert response.headers["Cross-Origin-Opener-Policy"] in ("same-origin", "unsafe-none"), what
    for name, value in ALWAYS.items():
        assert response.headers.getlist(name) == [value], (what, name)
    policy = _policy(response)
    assert policy["default-src"] == "'none'", what
    assert policy["base-uri"] == "'none'", what
    assert policy["frame-ancestors"] == "'none'", what
    assert policy.get("form-action") == "'self'", what
    assert not re.search(r"unsafe-|\*|data:|https?:|blob:", " ".join(policy.values())), what
    assert re.fullmatch(r"[A-Z2-9]{4}-[A-Z2-9]{2}", response.headers["X-Request-Id"]), what
    assert not {"Server", "X-Powered-By"} & set(response.headers), what


def _every_address(provider: Provider) -> list[tuple[str, str]]:
    """Each route with each of its methods, filled in with something."""
    found = []
    for rule in provider.app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "something", rule.rule)
        found += [(method, path) for method in sorted(rule.methods or ())]
    return found


def test_every_route_answers_every_method_with_all_headers(provider: Provider) -> None:
    addresses = _every_address(provider)
    assert len({path for _, path in addresses}) >= 14
    client = provider.app.test_client()
    for method, path in [*addresses, ("GET", "/nowhere"), ("PUT", "/token"), ("TRACE", "/")]:
        response = client.open(path, method=method, base_url=provider.origin)
        assert response.status_code < 500, (method, path)
        _check(response, f"{method} {path}")
        cache = response.headers["Cache-Control"]
        if path in MAY_BE_KEPT and response.status_code == 200 and method in ("GET", "HEAD"):
            assert cache == "public, max-age=300"
        else:
            assert cache == "no-store", (method, path)


def test_every_response_of_a_journey_has_all_headers_and_is_not_stored(provider: Provider) -> None:
    browser, party = provider.browser(), provider.client(first_party=False)
    browser.sign_in(party, provider.somebody(totp=True))
    assert len(browser.seen) >= 7
    for response in browser.seen:
        _check(response, response.request.path)
        assert response.headers["Cache-Control"] == "no-store"


def test_errors_have_all_headers(provider: Provider) -> None:
    browser = provider.browser()
    begun = browser.authorize(provider.client()).headers["Location"]
    responses = {
        400: browser.get("/authorize"),
        403: browser.post(begun, {"csrf_token": "wrong"}),
        404: browser.get("/nowhere"),
        405: browser.post("/", {}),
        413: browser.post("/authorize", b"x" * 200_000),
        401: provider.userinfo("unknown"),
    }
    for status, response in responses.items():
        assert response.status_code == status
        _check(response, str(status))
        assert response.headers["Cache-Control"] == "no-store"


def test_fault_of_ours_is_a_page_with_all_headers_and_without_details(provider: Provider) -> None:
    def fails() -> str:
        raise ZeroDivisionError("a secret detail")

    provider.app.view_functions["idp.home"] = fails
    response = provider.get("/")
    assert response.status_code == 500
    _check(response, "500")
    assert "secret detail" not in response.text and "Traceback" not in response.text
    assert response.headers["X-Request-Id"] in response.text


def test_only_the_page_that_posts_to_the_client_goes_without_form_action(provider: Provider) -> None:
    posted = provider.browser().authorize(provider.client(), prompt="none", response_mode="form_post")
    policy = _policy(posted)
    assert "form-action" not in policy
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert "form-action" in _policy(provider.get("/"))


def test_static_files_may_be_kept_for_ever_under_their_own_address_only(provider: Provider) -> None:
    page = provider.get("/")
    (address,) = re.findall(r'href="(/static/idp\.[0-9a-f]+\.css)"', page.text)
    current = provider.get(address)
    assert current.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert current.content_type == "text/css; charset=utf-8"
    _check(current, address)
    other = provider.get(re.sub(r"\.[0-9a-f]{16}\.", ".0000000000000000.", address))
    assert (other.status_code, other.headers["Cache-Control"]) == (200, "no-store")


def test_pages_load_nothing_and_run_nothing_inline(provider: Provider) -> None:
    browser = provider.browser()
    browser.sign_in(provider.client(first_party=False), provider.somebody(totp=True))
    pages = [response.text for response in browser.seen if response.mimetype == "text/html"]
    assert len(pages) >= 4
    for page in pages:
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
        assert not re.search(r"<script(?![^>]*\ssrc=)", page)
        assert not re.search(r'(?:src|<link[^>]+href)="(?:https?:)?//', page)


def test_every_response_has_a_code_of_its_own(provider: Provider) -> None:
    codes = {provider.get("/").headers["X-Request-Id"] for _ in range(20)}
    assert len(codes) == 20


def test_code_of_the_request_cannot_be_chosen_from_outside(provider: Provider) -> None:
    assert provider.get("/", {"X-Request-Id": "ABCD-EF"}).headers["X-Request-Id"] != "ABCD-EF"


def test_only_pages_that_an_application_opens_in_a_window_leave_it_its_opener(provider: Provider) -> None:
    browser = provider.browser()
    browser.sign_in(provider.client(), provider.somebody(totp=True))
    for response in (*browser.seen, browser.get("/authorize"), browser.get("/end_session")):
        assert response.headers["Cross-Origin-Opener-Policy"] == "unsafe-none", response.request.path
    for path in ("/", "/nowhere", "/jwks", "/userinfo", "/health/live"):
        assert browser.get(path).headers["Cross-Origin-Opener-Policy"] == "same-origin", path
