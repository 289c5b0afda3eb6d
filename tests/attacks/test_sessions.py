"""A75, A77, A81: when somebody proved who they are, who may sign them out, and a session that nobody cleans up."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import ColumnElement, func, select

from idp.oidc.end_session import EndSessionRequest
from idp.sessions import idle
from idp.sessions.models import Session
from tests.attacks.test_second_factor import code_of
from tests.attacks.world import STEP, Browser, Page, World, basic, mutation, parameters
from tests.factories import Somebody, SomeClient

IDLE = timedelta(minutes=30)
ABSOLUTE = timedelta(hours=12)
MOMENT = timedelta(microseconds=1)


def claims_of(world: World, client: SomeClient, code: str) -> dict[str, Any]:
    """What the ID token says that this code gives."""
    answered = world.redeem(client, code)
    assert answered.status == 200, answered
    found: dict[str, Any] = json.loads(urlsafe_b64decode(answered.body["id_token"].split(".")[1] + "=="))
    return found


# A75


def test_a75_prompt_login_cannot_be_taken_off_a_request_that_came_in_with_it(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, page = world.sign_in(client, anna)
    first = claims_of(world, client, page.code)["auth_time"]
    world.clock.move(timedelta(minutes=10))
    asked = browser.begin(client, prompt="login")
    assert asked.prompt == "identify"
    path = f"/s/{asked.interaction_id}"
    for place in ("continue", "consent?prompt=", "identify?prompt=none&max_age=999", "x"):
        assert browser.follow(browser.get(f"{path}/{place}")).prompt == "identify"
    for form in ({"prompt": ""}, {"account": "continue"}, {"decision": "allow"}, {"code": world.code(anna)}):
        for name in ("consent", "verify_second_factor", "identify"):
            after = browser.follow(browser.post(f"{path}/{name}", {**asked.fields, **form}))
            assert after.prompt == "identify" and after.target is None, (form, name)
    again = browser.follow(browser.get(f"{path}/restart"))
    assert again.prompt == "identify", "it stays on a request that is started again"
    without = claims_of(world, client, browser.begin(client).code)
    assert without["auth_time"] == first, "and a request without it says honestly how old the proof is"
    verify = browser.submit(again, **anna.names)
    done = claims_of(world, client, browser.submit(verify, code=world.code(anna)).code)
    assert done["auth_time"] == int(world.clock.now().timestamp()) > first


def test_a75_a_sign_in_in_another_tab_does_not_answer_prompt_login_here(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    browser, _ = world.sign_in(client, anna)
    waiting = browser.begin(client, prompt="login")
    other = browser.begin(client, prompt="login")
    assert browser.submit(other, **anna.names).code
    assert browser.follow(browser.get(waiting.url)).prompt == "identify"
    assert browser.submit(waiting, **anna.names).code


def test_a75_max_age_is_counted_from_the_password_and_to_the_second(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    browser, _ = world.sign_in(client, anna)

    def is_asked(max_age: str) -> bool:
        return browser.authorize(client, max_age=max_age, prompt="none").answer.get("error") == "login_required"

    assert is_asked("0") and not is_asked("60") and not is_asked("1")
    world.clock.move(timedelta(seconds=60))
    assert not is_asked("60") and not is_asked(str(10**18)) and is_asked("59") and is_asked("0")
    world.clock.move(MOMENT)
    assert is_asked("60") and not is_asked("61")
    for nonsense in ("-1", "1.5", "1e3", "", "٣", "0x10", "1 ", "9" * 50):
        answer = browser.authorize(client, max_age=nonsense, prompt="none").answer
        assert ("code" in answer) == (nonsense == "") or answer["error"] == "invalid_request", nonsense


def test_a75_max_age_zero_asks_for_the_password_itself(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, page = world.sign_in(client, anna)
    before = claims_of(world, client, page.code)["auth_time"]
    world.clock.move(timedelta(minutes=1))
    page = browser.begin(client, max_age="0")
    assert page.prompt == "identify"
    page = browser.submit(page, **anna.names)
    world.clock.move(STEP)
    done = claims_of(world, client, browser.submit(page, code=world.code(anna)).code)
    # The password was asked half a minute before the code.
    assert done["auth_time"] == int(world.clock.now().timestamp()) - 30 > before


def test_a75_auth_time_moves_for_a_password_and_for_nothing_else(world: World) -> None:
    client = world.make.client(session_activity="token_refresh")
    els = world.make.person(username="els")
    browser, page = world.sign_in(client, els)
    answered = world.redeem(client, page.code).body
    first = int(world.clock.now().timestamp())
    world.clock.move(timedelta(minutes=2))
    assert claims_of(world, client, browser.begin(client).code)["auth_time"] == first
    assert claims_of(world, client, browser.authorize(client, prompt="none").code)["auth_time"] == first
    refreshed = world.refresh(client, answered["refresh_token"]).body["id_token"]
    assert json.loads(urlsafe_b64decode(refreshed.split(".")[1] + "=="))["auth_time"] == first
    choice = browser.begin(client, acr_values="https://login.example/acr/3")
    assert choice.prompt == "enrol_second_factor"
    page = browser.submit(choice, method="totp")
    done = claims_of(world, client, browser.submit(page, method="totp", code=code_of(world, page)).code)
    assert (done["auth_time"], done["acr"]) == (first, "https://login.example/acr/3")


def test_a75_no_parameter_of_the_browser_moves_auth_time_or_level(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    browser = world.browser()
    page = browser.begin(client)
    forged = {"auth_time": "1", "acr": "phr", "level": "4", "amr": "mfa", "password_proven_at": "1", "x": "4"}
    claims = claims_of(world, client, browser.submit(page, **anna.names, **forged).code)
    assert claims["acr"] == "https://login.example/acr/1" and claims["amr"] == ["pwd"]
    assert claims["auth_time"] == int(world.clock.now().timestamp())


# A77


def signed_in(world: World) -> tuple[SomeClient, Somebody, Browser, str]:
    client, anna = world.make.client(), world.make.person()
    browser, page = world.sign_in(client, anna)
    return client, anna, browser, world.redeem(client, page.code).body["id_token"]


def test_a77_a_link_image_or_form_from_elsewhere_signs_nobody_out(world: World) -> None:
    client, anna, browser, _ = signed_in(world)
    mallory = world.make.account(1, "mallory")
    _, page = world.sign_in(client, mallory)
    theirs = world.redeem(client, page.code).body["id_token"]
    _, page = world.sign_in(client, anna)
    of_another_session = world.redeem(client, page.code).body["id_token"]
    queries: tuple[dict[str, str], ...] = (
        {},
        {"client_id": "atosi"},
        {"id_token_hint": theirs},
        {"id_token_hint": of_another_session},
        {"id_token_hint": theirs, "post_logout_redirect_uri": "https://app.example/signed-out"},
        {"logout_hint": "anna", "decision": "logout", "csrf_token": ""},
    )
    elsewhere = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image", "Referer": "https://evil.example/"}
    for query in queries:
        address = "/end_session?" + urlencode(query)
        asked = browser.get(address, **elsewhere)
        assert asked.status == 200 and 'id="logout-confirm"' in asked.text, query
        posted = browser.post("/end_session", query, **elsewhere)
        assert posted.status == 303 and 'id="logout-confirm"' in browser.follow(posted).text, query
        for token in ({}, {"csrf_token": ""}, {"csrf_token": "x" * 43}):
            form = {**query, "csrf_token": "", "decision": "logout", **token}
            assert browser.post(asked.action, form, **elsewhere).status == 403, query
    assert browser.authorize(client, prompt="none").code


@mutation
def test_a77_without_the_question_a_link_would_sign_the_person_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, _, browser, _ = signed_in(world)
    monkeypatch.setattr(EndSessionRequest, "needs_confirmation", lambda *_: False)
    browser.get("/end_session")
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"


def test_a77_what_ends_is_the_browsers_own_session_whoever_the_hint_is_about(world: World) -> None:
    client, _, victim, id_token = signed_in(world)
    mallory = world.make.account(1, "mallory")
    thief, _ = world.sign_in(client, mallory)
    asked = thief.get("/end_session?" + urlencode({"id_token_hint": id_token}))
    thief.press(asked, decision="logout")
    assert thief.authorize(client, prompt="none").answer["error"] == "login_required"
    assert victim.authorize(client, prompt="none").code
    assert world.browser().get("/end_session?" + urlencode({"id_token_hint": id_token})).status == 200
    assert victim.authorize(client, prompt="none").code, "nobody without the cookie ends anything"


def test_a77_the_own_hint_of_the_own_session_spares_the_question(world: World) -> None:
    client, _, browser, id_token = signed_in(world)
    done = browser.get("/end_session?" + urlencode({"id_token_hint": id_token}))
    assert done.status == 303 and "logout-confirm" not in done.text
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"


# A81


def openings(world: World) -> dict[str, Callable[[], bool]]:
    """Everything that belongs to one session, and whether it still opens something."""
    client = world.make.client()
    public = world.make.client("open", application_type="browser", token_endpoint_auth_method="none")
    stranger = world.make.client("vreemd", first_party=False)
    anna = world.make.person()
    browser, page = world.sign_in(client, anna)
    tokens = world.redeem(client, page.code).body
    rotating = world.redeem(public, browser.authorize(public, prompt="none").code).body
    # As fresh as tokens and codes can be just before the end.
    half = browser.begin(stranger)
    assert half.prompt == "consent"
    with world.reading() as unit:
        ends_at = unit.scalars(select(Session.idle_ends_at)).one()
    world.clock.set(ends_at - timedelta(seconds=59))
    late = world.refresh(client, tokens["refresh_token"]).body["access_token"]
    codes = [browser.authorize(client, prompt="none").code for _ in range(3)]

    def page_of_logout() -> bool:
        return "logout-confirm" in browser.get("/end_session").text

    def half_way() -> bool:
        page = browser.follow(browser.get(half.url))
        return page.status == 200 and page.prompt == "consent"

    return {
        "access token": lambda: world.userinfo(late) == 200,
        "code": lambda: world.redeem(client, codes.pop()).status == 200,
        "refresh token": lambda: world.refresh(client, tokens["refresh_token"]).status == 200,
        "rotating refresh token": lambda: world.refresh(public, rotating["refresh_token"]).status == 200,
        "prompt=none": lambda: "code" in browser.authorize(client, prompt="none").answer,
        "logout page": page_of_logout,
        "interaction": half_way,
        "authorization request": lambda: "code" in browser.begin(client).answer,
    }


SILENT = ("access token", "code", "refresh token", "rotating refresh token", "prompt=none", "logout page")


def test_a81_exactly_at_thirty_minutes_everything_is_over_although_nobody_cleaned_up(world: World) -> None:
    doors = openings(world)
    with world.reading() as unit:
        ends_at = unit.scalars(select(Session.idle_ends_at)).one()
    world.clock.set(ends_at - timedelta(seconds=1))
    assert {name for name in SILENT if doors[name]()} == set(SILENT), "a second before, everything works"
    world.clock.set(ends_at - MOMENT)
    # Under a second is no time to give a token for; who looks is still signed in.
    assert doors["prompt=none"]() and doors["logout page"]()
    assert not doors["refresh token"]()
    world.clock.set(ends_at)
    assert {name for name, opens in doors.items() if opens()} == set()
    with world.reading() as unit:
        assert unit.scalar(select(func.count()).select_from(Session).where(Session.ended_at.is_(None))) == 1


@mutation
def test_a81_if_only_a_cleaner_ended_sessions_they_would_live_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def lenient(_now: datetime) -> ColumnElement[bool]:
        return Session.ended_at.is_(None)

    monkeypatch.setattr(idle, "live", lenient)
    monkeypatch.setattr(idle, "is_live", lambda session, _now: session.ended_at is None)
    doors = openings(world)
    world.clock.move(IDLE)
    assert doors["prompt=none"]() and doors["authorization request"]()


def test_a81_the_absolute_end_comes_however_busy_the_session_is(world: World) -> None:
    client, anna, browser, _ = signed_in(world)
    opened = world.clock.now()
    while world.clock.now() + IDLE - MOMENT < opened + ABSOLUTE:
        world.clock.move(IDLE - MOMENT)
        assert browser.begin(client).code
    world.clock.set(opened + ABSOLUTE - MOMENT)
    assert browser.begin(client).code
    world.clock.set(opened + ABSOLUTE)
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"


def test_a81_what_does_not_count_as_activity_does_not_keep_a_session_alive(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    browser, page = world.sign_in(client, anna)
    tokens = world.redeem(client, page.code).body
    assert client.secret is not None

    def quiet() -> list[Page]:
        frame = {"Sec-Fetch-Dest": "iframe"}
        return [
            browser.authorize(client, prompt="none"),
            browser.get("/authorize?" + urlencode(parameters(client)), **frame),
            browser.get("/userinfo", Authorization=f"Bearer {tokens['access_token']}"),
            browser.get("/jwks"),
            browser.get("/.well-known/openid-configuration"),
            browser.get("/end_session"),
            browser.get("/"),
            browser.get("/static/idp.css"),
            browser.get("/health/ready"),
            browser.post(
                "/token",
                {"grant_type": "refresh_token", "refresh_token": tokens["refresh_token"]},
                Authorization=basic(client.client_id, client.secret or ""),
            ),
        ]

    for _ in range(5):
        world.clock.move(timedelta(minutes=5))
        quiet()
    world.clock.move(timedelta(minutes=5) - MOMENT)
    assert browser.authorize(client, prompt="none").code
    world.clock.move(MOMENT)
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"


def test_a81_a_clock_that_falls_back_does_not_bring_a_session_back(world: World) -> None:
    client, _, browser, _ = signed_in(world)
    with world.writing() as unit:
        session = unit.scalars(select(Session)).one()
        world.services.sessions.end(unit, session, "idle")
    world.clock.move(-timedelta(hours=1))
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"
