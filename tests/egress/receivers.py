"""An HTTP server of a client: keeps what it was sent, and answers well, badly, late, drop by drop or never.

with Receiver() as receiver:                     # answers 200
with Receiver(status(503)) as receiver:
    receiver.behaviour = hangs                   # from now on
    receiver.calls                               # what came, in order: form, path, headers, when
    receiver.most_at_once                        # how many calls it had in its hands at the same time
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import parse_qsl

from idp.kernel.clock import ticks
from tests import canary
from tests.services.ports import LOOPBACK

# Seconds after which a server of a test lets go of what it holds, whatever happens.
LONGEST = 30.0
Behaviour = Callable[["Handler"], None]


@dataclass(frozen=True)
class Call:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    form: Mapping[str, str]
    at: timedelta


class Handler(BaseHTTPRequestHandler):
    """One call to a receiver."""

    protocol_version = "HTTP/1.1"
    receiver: Receiver
    form: Mapping[str, str]

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", "0"))
        body = self.rfile.read(length).decode()
        if len(body.encode()) < length:
            # Whoever called was killed while calling: that is no call.
            self.close_connection = True
            return
        self.form = dict(parse_qsl(body))
        canary.knows(self.form.get("logout_token"))
        self.receiver.called(self, self.form)

    def do_GET(self) -> None:
        self.receiver.called(self, {})

    def answer(self, code: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def status(code: int, body: bytes = b"", **headers: str) -> Behaviour:
    """Answers with this status at once."""
    return lambda handler: handler.answer(code, body, **headers)


def after(seconds: float, then: Behaviour | None = None) -> Behaviour:
    """Answers late, or as soon as the receiver stops."""

    def wait(handler: Handler) -> None:
        handler.receiver.stopping.wait(seconds)
        (then or status(200))(handler)

    return wait


def hangs(handler: Handler) -> None:
    """Never answers."""
    handler.receiver.stopping.wait(LONGEST)
    handler.close_connection = True


def drips(start: bytes, pause: float = 0.05) -> Behaviour:
    """Sends one byte at a time for ever, in the head or the body of an answer, wherever `start` ends."""

    def drip(handler: Handler) -> None:
        handler.wfile.write(start)
        end = time.monotonic() + LONGEST
        while time.monotonic() < end and not handler.receiver.stopping.wait(pause):
            handler.wfile.write(b"x")
        handler.close_connection = True

    return drip


def sends(data: bytes) -> Behaviour:
    """These bytes, and the connection is closed."""

    def send(handler: Handler) -> None:
        handler.wfile.write(data)
        handler.close_connection = True

    return send


OK = status(200)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up is what some tests want."""


class Receiver:
    """Listens between `__enter__` and `__exit__`, on a free port or on `port`."""

    def __init__(
        self, behaviour: Behaviour = OK, port: int = 0, tls: ssl.SSLContext | None = None, host: str = LOOPBACK
    ) -> None:
        self.behaviour, self.host = behaviour, host
        self.calls: list[Call] = []
        self.most_at_once = self._at_once = 0
        self.stopping = threading.Event()
        self._scheme = "https" if tls else "http"
        self._changed = threading.Condition()
        self._server = _Server((LOOPBACK, port), type("Handler", (Handler,), {"receiver": self}))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://{self.host}:{self.port}/logout"

    @property
    def tokens(self) -> list[str]:
        """The logout tokens that came."""
        return [call.form["logout_token"] for call in self.calls]

    def called(self, handler: Handler, form: Mapping[str, str]) -> None:
        call = Call(handler.command, handler.path, dict(handler.headers.items()), form, ticks())
        with self._changed:
            self.calls.append(call)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
            self._changed.notify_all()
        try:
            self.behaviour(handler)
        finally:
            with self._changed:
                self._at_once -= 1

    def wait_for(self, number: int, seconds: float = 20.0) -> None:
        """So many calls have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.calls) >= number, seconds), f"{len(self.calls)} of {number}"

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
