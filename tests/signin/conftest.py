"""A provider for the state machine: made once, with commits that need not survive a power failure."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event

from idp import create_app
from idp.kernel.clock import FixedClock
from idp.store.engine import db
from tests.conftest import START, dispose, make_settings
from tests.services.postgresql import Postgresql
from tests.signin.machine import FACTORS, Provider


@contextmanager
def provider_at(database_url: str) -> Iterator[Provider]:
    clock = FixedClock(START)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("idp.wiring.second_factors", lambda _tools: FACTORS)
        app = create_app(make_settings(database_url), clock)
    with app.app_context():
        if db.engine.dialect.name == "sqlite":
            event.listen(db.engine, "connect", _hurry)
            db.engine.dispose()
    yield Provider(app, clock)
    dispose(app)


def _hurry(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")


@pytest.fixture(scope="session")
def shared_provider(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """One on SQLite for all machines: each example has people of its own."""
    path = tmp_path_factory.mktemp("machine") / "idp.db"
    shutil.copyfile(sqlite_template, path)
    with provider_at(f"sqlite:///{path}") as provider:
        yield provider


@pytest.fixture
def postgresql_provider(postgresql: Postgresql, postgresql_template: str) -> Iterator[Provider]:
    name = f"test_{uuid4().hex}"
    with provider_at(postgresql.create_database(name, template=postgresql_template)) as provider:
        yield provider
    postgresql.drop_database(name)
