"""Rows of the paths that everybody takes, written without the unit of work's own bookkeeping."""

from functools import cache
from typing import Any

from sqlalchemy import Insert, Table, insert
from sqlalchemy.orm import Session

from idp.store.base import Base


def add(session: Session, model: type[Base], **values: Any) -> None:
    """The row exists in this unit of work, after what was added to it before. No object stands for the row.

    The statement is made once: making it takes longer than asking.
    """
    session.flush()
    session.execute(_insert(model), values)


@cache
def _insert(model: type[Base]) -> Insert:
    table = model.__table__
    if not isinstance(table, Table):
        raise TypeError(f"{model.__name__} has no table of its own")
    return insert(table)
