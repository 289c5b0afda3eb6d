"""Runs tasks when they are due, one after the other, until it is told to stop."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event

from idp.kernel.clock import Clock

log = logging.getLogger(__name__)

LONGEST_REST = timedelta(seconds=1)


@dataclass(frozen=True)
class Task:
    """Something to do again `every` so often, counted from the start of the time before."""

    name: str
    every: timedelta
    run: Callable[[], object]


class Worker:
    """Each task runs inside `scope`, so that what it held is given back whatever happens."""

    def __init__(
        self, tasks: Sequence[Task], clock: Clock, scope: Callable[[], AbstractContextManager[object]]
    ) -> None:
        self._tasks = tuple(tasks)
        self._clock = clock
        self._scope = scope
        self._due: dict[str, datetime] = {}
        self._stopping = Event()

    def stop(self) -> None:
        """`run` returns after the task at hand. For signal handlers and other threads."""
        self._stopping.set()

    def run(self) -> None:
        """Works until `stop`."""
        while not self._stopping.is_set():
            self.run_due()
            self._stopping.wait(LONGEST_REST.total_seconds())

    def run_due(self) -> None:
        """Every task that is due has run once. One that fails is logged and does not keep the others from running."""
        for task in self._tasks:
            if self._stopping.is_set():
                return
            try:
                self._run_if_due(task)
            except Exception:  # whatever it was, the task is tried again when it is due
                log.exception("the task %r failed", task.name)

    def _run_if_due(self, task: Task) -> None:
        with self._scope():
            now = self._clock.now()
            if now >= self._due.get(task.name, now):
                self._due[task.name] = now + task.every
                task.run()
