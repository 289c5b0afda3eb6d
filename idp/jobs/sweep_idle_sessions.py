"""Sessions that are over by the clock are ended, so that the clients in them are told within seconds.

Nobody's access depends on it: to every reader a session is over at the instant itself (see `sessions.idle`).
"""

import logging
from collections.abc import Sequence

from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session as Unit

from idp.jobs.worker import described
from idp.sessions.lifecycle import Sessions
from idp.sessions.models import Session
from idp.store.units import UnitsOfWork

log = logging.getLogger(__name__)

# On SQLite everybody waits for a unit that writes, so each is short.
BATCH = 10


def sweep(units: UnitsOfWork, sessions: Sessions) -> int:
    """Every session that is over has ended, or is being ended by another worker; the number that were ended now.

    One that cannot be ended is logged and left for the next time. Raises OperationalError when the database is away.
    """
    ended, broken = 0, set[int]()
    while True:
        with units.reading() as unit:
            if len(sessions.overdue(unit, 1 + len(broken))) <= len(broken):
                return ended
        batch: Sequence[int] = ()
        try:
            with units.writing() as unit:
                # What another worker has locked is passed over, so nobody waits and both share the work.
                overdue = sessions.overdue(unit, BATCH + len(broken), lock=True)
                batch = sorted(session.id for session in overdue if session.id not in broken)
                of_batch = sum(_end(unit, sessions, session_id) for session_id in batch)
            ended += of_batch
        except OperationalError:
            raise
        except Exception as error:  # whatever one session breaks, the others of its batch end
            if not batch:
                raise
            log.error("%d sessions cannot be ended together: %s", len(batch), described(error))
            ended += _one_by_one(units, sessions, batch, broken)
        if not batch:
            return ended


def _one_by_one(units: UnitsOfWork, sessions: Sessions, batch: Sequence[int], broken: set[int]) -> int:
    """Those that can be ended are; the others are in `broken`."""
    ended = 0
    for session_id in batch:
        try:
            with units.writing() as unit:
                of_one = _end(unit, sessions, session_id)
            ended += of_one
        except OperationalError:
            raise
        except Exception as error:  # it is left for the next time, and holds up nobody
            log.error("session %d cannot be ended: %s", session_id, described(error))
            broken.add(session_id)
    return ended


def _end(unit: Unit, sessions: Sessions, session_id: int) -> bool:
    session = unit.get(Session, session_id)
    if session is None:
        return False
    return sessions.end(unit, session, "absolute" if _reached_its_limit(session) else "idle")


def _reached_its_limit(session: Session) -> bool:
    """True when the absolute limit came first, however late the sweep is."""
    return session.absolute_ends_at <= session.idle_ends_at
