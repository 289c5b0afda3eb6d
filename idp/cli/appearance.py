"""How an organisation looks, on the command line: options of `idp org set`, `idp org set-logo`, and what is told."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from idp.accounts.models import Organization
from idp.admin.appearance import SLOTS
from idp.admin.logos import LARGEST_FILE, Variant
from idp.cli.base import Command, State, pass_state
from idp.cli.values import TEXT, Clearable
from idp.web import theme

F = TypeVar("F", bound=Callable[..., Any])

COLOUR = Clearable("colour", str.lower, "a colour such as #0b5b78")


class _OwnText(click.ParamType[tuple[str, str, str]]):
    name = "language:slot=text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str, str]:
        if isinstance(value, tuple):
            return value
        place, is_given, text = value.partition("=")
        language, is_placed, slot = place.partition(":")
        if not is_given or not is_placed or slot not in SLOTS:
            self.fail(f'write it as in nl:{SLOTS[0]}="..."; the slots are {", ".join(SLOTS)}', param, ctx)
        return language, slot, text


def appearance(command: F) -> F:
    """The options about how an organisation looks."""
    for option in reversed(
        (
            click.option("--brand-colour", type=COLOUR, help='Its colour, as in "#0b5b78".'),
            click.option("--privacy-uri", type=TEXT, help="Where its privacy statement is, with https."),
            click.option(
                "--text",
                "own_texts",
                type=_OwnText(),
                multiple=True,
                help=f'A sentence of its own, as in nl:choose.help="...". Slots: {", ".join(SLOTS)}.',
            ),
        )
    ):
        command = option(command)
    return command


def with_texts(rules: Mapping[str, Any]) -> dict[str, Any]:
    """The options as the use case wants them: the sentences by language and slot."""
    others = {name: value for name, value in rules.items() if name != "own_texts"}
    texts: dict[str, dict[str, str]] = {}
    for language, slot, text in rules["own_texts"]:
        texts.setdefault(language, {})[slot] = text
    return others | ({"texts": texts} if texts else {})


def colour_row(organization: Organization) -> dict[str, Any]:
    """The colour as links and buttons really have it, on light and on dark pages; None without one."""
    colour = organization.brand_colour
    if colour is None:
        return {"brand_colour_shown": None}
    return {"brand_colour_shown": {scheme: theme.palette(colour, scheme).primary for scheme in theme.SURFACES}}


def tell_changed_colour(organization: Organization) -> None:
    """Says, beside the result, where the colour is not shown as it was given, and why."""
    colour = organization.brand_colour
    for scheme, shown in (colour_row(organization)["brand_colour_shown"] or {}).items():
        if shown != colour:
            change = "darker" if scheme == "light" else "lighter"
            told = f"On {scheme} pages {colour} is made {change}, {shown}, so that everybody can read the text."
            click.echo(told, err=True)


@click.command("set-logo", cls=Command)
@click.argument("code")
@click.argument("file", required=False, type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("--dark", is_flag=True, help="The logo for dark pages.")
@click.option("--remove", is_flag=True, help="Take the logo away; the one for light pages takes the other with it.")
@pass_state
def set_logo(state: State, /, code: str, file: Path | None, dark: bool, remove: bool) -> None:
    """Give an organisation a logo: PNG, WebP or JPEG of at most 200 kB. It is drawn anew, at most 80 pixels high."""
    if remove == (file is not None):
        raise click.UsageError("give either a file or --remove")
    variant: Variant = "dark" if dark else "light"
    with state.services() as services:
        if file is None:
            services.logos.remove(code, variant)
        else:
            with file.open("rb") as content:
                # One byte more than is taken says that it is too large; nobody reads the rest.
                services.logos.set(code, variant, content.read(LARGEST_FILE + 1))
        state.tell_one({"org_code": services.organizations.show(code).org_code, "logos": services.logos.list(code)})
