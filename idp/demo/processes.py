"""The demonstration's processes: each ends with the one that started it, however that ended."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from idp.kernel.errors import IdpError

ENDS_WITHIN_SECONDS = 10
LOOKS_EVERY_SECONDS = 1


class Ended(IdpError):
    """A child ended that should have stayed."""


@contextmanager
def child(command: Sequence[str], environment: Mapping[str, str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The command runs inside the `with` block, with its output in `log`; after it nothing of it is left.

    Its standard input ends when this process does, whatever ends it.
    """
    with log.open("ab") as output:
        started = subprocess.Popen(  # noqa: S603 - our own command
            command,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # A Ctrl-C in the terminal reaches this process alone, which then ends the child in order.
            start_new_session=True,
        )
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(ENDS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        if started.stdin is not None:
            started.stdin.close()
        # Its own children are in its group.
        _kill_group(started.pid)


def end_with_parent() -> None:
    """From now on this process ends soon after its parent, whatever ended that."""
    Thread(target=_watch, args=(os.getppid(),), name="watches the parent process", daemon=True).start()


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt inside the block, as Ctrl-C does. The first signal counts."""

    def stop(_number: int, _frame: object) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {each: signal.signal(each, stop) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOKS_EVERY_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
