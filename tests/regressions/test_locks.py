"""Two at once in PostgreSQL: who changes an account and who signs in with it; who uses a refresh token and who ends it.

One side is held where it has taken its locks until the other waits for one of them; then it goes on.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

from idp.jobs.sweep_idle_sessions import sweep
from idp.oidc.provider import _Grant
from tests.attacks.world import Browser, Page, World
from tests.factories import Somebody
from tests.regressions.ways import MINUTE, on_postgresql, wait_until_somebody_waits

pytestmark = on_postgresql

LIMIT = 20
A = TypeVar("A")
B = TypeVar("B")


class Turnstile:
    """Lets the first who comes in only when somebody else waits for a lock."""

    def __init__(self, world: World) -> None:
        self._world, self.is_reached = world, threading.Event()

    def around(self, real: Callable[..., Any], after: bool = False) -> Callable[..., Any]:
        """The function, with the wait before it, or after it."""

        def held(*arguments: Any, **options: Any) -> Any:
            if self.is_reached.is_set():
                return real(*arguments, **options)
            if not after:
                self._hold()
            result = real(*arguments, **options)
            if after:
                self._hold()
            return result

        return held

    def _hold(self) -> None:
        self.is_reached.set()
        with ThreadPoolExecutor(1) as looking:
            # Looked at through a connection of its own.
            looking.submit(wait_until_somebody_waits, self._world).result(LIMIT)


def both(turnstile: Turnstile, first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """What both did; the second begins when the first is held."""
    with ThreadPoolExecutor(2) as threads:
        one: Future[A] = threads.submit(first)
        assert turnstile.is_reached.wait(LIMIT)
        two: Future[B] = threads.submit(second)
        return one.result(LIMIT), two.result(LIMIT)


def set_password(world: World) -> None:
    with world.app.app_context():
        world.services.accounts.set_password("10234", "anna", "een heel ander wachtwoord 22")


def block(world: World) -> None:
    with world.app.app_context():
        world.services.accounts.block("10234", "anna")


def signing_in_again(world: World) -> tuple[Browser, Page, Somebody]:
    """A browser with a session, at the login form for the same person."""
    anna, client = world.make.person(), world.make.client()
    browser, _ = world.sign_in(client, anna)
    return browser, browser.begin(client, prompt="login"), anna


@pytest.mark.parametrize("change", [set_password, block])
def test_account_that_is_changed_while_its_person_signs_in_again_ends_the_session_of_that_sign_in(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[World], None]
) -> None:
    browser, page, anna = signing_in_again(world)
    turnstile, identification = Turnstile(world), world.services.answers.identify.identification
    monkeypatch.setattr(identification, "record", turnstile.around(identification.record))
    answered, _ = both(turnstile, lambda: browser.press(page, **anna.names), lambda: change(world))
    assert answered.status == 303 and answered.prompt == "continue"
    assert browser.follow(answered).prompt == "identify"
    assert world.given_out() == (1, 1), "the code of the first sign-in, and its session"


@pytest.mark.parametrize("change", [set_password, block])
def test_person_who_signs_in_again_while_the_account_is_changed_opens_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, change: Callable[[World], None]
) -> None:
    browser, page, anna = signing_in_again(world)
    turnstile, sessions = Turnstile(world), world.services.sessions
    monkeypatch.setattr(sessions, "end_all_of", turnstile.around(sessions.end_all_of))
    _, answered = both(turnstile, lambda: change(world), lambda: browser.press(page, **anna.names))
    assert answered.status == 303 and answered.prompt == "identify"
    assert world.given_out() == (1, 1)


def test_block_while_the_sweep_ends_sessions_of_the_same_account_waits_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, client = world.make.person(), world.make.client()
    older, newer = world.browser(), world.browser()
    world.sign_in(client, anna, older)
    world.clock.move(MINUTE)
    world.sign_in(client, anna, newer)
    world.clock.move(MINUTE)
    assert older.begin(client).code, "the session that was opened first ends last"
    world.clock.move(31 * MINUTE)
    turnstile, sessions = Turnstile(world), world.services.sessions
    monkeypatch.setattr(sessions, "end", turnstile.around(sessions.end, after=True))

    def swept() -> int:
        with world.app.app_context():
            return sweep(world.services.units, sessions)

    ended, _ = both(turnstile, swept, lambda: block(world))
    assert ended == 2


def test_access_token_that_is_being_issued_while_its_code_is_used_again_is_revoked_too(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna, client = world.make.person(), world.make.client()
    _, page = world.sign_in(client, anna)
    tokens = world.redeem(client, page.code).body
    turnstile = Turnstile(world)
    monkeypatch.setattr(_Grant, "conclude", turnstile.around(_Grant.conclude, after=True))
    refreshed, reused = both(
        turnstile, lambda: world.refresh(client, tokens["refresh_token"]), lambda: world.redeem(client, page.code)
    )
    assert refreshed.status == 200 and reused.error == "invalid_grant"
    assert world.userinfo(refreshed.body["access_token"]) == 401
    assert world.userinfo(tokens["access_token"]) == 401
    assert world.refresh(client, refreshed.body["refresh_token"]).error == "invalid_grant"
