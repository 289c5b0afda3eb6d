"""`idp client token`: who may register applications of their own accord (RFC 7591 3)."""

from datetime import timedelta
from typing import Any

import click

from idp.cli.base import Group, State, pass_state
from idp.cli.values import DURATION
from idp.oidc.models import InitialAccessToken


@click.group("token", cls=Group)
def token() -> None:
    """Tokens with which applications register themselves, where `registration.mode` is token."""


@token.command("add")
@click.argument("label")
@click.option("--uses", type=int, default=1, show_default=True, help="How many applications can register with it.")
@click.option("--any-number", is_flag=True, help="As many as like to.")
@click.option("--expires-in", type=DURATION, help="For how long it is good, such as 30d; for ever if you do not say.")
@pass_state
def add_token(state: State, label: str, uses: int, any_number: bool, expires_in: timedelta | None) -> None:
    """Make a token for whoever LABEL says. It is shown once, now."""
    with state.services() as services:
        row, made = services.initial_access_tokens.add(label, None if any_number else uses, expires_in)
    state.tell_one(_shown(row) | {"initial_access_token": made})


@token.command("list")
@pass_state
def list_tokens(state: State) -> None:
    """All tokens."""
    with state.services() as services:
        rows = [_shown(row) for row in services.initial_access_tokens.list()]
    state.tell_rows(rows, ("id", "label", "uses_left", "expires_at", "revoked_at"), "There is no token yet.")


@token.command("revoke")
@click.argument("number", type=int)
@pass_state
def revoke_token(state: State, number: int) -> None:
    """Nobody registers with this token any more; applications that did stay."""
    with state.services() as services:
        row = services.initial_access_tokens.revoke(number)
    state.tell_one(_shown(row))


def _shown(row: InitialAccessToken) -> dict[str, Any]:
    return {
        "id": row.id,
        "label": row.label,
        "uses_left": "any" if row.uses_left is None else row.uses_left,
        "created_at": row.created_at,
        "expires_at": row.expires_at,
        "revoked_at": row.revoked_at,
    }
