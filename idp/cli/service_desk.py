"""`idp user show`, `reset`, `undo-reset`, `lift-wait`, `extend`, `set`, `block` and `unblock`: the service desk's.

A thin face of `admin.service_desk` and `admin.accounts`. Whoever types the command is the actor unless they say who is;
reason and actor are kept in the audit trail.
"""

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any, TypeVar

import click

from idp.admin.accounts import EnrolledMethod
from idp.admin.service_desk import KINDS, Kind, ShownPerson
from idp.cli.administration import account_row, user
from idp.cli.base import State, pass_state, who_you_are
from idp.cli.values import CLAIM, CLEARED, DATE, TEXT, given
from idp.kernel.clock import Clock
from idp.wiring import Services

# The group, with the commands below in it.
__all__ = ["user"]

F = TypeVar("F", bound=Callable[..., Any])


def _person(command: F) -> F:
    command = click.option(
        "--actor", default=who_you_are, show_default="your name on this machine", help="Who is at the desk."
    )(command)
    return click.argument("code")(click.argument("username")(command))


def _reason(required: bool) -> Callable[[F], F]:
    return click.option("--reason", required=required, help="Why, in one line; kept in the audit trail.")


@user.command("show")
@click.argument("code")
@click.argument("username")
@pass_state
def show_user(state: State, /, code: str, username: str) -> None:
    """One account: its second factors, waits and extension, whether a reset is open, and its last sign-in."""
    with state.services() as services:
        _tell(state, services, code, username)


@user.command()
@_person
@_reason(required=True)
@click.option(
    "--caller-checked", required=True, help="How you made sure who called, as in 'called back on the known number'."
)
@pass_state
def reset(state: State, /, code: str, username: str, actor: str, reason: str, caller_checked: str) -> None:
    """Withdraw every second factor of somebody who lost phone or mailbox.

    The account is signed out everywhere and its person is told by mail. At the next sign-in, for a limited time, they
    choose a method anew.
    """
    with state.services() as services:
        services.service_desk.reset(code, username, reason=reason, caller_checked=caller_checked, actor=actor)
        _tell(state, services, code, username)


@user.command("undo-reset")
@_person
@pass_state
def undo_reset(state: State, /, code: str, username: str, actor: str) -> None:
    """Take a reset back: within minutes, and while nothing new is enrolled. Nobody is signed in again by it."""
    with state.services() as services:
        services.service_desk.undo_reset(code, username, actor=actor)
        _tell(state, services, code, username)


@user.command("lift-wait")
@_person
@click.option(
    "--kind",
    type=click.Choice([kind.replace("_", "-") for kind in KINDS]),
    required=True,
    help="After wrong passwords, or after wrong codes.",
)
@pass_state
def lift_wait(state: State, /, code: str, username: str, actor: str, kind: str) -> None:
    """Let somebody try once more at once. Wrong again, they wait as long as they would have: the count stays."""
    chosen: Kind = "password" if kind == "password" else "second_factor"
    with state.services() as services:
        services.service_desk.lift_wait(code, username, kind=chosen, actor=actor)
        _tell(state, services, code, username)


@user.command()
@_person
@click.option("--until", type=DATE, required=True, help='The last day, inclusive; "" takes the extension back.')
@_reason(required=False)
@pass_state
def extend(state: State, /, code: str, username: str, actor: str, until: object, reason: str | None) -> None:
    """Let one person postpone longer than the organisation does.

    For instance: idp user extend 10234 anna --until 2022-03-01 --reason "on leave"
    """
    if until is not CLEARED and reason is None:
        raise click.UsageError("an extension needs a --reason")
    with state.services() as services:
        if isinstance(until, date):
            services.service_desk.extend(code, username, until=until, reason=reason or "", actor=actor)
        else:
            services.service_desk.withdraw_extension(code, username, reason=reason, actor=actor)
        _tell(state, services, code, username)


@user.command("set")
@_person
@click.option("--name", type=TEXT, help="Full name.")
@click.option("--given-name", type=TEXT, help="Given name.")
@click.option("--family-name", type=TEXT, help="Family name.")
@click.option("--email", type=TEXT, help="E-mail address; the old and the new one are told.")
@click.option("--locale", type=TEXT, help="Language, such as nl or nl-NL.")
@click.option(
    "--claim",
    "claims",
    type=CLAIM,
    multiple=True,
    help="What applications are told besides, by its name in OpenID Connect: birthdate=1980-02-29,"
    ' \'address={"locality": "Utrecht"}\'. Again for each.',
)
@pass_state
def set_user(
    state: State, /, code: str, username: str, actor: str, claims: Sequence[tuple[str, object]], **about: object
) -> None:
    """Change what is given; "" takes a value away. A new e-mail address is not proven yet.

    Whoever has codes by e-mail enrolled gets them at the address that was proven then, until a reset.
    """
    changes = given(about)
    if claims:
        changes["standard_claims"] = dict(claims)
    if not changes:
        raise click.UsageError("give at least one thing to set")
    with state.services() as services:
        services.accounts.set(code, username, actor=actor, **changes)
        _tell(state, services, code, username)


@user.command()
@_person
@_reason(required=False)
@pass_state
def block(state: State, /, code: str, username: str, actor: str, reason: str | None) -> None:
    """Let nobody sign in with an account; it is signed out everywhere."""
    with state.services() as services:
        services.accounts.block(code, username, reason=reason, actor=actor)
        _tell(state, services, code, username)


@user.command()
@_person
@_reason(required=False)
@pass_state
def unblock(state: State, /, code: str, username: str, actor: str, reason: str | None) -> None:
    """Let somebody sign in again with the password and the second factors that the account had."""
    with state.services() as services:
        services.accounts.unblock(code, username, reason=reason, actor=actor)
        _tell(state, services, code, username)


def _tell(state: State, services: Services, code: str, username: str) -> None:
    shown = services.service_desk.show(code, username)
    facts = {
        "state": _sentences(shown, services.clock),
        "second_factors": [_method(each) for each in shown.methods],
        "waits": [{"kind": wait.kind, "method": wait.method, "until": wait.until} for wait in shown.waits],
        "reset_undo_until": shown.undo_until,
    }
    state.tell_one(account_row(shown.account) | facts)


def _sentences(shown: ShownPerson, clock: Clock) -> list[str]:
    """What is particular about the account now, for somebody who has its person on the phone."""
    account, now = shown.account, clock.now()
    told = []
    if account.blocked_at is not None:
        told.append("blocked")
    if account.reset_at is not None:
        by = f" by {shown.reset.actor}" if shown.reset is not None else ""
        is_open = account.enrolment_open_until is not None and now < account.enrolment_open_until
        told.append(
            f"reset{by}: " + ("a method can be chosen" if is_open else "the time to choose is over, reset again")
        )
    if shown.undo_until is not None:
        told.append("the reset can still be undone")
    if account.postpone_extended_until is not None:
        told.append(f"extension until {account.postpone_extended_until}")
    for kind in sorted({wait.kind for wait in shown.waits}):
        told.append(f"has to wait after wrong {'passwords' if kind == 'password' else 'codes'}")
    if any(method.is_disabled for method in shown.methods):
        told.append("a second factor is disabled after too many wrong codes: only a reset helps")
    if account.password_hash is None:
        told.append("has no password")
    if account.email is None:
        told.append("has no e-mail address: nothing is told by mail")
    return told or ["nothing particular"]


def _method(method: EnrolledMethod) -> dict[str, Any]:
    return {
        "method": method.method,
        "enrolled_at": method.enrolled_at,
        "last_used_at": method.last_used_at,
        "disabled": method.is_disabled,
    }
