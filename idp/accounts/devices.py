"""Browsers in which somebody signed in before.

A known device has tries of its own for the password of that account: whoever guesses from elsewhere does not lock its
person out, and whoever steals its cookie has one more budget and nothing else. It stands for no proof whatsoever.
"""

from datetime import timedelta

from sqlalchemy import delete, exists, select
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account, KnownDevice, Organization
from idp.kernel.clock import Clock
from idp.kernel.secrets import hash_secret, random_token
from idp.store.dialects import insert_or

# Somebody whose browser keeps no cookies leaves a new device behind each time.
MOST = 20


class Devices:
    """The known devices of all accounts."""

    def __init__(self, clock: Clock, lifetime: timedelta) -> None:
        self._clock, self.lifetime = clock, lifetime

    def remember(self, unit: Unit, account_id: int, secret: str | None = None) -> str:
        """The browser with this cookie is known for the account; the secret that its cookie holds from now on.

        To be called where a session opens, under the account's lock. A secret that we never gave out, or have forgotten
        since, is replaced: nobody else chooses what makes a device known.
        """
        if secret is None or not self._was_given_out(unit, hash_secret(secret)):
            secret = random_token()
        now = self._clock.now()
        statement = insert_or(unit, KnownDevice).values(
            account_id=account_id, device_hash=hash_secret(secret), created_at=now, last_used_at=now
        )
        unit.execute(
            statement.on_conflict_do_update(
                index_elements=[KnownDevice.account_id, KnownDevice.device_hash], set_={"last_used_at": now}
            )
        )
        newest = (
            select(KnownDevice.device_hash)
            .filter_by(account_id=account_id)
            .order_by(KnownDevice.last_used_at.desc(), KnownDevice.created_at.desc())
            .limit(MOST)
        )
        unit.execute(
            delete(KnownDevice)
            .where(KnownDevice.account_id == account_id, KnownDevice.device_hash.not_in(newest))
            .execution_options(synchronize_session=False)
        )
        return secret

    def known(self, unit: Unit, org_code: str, username: str, secret: str | None) -> str | None:
        """The name of this device among those of the account with these names; None when it is not known there."""
        if not secret:
            return None
        since = self._clock.now() - self.lifetime
        query = (
            select(KnownDevice.device_hash)
            .join(Account, Account.id == KnownDevice.account_id)
            .join(Organization, Organization.id == Account.organization_id)
            .where(
                KnownDevice.device_hash == hash_secret(secret),
                KnownDevice.last_used_at > since,
                Organization.org_code == org_code,
                Account.username == username,
            )
        )
        found = unit.scalar(query)
        return None if found is None else found.hex()

    def is_known(self, unit: Unit, account_id: int, secret: str | None) -> bool:
        """True when somebody signed in to this account with this browser, not too long ago."""
        if not secret:
            return False
        since = self._clock.now() - self.lifetime
        query = select(KnownDevice.last_used_at).filter_by(account_id=account_id, device_hash=hash_secret(secret))
        last_used_at = unit.scalar(query)
        return last_used_at is not None and last_used_at > since

    @staticmethod
    def forget(unit: Unit, account_id: int) -> int:
        """No device is known for the account any more; how many were."""
        statement = delete(KnownDevice).where(KnownDevice.account_id == account_id).returning(KnownDevice.device_hash)
        return len(unit.execute(statement.execution_options(synchronize_session=False)).all())

    def _was_given_out(self, unit: Unit, device_hash: bytes) -> bool:
        since = self._clock.now() - self.lifetime
        given_out = exists().where(KnownDevice.device_hash == device_hash, KnownDevice.last_used_at > since)
        return bool(unit.scalar(select(given_out)))
