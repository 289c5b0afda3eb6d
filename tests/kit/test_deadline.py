"""From the known deadline on only the provider's word keeps somebody signed in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Response
from flask.testing import FlaskClient

from idp.kernel.clock import FixedClock
from idp_kit import SessionKit
from tests.demo.hostile_provider import Claims, HostileProvider
from tests.kit.conftest import MakeKit, asked, click, come_back, is_signed_in, signed_in, tell

ALMOST = timedelta(minutes=29, seconds=59)
A_SECOND = timedelta(seconds=1)


def test_before_the_deadline_the_provider_is_not_asked(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    assert provider.calls["/session/status"] == 1, "at the login"
    clock.move(ALMOST)
    assert is_signed_in(browser)
    assert provider.calls["/session/status"] == 1


def test_at_the_deadline_nobody_is_signed_in_and_the_page_says_why(browser: FlaskClient, clock: FixedClock) -> None:
    clock.move(ALMOST + A_SECOND)
    assert not is_signed_in(browser)
    assert browser.get("/signed-out").text == "uit: inactivity"


def test_click_after_the_deadline_revives_nothing(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    clock.move(ALMOST + A_SECOND)
    click(browser)
    assert tell(browser) == {"signed_in": False, "expires_in": None, "warn_before": 0}
    assert provider.reports == [] and not is_signed_in(browser)


def test_activity_in_another_application_is_heard_of_at_the_deadline(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    clock.move(timedelta(minutes=20))
    provider.last_activity_at = clock.now()
    clock.move(timedelta(minutes=10))
    assert is_signed_in(browser)
    assert asked(browser) == {"signed_in": True, "expires_in": 1200, "warn_before": 120}
    clock.move(timedelta(minutes=20))
    assert not is_signed_in(browser)


def test_activity_in_another_application_is_heard_of_before_somebody_is_warned(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    clock.move(timedelta(minutes=20))
    provider.last_activity_at = clock.now()
    clock.move(timedelta(minutes=8))
    for _ in range(3):
        assert asked(browser)["expires_in"] == 22 * 60
    assert provider.calls["/session/status"] == 2, "once at the login, and now once"


def test_pages_that_ask_without_end_near_the_deadline_are_answered_from_memory(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    clock.move(timedelta(minutes=28, seconds=30))
    for _ in range(20):
        clock.move(timedelta(milliseconds=250))
        browser.get("/session/status")
    assert provider.calls["/session/status"] <= 3


def test_pages_that_ask_each_minute_are_answered_from_memory_until_the_end_is_near(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    for _ in range(27):
        clock.move(timedelta(minutes=1))
        assert asked(browser)["signed_in"] is True
    assert provider.calls["/session/status"] == 1, "at the login"


def test_page_is_told_that_nothing_moves_the_end(
    make_kit: MakeKit, provider: HostileProvider, clock: FixedClock
) -> None:
    provider.absolute_timeout = timedelta(minutes=31)
    browser = signed_in(make_kit())
    assert asked(browser) == {"signed_in": True, "expires_in": 1800, "warn_before": 120}
    clock.move(timedelta(minutes=10))
    assert tell(browser)["at_limit"] is True  # type: ignore[index]


def test_click_after_activity_elsewhere_counts_from_then_on(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    provider.last_activity_at = clock.now() + timedelta(minutes=29)
    clock.move(timedelta(minutes=58))
    click(browser)
    assert len(provider.reports) == 1
    clock.move(ALMOST)
    assert is_signed_in(browser)


def test_absolute_limit_ends_the_session_however_busy_it_is(
    make_kit: MakeKit, provider: HostileProvider, clock: FixedClock
) -> None:
    provider.absolute_timeout = timedelta(minutes=45)
    browser = signed_in(make_kit())
    for _ in range(44):
        clock.move(timedelta(minutes=1))
        tell(browser)
        assert is_signed_in(browser)
    clock.move(timedelta(minutes=1))
    tell(browser)
    assert not is_signed_in(browser)


def test_somebody_who_works_until_the_absolute_limit_is_warned_as_long_before_it_as_ever(
    make_kit: MakeKit, provider: HostileProvider, clock: FixedClock
) -> None:
    provider.absolute_timeout = timedelta(minutes=45)
    browser = signed_in(make_kit())
    for _ in range(43):
        clock.move(timedelta(minutes=1))
        tell(browser)
    assert asked(browser) == {"signed_in": True, "expires_in": 120, "warn_before": 120, "at_limit": True}


def test_somebody_who_comes_when_the_absolute_limit_is_near_is_warned_as_long_before_it_as_ever(
    make_kit: MakeKit, provider: HostileProvider
) -> None:
    provider.absolute_timeout = timedelta(minutes=3)
    assert asked(signed_in(make_kit())) == {"signed_in": True, "expires_in": 180, "warn_before": 120, "at_limit": True}


def test_session_that_ended_before_the_login_was_done_starts_none(kit: SessionKit, provider: HostileProvider) -> None:
    provider.change_session_answer = lambda answer: {"active": False}
    assert come_back(kit.app.test_client()) is None


# A provider that cannot be reached, or lies


def failing(status: int = 500, body: str = "no", **headers: str) -> Callable[[], Response]:
    return lambda: Response(body, status, headers)


FAILURES: dict[str, Callable[[], Response]] = {
    "500": failing(),
    "401": failing(401),
    "403": failing(403),
    "404": failing(404),
    "a redirect": failing(302, Location="http://127.0.0.1:1/"),
    "a page": failing(200, "<html>"),
    "nothing": failing(200, ""),
    "bytes": lambda: Response(b"\xff\xfe", mimetype="application/json"),
    "deeply nested": failing(200, "[" * 50_000),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_provider_without_a_usable_answer_at_the_deadline_means_signed_out(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock, failure: Callable[[], Response]
) -> None:
    provider.last_activity_at = clock.now() + timedelta(minutes=20)
    provider.instead["/session/status"] = failure
    clock.move(ALMOST + A_SECOND)
    assert not is_signed_in(browser)
    assert browser.get("/signed-out").text == "uit: unreachable"
    del provider.instead["/session/status"]
    assert not is_signed_in(browser), "what ended stays ended"


LIES: dict[str, Callable[[Claims], Any]] = {
    "null": lambda answer: None,
    "far too much": lambda answer: {**answer, "x": "x" * 100_000},
    "a list": lambda answer: [answer],
    "active as text": lambda answer: {**answer, "active": "true"},
    "active as a number": lambda answer: {**answer, "active": 1},
    "without active": lambda answer: {name: value for name, value in answer.items() if name != "active"},
    "of another session": lambda answer: {**answer, "sid": "session-2"},
    "without sid": lambda answer: {name: value for name, value in answer.items() if name != "sid"},
    "without deadline": lambda answer: {name: value for name, value in answer.items() if name != "expires_in"},
    "deadline as text": lambda answer: {**answer, "expires_in": "1800"},
    "deadline before": lambda answer: {**answer, "expires_in": -1},
    "deadline without end": lambda answer: {**answer, "expires_in": 1e300},
    "deadline not a number": lambda answer: {**answer, "expires_in": float("nan")},
    "deadline true": lambda answer: {**answer, "expires_in": True},
    "now as null": lambda answer: {**answer, "now": None},
    "idle time-out of nothing": lambda answer: {**answer, "idle_timeout": 0},
    "idle time-out as text": lambda answer: {**answer, "idle_timeout": "1800"},
    "without idle time-out": lambda answer: {name: value for name, value in answer.items() if name != "idle_timeout"},
    "absolute limit huge": lambda answer: {**answer, "absolute_ends_at": 10**400},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_answer_that_makes_no_sense_at_the_deadline_means_signed_out(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock, lie: Callable[[Claims], Any]
) -> None:
    provider.last_activity_at = clock.now() + timedelta(minutes=20)
    provider.change_session_answer = lie
    clock.move(ALMOST + A_SECOND)
    assert not is_signed_in(browser)


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
def test_answer_that_makes_no_sense_to_a_report_moves_no_deadline(
    kit: SessionKit, provider: HostileProvider, clock: FixedClock, lie: Callable[[Claims], Any]
) -> None:
    browser = signed_in(kit)
    provider.change_session_answer = lie
    clock.move(timedelta(minutes=10))
    assert tell(browser) == {"signed_in": True, "expires_in": 1200, "warn_before": 120, "reported": False}


def test_provider_that_is_away_before_the_deadline_disturbs_nobody(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    provider.instead["/session/status"] = provider.instead["/session/activity"] = failing()
    clock.move(timedelta(minutes=29))
    click(browser)
    assert asked(browser) == {"signed_in": True, "expires_in": 60, "warn_before": 120}
    assert is_signed_in(browser)


def test_session_addresses_outside_the_issuer_are_not_called(make_kit: MakeKit, provider: HostileProvider) -> None:
    for name in ("session_status_endpoint", "session_activity_endpoint"):
        provider.change_discovery = lambda document, name=name: {**document, name: "http://127.0.0.1:1/"}  # type: ignore[misc]
        assert make_kit().app.test_client().get("/login").status_code == 503


# A provider without these endpoints


def test_without_session_endpoints_the_kit_counts_for_itself(
    make_kit: MakeKit, provider: HostileProvider, clock: FixedClock
) -> None:
    provider.change_discovery = lambda document: {
        name: value for name, value in document.items() if not name.startswith("session_")
    }
    browser = signed_in(make_kit(absolute_timeout=timedelta(minutes=100)))
    for _ in range(3):
        clock.move(ALMOST)
        click(browser)
        assert is_signed_in(browser)
    clock.move(timedelta(minutes=10) + 3 * A_SECOND)
    assert not is_signed_in(browser), "the absolute limit"
    assert provider.calls["/session/status"] == 0
