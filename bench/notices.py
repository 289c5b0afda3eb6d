"""How long clients wait to hear that a session ended: from its deadline to the call at the client.

    python -m bench.notices                 1 000 sessions of 10 clients end within a minute, on each kind of database
    python -m bench.notices --quick         100 sessions within 6 seconds

Everything is real: a worker process of its own, receivers in another, PostgreSQL or a SQLite file, and the clock of
this machine. One line of JSON for each database, and a table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import func, select, update

from idp import create_app
from idp.kernel.clock import SystemClock, ticks
from idp.kernel.levels import PASSWORD
from idp.outbox.models import OutboxMessage
from idp.sessions.lifecycle import Proven
from idp.sessions.models import Session
from idp.store import schema
from idp.wiring import Services
from tests.conftest import ISSUER, SECRET_KEY, dispose, make_settings
from tests.factories import Factories
from tests.services.postgresql import session_postgresql
from tests.services.processes import ChildProcess

ROOT = Path(__file__).resolve().parent.parent
BATCH = 50
# The worker has started and rests before the first deadline.
LEAD = timedelta(seconds=3)
PATIENCE = timedelta(seconds=120)


@dataclass(frozen=True)
class Plan:
    """So many sessions of so many clients end, evenly spread over `over`."""

    sessions: int
    clients: int
    over: timedelta


@dataclass(frozen=True)
class Figures:
    """Seconds from the deadline of a session to the call at a client."""

    database: str
    sessions: int
    clients: int
    over_seconds: float
    calls: int
    missing: int
    repeated: int
    p50: float
    p95: float
    p99: float
    longest: float


def measured(kind: str, database_url: str, plan: Plan) -> Figures:
    """What the calls to the clients of one worker took."""
    schema.upgrade(database_url)
    with receivers_of(plan.clients) as (process, ports), tempfile.TemporaryDirectory() as folder:
        app = create_app(make_settings(database_url))
        with app.app_context():
            services: Services = app.extensions["idp"]
            services.signing_keys.ensure()
            make, clients = Factories(app), [f"app-{number}" for number in range(plan.clients)]
            for name, port in zip(clients, ports, strict=True):
                make.client(name, backchannel_logout_uri=f"http://127.0.0.1:{port}/logout")
            ids = opened(services, make.person().id, clients, plan.sessions)
            with ChildProcess(COMMAND, environment=environment(database_url), folder=Path(folder)) as worker:
                worker.wait_for_output("the worker has started", timeout=120)
                deadlines = spread(services, ids, SystemClock().now() + LEAD, plan.over)
                patience = (LEAD + plan.over + PATIENCE).total_seconds()
                expected = plan.sessions * plan.clients
                worker.wait_until(lambda: delivered(services) == expected, "all are told", patience)
        dispose(app)
        output, _ = process.communicate(timeout=60)
    delays: dict[tuple[str, int], float] = {}
    calls = json.loads(output)
    for sid, port, at in calls:
        delays.setdefault((sid, port), (datetime.fromisoformat(at) - deadlines[sid]).total_seconds())
    in_order = sorted(delays.values())
    return Figures(
        database=kind,
        sessions=plan.sessions,
        clients=plan.clients,
        over_seconds=plan.over.total_seconds(),
        calls=len(calls),
        missing=expected - len(delays),
        repeated=len(calls) - len(delays),
        p50=share(in_order, 0.5),
        p95=share(in_order, 0.95),
        p99=share(in_order, 0.99),
        longest=round(in_order[-1], 3),
    )


COMMAND = [sys.executable, "-m", "idp.cli", "worker"]


def environment(database_url: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
    return inherited | {
        "PYTHONPATH": str(ROOT),
        "IDP_MODE": "test",
        "IDP_ISSUER": ISSUER,
        "IDP_SECRET_KEY": SECRET_KEY,
        "IDP_DATABASE__URL": database_url,
        "IDP_EGRESS__ALLOW_LOOPBACK": "true",
    }


@contextmanager
def receivers_of(number: int) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """A process with so many receivers, and their ports."""
    command = [sys.executable, "-m", "bench.receivers", str(number)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            yield process, json.loads(process.stdout.readline())
        finally:
            process.kill()


def opened(services: Services, account_id: int, clients: Sequence[str], number: int) -> list[int]:
    """Sessions in which all clients take part, and that last."""
    ids: list[int] = []
    while len(ids) < number:
        with services.units.writing() as unit:
            for _ in range(min(BATCH, number - len(ids))):
                proven = Proven(PASSWORD, "acr", ["pwd"], services.clock.now(), None)
                session = services.sessions.open(unit, account_id, proven).session
                for client_id in clients:
                    services.sessions.join(unit, session.id, client_id)
                ids.append(session.id)
    return ids


def spread(services: Services, ids: Sequence[int], first: datetime, over: timedelta) -> dict[str, datetime]:
    """The deadline of each session by its `sid`: one after the other, at equal distances."""
    deadlines = {}
    with services.units.writing() as unit:
        for number, session_id in enumerate(ids):
            at = first + over * number / len(ids)
            moving = update(Session).where(Session.id == session_id).values(idle_ends_at=at).returning(Session.sid)
            deadlines[unit.execute(moving.execution_options(synchronize_session=False)).scalar_one()] = at
    return deadlines


def delivered(services: Services) -> int:
    with services.units.reading() as unit:
        return unit.scalar(select(func.count()).where(OutboxMessage.delivered_at.is_not(None))) or 0


def share(in_order: Sequence[float], part: float) -> float:
    return round(in_order[min(len(in_order) - 1, int(len(in_order) * part))], 3)


def databases(wanted: str | None) -> Iterator[tuple[str, str]]:
    """Kind and address of an empty database of each kind that is wanted."""
    if wanted in (None, "sqlite"):
        with tempfile.TemporaryDirectory() as folder:
            yield "sqlite", f"sqlite:///{folder}/idp.db"
    if wanted in (None, "postgresql"):
        with session_postgresql() as server:
            yield "postgresql", server.create_database("bench")


def table(figures: Sequence[Figures]) -> str:
    rows = [f"{'database':<12}{'calls':>8}{'missing':>9}{'repeated':>10}{'p50':>9}{'p95':>9}{'p99':>9}{'longest':>9}"]
    for each in figures:
        seconds = "".join(f"{value:>8.3f}s" for value in (each.p50, each.p95, each.p99, each.longest))
        rows.append(f"{each.database:<12}{each.calls:>8}{each.missing:>9}{each.repeated:>10}{seconds}")
    return "\n".join(rows)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="From the deadline of a session to the call at its clients.")
    parser.add_argument("--quick", action="store_true", help="100 sessions within 6 seconds")
    parser.add_argument("--sessions", type=int)
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--over", type=float, metavar="SECONDS")
    parser.add_argument("--database", choices=("sqlite", "postgresql"))
    given = parser.parse_args(arguments)
    sessions = given.sessions or (100 if given.quick else 1000)
    over = timedelta(seconds=given.over or (6 if given.quick else 60))
    began, figures = ticks(), []
    for kind, database_url in databases(given.database):
        figures.append(measured(kind, database_url, Plan(sessions, given.clients, over)))
        print(json.dumps(asdict(figures[-1])), flush=True)
    print(f"\n{table(figures)}\n\n{(ticks() - began).total_seconds():.0f} seconds in all")


if __name__ == "__main__":
    main()
