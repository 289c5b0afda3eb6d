"""What all commands share: their state, errors as one sentence, output for people or as JSON."""

import json
import os
import pwd
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import click
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from idp import create_app, schema
from idp.cli.values import NEW_PASSWORD
from idp.kernel.errors import IdpError
from idp.settings import Settings, format_duration, load
from idp.store.engine import db
from idp.wiring import Services

CONFIG = "IDP_CONFIG"
CONFIG_FILE = "idp.toml"


class Failure(click.ClickException):
    """Something that is told in words, without a traceback."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"idp: {self.format_message()}", file=file, err=file is None)


class CheckFailed(Failure):
    """Nothing went wrong, but what was looked at is not as it should be."""

    exit_code = 3


class State:
    """What the options before the command said."""

    def __init__(self, config: Path | None = None, as_json: bool = False) -> None:
        self.config = config
        self.as_json = as_json

    def settings(self) -> Settings:
        """The settings of this installation; a child process reads the same. Raises Misconfigured."""
        if self.config is not None:
            os.environ[CONFIG] = str(self.config.resolve())
        # Not a setting, and no business of the rest of the program.
        return load(environ={name: value for name, value in os.environ.items() if name != NEW_PASSWORD})

    @contextmanager
    def app(
        self, settings: Settings | None = None, assemble: Callable[[Settings], Flask] = create_app
    ) -> Iterator[Flask]:
        """The application on a database with all its tables. Raises Failure when a migration is missing."""
        settings = settings or self.settings()
        require_migrated(settings)
        app = assemble(settings)
        try:
            yield app
        finally:
            with app.app_context():
                db.engine.dispose()

    @contextmanager
    def services(self, settings: Settings | None = None) -> Iterator[Services]:
        """The use cases, inside the application's context."""
        with self.app(settings) as app, app.app_context():
            found: Services = app.extensions["idp"]
            yield found

    def tell(self, data: object, text: str) -> None:
        """The result: the data as JSON when that was asked for, otherwise the text."""
        click.echo(json.dumps(data, default=_plain, ensure_ascii=False, indent=2) if self.as_json else text)

    def tell_rows(self, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], nothing: str) -> None:
        """Many results: for people some columns, as JSON all of them."""
        self.tell(list(rows), _table(rows, columns) if rows else nothing)

    def tell_one(self, row: Mapping[str, Any]) -> None:
        """One result, with all its fields."""
        self.tell(row, _fields(row))

    def tell_with_rows(
        self, row: Mapping[str, Any], name: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], nothing: str
    ) -> None:
        """One result, and what belongs to it below; as JSON those rows are its field `name`."""
        self.tell({**row, name: list(rows)}, f"{_fields(row)}\n\n{_table(rows, columns) if rows else nothing}")


pass_state = click.make_pass_decorator(State)


def who_you_are() -> str:
    """The name of this process's user in the operating system, or its number where it has no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def require_migrated(settings: Settings) -> None:
    """Raises Failure when the database is not that of this release."""
    missing = schema.pending(settings.database.url)
    if missing:
        raise Failure(
            f"the database {settings.database.shown_url} lacks {len(missing)} migration(s), from {missing[0]} on:"
            " run `idp db upgrade`"
        )


class Command(click.Command):
    """Every command takes --json, before or after its name."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.params.append(
            click.Option(["--json"], is_flag=True, expose_value=False, callback=_ask_for_json, help="Answer in JSON.")
        )


def _ask_for_json(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if value:
        context.ensure_object(State).as_json = True


class Group(click.Group):
    """Commands whose errors are sentences."""

    command_class = Command
    group_class = type

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except IdpError as error:
            raise Failure(error.detail) from error
        except SQLAlchemyError as error:
            reason = str(getattr(error, "orig", None) or error).strip().splitlines()
            raise Failure(f"the database cannot be used: {reason[0] if reason else type(error).__name__}") from error
        except OSError as error:
            raise Failure(f"{error.filename or 'the system'}: {error.strerror or error}") from error


def _plain(value: object) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _shown(value: object) -> str:
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    if isinstance(value, dict):
        return " ".join(f"{name}={_shown(each)}" for name, each in value.items())
    return str(value if isinstance(value, str | int) else _plain(value))


def _fields(row: Mapping[str, Any]) -> str:
    widest = max(map(len, row))
    return "\n".join(f"{name:<{widest}}  {_shown(value)}" for name, value in row.items())


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    lines = [list(columns), *([_shown(row[name]) for name in columns] for row in rows)]
    widths = [max(len(line[number]) for line in lines) for number in range(len(columns))]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
