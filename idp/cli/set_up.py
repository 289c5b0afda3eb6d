"""`idp init`, `idp db upgrade`, `idp db check` and `idp db restored`."""

import os
from pathlib import Path

import click

from idp import schema
from idp.cli.base import CONFIG_FILE, CheckFailed, Command, Group, State, pass_state
from idp.jobs.after_restore import restored as draw_a_line
from idp.kernel.secrets import random_token
from idp.settings import LEAVES

CONFIGURATION = """\
# The configuration of this installation, made by `idp init`. Keep it to yourself: it holds the secret key.
# Every other setting has a default; see default.toml.

issuer = "{issuer}"
secret_key = "{secret_key}"

[database]
url = "sqlite:///idp.db"

[log]
format = "console"
"""


def _issuer(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return str(LEAVES["issuer"].check(value))
    except ValueError as error:
        raise click.BadParameter(f"{value!r} {error}; allowed: {LEAVES['issuer'].allowed}") from error


@click.command(cls=Command)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option(
    "--issuer",
    default="http://localhost:8000",
    show_default=True,
    callback=_issuer,
    help="The URL by which people and applications will know this provider.",
)
@pass_state
def init(state: State, folder: Path, issuer: str) -> None:
    """Make a configuration with a secret key of its own, a database and signing keys in FOLDER.

    What is there already stays as it is.
    """
    file = (folder / CONFIG_FILE).absolute()
    made = _write_configuration(file, issuer)
    state.config = file
    settings = state.settings()
    migrations = schema.upgrade(settings.database.url)
    with state.services(settings) as services:
        keys = services.signing_keys.ensure()
    lines = [
        f"{'Made' if made else 'Kept'} the configuration {file}",
        f"{'Made' if migrations else 'Kept'} the tables of {settings.database.shown_url}",
        f"Made keys for {', '.join(keys)}" if keys else "Kept the keys",
    ]
    place = "" if file.parent == Path.cwd() else f" --config {file}"
    lines += ["", "Next:", f"  idp{place} org add CODE --name NAME", f"  idp{place} serve"]
    state.tell(
        {
            "config": file,
            "config_made": made,
            "issuer": settings.issuer,
            "database": settings.database.shown_url,
            "migrations_applied": list(migrations),
            "keys_made": list(keys),
        },
        "\n".join(lines),
    )


def _write_configuration(file: Path, issuer: str) -> bool:
    """True when it was made, readable by its owner alone; False when there is one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(CONFIGURATION.format(issuer=issuer, secret_key=random_token()))
    return True


@click.group("db", cls=Group)
def database() -> None:
    """The tables of the database."""


@database.command()
@pass_state
def upgrade(state: State) -> None:
    """Give the database the tables of this release. Safe while the release before it still runs."""
    settings = state.settings()
    applied = schema.upgrade(settings.database.url)
    shown = settings.database.shown_url
    text = f"Applied to {shown}: {', '.join(applied)}" if applied else f"{shown} is up to date"
    state.tell({"database": shown, "migrations_applied": list(applied)}, text)


@database.command()
@pass_state
def check(state: State) -> None:
    """Compare the database with this release: nothing is changed, and 3 is the exit code when they differ."""
    settings = state.settings()
    differences = schema.check(settings.database.url)
    shown = settings.database.shown_url
    text = "\n".join(differences) if differences else f"{shown} has the tables of this release"
    state.tell({"database": shown, "differences": differences}, text)
    if differences:
        raise CheckFailed(f"{shown} differs from this release in {len(differences)} place(s)")


@database.command()
@pass_state
def restored(state: State) -> None:
    """After a backup was put back, before anything is started: nobody is signed in, and no code or token counts.

    What was used or ended since the backup would otherwise count again. People sign in again; a code that an
    authenticator app shows at this moment is not accepted, the one after the next is.
    """
    with state.services() as services:
        over = draw_a_line(services.units, services.clock, services.trail, services.sessions)
    state.tell_one(dict(vars(over)))
