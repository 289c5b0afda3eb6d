"""What attacks are made with: browsers that send whatever they like, and eyes on what the provider keeps.

    world = World(app, clock)
    attacker = world.browser()
    page = attacker.begin(client)                    GET /authorize and every redirect up to the first page
    page = attacker.submit(page, **anna.names)       the form of the page, posted, and redirects followed
    page.answer                                      what the client got at last: {"code": ..., "state": ..., ...}

A browser follows redirects only where its method says so, never out of the issuer, and its cookies are a plain dict:
they can be stolen and planted.
"""

import html
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import pytest
from flask import Flask
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session as Unit

from idp.attempts.models import AttemptBudget
from idp.audit.events import Event
from idp.audit.trail import AuditEvent, events
from idp.kernel.clock import FixedClock
from idp.oidc.models import AuthorizationCode
from idp.sessions.models import Session
from idp.wiring import Services
from tests.conftest import ISSUER
from tests.factories import Factories, Somebody, SomeClient

VERIFIER = "v" * 50
STEP = timedelta(seconds=30)
SESSION_COOKIE = "__Host-idp_session"
BINDING_COOKIE = "__Host-idp_browser"
FORM = "application/x-www-form-urlencoded"
# A test that takes a defence away shows that the attack then succeeds; once is enough.
mutation = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
EVALUATED = ("right", "wrong", "used")


def challenge_of(verifier: str) -> str:
    """RFC 7636 4.2, S256."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@dataclass(frozen=True)
class Page:
    """One response."""

    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def header(self, name: str) -> str | None:
        """The header's first value."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def location(self) -> str | None:
        return self.header("Location")

    @property
    def set_cookies(self) -> dict[str, str]:
        """The cookies that the response sets, by name; an empty value deletes one."""
        pairs = [value.partition(";")[0].partition("=") for key, value in self.headers if key == "Set-Cookie"]
        return {name: value for name, _, value in pairs}

    @property
    def title(self) -> str:
        found = re.search(r"<title>(.*?)</title>", self.text, re.DOTALL)
        return html.unescape(found.group(1)) if found else ""

    def hidden(self, name: str) -> str:
        """The value of a hidden field."""
        found = re.search(rf'<input type="hidden" name="{name}" value="([^"]*)"', self.text)
        assert found, f"no field {name} on {self.title or self.status} {self.text[:300]}"
        return html.unescape(found.group(1))

    @property
    def fields(self) -> dict[str, str]:
        """All hidden fields of the page."""
        found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', self.text)
        return {html.unescape(name): html.unescape(value) for name, value in found}

    @property
    def action(self) -> str:
        """Where the form of the page goes."""
        found = re.search(r'<form method="post" action="([^"]*)"', self.text)
        assert found, f"no form on {self.status} {self.title} {self.text[:300]}"
        return html.unescape(found.group(1))

    @property
    def prompt(self) -> str:
        """The prompt whose address this page, or the redirect of this response, has."""
        return urlsplit(self.location or self.url).path.rpartition("/")[2]

    @property
    def interaction_id(self) -> str:
        return urlsplit(self.location or self.url).path.split("/")[2]

    @property
    def target(self) -> str | None:
        """The address outside the issuer that the response leads to; None when it leads nowhere."""
        if self.location is not None:
            return self.location if urlsplit(self.location).netloc else None
        refresh = re.search(r'http-equiv="refresh" content="0; ?url=([^"]*)"', self.text)
        if refresh:
            return html.unescape(refresh.group(1))
        form = re.search(r'<form method="post" action="([^"]*)" id="form-post"', self.text)
        return html.unescape(form.group(1)) if form else None

    @property
    def answer(self) -> dict[str, str]:
        """The parameters that went to the client; empty when nothing did."""
        if self.target is None:
            return {}
        if 'id="form-post"' in self.text:
            return self.fields
        parts = urlsplit(self.target)
        return dict(parse_qsl(parts.query, keep_blank_values=True) + parse_qsl(parts.fragment, keep_blank_values=True))

    @property
    def code(self) -> str:
        """The code that went to the client."""
        assert "code" in self.answer, f"no code: {self.status} {self.title} {self.answer} {self.location}"
        return self.answer["code"]


@dataclass
class Browser:
    """Cookies and nothing else."""

    app: Flask
    cookies: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def send(
        self,
        method: str,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> Page:
        """One request, one response."""
        sent = {**self.headers, **(headers or {})}
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        data = body if body is not None else None if form is None else urlencode(form).encode()
        content_type = None if data is None else sent.pop("Content-Type", FORM)
        response = self.app.test_client(use_cookies=False).open(
            url, method=method, base_url=ISSUER, headers=sent, data=data, content_type=content_type
        )
        page = Page(url, response.status_code, tuple(response.headers.items()), response.get_data())
        response.close()
        for name, value in page.set_cookies.items():
            if value:
                self.cookies[name] = value
            else:
                self.cookies.pop(name, None)
        return page

    def get(self, url: str, **headers: str) -> Page:
        return self.send("GET", url, headers=headers)

    def post(self, url: str, form: Mapping[str, str] | None = None, **headers: str) -> Page:
        return self.send("POST", url, form or {}, headers)

    def follow(self, page: Page) -> Page:
        """The page after all redirects inside the issuer."""
        for _ in range(10):
            if page.location is None or page.target is not None:
                return page
            page = self.get(page.location)
        raise AssertionError(f"more than ten redirects, the last to {page.location}")

    def authorize(self, client: SomeClient, **changes: str | None) -> Page:
        """The response of the authorization endpoint; None leaves a parameter out."""
        return self.get("/authorize?" + urlencode(parameters(client, **changes)))

    def begin(self, client: SomeClient, **changes: str | None) -> Page:
        """The first page of a sign-in, or the answer when nothing is asked."""
        return self.follow(self.authorize(client, **changes))

    def press(self, page: Page, **fields: str) -> Page:
        """The form of the page, posted with these fields; the response itself."""
        return self.post(page.action, {**page.fields, **fields})

    def submit(self, page: Page, **fields: str) -> Page:
        """The form of the page, posted with these fields; the page it leads to."""
        return self.follow(self.press(page, **fields))

    def postpone(self, page: Page) -> Page:
        """On the choice page: later, and yes, sure."""
        asked = self.submit(page, method="postpone")
        return self.submit(asked)

    @property
    def session(self) -> str | None:
        """The secret of the session cookie."""
        return self.cookies.get(SESSION_COOKIE)


def parameters(client: SomeClient, **changes: str | None) -> dict[str, str]:
    """An authorization request that is right, with changes."""
    wanted: dict[str, str | None] = {
        "client_id": client.client_id,
        "redirect_uri": client.redirect_uri,
        "response_type": "code",
        "scope": "openid profile email",
        "state": "the state",
        "nonce": "the nonce",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in wanted.items() if value is not None}


def basic(client_id: str, secret: str) -> str:
    """A Basic header as RFC 6749 2.3.1 has it."""
    return "Basic " + b64encode(f"{quote(client_id, safe='')}:{quote(secret, safe='')}".encode()).decode()


@dataclass(frozen=True)
class Answered:
    """A response of the token endpoint."""

    status: int
    body: dict[str, Any]
    headers: tuple[tuple[str, str], ...]

    @property
    def error(self) -> str | None:
        return self.body.get("error")


class World:
    """One provider, seen by an attacker and by its owner."""

    def __init__(self, app: Flask, clock: FixedClock) -> None:
        self.app, self.clock = app, clock
        self.services: Services = app.extensions["idp"]
        self.make = Factories(app)

    def browser(self, **headers: str) -> Browser:
        """A browser that was never here."""
        return Browser(self.app, headers=headers)

    # people

    def code(self, somebody: Somebody, steps: int = 0) -> str:
        return somebody.code(self.services, steps)

    def wrong_code(self, somebody: Somebody, number: int = 0) -> str:
        """Six digits that are no code of this person now or soon."""
        right = {self.code(somebody, steps) for steps in range(-2, 3)}
        return next(code for code in (f"{(number + n) % 10**6:06d}" for n in range(10)) if code not in right)

    def at_code_page(
        self, client: SomeClient, somebody: Somebody, browser: Browser | None = None
    ) -> tuple[Browser, Page]:
        """A browser whose password was accepted and that is asked for a code."""
        browser = browser or self.browser()
        page = browser.submit(browser.begin(client), **somebody.names)
        assert page.prompt == "verify_second_factor", (page.status, page.title, page.url)
        return browser, page

    def sign_in(
        self, client: SomeClient, somebody: Somebody, browser: Browser | None = None, **changes: str | None
    ) -> tuple[Browser, Page]:
        """A browser that is signed in, and the page that leads to the client. After a code the clock moves a step."""
        browser = browser or self.browser()
        page = browser.begin(client, **changes)
        if page.prompt == "identify":
            page = browser.submit(page, **somebody.names)
        if page.prompt == "verify_second_factor":
            page = browser.submit(page, code=self.code(somebody))
            self.clock.move(STEP)
        assert page.target is not None, (page.status, page.title, page.url)
        return browser, page

    # the client's side

    def token(self, client: SomeClient | None, authorization: str | None = None, **form: str | None) -> Answered:
        """The token endpoint's answer to this client's request; None leaves a parameter out."""
        headers = {"Content-Type": FORM}
        if authorization is None and client is not None and client.secret is not None:
            authorization = basic(client.client_id, client.secret)
        elif client is not None and client.secret is None:
            form = {"client_id": client.client_id, **form}
        if authorization is not None:
            headers["Authorization"] = authorization
        sent = {name: value for name, value in form.items() if value is not None}
        response = self.app.test_client(use_cookies=False).post(
            "/token", base_url=ISSUER, data=urlencode(sent).encode(), headers=headers
        )
        body = response.get_json(silent=True)
        assert isinstance(body, dict), (response.status_code, response.text[:500])
        return Answered(response.status_code, body, tuple(response.headers.items()))

    def redeem(self, client: SomeClient, code: str, **changes: str | None) -> Answered:
        form: dict[str, str | None] = {"code": code, "redirect_uri": client.redirect_uri, "code_verifier": VERIFIER}
        return self.token(client, **{"grant_type": "authorization_code", **form, **changes})

    def refresh(self, client: SomeClient, refresh_token: str, **changes: str | None) -> Answered:
        return self.token(client, **{"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    def tokens(self, client: SomeClient, somebody: Somebody, browser: Browser | None = None) -> dict[str, Any]:
        """Tokens of a sign-in."""
        _, page = self.sign_in(client, somebody, browser)
        answered = self.redeem(client, page.code)
        assert answered.status == 200, answered
        return answered.body

    def userinfo(self, access_token: str) -> int:
        """The status of the userinfo endpoint for this token."""
        return self.browser().get("/userinfo", Authorization=f"Bearer {access_token}").status

    # the owner's side

    @contextmanager
    def reading(self) -> Iterator[Unit]:
        with self.app.app_context(), self.services.units.reading() as unit:
            yield unit

    @contextmanager
    def writing(self) -> Iterator[Unit]:
        with self.app.app_context(), self.services.units.writing() as unit:
            yield unit

    def events(self, kind: type[Event], **about: Any) -> Sequence[AuditEvent]:
        with self.reading() as unit:
            return events(unit, kind, **about)

    def outcomes(self, kind: type[Event], **about: Any) -> list[str]:
        """The outcome of each check of this kind that was evaluated."""
        found = [str(event.details["outcome"]) for event in self.events(kind, **about)]
        return [outcome for outcome in found if outcome in EVALUATED]

    def count(self, model: Any) -> int:
        with self.reading() as unit:
            return unit.scalar(select(func.count()).select_from(model)) or 0

    def given_out(self) -> tuple[int, int]:
        """How many codes and sessions there ever were."""
        return self.count(AuthorizationCode), self.count(Session)

    def forget_attempts(self) -> None:
        """Nobody has guessed at anything: for tests of something else than guessing."""
        with self.writing() as unit:
            unit.execute(delete(AttemptBudget))
