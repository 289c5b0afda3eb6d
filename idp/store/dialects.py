"""The statements that the databases spell differently."""

from typing import Any

from sqlalchemy import BigInteger, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session


def insert_or(session: Session, table: Any) -> Any:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`, for the database at hand."""
    return (postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert)(table)


def take_turns(session: Session, number: int) -> None:
    """Until this writing unit of work is over, no other one has the turn with this number.

    Taken before anything is read, so that what the last one wrote is seen. On SQLite there is one writer at a time.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(bindparam("turn", number, BigInteger()))))
