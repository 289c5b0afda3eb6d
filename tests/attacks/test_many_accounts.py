"""A06-A08: locking somebody out, one password on many accounts, and stolen passwords from many addresses."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from idp.accounts.identify import Failures, Identification
from idp.attempts.models import EventCount
from idp.audit.events import OrganizationUnderAttack, PasswordChecked, PasswordsUnderAttack
from tests.attacks.parallel import Node, run
from tests.attacks.world import Browser, Page, World, mutation
from tests.factories import Somebody, SomeClient

DEVICE_COOKIE = "__Host-idp_device"
FREE_TRIES = 5
PER_SOURCE = 12
NODES = 3
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
NETWORK = "Er komen nu te veel verzoeken vanaf uw netwerk"
LIMITS = {"failures_per_source": PER_SOURCE, "failures_per_organization": 15, "failures_overall": 30}
SETTINGS: dict[str, Any] = {"trusted_proxies": ["127.0.0.1/32"], "sign_in": LIMITS}


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return SETTINGS


def somewhere(number: int) -> str:
    """An address for documentation (RFC 5737)."""
    return f"198.51.{100 + number // 250}.{number % 250 + 1}"


def guess(
    world: World, client: SomeClient, somebody: Somebody, address: str, password: str = "zomer2026!zomer"
) -> Page:
    """The response to one password, typed in a browser that was never here, at this address."""
    browser = world.browser(**{"X-Forwarded-For": address})
    page = browser.begin(client)
    return browser.press(page, **{**somebody.names, "password": password})


def sign_in_at(world: World, client: SomeClient, somebody: Somebody, address: str, browser: Browser) -> Page:
    """The page after the right password, in this browser at this address."""
    browser.headers = {"X-Forwarded-For": address}
    for cookie in [name for name in browser.cookies if not name.endswith("device")]:
        del browser.cookies[cookie]
    return browser.submit(browser.begin(client), **somebody.names)


def people(world: World, number: int, org_code: str = "10234") -> list[Somebody]:
    organisation = world.make.organization(org_code)
    return [world.make.account(organisation, f"persoon{each}", org_code) for each in range(number)]


def lock_out(world: World, client: SomeClient, somebody: Somebody) -> None:
    """Somebody guesses, from many addresses, until nothing more is looked at for an unknown device."""
    for number in range(FREE_TRIES + 1):
        guess(world, client, somebody, somewhere(number))


# A06


def test_a06_who_floods_from_elsewhere_does_not_lock_the_victim_out_of_a_known_device(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    known, _ = world.sign_in(client, anna)
    assert known.cookies[DEVICE_COOKIE]
    lock_out(world, client, anna)
    assert sign_in_at(world, client, anna, somewhere(0), world.browser()).status == 429
    assert sign_in_at(world, client, anna, somewhere(0), known).code
    assert world.outcomes(PasswordChecked) == ["right", *["wrong"] * FREE_TRIES, "right"]


def test_a06_a_flood_that_takes_every_place_for_hashing_leaves_some_for_known_devices(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    known, _ = world.sign_in(client, anna)
    places, taken = world.services.passwords._admitted, 0
    while places.acquire(blocking=False):
        taken += 1
    try:
        assert sign_in_at(world, client, anna, somewhere(0), world.browser()).status == 503
        assert sign_in_at(world, client, anna, somewhere(0), known).code
    finally:
        for _ in range(taken):
            places.release()
    assert taken and sign_in_at(world, client, anna, somewhere(0), world.browser()).code


def test_a06_success_of_the_known_device_gives_the_attacker_no_new_tries(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    known, _ = world.sign_in(client, anna)
    lock_out(world, client, anna)
    assert sign_in_at(world, client, anna, somewhere(0), known).code
    assert guess(world, client, anna, somewhere(50)).location
    assert world.outcomes(PasswordChecked).count("wrong") == FREE_TRIES


def test_a06_stolen_device_cookie_gives_one_more_budget_and_nothing_else(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    known, _ = world.sign_in(client, anna)
    thief = world.browser()
    thief.cookies[DEVICE_COOKIE] = known.cookies[DEVICE_COOKIE]
    lock_out(world, client, anna)
    guesser = replace(anna, password="zomer2026!zomer")
    pages = [sign_in_at(world, client, guesser, somewhere(number), thief) for number in range(2 * FREE_TRIES)]
    assert [page.status for page in pages][-FREE_TRIES:] == [429] * FREE_TRIES
    assert world.outcomes(PasswordChecked).count("wrong") == 2 * FREE_TRIES
    assert not thief.session
    assert sign_in_at(world, client, anna, somewhere(0), thief).status == 429, "the wait page knows the device too"


def test_a06_device_is_known_for_the_account_that_signed_in_with_it_alone(world: World) -> None:
    client, (anna, bram) = world.make.client(), people(world, 2)
    known, _ = world.sign_in(client, anna)
    lock_out(world, client, bram)
    assert sign_in_at(world, client, bram, somewhere(0), known).status == 429


def test_a06_device_cookie_that_we_did_not_give_out_is_worth_nothing_and_replaced(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    planted, victim = "x" * 43, world.browser()
    victim.cookies[DEVICE_COOKIE] = planted
    world.sign_in(client, anna, victim)
    assert victim.cookies[DEVICE_COOKIE] != planted
    attacker = world.browser()
    attacker.cookies[DEVICE_COOKIE] = planted
    lock_out(world, client, anna)
    assert sign_in_at(world, client, anna, somewhere(0), attacker).status == 429


def test_a06_wrong_second_factor_makes_no_device_known(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, page = world.at_code_page(client, anna)
    browser.submit(page, code=world.wrong_code(anna))
    assert DEVICE_COOKIE not in browser.cookies
    browser.submit(browser.follow(browser.get(page.url)), code=world.code(anna))
    assert browser.cookies[DEVICE_COOKIE]


def test_a06_device_cookie_is_for_our_host_alone_hidden_from_scripts_and_lasts(world: World) -> None:
    client, anna, browser = world.make.client(), world.make.person(), world.browser()
    pressed = browser.press(browser.begin(client), **anna.names)
    (cookie,) = [value for name, value in pressed.headers if name == "Set-Cookie" and DEVICE_COOKIE in value]
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "path=/", "samesite=lax", f"max-age={90 * 24 * 3600}"} <= attributes
    assert not any(attribute.startswith("domain") for attribute in attributes)


def test_a06_new_password_a_block_and_a_reset_forget_the_devices(world: World) -> None:
    client, everybody = world.make.client(), people(world, 3)
    accounts, desk = world.services.accounts, world.services.service_desk

    def new_password(somebody: Somebody) -> Somebody:
        accounts.set_password("10234", somebody.username, "een heel nieuw lang geheim 2")
        return replace(somebody, password="een heel nieuw lang geheim 2")

    def block_and_unblock(somebody: Somebody) -> Somebody:
        accounts.block("10234", somebody.username)
        accounts.unblock("10234", somebody.username)
        return somebody

    def reset(somebody: Somebody) -> Somebody:
        desk.reset("10234", somebody.username, reason="telefoon kwijt", caller_checked="teruggebeld", actor="desk")
        return somebody

    for somebody, forgets in zip(everybody, (new_password, block_and_unblock, reset), strict=True):
        known, _ = world.sign_in(client, somebody)
        with world.app.app_context():
            changed = forgets(somebody)
        lock_out(world, client, changed)
        assert sign_in_at(world, client, changed, somewhere(200), known).status == 429, forgets.__name__


@mutation
def test_a06_with_one_budget_for_all_devices_the_victim_would_be_locked_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Identification, "device_of", lambda *_: "unknown device")
    client, anna = world.make.client(), world.make.person()
    known, _ = world.sign_in(client, anna)
    lock_out(world, client, anna)
    assert sign_in_at(world, client, anna, somewhere(0), known).status == 429


def test_a06_known_device_is_not_turned_away_with_its_network(world: World) -> None:
    client, everybody = world.make.client(), people(world, PER_SOURCE + 1)
    anna, office = everybody[0], somewhere(0)
    known = world.browser(**{"X-Forwarded-For": office})
    world.sign_in(client, anna, known)
    for somebody in everybody[1:]:
        guess(world, client, somebody, office)
    turned_away = sign_in_at(world, client, anna, office, world.browser())
    assert turned_away.status == 429 and NETWORK in turned_away.title
    assert sign_in_at(world, client, anna, office, known).code


# A07


def test_a07_one_password_on_many_accounts_ends_with_the_budget_of_its_source(world: World) -> None:
    client, everybody = world.make.client(), people(world, PER_SOURCE + 6)
    pages = [guess(world, client, somebody, somewhere(0)) for somebody in everybody]
    assert [page.status for page in pages] == [303] * PER_SOURCE + [429] * 6
    assert world.outcomes(PasswordChecked) == ["wrong"] * PER_SOURCE
    refused = pages[-1]
    assert refused.header("Retry-After") == "3600"
    assert NETWORK in refused.title
    assert "persoon" not in refused.text and "10234" not in refused.text
    world.clock.move(HOUR - MINUTE)
    assert guess(world, client, everybody[-1], somewhere(0)).header("Retry-After") == "60"
    world.clock.move(MINUTE)
    assert guess(world, client, everybody[-1], somewhere(0)).status == 303


def test_a07_who_is_turned_away_with_a_network_costs_nobody_a_try(world: World) -> None:
    client, everybody = world.make.client(), people(world, PER_SOURCE + 1)
    for somebody in everybody[:-1]:
        guess(world, client, somebody, somewhere(0))
    victim = everybody[-1]
    for _ in range(2 * FREE_TRIES):
        assert guess(world, client, victim, somewhere(0)).status == 429
    assert sign_in_at(world, client, victim, somewhere(1), world.browser()).code


def test_a07_one_ipv6_network_is_one_source(world: World) -> None:
    client, everybody = world.make.client(), people(world, PER_SOURCE + 1)
    pages = [
        guess(world, client, somebody, f"2001:db8:0:1:{number:x}::{number:x}")
        for number, somebody in enumerate(everybody)
    ]
    assert [page.status for page in pages] == [303] * PER_SOURCE + [429]
    assert guess(world, client, everybody[-1], "2001:db8:0:2::1").status == 303


def test_a07_right_passwords_use_up_nothing(world: World) -> None:
    client, everybody = world.make.client(), people(world, 2)
    for number in range(PER_SOURCE + 3):
        assert sign_in_at(world, client, everybody[number % 2], somewhere(0), world.browser()).code
    assert guess(world, client, everybody[0], somewhere(0)).status == 303


def test_a07_attempts_that_a_wait_refuses_use_up_nothing(world: World) -> None:
    client, everybody = world.make.client(), people(world, 2)
    for _ in range(3 * PER_SOURCE):
        guess(world, client, everybody[0], somewhere(0))
    assert world.outcomes(PasswordChecked) == ["wrong"] * FREE_TRIES
    assert sign_in_at(world, client, everybody[1], somewhere(0), world.browser()).code


def test_a07_organisation_under_attack_is_told_once_an_hour_without_names(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    client, everybody = world.make.client(), people(world, 20)
    for number, somebody in enumerate(everybody):
        guess(world, client, somebody, somewhere(number))
    (alarm,) = world.events(OrganizationUnderAttack)
    assert (alarm.details, alarm.account_id) == ({"failures": LIMITS["failures_per_organization"]}, None)
    assert alarm.organization_id is not None
    (line,) = [record.getMessage() for record in caplog.records if "ALARM" in record.getMessage()]
    assert line == "ALARM: 15 wrong passwords for one organisation within an hour"
    world.clock.move(HOUR)
    for number, somebody in enumerate(everybody):
        guess(world, client, somebody, somewhere(number))
    assert len(world.events(OrganizationUnderAttack)) == 2


def test_a07_made_up_organisations_and_networks_leave_few_rows_behind(world: World) -> None:
    client = world.make.client()
    for number in range(PER_SOURCE):
        guess(world, client, Somebody(0, f"bestaat niet {number}", "x", "x", ""), somewhere(0))
    with world.reading() as unit:
        assert unit.scalar(select(func.count()).select_from(EventCount)) == 3, "the source, the unknown ones, and all"
    assert world.events(OrganizationUnderAttack) == []


@dataclass(frozen=True)
class Spray:
    """Each process tries one password on these people, from one address; the second way, from many."""

    client: SomeClient
    everybody: Sequence[Somebody]
    is_everywhere: bool = False
    breaks: bool = False


def spray(node: Node, attack: Spray) -> list[int]:
    if attack.breaks:
        without_conditions()
    world = node.world

    def ready(number: int, somebody: Somebody) -> Any:
        address = somewhere(100 * node.number + number if attack.is_everywhere else 0)
        browser = world.browser(**{"X-Forwarded-For": address})
        page = browser.begin(attack.client)
        return lambda: browser.press(page, **{**somebody.names, "password": "zomer2026!zomer"}).status

    return node.at_once([ready(*each) for each in enumerate(attack.everybody)])


def without_conditions() -> None:
    """THE FAULT: the budget is read, and written only when the password turned out wrong."""

    def pay(failures: Failures, unit: Any) -> None:
        source = "source", somewhere(0)
        if failures._counts.number(unit, *source) >= PER_SOURCE:
            raise AssertionError("turned away")

    Failures.pay = pay  # type: ignore[method-assign]


def shares(everybody: Sequence[Somebody]) -> list[Sequence[Somebody]]:
    return [everybody[number::NODES] for number in range(NODES)]


def test_a07_three_processes_together_get_the_budget_of_one_source(world: World, database_url: str) -> None:
    client, everybody = world.make.client(), people(world, 21)
    attacks = [Spray(client, each) for each in shares(everybody)]
    results = run(spray, attacks, database_url, world.clock.now(), settings=SETTINGS)
    statuses = [status for each in results for status in each]
    assert sorted(statuses) == [303] * PER_SOURCE + [429] * (21 - PER_SOURCE)
    assert world.outcomes(PasswordChecked) == ["wrong"] * PER_SOURCE


@mutation
def test_a07_without_paying_first_all_of_them_would_be_looked_at(world: World, database_url: str) -> None:
    client, everybody = world.make.client(), people(world, 21)
    attacks = [Spray(client, each, breaks=True) for each in shares(everybody)]
    run(spray, attacks, database_url, world.clock.now(), settings=SETTINGS)
    assert len(world.outcomes(PasswordChecked)) > PER_SOURCE


# A08


def test_a08_passwords_from_many_addresses_raise_one_alarm_and_leave_each_a_tenth(
    world: World, database_url: str
) -> None:
    client, everybody = world.make.client(), people(world, 33)
    attacks = [Spray(client, each, is_everywhere=True) for each in shares(everybody)]
    results = run(spray, attacks, database_url, world.clock.now(), settings=SETTINGS)
    statuses = [status for each in results for status in each]
    assert statuses == [303] * 33
    (alarm,) = world.events(PasswordsUnderAttack)
    assert (alarm.details, alarm.organization_id) == ({"failures": LIMITS["failures_overall"]}, None)
    assert len(world.events(OrganizationUnderAttack)) == 1
    fresh, evaluated = somewhere(400), len(world.outcomes(PasswordChecked))
    pages = [guess(world, client, somebody, fresh) for somebody in everybody[:3]]
    assert [page.status for page in pages] == [303, 429, 429], "a tenth of twelve is one"
    assert len(world.outcomes(PasswordChecked)) == evaluated + 1
    assert sign_in_at(world, client, everybody[9], somewhere(401), world.browser()).code
    world.clock.move(HOUR)
    assert [guess(world, client, somebody, fresh).status for somebody in everybody[:3]] == [303] * 3
    assert len(world.events(PasswordsUnderAttack)) == 1
