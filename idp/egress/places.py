"""How many threads of this process may wait for servers of clients while somebody waits for our own answer.

    all                              one less than there are threads
    clients that registered          half of these: whoever can register can write down an address that never answers,
    themselves                       or just in time, as often as they like
    strangers among them             half of those, so that what people use does not wait for what anybody registered

Who finds no place goes on without the answer. Halves are rounded up: with three threads strangers share the only place
of all that registered themselves, and with one or two these share the only place that there is, so that one of them can
keep an administrator's client from it. That is why settings that let clients register themselves want more threads; it
holds as long as some are left from before, though registration is off again.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from enum import IntEnum
from threading import BoundedSemaphore


class Standing(IntEnum):
    """Who answers for a client."""

    ADMINISTERED = 0
    KNOWN = 1
    """It registered itself; somebody vouched for it, or signed in to it."""
    STRANGER = 2


class Places:
    """One in a process, for all that waits; for any number of threads at once."""

    def __init__(self, threads: int) -> None:
        """`threads`: how many answer requests here. A single one has no other to leave."""
        most = max(1, threads - 1)
        of_themselves = (most + 1) // 2
        self._places = [BoundedSemaphore(number) for number in (most, of_themselves, (of_themselves + 1) // 2)]

    @contextmanager
    def one(self, standing: Standing) -> Iterator[bool]:
        """Whether there is a place; it is taken as long as the block runs."""
        with ExitStack() as taken:
            # The fewest first, which is where most are turned away.
            for places in reversed(self._places[: standing + 1]):
                if not places.acquire(blocking=False):
                    taken.close()
                    yield False
                    return
                taken.callback(places.release)
            yield True
