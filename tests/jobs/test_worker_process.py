"""The worker as a process: a session that nobody uses ends by itself, on both databases."""

import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

from idp import create_app
from idp.wiring import Services
from tests.conftest import ISSUER, SECRET_KEY, dispose, make_settings
from tests.factories import Factories
from tests.jobs.test_sweep_idle_sessions import open_sessions, reasons
from tests.services.processes import ChildProcess

IDLE = timedelta(seconds=1)


def environment(database_url: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
    return inherited | {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "IDP_MODE": "test",
        "IDP_ISSUER": ISSUER,
        "IDP_SECRET_KEY": SECRET_KEY,
        "IDP_DATABASE__URL": database_url,
    }


def test_idle_session_is_ended_by_the_worker_which_ends_in_order(database_url: str, tmp_path: Path) -> None:
    app = create_app(make_settings(database_url, session={"idle_timeout": IDLE, "absolute_timeout": IDLE * 9}))
    services: Services = app.extensions["idp"]
    person = Factories(app).person()
    command = [sys.executable, "-m", "idp.cli", "worker"]
    with ChildProcess(command, environment=environment(database_url), folder=tmp_path) as worker:
        worker.wait_for_output("the worker has started", timeout=60)
        with app.app_context():
            open_sessions(services, person.id)

        def has_ended() -> bool:
            with app.app_context():
                return reasons(services) == ["idle"]

        opened = time.monotonic()
        worker.wait_until(has_ended, "the session has ended", timeout=30)
        assert time.monotonic() - opened >= IDLE.total_seconds() - 0.1
        os.kill(worker.pid, signal.SIGTERM)
        assert worker.wait_for_exit(timeout=30) == 0
    assert '"event": "the worker has stopped"' in worker.output() and "failed" not in worker.output()
    dispose(app)
