"""The requests that are measured, each as a client or a browser sends it, over connections that stay open."""

import http.client
import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from threading import Barrier, BrokenBarrierError
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from bench.counting import HEADER
from bench.installations import CALLBACK, CLIENT, VERIFIER, Installation, Person, request
from idp.kernel.clock import SystemClock, ticks
from tests.proofs import ProofKey

FORM = "application/x-www-form-urlencoded"


class Wrong(Exception):
    """An answer is not the one that the measurement is about."""


class Connection:
    """One connection of a client, and of the browser of one person who is signed in."""

    def __init__(self, installation: Installation, person: Person) -> None:
        self.installation, self._person = installation, person
        self._http = http.client.HTTPConnection("localhost", installation.port, timeout=60)
        pair = b64encode(f"{CLIENT}:{installation.secret}".encode()).decode()
        self._client = {"Authorization": f"Basic {pair}", "Content-Type": FORM}
        self.key = ProofKey()
        self.counted: list[str] = []

    def post(self, path: str, form: Mapping[str, str], status: int = 200, **headers: str) -> Any:
        return json.loads(self._asked("POST", path, urlencode(form), {**self._client, **headers}, status)[0])

    def userinfo(self, access_token: str) -> Any:
        return json.loads(self._asked("GET", "/userinfo", None, {"Authorization": f"Bearer {access_token}"}, 200)[0])

    def _asked(
        self, method: str, path: str, body: str | None, headers: Mapping[str, str], status: int
    ) -> tuple[bytes, str]:
        """The body, and where the answer leads. Raises Wrong for another status."""
        self._http.request(method, path, body, dict(headers))
        response = self._http.getresponse()
        content = response.read()
        if response.status != status:
            raise Wrong(f"{method} {path}: {response.status} {content[:300]!r}")
        if (said := response.getheader(HEADER)) is not None:
            self.counted.append(said)
        return content, response.getheader("Location", "")

    def code(self, number: int = 0, **changes: str) -> str:
        """The code of a request that asks nobody anything."""
        asked = changes or request(number, prompt="none")
        _, location = self._asked("GET", f"/authorize?{urlencode(asked)}", None, {"Cookie": self._person.cookie}, 303)
        values = dict(parse_qsl(urlsplit(location).query))
        if "code" not in values:
            raise Wrong(f"/authorize: {location}")
        return values["code"]

    def redeem(self, code: str, **headers: str) -> Any:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": CALLBACK, "code_verifier": VERIFIER}
        return self.post("/token", form, 200, **headers)

    def close(self) -> None:
        self._http.close()


# What is done once for each connection, and what of that is done again and again and measured.
Act = Callable[[], object]
Path = Callable[[Connection, int], Iterator[Act]]


def client_credentials(at: Connection, number: int) -> Iterator[Act]:
    for _ in range(number):
        yield lambda: at.post("/token", {"grant_type": "client_credentials"})


def introspection(at: Connection, number: int) -> Iterator[Act]:
    token = at.redeem(at.code())["access_token"]
    for _ in range(number):
        yield lambda: _is_active(at.post("/introspect", {"token": token}))


def _is_active(said: Any) -> None:
    if said["active"] is not True:
        raise Wrong("the token is not active")


def userinfo(at: Connection, number: int) -> Iterator[Act]:
    token = at.redeem(at.code())["access_token"]
    for _ in range(number):
        yield lambda: at.userinfo(token)


def refresh(at: Connection, number: int) -> Iterator[Act]:
    token = at.redeem(at.code())["refresh_token"]
    for _ in range(number):
        yield lambda: at.post("/token", {"grant_type": "refresh_token", "refresh_token": token})


def silent_authorize(at: Connection, number: int) -> Iterator[Act]:
    for each in range(number):
        yield lambda each=each: at.code(each)  # type: ignore[misc]


def silent_authorize_and_token(at: Connection, number: int) -> Iterator[Act]:
    for each in range(number):
        yield lambda each=each: at.redeem(at.code(each))  # type: ignore[misc]


def token(at: Connection, number: int) -> Iterator[Act]:
    codes = [at.code(each) for each in range(number)]
    for code in codes:
        yield lambda code=code: at.redeem(code)  # type: ignore[misc]


def push_with_proof(at: Connection, number: int) -> Iterator[Act]:
    for proof in _proofs(at, "/par", number):
        yield lambda proof=proof: at.post("/par", request(0), 201, DPoP=proof)  # type: ignore[misc]


def push_authorize_and_token_with_proofs(at: Connection, number: int) -> Iterator[Act]:
    def journey(push: str, redeem: str) -> None:
        pushed = at.post("/par", request(0, prompt="none"), 201, DPoP=push)
        at.redeem(at.code(client_id=CLIENT, request_uri=pushed["request_uri"]), DPoP=redeem)

    for pair in zip(_proofs(at, "/par", number), _proofs(at, "/token", number), strict=True):
        yield lambda pair=pair: journey(*pair)  # type: ignore[misc]


def _proofs(at: Connection, path: str, number: int) -> list[str]:
    """Made beforehand: what the client's own key costs is not ours."""
    now = SystemClock().now()
    return [at.key.proof("POST", at.installation.issuer + path, now) for _ in range(number)]


PATHS: Mapping[str, Path] = {
    "client_credentials": client_credentials,
    "introspection": introspection,
    "userinfo": userinfo,
    "refresh": refresh,
    "silent authorize": silent_authorize,
    "token (code)": token,
    "authorize + token": silent_authorize_and_token,
    "PAR with DPoP": push_with_proof,
    "PAR + authorize + token, DPoP": push_authorize_and_token_with_proofs,
}


@dataclass(frozen=True)
class Timed:
    """How long each took, in seconds, and how long all of them together; processor time of the provider."""

    each: Sequence[float]
    all: float
    cpu: float


def timed(installation: Installation, connections: Sequence[Connection], path: Path, number: int) -> Timed:
    """So many of it over each connection, all connections at once."""
    prepared, begun, done = (Barrier(len(connections) + 1) for _ in range(3))

    def run(connection: Connection) -> list[float]:
        try:
            acts = list(path(connection, number))
            prepared.wait()
            begun.wait()
            found = [_seconds(act) for act in acts]
            done.wait()
            return found
        except BaseException:
            for each in (prepared, begun, done):
                each.abort()
            raise

    with ThreadPoolExecutor(len(connections)) as pool:
        running = [pool.submit(run, connection) for connection in connections]
        with suppress(BrokenBarrierError):
            # Then one of them failed, and says why below.
            prepared.wait()
            cpu, began = installation.cpu_seconds(), ticks()
            begun.wait()
            done.wait()
            took, cpu = ticks() - began, installation.cpu_seconds() - cpu
        failures = [failure for future in running if (failure := future.exception()) is not None]
        for failure in sorted(failures, key=lambda each: isinstance(each, BrokenBarrierError)):
            raise failure
        return Timed([one for future in running for one in future.result()], took.total_seconds(), cpu)


def _seconds(act: Act) -> float:
    began: timedelta = ticks()
    act()
    return (ticks() - began).total_seconds()


def counted(connection: Connection, path: Path) -> str:
    """What one of it asks of the database, request by request."""
    acts = list(path(connection, 2))
    acts[0]()
    connection.counted.clear()
    acts[1]()
    return ", ".join(connection.counted)
