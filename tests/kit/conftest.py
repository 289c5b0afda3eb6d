from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from idp.kernel.clock import FixedClock
from idp_kit import KitConfig, MemoryStore, SessionKit, SqliteStore, Store
from tests.demo.conftest import clock, other_rsa_key, provider, rsa_key
from tests.demo.hostile_provider import HostileProvider, consent_at

__all__ = ["clock", "other_rsa_key", "provider", "rsa_key"]

BASE_URL = "http://127.0.0.1:8001"
BY_A_PERSON = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Sec-Fetch-User": "?1"}
BY_OUR_PAGE = {"Origin": BASE_URL, "X-Session-Kit": "1"}

MakeKit = Callable[..., SessionKit]


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "sessions.db")
    yield made
    made.close()


@pytest.fixture
def make_kit(provider: HostileProvider, clock: FixedClock) -> Iterator[MakeKit]:
    """An application with the kit and one page of its own, at the provider that lies when it is told to."""
    made: list[SessionKit] = []

    def make(store: Store | None = None, **config: object) -> SessionKit:
        app = Flask("tests.kit")
        given = {
            "issuer": provider.issuer,
            "client_id": "atosi",
            "client_secret": provider.clients["atosi"],
            "base_url": BASE_URL,
            "secret_key": "a key for tests only",
        }
        kit = SessionKit(app, KitConfig(**(given | config)), store, clock, background=False)  # type: ignore[arg-type]
        app.add_url_rule("/", "home", kit.login_required(lambda: f"Welkom {kit.login and kit.login.sub}"))
        app.add_url_rule("/signed-out", "signed_out", lambda: f"uit: {kit.ended}")
        app.add_url_rule("/page", "page", lambda: f"<head>{kit.session_script()}</head>")
        made.append(kit)
        return kit

    yield make
    for kit in made:
        kit.close()


@pytest.fixture
def kit(make_kit: MakeKit, store: Store) -> SessionKit:
    return make_kit(store)


@pytest.fixture
def browser(kit: SessionKit) -> FlaskClient:
    """A browser in which somebody is signed in."""
    return signed_in(kit)


def signed_in(kit: SessionKit, browser: FlaskClient | None = None) -> FlaskClient:
    browser = browser or kit.app.test_client()
    arrived = come_back(browser)
    assert arrived == "/", arrived
    return browser


def come_back(browser: FlaskClient) -> str | None:
    """Where the application leads somebody who came back from the provider; None when it refuses."""
    parts = urlsplit(consent_at(browser.get("/login").headers["Location"]))
    return browser.get(f"{parts.path}?{parts.query}").headers.get("Location")


def is_signed_in(browser: FlaskClient) -> bool:
    """What a script of a page is told, which counts as nothing."""
    return browser.get("/", headers={"Sec-Fetch-Dest": "empty"}).status_code == 200


def click(browser: FlaskClient) -> None:
    browser.get("/", headers=BY_A_PERSON)


def tell(browser: FlaskClient, idle_seconds: object = 0, **headers: str) -> object:
    """The report of a page, and its answer but for the mark."""
    answer = browser.post("/session/activity", json={"idle_seconds": idle_seconds}, headers=BY_OUR_PAGE | headers)
    return unmarked(answer.json) if answer.status_code == 200 else answer.status_code


def asked(browser: FlaskClient) -> dict[str, Any]:
    """What a page is told that asks, but for the mark."""
    return unmarked(browser.get("/session/status").json)


def unmarked(answer: Any) -> dict[str, Any]:
    """Without the mark of the login, which is there exactly when somebody is signed in."""
    assert isinstance(answer, dict) and ("mark" in answer) == answer["signed_in"]
    return {name: value for name, value in answer.items() if name != "mark"}
