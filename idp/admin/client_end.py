"""A client is gone, and everything that hangs on it has ended (RFC 7592 2.3)."""

from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session as Unit

from idp.consents.models import Consent
from idp.oidc.clients import Client
from idp.oidc.models import AccessToken, AuthorizationCode, PushedAuthorizationRequest, RefreshFamily

BECAUSE = "client deleted"
MOVED = "client moved"


def end(unit: Unit, client: Client, now: datetime) -> None:
    """No request of the client is answered any more, and none of its codes, tokens and requests is worth anything.

    Sessions go on. The row stays without anything that could be used, for the participations and receipts that name it
    and so that its identifier is never given again.
    """
    for model, ends in (
        (AuthorizationCode, {"used_at": now}),
        (RefreshFamily, {"revoked_at": now, "revoked_because": BECAUSE}),
        (AccessToken, {"revoked_at": now}),
        (PushedAuthorizationRequest, {"completed_at": now}),
    ):
        _update(unit, model, client.client_id, ends)
    _forget_consents(unit, client.client_id)
    client.deleted_at = client.updated_at = now
    client.token_endpoint_auth_method = "none"  # noqa: S105 - the name of a method, not a password
    client.client_secret_hash = client.client_secret_sealed = client.registration_access_token_hash = None
    client.jwks = client.jwks_uri = client.logo = client.logo_uri = None
    client.initiate_login_uri = client.backchannel_logout_uri = client.frontchannel_logout_uri = None
    client.redirect_uris, client.post_logout_redirect_uris, client.request_uris = [], [], []
    client.grant_types, client.response_types, client.contacts = [], [], []


def end_unused(unit: Unit, now: datetime, most: int) -> int:
    """Clients that registered themselves, and that nobody signed in to for as long as they were given, are gone; how
    many, which is no more than `most`. One statement, so that of this and a first sign-in one sees what the other did.
    """
    due = select(Client.client_id).where(Client.unused_until <= now, Client.deleted_at.is_(None)).limit(most)
    ended = (
        update(Client)
        .where(Client.client_id.in_(due), Client.unused_until <= now, Client.deleted_at.is_(None))
        .values(deleted_at=now)
        .returning(Client.client_id)
        .execution_options(synchronize_session=False)
    )
    return len(unit.execute(ended).all())


def forget_permissions(unit: Unit, client_id: str, now: datetime) -> None:
    """Nobody has allowed the client anything, and what it could do while nobody is signed in has ended."""
    families = update(RefreshFamily).where(
        RefreshFamily.client_id == client_id, RefreshFamily.session_id.is_(None), RefreshFamily.revoked_at.is_(None)
    )
    unit.execute(families.values(revoked_at=now, revoked_because=MOVED).execution_options(synchronize_session=False))
    _forget_consents(unit, client_id)


def _forget_consents(unit: Unit, client_id: str) -> None:
    unit.execute(delete(Consent).where(Consent.client_id == client_id).execution_options(synchronize_session=False))


def _update(unit: Unit, model: Any, client_id: str, ends: dict[str, Any]) -> None:
    unit.execute(
        update(model)
        .where(model.client_id == client_id, *(getattr(model, name).is_(None) for name in list(ends)[:1]))
        .values(ends)
        .execution_options(synchronize_session=False)
    )
