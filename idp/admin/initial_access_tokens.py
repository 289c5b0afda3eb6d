"""Initial access tokens: who has one may register clients (RFC 7591 3). Kept as hashes."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, or_, select, update
from sqlalchemy.orm import Session as Unit

from idp.admin.refusals import Reasons
from idp.audit.events import InitialAccessTokenChanged
from idp.audit.trail import Trail
from idp.kernel.clock import Clock
from idp.kernel.errors import Refused
from idp.kernel.secrets import hash_secret, random_token
from idp.oidc.models import InitialAccessToken
from idp.store.units import UnitsOfWork

LONGEST_LABEL = 200
MOST_USES = 1_000_000
LONGEST_LIFE = timedelta(days=3660)


class InitialAccessTokens:
    """Adds, lists and revokes them."""

    def __init__(self, units: UnitsOfWork, clock: Clock, trail: Trail) -> None:
        self._units, self._clock, self._trail = units, clock, trail

    def add(
        self, label: str, uses: int | None = 1, lifetime: timedelta | None = None
    ) -> tuple[InitialAccessToken, str]:
        """A new token for so many registrations, None meaning any number; the token itself is returned this once.

        Raises Refused with everything that is wrong.
        """
        label, wrong = label.strip(), Reasons()
        wrong.unless(
            bool(label) and len(label) <= LONGEST_LABEL and label.isprintable(),
            "client_token.label",
            f"a label says in one line, of at most {LONGEST_LABEL} characters, whom the token is for",
        )
        wrong.unless(
            uses is None or 1 <= uses <= MOST_USES, "client_token.uses", f"uses are a number from 1 to {MOST_USES}"
        )
        wrong.unless(
            lifetime is None or timedelta() < lifetime <= LONGEST_LIFE,
            "client_token.lifetime",
            "a token expires within ten years",
        )
        wrong.raise_any()
        token, now = random_token(), self._clock.now()
        row = InitialAccessToken(
            token_hash=hash_secret(token),
            label=label,
            uses_left=uses,
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
        )
        with self._units.writing() as unit:
            unit.add(row)
            unit.flush()
            self._trail.record(unit, InitialAccessTokenChanged(change="added", number=row.id, label=label))
        return row, token

    def list(self) -> Sequence[InitialAccessToken]:
        """All of them, the oldest first."""
        with self._units.reading() as unit:
            return unit.scalars(select(InitialAccessToken).order_by(InitialAccessToken.id)).all()

    def revoke(self, identifier: int) -> InitialAccessToken:
        """Nobody registers with it any more; clients that were registered with it stay. Raises Refused."""
        with self._units.writing() as unit:
            row = unit.scalars(
                update(InitialAccessToken)
                .where(InitialAccessToken.id == identifier, InitialAccessToken.revoked_at.is_(None))
                .values(revoked_at=self._clock.now())
                .returning(InitialAccessToken)
            ).one_or_none()
            if row is None:
                raise Refused("client_token.unknown", f"there is no token {identifier} that could be revoked")
            self._trail.record(unit, InitialAccessTokenChanged(change="revoked", number=row.id, label=row.label))
        return row


def is_good(unit: Unit, token: str, now: datetime) -> bool:
    """Whether it would be taken now."""
    return unit.scalars(select(InitialAccessToken.id).where(_good(token, now))).one_or_none() is not None


def take(unit: Unit, token: str, now: datetime) -> int | None:
    """THE ONE STATEMENT that uses a token: its number, and one use less; None when it is not good any more.

    To be called in the transaction that writes the client.
    """
    return unit.execute(
        update(InitialAccessToken)
        .where(_good(token, now))
        .values(uses_left=InitialAccessToken.uses_left - 1)
        .returning(InitialAccessToken.id)
        .execution_options(synchronize_session=False)
    ).scalar_one_or_none()


def _good(token: str, now: datetime) -> ColumnElement[bool]:
    return and_(
        InitialAccessToken.token_hash == hash_secret(token),
        InitialAccessToken.revoked_at.is_(None),
        or_(InitialAccessToken.expires_at.is_(None), InitialAccessToken.expires_at > now),
        or_(InitialAccessToken.uses_left.is_(None), InitialAccessToken.uses_left > 0),
    )
