"""Letters in the outbox of a test, and what became of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from idp.jobs.send_mail import MailSender
from idp.kernel.clock import Clock
from idp.mail.letters import Letter
from idp.mail.post import MailState
from idp.mail.relay import Relay
from idp.outbox.models import OutboxMessage
from idp.settings import MailSettings
from idp.wiring import Services
from tests.conftest import ISSUER
from tests.mail.letters_of_all_kinds import code_letter
from tests.services.ports import LOOPBACK

TIMEOUT = timedelta(seconds=2)
SENDER = "Inloggen <no-reply@login.example>"


def mail_settings(port: int, timeout: timedelta = TIMEOUT) -> dict[str, Any]:
    """The table [mail] of the settings, for a relay on this machine."""
    return {"host": LOOPBACK, "port": port, "tls": "none", "sender": SENDER, "timeout": timeout}


def relay_at(port: int, timeout: timedelta = TIMEOUT) -> Relay:
    return Relay(MailSettings(**mail_settings(port, timeout)), ISSUER)


def sender(
    services: Services, port: int | None, clock: Clock | None = None, timeout: timedelta = TIMEOUT
) -> MailSender:
    """What a worker of `services` sends with, to the relay on this port."""
    relay = None if port is None else relay_at(port, timeout)
    return MailSender(services.units, clock or services.clock, services.post, relay)


def enqueue(services: Services, letter: Letter | None = None, expires_at: datetime | None = None) -> int:
    with services.units.writing() as unit:
        return services.post.enqueue(unit, letter or code_letter(), expires_at)


def state(services: Services, message_id: int) -> MailState:
    with services.units.reading() as unit:
        return services.post.state(unit, message_id)


def row(services: Services, message_id: int) -> Mapping[str, Any]:
    """Every column of a message."""
    with services.units.reading() as unit:
        return unit.execute(select(OutboxMessage.__table__).where(OutboxMessage.id == message_id)).mappings().one()
