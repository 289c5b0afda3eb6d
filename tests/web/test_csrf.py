"""Forms are answered only by the browser that was given them."""

import pytest
from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from idp.kernel.clock import FixedClock
from idp.signin.interaction import Interaction
from tests.factories import Factories
from tests.oidc.journeys import Browser, Provider, RelyingParty
from tests.web.reading import Page


@pytest.fixture
def provider(app: Flask, clock: FixedClock) -> Provider:
    return Provider(app, clock, Factories(app))


@pytest.fixture
def party(provider: Provider) -> RelyingParty:
    return provider.client()


def _page(browser: Browser, party: RelyingParty) -> TestResponse:
    return browser.get(browser.authorize(party).headers["Location"])


def _token(page: TestResponse) -> str:
    (field,) = Page.read(page.text).root.having("name", "csrf_token")
    return field.attributes["value"]


def _proven(provider: Provider) -> int:
    """How many interactions have a proven password."""
    with provider.writing() as unit:
        return len(unit.scalars(select(Interaction).where(Interaction.password_proven_at.is_not(None))).all())


@pytest.mark.parametrize("token", [None, "", "wrong", "x" * 5000, "\u00e9", "\x00"])
def test_form_without_its_token_is_forbidden_and_does_nothing(
    provider: Provider, party: RelyingParty, token: str | None
) -> None:
    browser, who = provider.browser(), provider.somebody()
    page = _page(browser, party)
    fields = {**who.names} if token is None else {**who.names, "csrf_token": token}
    refused = browser.post(page.request.path, fields)
    assert refused.status_code == 403
    assert refused.headers["X-Request-Id"] in refused.text
    assert _proven(provider) == 0


def test_token_of_another_interaction_is_forbidden(provider: Provider, party: RelyingParty) -> None:
    browser, who = provider.browser(), provider.somebody()
    first, second = _page(browser, party), _page(browser, party)
    assert _token(first) != _token(second)
    assert browser.post(second.request.path, {**who.names, "csrf_token": _token(first)}).status_code == 403
    assert browser.post(first.request.path, {**who.names, "csrf_token": _token(first)}).status_code == 303


def test_token_of_another_browser_is_forbidden(provider: Provider, party: RelyingParty) -> None:
    mine, theirs, who = provider.browser(), provider.browser(), provider.somebody()
    page = _page(mine, party)
    _page(theirs, party)
    assert theirs.post(page.request.path, {**who.names, "csrf_token": _token(page)}).status_code == 403
    assert _proven(provider) == 0


def test_token_for_logging_out_answers_no_login_form(provider: Provider, party: RelyingParty) -> None:
    browser, who = provider.browser(), provider.somebody()
    browser.sign_in(party, who)
    question = browser.get("/end_session")
    page = _page(provider.browser(), party)
    assert browser.post(page.request.path, {**who.names, "csrf_token": _token(question)}).status_code == 403
    login = browser.get(browser.authorize(party, prompt="login").headers["Location"])
    ended = browser.post("/end_session/confirm", {"csrf_token": _token(login), "decision": "logout"})
    assert ended.status_code == 403
    assert "code" in browser.silent(party).values


def test_token_in_the_query_or_a_header_counts_for_nothing(provider: Provider, party: RelyingParty) -> None:
    browser, who = provider.browser(), provider.somebody()
    page = _page(browser, party)
    headers = {"X-CSRF-Token": _token(page), "X-CSRFToken": _token(page)}
    assert browser.post(f"{page.request.path}?csrf_token={_token(page)}", who.names, headers).status_code == 403


def test_browser_without_cookies_is_told_so_and_nothing_is_evaluated(provider: Provider, party: RelyingParty) -> None:
    browser, who = provider.browser(), provider.somebody()
    page = _page(browser, party)
    without = provider.app.test_client(use_cookies=False)
    fields = {**who.names, "csrf_token": _token(page)}
    answer = without.post(page.request.path, data=fields, base_url=provider.origin)
    for _ in range(2):
        assert answer.status_code == 303
        answer = without.get(answer.headers["Location"], base_url=provider.origin)
    assert answer.status_code == 400
    assert _proven(provider) == 0


def test_every_form_that_posts_to_us_carries_a_token(provider: Provider) -> None:
    browser, party = provider.browser(), provider.client(first_party=False)
    browser.sign_in(party, provider.somebody(totp=True))
    browser.get("/end_session")
    forms = [
        form
        for response in browser.seen
        if response.mimetype == "text/html" and response.text.startswith('<!doctype html>\n<html lang="')
        for form in Page.read(response.text).root.all("form")
    ]
    assert len(forms) >= 4
    for form in forms:
        assert form.attributes["method"] == "post"
        assert [field.attributes["name"] for field in form.having("name", "csrf_token")] == ["csrf_token"]
        assert not form.attributes.get("action", "/").startswith(("http", "//"))
