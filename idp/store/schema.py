"""Migrations: from any earlier state of a database to the tables of this release.

    upgrade    every migration that is missing is applied, in one transaction; two processes at once do it once
    pending    which are missing
    check      what differs from the models

The migrations stand in the folder `migrations`. There is no way back: each is safe while the release before it still
runs, so a release is taken back without touching the database.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Connection,
    DefaultClause,
    Engine,
    MetaData,
    create_engine,
    event,
    inspect,
    text,
)
from sqlalchemy.engine import make_url

from idp.kernel.resources import folder

# Any number, as long as it is the same on every node: only one of them migrates at a time.
ADVISORY_LOCK = 7_206_515


def upgrade(url: str) -> Sequence[str]:
    """The database has the tables of this release; the migrations that were applied now, oldest first.

    A missing SQLite file is made, with its folder, readable by its owner alone.
    """
    _make_file(url)
    with _connection(url) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK})
        missing = pending_of(_revision(connection))
        if missing:
            config = configuration()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return missing


def current(url: str) -> str | None:
    """The revision of the database; None when it was never migrated or does not exist."""
    if not _exists(url):
        return None
    with _connection(url) as connection:
        return _revision(connection)


def head() -> str:
    """The revision that this release needs."""
    newest = _scripts().get_current_head()
    if newest is None:
        raise RuntimeError("this installation holds no migrations")
    return newest


def pending(url: str) -> Sequence[str]:
    """The migrations that are missing, oldest first. None are when a later release migrated the database already."""
    return pending_of(current(url))


def check(url: str, metadata: MetaData) -> list[str]:
    """What differs between the database and the models, one sentence each; empty when they agree."""
    missing = pending(url)
    if missing:
        return [f"migration {revision} is missing" for revision in missing]
    with _connection(url) as connection:
        options = {"compare_type": True, "compare_server_default": default_differs}
        context = MigrationContext.configure(connection, opts=options)
        differences = [_sentence(difference) for difference in compare_metadata(context, metadata)]
        return differences + list(_check_constraints(connection, metadata))


def default_differs(
    context: MigrationContext,
    inspected: Column[Any],
    modelled: Column[Any],
    inspected_default: str | None,
    modelled_default: DefaultClause | None,
    rendered_default: str | None,
) -> bool | None:
    """Whether a column of JSON has another default than its model, which PostgreSQL cannot be asked: it compares no
    JSON. None: it can be asked.
    """
    if not isinstance(modelled.type, JSON):
        return None
    return _plain(inspected_default) != _plain(rendered_default)


def _plain(default: str | None) -> str:
    return (default or "").removesuffix("::json").strip("'")


def configuration() -> Config:
    """What Alembic needs to know; a caller adds its `connection` as an attribute."""
    config = Config()
    # Alembic reads `%` as the start of a placeholder.
    config.set_main_option("script_location", str(folder("migrations")).replace("%", "%%"))
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(folder("migrations")))


def pending_of(revision: str | None) -> Sequence[str]:
    """The migrations that a database at this revision (None: an empty one) misses, oldest first."""
    known = [script.revision for script in _scripts().walk_revisions()][::-1]
    if revision is None:
        return known
    # What this release does not know came from a later one.
    return known[known.index(revision) + 1 :] if revision in known else ()


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    """A connection in one transaction, committed at the end."""
    opened = engine(url)
    try:
        with opened.begin() as connection:
            yield connection
    finally:
        opened.dispose()


def engine(url: str) -> Engine:
    """An engine for changing tables: no units of work, and on SQLite each transaction takes the write lock at once."""
    made = create_engine(url)
    if made.dialect.name == "sqlite":
        event.listen(made, "connect", _take_over_transactions)
        event.listen(made, "begin", _begin)
    return made


def _take_over_transactions(connection: object, _record: object) -> None:
    # Python's driver would commit before each change of a table. Foreign keys stay off (SQLite's default): batch
    # operations replace whole tables.
    connection.isolation_level = None  # type: ignore[attr-defined]
    connection.execute("PRAGMA busy_timeout=30000")  # type: ignore[attr-defined]


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _file(url: str) -> Path | None:
    parsed = make_url(url)
    return Path(parsed.database) if parsed.drivername.startswith("sqlite") and parsed.database else None


def _exists(url: str) -> bool:
    file = _file(url)
    return file is None or file.exists()


def _make_file(url: str) -> None:
    file = _file(url)
    if file is not None and not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_WRONLY, 0o600))


def _check_constraints(connection: Connection, metadata: MetaData) -> Iterator[str]:
    """Alembic does not compare CHECK constraints. By name: each database writes their text in its own way."""
    inspector = inspect(connection)
    for table in metadata.sorted_tables:
        if not inspector.has_table(table.name):
            continue
        wanted = {str(each.name) for each in table.constraints if isinstance(each, CheckConstraint)}
        present = {str(each["name"]) for each in inspector.get_check_constraints(table.name)}
        yield from (f"{table.name}: CHECK constraint {name} is missing" for name in sorted(wanted - present))
        yield from (f"{table.name}: CHECK constraint {name} is not in the models" for name in sorted(present - wanted))


def _sentence(difference: object) -> str:
    parts = difference[0] if isinstance(difference, list) else difference
    action, *subjects = parts if isinstance(parts, tuple) else (parts,)
    named = [str(getattr(subject, "name", None) or subject) for subject in subjects if subject is not None]
    return f"{str(action).replace('_', ' ')}: {' '.join(named)}"
