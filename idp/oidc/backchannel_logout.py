"""LogoutNotices: a client is told that a session ended (OIDC Back-Channel Logout 1.0).

Ending a session leaves one message in the outbox for each client that took part, in the same transaction. The logout
token itself is made when the message is sent, fresh at each try.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account
from idp.outbox.queue import enqueue
from idp.sessions.models import Session

KIND = "logout_notice"


class LogoutNotices:
    """Listens to `sessions.lifecycle.end`."""

    def session_ended(self, unit: Unit, session: Session, client_ids: Sequence[str], now: datetime) -> None:
        """Each participating client has a notice waiting."""
        sub = unit.scalar(select(Account.sub).where(Account.id == session.account_id))
        for client_id in client_ids:
            enqueue(unit, KIND, client_id, {"sid": session.sid, "sub": sub}, now, subject=session.sid)
