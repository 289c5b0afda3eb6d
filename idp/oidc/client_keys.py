"""Keys of clients, given by value (`jwks`) or by reference (`jwks_uri`), and what they signed.

    by reference    fetched through the guarded client and believed for ten minutes. A `kid` that is not among them is
                    looked for at once (OIDC Core 10.1.1), and from then on every ten seconds at most, whatever anybody
                    sends
    no answer       the keys that are known stay good for a day, so that a client's users can sign in while its address
                    is down for a night; whoever holds a withdrawn key and can keep the address down gains that day. It
                    is asked again after 10, 20, 40 ... 120 seconds: one that hangs costs little
    many at once    one asks; who cannot go on with the keys that are known waits for its answer. No more threads ask or
                    wait than have a place (`egress.places`), whatever hangs. The rest goes on with what is known
    strangers       one whose address did not answer rests with all others that it registers itself with
    which key       the one that `kid` names; without a `kid`, each that could have made such a signature (RFC 7515 6)

Nothing here touches the database: no unit of work is open while a client's server is asked.
"""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event, Lock
from typing import Any

from idp.egress.guarded import TIMEOUT_IN_A_REQUEST, CallFailed, GuardedClient
from idp.egress.pauses import Pauses
from idp.egress.places import Places
from idp.kernel.clock import ticks
from idp.oidc.clients import Client
from idp.oidc.signatures import ASYMMETRIC, KEY_TYPES, AnyKey, Signed, candidates, header_of, imported, verified_by

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(minutes=10)
KEPT_WITHOUT_ANSWER = timedelta(hours=24)
ASKED_AGAIN_AFTER = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(seconds=120)
MOST_KEPT = 1000


@dataclass
class _Address:
    """What is known of an address; changed under the lock only."""

    keys: Sequence[AnyKey] = ()
    asked_at: timedelta | None = None
    answered_at: timedelta | None = None
    failures: int = 0
    # A key that was made since may be looked for at once: true after an answer to somebody who looked for none.
    may_look_at_once: bool = False
    being_asked: Event | None = field(default=None, repr=False)

    def is_younger(self, now: timedelta, age: timedelta) -> bool:
        return self.answered_at is not None and now - self.answered_at < age

    def may_be_asked(self, now: timedelta, looks_for_new: bool) -> bool:
        if self.asked_at is None or (looks_for_new and self.may_look_at_once):
            return True
        doublings = min(max(self.failures - 1, 0), 10)
        return now - self.asked_at >= min(ASKED_AGAIN_AFTER * (1 << doublings), LONGEST_PAUSE)


class ClientKeys:
    """What clients signed. One in a process."""

    def __init__(self, client: GuardedClient, places: Places, ticks: Callable[[], timedelta] = ticks) -> None:
        """`ticks`: this machine's own, unless a test has others."""
        self._client, self._places, self._ticks, self._strangers = client, places, ticks, Pauses(ticks)
        self._addresses: OrderedDict[str, _Address] = OrderedDict()
        self._lock = Lock()

    def verified(self, client: Client, token: str, algorithms: Sequence[str] = ASYMMETRIC) -> Signed | None:
        """Header and claims of a JWT that this client signed with one of these algorithms; None for everything else."""
        header = header_of(token)
        alg, kid = str(header.get("alg")), header.get("kid")
        if alg not in algorithms or alg not in KEY_TYPES:
            return None
        for keys in self._sets(client, kid):
            for key in candidates(keys, alg, kid):
                if (signed := verified_by(token, key, alg)) is not None:
                    return signed
        return None

    def _sets(self, client: Client, kid: Any) -> Iterator[Sequence[AnyKey]]:
        """First the keys that are known; then, only when none of them fits, what stands at the address now."""
        if client.jwks is not None:
            yield imported(client.jwks)
        if client.jwks_uri is None:
            return
        now = self._ticks()
        with self._lock:
            address = self._address(client.jwks_uri)
            keys, is_fresh = address.keys, address.is_younger(now, KEPT_FOR)
            will_be_fresh = address.being_asked is not None and address.is_younger(now, KEPT_WITHOUT_ANSWER)
        if is_fresh or will_be_fresh:
            yield keys
            if kid is not None and any(key.get("kid") == kid for key in keys):
                return
        yield self._asked(client, client.jwks_uri, looks_for_new=is_fresh)

    def _address(self, uri: str) -> _Address:
        address = self._addresses.setdefault(uri, _Address())
        self._addresses.move_to_end(uri)
        while len(self._addresses) > MOST_KEPT:
            self._addresses.popitem(last=False)
        return address

    def _asked(self, client: Client, uri: str, looks_for_new: bool) -> Sequence[AnyKey]:
        """The keys that stand there now, or those known before when it was asked a moment ago, does not answer, or no
        thread can be spared to wait.
        """
        with self._places.one(client.standing) as has_place:
            address, being_asked, asks = self._begin(client, uri, looks_for_new, has_place)
            if asks:
                self._ask(client, uri, address, looks_for_new)
            elif being_asked is not None and has_place:
                being_asked.wait(TIMEOUT_IN_A_REQUEST.total_seconds())
        with self._lock:
            return address.keys if address.is_younger(self._ticks(), KEPT_WITHOUT_ANSWER) else ()

    def _begin(
        self, client: Client, uri: str, looks_for_new: bool, has_place: bool
    ) -> tuple[_Address, Event | None, bool]:
        """The address, whoever asks it already, and whether this thread is to ask it."""
        now = self._ticks()
        rests = client.registered_itself and self._strangers.rests(client.client_id)
        with self._lock:
            address = self._address(uri)
            may_ask = has_place and not rests and address.may_be_asked(now, looks_for_new)
            if address.being_asked is not None or not may_ask:
                return address, address.being_asked, False
            address.asked_at, address.being_asked, address.may_look_at_once = now, Event(), False
            return address, address.being_asked, True

    def _ask(self, client: Client, uri: str, address: _Address, looks_for_new: bool) -> None:
        keys: Sequence[AnyKey] | None = None
        try:
            keys = self._fetched(uri)
        finally:
            if client.registered_itself:
                (self._strangers.failed if keys is None else self._strangers.answered)(client.client_id)
            with self._lock:
                address.failures = address.failures + 1 if keys is None else 0
                if keys is not None:
                    address.keys, address.answered_at = keys, self._ticks()
                    address.may_look_at_once = not looks_for_new
                being_asked, address.being_asked = address.being_asked, None
            if being_asked is not None:
                being_asked.set()

    def _fetched(self, uri: str) -> Sequence[AnyKey] | None:
        """None when there is no key set to be had."""
        try:
            answer = self._client.get(uri)
            if answer.status != 200:
                raise ValueError(f"http {answer.status}")
            found = json.loads(answer.body)
            if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
                raise ValueError("no key set")
            return imported(found)
        except (CallFailed, ValueError, RecursionError) as error:
            log.warning("keys of a client cannot be read from %s: %s", uri.encode("unicode_escape").decode(), error)
            return None
