"""Keys follow each other, and nothing that is valid is ever signed by a key that nobody can find (#69, A92).

OIDC Core 10.1.1.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import KeySet
from sqlalchemy import select

from idp.admin.signing_keys import AT_ONCE, KeyTimes, ShownKey, SigningKeys
from idp.audit.trail import AuditEvent
from idp.jobs.schedule import key_tasks
from idp.jobs.worker import Worker
from idp.kernel.clock import FixedClock
from idp.kernel.errors import Refused
from idp.oidc.keys import ALGORITHMS, READ_AGAIN_AFTER, Keys
from idp.oidc.models import SigningKey
from idp.oidc.signatures import Registry, header_of
from idp.wiring import Services
from tests.conftest import ISSUER
from tests.factories import Factories
from tests.jobs.notices import open_session
from tests.oidc.journeys import Provider, RelyingParty, body

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LONGEST_TOKEN = timedelta(hours=1)


@pytest.fixture
def own(app: Flask, clock: FixedClock) -> Provider:
    """A provider of this test alone, whose keys may be changed."""
    return Provider(app, clock, Factories(app))


def node(services: Services) -> Keys:
    """The keys as another process has them."""
    return Keys(services.units, services.envelope, services.clock)


def kid_of(token: str) -> str:
    return str(header_of(token)["kid"])


def of(services: Services, alg: str) -> list[ShownKey]:
    found = [key for key in services.signing_keys.show() if key.alg == alg]
    return sorted(found, key=lambda key: key.signs_from)


def published_by(keys: Keys) -> set[str]:
    return {key["kid"] for key in keys.published()["keys"]}


# The order of things


@pytest.mark.demand(69)
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_rotation_publishes_at_once_signs_a_day_later_and_keeps_the_old_key(
    services: Services, clock: FixedClock, alg: str
) -> None:
    (old,) = of(services, alg)
    begun = clock.now()
    new = services.signing_keys.rotate(alg)
    clock.move(READ_AGAIN_AFTER)
    keys = node(services)
    assert {old.kid, new.kid} <= published_by(keys)
    clock.set(begun + DAY - SECOND)
    assert kid_of(keys.sign(alg, {})) == old.kid
    clock.move(SECOND)
    assert kid_of(keys.sign(alg, {})) == new.kid
    first, second = of(services, alg)
    assert (first.signs_until, first.published_until) == (begun + DAY, begun + 31 * DAY)
    assert (second.signs_from, second.signs_until, second.published_until) == (begun + DAY, None, None)


def test_key_that_waits_signs_at_its_instant_on_a_node_that_read_the_keys_just_before(
    services: Services, clock: FixedClock
) -> None:
    new = services.signing_keys.rotate("ES256", at_once=True)
    clock.move(AT_ONCE - SECOND)
    keys = node(services)
    assert kid_of(keys.sign("ES256", {})) != new.kid
    clock.move(SECOND)
    assert kid_of(keys.sign("ES256", {})) == new.kid


def test_rotating_again_while_a_key_waits_makes_no_other(services: Services, clock: FixedClock) -> None:
    first = services.signing_keys.rotate("EdDSA")
    clock.move(HOUR)
    assert services.signing_keys.rotate("EdDSA") == first
    sooner = services.signing_keys.rotate("EdDSA", at_once=True)
    assert (sooner.kid, sooner.signs_from) == (first.kid, clock.now() + AT_ONCE)
    assert len(of(services, "EdDSA")) == 2
    clock.move(AT_ONCE)
    assert services.signing_keys.rotate("EdDSA").kid != first.kid


def test_nodes_that_rotate_at_once_make_one_key(app: Flask, services: Services) -> None:
    def rotate(_number: int) -> str:
        with app.app_context():
            return services.signing_keys.rotate("ES256").kid

    with ThreadPoolExecutor(4) as threads:
        kids = set(threads.map(rotate, range(8)))
    assert len(kids) == 1 and len(of(services, "ES256")) == 2


def test_nodes_that_start_at_once_make_one_key_for_each_algorithm(app: Flask, services: Services) -> None:
    with services.units.writing() as unit:
        for row in unit.scalars(select(SigningKey)):
            unit.delete(row)

    def ensure(_number: int) -> tuple[str, ...]:
        with app.app_context():
            return tuple(services.signing_keys.ensure())

    with ThreadPoolExecutor(3) as threads:
        made = sorted(sum(threads.map(ensure, range(3)), ()))
    assert made == sorted(ALGORITHMS)
    assert sorted(key.alg for key in services.signing_keys.show()) == sorted(ALGORITHMS)


# No moment without


TIMES = KeyTimes(publish_ahead=10 * MINUTE, publish_after=DAY, rotate_after=2 * HOUR)
# As /jwks tells them to keep it.
CACHED_FOR = timedelta(minutes=5)


@dataclass
class Verifier:
    """A relying party that reads the published keys as rarely as it may, and never because a key is unknown to it."""

    read: Callable[[], Any]
    clock: FixedClock
    read_at: datetime | None = None
    keys: dict[str, Any] = field(default_factory=dict)

    def verify(self, token: str) -> None:
        if self.read_at is None or self.clock.now() - self.read_at >= CACHED_FOR:
            self.read_at, self.keys = self.clock.now(), dict(self.read())
        assert kid_of(token) in {key["kid"] for key in self.keys["keys"]}, "signed by a key that was not published"
        jws.deserialize_compact(token, KeySet.import_key_set(self.keys), registry=Registry(ALGORITHMS))  # type: ignore[arg-type]


STEPS = st.lists(
    st.tuples(
        st.sampled_from([SECOND, 29 * SECOND, 31 * SECOND, 4 * MINUTE, 11 * MINUTE, HOUR, 3 * HOUR, DAY]),
        st.sampled_from(["nothing", "rotate", "rotate now", "work"]),
        st.integers(0, 1),
    ),
    min_size=5,
    max_size=12,
)


@pytest.fixture
def at_work(services: Services) -> Iterator[SigningKeys]:
    yield SigningKeys(services.units, services.clock, services.envelope, services.trail, LONGEST_TOKEN, TIMES)


@given(steps=STEPS)
@example_settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_whatever_is_valid_verifies_with_the_published_keys_at_every_moment(
    services: Services, clock: FixedClock, at_work: SigningKeys, steps: list[tuple[timedelta, str, int]]
) -> None:
    nodes = [node(services), node(services)]
    # Each reads from one node, whoever signed.
    verifiers = [Verifier(each.published, clock) for each in nodes]
    valid: list[tuple[datetime, str]] = []
    for distance, what, which in steps:
        # In strides, so that many tokens are signed and every cache grows old on the way.
        for _ in range(3):
            clock.move(distance / 3)
            # The oldest of those that are valid, and the newest: what lies between tells nothing more.
            valid = [(ends, token) for ends, token in valid if ends > clock.now()]
            valid = valid[:4] + valid[4:][-4:]
            token = nodes[which].sign("ES256", {"iss": ISSUER, "sub": "anna", "jti": "x"}, "at+jwt")
            valid.append((clock.now() + LONGEST_TOKEN, token))
            for _ends, each in valid:
                for verifier in verifiers:
                    verifier.verify(each)
                assert all(keys.verified_access_token(each, ISSUER) for keys in nodes)
        if what == "work":
            at_work.rotate_old()
            at_work.retire_old()
        elif what == "rotate":
            at_work.rotate("ES256")
        elif what == "rotate now":
            # For a key that is known to others: whoever keeps keys for 5 minutes reads again for an unknown one.
            at_work.rotate("EdDSA", at_once=True)
    kids = [key.kid for key in at_work.show()]
    assert len(kids) == len(set(kids))


# By age


def test_keys_rotate_by_age_so_that_none_signs_for_longer(services: Services, clock: FixedClock) -> None:
    times = KeyTimes(publish_ahead=DAY, publish_after=30 * DAY, rotate_after=90 * DAY)
    at_work = SigningKeys(services.units, clock, services.envelope, services.trail, 5 * MINUTE, times)
    (old,) = of(services, "ES256")
    clock.move(89 * DAY - SECOND)
    assert at_work.rotate_old() == []
    clock.move(SECOND)
    assert {key.alg for key in at_work.rotate_old()} == set(ALGORITHMS)
    assert at_work.rotate_old() == []
    assert of(services, "ES256")[0].signs_until == old.signs_from + 90 * DAY


def test_worker_rotates_and_retires(services: Services, clock: FixedClock, at_work: SigningKeys) -> None:
    (old,) = of(services, "ES256")
    worker = Worker(key_tasks(at_work), clock, nullcontext)
    for _ in range(5):
        worker.run_due()
        clock.move(12 * HOUR)
    assert next(key for key in at_work.show() if key.kid == old.kid).retired_at is not None
    assert node(services).is_ready()


def test_keys_do_not_rotate_by_age_unless_configured(services: Services, clock: FixedClock) -> None:
    clock.move(4000 * DAY)
    assert services.signing_keys.rotate_old() == ()


def test_old_key_is_retired_when_its_time_is_over_and_never_one_that_signs(
    services: Services, clock: FixedClock
) -> None:
    (old,) = of(services, "ES256")
    services.signing_keys.rotate("ES256")
    clock.move(31 * DAY - SECOND)
    assert services.signing_keys.retire_old() == ()
    clock.move(SECOND)
    assert services.signing_keys.retire_old() == [old.kid]
    assert services.signing_keys.retire_old() == ()
    clock.move(4000 * DAY)
    assert services.signing_keys.retire_old() == ()
    keys = node(services)
    assert old.kid not in published_by(keys) and keys.is_ready()


def test_private_part_of_a_retired_key_is_erased(services: Services, clock: FixedClock) -> None:
    (old,) = of(services, "ES256")
    services.signing_keys.rotate("ES256")
    clock.move(31 * DAY)
    services.signing_keys.retire_old()
    with services.units.reading() as unit:
        row = unit.get(SigningKey, old.kid)
        assert row is not None and row.private_sealed == b"" and row.public_jwk["kid"] == old.kid


def test_ready_is_not_said_while_an_algorithm_has_no_key_that_signs(services: Services, clock: FixedClock) -> None:
    with services.units.writing() as unit:
        for row in unit.scalars(select(SigningKey).where(SigningKey.alg == "PS256")):
            row.signs_from = clock.now() + HOUR
    keys = node(services)
    assert not keys.is_ready()
    clock.move(HOUR)
    assert keys.is_ready()


# Taking a key back


def _refusal(services: Services, kid: str, at_once: bool = False) -> Refused:
    with pytest.raises(Refused) as refused:
        services.signing_keys.retire(kid, at_once=at_once)
    return refused.value


def test_key_that_signs_cannot_be_retired_even_now(services: Services, clock: FixedClock) -> None:
    (old,) = of(services, "RS256")
    assert _refusal(services, old.kid, at_once=True).message_key == "key.signs"
    new = services.signing_keys.rotate("RS256", at_once=True)
    # The old one still signs for a minute; the new one is about to.
    assert _refusal(services, old.kid, at_once=True).message_key == "key.signs"
    assert _refusal(services, new.kid, at_once=True).message_key == "key.signs"
    assert _refusal(services, "unknown").message_key == "key.unknown"
    clock.move(AT_ONCE)
    services.signing_keys.retire(old.kid, at_once=True)
    assert _refusal(services, old.kid, at_once=True).message_key == "key.retired"


def test_key_that_waits_can_be_taken_back_and_the_old_one_goes_on(services: Services, clock: FixedClock) -> None:
    (old,) = of(services, "ES256")
    new = services.signing_keys.rotate("ES256")
    assert services.signing_keys.retire(new.kid) == []
    clock.move(2 * DAY)
    assert kid_of(node(services).sign("ES256", {})) == old.kid
    assert of(services, "ES256")[0].signs_until is None
    assert services.signing_keys.rotate("ES256").kid not in {old.kid, new.kid}


def test_retiring_says_what_depends_on_the_key_and_until_when(own: Provider, clock: FixedClock) -> None:
    party = own.client(access_token_format="jwt", id_token_signed_response_alg="ES256")
    tokens = own.client(id_token_signed_response_alg="RS256", access_token_format="jwt").signed_in()
    assert tokens
    started = clock.now()
    with own.app.app_context():
        services = own.services
        (old,) = of(services, "ES256")
        services.signing_keys.rotate("ES256", at_once=True)
    party.signed_in(own.somebody())
    party.signed_in(own.somebody())
    clock.move(AT_ONCE)
    with own.app.app_context():
        refused = _refusal(services, old.kid)
        lost = services.signing_keys.retire(old.kid, at_once=True)
    told = {each.kind: (each.number, each.until) for each in lost}
    assert told == {
        "ID tokens": (None, started + AT_ONCE + 5 * MINUTE),
        "logout tokens": (None, started + AT_ONCE + 2 * MINUTE),
        "JWT access tokens": (2, started + 5 * MINUTE),
        "sessions with an id_token_hint": (2, started + 12 * HOUR),
    }
    assert refused.message_key == "key.needed"
    for each in lost:
        assert each.kind in refused.detail and f"{each.until:%H:%M:%S}" in refused.detail


def test_key_can_be_retired_as_soon_as_nothing_depends_on_it(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    make.client("app", id_token_signed_response_alg="ES256")
    open_session(services, make.person().id, ["app"])
    (old,) = of(services, "ES256")
    services.signing_keys.rotate("ES256", at_once=True)
    clock.move(AT_ONCE + 5 * MINUTE)
    # Whoever signed in can still be signed out with the ID token of then.
    assert "1 sessions with an id_token_hint" in _refusal(services, old.kid).detail
    clock.move(25 * MINUTE)
    assert services.signing_keys.retire(old.kid) == []


def test_hint_works_as_long_as_its_key_is_published_and_no_longer(own: Provider, clock: FixedClock) -> None:
    hint = own.client(id_token_signed_response_alg="ES256").signed_in()["id_token"]
    with own.app.app_context():
        own.services.signing_keys.rotate("ES256")
        clock.move(31 * DAY - SECOND)
        own.services.signing_keys.retire_old()
        assert own.services.keys.verified_id_token(hint, ISSUER) is not None
        clock.move(SECOND)
        own.services.signing_keys.retire_old()
        clock.move(READ_AGAIN_AFTER)
        assert own.services.keys.verified_id_token(hint, ISSUER) is None


def test_changes_of_keys_are_in_the_audit_trail(services: Services, clock: FixedClock) -> None:
    (old,) = of(services, "ES256")
    new = services.signing_keys.rotate("ES256", actor="root")
    services.signing_keys.rotate("ES256", at_once=True, actor="root")
    clock.move(31 * DAY)
    services.signing_keys.retire_old()
    with services.units.reading() as unit:
        rows = unit.scalars(select(AuditEvent).filter_by(type="signing_key_changed").order_by(AuditEvent.id)).all()
        said = [(row.details["change"], row.details["kid"], row.actor) for row in rows]
    assert said == [("made", new.kid, "root"), ("brought forward", new.kid, "root"), ("retired", old.kid, None)]


def test_refused_retirement_writes_nothing(services: Services) -> None:
    (old,) = of(services, "ES256")
    _refusal(services, old.kid)
    with services.units.reading() as unit:
        assert unit.scalars(select(AuditEvent).filter_by(type="signing_key_changed")).all() == []


@pytest.mark.demand(69)
def test_published_keys_after_a_rotation_are_distinct_and_public(own: Provider, clock: FixedClock) -> None:
    # #70
    with own.app.app_context():
        for alg in ALGORITHMS:
            own.services.signing_keys.rotate(alg)
    clock.move(READ_AGAIN_AFTER)
    published = body(own.get("/jwks"))["keys"]
    assert len(published) == len({key["kid"] for key in published}) == 2 * len(ALGORITHMS)
    assert not any({"d", "p", "q", "dp", "dq", "qi", "k"} & set(key) for key in published)


def test_relying_party_sees_one_rotation_from_end_to_end(own: Provider, clock: FixedClock) -> None:
    # #69: oidcc-server-rotate-keys
    party: RelyingParty = own.client(id_token_signed_response_alg="ES256")
    before = {key["kid"] for key in body(own.get("/jwks"))["keys"]}
    with own.app.app_context():
        own.services.signing_keys.rotate("ES256", at_once=True)
    clock.move(READ_AGAIN_AFTER)
    between = {key["kid"] for key in body(own.get("/jwks"))["keys"]}
    assert before < between
    clock.move(AT_ONCE)
    assert kid_of(party.signed_in()["id_token"]) in between - before
