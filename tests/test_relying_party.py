"""The tests' own relying party and browser, at the provider and at pages that try them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask, Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from idp import create_app
from idp.kernel.clock import FixedClock
from idp_kit.signed import TokenRefused, UnknownKey
from tests.conftest import ISSUER, dispose, give_keys, make_settings
from tests.demo import hostile_provider
from tests.demo.hostile_provider import HostileProvider, consent_at
from tests.factories import Factories
from tests.proofs import ProofKey
from tests.relying_party import (
    AuthMethod,
    AuthorizationRequest,
    Browser,
    Departure,
    ErrorResponse,
    HttpRequest,
    RelyingParty,
    inside,
    over_the_network,
)


@pytest.mark.parametrize("auth_method", ["client_secret_basic", "client_secret_post", "none"])
def test_whole_journey_at_the_provider_yields_verified_tokens(
    app: Flask, clock: FixedClock, make: Factories, auth_method: AuthMethod
) -> None:
    anna = make.person()
    client = make.client(token_endpoint_auth_method=auth_method)
    party = RelyingParty(
        client.client_id,
        client.secret,
        client.redirect_uri,
        auth_method,
        issuer=ISSUER,
        transport=inside(app),
        clock=clock,
    )
    browser = Browser(app.test_client(), ISSUER)
    asked = party.authorization_request()
    page = browser.open(asked.url).submit(anna.names, button="login-submit")
    if page.has("consent-allow"):
        page = page.submit(button="consent-allow")
    assert page.departure.via == "handoff"
    tokens = party.finish(page.departure, asked)
    assert tokens.claims["sub"] == anna.sub
    assert party.userinfo(tokens)["name"] == party.userinfo(tokens, "POST")["name"] == "Anna de Wit"
    assert party.refresh(tokens).claims["sub"] == anna.sub
    gone = browser.open(
        party.end_session_url(tokens.id_token, post_logout_redirect_uri="https://app.example/signed-out")
    )
    assert gone.departure.url == "https://app.example/signed-out"
    with pytest.raises(ErrorResponse) as refused:
        party.userinfo(tokens)
    assert (refused.value.error, refused.value.status) == ("invalid_token", 401)


@pytest.mark.parametrize("dpop_nonce", ["off", "on"])
@pytest.mark.parametrize("auth_method", ["client_secret_basic", "none"])
def test_whole_journey_with_a_key_yields_tokens_that_are_bound_to_it(
    database_url: str, clock: FixedClock, auth_method: AuthMethod, dpop_nonce: str
) -> None:
    app = create_app(make_settings(database_url, tokens={"dpop_nonce": dpop_nonce}), clock)
    make = Factories(app)
    with app.app_context():
        give_keys(app.extensions["idp"])
    anna, client = make.person(), make.client(token_endpoint_auth_method=auth_method)
    with_key = RelyingParty(
        client.client_id,
        client.secret,
        client.redirect_uri,
        auth_method,
        issuer=ISSUER,
        transport=inside(app),
        clock=clock,
        key=ProofKey("PS256"),
    )
    browser = Browser(app.test_client(), ISSUER)
    asked = with_key.authorization_request()
    page = browser.open(asked.url).submit(anna.names, button="login-submit")
    tokens = with_key.finish(page.departure, asked)
    assert with_key.userinfo(tokens)["name"] == with_key.userinfo(tokens, "POST")["name"] == "Anna de Wit"
    clock.move(timedelta(minutes=6))
    fresh = with_key.refresh(tokens)
    assert with_key.userinfo(fresh)["name"] == "Anna de Wit"
    with_key.key = None
    with pytest.raises(ErrorResponse) as refused:
        with_key.userinfo(fresh)
    assert (refused.value.error, refused.value.status) == ("invalid_token", 401)
    dispose(app)


def test_second_request_of_a_live_session_leaves_by_a_plain_redirect(
    app: Flask, clock: FixedClock, make: Factories
) -> None:
    anna, client = make.person(), make.client()
    party = RelyingParty(
        client.client_id, client.secret, client.redirect_uri, issuer=ISSUER, transport=inside(app), clock=clock
    )
    browser = Browser(app.test_client(), ISSUER)
    browser.open(party.authorization_request().url).submit(anna.names, button="login-submit")
    asked = party.authorization_request(prompt="none")
    page = browser.open(asked.url)
    assert page.departure.via == "redirect"
    assert party.finish(page.departure, asked).claims["sub"] == anna.sub


def test_error_of_the_provider_arrives_as_an_error(app: Flask, clock: FixedClock, make: Factories) -> None:
    client = make.client()
    party = RelyingParty(
        client.client_id, client.secret, client.redirect_uri, issuer=ISSUER, transport=inside(app), clock=clock
    )
    asked = party.authorization_request(prompt="none")
    with pytest.raises(ErrorResponse) as refused:
        party.finish(Browser(app.test_client(), ISSUER).open(asked.url).departure, asked)
    assert refused.value.error == "login_required"
    with pytest.raises(ErrorResponse) as unknown:
        party.exchange("not-a-code", asked)
    assert (unknown.value.error, unknown.value.status) == ("invalid_grant", 400)


def departure_to(location: str) -> Departure:
    """Where a live provider's redirect leads."""
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: redirect(location, 303))
    return Browser(app.test_client(), "https://login.example").open("/").departure


def party_at(provider: HostileProvider, clock: FixedClock) -> RelyingParty:
    return RelyingParty(
        "atosi",
        provider.clients["atosi"],
        "https://app.example/callback",
        issuer=provider.issuer,
        transport=over_the_network(),
        clock=clock,
    )


def consented(party: RelyingParty) -> tuple[Departure, AuthorizationRequest]:
    asked = party.authorization_request()
    return departure_to(consent_at(asked.url)), asked


def test_relying_party_over_the_network_refuses_what_a_lying_provider_sends(clock: FixedClock) -> None:
    key, other = hostile_provider.new_key("RS256", "first"), hostile_provider.new_key("ES256", "second")
    with hostile_provider.running(clock, key) as provider:
        party = party_at(provider, clock)
        assert party.finish(*consented(party)).claims["sub"] == "anna-1"
        provider.signing_key = other
        with pytest.raises(UnknownKey):
            party.finish(*consented(party))
        provider.signing_key = key
        provider.change_claims = lambda claims: claims.update(nonce="another")
        with pytest.raises(TokenRefused, match="nonce"):
            party.finish(*consented(party))
        departure, _ = consented(party)
        with pytest.raises(AssertionError, match="state"):
            party.finish(departure, party.authorization_request())


def test_redirects_are_not_followed_over_the_network(clock: FixedClock) -> None:
    with hostile_provider.running(clock, hostile_provider.new_key("RS256", "first")) as provider:
        provider.instead["/userinfo"] = lambda: redirect("http://127.0.0.1:1/", 302)
        assert over_the_network()(HttpRequest("GET", f"{provider.issuer}/userinfo")).status == 302


# The browser, at pages of our own

FORM = """<!doctype html><html lang=nl><title>Formulier</title><h1>Vul in</h1>
<form method="post" action="/sent?x=1" id="f">
<input type="hidden" name="csrf_token" value="&lt;token&gt;"><input name="code" value="">
<label><input type="radio" name="method" value="totp" checked>App</label>
<input type="radio" name="method" value="email">
<input type="checkbox" name="remember" value="1"><input name="off" value="x" disabled>
<textarea name="note">hello</textarea>
<button id="go" name="decision" value="allow">Verder</button>
<button id="deny" name="decision" value="deny">Nee</button>
<button type="button" id="nothing">Niets</button></form>
<input name="outside" form="f" value="o"><a id="away" href="/far">Weg</a>"""
HANDOFF = """<meta http-equiv="refresh" content="0;url=https://app.example/cb?code=1&amp;iss=2">
<a id="handoff-link" href="https://app.example/cb?code=1&amp;iss=2">Verder</a>"""
FORM_POST = """<form method="post" action="https://app.example/cb?keep=1">
<input type="hidden" name="state" value="a &amp; b"><button id="form-post-submit">Verder</button></form>"""
PAGES = {
    "/": FORM,
    "/handoff": HANDOFF,
    "/native": '<a id="handoff-link" href="nl.example.app:/cb?code=1">App</a>',
    "/form_post": FORM_POST,
}
REDIRECTS = {
    "/far": "https://app.example/cb?state=a%20b#access_token=1",
    "/loop": "/loop",
    "/twice": "nl.example.app:/cb?iss=1&iss=2",
}


@pytest.fixture
def pages() -> Browser:
    app = Flask(__name__)

    @app.get("/", defaults={"name": ""})
    @app.get("/<name>")
    def page(name: str) -> str | AnyResponse:
        path = f"/{name}"
        return PAGES[path] if path in PAGES else redirect(REDIRECTS[path], 303)

    @app.post("/sent")
    def sent() -> Response:
        response = Response(repr(sorted(request.form.items())), mimetype="text/plain")
        response.set_cookie("seen", "1")
        return response

    @app.get("/cookies")
    def cookies() -> Response:
        return Response(str(dict(request.cookies)), mimetype="text/plain")

    return Browser(app.test_client(), "https://login.example")


def test_form_is_sent_as_a_browser_would_send_it(pages: Browser) -> None:
    page = pages.open("/")
    assert (page.title, page.heading, page.status) == ("Formulier", "Vul in", 200)
    sent = page.submit({"code": "123456", "method": "email", "remember": "1"}, button="go")
    assert sent.body == repr(
        sorted(
            {
                "code": "123456",
                "csrf_token": "<token>",
                "decision": "allow",
                "method": "email",
                "note": "hello",
                "outside": "o",
                "remember": "1",
            }.items()
        )
    )
    assert sent.url == "https://login.example/sent?x=1"
    assert "'decision', 'deny'" in page.submit(button="deny").body
    assert "'method'" not in page.submit({"method": None}, button="go").body
    assert "'method', 'sms'" in page.submit(button="go", forged={"method": "sms"}).body


@pytest.mark.parametrize("values", [{"unknown": "1"}, {"method": "sms"}, {"off": "1"}])
def test_person_cannot_fill_in_what_the_page_does_not_offer(pages: Browser, values: dict[str, str | None]) -> None:
    with pytest.raises(AssertionError):
        pages.open("/").submit(values, button="go")


@pytest.mark.parametrize("button", ["nothing", "away", "missing"])
def test_only_a_submit_button_in_a_form_submits(pages: Browser, button: str) -> None:
    with pytest.raises(AssertionError):
        pages.open("/").submit(button=button)


def test_cookies_are_kept_between_pages(pages: Browser) -> None:
    pages.open("/").submit(button="go")
    assert pages.open("/cookies").body == "{'seen': '1'}"


def test_leaving_by_redirect_link_handoff_and_form_is_told_apart(pages: Browser) -> None:
    assert pages.open("/").follow("away").departure == Departure(
        "https://app.example/cb?state=a%20b#access_token=1", {"access_token": "1"}, "fragment", "redirect"
    )
    assert pages.open("/handoff").departure == Departure(
        "https://app.example/cb?code=1&iss=2", {"code": "1", "iss": "2"}, "query", "handoff"
    )
    assert pages.open("/native").departure.url == "nl.example.app:/cb?code=1"
    assert pages.open("/form_post").departure == Departure(
        "https://app.example/cb?keep=1", {"state": "a & b"}, "form_post", "form_post"
    )


def test_page_that_stays_has_no_departure(pages: Browser) -> None:
    page = pages.open("/")
    assert not page.has_left
    with pytest.raises(AssertionError, match="did not leave"):
        _ = page.departure


def test_endless_redirects_and_repeated_parameters_are_faults(pages: Browser) -> None:
    with pytest.raises(AssertionError, match="redirects"):
        pages.open("/loop")
    with pytest.raises(AssertionError, match="twice"):
        pages.open("/twice")


def test_time_of_the_relying_party_is_that_of_its_clock() -> None:
    clock = FixedClock(datetime(2026, 2, 2, 9, 30, tzinfo=UTC))
    with hostile_provider.running(clock, hostile_provider.new_key("ES256", "first")) as provider:
        party = party_at(provider, FixedClock(datetime(2026, 2, 2, 9, 45, tzinfo=UTC)))
        with pytest.raises(TokenRefused, match="exp"):
            party.finish(*consented(party))
