"""The worker as a process sends mail: at once, beside its other work, to its end, and again after it was killed."""

import os
import signal
import sys
from datetime import timedelta
from pathlib import Path
from threading import Event

from idp import create_app
from idp.jobs.send_mail import LEASE_MARGIN
from idp.kernel.clock import ShiftedClock, SystemClock, ticks
from idp.mail.post import MailState
from idp.wiring import Services
from tests.conftest import dispose, make_settings
from tests.factories import Factories
from tests.jobs.mail import enqueue, mail_settings, relay_at, row, sender, state
from tests.jobs.test_sweep_idle_sessions import open_sessions, reasons
from tests.jobs.test_worker_process import environment
from tests.mail.letters_of_all_kinds import TO, code_letter
from tests.services.processes import ChildProcess
from tests.services.smtp import BrokenRelay, SmtpServer, hangs

COMMAND = [sys.executable, "-m", "idp.cli", "worker"]
IDLE = timedelta(seconds=1)
PROMPT = timedelta(seconds=3)
TIMEOUT = timedelta(seconds=10)


def worker(database_url: str, folder: Path, port: int, timeout: timedelta = TIMEOUT) -> ChildProcess:
    mail = {f"IDP_MAIL__{name.upper()}": str(value) for name, value in mail_settings(port).items()}
    seconds = {"IDP_MAIL__TIMEOUT": f"{timeout // timedelta(seconds=1)}s"}
    return ChildProcess(COMMAND, environment={**environment(database_url), **mail, **seconds}, folder=folder)


def test_worker_sends_a_code_at_once_and_finishes_a_letter_before_it_stops(database_url: str, tmp_path: Path) -> None:
    app = create_app(make_settings(database_url))
    services: Services = app.extensions["idp"]
    with app.app_context(), SmtpServer() as smtp, worker(database_url, tmp_path, smtp.port) as process:
        process.wait_for_output("the worker has started", timeout=60)
        started = ticks()
        message_id = enqueue(services, code_letter(at=services.clock.now()))
        smtp.wait_for(TO)
        assert ticks() - started < PROMPT
        process.wait_until(lambda: state(services, message_id) is MailState.SENT, "it is recorded", timeout=10)
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait_for_exit(timeout=30) == 0
    assert "failed" not in process.output() and TO not in process.output()
    dispose(app)


def test_hanging_relay_delays_nothing_but_mail_and_a_killed_workers_letter_goes_once_more(
    database_url: str, tmp_path: Path
) -> None:
    app = create_app(make_settings(database_url, session={"idle_timeout": IDLE, "absolute_timeout": IDLE * 9}))
    services: Services = app.extensions["idp"]
    person = Factories(app).person()
    with app.app_context(), BrokenRelay(hangs) as broken, worker(database_url, tmp_path, broken.port) as process:
        process.wait_for_output("the worker has started", timeout=60)
        message_id = enqueue(services, code_letter(at=services.clock.now()))
        process.wait_until(lambda: broken.connections == 1, "the worker waits for the relay", timeout=10)
        open_sessions(services, person.id)
        process.wait_until(lambda: reasons(services) == ["idle"], "the session has ended", timeout=8)
        assert row(services, message_id)["leased_until"] is not None, "the worker still waits"
        os.kill(process.pid, signal.SIGKILL)
        process.wait_for_exit(timeout=10)
    with app.app_context(), SmtpServer() as smtp:
        assert sender(services, smtp.port).run() == 0, "the lease is that of the dead worker"
        lease = relay_at(smtp.port, TIMEOUT).longest + LEASE_MARGIN
        assert sender(services, smtp.port, ShiftedClock(SystemClock(), lease)).run() == 1
        assert sender(services, smtp.port, ShiftedClock(SystemClock(), lease * 2)).run() == 0
        assert len(smtp.messages) == 1 and state(services, message_id) is MailState.SENT
    dispose(app)


def test_worker_that_is_ended_lets_the_relay_take_the_letter_at_hand(database_url: str, tmp_path: Path) -> None:
    app = create_app(make_settings(database_url))
    services: Services = app.extensions["idp"]
    reached, go_on = Event(), Event()
    with app.app_context(), SmtpServer() as smtp, worker(database_url, tmp_path, smtp.port) as process:
        smtp.before_answer = lambda: reached.set() or go_on.wait(10)
        process.wait_for_output("the worker has started", timeout=60)
        message_id = enqueue(services, code_letter(at=services.clock.now()))
        never = enqueue(services, code_letter(to="later@voorbeeld.example", at=services.clock.now()))
        assert reached.wait(10)
        os.kill(process.pid, signal.SIGTERM)
        go_on.set()
        assert process.wait_for_exit(timeout=30) == 0
        assert state(services, message_id) is MailState.SENT and state(services, never) is MailState.WAITING
    assert '"event": "the worker has stopped"' in process.output()
    dispose(app)
