"""Clients that are registered to tell that their user is active, and never do: who works in them is signed out."""

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.oidc.clients import Client
from idp.sessions.models import Participation, Session

# A person who only looks up something quickly makes no application wrong; this many do.
LOOKED_AT = 20


def is_silent(unit: Unit, client: Client) -> bool:
    """True when the client told of no activity in the last 20 ended sessions in which it took part.

    One that is registered to tell nothing is never wrong, and one with fewer sessions is not known well enough.
    """
    if client.session_activity == "none":
        return False
    last = (
        select(Participation.signalled_at)
        .join(Session, Session.id == Participation.session_id)
        .where(Participation.client_id == client.client_id, Session.ended_at.is_not(None))
        .order_by(Participation.joined_at.desc())
        .limit(LOOKED_AT)
    )
    signals = unit.scalars(last).all()
    return len(signals) == LOOKED_AT and not any(signals)
