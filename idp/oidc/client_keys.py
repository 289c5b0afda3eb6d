"""Keys of clients, given by value (`jwks`) or by reference (`jwks_uri`), and what they signed.

    by reference    fetched through the guarded client, kept for ten minutes; an unknown `kid` fetches once more, but no
                    address is called more than once in ten seconds, whatever anybody sends (OIDC Core 10.1.1)
    which key       the one that `kid` names; without a `kid`, each that could have made such a signature (RFC 7515 6)

Nothing here touches the database: no unit of work is open while a client's server is asked.
"""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from threading import Lock
from typing import Any

from idp.egress.guarded import CallFailed, GuardedClient
from idp.kernel.clock import ticks
from idp.oidc.clients import Client
from idp.oidc.signatures import ASYMMETRIC, KEY_TYPES, AnyKey, Signed, candidates, header_of, imported, verified_by

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(minutes=10)
ASKED_AGAIN_AFTER = timedelta(seconds=10)
MOST_KEPT = 1000


@dataclass(frozen=True)
class _Fetched:
    keys: Sequence[AnyKey]
    asked_at: timedelta
    answered_at: timedelta | None


class ClientKeys:
    """What clients signed. One in a process."""

    def __init__(self, client: GuardedClient, ticks: Callable[[], timedelta] = ticks) -> None:
        """`ticks`: this machine's own, unless a test has others."""
        self._client, self._ticks = client, ticks
        self._fetched: OrderedDict[str, _Fetched] = OrderedDict()
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
        known = self._known(client.jwks_uri)
        if known is not None and known.answered_at is not None and self._ticks() - known.answered_at < KEPT_FOR:
            yield known.keys
            if kid is not None and any(key.get("kid") == kid for key in known.keys):
                return
        yield self._fetch(client.jwks_uri)

    def _known(self, uri: str) -> _Fetched | None:
        with self._lock:
            known = self._fetched.get(uri)
            if known is not None:
                self._fetched.move_to_end(uri)
            return known

    def _fetch(self, uri: str) -> Sequence[AnyKey]:
        """The keys that stand there now, or those known before when it was asked a moment ago or does not answer."""
        now, known = self._ticks(), self._known(uri)
        if known is not None and now - known.asked_at < ASKED_AGAIN_AFTER:
            return known.keys
        before = known.keys if known is not None else ()
        # Whoever comes meanwhile does not ask as well.
        self._keep(uri, _Fetched(before, now, known.answered_at if known is not None else None))
        try:
            answer = self._client.get(uri)
            if answer.status != 200:
                raise ValueError(f"http {answer.status}")
            keys = imported(json.loads(answer.body))
        except (CallFailed, ValueError, RecursionError) as error:
            log.warning("keys of a client cannot be read from %s: %s", uri.encode("unicode_escape").decode(), error)
            return before
        self._keep(uri, _Fetched(keys, now, self._ticks()))
        return keys

    def _keep(self, uri: str, fetched: _Fetched) -> None:
        with self._lock:
            self._fetched[uri] = fetched
            self._fetched.move_to_end(uri)
            while len(self._fetched) > MOST_KEPT:
                self._fetched.popitem(last=False)
