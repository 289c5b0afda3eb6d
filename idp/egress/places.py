"""How many threads of this process may wait for servers of clients while somebody waits for our own answer.

Never all of them, and of those for clients that registered themselves no more than half: whoever can register can write
down an address that never answers, as often as they like. Who finds no place goes on without the answer.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore


class Places:
    """One in a process, for all that waits; for any number of threads at once."""

    def __init__(self, threads: int) -> None:
        """`threads`: how many answer requests here. A single one has no other to leave."""
        self.most = max(1, threads - 1)
        self.most_for_strangers = max(1, self.most // 2)
        self._all, self._strangers = BoundedSemaphore(self.most), BoundedSemaphore(self.most_for_strangers)

    @contextmanager
    def one(self, for_stranger: bool) -> Iterator[bool]:
        """Whether there is a place; it is taken as long as the block runs."""
        if for_stranger and not self._strangers.acquire(blocking=False):
            yield False
            return
        try:
            if not self._all.acquire(blocking=False):
                yield False
                return
            try:
                yield True
            finally:
                self._all.release()
        finally:
            if for_stranger:
                self._strangers.release()
