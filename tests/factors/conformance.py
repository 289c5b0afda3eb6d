"""What every second factor has to do, told once for all of them.

A `Hand` is the person's side of a factor: how they get it, and where they read the right code. A check plays one course
through the real pipeline, over HTTP. `test_conformance` runs every check for every factor, and proves that factors
which are broken on purpose are noticed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Protocol

from sqlalchemy import select

from idp.audit.events import SecondFactorChecked
from idp.audit.trail import events
from idp.factors.models import Credential
from tests.factories import Somebody
from tests.journeys.driver import MINUTE, World, acr
from tests.relying_party import Page

SERVICE_DESK = "Heeft u geen toegang meer tot uw app of mailbox?"


class Hand(Protocol):
    """The person's side of one factor. `lifetime`: after this a code is old. `level` and `amr` are what it proves."""

    name: str
    level: int
    amr: list[str]
    lifetime: timedelta

    def somebody(self, world: World, username: str) -> Somebody:
        """A new person who has the factor."""
        ...

    def code(self, world: World, somebody: Somebody) -> str:
        """What they read now; a page that asks for it was just opened."""
        ...


class App:
    """The authenticator app in somebody's hand."""

    name, level, amr = "totp", 3, ["pwd", "otp", "mfa"]
    lifetime = timedelta(seconds=90)

    def somebody(self, world: World, username: str) -> Somebody:
        return world.person(username, totp=True)

    def code(self, world: World, somebody: Somebody) -> str:
        return world.code(somebody)


class Mailbox:
    """Somebody's mail."""

    name, level, amr = "email", 2, ["pwd", "otp"]
    lifetime = timedelta(minutes=10)

    def somebody(self, world: World, username: str) -> Somebody:
        return world.with_mailbox(world.person(username))

    def code(self, world: World, somebody: Somebody) -> str:
        return world.mailed_code(somebody)


HANDS: tuple[Hand, ...] = (App(), Mailbox())


def wrong_code(world: World, hand: Hand, somebody: Somebody) -> str:
    """A well-formed code that is none of theirs."""
    right = {hand.code(world, somebody)}
    if hand.name == "totp":
        right |= {world.code(somebody, steps) for steps in (-1, 0, 1)}
    else:
        right |= {str(letter.facts["code"]) for letter in world.letters(somebody)}
    return next(code for code in (f"{number}" * 6 for number in range(10)) if code not in right)


def right_answer_signs_in_at_the_level_of_the_factor(world: World, hand: Hand) -> None:
    anna = hand.somebody(world, "anna")
    visit = world.visit().identify(anna)
    assert visit.prompt == "verify_second_factor" and world.sessions() == []
    tokens = visit.type_code(hand.code(world, anna)).tokens()
    assert (tokens.claims["acr"], tokens.claims["amr"]) == (acr(hand.level), hand.amr)


def spaces_and_dashes_in_a_right_answer_do_no_harm(world: World, hand: Hand) -> None:
    anna = hand.somebody(world, "anna")
    visit = world.visit().identify(anna)
    code = hand.code(world, anna)
    assert visit.type_code(f" {code[:3]}-{code[3:]} ").page.has_left


def wrong_answer_opens_nothing(world: World, hand: Hand) -> None:
    anna = hand.somebody(world, "anna")
    visit = world.visit().identify(anna)
    visit.type_code(wrong_code(world, hand, anna))
    assert visit.prompt == "verify_second_factor" and "Deze code klopt niet." in visit.page.text
    assert world.sessions() == []


def answer_that_cannot_be_right_costs_nothing(world: World, hand: Hand) -> None:
    anna = hand.somebody(world, "anna")
    visit = world.visit().identify(anna)
    for typed in ("", "12345", "1234567", "abcdef", "１２３"):
        for _ in range(3):
            visit.type_code(typed)
    assert visit.type_code(hand.code(world, anna)).page.has_left


def replayed_answer_is_refused(world: World, hand: Hand) -> None:
    anna = hand.somebody(world, "anna")
    visit = world.visit().identify(anna)
    code = hand.code(world, anna)
    assert visit.type_code(code).page.has_left
    again = visit.again(prompt="login").identify(anna)
    assert again.type_code(code).prompt == "verify_second_factor", "the same browser"
    other = world.visit().identify(anna)
    assert other.type_code(code).prompt == "verify_second_factor", "another browser"
    assert len(world.sessions()) == 1


def old_answer_is_refused(world: World, hand: Hand) -> None:
    anna = hand.somebody(world, "anna")
    visit = world.visit().identify(anna)
    code = hand.code(world, anna)
    world.clock.move(hand.lifetime)
    assert visit.type_code(code).prompt == "verify_second_factor" and world.sessions() == []


def answer_of_somebody_else_is_refused(world: World, hand: Hand) -> None:
    anna, mallory = hand.somebody(world, "anna"), hand.somebody(world, "mallory")
    theirs = world.visit().identify(mallory)
    visit = world.visit(theirs.browser).identify(anna)
    assert visit.type_code(hand.code(world, mallory)).prompt == "verify_second_factor"
    assert world.sessions() == []


def waits_begin_after_five_wrong_answers_and_a_right_one_within_them_is_not_used_up(world: World, hand: Hand) -> None:
    anna = hand.somebody(world, "anna")
    visit = world.visit().identify(anna)
    assert visit.csrf_token
    wrong = wrong_code(world, hand, anna)
    for _ in range(5):
        visit.type_code(wrong)
    assert visit.page.status == 429
    code = hand.code(world, anna)
    visit.post("verify_second_factor", method=hand.name, code=code)
    assert visit.page.status == 429 and world.sessions() == []
    world.clock.move(MINUTE)
    visit.reload()
    assert visit.type_code(hand.code(world, anna)).page.has_left


def wrong_answers_count_over_all_browsers(world: World, hand: Hand) -> None:
    anna = hand.somebody(world, "anna")
    for _ in range(5):
        visit = world.visit().identify(anna)
        visit.type_code(wrong_code(world, hand, anna))
    assert world.visit().identify(anna).page.status == 429


def hundred_wrong_answers_in_a_row_disable_it_and_it_still_counts_as_enrolled(world: World, hand: Hand) -> None:
    anna = hand.somebody(world, "anna")
    with world.app.app_context():
        attempts = world.services.answers.verify.attempts
        for _ in range(99):
            world.clock.move(61 * MINUTE)
            with world.services.units.writing() as unit:
                attempts.pay(unit, str(anna.id), hand.name)
    world.clock.move(61 * MINUTE)
    visit = world.visit().identify(anna)
    assert visit.csrf_token
    visit.type_code(wrong_code(world, hand, anna))
    assert visit.page.status == 403 and SERVICE_DESK in visit.page.text
    visit.post("verify_second_factor", method=hand.name, code=hand.code(world, anna))
    visit.post("enrol_second_factor", method="totp")
    assert world.sessions() == [] and visit.prompt == "verify_second_factor"


def withdrawn_factor_proves_nothing(world: World, hand: Hand) -> None:
    anna = hand.somebody(world, "anna")
    visit = world.visit().identify(anna)
    code = hand.code(world, anna)
    with world.app.app_context(), world.services.units.reading() as unit:
        credential = unit.scalars(select(Credential.id).filter_by(account_id=anna.id)).one()
    world.change(Credential, credential, withdrawn_at=world.clock.now())
    visit.post("verify_second_factor", method=hand.name, code=code)
    assert all(session.level == 1 for session in world.sessions())


def of_many_at_once_one_answer_wins(world: World, hand: Hand) -> None:
    anna = hand.somebody(world, "anna")
    first = world.visit().identify(anna)
    visits = [first, *(world.visit(first.browser).identify(anna) for _ in range(3))]
    code, barrier = hand.code(world, anna), Barrier(len(visits))

    def answer(number: int) -> Page:
        barrier.wait()
        url, token = visits[number].url("verify_second_factor"), visits[number].csrf_token
        return visits[number].browser.post(url, {"csrf_token": token, "method": hand.name, "code": code})

    with ThreadPoolExecutor(len(visits)) as pool:
        list(pool.map(answer, range(len(visits))))
    with world.app.app_context(), world.services.units.reading() as unit:
        outcomes = [event.details["outcome"] for event in events(unit, SecondFactorChecked)]
    assert outcomes.count("right") == 1, outcomes


Check = Callable[[World, Hand], None]
CHECKS: tuple[Check, ...] = (
    right_answer_signs_in_at_the_level_of_the_factor,
    spaces_and_dashes_in_a_right_answer_do_no_harm,
    wrong_answer_opens_nothing,
    answer_that_cannot_be_right_costs_nothing,
    replayed_answer_is_refused,
    old_answer_is_refused,
    answer_of_somebody_else_is_refused,
    waits_begin_after_five_wrong_answers_and_a_right_one_within_them_is_not_used_up,
    wrong_answers_count_over_all_browsers,
    hundred_wrong_answers_in_a_row_disable_it_and_it_still_counts_as_enrolled,
    withdrawn_factor_proves_nothing,
    of_many_at_once_one_answer_wins,
)
