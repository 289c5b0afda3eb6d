"""Tells the provider what its users do: at most once a minute for each session, and the last moment always.

    seen(sid, moment) ── first in a minute, or the deadline is near ──> report now
                      └─ within the minute ──> kept; a thread reports the last moment when the minute is over

What is kept stands in the store. Of several processes one sends it, and another one when that process dies.
"""

import logging
from datetime import datetime, timedelta
from threading import Condition, Thread
from time import sleep

from idp_kit.clock import Clock
from idp_kit.provider import Provider, ProviderFailed
from idp_kit.session_clock import SessionClock
from idp_kit.store import Store

# How often the thread looks for what other processes left behind.
LOOKS_EVERY = timedelta(seconds=15)
LOOKS_AFTER_FAILURE = timedelta(seconds=1)
# So that a report that another process is sending is not looked at without end.
SHORTEST = timedelta(milliseconds=10)

_log = logging.getLogger(__name__)


class Reporter:
    """For any number of threads. Without `background` nothing is sent at the end of a minute unless `send_due` is
    called."""

    def __init__(self, store: Store, provider: Provider, clock: Clock, background: bool = True) -> None:
        self._store, self._provider, self._clock, self._background = store, provider, clock, background
        self._thread: Thread | None = None
        self._changed = Condition()
        self._due: float | None = None
        self._closed = False

    def seen(self, sid: str, at: datetime, wait: bool = False) -> SessionClock | None:
        """The user did something at that moment. The clock of the session, None when it is over.

        A report that is due has been answered on return when the caller waits, or when the deadline is near.
        """
        clock = self._store.change_clock(sid, lambda before: before.with_activity(at))
        now = self._clock.now()
        if clock is None or not clock.is_pending:
            return clock
        if clock.may_report(now) and (wait or clock.is_urgent(now)):
            return self.send(sid)
        self._wake()
        return clock

    def send(self, sid: str) -> SessionClock | None:
        """The provider was told the last moment if that is due, unless somebody else is telling it or it failed."""
        now, claimed = self._clock.now(), list[SessionClock]()

        def claim(before: SessionClock) -> SessionClock:
            if not before.may_report(now):
                return before
            claimed.append(before)
            return before.with_claim(now)

        clock = self._store.change_clock(sid, claim)
        if clock is None or not claimed:
            return clock
        moment = clock.last_activity_at
        try:
            times = self._provider.report(sid, clock, moment)
        except ProviderFailed as failure:
            _log.warning("activity was not reported: %s", failure)
            if failure.refusal:
                return clock
            clock = self._store.change_clock(sid, lambda before: before.with_failure(now))
            self._wake()
            return clock
        if times is None:
            self._store.end(sid, self._clock.now())
            return None
        return self._store.change_clock(sid, lambda before: before.with_times(times, reported_at=moment))

    def send_due(self) -> None:
        """Every report that is due has been tried, once."""
        for sid in self._store.pending(self._clock.now()):
            self.send(sid)

    def close(self) -> None:
        """The thread has ended; what was not sent stays in the store."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _wake(self) -> None:
        """The thread looks again. It starts at the first need: a server may fork before."""
        if not self._background:
            return
        with self._changed:
            self._changed.notify_all()
            if not self._closed and (self._thread is None or not self._thread.is_alive()):
                self._thread = Thread(target=self._run, name="reports activity", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                with self._changed:
                    if not self._closed:
                        self._changed.wait(self._until_next().total_seconds())
                    if self._closed:
                        return
                self.send_due()
            except Exception:  # one failure must not end the reports of everybody
                _log.exception("activity could not be reported")
                sleep(LOOKS_AFTER_FAILURE.total_seconds())

    def _until_next(self) -> timedelta:
        due = self._store.next_due()
        return LOOKS_EVERY if due is None else min(max(due - self._clock.now(), SHORTEST), LOOKS_EVERY)
