"""Real SMTP servers in threads: one that keeps the messages it accepts, and ones that do not do what they should."""

from __future__ import annotations

import asyncio
import email.policy
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from types import TracebackType

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests import canary
from tests.services.ports import LOOPBACK, free_port

ACCEPTED = "250 Message accepted"
TRIES = 5
# The server's own diary holds the messages; it is no log of the provider.
logging.getLogger("mail.log").setLevel(logging.WARNING)


@dataclass(frozen=True)
class ReceivedMessage:
    """One delivery as the server saw it: the envelope, the message, and whether the connection was encrypted."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    encrypted: bool

    @property
    def subject(self) -> str:
        return str(self.message["Subject"])

    @property
    def text(self) -> str:
        """The plain text part."""
        part = self.message.get_body(("plain",))
        if part is None:
            raise ValueError("The message has no plain text part.")
        return str(part.get_content())


class SmtpServer:
    """Listens on 127.0.0.1 from `start` to `stop`, or inside a `with` block.

    `answer` is what the server says to each message; set it to `451 ...` or `550 ...` and the message is refused
    and not kept. `recipient_answer`, when set, is what it says to each receiver, whose address takes the place of `{}`.
    `before_answer` runs when a message has arrived, before anything is said about it.
    With `tls` the server offers STARTTLS and takes no message without it, or speaks TLS from the first byte when
    `from_the_start`. With `login`, a user name and its password, nobody else hands in a message.
    """

    def __init__(
        self,
        tls: ssl.SSLContext | None = None,
        from_the_start: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.host = LOOPBACK
        self.port = 0
        self.answer = ACCEPTED
        self.recipient_answer: str | None = None
        self.before_answer: Callable[[], object] = lambda: None
        self._tls = tls
        self._from_the_start = from_the_start
        self._login = login
        self._received: list[ReceivedMessage] = []
        self._arrival = threading.Condition()
        self._controller: Controller | None = None

    def start(self) -> SmtpServer:
        """The server accepts connections. Raises OSError when no port could be bound."""
        for tries_left in reversed(range(TRIES)):
            # The controller connects to itself to see that it listens, so it must be told a real port.
            self.port = free_port()
            controller = Controller(
                self,
                hostname=self.host,
                port=self.port,
                server_hostname="localhost",
                ssl_context=self._tls if self._from_the_start else None,
                tls_context=None if self._from_the_start else self._tls,
                require_starttls=self._tls is not None and not self._from_the_start,
                authenticator=self._authenticate if self._login else None,
                auth_required=self._login is not None,
                auth_require_tls=self._login is None or not self._from_the_start,
            )
            try:
                controller.start()
            except OSError:
                if not tries_left:
                    raise
            else:
                self._controller = controller
                break
        return self

    def stop(self) -> None:
        """Nothing listens any more; what was received can still be read."""
        if self._controller is not None:
            self._controller.stop()
            self._controller = None

    @property
    def messages(self) -> list[ReceivedMessage]:
        """All messages accepted so far, oldest first."""
        with self._arrival:
            return list(self._received)

    def sent_to(self, recipient: str) -> list[ReceivedMessage]:
        """The accepted messages for one address, oldest first."""
        return [message for message in self.messages if recipient in message.recipients]

    def wait_for(self, recipient: str, count: int = 1, timeout: float = 10.0) -> ReceivedMessage:
        """The `count`th message for the address, waiting at most `timeout` seconds. Raises TimeoutError."""
        with self._arrival:
            if self._arrival.wait_for(lambda: len(self.sent_to(recipient)) >= count, timeout):
                return self.sent_to(recipient)[count - 1]
        found = len(self.sent_to(recipient))
        raise TimeoutError(f"{found} of {count} messages for {recipient} arrived within {timeout:g} s.")

    def clear(self) -> None:
        """The messages kept so far are forgotten."""
        with self._arrival:
            self._received.clear()

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        given = (data.login, data.password) if isinstance(data, LoginPassword) else ()
        return AuthResult(success=given == tuple(part.encode() for part in self._login or ()), handled=False)

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """A receiver that is not refused is taken; the name is the protocol's."""
        if self.recipient_answer is not None:
            return self.recipient_answer.format(address)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The message is kept when the answer accepts it; the name is the protocol's."""
        await asyncio.to_thread(self.before_answer)
        if self.answer.startswith("2"):
            content = envelope.content or b""
            message = BytesParser(policy=email.policy.default).parsebytes(
                content if isinstance(content, bytes) else content.encode()
            )
            canary.knows_mail(message)
            recipients = tuple(str(recipient) for recipient in envelope.rcpt_tos)
            received = ReceivedMessage(
                str(envelope.mail_from), recipients, message, self._from_the_start or session.ssl is not None
            )
            with self._arrival:
                self._received.append(received)
                self._arrival.notify_all()
        return self.answer

    def __enter__(self) -> SmtpServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


Behaviour = Callable[[socket.socket, threading.Event], None]


class BrokenRelay:
    """Accepts connections, and then does what `behaviour` says; inside a `with` block.

    The behaviour gets the connection, and an event that is set when the block ends.
    """

    def __init__(self, behaviour: Behaviour) -> None:
        self.host = LOOPBACK
        self.connections = 0
        self._behaviour = behaviour
        self._stopping = threading.Event()
        self._listener = socket.create_server((self.host, 0))
        self._listener.settimeout(0.1)
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, name="broken relay")

    def _serve(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                self.connections += 1
                with connection, suppress(OSError):
                    connection.settimeout(5)
                    self._behaviour(connection, self._stopping)

    def __enter__(self) -> BrokenRelay:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._listener.close()


def hangs(connection: socket.socket, stopping: threading.Event) -> None:
    """Nothing is ever said."""
    stopping.wait(60)


def drips(connection: socket.socket, stopping: threading.Event) -> None:
    """A greeting that goes on and on, a letter at a time: no single wait is long."""
    connection.sendall(b"220 ")
    while not stopping.wait(0.05):
        connection.sendall(b"x")


def drops_in_the_message(connection: socket.socket, stopping: threading.Event) -> None:
    """Every command is taken, and the connection is gone in the midst of the message."""
    with connection.makefile("rb") as lines:
        connection.sendall(b"220 relay\r\n")
        for line in lines:
            if line.upper().startswith(b"DATA"):
                connection.sendall(b"354 go on\r\n")
                lines.readline()
                return
            connection.sendall(b"250 relay\r\n")


def drops_after_the_message(connection: socket.socket, stopping: threading.Event) -> None:
    """The message is taken, and then the connection is gone without a goodbye."""
    with connection.makefile("rb") as lines:
        connection.sendall(b"220 relay\r\n")
        for line in lines:
            if line.upper().startswith(b"DATA"):
                connection.sendall(b"354 go on\r\n")
                while lines.readline() not in (b".\r\n", b""):
                    continue
                connection.sendall(b"250 taken\r\n")
                return
            connection.sendall(b"250 relay\r\n")
