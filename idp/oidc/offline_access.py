"""Access while nobody is signed in (OIDC Core 11): refresh tokens that belong to no session.

asked for      scope `offline_access` with `prompt=consent`, by a client that is registered for it and for refresh
               tokens; otherwise it is ignored. The person is asked each time, also for first-party clients
held           while the account is not blocked and the consent stands, and nothing happened since that makes old
               proofs void: a reset by the service desk, a new password, a block. Looked at anew at each use (A69)
ended          by its lifetime, by the client (revocation), or by `end`. Never by the end of a session
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from sqlalchemy import ColumnElement, exists, literal, or_, select
from sqlalchemy.orm import Session as Unit
from sqlalchemy.orm import aliased

from idp.accounts.models import Account
from idp.consents import record
from idp.consents.models import Consent
from idp.oidc.authorization_code import revoke_grant
from idp.oidc.clients import OFFLINE_ACCESS, Client
from idp.oidc.models import AccessToken, RefreshFamily


@dataclass(frozen=True)
class OfflineGrant:
    """Offline access that somebody gave a client, and that holds now."""

    family: RefreshFamily
    account: Account
    client: Client


@cache
def holds(token: type[RefreshFamily] | type[AccessToken]) -> ColumnElement[bool]:
    """Whether the offline access that a row without a session came from still holds, as a condition on the row.

    A statement's own conditions, so that there is no moment between looking and using. Made once: making it takes
    longer than asking.
    """
    # Rows of their own: the statement around may join the same tables.
    account, consent = aliased(Account), aliased(Consent)
    # A family lives on a proof that was given when somebody signed in, however late its code was redeemed.
    given_at = RefreshFamily.auth_time if token is RefreshFamily else token.issued_at
    good_account = exists().where(
        account.id == token.account_id,
        account.blocked_at.is_(None),
        or_(account.proofs_void_before.is_(None), account.proofs_void_before < given_at),
    )
    padded = literal(" ").concat(consent.scope).concat(literal(" "))
    standing_consent = exists().where(
        consent.account_id == token.account_id,
        consent.client_id == token.client_id,
        padded.contains(f" {OFFLINE_ACCESS} ", autoescape=True),
    )
    return good_account & standing_consent


def is_allowed(unit: Unit, account_id: int, client_id: str) -> bool:
    """True while the account allows the client to come when it is not signed in.

    Nobody takes that back before the unit of work is over: `end` sees what was issued in it.
    """
    consent = select(Consent.scope).where(Consent.account_id == account_id, Consent.client_id == client_id)
    return OFFLINE_ACCESS in (unit.scalar(consent.with_for_update()) or "").split()


def held(unit: Unit, now: datetime, *which: ColumnElement[bool]) -> Sequence[OfflineGrant]:
    """All offline access that holds now, the newest first."""
    rows = unit.execute(
        select(RefreshFamily, Account, Client)
        .join(Account, Account.id == RefreshFamily.account_id)
        .join(Client, Client.client_id == RefreshFamily.client_id)
        .where(*_live(now), holds(RefreshFamily), *which)
        .order_by(RefreshFamily.issued_at.desc(), RefreshFamily.grant_id)
    )
    return [OfflineGrant(*row) for row in rows]


def end(unit: Unit, account_id: int, client_id: str, because: str, now: datetime) -> int:
    """The client has no access to the account any more while nobody is signed in; how many authorizations that ended.

    It has to ask for consent anew. What belongs to a session lives on with it.
    """
    record.withdraw(unit, account_id, client_id, OFFLINE_ACCESS)
    of_both = RefreshFamily.account_id == account_id, RefreshFamily.client_id == client_id
    families = unit.scalars(
        select(RefreshFamily.grant_id).where(*_live(now), *of_both).order_by(RefreshFamily.grant_id)
    )
    return sum(revoke_grant(unit, grant_id, because, now) for grant_id in families.all())


def withdraw_consent(unit: Unit, account_id: int, client_id: str, now: datetime) -> None:
    """The client is a stranger to the account again, and its offline access has ended for good."""
    end(unit, account_id, client_id, "consent_withdrawn", now)
    record.revoke(unit, account_id, client_id)


def _live(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return RefreshFamily.session_id.is_(None), RefreshFamily.revoked_at.is_(None), RefreshFamily.expires_at > now
