"""All of the demonstration at once: the provider as a child process; applications, mailbox and its SMTP server here."""

import json
import secrets
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from idp.demo import certification, people, server
from idp.demo.certification import Certification
from idp.demo.conformance_suite import PLANS, configurations
from idp.demo.data_folder import DataFolder
from idp.demo.mailbox import Mailbox, create_mailbox, smtp_server
from idp.demo.people import APPLICATIONS, ORG_CODE, PEOPLE, Application
from idp.demo.ports import Ports, base_url, require_free
from idp.demo.processes import Ended, child
from idp.demo.provider import LATER, clock_later, command, environment, services_of
from idp.demo.relying_party import RelyingPartyConfig, create_relying_party
from idp.kernel.clock import Clock, SystemClock
from idp.settings import format_duration, load
from idp.store import schema

STARTS_WITHIN = timedelta(seconds=120)
LOOKS_EVERY_SECONDS = 0.1
LAST_LINES = 20
CLIENT_KEYS = "client-keys.json"
IDLE = "IDP_SESSION__IDLE_TIMEOUT"
# The machine's proxy settings are for the world outside; what is started here listens here.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Running:
    """What answers, and who can log in. `configurations` are the files for a conformance suite, by their names."""

    folder: DataFolder
    issuer: str
    ports: Ports
    totp_keys: Mapping[str, str]
    states: Mapping[str, str]
    provider: "subprocess.Popen[bytes]"
    kit: Certification | None = None
    configurations: Mapping[str, Path] = field(default_factory=dict)

    def as_json(self) -> str:
        """One line for programs."""
        return json.dumps(
            {
                "issuer": self.issuer,
                "applications": {
                    each.client_id: base_url(self.ports.application(each.offset)) for each in APPLICATIONS
                },
                "mailbox": base_url(self.ports.mailbox),
                "config": str(self.folder.config),
                "users": {
                    person.username: {
                        "organisation": ORG_CODE,
                        "password": person.password,
                        "totp_key": self.totp_keys.get(person.username),
                    }
                    for person in PEOPLE
                },
                **({} if self.kit is None else {"certification": self._for_suite(self.kit)}),
            }
        )

    def _for_suite(self, kit: Certification) -> dict[str, Any]:
        return {
            "suite": kit.suite,
            "organisation": certification.ORG_CODE,
            "username": certification.USERNAME,
            "password": certification.PASSWORD,
            "plans": [
                {"plan": plan.chosen, "configuration": str(self.configurations[plan.configuration])} for plan in PLANS
            ],
        }


@contextmanager
def running(
    path: Path,
    first_port: int | None,
    host: str,
    later: timedelta,
    idle: timedelta | None = None,
    kit: Certification | None = None,
) -> Iterator[Running]:
    """Everything answers inside the `with` block; after it no process, thread or port of it is left.

    `later` moves the clock of all parts, `idle` is the idle time-out of sessions; with a `kit` a conformance suite
    finds what it needs. Raises PortTaken, OtherPorts, OtherDemonstration, OtherSuite, Misconfigured and Ended.
    """
    folder, clock = DataFolder(path), clock_later(later)
    ports = folder.write_settings(first_port, kit)
    require_free(ports.all, host)
    issuer, client_secrets, totp_keys, states = _prepare(folder, ports, clock)
    files = {} if kit is None else _prepare_certification(folder, clock, kit)
    with ExitStack() as stack:
        for application in APPLICATIONS:
            config = _config(application, issuer, ports, client_secrets[application.client_id])
            port = ports.application(application.offset)
            party = create_relying_party(config, clock)
            stack.callback(party.extensions["idp_kit"].close)
            stack.enter_context(server.serving(party, host, port))
        mailbox = Mailbox(clock)
        smtp = smtp_server(mailbox, host, ports.smtp)
        smtp.start()
        stack.callback(smtp.stop)
        stack.enter_context(server.serving(create_mailbox(mailbox), host, ports.mailbox))
        variables = {**environment(folder.config, host), LATER: format_duration(later)}
        if idle is not None:
            variables[IDLE] = format_duration(idle)
        provider = stack.enter_context(child(command(), variables, folder.log))
        shown = Running(folder, issuer, ports, totp_keys, states, provider, kit, files)
        # Not by the issuer: a proxy may not be there yet.
        provider_here = f"http://localhost:{ports.provider}{urlsplit(issuer).path}"
        for url in (f"{provider_here}/health/ready", *map(base_url, ports.all[1:-1])):
            _wait_until_answers(url, shown)
        yield shown


def wait(shown: Running) -> None:
    """Returns never: KeyboardInterrupt ends it. Raises Ended when the provider stops by itself."""
    shown.provider.wait()
    raise Ended(_complaint(shown, "The provider stopped."))


def _prepare(
    folder: DataFolder, ports: Ports, clock: Clock
) -> tuple[str, Mapping[str, str], Mapping[str, str], Mapping[str, str]]:
    """A migrated database with keys, people and applications.

    The issuer, the client secrets, the authenticator keys, and how everybody is.
    """
    settings = load(folder.config, environ={})
    schema.upgrade(settings.database.url)
    with services_of(settings, clock) as services:
        services.signing_keys.ensure()
        people.add_people(services)
        client_secrets = {}
        for each in APPLICATIONS:
            # Derived, so that a kept folder needs no other place for it.
            client_secrets[each.client_id] = services.derived_keys.mac_text("demo_client", each.client_id)
            people.add_application(
                services, each, base_url(ports.application(each.offset)), client_secrets[each.client_id]
            )
        return settings.issuer, client_secrets, people.totp_keys(services), people.states(services)


def _prepare_certification(folder: DataFolder, clock: Clock, kit: Certification) -> Mapping[str, Path]:
    """Somebody and clients for a conformance suite are in the database; the files that tell the suite of them."""
    settings = load(folder.config, environ={})
    keys = folder.read_json(CLIENT_KEYS) or certification.new_keys()
    folder.write_json({CLIENT_KEYS: keys})
    with services_of(settings, clock) as services:
        clients = certification.add(services, kit, keys)
    return folder.write_json(configurations(settings.issuer, clients))


def _config(application: Application, issuer: str, ports: Ports, client_secret: str) -> RelyingPartyConfig:
    other = next(each for each in APPLICATIONS if each is not application)
    return application_config(
        application,
        issuer,
        base_url(ports.application(application.offset)),
        application.client_id,
        client_secret,
        other_name=other.name,
        other_url=base_url(ports.application(other.offset)),
    )


def application_config(
    application: Application,
    issuer: str,
    own_url: str,
    client_id: str,
    client_secret: str,
    other_name: str = "",
    other_url: str = "",
) -> RelyingPartyConfig:
    """What one application needs to know; without another one its pages link to none."""
    return RelyingPartyConfig(
        name=application.name,
        issuer=issuer,
        client_id=client_id,
        client_secret=client_secret,
        base_url=own_url,
        secret_key=secrets.token_urlsafe(32),
        session_cookie=f"{application.client_id}_session",
        accent=application.accent,
        other_name=other_name,
        other_url=other_url,
    )


def _wait_until_answers(url: str, shown: Running) -> None:
    clock = SystemClock()
    end = clock.now() + STARTS_WITHIN
    while not _answers(url):
        if shown.provider.poll() is not None:
            raise Ended(_complaint(shown, "The provider did not start."))
        if clock.now() > end:
            raise Ended(_complaint(shown, f"{url} did not answer within {STARTS_WITHIN.seconds} seconds."))
        time.sleep(LOOKS_EVERY_SECONDS)


def _answers(url: str) -> bool:
    try:
        with DIRECT.open(url, timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _complaint(shown: Running, what: str) -> str:
    lines = shown.folder.log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:]
    return "\n".join([f"{what} Its last lines:", *lines])
