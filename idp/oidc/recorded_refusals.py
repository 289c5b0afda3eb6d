"""Refusals in the audit trail: all of clients that somebody answers for, and a few an hour of what anybody can send.

record_for         of a client that proved itself by what an administrator gave it: always
record             of everybody else: as long as there were few from there in this hour; the log has the others. Whoever
                   registers a client may have many, so those pay for themselves and for where they come from
"""

import logging

from idp.attempts.counts import Counts, source_of
from idp.audit.events import Event
from idp.audit.trail import Trail, request_origin
from idp.oidc.clients import Client
from idp.store.units import UnitsOfWork

log = logging.getLogger(__name__)


class RecordedRefusals:
    """Writes them. Opens units of work of its own."""

    def __init__(self, units: UnitsOfWork, trail: Trail, counts: Counts, per_hour: int) -> None:
        self._units, self._trail, self._counts, self._per_hour = units, trail, counts, per_hour

    def record(self, event: Event) -> None:
        """The event is in the trail if there were few from this source in this hour; otherwise no row is written."""
        self._bounded(event)

    def record_for(self, client: Client, event: Event) -> None:
        """The event is in the trail. For a client that registered itself as `record`, and counted for it too, wherever
        it comes from; for one that keeps no secret as for anybody.
        """
        if client.is_public:
            self.record(event)
        elif client.registered_itself:
            self._bounded(event, ("client", client.client_id))
        else:
            with self._units.writing() as unit:
                self._trail.record(unit, event)

    def _bounded(self, event: Event, *also: tuple[str, str]) -> None:
        try:
            with self._units.writing() as unit:
                for subject in (*also, ("source", source_of(request_origin.get()))):
                    if not self._counts.pay(unit, self._per_hour, *subject):
                        raise _Enough
                self._trail.record(unit, event)
        except _Enough:
            log.warning("not in the audit trail, which holds enough like it of this hour: %r", event)


class _Enough(Exception):
    """So that nothing is counted."""
