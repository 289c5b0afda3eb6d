"""Reading and writing consents."""

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.orm import Session

from idp.consents.models import Consent


def granted_scope(session: Session, account_id: int, client_id: str) -> frozenset[str]:
    """The scope values that the account allowed the client; empty when it never did."""
    consent = session.get(Consent, (account_id, client_id))
    return frozenset(consent.scope.split()) if consent else frozenset()


def grant(session: Session, account_id: int, client_id: str, scope: frozenset[str], now: datetime) -> None:
    """These scope values are allowed from now on, besides those that already were."""
    consent = session.get(Consent, (account_id, client_id))
    allowed = " ".join(sorted(scope | granted_scope(session, account_id, client_id)))
    if consent is None:
        session.add(Consent(account_id=account_id, client_id=client_id, scope=allowed, granted_at=now))
    else:
        consent.scope, consent.granted_at = allowed, now
    session.flush()  # the next check in this unit of work reads it


def withdraw(session: Session, account_id: int, client_id: str, value: str) -> None:
    """This one value of the scope is not allowed any more."""
    consent = session.get(Consent, (account_id, client_id))
    if consent is not None:
        consent.scope = " ".join(each for each in consent.scope.split() if each != value)
        session.flush()


def revoke(session: Session, account_id: int, client_id: str) -> None:
    """The client is a stranger again. Its offline access, if it has any, is ended by `oidc.offline_access`."""
    session.execute(delete(Consent).where(Consent.account_id == account_id, Consent.client_id == client_id))
