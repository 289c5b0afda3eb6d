"""The signing keys of an installation: for each algorithm one signs, and they follow each other without a gap.

    made         published at once
    signs        `publish_ahead` later, when every node and every relying party has had time to read it
    superseded   when the next one of its algorithm signs; still published, and still believed
    retired      `publish_after` later: neither published nor believed, its private part erased

Nothing that a key signs is valid for as long as `publish_after`. What that does decide is how long an `id_token_hint`
works, which may be expired but must verify (OIDC Core 3.1.2.1): as long as its key is published, which is never shorter
than a session (docs/decisions/0025).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import and_, func, select, update
from sqlalchemy.orm import Session as Unit

from idp.audit.events import SigningKeyChanged
from idp.audit.trail import Trail
from idp.kernel.clock import Clock
from idp.kernel.envelope import Envelope
from idp.kernel.errors import Refused
from idp.oidc import backchannel_logout, keys
from idp.oidc.clients import Client
from idp.oidc.models import AccessToken, SigningKey
from idp.sessions import idle
from idp.sessions.models import Participation, Session
from idp.store.dialects import take_turns
from idp.store.units import UnitsOfWork

# Every node reads the keys more often than this, so none overlooks one that signs.
AT_ONCE = 2 * keys.READ_AGAIN_AFTER
# Of all advisory locks of this program: whoever makes or retires keys sees what the last one did.
TURN = 7_208_604
ERASED = b""
JWT = "jwt"


@dataclass(frozen=True)
class KeyTimes:
    """How long a key is published before and after it signs; `rotate_after`: how long one signs, None for ever."""

    publish_ahead: timedelta = timedelta(days=1)
    publish_after: timedelta = timedelta(days=30)
    rotate_after: timedelta | None = None


@dataclass(frozen=True)
class ShownKey:
    """A key and its times. `signs_until` and `published_until` are None while no other key is to follow it."""

    kid: str
    alg: str
    created_at: datetime
    signs_from: datetime
    signs_until: datetime | None
    published_until: datetime | None
    retired_at: datetime | None


@dataclass(frozen=True)
class Dependant:
    """What verifies only as long as the key is published: so many of a kind, where they are counted, and until when."""

    kind: str
    number: int | None
    until: datetime


class SigningKeys:
    """Makes, lists, rotates and retires signing keys."""

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        envelope: Envelope,
        trail: Trail,
        id_token_lifetime: timedelta,
        times: KeyTimes | None = None,
    ) -> None:
        self._units, self._clock, self._envelope, self._trail = units, clock, envelope, trail
        self._id_token_lifetime, self._times = id_token_lifetime, times or KeyTimes()

    def ensure(self) -> Sequence[str]:
        """There is a key for each algorithm; the algorithms for which one was made. A first key signs at once."""
        missing = _missing(self.list())
        if not missing:
            return ()
        made = {alg: keys.generate(alg) for alg in missing}
        with self._units.writing() as unit:
            take_turns(unit, TURN)
            now = self._clock.now()
            # Looked at again: another process may have started at the same moment.
            still_missing = [alg for alg in _missing(keys.listed(unit)) if alg in made]
            for alg in still_missing:
                keys.create(unit, self._envelope, alg, now, signs_from=now, key=made[alg])
        return tuple(still_missing)

    def list(self) -> Sequence[SigningKey]:
        """All keys, oldest first."""
        with self._units.reading() as unit:
            return keys.listed(unit)

    def show(self) -> Sequence[ShownKey]:
        """All keys with their times, oldest first."""
        return self._shown(self.list())

    def rotate(self, alg: str, *, at_once: bool = False, actor: str | None = None) -> ShownKey:
        """A new key of this algorithm is published and signs after `publish_ahead`; `at_once`: when all nodes know it.

        Where one waits already no other is made, whoever asks and how often: only its time may come sooner.
        """
        with self._units.reading() as unit:
            waits = _waiting(keys.listed(unit), alg, self._clock.now()) is not None
        made = None if waits else keys.generate(alg)
        with self._units.writing() as unit:
            take_turns(unit, TURN)
            rows, now = keys.listed(unit), self._clock.now()
            signs_from = now + (AT_ONCE if at_once else self._times.publish_ahead)
            row = _waiting(rows, alg, now)
            if row is None and made is not None:
                row = keys.create(unit, self._envelope, alg, now, signs_from, made)
                self._record(unit, "made", row, actor)
            elif row is not None and at_once and signs_from < row.signs_from:
                row.signs_from = signs_from
                self._record(unit, "brought forward", row, actor)
            unit.flush()
            shown = self._shown(keys.listed(unit))
        if row is None:  # The one that waited began to sign in between.
            return self.rotate(alg, at_once=at_once, actor=actor)
        return next(each for each in shown if each.kid == row.kid)

    def rotate_old(self) -> Sequence[ShownKey]:
        """Where a key will have signed for `rotate_after`, another one follows; those that do."""
        if self._times.rotate_after is None:
            return ()
        rows, begun_by = self.list(), self._clock.now() - self._times.rotate_after + self._times.publish_ahead
        last = {row.alg: row.signs_from for row in sorted(rows, key=_place) if row.retired_at is None}
        return [self.rotate(alg) for alg in keys.ALGORITHMS if alg in last and last[alg] <= begun_by]

    def retire_old(self) -> Sequence[str]:
        """Keys that were published for `publish_after` since they were superseded are retired; which ones."""
        now = self._clock.now()
        over = [key.kid for key in self.show() if key.retired_at is None and _is_over(key.published_until, now)]
        if not over:
            return ()
        with self._units.writing() as unit:
            take_turns(unit, TURN)
            return [kid for kid in over if self._retire(unit, kid, actor=None)]

    def retire(self, kid: str, *, at_once: bool = False, actor: str | None = None) -> Sequence[Dependant]:
        """The key is neither published nor believed any more, on every node within 30 seconds; what depended on it.

        Raises Refused when there is no such key, when it is retired, when no other one signs its algorithm, and, unless
        `at_once`, with what depends on it.
        """
        with self._units.writing() as unit:
            take_turns(unit, TURN)
            now = self._clock.now()
            shown = {key.kid: key for key in self._shown(keys.listed(unit))}
            key = shown.get(kid)
            if key is None:
                raise Refused("key.unknown", f"there is no key {kid!r}")
            if key.retired_at is not None:
                raise Refused("key.retired", f"the key {kid} is retired already")
            if key.signs_from <= now + AT_ONCE and not _is_over(key.signs_until, now):
                raise Refused("key.signs", f"the key {kid} signs: `idp keys rotate --alg {key.alg}` comes first")
            dependants = list(self._dependants(unit, key, now))
            if dependants and not at_once:
                raise Refused("key.needed", f"the key {kid} is still needed: {'; '.join(map(_words, dependants))}")
            self._retire(unit, kid, actor)
        return dependants

    def _dependants(self, unit: Unit, key: ShownKey, now: datetime) -> Iterator[Dependant]:
        """What the key signed is not written down: counted is what must have been signed by it."""
        last = key.signs_until
        if last is None or key.signs_from > now:
            return
        lifetimes = {"ID tokens": self._id_token_lifetime, "logout tokens": backchannel_logout.TOKEN_LIFETIME}
        for kind, lifetime in lifetimes.items():
            if last + lifetime > now:
                yield Dependant(kind, None, last + lifetime)
        tokens = (
            select(func.count(), func.max(AccessToken.expires_at))
            .join(Client, Client.client_id == AccessToken.client_id)
            .where(
                and_(Client.access_token_format == JWT, Client.id_token_signed_response_alg == key.alg),
                and_(AccessToken.issued_at >= key.signs_from, AccessToken.issued_at <= last),
                and_(AccessToken.expires_at > now, AccessToken.revoked_at.is_(None)),
            )
        )
        sessions = (
            select(func.count(Session.id.distinct()), func.max(Session.absolute_ends_at))
            .join(Participation, Participation.session_id == Session.id)
            .join(Client, Client.client_id == Participation.client_id)
            .where(
                Client.id_token_signed_response_alg == key.alg,
                and_(Participation.joined_at <= last, idle.live(now)),
            )
        )
        for kind, query in (("JWT access tokens", tokens), ("sessions with an id_token_hint", sessions)):
            number, until = unit.execute(query).one()
            if number:
                yield Dependant(kind, number, until)

    def _retire(self, unit: Unit, kid: str, actor: str | None) -> bool:
        """False when it was retired already."""
        row = unit.scalars(
            update(SigningKey)
            .where(SigningKey.kid == kid, SigningKey.retired_at.is_(None))
            .values(retired_at=self._clock.now(), private_sealed=ERASED)
            .returning(SigningKey)
            .execution_options(populate_existing=True)
        ).one_or_none()
        if row is not None:
            self._record(unit, "retired", row, actor)
        return row is not None

    def _record(self, unit: Unit, change: str, row: SigningKey, actor: str | None) -> None:
        self._trail.record(unit, SigningKeyChanged(change=change, kid=row.kid, alg=row.alg, actor=actor))

    def _shown(self, rows: Sequence[SigningKey]) -> Sequence[ShownKey]:
        shown = []
        for row in rows:
            until = _signs_until(row, rows)
            published_until = until + self._times.publish_after if until is not None else None
            shown.append(
                ShownKey(
                    kid=row.kid,
                    alg=row.alg,
                    created_at=row.created_at,
                    signs_from=row.signs_from,
                    signs_until=until,
                    published_until=row.retired_at or published_until,
                    retired_at=row.retired_at,
                )
            )
        return shown


def _missing(present: Sequence[SigningKey]) -> Sequence[str]:
    available = {key.alg for key in present if key.retired_at is None}
    return tuple(alg for alg in keys.ALGORITHMS if alg not in available)


def _place(row: SigningKey) -> tuple[datetime, str]:
    return row.signs_from, row.kid


def _waiting(rows: Sequence[SigningKey], alg: str, now: datetime) -> SigningKey | None:
    """The key of this algorithm that is published and does not sign yet."""
    waiting = [row for row in rows if row.alg == alg and row.retired_at is None and row.signs_from > now]
    return max(waiting, key=_place, default=None)


def _signs_until(row: SigningKey, rows: Sequence[SigningKey]) -> datetime | None:
    """When the next one begins; one that was retired before it ever signed does not count."""
    following = [
        each.signs_from
        for each in rows
        if each.alg == row.alg
        and _place(each) > _place(row)
        and (each.retired_at is None or each.retired_at > each.signs_from)
    ]
    return min(filter(None, [*following, row.retired_at]), default=None)


def _is_over(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _words(dependant: Dependant) -> str:
    number = "" if dependant.number is None else f"{dependant.number} "
    return f"{number}{dependant.kind} until {dependant.until:%Y-%m-%d %H:%M:%S} UTC"
