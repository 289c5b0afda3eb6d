"""Several operating-system processes that attack one database at the same instant.

    def act(node: Node, given: G) -> R:            # at the top level of a module: it travels by name
        browsers = [...]                           # whatever has to be prepared
        return node.at_once([...])                 # released in every process by one barrier

    results = run(act, [given_1, given_2, given_3], database_url, clock.now())

Each process builds the application anew on the same database, with a clock that stands at the same moment. A process
that raises fails the run with its traceback; one that dies fails it too, unless its number is in `may_die`; what takes
too long is killed. Works for SQLite files and for PostgreSQL.
"""

import multiprocessing
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Barrier
from typing import Any, Generic, TypeVar

import idp.application  # noqa: F401 - the fork server imports it once for all processes
from idp import create_app
from idp.kernel.clock import FixedClock
from tests import canary
from tests.attacks.world import World
from tests.conftest import dispose, is_long, make_settings

G = TypeVar("G")
R = TypeVar("R")

SECONDS = 60.0
# The fork server is a fresh interpreter without threads and connections; its children start in milliseconds.
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


class ParallelFailed(AssertionError):
    """A process raised, died or did not finish; the text says which and why."""


@dataclass(frozen=True)
class Died(Generic[R]):
    """What a process that may die leaves behind."""

    exit_code: int | None


class Node:
    """One process of the attack, seen from inside."""

    def __init__(self, number: int, world: World, barrier: Barrier) -> None:
        self.number, self.world, self._barrier = number, world, barrier

    def meet(self) -> None:
        """Returns when every process has come here."""
        self._barrier.wait(SECONDS)

    def at_once(self, actions: Sequence[Callable[[], R]]) -> list[R]:
        """The results of the actions, each in a thread of its own, released together with those of all processes."""
        gate = threading.Barrier(len(actions) + 1)
        results: list[R | None] = [None] * len(actions)
        failures: list[str] = []

        def work(position: int, action: Callable[[], R]) -> None:
            try:
                gate.wait(SECONDS)
                results[position] = action()
            except Exception:
                failures.append(traceback.format_exc())

        threads = [threading.Thread(target=work, args=each, daemon=True) for each in enumerate(actions)]
        for thread in threads:
            thread.start()
        self.meet()
        gate.wait(SECONDS)
        for thread in threads:
            thread.join(SECONDS)
        if failures or any(thread.is_alive() for thread in threads):
            raise ParallelFailed("\n".join(failures) or "a thread did not finish")
        return results  # type: ignore[return-value]


def often(full: int, least: int) -> int:
    """How many rounds or attackers: the full number in the long run, a fiftieth of it otherwise, but enough to tell."""
    return full if is_long() else max(full // 50, least)


def run(
    act: Callable[[Node, G], R],
    given: Sequence[G],
    database_url: str,
    at: datetime,
    *,
    settings: Mapping[str, Any] | None = None,
    seconds: float = SECONDS,
    may_die: frozenset[int] = frozenset(),
) -> list[R]:
    """What `act` returned in each process, in the order of `given`; `Died` for one that was allowed to.

    Raises ParallelFailed, and leaves no process behind in any case.
    """
    barrier = _context.Barrier(len(given))
    values = {"database": {"url": database_url, "pool_size": 16, "busy_timeout": "PT30S"}, **(settings or {})}
    processes: list[BaseProcess] = []
    pipes: list[Connection] = []
    try:
        for number, each in enumerate(given):
            mine, theirs = _context.Pipe(duplex=False)
            arguments = (theirs, number, act, each, database_url, values, at, barrier)
            process: BaseProcess = _context.Process(target=_live, args=arguments, daemon=True)
            process.start()
            theirs.close()
            processes.append(process)
            pipes.append(mine)
        deadline = time.monotonic() + seconds
        reports = [_report(*each, deadline) for each in zip(processes, pipes, strict=True)]
    finally:
        for process in processes:
            process.kill()
            process.join()
            process.close()
        for pipe in pipes:
            pipe.close()
    failures = [
        f"process {number}: {report}"
        for number, (kind, report) in enumerate(reports)
        if kind == "failed" or (kind == "died" and number not in may_die)
    ]
    if failures:
        raise ParallelFailed("\n".join(failures))
    return [report for _, report in reports]


def _report(process: BaseProcess, pipe: Connection, deadline: float) -> tuple[str, Any]:
    if not pipe.poll(max(0.0, deadline - time.monotonic())):
        return "failed", "did not finish in time"
    try:
        kind, report = pipe.recv()
    except EOFError:
        process.join(5)
        return "died", Died[Any](process.exitcode)
    return kind, report


def _live(
    pipe: Connection,
    number: int,
    act: Callable[[Node, Any], Any],
    given: Any,
    database_url: str,
    values: Mapping[str, Any],
    at: datetime,
    barrier: Barrier,
) -> None:
    try:
        clock = FixedClock(at)
        app = create_app(make_settings(database_url, **values), clock)
        with canary.listening():
            report = ("done", act(Node(number, World(app, clock), barrier), given))
        dispose(app)
    except Exception:
        # The others must not wait for this one.
        barrier.abort()
        report = ("failed", traceback.format_exc())
    pipe.send(report)
    pipe.close()
