"""What the person meets after a reset, through the pages: a choice without a way around it, for a limited time."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import TypeVar

import pytest
from flask import Flask

from idp.kernel.clock import FixedClock
from idp.kernel.errors import Refused
from idp.wiring import Services
from tests.admin.desk import account, in_force, reset, undo
from tests.attacks.world import World
from tests.factories import Somebody, SomeClient
from tests.regressions.ways import enrol

T = TypeVar("T")
WINDOW = timedelta(hours=72)
TICK = timedelta(microseconds=1)


@pytest.fixture
def world(app: Flask, clock: FixedClock) -> World:
    return World(app, clock)


def at_desk(world: World, act: Callable[[Services], T]) -> T:
    """What the service desk does, or sees."""
    with world.app.app_context():
        return act(world.services)


@pytest.fixture
def client(world: World) -> SomeClient:
    return world.make.client()


@pytest.fixture
def anna(world: World) -> Somebody:
    """Somebody with an app, in an organisation where others may still postpone."""
    organization = world.make.organization(required_from=date(2026, 11, 1), postpone_until=date(2027, 2, 1))
    return world.make.account(organization, totp=True)


def test_person_chooses_anew_and_cannot_postpone(world: World, client: SomeClient, anna: Somebody) -> None:
    at_desk(world, reset)
    world.clock.move(TICK)
    browser = world.browser()
    page = browser.submit(browser.begin(client), **anna.names)
    assert page.prompt == "enrol_second_factor" and 'value="postpone"' not in page.text
    refused = browser.submit(page, method="postpone")
    assert refused.prompt == "enrol_second_factor" and not refused.answer
    done, _ = enrol(world, browser, refused, anna)
    assert done.code
    left = at_desk(world, account)
    assert (
        left.reset_at is None
        and left.enrolment_open_until is None
        and at_desk(world, lambda services: in_force(services, anna.id)) == ["totp"]
    )
    with pytest.raises(Refused, match="enrolled something new"):
        at_desk(world, undo)


@pytest.mark.parametrize(("later", "is_open"), [(WINDOW - TICK, True), (WINDOW, False)])
def test_choice_is_open_for_72_hours(
    world: World, client: SomeClient, anna: Somebody, later: timedelta, is_open: bool
) -> None:
    at_desk(world, reset)
    world.clock.move(later)
    browser = world.browser()
    page = browser.submit(browser.begin(client), **anna.names)
    assert ('value="totp"' in page.text) == is_open and not page.answer
    at_desk(world, reset)
    world.clock.move(TICK)
    again = world.browser()
    assert 'value="totp"' in again.submit(again.begin(client), **anna.names).text, "another reset opens it anew"


def test_undone_reset_asks_for_the_code_of_before(world: World, client: SomeClient, anna: Somebody) -> None:
    at_desk(world, reset)
    world.clock.move(TICK)
    browser = world.browser()
    choosing = browser.submit(browser.begin(client), **anna.names)
    assert choosing.prompt == "enrol_second_factor"
    at_desk(world, undo)
    world.clock.move(TICK)
    page = browser.submit(choosing, method="totp")
    assert page.prompt == "identify", "what was begun in between begins again"
    page = browser.submit(page, **anna.names)
    assert page.prompt == "verify_second_factor"
    assert browser.submit(page, code=world.code(anna)).code
