"""TOKENS ARE MINTED HERE.

    access token    opaque, 256 random bits, stored as a hash, or a JWT (RFC 9068) with a row all the same; 5 minutes,
                    and never longer than its session lives
    id token        a JWT signed by the client's algorithm; 5 minutes whatever the deadline: it proves a moment
    refresh token   see `refresh_token`

`issue` writes, inside the unit of work that redeems the code or uses the refresh token; `access_token` and `id_token`
sign, outside of it.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from authlib.oidc.core.util import create_half_hash
from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account
from idp.kernel.clock import Clock, whole_seconds
from idp.kernel.levels import AcrValues
from idp.kernel.secrets import hash_secret, random_identifier, random_token
from idp.oidc import claims, offline_access, resource_indicators
from idp.oidc.access_token import key_of_jwt
from idp.oidc.authorization_code import Grant
from idp.oidc.clients import OFFLINE_ACCESS, Client
from idp.oidc.keys import ACCESS_TOKEN, Keys
from idp.oidc.models import AccessToken
from idp.oidc.refresh_token import Refreshed, RefreshTokens
from idp.oidc.subjects import Subjects
from idp.sessions import idle
from idp.sessions.lifecycle import Sessions
from idp.sessions.models import Session
from idp.store import rows


@dataclass(frozen=True)
class TokenLifetimes:
    """How long tokens live at most."""

    access_token: timedelta
    id_token: timedelta
    offline: timedelta


@dataclass(frozen=True)
class AboutPerson:
    """Who signed in, how and where: what tokens say of a person. `sid` is None where no session is left (offline)."""

    grant: Grant
    account: Account
    sid: str | None


@dataclass(frozen=True)
class Issued:
    """What was written, and what the tokens are to say. `secret` is an opaque access token, or the `jti` of a JWT.

    Without a `person` the client speaks for itself.
    """

    secret: str
    grant_id: str
    scope: str
    issued_at: datetime
    expires_in_seconds: int
    audience: list[str]
    dpop_jkt: str | None = None
    refresh_token: str | None = None
    person: AboutPerson | None = None


class TokenIssuer:
    """Mints tokens."""

    def __init__(
        self,
        clock: Clock,
        keys: Keys,
        sessions: Sessions,
        refresh_tokens: RefreshTokens,
        subjects: Subjects,
        issuer: str,
        lifetimes: TokenLifetimes,
    ) -> None:
        self._clock, self._keys, self._sessions, self._refresh_tokens = clock, keys, sessions, refresh_tokens
        self.issuer = issuer
        self._subjects, self._acr, self._lifetimes = subjects, AcrValues(issuer), lifetimes

    def issue(
        self,
        unit: Unit,
        client: Client,
        grant: Grant,
        refresh_token: str | None,
        starts_family: bool,
        audience: list[str],
        dpop_jkt: str | None = None,
    ) -> Issued | None:
        """Tokens for the grant exist; None when nobody may have them any more. `audience`: see `resource_indicators`.

        With `dpop_jkt` the access token is bound to that key, and so is a new family of refresh tokens of a public
        client; those of a confidential one are bound by its authentication (RFC 9449 5).

        That is so when the session is over, or will be within a second; when the account is blocked; when offline
        access was taken back since it was allowed; and when the session, or what the grant was given for, does not
        reach the client's own minimum level.
        """
        now, grant = self._clock.now(), _still_allowed(client, grant)
        session = self._sessions.load_live_by_id(unit, grant.session_id, lock=True)
        account = unit.scalars(select(Account).where(Account.id == grant.account_id)).one_or_none()
        if session is None or account is None or account.blocked_at is not None:
            return None
        is_offline = OFFLINE_ACCESS in grant.scope.split()
        if is_offline and not offline_access.is_allowed(unit, account.id, client.client_id):
            return None
        left = idle.seconds_left(session, now)
        if left < 1 or min(session.level, grant.level) < (client.minimum_acr or 0):
            return None
        lifetime = min(self._lifetimes.access_token, timedelta(seconds=left))
        issued = self._insert(
            unit, client, grant.grant_id, grant.scope, now, lifetime, audience, dpop_jkt, grant, session
        )
        if starts_family:
            # Whoever refreshes joined when its family began.
            self._sessions.join(unit, session.id, client.client_id)
        if starts_family and refresh_token is None and client.check_grant_type("refresh_token"):
            ends_at = now + self._lifetimes.offline if is_offline else session.absolute_ends_at
            bound_to = dpop_jkt if client.is_public else None
            refresh_token = self._refresh_tokens.start(unit, grant, ends_at, bound_to, is_offline)
        return replace(issued, refresh_token=refresh_token, person=AboutPerson(grant, account, session.sid))

    def issue_offline(
        self,
        unit: Unit,
        client: Client,
        used: Refreshed,
        scope: str,
        audience: list[str],
        dpop_jkt: str | None = None,
    ) -> Issued | None:
        """Tokens for a person who need not be signed in exist: in no session, and touching none (OIDC Core 11).

        None when the client may not have offline access any more, or the level of the sign-in that it was given in does
        not reach what the client demands by now.
        """
        now, grant = self._clock.now(), used.grant
        left = (used.expires_at - now) // timedelta(seconds=1)
        if not client.may_have_offline_access or left < 1 or grant.level < (client.minimum_acr or 0):
            return None
        account = unit.scalars(select(Account).where(Account.id == grant.account_id)).one()
        lifetime = min(self._lifetimes.access_token, timedelta(seconds=left))
        grant = _still_allowed(client, replace(grant, scope=scope))
        issued = self._insert(unit, client, grant.grant_id, grant.scope, now, lifetime, audience, dpop_jkt, grant)
        return replace(issued, refresh_token=used.refresh_token, person=AboutPerson(grant, account, None))

    def issue_to_client(
        self, unit: Unit, client: Client, scope: str, audience: list[str], dpop_jkt: str | None = None
    ) -> Issued:
        """An access token exists that speaks for the client alone (RFC 6749 4.4.3). It touches no session."""
        grant_id, now = random_identifier(), self._clock.now()
        return self._insert(unit, client, grant_id, scope, now, self._lifetimes.access_token, audience, dpop_jkt)

    def _insert(
        self,
        unit: Unit,
        client: Client,
        grant_id: str,
        scope: str,
        now: datetime,
        lifetime: timedelta,
        audience: list[str],
        dpop_jkt: str | None,
        grant: Grant | None = None,
        session: Session | None = None,
    ) -> Issued:
        secret = random_token()
        rows.add(
            unit,
            AccessToken,
            token_hash=key_of_jwt(secret) if client.gets_jwt_access_tokens else hash_secret(secret),
            grant_id=grant_id,
            client_id=client.client_id,
            account_id=grant.account_id if grant else None,
            session_id=session.id if session else None,
            scope=scope,
            claims=grant.claims if grant else {},
            audience=audience,
            dpop_jkt=dpop_jkt,
            issued_at=now,
            expires_at=now + lifetime,
        )
        return Issued(secret, grant_id, scope, now, lifetime // timedelta(seconds=1), audience, dpop_jkt)

    def access_token(self, client: Client, issued: Issued) -> str:
        """The access token itself, as the client is registered: opaque, or a signed JWT (RFC 9068 2.2).

        Its audience is this provider where no resource is named (RFC 9068 3). One that speaks for a client
        alone has the client as its subject, and says nothing about signing in.
        """
        if not client.gets_jwt_access_tokens:
            return issued.secret
        issued_at = whole_seconds(issued.issued_at)
        payload: dict[str, Any] = {
            "iss": self.issuer,
            "sub": client.client_id,
            "aud": resource_indicators.as_claim(issued.audience, self.issuer),
            "client_id": client.client_id,
            "iat": issued_at,
            "exp": issued_at + issued.expires_in_seconds,
            "jti": issued.secret,
        }
        if issued.scope:
            payload["scope"] = issued.scope
        if issued.dpop_jkt is not None:
            payload["cnf"] = {"jkt": issued.dpop_jkt}
        if issued.person is not None:
            payload |= {
                "sub": self._subjects.of(client, issued.person.account),
                **self._authentication(issued.person.grant),
            }
        return self._keys.sign(client.id_token_signed_response_alg, payload, ACCESS_TOKEN)

    def _authentication(self, grant: Grant) -> dict[str, Any]:
        return {
            "auth_time": whole_seconds(grant.auth_time),
            "acr": self._acr.stated(grant.requested_acr, grant.level),
            "amr": grant.amr,
        }

    def id_token(self, client: Client, issued: Issued, person: AboutPerson, access_token: str) -> str:
        """The signed ID token (OIDC Core 2, 3.1.3.6). `sid` is the session's public name (Back-Channel Logout 2.1).

        It says how and when the person signed in for this grant, also where the session of then is over; then without
        `sid`, since there is no session that could end.
        """
        grant, alg = person.grant, client.id_token_signed_response_alg
        issued_at = whole_seconds(issued.issued_at)
        payload: dict[str, Any] = claims.for_id_token(person.account, grant.claims)
        payload |= {
            "iss": self.issuer,
            "sub": self._subjects.of(client, person.account),
            "aud": client.client_id,
            "iat": issued_at,
            "exp": issued_at + self._lifetimes.id_token // timedelta(seconds=1),
            **self._authentication(grant),
            "at_hash": create_half_hash(access_token, alg).decode(),
        }
        if person.sid is not None:
            payload["sid"] = person.sid
        if grant.nonce is not None:
            payload["nonce"] = grant.nonce
        return self._keys.sign(alg, payload)


def _still_allowed(client: Client, grant: Grant) -> Grant:
    """The grant without what the client may not ask for any more: it does not get that any more (A69)."""
    possible = {"acr", *claims.names_for(client.scope.split())}
    wished = {
        section: {name: wish for name, wish in wishes.items() if name in possible}
        for section, wishes in grant.claims.items()
    }
    return replace(grant, scope=" ".join(client.allows_scope(grant.scope.split())), claims=wished)
