"""The stores of the kit: a file of SQLite for several processes on one machine, and the same in memory for one.

sessions    what is kept for a browser, by the hash of its cookie: whoever reads the file can use no cookie
clocks      one for each session of the provider
over        sessions of the provider, and subjects, that ended: nobody signs in with them any more
used        the `jti` of logout tokens, as long as those could be presented again
"""

import json
import sqlite3
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from threading import RLock
from typing import Any

from idp_kit.logout_token import LogoutToken
from idp_kit.session_clock import SessionClock
from idp_kit.store import ELSEWHERE, INACTIVITY, Kept, Login

TABLES = """
CREATE TABLE IF NOT EXISTS sessions (
  key TEXT PRIMARY KEY, data TEXT NOT NULL, expires_at REAL NOT NULL,
  sid TEXT, sub TEXT, iat REAL, login TEXT, ended TEXT
);
CREATE INDEX IF NOT EXISTS sessions_sid ON sessions (sid);
CREATE INDEX IF NOT EXISTS sessions_sub ON sessions (sub);
CREATE INDEX IF NOT EXISTS sessions_expires_at ON sessions (expires_at);
CREATE TABLE IF NOT EXISTS clocks (
  sid TEXT PRIMARY KEY, pending INTEGER NOT NULL, due_at REAL NOT NULL, clock TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS clocks_due_at ON clocks (due_at) WHERE pending;
CREATE TABLE IF NOT EXISTS over (
  kind TEXT, value TEXT, at REAL NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (kind, value)
);
CREATE TABLE IF NOT EXISTS used (jti TEXT PRIMARY KEY, expires_at REAL NOT NULL);
"""
BUSY_SECONDS = 5.0
MOST_ANONYMOUS = 10_000
# Longer than anybody takes from a code to a login, and than an ID token is believed.
REMEMBERS_ENDS_FOR = timedelta(hours=1)
TELLS_WHY_FOR = timedelta(days=1)


class SqliteStore:
    """A file that any number of processes on one machine share. It is for its owner alone, whatever it was before."""

    def __init__(self, path: Path | str) -> None:
        """The file is there. Raises OSError, also when it belongs to somebody else and is open to others, and
        sqlite3.Error."""
        self._path = Path(path)
        self._path.touch(mode=0o600)
        _close_to_others(self._path)
        connection = self._connect()
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(TABLES)
        finally:
            connection.close()

    def load(self, key: str, now: datetime) -> Kept | None:
        query = (
            "SELECT data, login, ended, clock FROM sessions LEFT JOIN clocks USING (sid) "
            "WHERE key = ? AND expires_at > ?"
        )
        with self._reading() as connection:
            row = connection.execute(query, (_hash(key), now.timestamp())).fetchone()
        if row is None:
            return None
        data, login, ended, clock = row
        if login is None or clock is None:
            return Kept(json.loads(data), ended=ended)
        return Kept(json.loads(data), Login(**json.loads(login)), SessionClock.from_row(json.loads(clock)))

    def save(
        self, key: str, changed: Mapping[str, Any], removed: Collection[str], until: datetime, new: bool, now: datetime
    ) -> None:
        with self._writing() as connection:
            row = connection.execute("SELECT data FROM sessions WHERE key = ?", (_hash(key),)).fetchone()
            if row is None and not new:
                return
            data = json.loads(row[0]) if row else {}
            kept = {name: value for name, value in data.items() if name not in removed} | dict(changed)
            connection.execute(
                "INSERT INTO sessions (key, data, expires_at) VALUES (?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE "
                "SET data = excluded.data, expires_at = max(expires_at, excluded.expires_at)",
                (_hash(key), json.dumps(kept), until.timestamp()),
            )
            if new:
                _sweep(connection, now)

    def forget(self, key: str) -> None:
        with self._writing() as connection:
            connection.execute("DELETE FROM sessions WHERE key = ?", (_hash(key),))

    def sign_in(self, key: str, login: Login, clock: SessionClock, until: datetime, now: datetime) -> bool:
        iat = float(login.claims["iat"])
        with self._writing() as connection:
            over = connection.execute(
                "SELECT 1 FROM over WHERE (kind = 'sid' AND value = ?) OR (kind = 'sub' AND value = ? AND at >= ?)",
                (login.sid, login.sub, iat),
            ).fetchone()
            if over is not None:
                return False
            connection.execute(
                "INSERT INTO sessions (key, data, sid, sub, iat, login, expires_at) VALUES (?, '{}', ?, ?, ?, ?, ?)",
                (_hash(key), login.sid, login.sub, iat, json.dumps(asdict(login)), until.timestamp()),
            )
            _put_clock(connection, login.sid, clock)
            _sweep(connection, now)
            return True

    def end(self, sid: str, now: datetime, reason: str | None = None) -> None:
        with self._writing() as connection:
            _end(connection, sid, now, reason)

    def end_if_known(self, sid: str, now: datetime) -> None:
        with self._reading() as connection:
            known = connection.execute("SELECT 1 FROM sessions WHERE sid = ?", (sid,)).fetchone()
        if known is not None:
            self.end(sid, now)

    def end_by_notice(self, token: LogoutToken, now: datetime) -> bool:
        with self._writing() as connection:
            _sweep(connection, now)
            claimed = connection.execute(
                "INSERT INTO used (jti, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (token.jti, token.dead_at.timestamp()),
            )
            if claimed.rowcount != 1:
                return False
            if token.sid is not None:
                _end(connection, token.sid, now, None)
            else:
                at = token.issued_at.timestamp()
                _remember(connection, "sub", token.sub or "", at, now)
                signed_in = "SELECT DISTINCT sid FROM sessions WHERE sub = ? AND iat <= ? AND sid IS NOT NULL"
                for (sid,) in connection.execute(signed_in, (token.sub, at)).fetchall():
                    _end(connection, sid, now, None)
            return True

    def change_clock(self, sid: str, change: Callable[[SessionClock], SessionClock]) -> SessionClock | None:
        with self._writing() as connection:
            before = _clock(connection, sid)
            if before is None:
                return None
            after = change(before)
            if after != before:
                _put_clock(connection, sid, after)
            return after

    def pending(self, now: datetime) -> list[str]:
        query = "SELECT sid FROM clocks WHERE pending AND due_at <= ? ORDER BY due_at"
        with self._reading() as connection:
            return [sid for (sid,) in connection.execute(query, (now.timestamp(),))]

    def next_due(self) -> datetime | None:
        with self._reading() as connection:
            (due_at,) = connection.execute("SELECT min(due_at) FROM clocks WHERE pending").fetchone()
        return None if due_at is None else datetime.fromtimestamp(due_at, UTC)

    def close(self) -> None:
        """Nothing to do: each use opens the file anew, so that forked processes share no connection."""

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        # With less, a power cut may take back the last commits: an ended login would be there again, and the notice of
        # its end, which was answered with 200, does not come twice.
        connection.execute("PRAGMA synchronous=FULL")
        return connection

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        connection = self._connect()
        try:
            yield connection
        finally:
            connection.close()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which waits for others at its start; it counts entirely or not at all."""
        with self._reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")


class MemoryStore(SqliteStore):
    """The same in the memory of one process. A restart signs everybody out."""

    def __init__(self) -> None:
        self._only = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._lock = RLock()
        self._only.executescript(TABLES)
        self._close = weakref.finalize(self, self._only.close)

    def close(self) -> None:
        self._close()

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._only


def _close_to_others(path: Path) -> None:
    """The file, and those that SQLite keeps beside it while it is in use, are for their owner alone."""
    for each in (path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))):
        try:
            if each.stat().st_mode & 0o077:
                each.chmod(0o600)
        except FileNotFoundError:  # SQLite makes it like the first
            continue


def _hash(key: str) -> str:
    return sha256(key.encode()).hexdigest()


def _clock(connection: sqlite3.Connection, sid: str) -> SessionClock | None:
    row = connection.execute("SELECT clock FROM clocks WHERE sid = ?", (sid,)).fetchone()
    return SessionClock.from_row(json.loads(row[0])) if row else None


def _put_clock(connection: sqlite3.Connection, sid: str, clock: SessionClock) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO clocks (sid, pending, due_at, clock) VALUES (?, ?, ?, ?)",
        (sid, clock.is_pending, clock.next_report_at.timestamp(), json.dumps(clock.as_row())),
    )


def _end(connection: sqlite3.Connection, sid: str, now: datetime, reason: str | None) -> None:
    clock = _clock(connection, sid)
    passed = clock is not None and clock.has_passed(now)
    connection.execute(
        "UPDATE sessions SET data = '{}', sid = NULL, sub = NULL, login = NULL, ended = ?, expires_at = ? "
        "WHERE sid = ?",
        (reason or (INACTIVITY if passed else ELSEWHERE), (now + TELLS_WHY_FOR).timestamp(), sid),
    )
    connection.execute("DELETE FROM clocks WHERE sid = ?", (sid,))
    _remember(connection, "sid", sid, now.timestamp(), now)


def _remember(connection: sqlite3.Connection, kind: str, value: str, at: float, now: datetime) -> None:
    connection.execute(
        "INSERT INTO over (kind, value, at, expires_at) VALUES (?, ?, ?, ?) "
        "ON CONFLICT (kind, value) DO UPDATE SET at = max(at, excluded.at), expires_at = excluded.expires_at",
        (kind, value, at, (now + REMEMBERS_ENDS_FOR).timestamp()),
    )


def _sweep(connection: sqlite3.Connection, now: datetime) -> None:
    """What expired is gone, and of browsers in which nobody signed in the oldest beyond a limit."""
    for statement in (
        "DELETE FROM sessions WHERE expires_at <= ?",
        "DELETE FROM over WHERE expires_at <= ?",
        "DELETE FROM used WHERE expires_at <= ?",
    ):
        connection.execute(statement, (now.timestamp(),))
    connection.execute("DELETE FROM clocks WHERE sid NOT IN (SELECT sid FROM sessions WHERE sid IS NOT NULL)")
    connection.execute(
        "DELETE FROM sessions WHERE key IN "
        "(SELECT key FROM sessions WHERE sid IS NULL ORDER BY expires_at DESC LIMIT -1 OFFSET ?)",
        (MOST_ANONYMOUS,),
    )
