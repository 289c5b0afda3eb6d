"""`idp client`: applications that let people sign in here."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from idp.admin.activity_signals import LOOKED_AT
from idp.cli.base import Failure, Group, State, pass_state
from idp.cli.client_tokens import token
from idp.cli.values import CLEARED, JSON_FILE, TEXT, Clearable, given
from idp.oidc.clients import (
    ACCESS_TOKEN_FORMATS,
    APPLICATION_TYPES,
    AUTHENTICATION_METHODS,
    GRANT_TYPES,
    PROFILES,
    SESSION_ACTIVITY,
    SUBJECT_TYPES,
    Client,
    as_metadata,
)
from idp.oidc.keys import ALGORITHMS
from idp.oidc.signatures import ASYMMETRIC, HMAC

F = TypeVar("F", bound=Callable[..., Any])


def _algorithm(text: str) -> str:
    if text not in ALGORITHMS:
        raise ValueError(text)
    return text


ALGORITHM = Clearable("algorithm", _algorithm, f"one of {', '.join(ALGORITHMS)}")


@click.group(cls=Group)
def client() -> None:
    """Applications that let people sign in here."""


def _metadata(command: F) -> F:
    """What can be given when an application is registered, and changed later."""
    for option in reversed(
        (
            click.option(
                "--post-logout-redirect-uri",
                "post_logout_redirect_uris",
                multiple=True,
                default=None,
                help="Where logging out leads.",
            ),
            click.option(
                "--session-activity",
                type=click.Choice(tuple(SESSION_ACTIVITY)),
                help="How it tells that its user is active. Browser and native applications must choose. "
                + " ".join(f"{value}: {sentence}" for value, sentence in SESSION_ACTIVITY.items()),
            ),
            click.option(
                "--minimum-acr", type=int, help="Tokens are only for people who reached this level: 1, 2 or 3."
            ),
            click.option("--scope", help="What it may ask to know; openid, profile and email if you do not say."),
            click.option(
                "--id-token-alg",
                "id_token_signed_response_alg",
                type=click.Choice(ALGORITHMS),
                help="What its ID tokens, JWT access tokens and logout tokens are signed with; RS256 by default.",
            ),
            click.option(
                "--userinfo-alg",
                "userinfo_signed_response_alg",
                type=ALGORITHM,
                help="Userinfo comes as a JWT signed with this.",
            ),
            click.option(
                "--introspection-alg",
                "introspection_signed_response_alg",
                type=ALGORITHM,
                help="Answers to introspection come as a JWT signed with this.",
            ),
            click.option(
                "--access-tokens",
                "access_token_format",
                type=click.Choice(ACCESS_TOKEN_FORMATS),
                help="opaque: over at the same instant as the session, everywhere; jwt: a server that does not ask us"
                " believes one for up to 5 minutes longer.",
            ),
            click.option(
                "--auth-method",
                "token_endpoint_auth_method",
                type=click.Choice(AUTHENTICATION_METHODS),
                help="How it authenticates: with its secret, by a signature (client_secret_jwt with the secret,"
                " private_key_jwt with a key of its own), or not at all.",
            ),
            click.option(
                "--token-endpoint-auth-signing-alg",
                type=click.Choice((*ASYMMETRIC, *HMAC, "")),
                callback=lambda _context, _option, alg: CLEARED if alg == "" else alg,
                metavar="ALG",
                help=f"It signs with this algorithm only: {', '.join(ASYMMETRIC)} with private_key_jwt,"
                f" {', '.join(HMAC)} with client_secret_jwt.",
            ),
            click.option(
                "--profile",
                type=click.Choice(PROFILES),
                help="fapi2: the FAPI 2.0 Security Profile: it authenticates by private_key_jwt, pushes requests, uses"
                " PKCE and DPoP.",
            ),
            click.option(
                "--dpop-bound-access-tokens/--no-dpop-bound-access-tokens",
                default=None,
                help="Whether it gets no tokens but those bound to a key that it proves to have (RFC 9449).",
            ),
            click.option("--jwks", type=JSON_FILE, metavar="FILE", help="Its public keys, a JWK Set in this file."),
            click.option("--jwks-uri", type=TEXT, help="Where it publishes its public keys."),
            click.option(
                "--resource",
                "resources",
                multiple=True,
                default=None,
                help="A resource server that it may have tokens for, by its URI. Without any grant: its own name, and"
                " it may ask what a token for it is worth.",
            ),
            click.option("--client-uri", type=TEXT, help="Its home page."),
            click.option("--policy-uri", type=TEXT, help="Its privacy statement."),
            click.option("--tos-uri", type=TEXT, help="Its terms of service."),
            click.option("--initiate-login-uri", type=TEXT, help="Where signing in to it starts."),
            click.option("--backchannel-logout-uri", type=TEXT, help="Where its server is told that a session ended."),
            click.option(
                "--frontchannel-logout-uri",
                type=TEXT,
                help="Its page that signs a browser out, loaded when somebody signs out here.",
            ),
        )
    ):
        command = option(command)
    return command


_secret_file = click.option(
    "--secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the secret to this new file, for its owner alone, instead of showing it.",
)


@client.command("add")
@click.argument("client_name", metavar="NAME")
@click.option("--redirect-uri", "redirect_uris", multiple=True, help="Exactly as it will be sent.")
@click.option(
    "--type",
    "application_type",
    type=click.Choice(APPLICATION_TYPES),
    default="web",
    show_default=True,
    help="web: with a server that keeps a secret; browser: runs in the page; native: on a phone or computer.",
)
@click.option("--id", "client_id", help="Its client_id; random if you do not say.")
@click.option(
    "--subject-type",
    type=click.Choice(SUBJECT_TYPES),
    help="public: it knows people by the name that all know them by; pairwise: by one that only the applications on"
    " the host of its redirect URIs share. For good.",
)
@click.option("--refresh-tokens", is_flag=True, help="Also the grant refresh_token.")
@click.option("--client-credentials", is_flag=True, help="Also the grant client_credentials: tokens for itself.")
@click.option("--no-sign-in", is_flag=True, help="Nobody signs in to it: without the grant authorization_code.")
@click.option("--first-party", is_flag=True, help="It is our own: nobody is asked for consent.")
@_metadata
@_secret_file
@pass_state
def add_client(
    state: State,
    /,
    secret_file: Path | None,
    refresh_tokens: bool,
    client_credentials: bool,
    no_sign_in: bool,
    **metadata: Any,
) -> None:
    """Register an application that people know by this NAME. Its secret is shown once, now."""
    metadata["grant_types"] = _grant_types((), not no_sign_in, refresh_tokens, client_credentials)
    with state.services() as services, _new_file(secret_file) as keep:
        added, secret = services.clients.add(**given(metadata))
        if secret is not None and keep is not None:
            keep(secret)
    _tell(state, added, secret if secret_file is None else None)


@client.command("set")
@click.argument("client_id")
@click.option("--name", "client_name", help="The name that people know it by.")
@click.option("--redirect-uri", "redirect_uris", multiple=True, default=None, help="These, and no others from now on.")
@click.option("--refresh-tokens/--no-refresh-tokens", default=None, help="Whether it has the grant refresh_token.")
@click.option(
    "--client-credentials/--no-client-credentials",
    default=None,
    help="Whether it has the grant client_credentials: tokens for itself.",
)
@click.option("--first-party/--third-party", default=None, help="Whether it is our own: nobody is asked for consent.")
@_metadata
@_secret_file
@pass_state
def set_client(
    state: State,
    /,
    client_id: str,
    secret_file: Path | None,
    refresh_tokens: bool | None,
    client_credentials: bool | None,
    **metadata: Any,
) -> None:
    """Change what is given; "" takes an address away. A secret that has to be a new one is shown once, now.

    For instance: idp client set atosi --backchannel-logout-uri https://atosi.example.org/session/backchannel-logout
    """
    changes = given({name: value for name, value in metadata.items() if value != ()})
    sets_grants = refresh_tokens is not None or client_credentials is not None
    if not changes and not sets_grants:
        raise click.UsageError("give at least one thing to set")
    with state.services() as services, _new_file(secret_file) as keep:
        if sets_grants:
            present = services.clients.show(client_id).grant_types
            changes["grant_types"] = _grant_types(present, None, refresh_tokens, client_credentials)
        changed, secret = services.clients.set(client_id, **changes)
        if secret is not None and keep is not None:
            keep(secret)
    _tell(state, changed, secret if secret_file is None else None)


@client.command("leave")
@click.argument("client_id")
@pass_state
def leave_client(state: State, /, client_id: str) -> None:
    """Leave to an application that registered itself what `idp client set` decided about it."""
    with state.services() as services:
        left = services.clients.leave(client_id)
    _tell(state, left, None)


@client.command("delete")
@click.argument("client_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@pass_state
def delete_client(state: State, /, client_id: str, yes: bool) -> None:
    """End an application for good: nobody signs in to it, its codes and tokens are worth nothing, consents are gone.

    Sessions go on. Its identifier is never given to another one.
    """
    with state.services() as services:
        if not yes:
            name = services.clients.show(client_id).client_name
            click.confirm(f"Delete {name} ({client_id}) for good?", abort=True, err=True)
        gone = services.clients.delete(client_id)
    state.tell_one({"client_id": gone.client_id, "client_name": gone.client_name, "deleted_at": gone.deleted_at})


def _tell(state: State, client: Client, secret: str | None) -> None:
    state.tell_one(as_metadata(client) | ({} if secret is None else {"client_secret": secret}))
    # For people, beside the result: how the application tells of activity decides when they are signed out.
    activity = client.session_activity
    click.echo(f"session_activity {activity}: {SESSION_ACTIVITY[activity]}", err=True)


def _grant_types(
    present: Sequence[str], authorization_code: bool | None, refresh_token: bool | None, client_credentials: bool | None
) -> tuple[str, ...]:
    """Those that are there now, but for what was said: True with, False without, None as it is."""
    wanted = (authorization_code, refresh_token, client_credentials)
    return tuple(
        grant
        for grant, wish in zip(GRANT_TYPES, wanted, strict=True)
        if (wish if wish is not None else grant in present)
    )


@contextmanager
def _new_file(path: Path | None) -> Iterator[Callable[[str], None] | None]:
    """Writes to a file that did not exist, for its owner alone; it is gone when nothing was written to it."""
    if path is None:
        yield None
        return
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError as error:
        raise Failure(f"{path} exists: name a new file for the secret") from error
    try:
        yield lambda text: _write(descriptor, text)
    finally:
        is_empty = os.fstat(descriptor).st_size == 0
        os.close(descriptor)
        if is_empty:
            path.unlink()


def _write(descriptor: int, text: str) -> None:
    os.write(descriptor, text.encode())


@client.command("list")
@pass_state
def list_clients(state: State) -> None:
    """All applications; `is_silent`: it never tells that its user is active, though it is registered to."""
    with state.services() as services:
        silent = services.clients.silent()
        rows = [{**as_metadata(each), "is_silent": each.client_id in silent} for each in services.clients.list()]
    columns = ("client_id", "client_name", "application_type", "session_activity", "is_silent")
    state.tell_rows(rows, columns, "There is no client yet.")


@client.command("show")
@click.argument("client_id")
@pass_state
def show_client(state: State, /, client_id: str) -> None:
    """One application; says so when it never tells that its user is active, though it is registered to."""
    with state.services() as services:
        shown, is_silent = services.clients.show(client_id), services.clients.is_silent(client_id)
        state.tell_one({**as_metadata(shown), "is_silent": is_silent})
    if is_silent:
        told = "reported nothing" if shown.session_activity == "reported" else "refreshed no token"
        click.echo(
            f"{client_id} {told} in its last {LOOKED_AT} sign-ins: people who work in it are signed out 30 minutes"
            " after they last visited us.",
            err=True,
        )


client.add_command(token)
