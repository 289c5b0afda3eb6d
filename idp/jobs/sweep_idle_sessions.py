"""Sessions that are over by the clock are ended, so that the clients in them are told within seconds.

Nobody's access depends on it: to every reader a session is over at the instant itself (see `sessions.idle`).
"""

from idp.sessions.lifecycle import Sessions
from idp.sessions.models import Session
from idp.store.units import UnitsOfWork

# On SQLite everybody waits for a unit that writes, so each is short.
BATCH = 10


def sweep(units: UnitsOfWork, sessions: Sessions) -> int:
    """Every session that is over has ended, or is being ended by another worker; the number that were ended now."""
    ended = 0
    while True:
        with units.reading() as unit:
            if not sessions.overdue(unit, 1):
                return ended
        with units.writing() as unit:
            # What another worker has locked is passed over, so nobody waits and both share the work.
            overdue = sessions.overdue(unit, BATCH, lock=True)
            for session in sorted(overdue, key=lambda session: session.id):
                ended += sessions.end(unit, session, "absolute" if _reached_its_limit(session) else "idle")
        if not overdue:
            return ended


def _reached_its_limit(session: Session) -> bool:
    """True when the absolute limit came first, however late the sweep is."""
    return session.absolute_ends_at <= session.idle_ends_at
