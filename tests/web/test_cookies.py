"""Every cookie that is seen in a whole journey: its name, its attributes, and what it holds."""

import re
from typing import Any

import pytest
from flask import Flask

from idp.kernel.clock import FixedClock
from idp.kernel.secrets import hash_secret
from idp.sessions.models import Session
from tests.factories import Factories
from tests.oidc.journeys import Browser, Provider, body, form_encoded

KNOWN = {"idp_session", "idp_browser", "idp_device", "idp_org", "idp_lang"}


def _journey(provider: Provider) -> list[str]:
    """Every Set-Cookie of a journey that meets all cookies: language, sign-in, remembered organisation, logout."""
    party, who, browser = provider.client(), provider.somebody(totp=True), provider.browser()
    browser.get("/", query="lang=en")
    begun = browser.authorize(party)
    page = browser.get(begun.headers["Location"])
    posted = browser.post(*browser.answered(page, {**who.names, "remember": "1"}))
    code = re.search(r"code=([^&\"]+)", browser.finish(posted, who).text)
    assert code is not None
    tokens = body(party.redeem(code[1]))
    again = browser.finish(browser.authorize(party, prompt="login"), who)
    assert "code=" in again.text
    browser.get("/end_session", query=form_encoded({"id_token_hint": tokens["id_token"]}))
    return [cookie for response in browser.seen for cookie in response.headers.getlist("Set-Cookie")]


def _name(cookie: str) -> str:
    return cookie.partition("=")[0]


def _attributes(cookie: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in cookie.split(";")[1:])
    return {name.lower(): value for name, _, value in pairs}


@pytest.fixture
def provider(app: Flask, clock: FixedClock) -> Provider:
    return Provider(app, clock, Factories(app))


@pytest.fixture
def cookies(provider: Provider) -> list[str]:
    return _journey(provider)


class TestOverHttps:
    """The issuer is https."""

    def test_every_cookie_is_known_and_carries_the_host_prefix(self, cookies: list[str]) -> None:
        assert {_name(cookie) for cookie in cookies} == {f"__Host-{name}" for name in KNOWN}

    def test_every_cookie_has_the_attributes_that_its_prefix_demands_and_ours(self, cookies: list[str]) -> None:
        for cookie in cookies:
            attributes = _attributes(cookie)
            assert {"secure", "httponly"} <= set(attributes), cookie
            assert attributes["path"] == "/"
            assert attributes["samesite"] == "Lax"
            assert "domain" not in attributes

    def test_only_device_organisation_and_language_outlive_the_browser(self, cookies: list[str]) -> None:
        lasting = {_name(cookie) for cookie in cookies if int(_attributes(cookie).get("max-age", "0")) > 0}
        assert lasting == {"__Host-idp_device", "__Host-idp_org", "__Host-idp_lang"}

    def test_logout_drops_the_session_with_the_same_attributes(self, cookies: list[str]) -> None:
        dropped = [cookie for cookie in cookies if cookie.startswith("__Host-idp_session=;")]
        assert dropped
        for cookie in dropped:
            attributes = _attributes(cookie)
            assert attributes["max-age"] == "0"
            assert "secure" in attributes and attributes["path"] == "/"

    def test_secrets_are_long_and_stored_as_hashes_and_change_at_each_sign_in(
        self, provider: Provider, cookies: list[str]
    ) -> None:
        values = [re.match(r"__Host-idp_session=([^;]+);", cookie) for cookie in cookies]
        secrets = [value[1] for value in values if value]
        assert len(secrets) == len(set(secrets)) >= 2
        assert all(len(secret) == 43 for secret in secrets)
        with provider.writing() as unit:
            session = unit.query(Session).one()
        assert session.secret_hash == hash_secret(secrets[-1])


class TestOverHttpOnLoopback:
    """The issuer is http on loopback, as in a demonstration."""

    @pytest.fixture
    def settings_values(self) -> dict[str, Any]:
        return {"issuer": "http://localhost:8000"}

    def test_cookies_have_plain_names_and_all_attributes_but_secure(self, cookies: list[str]) -> None:
        assert {_name(cookie) for cookie in cookies} == KNOWN
        for cookie in cookies:
            attributes = _attributes(cookie)
            assert "httponly" in attributes
            assert (attributes["samesite"], attributes["path"]) == ("Lax", "/")
            assert not {"secure", "domain"} & set(attributes)

    def test_header_of_the_request_does_not_make_them_secure(self, provider: Provider) -> None:
        begun = Browser(provider).get(
            "/authorize", {"X-Forwarded-Proto": "https"}, form_encoded(provider.client().request())
        )
        assert begun.headers["Set-Cookie"].startswith("idp_browser=")


def test_cookie_with_the_plain_name_is_not_believed_over_https(provider: Provider) -> None:
    party, browser = provider.client(), provider.browser()
    browser.sign_in(party, provider.somebody())
    secret = browser.client.get_cookie("__Host-idp_session", domain="login.example")
    assert secret is not None
    planted = provider.browser()
    planted.client.set_cookie("idp_session", secret.value, domain="login.example", secure=True)
    assert planted.silent(party).values["error"] == "login_required"
    planted.client.set_cookie("__Host-idp_session", secret.value, domain="login.example", secure=True)
    assert "code" in planted.silent(party).values


@pytest.mark.parametrize("value", ["", "x", "x" * 4000, '"quoted"', "a;b", "\u00e9"])
def test_cookie_of_any_value_is_nobody_s_session(provider: Provider, value: str) -> None:
    party, browser = provider.client(), provider.browser()
    for name in KNOWN:
        name = f"__Host-{name}"
        browser.client.set_cookie(name, value, domain="login.example", secure=True)
    assert browser.silent(party).values["error"] == "login_required"
    page = browser.get(browser.authorize(party).headers["Location"])
    assert page.status_code == 200
    refused = browser.post(*browser.answered(page, {"organisation": "x", "username": "x", "password": "x"}))
    assert refused.status_code == 303


def test_token_and_userinfo_set_no_cookie(provider: Provider) -> None:
    party = provider.client()
    tokens = party.signed_in()
    refreshed, userinfo = party.refresh(tokens["refresh_token"]), provider.userinfo(tokens["access_token"])
    for response in (refreshed, userinfo, provider.get("/jwks")):
        assert response.status_code == 200
        assert "Set-Cookie" not in response.headers
