"""Each real part is seen to work, and to fail loudly."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psycopg
import pytest
from playwright.sync_api import sync_playwright

from tests.services import chromium, node, ports, postgresql
from tests.services.postgresql import Postgresql, PostgresqlServer, Run, session_postgresql
from tests.services.processes import ChildProcess, ProcessFailed, answers
from tests.services.smtp import SmtpServer
from tests.services.tls_proxy import TlsProxy

ROOT = Path(__file__).resolve().parents[2]


# --- ports ---


def test_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server((ports.LOOPBACK, ports.free_port())) as server:
        assert not ports.is_free(server.getsockname()[1])


def test_free_ports_are_consecutive_and_can_all_be_listened_on() -> None:
    first = ports.free_ports(4)
    servers = [socket.create_server((ports.LOOPBACK, port)) for port in range(first, first + 4)]
    assert [server.getsockname()[1] for server in servers] == list(range(first, first + 4))
    for server in servers:
        server.close()


# --- processes ---


def test_child_process_answers_on_its_url_until_it_is_stopped() -> None:
    port = ports.free_port()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", ports.LOOPBACK]
    with ChildProcess(command, folder=Path(__file__).parent) as server:
        server.wait_until_answers(f"http://{ports.LOOPBACK}:{port}/")
        server.wait_for_output("GET / HTTP/1.1")
    assert not answers(f"http://{ports.LOOPBACK}:{port}/")
    assert "GET / HTTP/1.1" in server.output()


def test_child_process_that_ends_early_fails_with_its_output() -> None:
    with ChildProcess([sys.executable, "-c", "import sys; sys.exit('no such luck')"]) as child:
        with pytest.raises(ProcessFailed, match="exit code 1 (.|\n)*no such luck"):
            child.wait_until_answers(f"http://{ports.LOOPBACK}:{ports.free_port()}/")


def test_stopping_a_child_process_ends_what_it_started_too() -> None:
    sleeper = f"{sys.executable} -c 'import time; print(\"asleep\", flush=True); time.sleep(600)'"
    with ChildProcess(["sh", "-c", f"trap '' TERM; {sleeper} & echo $!; wait"]) as shell:
        shell.wait_for_output("asleep")
        sleeper_pid = int(shell.output().split()[0])
        assert shell.stop(timeout=1) == -signal.SIGKILL
    wait_until_gone(sleeper_pid)


# --- PostgreSQL ---


@pytest.fixture(scope="module")
def server() -> Iterator[Postgresql]:
    with session_postgresql() as running:
        yield running


def test_postgresql_database_is_copied_from_a_template_and_dropped_while_in_use(server: Postgresql) -> None:
    with psycopg.connect(plain(server.create_database("tried"))) as connection:
        connection.execute("CREATE TABLE word (text varchar)")
        connection.execute("INSERT INTO word VALUES ('één')")
    with psycopg.connect(plain(server.create_database("tried_copy", template="tried"))) as connection:
        assert connection.execute("SELECT text FROM word").fetchone() == ("één",)
        server.drop_database("tried_copy")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    server.drop_database("tried")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(server.url("tried", "postgresql"))


def test_postgresql_refuses_whoever_lacks_the_password(server: Postgresql) -> None:
    stranger = Postgresql(server.host, server.port, "guessed")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(stranger.url("postgres", "postgresql"))


def test_postgresql_keeps_what_is_decided_about_durability_and_time_as_in_production(server: Postgresql) -> None:
    with psycopg.connect(server.url("postgres", "postgresql")) as connection:
        shown = {
            name: connection.execute(f"SHOW {name}").fetchone()
            for name in ("synchronous_commit", "default_transaction_isolation", "max_connections", "server_encoding")
        }
    assert shown == {
        "synchronous_commit": ("on",),
        "default_transaction_isolation": ("read committed",),
        "max_connections": ("200",),
        "server_encoding": ("UTF8",),
    }


def test_two_processes_of_one_run_share_a_server_that_goes_when_the_last_is_killed() -> None:
    name = f"test-{os.getpid()}"
    script = (
        "import time; from tests.services.postgresql import session_postgresql\n"
        "with session_postgresql() as server: print(server.url('postgres', 'postgresql'), flush=True); time.sleep(600)"
    )
    environment = {**os.environ, "PYTEST_XDIST_TESTRUNUID": name}
    run = Run(name)
    with (
        ChildProcess([sys.executable, "-c", script], environment=environment, folder=ROOT) as first,
        ChildProcess([sys.executable, "-c", script], environment=environment, folder=ROOT) as second,
    ):
        for process in (first, second):
            process.wait_for_output("\n")
        assert first.output() == second.output()
        url = second.output().strip()
        os.kill(first.pid, signal.SIGKILL)
        with psycopg.connect(url) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
        assert row is not None
        os.kill(second.pid, signal.SIGKILL)
        wait_until(lambda: not run.users.exists())
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    assert not Path(row[0]).exists()


def test_postgresql_that_cannot_start_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir=postgresql.program_place()) as name:
        Path(name).chmod(0o755)
        monkeypatch.setattr(postgresql, "data_place", lambda: Path(name))
        monkeypatch.setattr(postgresql, "program_place", lambda: Path(name))
        monkeypatch.setitem(postgresql.CONFIGURATION, "max_connections", "a few")
        with pytest.raises(postgresql.PostgresqlFailed, match='invalid value for parameter "max_connections"'):
            PostgresqlServer().start()
        assert list(Path(name).iterdir()) == []


# --- SMTP ---


def message_to(recipient: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "idp@example.org", recipient, "Uw code: 123456"
    message.set_content("Uw beveiligingscode is één keer geldig.")
    return message


def test_smtp_server_keeps_what_it_accepts_and_not_what_it_refuses() -> None:
    with SmtpServer() as mailbox:
        with smtplib.SMTP(mailbox.host, mailbox.port, timeout=10) as client:
            client.send_message(message_to("anna@example.org"))
            mailbox.answer = "451 Try again later"
            with pytest.raises(smtplib.SMTPDataError, match="451"):
                client.send_message(message_to("bram@example.org"))
        received = mailbox.wait_for("anna@example.org")
        assert (received.sender, received.recipients) == ("idp@example.org", ("anna@example.org",))
        assert (received.subject, received.text.strip()) == (
            "Uw code: 123456",
            "Uw beveiligingscode is één keer geldig.",
        )
        assert not received.encrypted
        assert mailbox.sent_to("bram@example.org") == []
        with pytest.raises(TimeoutError, match=r"0 of 1 messages for bram@example\.org"):
            mailbox.wait_for("bram@example.org", timeout=0.05)


# --- Chromium ---


def test_chromium_runs_scripts_of_a_page() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.executable(), args=chromium.launch_arguments(), headless=True
        )
        page = browser.new_page()
        page.set_content("<p id=greeting></p><script>greeting.textContent = 'Welkom'</script>")
        assert page.inner_text("#greeting") == "Welkom"
        browser.close()


# --- Node ---


def test_node_of_the_wheel_runs_and_finds_itself_on_its_path() -> None:
    script = "console.log(process.versions.node.split('.')[0] >= 24, process.execPath)"
    answer = subprocess.run(
        ["node", "-e", script], env=node.node_environment(), capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["true", str(node.node_executable())]


def package_folder(folder: Path) -> Path:
    """A package with one dependency, a tarball beside it, locked by npm."""
    dependency = folder / "greeting"
    dependency.mkdir(parents=True)
    (dependency / "package.json").write_text(json.dumps({"name": "greeting", "version": "1.0.0"}))
    (dependency / "index.js").write_text("module.exports = 'Goedemorgen'\n")
    package = folder / "package"
    package.mkdir()
    (package / "package.json").write_text(
        json.dumps({"private": True, "dependencies": {"greeting": "file:greeting-1.0.0.tgz"}})
    )
    (package / "main.cjs").write_text("console.log(require('greeting'))\n")
    for command in (["pack", str(dependency), "--silent"], ["install", "--package-lock-only", "--silent"]):
        subprocess.run([*node.npm_command(), *command], cwd=package, check=True, capture_output=True)
    return package


def test_npm_ci_installs_a_locked_package_once_and_refuses_a_wrong_checksum(tmp_path: Path) -> None:
    package, cache = package_folder(tmp_path / "source"), tmp_path / "cache"
    installed = node.npm_ci(package, cache)
    answer = subprocess.run(
        [node.node_executable(), installed / "main.cjs"], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "Goedemorgen\n"
    assert not (package / "node_modules").exists()

    made_at = installed.stat().st_mtime_ns
    assert node.npm_ci(package, cache) == installed
    assert installed.stat().st_mtime_ns == made_at

    lock = package / "package-lock.json"
    locked = json.loads(lock.read_text())
    locked["packages"]["node_modules/greeting"]["integrity"] = "sha512-" + "A" * 86 + "=="
    lock.write_text(json.dumps(locked))
    with pytest.raises(RuntimeError, match="EINTEGRITY"):
        node.npm_ci(package, cache)


# --- what several tests above need ---


def plain(url: str) -> str:
    """The URL without SQLAlchemy's driver."""
    return url.replace("postgresql+psycopg", "postgresql")


def wait_until_gone(pid: int) -> None:
    """The process has ended; one that only waits for its parent to notice has."""

    def gone() -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        except (FileNotFoundError, ProcessLookupError):
            return True

    wait_until(gone)


def wait_until(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "the condition was not reached in time"
        time.sleep(0.02)


# --- TLS before a server ---


class Told(BaseHTTPRequestHandler):
    """Answers with what it was told."""

    def do_POST(self) -> None:  # noqa: N802 - the name that the base class calls
        content = self.rfile.read(int(self.headers["Content-Length"]))
        told = [
            self.headers["Host"],
            self.headers["X-Forwarded-Proto"],
            self.headers["X-Forwarded-For"],
            content.decode(),
        ]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(told).encode())

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[TlsProxy]:
    """Before a server that is called one.test."""
    with ThreadingHTTPServer((ports.LOOPBACK, 0), Told) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with TlsProxy({"one.test": server.server_port}, tmp_path) as found:
            yield found
        server.shutdown()


def asked_by_tls(proxy: TlsProxy, name: str, host: str, content: bytes) -> tuple[int, bytes]:
    """Status and body of what is answered to a request to the server of this name, for that host."""
    context = ssl.create_default_context(cafile=str(proxy.authority.file))
    with socket.create_connection((ports.LOOPBACK, proxy.port)) as plain:
        with context.wrap_socket(plain, server_hostname=name) as connection:
            head = f"POST / HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 192.0.2.7\r\n"
            head += f"Content-Length: {len(content)}\r\n\r\n"
            connection.sendall(head.encode() + content)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head_of_answer, _, body = answer.partition(b"\r\n\r\n")
    return int(head_of_answer.split()[1]), body


def test_tls_proxy_passes_on_what_comes_and_says_how_it_came(proxy: TlsProxy) -> None:
    content = b"x" * 200_000
    status, body = asked_by_tls(proxy, "one.test", "one.test", content)
    assert status == 200
    assert json.loads(body) == ["one.test", "https", "127.0.0.1", content.decode()]


def test_tls_proxy_knows_no_other_host_and_shows_no_certificate_for_another_name(proxy: TlsProxy) -> None:
    assert asked_by_tls(proxy, "one.test", "two.test", b"")[0] == 421
    with pytest.raises(ssl.SSLCertVerificationError):
        asked_by_tls(proxy, "two.test", "two.test", b"")
