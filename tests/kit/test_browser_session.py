"""What the kit keeps for a browser, and what it says to whoever keeps answers on the way."""

from __future__ import annotations

import pytest
from flask import Response, session
from flask.testing import FlaskClient

from idp_kit import SessionKit
from tests.demo.hostile_provider import HostileProvider
from tests.kit.conftest import BY_OUR_PAGE, signed_in


@pytest.fixture
def kit(kit: SessionKit) -> SessionKit:
    """With a form for visitors too."""
    kit.app.add_url_rule("/form", "form", kit.csrf_token)

    @kit.app.post("/form")
    def sent() -> str:
        kit.require_csrf_token()
        return "done"

    return kit


def test_two_visitors_have_different_tokens_that_hold_in_their_own_browsers_alone(kit: SessionKit) -> None:
    one, other = kit.app.test_client(), kit.app.test_client()
    tokens = [each.get("/form").text for each in (one, other)]
    assert tokens[0] != tokens[1]
    assert [each.get("/form").text for each in (one, other)] == tokens, "the page may be open in two tabs"
    assert one.post("/form", data={"csrf_token": tokens[0]}).text == "done"
    for browser, token in ((one, tokens[1]), (other, tokens[0]), (kit.app.test_client(), tokens[0])):
        assert browser.post("/form", data={"csrf_token": token}).status_code == 403


def test_form_that_nobody_asked_for_is_refused_and_leaves_nothing_behind(kit: SessionKit) -> None:
    refused = kit.app.test_client().post("/form", data={"csrf_token": ""})
    assert refused.status_code == 403 and "Set-Cookie" not in refused.headers


def test_token_of_a_visitor_is_none_after_the_login(kit: SessionKit) -> None:
    visitor = kit.app.test_client()
    token = visitor.get("/form").text
    browser = signed_in(kit, visitor)
    assert browser.get("/form").text != token
    assert browser.post("/form", data={"csrf_token": token}).status_code == 403


# What is kept on the way


def test_page_of_somebody_who_is_signed_in_is_kept_by_nobody(kit: SessionKit) -> None:
    browser, stranger = signed_in(kit), kit.app.test_client()
    script = {"Sec-Fetch-Dest": "empty"}
    for answer in (browser.get("/"), stranger.get("/"), stranger.get("/", headers=script)):
        assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Vary"] == "Cookie"


def test_application_that_says_how_long_its_page_is_kept_is_left_alone(kit: SessionKit) -> None:
    def week() -> Response:
        return Response("week 3", headers={"Cache-Control": "private, max-age=60", "Vary": "Accept-Language"})

    kit.app.add_url_rule("/week", "week", kit.login_required(week))
    answer = signed_in(kit).get("/week")
    assert answer.headers["Cache-Control"] == "private, max-age=60"
    assert {each.strip() for each in answer.headers["Vary"].split(",")} == {"Accept-Language", "Cookie"}


def test_answer_depends_on_the_cookie_only_where_the_session_was_read(kit: SessionKit) -> None:
    kit.app.add_url_rule("/about", "about", lambda: "about us")
    kit.app.add_url_rule("/who", "who", lambda: str(kit.login is not None))
    kit.app.add_url_rule("/basket", "basket", lambda: session.get("basket", "empty"))
    for browser in (signed_in(kit), kit.app.test_client()):
        for path, varies in {"/about": False, "/session/session.js": False, "/who": True, "/basket": True}.items():
            answer = browser.get(path, buffered=True)
            assert answer.vary.as_set() == ({"cookie"} if varies else set()), path
            assert answer.headers.get("Cache-Control") != "no-store"
    assert "Cookie" in kit.app.test_client().get("/login").vary


# Whose page it is


def mark(browser: FlaskClient) -> str:
    """What a page was given and answers repeat."""
    page, cookie = browser.get("/page").text, browser.get_cookie("app_session")
    reported = browser.post("/session/activity", json={"idle_seconds": 0}, headers=BY_OUR_PAGE).json
    asked = browser.get("/session/status").json
    assert reported is not None and asked is not None and reported["mark"] == asked["mark"]
    assert f'data-mark="{asked["mark"]}"' in page
    assert cookie is not None and cookie.value not in page and "session-1" not in page
    return str(asked["mark"])


def test_page_and_answers_carry_a_mark_that_is_another_for_each_session_of_the_provider(
    kit: SessionKit, provider: HostileProvider
) -> None:
    browser = signed_in(kit)
    first = mark(browser)
    assert mark(signed_in(kit, browser)) == first, "who logs in once more loses no page that is open"
    provider.change_claims = lambda claims: claims.update(sid="session-2")
    provider.change_session_answer = lambda answer: {**answer, "sid": "session-2"}
    assert mark(signed_in(kit, browser)) != first
