"""A real SMTP server in a thread, which keeps the messages that it accepts."""

from __future__ import annotations

import email.policy
import ssl
import threading
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from types import TracebackType

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.services.ports import LOOPBACK, free_port

ACCEPTED = "250 Message accepted"
TRIES = 5


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
    and not kept. With `tls` the server offers STARTTLS and takes no message without it.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.host = LOOPBACK
        self.port = 0
        self.answer = ACCEPTED
        self._tls = tls
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
                tls_context=self._tls,
                require_starttls=self._tls is not None,
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

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """The message is kept when the answer accepts it; the name is the protocol's."""
        if self.answer.startswith("2"):
            content = envelope.content or b""
            message = BytesParser(policy=email.policy.default).parsebytes(
                content if isinstance(content, bytes) else content.encode()
            )
            recipients = tuple(str(recipient) for recipient in envelope.rcpt_tos)
            received = ReceivedMessage(str(envelope.mail_from), recipients, message, session.ssl is not None)
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
