"""`idp demo`: everything there is to see, on one machine, with one command."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click

from idp.demo import certification, people
from idp.demo.certification import SUITE, Certification
from idp.demo.demonstration import Running, application_config, running, wait
from idp.demo.mailbox import run_mailbox
from idp.demo.people import APPLICATIONS, ORG_CODE, PEOPLE, Application
from idp.demo.ports import FIRST, LOOPBACK, Ports, base_url, require_free
from idp.demo.processes import stopped_by_signals
from idp.demo.provider import services_of
from idp.demo.relying_party import create_relying_party
from idp.demo.server import serve
from idp.kernel.clock import SystemClock
from idp.kernel.errors import Misconfigured
from idp.settings import LEAVES, format_duration, load, parse_duration
from idp.settings.values import is_loopback

# Shorter than somebody needs to log in at the second application.
SHORTEST_IDLE = timedelta(seconds=3)
# Nothing that has a meaning of its own in settings, in JSON or in what the suite compares with.
PLAIN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~-]+)*/?")


class Duration(click.ParamType[timedelta]):
    """A duration as in the settings: 30s, 5m, 1d. A bare number is in seconds, where that is `bare`."""

    name = "duration"

    def __init__(self, bare: bool = False) -> None:
        self._bare = bare

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        text = str(value)
        if self._bare and text.isdecimal():
            text = f"{text}s"
        try:
            return parse_duration(text)
        except ValueError as error:
            self.fail(f"{value!r} {error}; write it as in 30m, 12h or 1d", param, ctx)


@click.command()
@click.option("--later", type=Duration(), default="0s", help="Move the demonstration's clock, for instance 1d.")
@click.option(
    "--idle",
    type=Duration(bare=True),
    help="How long a session lasts without activity, for instance 60 (seconds) or 5m; 30m if you do not say.",
)
@click.option("--host", default=LOOPBACK, show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, 65000),
    envvar="IDP_DEMO_PORT",
    show_envvar=True,
    help=f"First of the ports, {FIRST} if you do not say: provider, Atosi, Rapportages, mailbox, and 25 on its SMTP.",
)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    envvar="IDP_DEMO_DATA",
    show_envvar=True,
    help="A folder to keep. Without it a temporary one is removed at the end.",
)
@click.option("--mailbox-only", is_flag=True, help="Run the mailbox and its SMTP server alone.")
@click.option(
    "--application",
    type=click.Choice([each.client_id for each in APPLICATIONS]),
    help="Run one application alone. IDP_DEMO_ISSUER, IDP_DEMO_CLIENT_ID and IDP_DEMO_CLIENT_SECRET tell it its place.",
)
@click.option(
    "--certification",
    "certifies",
    is_flag=True,
    help="Let the OpenID Foundation's conformance suite test the provider: docs/certification.md.",
)
@click.option(
    "--issuer",
    metavar="URL",
    help="With --certification: the https address of a proxy on this machine that speaks TLS before the provider.",
)
@click.option("--suite", metavar="URL", help=f"With --certification: where the suite is, {SUITE} if you do not say.")
@click.option(
    "--people-only",
    is_flag=True,
    help="Put the people, and with --application that one, in the database of the settings (mode demo), and end.",
)
def demo(
    later: timedelta,
    idle: timedelta | None,
    host: str,
    port: int | None,
    data: Path | None,
    mailbox_only: bool,
    application: str | None,
    certifies: bool,
    issuer: str | None,
    suite: str | None,
    people_only: bool,
) -> None:
    """Run a provider with two applications, a mailbox and five people, until Ctrl-C.

    Lines for people go to standard error. When everything answers, standard output gets one line of JSON.
    """
    kit = _kit(certifies, issuer, suite, host)
    with stopped_by_signals():
        try:
            if people_only:
                _add_people(Ports(port or FIRST), application)
            elif mailbox_only:
                _run_mailbox(Ports(port or FIRST), host)
            elif application is not None:
                _run_application(Ports(port or FIRST), host, _named(application))
            else:
                _run_all(data, port, host, later, idle, kit)
        except KeyboardInterrupt:
            return


def _kit(certifies: bool, issuer: str | None, suite: str | None, host: str) -> Certification | None:
    for option, given in (("--issuer", issuer), ("--suite", suite)):
        if given is None:
            continue
        if not certifies:
            raise click.UsageError(f"{option} needs --certification.")
        if not PLAIN.fullmatch(given):
            raise click.BadParameter(f"{given!r} is not as in https://HOST[:PORT][/PATH]", param_hint=option)
        try:
            LEAVES["issuer"].check(given)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint=option) from error
    if not certifies:
        return None
    if not is_loopback(host):
        raise click.UsageError(
            "--certification listens on this machine alone: anybody may register applications, and everybody knows the "
            "password. Let a proxy on this machine pass requests on (--issuer)."
        )
    return Certification(suite or SUITE, issuer)


def _run_all(
    data: Path | None,
    port: int | None,
    host: str,
    later: timedelta,
    idle: timedelta | None,
    kit: Certification | None,
) -> None:
    if idle is not None and idle < SHORTEST_IDLE:
        raise click.BadParameter(f"at least {format_duration(SHORTEST_IDLE)}", param_hint="--idle")
    with _folder(data) as path, running(path, port, host, later, idle, kit) as shown:
        click.echo(_for_people(shown, later, idle, kept=data is not None), err=True)
        click.echo(shown.as_json())
        sys.stdout.flush()
        wait(shown)


def _run_mailbox(ports: Ports, host: str) -> None:
    require_free((ports.mailbox, ports.smtp), host)
    click.echo(f"Mailbox: {base_url(ports.mailbox)}, SMTP on port {ports.smtp}. Press Ctrl-C to stop.", err=True)
    run_mailbox(host, ports.mailbox, ports.smtp)


def _run_application(ports: Ports, host: str, application: Application) -> None:
    port = ports.application(application.offset)
    config = application_config(
        application,
        os.environ.get("IDP_DEMO_ISSUER") or ports.issuer,
        base_url(port),
        os.environ.get("IDP_DEMO_CLIENT_ID") or application.client_id,
        _client_secret(),
    )
    require_free((port,), host)
    click.echo(f"{application.name}: {base_url(port)}. Press Ctrl-C to stop.", err=True)
    serve(create_relying_party(config), host, port)


def _add_people(ports: Ports, application: str | None) -> None:
    settings = load()
    if settings.mode != "demo":
        sentence = f"mode is {settings.mode}: these people, whose passwords everybody knows, are for mode demo only"
        raise Misconfigured([sentence])
    with services_of(settings, SystemClock()) as services:
        people.add_people(services)
        if application is not None:
            added = _named(application)
            people.add_application(services, added, base_url(ports.application(added.offset)), _client_secret())


def _named(client_id: str) -> Application:
    return next(each for each in APPLICATIONS if each.client_id == client_id)


def _client_secret() -> str:
    secret = os.environ.get("IDP_DEMO_CLIENT_SECRET")
    if not secret:
        raise click.UsageError("IDP_DEMO_CLIENT_SECRET must hold the secret of the application.")
    return secret


@contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    """The folder to keep, or one that is gone after the block."""
    if data is not None:
        yield data
        return
    with tempfile.TemporaryDirectory(prefix="idp-demo-") as temporary:
        yield Path(temporary)


def _for_people(shown: Running, later: timedelta, idle: timedelta | None, kept: bool) -> str:
    ports = shown.ports
    addresses = [
        *((each.name, base_url(ports.application(each.offset))) for each in APPLICATIONS),
        ("Provider", shown.issuer),
        ("Mailbox", f"{base_url(ports.mailbox)}   (SMTP on port {ports.smtp})"),
    ]
    widest = max(len(person.password) for person in PEOPLE)
    lines = _for_the_suite(shown, shown.kit) if shown.kit is not None else []
    first = "The demonstration is running. Open Atosi and log in; then open Rapportages."
    if shown.kit is not None and shown.kit.issuer is not None:
        first = f"The applications work too, once the proxy at {shown.issuer} answers and its certificate is believed."
    lines += [first, ""]
    lines += [f"  {name:<12} {address}" for name, address in addresses]
    lines += ["", f"  Organisation {ORG_CODE}, and one of these names and passwords:", ""]
    for person in PEOPLE:
        key = shown.totp_keys.get(person.username)
        app = f"; its key is {key}" if key else ""
        lines.append(f"  {person.username:<12} {person.password:<{widest}}   {shown.states[person.username]}{app}")
    lines += [""]
    if later:
        lines.append(f"  The clock here is {format_duration(later)} ahead, so codes of a phone's app are wrong here.")
    if idle is not None:
        lines.append(f"  Whoever does nothing for {format_duration(idle)} is signed out of both applications.")
        lines.append(f"  What they were told: idp --config {shown.folder.config} session list, session show SID")
    lines.append(f"  Settings and database: {shown.folder.path} ({'kept' if kept else 'removed at the end'})")
    lines += ["  Press Ctrl-C to stop.", ""]
    return "\n".join(lines)


def _for_the_suite(shown: Running, kit: Certification) -> list[str]:
    facts = [
        ("Suite", kit.suite),
        ("Issuer", shown.issuer),
        ("Files for it", str(shown.folder.for_suite)),
        ("Organisation", certification.ORG_CODE),
        ("User name", certification.USERNAME),
        ("Password", certification.PASSWORD),
    ]
    if kit.issuer is not None:
        facts.insert(2, ("Proxy", f"passes requests on to http://{LOOPBACK}:{shown.ports.provider}"))
    return [
        "The conformance suite can test this provider: docs/certification.md.",
        "",
        *(f"  {name:<12} {value}" for name, value in facts),
        "",
    ]
