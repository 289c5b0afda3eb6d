"""Families of refresh tokens (RFC 6749 6, RFC 9700 4.14).

    token = handle "." generation "." HMAC(handle, generation)

Nothing of a token but the hash of its handle is stored. Confidential clients keep theirs, under client authentication.
Public clients rotate: using generation n makes n+1, once. Because the successor is computed and not drawn, a client
whose answer was lost gets the very same successor again for 30 seconds, so no family ever has two live leaves; any
later use of an old generation means that somebody copied it, and ends the family.

A family lives in a session and dies with it. Without one it is of offline access (see `offline_access`).

The family of a public client that proves to have a key is bound to it (RFC 9449 5): for whoever shows no proof of that
key there is no such family, so that a copied token neither yields anything nor ends it for its owner.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account, lock_account
from idp.audit.events import RefreshTokenReused
from idp.audit.trail import Trail
from idp.kernel.clock import Clock
from idp.kernel.secrets import DerivedKeys, hash_secret, is_same, random_identifier
from idp.oidc import offline_access
from idp.oidc.authorization_code import Grant, Revoked, revoke_grant
from idp.oidc.models import RefreshFamily
from idp.sessions import idle
from idp.sessions.models import Session
from idp.store import rows


@dataclass(frozen=True)
class Refreshed:
    """The grant of the family, the refresh token that is valid from now on, and when the family ends."""

    grant: Grant
    refresh_token: str
    expires_at: datetime


@dataclass(frozen=True)
class LiveRefreshToken:
    """A refresh token that is good now: its family, and whose it is."""

    token: RefreshFamily
    sub: str


class RefreshTokens:
    """Starts families and moves them on."""

    def __init__(self, clock: Clock, trail: Trail, keys: DerivedKeys, grace: timedelta) -> None:
        self._clock, self._trail, self._keys, self._grace = clock, trail, keys, grace

    def start(
        self, unit: Unit, grant: Grant, expires_at: datetime, jkt: str | None = None, is_offline: bool = False
    ) -> str:
        """The first refresh token of a new family, which is bound to the key with this thumbprint.

        It is in the grant's session, or of offline access and in none.
        """
        handle = random_identifier()
        rows.add(
            unit,
            RefreshFamily,
            grant_id=grant.grant_id,
            handle_hash=hash_secret(handle),
            client_id=grant.client_id,
            account_id=grant.account_id,
            session_id=None if is_offline else grant.session_id,
            scope=grant.scope,
            requested_acr=grant.requested_acr,
            claims=grant.claims,
            level=grant.level,
            amr=grant.amr,
            auth_time=grant.auth_time,
            resources=grant.resources,
            dpop_jkt=jkt,
            generation=0,
            issued_at=self._clock.now(),
            expires_at=expires_at,
        )
        return self._token(handle, 0)

    def use(self, unit: Unit, token: str, client_id: str, rotates: bool, jkt: str | None = None) -> Refreshed | None:
        """The grant and the next refresh token; None when this token is not good (any more) for this client and key.

        A family that rotates is bound to the key from its first use with one.

        A superseded token ends its family and raises the alarm, in this unit of work, which must be committed even
        though the request is refused.
        """
        presented = self._read(token)
        if presented is None:
            return None
        handle, generation = presented
        family = RefreshFamily
        # First the account, as everybody locks: what a reset or a block of this instant changes is seen below.
        of_offline = select(family.account_id).where(
            family.handle_hash == hash_secret(handle), family.session_id.is_(None)
        )
        lock_account(unit, unit.scalar(of_offline))
        now = self._clock.now()
        mine = (
            family.handle_hash == hash_secret(handle),
            family.client_id == client_id,
            family.revoked_at.is_(None),
            family.expires_at > now,
            or_(family.dpop_jkt.is_(None), family.dpop_jkt == jkt),
            or_(family.session_id.is_not(None), offline_access.holds(family)),
        )
        values: dict[str, Any] = {"rotated_at": now}
        if rotates:
            values |= {"generation": generation + 1, "dpop_jkt": jkt}
        used = unit.execute(
            update(family)
            .where(*mine, family.generation == generation)
            .values(values)
            .returning(family)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
        if used is not None:
            refresh_token = self._token(handle, generation + 1 if rotates else generation)
            return Refreshed(_grant(used), refresh_token, used.expires_at)
        return self._used_before(unit, unit.scalars(select(family).where(*mine)).one_or_none(), handle, generation, now)

    def owner(self, unit: Unit, token: str) -> str | None:
        """The `client_id` that the token was issued to, whatever it is still worth; None when it is none of ours."""
        presented = self._read(token)
        if presented is None:
            return None
        family = select(RefreshFamily.client_id).where(RefreshFamily.handle_hash == hash_secret(presented[0]))
        return unit.scalars(family).one_or_none()

    def revoke(self, unit: Unit, token: str, client_id: str) -> Revoked | None:
        """The family of this token has ended, of whatever generation the token is, if it is this client's.

        None when the token is none of ours.
        """
        presented = self._read(token)
        if presented is None:
            return None
        columns = select(RefreshFamily.grant_id, RefreshFamily.client_id)
        family = unit.execute(columns.where(RefreshFamily.handle_hash == hash_secret(presented[0]))).one_or_none()
        if family is None:
            return None
        # Families never change hands, so reading the owner first decides nothing that could be different by now.
        is_mine = family.client_id == client_id
        is_news = is_mine and revoke_grant(unit, family.grant_id, "revoked", self._clock.now())
        return Revoked(family.grant_id, family.client_id, is_news)

    def find_live(self, unit: Unit, token: str) -> LiveRefreshToken | None:
        """What the token stands for, if using it now would yield tokens; it is not used."""
        presented = self._read(token)
        if presented is None:
            return None
        now = self._clock.now()
        found = unit.execute(
            select(RefreshFamily, Account.sub)
            .join(Account, Account.id == RefreshFamily.account_id)
            .outerjoin(Session, Session.id == RefreshFamily.session_id)
            .where(
                RefreshFamily.handle_hash == hash_secret(presented[0]),
                RefreshFamily.generation == presented[1],
                RefreshFamily.revoked_at.is_(None),
                RefreshFamily.expires_at > now,
                Account.blocked_at.is_(None),
                or_(
                    and_(RefreshFamily.session_id.is_not(None), Session.id.is_not(None), idle.live(now)),
                    and_(RefreshFamily.session_id.is_(None), offline_access.holds(RefreshFamily)),
                ),
            )
        ).one_or_none()
        return None if found is None else LiveRefreshToken(*found)

    def _used_before(
        self, unit: Unit, family: RefreshFamily | None, handle: str, generation: int, now: datetime
    ) -> Refreshed | None:
        if family is None:
            return None
        is_predecessor = family.generation == generation + 1
        in_grace = family.rotated_at is not None and now < family.rotated_at + self._grace
        if is_predecessor and in_grace:
            return Refreshed(_grant(family), self._token(handle, family.generation), family.expires_at)
        revoke_grant(unit, family.grant_id, "reused", now)
        self._trail.record(
            unit,
            RefreshTokenReused(grant_id=family.grant_id, client_id=family.client_id, account_id=family.account_id),
        )
        return None

    def _token(self, handle: str, generation: int) -> str:
        return f"{handle}.{generation}.{self._keys.mac_text('refresh_token', handle, str(generation))}"

    def _read(self, token: str) -> tuple[str, int] | None:
        """Handle and generation of a token that we made; None for anything else, whatever its form."""
        parts = token.split(".")
        if len(parts) != 3 or not (parts[1].isascii() and parts[1].isdigit() and len(parts[1]) < 10):
            return None
        handle, generation, _ = parts[0], int(parts[1]), parts[2]
        return (handle, generation) if is_same(self._token(handle, generation), token) else None


def _grant(family: RefreshFamily) -> Grant:
    return Grant(
        grant_id=family.grant_id,
        client_id=family.client_id,
        account_id=family.account_id,
        session_id=family.session_id,
        scope=family.scope,
        requested_acr=family.requested_acr,
        claims=family.claims,
        level=family.level,
        amr=family.amr,
        auth_time=family.auth_time,
        resources=family.resources,
    )
