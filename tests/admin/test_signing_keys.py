"""An installation has a key for each algorithm, made once, signing at once."""

from datetime import timedelta

from sqlalchemy import delete

from idp.admin.signing_keys import SigningKeys
from idp.kernel.clock import FixedClock
from idp.oidc import keys
from idp.oidc.keys import ALGORITHMS
from idp.oidc.models import SigningKey
from idp.wiring import Services


def test_keys_are_made_once_and_sign_at_once(services: Services, clock: FixedClock) -> None:
    before = services.signing_keys.list()
    assert {key.alg for key in before} == set(ALGORITHMS)
    assert {key.signs_from for key in before} == {clock.now()}
    clock.move(timedelta(days=400))
    assert services.signing_keys.ensure() == ()
    assert [key.kid for key in services.signing_keys.list()] == [key.kid for key in before]


def test_retired_key_is_replaced(services: Services, clock: FixedClock) -> None:
    clock.move(timedelta(days=1))
    with services.units.writing() as unit:
        retired = keys.listed(unit)[0]
        retired.retired_at = clock.now()
    assert services.signing_keys.ensure() == (retired.alg,)
    assert len(services.signing_keys.list()) == len(ALGORITHMS) + 1


def test_private_part_is_sealed_and_not_in_the_public_one(services: Services) -> None:
    for key in services.signing_keys.list():
        assert not {"d", "p", "q"} & set(key.public_jwk)
        assert b"PRIVATE KEY" not in key.private_sealed
        assert b"PRIVATE KEY" in services.envelope.open(key.private_sealed, f"signing_keys:{key.kid}")


def test_empty_installation_gets_a_key_for_each_algorithm(services: Services, clock: FixedClock) -> None:
    with services.units.writing() as unit:
        unit.execute(delete(SigningKey))
    fresh = SigningKeys(services.units, clock, services.envelope, services.trail, timedelta(minutes=5))
    assert fresh.ensure() == ALGORITHMS
