"""Arbitrary JSON and bytes at the endpoints of registration: never our fault (5xx), no row of a refused request."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from idp import create_app
from idp.admin.client_metadata import MEMBERS
from idp.kernel.clock import FixedClock
from tests.conftest import START, dispose, is_long, make_settings
from tests.oidc.hostile import RATE, VALUE, Ledger, in_header
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


@pytest.fixture(scope="module")
def ledger(registrations: Registrations) -> Ledger:
    return Ledger(registrations.app)


def judged(answer: TestResponse, ledger: Ledger, is_initial_token_used: bool = False) -> None:
    """Everything that was written for this answer since the last look at the rows."""
    assert answer.status_code in (200, 201, 400, 401), answer.text
    assert answer.content_type == "application/json" and answer.headers["Cache-Control"] == "no-store"
    told: dict[str, Any] = answer.json or {}
    if answer.status_code >= 400:
        assert set(told) <= {"error", "error_description"}
        assert (answer.status_code == 401) == ("WWW-Authenticate" in answer.headers)
        ledger.is_unchanged_but_for(RATE)
        return
    # One client with its origins, its event, how often somebody registered, and that the token was used.
    changed = {table: len(rows) for table, rows in ledger.changed().items()}
    changed.pop("client_origins", None)
    token = {"initial_access_tokens": 1} if is_initial_token_used else {}
    # Who replaces metadata by the same changes nothing.
    client = {} if answer.status_code == 200 and "clients" not in changed else {"clients": 1}
    assert changed == {"audit_events": 1, "event_counts": 1} | client | token
    assert all(value is not None for value in told.values())


@SETTINGS
@given(changes=CHANGES, with_token=st.booleans())
def test_any_metadata_is_registered_or_refused(
    registrations: Registrations, ledger: Ledger, initial_token: str, changes: dict[str, Any], with_token: bool
) -> None:
    ledger.changed()
    token = initial_token if with_token else None
    judged(registrations.post(json.dumps({**METADATA, **changes}), token), ledger, with_token)


@pytest.fixture(scope="module")
def initial_token(registrations: Registrations) -> str:
    with registrations.app.app_context():
        _, token = registrations.services.initial_access_tokens.add("een leverancier", uses=10000)
    return token


@SETTINGS
@given(changes=CHANGES)
def test_any_metadata_replaces_or_is_refused(
    registrations: Registrations, ledger: Ledger, changes: dict[str, Any]
) -> None:
    told = registrations.registered()
    wish = json.dumps({**METADATA, "client_id": told["client_id"], **changes})
    path, token = f"/register/{told['client_id']}", told["registration_access_token"]
    ledger.changed()
    judged(registrations.send("PUT", path, wish, token), ledger)
    # Whatever was written can be read, which writes nothing.
    assert registrations.send("GET", path, token=token).status_code == 200
    ledger.is_unchanged_but_for()


@SETTINGS
@given(sent=st.binary(max_size=200), method=st.sampled_from(["POST", "PUT"]), token=st.text(max_size=20))
def test_any_bytes_are_refused(
    registrations: Registrations, ledger: Ledger, sent: bytes, method: str, token: str
) -> None:
    shown = token.encode("ascii", "ignore").decode().translate({10: None, 13: None})
    path = "/register" if method == "POST" else "/register/nobody"
    for credentials in (None, shown):
        ledger.changed()
        answer = registrations.send(method, path, sent, credentials)
        assert answer.status_code in (400, 401)
        judged(answer, ledger)


@SETTINGS
@given(
    authorization=VALUE | st.sampled_from([b"Bearer", b"bearer  ", b"Basic eDp5", b"DPoP x"]),
    name=VALUE | st.just(None),
    method=st.sampled_from(["GET", "PUT", "DELETE"]),
    is_bearer=st.booleans(),
)
def test_registration_opens_to_no_other_token(
    registrations: Registrations,
    ledger: Ledger,
    someone: dict[str, Any],
    authorization: bytes,
    name: bytes | None,
    method: str,
    is_bearer: bool,
) -> None:
    # Of a client that there is, and of whatever is no name of one.
    last = someone["client_id"] if name is None else quote_from_bytes(name, safe="")
    headers = {"Authorization": in_header((b"Bearer " if is_bearer else b"") + authorization)}
    ledger.changed()
    answer = registrations.send(method, f"/register/{last}", METADATA if method == "PUT" else None, **headers)
    # An empty name, or one of dots, is another address.
    assert answer.status_code in ((401,) if name is None else (401, 404, 405))
    assert answer.content_type == "application/json" and answer.headers["Cache-Control"] == "no-store"
    ledger.is_unchanged_but_for()


@pytest.fixture(scope="module")
def someone(registrations: Registrations) -> dict[str, Any]:
    return registrations.registered()


@SETTINGS
@given(cut=st.integers(0, 43), more=st.text("abcXYZ019-_ .", max_size=3), method=st.sampled_from(["GET", "DELETE"]))
def test_registration_opens_to_its_whole_token_alone(
    registrations: Registrations, ledger: Ledger, someone: dict[str, Any], cut: int, more: str, method: str
) -> None:
    shown = someone["registration_access_token"][:cut] + more
    if shown.strip() == someone["registration_access_token"]:
        return
    ledger.changed()
    answer = registrations.send(method, f"/register/{someone['client_id']}", token=shown)
    assert answer.status_code == 401
    judged(answer, ledger)


def test_registration_that_is_read_and_deleted_leaves_what_it_should(
    registrations: Registrations, ledger: Ledger
) -> None:
    # The control of the tests above.
    told = registrations.registered()
    path, token = f"/register/{told['client_id']}", told["registration_access_token"]
    ledger.changed()
    assert registrations.send("GET", path, token=token).json == {
        name: value for name, value in told.items() if name != "client_secret"
    }
    ledger.is_unchanged_but_for()
    gone = registrations.send("DELETE", path, token=token)
    assert gone.status_code == 204 and gone.headers["Cache-Control"] == "no-store"
    assert set(ledger.changed()) == {"clients", "audit_events"}
