"""No secret, code or password in any log, in any test.

Every test runs under `no_secret_is_logged`. What a test types, or is given, is a secret as soon as it travels:

    what HTTP clients send and get      cookies of ours, passwords, codes, tokens, client secrets - see `_Traffic`
    what people of a test know          passwords, keys of authenticator apps, the codes they show (`tests.factories`)
    what arrives by mail                codes (`tests.services.smtp`)

At its end nothing that was logged, at any level, holds one of them; nor does the audit trail or a message of the
test's database (`look_into`), nor what the processes of a `LiveProvider` printed (`look_at`).
"""

import json
import logging
import re
import sqlite3
from base64 import b64decode
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote_plus, urlsplit

import psycopg
import pytest
import requests
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request

# What is shorter is a word rather than a secret, unless it is a code of six digits.
SHORTEST = 8
CODE = re.compile(r"\d{6}")
MAILED_CODE = re.compile(r"(?<![\w#])\d{3}[ \u00a0]?\d{3}(?!\w)")
DIGITS = re.compile(r"(?<![\d.])\d{6}(?!\d)")
COOKIES = re.compile(r"(?:__Host-)?idp_(?:session|browser|device)")
# Parameters of requests and answers, in forms, queries, fragments and JSON.
SECRET_PARAMETERS = frozenset(
    "password code client_secret code_verifier refresh_token access_token id_token id_token_hint logout_token".split()
)
# Each statement of SQL, where the engine hides what is bound to it (`idp.store.engine`); and the addresses that the
# browsers of tests visit, which those browsers may know.
LOUD = ("sqlalchemy", "urllib3")

_now: set[str] = set()
_ever: set[str] = set()


class SecretTold(AssertionError):
    """Something that only its owner may know was written down."""


def knows(*secrets: str | None) -> None:
    """From now on these may be written nowhere."""
    for secret in secrets:
        if secret is not None and (len(secret) >= SHORTEST or CODE.fullmatch(secret)):
            _now.add(secret)
            _ever.add(secret)


def is_no_secret(*names: str) -> None:
    """These are no secrets, although the test sent them where one belongs: a `sid`, a `sub`."""
    _now.difference_update(names)
    _ever.difference_update(names)


def knows_mail(message: EmailMessage) -> None:
    """The codes in a mail may be written nowhere else."""
    parts = [str(part.get_content()) for part in message.walk() if part.get_content_maintype() == "text"]
    for text in (str(message["Subject"]), *parts):
        knows(*(re.sub(r"\D", "", code) for code in MAILED_CODE.findall(text)))


def found_in(text: str, secrets: Iterable[str] | None = None) -> list[str]:
    """The secrets of the present test that the text holds, as they are or as a URL, JSON or Python writes them."""
    known = _now if secrets is None else secrets
    digits = set(DIGITS.findall(text))
    return sorted(
        secret for secret in known if secret in digits or (not CODE.fullmatch(secret) and _is_in(secret, text))
    )


def look_at(text: str, where: str) -> None:
    """Raises SecretTold when the text holds a secret of any test so far in this process."""
    _judge(found_in(text, _ever), text, where)


def look_into(database_url: str) -> None:
    """Raises SecretTold when the audit trail or a message in this database holds a secret of the present test."""
    if _now:
        text = "\n".join(_told_by(database_url))
        _judge(found_in(text), text, "the database")


def _is_in(secret: str, text: str) -> bool:
    if secret in text:
        return True
    written = {quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]} - {secret}
    return any(form in text for form in written)


def _judge(found: list[str], text: str, where: str) -> None:
    if found:
        lines = [line[:500] for line in text.splitlines() if any(secret in line for secret in found)]
        named = [f"{secret[:12]}..." if len(secret) > 40 else secret for secret in found]
        raise SecretTold("\n".join([f"{len(found)} secret(s) in {where}: {named}", *lines[:20]]))


# --- What was logged


class _Listener(logging.Handler):
    """Keeps everything that was logged, with tracebacks and additional fields."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self._formatter = logging.Formatter("%(name)s %(levelname)s %(message)s")

    def emit(self, record: logging.LogRecord) -> None:
        usual = _USUAL_FIELDS
        more = " ".join(str(value) for name, value in record.__dict__.items() if name not in usual)
        self.told.append(f"{self._formatter.format(record)} {more}")


_USUAL_FIELDS = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


@contextmanager
def listening() -> Iterator[None]:
    """Raises SecretTold at the end, when a secret that travelled or became known inside was logged."""
    listener, root = _Listener(), logging.getLogger()
    levels = {logger: logger.level for logger in (root, *map(logging.getLogger, LOUD))}
    _now.clear()
    for logger in levels:
        logger.setLevel(logging.DEBUG if logger is root else logging.WARNING)
    root.addHandler(listener)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(FlaskClient, "open", _overheard(FlaskClient.open))
            patched.setattr(requests.Session, "send", _overheard_on_the_network(requests.Session.send))
            yield
    finally:
        root.removeHandler(listener)
        for logger, level in levels.items():
            logger.setLevel(level)
    text = "\n".join(listener.told)
    _judge(found_in(text), text, "the log")


@pytest.fixture(autouse=True)
def no_secret_is_logged() -> Iterator[None]:
    """Every test fails that lets a secret be logged, whatever else it proves."""
    with listening():
        yield


# --- What travels


class _Traffic:
    """Makes secrets known from requests and responses, whichever client made them."""

    @staticmethod
    def headers(headers: Iterable[tuple[str, str]]) -> None:
        for name, value in headers:
            lowered = name.lower()
            if lowered == "authorization":
                _authorization(value)
            elif lowered == "set-cookie":
                _cookies(value.partition(";")[0])
            elif lowered == "cookie":
                _cookies(value)
            elif lowered == "location":
                _Traffic.url(value)

    @staticmethod
    def url(url: str) -> None:
        parts = urlsplit(url)
        _parameters(parse_qsl(parts.query) + parse_qsl(parts.fragment))

    @staticmethod
    def body(content_type: str, body: bytes) -> None:
        if "application/x-www-form-urlencoded" in content_type:
            _parameters(parse_qsl(body.decode("utf-8", "replace")))
        elif "json" in content_type:
            try:
                answer = json.loads(body)
            except (ValueError, RecursionError):
                return
            if isinstance(answer, Mapping):
                _parameters((str(name), value) for name, value in answer.items() if isinstance(value, str))


def _parameters(pairs: Iterable[tuple[str, str]]) -> None:
    for name, value in pairs:
        if name in SECRET_PARAMETERS:
            knows(value, re.sub(r"[\s-]", "", value) if name == "code" else None)


def _cookies(header: str) -> None:
    for cookie in header.split(";"):
        name, _, value = cookie.strip().partition("=")
        if COOKIES.fullmatch(name):
            knows(value.strip('"'))


def _authorization(value: str) -> None:
    scheme, _, credentials = value.partition(" ")
    knows(credentials)
    if scheme.lower() == "basic":
        try:
            knows(unquote_plus(b64decode(credentials).decode().partition(":")[2]))
        except ValueError:
            return


def _overheard(send: Callable[..., Any]) -> Callable[..., Any]:
    def overhear(client: FlaskClient, *arguments: Any, **options: Any) -> Any:
        response = send(client, *arguments, **options)
        for each in (*response.history, response):
            _overhear(each.request, each)
        return response

    return overhear


def _overhear(request: Request, response: Any) -> None:
    _Traffic.url(request.url)
    _Traffic.headers((name, value) for name, value in request.headers.items())
    if "json" in (response.content_type or ""):
        _Traffic.body(response.content_type or "", response.get_data())
    _Traffic.headers(Headers(response.headers).items())
    stream = request.environ.get("wsgi.input")
    if stream is not None and not stream.closed and stream.seekable():
        stream.seek(0)
        _Traffic.body(request.content_type or "", stream.read())


def _overheard_on_the_network(send: Callable[..., Any]) -> Callable[..., Any]:
    def overhear(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
        _Traffic.url(str(request.url))
        _Traffic.headers(request.headers.items())
        _Traffic.body(request.headers.get("Content-Type", ""), body)
        response = send(session, request, **options)
        _Traffic.headers(response.headers.items())
        _Traffic.body(response.headers.get("Content-Type", ""), response.content)
        return response

    return overhear


# --- What is in the database

_QUERIES = (
    "SELECT type, request_code, client_address, actor, client_id, details FROM audit_events",
    "SELECT kind, receiver, subject, payload, failure FROM outbox_messages",
)


def _told_by(database_url: str) -> Iterator[str]:
    if database_url.startswith("sqlite"):
        connection: Any = sqlite3.connect(f"file:{urlsplit(database_url).path[1:]}?mode=ro", uri=True)
    else:
        connection = psycopg.connect(database_url.replace("postgresql+psycopg://", "postgresql://"))
    try:
        for query in _QUERIES:
            for row in connection.execute(query):
                yield " ".join(value if isinstance(value, str) else json.dumps(value, default=str) for value in row)
    finally:
        connection.close()
