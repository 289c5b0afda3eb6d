"""Dates, durations and passwords as they are given on a command line."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import click

from idp.settings import parse_duration

NEW_PASSWORD = "IDP_NEW_PASSWORD"  # noqa: S105 - the name of a variable

CLEARED = object()
"""What was given is the empty text: nothing from now on."""


class Clearable(click.ParamType[object]):
    """A value that the empty text takes away."""

    def __init__(self, name: str, read: Callable[[str], object], form: str) -> None:
        self.name = name
        self._read, self._form = read, form

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> object:
        if not isinstance(value, str):
            return value
        if value == "":
            return CLEARED
        try:
            return self._read(value)
        except ValueError:
            self.fail(f"{value!r} is not {self._form}", param, ctx)


DATE = Clearable("date", date.fromisoformat, "a date such as 2022-02-01")
DURATION = Clearable("duration", parse_duration, "a duration such as 30m or 12h")
TEXT = Clearable("text", str, "text")
JSON_FILE = Clearable("file", lambda name: json.loads(Path(name).read_bytes()), "a file with JSON in it")


class _Claim(click.ParamType[tuple[str, object]]):
    """NAME=VALUE of a claim, the value as JSON where it is no text; an empty one takes the claim away."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, object]:
        if isinstance(value, tuple):
            return value
        name, equals, text = str(value).partition("=")
        if not equals:
            self.fail(f"{value!r} is not NAME=VALUE", param, ctx)
        if not text:
            return name, None
        if name not in ("address", "phone_number_verified"):
            return name, text
        try:
            return name, json.loads(text)
        except (ValueError, RecursionError):
            self.fail(f"{text!r} is not JSON", param, ctx)


CLAIM = _Claim()


def given(options: Mapping[str, object]) -> dict[str, Any]:
    """The options that were given; None for what is cleared."""
    return {name: None if value is CLEARED else value for name, value in options.items() if value is not None}


def new_password(from_stdin: bool, file: Path | None) -> str | None:
    """The password from standard input, a file, IDP_NEW_PASSWORD or a hidden prompt; None when there is none of them.

    A line end at its end does not belong to it. Raises click.UsageError when it is given twice.
    """
    in_environment = os.environ.get(NEW_PASSWORD)
    if sum((from_stdin, file is not None, bool(in_environment))) > 1:
        raise click.UsageError(f"give the password once: --password-stdin, --password-file or {NEW_PASSWORD}")
    if from_stdin:
        return _line(sys.stdin.buffer.read(), "standard input")
    if file is not None:
        return _line(file.read_bytes(), str(file))
    if in_environment:
        return in_environment
    if sys.stdin.isatty():
        typed: str = click.prompt("New password", hide_input=True, confirmation_prompt=True)
        return typed
    return None


def required_password(from_stdin: bool, file: Path | None) -> str:
    """As `new_password`. Raises click.UsageError when there is none."""
    password = new_password(from_stdin, file)
    if password is None:
        raise click.UsageError(
            f"no terminal to ask for the password: use --password-stdin, --password-file or {NEW_PASSWORD}"
        )
    return password


def _line(content: bytes, origin: str) -> str:
    try:
        return content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{origin} is not UTF-8") from error
