"""Much waits, much goes wrong, and still nobody's notice is lost or kept back by somebody else's."""

import json
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import Event
from typing import Any

import pytest
from sqlalchemy import event, insert, select
from sqlalchemy.exc import OperationalError

from idp.egress.guarded import GuardedClient
from idp.jobs import notice_claims
from idp.jobs.deliver_logout_notices import LogoutNoticeDelivery
from idp.jobs.notice_claims import AT_A_TIME, MOST_LOOKED_AT, Places
from idp.kernel.clock import FixedClock
from idp.oidc.backchannel_logout import LogoutTokens
from idp.outbox.models import OutboxMessage
from idp.store.engine import db
from idp.wiring import Services
from tests.conftest import ISSUER
from tests.egress.receivers import Receiver, status
from tests.factories import Factories
from tests.jobs.notices import Observed, add_clients, delivery, ended, rows, states

SECOND = timedelta(seconds=1)
LONG = timedelta(seconds=20)


@pytest.fixture
def receivers() -> Iterator[list[Receiver]]:
    with Receiver() as one, Receiver() as other:
        yield [one, other]


def many_more(services: Services, number: int, **changed: Any) -> None:
    """So many notices like the one that is there."""
    (notice,) = rows(services)
    values = {name: value for name, value in notice.items() if name != "id"} | changed
    with services.units.writing() as unit:
        unit.execute(insert(OutboxMessage), [values] * number)


@contextmanager
def full_disk(times: int) -> Iterator[list[str]]:
    """The database takes no outcome of a notice, so many times; yields the statements that it did not take."""
    refused: list[str] = []

    def refuse(conn: Any, cursor: Any, statement: str, *more: Any) -> None:
        # Of a failure that is tried again, too; not of notices that are given up before anybody is called.
        is_outcome = "delivered_at=" in statement or ("failure=" in statement and "failed_at=" not in statement)
        if statement.startswith("UPDATE outbox") and is_outcome and len(refused) < times:
            refused.append(statement)
            raise OperationalError(statement, None, Exception("database or disk is full"))

    event.listen(db.engine, "before_cursor_execute", refuse)
    try:
        yield refused
    finally:
        event.remove(db.engine, "before_cursor_execute", refuse)


def test_outcome_that_the_database_did_not_take_is_recorded_once_it_does(
    services: Services, make: Factories, receivers: list[Receiver]
) -> None:
    ended(services, make.person().id, add_clients(make, receivers))
    observed = Observed()
    worker = delivery(services, observed)
    with full_disk(times=2) as refused:
        for _ in range(2):
            with pytest.raises(OperationalError):
                worker.run()
        assert worker.run() == 2
    assert len(refused) == 2 and states(services) == ["delivered", "delivered"]
    assert [len(receiver.calls) for receiver in receivers] == [1, 1], "nobody was told twice"
    assert sorted(client_id for client_id, _, _ in observed.settled) == ["app-0", "app-1"], "each was counted once"


def test_more_notices_than_are_looked_at_for_one_client_keep_no_other_from_being_told(
    services: Services, make: Factories, receivers: list[Receiver]
) -> None:
    busy, quick = receivers
    told, in_time = Event(), []

    def waits_for_the_other(handler: Any) -> None:
        in_time.append(told.wait(10))
        handler.answer(500)

    def answers(handler: Any) -> None:
        told.set()
        handler.answer(200)

    busy.behaviour, quick.behaviour = waits_for_the_other, answers
    crowded, lonely = add_clients(make, receivers)
    anna = make.person()
    ended(services, anna.id, [crowded])
    many_more(services, MOST_LOOKED_AT + 100)
    ended(services, anna.id, [lonely])
    delivery(services, timeout=LONG).run()
    assert in_time[0] is True and len(quick.calls) == 1
    assert [row["receiver"] for row in rows(services) if row["delivered_at"] is not None] == [lonely]


def test_call_that_was_held_up_gives_its_notice_back_and_is_made_when_somebody_may_make_it(
    services: Services, make: Factories, receivers: list[Receiver], clock: FixedClock
) -> None:
    (name,) = add_clients(make, receivers[:1])
    ended(services, make.person().id, [name])
    moments = iter([timedelta(0)])

    def ticks() -> timedelta:
        """The process stands still for long between the claim and the first call."""
        return next(moments, LONG)

    tokens, client = LogoutTokens(services.keys, clock, ISSUER), GuardedClient(allow_loopback=True, timeout=LONG)
    observed = Observed()
    worker = LogoutNoticeDelivery(services.units, clock, tokens, client, observed, ticks)
    assert worker.run() == 1
    (notice,) = rows(services)
    assert (len(receivers[0].calls), notice["tries"], notice["failure"]) == (1, 2, None)
    assert [outcome for _, outcome, _ in observed.settled] == ["delivered"]


def test_client_is_judged_by_what_came_last_also_when_that_is_about_an_older_notice(
    services: Services, make: Factories, receivers: list[Receiver], clock: FixedClock
) -> None:
    recovered = Event()
    sids: list[str] = []

    def hangs_up_and_recovers(handler: Any) -> None:
        payload = handler.form["logout_token"].split(".")[1]
        if json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["sid"] == sids[1]:
            handler.close_connection = True
            return
        recovered.wait(10)
        handler.answer(200)

    receivers[0].behaviour = hangs_up_and_recovers
    sids += ended(services, make.person().id, add_clients(make, receivers[:1]), number=3)
    worker = delivery(services, timeout=LONG)
    # Nothing can be recorded until both have come, so that both are recorded at once: the older one first.
    with full_disk(times=1_000_000) as refused:
        while not refused or "delivered_at=" not in refused[-1]:
            with pytest.raises(OperationalError):
                worker.run()
            if not recovered.is_set():
                clock.move(SECOND)
                recovered.set()
            time.sleep(0.02)
    assert worker.run() == 2
    assert states(services) == ["delivered", "waiting: no connection", "delivered"], "nobody rests"


def due(services: Services, now: datetime) -> int:
    with services.units.reading() as unit:
        return len(unit.scalars(select(OutboxMessage.id).where(OutboxMessage.next_try_at <= now)).all())


def test_notices_of_a_client_that_answers_again_are_woken_in_portions_until_none_is_left(
    services: Services, make: Factories, receivers: list[Receiver], clock: FixedClock
) -> None:
    (name,) = add_clients(make, receivers[:1])
    ended(services, make.person().id, [name])
    many_more(services, AT_A_TIME + 10, next_try_at=clock.now() + LONG)
    woken, all_awake = [due(services, clock.now())], []
    for _ in range(2):
        with services.units.writing() as unit:
            all_awake.append(notice_claims.wake(unit, name, clock.now()))
        woken.append(due(services, clock.now()))
    assert all_awake == [False, True] and woken == [1, 1 + AT_A_TIME, AT_A_TIME + 11]


def test_notices_of_a_client_that_rests_are_moved_in_portions_and_none_is_claimed_meanwhile(
    services: Services, make: Factories, receivers: list[Receiver], clock: FixedClock
) -> None:
    (name,) = add_clients(make, receivers[:1])
    ended(services, make.person().id, [name])
    many_more(services, AT_A_TIME + 10)
    resting = {name: clock.now() + LONG}
    with services.units.writing() as unit:
        notice_claims.take_turn(unit)
        notice_claims.let_rest(unit, resting, clock.now())
        places = Places(free=64, for_slow=16, slow=[name], silent=[name], resting=(name,))
        assert not notice_claims.claim(unit, places, clock.now())
    assert due(services, clock.now()) == 11 and due(services, clock.now() + LONG) == AT_A_TIME + 11


def test_worker_delivers_all_that_waited_while_its_client_was_away(
    services: Services, make: Factories, receivers: list[Receiver], clock: FixedClock
) -> None:
    receivers[0].behaviour = status(503)
    (name,) = add_clients(make, receivers[:1])
    ended(services, make.person().id, [name], number=30)
    worker = delivery(services)
    assert worker.run() == 0
    receivers[0].behaviour = status(200)
    for _ in range(12):
        clock.move(timedelta(minutes=1))
        worker.run()
    assert set(states(services)) == {"delivered"}
