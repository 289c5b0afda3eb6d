"""Where a request comes from, as far as trusted proxies say."""

from ipaddress import ip_network
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from idp.audit.trail import AuditEvent
from idp.web.client_address import client_address
from idp.wiring import Services

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("remote", "forwarded", "expected"),
    [
        # Who is no proxy of ours is where the request comes from, whatever it claims.
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),
        ("203.0.113.5", "10.0.0.1, 10.0.0.2", "203.0.113.5"),
        # One proxy.
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", " 203.0.113.5 ", "203.0.113.5"),
        # What the person claimed stands on the left and is worth nothing.
        ("10.0.0.1", "1.2.3.4, 203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "10.9.9.9, 203.0.113.5", "203.0.113.5"),
        # Several proxies, and IPv6.
        ("10.0.0.1", "203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.5, 10.0.0.3, 10.0.0.2", "203.0.113.5"),
        ("fd00::1", "2001:db8::5, fd00::2", "2001:db8::5"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        # What is no address ends the reading.
        ("10.0.0.1", "203.0.113.5, unknown", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5, unknown, 10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "203.0.113.5:4711", "10.0.0.1"),
        ("10.0.0.1", "<script>", "10.0.0.1"),
        ("10.0.0.1", "999.1.1.1", "10.0.0.1"),
        ("10.0.0.1", ",,,", "10.0.0.1"),
        # A socket that takes both kinds of addresses writes IPv4 this way.
        ("::ffff:10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "::ffff:203.0.113.5", "203.0.113.5"),
        # No address at all: a Unix socket.
        ("", "203.0.113.5", ""),
        ("unix:", "203.0.113.5", "unix:"),
    ],
)
def test_address_is_that_of_the_nearest_hop_that_is_no_proxy_of_ours(
    remote: str, forwarded: str | None, expected: str
) -> None:
    assert client_address(remote, forwarded, TRUSTED) == expected


def test_without_trusted_proxies_nothing_that_is_claimed_counts() -> None:
    assert client_address("10.0.0.1", "203.0.113.5", []) == "10.0.0.1"


def _recorded(app: Flask, services: Services, **headers: str) -> str | None:
    """The address on the event of a refused request that came through 127.0.0.1."""
    app.test_client().get("/authorize", base_url="https://login.example", headers=headers)
    with services.units.reading() as unit:
        return unit.scalars(select(AuditEvent.client_address).order_by(AuditEvent.id.desc())).first()


class TestBehindAProxy:
    """With the proxy on this machine trusted by the settings."""

    @pytest.fixture
    def settings_values(self) -> dict[str, Any]:
        return {"trusted_proxies": ["127.0.0.0/8"]}

    def test_event_carries_what_the_proxy_says(self, app: Flask, services: Services) -> None:
        assert _recorded(app, services, **{"X-Forwarded-For": "1.2.3.4, 203.0.113.5"}) == "203.0.113.5"

    def test_other_headers_say_nothing(self, app: Flask, services: Services) -> None:
        claims = {"Forwarded": "for=203.0.113.5", "X-Real-IP": "203.0.113.5", "Client-IP": "203.0.113.5"}
        assert _recorded(app, services, **claims) == "127.0.0.1"


def test_event_carries_the_address_of_the_connection_when_no_proxy_is_trusted(app: Flask, services: Services) -> None:
    assert _recorded(app, services, **{"X-Forwarded-For": "203.0.113.5"}) == "127.0.0.1"
