"""THE 30-MINUTE CLOCK.

A session is over, for every reader and whether or not a cleaner has run, exactly when `idle_timeout` (30 minutes unless
the organisation chose less) has passed since its last activity, or `absolute_timeout` since it was opened. 29:59.999 is
live.

What counts as activity: `yes`, `no`, `when` it is so, or the request `ends` the session. This table is kept true by
tests/sessions/test_every_route_and_the_clock.py, which calls every route of the product. HEAD and OPTIONS never count.

    GET   /authorize                        when somebody opened an application: top-level navigation (`Sec-Fetch-Dest`
                                            absent or `document`, no `Sec-Purpose`) without `prompt=none`. Always
                                            written
    POST  /authorize                        no: it leads to the GET
    GET   /s/<interaction_id>/<prompt>      when nothing is left to ask, which completes the attempt, once. Written
    POST  /s/<interaction_id>/<prompt>      yes: somebody answered a page of ours. Always written
    GET   /s/<interaction_id>/restart       no
    GET   /s/<interaction_id>/leave         no
    GET   /end_session                      ends, or asks, which is no activity
    POST  /end_session                      no: it leads to the GET
    POST  /end_session/confirm              ends, or somebody stays, which counts and is always written
    GET   /signed_out                       no
    POST  /par                              no
    POST  /token                            when a refresh token is used by a client with `session_activity =
                                            token_refresh`. A code: no, it follows an authorization request at once.
                                            A refresh token of offline access, and a client for itself: no
    POST  /session/activity                 when it is news: for clients with `session_activity = reported`
    GET   /session/status                   no
    POST  /session/status                   no
    POST  /introspect                       no
    POST  /revoke                           no
    POST  /register                         no
    GET   /register/<client_id>             no
    PUT   /register/<client_id>             no
    DELETE  /register/<client_id>           no
    GET   /userinfo                         no
    POST  /userinfo                         no
    GET   /jwks                             no
    GET   /.well-known/openid-configuration no
    GET   /.well-known/oauth-authorization-server  no
    GET   /t/<org_code>/theme.<digest>.css  no
    GET   /t/<org_code>/logo-<any(light,dark):variant>.<digest>.png  no
    GET   /c/<client_id>/logo.<digest>.png  no
    GET   /static/<hashed_name>             no
    GET   /health/live                      no
    GET   /health/ready                     no
    GET   /                                 no

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


def live(now: datetime | ColumnElement[datetime]) -> ColumnElement[bool]:
    """`is_live` as a condition for a statement, so that the database decides at the boundary.

    `now` may be a parameter of a statement that is made once and run often.
    """
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


def is_top_level_navigation(sec_fetch_dest: str | None, sec_purpose: str | None = None) -> bool:
    """True when a person opened a page, as far as the browser says; one that says nothing is believed.

    `Sec-Purpose` comes with pages that are only fetched or drawn in advance: nobody has opened them yet.
    """
    return sec_purpose is None and (sec_fetch_dest is None or sec_fetch_dest == "document")


def seconds_left(session: Session, now: datetime) -> int:
    """Whole seconds until the session is over, rounded down; 0 counts as over for issuing tokens."""
    return max(0, (ends_at(session) - now) // timedelta(seconds=1))
