"""The mailbox of the demonstration, through its SMTP port and through its pages."""

from __future__ import annotations

import smtplib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from flask.testing import FlaskClient

from idp.demo.mailbox import Mailbox, create_mailbox, smtp_server
from idp.kernel.clock import FixedClock
from tests.services.ports import free_port, free_ports
from tests.services.processes import ChildProcess


@dataclass(frozen=True)
class RunningMailbox:
    mailbox: Mailbox
    browser: FlaskClient
    smtp_port: int

    def send(self, message: EmailMessage, *to: str) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=5) as connection:
            connection.send_message(message, "idp@example.org", list(to) or ["anna@example.org"])

    def listed(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = self.browser.get("/api/messages").json  # type: ignore[assignment]
        return found


@pytest.fixture
def running() -> Iterator[RunningMailbox]:
    mailbox = Mailbox(FixedClock(datetime(2026, 2, 2, 9, 30, tzinfo=UTC)))
    port = free_port()
    smtp = smtp_server(mailbox, "127.0.0.1", port)
    smtp.start()
    yield RunningMailbox(mailbox, create_mailbox(mailbox).test_client(), port)
    smtp.stop()


def code_mail(subject: str = "123456 is uw code", text: str = "Uw code is:\n\n123456\n") -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["To"], message["From"] = subject, "Anna <anna@example.org>", "idp@example.org"
    message.set_content(text)
    return message


def test_message_that_was_sent_is_listed_with_all_its_parts(running: RunningMailbox) -> None:
    message = code_mail("Uw code – één", "Beste Anna, uw code: 123456")
    message.add_alternative("<p>123456</p>", subtype="html")
    running.send(message, "anna@example.org", "beheer@example.org")
    (listed,) = running.listed()
    assert listed == {
        "id": 1,
        "from": "idp@example.org",
        "to": ["anna@example.org", "beheer@example.org"],
        "subject": "Uw code – één",
        "text": "Beste Anna, uw code: 123456\n",
        "html": "<p>123456</p>\n",
        "received_at": "2026-02-02T09:30:00+00:00",
    }


def test_newest_message_stands_on_top(running: RunningMailbox) -> None:
    for number in range(3):
        running.send(code_mail(f"bericht {number}"))
    assert [message["subject"] for message in running.listed()] == ["bericht 2", "bericht 1", "bericht 0"]
    page = running.browser.get("/").text
    assert page.index("bericht 2") < page.index("bericht 0")


def test_message_of_somebody_else_is_shown_as_text_and_never_as_markup(running: RunningMailbox) -> None:
    running.send(code_mail("<script>alert(1)</script>", "<img src=x onerror=alert(2)>"))
    for path in ("/", "/messages/1"):
        page = running.browser.get(path)
        assert "<script>" not in page.text and "<img src=x" not in page.text
        assert "&lt;script&gt;" in page.text
        assert "script-src" not in page.headers["Content-Security-Policy"]
    assert "&lt;img src=x" in running.browser.get("/messages/1").text


def test_only_the_last_five_hundred_messages_are_kept(running: RunningMailbox) -> None:
    content = code_mail().as_bytes()
    for _ in range(501):
        running.mailbox.deliver("idp@example.org", ("anna@example.org",), content)
    listed = running.listed()
    assert (len(listed), listed[0]["id"], listed[-1]["id"]) == (500, 501, 2)
    assert running.browser.get("/messages/1").status_code == 404


def test_deleting_the_messages_leaves_none(running: RunningMailbox) -> None:
    running.send(code_mail())
    assert running.browser.delete("/api/messages").status_code == 204
    assert running.listed() == []
    assert "nog geen berichten" in running.browser.get("/").text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Subject: x\r\nContent-Type: text/plain; charset=of-tomorrow\r\n\r\nhello",
        b"Subject: =?utf-8?b?broken\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\xff\xfe\xfd",
        b"Content-Type: multipart/mixed; boundary=never\r\n\r\nhello",
        b"Content-Type: text/plain; charset=ascii\r\n\r\ncaf\xe9",
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA",
    ],
)
def test_message_that_is_not_well_formed_is_kept_and_shown(running: RunningMailbox, content: bytes) -> None:
    with smtplib.SMTP("127.0.0.1", running.smtp_port, timeout=5) as connection:
        connection.sendmail("idp@example.org", ["anna@example.org"], content)
    assert len(running.listed()) == 1
    assert running.browser.get("/messages/1").status_code == 200
    assert running.browser.get("/").status_code == 200


def test_message_that_is_too_large_is_refused(running: RunningMailbox) -> None:
    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        running.send(code_mail(text="x" * 2_000_000))
    assert refused.value.smtp_code == 552
    assert running.listed() == []


def test_mailbox_as_a_process_receives_shows_and_ends_when_told() -> None:
    web_port = free_ports(2)
    program = f"from idp.demo.mailbox import run_mailbox; run_mailbox('127.0.0.1', {web_port}, {web_port + 1})"
    with ChildProcess([sys.executable, "-c", program]) as process:
        process.wait_until_answers(f"http://127.0.0.1:{web_port}/api/messages")
        with smtplib.SMTP("127.0.0.1", web_port + 1, timeout=5) as connection:
            connection.send_message(code_mail(), "idp@example.org", ["anna@example.org"])
        process.wait_until_answers(f"http://127.0.0.1:{web_port}/messages/1")
        assert process.stop() == 0, process.output()
