"""What tests stand on: both databases, a clock that stands still, an application, people and clients in it.

Every test that asks for `database_url` (directly, or through `app`) runs on SQLite and on PostgreSQL, each time on a
database of its own that was copied from a migrated one.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask
from jinja2 import FileSystemBytecodeCache

from idp import create_app
from idp.kernel.clock import FixedClock
from idp.oidc.keys import listed
from idp.oidc.models import SigningKey
from idp.settings import Settings
from idp.store import schema
from idp.wiring import Services
from tests.canary import look_into, no_secret_is_logged  # noqa: F401 - a fixture for every test
from tests.factories import Factories
from tests.services.postgresql import Postgresql, session_postgresql

ISSUER = "https://login.example"
SECRET_KEY = "a secret key that only the tests know, 0123456789"
# A Monday in winter, 14:35 in Amsterdam.
START = datetime(2026, 11, 23, 13, 35, tzinfo=UTC)
# Compiled once for all applications of this process; the folder is gone with it.
TEMPLATES_FOLDER = tempfile.TemporaryDirectory(prefix="idp-templates-", ignore_cleanup_errors=True)
atexit.register(TEMPLATES_FOLDER.cleanup)
COMPILED_TEMPLATES = FileSystemBytecodeCache(TEMPLATES_FOLDER.name)
KEYS: dict[str, list[dict[str, Any]]] = {}
WEAK_HASH = {"time_cost": 1, "memory_kib": 8, "parallelism": 1}


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    with session_postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql_template(postgresql: Postgresql) -> str:
    """The name of a migrated, empty database to copy."""
    name = f"template_{uuid4().hex}"
    schema.upgrade(postgresql.create_database(name))
    return name


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    schema.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database of each kind."""
    if request.param == "sqlite":
        path = tmp_path / "idp.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        look_into(f"sqlite:///{path}")
        return
    server: Postgresql = request.getfixturevalue("postgresql")
    name = f"test_{uuid4().hex}"
    url = server.create_database(name, template=request.getfixturevalue("postgresql_template"))
    yield url
    try:
        look_into(url)
    finally:
        server.drop_database(name)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


def make_settings(database_url: str, **values: Any) -> Settings:
    """Settings for tests, with hashes that cost little."""
    given: dict[str, Any] = {
        "mode": "test",
        "issuer": ISSUER,
        "secret_key": SECRET_KEY,
        "brand_name": "Atosi",
        "service_desk_phone": "088 - 600 6400",
        "database": {"url": database_url},
        "passwords": WEAK_HASH,
    }
    return Settings(**{**given, **values})


@pytest.fixture
def settings_values() -> dict[str, Any]:
    """What a test module changes in the settings; override this fixture."""
    return {}


@pytest.fixture
def settings(database_url: str, settings_values: dict[str, Any]) -> Settings:
    return make_settings(database_url, **settings_values)


@pytest.fixture
def app(settings: Settings, clock: FixedClock) -> Iterator[Flask]:
    """The application with keys, on a database that is otherwise empty."""
    application = create_app(settings, clock)
    application.jinja_env.bytecode_cache = COMPILED_TEMPLATES
    with application.app_context():
        give_keys(application.extensions["idp"])
    yield application
    dispose(application)


def give_keys(services: Services) -> None:
    """The application has signing keys: those of the first application with the same secret key in this process.

    A new RSA key takes longer than most tests.
    """
    secret_key, now = services.settings.secret_key.get_secret_value(), services.clock.now()
    if secret_key not in KEYS:
        services.signing_keys.ensure()
        with services.units.reading() as unit:
            KEYS[secret_key] = [_values(row) for row in listed(unit)]
        return
    with services.units.writing() as unit:
        unit.add_all(SigningKey(**{**values, "created_at": now, "signs_from": now}) for values in KEYS[secret_key])


def _values(row: SigningKey) -> dict[str, Any]:
    return {column.key: getattr(row, column.key) for column in SigningKey.__table__.columns}


def dispose(application: Flask) -> None:
    """No connection of the application is left."""
    from idp.store.engine import db

    with application.app_context():
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def services(app: Flask) -> Iterator[Services]:
    """The application's services, inside its context."""
    with app.app_context():
        found: Services = app.extensions["idp"]
        yield found


@pytest.fixture
def make(app: Flask) -> Factories:
    """Makes organisations, people and clients in the application's database."""
    return Factories(app)


def is_long() -> bool:
    """True under `make test-long`."""
    return os.environ.get("IDP_TEST_LONG") == "1"
