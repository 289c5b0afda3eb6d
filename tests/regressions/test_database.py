"""The database in trouble: what the log tells of it, what a locked or absent one answers, and its clock."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import StatementError

from idp.kernel.clock import FixedClock, SystemClock, ticks
from idp.store.clock import DatabaseClock
from tests.attacks.world import World
from tests.conftest import START
from tests.regressions.ways import MINUTE, on_postgresql, on_sqlite
from tests.services.servers_clock import ServersClock

CANARY = "per-ongeluk-mijn-wachtwoord"
SECOND = timedelta(seconds=1)


def refuse_every(change: str, table: str, world: World) -> None:
    """From now on the table takes no INSERT, or no UPDATE. PostgreSQL quotes the whole row in its message."""
    trigger = f"CREATE TRIGGER refuse BEFORE {change} ON {table} BEGIN SELECT RAISE(ABORT, 'refused'); END"
    with world.writing() as unit:
        is_postgresql = unit.get_bind().dialect.name == "postgresql"
        unit.execute(text(f"ALTER TABLE {table} ADD CHECK (false) NOT VALID" if is_postgresql else trigger))


def test_database_error_in_a_page_puts_nothing_that_was_typed_into_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    browser = world.browser()
    page = browser.begin(world.make.client())
    refuse_every("UPDATE", "interactions", world)
    failed = browser.press(page, organisation="10234", username=CANARY, password=f"{CANARY}-too")
    assert failed.status == 500 and CANARY not in failed.text
    assert "failed in the database: " in caplog.text and "signin/answers/" in caplog.text, "where it happened is logged"
    assert CANARY not in caplog.text


def test_database_error_while_a_wrong_request_is_explained_puts_nothing_of_it_into_the_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    refuse_every("INSERT", "audit_events", world)
    failed = world.browser().get(f"/authorize?client_id={CANARY}")
    assert failed.status == 500
    assert "failed in the database: " in caplog.text and CANARY not in caplog.text


@pytest.mark.parametrize("statement", ["SELECT * FROM missing WHERE x = :value", "SELECT :value || :other"])
def test_error_of_a_statement_never_quotes_what_was_bound_to_it(world: World, statement: str) -> None:
    with pytest.raises(StatementError) as failed, world.reading() as unit:
        unit.execute(text(statement), {"value": CANARY})
    assert CANARY not in f"{failed.value} {failed.value!r}"


class TestLockedSqlite:
    """SQLite's single writer is away for longer than anybody waits for it."""

    pytestmark = on_sqlite

    @pytest.fixture
    def settings_values(self, database_url: str) -> dict[str, Any]:
        return {"database": {"url": database_url, "busy_timeout": timedelta(milliseconds=50)}}

    @pytest.fixture
    def lock(self, database_url: str, world: World) -> Iterator[sqlite3.Connection]:
        path = database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield connection

    def test_locked_database_is_a_page_that_says_when_to_try_again(
        self, world: World, lock: sqlite3.Connection
    ) -> None:
        client = world.make.client()
        lock.execute("BEGIN IMMEDIATE")
        answered = world.browser().authorize(client)
        assert answered.status == 503 and answered.header("Retry-After") == "2"
        assert "<h1>" in answered.text
        lock.execute("ROLLBACK")
        assert world.browser().begin(client).prompt == "identify"

    def test_locked_database_is_503_also_for_a_request_that_is_wrong(
        self, world: World, lock: sqlite3.Connection, caplog: pytest.LogCaptureFixture
    ) -> None:
        lock.execute("BEGIN IMMEDIATE")
        answered = world.browser().get(f"/authorize?client_id={CANARY}")
        assert answered.status == 503 and answered.header("Retry-After") == "2"
        assert CANARY not in caplog.text
        lock.execute("ROLLBACK")
        assert world.browser().get(f"/authorize?client_id={CANARY}").status == 400

    def test_locked_database_is_json_for_the_token_endpoint_and_uses_up_nothing(
        self, world: World, lock: sqlite3.Connection
    ) -> None:
        client = world.make.client()
        _, page = world.sign_in(client, world.make.person())
        lock.execute("BEGIN IMMEDIATE")
        answered = world.redeem(client, page.code)
        assert answered.status == 503 and answered.error == "temporarily_unavailable"
        assert dict(answered.headers)["Retry-After"] == "2"
        lock.execute("ROLLBACK")
        assert world.redeem(client, page.code).status == 200


class TestAbsentPostgresql:
    """Every connection that the application has is cut off."""

    pytestmark = on_postgresql

    def cut_off(self, database_url: str) -> None:
        engine = create_engine(database_url)
        query = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        with engine.connect() as connection:
            assert connection.scalars(text(query)).all()
        engine.dispose()

    def test_connection_that_is_gone_is_503_and_the_next_request_is_answered(
        self, world: World, database_url: str
    ) -> None:
        client = world.make.client()
        assert world.browser().begin(client).prompt == "identify"
        self.cut_off(database_url)
        answered = world.browser().authorize(client)
        assert answered.status == 503 and answered.header("Retry-After") == "2"
        assert world.browser().begin(client).prompt == "identify"

    def test_connection_that_is_gone_is_json_for_the_token_endpoint(self, world: World, database_url: str) -> None:
        client = world.make.client()
        _, page = world.sign_in(client, world.make.person())
        self.cut_off(database_url)
        answered = world.redeem(client, page.code)
        assert answered.status == 503 and answered.error == "temporarily_unavailable"
        assert world.redeem(client, page.code).status == 200


class Ticks:
    """This machine's ticks, and as many more as a test lets pass."""

    def __init__(self) -> None:
        self.more = timedelta(0)

    def __call__(self) -> timedelta:
        return ticks() + self.more


class TestDatabaseClock:
    """The clock that several nodes share, on a machine whose own clock is wrong and is set meanwhile."""

    pytestmark = on_postgresql

    @pytest.fixture
    def local(self, monkeypatch: pytest.MonkeyPatch) -> FixedClock:
        """This machine's clock."""
        clock = FixedClock(START - timedelta(days=1000))
        monkeypatch.setattr(SystemClock, "now", lambda self: clock.now())
        return clock

    @pytest.fixture
    def engine(self, database_url: str) -> Iterator[Engine]:
        engine = create_engine(database_url)
        yield engine
        engine.dispose()

    @pytest.fixture
    def servers_clock(self, database_url: str) -> Iterator[ServersClock]:
        servers_clock = ServersClock(database_url)
        yield servers_clock
        servers_clock.close()

    def test_clock_is_the_servers_however_wrong_this_machines_is_and_when_it_is_set(
        self, engine: Engine, local: FixedClock
    ) -> None:
        clock = DatabaseClock(engine, Ticks())
        for step in (timedelta(0), -timedelta(hours=1), timedelta(days=2)):
            local.move(step)
            assert abs(clock.now() - _servers_time(engine)) < SECOND

    def test_clock_is_carried_on_by_ticks_and_corrected_by_the_next_sample(
        self, engine: Engine, local: FixedClock, servers_clock: ServersClock
    ) -> None:
        passed = Ticks()
        clock = DatabaseClock(engine, passed)
        before = clock.now()
        passed.more = 59 * SECOND
        assert 59 * SECOND <= clock.now() - before < 60 * SECOND
        servers_clock.set_by(5 * MINUTE)
        passed.more = 61 * SECOND
        # No such minute passed for this machine, and the server is right.
        assert abs(clock.now() - _servers_time(engine)) < SECOND

    @pytest.mark.parametrize("back", [MINUTE, timedelta(hours=1), timedelta(days=1)])
    def test_clock_goes_on_by_ticks_when_the_server_is_set_back(
        self,
        engine: Engine,
        local: FixedClock,
        servers_clock: ServersClock,
        caplog: pytest.LogCaptureFixture,
        back: timedelta,
    ) -> None:
        passed = Ticks()
        clock = DatabaseClock(engine, passed)
        before = clock.now()
        servers_clock.set_by(-back)
        for minutes in (1, 2, 3):
            passed.more = minutes * MINUTE
            servers_clock.set_by(MINUTE)
            assert minutes * MINUTE <= clock.now() - before < minutes * MINUTE + 5 * SECOND
        assert clock.is_trusted, "it was sampled, and is the time that passed"
        assert caplog.text.count("ALARM: the database's clock was set back") == 1

    def test_clock_without_a_server_goes_on_and_is_not_trusted_after_five_minutes(
        self, engine: Engine, local: FixedClock, caplog: pytest.LogCaptureFixture
    ) -> None:
        passed = Ticks()
        clock = DatabaseClock(engine, passed)
        before = clock.now()
        clock._engine = create_engine("postgresql+psycopg://127.0.0.1:1/none", connect_args={"connect_timeout": 1})
        trusted = {}
        for minutes in (4, 5):
            passed.more = minutes * MINUTE
            trusted[minutes] = clock.is_trusted
        assert trusted == {4: True, 5: False}
        assert 5 * MINUTE <= clock.now() - before < 5 * MINUTE + 5 * SECOND
        assert "the database's clock could not be read" in caplog.text
        clock._engine = engine
        passed.more = 6 * MINUTE
        assert clock.is_trusted


def _servers_time(engine: Engine) -> datetime:
    with engine.connect() as connection:
        found: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return found.astimezone(UTC)
