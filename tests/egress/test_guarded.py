"""The guarded client calls public addresses by the name they were given, for five seconds, and follows nobody."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from idp.egress.guarded import MOST_READ, CallFailed, GuardedClient, resolved
from idp.kernel.clock import ticks
from tests.egress.receivers import Receiver, after, drips, hangs, sends, status
from tests.services.certificates import Authority, new_authority
from tests.services.ports import LOOPBACK, free_port

# Of calls that are to be over in time, and what a busy machine may add to it.
LIMIT = timedelta(milliseconds=400)
SLACK = timedelta(seconds=2)
# Of all other calls: so long that only one that hangs meets it.
LONG = timedelta(seconds=10)
OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return new_authority(tmp_path)


@pytest.fixture
def trusting(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> GuardedClient:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return GuardedClient(allow_loopback=True, timeout=LONG)


def failure(url: str, client: GuardedClient | None = None, method: str = "post", timeout: timedelta = LONG) -> str:
    client = client or GuardedClient(allow_loopback=True, timeout=timeout)
    with pytest.raises(CallFailed) as failed:
        client.get(url) if method == "get" else client.post(url, {"a": "b"})
    return failed.value.failure


def test_form_arrives_under_the_name_and_the_status_comes_back(receiver: Receiver) -> None:
    receiver.behaviour = status(404, b"what is this?")
    client = GuardedClient(allow_loopback=True)
    url = receiver.url.replace(LOOPBACK, "localhost")
    assert client.post(f"{url}?app=1", {"logout_token": "a.b-c=&d e", "more": "ü"}) == 404
    (call,) = receiver.calls
    assert (call.method, call.path) == ("POST", "/logout?app=1")
    assert call.form == {"logout_token": "a.b-c=&d e", "more": "ü"}
    assert call.headers["Host"] == f"localhost:{receiver.port}"
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"


def test_answer_to_get_is_complete(receiver: Receiver) -> None:
    receiver.behaviour = status(200, b'{"keys": []}', **{"Content-Type": "application/json"})
    answer = GuardedClient(allow_loopback=True).get(receiver.url)
    assert (answer.status, answer.content_type, answer.body) == (200, "application/json", b'{"keys": []}')


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_redirect_is_an_answer_and_is_not_followed(receiver: Receiver, code: int) -> None:
    with Receiver() as elsewhere:
        receiver.behaviour = status(code, Location=elsewhere.url)
        client = GuardedClient(allow_loopback=True)
        assert client.post(receiver.url, {}) == code and client.get(receiver.url).status == code
        assert elsewhere.calls == []


def test_proxy_of_the_environment_is_not_used(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver(status(500)) as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://{LOOPBACK}:{proxy.port}")
            monkeypatch.setenv(name.upper(), f"http://{LOOPBACK}:{proxy.port}")
        assert GuardedClient(allow_loopback=True).post(receiver.url, {}) == 200
        assert proxy.calls == []


@pytest.mark.parametrize(
    "behaviour",
    [hangs, after(5), drips(b""), drips(OK + b"X-Slow: "), drips(b"HTTP/1.1 200 ")],
    ids=["silent", "late", "drips from the start", "drips in a header", "drips in the status line"],
)
def test_call_is_over_in_time_however_the_answer_comes(receiver: Receiver, behaviour: Any) -> None:
    receiver.behaviour = behaviour
    started = ticks()
    assert failure(receiver.url, timeout=LIMIT) == "timeout"
    assert LIMIT - timedelta(milliseconds=20) <= ticks() - started < LIMIT + SLACK


def test_body_that_drips_is_over_in_time(receiver: Receiver) -> None:
    receiver.behaviour = drips(OK + b"\r\n")
    started = ticks()
    assert failure(receiver.url, method="get", timeout=LIMIT) == "timeout"
    assert ticks() - started < LIMIT + SLACK


def test_tls_handshake_that_nobody_answers_is_over_in_time() -> None:
    with socket.create_server((LOOPBACK, 0)) as silent:
        started = ticks()
        assert failure(f"https://{LOOPBACK}:{silent.getsockname()[1]}/", timeout=LIMIT) == "timeout"
        assert ticks() - started < LIMIT + SLACK


def test_name_server_that_does_not_answer_is_waited_for_no_longer_than_the_call(receiver: Receiver) -> None:
    def slow(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        receiver.stopping.wait(5)
        return resolved(host, port)

    started = ticks()
    assert failure(receiver.url.replace(LOOPBACK, "localhost"), GuardedClient(True, LIMIT, slow)) == "timeout"
    assert ticks() - started < LIMIT + SLACK


@pytest.mark.parametrize("extra", [0, 1])
def test_at_most_64_kib_are_read(receiver: Receiver, extra: int) -> None:
    receiver.behaviour = status(200, b"x" * (MOST_READ + extra))
    if extra:
        assert failure(receiver.url, method="get") == "too large"
    else:
        assert len(GuardedClient(allow_loopback=True).get(receiver.url).body) == MOST_READ


def test_endless_body_without_a_length_is_too_large(receiver: Receiver) -> None:
    receiver.behaviour = sends(OK + b"\r\n" + b"x" * 200_000)
    assert failure(receiver.url, method="get") == "too large"


@pytest.mark.parametrize(
    "behaviour",
    [sends(b""), sends(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), sends(b"HTTP/1.1 abc\r\n\r\n"), sends(b"\x00" * 70_000)],
    ids=["closed", "no HTTP", "no status", "nothing but zeros"],
)
def test_what_is_no_answer_is_no_connection(receiver: Receiver, behaviour: Any) -> None:
    receiver.behaviour = behaviour
    assert failure(receiver.url) == "no connection"


def test_closed_port_and_unknown_name_are_no_connection() -> None:
    assert failure(f"http://{LOOPBACK}:{free_port()}/") == "no connection"

    def unknown(_host: str, _port: int) -> Sequence[tuple[Any, ...]]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert failure("http://no-such-name.invalid/", GuardedClient(True, LONG, unknown)) == "no connection"


def test_body_that_is_cut_off_is_no_connection(receiver: Receiver) -> None:
    receiver.behaviour = sends(OK + b"Content-Length: 100\r\n\r\nabc")
    assert failure(receiver.url, method="get") == "no connection"


# TLS


def test_certificate_is_checked_for_the_name_and_against_ssl_cert_file(
    authority: Authority, trusting: GuardedClient, tmp_path: Path
) -> None:
    with Receiver(tls=authority.server_context("localhost", tmp_path), host="localhost") as receiver:
        assert trusting.post(receiver.url, {}) == 200
        assert failure(receiver.url.replace("localhost", LOOPBACK), trusting) == "certificate"


def test_certificate_of_an_unknown_authority_is_refused(authority: Authority, tmp_path: Path) -> None:
    with Receiver(tls=authority.server_context("localhost", tmp_path), host="localhost") as receiver:
        assert failure(receiver.url) == "certificate"
        assert receiver.calls == []


def test_name_is_sent_in_tls_and_checked_while_the_pinned_address_is_called(
    authority: Authority, trusting: GuardedClient, tmp_path: Path
) -> None:
    asked: list[str] = []
    context = authority.server_context("app.example", tmp_path)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)

    def resolve(_host: str, port: int) -> Sequence[tuple[Any, ...]]:
        return resolved(LOOPBACK, port)

    with Receiver(tls=context, host="app.example") as receiver:
        assert GuardedClient(True, LONG, resolve).post(receiver.url, {}) == 200
        assert receiver.calls[0].headers["Host"] == f"app.example:{receiver.port}"
    assert asked == ["app.example"]


def test_server_that_speaks_no_tls_is_no_connection(receiver: Receiver, trusting: GuardedClient) -> None:
    assert failure(receiver.url.replace("http:", "https:"), trusting) == "no connection"


def test_old_tls_is_refused(authority: Authority, trusting: GuardedClient, tmp_path: Path) -> None:
    context = authority.server_context("localhost", tmp_path)
    with pytest.warns(DeprecationWarning):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with Receiver(tls=context, host="localhost") as receiver:
        assert failure(receiver.url, trusting) == "no connection"


# Addresses


def test_name_is_resolved_once_and_every_address_of_it_is_looked_at(receiver: Receiver) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        asked.append(host)
        # A public address first, and this machine beside it or at the next look.
        public = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))]
        return [*public, *resolved(LOOPBACK, port)]

    assert failure(f"https://app.example:{receiver.port}/", GuardedClient(False, LONG, resolve)) == (
        "address not allowed"
    )
    assert asked == ["app.example"] and receiver.calls == []


def test_second_address_is_called_when_the_first_does_not_answer(receiver: Receiver) -> None:
    def resolve(_host: str, port: int) -> Sequence[tuple[Any, ...]]:
        unused = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0))]
        return [*unused, *resolved(LOOPBACK, port)]

    client = GuardedClient(True, LONG, resolve)
    assert client.post(f"http://app.example:{receiver.port}/", {}) == 200


@pytest.mark.parametrize(
    "url",
    [
        "ftp://93.184.216.34/",
        "file:///etc/passwd",
        "gopher://93.184.216.34/",
        "//93.184.216.34/",
        "https:///",
        "https://",
        "https://user@93.184.216.34/",
        "https://user:password@93.184.216.34/",
        "http://93.184.216.34/",
        "https://93.184.216.34:99999/",
        "https://[::1/",
        "https://ex ample/",
        "https://" + "a" * 64 + ".example/",
        "",
    ],
)
def test_what_is_no_https_address_is_never_called(url: str) -> None:
    def resolve(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        host.encode("idna")
        raise AssertionError(f"{host} was looked up")

    assert failure(url, GuardedClient(False, LONG, resolve)) == "address not allowed"
