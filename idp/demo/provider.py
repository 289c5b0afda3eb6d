"""The provider of the demonstration: what `idp serve` runs, with a clock that can be moved."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from flask import Flask

from idp import create_app
from idp.demo.processes import end_with_parent
from idp.kernel.clock import Clock, ShiftedClock, SystemClock
from idp.settings import Settings, load, parse_duration
from idp.store.engine import db
from idp.wiring import Services

LATER = "IDP_DEMO_LATER"
APPLICATION = "idp.demo.provider:application"
SETTINGS = "IDP_"


def clock_later(later: timedelta) -> Clock:
    """The clock of this machine, moved."""
    return ShiftedClock(SystemClock(), later) if later else SystemClock()


def environment(config: Path, host: str) -> Mapping[str, str]:
    """The environment of a provider that heeds this configuration file only, and listens on `host`."""
    inherited = {name: value for name, value in os.environ.items() if not name.upper().startswith(SETTINGS)}
    return inherited | {"IDP_CONFIG": str(config), "IDP_SERVER__HOST": host}


def command() -> Sequence[str]:
    """The command line of the provider; it ends when its standard input does."""
    return [
        sys.executable,
        "-m",
        "idp.cli",
        "serve",
        "--until-stdin-closes",
        "--application",
        APPLICATION,
    ]


def application() -> Flask:
    """What each of its processes runs, by the clock that `IDP_DEMO_LATER` moves."""
    end_with_parent()
    return create_app(load(), clock_later(parse_duration(os.environ[LATER])))


@contextmanager
def services_of(settings: Settings, clock: Clock) -> Iterator[Services]:
    """The provider's services in this process, inside the `with` block; after it no connection is left."""
    app = create_app(settings, clock)
    with app.app_context():
        try:
            yield app.extensions["idp"]
        finally:
            db.session.remove()
            db.engine.dispose()
