"""The application as `idp serve` runs it, which also says in a header of every answer what it asked of its database.

`idp serve --application` runs this where statements are counted. Measured is the application without it.
"""

from threading import local
from typing import Any

from flask import Flask, Response
from sqlalchemy import event

HEADER = "X-Database"
# How a unit of work begins and ends, on SQLite. What follows is what was asked.
FRAME = ("PRAGMA", "BEGIN", "COMMIT", "ROLLBACK")


def application() -> Flask:
    """What each worker process of granian runs."""
    from idp.cli.serving import application as served

    return counted(served())


def counted(app: Flask) -> Flask:
    """Each answer carries `STATEMENTS in UNITS-OF-WORK`, of this request alone."""
    here = local()

    def begin() -> None:
        here.statements = here.units = 0

    def count_statement(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        here.statements = getattr(here, "statements", 0) + (not statement.startswith(FRAME))

    def count_unit(_: Any) -> None:
        here.units = getattr(here, "units", 0) + 1

    def tell(response: Response) -> Response:
        response.headers[HEADER] = f"{here.statements} in {here.units}"
        return response

    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
    event.listen(engine, "before_cursor_execute", count_statement)
    event.listen(engine, "begin", count_unit)
    app.before_request_funcs.setdefault(None, []).insert(0, begin)
    app.after_request(tell)
    return app
