"""Units of work, on both databases: the only way to read and write, and all or nothing."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime

import pytest
from flask import Flask
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from idp.accounts.models import Account, Organization
from idp.kernel.clock import FixedClock
from idp.store.engine import db
from idp.store.units import UnitsOfWork
from idp.wiring import Services
from tests.factories import Factories

Kind = Callable[[], AbstractContextManager[Session]]


@pytest.fixture
def units(services: Services) -> UnitsOfWork:
    return services.units


@pytest.fixture(params=["reading", "writing"])
def kind(request: pytest.FixtureRequest, units: UnitsOfWork) -> Kind:
    """Both kinds of units of work."""
    found: Kind = getattr(units, request.param)
    return found


@pytest.fixture
def now(clock: FixedClock) -> datetime:
    return clock.now()


def _organization(code: str, now: datetime) -> Organization:
    return Organization(org_code=code, name="De Linde", created_at=now)


def _count(units: UnitsOfWork) -> int:
    with units.reading() as unit:
        return int(unit.execute(select(func.count()).select_from(Organization)).scalar_one())


class _Broken(Exception):
    """What a test breaks a unit of work with."""


# Reading


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO participations (session_id, client_id, joined_at) VALUES (1, 'x', '2026-01-01 00:00:00')",
        "UPDATE organizations SET name = 'changed'",
        "DELETE FROM organizations",
        "CREATE TABLE planted (id INTEGER)",
        "DROP TABLE audit_events",
    ],
)
def test_reading_refuses_to_write_by_statement(units: UnitsOfWork, make: Factories, statement: str) -> None:
    make.organization()
    with pytest.raises(DBAPIError, match="(?i)read-?only|readonly|query_only"), units.reading() as unit:
        unit.execute(text(statement))
    assert _count(units) == 1


def test_reading_refuses_to_write_by_core(units: UnitsOfWork, now: datetime) -> None:
    with pytest.raises(DBAPIError), units.reading() as unit:
        unit.execute(insert(Organization).values(org_code="1", name="x", created_at=now))
    assert _count(units) == 0


def test_reading_refuses_an_object_that_was_added_or_changed(
    units: UnitsOfWork, make: Factories, now: datetime
) -> None:
    identifier = make.organization()
    with pytest.raises(RuntimeError, match="reading"), units.reading() as unit:
        unit.add(_organization("2", now))
    with pytest.raises(RuntimeError, match="reading"), units.reading() as unit:
        unit.get_one(Organization, identifier).name = "changed"
    with pytest.raises(RuntimeError, match="reading"), units.reading() as unit:
        unit.delete(unit.get_one(Organization, identifier))
    with units.reading() as unit:
        assert unit.scalars(select(Organization.name)).all() == ["De Linde"]


def test_writing_after_reading_writes(units: UnitsOfWork, now: datetime) -> None:
    # One connection serves both: what reading set on it must not stay.
    for number in range(3):
        with units.reading() as unit:
            unit.execute(text("SELECT 1"))
        with units.writing() as unit:
            unit.add(_organization(str(number), now))
    assert _count(units) == 3


# Writing


def test_writing_commits_everything_together(units: UnitsOfWork, now: datetime) -> None:
    with units.writing() as unit:
        unit.add(_organization("1", now))
        unit.flush()
        unit.execute(insert(Organization).values(org_code="2", name="x", time_zone="Europe/Amsterdam", created_at=now))
    assert _count(units) == 2


def test_error_rolls_everything_back(units: UnitsOfWork, make: Factories, now: datetime) -> None:
    make.organization()
    with pytest.raises(_Broken), units.writing() as unit:
        unit.add(_organization("1", now))
        unit.flush()
        unit.execute(update(Organization).values(name="changed"))
        unit.execute(delete(Organization).where(Organization.org_code == "10234"))
        raise _Broken
    with units.reading() as unit:
        assert unit.execute(select(Organization.org_code, Organization.name)).all() == [("10234", "De Linde")]


def test_error_of_the_database_rolls_everything_back_and_the_next_unit_works(
    units: UnitsOfWork, make: Factories, now: datetime
) -> None:
    make.organization()
    with pytest.raises(DBAPIError), units.writing() as unit:
        unit.add(_organization("1", now))
        unit.flush()
        unit.add(_organization("10234", now))
        unit.flush()
    assert _count(units) == 1
    with units.writing() as unit:
        unit.add(_organization("2", now))
    assert _count(units) == 2


def test_broken_reading_leaves_nothing_open(units: UnitsOfWork) -> None:
    for _ in range(20):  # more often than there are connections
        with pytest.raises(_Broken), units.reading() as unit:
            unit.execute(text("SELECT 1"))
            raise _Broken
    assert _count(units) == 0


# One at a time, and never outside


@pytest.mark.parametrize("inner", ["reading", "writing"])
def test_units_do_not_nest(units: UnitsOfWork, kind: Kind, inner: str, now: datetime) -> None:
    with pytest.raises(RuntimeError, match="do not nest"), kind(), getattr(units, inner)():
        raise AssertionError("a second unit was opened")
    assert _count(units) == 0


def test_statement_outside_of_a_unit_raises(services: Services) -> None:
    with pytest.raises(RuntimeError, match="outside of a unit of work"):
        db.session.execute(text("SELECT 1"))
    db.session.rollback()
    with pytest.raises(RuntimeError, match="outside of a unit of work"):
        db.session.get(Account, 1)
    db.session.rollback()
    with pytest.raises(RuntimeError, match="outside of a unit of work"), db.engine.connect() as connection:
        connection.execute(text("SELECT 1"))


def test_statement_after_a_unit_raises(units: UnitsOfWork, kind: Kind) -> None:
    with kind() as unit:
        unit.execute(text("SELECT 1"))
    with pytest.raises(RuntimeError, match="outside of a unit of work"):
        unit.execute(text("SELECT 1"))
    unit.rollback()


def test_objects_stay_readable_after_their_unit(units: UnitsOfWork, kind: Kind, make: Factories) -> None:
    somebody = make.person()
    with kind() as unit:
        account = unit.get_one(Account, somebody.id)
        assert account.organization.org_code == "10234"
    assert account.username == "anna"
    assert account.organization.name == "De Linde"
    assert account not in db.session()


def test_objects_that_were_written_stay_readable_with_their_keys(units: UnitsOfWork, now: datetime) -> None:
    with units.writing() as unit:
        organization = _organization("1", now)
        unit.add(organization)
    assert organization.id > 0
    assert organization.created_at == now


def test_change_to_an_object_after_its_unit_is_not_written(units: UnitsOfWork, make: Factories) -> None:
    identifier = make.organization()
    with units.writing() as unit:
        organization = unit.get_one(Organization, identifier)
    organization.name = "changed"
    with units.writing() as unit:
        assert unit.get_one(Organization, identifier).name == "De Linde"


# Several at once


@pytest.fixture
def in_thread(app: Flask) -> Iterator[Callable[[Callable[[], None]], threading.Thread]]:
    """Runs something in a thread with a context, and so a session, of its own."""
    threads: list[threading.Thread] = []
    failures: list[BaseException] = []

    def start(work: Callable[[], None]) -> threading.Thread:
        def inside() -> None:
            try:
                with app.app_context():
                    work()
            except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
                failures.append(error)

        thread = threading.Thread(target=inside)
        threads.append(thread)
        thread.start()
        return thread

    yield start
    for thread in threads:
        thread.join(20)
    assert not failures


def test_increments_at_once_are_all_counted(
    units: UnitsOfWork, make: Factories, in_thread: Callable[[Callable[[], None]], threading.Thread]
) -> None:
    identifier = make.organization(name="0")

    def increment() -> None:
        for _ in range(10):
            with units.writing() as unit:
                row = unit.scalars(select(Organization).filter_by(id=identifier).with_for_update()).one()
                row.name = str(int(row.name) + 1)

    for thread in [in_thread(increment) for _ in range(4)]:
        thread.join(20)
    with units.reading() as unit:
        assert unit.get_one(Organization, identifier).name == "40"


def test_reader_sees_nothing_of_what_is_not_committed(
    units: UnitsOfWork, now: datetime, in_thread: Callable[[Callable[[], None]], threading.Thread]
) -> None:
    written, looked = threading.Event(), threading.Event()
    seen: list[int] = []

    def write() -> None:
        with units.writing() as unit:
            unit.add(_organization("1", now))
            unit.flush()
            written.set()
            assert looked.wait(20)

    writer = in_thread(write)
    assert written.wait(20)
    seen.append(_count(units))
    looked.set()
    writer.join(20)
    seen.append(_count(units))
    assert seen == [0, 1]
