"""Letters are sent at least once, in time or not at all, and leave nothing behind that could be read."""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from threading import Barrier, Thread

import pytest
from flask import Flask

from idp.jobs.send_mail import FIRST_WAIT, LEASE_MARGIN, LONGEST_WAIT, wait_after
from idp.kernel.clock import FixedClock
from idp.mail import letters
from idp.mail.post import LONGEST_WAIT as KEPT
from idp.mail.post import MailState
from idp.outbox.models import OutboxMessage
from idp.outbox.queue import enqueue as enqueue_message
from idp.wiring import Services
from tests.jobs.mail import enqueue, relay_at, row, sender, state
from tests.mail.letters_of_all_kinds import CODE, DESK, TO, ZONE, code_letter
from tests.services.ports import free_port
from tests.services.smtp import ACCEPTED, Behaviour, BrokenRelay, SmtpServer, drops_in_the_message, hangs

IN_TEN_MINUTES = timedelta(minutes=10)
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def smtp() -> Iterator[SmtpServer]:
    with SmtpServer() as server:
        yield server


def test_letter_waits_sealed_is_sent_once_and_is_erased(services: Services, smtp: SmtpServer) -> None:
    message_id = enqueue(services)
    waiting = row(services, message_id)
    assert state(services, message_id) is MailState.WAITING
    assert waiting["kind"] == "mail" and waiting["payload"] == {"letter": "code"}
    assert waiting["receiver"] == "j•••••@voorbeeld.example"
    assert CODE.encode() not in waiting["payload_sealed"] and TO.encode() not in waiting["payload_sealed"]
    mail = sender(services, smtp.port)
    assert mail.run() == 1
    assert mail.run() == 0
    assert smtp.wait_for(TO).subject == f"{CODE} is uw code voor Atosi" and len(smtp.messages) == 1
    sent = row(services, message_id)
    assert state(services, message_id) is MailState.SENT
    assert (sent["payload_sealed"], sent["failure"], sent["leased_until"], sent["tries"]) == (None, None, None, 1)
    assert sent["delivered_at"] == services.clock.now()


def test_work_that_is_rolled_back_sends_nothing(services: Services, smtp: SmtpServer) -> None:
    with pytest.raises(RuntimeError), services.units.writing() as unit:
        services.post.enqueue(unit, code_letter())
        raise RuntimeError
    assert sender(services, smtp.port).run() == 0
    assert smtp.messages == []


def test_messages_of_other_kinds_are_left_alone(services: Services, smtp: SmtpServer, clock: FixedClock) -> None:
    with services.units.writing() as unit:
        other = enqueue_message(unit, "logout_notice", "atosi", {"sid": "s"}, clock.now(), expires_at=clock.now())
    clock.move(timedelta(days=1))
    assert sender(services, smtp.port).run() == 0
    assert row(services, other)["failed_at"] is None and smtp.messages == []


def test_letter_is_sent_until_the_instant_it_expires_and_never_after(
    services: Services, smtp: SmtpServer, clock: FixedClock
) -> None:
    expires_at = clock.now() + IN_TEN_MINUTES
    clock.move(IN_TEN_MINUTES - INSTANT)
    just_in_time = enqueue(services, expires_at=expires_at)
    assert sender(services, smtp.port).run() == 1
    late = enqueue(services, expires_at=expires_at)
    clock.move(INSTANT)
    assert state(services, late) is MailState.EXPIRED
    assert sender(services, smtp.port).run() == 0
    assert state(services, just_in_time) is MailState.SENT and len(smtp.messages) == 1
    given_up = row(services, late)
    assert state(services, late) is MailState.EXPIRED
    assert (given_up["failure"], given_up["payload_sealed"]) == ("expired", None)
    assert given_up["failed_at"] == clock.now() and given_up["tries"] == 0


def test_letter_that_expires_while_the_relay_is_being_reached_is_not_sent(
    services: Services, smtp: SmtpServer, clock: FixedClock
) -> None:
    class Slow(FixedClock):
        """Passes on by a second each time somebody looks."""

        def now(self) -> datetime:
            self.move(timedelta(seconds=1))
            return super().now()

    # Looked at: whether something is due, to claim, to date the letter, and when the relay has greeted.
    message_id = enqueue(services, expires_at=clock.now() + timedelta(seconds=4))
    assert sender(services, smtp.port, Slow(clock.now())).run() == 0
    assert smtp.messages == []
    assert (row(services, message_id)["tries"], row(services, message_id)["failure"]) == (1, "expired")


def test_letter_about_no_moment_is_kept_for_three_days(services: Services, clock: FixedClock) -> None:
    letter = letters.second_factor_reset(DESK, TO, "nl", clock.now(), ZONE)
    message_id = enqueue(services, letter)
    clock.move(KEPT - INSTANT)
    assert state(services, message_id) is MailState.WAITING
    clock.move(INSTANT)
    sender(services, free_port()).run()
    assert state(services, message_id) is MailState.EXPIRED and row(services, message_id)["payload_sealed"] is None


def test_letter_that_expires_first_goes_first(services: Services, smtp: SmtpServer, clock: FixedClock) -> None:
    enqueue(services, letters.second_factor_reset(DESK, "a@voorbeeld.example", "nl", clock.now(), ZONE))
    enqueue(services, code_letter(to="b@voorbeeld.example"), clock.now() + IN_TEN_MINUTES)
    sender(services, smtp.port).run()
    assert [message.recipients for message in smtp.messages] == [("b@voorbeeld.example",), ("a@voorbeeld.example",)]


def test_relay_that_is_away_for_a_moment_costs_seconds(services: Services, smtp: SmtpServer, clock: FixedClock) -> None:
    message_id = enqueue(services, expires_at=clock.now() + IN_TEN_MINUTES)
    away, back = sender(services, free_port()), sender(services, smtp.port)
    assert away.run() == 0
    assert state(services, message_id) is MailState.FAILING
    failed = row(services, message_id)
    assert (failed["failure"], failed["tries"], failed["leased_until"]) == ("connection refused", 1, None)
    assert failed["payload_sealed"] is not None
    clock.move(FIRST_WAIT - INSTANT)
    assert back.run() == 0, "not due yet"
    clock.move(INSTANT)
    assert back.run() == 1
    assert state(services, message_id) is MailState.SENT and row(services, message_id)["failure"] is None


def test_waits_double_up_to_five_minutes() -> None:
    waits = [wait_after(tries).total_seconds() for tries in range(1, 10)]
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300]
    assert wait_after(10_000) == LONGEST_WAIT


def test_relay_that_defers_takes_the_letter_later(
    services: Services, smtp: SmtpServer, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    message_id, mail = enqueue(services), sender(services, smtp.port)
    smtp.answer = f"451 <{TO}> try again later, {CODE}"
    assert mail.run() == 0
    assert row(services, message_id)["failure"] == "deferred 451"
    assert f"letter {message_id} was not sent: deferred 451; try 1" in caplog.text and TO not in caplog.text
    smtp.answer = ACCEPTED
    clock.move(FIRST_WAIT)
    assert mail.run() == 1 and len(smtp.messages) == 1


def test_letter_that_the_relay_refuses_is_given_up_and_erased(
    services: Services, smtp: SmtpServer, clock: FixedClock
) -> None:
    message_id, mail = enqueue(services), sender(services, smtp.port)
    smtp.recipient_answer = "550 <{}> is nobody here"
    assert mail.run() == 0
    refused = row(services, message_id)
    assert state(services, message_id) is MailState.FAILING
    assert (refused["failure"], refused["payload_sealed"]) == ("refused 550", None)
    smtp.recipient_answer = None
    clock.move(timedelta(hours=1))
    assert mail.run() == 0 and smtp.messages == []


@pytest.mark.parametrize(("behaviour", "failure"), [(hangs, "timed out"), (drops_in_the_message, "connection lost")])
def test_relay_that_breaks_off_gets_the_letter_again(
    services: Services, smtp: SmtpServer, clock: FixedClock, behaviour: Behaviour, failure: str
) -> None:
    message_id = enqueue(services)
    with BrokenRelay(behaviour) as broken:
        assert sender(services, broken.port, timeout=timedelta(milliseconds=200)).run() == 0
    assert row(services, message_id)["failure"] == failure
    clock.move(FIRST_WAIT)
    assert sender(services, smtp.port).run() == 1
    assert state(services, message_id) is MailState.SENT


def test_letter_that_cannot_be_opened_keeps_no_other_back(
    services: Services, smtp: SmtpServer, caplog: pytest.LogCaptureFixture
) -> None:
    with services.units.writing() as unit:
        broken = services.post.enqueue(unit, code_letter(to="a@voorbeeld.example"))
        unit.get_one(OutboxMessage, broken).payload_sealed = b"\x01 sealed with another key, and long enough for it"
        unit.flush()
        address = services.post.enqueue(unit, code_letter(to="jän@voorbeeld.example"))
        whole = services.post.enqueue(unit, code_letter())
    assert sender(services, smtp.port).run() == 1
    assert state(services, whole) is MailState.SENT and state(services, broken) is MailState.FAILING
    assert row(services, broken)["failure"] == "failed: CannotOpen"
    assert (row(services, address)["failure"], row(services, address)["payload_sealed"]) == (
        "address cannot be used",
        None,
    )
    assert f"letter {broken} cannot be sent: CannotOpen" in caplog.text and "voorbeeld" not in caplog.text


def test_letter_of_a_worker_that_died_goes_once_more_when_the_lease_ends(
    services: Services, smtp: SmtpServer, clock: FixedClock
) -> None:
    message_id, mail = enqueue(services), sender(services, smtp.port)
    relay = relay_at(smtp.port)
    claimed = mail._claim(relay)
    assert claimed is not None and state(services, message_id) is MailState.WAITING
    assert mail.run() == 0, "somebody may be at it"
    clock.move(relay.longest + LEASE_MARGIN - INSTANT)
    assert mail.run() == 0
    clock.move(INSTANT)
    assert mail.run() == 1 and len(smtp.messages) == 1
    assert row(services, message_id)["tries"] == 2


def test_worker_that_comes_back_after_its_lease_neither_sends_nor_undoes(
    services: Services, smtp: SmtpServer, clock: FixedClock
) -> None:
    message_id, mail = enqueue(services), sender(services, smtp.port)
    relay = relay_at(smtp.port)
    slow = mail._claim(relay)
    assert slow is not None
    clock.move(relay.longest + LEASE_MARGIN)
    smtp.answer = "451 later"
    assert mail.run() == 0
    by_the_other = row(services, message_id)
    smtp.answer = ACCEPTED
    assert not mail._send(relay, slow), "its time is over"
    assert row(services, message_id) == by_the_other and smtp.messages == []


def test_both_tries_of_a_letter_have_the_same_message_id(
    services: Services, smtp: SmtpServer, clock: FixedClock
) -> None:
    enqueue(services)
    enqueue(services, code_letter(to="other@voorbeeld.example"))
    mail, relay = sender(services, smtp.port), relay_at(smtp.port)
    claimed = mail._claim(relay)
    assert claimed is not None
    mail._hand_over(relay, claimed)  # and the worker dies before it can record that
    mail.run()
    clock.move(relay.longest + LEASE_MARGIN)
    mail.run()
    first, second = smtp.sent_to(TO)
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.message["Message-ID"] != smtp.sent_to("other@voorbeeld.example")[0].message["Message-ID"]


def test_workers_at_the_same_time_send_each_letter_once(app: Flask, services: Services, smtp: SmtpServer) -> None:
    receivers = [f"{number}@voorbeeld.example" for number in range(12)]
    for receiver in receivers:
        enqueue(services, code_letter(to=receiver))
    barrier, sent = Barrier(3), []

    def work() -> None:
        with app.app_context():
            mail = sender(services, smtp.port, timeout=timedelta(seconds=10))
            barrier.wait(30)
            sent.append(mail.run())

    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(sent) == len(receivers)
    assert sorted(message.recipients[0] for message in smtp.messages) == sorted(receivers)


def test_worker_that_is_told_to_stop_takes_no_further_letter(services: Services, smtp: SmtpServer) -> None:
    for number in range(3):
        enqueue(services, code_letter(to=f"{number}@voorbeeld.example"))
    assert sender(services, smtp.port).run(is_stopping=lambda: len(smtp.messages) >= 1) == 1


def test_without_a_relay_letters_wait_and_each_kind_is_told_of_once(
    services: Services, smtp: SmtpServer, clock: FixedClock, caplog: pytest.LogCaptureFixture
) -> None:
    mail = sender(services, None)
    first = enqueue(services)
    enqueue(services, letters.second_factor_reset(DESK, TO, "nl", clock.now(), ZONE))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert mail.run() == 0
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        f"no mail relay is set up: letters of the kind {kind!r} wait until they expire"
        for kind in ("code", "second_factor_reset")
    ]
    assert state(services, first) is MailState.WAITING and row(services, first)["tries"] == 0
    assert sender(services, smtp.port).run() == 2, "a relay was set up in time"


def test_without_a_relay_expired_letters_are_erased(services: Services, clock: FixedClock) -> None:
    message_id = enqueue(services, expires_at=clock.now() + IN_TEN_MINUTES)
    clock.move(IN_TEN_MINUTES)
    sender(services, None).run()
    assert row(services, message_id)["payload_sealed"] is None and state(services, message_id) is MailState.EXPIRED


def test_letter_that_is_no_longer_kept_counts_as_expired(services: Services) -> None:
    assert state(services, 123456) is MailState.EXPIRED


@pytest.mark.parametrize("address", ["", "jan", "@voorbeeld.example"])
def test_letter_to_no_address_is_refused_at_once(services: Services, address: str) -> None:
    with pytest.raises(ValueError, match="either side"):
        enqueue(services, code_letter(to=address))
