"""Authorization codes: issued once, redeemed once (RFC 6749 4.1.2, RFC 9700 2.1.1 and 4.5).

Redeeming is one UPDATE. Its WHERE holds everything that makes a redemption right, so of a hundred at once one wins, and
a wrong client, redirect URI, verifier or key neither redeems the code nor burns it for its owner.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session as Unit

from idp.audit.events import CodeReused
from idp.audit.trail import Trail
from idp.kernel.clock import Clock
from idp.kernel.secrets import hash_secret, random_identifier, random_token
from idp.oidc.authorization_request import AuthorizationRequest
from idp.oidc.models import AccessToken, AuthorizationCode, RefreshFamily
from idp.sessions.models import Session
from idp.store import rows

# RFC 7636 4.1.
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


@dataclass(frozen=True)
class Grant:
    """What somebody allowed a client, and how they proved who they are: everything that tokens are made from."""

    grant_id: str
    client_id: str
    account_id: int
    session_id: int | None
    scope: str
    requested_acr: list[str]
    claims: dict[str, Any]
    level: int
    amr: list[str]
    auth_time: datetime
    resources: list[str]
    nonce: str | None = None


class AuthorizationCodes:
    """Issues and redeems codes."""

    def __init__(self, clock: Clock, trail: Trail, lifetime: timedelta) -> None:
        self._clock, self._trail, self._lifetime = clock, trail, lifetime

    def issue(self, unit: Unit, request: AuthorizationRequest, session: Session) -> str:
        """A code for this request and session, valid for 60 seconds; 256 random bits, of which the hash is stored."""
        now, code = self._clock.now(), random_token()
        rows.add(
            unit,
            AuthorizationCode,
            code_hash=hash_secret(code),
            grant_id=random_identifier(),
            client_id=request.client_id,
            account_id=session.account_id,
            session_id=session.id,
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            scope=" ".join(request.scope),
            nonce=request.nonce,
            dpop_jkt=request.dpop_jkt,
            resources=list(request.resources),
            requested_acr=list(request.acr_values),
            claims=request.claims,
            level=session.level,
            amr=session.amr,
            auth_time=session.auth_time,
            issued_at=now,
            expires_at=now + self._lifetime,
        )
        return code

    def redeem(
        self,
        unit: Unit,
        code: str,
        client_id: str,
        redirect_uri: str | None,
        verifier: str | None,
        jkt: str | None = None,
    ) -> Grant | None:
        """The grant behind the code, which is used up from now on; None when it is not for this request.

        `jkt` is the key that the request proves to have; a code that is bound to one needs it (RFC 9449 10).

        A code that comes back after its success, presented rightly, was copied: what its first use produced is
        revoked, in this unit of work, which must be committed even though the request is refused.
        """
        if verifier and not _VERIFIER.fullmatch(verifier):
            return None
        now = self._clock.now()
        presented = self._presented_rightly(code, client_id, redirect_uri, verifier, jkt)
        redeemed = unit.execute(
            update(AuthorizationCode)
            .where(presented, AuthorizationCode.used_at.is_(None), AuthorizationCode.expires_at > now)
            .values(used_at=now)
            .returning(AuthorizationCode)
            .execution_options(synchronize_session=False)
        ).scalar_one_or_none()
        if redeemed is not None:
            return Grant(
                grant_id=redeemed.grant_id,
                client_id=redeemed.client_id,
                account_id=redeemed.account_id,
                session_id=redeemed.session_id,
                scope=redeemed.scope,
                requested_acr=redeemed.requested_acr,
                claims=redeemed.claims,
                level=redeemed.level,
                amr=redeemed.amr,
                auth_time=redeemed.auth_time,
                resources=redeemed.resources,
                nonce=redeemed.nonce,
            )
        used = select(AuthorizationCode.grant_id).where(presented, AuthorizationCode.used_at.is_not(None))
        if (grant_id := unit.scalar(used)) is not None:
            revoke_grant(unit, grant_id, "code_reused", now)
            self._trail.record(unit, CodeReused(grant_id=grant_id, client_id=client_id))
        return None

    def _presented_rightly(
        self, code: str, client_id: str, redirect_uri: str | None, verifier: str | None, jkt: str | None
    ) -> ColumnElement[bool]:
        # A verifier without a challenge and a challenge without a verifier are both wrong (RFC 9700 4.8.2).
        challenge = create_s256_code_challenge(verifier) if verifier else None
        matches_challenge = (
            AuthorizationCode.code_challenge.is_(None)
            if challenge is None
            else AuthorizationCode.code_challenge == challenge
        )
        return and_(
            AuthorizationCode.code_hash == hash_secret(code),
            AuthorizationCode.client_id == client_id,
            AuthorizationCode.redirect_uri == redirect_uri,
            matches_challenge,
            or_(AuthorizationCode.dpop_jkt.is_(None), AuthorizationCode.dpop_jkt == jkt),
        )


@dataclass(frozen=True)
class Revoked:
    """A token that works no more: whose it is, and whether that is news. One of another client is left as it is."""

    grant_id: str
    client_id: str
    is_news: bool


def revoke_grant(unit: Unit, grant_id: str, because: str, now: datetime) -> bool:
    """Nothing that came from this authorization works any more. The session goes on. True when something did work."""
    # The family first: when it is being used at this moment, this waits for that use to be committed, and the statement
    # after it sees the access token that came of it.
    has_ended = False
    for model in (RefreshFamily, AccessToken):
        statement = update(model).where(model.grant_id == grant_id, model.revoked_at.is_(None))
        values: dict[str, Any] = {"revoked_at": now}
        if model is RefreshFamily:
            values["revoked_because"] = because
        ended = unit.execute(
            statement.values(values).returning(model.grant_id).execution_options(synchronize_session=False)
        )
        has_ended = bool(ended.all()) or has_ended
    return has_ended
