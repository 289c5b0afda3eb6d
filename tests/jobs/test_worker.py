"""Tasks run when they are due, and one that fails harms no other."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Thread, current_thread

import pytest

from idp.jobs.worker import Task, Worker, run_together
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
        raise RuntimeError("row (j.jansen@voorbeeld.example)") from KeyError("482915")

    diary = Diary()
    worker = Worker([Task("broken", timedelta(seconds=5), fail), diary.task("whole", 1)], clock, diary.scope)
    with caplog.at_level(logging.ERROR):
        worker.run_due()
    assert diary.lines == ["fails", "given back", "whole", "given back"]
    assert "the task 'broken' failed: RuntimeError from KeyError at test_worker.py:" in caplog.text
    assert "idp/jobs/worker.py:" in caplog.text
    assert "voorbeeld" not in caplog.text and "482915" not in caplog.text, "a driver's text repeats values of rows"
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


def test_workers_that_run_together_stop_together(clock: FixedClock) -> None:
    diary, stopping, has_run, threads = Diary(), Event(), Event(), set[str]()

    def first() -> None:
        threads.add(current_thread().name)
        has_run.set()

    def last() -> None:
        threads.add(current_thread().name)
        has_run.wait(10)
        stopping.set()

    workers = [Worker([Task("any", timedelta(0), each)], clock, diary.scope, stopping) for each in (first, last)]
    thread = Thread(target=run_together, args=[workers])
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert len(threads) == 2


def test_task_that_hangs_does_not_delay_another_worker(clock: FixedClock) -> None:
    diary, stopping, hanging = Diary(), Event(), Event()

    def hang() -> None:
        hanging.set()
        stopping.wait(30)

    def work() -> None:
        if hanging.wait(30):
            diary.lines.append("done meanwhile")
            stopping.set()

    run_together([Worker([Task("any", timedelta(0), each)], clock, diary.scope, stopping) for each in (hang, work)])
    assert diary.done == ["done meanwhile"]


def test_worker_that_breaks_off_takes_the_others_with_it(clock: FixedClock) -> None:
    class Broken(BaseException):
        """What no worker catches."""

    def break_off() -> None:
        raise Broken

    diary, stopping = Diary(), Event()
    endless = Worker([diary.task("endless", 0)], clock, diary.scope, stopping)
    with pytest.raises(Broken):
        run_together([Worker([Task("breaks", timedelta(0), break_off)], clock, diary.scope, stopping), endless])
    assert stopping.is_set()
