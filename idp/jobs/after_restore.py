"""After a backup was put back: nothing that the backup brings to life again opens anything.

What was used, ended or revoked since the backup is unused, live and valid in it: pushed requests, authorization codes,
refresh tokens, initial access tokens, sessions, codes by mail, and every code of an authenticator app up to now.
`restored` draws a line under all of them. People sign in again; passwords and enrolled second factors are those of the
backup.

Identifiers that were used since are forgotten: those of client assertions and proofs of keys are too old ten minutes
later, those of request objects when these expire (docs/operations.md). Clients that nobody used in the backup stay.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account
from idp.audit.events import DatabaseRestored
from idp.audit.trail import Trail
from idp.factors.models import Credential, SentCode
from idp.factors.totp import STEP_SECONDS, STEPS_EITHER_SIDE
from idp.kernel.clock import Clock
from idp.mail.post import KIND as MAIL
from idp.oidc.clients import Client
from idp.oidc.models import (
    AccessToken,
    AuthorizationCode,
    InitialAccessToken,
    PushedAuthorizationRequest,
    RefreshFamily,
)
from idp.outbox.models import OutboxMessage
from idp.sessions.lifecycle import Sessions
from idp.sessions.models import Session
from idp.signin.interaction import Interaction
from idp.store.units import UnitsOfWork

BECAUSE = "restored"


@dataclass(frozen=True)
class Restored:
    """How many there were of what is over now."""

    sessions: int
    interactions: int
    codes: int
    refresh_tokens: int
    access_tokens: int
    sent_codes: int
    apps: int
    pushed_requests: int
    initial_access_tokens: int


def restored(units: UnitsOfWork, clock: Clock, trail: Trail, sessions: Sessions) -> Restored:
    """All of it in one transaction, with its event; applications are told of the sessions that ended.

    To be run once, before the provider is started on the restored database.
    """
    with units.writing() as unit:
        now = clock.now()
        # In the order in which everybody locks (see `store.units`), should the provider run all the same.
        has_session = select(Session.account_id).where(Session.ended_at.is_(None))
        everybody = select(Account.id).where(Account.id.in_(has_session)).order_by(Account.id)
        unit.execute(everybody.with_for_update(key_share=True))
        # Whether somebody signed in to them since the backup nobody knows.
        unit.execute(_quietly(update(Client).where(Client.unused_until.is_not(None)).values(unused_until=None)))
        interactions = _close_interactions(unit, now)
        live = unit.scalars(select(Session).where(Session.ended_at.is_(None)).order_by(Session.id)).all()
        ended = sum(sessions.end(unit, session, "ended_by_administrator") for session in live)
        over = Restored(
            sessions=ended,
            interactions=interactions,
            codes=_expire_codes(unit, now),
            refresh_tokens=_revoke(unit, RefreshFamily, {"revoked_at": now, "revoked_because": BECAUSE}),
            access_tokens=_revoke(unit, AccessToken, {"revoked_at": now}),
            sent_codes=_spend_sent_codes(unit, now),
            apps=_raise_steps(unit, now),
            pushed_requests=_complete_pushed(unit, now),
            initial_access_tokens=_number(
                unit,
                update(InitialAccessToken).where(InitialAccessToken.revoked_at.is_(None)).values(revoked_at=now),
                InitialAccessToken.id,
            ),
        )
        trail.record(unit, DatabaseRestored(ended=dict(vars(over))))
        return over


def _close_interactions(unit: Unit, now: datetime) -> int:
    """The browser may begin each of them again, with nothing proven."""
    values = {"finished_at": now, "finished_how": "begun_again", "enrolling_sealed": None}
    return _number(unit, update(Interaction).where(Interaction.finished_at.is_(None)).values(values), Interaction.id)


def _expire_codes(unit: Unit, now: datetime) -> int:
    alive = AuthorizationCode.used_at.is_(None), AuthorizationCode.expires_at > now
    statement = update(AuthorizationCode).where(*alive).values(expires_at=now)
    return _number(unit, statement, AuthorizationCode.code_hash)


def _revoke(unit: Unit, model: type[RefreshFamily] | type[AccessToken], values: dict[str, Any]) -> int:
    return _number(unit, update(model).where(model.revoked_at.is_(None)).values(values), model.grant_id)


def _spend_sent_codes(unit: Unit, now: datetime) -> int:
    """Neither taken nor, where their mail still waits, sent."""
    waiting = OutboxMessage.kind == MAIL, OutboxMessage.delivered_at.is_(None), OutboxMessage.expires_at > now
    unit.execute(_quietly(update(OutboxMessage).where(*waiting).values(expires_at=now)))
    alive = SentCode.used_at.is_(None), SentCode.expires_at > now
    return _number(unit, update(SentCode).where(*alive).values(used_at=now), SentCode.id)


def _raise_steps(unit: Unit, now: datetime) -> int:
    """No code counts that an authenticator app shows up to the last step that is accepted now."""
    last = int(now.timestamp()) // STEP_SECONDS + STEPS_EITHER_SIDE
    behind = or_(Credential.last_step.is_(None), Credential.last_step < last)
    statement = update(Credential).where(Credential.method == "totp", behind).values(last_step=last)
    return _number(unit, statement, Credential.id)


def _complete_pushed(unit: Unit, now: datetime) -> int:
    """Also for an attempt that one of them began: its application asks anew."""
    pushed = PushedAuthorizationRequest
    statement = update(pushed).where(pushed.completed_at.is_(None)).values(completed_at=now)
    return _number(unit, statement, pushed.request_uri_hash)


def _number(unit: Unit, statement: Any, key: Any) -> int:
    return len(unit.execute(_quietly(statement.returning(key))).all())


def _quietly(statement: Any) -> Any:
    return statement.execution_options(synchronize_session=False)
