"""Figures of real processes: added up over all of `idp serve`, whatever dies; of one `idp worker`; on another port."""

import os
import signal
import stat
import sys
import time
import urllib.error
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from idp import create_app
from idp.cli import metrics
from idp.cli.base import Failure, State
from idp.metrics.exposition import FOLDER
from idp.sessions.models import Session
from idp.wiring import Services
from tests.conftest import dispose, make_settings
from tests.egress.receivers import Receiver
from tests.factories import Factories
from tests.jobs.test_sweep_idle_sessions import open_sessions
from tests.jobs.test_worker_process import environment
from tests.live import LiveProvider
from tests.metrics.scraped import Figures, scraped
from tests.relying_party import RelyingParty, over_the_network
from tests.services.ports import free_port
from tests.services.processes import DIRECT, ChildProcess, answers

CALLBACK = "http://127.0.0.1:9/callback"
# Seconds. The figures of the database are five seconds old at most; a busy machine takes its time for the rest.
WITHIN = 60.0
DELIVERED = 'idp_logout_notices_total{outcome="delivered"}'


def ends(reason: str) -> str:
    return f'idp_session_ends_total{{reason="{reason}"}}'


class Scraped:
    """What is at the metrics port."""

    def __init__(self, port: int) -> None:
        self.port = port

    def until(self, condition: Callable[[Figures], bool]) -> Figures:
        """The figures as soon as the condition holds of them."""
        end = time.monotonic() + WITHIN
        while not condition(told := scraped(self.port)):
            assert time.monotonic() < end, told
            time.sleep(0.1)
        return told


class Running(LiveProvider):
    """A provider with two processes for requests, one for the work nobody asks for, and figures."""

    def __init__(self, database_url: str) -> None:
        self.figures = Scraped(free_port())
        port = {"port": self.figures.port}
        super().__init__(database_url, workers=2, worker_embedded=True, metrics=port)

    def sign_in_and_out(self, party: RelyingParty) -> None:
        browser, asked = self.browser(), party.authorization_request()
        page = browser.open(asked.url).submit(self.anna.names, button="login-submit")
        tokens = party.finish(page.departure, asked)
        browser.open(party.end_session_url(tokens.id_token))

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """The condition holds, after a while."""
        self._process.wait_until(condition, what, WITHIN)

    def is_ready(self) -> bool:
        """It answers, whoever of them is asked."""
        return all(answers(f"{self.issuer}/health/ready") for _ in range(4))

    def processes_for_requests(self) -> set[int]:
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where processes put what they need for a while."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    return place


@pytest.fixture
def running(database_url: str, temporary: Path) -> Iterator[Running]:
    provider = Running(database_url)
    try:
        provider.start()
        yield provider
    finally:
        provider.stop()
    assert list(temporary.glob("idp-metrics-*")) == []


@pytest.fixture
def party(running: Running) -> Iterator[RelyingParty]:
    """An application that is told of ends."""
    with Receiver() as receiver:
        client = running.add_client("atosi", CALLBACK, backchannel_logout_uri=receiver.url)
        yield RelyingParty(*client, CALLBACK, issuer=running.issuer, transport=over_the_network())


def status(url: str) -> int:
    """What a GET is answered with."""
    try:
        with DIRECT.open(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def test_figures_of_all_processes_are_one_and_survive_the_death_of_some(
    running: Running, party: RelyingParty, temporary: Path
) -> None:
    (folder,) = temporary.glob("idp-metrics-*")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    told = scraped(running.figures.port)
    assert (told["idp_database_up"], told[ends("logout")], told[DELIVERED]) == (1, 0, 0)

    # The public port has no figures, and theirs has nothing else.
    assert status(f"{running.issuer}/metrics") == status(f"http://127.0.0.1:{running.figures.port}/health/ready") == 404

    # Each of these is counted by whichever process answered; the notices and the idle end by a third one.
    for _ in range(4):
        running.sign_in_and_out(party)
    with running.app.app_context():
        idle, _ = open_sessions(running.services, running.anna.id, number=2, client_id="atosi")
        with running.services.units.writing() as unit:
            unit.get_one(Session, idle).idle_ends_at -= timedelta(minutes=30)
    told = running.figures.until(lambda now: now[DELIVERED] == 5 and now["idp_live_sessions"] == 1)
    assert (told[ends("logout")], told[ends("idle")], told["idp_logout_notices_waiting"]) == (4, 1, 0)
    assert told["idp_logout_notice_delay_seconds_count"] == 5
    assert any(name.startswith("idp_build_info{") for name in told)

    before = running.processes_for_requests()
    assert len(before) == 2
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    running.until(lambda: len(running.processes_for_requests() - before) == 2, "two others take their place")
    running.until(running.is_ready, "they answer")
    assert scraped(running.figures.port)[ends("logout")] == 4
    running.sign_in_and_out(party)
    told = running.figures.until(lambda now: now[DELIVERED] == 6)
    assert (told[ends("logout")], told[ends("idle")]) == (5, 1)


def idp(command: str, database_url: str, metrics_port: int, folder: Path, **settings: str) -> ChildProcess:
    given = environment(database_url) | {"IDP_METRICS__PORT": str(metrics_port)} | settings
    return ChildProcess([sys.executable, "-m", "idp.cli", command], environment=given, folder=folder)


def test_worker_alone_serves_its_figures_and_leaves_the_port_to_nobody_else(database_url: str, tmp_path: Path) -> None:
    app = create_app(make_settings(database_url))
    services: Services = app.extensions["idp"]
    person, figures = Factories(app).person(), Scraped(free_port())
    with idp("worker", database_url, figures.port, tmp_path) as worker:
        worker.wait_for_output("the worker has started", timeout=WITHIN)
        with app.app_context():
            (session_id,) = open_sessions(services, person.id)
            with services.units.writing() as unit:
                unit.get_one(Session, session_id).idle_ends_at -= timedelta(minutes=30)
        told = figures.until(lambda now: now[ends("idle")] == 1)
        assert told["idp_database_up"] == 1
        for command in ("worker", "serve"):
            with idp(command, database_url, figures.port, tmp_path, IDP_SERVER__PORT=str(free_port())) as another:
                assert another.wait_for_exit(WITHIN) == 1
            assert (
                f"idp: cannot serve metrics on 127.0.0.1, port {figures.port}: Address already in use. Another"
                in another.output()
            )
            assert "Traceback" not in another.output()
        assert worker.exit_code is None and scraped(figures.port)[ends("idle")] == 1
    dispose(app)


def test_figures_on_the_port_of_the_application_are_refused(database_url: str) -> None:
    settings = make_settings(database_url, server={"port": 9000}, metrics={"port": 9000})
    with pytest.raises(Failure, match="metrics.port and server.port are both 9000"):
        with metrics.of_children(State(), settings, create_app):
            raise AssertionError("served all the same")


def test_without_a_port_nothing_is_kept_or_served(database_url: str, temporary: Path) -> None:
    settings = make_settings(database_url)
    with metrics.of_children(State(), settings, create_app):
        assert list(temporary.iterdir()) == [] and FOLDER not in os.environ
