"""Relay: hands messages to the mail relay, over Flask-Mail.

Flask-Mail's own connection checks no certificate, has no time-out and loses the answer when the relay goes away while
saying goodbye. Ours differs in exactly that. With `starttls` a relay that does not offer it gets no message.
"""

import smtplib
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from ipaddress import ip_address
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

import flask_mail

from idp.mail.failures import UnusableAddress, not_sent
from idp.mail.letters import one_line
from idp.mail.post import SealedLetter
from idp.mail.rendering import render
from idp.settings import MailSettings

# All steps of one message together, in time-outs of one step: a relay that drips answers holds nobody for longer.
STEPS = 3
GOODBYE = timedelta(seconds=1)
CUTS_AGAIN_AFTER = timedelta(milliseconds=100)
LONGEST_SENDER_NAME = 60


class Message(flask_mail.Message):
    """One letter, with the headers that tell other machines not to answer it."""

    def __init__(self, content: EmailMessage, sender: str, receiver: str) -> None:
        super().__init__(subject=str(content["Subject"]), recipients=[receiver], sender=sender)
        self._content = content

    def _message(self) -> EmailMessage:  # type: ignore[override]
        """Flask-Mail puts parts into headers by hand; the standard library refuses a header of two lines."""
        return self._content


class Connection(flask_mail.Connection):
    """To a relay that has proven who it is, each step within `timeout`, all of them within three times that."""

    def __init__(self, mail: Any, timeout: timedelta, local_name: str, context: ssl.SSLContext | None) -> None:
        super().__init__(mail)
        self._timeout = timeout
        self._local_name = local_name
        self._context = context

    def configure_host(self) -> smtplib.SMTP:
        """Raises what `smtplib`, `ssl` and the network raise; no connection is left then."""
        if self.mail.use_ssl:
            host: smtplib.SMTP = _BoundedTls(
                self.mail.server, self.mail.port, self._local_name, timeout=self._timeout, context=self._context
            )
        else:
            host = _Bounded(self.mail.server, self.mail.port, self._local_name, timeout=self._timeout)
        try:
            if self.mail.use_tls:
                host.starttls(context=self._context)
            if self.mail.username and self.mail.password:
                host.login(self.mail.username, self.mail.password)
        except BaseException:
            host.close()
            raise
        return host

    def __exit__(self, *error: object) -> None:
        """The answer to the message counts, whatever comes after it."""
        if self.host is not None:
            if not any(error) and self.host.sock is not None:
                with suppress(OSError, smtplib.SMTPException):
                    self.host.sock.settimeout(GOODBYE.total_seconds())
                    self.host.quit()
            self.host.close()


class _Bounded(smtplib.SMTP):
    """A connection that is cut off when it lasts too long: a time-out starts anew with each byte that comes."""

    def __init__(self, host: str, port: int, local_name: str, *, timeout: timedelta, **options: Any) -> None:
        self._is_over = Event()
        self._longest = timeout * STEPS
        Thread(target=self._watch, name="watches the mail relay", daemon=True).start()
        try:
            # Without a name of ours smtplib asks the name service for one, and nobody bounds how long that takes.
            super().__init__(host, port, local_name, timeout=timeout.total_seconds(), **options)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._is_over.set()
        super().close()

    def _watch(self) -> None:
        """Whoever waits for the relay gets an error in the end."""
        wait = self._longest.total_seconds()
        while not self._is_over.wait(wait):
            wait = CUTS_AGAIN_AFTER.total_seconds()
            with suppress(OSError, AttributeError):  # AttributeError: there is no socket yet
                self.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]


class _BoundedTls(_Bounded, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


class Relay(flask_mail.Mail):
    """The mail relay of the settings."""

    def __init__(self, settings: MailSettings, issuer: str) -> None:
        super().__init__()
        self._settings = settings
        # It names this machine to the relay and stands in each Message-ID.
        self._host = _host_of(issuer)
        self._sender = parseaddr(settings.sender)[1]
        self._context = None if settings.tls == "none" else ssl.create_default_context()
        self.state = self.init_mail(
            {
                "MAIL_SERVER": settings.host,
                "MAIL_PORT": settings.port,
                "MAIL_USERNAME": settings.username,
                "MAIL_PASSWORD": settings.password.get_secret_value() if settings.password else None,
                "MAIL_USE_TLS": settings.tls == "starttls",
                "MAIL_USE_SSL": settings.tls == "tls",
                "MAIL_DEFAULT_SENDER": self._sender,
            }
        )

    @property
    def longest(self) -> timedelta:
        """No message takes longer than this, whatever the relay does."""
        return self._settings.timeout * (STEPS + 2)

    def connect(self) -> Connection:
        return Connection(self.state, self._settings.timeout, self._host, self._context)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection for one message. Raises NotSent for whatever goes wrong on it, inside the block too."""
        try:
            with self.connect() as connection:
                yield connection
        except (smtplib.SMTPException, OSError, MessageError, UnicodeError) as error:
            raise not_sent(error) from error

    def message(self, sealed: SealedLetter, now: datetime) -> Message:
        """The letter as it travels. Raises UnusableAddress, and what `rendering.render` raises."""
        letter = sealed.letter
        rendered = render(letter)
        receiver = ascii_address(letter.to)
        content = EmailMessage(policy=SMTP)
        content["Subject"] = rendered.subject
        content["From"] = Address(one_line(str(letter.facts["brand"]))[:LONGEST_SENDER_NAME], addr_spec=self._sender)
        content["To"] = Address(addr_spec=receiver)
        if reply_to := letter.facts.get("reply_to"):
            with suppress(UnusableAddress):
                content["Reply-To"] = Address(addr_spec=ascii_address(str(reply_to)))
        content["Date"] = format_datetime(now)
        content["Message-ID"] = f"<{sealed.reference}@{self._host}>"
        content["Auto-Submitted"] = "auto-generated"
        content.set_content(rendered.text, cte="quoted-printable")
        content.add_alternative(rendered.html, subtype="html", cte="quoted-printable")
        content["Content-Language"] = letter.language
        return Message(content, self._sender, receiver)


def ascii_address(address: str) -> str:
    """`address` as every relay takes it. Raises UnusableAddress."""
    local, _, domain = address.rpartition("@")
    try:
        written = f"{local}@{_ascii_domain(domain)}"
        Address(addr_spec=written)
    except (ValueError, MessageError, UnicodeError, IndexError) as error:
        raise UnusableAddress from error
    if not written.isascii() or not written.isprintable() or " " in written or not local or not domain:
        raise UnusableAddress
    return written


def _host_of(issuer: str) -> str:
    """The host of a URL as mail writes it: an address stands in brackets (RFC 5321 4.1.3)."""
    host = urlsplit(issuer).hostname or "localhost"
    try:
        return f"[IPv6:{host}]" if ip_address(host).version == 6 else f"[{host}]"
    except ValueError:
        return _ascii_domain(host)


def _ascii_domain(domain: str) -> str:
    return domain if domain.isascii() else domain.encode("idna").decode("ascii")
