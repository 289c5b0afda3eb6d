"""Arbitrary JSON and bytes at the endpoints of registration: never our fault (5xx), no row of a refused request."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from idp import create_app
from idp.admin.client_metadata import MEMBERS
from idp.kernel.clock import FixedClock
from tests.conftest import START, dispose, is_long, make_settings
from tests.oidc.registering import CALLBACK, METADATA, Registrations
from tests.services.postgresql import Postgresql

SETTINGS = settings(
    max_examples=2000 if is_long() else 80,
    derandomize=not is_long(),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
TEXTS = [
    "",
    "\x00",
    "\ud800",
    "\u202e",
    "a\r\nSet-Cookie: a=b",
    "none",
    "https://rp.example/" + "a" * 3000,
    "https://[::1",
    "https://rp.example:99999999/",
    "https://rp.example/\udcff",
    "http://127.0.0.1:1/",
    "com.example.app:/callback",
    "javascript:alert(1)",
    "native",
    "web",
    "browser",
    "fapi2",
    "pairwise",
    "client_secret_jwt",
    "private_key_jwt",
    "HS512",
    "refresh_token",
    "reported",
    "openid openid offline_access",
    CALLBACK,
]
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from([*TEXTS, 2**31, -1]), st.text(max_size=20)
)
JWK = st.dictionaries(st.sampled_from(["kty", "crv", "x", "y", "n", "e", "kid", "use", "alg", "d", "k"]), SCALARS)
VALUES = st.one_of(
    SCALARS,
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner)),
    st.fixed_dictionaries({"keys": st.lists(JWK, max_size=3) | SCALARS}),
    st.lists(st.sampled_from(TEXTS), max_size=3),
)
NAMES = st.sampled_from(
    [
        *(name for name in MEMBERS if name not in ("sector_identifier_uri", "logo_uri")),
        *("client_id", "client_secret", "software_statement", "registration_access_token", "client_name#nl"),
        *("policy_uri#", "tos_uri#\u00fc", "resources", "deleted_at", "first_party"),
    ]
)
CHANGES = st.dictionaries(NAMES, VALUES, max_size=6)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def registrations(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registrations]:
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("registration") / "idp.db"
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copyfile(template, path)
        url = f"sqlite:///{path}"
    else:
        server: Postgresql = request.getfixturevalue("postgresql")
        name = f"registration_{uuid4().hex}"
        url = server.create_database(name, template=request.getfixturevalue("postgresql_template"))
    rules = {"mode": "open", "max_per_minute": 10000}
    application = create_app(make_settings(url, registration=rules), FixedClock(START))
    yield Registrations(application)
    dispose(application)


def judged(answer: TestResponse, before: dict[str, int], registrations: Registrations) -> None:
    assert answer.status_code in (200, 201, 400, 401), answer.text
    assert answer.content_type == "application/json" and answer.headers["Cache-Control"] == "no-store"
    after = registrations.rows()
    if answer.status_code >= 400:
        assert after == before, answer.text
        return
    # One client with its origins, and its event.
    grown = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    grown.pop("client_origins", None)
    assert grown == {"audit_events": 1} | ({"clients": 1} if answer.status_code == 201 else {})
    told: dict[str, Any] = answer.json or {}
    assert all(value is not None for value in told.values())


@SETTINGS
@given(changes=CHANGES)
def test_any_metadata_is_registered_or_refused(registrations: Registrations, changes: dict[str, Any]) -> None:
    before = registrations.rows()
    judged(registrations.post(json.dumps({**METADATA, **changes})), before, registrations)


@SETTINGS
@given(changes=CHANGES)
def test_any_metadata_replaces_or_is_refused(registrations: Registrations, changes: dict[str, Any]) -> None:
    told = registrations.registered()
    wish = json.dumps({**METADATA, "client_id": told["client_id"], **changes})
    before = registrations.rows()
    path, token = f"/register/{told['client_id']}", told["registration_access_token"]
    judged(registrations.send("PUT", path, wish, token), before, registrations)
    # Whatever was written can be read.
    assert registrations.send("GET", path, token=token).status_code == 200


@SETTINGS
@given(sent=st.binary(max_size=200), method=st.sampled_from(["POST", "PUT"]), token=st.text(max_size=20))
def test_any_bytes_are_refused(registrations: Registrations, sent: bytes, method: str, token: str) -> None:
    before = registrations.rows()
    shown = token.encode("ascii", "ignore").decode().translate({10: None, 13: None})
    path = "/register" if method == "POST" else "/register/nobody"
    for credentials in (None, shown):
        answer = registrations.send(method, path, sent, credentials)
        assert answer.status_code in (400, 401)
        judged(answer, before, registrations)
