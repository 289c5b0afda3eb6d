"""Commands as child processes, with their output kept and their whole tree ended."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

PAUSE = 0.05
# The machine's proxy settings are for the world outside; what we start listens here.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ProcessFailed(Exception):
    """The process ended or stayed silent when it should have answered; the text holds its output."""


class ChildProcess:
    """A command that runs from `start` to `stop`, or inside a `with` block, in a process group of its own."""

    def __init__(
        self, command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, folder: Path | None = None
    ) -> None:
        """`environment` is the whole environment of the child; None hands down ours."""
        self.command = [str(word) for word in command]
        self._environment = None if environment is None else dict(environment)
        self._folder = folder
        self._child: subprocess.Popen[bytes] | None = None
        self._printed = ""

    def start(self) -> ChildProcess:
        """The command runs; standard output and error go to `output()`."""
        self._kept = tempfile.TemporaryFile()
        self._child = subprocess.Popen(
            self.command,
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._kept,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        return self

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def exit_code(self) -> int | None:
        """None while the command runs; minus the signal's number when a signal ended it."""
        return self._running().poll()

    def output(self) -> str:
        """All that the command and its children printed so far."""
        if not self._kept.closed:
            size = os.fstat(self._kept.fileno()).st_size
            self._printed = os.pread(self._kept.fileno(), size, 0).decode(errors="replace")
        return self._printed

    def wait_until(self, condition: Callable[[], bool], what: str, timeout: float = 30.0) -> None:
        """The condition is true, after at most `timeout` seconds. Raises ProcessFailed, and at once when it ends."""
        end = time.monotonic() + timeout
        while not condition():
            if self.exit_code is not None:
                raise ProcessFailed(self._complaint(f"ended with exit code {self.exit_code} before {what}"))
            if time.monotonic() > end:
                raise ProcessFailed(self._complaint(f"did not reach this within {timeout:g} s: {what}"))
            time.sleep(PAUSE)

    def wait_until_answers(self, url: str, timeout: float = 30.0) -> None:
        """The URL has answered 200. Raises ProcessFailed."""
        self.wait_until(lambda: answers(url), f"{url} answers 200", timeout)

    def wait_for_output(self, text: str, timeout: float = 30.0) -> None:
        """The text stands in the output. Raises ProcessFailed."""
        self.wait_until(lambda: text in self.output(), f"it prints {text!r}", timeout)

    def wait_for_exit(self, timeout: float = 30.0) -> int:
        """The exit code, once the command has ended by itself. Raises ProcessFailed."""
        try:
            return self._running().wait(timeout)
        except subprocess.TimeoutExpired:
            raise ProcessFailed(self._complaint(f"still runs after {timeout:g} s")) from None

    def stop(self, timeout: float = 10.0) -> int:
        """The exit code; the command and all that it started are gone, after `timeout` seconds by force.

        What it printed can still be read.
        """
        child = self._running()
        self._signal(signal.SIGTERM)
        try:
            code = child.wait(timeout)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            code = child.wait()
        # Children that outlive their parent stay in its group.
        self._signal(signal.SIGKILL)
        self.output()
        self._kept.close()
        return code

    def __enter__(self) -> ChildProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            raise ProcessFailed(f"{' '.join(self.command)} was not started")
        return self._child

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._running().pid, number)
        except ProcessLookupError:
            return

    def _complaint(self, what: str) -> str:
        return f"{' '.join(self.command)} {what}. Its output:\n{self.output()}"


def answers(url: str) -> bool:
    """True when a GET of the URL (http) yields 200 now."""
    try:
        with DIRECT.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
