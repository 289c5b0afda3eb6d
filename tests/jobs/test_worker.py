"""Tasks run when they are due, and one that fails harms no other."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Thread

import pytest

from idp.jobs.worker import Task, Worker
from idp.kernel.clock import FixedClock


class Diary:
    """What was done, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def scope(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.lines.append("given back") if self.lines and self.lines[-1] != "given back" else None

    def task(self, name: str, seconds: int) -> Task:
        return Task(name, timedelta(seconds=seconds), lambda: self.lines.append(name))

    @property
    def done(self) -> list[str]:
        return [line for line in self.lines if line != "given back"]


def test_task_runs_at_once_and_again_exactly_when_it_is_due(clock: FixedClock) -> None:
    diary = Diary()
    worker = Worker([diary.task("often", 1), diary.task("seldom", 10)], clock, diary.scope)
    worker.run_due()
    assert diary.done == ["often", "seldom"]
    clock.move(timedelta(milliseconds=999))
    worker.run_due()
    assert diary.done == ["often", "seldom"]
    clock.move(timedelta(milliseconds=1))
    worker.run_due()
    assert diary.done == ["often", "seldom", "often"]
    clock.move(timedelta(seconds=9))
    worker.run_due()
    assert diary.done == ["often", "seldom", "often", "often", "seldom"]


def test_failing_task_is_logged_and_leaves_the_others_alone(
    clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        diary.lines.append("fails")
        raise RuntimeError("the reason")

    diary = Diary()
    worker = Worker([Task("broken", timedelta(seconds=5), fail), diary.task("whole", 1)], clock, diary.scope)
    with caplog.at_level(logging.ERROR):
        worker.run_due()
    assert diary.lines == ["fails", "given back", "whole", "given back"]
    assert "the task 'broken' failed" in caplog.text and "the reason" in caplog.text
    clock.move(timedelta(seconds=5))
    worker.run_due()
    assert diary.done == ["fails", "whole", "fails", "whole"]


def test_worker_that_is_told_to_stop_ends_after_the_task_at_hand(clock: FixedClock) -> None:
    diary = Diary()
    worker = Worker([Task("last", timedelta(0), lambda: worker.stop()), diary.task("never", 0)], clock, diary.scope)
    thread = Thread(target=worker.run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert diary.done == []
