"""An SMTP server, certificates, and a relay that talks to it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from idp.mail.relay import Relay
from idp.settings import MailSettings
from tests.conftest import ISSUER
from tests.services.certificates import Authority, new_authority
from tests.services.smtp import SmtpServer

MakeRelay = Callable[..., Relay]


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return new_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def trusted(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """This machine trusts the authority, told as a deployer tells it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture
def make_relay() -> Iterator[MakeRelay]:
    """Makes relays; the test runs inside an application's context, as the worker does."""

    def make(port: int, **values: Any) -> Relay:
        given = {"host": "127.0.0.1", "port": port, "tls": "none", "timeout": timedelta(seconds=5)}
        settings = MailSettings(**{**given, "sender": "Inloggen <no-reply@login.example>", **values})
        return Relay(settings, ISSUER)

    with Flask("mail").app_context():
        yield make
