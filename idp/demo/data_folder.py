"""The folder in which one demonstration lives: settings, database and log. Only its owner can read it."""

import os
import tomllib
from pathlib import Path
from urllib.parse import urlsplit

from idp.demo.people import SERVICE_DESK_HOURS, SERVICE_DESK_PHONE
from idp.demo.ports import FIRST, Ports
from idp.kernel.errors import IdpError
from idp.kernel.secrets import random_token


class OtherPorts(IdpError):
    """The folder was made for other ports; its applications are registered there."""


class DataFolder:
    """`idp.toml`, which every `idp` command understands, and what that names."""

    def __init__(self, path: Path) -> None:
        """The folder exists, readable by its owner alone if it is new."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path.resolve()
        self.config = self.path / "idp.toml"
        self.log = self.path / "provider.log"

    def write_settings(self, first_port: int | None) -> Ports:
        """The settings are there: those that were, or new ones with a secret key of their own; the ports they are for.

        Raises OtherPorts when other ones are asked for.
        """
        if not self.config.exists():
            ports = Ports(first_port or FIRST)
            # Complete or not there at all, and never readable by anybody else.
            unfinished = self.path / "idp.toml.new"
            descriptor = os.open(unfinished, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(_settings(ports))
            unfinished.rename(self.config)
            return ports
        issuer = tomllib.loads(self.config.read_text(encoding="utf-8"))["issuer"]
        ports = Ports(urlsplit(issuer).port or 0)
        if first_port not in (None, ports.provider):
            raise OtherPorts(
                f"{self.path} holds a demonstration on port {ports.provider}: "
                f"set IDP_DEMO_PORT={ports.provider} or leave it out, or name another folder."
            )
        return ports


def _settings(ports: Ports) -> str:
    return f"""# A demonstration of idp. `idp --config THIS_FILE user list` and the like work while it runs.
mode = "demo"
issuer = "{ports.issuer}"
secret_key = "{random_token()}"
brand_name = "Atosi"
service_desk_phone = "{SERVICE_DESK_PHONE}"
service_desk_hours = "{SERVICE_DESK_HOURS}"

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

[egress]
# The applications are told on this machine that a session ended.
allow_loopback = true

[log]
format = "console"
"""
