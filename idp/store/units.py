"""Units of work: the only way to talk to the database.

    with units.reading() as session: ...   a deferred, read-only transaction: the database itself refuses to write
    with units.writing() as session: ...   takes the write lock at once (SQLite), commits at the end, or rolls all back

A request holds one connection at a time, so units do not nest. Security decisions are single statements inside
`writing`, in the transaction that writes their consequence. Hashing and signing happen outside.

Rows are locked in one order, so that two units of work never wait for each other: account, interaction, sessions by id,
code or refresh family, access tokens, counters, pushed requests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy.orm import Session, scoped_session

UNIT = "idp_unit"


class UnitsOfWork:
    """Opens units of work on one session holder."""

    def __init__(self, holder: "scoped_session[Any] | scoped_session[Session]") -> None:
        self._holder = holder

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A consistent look at the database. Raises when something tries to write."""
        with self._unit("reading", postgresql_readonly=True) as session:
            yield session
            if session.new or session.dirty or session.deleted:
                raise RuntimeError("a reading unit of work was used to change something")

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """All changes made inside are committed together, or, after an exception, none of them."""
        with self._unit("writing") as session:
            yield session
            session.commit()

    @contextmanager
    def _unit(self, kind: str, **options: Any) -> Iterator[Session]:
        session: Session = self._holder()
        if session.in_transaction():
            raise RuntimeError("units of work do not nest: a request holds one connection at a time")
        try:
            session.connection(execution_options={UNIT: kind, **options})
            yield session
        finally:
            # Objects read in a unit stay readable after it (detached), so that pages can be written without a
            # transaction.
            session.expunge_all()
            session.rollback()
            session.close()
