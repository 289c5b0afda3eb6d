"""An error is shown where it belongs, and no longer than it is true; a wait ends when the page says so."""

from datetime import UTC, datetime, timedelta

from tests.journeys.driver import MINUTE, Visit, World

SECOND = timedelta(seconds=1)


def _has_error(visit: Visit) -> bool:
    return visit.page.has("summary") or visit.page.title.startswith("Fout:")


def _type_wrong_codes(visit: Visit, code: str, times: int) -> None:
    for _ in range(times):
        visit.type_code(code)


def test_wrong_code_does_not_follow_to_the_choice_of_another_method(world: World) -> None:
    anna = world.with_mailbox(world.person(totp=True))
    visit = world.visit().identify(anna).type_code(world.wrong_code(anna))
    assert _has_error(visit)
    visit.open(f"{visit.url('verify_second_factor')}?choose=1")
    assert visit.page.has("method-submit") and not _has_error(visit)


def test_wrong_code_while_setting_up_does_not_follow_to_the_choice(world: World) -> None:
    visit = world.visit().identify(world.campaigner()).choose("totp").type_code("000000")
    assert _has_error(visit)
    visit.open(f"{visit.url('enrol_second_factor')}?choose=1")
    assert visit.page.has("method-submit") and not _has_error(visit)


def test_error_of_before_a_wait_is_gone_when_the_wait_is_over(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    _type_wrong_codes(visit, world.wrong_code(anna), 5)
    assert visit.page.status == 429
    world.clock.move(MINUTE)
    visit.follow("retry")
    assert visit.page.has("code-submit") and not _has_error(visit)
    visit.type_code(world.wrong_code(anna))
    world.clock.move(2 * MINUTE)
    assert visit.reload().page.has("code-submit") and not _has_error(visit), "each wait ends like the first"


def test_mailed_code_error_of_before_a_wait_is_gone_when_the_wait_is_over(world: World) -> None:
    visit = world.visit().identify(world.campaigner()).choose("email")
    _type_wrong_codes(visit, "000000", 5)
    assert visit.page.status == 429
    world.clock.move(MINUTE)
    visit.open(visit.url("enrol_second_factor"))
    assert visit.page.has("code-submit") and not _has_error(visit)


def test_wait_is_over_at_the_minute_that_the_page_names(world: World) -> None:
    world.clock.set(datetime(2026, 11, 23, 17, 27, 44, tzinfo=UTC))
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    _type_wrong_codes(visit, world.wrong_code(anna), 5)
    assert "om 18.29 uur" in visit.page.text.replace("\N{NO-BREAK SPACE}", " ")
    world.clock.set(datetime(2026, 11, 23, 17, 29, tzinfo=UTC))
    assert visit.follow("retry").prove(anna).tokens()
