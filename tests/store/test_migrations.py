"""The migrations give the tables that the models describe, on both databases, down to the conditions they check."""

import json
import re
import secrets
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Engine, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from idp.kernel.resources import folder
from idp.schema import metadata
from idp.store import schema
from tests.conftest import START
from tests.services.postgresql import Postgresql, session_postgresql

KINDS = ("sqlite", "postgresql")


@pytest.fixture(scope="module")
def postgresql() -> Iterator[Postgresql]:
    with session_postgresql() as server:
        yield server


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def urls(kind: str, postgresql: Postgresql, tmp_path: Path) -> Iterator[list[str]]:
    """Two empty databases of one kind."""
    if kind == "sqlite":
        yield [f"sqlite:///{tmp_path / 'folder' / name}.db" for name in ("migrated", "modelled")]
        return
    names = [f"migrations_{secrets.token_hex(6)}" for _ in range(2)]
    yield [postgresql.create_database(name) for name in names]
    for name in names:
        postgresql.drop_database(name)


@pytest.fixture
def url(urls: list[str]) -> str:
    return urls[0]


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """An engine for a database that was migrated."""
    schema.upgrade(url)
    made = schema.engine(url)
    yield made
    made.dispose()


def described(url: str) -> dict[str, Any]:
    """Everything that the database itself says about our tables, in an order that means nothing."""
    engine = schema.engine(url)
    with engine.begin() as connection:
        inspector = inspect(connection)
        tables = {
            table: {
                "columns": {
                    each["name"]: (str(each["type"]), each["nullable"], each["default"])
                    for each in inspector.get_columns(table)
                },
                "primary key": inspector.get_pk_constraint(table),
                "foreign keys": _by_name(inspector.get_foreign_keys(table)),
                "unique": _by_name(inspector.get_unique_constraints(table)),
                "check": {
                    str(each["name"]): _normal(each["sqltext"]) for each in inspector.get_check_constraints(table)
                },
                "indexes": {
                    str(each["name"]): (each["column_names"], each["unique"], _condition(each))
                    for each in inspector.get_indexes(table)
                },
            }
            for table in inspector.get_table_names()
            if table != "alembic_version"
        }
    engine.dispose()
    return tables


def _by_name(constraints: list[Any]) -> dict[str, Any]:
    return {each["name"]: each for each in constraints}


def _normal(sql: object) -> str:
    return re.sub(r"\s+", " ", str(sql)).strip()


def _condition(index: Any) -> str:
    options = index.get("dialect_options", {})
    return _normal(options.get("sqlite_where", options.get("postgresql_where", "")))


def test_migrated_database_has_exactly_the_tables_of_the_models(urls: list[str]) -> None:
    migrated, modelled = urls
    schema.upgrade(migrated)
    if modelled.startswith("sqlite"):
        schema._make_file(modelled)
    engine = schema.engine(modelled)
    with engine.begin() as connection:
        metadata.create_all(connection)
    engine.dispose()
    assert described(migrated) == described(modelled)
    assert schema.check(migrated, metadata) == []


def test_all_models_are_known_to_the_metadata() -> None:
    named = set()
    for module in Path(schema.__file__).parents[1].rglob("*.py"):
        named |= set(re.findall(r'__tablename__ = "(\w+)"', module.read_text()))
    assert named == set(metadata.tables)


def test_partial_index_is_partial_in_the_database(url: str) -> None:
    schema.upgrade(url)
    index = described(url)["credentials"]["indexes"]["uq_credentials_account_method_in_force"]
    assert index[0] == ["account_id", "method"] and index[1] and "withdrawn_at IS NULL" in index[2]


def test_check_constraint_of_a_campaign_refuses_a_postponement_without_start(engine: Engine) -> None:
    insert = text(
        "INSERT INTO organizations (org_code, name, time_zone, email_allowed, created_at, postpone_until)"
        " VALUES ('10234', 'Voorbeeld', 'Europe/Amsterdam', :no, :at, '2022-02-01')"
    )
    with pytest.raises(IntegrityError, match="ck_organizations_postpone_within_campaign"), engine.begin() as connection:
        connection.execute(insert, {"no": False, "at": "2022-01-01 00:00:00+00:00"})


def test_upgrade_of_an_upgraded_database_does_nothing(url: str) -> None:
    assert schema.current(url) is None
    assert list(schema.upgrade(url)) == list(schema.pending_of(None))
    assert list(schema.upgrade(url)) == []
    assert schema.current(url) == schema.head()
    assert list(schema.pending(url)) == []


def test_two_upgrades_at_once_are_one(url: str) -> None:
    applied: list[str] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            applied.extend(schema.upgrade(url))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert applied == list(schema.pending_of(None))


def test_database_of_a_later_release_lacks_nothing(engine: Engine, url: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert list(schema.pending(url)) == []
    assert list(schema.upgrade(url)) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("DROP INDEX ix_sessions_live_idle", "add index: ix_sessions_live_idle"),
        ("DROP TABLE campaign_mails", "add table: campaign_mails"),
        ("ALTER TABLE clients DROP COLUMN tos_uri", "add column: clients tos_uri"),
    ],
)
def test_check_names_what_differs(engine: Engine, url: str, change: str, told: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(change))
    assert schema.check(url, metadata) == [told]


def test_check_names_a_missing_check_constraint(postgresql: Postgresql) -> None:
    name = f"migrations_{secrets.token_hex(6)}"
    url = postgresql.create_database(name)
    schema.upgrade(url)
    engine = schema.engine(url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE accounts DROP CONSTRAINT ck_accounts_role_known"))
    engine.dispose()
    assert schema.check(url, metadata) == ["accounts: CHECK constraint ck_accounts_role_known is missing"]
    postgresql.drop_database(name)


def test_check_of_an_empty_database_names_the_migrations(url: str) -> None:
    assert schema.check(url, metadata)[0] == "migration 0001 is missing"


def test_origins_of_browser_applications_that_there_are_are_known_after_the_upgrade(kind: str, url: str) -> None:
    if kind == "sqlite":
        Path(url.removeprefix("sqlite:///")).parent.mkdir()
    engine = schema.engine(url)
    config = schema.configuration()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0007")
        for client_id, application_type, uris in (
            ("spa", "browser", ["https://SPA.example/a", "https://spa.example:443/b", "http://[::1]:8080/"]),
            ("web", "web", ["https://web.example/"]),
        ):
            connection.execute(
                text(
                    "INSERT INTO clients (client_id, client_name, token_endpoint_auth_method, application_type,"
                    " redirect_uris, post_logout_redirect_uris, grant_types, response_types, scope,"
                    " id_token_signed_response_alg, profile, require_pkce, session_activity, first_party, created_at,"
                    " updated_at) VALUES (:id, 'x', 'none', :type, :uris, '[]', '[]', '[]', '', 'RS256', 'oidc', true,"
                    " 'none', false, :now, :now)"
                ),
                {"id": client_id, "type": application_type, "uris": json.dumps(uris), "now": START},
            )
        command.upgrade(config, "head")
        known = connection.execute(text("SELECT client_id, origin FROM client_origins ORDER BY origin")).all()
    engine.dispose()
    assert known == [("spa", "http://[::1]:8080"), ("spa", "https://spa.example")]


def test_sqlite_file_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new' / 'idp.db'}"
    schema.upgrade(url)
    assert stat.S_IMODE(Path(str(make_url(url).database)).stat().st_mode) == 0o600


def test_looking_at_a_missing_sqlite_file_does_not_make_it(tmp_path: Path) -> None:
    file = tmp_path / "idp.db"
    assert schema.current(f"sqlite:///{file}") is None
    assert not file.exists()


def test_migrations_are_numbered_in_their_order_and_import_nothing_of_ours() -> None:
    files = sorted((folder("migrations") / "versions").glob("*.py"))
    revisions = list(schema.pending_of(None))
    assert [file.name[:4] for file in files] == revisions
    assert revisions == [f"{number:04}" for number in range(1, len(revisions) + 1)]
    assert not [file.name for file in files if re.search(r"^(from|import) idp", file.read_text(), re.MULTILINE)]
