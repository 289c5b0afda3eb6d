"""Counts over many accounts: exact from any number of processes, bounded in rows, by the hour."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from idp.attempts.counts import Counts, source_of
from idp.attempts.models import EventCount
from idp.kernel.clock import FixedClock
from idp.settings import Settings
from idp.wiring import Services
from tests.attacks.parallel import Node, run

HOUR = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def counts(services: Services, clock: FixedClock) -> Counts:
    return Counts(services.derived_keys, clock, "something")


def pay(services: Services, counts: Counts, limit: int, *subject: str) -> bool:
    with services.units.writing() as unit:
        return counts.pay(unit, limit, *subject)


def number(services: Services, counts: Counts, *subject: str) -> int:
    with services.units.reading() as unit:
        return counts.number(unit, *subject)


def test_each_gets_its_own_number_and_a_window_lasts_an_hour(
    services: Services, counts: Counts, clock: FixedClock
) -> None:
    with services.units.writing() as unit:
        assert [counts.count(unit, "a") for _ in range(3)] == [1, 2, 3]
        assert counts.count(unit, "b") == 1
    clock.move(HOUR - INSTANT)
    assert number(services, counts, "a") == 3
    with services.units.reading() as unit:
        assert counts.left(unit, "a") == INSTANT and counts.left(unit, "nobody") == timedelta()
    clock.move(INSTANT)
    assert number(services, counts, "a") == 0
    with services.units.writing() as unit:
        assert counts.left(unit, "a") == timedelta()
        assert counts.count(unit, "a") == 1
        assert counts.left(unit, "a") == HOUR


def test_payment_above_the_limit_is_refused_and_counts_nothing(
    services: Services, counts: Counts, clock: FixedClock
) -> None:
    assert [pay(services, counts, 2, "a") for _ in range(4)] == [True, True, False, False]
    assert number(services, counts, "a") == 2
    assert pay(services, counts, 3, "a")
    clock.move(HOUR)
    assert pay(services, counts, 1, "a") and not pay(services, counts, 1, "a")


def test_what_is_given_back_can_be_paid_again_but_never_more_than_was_paid(services: Services, counts: Counts) -> None:
    assert pay(services, counts, 1, "a")
    for _ in range(3):
        with services.units.writing() as unit:
            counts.give_back(unit, "a")
            counts.give_back(unit, "nobody")
    assert number(services, counts, "a") == 0
    assert [pay(services, counts, 1, "a") for _ in range(2)] == [True, False]


def test_nothing_is_given_back_to_a_window_that_is_over(services: Services, counts: Counts, clock: FixedClock) -> None:
    assert pay(services, counts, 1, "a")
    clock.move(HOUR)
    with services.units.writing() as unit:
        counts.give_back(unit, "a")
    with services.units.reading() as unit:
        assert unit.scalars(select(EventCount.number)).all() == [1]


def test_windows_of_one_subject_share_one_row_that_names_nobody(
    services: Services, counts: Counts, clock: FixedClock
) -> None:
    for _ in range(5):
        with services.units.writing() as unit:
            counts.count(unit, "192.0.2.1" * 1000)
        clock.move(HOUR)
    with services.units.reading() as unit:
        (row,) = unit.scalars(select(EventCount)).all()
    assert len(row.key) == 32 and row.kind == "something"


def test_kinds_and_subjects_are_apart(services: Services, counts: Counts, clock: FixedClock) -> None:
    other = Counts(services.derived_keys, clock, "something else")
    with services.units.writing() as unit:
        counts.count(unit, "a", "b")
        counts.count(unit, "ab")
        other.count(unit, "a", "b")
        assert unit.scalar(select(func.count()).select_from(EventCount)) == 3


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
        (None, "unknown"),
        ("unix:", "unknown"),
        ("<script>", "unknown"),
    ],
)
def test_source_is_an_address_or_a_network_that_one_party_has(address: str | None, source: str) -> None:
    assert source_of(address) == source


def pay_in_parallel(node: Node, times: int) -> int:
    services = node.world.services
    counts = Counts(services.derived_keys, services.clock, "something")

    def act() -> bool:
        with node.world.app.app_context():
            return pay(services, counts, 7, "a")

    return sum(node.at_once([act] * times))


def test_three_processes_pay_exactly_as_often_as_the_limit_says(
    services: Services, counts: Counts, settings: Settings, clock: FixedClock
) -> None:
    assert sum(run(pay_in_parallel, [5] * 3, settings.database.url, clock.now())) == 7
    assert number(services, counts, "a") == 7
