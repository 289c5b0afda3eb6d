"""A device is known for whoever signed in with it, for a while, and for nobody else."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from idp.accounts import devices as module
from idp.accounts.devices import Devices
from idp.accounts.models import KnownDevice
from idp.kernel.clock import FixedClock
from idp.kernel.secrets import hash_secret, random_token
from idp.wiring import Services
from tests import canary
from tests.factories import Factories, Somebody

LIFETIME = timedelta(days=90)
INSTANT = timedelta(microseconds=1)


@pytest.fixture
def anna(make: Factories) -> Somebody:
    return make.person()


@pytest.fixture
def bram(make: Factories, anna: Somebody) -> Somebody:
    return make.account(make.organization("20345", name="De Eik"), "bram", "20345")


@pytest.fixture
def devices(clock: FixedClock) -> Devices:
    return Devices(clock, LIFETIME)


def remember(services: Services, devices: Devices, somebody: Somebody, secret: str | None = None) -> str:
    with services.units.writing() as unit:
        found = devices.remember(unit, somebody.id, secret)
    canary.knows(found)
    return found


def is_known(services: Services, devices: Devices, somebody: Somebody, secret: str | None) -> bool:
    """Asked by account and by name: the answers agree."""
    with services.units.reading() as unit:
        by_account = devices.is_known(unit, somebody.id, secret)
        name = devices.known(unit, somebody.org_code, somebody.username, secret)
    assert by_account == (name is not None)
    assert name is None or secret is None or name == hash_secret(secret).hex()
    return by_account


def test_device_is_known_for_the_account_that_signed_in_with_it_only(
    services: Services, devices: Devices, anna: Somebody, bram: Somebody
) -> None:
    secret = remember(services, devices, anna)
    assert is_known(services, devices, anna, secret)
    assert not is_known(services, devices, bram, secret)
    for other in (None, "", random_token(), hash_secret(secret).hex()):
        assert not is_known(services, devices, anna, other)


def test_same_browser_keeps_its_secret_for_everybody_who_signs_in_with_it(
    services: Services, devices: Devices, anna: Somebody, bram: Somebody
) -> None:
    secret = remember(services, devices, anna)
    assert remember(services, devices, anna, secret) == secret
    assert remember(services, devices, bram, secret) == secret
    assert is_known(services, devices, anna, secret) and is_known(services, devices, bram, secret)
    with services.units.reading() as unit:
        rows = unit.scalars(select(KnownDevice)).all()
    assert len(rows) == 2 and secret.encode() not in {row.device_hash for row in rows}


def test_secret_that_was_never_given_out_is_replaced(services: Services, devices: Devices, anna: Somebody) -> None:
    planted = random_token()
    given = remember(services, devices, anna, planted)
    assert given != planted
    assert not is_known(services, devices, anna, planted) and is_known(services, devices, anna, given)


def test_device_is_known_until_its_lifetime_after_it_was_last_used(
    services: Services, devices: Devices, anna: Somebody, clock: FixedClock
) -> None:
    secret = remember(services, devices, anna)
    clock.move(LIFETIME - INSTANT)
    assert is_known(services, devices, anna, secret)
    remember(services, devices, anna, secret)
    clock.move(LIFETIME - INSTANT)
    assert is_known(services, devices, anna, secret)
    clock.move(INSTANT)
    assert not is_known(services, devices, anna, secret)
    assert remember(services, devices, anna, secret) != secret


def test_forgotten_devices_are_known_no_more_and_their_secrets_never_again(
    services: Services, devices: Devices, anna: Somebody, bram: Somebody
) -> None:
    secrets = [remember(services, devices, anna) for _ in range(3)]
    of_bram = remember(services, devices, bram)
    with services.units.writing() as unit:
        assert devices.forget(unit, anna.id) == 3
        assert devices.forget(unit, anna.id) == 0
    assert not any(is_known(services, devices, anna, secret) for secret in secrets)
    assert is_known(services, devices, bram, of_bram)
    assert remember(services, devices, anna, secrets[0]) not in secrets


def test_an_account_has_so_many_devices_and_the_one_used_longest_ago_goes(
    services: Services, devices: Devices, anna: Somebody, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    secrets = []
    for _ in range(3):
        secrets.append(remember(services, devices, anna))
        clock.move(timedelta(minutes=1))
    assert [is_known(services, devices, anna, secret) for secret in secrets] == [False, True, True]
