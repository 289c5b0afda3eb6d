"""The measurement of the hot paths measures: a few requests to a real server, and what they asked of its database.

No time is asserted: it is that of the machine.
"""

import json
import subprocess
import sys
from pathlib import Path

from bench.installations import checkout
from bench.paths import PATHS

ROOT = Path(__file__).resolve().parents[2]


def test_measurement_tells_what_each_path_costs() -> None:
    command = [sys.executable, "-m", "bench.hot_paths", "--quick", "--database", "sqlite"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    figures = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    # Over one connection, and over two.
    assert [each["path"] for each in figures] == [name for name in PATHS for _ in range(2)]
    assert {each["requests"] for each in figures} == {3, 6}
    for each in figures:
        assert 0 < each["p50"] <= each["p95"] and each["per_second"] > 0
    statements = {each["path"]: each["statements"] for each in figures}
    assert statements["userinfo"] == "1 in 1"
    assert statements["PAR + authorize + token, DPoP"].count(",") == 2
    assert "p95 ms" in done.stdout and done.stdout.splitlines()[-1].endswith("seconds in all")


def test_checkout_of_another_revision_is_there_while_it_is_measured(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        named = ["-c", "user.name=t", "-c", "user.email=t@app.example"]
        subprocess.run(["git", *named, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "--quiet")
    file = tmp_path / "file"
    for text in ("first", "second"):
        file.write_text(text)
        git("add", "file")
        git("commit", "--quiet", "--message", text)
    with checkout("HEAD~1", tmp_path) as place:
        assert (place / "file").read_text() == "first"
    assert not place.exists() and file.read_text() == "second"
