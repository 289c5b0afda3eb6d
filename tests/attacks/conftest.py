"""An attacked provider: its world on a database of its own, for each test and each kind of database."""

import pytest
from flask import Flask

from idp.kernel.clock import FixedClock
from tests.attacks.world import World


@pytest.fixture
def world(app: Flask, clock: FixedClock) -> World:
    return World(app, clock)
