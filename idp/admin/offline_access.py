"""Offline access, as administrators see it: which applications have it, and ending it."""

from collections.abc import Sequence

from sqlalchemy import ColumnElement

from idp.accounts.models import Account
from idp.accounts.names import canonical
from idp.admin import accounts, organizations
from idp.audit.events import OfflineAccessEnded
from idp.audit.trail import Trail
from idp.kernel.clock import Clock
from idp.kernel.errors import Refused
from idp.oidc import clients, offline_access
from idp.oidc.models import RefreshFamily
from idp.oidc.offline_access import OfflineGrant
from idp.store.units import UnitsOfWork

LONGEST_ACTOR = 100


class OfflineAccess:
    """The use cases. `actor` is who ends it; the person ends their own without."""

    def __init__(self, units: UnitsOfWork, clock: Clock, trail: Trail) -> None:
        self._units, self._clock, self._trail = units, clock, trail

    def list(self, org_code: str | None = None, username: str | None = None) -> Sequence[OfflineGrant]:
        """What holds now, the newest first: of all, an organisation, a username, or one account. Raises Refused."""
        with self._units.reading() as unit:
            which: list[ColumnElement[bool]] = []
            if org_code is not None and username is not None:
                which.append(RefreshFamily.account_id == accounts.found(unit, org_code, username).id)
            elif org_code is not None:
                which.append(Account.organization_id == organizations.found(unit, org_code).id)
            elif username is not None:
                which.append(Account.username == canonical(username))
            return offline_access.held(unit, self._clock.now(), *which)

    def end(self, org_code: str, username: str, client_id: str | None = None, *, actor: str | None = None) -> int:
        """This client, or every one, has no offline access to the account any more; how many authorizations ended.

        What applications have by a session of the person stays. Raises Refused for names that are unknown.
        """
        if actor is not None and not (0 < len(actor.strip()) <= LONGEST_ACTOR and actor.isprintable()):
            raise Refused("offline_access.actor", f"actor is one line of at most {LONGEST_ACTOR} characters")
        with self._units.writing() as unit:
            account = accounts.locked(unit, org_code, username)
            if client_id is not None and clients.find(unit, client_id) is None:
                raise Refused("client.unknown", f"there is no client {client_id!r}")
            now = self._clock.now()
            held = offline_access.held(unit, now, RefreshFamily.account_id == account.id)
            having = sorted({grant.client.client_id for grant in held if client_id in (None, grant.client.client_id)})
            ended = 0
            for each in having:
                number = offline_access.end(unit, account.id, each, "ended", now)
                self._trail.record(
                    unit,
                    OfflineAccessEnded(
                        authorizations=number,
                        client_id=each,
                        account_id=account.id,
                        organization_id=account.organization_id,
                        actor=actor.strip() if actor else None,
                    ),
                )
                ended += number
        return ended
