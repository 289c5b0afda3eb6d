"""`idp session list`, `show` and `end`: who is signed in, what applications were told, and signing somebody out."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import click

from idp.admin.sessions import Ended, SessionWithReceipts, ShownSession
from idp.cli.base import Group, State, pass_state, who_you_are
from idp.oidc.receipts import Receipt

LIVE = ("sid", "org_code", "username", "opened_at", "last_activity_at", "ends_at", "level", "applications")
OVER = ("sid", "org_code", "username", "opened_at", "last_activity_at", "over_at", "reason", "applications")
RECEIPT = ("client_id", "client_name", "outcome", "tries", "delay", "failure")
# It is random base64url, and what looks like an option that nobody knows is taken for one.
SID_MAY_BEGIN_WITH_A_HYPHEN = {"ignore_unknown_options": True}

REASONS = {
    "idle": "nothing happened in it for too long",
    "absolute": "it had lasted as long as a session may",
    "logout": "the person logged out",
    "ended_by_person": "the person ended it from elsewhere",
    "ended_by_administrator": "an administrator ended it",
    "account_disabled": "the account was blocked",
    "credential_disabled": "a second factor was disabled",
    "credential_reset": "the second factor was reset",
    "password_changed": "the password was changed",
    "replaced": "another session took its place",
}


@click.group(cls=Group)
def session() -> None:
    """Who is signed in, what applications were told of an end, and signing somebody out."""


@session.command("list")
@click.option("--org", "code", metavar="CODE", help="Of one organisation.")
@click.option("--user", "username", metavar="USERNAME", help="Of the people with this username; with --org of one.")
@click.option("--ended", is_flag=True, help="Those that are over, instead of those that are live.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="So many at most.")
@pass_state
def list_sessions(state: State, /, code: str | None, username: str | None, ended: bool, limit: int) -> None:
    """Live sessions, the one that was used last first. One past its deadline is over, and not among them."""
    with state.services() as services:
        found = services.session_administration.list(code, username, over=ended, limit=limit)
    rows = [_row(each) for each in found]
    state.tell_rows(rows, OVER if ended else LIVE, "No session is over." if ended else "Nobody is signed in.")


@session.command(context_settings=SID_MAY_BEGIN_WITH_A_HYPHEN)
@click.argument("sid")
@pass_state
def show(state: State, /, sid: str) -> None:
    """One session, and what became of the notices to its applications: its receipts."""
    with state.services() as services:
        found = services.session_administration.show(sid)
    rows = [_receipt(each) for each in found.receipts]
    state.tell_with_rows(_with_clients(found), "receipts", rows, RECEIPT, _without_receipts(found))


@session.command(context_settings=SID_MAY_BEGIN_WITH_A_HYPHEN)
@click.argument("sid", required=False)
@click.option("--org", "code", metavar="CODE", help="With --user: every session of one account.")
@click.option("--user", "username", metavar="USERNAME", help="With --org: every session of one account.")
@click.option("--actor", default=who_you_are, show_default="your name on this machine", help="Who ends it.")
@pass_state
def end(state: State, /, sid: str | None, code: str | None, username: str | None, actor: str) -> None:
    """Sign somebody out of one session, or of all with --org and --user; their applications are told."""
    if (sid is None) == (code is None and username is None) or (code is None) != (username is None):
        raise click.UsageError("give the SID of one session, or --org and --user for all of an account")
    with state.services() as services:
        administration = services.session_administration
        if sid is not None:
            ended = administration.end(sid, actor=actor)
            sentence = _ended_one(ended) if ended.sids else _was_over(administration.show(sid).shown)
        else:
            ended = administration.end_all_of(code or "", username or "", actor=actor)
            sentence = _ended_all(ended)
    data = {"ended": list(ended.sids), "applications_told": ended.told, "applications_not_told": ended.untold}
    state.tell(data, sentence)


def _row(shown: ShownSession) -> dict[str, Any]:
    session, account = shown.session, shown.account
    return {
        "sid": session.sid,
        "org_code": account.organization.org_code,
        "username": account.username,
        "opened_at": session.opened_at,
        "last_activity_at": session.last_activity_at,
        "ends_at": shown.ends_at,
        "over_at": shown.over_at,
        "reason": shown.reason,
        "level": session.level,
        "amr": list(session.amr),
        "applications": shown.applications,
    }


def _with_clients(found: SessionWithReceipts) -> Mapping[str, Any]:
    return _row(found.shown) | {"client_ids": list(found.client_ids)}


def _without_receipts(found: SessionWithReceipts) -> str:
    if found.shown.over_at is None:
        return "The session is live: nobody was told of an end."
    return "No application took part in it." if not found.client_ids else "No receipts are kept of it any more."


def _receipt(receipt: Receipt) -> dict[str, Any]:
    # Hundredths are enough to compare with seconds, and can be read. Of two clocks one may be a little ahead.
    seconds = None if receipt.delay is None else max(0, round(receipt.delay.total_seconds(), 2))
    return {
        "client_id": receipt.client_id,
        "client_name": receipt.client_name,
        "outcome": receipt.outcome,
        "tries": receipt.tries,
        "delay": None if seconds is None else timedelta(seconds=seconds),
        "failure": receipt.failure,
    }


def _ended_one(ended: Ended) -> str:
    return f"The session is over. {_who_is_told(ended)}"


def _ended_all(ended: Ended) -> str:
    if not ended.sids:
        return "The account had no live session."
    number = len(ended.sids)
    return f"{number} {'session is' if number == 1 else 'sessions are'} over. {_who_is_told(ended)}"


def _who_is_told(ended: Ended) -> str:
    if not ended.told and not ended.untold:
        return "No application took part in it." if len(ended.sids) == 1 else "No application took part in them."
    told = f"{ended.told} {'application is' if ended.told == 1 else 'applications are'} being told"
    return f"{told}." if not ended.untold else f"{told}; {ended.untold} cannot be told: no address for it."


def _was_over(shown: ShownSession) -> str:
    since = shown.over_at.isoformat(timespec="seconds").replace("+00:00", "Z") if shown.over_at else "now"
    return f"The session is over since {since}: {REASONS.get(shown.reason or '', shown.reason)}."
