"""`idp session offline list` and `end`: which applications may come while nobody is signed in, and ending that."""

import click

from idp.cli.base import Group, State, pass_state, who_you_are

COLUMNS = ("org_code", "username", "client_id", "client_name", "scope", "given_at", "ends_at")


@click.group(cls=Group)
def offline() -> None:
    """Applications that people allowed to come while they are not signed in (offline_access)."""


@offline.command("list")
@click.option("--org", "code", metavar="CODE", help="Of one organisation.")
@click.option("--user", "username", metavar="USERNAME", help="Of the people with this username; with --org of one.")
@pass_state
def list_offline(state: State, /, code: str | None, username: str | None) -> None:
    """What holds now, the newest first."""
    with state.services() as services:
        found = services.offline_access.list(code, username)
    rows = [
        {
            "org_code": each.account.organization.org_code,
            "username": each.account.username,
            "client_id": each.client.client_id,
            "client_name": each.client.client_name,
            "scope": each.family.scope,
            "given_at": each.family.issued_at,
            "ends_at": each.family.expires_at,
        }
        for each in found
    ]
    state.tell_rows(rows, COLUMNS, "No application has offline access.")


@offline.command("end")
@click.option("--org", "code", metavar="CODE", required=True)
@click.option("--user", "username", metavar="USERNAME", required=True)
@click.option("--client", "client_id", metavar="CLIENT_ID", help="Of one application; of all if you do not say.")
@click.option("--actor", default=who_you_are, show_default="your name on this machine", help="Who ends it.")
@pass_state
def end_offline(state: State, /, code: str, username: str, client_id: str | None, actor: str) -> None:
    """End it; the application has to ask the person again. Sessions go on."""
    with state.services() as services:
        ended = services.offline_access.end(code, username, client_id, actor=actor)
    sentence = "There was none." if not ended else f"Offline access has ended: {ended} of it."
    state.tell({"ended": ended}, sentence)
