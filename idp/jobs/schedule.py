"""The tasks of a worker, and how often each is due."""

from collections.abc import Sequence
from datetime import timedelta

from idp.jobs.purge_expired import purge
from idp.jobs.sweep_idle_sessions import sweep
from idp.jobs.worker import Task
from idp.kernel.clock import Clock
from idp.sessions.lifecycle import Sessions
from idp.store.units import UnitsOfWork

# Clients hear of an idle session within 5 seconds (p95): most of that time is for the network.
SWEEP_EVERY = timedelta(seconds=1)
PURGE_EVERY = timedelta(hours=1)


def tasks(units: UnitsOfWork, clock: Clock, sessions: Sessions, request_lifetime: timedelta) -> Sequence[Task]:
    """In this order, when several are due."""
    return (
        Task("end idle sessions", SWEEP_EVERY, lambda: sweep(units, sessions)),
        Task("delete what is expired", PURGE_EVERY, lambda: purge(units, clock, request_lifetime)),
    )
