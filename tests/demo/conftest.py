from __future__ import annotations

import secrets
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp.demo.relying_party import RelyingPartyConfig, create_relying_party
from idp.kernel.clock import FixedClock
from tests.demo import hostile_provider
from tests.demo.hostile_provider import HostileProvider, Key

BASE_URL = "http://127.0.0.1:8001"


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 2, 2, 9, 30, tzinfo=UTC))


@pytest.fixture(scope="session")
def rsa_key() -> Key:
    return hostile_provider.new_key("RS256", "first")


@pytest.fixture(scope="session")
def other_rsa_key() -> Key:
    return hostile_provider.new_key("RS256", "second")


@pytest.fixture
def provider(clock: FixedClock, rsa_key: Key) -> Iterator[HostileProvider]:
    with hostile_provider.running(clock, rsa_key) as running:
        yield running


@pytest.fixture
def config(provider: HostileProvider) -> RelyingPartyConfig:
    return RelyingPartyConfig(
        name="Atosi",
        issuer=provider.issuer,
        client_id="atosi",
        client_secret=provider.clients["atosi"],
        base_url=BASE_URL,
        secret_key=secrets.token_urlsafe(),
        session_cookie="atosi_session",
        accent="plum",
        other_name="Rapportages",
        other_url="http://127.0.0.1:8002",
    )


@pytest.fixture
def application(config: RelyingPartyConfig, clock: FixedClock) -> Flask:
    return create_relying_party(config, clock, background=False)


@pytest.fixture
def browser(application: Flask) -> FlaskClient:
    return application.test_client()
