"""The mailbox of the demonstration: an SMTP server that delivers nowhere, and a page that shows what it received."""

from __future__ import annotations

import email.policy
import itertools
from collections import deque
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.parser import BytesParser
from threading import Lock

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask, Response, abort, jsonify, render_template
from werkzeug.exceptions import NotFound

from idp.demo import server
from idp.demo.pages import new_application
from idp.kernel.clock import Clock, SystemClock

MOST_MESSAGES = 500
MOST_BYTES = 1_000_000


@dataclass(frozen=True)
class Message:
    """One delivery; addresses are those of the envelope, parts that the message lacks are empty."""

    id: int
    sender: str
    to: tuple[str, ...]
    subject: str
    text: str
    html: str
    received_at: datetime


class Mailbox:
    """Keeps the last 500 messages, for any number of threads."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._messages: deque[Message] = deque(maxlen=MOST_MESSAGES)
        self._numbers = itertools.count(1)
        self._lock = Lock()

    def deliver(self, sender: str, to: tuple[str, ...], content: bytes) -> None:
        """The message is kept; the oldest one is dropped when there are too many."""
        message = BytesParser(policy=email.policy.default).parsebytes(content)
        subject, text, html = str(message["Subject"] or ""), _part(message, "plain"), _part(message, "html")
        with self._lock:
            self._messages.append(Message(next(self._numbers), sender, to, subject, text, html, self._clock.now()))

    def newest_first(self) -> list[Message]:
        with self._lock:
            return list(reversed(self._messages))

    def clear(self) -> None:
        """Nothing is kept any more."""
        with self._lock:
            self._messages.clear()

    async def handle_DATA(self, smtp: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Every message is accepted. The name is aiosmtpd's."""
        content = envelope.content or b""
        self.deliver(
            str(envelope.mail_from or ""),
            tuple(str(recipient) for recipient in envelope.rcpt_tos),
            content if isinstance(content, bytes) else content.encode(),
        )
        return "250 Message accepted for nobody"


def create_mailbox(mailbox: Mailbox) -> Flask:
    """The pages and the JSON interface to a mailbox."""
    app = new_application(__name__, "Postvak", "slate", "'none'")

    @app.get("/")
    def inbox() -> str:
        return render_template("mailbox_list.html", messages=mailbox.newest_first())

    @app.get("/messages/<int:number>")
    def show(number: int) -> str:
        found = next((message for message in mailbox.newest_first() if message.id == number), None)
        return render_template("mailbox_message.html", message=found) if found else abort(404)

    @app.get("/api/messages")
    def list_messages() -> Response:
        return jsonify([_as_json(message) for message in mailbox.newest_first()])

    @app.delete("/api/messages")
    def delete_messages() -> tuple[str, int]:
        mailbox.clear()
        return "", 204

    @app.errorhandler(NotFound)
    def not_found(error: NotFound) -> tuple[str, int]:
        return render_template("mailbox_gone.html"), 404

    return app


def smtp_server(mailbox: Mailbox, host: str, port: int) -> Controller:
    """An SMTP server for the mailbox, to be started and stopped. The port must be a real one: the controller connects
    to itself to see that it listens, and 0 fails."""
    return Controller(mailbox, hostname=host, port=port, server_hostname="localhost", data_size_limit=MOST_BYTES)


def run_mailbox(host: str, web_port: int, smtp_port: int) -> None:
    """Mail to `smtp_port` is kept and shown on `web_port`, until the process gets SIGINT or SIGTERM.

    Raises OSError, or SystemExit, when a port is taken.
    """
    mailbox = Mailbox()
    smtp = smtp_server(mailbox, host, smtp_port)
    smtp.start()
    try:
        server.serve(create_mailbox(mailbox), host, web_port)
    finally:
        smtp.stop()


def _as_json(message: Message) -> dict[str, object]:
    return {
        "id": message.id,
        "from": message.sender,
        "to": list(message.to),
        "subject": message.subject,
        "text": message.text,
        "html": message.html,
        "received_at": message.received_at.isoformat(),
    }


def _part(message: EmailMessage, subtype: str) -> str:
    """The text of the part, with plain line ends; bytes that its charset does not know are replaced, never refused."""
    part = message.get_body((subtype,))
    if part is None:
        return ""
    try:
        return str(part.get_content()).replace("\r\n", "\n")
    except (LookupError, ValueError):
        payload = part.get_payload(decode=True)
        return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
