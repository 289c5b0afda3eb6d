"""Runs tasks when they are due, one after the other, until it is told to stop.

What must not wait for the rest has a worker, and so a thread, of its own: see `run_together`.
"""

import logging
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event, Thread

from idp.kernel.clock import Clock

log = logging.getLogger(__name__)

LONGEST_REST = timedelta(seconds=1)
SHORTEST_REST = timedelta(milliseconds=50)
PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Task:
    """Something to do again `every` so often, counted from the start of the time before."""

    name: str
    every: timedelta
    run: Callable[[], object]


class Worker:
    """Each task runs inside `scope`, so that what it held is given back whatever happens.

    Workers that were given the same `stopping` stop together.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        clock: Clock,
        scope: Callable[[], AbstractContextManager[object]],
        stopping: Event | None = None,
    ) -> None:
        self._tasks = tuple(tasks)
        self._clock = clock
        self._scope = scope
        self._due: dict[str, datetime] = {}
        self._stopping = stopping or Event()
        self._rest = max(SHORTEST_REST, min([LONGEST_REST, *(task.every for task in self._tasks)]))

    def stop(self) -> None:
        """`run` returns after the task at hand. For signal handlers and other threads."""
        self._stopping.set()

    def run(self) -> None:
        """Works until `stop`."""
        while not self._stopping.is_set():
            self.run_due()
            self._stopping.wait(self._rest.total_seconds())

    def run_due(self) -> None:
        """Every task that is due has run once. One that fails is logged and does not keep the others from running."""
        for task in self._tasks:
            if self._stopping.is_set():
                return
            try:
                self._run_if_due(task)
            except Exception as error:  # whatever it was, the task is tried again when it is due
                log.error("the task %r failed: %s", task.name, described(error))

    def _run_if_due(self, task: Task) -> None:
        with self._scope():
            now = self._clock.now()
            if now >= self._due.get(task.name, now):
                self._due[task.name] = now + task.every
                task.run()


def run_together(workers: Sequence[Worker]) -> None:
    """Each runs in a thread of its own, the first one in this, until all have stopped.

    When one ends by an exception the others stop too: half a worker would look like a whole one.
    """

    def run(worker: Worker) -> None:
        try:
            worker.run()
        finally:
            for each in workers:
                each.stop()

    first, *others = workers
    threads = [Thread(target=run, args=[worker], name=f"worker {number}") for number, worker in enumerate(others, 2)]
    for thread in threads:
        thread.start()
    try:
        run(first)
    finally:
        for thread in threads:
            thread.join()


def described(error: BaseException) -> str:
    """The kind of the error, its cause, and where in this program it came from; nothing of what it says.

    The text of a driver's error repeats values of the row: addresses, hashes, codes.
    """
    kinds, each = [type(error).__name__], error
    while (cause := each.__cause__ or each.__context__) is not None and len(kinds) < 4:
        kinds.append(type(cause).__name__)
        each = cause
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if PACKAGE in Path(frame.filename).parents]
    places = [f"{Path(frame.filename).relative_to(PACKAGE.parent)}:{frame.lineno}" for frame in reversed(ours)]
    last = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "nowhere"
    return f"{' from '.join(kinds)} at {last}, through {' '.join(places[:6]) or 'none of this program'}"
