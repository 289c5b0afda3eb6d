"""The root command."""

import importlib
import os
from importlib.util import find_spec
from pathlib import Path

import click

from idp import schema
from idp.cli.administration import org
from idp.cli.audit import audit
from idp.cli.base import CONFIG, CONFIG_FILE, Failure, Group, State
from idp.cli.campaign import campaign
from idp.cli.clients import client
from idp.cli.keys import keys
from idp.cli.offline_access import offline
from idp.cli.outbox import outbox
from idp.cli.service_desk import user
from idp.cli.serving import serve, worker
from idp.cli.sessions import session
from idp.cli.set_up import database, init
from idp.kernel.errors import Misconfigured
from idp.settings import Settings

DEMO = "demo"
# The demonstration stands beside the command line, not below it, and is a part that can be left out.
DEMO_COMMAND = "idp.demo.command"

HELP = """\
idp init                        make a configuration, a database and keys in this folder
idp serve                       run the provider
idp org add CODE --name NAME    let an organisation in
idp user add CODE USERNAME      and somebody of it
idp client add NAME ...         and an application
idp --help                      everything else"""


class Root(Group):
    """The root command; `demo` is looked up when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        joined = [DEMO] if find_spec(DEMO_COMMAND) is not None else []
        return sorted([*super().list_commands(ctx), *joined])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == DEMO and find_spec(DEMO_COMMAND) is not None:
            return _demo()
        return super().get_command(ctx, cmd_name)


def _demo() -> click.Command:
    try:
        command: click.Command = importlib.import_module(DEMO_COMMAND).demo
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("idp"):
            raise
        missing = error.name

        @click.command(DEMO)
        def command() -> None:
            """Run a demonstration (needs what `idp[demo]` installs)."""
            raise Failure(f"the demonstration needs {missing}: install idp[demo]")

    return command


@click.group(cls=Root, invoke_without_command=True)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help=f"The configuration file. Otherwise the one that {CONFIG} names, otherwise ./{CONFIG_FILE} if there is one.",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
@click.version_option(package_name="idp")
@click.pass_context
def main(context: click.Context, config: Path | None, as_json: bool) -> None:
    """An OpenID Connect provider.

    Exit codes: 0 done, 1 fault, 2 wrong usage, 3 a check failed.
    """
    if config is None and not os.environ.get(CONFIG) and Path(CONFIG_FILE).is_file():
        config = Path(CONFIG_FILE)
    context.obj = state = State(config, as_json)
    if context.invoked_subcommand is None:
        found = _state(state)
        state.tell({"state": found}, f"{HELP}\n\n{found}")


def _state(state: State) -> str:
    """How far this installation is, in one sentence."""
    try:
        settings = state.settings()
    except Misconfigured as error:
        return f"Not initialised here: run `idp init`. ({error.problems[0]})"
    return f"{settings.issuer}: {_database_state(settings)}"


def _database_state(settings: Settings) -> str:
    shown = settings.database.shown_url
    if schema.current(settings.database.url) is None:
        return f"the database {shown} is empty: run `idp db upgrade`."
    missing = schema.pending(settings.database.url)
    if missing:
        return f"the database {shown} lacks {len(missing)} migration(s): run `idp db upgrade`."
    return f"the database {shown} is up to date."


session.add_command(offline)
for each in (init, serve, worker, database, org, user, client, keys, campaign, session, audit, outbox):
    main.add_command(each)
