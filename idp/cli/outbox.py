"""`idp outbox`: what is still to be sent, and trying again."""

import click

from idp.cli.base import Group, State, pass_state
from idp.outbox import care


@click.group(cls=Group)
def outbox() -> None:
    """Mail to people and notices to applications that wait to be sent."""


@outbox.command("list")
@click.option("--all", "with_sent", is_flag=True, help="Also what was sent.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=100, show_default=True, help="The newest so many.")
@pass_state
def list_messages(state: State, /, with_sent: bool, limit: int) -> None:
    """Messages that were not sent, oldest first, with the reason of the last failure. Never what they say."""
    with state.services() as services, services.units.reading() as unit:
        now = services.clock.now()
        rows = [care.described(message, now) for message in care.unsent(unit, limit, with_sent)]
    shown = ("id", "kind", "about", "receiver", "state", "tries", "failure", "next_try_at")
    state.tell_rows(rows, shown, "Nothing waits.")


@outbox.command()
@click.argument("number", metavar="ID", type=int)
@pass_state
def retry(state: State, /, number: int) -> None:
    """Try a message at once, instead of when its wait is over."""
    with state.services() as services, services.units.writing() as unit:
        care.retry(unit, number, services.clock.now())
    state.tell({"id": number, "state": "waiting"}, f"Message {number} will be tried at once.")
