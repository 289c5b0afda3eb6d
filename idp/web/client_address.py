"""Where a request comes from. `X-Forwarded-For` counts only as far as trusted proxies wrote it."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def client_address(remote: str, forwarded_for: str | None, trusted: Sequence[Network]) -> str:
    """The address of the nearest hop that is no trusted proxy of ours.

    Read from the right: what a proxy that we do not trust claims about those before it is worth nothing. Anything that
    is no address ends the reading (A24).
    """
    hops = [_plain(hop.strip()) for hop in (forwarded_for or "").split(",") if hop.strip()]
    current = _plain(remote)
    while _is_trusted(current, trusted) and hops:
        candidate = hops.pop()
        if not _is_address(candidate):
            break
        current = candidate
    return current


def _plain(text: str) -> str:
    """An IPv4 address as such, also when a socket for both kinds wrote it as `::ffff:192.0.2.1` (RFC 4291 2.5.5.2)."""
    mapped = getattr(ip_address(text), "ipv4_mapped", None) if _is_address(text) else None
    return text if mapped is None else str(mapped)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_trusted(text: str, trusted: Sequence[Network]) -> bool:
    return _is_address(text) and any(ip_address(text) in network for network in trusted)
