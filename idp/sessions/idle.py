"""THE 30-MINUTE CLOCK.

A session is over, for every reader and whether or not a cleaner has run, exactly when `idle_timeout` (30 minutes unless
the organisation chose less) has passed since its last activity, or `absolute_timeout` since it was opened. 29:59.999 is
live.

What counts as activity:

    interactive use of our own pages                         yes, always written
    an authorization request as a top-level navigation       yes, always written: somebody opened an application
      (`Sec-Fetch-Dest` absent or `document`, and not
      `prompt=none`)
    `prompt=none`, frames, userinfo, discovery, JWKS         no
    token endpoint, authorization code                       no: it follows an authorization request at once
    token endpoint, refresh token                            for clients with `session_activity = token_refresh`

`last_activity_at` only rises: two nodes that write the same moment late cannot shorten a session.
"""

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_

from idp.sessions.models import Session

# Refreshes and reports arrive in bursts; a row need not be written for each. A session ends at most this much early.
COALESCE = timedelta(seconds=15)


def is_live(session: Session, now: datetime) -> bool:
    """True while nothing ended the session and neither limit is reached; exactly at a limit it is over."""
    return session.ended_at is None and now < ends_at(session)


def ends_at(session: Session) -> datetime:
    """When the session is over if nothing happens any more."""
    return min(session.idle_ends_at, session.absolute_ends_at)


def end_reason(session: Session, now: datetime) -> str | None:
    """Why a session that nobody ended yet is over: `absolute`, `idle`, or None while it is live."""
    if now >= session.absolute_ends_at:
        return "absolute"
    return "idle" if now >= session.idle_ends_at else None


def live(now: datetime) -> ColumnElement[bool]:
    """`is_live` as a condition for a statement, so that the database decides at the boundary."""
    return and_(Session.ended_at.is_(None), Session.idle_ends_at > now, Session.absolute_ends_at > now)


def is_worth_writing(session: Session, at: datetime) -> bool:
    """True when a report or refresh of this moment would move the clock by enough."""
    return at - session.last_activity_at >= coalesced(session)


def coalesced(session: Session) -> timedelta:
    """How far apart two reports or refreshes are at least to be both written: less where the time-out is short."""
    return min(COALESCE, session.idle_timeout / 20)


def moved_by_activity(session: Session, now: datetime) -> dict[str, datetime]:
    """The columns that change when something happens now."""
    return {"last_activity_at": now, "idle_ends_at": now + session.idle_timeout}


def is_top_level_navigation(sec_fetch_dest: str | None) -> bool:
    """True when a person opened a page, as far as the browser says; one that says nothing is believed."""
    return sec_fetch_dest is None or sec_fetch_dest == "document"


def seconds_left(session: Session, now: datetime) -> int:
    """Whole seconds until the session is over, rounded down; 0 counts as over for issuing tokens."""
    return max(0, (ends_at(session) - now) // timedelta(seconds=1))
