"""`idp demo` as somebody runs it: the command in a process of its own, and what it printed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyotp

from idp.kernel.clock import ShiftedClock, SystemClock
from tests.live import Person
from tests.relying_party import Page
from tests.services.ports import free_ports, is_free
from tests.services.processes import ChildProcess, ProcessFailed

IDP = [sys.executable, "-m", "idp.cli"]
# Standard error of what stands in the arguments goes to the file that `$0` names.
ERRORS_APART = ["sh", "-c", 'exec "$@" 2>"$0"']
STARTS_WITHIN = 150.0


def base_port() -> int:
    """The first of the ports of a demonstration, all of them free."""
    while not is_free((first := free_ports(4)) + 25):
        continue
    return first


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
    return inherited | variables


@dataclass(frozen=True)
class Demo:
    """A running demonstration: what it printed on standard output, and for people."""

    process: ChildProcess
    answer: Mapping[str, Any]
    errors: Path

    @property
    def atosi(self) -> str:
        return str(self.answer["applications"]["atosi"])

    @property
    def rapportages(self) -> str:
        return str(self.answer["applications"]["rapportages"])

    def names(self, username: str) -> dict[str, str]:
        """The login form, filled in."""
        user = self.answer["users"][username]
        return {"organisation": user["organisation"], "username": username, "password": user["password"]}

    def logging_in(self, username: str, person: Person | None = None) -> Page:
        """What somebody meets after the password."""
        person = person or Person()
        return person.submit(person.open(f"{self.atosi}/login"), self.names(username), button="login-submit")


@contextmanager
def running(folder: Path, *arguments: str, **variables: str) -> Iterator[Demo]:
    errors = folder / "stderr"
    process = ChildProcess([*ERRORS_APART, errors, *IDP, "demo", *arguments], environment=environment(**variables))
    with process:
        try:
            process.wait_until(lambda: process.output().endswith("\n"), "it prints a line", timeout=STARTS_WITHIN)
        except ProcessFailed as failure:
            raise ProcessFailed(f"{failure}{errors.read_text()}") from None
        yield Demo(process, json.loads(process.output()), errors)


def code(key: str, later: timedelta = timedelta(0)) -> str:
    """What an authenticator app with this key shows when it is so much later."""
    return pyotp.TOTP(key).at(ShiftedClock(SystemClock(), later).now())
