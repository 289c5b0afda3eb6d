"""A provider on a database of its own for each test; the signing keys are made once, because that takes longest."""

import pytest
from flask import Flask

from idp.kernel.clock import FixedClock
from tests.attacks.world import World
from tests.journeys.conftest import app as app
from tests.journeys.conftest import signing_keys as signing_keys


@pytest.fixture
def world(app: Flask, clock: FixedClock) -> World:
    return World(app, clock)
