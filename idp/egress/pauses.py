"""Addresses that did not answer are left alone for a while.

Whoever waits for an address that a stranger wrote down holds a thread that others need. The first failure keeps it from
being called for ten seconds, each further one for twice as long, up to two minutes.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import timedelta
from threading import Lock

from idp.kernel.clock import ticks

FIRST = timedelta(seconds=10)
LONGEST = timedelta(minutes=2)
MOST_KEPT = 1000


class Pauses:
    """What failed lately, in this process; for any number of threads at once."""

    def __init__(self, ticks: Callable[[], timedelta] = ticks) -> None:
        """`ticks`: this machine's own, unless a test has others."""
        self._ticks, self._lock = ticks, Lock()
        # How often in a row, and until when nobody calls.
        self._failed: OrderedDict[str, tuple[int, timedelta]] = OrderedDict()

    def rests(self, address: str) -> bool:
        """True while nobody should call."""
        with self._lock:
            return address in self._failed and self._ticks() < self._failed[address][1]

    def failed(self, address: str) -> None:
        """It did not answer, and rests."""
        with self._lock:
            times = self._failed.pop(address, (0, timedelta(0)))[0] + 1
            self._failed[address] = times, self._ticks() + min(FIRST * (1 << min(times - 1, 10)), LONGEST)
            while len(self._failed) > MOST_KEPT:
                self._failed.popitem(last=False)

    def answered(self, address: str) -> None:
        """Whatever was before is forgotten."""
        with self._lock:
            self._failed.pop(address, None)
