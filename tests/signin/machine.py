"""The whole sign-in as a state machine, beside a model that judges every response.

    Provider    the real application with its clients and organisations; made once, used by many examples
    Model       what was proven where, by the decisions alone: it reads no code of the provider
    Journeys    two browsers with two tabs each, two people, and whatever they and their attackers may do next

The model is a judge, not a prophet: it does not say what the next page is, but each time a response opens a session,
hands out a code or leaves a new second factor behind, it says whether everything that was due had been given: by the
right person, in this browser, in this interaction or its session, in time.
"""

from __future__ import annotations

import html
import re
from base64 import b32decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import pyotp
from flask import Flask
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from jinja2 import BaseLoader, ChoiceLoader, DictLoader
from sqlalchemy import select
from werkzeug.test import TestResponse

from idp.factors.models import Credential
from idp.factors.totp import Totp, key_text
from idp.kernel.clock import FixedClock
from idp.kernel.secrets import hash_secret
from idp.oidc.models import AuthorizationCode
from idp.sessions.models import Session
from idp.wiring import Services
from tests.conftest import ISSUER, START
from tests.factories import PASSWORD, Factories

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
STEP = 30
IDLE = 30 * MINUTE
LONGEST = timedelta(hours=12)
FRESH_ENOUGH_TO_ENROL = 5 * MINUTE

SESSION_COOKIE = "__Host-idp_session"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"  # RFC 7636, appendix B
PROMPTS = ("identify", "verify_second_factor", "enrol_second_factor", "consent", "continue")
TOTP_LEVEL, PAPER_LEVEL = 3, 2

# Days in Amsterdam, where winter time is UTC+1; the tests begin on 23 November 2026.
SOON = datetime(2026, 11, 23, 23, tzinfo=UTC)
"""The start of 24 November, from which the organisation of `soon` requires a second factor."""
DEADLINE = datetime(2026, 11, 25, 23, tzinfo=UTC)
"""The end of 25 November, the last day to postpone."""
KINDS = ("plain", "totp", "paper", "postponable", "mandatory", "soon", "staff")
LEVELS_ASKED = {None: (), "2": (2,), "3": (3,), "4 3": (4, 3), "4": (4,)}
MINIMUM = {"eigen": 1, "derde": 1, "streng": 3}


class Paper(Totp):
    """A second factor of a lower level, so that there is something to verify before the app is enrolled."""

    name = "recovery_code"
    reaches = PAPER_LEVEL
    amr = ("otp",)


FACTORS = (Totp(), Paper())

# Pages for the stand-in, and a choice that has no pictures of its own.
PAGES = {
    "factors/recovery_code/verify.html": '{% extends "factors/totp/verify.html" %}',
    "factors/recovery_code/enrol.html": '{% extends "factors/totp/enrol.html" %}',
}


class Provider:
    """The application under test, its clients and organisations."""

    def __init__(self, app: Flask, clock: FixedClock) -> None:
        self.app, self.clock = app, clock
        self.services: Services = app.extensions["idp"]
        assert isinstance(app.jinja_loader, BaseLoader)
        app.jinja_loader = ChoiceLoader([app.jinja_loader, DictLoader(PAGES)])
        self.make = Factories(app)
        for client_id in MINIMUM:
            self.make.client(
                client_id,
                redirect_uris=[redirect_uri(client_id)],
                first_party=client_id != "derde",
                minimum_acr=MINIMUM[client_id] if MINIMUM[client_id] > 1 else None,
            )
        november, last_day = date(2026, 11, 1), date(2026, 11, 25)
        dates: dict[str, tuple[date | None, date | None]] = {
            "calm": (None, None),
            "postponable": (november, last_day),
            "mandatory": (november, None),
            "soon": (date(2026, 11, 24), last_day),
        }
        self._organizations = {
            name: self.make.organization(name, required_from=begin, postpone_until=end)
            for name, (begin, end) in dates.items()
        }
        self._people = 0
        self.codes = 0
        """How many codes all examples were given: a machine that never gets there proves nothing."""

    def person(self, kind: str) -> Person:
        """A new person of this kind."""
        self._people += 1
        organization = {"staff": "postponable", "totp": "calm", "paper": "calm", "plain": "calm"}.get(kind, kind)
        username = f"{kind}{self._people}"
        role = "service_desk" if kind == "staff" else "person"
        made = self.make.account(self._organizations[organization], username, organization, role=role)
        person = Person(made.id, kind, organization, username)
        if kind in ("totp", "paper"):
            method = "totp" if kind == "totp" else "recovery_code"
            secret = bytes([self._people % 256]) * 20
            with self.app.app_context(), self.services.units.writing() as unit:
                sealed = self.services.envelope.seal(secret, f"credentials:{made.id}")
                enrolled_at = self.clock.now()
                unit.add(Credential(account_id=made.id, method=method, secret_sealed=sealed, enrolled_at=enrolled_at))
            person.enrolled[method] = Held(secret)
        return person

    # What the provider claims; the model judges whether it may.

    def claimed_session(self, cookie: str) -> tuple[int, int, datetime]:
        """Account, level and moment of the password of a session cookie."""
        with self.app.app_context(), self.services.units.reading() as unit:
            row = unit.scalars(select(Session).filter_by(secret_hash=hash_secret(cookie))).one()
            return row.account_id, row.level, row.auth_time

    def claimed_code(self, code: str) -> AuthorizationCode:
        with self.app.app_context(), self.services.units.reading() as unit:
            return unit.scalars(select(AuthorizationCode).filter_by(code_hash=hash_secret(code))).one()

    def claimed_factors(self, people: Sequence[Person]) -> set[tuple[int, str]]:
        with self.app.app_context(), self.services.units.reading() as unit:
            ids = [person.id for person in people]
            rows = unit.execute(select(Credential.account_id, Credential.method).where(Credential.account_id.in_(ids)))
            return {(account_id, method) for account_id, method in rows}


def redirect_uri(client_id: str) -> str:
    return f"https://{client_id}.example/callback"


# --- The model


@dataclass
class Held:
    """A second factor that a person holds, and the latest step that certainly was accepted."""

    secret: bytes
    last_step: int = -1

    def code(self, step: int) -> str:
        return str(pyotp.TOTP(key_text(self.secret)).generate_otp(step))


@dataclass
class Person:
    """Who they are, and what they hold and allowed."""

    id: int
    kind: str
    org_code: str
    username: str
    enrolled: dict[str, Held] = field(default_factory=dict)
    allowed: set[str] = field(default_factory=set)

    @property
    def names(self) -> dict[str, str]:
        return {"organisation": self.org_code, "username": self.username, "password": PASSWORD}

    def must_enrol(self, now: datetime) -> bool:
        """The campaign of their organisation, or their work, asks for a second factor."""
        if self.kind == "soon":
            return now >= SOON
        return self.kind in ("postponable", "mandatory", "staff")

    def may_postpone(self, now: datetime) -> bool:
        return self.kind in ("postponable", "soon") and self.must_enrol(now) and now < DEADLINE and not self.enrolled


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    client_id: str
    state: str
    prompt: frozenset[str]
    max_age: int | None
    levels: tuple[int, ...]

    @property
    def demanded(self) -> int:
        return max(min(self.levels, default=1), MINIMUM[self.client_id])


@dataclass
class Live:
    """A session as the model knows it."""

    person: Person
    level: int
    auth_time: datetime
    opened_at: datetime
    active_at: datetime
    """The latest moment that may count as activity."""
    counted_at: datetime
    """The latest moment that certainly counts."""
    postponed: bool
    opened_by: set[str]
    factor_at: datetime | None = None
    """The latest moment at which a second factor that reaches its level may have been proven in it."""
    ended: bool = False

    def is_live(self, now: datetime) -> bool:
        """It may be: a code is only given while this is true."""
        return not self.ended and now < min(self.active_at + IDLE, self.opened_at + LONGEST)

    def is_certainly_live(self, now: datetime) -> bool:
        return self.is_live(now) and now < self.counted_at + IDLE

    def answers_for(self, proven: Proven) -> bool:
        """The person's factor was proven in it after the password of an attempt: that attempt is not asked for it."""
        return None not in (self.factor_at, proven.password_at) and self.factor_at > proven.password_at


@dataclass
class Proven:
    """What one person proved in one interaction."""

    password_at: datetime | None = None
    level: int = 0
    factor_at: datetime | None = None
    used: tuple[Held, int] | None = None
    postponed: bool = False
    allowed: bool = False


@dataclass
class Interaction:
    """One attempt, in one browser."""

    id: str
    request: Request
    browser: Browser
    touched_at: datetime
    chosen: bool = False
    leaves_session: bool = False
    closed: bool = False
    key: bytes | None = None
    proofs: dict[int, Proven] = field(default_factory=dict)

    def proven(self, person: Person) -> Proven:
        return self.proofs.setdefault(person.id, Proven())


class Browser:
    """Cookies, and the session that the model believes them to be of."""

    def __init__(self, provider: Provider, name: str) -> None:
        self.name = name
        self.client = provider.app.test_client()
        self.session: Live | None = None
        self.tabs = (Tab(self), Tab(self))


@dataclass
class Sent:
    """A form as it was posted."""

    interaction: Interaction
    prompt: str
    form: dict[str, str]


@dataclass
class Tab:
    """What a tab shows, and what was read from its pages."""

    browser: Browser
    interaction: Interaction | None = None
    prompt: str = ""
    page: str = ""
    csrf_token: str = ""
    confirm: str = ""


class Model:
    """The judge."""

    def __init__(self, provider: Provider, people: Sequence[Person]) -> None:
        self.provider, self.clock, self.people = provider, provider.clock, people
        self.interactions: dict[str, Interaction] = {}
        self.confirms: dict[str, tuple[str, str, int | None]] = {}
        """Value of an are-you-sure or consent page -> question, interaction, whose session it was read in."""
        self._codes: set[str] = set()
        self._by_id = {person.id: person for person in people}

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def session_of(self, browser: Browser) -> Live | None:
        session = browser.session
        return session if session is not None and session.is_live(self.now) else None

    def is_at_hand(self, interaction: Interaction, person: Person) -> bool:
        """Whose password was given here, or whose session it is."""
        session = self.session_of(interaction.browser)
        return self._password_at(interaction, person) is not None or (session is not None and session.person is person)

    def _password_at(self, interaction: Interaction, person: Person) -> datetime | None:
        return interaction.proven(person).password_at

    # what people give

    def touched(self, browser: Browser, interaction: Interaction | None, silent: bool = False) -> None:
        """A request came in. What was proven in an attempt counts no longer after half an hour without any."""
        session = self.session_of(browser)
        if session is not None and not silent:
            if interaction is None and session.is_certainly_live(self.now):
                session.counted_at = self.now
            session.active_at = self.now
        if interaction is not None and interaction.browser is browser:
            if self.now >= interaction.touched_at + IDLE:
                interaction.proofs.clear()
            interaction.touched_at = self.now

    def posted(self, browser: Browser, sent: Sent, token_is_right: bool) -> None:
        """A form came in: what it proves is written down for the interaction, if it was this browser's to answer."""
        interaction, form = sent.interaction, sent.form
        if interaction.browser is not browser or not token_is_right or interaction.closed:
            return
        for person in self.people:
            proven = interaction.proven(person)
            if sent.prompt == "identify" and all(form.get(name) == value for name, value in person.names.items()):
                proven.password_at = self.now
            if not self.is_at_hand(interaction, person):
                continue
            if sent.prompt == "verify_second_factor":
                self._code_came_in(proven, person, form.get("code", ""))
            if sent.prompt == "enrol_second_factor" and form.get("method") == "postpone":
                right = self._confirms("enrol_second_factor", interaction, form)
                if right and person.may_postpone(self.now) and interaction.request.demanded == 1:
                    proven.postponed = True
            if sent.prompt == "consent" and form.get("decision") == "allow":
                session = self.session_of(browser)
                if session is not None and session.person is person and self._confirms("consent", interaction, form):
                    proven.allowed = True
        if sent.prompt == "identify" and form.get("account") == "other":
            interaction.leaves_session = True

    def _code_came_in(self, proven: Proven, person: Person, code: str) -> None:
        present = int(self.now.timestamp()) // STEP
        for method, held in person.enrolled.items():
            for step in (present - 1, present, present + 1):
                if step > held.last_step and held.code(step) == code:
                    level = TOTP_LEVEL if method == "totp" else PAPER_LEVEL
                    if level >= proven.level:
                        proven.level, proven.used, proven.factor_at = level, (held, step), self.now

    def _confirms(self, question: str, interaction: Interaction, form: Mapping[str, str]) -> bool:
        asked = self.confirms.get(form.get("confirm", ""))
        return asked is not None and asked[:2] == (question, interaction.id)

    # what the provider gives

    def factor_appeared(self, browser: Browser, sent: Sent, account_id: int, method: str) -> None:
        """A second factor was enrolled in answer to this form."""
        person, interaction = self._by_id[account_id], sent.interaction
        where = f"{method} of {person.username} in {browser.name} by {sent.form}"
        assert interaction.browser is browser and not interaction.closed, (
            f"enrolled in a foreign or closed attempt: {where}"
        )
        proven, session = interaction.proven(person), self.session_of(browser)
        assert not person.enrolled or proven.level, f"enrolled before what is enrolled was verified: {where}"
        fresh = (
            session is not None
            and session.person is person
            and (self.now - session.auth_time <= FRESH_ENOUGH_TO_ENROL or interaction.id in session.opened_by)
        )
        assert proven.password_at is not None or fresh, f"enrolled without a fresh password: {where}"
        assert interaction.key is not None, f"enrolled a key that nobody saw: {where}"
        held, present = Held(interaction.key), int(self.now.timestamp()) // STEP
        steps = [step for step in (present - 1, present, present + 1) if held.code(step) == sent.form.get("code")]
        assert steps, f"enrolled without a right code: {where}"
        held.last_step = max(steps)
        person.enrolled[method] = held
        proven.level, proven.factor_at = max(proven.level, TOTP_LEVEL if method == "totp" else PAPER_LEVEL), self.now

    def session_opened(self, browser: Browser, interaction: Interaction, cookie: str) -> None:
        """A session cookie was set in answer to a form of this interaction."""
        account_id, level, auth_time = self.provider.claimed_session(cookie)
        person, before, now = self._by_id[account_id], self.session_of(browser), self.now
        proven, request = interaction.proven(person), interaction.request
        where = f"{person.username} in {browser.name}, {request}, {proven}"
        assert interaction.browser is browser and not interaction.closed, (
            f"session from a foreign or closed attempt: {where}"
        )
        same = before if before is not None and before.person is person else None
        swapped = before is not None and before.is_certainly_live(now) and same is None
        assert not swapped or interaction.leaves_session, f"somebody else's session was swapped silently: {where}"
        if proven.password_at is None:
            assert same and not self._asks_identity_again(interaction, same), f"session without a password: {where}"
        answers = same is not None and same.answers_for(proven)
        if person.enrolled:
            assert proven.level or answers, f"session without the second factor: {where}"
        elif person.must_enrol(now):
            put_off = proven.postponed or (same is not None and same.postponed)
            assert put_off and now < DEADLINE, f"session although enrolment was due: {where}"
        reached = max(proven.level, 1, same.level if same and (proven.password_at is None or answers) else 0)
        assert request.demanded > TOTP_LEVEL or reached >= request.demanded, f"session below the level: {where}"
        kept = same.level if same else 0
        assert level == max(reached, kept), f"a level of {level}, that was not reached: {where}"
        asked_at = proven.password_at or (same.auth_time if same else None)
        assert auth_time == max(asked_at or now, same.auth_time if same else auth_time), f"auth_time: {where}"
        if proven.used is not None:
            held, step = proven.used
            held.last_step = max(held.last_step, step)
        postponed = proven.postponed or (same is not None and same.postponed)
        opened_by = {interaction.id} | (same.opened_by if same else set())
        opened_at = same.opened_at if same else now
        if before is not None and not same:
            before.ended = True
        factor_at = proven.factor_at if proven.level >= level else same.factor_at if same else None
        browser.session = Live(person, level, auth_time, opened_at, now, now, postponed, opened_by, factor_at)
        # Spent: from now on only the session speaks for the person.
        allowed = {each: interaction.proofs[each].allowed for each in interaction.proofs}
        interaction.proofs = {each: Proven(allowed=allowed[each]) for each in allowed}

    def code_given(self, browser: Browser, request: Request, interaction: Interaction | None, target: str) -> None:
        """A response carried a code."""
        sent = dict(parse_qsl(urlsplit(target).query, strict_parsing=True))
        claimed = self.provider.claimed_code(sent["code"])
        person, session = self._by_id[claimed.account_id], self.session_of(browser)
        where = f"{person.username} in {browser.name}, {request}"
        assert target.startswith(redirect_uri(request.client_id) + "?"), f"code sent to {target}: {where}"
        assert claimed.redirect_uri == redirect_uri(request.client_id) and claimed.client_id == request.client_id, where
        assert (sent["state"], sent["iss"]) == (request.state, ISSUER), f"state or issuer: {where}"
        assert sent["code"] not in self._codes, f"the same code twice: {where}"
        self._codes.add(sent["code"])
        assert session is not None, f"code without a live session: {where}"
        assert session.person is person, f"code for somebody else than {session.person.username}: {where}"
        if interaction is not None and (password_at := interaction.proven(person).password_at) is not None:
            # Another tab answered what was due after the password here: the password is the session's.
            answers = session.answers_for(interaction.proven(person))
            assert answers or not person.enrolled, f"code with a factor from before the password: {where}"
            session.auth_time = max(session.auth_time, password_at)
            session.opened_by.add(interaction.id)
        assert (claimed.level, claimed.auth_time) == (session.level, session.auth_time), f"level or auth_time: {where}"
        if interaction is not None:
            assert interaction.browser is browser and not interaction.closed, (
                f"code from a foreign or closed attempt: {where}"
            )
            interaction.closed = True
        assert not self._asks_identity_again(interaction, session, request), f"password not asked again: {where}"
        if person.enrolled:
            assert session.level > 1, f"code without the second factor: {where}"
        elif person.must_enrol(self.now):
            assert session.postponed and self.now < DEADLINE, f"code although enrolment was due: {where}"
        assert request.demanded > TOTP_LEVEL or session.level >= request.demanded, f"code below the level: {where}"
        assert session.level >= MINIMUM[request.client_id], f"code below the client's minimum: {where}"
        if request.client_id == "derde":
            here = interaction is not None and interaction.proven(person).allowed
            if here:
                person.allowed.add("derde")
            assert "derde" in person.allowed, f"code without consent: {where}"
            assert here or "consent" not in request.prompt, f"consent not asked again: {where}"
        self.provider.codes += 1

    def _asks_identity_again(
        self, interaction: Interaction | None, session: Live, request: Request | None = None
    ) -> bool:
        """The request wants the password, or a choice, although there is a session; until it got it here."""
        asked = interaction.request if interaction is not None else request
        assert asked is not None
        if interaction is not None and interaction.id in session.opened_by:
            return False
        age = self.now - session.auth_time
        too_old = asked.max_age is not None and (asked.max_age == 0 or age > timedelta(seconds=asked.max_age))
        unchosen = "select_account" in asked.prompt and not (interaction is not None and interaction.chosen)
        return "login" in asked.prompt or too_old or unchosen


# --- What happens


BROWSERS = st.sampled_from([0, 0, 0, 1])
TABS = st.sampled_from([0, 0, 1])
WHO = st.sampled_from([0, 1])
# One of any kind, and one of those that a missing guard lets through first.
PEOPLE = st.tuples(st.sampled_from(KINDS), st.sampled_from(["staff", "paper", "plain"]))
MOSTLY = st.sampled_from([True, True, True, False])
CLIENTS = st.sampled_from(["eigen", "eigen", "derde", "streng"])
REQUESTED_PROMPTS = st.sampled_from(["", "", "", "none", "login", "consent", "select_account", "login consent"])
REQUESTED_LEVELS = st.sampled_from([None, None, "2", "3", "4 3", "4"])
MAX_AGES = st.sampled_from([None, None, 0, 60, 10_000])
MOVES = st.sampled_from([1, 29, 31, 90, 310, 1500, 1799, 1800, 3600, 86_400])
ANY_FORM = st.sampled_from(
    [{}, {"decision": "allow"}, {"code": "000000"}, {"method": "postpone"}, {"account": "other"}]
)


class Journeys(RuleBasedStateMachine):
    """Two browsers, two tabs each, two people, and everything that may happen next."""

    provider: ClassVar[Provider]

    def __init__(self) -> None:
        super().__init__()
        self.provider.clock.set(START)
        self.browsers = [Browser(self.provider, name) for name in ("first browser", "second browser")]
        self.posts: list[tuple[Browser, Sent]] = []
        self.states = 0

    @initialize(kinds=PEOPLE)
    def people_are(self, kinds: tuple[str, str]) -> None:
        self.people = [self.provider.person(kind) for kind in kinds]
        self.model = Model(self.provider, self.people)

    # people who want to sign in

    @rule(
        browser=BROWSERS,
        tab=TABS,
        client_id=CLIENTS,
        prompt=REQUESTED_PROMPTS,
        max_age=MAX_AGES,
        levels=REQUESTED_LEVELS,
    )
    def authorize(
        self, browser: int, tab: int, client_id: str, prompt: str, max_age: int | None, levels: str | None
    ) -> None:
        self._authorize(self.browsers[browser].tabs[tab], client_id, prompt, max_age, levels)

    @rule(browser=BROWSERS, tab=TABS, who=WHO, times=st.integers(1, 3))
    def answer_rightly(self, browser: int, tab: int, who: int, times: int) -> None:
        place = self._tab(browser, tab)
        for _ in range(times):
            self._answer_rightly(place, self.people[who])

    @rule(browser=BROWSERS, tab=TABS, who=WHO, client_id=CLIENTS, prompt=REQUESTED_PROMPTS, levels=REQUESTED_LEVELS)
    def sign_in(self, browser: int, tab: int, who: int, client_id: str, prompt: str, levels: str | None) -> None:
        """Somebody goes all the way, as they should."""
        self._sign_in(self.browsers[browser].tabs[tab], self.people[who], client_id, prompt, None, levels)

    @rule(browser=BROWSERS, who=WHO, seconds=MOVES, prompt=REQUESTED_PROMPTS, max_age=MAX_AGES, levels=REQUESTED_LEVELS)
    def come_back_later(
        self, browser: int, who: int, seconds: int, prompt: str, max_age: int | None, levels: str | None
    ) -> None:
        """Somebody signs in, does something else for a while, and opens an application that wants more."""
        place, person = self.browsers[browser].tabs[0], self.people[who]
        self._sign_in(place, person, "eigen", "", None, None)
        self.time_passes(seconds)
        self._sign_in(place, person, "eigen", prompt, max_age, levels)

    @rule(browser=BROWSERS, tab=TABS, who=WHO, client_id=CLIENTS, seconds=MOVES)
    def put_it_off(self, browser: int, tab: int, who: int, client_id: str, seconds: int) -> None:
        """Somebody signs in, says "later", and comes back."""
        place = self.browsers[browser].tabs[tab]
        for _ in range(2):
            self._authorize(place, client_id, "", None, None)
            self._answer_rightly(place, self.people[who])
            if place.prompt == "enrol_second_factor":
                self.postpone(browser, tab, "asked and confirmed", True)
            self.time_passes(seconds)

    # people who do something else

    @rule(browser=BROWSERS, tab=TABS, who=WHO, signs_in=st.booleans())
    def look_over_the_shoulder(self, browser: int, tab: int, who: int, signs_in: bool) -> None:
        """Somebody who saw password and code being typed uses both at once."""
        person, place = self.people[who], self.browsers[browser].tabs[tab]
        if signs_in:
            self._sign_in(place, person, "eigen", "", None, None)
        used = [held.code(held.last_step) for held in person.enrolled.values() if held.last_step >= 0]
        self._authorize(place, "eigen", "login", None, None)
        self._answer_rightly(place, person)
        self._post(place, "verify_second_factor", {"code": used[0] if used else "000000"})

    @rule(browser=BROWSERS, tab=TABS, who=WHO, password=st.sampled_from([PASSWORD, "niet het goede wachtwoord", ""]))
    def identify(self, browser: int, tab: int, who: int, password: str) -> None:
        self._post(self._tab(browser, tab), "identify", {**self.people[who].names, "password": password})

    @rule(browser=BROWSERS, tab=TABS, who=WHO, steps=st.sampled_from([-3, -2, -1, 0, 0, 1, 2]), follow=st.booleans())
    def type_code(self, browser: int, tab: int, who: int, steps: int, follow: bool) -> None:
        """A code of some moment: old ones and those to come are among them, and those that were used."""
        form = {"code": self._code(self.people[who], steps)}
        self._post(self._tab(browser, tab), "verify_second_factor", form, follow)

    @rule(browser=BROWSERS, tab=TABS, who=WHO, begins=MOSTLY, looks=MOSTLY)
    def enrol_with_the_password_alone(self, browser: int, tab: int, who: int, begins: bool, looks: bool) -> None:
        """Somebody who knows the password asks for a level that their own app would reach."""
        place = self._tab(browser, tab)
        self._authorize(place, "eigen", "login", None, "3")
        self._answer_rightly(place, self.people[who])
        self._insist_on_enrolling(place, begins, looks)

    @rule(browser=BROWSERS, tab=TABS, who=WHO, seconds=st.sampled_from([0, 310, 1500]), begins=MOSTLY)
    def enrol_at_an_open_session(self, browser: int, tab: int, who: int, seconds: int, begins: bool) -> None:
        """Somebody finds the computer of a person who is signed in."""
        place = self._tab(browser, tab)
        self._sign_in(place, self.people[who], "eigen", "", None, None)
        self.provider.clock.move(timedelta(seconds=seconds))
        self._authorize(place, "eigen", "", None, "3")
        self._insist_on_enrolling(place, begins, looks=True)

    @rule(
        browser=BROWSERS,
        tab=TABS,
        how=st.sampled_from(["asked", "confirmed", "asked and confirmed"]),
        follow=st.booleans(),
    )
    def postpone(self, browser: int, tab: int, how: str, follow: bool) -> None:
        place = self._tab(browser, tab)
        if "asked" in how:
            self._post(place, "enrol_second_factor", {"method": "postpone"})
        if "confirmed" in how:
            self._post(place, "enrol_second_factor", {"method": "postpone", "confirm": place.confirm}, follow)

    @rule(browser=BROWSERS, tab=TABS, decision=st.sampled_from(["allow", "allow", "deny"]), follow=st.booleans())
    def decide(self, browser: int, tab: int, decision: str, follow: bool) -> None:
        place = self._tab(browser, tab)
        self._post(place, "consent", {"decision": decision, "confirm": place.confirm}, follow)

    @rule(browser=BROWSERS, tab=TABS, choice=st.sampled_from(["continue", "other"]))
    def choose_account(self, browser: int, tab: int, choice: str) -> None:
        self._post(self._tab(browser, tab), "identify", {"account": choice})

    # ways round

    @rule(browser=BROWSERS, tab=TABS, prompt=st.sampled_from([*PROMPTS, "restart"]))
    def go_to(self, browser: int, tab: int, prompt: str) -> None:
        self._get(self._tab(browser, tab), prompt)

    @rule(browser=BROWSERS, tab=TABS, prompt=st.sampled_from(PROMPTS[:4]), form=ANY_FORM, token=st.booleans())
    def post_to_any_step(self, browser: int, tab: int, prompt: str, form: dict[str, str], token: bool) -> None:
        self._post(self._tab(browser, tab), prompt, dict(form), token=None if token else "x")

    @rule(number=st.integers(0, 30), follow=st.booleans())
    def replay(self, number: int, follow: bool) -> None:
        """A form that was posted before is posted again, by the same browser."""
        if self.posts:
            browser, sent = self.posts[-1 - number % len(self.posts)]
            tab = Tab(browser, sent.interaction, csrf_token=sent.form.get("csrf_token", ""))
            self._send(tab, sent, follow)

    @rule(browser=BROWSERS, tab=TABS, from_tab=TABS, who=WHO, answers=st.integers(0, 2))
    def open_link_of_the_other_browser(self, browser: int, tab: int, from_tab: int, who: int, answers: int) -> None:
        """Somebody gets hold of the address at which another person is signing in."""
        place, other = self.browsers[browser].tabs[tab], self._tab(1 - browser, from_tab)
        self._answer_rightly(other, self.people[who])
        if other.interaction is not None:
            place.interaction, place.prompt, place.csrf_token = other.interaction, other.prompt, ""
            self._get(place, other.prompt)
            for _ in range(answers):
                self._answer_rightly(place, self.people[who])

    @rule(browser=BROWSERS)
    def log_out(self, browser: int) -> None:
        place = Tab(self.browsers[browser])
        page = self._open(place.browser, "/end_session")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        if token:
            form = {"csrf_token": token.group(1), "decision": "logout"}
            self._open(place.browser, "/end_session/confirm", form)
            if place.browser.session is not None:
                place.browser.session.ended = True

    # time

    @rule(seconds=MOVES)
    def time_passes(self, seconds: int) -> None:
        self.provider.clock.move(timedelta(seconds=seconds))

    @rule(seconds=st.sampled_from([-1, 0, 60]))
    def the_deadline_comes(self, seconds: int) -> None:
        if self.provider.clock.now() < DEADLINE - MINUTE:
            self.provider.clock.set(DEADLINE + timedelta(seconds=seconds))

    # how it is done

    @property
    def _step(self) -> int:
        return int(self.provider.clock.now().timestamp()) // STEP

    def _tab(self, browser: int, tab: int) -> Tab:
        """A tab; one that shows nothing yet is sent to us by an application first."""
        place = self.browsers[browser].tabs[tab]
        if place.interaction is None:
            self._authorize(place, "eigen", "login" if self.model.session_of(place.browser) else "", None, None)
        return place

    def _code(self, person: Person, steps: int) -> str:
        held = next(iter(person.enrolled.values()), None)
        return held.code(self._step + steps) if held else "000000"

    def _right_code(self, person: Person) -> str:
        """A code that was not used yet; time passes until there is one."""
        held = next(iter(person.enrolled.values()), None)
        if held is None:
            return "000000"
        if held.last_step > self._step:
            self.provider.clock.move(timedelta(seconds=STEP))
        return held.code(max(self._step, held.last_step + 1))

    def _answer_rightly(self, tab: Tab, person: Person) -> None:
        """What this person would do on the page that the tab shows."""
        if tab.interaction is None:
            return
        if tab.prompt == "identify" and 'id="account-continue"' in tab.page:
            session = self.model.session_of(tab.browser)
            same = session is not None and session.person is person
            self._post(tab, "identify", {"account": "continue" if same else "other"})
        elif tab.prompt == "identify":
            self._post(tab, "identify", person.names)
        elif tab.prompt == "verify_second_factor":
            self._post(tab, "verify_second_factor", {"code": self._right_code(person)})
        elif tab.prompt == "enrol_second_factor" and "postpone-confirm" in tab.page:
            self._post(tab, "enrol_second_factor", {"method": "postpone", "confirm": tab.confirm})
        elif tab.prompt == "enrol_second_factor" and 'id="key"' not in tab.page:
            self._post(tab, "enrol_second_factor", {"method": "totp"})
        elif tab.prompt == "enrol_second_factor" and tab.interaction.key is not None:
            code = Held(tab.interaction.key).code(self._step)
            self._post(tab, "enrol_second_factor", {"method": "totp", "code": code})
        elif tab.prompt == "consent":
            self._post(tab, "consent", {"decision": "allow", "confirm": tab.confirm})
        else:
            self._get(tab, "continue")

    def _sign_in(
        self, tab: Tab, person: Person, client_id: str, prompt: str, max_age: int | None, levels: str | None
    ) -> None:
        self._authorize(tab, client_id, prompt, max_age, levels)
        for _ in range(6):
            if tab.interaction is None or tab.interaction.closed:
                return
            self._answer_rightly(tab, person)

    def _insist_on_enrolling(self, tab: Tab, begins: bool, looks: bool) -> None:
        """Whatever is pending: begin, look for a key, and type its code."""
        if begins:
            self._post(tab, "enrol_second_factor", {"method": "totp"}, follow=False)
        if looks:
            self._get(tab, "enrol_second_factor")
        key = tab.interaction.key if tab.interaction else None
        code = Held(key).code(self._step) if key else "000000"
        self._post(tab, "enrol_second_factor", {"method": "totp", "code": code})

    def _authorize(self, tab: Tab, client_id: str, prompt: str, max_age: int | None, levels: str | None) -> None:
        self.states += 1
        asked = LEVELS_ASKED[levels]
        request = Request(client_id, f"state {self.states}", frozenset(prompt.split()), max_age, asked)
        parameters = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": redirect_uri(client_id),
            "scope": "openid profile email",
            "state": request.state,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "prompt": prompt,
            "max_age": "" if max_age is None else str(max_age),
            "acr_values": " ".join("phr" if level == 4 else f"{ISSUER}/acr/{level}" for level in asked),
        }
        browser = tab.browser
        self.model.touched(browser, None, silent="none" in request.prompt)
        response = self._open(browser, "/authorize?" + urlencode({k: v for k, v in parameters.items() if v}))
        assert SESSION_COOKIE not in _cookies(response), "a session cookie for a mere request"
        tab.interaction, tab.prompt, tab.page, tab.csrf_token, tab.confirm = None, "", "", "", ""
        if (code := _target_with_code(response)) is not None:
            self.model.code_given(browser, request, None, code)
        elif (address := _interaction_address(response)) is not None:
            identifier, tab.prompt = address
            assert identifier not in self.model.interactions, "an interaction that there was already"
            tab.interaction = Interaction(identifier, request, browser, self.provider.clock.now())
            self.model.interactions[identifier] = tab.interaction
            self._get(tab, tab.prompt)

    def _get(self, tab: Tab, prompt: str) -> None:
        if tab.interaction is None:
            return
        self.model.touched(tab.browser, tab.interaction)
        path = f"/s/{tab.interaction.id}/{prompt}"
        for _ in range(5):
            response = self._open(tab.browser, path)
            self._arrived(tab, response, None)
            if response.status_code == 200:
                tab.prompt = urlsplit(path).path.rpartition("/")[2]
            if response.status_code != 303 or (address := _interaction_address(response)) is None:
                return
            path = response.headers["Location"]
            tab.prompt = address[1]
        raise AssertionError(f"redirects without end, at last to {path}")

    def _post(
        self, tab: Tab, prompt: str, form: Mapping[str, str], follow: bool = True, token: str | None = None
    ) -> None:
        if tab.interaction is not None:
            sent = Sent(tab.interaction, prompt, {**form, "csrf_token": tab.csrf_token if token is None else token})
            self.posts.append((tab.browser, sent))
            self._send(tab, sent, follow)

    def _send(self, tab: Tab, sent: Sent, follow: bool) -> None:
        browser, interaction = tab.browser, sent.interaction
        self.model.touched(browser, interaction)
        response = self._open(browser, f"/s/{interaction.id}/{sent.prompt}", sent.form)
        address = _interaction_address(response)
        if address is not None and address[0] != interaction.id:
            self._continued_in(browser, interaction, address[0], sent)
            sent = Sent(self.model.interactions[address[0]], sent.prompt, sent.form)
        self.model.posted(browser, sent, token_is_right=response.status_code != 403)
        for account_id, method in self.provider.claimed_factors(self.people):
            if method not in self._person(account_id).enrolled:
                self.model.factor_appeared(browser, sent, account_id, method)
        self._arrived(tab, response, sent)
        if follow and address is not None and not _is_elsewhere(response):
            tab.prompt = address[1]
            self._get(tab, address[1])

    def _person(self, account_id: int) -> Person:
        return next(person for person in self.people if person.id == account_id)

    def _continued_in(self, browser: Browser, old: Interaction, identifier: str, sent: Sent | None) -> None:
        """The provider went on in a new interaction: the same request, and nothing proven."""
        assert identifier not in self.model.interactions, "went on in an interaction that there was already"
        now = self.provider.clock.now()
        new = Interaction(identifier, old.request, browser, now)
        if sent is not None and sent.form.get("account") == "continue" and old.browser is browser:
            new.chosen = True
        if old.browser is browser:
            old.closed = True
        self.model.interactions[identifier] = new

    def _arrived(self, tab: Tab, response: TestResponse, sent: Sent | None) -> None:
        """The response is judged, and the tab shows it."""
        browser = tab.browser
        address = _interaction_address(response)
        assert tab.interaction is not None
        if address is not None and address[0] != tab.interaction.id:
            if address[0] not in self.model.interactions:
                self._continued_in(browser, tab.interaction, address[0], None)
            tab.interaction = self.model.interactions[address[0]]
            tab.csrf_token = ""
        interaction = tab.interaction
        cookie = _cookies(response).get(SESSION_COOKIE)
        if cookie is not None:
            assert sent is not None, "a session cookie without an answer"
            self.model.session_opened(browser, interaction, cookie)
        if (target := _target_with_code(response)) is not None:
            self.model.code_given(browser, interaction.request, interaction, target)
        self._read(tab, response)

    def _read(self, tab: Tab, response: TestResponse) -> None:
        interaction = tab.interaction
        if response.status_code == 303 or interaction is None:
            return
        tab.page = response.text
        if interaction.browser is tab.browser and "access_denied" in tab.page:
            interaction.closed = True
        if token := re.search(r'name="csrf_token" value="([^"]+)"', tab.page):
            tab.csrf_token = token.group(1)
        if confirm := re.search(r'name="confirm" value="([^"]+)"', tab.page):
            tab.confirm = confirm.group(1)
            question = "consent" if "consent-allow" in tab.page else "enrol_second_factor"
            session = self.model.session_of(tab.browser)
            self.model.confirms[tab.confirm] = (question, interaction.id, session.person.id if session else None)
        if key := re.search(r'id="key"[^>]*>([A-Z2-7 ]+)<', tab.page):
            interaction.key = b32decode(key.group(1).replace(" ", ""))

    def _open(self, browser: Browser, path: str, form: Mapping[str, str] | None = None) -> TestResponse:
        method = "GET" if form is None else "POST"
        response = browser.client.open(path, method=method, base_url=ISSUER, data=None if form is None else dict(form))
        assert response.status_code < 500, f"{response.status_code} for {path}"
        return response


def _cookies(response: TestResponse) -> dict[str, str]:
    """The cookies that a response sets; not those that it deletes."""
    pairs = [header.partition(";")[0].partition("=") for header in response.headers.getlist("Set-Cookie")]
    return {name: value for name, _, value in pairs if value}


def _is_elsewhere(response: TestResponse) -> bool:
    return "://" in response.headers.get("Location", "")


def _interaction_address(response: TestResponse) -> tuple[str, str] | None:
    """The interaction and the prompt that a response leads to."""
    found = re.fullmatch(r"/s/([^/]+)/([a-z_]+)(?:\?.*)?", response.headers.get("Location", ""))
    return (found.group(1), found.group(2)) if found else None


def _target_with_code(response: TestResponse) -> str | None:
    """Where a response sends the browser with a code, by redirect or hand-off page."""
    target = response.headers.get("Location", "")
    if response.status_code == 200:
        found = re.search(r'http-equiv="refresh" content="0; ?url=([^"]*)"', response.text)
        target = html.unescape(found.group(1)) if found else ""
    return target if re.search(r"[?&#]code=", target) else None


def machine(provider: Provider) -> type[Journeys]:
    """The machine at this provider."""
    made: Any = type("Journeys", (Journeys,), {"provider": provider})
    return made  # type: ignore[no-any-return]
