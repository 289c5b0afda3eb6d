"""Sessions that are over by the clock are ended, so that the clients in them are told within seconds.

Nobody's access depends on it: to every reader a session is over at the instant itself (see `sessions.idle`).
"""

from idp.sessions.lifecycle import Sessions
from idp.sessions.models import Session
from idp.store.units import UnitsOfWork

BATCH = 50


def sweep(units: UnitsOfWork, sessions: Sessions) -> int:
    """Every session that is over has ended; the number that were ended now."""
    ended = 0
    while True:
        with units.reading() as unit:
            overdue = len(sessions.overdue(unit, BATCH))
        if not overdue:
            return ended
        with units.writing() as unit:
            # By id, as everywhere: somebody else may be ending the same ones at this moment (see `store.units`).
            for session in sorted(sessions.overdue(unit, BATCH), key=lambda session: session.id):
                ended += sessions.end(unit, session, "absolute" if _reached_its_limit(session) else "idle")


def _reached_its_limit(session: Session) -> bool:
    """True when the absolute limit came first, however late the sweep is."""
    return session.absolute_ends_at <= session.idle_ends_at
