"""A01-A05, A09, A10: guessing passwords and codes, one after the other and all at once, and using a code twice."""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from idp.attempts.budget import Attempts, MustWait, Paid, Payment
from idp.attempts.models import AttemptBudget
from idp.audit.events import AttemptRefused, CredentialDisabled, PasswordChecked, SecondFactorChecked
from idp.factors.models import Credential
from idp.factors.totp import Totp
from idp.sessions.models import Session
from idp.signin.interaction import Interaction
from idp.wiring import Services
from tests.attacks.parallel import Died, Node, often, run
from tests.attacks.world import STEP, Browser, Page, World, mutation
from tests.conftest import WEAK_HASH, is_long
from tests.factories import Somebody, SomeClient

MINUTE = timedelta(minutes=1)
FREE_TRIES = 5
NODES = 3
PAUSE = 0.2


@dataclass(frozen=True)
class Attack:
    """What each process is told: whom to attack, how often, and what to do to itself first."""

    client: SomeClient
    somebody: Somebody
    times: int
    prepare: Callable[[Node], None] | None = None
    waits_for: int = 0
    """Nobody guesses before so many attempts were paid for in a row."""


def spread(attack: Attack, times: int) -> list[Attack]:
    """The attack, divided over the processes."""
    shares = [times // NODES + (number < times % NODES) for number in range(NODES)]
    return [Attack(attack.client, attack.somebody, share, attack.prepare) for share in shares]


def guess_codes(node: Node, attack: Attack) -> list[int]:
    """As many sign-ins as there are guesses, each at its own code page; then a wrong code in all of them at once."""
    if attack.prepare is not None:
        attack.prepare(node)
    world = node.world
    places = [world.at_code_page(attack.client, attack.somebody) for _ in range(attack.times)]
    return node.at_once([_guess(world, *place, attack, number) for number, place in enumerate(places)])


def _guess(world: World, browser: Browser, page: Page, attack: Attack, number: int) -> Callable[[], int]:
    def act() -> int:
        _wait_for_payments(world, attack.waits_for)
        return browser.press(page, code=world.wrong_code(attack.somebody, number)).status

    return act


def _wait_for_payments(world: World, number: int) -> None:
    deadline = time.monotonic() + 30
    while number and time.monotonic() < deadline:
        with world.reading() as unit:
            if unit.scalar(select(AttemptBudget.in_a_row).where(AttemptBudget.in_a_row >= number)) is not None:
                return
        time.sleep(PAUSE / 5)


def guess_passwords(node: Node, attack: Attack) -> list[int]:
    """The same with passwords."""
    if attack.prepare is not None:
        attack.prepare(node)

    def guess(number: int) -> Callable[[], int]:
        browser = node.world.browser()
        page = browser.begin(attack.client)
        names = {**attack.somebody.names, "password": f"een verkeerd wachtwoord {node.number} {number}"}
        return lambda: browser.press(page, **names).status

    return node.at_once([guess(number) for number in range(attack.times)])


def slow_codes(_node: Node) -> None:
    """Verifying a code takes long enough for everybody else to have read the counter."""
    verify = Totp.verify

    def slowly(*arguments: object) -> object:
        time.sleep(PAUSE)
        return verify(*arguments)  # type: ignore[arg-type]

    Totp.verify = slowly  # type: ignore[method-assign,assignment]


def slow_passwords(node: Node) -> None:
    """The same for passwords."""
    passwords = node.world.services.passwords
    verify = passwords.verify

    def slowly(password: str, stored_hash: str | None) -> object:
        time.sleep(PAUSE)
        return verify(password, stored_hash)

    passwords.verify = slowly  # type: ignore[method-assign,assignment]


def die_while_verifying(_node: Node) -> None:
    """The machine goes down between paying and verifying, when two have paid."""
    both = threading.Barrier(2)

    def die(*_arguments: object) -> object:
        both.wait(30)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")

    Totp.verify = die  # type: ignore[method-assign,assignment]


def check_then_count(node: Node) -> None:
    """THE FAULT of CVE-2024-4629: the counter is read before the verification and written after it."""
    slow_passwords(node)
    services: Services = node.world.services
    verify = services.passwords.verify

    def pay(attempts: Attempts, unit: object, *subject: str) -> Payment:
        key, now = attempts.key(*subject), attempts.now()
        attempts._make_row(unit, key, now)  # type: ignore[arg-type]
        in_a_row = unit.scalar(select(AttemptBudget.in_a_row).filter_by(key=key))  # type: ignore[attr-defined]
        return Paid(in_a_row + 1, None) if in_a_row < FREE_TRIES else MustWait(now + MINUTE)

    def verify_then_count(password: str, stored_hash: str | None) -> object:
        verification = verify(password, stored_hash)
        with services.units.writing() as unit:
            unit.execute(update(AttemptBudget).values(in_a_row=AttemptBudget.in_a_row + 1))
        return verification

    Attempts.pay = pay  # type: ignore[method-assign,assignment]
    services.passwords.verify = verify_then_count  # type: ignore[method-assign,assignment]


# A01


def test_a01_a_right_code_after_five_wrong_ones_waits_and_is_not_used_up(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, page = world.at_code_page(client, anna)
    for number in range(FREE_TRIES):
        browser.submit(page, code=world.wrong_code(anna, number))
    right = world.code(anna, 1)
    refused = browser.submit(page, code=right)
    assert (refused.status, refused.header("Retry-After")) == (429, "60")
    assert world.given_out() == (0, 0)
    assert len(world.events(AttemptRefused)) == 1
    world.clock.move(MINUTE)
    assert browser.submit(page, code=right).code
    assert world.outcomes(SecondFactorChecked) == ["wrong"] * FREE_TRIES + ["right"]


@mutation
def test_a01_without_paying_the_sixth_code_would_be_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Attempts, "pay", lambda *_: Paid(1, None))
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, page = world.at_code_page(client, anna)
    for number in range(FREE_TRIES):
        browser.submit(page, code=world.wrong_code(anna, number))
    assert browser.submit(page, code=world.code(anna)).code


def test_a01_each_wait_is_twice_as_long_as_the_one_before_and_gives_one_try(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, page = world.at_code_page(client, anna)
    for number in range(FREE_TRIES):
        waiting = browser.submit(page, code=world.wrong_code(anna, number))
    for tries, minutes in enumerate((1, 2, 4, 8, 16, 32, 60, 60), start=FREE_TRIES):
        assert waiting.status == 429 and waiting.header("Retry-After") == str(60 * minutes)
        assert browser.submit(page, code=world.wrong_code(anna)).status == 429
        assert world.outcomes(SecondFactorChecked) == ["wrong"] * tries
        world.clock.move(minutes * MINUTE - timedelta(microseconds=1))
        browser, page = _ready(world, client, anna)
        assert browser.submit(page, code=world.code(anna)).status == 429
        world.clock.move(timedelta(microseconds=1))
        waiting = browser.submit(page, code=world.wrong_code(anna))


def _ready(world: World, client: SomeClient, anna: Somebody) -> tuple[Browser, Page]:
    """A fresh sign-in during a wait: the page says to wait, so the form is filled in from the page of the password."""
    browser = world.browser()
    first = browser.begin(client)
    browser.submit(first, **anna.names)
    address = first.action.replace("identify", "verify_second_factor")
    form = f'<form method="post" action="{address}"><input type="hidden" name="csrf_token" value="'
    return browser, Page(address, 200, (), f'{form}{first.hidden("csrf_token")}"></form>'.encode())


def test_a01_after_a_hundred_wrong_codes_in_a_row_the_factor_is_disabled_and_still_counts_as_enrolled(
    world: World,
) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    somewhere_else, _ = world.sign_in(client, anna)
    browser, page = world.at_code_page(client, anna)
    browser.submit(page, code=world.wrong_code(anna))
    with world.writing() as unit:
        unit.execute(update(AttemptBudget).where(AttemptBudget.in_a_row > 0).values(in_a_row=99))
    browser.submit(page, code=world.wrong_code(anna))
    assert len(world.events(CredentialDisabled)) == 1
    with world.reading() as unit:
        assert unit.scalars(select(Session.end_reason)).all() == ["credential_disabled"]
    assert somewhere_else.authorize(client, prompt="none").answer["error"] == "login_required"
    world.clock.move(timedelta(hours=2))
    browser = world.browser()
    page = browser.submit(browser.begin(client), **anna.names)
    assert (page.status, page.prompt) == (403, "verify_second_factor"), "the service desk is next, never the choice"
    browser, form = _ready(world, client, anna)
    before = world.given_out()
    browser.submit(form, code=world.code(anna))
    browser.post(form.action.replace("verify", "enrol"), {"csrf_token": form.hidden("csrf_token"), "method": "totp"})
    assert world.given_out() == before and world.count(Credential) == 1
    with world.reading() as unit:
        assert unit.scalars(select(Interaction.enrolling_sealed)).all() == [None] * world.count(Interaction)


# A02, A03, A05: several processes


def test_a02_parallel_guesses_over_three_processes_are_evaluated_five_times(world: World, database_url: str) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    times = often(1000, 18)
    attacks = spread(Attack(client, anna, 0, slow_codes), times)
    statuses = run(guess_codes, attacks, database_url, world.clock.now(), seconds=600)
    assert [status for each in statuses for status in each] == [303] * times
    assert world.outcomes(SecondFactorChecked) == ["wrong"] * FREE_TRIES
    assert len(world.events(AttemptRefused)) == times - FREE_TRIES


def test_a02_what_a_process_paid_before_it_was_killed_stays_paid(world: World, database_url: str) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    attacks = [
        Attack(client, anna, 4, slow_codes, waits_for=2),
        Attack(client, anna, 2, die_while_verifying),
        Attack(client, anna, 4, slow_codes, waits_for=2),
    ]
    results = run(guess_codes, attacks, database_url, world.clock.now(), may_die=frozenset({1}))
    assert isinstance(results[1], Died) and results[1].exit_code == -signal.SIGKILL
    assert world.outcomes(SecondFactorChecked) == ["wrong"] * (FREE_TRIES - 2)


def test_a03_parallel_passwords_with_a_slow_verification_are_evaluated_five_times(
    world: World, database_url: str
) -> None:
    client, anna = world.make.client(), world.make.person()
    times = often(200, 18)
    attacks = spread(Attack(client, anna, 0, slow_passwords), times)
    run(guess_passwords, attacks, database_url, world.clock.now(), seconds=600)
    assert world.outcomes(PasswordChecked) == ["wrong"] * FREE_TRIES
    assert len(world.events(AttemptRefused)) == times - FREE_TRIES


@mutation
def test_a03_counting_after_the_verification_would_let_all_of_them_through(world: World, database_url: str) -> None:
    client, anna = world.make.client(), world.make.person()
    attacks = spread(Attack(client, anna, 0, check_then_count), 12)
    together = {"passwords": {**WEAK_HASH, "concurrency": 12}}
    run(guess_passwords, attacks, database_url, world.clock.now(), settings=together)
    assert len(world.outcomes(PasswordChecked)) > FREE_TRIES


def test_a05_when_a_wait_is_over_one_try_is_taken_in_whichever_transaction(world: World, database_url: str) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, page = world.at_code_page(client, anna)
    for number in range(FREE_TRIES):
        browser.submit(page, code=world.wrong_code(anna, number))
    world.clock.move(MINUTE)
    run(guess_codes, spread(Attack(client, anna, 0, slow_codes), 12), database_url, world.clock.now())
    assert world.outcomes(SecondFactorChecked) == ["wrong"] * (FREE_TRIES + 1)
    refused = browser.submit(page, code=world.code(anna))
    assert (refused.status, refused.header("Retry-After")) == (429, "120"), "the old transaction gets no try of its own"
    assert world.outcomes(SecondFactorChecked) == ["wrong"] * (FREE_TRIES + 1)
    world.clock.move(2 * MINUTE)
    assert browser.submit(page, code=world.code(anna)).code


# A04


def test_a04_nothing_but_the_factors_own_success_resets_its_count(world: World) -> None:
    client, organisation = world.make.client(), world.make.organization()
    other = world.make.account(organisation, "bram", totp=True)
    accounts = world.services.accounts

    def change_password(somebody: Somebody) -> Somebody:
        with world.app.app_context():
            accounts.set_password("10234", somebody.username, "een heel nieuw lang geheim 2")
        return Somebody(**{**somebody.__dict__, "password": "een heel nieuw lang geheim 2"})

    def block_and_unblock(somebody: Somebody) -> Somebody:
        with world.app.app_context():
            accounts.block("10234", somebody.username)
            accounts.unblock("10234", somebody.username)
        return somebody

    def somebody_elses_success(somebody: Somebody) -> Somebody:
        world.sign_in(client, other)
        return somebody

    def right_password_again(somebody: Somebody) -> Somebody:
        _ready(world, client, somebody)
        return somebody

    ways: dict[str, Callable[[Somebody], Somebody]] = {
        "a new transaction": lambda somebody: somebody,
        "the right password again": right_password_again,
        "a new password": change_password,
        "blocked and unblocked": block_and_unblock,
        "the success of somebody else": somebody_elses_success,
    }
    for number, (way, happens) in enumerate(ways.items()):
        somebody = world.make.account(organisation, f"persoon{number}", totp=True)
        browser, page = world.at_code_page(client, somebody)
        for attempt in range(FREE_TRIES):
            browser.submit(page, code=world.wrong_code(somebody, attempt))
        somebody = happens(somebody)
        for again, form in (_ready(world, client, somebody), (browser, page)):
            done = again.submit(form, code=world.code(somebody))
            assert done.target is None and not again.session, way
        evaluated = world.outcomes(SecondFactorChecked, account_id=somebody.id)
        assert evaluated == ["wrong"] * FREE_TRIES, way


def test_a04_the_factors_own_success_resets_its_count(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    for _ in range(3):
        browser, page = world.at_code_page(client, anna)
        for number in range(FREE_TRIES - 1):
            browser.submit(page, code=world.wrong_code(anna, number))
        assert browser.submit(page, code=world.code(anna)).code
        world.clock.move(STEP)


# A09, A10


@dataclass(frozen=True)
class Replay:
    """Two processes present the same code, many times."""

    client: SomeClient
    somebody: Somebody
    rounds: int
    prepare: Callable[[Node], None] | None = None


def replay_code(node: Node, replay: Replay) -> list[tuple[int, bool]]:
    """For each round: the status, and whether the code opened a session in this process."""
    if replay.prepare is not None:
        replay.prepare(node)
    results = []
    for _ in range(replay.rounds):
        browser, page = node.world.at_code_page(replay.client, replay.somebody)
        code = node.world.code(replay.somebody)
        node.meet()
        answered = browser.press(page, code=code)
        results.append((answered.status, browser.session is not None))
        node.world.clock.move(STEP)
    return results


def forget_steps(node: Node) -> None:
    """THE FAULT: the step is remembered, but not in the statement that decides."""
    slow_codes(node)

    def use(_factor: Totp, unit: object, credential: Credential, step: int | None, _now: object) -> bool:
        unit.execute(update(Credential).values(last_step=step))  # type: ignore[attr-defined]
        return True

    Totp.use = use  # type: ignore[method-assign,assignment]


def test_a09_one_code_on_two_processes_is_accepted_once(world: World, database_url: str) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    # Each round is two whole sign-ins: a fiftieth would take as long as all other attacks together.
    rounds = 10_000 if is_long() else 20
    given = [Replay(client, anna, rounds)] * 2
    ours, theirs = run(replay_code, given, database_url, world.clock.now(), seconds=rounds + 60)
    assert [status for status, _ in ours + theirs] == [303] * 2 * rounds
    assert [(mine, yours) for (_, mine), (_, yours) in zip(ours, theirs, strict=True) if mine == yours] == []
    assert world.outcomes(SecondFactorChecked).count("right") == rounds


@mutation
def test_a09_without_the_condition_both_would_be_accepted(world: World, database_url: str) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    ours, theirs = run(replay_code, [Replay(client, anna, 3, forget_steps)] * 2, database_url, world.clock.now())
    assert (True, True) in [(mine, yours) for (_, mine), (_, yours) in zip(ours, theirs, strict=True)]


def test_a10_the_code_of_an_older_step_is_refused_after_a_newer_one(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    codes = [world.code(anna, steps) for steps in (-1, 0, 1)]
    browser, page = world.at_code_page(client, anna)
    assert browser.submit(page, code=codes[2]).code
    for older in codes:
        browser, page = world.at_code_page(client, anna)
        assert browser.submit(page, code=older).prompt == "verify_second_factor"
        assert browser.session is None
    assert world.outcomes(SecondFactorChecked) == ["right", "used", "used", "used"]
