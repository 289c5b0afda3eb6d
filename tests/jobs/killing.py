"""Workers that are killed at a point: before a statement or commit with a number, or at a point with a name.

    python -m idp.cli worker --application tests.jobs.killing:application

with KILL_AT=7, counted from the first notice on, or KILL_AT=after-send, or from Python, in a process of its own:

    die_at_statement(engine, 7)
    die_at_point(engine, "before-commit-of-end")
    DiesAfterSend()                                        the client for "after-send"

Nothing of this is in the product: what kills is an event listener of SQLAlchemy, or a client that does not return.
"""

import os
import signal
from collections.abc import Mapping
from typing import Any

from flask import Flask
from sqlalchemy import Connection, Engine, event

import idp.wiring
from idp import create_app
from idp.egress.guarded import GuardedClient
from idp.store.engine import db

VARIABLE = "KILL_AT"
AFTER_SEND = "after-send"
# In the order in which a worker comes by. A session ends in one unit of work, in which its notices are inserted; the
# notices are claimed in a second one, sent, and recorded in a third.
POINTS = (
    "before-insert-of-notice",
    "after-insert-of-notice",
    "before-commit-of-end",
    "after-commit-of-end",
    "before-commit-of-claim",
    AFTER_SEND,
    "before-record",
    "before-commit-of-record",
)


def application() -> Flask:
    """The application; its process, a worker, is killed at the statement or point that the environment names."""
    at = os.environ[VARIABLE]
    if at == AFTER_SEND:
        idp.wiring.GuardedClient = DiesAfterSend  # type: ignore[misc]
        return create_app()
    app = create_app()
    with app.app_context():
        if at.isdecimal():
            die_at_statement(db.engine, int(at), only="outbox_messages")
        else:
            die_at_point(db.engine, at)
    return app


def die_at_statement(engine: Engine, number: int, only: str = "") -> None:
    """The process is killed between two statements: before the one with this number (from 1), commits counted too.

    `only`: those are counted that follow the first INSERT into this table, so that waiting for work does not count.
    """
    seen = {"number": 0, "counts": not only}

    def count() -> None:
        seen["number"] += 1
        if seen["number"] == number:
            die()

    def before_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen["counts"] = seen["counts"] or statement.startswith(f"INSERT INTO {only}")
        if seen["counts"]:
            count()

    def before_commit(_connection: Any) -> None:
        if seen["counts"]:
            count()

    event.listen(engine, "before_cursor_execute", before_statement)
    event.listen(engine, "commit", before_commit)


def die_at_point(engine: Engine, point: str) -> None:
    """The process is killed when it comes by a point of the database (all of POINTS but `after-send`)."""
    if point not in POINTS or point == AFTER_SEND:
        raise ValueError(point)

    def reached(name: str) -> None:
        if name == point:
            die()

    # What the open unit of work does, and what the one before did, of each connection: a worker has several threads.
    def before_statement(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if connection.info.pop("did", None) == "end":
            reached("after-commit-of-end")
        does = _does(statement)
        if does == "end":
            reached("before-insert-of-notice")
        if does == "record":
            reached("before-record")
        connection.info["does"] = does or connection.info.get("does")

    def after_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if _does(statement) == "end":
            reached("after-insert-of-notice")

    def before_commit(connection: Connection) -> None:
        connection.info["did"] = connection.info.pop("does", None)
        reached(f"before-commit-of-{connection.info['did']}")

    event.listen(engine, "before_cursor_execute", before_statement)
    event.listen(engine, "after_cursor_execute", after_statement)
    event.listen(engine, "commit", before_commit)
    event.listen(engine, "rollback", lambda connection: connection.info.pop("does", None))


def _does(statement: str) -> str | None:
    """What a statement does with notices."""
    if statement.startswith("INSERT INTO outbox_messages"):
        return "end"
    if not statement.startswith("UPDATE outbox_messages"):
        return None
    if "delivered_at=" in statement:
        return "record"
    return "claim" if "tries=" in statement else None


def die() -> None:
    """No `finally` runs, nothing is flushed or given back."""
    os.kill(os.getpid(), signal.SIGKILL)


class DiesAfterSend(GuardedClient):
    """Sends one notice, has its answer, and the process is killed before anybody hears of it."""

    def post(self, url: str, form: Mapping[str, str]) -> int:
        super().post(url, form)
        die()
        raise AssertionError("still alive")
