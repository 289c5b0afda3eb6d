"""The measurement of logout notices measures: a few sessions, a real worker, receivers in another process."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import is_long

ROOT = Path(__file__).resolve().parents[2]
# Seconds: what is promised for 95 of 100.
PROMISED = 5


def measured(kind: str, sessions: int, clients: int, over: int) -> tuple[dict[str, Any], str]:
    """The figures of one run, and all that it printed. No notice was lost."""
    plan = ["--sessions", str(sessions), "--clients", str(clients), "--over", str(over), "--database", kind]
    command = [sys.executable, "-m", "bench.notices", *plan]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[0])
    assert (figures["calls"] - figures["repeated"], figures["missing"]) == (sessions * clients, 0)
    assert 0 <= figures["p50"] <= figures["p95"] <= figures["p99"] <= figures["longest"]
    return figures, done.stdout


def test_measurement_tells_how_long_clients_waited() -> None:
    figures, printed = measured("sqlite", 4, 2, 1)
    assert figures["repeated"] == 0 and figures["longest"] < 60
    assert "p95" in printed and printed.splitlines()[-1].endswith("seconds in all")


@pytest.mark.skipif(not is_long(), reason="two minutes; `make test-long`")
def test_clients_wait_on_postgresql_as_long_as_is_promised_or_no_longer_than_on_sqlite_here_and_now() -> None:
    sqlite, _ = measured("sqlite", 100, 10, 20)
    postgresql, _ = measured("postgresql", 100, 10, 20)
    # A busy machine makes both slow; twice, because they are measured one after the other.
    assert postgresql["p95"] < max(PROMISED, 2 * sqlite["p95"]), (postgresql, sqlite)
