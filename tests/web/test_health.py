"""Whether the process works, as the load balancer hears it."""

import logging
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import delete
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from idp import create_app
from idp.kernel.clock import FixedClock
from idp.oidc.models import SigningKey
from idp.settings import Settings
from idp.wiring import Services
from tests.conftest import START, dispose
from tests.services.postgresql import Postgresql


def _get(app: Flask, path: str) -> TestResponse:
    return app.test_client().get(path, base_url="https://login.example")


def _ready(app: Flask) -> tuple[int, Any]:
    response = _get(app, "/health/ready")
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    return response.status_code, response.get_json()


class _UntrustedClock(FixedClock):
    """A clock that lost its source."""

    is_trusted = False


def test_process_that_works_is_live_and_ready(app: Flask) -> None:
    live = _get(app, "/health/live")
    assert (live.status_code, live.get_json()) == (200, {"status": "live"})
    assert _ready(app) == (200, {"status": "ready", "problems": []})


def test_health_needs_no_cookie_and_sets_none(app: Flask) -> None:
    assert not any("Set-Cookie" in _get(app, path).headers for path in ("/health/live", "/health/ready"))


def test_process_without_keys_is_live_but_not_ready(app: Flask, services: Services, clock: FixedClock) -> None:
    with services.units.writing() as unit:
        unit.execute(delete(SigningKey).where(SigningKey.alg == "ES256"))
    assert _ready(app) == (503, {"status": "not ready", "problems": ["keys"]})
    assert _get(app, "/health/live").status_code == 200


def test_process_with_a_clock_it_cannot_trust_is_not_ready(settings: Settings) -> None:
    app = create_app(settings, _UntrustedClock(START))
    with app.app_context():
        app.extensions["idp"].signing_keys.ensure()
    assert _ready(app) == (503, {"status": "not ready", "problems": ["clock"]})
    dispose(app)


@pytest.fixture
def lost(app: Flask, settings: Settings, request: pytest.FixtureRequest) -> Flask:
    """An application whose database is gone."""
    url = make_url(settings.database.url)
    name = url.database or ""
    if url.drivername == "sqlite":
        dispose(app)
        for file in Path(name).parent.glob(f"{Path(name).name}*"):
            file.unlink()
        Path(name).mkdir()
    else:
        server: Postgresql = request.getfixturevalue("postgresql")
        server.drop_database(name)
    return app


def test_process_without_its_database_is_live_but_not_ready_and_says_no_more(
    lost: Flask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    status, said = _ready(lost)
    assert status == 503
    assert "database" in said["problems"]
    assert set(said) == {"status", "problems"}
    assert _get(lost, "/health/live").status_code == 200
