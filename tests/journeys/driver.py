"""What journeys are told with.

anna = world.person(totp=True)
visit = world.visit(prompt="login")        a new browser at the application `atosi`, sent to the provider
visit.identify(anna).prove(anna)
visit.tokens().claims["acr"]
later = visit.again(max_age="0")           the same browser, a new request of the same application
"""

from __future__ import annotations

from base64 import b32decode
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from flask import Flask
from sqlalchemy import select

from idp.audit.events import Event
from idp.audit.trail import AuditEvent, events
from idp.factors.models import Credential
from idp.kernel.clock import FixedClock
from idp.mail.letters import Letter
from idp.outbox.models import OutboxMessage
from idp.sessions.models import Session
from idp.store.base import Base
from idp.wiring import Services
from tests.conftest import ISSUER
from tests.factories import Factories, Somebody, SomeClient
from tests.relying_party import AuthorizationRequest, Browser, ErrorResponse, Page, RelyingParty, Tokens, inside

MINUTE = timedelta(minutes=1)
STEP = timedelta(seconds=30)
NOVEMBER = date(2026, 11, 1)
FEBRUARY = date(2027, 2, 1)


def acr(level: int) -> str:
    return "phr" if level == 4 else f"{ISSUER}/acr/{level}"


class World:
    """One provider with its clock, its clients and its people."""

    def __init__(self, app: Flask, clock: FixedClock) -> None:
        self.app, self.clock = app, clock
        self.make = Factories(app)
        self.services: Services = app.extensions["idp"]
        self._parties: dict[str, RelyingParty] = {}

    # who and what there is

    @cached_property
    def organization(self) -> int:
        """Without a campaign."""
        return self.make.organization()

    @cached_property
    def anna(self) -> Somebody:
        """The first of all people."""
        return self.person()

    @cached_property
    def campaign(self) -> int:
        """Required since the 1st of November, postponable until the 1st of February."""
        return self.make.organization("20000", required_from=NOVEMBER, postpone_until=FEBRUARY)

    def person(self, username: str = "anna", **values: Any) -> Somebody:
        """Somebody whom no campaign concerns."""
        return self.make.account(self.organization, username, **values)

    def campaigner(self, username: str = "els", **values: Any) -> Somebody:
        """Somebody whose organisation asks for a second factor, and lets them postpone it today."""
        return self.make.account(self.campaign, username, "20000", **values)

    def party(self, client_id: str = "atosi", **values: Any) -> RelyingParty:
        """The application of this name; registered at first mention."""
        if client_id not in self._parties:
            client: SomeClient = self.make.client(client_id, **values)
            method = values.get("token_endpoint_auth_method", "client_secret_basic")
            self._parties[client_id] = RelyingParty(
                client.client_id,
                client.secret,
                client.redirect_uri,
                method,
                issuer=ISSUER,
                transport=inside(self.app),
                clock=self.clock,
            )
        return self._parties[client_id]

    def browser(self) -> Browser:
        return Browser(self.app.test_client(), ISSUER)

    # journeys

    def visit(self, browser: Browser | None = None, party: RelyingParty | None = None, **asked: str | None) -> Visit:
        """Somebody opens the application, which sends them to us."""
        party, browser = party or self.party(), browser or self.browser()
        request = party.authorization_request(**asked)
        return Visit(self, browser, party, request, browser.open(request.url))

    def signed_in(self, somebody: Somebody, browser: Browser | None = None) -> Visit:
        """Somebody signed in with all that they have."""
        visit = self.visit(browser).identify(somebody)
        if somebody.totp_secret is not None:
            visit.prove(somebody)
        assert visit.page.has_left, visit.page
        return visit

    def code(self, somebody: Somebody, steps: int = 0) -> str:
        return somebody.code(self.services, steps)

    def wrong_code(self, somebody: Somebody) -> str:
        near = {self.code(somebody, steps) for steps in (-1, 0, 1)}
        return next(code for code in ("000000", "111111", "222222", "333333") if code not in near)

    def letters(self, somebody: Somebody, name: str = "code") -> list[Letter]:
        """The letters of one kind to somebody that wait in the outbox, oldest first."""
        with self.app.app_context(), self.services.units.reading() as unit:
            rows = unit.scalars(select(OutboxMessage).filter_by(kind="mail").order_by(OutboxMessage.id)).all()
            letters = [self.services.post.open(row.payload_sealed).letter for row in rows if row.payload_sealed]
        address = f"{somebody.username}@voorbeeld.example"
        return [letter for letter in letters if letter.name == name and letter.to == address]

    def mailed_code(self, somebody: Somebody, number: int = -1) -> str:
        """The code of the newest mail, or of another one, counted from the oldest."""
        return str(self.letters(somebody)[number].facts["code"])

    def with_mailbox(self, somebody: Somebody) -> Somebody:
        """Somebody whose mailbox was proven."""
        with self.app.app_context(), self.services.units.writing() as unit:
            address = f"{somebody.username}@voorbeeld.example"
            sealed = self.services.envelope.seal(address.encode(), f"credentials:{somebody.id}")
            unit.add(
                Credential(
                    account_id=somebody.id,
                    method="email",
                    address=address,
                    secret_sealed=sealed,
                    enrolled_at=self.clock.now(),
                )
            )
        return somebody

    # what administrators do

    def administer(self, use: Callable[[Services], object]) -> None:
        with self.app.app_context():
            use(self.services)

    def change(self, model: type[Base], identifier: int | str, **values: Any) -> None:
        """The row has these values, whoever would do that."""
        with self.app.app_context(), self.services.units.writing() as unit:
            row = unit.get_one(model, identifier)
            for name, value in values.items():
                setattr(row, name, value)

    def disable_credential(self, somebody: Somebody) -> None:
        with self.app.app_context(), self.services.units.reading() as unit:
            found = unit.scalars(select(Credential.id).filter_by(account_id=somebody.id)).one()
        self.change(Credential, found, disabled_at=self.clock.now())

    # what the provider remembers

    def sessions(self) -> list[Session]:
        with self.app.app_context(), self.services.units.reading() as unit:
            return list(unit.scalars(select(Session).order_by(Session.id)))

    def notices(self) -> list[tuple[str, str | None]]:
        """Receiver and `sid` of each notice that a session ended."""
        with self.app.app_context(), self.services.units.reading() as unit:
            return [(each.receiver, each.subject) for each in unit.scalars(select(OutboxMessage))]

    def events(self, kind: type[Event]) -> list[AuditEvent]:
        with self.app.app_context(), self.services.units.reading() as unit:
            return list(events(unit, kind))


@dataclass
class Visit:
    """One browser tab at the provider, sent there by one request of one application."""

    world: World
    browser: Browser
    party: RelyingParty
    asked: AuthorizationRequest
    page: Page
    _csrf_token: str = ""

    # where we are

    @property
    def prompt(self) -> str:
        """The prompt whose page is shown; the empty string when the browser left."""
        if self.page.has_left:
            return ""
        assert self.page.path.startswith("/s/"), self.page
        return self.page.path.split("/")[3]

    @property
    def interaction_id(self) -> str:
        return self.page.path.split("/")[2]

    def url(self, prompt: str) -> str:
        return f"{ISSUER}/s/{self.interaction_id}/{prompt}"

    # what a person does

    def identify(self, somebody: Somebody, **typed: str) -> Visit:
        self.page = self.page.submit({**somebody.names, **typed}, button="login-submit")
        return self

    def prove(self, somebody: Somebody, steps: int = 0) -> Visit:
        return self.type_code(self.world.code(somebody, steps))

    def type_code(self, code: str) -> Visit:
        self.page = self.page.submit({"code": code}, button="code-submit")
        return self

    def choose(self, method: str) -> Visit:
        self.page = self.page.submit({"method": method}, button="method-submit")
        return self

    def postpone(self) -> Visit:
        """Postpone, and yes, I am sure."""
        return self.choose("postpone").press("postpone-confirm")

    def press(self, button: str) -> Visit:
        self.page = self.page.submit(button=button)
        return self

    def follow(self, link: str) -> Visit:
        self.page = self.page.follow(link)
        return self

    def open(self, url: str) -> Visit:
        self.page = self.browser.open(url)
        return self

    def post(self, prompt: str, **form: str) -> Visit:
        """Post what no page offers, to whatever prompt, with this browser's own token for this interaction."""
        self.page = self.browser.post(self.url(prompt), {"csrf_token": self.csrf_token, **form})
        return self

    @property
    def csrf_token(self) -> str:
        """The token on the page, or on the last one that had any."""
        found = [each for each in self.page.root if each.get("name") == "csrf_token"]
        if found:
            self._csrf_token = found[0].attributes["value"]
        return self._csrf_token

    def reload(self) -> Visit:
        return self.open(self.page.url)

    def set_up(self, somebody: Somebody) -> Somebody:
        """The page's key goes into an authenticator app, whose first code is typed in; the person holding it."""
        key = self.page.element("key").text.replace(" ", "")
        enrolled = replace(somebody, totp_secret=_bytes_of(key))
        self.prove(enrolled)
        return enrolled

    def again(self, party: RelyingParty | None = None, **asked: str | None) -> Visit:
        """The same browser, a new request."""
        return self.world.visit(self.browser, party or self.party, **asked)

    # what the application gets

    def tokens(self) -> Tokens:
        return self.party.finish(self.page.departure, self.asked)

    def code_of_response(self) -> str:
        return self.party.code_of(self.page.departure, self.asked)

    @property
    def error(self) -> str:
        """The error that the application was sent."""
        try:
            self.code_of_response()
        except ErrorResponse as error:
            return error.error
        raise AssertionError(f"no error: {self.page}")


def _bytes_of(key: str) -> bytes:
    return b32decode(key)
