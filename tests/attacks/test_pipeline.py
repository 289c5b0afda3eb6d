"""A21-A23, A25-A31: the order of sign-in, walked in every wrong way; tabs, browsers, cookies and links of others."""

import random
import re
from base64 import b32decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from idp.audit.events import SessionEnded, SessionOpened
from idp.consents.models import Consent
from idp.factors.models import Credential
from idp.oidc.models import AuthorizationCode
from idp.sessions.models import Session
from idp.signin import prompts
from idp.signin.answers.door import Answers
from idp.signin.looks import Looks
from idp.signin.outcomes import Closed
from idp.signin.prompts import PROMPTS, Pending
from idp.signin.situation import Situation
from idp.web import csrf
from tests.attacks.parallel import often
from tests.attacks.world import BINDING_COOKIE, SESSION_COOKIE, STEP, Browser, Page, World, mutation
from tests.factories import Somebody, SomeClient

NAMES = ("identify", "verify_second_factor", "enrol_second_factor", "consent", "continue", "session", "__proto__")
MANDATORY = {"required_from": date(2026, 11, 1)}


def with_prompts(monkeypatch: pytest.MonkeyPatch, changed: Callable[[prompts.Prompt], prompts.Prompt]) -> None:
    """The pipeline runs on a changed list."""
    other = tuple(changed(prompt) for prompt in PROMPTS)

    def next_prompt(situation: Situation) -> Pending | None:
        return prompts.next_prompt(situation, other)

    monkeypatch.setattr("idp.signin.looks.next_prompt", next_prompt)


def without_reason(monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    """THE FAULT: one check is missing."""
    assert any(check.reason == reason for prompt in PROMPTS for check in prompt.checks)

    def changed(prompt: prompts.Prompt) -> prompts.Prompt:
        kept = tuple(check for check in prompt.checks if check.reason != reason)
        return replace(prompt, checks=kept)

    with_prompts(monkeypatch, changed)


# A21


def test_a21_between_password_and_code_nothing_can_be_had(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, page = world.at_code_page(client, anna)
    interaction = page.interaction_id
    assert browser.session is None and world.given_out() == (0, 0)
    assert browser.authorize(client, prompt="none").answer["error"] == "login_required"
    assert browser.begin(client).prompt == "identify"
    for name in NAMES:
        assert browser.follow(browser.get(f"/s/{interaction}/{name}")).prompt == "verify_second_factor"
    assert "anna" not in browser.get("/end_session").text
    assert world.given_out() == (0, 0)
    assert browser.submit(page, code=world.code(anna)).code
    assert world.given_out() == (1, 1)


@mutation
def test_a21_a_second_factor_that_did_not_authenticate_would_leave_a_half_made_session(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_prompts(monkeypatch, lambda prompt: replace(prompt, authenticates=prompt.name == "identify"))
    browser, _ = world.at_code_page(world.make.client(), world.make.person(totp=True))
    assert browser.session is not None


# A22


def states(world: World) -> dict[str, Callable[[], tuple[Browser, Page, Somebody]]]:
    """For each prompt: a browser for which it is pending."""
    stranger = world.make.client("vreemd", first_party=False)
    anna = world.make.account(world.make.organization("10"), "anna", org_code="10", totp=True)
    els = world.make.account(world.make.organization("20", **MANDATORY), "els", org_code="20")

    def identify() -> tuple[Browser, Page, Somebody]:
        browser = world.browser()
        return browser, browser.begin(stranger), anna

    def verify() -> tuple[Browser, Page, Somebody]:
        return *world.at_code_page(stranger, anna), anna

    def enrol() -> tuple[Browser, Page, Somebody]:
        browser = world.browser()
        return browser, browser.submit(browser.begin(stranger), **els.names), els

    def consent() -> tuple[Browser, Page, Somebody]:
        browser, page = world.at_code_page(stranger, anna)
        page = browser.submit(page, code=world.code(anna))
        world.clock.move(STEP)
        return browser, page, anna

    return {"identify": identify, "verify_second_factor": verify, "enrol_second_factor": enrol, "consent": consent}


def test_a22_posting_to_another_step_than_the_pending_one_is_refused(world: World) -> None:
    for pending, make in states(world).items():
        browser, page, somebody = make()
        assert page.prompt == pending
        code = world.code(somebody) if somebody.totp_secret else "123456"
        filled = {**somebody.names, "method": "totp", "code": code, "decision": "allow", "account": "continue"}
        session, before = browser.session, (world.given_out(), world.count(Credential), world.count(Consent))
        for name in NAMES:
            for form in ({}, filled) if name != pending else ({},):
                sent = {"csrf_token": page.hidden("csrf_token"), **form}
                after = browser.follow(browser.post(f"/s/{page.interaction_id}/{name}", sent))
                assert after.prompt == pending and after.target is None, (pending, name, form)
        assert browser.session == session
        assert (world.given_out(), world.count(Credential), world.count(Consent)) == before, pending


def test_a22_posting_without_or_with_a_foreign_token_is_refused(world: World) -> None:
    other = world.browser()
    foreign = other.begin(world.make.client("ander")).hidden("csrf_token")
    for pending, make in states(world).items():
        browser, page, somebody = make()
        code = world.code(somebody) if somebody.totp_secret else "123456"
        filled = {**somebody.names, "method": "totp", "code": code, "decision": "allow"}
        before = world.given_out()
        for token in ({}, {"csrf_token": ""}, {"csrf_token": foreign}, {"csrf_token": page.hidden("csrf_token")[:-1]}):
            refused = browser.post(page.action, {**filled, **token})
            assert refused.status == 403, (pending, token)
        assert world.given_out() == before
        assert browser.follow(browser.get(page.action)).prompt == pending


def consent_before_enrolment(world: World) -> Page:
    """The last page of somebody who allows everything before the question, then enrols as asked."""
    browser, page, _ = states(world)["enrol_second_factor"]()
    token = page.hidden("csrf_token")
    browser.post(f"/s/{page.interaction_id}/consent", {"csrf_token": token, "decision": "allow"})
    set_up = browser.submit(page, method="totp")
    return browser.submit(set_up, method="totp", code=_shown_code(world, set_up))


def _shown_code(world: World, page: Page) -> str:
    """What an authenticator app shows that read the key from this page."""
    return Somebody(0, "", "", "", "", secret_of(page)).code(world.services)


def secret_of(page: Page) -> bytes:
    """The secret that the set-up page shows as text."""
    found = re.search(r'<code class="secret" id="key"[^>]*>([A-Z2-7 ]+)</code>', page.text)
    assert found, page.title
    return b32decode(found.group(1).replace(" ", ""))


def test_a22_consent_given_before_it_was_asked_for_does_not_count(world: World) -> None:
    assert consent_before_enrolment(world).prompt == "consent"


@mutation
def test_a22_without_the_one_door_consent_would_count_before_it_was_asked_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = Answers.advance

    def unguarded(answers: Answers, interaction_id: str, browser: Any, prompt: str, form: Mapping[str, str]) -> Any:
        look = answers._flow.look(interaction_id, browser)
        if isinstance(look, Closed) or prompt not in answers.answers:
            return advance(answers, interaction_id, browser, prompt, form)
        return answers.answers[prompt](look, browser, form)

    monkeypatch.setattr(Answers, "advance", unguarded)
    # The second guard: the answer carries a value of the page that asked.
    monkeypatch.setattr("idp.signin.answers.consent.is_same", lambda *_: True)
    assert consent_before_enrolment(world).code


# A23


def test_a23_starting_again_discards_what_was_proven(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, page = world.at_code_page(client, anna)
    fresh = browser.follow(browser.get(f"/s/{page.interaction_id}/restart"))
    assert fresh.prompt == "identify" and fresh.interaction_id != page.interaction_id
    for stale in (page, fresh):
        again = browser.post(
            f"/s/{stale.interaction_id}/verify_second_factor",
            {"csrf_token": stale.hidden("csrf_token"), "code": world.code(anna)},
        )
        assert again.target is None and browser.session is None
    assert world.given_out() == (0, 0)


def test_a23_a_proof_belongs_to_the_account_it_was_given_for(world: World) -> None:
    organisation = world.make.organization()
    anna, bram = (world.make.account(organisation, name, totp=True) for name in ("anna", "bram"))
    client = world.make.client("vreemd", first_party=False)
    browser, page = world.at_code_page(client, anna)
    consent = browser.submit(page, code=world.code(anna))
    assert consent.prompt == "consent"
    with world.writing() as unit:
        session = unit.scalars(select(Session)).one()
        world.services.sessions.end(unit, session, "ended_by_person")
    identify = browser.follow(browser.get(f"/s/{page.interaction_id}/identify"))
    assert identify.prompt == "identify"
    verify = browser.submit(identify, **bram.names)
    assert verify.prompt == "verify_second_factor" and verify.interaction_id != page.interaction_id
    world.clock.move(STEP)
    assert browser.submit(verify, code=world.code(anna)).prompt == "verify_second_factor"
    asked = browser.submit(verify, code=world.code(bram))
    assert asked.prompt == "consent", "bram is asked himself"
    browser.submit(asked, decision="allow")
    with world.reading() as unit:
        assert unit.scalars(select(AuthorizationCode.account_id)).all() == [bram.id]


class Walk:
    """Somebody who owns bram's account, knows anna's password and has no other scruples, walks about at random."""

    def __init__(self, world: World, seed: int, client: SomeClient, anna: Somebody, bram: Somebody) -> None:
        self.world, self.random, self.client, self.anna, self.bram = world, random.Random(seed), client, anna, bram
        self.browsers = [world.browser(), world.browser()]
        self.pages: list[tuple[Browser, Page]] = []
        self.names = (anna.names, anna.names, bram.names, {**bram.names, "username": "anna"})

    def step(self) -> None:
        self.random.choice((self.begin, self.press, self.press, self.press, self.press, self.wander, self.leave))()

    def begin(self) -> None:
        browser = self.random.choice(self.browsers)
        prompt = self.random.choice((None, None, "login", "select_account", "consent", "login consent"))
        level = self.random.choice((None, None, "https://login.example/acr/3"))
        self.keep(browser, browser.begin(self.client, prompt=prompt, acr_values=level))

    def press(self) -> None:
        if not self.pages:
            return self.begin()
        browser, page = self.random.choice(self.pages[-8:])
        name = self.random.choice((page.prompt, page.prompt, page.prompt, *NAMES))
        form = {**page.fields, **self.random.choice(self.forms())}
        self.keep(browser, browser.follow(browser.post(f"/s/{page.interaction_id}/{name}", form)))

    def forms(self) -> list[dict[str, str]]:
        code = self.world.code(self.bram)
        choices: list[dict[str, str]] = [{"account": "continue"}, {"account": "other"}, {"decision": "allow"}]
        codes = [{"code": code}, {"code": code}, {"method": "totp", "code": code}, {"method": "postpone"}]
        return [*self.names, *choices, *codes, {"method": "totp"}, {}]

    def wander(self) -> None:
        if self.pages:
            browser, page = self.random.choice(self.pages)
            somebody = self.random.choice((browser, *self.browsers))
            place = self.random.choice((*NAMES, "restart", "leave"))
            self.keep(somebody, somebody.follow(somebody.get(f"/s/{page.interaction_id}/{place}")))
        self.world.clock.move(timedelta(seconds=self.random.choice((1, 40))))

    def leave(self) -> None:
        browser = self.random.choice(self.browsers)
        page = browser.get("/end_session")
        if "logout-confirm" in page.text and self.random.random() < 0.5:
            browser.press(page, decision="logout")
        self.world.forget_attempts()

    def keep(self, browser: Browser, page: Page) -> None:
        if page.status == 200 and "csrf_token" in page.text and page.url.startswith("/s/"):
            self.pages.append((browser, page))


def walk(world: World, walks: int) -> tuple[int, int]:
    """How many codes and sessions bram and anna got, after many walks."""
    client, organisation = world.make.client(), world.make.organization()
    anna, bram = (world.make.account(organisation, name, totp=True) for name in ("anna", "bram"))
    for seed in range(walks):
        walking = Walk(world, seed, client, anna, bram)
        for _ in range(50):
            walking.step()
    with world.reading() as unit:
        of = [
            len(unit.scalars(select(Session).filter_by(account_id=who.id)).all())
            + len(unit.scalars(select(AuthorizationCode).filter_by(account_id=who.id)).all())
            for who in (bram, anna)
        ]
        assert len(unit.scalars(select(Credential)).all()) == 2
    return of[0], of[1]


def test_a23_who_knows_only_the_password_gets_nowhere_on_any_path(world: World) -> None:
    of_bram, of_anna = walk(world, often(200, 3))
    assert of_bram > 0, "the walks lead somewhere"
    assert of_anna == 0


@mutation
def test_a23_without_the_check_the_same_walks_lead_to_somebody_elses_session(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_reason(monkeypatch, "unproven")
    assert walk(world, 1)[1] > 0


# A25, A26


def test_a25_a26_another_name_or_organisation_in_a_second_tab_does_not_change_who_signs_in(world: World) -> None:
    client = world.make.client()
    anna = world.make.account(world.make.organization(), "anna", totp=True)
    others = [
        world.make.account(world.make.organization("2"), "anna", org_code="2", totp=True),
        world.make.account(world.make.organization("3"), "bram", org_code="3"),
    ]
    browser = world.browser()
    stale = browser.begin(client)
    page = browser.submit(stale, **anna.names)
    for other in others:
        assert browser.submit(stale, **other.names).prompt == "verify_second_factor"
        if other.totp_secret:
            assert browser.submit(page, code=world.code(other)).prompt == "verify_second_factor"
    assert world.given_out() == (0, 0)
    browser.submit(page, code=world.code(anna))
    with world.reading() as unit:
        assert unit.scalars(select(AuthorizationCode.account_id)).all() == [anna.id]


# A27, A28


def two_tabs(world: World) -> tuple[Browser, Page, Somebody, Somebody]:
    """Two tabs with two applications; anna signed in with the first, the login page is still in the second."""
    organisation = world.make.organization()
    anna, bram = (world.make.account(organisation, name, totp=True) for name in ("anna", "bram"))
    browser = world.browser()
    second = browser.begin(world.make.client("rapportages"))
    world.sign_in(world.make.client(), anna, browser)
    return browser, second, anna, bram


def test_a27_somebody_else_in_the_second_tab_is_asked_and_never_swapped_silently(world: World) -> None:
    browser, second, anna, bram = two_tabs(world)
    asked = browser.submit(second, **bram.names)
    assert asked.prompt == "identify" and 'value="continue"' in asked.text
    assert world.given_out() == (1, 1)
    other = browser.submit(asked, account="other")
    verify = browser.submit(other, **bram.names)
    assert browser.submit(verify, code=world.code(bram)).code
    with world.reading() as unit:
        assert unit.scalars(select(AuthorizationCode.account_id).order_by(AuthorizationCode.issued_at)).all() == [
            anna.id,
            bram.id,
        ]
        assert unit.scalars(select(Session.end_reason).order_by(Session.id)).all() == ["replaced", None]
    assert len(world.events(SessionEnded)) == 1


def test_a27_going_on_as_the_one_who_is_signed_in_gives_that_persons_code(world: World) -> None:
    browser, second, anna, bram = two_tabs(world)
    asked = browser.submit(second, **bram.names)
    assert browser.submit(asked, account="continue").code
    with world.reading() as unit:
        assert set(unit.scalars(select(AuthorizationCode.account_id))) == {anna.id}


def test_a27_a_half_proven_tab_is_asked_when_somebody_else_signed_in_meanwhile(world: World) -> None:
    organisation = world.make.organization()
    anna, bram = (world.make.account(organisation, name, totp=True) for name in ("anna", "bram"))
    browser, half = world.at_code_page(world.make.client("rapportages"), bram)
    world.sign_in(world.make.client(), anna, browser)
    after = browser.submit(half, code=world.code(bram))
    assert after.prompt == "identify" and 'value="continue"' in after.text
    assert world.given_out() == (1, 1)


@mutation
def test_a27_without_the_check_the_session_would_be_swapped_silently(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_reason(monkeypatch, "another_account")
    organisation = world.make.organization()
    anna, bram = (world.make.account(organisation, name, totp=True) for name in ("anna", "bram"))
    browser, half = world.at_code_page(world.make.client("rapportages"), bram)
    world.sign_in(world.make.client(), anna, browser)
    assert browser.submit(half, code=world.code(bram)).code


def login_csrf(world: World) -> Browser:
    """A victim whose browser posts the attacker's names, from a page of the attacker."""
    client, attacker = world.make.client(), world.make.person(username="mallory")
    victim, evil = world.browser(), world.browser()
    page, theirs = victim.begin(client), evil.begin(client)
    form = {**attacker.names, "csrf_token": theirs.hidden("csrf_token")}
    victim.post(page.action, form, Origin="https://evil.example", **{"Sec-Fetch-Site": "cross-site"})
    return victim


def test_a28_a_login_form_from_elsewhere_signs_nobody_in(world: World) -> None:
    assert login_csrf(world).session is None
    assert world.given_out() == (0, 0) and not world.events(SessionOpened)


@mutation
def test_a28_without_the_token_the_victim_would_be_signed_in_as_the_attacker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csrf, "require", lambda about: None)
    assert login_csrf(world).session is not None


def test_a28_the_token_is_worth_nothing_in_another_interaction_of_the_same_browser(world: World) -> None:
    client, anna = world.make.client(), world.make.person()
    browser = world.browser()
    first, second = browser.begin(client), browser.begin(client)
    assert browser.post(second.action, {**anna.names, "csrf_token": first.hidden("csrf_token")}).status == 403


# A29


def foreign_link(world: World) -> list[tuple[Browser, Page]]:
    """A half-done sign-in whose link opened in two other browsers: one that is new, one that was here before."""
    client = world.make.client()
    anna = world.make.account(world.make.organization("77777"), "anna", org_code="77777", totp=True)
    _, page = world.at_code_page(client, anna)
    new, known = world.browser(), world.browser()
    known.begin(client)
    return [(browser, browser.follow(browser.get(page.url))) for browser in (new, known)]


def test_a29_a_link_that_opens_in_another_browser_starts_anew_with_nothing_filled_in(world: World) -> None:
    for browser, page in foreign_link(world):
        assert page.prompt == "identify"
        assert "anna" not in page.text and "77777" not in page.text
        assert browser.session is None


def test_a29_an_interaction_does_not_advance_in_another_browser(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    _, page = world.at_code_page(client, anna)
    thief = world.browser()
    thief.begin(client)
    stolen = {"csrf_token": page.hidden("csrf_token"), "code": world.code(anna)}
    assert thief.post(page.action, stolen).status == 403
    with world.app.test_request_context(headers={"Cookie": f"{BINDING_COOKIE}={thief.cookies[BINDING_COOKIE]}"}):
        token = csrf.token(page.interaction_id)
    after = thief.follow(thief.post(page.action, {**stolen, "csrf_token": token}))
    assert after.prompt == "identify" and after.interaction_id != page.interaction_id
    assert thief.session is None and world.given_out() == (0, 0)


@mutation
def test_a29_unbound_interactions_would_go_on_in_the_other_browser(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Looks, "is_bound", lambda *_: True)
    pages = [page for _, page in foreign_link(world)]
    assert "verify_second_factor" in [page.prompt for page in pages]


# A30, A31


def test_a30_a_planted_session_cookie_never_becomes_a_session(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    planted = "planted-by-the-attacker-0123456789abcdefghij"
    victim, attacker = world.browser(), world.browser()
    victim.cookies[SESSION_COOKIE] = attacker.cookies[SESSION_COOKIE] = planted
    world.sign_in(client, anna, victim)
    assert victim.session not in (None, planted)
    assert attacker.authorize(client, prompt="none").answer["error"] == "login_required"


def test_a30_a_session_that_is_authenticated_again_gets_a_new_secret_and_the_old_one_is_dead(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser, _ = world.sign_in(client, anna)
    stolen = world.browser()
    stolen.cookies[SESSION_COOKIE] = browser.cookies[SESSION_COOKIE]
    assert stolen.authorize(client, prompt="none").code
    world.sign_in(client, anna, browser, prompt="login")
    assert browser.session != stolen.session
    assert stolen.authorize(client, prompt="none").answer["error"] == "login_required"
    assert browser.authorize(client, prompt="none").code
    with world.reading() as unit:
        assert len(unit.scalars(select(Session)).all()) == 1, "the session kept its identity"


def test_a30_cookies_cannot_be_planted_from_a_subdomain_or_read_by_a_script(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser = world.browser()
    pages = [browser.authorize(client)]
    page = browser.follow(pages[0])
    pages.append(browser.press(page, **anna.names, remember="1"))
    page = browser.follow(pages[-1])
    pages.append(browser.press(page, code=world.code(anna)))
    set_cookies = [value for each in pages for name, value in each.headers if name == "Set-Cookie"]
    assert len(set_cookies) == 4
    for value in set_cookies:
        attributes = {each.strip().lower() for each in value.split(";")[1:]}
        assert value.startswith("__Host-") and {"secure", "httponly", "path=/", "samesite=lax"} <= attributes, value
        assert not any(each.startswith("domain") for each in attributes), value


def test_a31_no_identifier_of_a_session_is_ever_used_again(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    browser = world.browser()
    secrets, binding = [], None
    for _ in range(4):
        world.sign_in(client, anna, browser)
        assert browser.session is not None
        secrets.append(browser.session)
        binding = browser.cookies[BINDING_COOKIE]
        page = browser.get("/end_session")
        browser.press(page, decision="logout")
        assert SESSION_COOKIE not in browser.cookies
        browser.cookies = {BINDING_COOKIE: binding}
    with world.reading() as unit:
        sids = unit.scalars(select(Session.sid)).all()
    assert len(set(secrets)) == len(set(sids)) == 4
    for secret in secrets:
        returning = world.browser()
        returning.cookies[SESSION_COOKIE] = secret
        assert returning.authorize(client, prompt="none").answer["error"] == "login_required"
    assert not set(secrets) & set(sids), "what is published opens nothing"


def test_a31_the_published_name_of_a_session_opens_nothing(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    world.sign_in(client, anna)
    with world.reading() as unit:
        session = unit.scalars(select(Session)).one()
    for value in (session.sid, session.secret_hash.hex(), str(session.id)):
        thief = world.browser()
        thief.cookies[SESSION_COOKIE] = value
        assert thief.authorize(client, prompt="none").answer["error"] == "login_required"
