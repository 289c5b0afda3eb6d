"""Pushed authorization requests, as they are kept (RFC 9126 2.2 and 4).

A `request_uri` belongs to the client that pushed, can be opened for a short while, as often as somebody likes, and is
dead as soon as what it asks for was answered. It is 256 random bits, of which the hash is stored.
"""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Unit

from idp.kernel.secrets import hash_secret, random_token
from idp.oidc.models import PushedAuthorizationRequest as Pushed
from idp.store import rows

PREFIX = "urn:ietf:params:oauth:request_uri:"


def new_request_uri() -> str:
    """One that nobody can guess."""
    return PREFIX + random_token()


def name_of(request_uri: str) -> str:
    """How a stored request remembers what it was pushed as; it opens nothing."""
    return hash_secret(request_uri).hex()


def keep(
    unit: Unit, request_uri: str, client_id: str, request: dict[str, object], now: datetime, expires_at: datetime
) -> None:
    """The client can send browsers with this `request_uri` from now on."""
    rows.add(
        unit,
        Pushed,
        request_uri_hash=hash_secret(request_uri),
        client_id=client_id,
        request=request,
        pushed_at=now,
        expires_at=expires_at,
    )


def find(unit: Unit, request_uri: str, client_id: str) -> Pushed | None:
    """What this client pushed under this name, also when it is over; None for what another one did."""
    query = select(Pushed).where(Pushed.request_uri_hash == hash_secret(request_uri), Pushed.client_id == client_id)
    return unit.scalars(query).one_or_none()


def begin(unit: Unit, name: str, client_id: str, now: datetime) -> None:
    """An attempt waits for its answer: the request is kept as long as that can be given."""
    unit.execute(
        update(Pushed)
        .where(Pushed.request_uri_hash == bytes.fromhex(name), Pushed.client_id == client_id)
        .values(begun_at=now)
        .execution_options(synchronize_session=False)
    )


def complete(unit: Unit, name: str, client_id: str, now: datetime) -> bool:
    """True when it was not answered yet; from now on it is. One statement, of a hundred at once one is the first."""
    completed = (
        update(Pushed)
        .where(
            Pushed.request_uri_hash == bytes.fromhex(name),
            Pushed.client_id == client_id,
            Pushed.completed_at.is_(None),
        )
        .values(completed_at=now)
        .returning(Pushed.request_uri_hash)
        .execution_options(synchronize_session=False)
    )
    return unit.execute(completed).one_or_none() is not None
