"""Tabs, browsers, the way back, and interactions that waited too long."""

from datetime import timedelta

import pytest

from idp.audit.events import CodeIssued, PasswordChecked, SecondFactorChecked
from idp.jobs.sweep_idle_sessions import sweep
from tests.journeys.driver import MINUTE, World, acr

SECOND = timedelta(seconds=1)
FINISHED = "U bent al ingelogd"


def test_second_tab_of_the_same_person_goes_on_without_the_password(world: World) -> None:
    anna = world.person(totp=True)
    first = world.visit()
    second = first.again(world.party("rapportages"))
    first.identify(anna).prove(anna)
    assert first.tokens()
    second.identify(anna)
    assert second.tokens().claims["sid"] == first.again(prompt="none").tokens().claims["sid"]
    assert len(world.sessions()) == 1 and len(world.events(PasswordChecked)) == 1


def test_second_tab_that_is_only_reloaded_goes_on_too(world: World) -> None:
    anna = world.person()
    first = world.visit()
    second = first.again(world.party("rapportages"))
    first.identify(anna)
    assert second.reload().tokens().claims["sub"] == anna.sub


def test_second_tab_of_another_person_asks_which_account_it_is_to_be(world: World) -> None:
    anna, bram = world.person(), world.person("bram")
    first = world.visit()
    second = first.again(world.party("rapportages"))
    first.identify(anna)
    second.identify(bram)
    assert second.page.has("account-continue") and "anna" in second.page.text
    assert len(world.events(PasswordChecked)) == 1, "no password was looked at before the question was answered"
    assert first.again(prompt="none").tokens().claims["sub"] == anna.sub
    second.press("account-other")
    assert second.prompt == "identify" and second.page.field("username").get("value") == "bram"
    assert second.identify(bram).tokens().claims["sub"] == bram.sub
    assert [session.end_reason for session in world.sessions()] == ["replaced", None]


def test_second_tab_of_another_person_can_go_on_as_the_first(world: World) -> None:
    anna, bram = world.person(), world.person("bram")
    first = world.visit()
    second = first.again(world.party("rapportages"))
    first.identify(anna)
    second.identify(bram).press("account-continue")
    assert second.tokens().claims["sub"] == anna.sub
    assert [session.end_reason for session in world.sessions()] == [None]


def test_second_tab_halfway_as_another_person_asks_before_the_code_is_taken(world: World) -> None:
    anna, bram = world.person(), world.person("bram", totp=True)
    first = world.visit()
    second = first.again(world.party("rapportages")).identify(bram)
    assert second.prompt == "verify_second_factor"
    first.identify(anna)
    second.prove(bram)
    assert second.page.has("account-continue") and "anna" in second.page.text
    assert [session.account_id for session in world.sessions()] == [anna.id]
    second.press("account-other")
    assert second.page.has("login-submit") or second.prompt == "verify_second_factor"
    if second.page.has("login-submit"):
        second.identify(bram)
    assert second.prove(bram).tokens().claims["sub"] == bram.sub
    assert [session.end_reason for session in world.sessions()] == ["replaced", None]


def test_proofs_of_one_tab_are_not_those_of_another(world: World) -> None:
    anna = world.person(totp=True)
    first = world.visit()
    second = first.again()
    first.identify(anna)
    assert second.open(second.url("verify_second_factor")).prompt == "identify"
    assert second.post("verify_second_factor", code=world.code(anna)).prompt == "identify"
    assert first.prove(anna).tokens(), "the code was not used up"


def test_restart_proves_nothing_and_shows_nothing(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    old = visit.page.url
    visit.open(visit.url("restart"))
    assert visit.prompt == "identify" and visit.page.url != old
    assert visit.page.field("username").get("value") in (None, "")
    assert visit.open(visit.url("verify_second_factor")).prompt == "identify"
    assert visit.open(visit.url("identify")).identify(anna).prove(anna).tokens()


def test_restart_lets_somebody_else_sign_in(world: World) -> None:
    anna, bram = world.person(totp=True), world.person("bram")
    visit = world.visit().identify(anna)
    visit.open(visit.url("restart"))
    assert visit.identify(bram).tokens().claims["sub"] == bram.sub


def test_restarted_interaction_cannot_go_on(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    old, token = visit.url("verify_second_factor"), visit.csrf_token
    visit.open(visit.url("restart"))
    page = visit.browser.post(old, {"code": world.code(anna), "csrf_token": token})
    assert page.status == 410 and world.sessions() == []
    assert page.follow("restart").has("login-submit")


def test_address_of_another_step_leads_to_the_pending_one(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit()
    for prompt in ("verify_second_factor", "enrol_second_factor", "consent", "continue", "nonsense"):
        assert visit.open(visit.url(prompt)).prompt == "identify"
    visit.identify(anna)
    for prompt in ("identify", "enrol_second_factor", "consent", "continue", "nonsense"):
        assert visit.open(visit.url(prompt)).prompt == "verify_second_factor"
    assert visit.prove(anna).tokens()


@pytest.mark.parametrize("prompt", ["verify_second_factor", "enrol_second_factor", "consent", "continue", "nonsense"])
def test_post_to_a_step_that_is_not_pending_changes_nothing(world: World, prompt: str) -> None:
    anna = world.person(totp=True)
    visit = world.visit()
    for form in ({}, {"code": world.code(anna)}, {"method": "totp"}, {"method": "postpone"}, {"decision": "allow"}):
        assert visit.post(prompt, **form).prompt == "identify"
        assert visit.csrf_token
    assert visit.identify(anna).prove(anna).tokens()


def test_back_to_the_login_page_and_the_same_names_again_goes_on_with_the_code(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit()
    login = visit.page
    visit.identify(anna)
    visit.page = login.submit(anna.names, button="login-submit")
    assert visit.prompt == "verify_second_factor"
    assert visit.prove(anna).tokens()


def test_back_to_a_page_of_a_finished_interaction_says_so_and_yields_no_second_code(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit()
    login = visit.page
    visit.identify(anna)
    code_page = visit.page
    visit.prove(anna)
    assert visit.page.has_left
    for page in (
        visit.browser.open(login.url),
        visit.browser.open(code_page.url),
        login.submit(anna.names, button="login-submit"),
        code_page.submit({"code": world.code(anna, 1)}, button="code-submit"),
    ):
        assert page.heading == FINISHED and page.element("app-link").get("href") == "https://app.example/"
    assert len(world.events(CodeIssued)) == 1


def test_refreshing_the_hand_off_page_yields_no_second_code(world: World) -> None:
    visit = world.visit()
    interaction = visit.interaction_id
    assert visit.identify(world.person()).tokens()
    page = visit.browser.open(f"https://login.example/s/{interaction}/continue")
    assert page.heading == FINISHED and not page.has_left
    assert len(world.events(CodeIssued)) == 1


def test_restarting_a_finished_interaction_yields_no_second_code(world: World) -> None:
    visit = world.visit()
    interaction = visit.interaction_id
    assert visit.identify(world.person()).tokens()
    page = visit.browser.open(f"https://login.example/s/{interaction}/restart")
    assert page.heading == FINISHED and not page.has_left
    stranger = world.browser().open(f"https://login.example/s/{interaction}/restart")
    assert not stranger.has("login-submit")
    assert len(world.events(CodeIssued)) == 1


def test_interaction_that_waited_half_an_hour_is_expired_and_can_be_restarted(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    world.clock.move(30 * MINUTE - timedelta(microseconds=1))
    assert visit.reload().prompt == "verify_second_factor"
    world.clock.move(timedelta(microseconds=1))
    page = visit.reload().page
    assert page.status == 410 and page.has("restart")
    visit.follow("restart")
    assert visit.prompt == "identify" and visit.page.field("username").get("value") in (None, "")
    assert visit.identify(anna).prove(anna).tokens()


def test_code_on_an_expired_page_proves_nothing_and_is_not_used_up(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    world.clock.move(30 * MINUTE)
    visit.prove(anna)
    assert visit.page.status == 410 and world.sessions() == []
    assert visit.follow("restart").identify(anna).prove(anna).tokens()


def test_right_password_on_an_expired_login_page_goes_on(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit()
    world.clock.move(23 * 60 * MINUTE)
    assert visit.identify(anna).prompt == "verify_second_factor"
    assert visit.prove(anna).tokens()


def test_wrong_password_on_an_expired_login_page_asks_again(world: World) -> None:
    anna = world.person()
    visit = world.visit()
    world.clock.move(60 * MINUTE)
    assert visit.identify(anna, password="niet het goede wachtwoord").prompt == "identify"
    assert visit.identify(anna).tokens()


def test_login_page_that_waited_too_long_starts_again_without_a_word(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit()
    old = visit.page.url
    world.clock.move(31 * MINUTE)
    assert visit.reload().prompt == "identify" and visit.page.url != old
    assert visit.identify(anna).prove(anna).tokens()


def test_restart_keeps_the_organisation_code_for_the_same_browser_alone(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    world.clock.move(31 * MINUTE)
    visit.reload()
    stranger = world.browser().open(visit.url("restart"))
    assert stranger.field("organisation").get("value") in (None, "")
    visit.follow("restart")
    assert visit.page.field("organisation").get("value") == "10234"
    assert visit.page.field("username").get("value") in (None, "")


def test_set_up_that_took_too_long_tells_to_remove_the_line_as_the_app_shows_it(world: World) -> None:
    visit = world.visit(party=world.party("rapportages")).identify(world.campaigner()).choose("totp")
    assert visit.page.has("key")
    world.clock.move(31 * MINUTE)
    told = "Heeft u de QR-code al gescand? Verwijder Atosi dan weer uit uw app en begin opnieuw."
    assert told in visit.reload().page.text


def test_code_page_that_took_too_long_tells_nothing_of_a_line_in_an_app(world: World) -> None:
    visit = world.visit().identify(world.person(totp=True))
    world.clock.move(31 * MINUTE)
    assert visit.reload().page.status == 410 and "QR-code" not in visit.page.text


@pytest.mark.parametrize("swept", [False, True])
def test_login_page_says_why_when_the_session_ended_by_itself(world: World, swept: bool) -> None:
    visit = world.signed_in(world.anna)
    world.clock.move(30 * MINUTE)
    if swept:
        with world.app.app_context():
            sweep(world.services.units, world.services.sessions)
    visit = visit.again()
    assert "U heeft 30 minuten niets gedaan." in visit.page.text
    assert visit.page.field("organisation").get("value") == "10234"
    assert visit.page.field("username").get("value") in (None, "")


def test_login_page_says_nothing_of_idleness_after_logging_out_or_for_somebody_else(world: World) -> None:
    visit = world.signed_in(world.anna)
    kept = visit.browser.client.get_cookie("__Host-idp_session", domain="login.example")
    assert kept is not None
    visit.open(visit.party.end_session_url(visit.tokens().id_token))
    visit.browser.client.set_cookie("__Host-idp_session", kept.value, domain="login.example", secure=True)
    assert "minuten niets gedaan" not in visit.again().page.text
    assert "minuten niets gedaan" not in world.visit().page.text


def test_request_older_than_a_day_leads_back_to_the_application(world: World) -> None:
    anna = world.person()
    visit = world.visit()
    world.clock.move(24 * 60 * MINUTE)
    page = visit.reload().page
    assert page.status == 410 and not page.has("restart")
    assert page.element("app-link").get("href") == "https://app.example/"
    assert visit.open(visit.url("restart")).page.status == 410
    visit.page = visit.browser.post(visit.url("identify"), {**anna.names, "csrf_token": "x"})
    assert visit.page.status == 403 and world.sessions() == []


def test_restarting_does_not_make_a_request_younger(world: World) -> None:
    visit = world.visit()
    for _ in range(3):
        world.clock.move(8 * 60 * MINUTE - SECOND)
        visit.open(visit.url("restart"))
        assert visit.page.has("login-submit")
    world.clock.move(3 * SECOND)
    assert visit.open(visit.url("restart")).page.status == 410


def test_another_browser_opening_the_link_starts_anew_with_nothing_filled_in(world: World) -> None:
    anna, bram = world.person(totp=True), world.person("bram")
    victim = world.visit().identify(anna, remember="1")
    other = world.browser()
    for prompt in ("identify", "verify_second_factor", "enrol_second_factor", "consent", "continue"):
        page = other.open(victim.url(prompt))
        assert page.has("login-submit") and victim.interaction_id not in page.url
        assert page.field("username").get("value") in (None, "")
        assert page.field("organisation").get("value") in (None, "")
    assert page.submit(bram.names, button="login-submit").has_left
    assert victim.prove(anna).tokens().claims["sub"] == anna.sub, "the first browser goes on untouched"


def test_another_browser_cannot_post_to_an_interaction(world: World) -> None:
    anna = world.person(totp=True)
    victim = world.visit().identify(anna)
    attacker = world.visit()
    form = {"code": world.code(anna), "csrf_token": victim.csrf_token}
    page = attacker.browser.post(victim.url("verify_second_factor"), form)
    assert page.status == 403
    page = attacker.browser.post(
        victim.url("verify_second_factor"), {"code": world.code(anna), "csrf_token": attacker.csrf_token}
    )
    assert page.status == 403
    assert victim.prove(anna).tokens()


def test_form_without_our_token_is_refused(world: World) -> None:
    anna = world.person()
    visit = world.visit()
    for token in ("", "x", world.visit().csrf_token):
        page = visit.browser.post(visit.url("identify"), {**anna.names, "csrf_token": token})
        assert page.status == 403
    assert world.sessions() == []


def test_address_is_clean_once_the_cookie_has_arrived(world: World) -> None:
    visit = world.visit()
    visit.open(visit.url("restart"))
    assert visit.page.has("login-submit") and "fresh" not in visit.page.url
    visit.browser.client.delete_cookie("__Host-idp_browser", domain="login.example")
    assert visit.reload().page.has("login-submit"), "cookies are not blamed"


def test_form_whose_cookie_is_gone_is_asked_for_once_more(world: World) -> None:
    visit = world.visit()
    visit.browser.headers["Sec-Fetch-Site"] = "same-origin"
    visit.browser.client.delete_cookie("__Host-idp_browser", domain="login.example")
    visit.identify(world.anna)
    assert visit.page.status == 200 and "Vul uw gegevens nog een keer in." in visit.page.text
    assert visit.page.field("organisation").get("value") == "10234"
    assert visit.page.field("username").get("value") == "anna"
    assert len(world.events(PasswordChecked)) == 0
    assert visit.identify(world.anna).tokens()


@pytest.mark.parametrize("origin", [None, "cross-site", "same-site", "none"])
def test_form_from_elsewhere_fills_in_nothing(world: World, origin: str | None) -> None:
    visit = world.visit()
    visit.browser.client.delete_cookie("__Host-idp_browser", domain="login.example")
    if origin is not None:
        visit.browser.headers["Sec-Fetch-Site"] = origin
    visit.identify(world.anna)
    assert visit.page.has("login-submit") and visit.page.field("username").get("value") in (None, "")


def test_tick_to_remember_the_code_stays_as_it_was_set_after_a_wrong_password(world: World) -> None:
    visit = world.visit().identify(world.anna, password="niet goed", remember="1")
    assert visit.page.field("remember").get("checked") is not None
    visit.open(visit.party.end_session_url(visit.identify(world.anna).tokens().id_token))
    again = visit.again()
    assert again.page.field("organisation").get("value") == "10234"
    form = {**world.anna.names, "password": "niet goed"}
    again.page = again.page.submit({**form, "remember": None}, button="login-submit")
    assert again.page.field("remember").get("checked") is None


def test_browser_without_cookies_is_told_so(world: World) -> None:
    browser = world.browser()
    browser.client = world.app.test_client(use_cookies=False)
    page = browser.open(world.party().authorization_request().url)
    assert page.status == 400 and page.has("retry")
    assert "cookies" in page.text.lower()
    assert browser.post(page.url, {"organisation": "10234"}).status == 400


@pytest.mark.parametrize("path", ["/s/unknown/identify", "/s/unknown/restart", "/s/unknown/leave"])
def test_unknown_interaction_is_not_found(world: World, path: str) -> None:
    browser = world.visit().browser
    page = browser.open(path)
    assert page.status == 404 and not page.has_left
    assert "duurde te lang" not in page.text


def test_pinned_interaction_in_which_somebody_else_signs_in_begins_anew_for_them(world: World) -> None:
    """The session of the interaction ended while consent was asked; then another person types their own names."""
    anna, bram = world.person(), world.person("bram")
    derde = world.party("derde", first_party=False)
    visit = world.visit(party=derde).identify(anna)
    assert visit.prompt == "consent"
    visit.browser.client.delete_cookie("__Host-idp_session", domain="login.example")
    assert visit.reload().prompt == "identify"
    visit.identify(bram)
    assert visit.prompt == "consent", "the password was right; it is not asked a second time"
    assert visit.press("consent-allow").tokens().claims["sub"] == bram.sub


def test_level_of_one_tab_does_not_lower_that_of_another(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.signed_in(anna)
    second = visit.again(prompt="login", acr_values=acr(1)).identify(anna)
    assert second.prompt == "verify_second_factor"
    assert visit.again(prompt="none").tokens().claims["acr"] == acr(3)


@pytest.mark.parametrize("asked", [{}, {"prompt": "login"}, {"max_age": "0"}], ids=str)
def test_second_tab_at_the_code_goes_on_when_the_first_one_is_done(world: World, asked: dict[str, str]) -> None:
    anna = world.person(totp=True)
    first = world.visit().identify(anna)
    second = first.again(world.party("rapportages"), **asked)
    world.clock.move(SECOND)
    at_second = world.clock.now()
    second.identify(anna)
    assert second.prompt == "verify_second_factor"
    world.clock.move(SECOND)
    assert first.prove(anna).tokens()
    code_page = second.page
    tokens = second.reload().tokens()
    assert tokens.claims["acr"] == acr(3) and tokens.claims["amr"] == ["pwd", "otp", "mfa"]
    assert tokens.claims["auth_time"] == int(at_second.timestamp())
    assert code_page.submit({"code": world.code(anna)}, button="code-submit").heading == FINISHED
    assert [event.details["outcome"] for event in world.events(SecondFactorChecked)] == ["right"]


def test_same_code_in_the_second_tab_completes_it_and_is_not_paid_as_wrong(world: World) -> None:
    anna = world.person(totp=True)
    first = world.visit().identify(anna)
    world.clock.move(SECOND)
    second = first.again(world.party("rapportages")).identify(anna)
    world.clock.move(SECOND)
    first.prove(anna)
    assert second.prove(anna).tokens().claims["sub"] == anna.sub
    assert [event.details["outcome"] for event in world.events(SecondFactorChecked)] == ["right"]


def test_second_tab_with_consent_goes_on_to_its_own_question(world: World) -> None:
    anna = world.person(totp=True)
    first = world.visit().identify(anna)
    world.clock.move(SECOND)
    second = first.again(world.party("derde", first_party=False)).identify(anna)
    world.clock.move(SECOND)
    first.prove(anna)
    assert second.reload().prompt == "consent"
    assert second.press("consent-allow").tokens().claims["amr"] == ["pwd", "otp", "mfa"]


def test_session_from_before_the_password_proves_no_factor(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.signed_in(anna)
    world.clock.move(SECOND)
    assert visit.again(prompt="login").identify(anna).reload().prompt == "verify_second_factor"


def test_factor_of_another_account_proves_nothing_in_the_second_tab(world: World) -> None:
    anna, bram = world.person(totp=True), world.person("bram", totp=True)
    first = world.visit().identify(anna)
    second = first.again(world.party("rapportages")).identify(bram)
    world.clock.move(SECOND)
    first.prove(anna)
    assert second.reload().page.has("account-continue")
    assert len(world.events(CodeIssued)) == 1
