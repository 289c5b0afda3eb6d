"""The page that the kit shows when a login fails and an application draws none, and what it adds to other pages."""

from __future__ import annotations

import re
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Response
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from idp.kernel.clock import FixedClock
from idp_kit import SessionKit
from tests.demo.hostile_provider import HostileProvider, consent_at
from tests.kit.conftest import MakeKit, come_back

WANTED = "/page?week=3&x=<b>\"'"


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the addresses of its links."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    @property
    def links(self) -> list[str]:
        return [attributes["href"] or "" for tag, attributes in self.found if tag == "a"]


def heading(answer: TestResponse) -> str:
    (found,) = re.findall(r"<h1>(.*?)</h1>", answer.text)
    assert f"<title>{found}</title>" in answer.text
    return str(found)


def retried(answer: TestResponse) -> str:
    """The page to which another try leads."""
    (link,) = Elements(answer.text).links
    assert link.startswith("/login")
    return parse_qs(urlsplit(link).query).get("next", ["/"])[0]


def is_calm(answer: TestResponse) -> None:
    """A page that any browser reads and no policy breaks."""
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none';")
    elements = Elements(answer.text).found
    assert {"html", "main", "h1", "title"} <= {tag for tag, _ in elements}
    assert not {"script", "style", "link", "img", "b"} & {tag for tag, _ in elements}
    assert not any(
        name.startswith("on") or name in ("style", "src") for _, attributes in elements for name in attributes
    )
    assert 'name="viewport"' in answer.text and 'charset="utf-8"' in answer.text


@pytest.fixture
def stranger(kit: SessionKit) -> FlaskClient:
    return kit.app.test_client()


def test_login_while_the_provider_is_away_ends_on_a_calm_page_that_keeps_what_was_wanted(make_kit: MakeKit) -> None:
    away = make_kit(issuer="http://127.0.0.1:9").app.test_client()
    answer = away.get("/login", query_string={"next": WANTED})
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    is_calm(answer)
    assert '<html lang="nl">' in answer.text and heading(answer) == "Inloggen kan nu even niet"
    assert "Probeer het opnieuw</a>" in answer.text and retried(answer) == WANTED


@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "javascript:1"])
def test_page_after_a_failure_leads_to_no_other_site(make_kit: MakeKit, wanted: str) -> None:
    answer = make_kit(issuer="http://127.0.0.1:9").app.test_client().get("/login", query_string={"next": wanted})
    assert retried(answer) == "/" and "evil" not in answer.text


def test_login_works_again_when_the_provider_is_back(stranger: FlaskClient, provider: HostileProvider) -> None:
    honest, provider.change_discovery = provider.change_discovery, lambda document: {**document, "issuer": "http://x"}
    answer = stranger.get("/login", query_string={"next": "/page"})
    assert answer.status_code == 503
    provider.change_discovery = honest
    (link,) = Elements(answer.text).links
    back = urlsplit(consent_at(stranger.get(link).headers["Location"]))
    assert stranger.get(f"{back.path}?{back.query}").headers["Location"] == "/page"


@pytest.mark.parametrize("endpoint", ["/token", "/userinfo", "/session/status"])
def test_provider_that_goes_away_during_a_login_leaves_a_calm_page_that_keeps_what_was_wanted(
    stranger: FlaskClient, provider: HostileProvider, endpoint: str
) -> None:
    provider.instead[endpoint] = lambda: Response("no", 503)
    back = urlsplit(consent_at(stranger.get("/login", query_string={"next": WANTED}).headers["Location"]))
    answer = stranger.get(f"{back.path}?{back.query}")
    is_calm(answer)
    assert retried(answer) == WANTED


def test_provider_that_refuses_is_explained_and_its_words_are_not_repeated(
    stranger: FlaskClient, provider: HostileProvider
) -> None:
    for code, status, said in (
        ("access_denied", 403, "U bent niet ingelogd"),
        ("temporarily_unavailable", 503, "Inloggen kan nu even niet"),
        ("<script>alert(1)</script>", 400, "Inloggen is niet gelukt"),
    ):
        state = parse_qs(urlsplit(stranger.get("/login").headers["Location"]).query)["state"][0]
        answer = stranger.get("/callback", query_string={"error": code, "iss": provider.issuer, "state": state})
        is_calm(answer)
        assert (answer.status_code, heading(answer)) == (status, said)
        assert "alert" not in answer.text and ("Retry-After" in answer.headers) == (status == 503)


def test_answer_that_nobody_asked_for_is_explained(stranger: FlaskClient) -> None:
    answer = stranger.get("/callback?state=x&code=y")
    is_calm(answer)
    assert answer.status_code == 400 and heading(answer) == "Inloggen is niet gelukt"


def test_answer_that_comes_twice_tells_somebody_who_is_signed_in_so(browser: FlaskClient) -> None:
    answer = browser.get("/callback?state=x&code=y")
    is_calm(answer)
    assert heading(answer) == "U bent al ingelogd" and Elements(answer.text).links == ["/"]


def test_page_is_in_english_for_browsers_that_prefer_it(stranger: FlaskClient) -> None:
    english = stranger.get("/callback?state=x", headers={"Accept-Language": "en-GB,en;q=0.9,nl;q=0.5"})
    assert '<html lang="en">' in english.text and heading(english) == "Signing in did not work"
    other = stranger.get("/callback?state=x", headers={"Accept-Language": "fr"})
    assert '<html lang="nl">' in other.text


def test_logging_out_while_the_provider_is_away_says_that_it_is_here_only(
    kit: SessionKit, provider: HostileProvider
) -> None:
    browser = kit.app.test_client()
    assert come_back(browser) == "/"
    with browser:
        browser.get("/signed-out")
        token = kit.csrf_token()
    kit.provider.client.server_metadata.clear()  # as another process of the application, which has just started
    provider.change_discovery = lambda document: {**document, "issuer": "http://x"}
    answer = browser.post("/logout", data={"csrf_token": token})
    is_calm(answer)
    assert answer.status_code == 503 and heading(answer) == "U bent alleen hier uitgelogd"
    assert Elements(answer.text).links == [], "a way to log in is none to log out"


def test_page_of_somebody_who_is_signed_in_loads_itself_again_just_after_the_known_end(
    browser: FlaskClient, stranger: FlaskClient, clock: FixedClock
) -> None:
    for passed, left in ((0, 1801), (600, 1201), (1199, 2)):
        clock.move(timedelta(seconds=passed))
        page = browser.get("/page").text
        assert f'<noscript><meta http-equiv="refresh" content="{left}"></noscript>' in page
    assert stranger.get("/page").text == "<head></head>"
