"""What the tests of the service desk share: the desk itself, and eyes on what it leaves behind."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select

from idp.accounts.models import Account, KnownDevice, Reset
from idp.factors.models import Credential, SentCode
from idp.mail.letters import Letter
from idp.outbox.models import OutboxMessage
from idp.sessions.models import Session
from idp.wiring import Services

TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
RESET: dict[str, Any] = {"reason": "Telefoon kwijt", "caller_checked": "Teruggebeld", "actor": "karin"}
ACTOR = {"actor": "karin"}


def reset(services: Services, username: str = "anna") -> Reset:
    return services.service_desk.reset("10234", username, **RESET)


def undo(services: Services, username: str = "anna") -> Reset:
    return services.service_desk.undo_reset("10234", username, **ACTOR)


def account(services: Services, username: str = "anna") -> Account:
    return services.accounts.show("10234", username).account


def change(services: Services, account_id: int, **values: Any) -> None:
    """The account as a test needs it."""
    with services.units.writing() as unit:
        found = unit.get_one(Account, account_id)
        for name, value in values.items():
            setattr(found, name, value)


def enrol(services: Services, account_id: int, method: str = "email", **values: Any) -> int:
    """Something is enrolled now."""
    with services.units.writing() as unit:
        credential = Credential(account_id=account_id, method=method, enrolled_at=services.clock.now(), **values)
        unit.add(credential)
        unit.flush()
        return credential.id


def in_force(services: Services, account_id: int) -> list[str]:
    with services.units.reading() as unit:
        query = select(Credential.method).filter_by(account_id=account_id, withdrawn_at=None).order_by(Credential.id)
        return list(unit.scalars(query))


def know_device(services: Services, account_id: int, device: bytes = b"a browser") -> None:
    now = services.clock.now()
    with services.units.writing() as unit:
        unit.add(KnownDevice(account_id=account_id, device_hash=device, created_at=now, last_used_at=now))


def send_code(services: Services, account_id: int, purpose: str = "verification") -> int:
    now = services.clock.now()
    hashes = dict.fromkeys(("browser_hash", "address_hash", "code_hash"), b"hash")
    code = SentCode(
        account_id=account_id, method="email", purpose=purpose, created_at=now, expires_at=now + 10 * MINUTE, **hashes
    )
    with services.units.writing() as unit:
        unit.add(code)
        unit.flush()
        return code.id


def spent(services: Services) -> dict[int, datetime | None]:
    """When each code that was sent was spent."""
    with services.units.reading() as unit:
        return {code.id: code.used_at for code in unit.scalars(select(SentCode))}


def sessions_of(services: Services, account_id: int) -> list[str | None]:
    """Why each session of the account ended; None for one that goes on."""
    with services.units.reading() as unit:
        query = select(Session.end_reason).filter_by(account_id=account_id).order_by(Session.id)
        return list(unit.scalars(query))


def letters(services: Services, name: str | None = None) -> list[Letter]:
    """The letters in the outbox, in the order in which they were put there."""
    with services.units.reading() as unit:
        rows = unit.scalars(select(OutboxMessage).filter_by(kind="mail").order_by(OutboxMessage.id)).all()
    found = [services.post.open(row.payload_sealed).letter for row in rows if row.payload_sealed is not None]
    return [letter for letter in found if name in (None, letter.name)]
