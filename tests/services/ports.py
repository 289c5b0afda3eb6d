"""Free TCP ports on the loopback address."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"

# Below the range from which systems number outgoing connections, so that none of those takes the port meanwhile.
CANDIDATES = range(20_000, 32_000)
TRIES = 200


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens. Nobody reserves it: use it soon."""
    return free_ports(1)


def free_ports(count: int) -> int:
    """The first of `count` consecutive ports of 127.0.0.1 on which nothing listens."""
    chance = random.SystemRandom()
    for _ in range(TRIES):
        first = chance.choice(CANDIDATES[:-count])
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise RuntimeError(f"No {count} free consecutive ports were found in {TRIES} tries.")


def is_free(port: int) -> bool:
    """True when the port can be bound at this moment."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
