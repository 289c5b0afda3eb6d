"""Passwords: argon2id, with the same work for everybody, and rules for new ones.

    verify   NFC -> a place among those that work or wait -> argon2id against the stored hash, or against a dummy

How often somebody may try is not decided here: attempts are paid for before `verify` is called.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import BoundedSemaphore, Lock, local

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from idp.kernel.errors import Throttled
from idp.kernel.resources import folder
from idp.kernel.secrets import random_token
from idp.settings import PasswordSettings

LONGEST_BYTES = 1024
RETRY_AFTER = timedelta(seconds=2)
# What must be left of a password when the person's own words are taken out of it.
LEAST_OF_ITS_OWN = 8
SHORTEST_CONTEXT_WORD = 3

TOO_SHORT = "password.too_short"
TOO_LONG = "password.too_long"
TOO_COMMON = "password.too_common"
CONTAINS_NAME = "password.contains_name"
NOT_TEXT = "password.not_text"


@dataclass(frozen=True)
class Verification:
    """Whether a password is right, and whether its hash should be made anew with the present parameters."""

    matches: bool
    needs_rehash: bool


class Passwords:
    """Hashes and verifies passwords; one per process, shared by its threads.

    `hash_calls` counts the argon2id computations that were done for callers since the start.
    """

    def __init__(self, settings: PasswordSettings, common: Iterable[str] | None = None) -> None:
        self._settings = settings
        self._hasher = PasswordHasher(
            time_cost=settings.time_cost,
            memory_cost=settings.memory_kib,
            parallelism=settings.parallelism,
            type=Type.ID,
        )
        self._common = frozenset(map(_folded, read_common_passwords() if common is None else common))
        # Whoever is not admitted neither works nor waits: a flood of sign-ins costs memory and time up to a limit only.
        self._admitted = BoundedSemaphore(settings.concurrency + settings.queue)
        # A flood from strangers fills the queue; people whose browser is known wait beside it, in one of their own.
        self._admitted_known = BoundedSemaphore(settings.concurrency + settings.queue)
        self._thread = local()
        self._working = BoundedSemaphore(settings.concurrency)
        self._dummy = self._hasher.hash(random_token())
        self._counting = Lock()
        self.hash_calls = 0

    def hash(self, password: str) -> str:
        """A new argon2id hash with its own salt, in PHC form.

        Raises ValueError for a password that `check_new` calls too long or no text, Throttled when too many wait.
        """
        octets = _octets(password)
        if octets is None:
            raise ValueError(f"a password must be text of at most {LONGEST_BYTES} bytes")
        with self._place():
            self._count()
            return self._hasher.hash(octets)

    def verify(self, password: str, stored_hash: str | None) -> Verification:
        """Whether the password belongs to the stored hash.

        Without a stored hash (an unknown account), with one that cannot be read, and for a password of more than 1024
        bytes the answer is no, after the same work on a dummy hash: time does not tell which accounts exist.

        Raises Throttled when too many hashes wait already.
        """
        octets = _octets(password)
        with self._place():
            matches = None
            if octets is not None and stored_hash is not None:
                matches = self._compare(stored_hash, octets)
            if matches is None and self._compare(self._dummy, octets or b"") is None:
                raise MemoryError("argon2id did not get the memory it needs")
        if not matches or stored_hash is None:
            return Verification(matches=False, needs_rehash=False)
        return Verification(matches=True, needs_rehash=self._hasher.check_needs_rehash(stored_hash))

    def check_new(self, password: str, *, stands_alone: bool, context_words: Sequence[str] = ()) -> list[str]:
        """The message keys of what is wrong with a new password; empty when it may be used.

        `stands_alone`: it can open a session without a second factor. `context_words`: username, name, e-mail address,
        organisation, name of the service. There are no rules on composition (NIST SP 800-63B-4 3.1.1.2). The list of
        common passwords is compared with the whole password. A name may occur in a long sentence, but must not make
        up the password: without the person's own words at least 8 letters or digits must remain.
        """
        if len(password) > LONGEST_BYTES:
            return [TOO_LONG]
        normal = unicodedata.normalize("NFC", password)
        least = self._settings.minimum_length if stands_alone else self._settings.minimum_length_with_second_factor
        problems = []
        if len(normal) < least:
            problems.append(TOO_SHORT)
        if not _is_text(normal):
            problems.append(NOT_TEXT)
        elif _octets(password) is None:
            problems.append(TOO_LONG)
        if _folded(normal) in self._common:
            problems.append(TOO_COMMON)
        if _is_made_of(normal, context_words):
            problems.append(CONTAINS_NAME)
        return problems

    def _compare(self, stored_hash: str, octets: bytes) -> bool | None:
        """Whether they belong together; None when the hash could not be computed or read, so that no work was done."""
        try:
            self._hasher.verify(stored_hash, octets)
        except VerifyMismatchError:
            self._count()
            return False
        except (InvalidHashError, VerificationError):
            return None
        self._count()
        return True

    @contextmanager
    def admitted(self, is_known: bool = False) -> Iterator[None]:
        """This thread has a place in the queue for hashing until the block is left. Raises Throttled: all are taken.

        To be entered before an attempt is paid: a busy machine costs nobody an attempt. `is_known`: the attempt comes
        from a known device, for which places are kept.
        """
        if getattr(self._thread, "is_admitted", False):
            yield
            return
        places = self._admitted_known if is_known else self._admitted
        if not places.acquire(blocking=False):
            raise Throttled(RETRY_AFTER, "error.busy", "all places for password hashing are taken")
        self._thread.is_admitted = True
        try:
            yield
        finally:
            self._thread.is_admitted = False
            places.release()

    @contextmanager
    def _place(self) -> Iterator[None]:
        with self.admitted(), self._working:
            yield

    def _count(self) -> None:
        with self._counting:
            self.hash_calls += 1


def read_common_passwords(path: Path | None = None) -> frozenset[str]:
    """The passwords of `config/common_passwords.txt`: one a line, `#:` begins a comment."""
    lines = (path or folder("config") / "common_passwords.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#:"))


def _octets(password: str) -> bytes | None:
    """What is hashed: UTF-8 of the NFC form, the same from every keyboard. None for a password that is refused."""
    # Looked at before any work: normalising a megabyte is work too.
    if len(password) > LONGEST_BYTES:
        return None
    try:
        octets = unicodedata.normalize("NFC", password).encode()
    except UnicodeEncodeError:
        return None
    return octets if len(octets) <= LONGEST_BYTES else None


def _is_text(password: str) -> bool:
    """False for lone surrogates, which have no UTF-8."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in password)


def _folded(password: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", password).casefold())


def _is_made_of(password: str, context_words: Sequence[str]) -> bool:
    own = _folded(password)
    words = {part for word in context_words for part in _parts(_folded(word)) if len(part) >= SHORTEST_CONTEXT_WORD}
    found = False
    for word in sorted(words, key=lambda word: (-len(word), word)):
        if word in own:
            found = True
            own = own.replace(word, " ")
    return found and sum(character.isalnum() for character in own) < LEAST_OF_ITS_OWN


def _parts(text: str) -> list[str]:
    return "".join(character if character.isalnum() else " " for character in text).split()
