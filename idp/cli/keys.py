"""`idp keys`: keys that sign tokens, and how they follow each other."""

import click

from idp.cli.base import Group, State, pass_state, who_you_are
from idp.oidc.keys import ALGORITHMS

_actor = click.option("--actor", default=who_you_are, show_default="your name on this machine", help="Who does it.")


@click.group(cls=Group)
def keys() -> None:
    """Keys that sign tokens."""


@keys.command("list")
@pass_state
def list_keys(state: State) -> None:
    """All signing keys, oldest first: from when until when each signs, and until when it is published."""
    with state.services() as services:
        rows = [dict(vars(key)) for key in services.signing_keys.show()]
    columns = ("kid", "alg", "signs_from", "signs_until", "published_until", "retired_at")
    state.tell_rows(rows, columns, "There is no key yet: run `idp init` or `idp serve`.")


@keys.command("rotate")
@click.option("--alg", type=click.Choice(ALGORITHMS), help="Of this algorithm only.")
@click.option(
    "--now", "at_once", is_flag=True, help="Let it sign in a minute, whether or not applications know it by then."
)
@_actor
@pass_state
def rotate_keys(state: State, /, alg: str | None, at_once: bool, actor: str) -> None:
    """Let a new key follow the one that signs, for each algorithm.

    It is published at once and signs when applications have had time to read it; what the old one signed can be
    verified all the while. Where a new key waits already, no other is made.
    """
    with state.services() as services:
        algs = ALGORITHMS if alg is None else (alg,)
        made = [services.signing_keys.rotate(each, at_once=at_once, actor=actor) for each in algs]
    state.tell_rows([dict(vars(key)) for key in made], ("kid", "alg", "signs_from"), "")


@keys.command("retire")
@click.argument("kid")
@click.option(
    "--now", "at_once", is_flag=True, help="Although it is still needed: what it signed is refused from now on."
)
@_actor
@pass_state
def retire_key(state: State, /, kid: str, at_once: bool, actor: str) -> None:
    """Take a key back that signs no more: neither published nor believed, its private part erased.

    Says what still depends on it, and then does nothing without --now. Keys go by themselves in the end.
    """
    with state.services() as services:
        dependants = services.signing_keys.retire(kid, at_once=at_once, actor=actor)
    lost = [dict(vars(each)) for each in dependants]
    state.tell_with_rows(
        {"kid": kid, "retired": True}, "depended_on_it", lost, ("kind", "number", "until"), "Nothing depended on it."
    )
