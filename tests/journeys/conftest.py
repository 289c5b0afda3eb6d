"""People, applications and browsers for the journeys."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import insert, inspect

from idp import create_app
from idp.kernel.clock import FixedClock
from idp.oidc.models import SigningKey
from idp.settings import Settings
from tests.conftest import dispose
from tests.journeys.driver import World


@pytest.fixture(scope="session")
def signing_keys() -> list[dict[str, Any]]:
    """The rows of the first application's keys: making an RSA key takes longer than a whole journey."""
    return []


@pytest.fixture
def app(settings: Settings, clock: FixedClock, signing_keys: list[dict[str, Any]]) -> Iterator[Flask]:
    application = create_app(settings, clock)
    with application.app_context():
        services = application.extensions["idp"]
        if not signing_keys:
            services.signing_keys.ensure()
            with services.units.reading() as unit:
                names = [column.key for column in inspect(SigningKey).columns]
                rows = unit.query(SigningKey).all()
                signing_keys.extend({name: getattr(row, name) for name in names} for row in rows)
        else:
            with services.units.writing() as unit:
                unit.execute(insert(SigningKey), signing_keys)
    yield application
    dispose(application)


@pytest.fixture
def world(app: Flask, clock: FixedClock) -> World:
    return World(app, clock)
