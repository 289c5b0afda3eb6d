"""Workers that are killed at a named point: before, or after, a statement of the database, or between send and answer.

    python -m idp.cli worker --application tests.jobs.killing:application

with KILL_AT_STATEMENT=7 and KILL_LATER (seconds from the first notice on), or from Python, in a process of its own:

    die_at_statement(engine, 7)
    die_after_send()

Nothing of this is in the product: what kills is an event listener of SQLAlchemy, or a client that does not return.
"""

import os
import signal
from collections.abc import Mapping
from typing import Any

from flask import Flask
from sqlalchemy import Engine, event

from idp import create_app
from idp.egress.guarded import GuardedClient
from idp.store.engine import db

VARIABLE = "KILL_AT_STATEMENT"


def application() -> Flask:
    """The application; its process is killed at the statement that the environment names."""
    app = create_app()
    with app.app_context():
        die_at_statement(db.engine, int(os.environ[VARIABLE]), only="outbox_messages")
    return app


def die_at_statement(engine: Engine, number: int, only: str = "") -> None:
    """The process is killed between two statements: before the one with this number (from 1), commits counted too.

    `only`: those are counted that follow the first INSERT into this table, so that waiting for work does not count.
    """
    seen = {"number": 0, "counts": not only}

    def count() -> None:
        seen["number"] += 1
        if seen["number"] == number:
            os.kill(os.getpid(), signal.SIGKILL)

    def before_statement(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen["counts"] = seen["counts"] or statement.startswith(f"INSERT INTO {only}")
        if seen["counts"]:
            count()

    def before_commit(_connection: Any) -> None:
        if seen["counts"]:
            count()

    event.listen(engine, "before_cursor_execute", before_statement)
    event.listen(engine, "commit", before_commit)


class DiesAfterSend(GuardedClient):
    """Sends one notice, has its answer, and the process is killed before anybody hears of it."""

    def post(self, url: str, form: Mapping[str, str]) -> int:
        super().post(url, form)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("still alive")
