"""Receipts say, for each client that took part in a session, what became of its notice."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, update

from idp.kernel.clock import FixedClock
from idp.oidc.clients import Client
from idp.oidc.receipts import Receipt, of_session
from idp.outbox.models import OutboxMessage
from idp.sessions.lifecycle import EndReason, Proven
from idp.sessions.models import Session
from idp.wiring import Services
from tests.conftest import START
from tests.factories import Factories

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
BACKCHANNEL = "https://app.example/backchannel"


class OneSession:
    """A session in which Atosi and Rapportages take part, in this order."""

    def __init__(self, services: Services, make: Factories, clock: FixedClock) -> None:
        self.services, self.clock = services, clock
        somebody = make.person()
        make.client("rapportages", backchannel_logout_uri=BACKCHANNEL)
        make.client("atosi", backchannel_logout_uri=BACKCHANNEL)
        with services.units.writing() as unit:
            session = services.sessions.open(unit, somebody.id, Proven(1, "acr/1", ["pwd"], START, None)).session
            self.id, self.sid = session.id, session.sid
        for client_id in ("atosi", "rapportages"):
            with services.units.writing() as unit:
                services.sessions.join(unit, self.id, client_id)
            clock.move(SECOND)

    def end(self, reason: EndReason = "logout") -> None:
        with self.services.units.writing() as unit:
            session = unit.get(Session, self.id)
            assert session is not None
            assert self.services.sessions.end(unit, session, reason)

    def notice(self, client_id: str, **columns: Any) -> None:
        with self.services.units.writing() as unit:
            unit.execute(update(OutboxMessage).where(OutboxMessage.receiver == client_id).values(**columns))

    def receipts(self) -> list[Receipt]:
        with self.services.units.reading() as unit:
            return list(of_session(unit, self.sid, self.clock.now()))

    def outcomes(self) -> dict[str, str]:
        return {receipt.client_id: receipt.outcome for receipt in self.receipts()}


@pytest.fixture
def session(services: Services, make: Factories, clock: FixedClock) -> OneSession:
    return OneSession(services, make, clock)


def test_live_session_has_no_receipts(session: OneSession) -> None:
    assert session.receipts() == []


def test_unknown_session_has_no_receipts(session: OneSession) -> None:
    session.end()
    with session.services.units.reading() as unit:
        assert list(of_session(unit, "no-such-sid", session.clock.now())) == []


def test_ended_session_waits_for_everybody_who_took_part_in_the_order_they_joined(session: OneSession) -> None:
    session.end()
    assert session.receipts() == [
        Receipt("atosi", "Atosi", "waiting", 0, None, None),
        Receipt("rapportages", "Rapportages", "waiting", 0, None, None),
    ]


def test_session_over_by_the_clock_that_nobody_swept_waits_for_everybody(session: OneSession) -> None:
    session.clock.move(30 * MINUTE)
    assert session.outcomes() == {"atosi": "waiting", "rapportages": "waiting"}


def test_delivered_notice_of_a_logout_is_late_by_the_time_since_the_logout(session: OneSession) -> None:
    session.end()
    ended = session.clock.now()
    session.notice("atosi", delivered_at=ended + 3 * SECOND, tries=2, failure=None)
    assert session.receipts()[0] == Receipt("atosi", "Atosi", "delivered", 2, 3 * SECOND, None)
    assert session.outcomes()["rapportages"] == "waiting"


def test_delivered_notice_of_an_idle_end_is_late_by_the_time_since_the_deadline(session: OneSession) -> None:
    session.clock.set(START + 30 * MINUTE + 20 * SECOND)
    session.end("idle")
    session.notice("atosi", delivered_at=START + 30 * MINUTE + 25 * SECOND, tries=1)
    assert session.receipts()[0].delay == 25 * SECOND


@pytest.mark.parametrize(
    ("columns", "outcome"),
    [
        ({"tries": 1, "failure": "timeout"}, "failing"),
        ({"tries": 1, "failure": "http 403", "failed_at": START}, "refused"),
        ({"tries": 0, "failure": "client is gone", "failed_at": START}, "refused"),
        ({"tries": 0, "failure": "no address", "failed_at": START}, "no address"),
        ({"tries": 9, "failure": "expired", "failed_at": START}, "expired"),
        ({"tries": 9, "failure": "http 503", "expires_at": START}, "expired"),
    ],
)
def test_notice_that_was_not_delivered_says_why(session: OneSession, columns: dict[str, Any], outcome: str) -> None:
    session.end()
    session.notice("atosi", **columns)
    receipt = session.receipts()[0]
    assert (receipt.outcome, receipt.tries, receipt.delay) == (outcome, columns["tries"], None)
    assert receipt.failure == columns["failure"]


def test_notices_of_another_session_and_letters_about_this_one_are_no_receipts(
    session: OneSession, services: Services, make: Factories, clock: FixedClock
) -> None:
    session.end()
    with services.units.writing() as unit:
        unit.execute(update(OutboxMessage).where(OutboxMessage.receiver == "atosi").values(kind="mail"))
        unit.execute(update(OutboxMessage).where(OutboxMessage.receiver == "rapportages").values(subject="another"))
    assert session.receipts() == []


def test_client_that_is_gone_is_called_by_its_identifier(session: OneSession) -> None:
    session.end()
    with session.services.units.writing() as unit:
        unit.execute(delete(Client).where(Client.client_id == "atosi"))
    assert [receipt.client_name for receipt in session.receipts()] == ["atosi", "Rapportages"]
