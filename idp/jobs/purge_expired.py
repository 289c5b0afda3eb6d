"""How long every table that grows keeps its rows.

    authorization_codes    a day after they expire: a code that comes back later is refused all the same
    access_tokens          a day after they expire
    refresh_families       a day after they expire
    used_identifiers       a day after what they identify expires, when it is refused whether or not it was used
    pushed_authorization_requests  ten minutes after they expire, or after the last attempt that waits for one can be
                           answered: who comes later hears that there is none
    clients                those that registered themselves and that nobody ever signed in to, a day after they are gone
                           (decision 0034); of others that are gone the row stays (decision 0029)
    interactions           a day after their request can no longer be answered
    sessions               30 days after they ended, with their participations
    attempt_budgets        passwords, enrolments: a day after the last try, which gives nobody more tries than the waits
                           allow; second factors: for ever, because their count decides when a factor is disabled
    event_counts           a day after the last one
    sent_codes             two days after they expire: how many were sent in a day decides whether another one is
    known_devices          90 days after they were last used, unless configuration says otherwise
    campaign_mails, resets 400 days
    outbox_messages        logout notices: as long as their session, and 30 days at least, so that receipts stay whole;
                           others 7 days when they were delivered, 30 days otherwise, long after their last try
    audit_events           400 days, in the order of the chain, and never the newest one in it
    audit_chain            with its events; the last link before those that are left stays, as what they hang on

The rest holds what somebody set up or enrolled, and grows with the number of people only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, and_, delete, exists, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, aliased
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import CampaignMail, KnownDevice, Reset
from idp.admin.client_end import end_unused
from idp.attempts.models import AttemptBudget, EventCount
from idp.audit.trail import AuditEvent, AuditLink
from idp.consents.models import Consent
from idp.factors.models import SentCode
from idp.kernel.clock import Clock
from idp.oidc.backchannel_logout import KIND as NOTICE
from idp.oidc.clients import Client
from idp.oidc.models import (
    AccessToken,
    AuthorizationCode,
    PushedAuthorizationRequest,
    RefreshFamily,
    UsedIdentifier,
)
from idp.outbox.models import OutboxMessage
from idp.sessions.models import Participation, Session
from idp.signin.interaction import Interaction
from idp.store.units import UnitsOfWork

BATCH = 500
DAY = timedelta(days=1)
SESSIONS = 30 * DAY
DELIVERED = 7 * DAY
UNDELIVERED = 30 * DAY
AUDIT = 400 * DAY
LATE = timedelta(minutes=10)
# Five free tries after a day without any are fewer than the waits would have allowed in that day.
FORGOTTEN_ATTEMPTS = ("password", "enrolment")


@dataclass(frozen=True)
class Retention:
    """Which rows of a table may go, by its key and in this order; with them the rows of `parts` that belong to them."""

    key: InstrumentedAttribute[Any]
    may_go: Callable[[datetime], ColumnElement[bool]]
    parts: Sequence[InstrumentedAttribute[Any]] = ()
    order: Any = None

    @property
    def tables(self) -> Sequence[str]:
        """The tables that this empties."""
        return tuple(column.class_.__tablename__ for column in (self.key, *self.parts))


def retentions(request_lifetime: timedelta, known_device_lifetime: timedelta = 90 * DAY) -> Sequence[Retention]:
    """Every table that grows; those that point to another one come before it."""
    return (
        Retention(AuthorizationCode.code_hash, lambda now: AuthorizationCode.expires_at < now - DAY),
        Retention(AccessToken.token_hash, lambda now: AccessToken.expires_at < now - DAY),
        Retention(RefreshFamily.grant_id, lambda now: RefreshFamily.expires_at < now - DAY),
        Retention(UsedIdentifier.key, lambda now: UsedIdentifier.expires_at < now - DAY),
        Retention(
            PushedAuthorizationRequest.request_uri_hash, lambda now: _pushed_may_go(now - LATE, request_lifetime)
        ),
        Retention(Interaction.id, lambda now: Interaction.last_activity_at < now - request_lifetime - DAY),
        Retention(Client.client_id, _clients_may_go),
        Retention(Session.id, _sessions_may_go, parts=(Participation.session_id,)),
        Retention(AttemptBudget.key, _attempts_may_go),
        Retention(EventCount.key, lambda now: EventCount.updated_at < now - DAY),
        Retention(SentCode.id, lambda now: SentCode.expires_at < now - 2 * DAY),
        Retention(KnownDevice.device_hash, lambda now: KnownDevice.last_used_at < now - known_device_lifetime),
        Retention(CampaignMail.account_id, lambda now: CampaignMail.enqueued_at < now - AUDIT),
        Retention(Reset.id, lambda now: Reset.at < now - AUDIT),
        Retention(OutboxMessage.id, _messages_may_go),
        Retention(AuditEvent.id, _events_may_go, order=_place_in_chain()),
        Retention(AuditLink.position, _links_may_go),
    )


def purge(
    units: UnitsOfWork, clock: Clock, request_lifetime: timedelta, known_device_lifetime: timedelta = 90 * DAY
) -> dict[str, int]:
    """Nothing older than its time is left; how many rows of each table were deleted."""
    deleted: dict[str, int] = {}
    while _end_unused_clients(units, clock.now()) == BATCH:
        continue
    for retention in retentions(request_lifetime, known_device_lifetime):
        while (number := _delete_some(units, retention, clock.now())) > 0:
            deleted[retention.tables[0]] = deleted.get(retention.tables[0], 0) + number
    return deleted


def _end_unused_clients(units: UnitsOfWork, now: datetime) -> int:
    with units.writing() as unit:
        return end_unused(unit, now, BATCH)


def _delete_some(units: UnitsOfWork, retention: Retention, now: datetime) -> int:
    """The number of rows that were deleted; each unit is short, because on SQLite everybody waits for it."""
    query = select(retention.key).where(retention.may_go(now)).order_by(retention.order).limit(BATCH)
    with units.reading() as unit:
        keys = unit.scalars(query).all()
    if not keys:
        return 0
    with units.writing() as unit:
        for part in retention.parts:
            _delete(unit, part, part.in_(keys))
        # Asked again: a row may have come to life since, as a counter does with another try.
        return _delete(unit, retention.key, and_(retention.key.in_(keys), retention.may_go(now)))


def _delete(unit: Unit, column: InstrumentedAttribute[Any], condition: ColumnElement[bool]) -> int:
    statement = delete(column.class_).where(condition).returning(column)
    return len(unit.execute(statement.execution_options(synchronize_session=False)).all())


def _sessions_may_go(now: datetime) -> ColumnElement[bool]:
    """Ended long ago, and nothing speaks of them any more."""
    speaking = (AuthorizationCode, AccessToken, RefreshFamily, Interaction)
    silent = [~exists().where(model.session_id == Session.id) for model in speaking]
    return and_(Session.ended_at < now - SESSIONS, *silent)


def _pushed_may_go(before: datetime, request_lifetime: timedelta) -> ColumnElement[bool]:
    """Nobody waits for the answer, or nobody could be given one any more; one without its row is used up anyway."""
    pushed = PushedAuthorizationRequest
    nobody_waits = or_(pushed.begun_at.is_(None), pushed.completed_at.is_not(None))
    return and_(pushed.expires_at < before, or_(nobody_waits, pushed.expires_at < before - request_lifetime))


def _clients_may_go(now: datetime) -> ColumnElement[bool]:
    """Nobody ever signed in to it, so little more than an attempt, or a request that was pushed, can speak of it."""
    speaking = (Interaction, PushedAuthorizationRequest, AuthorizationCode, AccessToken, RefreshFamily, Consent)
    silent = [~exists().where(model.client_id == Client.client_id) for model in speaking]
    return and_(Client.unused_until.is_not(None), Client.deleted_at < now - DAY, *silent)


def _attempts_may_go(now: datetime) -> ColumnElement[bool]:
    return and_(AttemptBudget.kind.in_(FORGOTTEN_ATTEMPTS), AttemptBudget.updated_at < now - DAY)


def _place_in_chain() -> ScalarSelect[int]:
    return select(AuditLink.position).where(AuditLink.event_id == AuditEvent.id).scalar_subquery()


def _events_may_go(now: datetime) -> ColumnElement[bool]:
    """Old, and so is everything before it in the chain: what is left hangs together (see `audit.chain`)."""
    link, young = aliased(AuditLink), aliased(AuditEvent)
    joined = select(link.position).join(young, young.id == link.event_id)
    first_young = joined.where(young.at >= now - AUDIT).order_by(link.position).limit(1).scalar_subquery()
    # SQLite would give the number of the newest event again, and the chain knows it already.
    newest = select(func.max(link.position)).scalar_subquery()
    goes_no_further = func.coalesce(first_young, newest)
    place = _place_in_chain()
    return and_(AuditEvent.at < now - AUDIT, or_(place.is_(None), place < goes_no_further))


def _links_may_go(now: datetime) -> ColumnElement[bool]:
    """Their event is gone, and that of the next link too."""
    following, of_following = aliased(AuditLink), aliased(AuditEvent)
    own = exists().where(AuditEvent.id == AuditLink.event_id)
    next_one = exists().where(following.position == AuditLink.position + 1, of_following.id == following.event_id)
    is_last = ~exists().where(following.position == AuditLink.position + 1)
    return and_(~own, ~next_one, ~is_last)


def _messages_may_go(now: datetime) -> ColumnElement[bool]:
    is_old = OutboxMessage.created_at < now - UNDELIVERED
    has_session = exists().where(Session.sid == OutboxMessage.subject)
    return or_(
        and_(OutboxMessage.kind == NOTICE, is_old, ~has_session),
        and_(OutboxMessage.kind != NOTICE, or_(OutboxMessage.delivered_at < now - DELIVERED, is_old)),
    )
