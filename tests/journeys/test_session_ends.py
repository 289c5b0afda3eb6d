"""Thirty minutes without activity, the end of a day, and a session that somebody else replaces."""

from datetime import timedelta
from typing import Any

import pytest

from idp.audit.events import SessionEnded
from tests.journeys.driver import MINUTE, World

SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)


def test_half_an_hour_without_activity_ends_single_sign_on(world: World) -> None:
    visit = world.signed_in(world.person())
    world.clock.move(30 * MINUTE - SECOND)
    assert visit.again(prompt="none").tokens()
    world.clock.move(SECOND - TICK)
    assert visit.again(prompt="none").code_of_response()
    world.clock.move(TICK)
    assert visit.again(prompt="none").error == "login_required"
    assert visit.again().prompt == "identify"


def test_opening_an_application_starts_the_half_hour_anew(world: World) -> None:
    visit = world.signed_in(world.person())
    for _ in range(4):
        world.clock.move(29 * MINUTE)
        assert visit.again().tokens()


@pytest.mark.parametrize("asked", [{"prompt": "login"}, {"max_age": "0"}, {"prompt": "select_account"}], ids=str)
def test_opening_an_application_counts_although_something_is_asked_first(world: World, asked: dict[str, Any]) -> None:
    visit = world.signed_in(world.person())
    world.clock.move(29 * MINUTE)
    assert visit.again(**asked).prompt == "identify"
    world.clock.move(29 * MINUTE)
    assert visit.again(prompt="none").tokens()


def test_request_in_a_frame_does_not_count(world: World) -> None:
    visit = world.signed_in(world.person())
    visit.browser.headers["Sec-Fetch-Dest"] = "iframe"
    for _ in range(2):
        world.clock.move(14 * MINUTE)
        assert visit.again().tokens()
    world.clock.move(2 * MINUTE)
    assert visit.again().prompt == "identify"


def test_busy_session_ends_after_twelve_hours(world: World) -> None:
    visit = world.signed_in(world.person())
    for _ in range(35):
        world.clock.move(20 * MINUTE)
        assert visit.again().page.has_left
    world.clock.move(20 * MINUTE)
    assert visit.again().prompt == "identify"


def test_organisation_with_a_shorter_limit_ends_sooner(world: World) -> None:
    organization = world.make.organization("30000", idle_timeout=10 * MINUTE)
    dirk = world.make.account(organization, "dirk", "30000")
    visit = world.visit().identify(dirk)
    world.clock.move(10 * MINUTE)
    assert visit.again(prompt="none").error == "login_required"


def test_session_that_dies_at_the_consent_page_is_asked_for_again(world: World) -> None:
    anna = world.person()
    visit = world.visit(party=world.party("derde", first_party=False)).identify(anna)
    world.clock.move(29 * MINUTE)
    visit.reload()
    world.clock.move(MINUTE)
    visit.press("consent-allow")
    assert not visit.page.has_left or "code" not in visit.page.departure.parameters


def test_session_that_somebody_else_replaces_ends_with_that_reason_and_tells_its_clients(world: World) -> None:
    anna, bram = world.person(), world.person("bram")
    visit = world.signed_in(anna)
    sid = visit.tokens().claims["sid"]
    assert visit.again(world.party("rapportages")).tokens()
    visit.again(prompt="select_account").press("account-other").identify(bram)
    (ended,) = world.events(SessionEnded)
    assert (ended.sid, ended.details) == (sid, {"reason": "replaced", "clients": 2})
    assert world.notices() == [("atosi", sid), ("rapportages", sid)]


def test_application_that_never_took_its_tokens_is_not_told(world: World) -> None:
    visit = world.signed_in(world.person())
    assert visit.again(world.party("rapportages")).tokens()
    visit.again(prompt="select_account").press("account-other").identify(world.person("bram"))
    assert [receiver for receiver, _ in world.notices()] == ["rapportages"]


def test_code_of_a_session_that_ended_is_worth_nothing(world: World) -> None:
    visit = world.signed_in(world.person())
    code = visit.code_of_response()
    visit.again(prompt="select_account").press("account-other").identify(world.person("bram"))
    answer = visit.party.token_request(
        grant_type="authorization_code",
        code=code,
        redirect_uri=visit.party.redirect_uri,
        code_verifier=visit.asked.code_verifier,
    )
    assert answer.status == 400 and answer.json()["error"] == "invalid_grant"


def test_setting_the_password_ends_every_session_of_the_person(world: World) -> None:
    anna = world.person()
    first, second = world.signed_in(anna), world.signed_in(anna)
    world.administer(lambda services: services.accounts.set_password("10234", "anna", "een heel ander lang wachtwoord"))
    for visit in (first, second):
        assert visit.again(prompt="none").error == "login_required"
    assert {session.end_reason for session in world.sessions()} == {"password_changed"}
