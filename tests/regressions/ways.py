"""Steps that several of these tests take."""

import json
import re
import time
from base64 import b32decode, urlsafe_b64decode
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from tests.attacks.world import Browser, Page, World
from tests.conftest import ISSUER
from tests.factories import Somebody

MINUTE = timedelta(minutes=1)
REQUIRED: dict[str, Any] = {"required_from": date(2026, 11, 1)}
POSTPONABLE: dict[str, Any] = {**REQUIRED, "postpone_until": date(2027, 2, 1)}

# What only one of the databases can show.
on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def acr(level: int) -> str:
    return f"{ISSUER}/acr/{level}"


def enrol(world: World, browser: Browser, page: Page, somebody: Somebody) -> tuple[Page, Somebody]:
    """On the choice page: an authenticator app, set up with the key that is shown; and the person holding it."""
    shown = browser.submit(page, method="totp")
    key = re.search(r"secret=([A-Z2-7]+)", shown.text)
    assert key, (shown.status, shown.title)
    holding = replace(somebody, totp_secret=b32decode(key.group(1)))
    return browser.submit(shown, method="totp", code=world.code(holding)), holding


def claims_of(id_token: str) -> dict[str, Any]:
    payload = id_token.split(".")[1]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found


def wait_until_somebody_waits(world: World, how_many: int = 1) -> None:
    """So many connections wait for a lock in this PostgreSQL database. Raises AssertionError when none does in time."""
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    for _ in range(200):
        with world.reading() as unit:
            if (unit.scalar(query) or 0) >= how_many:
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits for a lock")
