"""A24: something breaks while somebody signs in. Then nothing is given out: no code, no session, no factor, no consent.

Each journey is walked once for each thing that can break. At every request the trap is armed first; when it springs,
the request must have been refused with nothing left behind, and is made again with the trap disarmed.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from ipaddress import ip_network
from typing import Any

import pytest
from sqlalchemy import delete, event, func, select, update

from idp.accounts.campaign import Campaign
from idp.accounts.identify import Identification
from idp.accounts.passwords import Passwords
from idp.attempts.budget import Attempts
from idp.attempts.models import AttemptBudget
from idp.audit.trail import Trail
from idp.consents.models import Consent
from idp.factors.models import Credential
from idp.factors.totp import Totp
from idp.kernel.envelope import Envelope
from idp.oidc import authorization_response
from idp.oidc.authorization_code import AuthorizationCodes
from idp.oidc.models import AccessToken, AuthorizationCode
from idp.sessions.lifecycle import Sessions
from idp.sessions.models import Session
from idp.signin import checks, prompts
from idp.signin.flow import Flow
from idp.signin.interaction import Interaction
from idp.signin.looks import Looks
from idp.signin.prompts import PROMPTS, Pending, Prompt
from idp.signin.situation import Situation
from idp.store.engine import db
from idp.web.client_address import client_address
from tests.attacks.test_second_factor import code_of
from tests.attacks.world import SESSION_COOKIE, STEP, VERIFIER, Browser, Page, World, basic, mutation
from tests.conftest import is_long
from tests.factories import Somebody, SomeClient

POSTPONABLE: dict[str, Any] = {"required_from": date(2026, 11, 1), "postpone_until": date(2027, 2, 1)}


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of tracebacks that nobody reads would take longer than the attacks."""
    monkeypatch.setattr(logging.getLogger("idp.web.error_pages"), "disabled", True)


class Broken(Exception):
    """What breaks."""


@dataclass
class Trap:
    """Raises while it is armed: at every call, or only at one."""

    only_at: int | None = None
    armed: bool = False
    calls: int = 0
    has_sprung: bool = False

    def spring(self, *_arguments: object, **_options: object) -> None:
        if self.armed:
            self.calls += 1
            if self.only_at in (None, self.calls):
                self.has_sprung = True
                raise Broken

    @contextmanager
    def while_armed(self) -> Iterator[None]:
        self.armed, self.calls, self.has_sprung = True, 0, False
        try:
            yield
        finally:
            self.armed = False


Fields = Callable[[Page], dict[str, str]]


@dataclass
class Journey:
    """A sign-in as a list of requests: None follows the redirect, fields are pressed into the form of the page."""

    world: World
    client: SomeClient
    steps: tuple[Fields | None, ...]
    browser: Browser = field(init=False)

    def requests(self) -> Iterator[Callable[[], Page]]:
        """The requests, each to be made any number of times; the last time counts."""
        self.browser = self.world.browser()
        yield lambda: self._keep(self.browser.authorize(self.client))
        for step in self.steps:
            page = self.page
            if step is None:
                assert page.location is not None
                location = page.location
                yield lambda location=location: self._keep(self.browser.get(location))  # type: ignore[misc]
            else:
                fields = step(page)
                yield lambda page=page, fields=fields: self._keep(  # type: ignore[misc]
                    self.browser.press(page, **fields)
                )

    def _keep(self, page: Page) -> Page:
        self.page = page
        return page

    def walk(self, trap: Trap, attempts_at_each: int = 1) -> int:
        """How often the trap sprang; the journey led to a code in the end."""
        sprung = 0
        for request in self.requests():
            before = self.facts()
            for attempt in range(1, attempts_at_each + 1):
                if trap.only_at is not None:
                    trap.only_at = attempt
                with trap.while_armed():
                    page = request()
                if not trap.has_sprung:
                    break
                sprung += 1
                self.refused(page, before)
                self.forget_attempts()
            else:
                request()
        assert self.page.code
        self.world.clock.move(STEP)
        return sprung

    def forget_attempts(self) -> None:
        with self.world.writing() as unit:
            unit.execute(delete(AttemptBudget))
            unit.execute(update(Interaction).values(enrolment_failures=0))

    def facts(self) -> tuple[object, ...]:
        counted = (
            select(func.count()).select_from(model).scalar_subquery()
            for model in (AuthorizationCode, Session, Credential, Consent)
        )
        postponed = select(func.count()).where(Interaction.postponed_until.is_not(None)).scalar_subquery()
        with self.world.reading() as unit:
            return tuple(unit.execute(select(*counted, postponed)).one())

    def refused(self, page: Page, before: tuple[object, ...]) -> None:
        assert page.status >= 400, (page.status, page.location)
        assert page.target is None and not page.answer and SESSION_COOKIE not in page.set_cookies
        assert self.facts() == before, "something was left behind"


def proving(world: World) -> Journey:
    """Password, code, consent."""
    anna = world.make.account(world.make.organization("1", **POSTPONABLE), "anna", org_code="1", totp=True)
    client = world.make.client("vreemd", first_party=False, scope="openid profile")
    journey = Journey(
        world,
        client,
        (
            None,
            lambda _: anna.names,
            None,
            lambda _: {"code": world.code(anna)},
            None,
            lambda _: {"decision": "allow"},
            None,
        ),
    )
    return journey


def enrolling(world: World) -> Journey:
    """Password, choice, set-up. Somebody new each time: who has enrolled does not enrol again."""
    organisation, client = world.make.organization("2", **POSTPONABLE), world.make.client("atosi2")
    people: list[Somebody] = []

    def names(_page: Page) -> dict[str, str]:
        people.append(world.make.account(organisation, f"els{len(people)}", org_code="2"))
        return people[-1].names

    choice: Fields = lambda _: {"method": "totp"}  # noqa: E731
    code: Fields = lambda page: {"method": "totp", "code": code_of(world, page)}  # noqa: E731
    return Journey(world, client, (None, names, None, choice, None, code, None))


def postponing(world: World) -> Journey:
    """Password, later, yes, sure."""
    els = world.make.account(world.make.organization("3", **POSTPONABLE), "els", org_code="3")
    steps: tuple[Fields | None, ...] = (
        None,
        lambda _: els.names,
        None,
        lambda _: {"method": "postpone"},
        None,
        lambda _: {},
        None,
    )
    return Journey(world, world.make.client("atosi3"), steps)


JOURNEYS = (proving, enrolling, postponing)

POINTS: tuple[tuple[Any, str, tuple[Callable[[World], Journey], ...]], ...] = (
    (checks, "shortfall", JOURNEYS),
    (checks, "may_postpone", (enrolling, postponing)),
    (Totp, "check_form", (proving, enrolling)),
    (Totp, "verify", (proving,)),
    (Totp, "use", (proving,)),
    (Totp, "begin_enrolment", (enrolling,)),
    (Totp, "verify_enrolment", (enrolling,)),
    (Passwords, "verify", (proving,)),
    (Attempts, "pay", (proving,)),
    (Attempts, "succeed", (proving,)),
    (Identification, "record", (proving,)),
    (Campaign, "is_required", JOURNEYS),
    (Campaign, "is_postponable", JOURNEYS),
    (Campaign, "postponable_ends_at", (postponing,)),
    (Envelope, "open", (proving, enrolling)),
    (Envelope, "seal", (enrolling,)),
    (Trail, "record", JOURNEYS),
    (Looks, "_person", JOURNEYS),
    (Flow, "_finish", (proving,)),
    (Sessions, "open", JOURNEYS),
    (Sessions, "load_live", JOURNEYS),
    (AuthorizationCodes, "issue", JOURNEYS),
    (authorization_response, "success", JOURNEYS),
)


def breaking(trap: Trap, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        trap.spring()
        return function(*arguments, **options)

    return call


def with_breaking_check(trap: Trap, reason: tuple[str, str]) -> Callable[[Situation], Pending | None]:
    """`next_prompt` on a list in which one check is a trap."""

    def changed(prompt: Prompt) -> Prompt:
        each = (
            replace(check, applies=breaking(trap, check.applies)) if (prompt.name, check.reason) == reason else check
            for check in prompt.checks
        )
        return replace(prompt, checks=tuple(each))

    other = tuple(changed(prompt) for prompt in PROMPTS)
    return lambda situation: prompts.next_prompt(situation, other)


def test_a24_whichever_check_breaks_nothing_is_skipped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    journey = proving(world)
    for prompt in PROMPTS:
        for check in prompt.checks:
            trap = Trap()
            reason = (prompt.name, check.reason)
            monkeypatch.setattr("idp.signin.looks.next_prompt", with_breaking_check(trap, reason))
            forget_consent(world)
            assert journey.walk(trap) > 0, reason


def forget_consent(world: World) -> None:
    with world.writing() as unit:
        for consent in unit.scalars(select(Consent)):
            unit.delete(consent)


@mutation
def test_a24_a_check_whose_failure_counted_as_nothing_to_ask_would_skip_the_code(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    trap = Trap(armed=True)
    broken = with_breaking_check(trap, ("verify_second_factor", "unproven"))

    def lenient(situation: Situation) -> Pending | None:
        try:
            return broken(situation)
        except Broken:
            return None

    monkeypatch.setattr("idp.signin.looks.next_prompt", lenient)
    browser, client, anna = world.browser(), world.make.client(), world.make.person(totp=True)
    assert browser.submit(browser.begin(client), **anna.names).code


def test_a24_whatever_else_breaks_nothing_is_given_out(world: World) -> None:
    journeys: dict[Callable[[World], Journey], Journey] = {make: make(world) for make in JOURNEYS}
    for owner, name, makes in POINTS:
        for make in makes if is_long() else makes[:1]:
            trap = Trap()
            forget_consent(world)
            with pytest.MonkeyPatch.context() as patching:
                patching.setattr(owner, name, breaking(trap, getattr(owner, name)))
                assert journeys[make].walk(trap) > 0, (name, make.__name__)


def test_a24_a_clock_that_breaks_at_any_reading_gives_nothing_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for make in JOURNEYS:
        journey, trap = make(world), Trap(only_at=1)
        with monkeypatch.context() as patching:
            patching.setattr(world.clock, "now", breaking(trap, world.clock.now))
            assert journey.walk(trap, attempts_at_each=200) > 20


@contextmanager
def breaking_store(world: World, trap: Trap) -> Iterator[None]:
    """Every statement and every commit is a trap."""
    with world.app.app_context():
        engine = db.engine
    for name in ("before_cursor_execute", "commit"):
        event.listen(engine, name, trap.spring)
    try:
        yield
    finally:
        for name in ("before_cursor_execute", "commit"):
            event.remove(engine, name, trap.spring)


def test_a24_a_store_that_breaks_at_any_statement_gives_nothing_out(world: World) -> None:
    for make in JOURNEYS:
        journey, trap = make(world), Trap(only_at=1)
        with breaking_store(world, trap):
            assert journey.walk(trap, attempts_at_each=200) > 40


def test_a24_a_store_that_breaks_at_the_token_endpoint_gives_no_token_out(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    _, page = world.sign_in(client, anna)
    assert client.secret is not None
    form = {"grant_type": "authorization_code", "code": page.code, "redirect_uri": client.redirect_uri}
    headers = {"Authorization": basic(client.client_id, client.secret)}
    # Signing reads the keys after the commit; what breaks there leaves tokens that nobody has.
    with world.app.app_context():
        world.services.keys.load()
    trap, sprung = Trap(only_at=0), 0
    with breaking_store(world, trap):
        for trap.only_at in range(1, 100):
            with trap.while_armed():
                answered = world.browser().post("/token", {**form, "code_verifier": VERIFIER}, **headers)
            if not trap.has_sprung:
                break
            sprung += 1
            assert answered.status == 500 and b"token" not in answered.body.replace(b"csrf_token", b"")
            assert world.count(AccessToken) == 0
    assert sprung > 5 and answered.status == 200


def test_a24_what_proxies_claim_about_the_address_skips_nothing(world: World) -> None:
    client, anna = world.make.client(), world.make.person(totp=True)
    for claimed in ("a", "1.2.3.4, ", ",,,", "unknown", "::1%eth0", "\x7f", "1" * 5000, "127.0.0.1:80", "'; --"):
        browser = world.browser(**{"X-Forwarded-For": claimed, "Forwarded": claimed, "X-Real-Ip": claimed})
        page = browser.submit(browser.begin(client), **anna.names)
        assert page.prompt == "verify_second_factor" and browser.session is None, claimed
    assert world.given_out() == (0, 0)
    trusted = [ip_network("10.0.0.0/8")]
    assert client_address("10.0.0.1", "6.6.6.6, nonsense", trusted) == "10.0.0.1"
    assert client_address("8.8.8.8", "10.0.0.2", trusted) == "8.8.8.8"
    assert client_address("10.0.0.1", "6.6.6.6, 7.7.7.7", trusted) == "7.7.7.7"
