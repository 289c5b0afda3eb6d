"""What hostile requests are made of, and what may be found of them afterwards.

VALUE, JSON, changes, encoded      bytes and JSON of any kind, in and among the right parameters
is_harmless_page, is_json          what every answer is
Ledger                             every row of every table, before and after: a refused request leaves nothing
                                   behind but for what stands here, each with its reason
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_from_bytes, urlsplit

from flask import Flask
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from sqlalchemy import literal_column, select
from werkzeug.test import TestResponse

from idp.schema import metadata
from idp.wiring import Services
from tests.conftest import is_long
from tests.oidc.journeys import Answer, Provider, RelyingParty, was_sent

SETTINGS = settings(
    max_examples=2000 if is_long() else 60,
    derandomize=not is_long(),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
SPECIAL = [
    b"",
    b"\x00",
    b"a\x00b",
    b"\r\nSet-Cookie: a=b",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    "\u2603\U0001f511\u0301".encode(),
    b"\"\\'<script>",
    b"//evil.example",
    b"https://evil.example/",
    b"https://app.example@evil.example/",
    b"javascript:alert(1)",
    b"-1",
    b"9" * 400,
    b"1e309",
    b"[" * 3000,
    b'{"id_token":{"acr":{"values":[NaN]}}}',
    b'{"userinfo":{"\\ud800":{"value":"\\u0000"}}}',
    b"e30.e30.e30",
    b"a.0.b",
    b"%00%ff%",
    b"x" * 9000,
    b"login none consent",
    b"form_post",
    b"fragment",
]
TEXT = st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass"))
VALUE = st.one_of(st.sampled_from(SPECIAL), st.binary(max_size=40), TEXT)
# What only JSON can say, and what only looks like a moment or an identifier.
ODD = st.sampled_from(["\ud800", "\x00", "a\x00b", "", "https://login.example", 1e308, 2**70, 10**400, -1, "9" * 400])
JSON = st.recursive(
    st.one_of(ODD, st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
AUTHORIZE = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "claims",
    "acr_values",
    "id_token_hint",
    "login_hint",
    "ui_locales",
    "request",
    "request_uri",
    "registration",
    "dpop_jkt",
    "resource",
    "display",
    "lang",
)
TOKEN = (
    "grant_type",
    "code",
    "redirect_uri",
    "client_id",
    "client_secret",
    "code_verifier",
    "refresh_token",
    "scope",
    "client_assertion",
    "client_assertion_type",
)


def changes(names: tuple[str, ...]) -> st.SearchStrategy[list[tuple[bytes, bytes]]]:
    """Parameters to be added or replaced, most of them of these names."""
    name = st.one_of(st.sampled_from(names).map(str.encode), VALUE)
    return st.lists(st.tuples(name, VALUE), min_size=1, max_size=4)


def encoded(right: Mapping[str, str], changed: list[tuple[bytes, bytes]], raw: bool) -> bytes:
    """The right parameters with some replaced, repeated or added, percent-encoded or as they are."""
    replaced = {name for name, _ in changed}
    pairs = [(name.encode(), value.encode()) for name, value in right.items() if name.encode() not in replaced]
    if raw:
        return b"&".join(name + b"=" + value for name, value in [*pairs, *changed])
    return "&".join(f"{quote_from_bytes(n)}={quote_from_bytes(v)}" for n, v in [*pairs, *changed]).encode()


def in_header(value: bytes | str) -> str:
    """The value as a header can carry it."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value.encode("utf-8", "replace").decode("latin-1")
    return text.replace("\r", "").replace("\n", "")


def right_request(party: RelyingParty) -> dict[str, str]:
    return {name: value for name, value in party.request().items() if isinstance(value, str)}


# Answers


def is_harmless_page(response: TestResponse) -> None:
    assert response.status_code < 500, response.text
    assert response.content_type == "text/html; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-store"
    assert not {name for name, _ in response.headers if "\n" in name}
    assert all("stolen" not in cookie and "a=b" not in cookie for cookie in response.headers.getlist("Set-Cookie"))


def is_json(response: TestResponse) -> dict[str, Any]:
    assert response.status_code < 500, response.text
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    said = json.loads(response.text)
    assert isinstance(said, dict)
    return said


def is_error_for_a_client(response: TestResponse) -> str:
    """The error, in the form of RFC 6749 5.2."""
    said = is_json(response)
    assert response.status_code in (400, 401)
    assert set(said) <= {"error", "error_description"}
    assert (response.status_code == 401) == (said["error"] == "invalid_client")
    assert "Location" not in response.headers
    return str(said["error"])


def is_refused_or_begun(provider: Provider, target: RelyingParty, response: TestResponse) -> bool:
    """True when the request was refused: on a page, or at an address of the client. False when somebody may sign in, or
    who is signed in already got a code."""
    is_harmless_page(response)
    location = response.headers.get("Location", "")
    if response.status_code == 303 and not urlsplit(location).scheme:
        assert location.startswith("/s/")
        return False
    if response.status_code == 303 or was_sent(response):
        answer = Answer.read(response)
        assert answer.address == target.redirect_uri
        assert answer.values["iss"] == provider.issuer
        assert ("error" in answer.values) != ("code" in answer.values)
        return "error" in answer.values
    assert response.status_code == 400
    return True


# Rows

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Remains:
    """A row that a refused request may add or change, once, and why."""

    table: str
    because: str
    is_it: Callable[[Row], bool] = lambda row: True


def _details(row: Row) -> Mapping[str, Any]:
    details = row["details"]
    found: Mapping[str, Any] = json.loads(details) if isinstance(details, str) else details
    return found


KNOWN_CLIENT = Remains(
    "audit_events",
    "a client that proved who it is did something wrong: only it can fill the trail so, and its developer looks there",
    lambda row: row["type"] == "token_request_refused" and row["client_id"] is not None,
)
# What anybody can send stands in the trail as long as few of it came from there in this hour.
COUNTED = Remains("event_counts", "so that it is few", lambda row: row["kind"] == "recorded_refusals")
STRANGER_AT_TOKEN = (
    Remains(
        "audit_events",
        "who guesses the secrets of clients is to be seen",
        lambda row: row["type"] == "token_request_refused" and _details(row)["endpoint"] == "token",
    ),
    COUNTED,
)
STRANGER_AT_AUTHORIZE = (
    Remains(
        "audit_events",
        "the developer of a client that sends people wrongly looks there",
        lambda row: row["type"] == "authorization_refused",
    ),
    COUNTED,
)
FORM = (
    Remains(
        "audit_events",
        "some page elsewhere had somebody send it, or the browser keeps no cookies: both are asked about",
        lambda row: row["type"] == "form_refused",
    ),
    COUNTED,
)
ASSERTION = Remains("used_identifiers", "an assertion counts once, whatever becomes of the request that it came with")
RATE = Remains("event_counts", "whoever tries to register often has to wait")
REUSED = (
    Remains("refresh_families", "a token that comes back was copied", lambda row: row["revoked_at"] is not None),
    Remains("access_tokens", "what came of a copied code or token ends", lambda row: row["revoked_at"] is not None),
    Remains("audit_events", "somebody copied it", lambda row: row["type"] in ("code_reused", "refresh_token_reused")),
)


class Ledger:
    """All rows of an installation, as they were at the last look."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._last_event = 0
        self._rows = self._read()
        self.changed()

    def changed(self) -> dict[str, list[Row]]:
        """The rows that were added, changed or deleted since the last look, by table: as they are now, or were."""
        before, self._rows = self._rows, self._read()
        # Nobody changes an event; the new ones alone are read.
        before["audit_events"] = {}
        found = {}
        for table, rows in self._rows.items():
            new = [row for key, row in rows.items() if key not in before[table]]
            keys = {_key(table, row) for row in new}
            gone = [row for key, row in before[table].items() if key not in rows and _key(table, row) not in keys]
            if new or gone:
                found[table] = new + gone
        return found

    def is_unchanged_but_for(self, *allowed: Remains) -> None:
        """Fails when anything else was written since the last look, or more than one row of a kind."""
        used: set[Remains] = set()
        for table, rows in self.changed().items():
            for row in rows:
                reasons = {each for each in allowed if each.table == table and each.is_it(row)} - used
                assert reasons, (table, dict(row))
                used.add(reasons.pop())

    def _read(self) -> dict[str, dict[str, Row]]:
        services: Services = self._app.extensions["idp"]
        found = {}
        with self._app.app_context(), services.units.reading() as unit:
            for table in metadata.sorted_tables:
                # As the driver reads them: nothing of ours is between.
                everything = select(literal_column("*")).select_from(table)
                if table.name == "audit_events":
                    everything = everything.where(table.c.id > self._last_event)
                rows = unit.execute(everything).mappings()
                found[table.name] = {repr(tuple(row.values())): dict(row) for row in rows}
        self._last_event = max([self._last_event, *(row["id"] for row in found["audit_events"].values())])
        return found


def _key(table: str, row: Row) -> tuple[Any, ...]:
    return tuple(row[column.name] for column in metadata.tables[table].primary_key)
