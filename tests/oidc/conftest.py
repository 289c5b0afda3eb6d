"""One provider per database for all protocol tests: each test makes its own people and clients in it.

Its clock only moves forward. What changes the installation itself (keys, settings, the issuer) asks for `app` instead.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from idp import create_app
from idp.kernel.clock import FixedClock
from tests.conftest import START, dispose, make_settings
from tests.factories import Factories
from tests.oidc.journeys import Browser, Provider, RelyingParty
from tests.services.postgresql import Postgresql


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with _provider(request, tmp_path_factory) as made:
        yield made


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def attacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    """A provider that no other tests use, for those that look at every row again and again."""
    with _provider(request, tmp_path_factory) as made:
        yield made


@contextmanager
def _provider(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    if request.param == "sqlite":
        template: Path = request.getfixturevalue("sqlite_template")
        path = tmp_path_factory.mktemp("protocol") / "idp.db"
        shutil.copyfile(template, path)
        url = f"sqlite:///{path}"
    else:
        server: Postgresql = request.getfixturevalue("postgresql")
        url = server.create_database(f"protocol_{uuid4().hex}", template=request.getfixturevalue("postgresql_template"))
    clock = FixedClock(START)
    # All of these tests are one source, within an hour or two.
    values: dict[str, Any] = {"egress": {"allow_loopback": True}, "audit": {"refusals_per_hour": 1000000}}
    values["tokens"] = {"pushed_requests_per_minute": 100000}
    application = create_app(make_settings(url, **values), clock)
    made = Provider(application, clock, Factories(application))
    with application.app_context():
        made.services.signing_keys.ensure()
    yield made
    dispose(application)


@pytest.fixture
def party(provider: Provider) -> RelyingParty:
    """A confidential first-party client."""
    return provider.client()


@pytest.fixture
def browser(provider: Provider) -> Browser:
    return provider.browser()
