"""The service desk and the person at the same moment: what was proven before a reset opens nothing after it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
from flask import Flask

from idp.accounts.models import lock_account
from idp.audit.events import SecondFactorResetUndone, SessionOpened
from idp.factors.models import Credential
from idp.kernel.clock import FixedClock
from idp.kernel.errors import Refused
from idp.sessions.models import Session
from tests.admin.desk import ACTOR, RESET, account, in_force, letters, sessions_of
from tests.attacks.parallel import Node, run
from tests.attacks.world import Browser, Page, World
from tests.factories import Somebody
from tests.regressions.test_locks import Turnstile, both
from tests.regressions.ways import MINUTE, on_postgresql


@pytest.fixture
def world(app: Flask, clock: FixedClock) -> World:
    return World(app, clock)


def reset(world: World) -> None:
    with world.app.app_context():
        world.services.service_desk.reset("10234", "anna", **RESET)


def undo(world: World) -> str:
    """`done`, or why not."""
    with world.app.app_context():
        try:
            world.services.service_desk.undo_reset("10234", "anna", **ACTOR)
        except Refused as refused:
            return refused.message_key
        return "done"


def at_code_page(world: World) -> tuple[Browser, Page, Somebody]:
    """A browser whose password was accepted some time ago, and the person who has the code."""
    anna, client = world.make.person(totp=True), world.make.client()
    browser, page = world.at_code_page(client, anna)
    world.clock.move(MINUTE)
    return browser, page, anna


def reasons(world: World, anna: Somebody) -> list[str | None]:
    with world.app.app_context():
        return sessions_of(world.services, anna.id)


def test_password_proven_before_a_reset_counts_no_more(world: World) -> None:
    browser, page, anna = at_code_page(world)
    reset(world)
    answered = browser.submit(page, code=world.code(anna))
    assert answered.prompt == "identify" and reasons(world, anna) == []


def test_session_opened_before_a_reset_is_over(world: World) -> None:
    browser, page, anna = at_code_page(world)
    client_page = browser.submit(page, code=world.code(anna))
    assert client_page.code
    reset(world)
    assert reasons(world, anna) == ["credential_reset"]


@on_postgresql
def test_reset_while_the_person_finishes_signing_in_ends_that_session(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, page, anna = at_code_page(world)
    turnstile, sessions = Turnstile(world), world.services.sessions
    monkeypatch.setattr(sessions, "open", turnstile.around(sessions.open))
    answered, _ = both(turnstile, lambda: browser.press(page, code=world.code(anna)), lambda: reset(world))
    assert answered.status == 303
    assert reasons(world, anna) == ["credential_reset"]
    assert browser.follow(answered).prompt == "identify"


@on_postgresql
def test_person_who_finishes_signing_in_while_the_desk_resets_opens_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, page, anna = at_code_page(world)
    turnstile, sessions = Turnstile(world), world.services.sessions
    monkeypatch.setattr(sessions, "end_all_of", turnstile.around(sessions.end_all_of))
    _, answered = both(turnstile, lambda: reset(world), lambda: browser.press(page, code=world.code(anna)))
    assert answered.status == 303
    assert reasons(world, anna) == [] and browser.follow(answered).prompt == "identify"


@on_postgresql
def test_undo_while_something_new_is_enrolled_waits_for_it_and_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Enrolling locks the account first, as the desk does: here it is held with the new credential already written."""
    anna = world.make.person(totp=True)
    reset(world)
    turnstile = Turnstile(world)

    def enrol() -> None:
        with world.writing() as unit:
            lock_account(unit, anna.id)
            unit.add(Credential(account_id=anna.id, method="email", enrolled_at=world.clock.now()))
            unit.flush()
            turnstile._hold()

    _, undone = both(turnstile, enrol, lambda: undo(world))
    assert undone == "service_desk.enrolled_since"
    with world.app.app_context():
        assert in_force(world.services, anna.id) == ["email"]


@dataclass(frozen=True)
class Waiting:
    """A browser at the page that asks for the code."""

    cookies: dict[str, str]
    url: str
    form: dict[str, str]


def sign_in_at_once(node: Node, given: tuple[Sequence[Waiting], str]) -> list[str]:
    """Process 0 resets; the others answer the code pages that they were given, with the right code."""
    browsers, code = given
    if node.number == 0:
        return node.at_once([lambda: _reset(node)])
    return node.at_once([_answer(node, each, code) for each in browsers])


def _reset(node: Node) -> str:
    reset(node.world)
    return "reset"


def _answer(node: Node, waiting: Waiting, code: str) -> Callable[[], str]:
    browser = Browser(node.world.app, dict(waiting.cookies))
    return lambda: str(browser.post(waiting.url, {**waiting.form, "code": code}).status)


def test_after_a_reset_at_the_same_moment_in_another_process_no_session_of_the_old_proofs_lives(
    world: World, database_url: str
) -> None:
    anna, client = world.make.person(totp=True), world.make.client()
    waiting = [world.at_code_page(client, anna) for _ in range(6)]
    world.clock.move(MINUTE)
    pages = [Waiting(browser.cookies, page.action, page.fields) for browser, page in waiting]
    code = world.code(anna)
    given: list[tuple[Sequence[Waiting], str]] = [([], code), (pages[:3], code), (pages[3:], code)]
    statuses = run(sign_in_at_once, given, database_url, world.clock.now())
    assert statuses[0] == ["reset"] and {status for each in statuses[1:] for status in each} <= {"303"}
    opened = world.events(SessionOpened)
    assert len(opened) <= 1, "a code works once"
    assert reasons(world, anna) == ["credential_reset"] * len(opened)
    with world.app.app_context():
        assert in_force(world.services, anna.id) == []
    for browser, _ in waiting:
        assert browser.begin(client).prompt == "identify"


def undo_at_once(node: Node, _: None) -> list[str]:
    return node.at_once([lambda: undo(node.world)] * 3)


def test_reset_that_is_undone_by_many_at_once_is_undone_once(world: World, database_url: str) -> None:
    anna = world.make.person(totp=True)
    reset(world)
    results = [each for node in run(undo_at_once, [None] * 3, database_url, world.clock.now()) for each in node]
    assert sorted(results) == ["done"] + ["service_desk.undone_already"] * 8
    assert len(world.events(SecondFactorResetUndone)) == 1
    with world.app.app_context():
        assert in_force(world.services, anna.id) == ["totp"] and account(world.services).reset_at is None
        assert len(letters(world.services, "second_factor_reset_undone")) == 1
    assert world.count(Session) == 0
