"""The folder in which one demonstration lives: settings, database, log, and what a conformance suite is told. Only its
owner can read it.
"""

import json
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from idp.demo.certification import Certification
from idp.demo.people import SERVICE_DESK_HOURS, SERVICE_DESK_PHONE
from idp.demo.ports import FIRST, Ports
from idp.kernel.errors import IdpError
from idp.kernel.secrets import random_token


class OtherPorts(IdpError):
    """The folder was made for other ports; its applications are registered there."""


class OtherDemonstration(IdpError):
    """The folder was made with certification and is wanted without, or the reverse, or with another issuer."""


class DataFolder:
    """`idp.toml`, which every `idp` command understands, and what that names."""

    def __init__(self, path: Path) -> None:
        """The folder exists, readable by its owner alone if it is new."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path.resolve()
        self.config = self.path / "idp.toml"
        self.log = self.path / "provider.log"
        self.for_suite = self.path / "certification"

    def write_settings(self, first_port: int | None, kit: Certification | None = None) -> Ports:
        """The settings are there: those that were, or new ones with a secret key of their own; the ports they are for.

        Raises OtherPorts when other ones are asked for, OtherDemonstration when they are for something else.
        """
        if not self.config.exists():
            ports = Ports(first_port or FIRST)
            if kit is not None:
                self.for_suite.mkdir(mode=0o700, exist_ok=True)
            self._write(self.config, _settings(ports, kit))
            return ports
        present = tomllib.loads(self.config.read_text(encoding="utf-8"))
        ports = Ports(present["server"]["port"])
        if first_port not in (None, ports.provider):
            raise OtherPorts(
                f"{self.path} holds a demonstration on port {ports.provider}: "
                f"set IDP_DEMO_PORT={ports.provider} or leave it out, or name another folder."
            )
        if self.for_suite.exists() != (kit is not None):
            this, that = ("for", "without") if kit is None else ("without", "for")
            raise OtherDemonstration(
                f"{self.path} holds a demonstration {this} certification, not one {that} it: name another folder."
            )
        if kit is not None and present["issuer"] != (kit.issuer or ports.issuer):
            raise OtherDemonstration(
                f"{self.path} holds a demonstration with the issuer {present['issuer']}: "
                "name that with --issuer, or another folder with --data."
            )
        return ports

    def read_json(self, name: str) -> Mapping[str, Any]:
        """What the suite's file of this name holds; nothing when it is not there yet."""
        file = self.for_suite / name
        found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        return found

    def write_json(self, contents: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Path]:
        """The suite's files are there with this content; where, by their names."""
        written = {name: self.for_suite / name for name in contents}
        for name, file in written.items():
            self._write(file, json.dumps(contents[name], indent=2) + "\n")
        return written

    def _write(self, file: Path, content: str) -> None:
        # Complete or not there at all, and never readable by anybody else.
        unfinished = file.with_name(f"{file.name}.new")
        descriptor = os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(content)
        unfinished.rename(file)


# Everything that the plans of a conformance suite need and that nobody else should have.
FOR_CERTIFICATION = """
[registration]
# Each module registers its clients, up to a hundred in a minute, most of them without PKCE.
mode = "open"
max_per_minute = 1000
require_pkce = false
allow_loopback = true
logos = true
"""


def _settings(ports: Ports, kit: Certification | None) -> str:
    issuer = ports.issuer if kit is None else kit.issuer or ports.issuer
    above, served, below = ("", "", "")
    if kit is not None:
        # Where anybody registers, threads wait for the servers of strangers.
        above, served, below = 'default_language = "en"\n', "threads = 4\n", FOR_CERTIFICATION
    if kit is not None and kit.issuer is not None:
        above += '# The proxy that speaks TLS.\ntrusted_proxies = ["127.0.0.1/32", "::1/128"]\n'
    return f"""# A demonstration of idp. `idp --config THIS_FILE user list` and the like work while it runs.
mode = "demo"
issuer = {json.dumps(issuer)}
secret_key = "{random_token()}"
brand_name = "Atosi"
service_desk_phone = "{SERVICE_DESK_PHONE}"
service_desk_hours = "{SERVICE_DESK_HOURS}"
{above}
[database]
url = "sqlite:///idp.db"

[mail]
host = "127.0.0.1"
port = {ports.smtp}
tls = "none"
sender = "Atosi <no-reply@atosi.example>"

[server]
port = {ports.provider}
workers = 2
{served}
[egress]
# The applications are told on this machine that a session ended.
allow_loopback = true

[log]
format = "console"
{below}"""
