"""Sessions of a test that end, and the notices that tell their clients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet
from sqlalchemy import select

from idp.egress.guarded import GuardedClient
from idp.jobs.deliver_logout_notices import LogoutNoticeDelivery
from idp.kernel.clock import Clock
from idp.kernel.levels import PASSWORD
from idp.oidc.backchannel_logout import LogoutTokens, NoticeObserver, Outcome
from idp.oidc.keys import ALGORITHMS
from idp.oidc.signatures import Registry
from idp.outbox.models import OutboxMessage
from idp.sessions.lifecycle import EndReason, Proven
from idp.sessions.models import Session
from idp.wiring import Services
from tests.conftest import ISSUER, START
from tests.egress.receivers import Receiver
from tests.factories import Factories

# So long that only a client that hangs meets it, however busy the machine is.
TIMEOUT = timedelta(seconds=20)


@dataclass
class Observed:
    """What an observer is told."""

    settled: list[tuple[str, Outcome, timedelta | None]] = field(default_factory=list)

    def notice_settled(self, client_id: str, outcome: Outcome, delay: timedelta | None) -> None:
        self.settled.append((client_id, outcome, delay))


def delivery(
    services: Services,
    observer: NoticeObserver | None = None,
    timeout: timedelta = TIMEOUT,
    clock: Clock | None = None,
    client: GuardedClient | None = None,
) -> LogoutNoticeDelivery:
    """What a worker of `services` delivers with."""
    clock = clock or services.clock
    tokens = LogoutTokens(services.keys, clock, ISSUER)
    client = client or GuardedClient(allow_loopback=True, timeout=timeout)
    # Ticks that go with the test's clock: what a try took is what the test says.
    return LogoutNoticeDelivery(services.units, clock, tokens, client, observer, lambda: clock.now() - START)


def add_clients(make: Factories, receivers: Sequence[Receiver], **values: Any) -> list[str]:
    """A client for each receiver."""
    names = [f"app-{number}" for number in range(len(receivers))]
    for name, receiver in zip(names, receivers, strict=True):
        make.client(name, backchannel_logout_uri=receiver.url, **values)
    return names


def open_session(services: Services, account_id: int, client_ids: Sequence[str]) -> int:
    """A session in which these clients take part."""
    with services.units.writing() as unit:
        now = services.clock.now()
        proven = Proven(level=PASSWORD, acr="acr", amr=["pwd"], auth_time=now, postponed_until=None)
        session = services.sessions.open(unit, account_id, proven).session
        for client_id in client_ids:
            services.sessions.join(unit, session.id, client_id)
        return session.id


def end_session(services: Services, session_id: int, reason: EndReason = "logout") -> str:
    """Its `sid`, once it has ended."""
    with services.units.writing() as unit:
        session = unit.get_one(Session, session_id)
        assert services.sessions.end(unit, session, reason)
        return session.sid


def ended(services: Services, account_id: int, client_ids: Sequence[str], number: int = 1) -> list[str]:
    """The `sid`s of sessions that were opened and ended."""
    return [end_session(services, open_session(services, account_id, client_ids)) for _ in range(number)]


def rows(services: Services, **values: Any) -> Sequence[Mapping[str, Any]]:
    """Every column of the notices, in the order in which they were written."""
    table = OutboxMessage.__table__
    query = select(table).where(OutboxMessage.kind == "logout_notice").filter_by(**values).order_by(OutboxMessage.id)
    with services.units.reading() as unit:
        return [dict(row) for row in unit.execute(query).mappings()]


def states(services: Services) -> list[str]:
    """What became of each notice, in few words."""
    return [_state(row) for row in rows(services)]


def _state(row: Mapping[str, Any]) -> str:
    if row["delivered_at"] is not None:
        return "delivered"
    return f"final: {row['failure']}" if row["failed_at"] is not None else f"waiting: {row['failure']}"


def claims_of(services: Services, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a logout token, verified as a client does, with the keys that are published."""
    keys = KeySet.import_key_set(services.keys.published())  # type: ignore[arg-type]
    decoded = jwt.decode(token, keys, registry=Registry(ALGORITHMS))
    return dict(decoded.header), dict(decoded.claims)
