"""A84 and F3: logging out while tokens are being issued. What was acknowledged as over stays over, and is told."""

import json
import random
import time
from dataclasses import dataclass
from urllib.parse import urlencode

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.kernel.secrets import hash_secret
from idp.outbox.models import OutboxMessage
from idp.sessions import idle
from idp.sessions.lifecycle import Sessions
from idp.sessions.models import Participation, Session
from tests.attacks.parallel import Node, often, run
from tests.attacks.world import SESSION_COOKIE, Browser, World, basic
from tests.conftest import is_long
from tests.factories import SomeClient


@dataclass(frozen=True)
class SignedIn:
    """A session: its cookie, what its clients hold, and the sid."""

    cookies: dict[str, str]
    sid: str
    id_token: str
    refresh_token: str
    code: str


@dataclass(frozen=True)
class Clients:
    """`refreshing` took part before; `redeeming` holds a code; `opening` is being opened. All three race logout."""

    refreshing: SomeClient
    redeeming: SomeClient
    opening: SomeClient


@dataclass(frozen=True)
class Race:
    """What each process is told."""

    role: str
    clients: Clients
    sessions: list[SignedIn]
    is_faulty: bool = False
    # Each part of the long run waits differently.
    part: int = 0


# What a thread was given: whose, a code, an access token, a refresh token.
Got = tuple[str, str | None, str | None, str | None]
NOTHING: Got = ("", None, None, None)


def prepare(world: World, number: int) -> Race:
    """Sessions in which one client takes part and another one holds a fresh code."""
    anna = world.make.person()
    clients = Clients(
        world.make.client("refreshing", session_activity="token_refresh"),
        world.make.client("redeeming"),
        world.make.client("opening", session_activity="reported", access_token_format="jwt"),
    )
    sessions = []
    for _ in range(number):
        browser, page = world.sign_in(clients.refreshing, anna)
        tokens = world.redeem(clients.refreshing, page.code).body
        code = browser.authorize(clients.redeeming, prompt="none").code
        secret = browser.cookies[SESSION_COOKIE]
        with world.reading() as unit:
            sid = unit.scalars(select(Session.sid).where(Session.secret_hash == hash_secret(secret))).one()
        sessions.append(SignedIn(dict(browser.cookies), sid, tokens["id_token"], tokens["refresh_token"], code))
    return Race("", clients, sessions)


def race(node: Node, given: Race) -> list[list[Got]]:
    """For each session what this process's threads were given."""
    if given.is_faulty:
        look_without_lock()
    chance, results = random.Random(f"{given.part} {node.number}"), []
    for signed_in in given.sessions:
        waits = [chance.random() / 50 for _ in range(2)]
        acts = {"logout": (log_out,), "tokens": (refresh, redeem), "browser": (open_application, report)}[given.role]

        def after(wait: float, act: object, one: SignedIn = signed_in) -> Got:
            time.sleep(0 if given.is_faulty else wait)
            return act(node.world, given.clients, one)  # type: ignore[operator,no-any-return]

        results.append(
            node.at_once([lambda w=w, a=a, f=after: f(w, a) for w, a in zip(waits, acts, strict=False)])  # type: ignore[misc]
        )
    return results


def log_out(world: World, _: Clients, one: SignedIn) -> Got:
    browser = Browser(world.app, cookies=dict(one.cookies))
    page = browser.get("/end_session?" + urlencode({"id_token_hint": one.id_token}))
    assert page.status in (200, 303) and "logout-confirm" not in page.text, (page.status, page.title)
    return NOTHING


def refresh(world: World, clients: Clients, one: SignedIn) -> Got:
    body = world.refresh(clients.refreshing, one.refresh_token).body
    return "refreshing", None, body.get("access_token"), body.get("refresh_token")


def redeem(world: World, clients: Clients, one: SignedIn) -> Got:
    body = world.redeem(clients.redeeming, one.code).body
    return "redeeming", one.code, body.get("access_token"), body.get("refresh_token")


def open_application(world: World, clients: Clients, one: SignedIn) -> Got:
    answer = Browser(world.app, cookies=dict(one.cookies)).authorize(clients.opening).answer
    if "code" not in answer:
        return NOTHING
    body = world.redeem(clients.opening, answer["code"]).body
    return "opening", answer["code"], body.get("access_token"), body.get("refresh_token")


def report(world: World, clients: Clients, one: SignedIn) -> Got:
    client = clients.opening
    header = basic(client.client_id, client.secret or "")
    page = Browser(world.app).post("/session/activity", {"sid": one.sid}, Authorization=header)
    assert page.status == 200
    return NOTHING


def look_without_lock() -> None:
    """THE FAULT: whether the session is live is only looked up before tokens are written."""

    def load(sessions: Sessions, unit: Unit, session_id: int, lock: bool = False) -> Session | None:
        query = select(Session).where(Session.id == session_id, idle.live(sessions._clock.now()))
        found = unit.scalars(query).one_or_none()
        time.sleep(0.15)
        return found

    Sessions.load_live_by_id = load  # type: ignore[method-assign,assignment]


def contradictions(world: World, given: Race, results: list[list[list[Got]]]) -> tuple[list[str], dict[str, int]]:
    """What still opens something, or was told to nobody; and how often each client was faster than the logout."""
    wrong, faster = [], dict.fromkeys(("refreshing", "redeeming", "opening"), 0)
    for position, one in enumerate(given.sessions):
        got = [each for process in results for each in process[position]]
        with world.reading() as unit:
            row = unit.scalars(select(Session).filter_by(sid=one.sid)).one()
            joined = set(unit.scalars(select(Participation.client_id).filter_by(session_id=row.id)))
            notices = sorted(unit.scalars(select(OutboxMessage.receiver).filter_by(subject=one.sid)))
        with_tokens = {client_id for client_id, _, access_token, _ in got if access_token}
        for client_id in with_tokens:
            faster[client_id] += 1
        if row.end_reason != "logout":
            wrong.append(f"{position}: ended by {row.end_reason}")
        if joined != {"refreshing"} | with_tokens:
            wrong.append(f"{position}: {joined} take part, {with_tokens} got tokens")
        if notices != sorted(joined):
            wrong.append(f"{position}: {notices} are told of {joined}")
        wrong += [f"{position}: {what}" for what in still_open(world, given.clients, one, got)]
    return wrong, faster


def still_open(world: World, clients: Clients, one: SignedIn, got: list[Got]) -> list[str]:
    """What opens something although the logout was acknowledged."""
    found = []
    for client_id, code, access_token, refresh_token in [*got, ("refreshing", None, None, one.refresh_token)]:
        if not client_id:
            continue
        client = getattr(clients, client_id)
        if code and world.redeem(client, code).status == 200:
            found.append(f"a code of {client_id}")
        if access_token and world.userinfo(access_token) != 401:
            found.append(f"an access token of {client_id}")
        if refresh_token and world.refresh(client, refresh_token).status == 200:
            found.append(f"a refresh token of {client_id}")
        header = basic(client.client_id, client.secret or "")
        for token in filter(None, (access_token, refresh_token)):
            if json.loads(Browser(world.app).post("/introspect", {"token": token}, Authorization=header).text)[
                "active"
            ]:
                found.append(f"introspection for {client_id}")
    if "code" in Browser(world.app, cookies=dict(one.cookies)).authorize(clients.opening, prompt="none").answer:
        found.append("the cookie")
    return found


ROLES = ("logout", "tokens", "browser")


# 5 000 rounds in the long run, in parts: each has a provider of its own, and ends in a time that is known.
PARTS = 25 if is_long() else 1


@pytest.mark.parametrize("part", range(PARTS))
def test_a84_after_an_acknowledged_logout_nothing_opens_whatever_was_being_issued(
    world: World, database_url: str, part: int
) -> None:
    given = prepare(world, often(200, 100))
    told = [Race(role, given.clients, given.sessions, part=part) for role in ROLES]
    results = run(race, told, database_url, world.clock.now(), seconds=1800)
    wrong, faster = contradictions(world, given, results)
    assert not wrong
    rounds = len(given.sessions)
    assert all(0 < times for times in faster.values()) and sum(faster.values()) < 3 * rounds, "the race was one"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a84_if_the_session_was_not_locked_a_client_would_get_tokens_and_hear_of_no_end(
    world: World, database_url: str
) -> None:
    given = prepare(world, 8)
    told = [Race(role, given.clients, given.sessions, is_faulty=role == "tokens") for role in ROLES]
    results = run(race, told, database_url, world.clock.now())
    wrong, _ = contradictions(world, given, results)
    assert any("are told of" in each for each in wrong)


def test_f3_logout_is_final_for_everything_of_the_session(world: World) -> None:
    given = prepare(world, 2)
    gone, other = given.sessions
    before = [refresh(world, given.clients, gone), open_application(world, given.clients, gone)]
    assert all(access_token for _, _, access_token, _ in before)
    log_out(world, given.clients, gone)
    got = [*before, ("redeeming", gone.code, None, None)]
    assert still_open(world, given.clients, gone, got) == []
    world.clock.move(idle.COALESCE)
    assert still_open(world, given.clients, gone, got) == []
    assert redeem(world, given.clients, other)[2], "another session of the same person goes on"
