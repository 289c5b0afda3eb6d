"""Thirty minutes without activity, the end of a day, and a session that somebody else replaces."""

from datetime import timedelta
from typing import Any

import pytest

from idp.audit.events import SessionEnded
from idp.jobs.sweep_idle_sessions import sweep
from tests.journeys.driver import MINUTE, Visit, World

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


# what somebody is told who comes back

HOUR = timedelta(hours=1)
IDLE = "U heeft 30 minuten niets gedaan. Daarom hebben wij u uitgelogd. Zo kan niemand anders bij uw gegevens."
IDLE_TEN = IDLE.replace("30", "tien")
ABSOLUTE = "U was twaalf uur ingelogd. Langer kan niet. Daarom hebben wij u uitgelogd."
ADMINISTRATOR = "Een beheerder heeft u uitgelogd. Weet u niet waarom? Bel dan de servicedesk."
PROTECTION = "Wij hebben u uitgelogd om uw account te beschermen. Weet u niet waarom? Bel dan de servicedesk."
EVERY_REASON = (IDLE, ABSOLUTE, ADMINISTRATOR, PROTECTION)
AUTOMATICALLY, SIMPLY, BY_SOMEBODY = (
    "U bent automatisch uitgelogd",
    "U bent uitgelogd",
    "Een beheerder heeft u uitgelogd",
)


def _said(visit: Visit) -> list[str]:
    """Which of the reasons stand on the page."""
    return [reason for reason in (*EVERY_REASON, IDLE_TEN) if reason in visit.page.text]


def _end(world: World, reason: Any) -> None:
    with world.app.app_context(), world.services.units.writing() as unit:
        for session in world.sessions():
            world.services.sessions.end(unit, unit.merge(session), reason)


def _sweep(world: World) -> None:
    with world.app.app_context():
        sweep(world.services.units, world.services.sessions)


@pytest.fixture
def visit(world: World) -> Visit:
    """Anna signed in at Atosi, which took its tokens."""
    visit = world.signed_in(world.anna)
    visit.tokens()
    return visit


@pytest.mark.parametrize("swept", [False, True], ids=["not swept", "swept"])
def test_whoever_comes_back_after_half_an_hour_is_told_wherever_they_come(
    world: World, visit: Visit, swept: bool
) -> None:
    world.clock.move(30 * MINUTE)
    if swept:
        _sweep(world)
    login = visit.again()
    assert (login.prompt, _said(login)) == ("identify", [IDLE])
    assert login.page.element("organisation").attributes["value"] == world.anna.org_code
    home = visit.open("/")
    assert (home.page.heading, _said(home)) == (AUTOMATICALLY, [IDLE])
    assert home.page.element("app-link").attributes["href"] == "https://app.example/"
    assert home.page.element("app-link").text == "Opnieuw inloggen bij Atosi"


def test_login_after_half_an_hour_leads_to_the_application_that_asked(world: World, visit: Visit) -> None:
    world.clock.move(30 * MINUTE)
    assert visit.again(state="where I was").identify(world.anna).tokens().claims["sub"] == world.anna.sub


def test_minutes_are_those_of_the_session(world: World) -> None:
    organization = world.make.organization("30000", idle_timeout=10 * MINUTE)
    visit = world.visit().identify(world.make.account(organization, "dirk", "30000"))
    visit.tokens()
    world.clock.move(10 * MINUTE)
    assert _said(visit.again()) == [IDLE_TEN]
    assert _said(visit.open("/")) == [IDLE_TEN]


def test_consent_page_left_standing_says_why_and_leads_to_the_same_application(world: World) -> None:
    party = world.party("derde", first_party=False)
    visit = world.visit(party=party).identify(world.anna)
    world.clock.move(31 * MINUTE)
    for _ in range(2):
        visit.reload()
        assert (visit.page.status, visit.page.heading, _said(visit)) == (410, AUTOMATICALLY, [IDLE])
    visit.follow("restart")
    assert (visit.prompt, _said(visit)) == ("identify", [IDLE])
    visit.identify(world.anna).press("consent-allow")
    assert visit.tokens().claims["sub"] == world.anna.sub


def test_answer_on_a_consent_page_left_standing_says_why(world: World) -> None:
    visit = world.visit(party=world.party("derde", first_party=False)).identify(world.anna)
    world.clock.move(31 * MINUTE)
    visit.press("consent-allow")
    assert (visit.page.heading, _said(visit)) == (AUTOMATICALLY, [IDLE])


def test_second_tab_that_stands_at_the_login_page_says_why(world: World, visit: Visit) -> None:
    second = visit.again(prompt="login")
    world.clock.move(31 * MINUTE)
    second.reload()
    assert (second.prompt, _said(second)) == ("identify", [IDLE])


def test_attempt_that_began_after_the_end_took_too_long_by_itself(world: World) -> None:
    anna = world.person("kees", totp=True)
    visit = world.signed_in(anna)
    world.clock.move(31 * MINUTE)
    later = visit.again().identify(anna)
    assert later.prompt == "verify_second_factor"
    world.clock.move(31 * MINUTE)
    assert later.reload().page.heading == "Het inloggen duurde te lang"


def test_who_logs_out_after_half_an_hour_is_told_that_it_happened_already(world: World, visit: Visit) -> None:
    world.clock.move(30 * MINUTE)
    visit.open(visit.party.end_session_url())
    assert (visit.page.heading, _said(visit)) == (AUTOMATICALLY, [IDLE])
    visit.open(visit.party.end_session_url())
    assert (visit.page.heading, _said(visit)) == (SIMPLY, [])
    assert _said(visit.again()) == []


def test_question_left_standing_for_half_an_hour_says_so_when_it_is_answered(world: World, visit: Visit) -> None:
    visit.open(visit.party.end_session_url())
    world.clock.move(30 * MINUTE)
    visit.press("logout-confirm")
    assert (visit.page.heading, _said(visit)) == (AUTOMATICALLY, [IDLE])


def test_who_answers_that_they_stay_was_there_and_half_an_hour_later_is_told(world: World, visit: Visit) -> None:
    visit.open(visit.party.end_session_url())
    world.clock.move(29 * MINUTE)
    visit.press("logout-cancel")
    world.clock.move(29 * MINUTE)
    assert visit.again(prompt="none").tokens()
    visit.open(visit.party.end_session_url())
    world.clock.move(MINUTE)
    visit.press("logout-cancel")
    assert (visit.page.heading, _said(visit)) == (AUTOMATICALLY, [IDLE])


@pytest.mark.parametrize(
    ("reason", "heading", "sentence"),
    [
        ("ended_by_administrator", BY_SOMEBODY, ADMINISTRATOR),
        ("account_disabled", BY_SOMEBODY, ADMINISTRATOR),
        ("credential_disabled", AUTOMATICALLY, PROTECTION),
        ("credential_reset", AUTOMATICALLY, PROTECTION),
        ("password_changed", AUTOMATICALLY, PROTECTION),
    ],
)
def test_who_was_signed_out_by_somebody_is_told_that_and_nothing_of_idleness(
    world: World, visit: Visit, reason: str, heading: str, sentence: str
) -> None:
    _end(world, reason)
    world.clock.move(HOUR)
    assert _said(visit.again()) == [sentence]
    visit.open("/")
    assert (visit.page.heading, _said(visit)) == (heading, [sentence])
    visit.open(visit.party.end_session_url())
    assert (visit.page.heading, _said(visit)) == (heading, [sentence])


def test_end_of_the_longest_time_is_not_called_idleness(world: World, visit: Visit) -> None:
    for _ in range(35):
        world.clock.move(20 * MINUTE)
        assert visit.again().page.has_left
    world.clock.move(20 * MINUTE)
    assert _said(visit.again()) == [ABSOLUTE]
    visit.open("/")
    assert (visit.page.heading, _said(visit)) == (AUTOMATICALLY, [ABSOLUTE])


@pytest.mark.parametrize("reason", ["logout", "ended_by_person", "replaced"])
def test_who_ended_it_is_told_nothing(world: World, visit: Visit, reason: str) -> None:
    _end(world, reason)
    assert _said(visit.again()) == [] and _said(visit.open("/")) == []
    visit.open(visit.party.end_session_url())
    assert (visit.page.heading, _said(visit)) == (SIMPLY, [])


def test_application_that_knows_where_to_go_after_logout_gets_people_there_also_then(
    world: World, visit: Visit
) -> None:
    hint = visit.party
    world.clock.move(30 * MINUTE)
    visit.open(hint.end_session_url(client_id="atosi", post_logout_redirect_uri="https://app.example/signed-out"))
    assert visit.page.departure.url == "https://app.example/signed-out"
