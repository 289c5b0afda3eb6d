"""`idp campaign`: what the roll-out of the second factor means for people."""

from collections import Counter
from datetime import date

import click

from idp.cli.base import Group, State, pass_state
from idp.cli.values import DATE
from idp.kernel.levels import PASSWORD
from idp.signin.simulate import Meeting

MEETS = {
    "signs_in": "sign in with the password alone",
    "verify_second_factor": "are asked for a code",
    "enrol_second_factor": "choose a method",
    "service_desk": "have to call the service desk",
    "level_out_of_reach": "cannot reach the level that is demanded",
    "blocked": "are blocked",
}


@click.group(cls=Group)
def campaign() -> None:
    """The roll-out of the second factor."""


@campaign.command()
@click.option("--org", "org_code", required=True, help="The organisation's code.")
@click.option("--on", "day", type=DATE, required=True, help="The day, as in 2022-02-01, where the organisation is.")
@click.option("--client", "client_id", help="In this application, with its own minimum level; otherwise in any.")
@pass_state
def simulate(state: State, /, org_code: str, day: object, client_id: str | None) -> None:
    """Tell who would meet what on a day, by the very checks that decide at sign-in. Changes nothing."""
    if not isinstance(day, date):
        raise click.UsageError("--on needs a date such as 2022-02-01")
    with state.services() as services:
        minimum = PASSWORD
        if client_id is not None:
            minimum = services.clients.show(client_id).minimum_acr or PASSWORD
        meetings = services.simulation.on(org_code, day, minimum)
    rows = [_row(meeting) for meeting in meetings]
    if state.as_json:
        state.tell_rows(rows, (), "")
        return
    columns = ("username", "meets", "days_left", "methods", "reasons")
    state.tell_rows(rows, columns, "The organisation has no accounts.")
    for meets, number in Counter(meeting.meets for meeting in meetings).most_common():
        click.echo(f"{number:>6}  {MEETS[meets]}")


def _row(meeting: Meeting) -> dict[str, object]:
    return {
        "username": meeting.username,
        "meets": meeting.meets,
        "days_left": meeting.days_left,
        "methods": list(meeting.methods),
        "reasons": list(meeting.reasons),
    }
