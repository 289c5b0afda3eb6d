"""Which network addresses idp may call: those of the public internet, whatever form they hide in."""

from ipaddress import IPv4Address, IPv6Address, ip_network

Address = IPv4Address | IPv6Address

# Outside of these nothing is public (IANA, IPv6 address space).
UNICAST = ip_network("2000::/3")
# What translators between IPv6 and IPv4 use: the IPv4 address inside decides (RFC 6052 2.1).
NAT64 = ip_network("64:ff9b::/96")
# What `is_global` of the standard library lets through, or did in some release of it (IANA special-purpose registries).
NEVER = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network: 0.0.0.0 reaches this machine
        "100.64.0.0/10",  # shared by a provider's customers (RFC 6598)
        "169.254.0.0/16",  # link-local: the metadata of cloud machines
        "192.0.0.0/24",  # protocol assignments (RFC 6890)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # protocol assignments, Teredo among them, which holds an IPv4 address (RFC 4380)
        "2002::/16",  # 6to4, which holds an IPv4 address (RFC 3056)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
# Loopback and private networks: for the demo and tests.
NEAR = tuple(
    ip_network(network)
    for network in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
)
# The interface identifiers of ISATAP, which hold an IPv4 address (RFC 5214 6.1).
ISATAP = (0x00005EFE, 0x02005EFE)


def may_be_called(address: Address, allow_near: bool) -> bool:
    """True for a public address, and with `allow_near` for one of this machine or a private network."""
    if isinstance(address, IPv6Address):
        return _v6_may_be_called(address, allow_near)
    if any(address in network for network in NEAR):
        return allow_near
    return _is_public(address)


def _v6_may_be_called(address: IPv6Address, allow_near: bool) -> bool:
    if address.ipv4_mapped is not None:
        return may_be_called(address.ipv4_mapped, allow_near)
    inner = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in NAT64:
        return may_be_called(inner, allow_near)
    if any(address in network for network in NEAR):
        return allow_near
    if (int(address) >> 32) & 0xFFFFFFFF in ISATAP and not _is_public(inner):
        return False
    return address in UNICAST and _is_public(address)


def _is_public(address: Address) -> bool:
    return address.is_global and not any(address in network for network in NEVER)
