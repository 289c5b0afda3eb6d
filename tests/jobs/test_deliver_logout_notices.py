"""Logout notices are delivered at least once, tried again for 72 hours, and a client's "no" is final."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import update

from idp.jobs import notice_claims
from idp.jobs.deliver_logout_notices import FIRST_WAIT, LONGEST_WAIT, wait_after
from idp.jobs.notice_claims import LEASE
from idp.jobs.sweep_idle_sessions import sweep
from idp.kernel.clock import FixedClock, ShiftedClock, ticks
from idp.oidc.backchannel_logout import TRIED_FOR
from idp.oidc.clients import Client
from idp.outbox.models import OutboxMessage
from idp.wiring import Services
from tests.egress.receivers import Receiver, after, hangs, sends, status
from tests.factories import Factories
from tests.jobs.mail import enqueue, row
from tests.jobs.notices import (
    TIMEOUT,
    Observed,
    add_clients,
    claims_of,
    delivery,
    ended,
    open_session,
    rows,
    states,
)
from tests.services.certificates import new_authority
from tests.services.ports import free_port

SECOND = timedelta(seconds=1)
SHORT = SECOND
IDLE = timedelta(minutes=30)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def test_client_is_told_once(services: Services, make: Factories, receiver: Receiver) -> None:
    (name,) = add_clients(make, [receiver])
    ended(services, make.person().id, [name])
    worker = delivery(services)
    assert (worker.run(), worker.run()) == (1, 0)
    (call,) = receiver.calls
    assert (call.method, call.path, list(call.form)) == ("POST", "/logout", ["logout_token"])
    (notice,) = rows(services)
    assert notice["delivered_at"] == services.clock.now() and notice["tries"] == 1
    assert (notice["leased_until"], notice["failed_at"], notice["failure"]) == (None, None, None)


@pytest.mark.parametrize("code", [200, 201, 202, 204])
def test_every_2xx_is_success(services: Services, make: Factories, receiver: Receiver, code: int) -> None:
    receiver.behaviour = status(code)
    ended(services, make.person().id, add_clients(make, [receiver]))
    assert delivery(services).run() == 1 and states(services) == ["delivered"]


@pytest.mark.parametrize("code", [400, 403, 404, 410])
def test_4xx_is_final(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock, code: int, caplog: Any
) -> None:
    receiver.behaviour = status(code)
    ended(services, make.person().id, add_clients(make, [receiver]))
    observed = Observed()
    worker = delivery(services, observed)
    assert worker.run() == 0 and states(services) == [f"final: http {code}"]
    clock.move(TRIED_FOR * 2)
    worker.run()
    assert len(receiver.calls) == 1 and observed.settled == [("app-0", "refused", None)]
    alarms = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert alarms == [f"ALARM: app-0 refuses logout notices: http {code}"]


@pytest.mark.parametrize(
    ("behaviour", "failure"),
    [
        (status(408), "http 408"),
        (status(425), "http 425"),
        (status(429), "http 429"),
        (status(500), "http 500"),
        (status(503), "http 503"),
        (hangs, "timeout"),
        (sends(b""), "no connection"),
        (sends(b"not HTTP\r\n\r\n"), "no connection"),
    ],
    ids=["408", "425", "429", "500", "503", "timeout", "closed", "garbage"],
)
def test_failure_is_tried_again_with_growing_waits_until_it_succeeds(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock, behaviour: Any, failure: str
) -> None:
    receiver.behaviour = behaviour
    (name,) = add_clients(make, [receiver])
    ended(services, make.person().id, [name])
    for tries in (1, 2, 3):
        # Another worker each time: this is what is written down, not what one remembers of the client.
        worker, before = delivery(services, timeout=SHORT if behaviour is hangs else TIMEOUT), clock.now()
        assert worker.run() == 0
        (notice,) = rows(services)
        assert (notice["tries"], notice["failure"], notice["failed_at"], notice["leased_until"]) == (
            tries,
            failure,
            None,
            None,
        )
        least = FIRST_WAIT * 2 ** (tries - 1) * 0.8
        assert least <= notice["next_try_at"] - before <= least * 1.5
        clock.move(least - SECOND)
        assert worker.run() == 0 and len(receiver.calls) == tries, "too early"
        clock.set(notice["next_try_at"])
    receiver.behaviour = status(200)
    assert delivery(services).run() == 1 and states(services) == ["delivered"]
    assert len(set(receiver.tokens)) == 4


def test_redirect_is_not_followed_and_is_tried_again(services: Services, make: Factories, receiver: Receiver) -> None:
    with Receiver() as elsewhere:
        receiver.behaviour = status(307, Location=elsewhere.url)
        ended(services, make.person().id, add_clients(make, [receiver]))
        assert delivery(services).run() == 0
        assert states(services) == ["waiting: http 307"] and elsewhere.calls == []


def test_closed_port_is_no_connection(services: Services, make: Factories) -> None:
    make.client("app", backchannel_logout_uri=f"http://127.0.0.1:{free_port()}/logout")
    ended(services, make.person().id, ["app"])
    assert delivery(services).run() == 0 and states(services) == ["waiting: no connection"]


def test_wrong_certificate_is_tried_again_and_nothing_is_sent(
    services: Services, make: Factories, tmp_path: Path
) -> None:
    context = new_authority(tmp_path).server_context("localhost", tmp_path)
    with Receiver(tls=context, host="localhost") as receiver:
        ended(services, make.person().id, add_clients(make, [receiver]))
        assert delivery(services).run() == 0
        assert states(services) == ["waiting: certificate"] and receiver.calls == []


def test_waits_double_up_to_an_hour_and_spread() -> None:
    for tries, wait in ((1, 5 * SECOND), (2, 10 * SECOND), (5, 80 * SECOND), (20, LONGEST_WAIT), (10**6, LONGEST_WAIT)):
        several = {wait_after(tries) for _ in range(50)}
        assert len(several) > 1 and min(several) >= wait * 0.8 and max(several) <= wait * 1.2


def test_notice_is_given_up_72_hours_after_the_end_with_an_alarm(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock, caplog: Any
) -> None:
    receiver.behaviour = status(503)
    ended(services, make.person().id, add_clients(make, [receiver]))
    over, observed = clock.now(), Observed()
    worker = delivery(services, observed)
    while clock.now() < over + TRIED_FOR:
        assert worker.run() == 0 and states(services) == ["waiting: http 503"]
        clock.set(rows(services)[0]["next_try_at"])
    assert clock.now() == over + TRIED_FOR, "the last wait ends with the 72 hours"
    tries = len(receiver.calls)
    assert worker.run() == 0 and states(services) == ["final: expired"]
    assert len(receiver.calls) == tries and 60 < tries < 110
    assert observed.settled == [("app-0", "expired", None)]
    alarms = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert alarms == ["ALARM: 1 logout notice(s) for app-0 were not delivered in time and are given up"]


def test_delay_is_counted_from_the_deadline_however_late_the_sweep_is(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock
) -> None:
    (name,) = add_clients(make, [receiver])
    open_session(services, make.person().id, [name])
    clock.move(IDLE + 7 * SECOND)
    assert sweep(services.units, services.sessions) == 1
    clock.move(2 * SECOND)
    observed = Observed()
    assert delivery(services, observed).run() == 1
    assert observed.settled == [(name, "delivered", 9 * SECOND)]


def test_client_whose_address_changed_is_called_at_the_new_one(
    services: Services, make: Factories, receiver: Receiver
) -> None:
    make.client("app", backchannel_logout_uri="http://127.0.0.1:1/old")
    ended(services, make.person().id, ["app"])
    with services.units.writing() as unit:
        unit.get_one(Client, "app").backchannel_logout_uri = receiver.url
    assert delivery(services).run() == 1 and len(receiver.calls) == 1


def test_client_that_lost_its_address_is_given_up_and_calls_nobody(
    services: Services, make: Factories, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    (name,) = add_clients(make, [receiver])
    ended(services, make.person().id, [name])
    with services.units.writing() as unit:
        unit.get_one(Client, name).backchannel_logout_uri = None
    observed = Observed()
    assert delivery(services, observed).run() == 0
    assert states(services) == ["final: no address"] and observed.settled == [(name, "refused", None)]
    alarms = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert alarms == ["ALARM: app-0 cannot be told that sessions ended: no address"]


def test_client_that_is_gone_is_given_up(services: Services, make: Factories, receiver: Receiver) -> None:
    (name,) = add_clients(make, [receiver])
    ended(services, make.person().id, [name])
    notice_id = rows(services)[0]["id"]
    with services.units.writing() as unit:
        unit.get_one(OutboxMessage, notice_id).receiver = "nobody"
    assert delivery(services).run() == 0
    assert states(services) == ["final: client is gone"] and receiver.calls == []


@pytest.mark.parametrize("payload", [{}, {"sub": "s"}, {"sid": "s"}, {"sid": 1, "sub": "s"}, []], ids=str)
def test_notice_that_cannot_be_read_is_given_up_with_an_alarm_and_keeps_no_other_back(
    services: Services, make: Factories, receiver: Receiver, payload: Any, caplog: pytest.LogCaptureFixture
) -> None:
    unreadable, name = add_clients(make, [receiver, receiver])
    ended(services, make.person().id, [unreadable, name])
    with services.units.writing() as unit:
        broken = update(OutboxMessage).where(OutboxMessage.receiver == unreadable)
        unit.execute(broken.values(payload=payload))
    observed = Observed()
    assert delivery(services, observed).run() == 1
    assert states(services) == ["final: unreadable", "delivered"] and len(receiver.calls) == 1
    assert (unreadable, "refused", None) in observed.settled
    alarms = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert alarms == ["ALARM: app-0 cannot be told that sessions ended: unreadable"]


def test_letters_are_left_alone(services: Services, make: Factories) -> None:
    message = enqueue(services)
    assert delivery(services).run() == 0
    assert row(services, message)["tries"] == 0


def test_lease_keeps_others_away_until_it_ends(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock
) -> None:
    ended(services, make.person().id, add_clients(make, [receiver]))
    notice_id = rows(services)[0]["id"]
    with services.units.writing() as unit:
        notice = unit.get_one(OutboxMessage, notice_id)
        notice.leased_until = notice.next_try_at = clock.now() + LEASE
    worker = delivery(services)
    clock.move(LEASE - SECOND)
    assert worker.run() == 0 and receiver.calls == []
    clock.move(SECOND)
    assert worker.run() == 1


def test_worker_that_is_stopping_begins_nothing_and_records_what_is_under_way(
    services: Services, make: Factories, receiver: Receiver
) -> None:
    (name,) = add_clients(make, [receiver])
    ended(services, make.person().id, [name], number=4)
    stopping = Event()
    worker = delivery(services)
    assert worker.run(lambda: True) == 0 and receiver.calls == []

    def late(handler: Any) -> None:
        stopping.set()
        after(0.2)(handler)

    receiver.behaviour = late
    assert worker.run(stopping.is_set) == 2
    assert states(services).count("delivered") == 2 and len(receiver.calls) == 2


def test_two_notices_at_a_time_for_one_client_over_all_workers(
    services: Services, make: Factories, receiver: Receiver
) -> None:
    receiver.behaviour = after(0.05)
    (name,) = add_clients(make, [receiver])
    ended(services, make.person().id, [name], number=12)
    delivered = []

    def work() -> None:
        with make._app.app_context():
            delivered.append(delivery(services).run())

    threads = [Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    receiver.wait_for(12)
    assert set(states(services)) == {"delivered"}
    assert len(receiver.calls) == 12 and len(set(receiver.tokens)) == 12
    assert receiver.most_at_once == 2


def test_hanging_clients_delay_nobody(services: Services, make: Factories, clock: FixedClock) -> None:
    receivers = [Receiver(hangs if number % 5 == 0 else status(200)) for number in range(50)]
    for receiver in receivers:
        receiver.__enter__()
    try:
        names = add_clients(make, receivers)
        ended(services, make.person().id, names, number=3)
        started = ticks()
        assert delivery(services, timeout=6 * SECOND).run() == 120
        good = [
            call.at - started for receiver in receivers if receiver.behaviour is not hangs for call in receiver.calls
        ]
        hanging = [receiver for receiver in receivers if receiver.behaviour is hangs]
        assert len(good) == 120 and sorted(good)[113] < 6 * SECOND, "before the first that hangs was given up"
        assert all(0 < receiver.most_at_once <= 2 for receiver in hanging)
    finally:
        for receiver in receivers:
            receiver.__exit__(None, None, None)


def test_client_that_timed_out_rests_is_probed_with_one_and_gets_the_rest_when_it_answers(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock
) -> None:
    receiver.behaviour = hangs
    (name,) = add_clients(make, [receiver])
    ended(services, make.person().id, [name], number=6)
    worker = delivery(services, timeout=2 * SECOND)
    assert worker.run() == 0 and len(receiver.calls) == 2
    assert worker.run() == 0 and len(receiver.calls) == 2, "it rests"
    clock.move(timedelta(seconds=11))
    receiver.most_at_once = 0
    assert worker.run() == 0 and len(receiver.calls) == 3, "one notice, to see"
    receiver.behaviour = status(200)
    clock.move(timedelta(minutes=2))
    assert worker.run() == 6
    assert set(states(services)) == {"delivered"} and len(receiver.calls) == 9


def failing_for(services: Services, worker: Any, clock: FixedClock, long: timedelta, delivered: int = 0) -> None:
    """So long has passed, with a worker that looks once a minute and delivers no more than were delivered before."""
    end = clock.now() + long
    while clock.now() < end:
        assert worker.run() == 0
        clock.move(timedelta(minutes=1))
    assert states(services).count("delivered") == delivered


@pytest.mark.parametrize("is_restarted", [False, True], ids=["the same worker", "a new worker"])
def test_client_that_was_away_for_two_hours_hears_all_it_missed_with_the_first_that_it_takes(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock, is_restarted: bool
) -> None:
    receiver.behaviour = sends(b"")
    (name,) = add_clients(make, [receiver])
    ended(services, make.person().id, [name], number=5)
    worker = delivery(services)
    failing_for(services, worker, clock, timedelta(hours=2))
    assert min(row["tries"] for row in rows(services)) > 0, "each was tried while it was away"
    receiver.behaviour = status(200)
    clock.set(max(clock.now(), min(row["next_try_at"] for row in rows(services))))
    if is_restarted:
        worker = delivery(services)
    assert worker.run() == 5 and set(states(services)) == {"delivered"}


def test_client_that_was_away_hears_all_it_missed_also_when_another_worker_finds_it_back(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock
) -> None:
    (name,) = add_clients(make, [receiver])
    account = make.person().id
    ended(services, account, [name])
    one, other = delivery(services), delivery(services)
    assert other.run() == 1
    receiver.behaviour = sends(b"")
    ended(services, account, [name], number=4)
    failing_for(services, one, clock, timedelta(minutes=30), delivered=1)
    receiver.behaviour = status(200)
    ended(services, account, [name])
    assert other.run() == 5 and set(states(services)) == {"delivered"}


def test_notice_that_its_client_failed_at_keeps_its_own_wait_when_another_is_delivered(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock
) -> None:
    (name,) = add_clients(make, [receiver])
    account, worker = make.person().id, delivery(services)
    (poison,) = ended(services, account, [name])
    receiver.behaviour = status(500)
    assert worker.run() == 0
    receiver.behaviour = sends(b"")
    ended(services, account, [name], number=2)
    assert worker.run() == 0, "silent from now on"
    receiver.behaviour = status(200)
    with services.units.writing() as unit:
        own = update(OutboxMessage).where(OutboxMessage.subject == poison)
        unit.execute(own.values(next_try_at=clock.now() + LONGEST_WAIT))
    clock.move(timedelta(minutes=1))
    assert worker.run() == 2
    assert states(services) == ["waiting: http 500", "delivered", "delivered"]


def test_notice_that_somebody_is_at_is_not_taken_from_them_when_its_client_answers_again(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock
) -> None:
    (name,) = add_clients(make, [receiver])
    ended(services, make.person().id, [name])
    held = {"leased_until": clock.now() + LEASE, "next_try_at": clock.now() + LEASE, "tries": 2, "failure": "timeout"}
    with services.units.writing() as unit:
        unit.execute(update(OutboxMessage).values(held))
    with services.units.writing() as unit:
        assert notice_claims.wake(unit, name, clock.now())
    assert rows(services)[0]["next_try_at"] == clock.now() + LEASE


def test_notice_that_its_client_cannot_digest_keeps_no_other_back(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock
) -> None:
    (name,) = add_clients(make, [receiver])
    account = make.person().id
    poison = ended(services, account, [name])
    others = ended(services, account, [name], number=5)

    def picky(handler: Any) -> None:
        with make._app.app_context():
            _, claims = claims_of(services, handler.form["logout_token"])
        handler.answer(500 if claims["sid"] == poison[0] else 200)

    services.keys.load()
    receiver.behaviour = picky
    assert delivery(services).run() == 5
    assert states(services) == ["waiting: http 500"] + ["delivered"] * len(others)


def test_signing_that_fails_for_one_client_keeps_no_other_back(
    services: Services, make: Factories, receiver: Receiver
) -> None:
    make.client("broken", backchannel_logout_uri=receiver.url, id_token_signed_response_alg="HS256")
    (name,) = add_clients(make, [receiver])
    ended(services, make.person().id, ["broken", name])
    assert delivery(services).run() == 1
    assert sorted(states(services)) == ["delivered", "waiting: failed: LookupError"]


def test_two_workers_share_what_is_due_and_repeat_nothing(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    receivers = [Receiver().__enter__() for _ in range(6)]
    try:
        ended(services, make.person().id, add_clients(make, receivers), number=3)

        def work() -> None:
            with make._app.app_context():
                delivery(services, clock=ShiftedClock(clock, timedelta(0))).run()

        threads = [Thread(target=work) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        delivery(services).run()
        assert [len(receiver.calls) for receiver in receivers] == [3] * 6
        assert set(states(services)) == {"delivered"}
    finally:
        for receiver in receivers:
            receiver.__exit__(None, None, None)


class FullDisk:
    """An observer that cannot count."""

    def notice_settled(self, client_id: str, outcome: str, delay: timedelta | None) -> None:
        raise OSError(28, "No space left on device")


def test_observer_that_fails_keeps_no_notice_from_being_delivered(
    services: Services, make: Factories, receiver: Receiver
) -> None:
    names = add_clients(make, [receiver] * 3)
    anna, worker = make.person(), delivery(services, FullDisk())
    for _ in range(2):
        ended(services, anna.id, names)
        assert worker.run() == 3, "no place is lost"
    assert states(services) == ["delivered"] * 6


def test_notice_without_an_end_is_given_up_after_72_hours(
    services: Services, make: Factories, receiver: Receiver, clock: FixedClock
) -> None:
    receiver.behaviour = status(500)
    ended(services, make.person().id, add_clients(make, [receiver]))
    with services.units.writing() as unit:
        unit.execute(update(OutboxMessage).values(expires_at=None))
    clock.move(TRIED_FOR - SECOND)
    delivery(services).run()
    assert states(services) == ["waiting: http 500"]
    clock.move(LONGEST_WAIT * 2)
    delivery(services).run()
    assert states(services) == ["final: expired"] and len(receiver.calls) == 1
