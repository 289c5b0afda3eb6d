"""Attempts are paid before they are verified: five, then waits of 1, 2, 4 ... 60 minutes with one try each."""

import random
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier

import pytest
from flask import Flask
from sqlalchemy import func, select

from idp.attempts.budget import Attempts, Exhausted, Limits, MustWait, Paid, Payment
from idp.attempts.models import AttemptBudget
from idp.kernel.clock import FixedClock
from idp.wiring import Services
from tests.conftest import is_long

MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)
ANNA = "1", "totp"
BRAM = "2", "totp"
DOUBLING = [1, 2, 4, 8, 16, 32, 60, 60, 60]


def limits(disable_after: int | None = 100) -> Limits:
    return Limits(5, 15 * MINUTE, MINUTE, 60 * MINUTE, disable_after)


class Budget:
    """The counters of one kind of secret, each call in a unit of work of its own."""

    def __init__(self, services: Services, clock: FixedClock, disable_after: int | None = 100) -> None:
        self.clock = clock
        self._units = services.units
        self._attempts = Attempts(services.derived_keys, clock, "second_factor", limits(disable_after))

    def pay(self, *subject: str) -> Payment:
        with self._units.writing() as unit:
            return self._attempts.pay(unit, *subject)

    def succeed(self, *subject: str) -> None:
        with self._units.writing() as unit:
            self._attempts.succeed(unit, *subject)

    def waits_until(self, *subject: str) -> datetime | None:
        with self._units.reading() as unit:
            return self._attempts.waiting_until(unit, *subject)

    def rows(self) -> int:
        with self._units.reading() as unit:
            return unit.scalar(select(func.count()).select_from(AttemptBudget)) or 0

    def start_waits(self, *subject: str) -> None:
        for _ in range(5):
            assert isinstance(self.pay(*subject), Paid)


@pytest.fixture
def budget(services: Services, clock: FixedClock) -> Budget:
    return Budget(services, clock)


def test_five_tries_are_free_and_the_sixth_waits_a_minute(budget: Budget) -> None:
    paid = [budget.pay(*ANNA) for _ in range(5)]
    assert paid == [Paid(1, 4), Paid(2, 3), Paid(3, 2), Paid(4, 1), Paid(5, None)]
    until = budget.clock.now() + MINUTE
    assert budget.pay(*ANNA) == MustWait(until)
    assert budget.waits_until(*ANNA) == until


def test_waits_double_up_to_an_hour_with_one_try_each(budget: Budget) -> None:
    budget.start_waits(*ANNA)
    for minutes in DOUBLING:
        until = budget.clock.now() + minutes * MINUTE
        assert budget.pay(*ANNA) == MustWait(until)
        budget.clock.move(minutes * MINUTE - TICK)
        assert budget.pay(*ANNA) == MustWait(until)
        budget.clock.move(TICK)
        assert budget.waits_until(*ANNA) is None
        assert isinstance(budget.pay(*ANNA), Paid)


def test_try_during_a_wait_neither_counts_nor_makes_the_wait_longer(budget: Budget) -> None:
    budget.start_waits(*ANNA)
    until = budget.waits_until(*ANNA)
    for _ in range(20):
        assert budget.pay(*ANNA) == MustWait(until) if until else False
    budget.clock.move(MINUTE)
    assert budget.pay(*ANNA) == Paid(6, None)


def test_fifth_try_within_fifteen_minutes_starts_the_waits_and_one_a_moment_later_does_not(budget: Budget) -> None:
    for subject, distance, waits in ((ANNA, 15 * MINUTE - TICK, True), (BRAM, 15 * MINUTE, False)):
        for _ in range(4):
            budget.pay(*subject)
        budget.clock.move(distance)
        assert isinstance(budget.pay(*subject), Paid)
        assert (budget.waits_until(*subject) is not None) is waits


def test_window_slides(budget: Budget) -> None:
    for _ in range(40):
        assert isinstance(budget.pay(*ANNA), Paid)
        assert budget.waits_until(*ANNA) is None
        budget.clock.move(timedelta(minutes=3, seconds=45))


def test_waits_once_begun_go_on_however_long_nothing_was_tried(budget: Budget) -> None:
    budget.start_waits(*ANNA)
    budget.clock.move(timedelta(days=3))
    assert budget.pay(*ANNA) == Paid(6, None)
    assert budget.pay(*ANNA) == MustWait(budget.clock.now() + 2 * MINUTE)


def test_success_clears_tries_and_waits(budget: Budget) -> None:
    budget.start_waits(*ANNA)
    budget.succeed(*ANNA)
    assert budget.waits_until(*ANNA) is None
    assert [budget.pay(*ANNA) for _ in range(5)][-1] == Paid(5, None)


def test_another_subject_and_another_factor_of_the_same_account_are_untouched(budget: Budget) -> None:
    budget.start_waits(*ANNA)
    assert budget.pay(*BRAM) == Paid(1, 4)
    assert budget.pay("1", "email") == Paid(1, 4)
    budget.succeed("1", "email")
    assert isinstance(budget.pay(*ANNA), MustWait)


def test_subjects_that_read_alike_when_joined_are_different(budget: Budget) -> None:
    budget.start_waits("ab", "c")
    assert budget.pay("a", "bc") == Paid(1, 4)


def test_hundred_wrong_in_a_row_and_nothing_is_verified_any_more(budget: Budget) -> None:
    for number in range(100):
        assert budget.pay(*ANNA) == Paid(number + 1, 4 - number if number < 4 else None)
        budget.clock.move(60 * MINUTE if number >= 4 else TICK)
    budget.clock.move(timedelta(days=400))
    assert budget.pay(*ANNA) == Exhausted()


def test_count_without_a_limit_never_runs_out(services: Services, clock: FixedClock) -> None:
    budget = Budget(services, clock, disable_after=None)
    for _ in range(104):
        assert isinstance(budget.pay(*ANNA), Paid)
        budget.clock.move(60 * MINUTE)


def test_row_is_bounded_and_names_nobody_whatever_was_typed(budget: Budget) -> None:
    assert isinstance(budget.pay("x" * 5000, "\x00'; DROP TABLE attempt_budgets; --"), Paid)
    assert budget.rows() == 1


def test_other_number_of_free_attempts_than_the_table_keeps_is_refused_at_start() -> None:
    with pytest.raises(ValueError, match="five"):
        Limits(4, 15 * MINUTE, MINUTE, 60 * MINUTE, 100)


class Reference:
    """The rule once more, written from the decision, without a database."""

    def __init__(self) -> None:
        self.tries: list[datetime] = []
        self.waits = 0
        self.until: datetime | None = None

    def pay(self, now: datetime) -> Payment:
        if len(self.tries) >= 100:
            return Exhausted()
        if self.until is not None and now < self.until:
            return MustWait(self.until)
        self.tries.append(now)
        recent = sum(1 for moment in self.tries if moment > now - 15 * MINUTE)
        if self.waits or recent >= 5:
            self.until = now + min(2**self.waits, 60) * MINUTE
            self.waits += 1
        return Paid(len(self.tries), None if self.waits else 5 - recent)


@pytest.mark.parametrize("seed", range(40 if is_long() else 2))
def test_any_course_of_tries_successes_and_pauses_goes_as_the_rule_says(budget: Budget, seed: int) -> None:
    chance = random.Random(seed)
    references = {ANNA: Reference(), BRAM: Reference()}
    pauses = [TICK, timedelta(seconds=20), MINUTE, 4 * MINUTE, 15 * MINUTE, 60 * MINUTE]
    for _ in range(150):
        subject = chance.choice([ANNA, ANNA, ANNA, BRAM])
        if chance.random() < 0.04:
            budget.succeed(*subject)
            references[subject] = Reference()
        elif chance.random() < 0.4:
            budget.clock.move(chance.choice(pauses))
        else:
            assert budget.pay(*subject) == references[subject].pay(budget.clock.now())


def test_parallel_tries_each_pay_for_themselves(app: Flask, services: Services, clock: FixedClock) -> None:
    budget, together = Budget(services, clock), Barrier(8)

    def guess(_number: int) -> Payment:
        together.wait()
        with app.app_context():
            return budget.pay(*ANNA)

    with ThreadPoolExecutor(8) as threads:
        payments = list(threads.map(guess, range(8)))
    assert sum(isinstance(payment, Paid) for payment in payments) == 5
    assert sorted(payment.in_a_row for payment in payments if isinstance(payment, Paid)) == [1, 2, 3, 4, 5]
