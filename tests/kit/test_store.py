"""The stores: what ended stays ended, whatever else happens at the same time, in any number of processes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from idp_kit import Login, SqliteStore, Store
from idp_kit.logout_token import LogoutToken
from idp_kit.session_clock import SessionClock, Times
from idp_kit.sqlite_store import MOST_ANONYMOUS

NOW = datetime(2026, 2, 2, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
CLOCK = SessionClock.started(Times(NOW, NOW + HOUR / 2, NOW + 12 * HOUR, HOUR / 2))


def login(sid: str = "one", sub: str = "anna") -> Login:
    return Login(sid, sub, {"iat": int(NOW.timestamp())}, {"name": "Anna"}, "id token")


def notice(sid: str | None, sub: str | None = None, jti: str = "jti") -> LogoutToken:
    return LogoutToken(sid, sub, jti, NOW, NOW + HOUR)


def sign_in(store: Store, key: str, sid: str = "one", sub: str = "anna") -> bool:
    return store.sign_in(key, login(sid, sub), CLOCK, NOW + 12 * HOUR, NOW)


def who(store: Store, key: str, now: datetime = NOW) -> str | None:
    kept = store.load(key, now)
    return kept.login.sid if kept and kept.login else None


def test_login_is_kept_with_its_clock(store: Store) -> None:
    assert sign_in(store, "key")
    kept = store.load("key", NOW)
    assert kept is not None and (kept.login, kept.clock, kept.ended, kept.data) == (login(), CLOCK, None, {})
    assert store.load("another key", NOW) is None
    assert store.load("key", NOW + 12 * HOUR) is None, "not for ever"


def test_file_waits_for_the_disk_at_each_commit(tmp_path: Path) -> None:
    with SqliteStore(tmp_path / "sessions.db")._reading() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"


def test_requests_at_the_same_time_change_different_entries_without_losing_one(store: Store) -> None:
    store.save("key", {"a": 1, "b": 2}, (), NOW + HOUR, True, NOW)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: store.save("key", {f"n{n}": n}, ("a",), NOW + HOUR, False, NOW), range(40)))
    kept = store.load("key", NOW)
    assert kept is not None and kept.data == {"b": 2} | {f"n{n}": n for n in range(40)}


def test_change_to_a_session_that_is_gone_brings_nothing_back(store: Store) -> None:
    store.save("key", {"a": 1}, (), NOW + HOUR, True, NOW)
    store.forget("key")
    store.save("key", {"b": 2}, (), NOW + HOUR, False, NOW)
    assert store.load("key", NOW) is None
    assert store.change_clock("unknown", lambda clock: clock) is None


def test_end_takes_every_browser_of_the_session_with_all_that_was_kept(store: Store) -> None:
    assert sign_in(store, "first") and sign_in(store, "second") and sign_in(store, "other", "two")
    store.save("first", {"basket": "full"}, (), NOW + HOUR, False, NOW)
    store.end("one", NOW)
    for key in ("first", "second"):
        kept = store.load(key, NOW)
        assert kept is not None and (kept.login, kept.clock, kept.data, kept.ended) == (None, None, {}, "elsewhere")
    assert who(store, "other") == "two"
    assert store.change_clock("one", lambda clock: clock) is None


@pytest.mark.parametrize(("after", "reason"), [(1800, "inactivity"), (1799, "elsewhere")])
def test_end_at_the_known_deadline_was_inactivity(store: Store, after: int, reason: str) -> None:
    sign_in(store, "key")
    then = NOW + timedelta(seconds=after)
    store.end("one", then)
    kept = store.load("key", then)
    assert kept is not None and kept.ended == reason


def test_nobody_signs_in_with_a_session_that_ended(store: Store) -> None:
    store.end("one", NOW)
    assert not sign_in(store, "key") and store.load("key", NOW) is None
    assert sign_in(store, "key", "two")
    store.end_by_notice(notice(None, "bram"), NOW)
    assert not sign_in(store, "another", "three", "bram")


def test_notice_counts_once_of_many_at_the_same_time(store: Store) -> None:
    sign_in(store, "key")
    with ThreadPoolExecutor(8) as threads:
        counted = list(threads.map(lambda _: store.end_by_notice(notice("one"), NOW), range(40)))
    assert counted.count(True) == 1 and who(store, "key") is None


def test_jti_is_remembered_until_the_token_is_dead_and_no_longer(store: Store) -> None:
    assert store.end_by_notice(notice("one"), NOW)
    assert not store.end_by_notice(notice("two"), NOW + HOUR - timedelta(seconds=1))
    assert store.end_by_notice(notice("two"), NOW + HOUR)


def test_reports_that_are_due_are_told_apart(store: Store) -> None:
    sign_in(store, "key")
    sign_in(store, "other", "two")
    assert store.pending(NOW + HOUR) == [] and store.next_due() is None
    store.change_clock("one", lambda clock: clock.with_activity(NOW + timedelta(seconds=1)))
    assert store.next_due() == NOW + timedelta(minutes=1)
    assert store.pending(NOW + timedelta(seconds=59)) == []
    assert store.pending(NOW + timedelta(seconds=60)) == ["one"]


def test_change_of_a_clock_that_fails_changes_nothing(store: Store) -> None:
    sign_in(store, "key")

    def fail(clock: SessionClock) -> SessionClock:
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        store.change_clock("one", fail)
    assert store.change_clock("one", lambda clock: clock) == CLOCK


def test_endless_browsers_without_anybody_push_out_nobody_who_is_signed_in(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    store = SqliteStore(path)
    sign_in(store, "key")
    with sqlite3.connect(path) as connection:
        rows = ((f"anonymous {n}", NOW.timestamp() + 60 + n) for n in range(MOST_ANONYMOUS + 50))
        connection.executemany("INSERT INTO sessions (key, data, expires_at) VALUES (?, '{}', ?)", rows)
    connection.close()
    store.save("new", {"a": 1}, (), NOW + 24 * HOUR, True, NOW)
    with sqlite3.connect(path) as connection:
        (left,) = connection.execute("SELECT count(*) FROM sessions WHERE sid IS NULL").fetchone()
    connection.close()
    assert left == MOST_ANONYMOUS and who(store, "key") == "one" and store.load("new", NOW) is not None


def test_file_is_for_its_owner_alone_and_holds_no_cookie(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    store = SqliteStore(path)
    sign_in(store, "the value of a cookie")
    assert path.stat().st_mode & 0o077 == 0
    assert all(b"the value of a cookie" not in each.read_bytes() for each in tmp_path.iterdir())


def test_file_that_others_could_read_is_for_its_owner_alone_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    store = SqliteStore(path)
    with closing(sqlite3.connect(path)) as reader:  # so that the files beside it stay
        sign_in(store, "key")
        reader.execute("SELECT count(*) FROM sessions").fetchone()
        files = sorted(tmp_path.iterdir())
        assert [each.name for each in files] == ["sessions.db", "sessions.db-shm", "sessions.db-wal"]
        for each in files:
            each.chmod(0o644)
        assert who(SqliteStore(path), "key") == "one"
        assert [each.stat().st_mode & 0o777 for each in files] == [0o600] * 3


def test_end_of_a_session_that_anybody_may_have_invented_is_remembered_only_when_somebody_has_it(store: Store) -> None:
    store.end_if_known("invented", NOW)
    assert sign_in(store, "key", "invented")
    store.end_if_known("invented", NOW)
    assert who(store, "key") is None and not sign_in(store, "again", "invented")


PROCESS = """
import sys
from dataclasses import replace
from datetime import timedelta
from idp_kit import SqliteStore
from tests.kit.test_store import CLOCK, NOW, notice, sign_in

store, name = SqliteStore(sys.argv[1]), sys.argv[2]
second = timedelta(seconds=1)
for n in range(50):
    store.save("shared", {f"{name} {n}": n}, (), NOW + timedelta(hours=1), False, NOW)
    store.change_clock("counted", lambda clock: replace(clock, last_activity_at=clock.last_activity_at + second))
    print(int(store.end_by_notice(notice(f"sid {n}", jti=f"jti {n}"), NOW)))
"""


def test_processes_share_a_file_without_losing_anything(tmp_path: Path) -> None:
    path = tmp_path / "sessions.db"
    store = SqliteStore(path)
    store.save("shared", {"a": 1}, (), NOW + HOUR, True, NOW)
    sign_in(store, "counted", "counted")
    for n in range(50):
        sign_in(store, f"key {n}", f"sid {n}")
    processes = [
        subprocess.Popen([sys.executable, "-c", PROCESS, str(path), name], stdout=subprocess.PIPE, text=True)
        for name in ("first", "second", "third")
    ]
    answers = [process.communicate(timeout=60)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert [sum(map(int, each)) for each in zip(*answers, strict=True)] == [1] * 50, "each notice counted once"
    kept = store.load("shared", NOW)
    assert kept is not None and len(kept.data) == 151
    clock = store.change_clock("counted", lambda clock: clock)
    assert clock == replace(CLOCK, last_activity_at=NOW + timedelta(seconds=150))
    assert [who(store, f"key {n}") for n in range(50)] == [None] * 50
