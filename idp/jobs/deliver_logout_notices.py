"""Clients are told that a session ended: logout tokens go to their `backchannel_logout_uri`.

One thread, the coordinator, does all that needs the database and signs; the others wait for the network and do nothing
else. A client that hangs holds two of them for five seconds, then one at a time (see `jobs.troubled_clients`).

    2xx within the time-out          delivered
    4xx but 408, 425 and 429         refused, for good: the client said so
    anything else, and no answer     tried again after 5 seconds, doubling up to an hour, until 72 hours are over

What became of each is recorded at once, with what came in the same moment, so that a worker that is killed repeats no
more than what was under way.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from random import SystemRandom

from sqlalchemy.orm import Session as Unit

from idp.egress.guarded import TIMEOUT, CallFailed, GuardedClient
from idp.jobs import notice_claims
from idp.jobs.notice_claims import LEASE, Notice, Places
from idp.jobs.troubled_clients import TroubledClients
from idp.jobs.worker import described
from idp.kernel.clock import Clock, ticks
from idp.oidc.backchannel_logout import LogoutTokens, NoticeObserver, Outcome
from idp.store.units import UnitsOfWork

log = logging.getLogger(__name__)

PLACES = 64
PLACES_FOR_SLOW = 16
FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(hours=1)
# How long the coordinator waits for an answer before it looks for new notices.
LOOK_AGAIN_AFTER = timedelta(milliseconds=100)
# How long after one answer the next is waited for, to be recorded with it.
GATHER_FOR = timedelta(milliseconds=10)
ALARM_AGAIN_AFTER = timedelta(hours=1)

HELD_UP = "held up"
# RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4: not a "no", but "not now".
NOT_NOW = ("http 408", "http 425", "http 429")

_chance = SystemRandom()


@dataclass(frozen=True)
class _Tried:
    """What a call came to; `failure` is None when the client took the notice."""

    notice: Notice
    failure: str | None
    tick: timedelta
    took: timedelta

    @property
    def was_held_up(self) -> bool:
        """This process stood still until the notice might have been somebody else's: nobody was called."""
        return self.failure == HELD_UP

    @property
    def has_answered(self) -> bool:
        return self.failure is None or self.failure.startswith("http ")

    @property
    def is_final(self) -> bool:
        if self.failure is None or self.failure in NOT_NOW:
            return False
        return self.failure.startswith("http 4") or self.was_not_called

    @property
    def was_not_called(self) -> bool:
        """There was nobody to call."""
        return self.notice.cannot_be_sent is not None


class LogoutNoticeDelivery:
    """Delivers what is due. One in a process; its `run` belongs to one thread."""

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        tokens: LogoutTokens,
        client: GuardedClient,
        observer: NoticeObserver | None = None,
        ticks: Callable[[], timedelta] = ticks,
    ) -> None:
        """`ticks`: this machine's own, unless a test has others."""
        self._units, self._clock, self._tokens, self._client = units, clock, tokens, client
        self._observer, self._ticks = observer, ticks
        self._threads = ThreadPoolExecutor(PLACES, thread_name_prefix="calls a client")
        self._tried: SimpleQueue[_Tried] = SimpleQueue()
        self._under_way: Counter[str] = Counter()
        self._troubled = TroubledClients()
        # Clients that answer, with notices that may still wait for that.
        self._waking: set[str] = set()
        self._alarmed: dict[tuple[str, str], datetime] = {}

    def run(self, is_stopping: Callable[[], bool] = lambda: False) -> int:
        """Everything that is due was tried once and recorded; the number that were delivered.

        When `is_stopping` no more is begun, and what is under way is recorded. Needs an application context.
        """
        delivered = 0
        while True:
            if not is_stopping():
                self._begin(self._claim())
            if not self._under_way.total():
                return delivered
            delivered += self._record_what_came()

    def _claim(self) -> Sequence[Notice]:
        resting = self._troubled.resting(self._clock.now())
        places = self._places(resting)
        if places.free < 1:
            return ()
        if not self._waking:
            with self._units.reading() as unit:
                if not notice_claims.is_something_due(unit, self._clock.now()):
                    return ()
        with self._units.writing() as unit:
            notice_claims.take_turn(unit)
            now = self._clock.now()
            late = notice_claims.give_up_late_ones(unit, now)
            notice_claims.let_rest(unit, resting, now)
            all_awake = {client_id for client_id in sorted(self._waking) if notice_claims.wake(unit, client_id, now)}
            claimed = notice_claims.claim(unit, places, now)
        self._waking -= all_awake
        for client_id, number in Counter(late).items():
            self._alarm(client_id, f"{number} logout notice(s) for %s were not delivered in time and are given up")
        for client_id in late:
            self._settled(client_id, "expired")
        return claimed

    def _places(self, resting: Collection[str]) -> Places:
        slow = self._troubled.slow
        taken_by_slow = sum(self._under_way[client_id] for client_id in slow)
        return Places(
            free=PLACES - self._under_way.total(),
            for_slow=max(0, PLACES_FOR_SLOW - taken_by_slow),
            slow=list(slow),
            silent=self._troubled.silent,
            resting=tuple(resting),
        )

    def _begin(self, claimed: Sequence[Notice]) -> None:
        # Signing what is claimed takes its time too.
        send_before = self._ticks() + LEASE - TIMEOUT - timedelta(seconds=1)
        for notice in claimed:
            self._under_way[notice.client_id] += 1
            if notice.cannot_be_sent is not None:
                self._came(notice, notice.cannot_be_sent)
                continue
            try:
                token = self._tokens.make(notice.client_id, notice.alg, notice.sid, notice.sub)
            except Exception as error:  # a notice that cannot be written must not keep the others back
                log.error("logout notice %d cannot be written: %s", notice.id, described(error))
                self._came(notice, f"failed: {type(error).__name__}")
                continue
            self._threads.submit(self._call, notice, token, send_before)

    def _call(self, notice: Notice, token: str, send_before: timedelta) -> None:
        """In a thread of its own; nothing here touches the database."""
        began, failure = self._ticks(), None
        if began >= send_before:
            self._came(notice, HELD_UP)
            return
        try:
            status = self._client.post(notice.uri or "", {"logout_token": token})
            failure = None if 200 <= status < 300 else f"http {status}"
        except CallFailed as failed:
            failure = failed.failure
        except Exception as error:  # the coordinator waits for every notice that it gave away
            failure = f"failed: {type(error).__name__}"
        self._came(notice, failure, self._ticks() - began)

    def _came(self, notice: Notice, failure: str | None, took: timedelta = timedelta(0)) -> None:
        self._tried.put(_Tried(notice, failure, self._ticks(), took))

    def _record_what_came(self) -> int:
        """Waits a moment for what comes first, and records it and all that came meanwhile; the number delivered."""
        try:
            came = [self._tried.get(timeout=LOOK_AGAIN_AFTER.total_seconds())]
        except Empty:
            return 0
        with suppress(Empty):
            # A moment more for those that are about to come: one unit of work then records them all, and makes room for
            # as many.
            while len(came) < self._under_way.total():
                came.append(self._tried.get(timeout=GATHER_FOR.total_seconds()))
        # In one order, so that two workers that record the same notices never wait for each other.
        came.sort(key=lambda tried: tried.notice.id)
        try:
            # The moments are taken in this thread: a clock may ask the database.
            now, tick = self._clock.now(), self._ticks()
            at = [now - (tick - tried.tick) for tried in came]
            with self._units.writing() as unit:
                changed = [self._record(unit, tried, moment) for tried, moment in zip(came, at, strict=True)]
        except Exception:  # raised again: nothing is lost by whatever it was
            # The database is away: what the clients know is recorded when it is back.
            for tried in came:
                self._tried.put(tried)
            raise
        # A client is judged by what it did last, whichever notice that was about.
        for tried, moment in sorted(zip(came, at, strict=True), key=lambda pair: pair[0].tick):
            self._under_way[tried.notice.client_id] -= 1
            self._learn(tried, moment)
        for tried, moment, is_news in zip(came, at, changed, strict=True):
            self._tell(tried, moment, is_news)
        return sum(tried.failure is None for tried in came)

    def _record(self, unit: Unit, tried: _Tried, at: datetime) -> bool:
        """What became of a try; False when somebody else has claimed the notice since."""
        notice, failure = tried.notice, tried.failure
        if failure is None:
            return notice_claims.record_delivered(unit, notice, at)
        if tried.was_held_up:
            return notice_claims.give_back(unit, notice, at)
        if tried.is_final:
            return notice_claims.record_refused(unit, notice, failure, at)
        return notice_claims.record_failed(unit, notice, failure, at + wait_after(notice.tries))

    def _tell(self, tried: _Tried, at: datetime, is_news: bool) -> None:
        notice, failure = tried.notice, tried.failure
        if failure is not None:
            log.warning("logout notice %d for %s: %s; try %d", notice.id, notice.client_id, failure, notice.tries)
        if is_news and failure is None:
            self._settled(notice.client_id, "delivered", at - notice.over_at if notice.over_at else None)
        elif is_news and tried.is_final:
            said = "cannot be told that sessions ended" if tried.was_not_called else "refuses logout notices"
            self._alarm(notice.client_id, f"%s {said}: {failure}")
            self._settled(notice.client_id, "refused")

    def _learn(self, tried: _Tried, at: datetime) -> None:
        """The pace of what follows. To be called once for each try, when it is recorded."""
        client_id = tried.notice.client_id
        if tried.was_not_called or tried.was_held_up:
            return
        if tried.failure is None or tried.is_final:
            if self._troubled.answered(client_id, tried.took, at):
                self._waking.add(client_id)
            return
        self._troubled.failed(client_id, tried.has_answered, at)
        if client_id in self._troubled.silent:
            self._waking.discard(client_id)

    def _settled(self, client_id: str, outcome: Outcome, delay: timedelta | None = None) -> None:
        """Whoever counts must not keep notices from being delivered: what it raises is logged."""
        if self._observer is None:
            return
        try:
            self._observer.notice_settled(client_id, outcome, delay)
        except Exception as error:  # a full disk of the figures, for instance
            log.error("a logout notice was not counted: %s", described(error))

    def _alarm(self, client_id: str, what: str) -> None:
        """Said at most once an hour of one client."""
        now, about = self._clock.now(), (client_id, what.partition("%s")[2])
        if now - self._alarmed.get(about, now - ALARM_AGAIN_AFTER) >= ALARM_AGAIN_AFTER:
            self._alarmed[about] = now
            log.error("ALARM: " + what, client_id)


def wait_after(tries: int) -> timedelta:
    """How long a notice waits after so many tries, give or take a fifth, so that those of one outage spread."""
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(tries - 1, 16))) * _chance.uniform(0.8, 1.2)
