"""`idp audit`: what happened, and whether the trail is as it was written."""

from datetime import UTC, datetime
from typing import Any

import click

from idp.audit import chain
from idp.audit.chain import Head, Verified
from idp.audit.search import find
from idp.audit.trail import AuditEvent
from idp.cli.base import CheckFailed, Group, State, pass_state
from idp.kernel.clock import Clock
from idp.kernel.secrets import DerivedKeys
from idp.settings import Settings, parse_duration


@click.group(cls=Group)
def audit() -> None:
    """What happened, and whether the audit trail is as it was written."""


class _HeadType(click.ParamType[Head]):
    name = "position:digest"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Head:
        try:
            return value if isinstance(value, Head) else Head.read(value)
        except ValueError:
            self.fail(f"{value!r} is not what `idp audit head` prints", param, ctx)


@audit.command("list")
@click.option("--type", "kind", help="Of one type, such as session_ended.")
@click.option("--account", nargs=2, metavar="CODE USERNAME", help="About one account.")
@click.option("--request-code", help="Of one request: what its error page shows, as in K7QM-3F.")
@click.option("--since", help="Not older than this: 2h, 3d, or a moment such as 2022-02-01T14:00 (UTC).")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="The newest so many.")
@pass_state
def list_events(
    state: State,
    /,
    kind: str | None,
    account: tuple[str, str] | None,
    request_code: str | None,
    since: str | None,
    limit: int,
) -> None:
    """Events, oldest first."""
    with state.services() as services:
        account_id = services.accounts.show(*account).account.id if account else None
        code = request_code.strip().upper() if request_code else None
        earliest = _moment(since, services.clock) if since else None
        with services.units.reading() as unit:
            rows = find(unit, kind=kind, account_id=account_id, request_code=code, since=earliest, limit=limit)
    shown = ("at", "type", "request_code", "account_id", "client_id", "actor", "details")
    state.tell_rows([_event(row) for row in rows], shown, "There is no such event.")


@audit.command()
@click.option("--expect", "expected", type=_HeadType(), help="A head that was noted before: the chain still holds it.")
@pass_state
def verify(state: State, /, expected: Head | None) -> None:
    """Compute the chain of the audit trail again: 3 is the exit code when an event was changed, moved or taken away.

    What was cut off at its newest end shows only in comparison with a head that was noted elsewhere: --expect.
    """
    settings = state.settings()
    with state.services(settings) as services:
        found = chain.verify(services.units, _keys(settings), expected)
    data = {
        "whole": found.why is None,
        "first_position": found.first,
        "since": found.since,
        "head": str(found.head),
        "not_linked_yet": found.unlinked,
        "broken_at": found.broken_at,
        "why": found.why,
    }
    state.tell(data, _told(found))
    if found.why is not None:
        raise CheckFailed(f"the audit trail is broken at position {found.broken_at}: {found.why}")


@audit.command()
@pass_state
def head(state: State) -> None:
    """The newest link of the chain. Note it somewhere else, for `idp audit verify --expect`."""
    with state.services() as services:
        newest = chain.head(services.units)
    state.tell({"head": str(newest)}, str(newest))


def _told(found: Verified) -> str:
    if found.first is None or found.since is None:
        whole = f"{found.head.position} link(s)"
    else:
        since = found.since.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        whole = f"Links {found.first} to {found.head.position}, since {since}"
    state = "every link fits" if found.why is None else f"BROKEN at {found.broken_at}: {found.why}"
    return f"{whole}: {state}\nNot linked yet: {found.unlinked}\nHead: {found.head}"


def _keys(settings: Settings) -> list[DerivedKeys]:
    """Of the present secret key, then of those it replaced."""
    return [DerivedKeys(key.get_secret_value()) for key in (settings.secret_key, *settings.previous_secret_keys)]


def _moment(since: str, clock: Clock) -> datetime:
    try:
        return clock.now() - parse_duration(since)
    except (ValueError, OverflowError):
        pass
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise click.BadParameter(f"{since!r} is neither a duration nor a moment", param_hint="--since") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _event(event: AuditEvent) -> dict[str, Any]:
    return {column.key: getattr(event, column.key) for column in AuditEvent.__table__.columns}
