"""`idp outbox`: what waits is seen without being read, and can be tried again."""

import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from flask import Flask

from idp import create_app
from idp.cli import main
from idp.jobs.send_mail import MailSender
from idp.kernel.clock import SystemClock
from idp.mail import letters
from idp.outbox.models import OutboxMessage
from idp.outbox.queue import enqueue as enqueue_message
from idp.wiring import Services
from tests.conftest import SECRET_KEY, dispose, make_settings
from tests.jobs.mail import enqueue, row, sender
from tests.mail.letters_of_all_kinds import CODE, DESK, TO, ZONE, code_letter
from tests.services.ports import free_port
from tests.services.smtp import SmtpServer


@pytest.fixture
def services(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Those of an installation whose commands read the same settings."""
    given = {"IDP_MODE": "test", "IDP_ISSUER": "https://login.example", "IDP_SECRET_KEY": SECRET_KEY}
    for name, value in {**given, "IDP_DATABASE__URL": database_url}.items():
        monkeypatch.setenv(name, value)
    app: Flask = create_app(make_settings(database_url))
    with app.app_context():
        yield app.extensions["idp"]
    dispose(app)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, arguments)
    return result.exit_code, result.output


def listed(*options: str) -> list[dict[str, Any]]:
    code, output = run("--json", "outbox", "list", *options)
    assert code == 0, output
    rows: list[dict[str, Any]] = json.loads(output)
    return rows


def failing(services: Services) -> MailSender:
    return sender(services, free_port())


def test_empty_outbox_says_so(services: Services) -> None:
    assert run("outbox", "list") == (0, "Nothing waits.\n")
    assert listed() == []


def test_list_shows_what_waits_and_why_and_neither_content_nor_address(services: Services) -> None:
    message_id = enqueue(services, code_letter(at=SystemClock().now()))
    (waiting,) = listed()
    assert (waiting["id"], waiting["kind"], waiting["about"]) == (message_id, "mail", "code")
    assert (waiting["receiver"], waiting["state"], waiting["tries"]) == ("j•••••@voorbeeld.example", "waiting", 0)
    failing(services).run()
    (tried,) = listed()
    assert (tried["state"], tried["failure"], tried["tries"]) == ("failing", "connection refused", 1)
    assert tried["next_try_at"] > waiting["next_try_at"]
    code, table = run("outbox", "list")
    assert code == 0 and "connection refused" in table and "j•••••@" in table
    assert TO not in table and CODE not in table


def test_sent_messages_are_listed_when_asked_for(services: Services) -> None:
    enqueue(services)
    with SmtpServer() as smtp:
        sender(services, smtp.port).run()
    assert listed() == []
    assert [(message["state"], message["next_try_at"]) for message in listed("--all")] == [("sent", None)]


def test_retry_makes_a_failing_letter_due_at_once(services: Services) -> None:
    message_id = enqueue(services)
    failing(services).run()
    with services.units.writing() as unit:
        unit.get_one(OutboxMessage, message_id).next_try_at += timedelta(hours=1)
    assert run("outbox", "retry", str(message_id)) == (0, f"Message {message_id} will be tried at once.\n")
    with SmtpServer() as smtp:
        assert sender(services, smtp.port).run() == 1


def test_notices_are_listed_with_their_session_and_what_became_of_them(services: Services) -> None:
    now = services.clock.now()
    later = now + timedelta(hours=72)
    with services.units.writing() as unit:
        enqueue_message(unit, "logout_notice", "atosi", {"sid": "s"}, now, subject="the sid", expires_at=later)
        refused = enqueue_message(unit, "logout_notice", "agenda", {"sid": "s"}, now, subject="the sid")
        message = unit.get_one(OutboxMessage, refused)
        message.failed_at, message.failure = now, "http 403"
    shown = [(each["receiver"], each["about"], each["state"], each["failure"]) for each in listed()]
    assert shown == [("atosi", "the sid", "waiting", None), ("agenda", "the sid", "given up", "http 403")]


@pytest.mark.parametrize("failure", ["http 403", "expired", "no address"])
def test_notice_that_was_given_up_is_tried_for_another_72_hours(services: Services, failure: str) -> None:
    now = services.clock.now()
    ended_at = now - timedelta(days=10)
    with services.units.writing() as unit:
        expires_at = ended_at + timedelta(hours=72)
        notice = enqueue_message(unit, "logout_notice", "atosi", {"sid": "s"}, ended_at, expires_at=expires_at)
        message = unit.get_one(OutboxMessage, notice)
        message.failed_at, message.failure, message.next_try_at = expires_at, failure, expires_at
    assert listed()[0]["state"] == ("expired" if failure == "expired" else "given up")
    assert run("outbox", "retry", str(notice))[0] == 0
    tried = row(services, notice)
    assert tried["failed_at"] is None and tried["next_try_at"] >= now and listed()[0]["state"] == "waiting"
    assert timedelta(hours=72) <= tried["expires_at"] - now < timedelta(hours=73)


def test_retry_of_a_notice_that_still_waits_gives_it_no_more_time(services: Services) -> None:
    now = services.clock.now()
    with services.units.writing() as unit:
        expires_at = now + timedelta(hours=3)
        notice = enqueue_message(unit, "logout_notice", "atosi", {"sid": "s"}, now, expires_at=expires_at)
    assert run("outbox", "retry", str(notice))[0] == 0
    assert row(services, notice)["expires_at"] == expires_at


def test_retry_of_what_cannot_be_sent_says_why(services: Services) -> None:
    refused, sent = enqueue(services), enqueue(services)
    now = services.clock.now()
    expired = enqueue(services, letters.second_factor_reset(DESK, TO, "nl", now, ZONE), now)
    with services.units.writing() as unit:
        message = unit.get_one(OutboxMessage, refused)
        message.failed_at, message.failure, message.payload_sealed = now, "refused 550", None
        unit.get_one(OutboxMessage, sent).delivered_at = now
    answers = {number: run("outbox", "retry", str(number)) for number in (refused, sent, expired, 999)}
    assert answers == {
        refused: (1, f"idp: message {refused} was given up (refused 550), and what it said was erased\n"),
        sent: (1, f"idp: message {sent} was sent\n"),
        expired: (1, f"idp: message {expired} is expired\n"),
        999: (1, "idp: there is no message 999\n"),
    }
