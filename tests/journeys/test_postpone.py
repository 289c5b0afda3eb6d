"""Postponing: after "are you sure", until the last day, decided when the answer arrives."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from idp.audit.events import EnrolmentPostponed, PostponementRefused
from tests.factories import Somebody
from tests.journeys.driver import FEBRUARY, MINUTE, NOVEMBER, STEP, World, acr

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
TICK = timedelta(microseconds=1)
DEADLINE = datetime(2027, 2, 2, tzinfo=AMSTERDAM).astimezone(UTC)
TOO_LATE = "Uitstellen kan niet meer."


@pytest.fixture
def els(world: World) -> Somebody:
    return world.campaigner()


def test_postponing_asks_are_you_sure_and_signs_in_at_the_lowest_level(world: World, els: Somebody) -> None:
    visit = world.visit().identify(els)
    assert "1 februari" in visit.page.text
    visit.choose("postpone")
    assert visit.page.heading == "Weet u zeker dat u wilt uitstellen?"
    assert world.sessions() == [] and world.events(EnrolmentPostponed) == []
    tokens = visit.press("postpone-confirm").tokens()
    assert (tokens.claims["acr"], tokens.claims["amr"]) == (acr(1), ["pwd"])
    assert len(world.events(EnrolmentPostponed)) == 1


def test_going_back_from_are_you_sure_shows_the_choice_and_the_app_can_still_be_set_up(
    world: World, els: Somebody
) -> None:
    visit = world.visit().identify(els).choose("postpone").follow("postpone-back")
    assert visit.page.has("method-submit")
    visit.choose("totp").set_up(els)
    assert visit.tokens().claims["acr"] == acr(3)


def test_postponing_without_the_question_having_been_asked_only_asks_it(world: World, els: Somebody) -> None:
    visit = world.visit().identify(els)
    for confirm in ("", "1", "true", visit.csrf_token):
        visit.post("enrol_second_factor", method="postpone", confirm=confirm)
        assert visit.page.has("postpone-confirm") and world.sessions() == []


def test_confirmation_of_another_interaction_confirms_nothing(world: World, els: Somebody) -> None:
    first, second = world.visit().identify(els), world.visit().identify(els)
    confirm = first.choose("postpone").page.field("confirm").attributes["value"]
    second.choose("postpone")
    second.post("enrol_second_factor", method="postpone", confirm=confirm)
    assert second.page.has("postpone-confirm") and world.sessions() == []


def test_postponed_session_is_not_asked_again_and_every_new_one_is(world: World, els: Somebody) -> None:
    visit = world.visit().identify(els)
    assert "U heeft uw keuze uitgesteld." not in visit.page.text
    visit.postpone()
    assert visit.again(world.party("rapportages")).tokens().claims["acr"] == acr(1)
    assert visit.again(prompt="none").tokens()
    assert visit.again(prompt="login").identify(els).tokens(), "the same session, authenticated again"
    other = world.visit().identify(els)
    assert other.prompt == "enrol_second_factor"
    assert "U heeft uw keuze uitgesteld." in other.page.text
    world.clock.move(30 * MINUTE)
    assert visit.again().identify(els).prompt == "enrol_second_factor"


def test_last_day_says_so_and_still_postpones_until_midnight(world: World, els: Somebody) -> None:
    world.clock.set(DEADLINE - timedelta(hours=12))
    visit = world.visit().identify(els)
    assert "Vandaag kunt u voor het laatst uitstellen." in visit.page.text
    world.clock.set(DEADLINE - TICK)
    visit.open(visit.page.url)
    assert not visit.page.has_left
    late = world.visit().identify(els)
    assert late.postpone().tokens()


def test_after_the_deadline_postponing_is_gone_from_the_page(world: World, els: Somebody) -> None:
    world.clock.set(DEADLINE)
    visit = world.visit().identify(els)
    assert TOO_LATE in visit.page.text and not visit.page.has("method-postpone")
    visit.choose("totp").set_up(els)
    assert visit.tokens().claims["acr"] == acr(3)


@pytest.mark.parametrize("step", ["choice", "confirmation"])
def test_page_opened_before_midnight_and_posted_after_it_is_refused(world: World, els: Somebody, step: str) -> None:
    world.clock.set(DEADLINE - MINUTE)
    visit = world.visit().identify(els)
    if step == "confirmation":
        visit.choose("postpone")
    world.clock.set(DEADLINE)
    if step == "confirmation":
        visit.press("postpone-confirm")
    else:
        visit.choose("postpone")
    assert visit.prompt == "enrol_second_factor" and TOO_LATE in visit.page.text
    assert not visit.page.has("method-postpone") and world.sessions() == []
    assert [event.details["reason"] for event in world.events(PostponementRefused)] == ["choose.error.after_deadline"]


def test_replayed_confirmation_after_the_deadline_is_refused(world: World, els: Somebody) -> None:
    world.clock.set(DEADLINE - MINUTE)
    visit = world.visit().identify(els).choose("postpone")
    confirm = visit.page.field("confirm").attributes["value"]
    world.clock.set(DEADLINE + timedelta(minutes=2))
    for _ in range(2):
        visit.post("enrol_second_factor", method="postpone", confirm=confirm)
        assert visit.prompt == "enrol_second_factor" and world.sessions() == []


def test_session_that_was_postponed_is_asked_when_the_last_day_is_over(world: World, els: Somebody) -> None:
    world.clock.set(DEADLINE - timedelta(minutes=10))
    visit = world.visit().identify(els).postpone()
    world.clock.set(DEADLINE - TICK)
    assert visit.again(prompt="none").tokens()
    assert visit.again().tokens()
    world.clock.set(DEADLINE)
    assert visit.again(prompt="none").error in ("interaction_required", "login_required")
    asked = visit.again()
    assert asked.prompt == "identify", "the password is older than five minutes: nobody else enrols at this desk"
    asked.identify(els)
    assert asked.prompt == "enrol_second_factor" and not asked.page.has("method-postpone")


def test_campaign_that_begins_during_a_session_asks_at_the_next_request(world: World) -> None:
    organization = world.make.organization(
        "30000", required_from=datetime(2026, 11, 24).date(), postpone_until=FEBRUARY
    )
    dirk = world.make.account(organization, "dirk", "30000")
    world.clock.set(datetime(2026, 11, 23, 23, 59, tzinfo=AMSTERDAM).astimezone(UTC))
    visit = world.visit().identify(dirk)
    assert visit.tokens()
    world.clock.move(MINUTE - TICK)
    assert visit.again().tokens()
    world.clock.move(TICK)
    asked = visit.again()
    assert asked.prompt == "enrol_second_factor"
    assert asked.postpone().tokens()


def test_campaign_without_last_day_offers_no_postponing(world: World) -> None:
    organization = world.make.organization("30000", required_from=NOVEMBER)
    dirk = world.make.account(organization, "dirk", "30000")
    visit = world.visit().identify(dirk)
    assert not visit.page.has("method-postpone")
    visit.post("enrol_second_factor", method="postpone")
    assert visit.prompt == "enrol_second_factor" and not visit.page.has("postpone-confirm")


@pytest.mark.parametrize("role", ["service_desk", "administrator"])
def test_staff_never_postpone_campaign_or_not(world: World, role: str) -> None:
    for somebody in (world.campaigner(role=role), world.person("frits", role=role)):
        visit = world.visit().identify(somebody)
        assert visit.prompt == "enrol_second_factor" and not visit.page.has("method-postpone")
        visit.post("enrol_second_factor", method="postpone")
        assert visit.prompt == "enrol_second_factor" and not visit.page.has("postpone-confirm")
    assert world.sessions() == []


def test_demanded_level_is_never_answered_by_postponing(world: World, els: Somebody) -> None:
    visit = world.visit().identify(els).postpone()
    demanding = visit.again(acr_values=acr(3))
    assert demanding.prompt == "enrol_second_factor" and not demanding.page.has("method-postpone")
    demanding.post("enrol_second_factor", method="postpone")
    assert demanding.prompt == "enrol_second_factor" and not demanding.page.has("postpone-confirm")
    assert visit.again(prompt="none", acr_values=acr(3)).error == "interaction_required"
    demanding.choose("totp").set_up(els)
    assert demanding.tokens().claims["acr"] == acr(3)


def test_enrolled_person_cannot_postpone_instead_of_proving(world: World) -> None:
    els = world.campaigner(totp=True)
    visit = world.visit()
    assert visit.csrf_token
    visit.identify(els)
    for prompt in ("verify_second_factor", "enrol_second_factor"):
        visit.post(prompt, method="postpone", confirm="1", code="")
        assert visit.prompt == "verify_second_factor" and world.sessions() == []


def test_enrolling_in_one_tab_takes_postponing_away_in_the_other(world: World, els: Somebody) -> None:
    first, second = world.visit().identify(els), world.visit().identify(els)
    second.choose("postpone")
    enrolled = first.choose("totp").set_up(els)
    second.press("postpone-confirm")
    assert second.prompt == "verify_second_factor"
    world.clock.move(STEP)
    assert second.prove(enrolled).tokens().claims["acr"] == acr(3)
