"""Which clients take their notices badly at this moment, and what that means for the next ones.

    slow      failed or took its time with the last one: it gets a small part of the places in which calls are made
    silent    did not answer at all, or failed several times in a row: it rests, then is asked with one notice at a time

One good answer ends both. What is known here is what this worker has seen; nothing depends on it but pace.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

# Longer than a client needs that means well.
QUICK = timedelta(seconds=1)
FIRST_REST = timedelta(seconds=5)
# A client that comes back waits no longer than this for what it missed; asking once a minute costs nothing.
LONGEST_REST = timedelta(minutes=1)
# How often those of a client that answers are looked after, whatever this worker remembers: that costs a statement.
LOOK_AFTER = timedelta(seconds=10)
# One notice that a client cannot digest says nothing about the others.
FAILURES_IN_A_ROW = 5


@dataclass
class _Trouble:
    failures: int = 0
    is_silent: bool = False
    rests_until: datetime | None = None


class TroubledClients:
    """For one thread."""

    def __init__(self) -> None:
        self._troubles: dict[str, _Trouble] = {}
        self._looked_after: dict[str, datetime] = {}

    @property
    def slow(self) -> Collection[str]:
        """Every client with some trouble."""
        return self._troubles.keys()

    @property
    def silent(self) -> Collection[str]:
        """Clients that get one notice at a time, once they have rested."""
        return [client_id for client_id, trouble in self._troubles.items() if trouble.is_silent]

    def resting(self, now: datetime) -> Mapping[str, datetime]:
        """Until when each client is left alone."""
        rests = ((client_id, trouble.rests_until) for client_id, trouble in self._troubles.items())
        return {client_id: until for client_id, until in rests if until is not None and until > now}

    def answered(self, client_id: str, took: timedelta, now: datetime) -> bool:
        """The client took a notice, or refused it.

        True when notices may have waited for that: it had been silent here, or perhaps to another worker, or to the
        one before this.
        """
        before = self._troubles.pop(client_id, _Trouble())
        if took > QUICK:
            self._troubles[client_id] = _Trouble()
        last = self._looked_after.get(client_id)
        if before.is_silent or last is None or now - last >= LOOK_AFTER:
            self._looked_after[client_id] = now
            return True
        return False

    def failed(self, client_id: str, has_answered: bool, now: datetime) -> None:
        """The client did not take a notice: it has trouble itself (`has_answered`), or nobody answered at all.

        While it rests nothing changes: what fails then was under way when the rest began, and failed of the same.
        """
        trouble = self._troubles.setdefault(client_id, _Trouble())
        if trouble.rests_until is not None and now < trouble.rests_until:
            return
        trouble.failures += 1
        if not has_answered or trouble.failures >= FAILURES_IN_A_ROW:
            trouble.is_silent = True
        if trouble.is_silent:
            times = min(trouble.failures - (FAILURES_IN_A_ROW if has_answered else 1), 10)
            trouble.rests_until = now + min(LONGEST_REST, FIRST_REST * (1 << max(0, times)))
