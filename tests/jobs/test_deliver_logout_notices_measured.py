"""The measurement of logout notices measures: a few sessions, a real worker, receivers in another process."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_measurement_tells_how_long_clients_waited() -> None:
    command = [sys.executable, "-m", "bench.notices", "--sessions", "4", "--clients", "2", "--over", "1"]
    done = subprocess.run([*command, "--database", "sqlite"], cwd=ROOT, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    line, *_, seconds = done.stdout.splitlines()
    figures = json.loads(line)
    assert (figures["calls"], figures["missing"], figures["repeated"]) == (8, 0, 0)
    assert 0 <= figures["p50"] <= figures["p95"] <= figures["p99"] <= figures["longest"] < 60
    assert "p95" in done.stdout and seconds.endswith("seconds in all")
