"""The session holder, and how a connection of each database is set up."""

from datetime import timedelta
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Connection, Engine, event

from idp.store.base import Base
from idp.store.units import UNIT

# Flask-SQLAlchemy only holds engine and session: models never inherit from `db.Model` and nothing uses `Model.query`.
# Objects stay readable after their unit of work, so that pages are written without a transaction: no expiry on commit.
db = SQLAlchemy(metadata=Base.metadata, disable_autonaming=True, session_options={"expire_on_commit": False})


def engine_options(url: str, pool_size: int) -> dict[str, Any]:
    """Options for `create_engine`; one connection per thread that works, plus none to spare."""
    if url.startswith("sqlite"):
        return {"pool_size": pool_size, "max_overflow": 0, "pool_timeout": 10, "hide_parameters": True}
    return {
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": 5,
        "pool_pre_ping": False,
        "pool_use_lifo": True,
        # What was bound to a statement - hashes, addresses, sealed secrets - never stands in an exception's text.
        "hide_parameters": True,
        "connect_args": {"connect_timeout": 5, "options": "-c timezone=UTC"},
    }


def set_up_connections(engine: Engine, busy_timeout: timedelta) -> None:
    """After this every connection of the engine is durable and every transaction belongs to a unit of work.

    SQLite: WAL with `synchronous=FULL`, because NORMAL can forget the last commits at power loss and so bring a used
    code back to life. Python's own transaction handling is switched off: `BEGIN IMMEDIATE` takes the
    write lock before anything is read, so that a decision cannot be overtaken.
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_connect(busy_timeout))
        event.listen(engine, "begin", _sqlite_begin)
    else:
        event.listen(engine, "begin", _require_unit)


def _sqlite_connect(busy_timeout: timedelta) -> Any:
    milliseconds = busy_timeout // timedelta(milliseconds=1)

    def connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA busy_timeout={milliseconds}")

    return connect


def _sqlite_begin(connection: Connection) -> None:
    if _require_unit(connection) == "writing":
        connection.exec_driver_sql("PRAGMA query_only=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.exec_driver_sql("PRAGMA query_only=ON")
        connection.exec_driver_sql("BEGIN DEFERRED")


def _require_unit(connection: Connection) -> str:
    unit = connection.get_execution_options().get(UNIT)
    if unit not in ("reading", "writing"):
        raise RuntimeError("a statement was run outside of a unit of work: use `units.reading()` or `units.writing()`")
    return str(unit)
