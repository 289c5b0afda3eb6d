"""The ports of the demonstration, and whether they can be had."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from idp.kernel.errors import IdpError

FIRST = 8000
# Where applications and mailbox are, whatever they listen on: another site than the provider's `localhost`.
LOOPBACK = "127.0.0.1"


class PortTaken(IdpError):
    """Something else listens there. The text says what somebody can do."""


@dataclass(frozen=True)
class Ports:
    """Five ports, all decided by the first one."""

    provider: int

    @property
    def issuer(self) -> str:
        return f"http://localhost:{self.provider}"

    @property
    def mailbox(self) -> int:
        return self.provider + 3

    @property
    def smtp(self) -> int:
        return self.provider + 25

    def application(self, offset: int) -> int:
        """The port of a relying application, 1 or 2 after the first one."""
        return self.provider + offset

    @property
    def all(self) -> tuple[int, ...]:
        return (*range(self.provider, self.mailbox + 1), self.smtp)


def base_url(port: int) -> str:
    """The address of an application or the mailbox, without a slash at its end."""
    return f"http://{LOOPBACK}:{port}"


def require_free(ports: Iterable[int], host: str) -> None:
    """Nothing listens on any of these ports. Raises PortTaken for the first one that is taken.

    `localhost` is two addresses, and browsers try `::1` first: who listens there would be taken for the provider.
    """
    for port in ports:
        for family, address in ((socket.AF_INET, host), (socket.AF_INET6, "::1")):
            if _is_taken(family, address, port):
                raise PortTaken(
                    f"Port {port} is taken: stop what listens there, or choose other ports with IDP_DEMO_PORT, "
                    f"for instance IDP_DEMO_PORT={9000 if port < 9000 else 18000}."
                )


def _is_taken(family: socket.AddressFamily, address: str, port: int) -> bool:
    if family is socket.AF_INET6:
        try:
            with socket.create_connection((address, port), timeout=1):
                return True
        except OSError:
            return False
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: connections that ended a moment ago do not keep a port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return True
    return False
