"""Every route of the product, called for 31 minutes as its legitimate caller would: which ones keep a session alive?

The table in the docstring of `idp.sessions.idle` says it, and this test keeps the table true. A new route needs a row
there and calls in `CALLS` here.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy import select

from idp.kernel.clock import FixedClock
from idp.sessions import idle
from idp.sessions.lifecycle import Proven
from idp.sessions.models import Session
from idp.web import theme
from tests.attacks.world import SESSION_COOKIE, VERIFIER, Browser, Page, World, basic, parameters
from tests.conftest import START
from tests.factories import Somebody, SomeClient
from tests.web.test_theme import picture

MINUTE = timedelta(minutes=1)
MOMENT = timedelta(microseconds=1)
IDLE = 30 * MINUTE
KINDS = ("none", "token_refresh", "reported")
OFFLINE = "offline"
ACTIVITY, STATUS = "/session/activity", "/session/status"
SHOW = "/s/<interaction_id>/<prompt>"
COLOUR = "#ffdd00"


# The table


def table() -> dict[str, str]:
    """What the docstring says, by "METHOD path"."""
    rows = re.findall(r"^    (GET|POST|PUT|DELETE) +(/\S*) +(yes|no|when|ends)\b", idle.__doc__ or "", re.MULTILINE)
    assert len(rows) == len({row[:2] for row in rows}), "a route has two rows"
    return {f"{method} {path}": verdict for method, path, verdict in rows}


def routes(app: Flask) -> set[str]:
    """Every rule of the application, method by method; HEAD and OPTIONS come with the others."""
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }


def test_every_route_has_a_row_and_every_row_a_route_and_calls(app: Flask) -> None:
    assert routes(app) == set(table())
    assert set(table()) == {call.route for call in CALLS}


def test_calls_agree_with_the_rows_of_the_table() -> None:
    for route, verdict in table().items():
        effects = {call.effect for call in CALLS if call.route == route}
        if verdict in ("yes", "no"):
            # A form that somebody else forged is nobody's answer.
            assert effects - {"refused"} == {verdict}, route
        elif verdict == "when":
            assert {"yes", "no"} <= effects <= {"yes", "no", "refused"}, route
        else:
            assert "ends" in effects, route


# The callers


@dataclass
class Caller:
    """A session of its own: the browser that is in it, and the clients of each kind that take part."""

    world: World
    anna: Somebody
    clients: dict[str, SomeClient]
    stranger: SomeClient
    browser: Browser
    session_id: int
    sid: str
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)

    @property
    def is_live(self) -> bool:
        with self.world.reading() as unit:
            return self.world.services.sessions.load_live_by_id(unit, self.session_id) is not None

    # a browser's requests

    def authorize(self, dest: str | None = None, client: SomeClient | None = None, **changes: str | None) -> Page:
        headers = {} if dest is None else {"Sec-Fetch-Dest": dest}
        return self.browser.get(
            "/authorize?" + urlencode(parameters(client or self.clients["none"], **changes)), **headers
        )

    def waiting(self) -> Page:
        """An attempt that waits at the question of consent, begun without being activity itself."""
        page = self.browser.follow(self.authorize("iframe", self.stranger, prompt="consent"))
        assert page.prompt == "consent", (page.status, page.url)
        return page

    def offline_code(self) -> str:
        """A code after the person allowed that the application comes while they are not signed in."""
        asked = self.authorize(None, self.clients[OFFLINE], prompt="consent", scope="openid offline_access")
        return self.browser.submit(self.browser.follow(asked), decision="allow").code

    # a client's requests

    def basic(self, kind: str) -> str:
        return basic(self.clients[kind].client_id, self.clients[kind].secret or "")

    def bearer(self, kind: str) -> str:
        return f"Bearer {self.tokens[kind]['access_token']}"

    def post(self, path: str, authorization: str, **form: str) -> Page:
        return self.browser.post(path, form, Authorization=authorization)

    def code_redeemed(self, kind: str) -> Page:
        client = self.clients[kind]
        code = self.authorize(None, client, prompt="none").code
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": client.redirect_uri}
        return self.post("/token", self.basic(kind), code_verifier=VERIFIER, **form)

    def refreshed(self, kind: str) -> Page:
        token = self.tokens[kind]["refresh_token"]
        return self.post("/token", self.basic(kind), grant_type="refresh_token", refresh_token=token)

    def seconds(self, distance: timedelta = timedelta(0)) -> str:
        return str((self.world.clock.now() + distance).timestamp())

    # addresses

    def address(self, path: str) -> str:
        """An address of the route that is there."""
        if path.startswith("/s/"):
            return path.replace("<interaction_id>", self.waiting().interaction_id).replace("<prompt>", "consent")
        return {
            "/authorize": "/authorize?" + urlencode(parameters(self.clients["none"])),
            STATUS: f"{STATUS}?sid={self.sid}",
            "/t/<org_code>/theme.<digest>.css": f"/t/10234/theme.{theme.stylesheet_hash(COLOUR)}.css",
            "/t/<org_code>/logo-<any(light,dark):variant>.<digest>.png": LOGO[0],
            "/static/<hashed_name>": LOGO[1],
        }.get(path, path)


# Addresses that pages named: of the organisation's logo, and of our stylesheet.
LOGO = ["", ""]
Act = Callable[[Caller], Page]


@dataclass(frozen=True)
class Call:
    """One way to call a route, and what it is to the clock: `yes`, `no`, `ends`, or `refused` (which is `no`, too)."""

    route: str
    how: str
    effect: str
    act: Act
    answers: tuple[int, ...] = (200,)
    kinds: tuple[str, ...] = ()
    """Clients that get tokens in the session first."""


def get(path: str) -> Act:
    return lambda caller: caller.browser.get(caller.address(path))


def asked(path: str, kind: str, **form: str) -> Act:
    return lambda caller: caller.post(path, caller.basic(kind), sid=caller.sid, **form)


def bearing(path: str, kind: str) -> Act:
    return lambda caller: caller.post(path, caller.bearer(kind))


def consent(caller: Caller) -> Page:
    return caller.browser.press(caller.waiting(), decision="allow")


def answer(forged: bool = False, **fields: str) -> Act:
    """An answer to the question for the password, in an attempt that was no activity."""

    def act(caller: Caller) -> Page:
        page = caller.browser.follow(caller.authorize("iframe", prompt="login"))
        assert page.prompt == "identify"
        given = {**caller.anna.names, **fields, **({"csrf_token": "forged"} if forged else {})}
        return caller.browser.press(page, **given)

    return act


def completed(caller: Caller) -> Page:
    """An attempt of before the session: another tab signed in meanwhile."""
    page = caller.browser.get(f"/s/{caller.kept.pop()}/identify")
    assert "code" in page.answer, (page.status, page.title, page.location)
    return page


def left(caller: Caller) -> Page:
    return caller.browser.get(f"/s/{caller.kept[0]}/leave")


def confirmed(decision: str, forged: bool = False) -> Act:
    def act(caller: Caller) -> Page:
        page = caller.browser.get("/end_session")
        assert 'id="logout-confirm"' in page.text
        more = {"csrf_token": "forged"} if forged else {}
        return caller.browser.press(page, decision=decision, **more)

    return act


def hinted(caller: Caller) -> Page:
    return caller.browser.get("/end_session?" + urlencode({"id_token_hint": caller.tokens["none"]["id_token"]}))


AUTHORIZE, TOKEN, SHOWN = "GET /authorize", "POST /token", f"GET {SHOW}"
SILENT = (
    "/jwks",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
    "/health/live",
    "/health/ready",
    "/",
    "/signed_out",
)
FILES = (
    "/t/<org_code>/theme.<digest>.css",
    "/t/<org_code>/logo-<any(light,dark):variant>.<digest>.png",
    "/static/<hashed_name>",
)
SENT = (200, 302, 303)

CALLS = [
    Call(AUTHORIZE, "navigation, as far as is known", "yes", lambda c: c.authorize(), SENT),
    Call(AUTHORIZE, "navigation", "yes", lambda c: c.authorize("document"), SENT),
    Call(AUTHORIZE, "navigation that asks for the password", "yes", lambda c: c.authorize(prompt="login"), SENT),
    Call(AUTHORIZE, "navigation that asks for consent", "yes", lambda c: c.authorize(client=c.stranger), SENT),
    Call(AUTHORIZE, "prompt=none", "no", lambda c: c.authorize(prompt="none"), SENT),
    Call(AUTHORIZE, "prompt=none in a page", "no", lambda c: c.authorize("document", prompt="none"), SENT),
    Call(AUTHORIZE, "frame", "no", lambda c: c.authorize("iframe"), SENT),
    Call(AUTHORIZE, "image", "no", lambda c: c.authorize("image"), SENT),
    Call(AUTHORIZE, "script", "no", lambda c: c.authorize("empty"), SENT),
    Call(AUTHORIZE, "wrong request", "no", lambda c: c.authorize(client_id="nobody"), (400,)),
    Call("POST /authorize", "form", "no", lambda c: c.browser.post("/authorize", parameters(c.stranger)), (303,)),
    *(
        Call(
            "POST /par",
            f"request of {kind}",
            "no",
            lambda c, k=kind: c.post("/par", c.basic(k), **parameters(c.clients[k])),  # type: ignore[misc]
            (201,),
        )
        for kind in KINDS
    ),
    *(Call(TOKEN, f"code, {kind}", "no", lambda c, k=kind: c.code_redeemed(k)) for kind in KINDS),  # type: ignore[misc]
    *(
        Call(
            TOKEN,
            f"refresh, {kind}",
            "yes" if kind == "token_refresh" else "no",
            lambda c, k=kind: c.refreshed(k),  # type: ignore[misc]
            kinds=(kind,),
        )
        for kind in KINDS
    ),
    Call(TOKEN, "refresh of offline access", "no", lambda c: c.refreshed(OFFLINE), kinds=(OFFLINE,)),
    Call(
        TOKEN,
        "client for itself",
        "no",
        lambda c: c.post("/token", c.basic(OFFLINE), grant_type="client_credentials"),
        kinds=(OFFLINE,),
    ),
    Call(
        TOKEN,
        "wrong refresh token",
        "no",
        lambda c: c.post("/token", c.basic("token_refresh"), grant_type="refresh_token", refresh_token="x"),
        (400,),
        ("token_refresh",),
    ),
    Call(f"POST {ACTIVITY}", "now", "yes", asked(ACTIVITY, "reported"), kinds=("reported",)),
    Call(f"POST {ACTIVITY}", "now, access token", "yes", bearing(ACTIVITY, "reported"), kinds=("reported",)),
    Call(
        f"POST {ACTIVITY}",
        "in the future",
        "yes",
        lambda c: asked(ACTIVITY, "reported", last_activity_at=c.seconds(600 * MINUTE))(c),
        kinds=("reported",),
    ),
    Call(
        f"POST {ACTIVITY}",
        "always the first moment",
        "no",
        asked(ACTIVITY, "reported", last_activity_at=str(START.timestamp())),
        kinds=("reported",),
    ),
    Call(f"POST {ACTIVITY}", "takes no part", "no", asked(ACTIVITY, "reported")),
    *(
        Call(f"POST {ACTIVITY}", f"by {kind}", "no", asked(ACTIVITY, kind), (400, 403), (kind,))
        for kind in ("none", "token_refresh")
    ),
    *(Call(f"POST {STATUS}", f"by {kind}", "no", asked(STATUS, kind), kinds=(kind,)) for kind in KINDS),
    *(Call(f"POST {STATUS}", f"token of {kind}", "no", bearing(STATUS, kind), kinds=(kind,)) for kind in KINDS),
    *(
        Call(
            f"GET {STATUS}",
            f"by {kind}",
            "no",
            lambda c, k=kind: c.browser.get(f"{STATUS}?sid={c.sid}", Authorization=c.basic(k)),  # type: ignore[misc]
            kinds=(kind,),
        )
        for kind in KINDS
    ),
    *(
        Call(
            "POST /revoke",
            f"a token that is none, by {kind}",
            "no",
            lambda c, k=kind: c.post("/revoke", c.basic(k), token="x"),  # type: ignore[misc]
            kinds=(kind,),
        )
        for kind in KINDS
    ),
    *(
        Call(
            "POST /introspect",
            f"{token} of {kind}",
            "no",
            lambda c, k=kind, t=token: c.post("/introspect", c.basic(k), token=c.tokens[k][t]),  # type: ignore[misc]
            kinds=(kind,),
        )
        for kind in KINDS
        for token in ("access_token", "refresh_token")
    ),
    *(
        Call(
            "GET /userinfo",
            f"token of {kind}",
            "no",
            lambda c, k=kind: c.browser.get("/userinfo", Authorization=c.bearer(k)),  # type: ignore[misc]
            kinds=(kind,),
        )
        for kind in KINDS
    ),
    *(
        Call(
            f"{method} /register{path}",
            "nobody may",
            "no",
            lambda c, m=method, p=path: c.browser.send(m, f"/register{p.replace('<client_id>', 'none')}"),  # type: ignore[misc]
            (404,),
        )
        for method, path in (("POST", ""), *((method, "/<client_id>") for method in ("GET", "PUT", "DELETE")))
    ),
    Call("GET /c/<client_id>/logo.<digest>.png", "none", "no", get("/c/none/logo.0.png"), (404,)),
    Call("POST /userinfo", "token", "no", bearing("/userinfo", "none"), kinds=("none",)),
    *(Call(f"GET {path}", "browser", "no", get(path)) for path in (*SILENT, *FILES)),
    Call("GET /end_session", "asks", "no", get("/end_session")),
    Call("GET /end_session", "own hint", "ends", hinted, SENT, ("none",)),
    Call("POST /end_session", "form", "no", lambda c: c.browser.post("/end_session"), (303,)),
    Call("POST /end_session/confirm", "stays", "yes", confirmed("stay"), SENT),
    Call("POST /end_session/confirm", "leaves", "ends", confirmed("logout"), SENT),
    Call("POST /end_session/confirm", "forged", "refused", confirmed("stay", forged=True), (403,)),
    Call(SHOWN, "question", "no", lambda c: c.browser.get(c.address(SHOW))),
    Call(SHOWN, "nothing left to ask", "yes", completed, SENT),
    Call(f"POST {SHOW}", "consent", "yes", consent, (303,)),
    Call(f"POST {SHOW}", "password", "yes", answer(), (303,)),
    Call(f"POST {SHOW}", "wrong password", "yes", answer(username="bram", password="wrong"), (303,)),
    Call(f"POST {SHOW}", "forged", "refused", answer(forged=True), (403,)),
    Call("GET /s/<interaction_id>/restart", "again", "no", get("/s/<interaction_id>/restart"), (303,)),
    Call("GET /s/<interaction_id>/leave", "denied", "no", left, SENT),
]


@pytest.fixture
def settings_values() -> dict[str, Any]:
    # The tokens and questions of the first minute are good for all of them.
    return {
        "tokens": {"access_token_lifetime": "PT60M"},
        "sign_in": {"interaction_idle_timeout": "PT2H"},
    }


@pytest.fixture
def world(app: Flask, clock: FixedClock) -> World:
    return World(app, clock)


@pytest.fixture
def new_caller(world: World) -> Iterator[Callable[[Call], Caller]]:
    """Makes callers: each signed in at START, all of it without a word to the clock afterwards."""
    make = world.make
    organization = make.organization(brand_colour=COLOUR)
    anna = make.account(organization)
    clients = {kind: make.client(kind.replace("_", "-"), session_activity=kind) for kind in KINDS}
    # Its refreshes would count, were they those of a session.
    clients[OFFLINE] = make.client(
        OFFLINE,
        session_activity="token_refresh",
        scope="openid offline_access",
        grant_types=["authorization_code", "refresh_token", "client_credentials"],
    )
    stranger = make.client("stranger", first_party=False)
    with world.app.app_context():
        world.services.logos.set("10234", "light", picture())
    browser, _ = world.sign_in(clients["none"], anna)
    page = browser.follow(browser.authorize(clients["none"], prompt="login")).text
    LOGO[0] = re.search(r'src="(/t/[^"]*)"', page).group(1)  # type: ignore[union-attr]
    LOGO[1] = re.search(r'href="(/static/[^"]*)"', page).group(1)  # type: ignore[union-attr]

    def new(call: Call) -> Caller:
        browser = world.browser()
        kept = []
        if call.act is completed:
            kept = [browser.begin(clients["none"]).interaction_id for _ in MOMENTS]
        with world.writing() as unit:
            opened = world.services.sessions.open(unit, anna.id, Proven(1, "acr/1", ["pwd"], START, None))
        browser.cookies[SESSION_COOKIE] = opened.secret
        caller = Caller(world, anna, clients, stranger, browser, opened.session.id, opened.session.sid, kept=kept)
        for kind in call.kinds:
            code = (
                caller.offline_code() if kind == OFFLINE else caller.authorize(client=clients[kind], prompt="none").code
            )
            caller.tokens[kind] = world.redeem(clients[kind], code).body
        if call.act is left:
            page = caller.waiting()
            caller.kept.append(page.interaction_id)
            browser.press(page, decision="deny")
        return caller

    yield new


MOMENTS = [minute * MINUTE for minute in (5, 10, 15, 20, 25, 29)]


def test_for_31_minutes_what_the_table_says_keeps_a_session_alive_and_nothing_else(
    world: World, new_caller: Callable[[Call], Caller], clock: FixedClock
) -> None:
    callers = [(call, new_caller(call)) for call in CALLS]
    ended = set()
    for moment in MOMENTS:
        clock.set(START + moment)
        for call, caller in callers:
            if call.effect == "ends" and moment > MOMENTS[0]:
                continue
            page = call.act(caller)
            assert page.status in call.answers, (call.route, call.how, moment, page.status, page.text[:300])
            if call.effect == "ends":
                assert not caller.is_live, (call.route, call.how)
                ended.add(caller.sid)
    clock.set(START + IDLE - MOMENT)
    assert {f"{call.route} {call.how}" for call, caller in callers if not caller.is_live} == {
        f"{call.route} {call.how}" for call, _ in callers if call.effect == "ends"
    }
    clock.set(START + 31 * MINUTE)
    alive = {f"{call.route} {call.how}" for call, caller in callers if caller.is_live}
    assert alive == {f"{call.route} {call.how}" for call, _ in callers if call.effect == "yes"}
    with world.reading() as unit:
        rows = {row.sid: row for row in unit.scalars(select(Session))}
    assert {sid for sid, row in rows.items() if row.end_reason == "logout"} == ended
    quiet = [caller for call, caller in callers if call.effect in ("no", "refused")]
    assert {rows[caller.sid].last_activity_at for caller in quiet} == {START}


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS"])
def test_for_31_minutes_no_head_and_no_options_keeps_a_session_alive(
    world: World, new_caller: Callable[[Call], Caller], clock: FixedClock, method: str
) -> None:
    paths = sorted({rule.rule for rule in world.app.url_map.iter_rules() if method in (rule.methods or set())})
    caller = new_caller(Call("", "", "no", get("/"), kinds=KINDS))
    for moment in MOMENTS:
        clock.set(START + moment)
        for path in paths:
            authorization = caller.bearer("reported") if path == "/userinfo" else caller.basic("reported")
            for headers in ({}, {"Sec-Fetch-Dest": "document"}, {"Authorization": authorization}):
                page = caller.browser.send(method, caller.address(path), headers=headers)
                assert page.status < 500 and page.body == b"", (method, path, page.status)
    clock.set(START + IDLE - MOMENT)
    assert caller.is_live
    clock.set(START + IDLE)
    assert not caller.is_live
