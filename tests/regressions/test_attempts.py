"""What costs an attempt, and what a new second factor inherits."""

from typing import Any

import pytest
from sqlalchemy import select, update

from idp.attempts.models import AttemptBudget
from idp.factors.models import Credential
from tests.attacks.world import STEP, World
from tests.conftest import WEAK_HASH
from tests.regressions.ways import REQUIRED, enrol


class TestHashing:
    """One password is hashed at a time here, and one may wait."""

    @pytest.fixture
    def settings_values(self) -> dict[str, Any]:
        return {"passwords": {**WEAK_HASH, "concurrency": 1, "queue": 1}}

    def test_password_that_finds_the_queue_for_hashing_full_costs_nobody_an_attempt(self, world: World) -> None:
        els = world.make.person(username="els")
        browser = world.browser()
        page = browser.begin(world.make.client())
        places = world.services.passwords._admitted
        while places.acquire(blocking=False):
            pass
        for _ in range(6):
            turned_away = browser.press(page, **els.names)
            assert turned_away.status == 503 and turned_away.header("Retry-After")
        assert world.count(AttemptBudget) == 0
        places.release()
        places.release()
        assert browser.submit(page, **els.names).code


@pytest.mark.parametrize("in_a_row", [4, 99])
def test_new_app_does_not_inherit_the_wrong_codes_of_the_one_before(world: World, in_a_row: int) -> None:
    anna = world.make.account(world.make.organization(**REQUIRED), "anna", totp=True)
    client = world.make.client()
    browser, page = world.at_code_page(client, anna)
    browser.press(page, code=world.wrong_code(anna))
    with world.writing() as unit:
        factor = AttemptBudget.kind == "second_factor"
        unit.execute(update(AttemptBudget).where(factor).values(in_a_row=in_a_row))
        unit.execute(update(Credential).values(withdrawn_at=world.clock.now()))
    browser = world.browser()
    page, holding = enrol(world, browser, browser.submit(browser.begin(client), **anna.names), anna)
    assert page.code
    with world.reading() as unit:
        counts = unit.scalars(select(AttemptBudget.in_a_row).where(factor)).all()
    assert counts in ([], [0])
    world.clock.move(2 * STEP)
    browser, page = world.at_code_page(client, holding)
    # The first wrong code is the first, and disables nothing.
    assert browser.submit(page, code=world.wrong_code(holding)).status == 200
    assert browser.submit(page, code=world.code(holding)).code
