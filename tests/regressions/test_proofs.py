"""What a proof is worth later: after a new password or a block, after a long time, after beginning again."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from idp.factors.models import Credential
from idp.signin.interaction import Interaction
from tests.attacks.world import Browser, Page, World
from tests.factories import Somebody
from tests.regressions.ways import MINUTE, POSTPONABLE, REQUIRED, enrol

NEW_PASSWORD = "een heel ander wachtwoord 22"


def set_password(world: World) -> None:
    world.services.accounts.set_password("10234", "els", NEW_PASSWORD)


def block_for_a_moment(world: World) -> None:
    world.services.accounts.block("10234", "els")
    world.services.accounts.unblock("10234", "els")


def postpone(world: World, browser: Browser, page: Page, els: Somebody) -> Page:
    return browser.postpone(page)


def set_up(world: World, browser: Browser, page: Page, els: Somebody) -> Page:
    return enrol(world, browser, page, els)[0]


def half_way(world: World, **values: Any) -> tuple[Browser, Page, Somebody]:
    """A browser whose password was accepted, at the page after it."""
    els = world.make.account(world.make.organization(**POSTPONABLE), "els", **values)
    browser = world.browser()
    page = browser.submit(browser.begin(world.make.client()), **els.names)
    assert page.prompt == ("verify_second_factor" if els.totp_secret else "enrol_second_factor")
    return browser, page, els


CHANGES = pytest.mark.parametrize("change", [set_password, block_for_a_moment])
DISTANCES = pytest.mark.parametrize("later", [timedelta(0), MINUTE], ids=["at that instant", "later"])


@CHANGES
@DISTANCES
def test_password_proof_before_a_new_password_or_a_block_opens_nothing_by_postponing(
    world: World, change: Callable[[World], None], later: timedelta
) -> None:
    browser, page, _ = half_way(world)
    sure = browser.submit(page, method="postpone")
    world.clock.move(later)
    with world.app.app_context():
        change(world)
    assert browser.submit(sure).prompt == "identify"
    assert world.given_out() == (0, 0) and browser.session is None


@CHANGES
def test_password_proof_before_a_new_password_or_a_block_enrols_nothing(
    world: World, change: Callable[[World], None]
) -> None:
    browser, page, els = half_way(world)
    shown = browser.submit(page, method="totp")
    world.clock.move(MINUTE)
    with world.app.app_context():
        change(world)
    assert browser.submit(shown, method="totp", code="000000").prompt == "identify"
    assert browser.get(page.url).prompt == "identify"
    assert world.count(Credential) == 0 and world.given_out() == (0, 0)


@CHANGES
def test_password_proof_before_a_new_password_or_a_block_opens_nothing_with_a_right_code(
    world: World, change: Callable[[World], None]
) -> None:
    browser, page, els = half_way(world, totp=True)
    world.clock.move(MINUTE)
    with world.app.app_context():
        change(world)
    assert browser.submit(page, code=world.code(els)).prompt == "identify"
    assert world.given_out() == (0, 0) and browser.session is None


def test_sign_in_that_a_new_password_made_void_goes_on_with_that_password(world: World) -> None:
    browser, page, els = half_way(world, totp=True)
    world.clock.move(MINUTE)
    with world.app.app_context():
        set_password(world)
    world.clock.move(MINUTE)
    again = browser.get(page.url)
    asked = browser.submit(browser.follow(again), **replace(els, password=NEW_PASSWORD).names)
    assert asked.prompt == "verify_second_factor"
    assert browser.submit(asked, code=world.code(els)).code


@pytest.mark.parametrize("finish", [postpone, set_up])
def test_half_made_sign_in_that_is_kept_busy_ends_half_an_hour_after_its_password(
    world: World, finish: Callable[[World, Browser, Page, Somebody], Page]
) -> None:
    browser, page, els = half_way(world)
    world.clock.move(29 * MINUTE)
    page = browser.submit(page, method="nonsense")
    assert page.prompt == "enrol_second_factor"
    world.clock.move(MINUTE)
    # The page is still open, and the interaction was used a minute ago.
    late = browser.press(page, method="postpone" if finish is postpone else "totp")
    assert late.prompt == "identify"
    asked = browser.follow(late)
    assert world.given_out() == (0, 0) and world.count(Credential) == 0
    assert finish(world, browser, browser.submit(asked, **els.names), els).code


def test_code_half_an_hour_after_the_password_opens_nothing_however_busy_the_page_was(world: World) -> None:
    browser, page, els = half_way(world, totp=True)
    world.clock.move(29 * MINUTE)
    page = browser.submit(page, code=world.wrong_code(els))
    world.clock.move(MINUTE)
    assert browser.submit(page, code=world.code(els)).prompt == "identify"
    assert world.given_out() == (0, 0)


class TestShortRequests:
    """A request that can be answered for two hours."""

    @pytest.fixture
    def settings_values(self) -> dict[str, Any]:
        return {"sign_in": {"request_lifetime": timedelta(hours=2)}}

    def test_interaction_that_is_kept_busy_is_over_when_its_request_is(self, world: World) -> None:
        els = world.make.account(world.make.organization(**REQUIRED), "els")
        browser = world.browser()
        page = browser.begin(world.make.client())
        for _ in range(4):
            world.clock.move(29 * MINUTE)
            page = browser.submit(page, **{**els.names, "password": ""})
            assert page.status == 200 and page.prompt == "identify"
        world.clock.move(4 * MINUTE)
        late = browser.press(page, **els.names)
        assert late.status == 410 and f"/s/{page.interaction_id}/restart" not in late.text
        assert browser.get(page.url).status == 410
        assert world.given_out() == (0, 0)


def test_key_that_was_shown_is_forgotten_when_the_sign_in_begins_again(world: World) -> None:
    browser, page, _ = half_way(world)
    shown = browser.submit(page, method="totp")
    assert sealed_keys(world) == 1
    browser.follow(browser.get(f"/s/{shown.interaction_id}/restart"))
    assert sealed_keys(world) == 0


def sealed_keys(world: World) -> int:
    with world.reading() as unit:
        return len(unit.scalars(select(Interaction.id).where(Interaction.enrolling_sealed.is_not(None))).all())
