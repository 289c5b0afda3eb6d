"""`idp org` and `idp user`: a thin face of the use cases in `admin`.

What the service desk does for somebody is in `service_desk.py`, applications are in `clients.py`, keys in `keys.py`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from idp.accounts.models import ROLES, Account, Organization
from idp.cli.appearance import appearance, colour_row, set_logo, tell_changed_colour, with_texts
from idp.cli.base import Group, State, pass_state
from idp.cli.values import DATE, DURATION, TEXT, given, required_password

F = TypeVar("F", bound=Callable[..., Any])


@click.group(cls=Group)
def org() -> None:
    """Organisations, and their roll-out of the second factor."""


def _rules(command: F) -> F:
    for option in reversed(
        (
            click.option("--time-zone", help="Where its days begin, as in Europe/Amsterdam."),
            click.option(
                "--required-from",
                "second_factor_required_from",
                type=DATE,
                help="First day on which everybody is asked for a second factor.",
            ),
            click.option("--postpone-until", type=DATE, help="Last day on which that can be postponed."),
            click.option(
                "--email-allowed/--no-email-allowed", default=None, help="Whether codes by e-mail may be chosen."
            ),
            click.option("--service-desk-phone", type=TEXT, help="The number its people can call."),
            click.option("--service-desk-hours", type=TEXT, help="When that number is answered."),
            click.option("--service-desk-email", type=TEXT, help="Where answers to its mails go."),
            click.option("--idle-timeout", type=DURATION, help="A session ends after this much inactivity."),
            click.option("--absolute-timeout", type=DURATION, help="A session ends after this time."),
        )
    ):
        command = option(command)
    return command


@org.command("add")
@click.argument("code")
@click.option("--name", required=True, help="Its name, as its people know it.")
@_rules
@pass_state
def add_org(state: State, /, code: str, name: str, **rules: object) -> None:
    """Let an organisation in. Its people sign in with CODE."""
    with state.services() as services:
        state.tell_one(_organization(services.organizations.add(code, name, **given(rules))))


@org.command("set")
@click.argument("code")
@click.option("--name", help="Its name, as its people know it.")
@_rules
@appearance
@pass_state
def set_org(state: State, /, code: str, **rules: object) -> None:
    """Change what is given; "" takes a date, a time or a text away.

    For instance: idp org set 10234 --postpone-until 2022-02-01
    """
    changes = given(with_texts(rules))
    if not changes:
        raise click.UsageError("give at least one thing to set")
    with state.services() as services:
        organization = services.organizations.set(code, **changes)
        state.tell_one(_organization(organization))
    if "brand_colour" in changes:
        tell_changed_colour(organization)


org.add_command(set_logo)


@org.command("list")
@pass_state
def list_orgs(state: State) -> None:
    """All organisations."""
    with state.services() as services:
        rows = [_organization(each) for each in services.organizations.list()]
    columns = ("org_code", "name", "second_factor_required_from", "postpone_until")
    state.tell_rows(rows, columns, "There is no organisation yet.")


@org.command("show")
@click.argument("code")
@pass_state
def show_org(state: State, /, code: str) -> None:
    """One organisation, its rules and its look."""
    with state.services() as services:
        organization, logos = services.organizations.show(code), services.logos.list(code)
    state.tell_one(_organization(organization) | colour_row(organization) | {"logos": logos})


def _organization(organization: Organization) -> dict[str, Any]:
    return {
        column.key: getattr(organization, column.key) for column in Organization.__table__.columns if column.key != "id"
    }


@click.group(cls=Group)
def user() -> None:
    """People's accounts."""


def _password_sources(command: F) -> F:
    command = click.option(
        "--password-file", type=click.Path(dir_okay=False, exists=True, path_type=Path), help="A file that holds it."
    )(command)
    return click.option("--password-stdin", is_flag=True, help="The password comes on standard input.")(command)


@user.command("add")
@click.argument("code")
@click.argument("username")
@_password_sources
@click.option("--without-password", is_flag=True, help="Nobody can sign in with the account until it gets one.")
@click.option("--name", help="Full name.")
@click.option("--given-name", help="Given name.")
@click.option("--family-name", help="Family name.")
@click.option("--email", help="E-mail address.")
@click.option("--locale", help="Language, such as nl or nl-NL.")
@click.option("--role", type=click.Choice(ROLES), default="person", show_default=True, help="What they may do here.")
@pass_state
def add_user(
    state: State,
    /,
    code: str,
    username: str,
    password_stdin: bool,
    password_file: Path | None,
    without_password: bool,
    **about: Any,
) -> None:
    """Make an account in the organisation with this CODE.

    The password comes from --password-stdin, --password-file or IDP_NEW_PASSWORD, or is asked for on a terminal.
    """
    if without_password and (password_stdin or password_file is not None):
        raise click.UsageError("either a password or --without-password")
    password = None if without_password else required_password(password_stdin, password_file)
    with state.services() as services:
        state.tell_one(account_row(services.accounts.add(code, username, password, **about)))


@user.command("set-password")
@click.argument("code")
@click.argument("username")
@_password_sources
@pass_state
def set_password(state: State, /, code: str, username: str, password_stdin: bool, password_file: Path | None) -> None:
    """Give an account a new password; it is signed out everywhere.

    The password comes from --password-stdin, --password-file or IDP_NEW_PASSWORD, or is asked for on a terminal.
    """
    password = required_password(password_stdin, password_file)
    with state.services() as services:
        state.tell_one(account_row(services.accounts.set_password(code, username, password)))


@user.command("list")
@click.argument("code", required=False)
@pass_state
def list_users(state: State, /, code: str | None) -> None:
    """The accounts of one organisation, or all."""
    with state.services() as services:
        rows = [account_row(each) for each in services.accounts.list(code)]
    columns = ("org_code", "username", "name", "role", "blocked_at", "last_sign_in_at")
    state.tell_rows(rows, columns, "There is no account yet.")


def account_row(account: Account) -> dict[str, Any]:
    """An account as it is told: all its fields but those that only the database needs."""
    left_out = {"id", "organization_id", "username", "username_shown", "password_hash"}
    fields = {
        column.key: getattr(account, column.key) for column in Account.__table__.columns if column.key not in left_out
    }
    return {
        "org_code": account.organization.org_code,
        "username": account.username_shown,
        "has_password": account.password_hash is not None,
        **fields,
    }
