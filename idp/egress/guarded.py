"""GuardedClient: the only way in which idp calls an address that somebody else wrote.

https only; plain http where this machine may be called
the name is resolved once, and the connection goes to the address that was looked at: a name that points elsewhere
a moment later gains nothing; `Host`, SNI and the certificate are those of the name
no redirect is followed, no proxy of the environment is used, no cookie is kept
the whole call is over after five seconds, however slowly bytes come
at most 64 KiB of an answer are read
"""

import socket
import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from http.client import HTTPException
from ipaddress import ip_address
from threading import Event, Thread, Timer
from typing import Any, Literal
from urllib.parse import urlencode

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError, SSLError
from urllib3.util import parse_url

from idp.egress.addresses import Address, may_be_called
from idp.kernel.clock import ticks
from idp.kernel.errors import IdpError

TIMEOUT = timedelta(seconds=5)
# While somebody waits for our own answer, and a thread with them.
TIMEOUT_IN_A_REQUEST = timedelta(seconds=2)
MOST_READ = 64 * 1024
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
AGENT = {"User-Agent": "idp", "Accept-Encoding": "identity", "Connection": "close"}
PORTS = {"https": 443, "http": 80}

Failure = Literal["timeout", "no connection", "certificate", "address not allowed", "too large"]
# What `socket.getaddrinfo` takes and gives.
Resolver = Callable[[str, int], Sequence[tuple[Any, ...]]]


def resolved(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """The addresses of a name, as this machine sees them. Raises OSError."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)


class CallFailed(IdpError):
    """There is no answer; `failure` says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure: Failure = failure


@dataclass(frozen=True)
class Answer:
    """A complete answer, whatever its status."""

    status: int
    content_type: str
    body: bytes


class GuardedClient:
    """For any number of threads at once."""

    def __init__(
        self, allow_loopback: bool = False, timeout: timedelta = TIMEOUT, resolve: Resolver = resolved
    ) -> None:
        """`allow_loopback`: this machine and private networks may be called."""
        self._allow_near, self._timeout, self._resolve = allow_loopback, timeout, resolve

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """SSL_CERT_FILE, or the certificates of the system. Reading them takes longer than anything else here."""
        return ssl.create_default_context()

    def get(self, url: str) -> Answer:
        """What stands at the address. Raises CallFailed."""
        with self._called("GET", url) as response:
            body = response.read(MOST_READ + 1, decode_content=False)
            # urllib3 ends a body of unknown length without a word when its connection is cut.
            while len(body) <= MOST_READ and (more := response.read(MOST_READ + 1 - len(body), decode_content=False)):
                body += more
            if len(body) > MOST_READ:
                raise CallFailed("too large")
            return Answer(response.status, response.headers.get("Content-Type", ""), body)

    def post(self, url: str, form: Mapping[str, str]) -> int:
        """The status with which the form was answered; no more of the answer is read. Raises CallFailed."""
        with self._called("POST", url, urlencode(form).encode(), FORM) as response:
            return int(response.status)

    @contextmanager
    def _called(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[Any]:
        """The answer as far as its headers; the connection is gone afterwards."""
        deadline = _Deadline(self._timeout)
        try:
            connection, target = self._connection(url, deadline)
            with closing(connection), deadline.enforced():
                connection.request(
                    method, target, body, {**AGENT, **(headers or {})}, preload_content=False, decode_content=False
                )
                with closing(connection.getresponse()) as response:
                    yield response
                deadline.check()
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            # urllib3's own, http.client's, the network's; ValueError: what cannot be written as a request.
            raise CallFailed("timeout" if deadline.is_over else _failure(error)) from error

    def _connection(self, url: str, deadline: "_Deadline") -> tuple[HTTPConnection, str]:
        """A connection to come, and what to ask on it. Raises CallFailed for what must not be called."""
        try:
            parts = parse_url(url)
        except LocationParseError:
            raise CallFailed("address not allowed") from None
        allowed = ("https", "http") if self._allow_near else ("https",)
        scheme = parts.scheme or ""
        if scheme not in allowed or not parts.host or parts.auth is not None:
            raise CallFailed("address not allowed")
        host, port = parts.host.strip("[]"), parts.port or PORTS[scheme]
        addresses = self._addresses(host, port, deadline)
        if not all(may_be_called(address, self._allow_near) for address in addresses):
            raise CallFailed("address not allowed")
        if scheme == "https":
            return _PinnedHTTPS(host, port, addresses, deadline, ssl_context=self._tls), parts.request_uri
        return _PinnedHTTP(host, port, addresses, deadline), parts.request_uri

    def _addresses(self, host: str, port: int, deadline: "_Deadline") -> list[Address]:
        """What the name means, asked once. Nothing ends a look-up early, so it has a thread that nobody waits for."""
        with suppress(ValueError):
            return [ip_address(host)]
        looked_up: Future[Sequence[tuple[Any, ...]]] = Future()

        def look_up() -> None:
            try:
                looked_up.set_result(self._resolve(host, port))
            except Exception as error:
                looked_up.set_exception(error)

        Thread(target=look_up, name="resolves a name", daemon=True).start()
        found = looked_up.result(deadline.seconds_left())
        addresses = [ip_address(entry[4][0]) for entry in found]
        if not addresses:
            raise CallFailed("no connection")
        return list(dict.fromkeys(addresses))


class _Deadline:
    """When a call is over. What waits for the network then is woken, whatever it waits for."""

    def __init__(self, timeout: timedelta) -> None:
        self._ends_at = ticks() + timeout
        self._passed = Event()
        self._watched: socket.socket | None = None

    @property
    def is_over(self) -> bool:
        return self._passed.is_set() or ticks() >= self._ends_at

    def seconds_left(self) -> float:
        """Raises TimeoutError when there are none."""
        if self.is_over:
            raise TimeoutError
        return (self._ends_at - ticks()).total_seconds()

    def check(self) -> None:
        """Raises TimeoutError when it is over: what was read last may have been cut off by it."""
        self.seconds_left()

    def watch(self, connected: socket.socket) -> None:
        """The connection ends with the deadline, also while TLS has hold of the socket."""
        self._watched = connected.dup()

    @contextmanager
    def enforced(self) -> Iterator[None]:
        timer = Timer(self.seconds_left(), self._pass)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            if self._watched is not None:
                self._watched.close()

    def _pass(self) -> None:
        self._passed.set()
        if self._watched is not None:
            with suppress(OSError):  # the other side may have closed it
                self._watched.shutdown(socket.SHUT_RDWR)


class _PinnedHTTP(HTTPConnection):
    """Connects to addresses that were looked at, under the name that they were found by."""

    def __init__(self, host: str, port: int, addresses: Sequence[Address], deadline: _Deadline, **options: Any) -> None:
        super().__init__(host, port, timeout=deadline.seconds_left(), **options)
        self._addresses, self._deadline = tuple(addresses), deadline

    def _new_conn(self) -> socket.socket:
        connected = _connected(self._addresses, self.port, self._deadline)
        self._deadline.watch(connected)
        return connected


class _PinnedHTTPS(_PinnedHTTP, HTTPSConnection):
    """The same with TLS, in which urllib3 sends the name and checks the certificate for it."""


def _connected(addresses: Sequence[Address], port: int, deadline: _Deadline) -> socket.socket:
    """A connection to the first address that answers; one that does not leaves time for the others."""
    failed: OSError = ConnectionError("no address")
    for position, address in enumerate(addresses):
        seconds = deadline.seconds_left() / (len(addresses) - position)
        try:
            connected = socket.create_connection((str(address), port), seconds)
        except OSError as error:
            failed = error
        else:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.settimeout(deadline.seconds_left())
            return connected
    raise failed


def _failure(error: BaseException) -> Failure:
    """What an exception means, by what caused it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "certificate"
        if isinstance(cause, TimeoutError):
            return "timeout"
        if isinstance(cause, UnicodeError):
            return "address not allowed"
        cause = cause.args[0] if isinstance(cause, SSLError) and cause.args else cause.__cause__ or cause.__context__
        if not isinstance(cause, BaseException):
            return "no connection"
    return "no connection"
