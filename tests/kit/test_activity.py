"""What an application tells its provider: of people only, once a minute, and never too late."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
from flask import Response
from flask.testing import FlaskClient

from idp.kernel.clock import FixedClock
from idp_kit import KitConfig, SessionKit
from tests.demo.hostile_provider import HostileProvider
from tests.kit.conftest import (
    BASE_URL,
    BY_A_PERSON,
    BY_OUR_PAGE,
    MakeKit,
    asked,
    click,
    is_signed_in,
    signed_in,
    tell,
)


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def moments(provider: HostileProvider, since: datetime) -> list[float]:
    """When somebody was active, as the provider was told, in seconds since then."""
    return [moment - since.timestamp() for moment in provider.reports]


def test_minute_full_of_clicks_is_one_report_with_the_last_moment_at_its_end(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    began = clock.now()
    for _ in range(11):
        clock.move(seconds(5))
        click(browser)
        kit.reporter.send_due()
    assert provider.reports == []
    clock.move(seconds(4.999))
    kit.reporter.send_due()
    assert provider.reports == []
    clock.move(seconds(0.001))
    kit.reporter.send_due()
    kit.reporter.send_due()
    assert moments(provider, began) == [55]
    clock.move(seconds(300))
    kit.reporter.send_due()
    assert moments(provider, began) == [55], "silence tells nothing"


def test_last_moment_is_sent_once_by_whichever_process_comes_first(
    kit: SessionKit, make_kit: MakeKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    other = make_kit(kit.store)
    clock.move(seconds(30))
    click(browser)
    clock.move(seconds(30))
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda each: each.reporter.send_due(), [other, kit] * 4))
    assert len(provider.reports) == 1
    clock.move(timedelta(minutes=29, seconds=30))
    assert is_signed_in(browser) is False


def test_hour_of_clicks_is_at_most_one_report_a_minute_and_keeps_the_session(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    began = clock.now()
    for _ in range(360):
        clock.move(seconds(10))
        click(browser)
        kit.reporter.send_due()
    told = moments(provider, began)
    assert 59 <= len(told) <= 60 and told == sorted(told)
    assert is_signed_in(browser)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
        {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-User": "?1"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?0"},
    ],
    ids=["says nothing", "fetch", "image", "frame", "loads itself again", "without a person"],
)
def test_browser_that_only_polls_is_told_of_to_nobody_and_dies_on_time(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock, headers: dict[str, str]
) -> None:
    for _ in range(59):
        clock.move(seconds(30))
        assert browser.get("/", headers=headers).status_code == 200
        assert browser.get("/session/status", headers=BY_A_PERSON).json["signed_in"] is True  # type: ignore[index]
        kit.reporter.send_due()
    assert provider.reports == []
    clock.move(seconds(30))
    assert browser.get("/", headers=headers).status_code != 200
    assert asked(browser)["signed_in"] is False


def test_click_near_the_deadline_is_told_before_it_is_answered(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    began = clock.now()
    clock.move(timedelta(minutes=28, seconds=20))
    tell(browser)
    assert moments(provider, began) == [1700]
    provider.last_activity_at = began  # what it was told got lost
    clock.move(seconds(15))
    click(browser)
    assert moments(provider, began) == [1700], "not near, as far as is known"


def test_clicks_in_the_last_seconds_are_each_told_at_once(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    began = clock.now()
    provider.instead["/session/activity"] = lambda: Response("no", 500)
    clock.move(timedelta(minutes=29))
    click(browser)
    del provider.instead["/session/activity"]
    clock.move(seconds(1))
    click(browser)
    assert moments(provider, began) == [1741]
    clock.move(timedelta(minutes=29))
    assert is_signed_in(browser)


def test_report_that_failed_is_tried_again_soon_with_the_last_moment(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    began = clock.now()
    provider.instead["/session/activity"] = lambda: Response("no", 503)
    clock.move(seconds(70))
    tell(browser)
    clock.move(seconds(4))
    kit.reporter.send_due()
    assert provider.calls["/session/activity"] == 1
    del provider.instead["/session/activity"]
    clock.move(seconds(1))
    kit.reporter.send_due()
    assert moments(provider, began) == [70]


def test_report_that_is_refused_is_not_repeated_each_second_and_ends_nobody(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    provider.instead["/session/activity"] = lambda: Response('{"error": "unauthorized_client"}', 403)
    clock.move(seconds(70))
    for _ in range(59):
        tell(browser)
        clock.move(seconds(1))
        kit.reporter.send_due()
    assert provider.calls["/session/activity"] == 1
    assert is_signed_in(browser)


def test_provider_that_says_so_in_answer_to_a_report_ends_the_session(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    provider.session_ended = True
    clock.move(seconds(70))
    assert tell(browser) == {"signed_in": False, "expires_in": None, "warn_before": 0}
    assert not is_signed_in(browser)


def test_wrong_client_secret_is_logged_and_signs_nobody_out_before_the_deadline(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    provider.clients["atosi"] = "another secret by now"
    clock.move(seconds(70))
    assert tell(browser) == {"signed_in": True, "expires_in": 1730, "warn_before": 120, "reported": False}
    assert "the client secret is wrong" in caplog.text
    clock.move(seconds(1729))
    assert is_signed_in(browser)
    clock.move(seconds(1))
    assert not is_signed_in(browser)
    assert browser.get("/signed-out").text == "uit: unreachable"


def test_short_idle_time_has_short_minutes(make_kit: MakeKit, provider: HostileProvider, clock: FixedClock) -> None:
    provider.idle_timeout = seconds(60)
    kit = make_kit()
    browser, began = signed_in(kit), clock.now()
    for _ in range(30):
        clock.move(seconds(2))
        click(browser)
        kit.reporter.send_due()
    assert moments(provider, began) == [16, 32, 48]


def test_moment_is_told_by_the_providers_clock(make_kit: MakeKit, provider: HostileProvider, clock: FixedClock) -> None:
    provider.ahead = timedelta(minutes=-20)
    provider.opened_at = provider.last_activity_at = clock.now() + provider.ahead
    kit = make_kit()
    browser, began = signed_in(kit), clock.now()
    clock.move(seconds(100))
    tell(browser, idle_seconds=30)
    assert moments(provider, began) == [70 - 20 * 60]
    clock.move(timedelta(minutes=29, seconds=20))
    assert is_signed_in(browser)
    clock.move(seconds(10))
    assert not is_signed_in(browser)


# The report of a page


def test_report_of_a_page_counts_from_when_somebody_was_there(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock
) -> None:
    began = clock.now()
    clock.move(seconds(100))
    assert tell(browser, 40) == {"signed_in": True, "expires_in": 1760, "warn_before": 120}
    assert moments(provider, began) == [60]


@pytest.mark.parametrize(
    ("idle", "told"),
    [(-50, 100), (0.5, 99.5), (99, 1), (5000, None), (10**300, None), (10**400, None), (-(10**400), 100)],
    ids=["below", "half", "all", "more", "very much", "beyond floats", "below floats"],
)
def test_idle_seconds_are_kept_within_what_can_be(
    kit: SessionKit, browser: FlaskClient, provider: HostileProvider, clock: FixedClock, idle: float, told: float | None
) -> None:
    began = clock.now()
    clock.move(seconds(100))
    assert isinstance(tell(browser, idle), dict)
    assert moments(provider, began) == ([] if told is None else [told]), "what was before is known already"


@pytest.mark.parametrize("idle", ["0", None, True, [], {}, float("nan"), float("inf")], ids=str)
def test_idle_seconds_that_are_no_number_are_refused(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock, idle: object
) -> None:
    clock.move(seconds(100))
    assert tell(browser, idle) == 400
    assert provider.reports == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": BASE_URL},
        {"Origin": BASE_URL, "X-Session-Kit": "0"},
        {"X-Session-Kit": "1"},
        {"X-Session-Kit": "1", "Origin": "null"},
        {"X-Session-Kit": "1", "Origin": "http://127.0.0.1:8002"},
        {"X-Session-Kit": "1", "Origin": "https://evil.example"},
        BY_OUR_PAGE | {"Sec-Fetch-Site": "same-site"},
        BY_OUR_PAGE | {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_report_that_is_not_of_our_page_is_refused(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock, headers: dict[str, str]
) -> None:
    clock.move(seconds(100))
    assert browser.post("/session/activity", json={"idle_seconds": 0}, headers=headers).status_code == 403
    assert provider.reports == []


NO_REPORTS = {
    "nothing": "",
    "a list": "[]",
    "half": "{",
    "null": "null",
    "something else": '{"idle": 1}',
    "deeply nested": "[" * 4000,
    "deeper than anybody reads": "[" * 100_000,
    "too long": '{"idle_seconds": 0, "x": "%s"}' % ("x" * 5000),
}


@pytest.mark.parametrize("body", NO_REPORTS.values(), ids=NO_REPORTS.keys())
@pytest.mark.parametrize("length", ["said", "unsaid"])
def test_report_that_is_none_is_refused(
    browser: FlaskClient, provider: HostileProvider, clock: FixedClock, body: str, length: str
) -> None:
    clock.move(seconds(100))
    sent: dict[str, Any] = {"data": body}
    if length == "unsaid":  # as in chunked requests
        sent = {"input_stream": BytesIO(body.encode()), "environ_overrides": {"wsgi.input_terminated": True}}
    answer = browser.post("/session/activity", content_type="application/json", headers=BY_OUR_PAGE, **sent)
    assert answer.status_code == 400
    assert provider.reports == []


def test_report_and_question_of_nobody_are_told_that(kit: SessionKit, provider: HostileProvider) -> None:
    nobody = {"signed_in": False, "expires_in": None, "warn_before": 0}
    browser = kit.app.test_client()
    assert tell(browser) == asked(browser) == nobody
    assert provider.reports == [] and browser.get("/session/status").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(("before", "left"), [(1500, 1), (999, 0), (1, 0)])
def test_page_is_told_of_no_moment_after_the_deadline(
    browser: FlaskClient, clock: FixedClock, before: int, left: int
) -> None:
    clock.move(timedelta(minutes=30, milliseconds=-before))
    assert asked(browser) == {"signed_in": True, "expires_in": left, "warn_before": 120}


def test_page_of_somebody_signed_in_carries_the_script_and_others_do_not(kit: SessionKit, browser: FlaskClient) -> None:
    page = browser.get("/page").text
    for part in (
        'src="/session/session.js" defer',
        'data-status="/session/status"',
        'data-activity="/session/activity"',
        'data-signed-out="/signed-out"',
        'data-logout-form="logout"',
        'data-lang="nl"',
    ):
        assert part in page
    assert "script" not in kit.app.test_client().get("/page").text
    for name, kind in (("session.js", "text/javascript"), ("session.css", "text/css")):
        with browser.get(f"/session/{name}") as file:
            assert file.status_code == 200 and file.mimetype == kind
    assert browser.get("/session/py.typed").status_code == 404


# A real thread


def test_last_moment_of_a_minute_is_sent_by_the_kit_itself(
    provider: HostileProvider, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    import time

    from flask import Flask

    config = KitConfig(provider.issuer, "atosi", provider.clients["atosi"], BASE_URL, "a key for tests only")
    kit = SessionKit(Flask("tests.kit"), config, clock=clock)
    kit.app.add_url_rule("/", "home", lambda: "here")
    browser, began = signed_in(kit), clock.now()
    with caplog.at_level(logging.WARNING):
        clock.move(seconds(10))
        click(browser)
        assert provider.reports == []
        clock.move(seconds(50))
        click(browser)  # wakes the thread, which finds that the minute is over
        for _ in range(100):
            if provider.reports:
                break
            time.sleep(0.05)
        kit.close()
    assert moments(provider, began) == [60]
    assert caplog.records == []
