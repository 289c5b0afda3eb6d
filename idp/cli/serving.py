"""`idp serve` and `idp worker`.

idp serve ── granian ── worker processes with the application
         ├── the figures of all of them, when `metrics.port` is set
         └── idp worker, when `server.worker_embedded`: started again when it dies, ended with this process
"""

import importlib
import logging
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from threading import Event, Thread

import click
from flask import Flask
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from idp import create_app
from idp.cli import logs, metrics
from idp.cli.base import Command, Failure, State, pass_state
from idp.jobs.campaign_mails import CampaignMails
from idp.jobs.deliver_logout_notices import LogoutNoticeDelivery
from idp.jobs.schedule import key_tasks, mail_tasks, notice_tasks, sweep_tasks, tasks
from idp.jobs.send_mail import MailSender
from idp.jobs.worker import Worker, run_together
from idp.mail.relay import Relay
from idp.oidc.backchannel_logout import LogoutTokens
from idp.settings import DEFAULT_ORIGIN, Settings, load
from idp.wiring import Services

log = logging.getLogger(__name__)

STARTED_AGAIN_AFTER_SECONDS = 2
ENDS_WITHIN_SECONDS = 30


def application() -> Flask:
    """What each of granian's worker processes runs."""
    _end_with_parent()
    settings = load()
    logs.set_up(settings.log)
    return create_app(settings)


_until_stdin_closes = click.option(
    "--until-stdin-closes",
    is_flag=True,
    hidden=True,
    help="End when standard input does, as a child that none outlives.",
)
_another_application = click.option(
    "--application", metavar="MODULE:FACTORY", hidden=True, help="What to run instead of the application."
)


@click.command(cls=Command)
@_until_stdin_closes
@_another_application
@pass_state
def serve(state: State, /, until_stdin_closes: bool, application: str | None) -> None:
    """Run the provider until SIGTERM or Ctrl-C; requests at hand are answered first."""
    settings = state.settings()
    _require_free(settings.server.host, settings.server.port)
    with state.services(settings) as services:
        services.signing_keys.ensure()
    logs.set_up(settings.log)
    if not settings.service_desk_phone:
        log.warning("service_desk_phone is not set: pages tell people to call the service desk, and give no number")
    _share_made_up_key(settings)
    # Each process starts from nothing: no thread, lock or connection of this one is in it.
    multiprocessing.set_start_method("spawn", force=True)
    server = Server(
        application or "idp.cli.serving:application",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.server.host,
        port=settings.server.port,
        workers=settings.server.workers,
        blocking_threads=settings.server.threads,
        websockets=False,
        respawn_failed_workers=True,
        log_level=LogLevels(settings.log.level),
        log_dictconfig=logs.configuration(settings.log),
    )
    if until_stdin_closes:
        _at_end_of_stdin(lambda: os.kill(os.getpid(), signal.SIGTERM))
    with metrics.of_children(state, settings, _factory(application)):
        with embedded_worker(application) if settings.server.worker_embedded else nullcontext():
            server.serve()


@click.command(cls=Command)
@_until_stdin_closes
@_another_application
@click.option("--metrics-by-parent", is_flag=True, hidden=True, help="Serve no figures: the parent process does.")
@pass_state
def worker(state: State, /, until_stdin_closes: bool, application: str | None, metrics_by_parent: bool) -> None:
    """Do what nobody asks for, until SIGTERM or Ctrl-C: end idle sessions, tell applications, mail."""
    settings = state.settings()
    with state.app(settings, _factory(application)) as app:
        logs.set_up(settings.log)
        services: Services = app.extensions["idp"]
        stopping = Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stopping.set())
        if until_stdin_closes:
            _at_end_of_stdin(stopping.set)
        workers = _workers(app, services, stopping)
        with nullcontext() if metrics_by_parent else metrics.of_this_process(app):
            log.info("the worker has started")
            run_together(workers)
        log.info("the worker has stopped")


def _workers(app: Flask, services: Services, stopping: Event) -> list[Worker]:
    """The sweep, mail and logout notices have one each for themselves: what takes its time keeps nothing else back."""
    settings = services.settings
    relay = Relay(settings.mail, settings.issuer) if settings.mail is not None else None
    campaign_mails = CampaignMails(services.units, services.clock, services.post, services.correspondence)
    every = tasks(
        services.units,
        services.clock,
        services.derived_keys,
        settings.sign_in.request_lifetime,
        settings.sign_in.known_device_lifetime,
        campaign_mails if relay is not None else None,
    )
    sender = MailSender(services.units, services.clock, services.post, relay)
    tokens = LogoutTokens(services.keys, services.clock, settings.issuer)
    delivery = LogoutNoticeDelivery(services.units, services.clock, tokens, services.egress, services.figures)
    every = (*every, *key_tasks(services.signing_keys))
    is_stopping = stopping.is_set
    ending = sweep_tasks(services.units, services.sessions)
    each_of = (every, ending, mail_tasks(sender, is_stopping), notice_tasks(delivery, is_stopping))
    return [Worker(tasks_of_one, services.clock, app.app_context, stopping) for tasks_of_one in each_of]


def _require_free(host: str, port: int) -> None:
    """Raises Failure when something listens there: granian would share the port, and each get half of what comes."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise Failure(f"cannot listen on {host}, port {port}: {error.strerror}") from error


def _end_with_parent() -> None:
    """This process ends soon after the one that started it, however that ended."""
    parent = os.getppid()

    def watch() -> None:
        waiting = Event()
        while os.getppid() == parent:
            waiting.wait(1)
        os.kill(os.getpid(), signal.SIGTERM)

    Thread(target=watch, name="watches the parent process", daemon=True).start()


def _at_end_of_stdin(stop: Callable[[], None]) -> None:
    def wait() -> None:
        # Not through `sys.stdin`: whoever holds its lock is fatal to an interpreter that ends for another reason.
        while os.read(0, 4096):
            continue
        stop()

    Thread(target=wait, name="waits for the end of standard input", daemon=True).start()


def _factory(application: str | None) -> Callable[[Settings], Flask]:
    if application is None:
        return create_app
    module, _, name = application.partition(":")
    factory: Callable[[], Flask] = getattr(importlib.import_module(module), name)
    return lambda _settings: factory()


def _share_made_up_key(settings: Settings) -> None:
    """Modes demo and test make up a key in each process; ours is for all of them."""
    if settings.origin("secret_key") == DEFAULT_ORIGIN:
        os.environ["IDP_SECRET_KEY"] = settings.secret_key.get_secret_value()


@contextmanager
def embedded_worker(application: str | None) -> Iterator[None]:
    """`idp worker` runs beside the block, and is started again when it ends too early.

    It ends when its standard input does, so that it cannot outlive this process, however that ends.
    """
    stopping = Event()
    running: list[subprocess.Popen[bytes]] = []

    def keep_running() -> None:
        while not stopping.is_set():
            running[:] = [_start_worker(application)]
            if stopping.is_set():
                _close_stdin(running[0])
            code = running[0].wait()
            if not stopping.is_set():
                log.error("the embedded worker ended with code %s and is started again", code)
                stopping.wait(STARTED_AGAIN_AFTER_SECONDS)

    keeper = Thread(target=keep_running, name="keeps the worker running", daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stopping.set()
        for process in running:
            _close_stdin(process)
        keeper.join(ENDS_WITHIN_SECONDS)
        for process in running:
            if process.poll() is None:
                process.kill()
                process.wait()


def _start_worker(application: str | None) -> "subprocess.Popen[bytes]":
    another = ["--application", application] if application else []
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "idp.cli", "worker", "--until-stdin-closes", "--metrics-by-parent", *another],
        stdin=subprocess.PIPE,
        # A Ctrl-C in the terminal reaches `idp serve` alone, which then ends the worker in order.
        start_new_session=True,
    )


def _close_stdin(process: "subprocess.Popen[bytes]") -> None:
    if process.stdin is not None:
        process.stdin.close()
