"""Two processes that serve and one that works, with a real stopwatch: a session is over for all at once (F2)."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Event
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests
from sqlalchemy import select

from idp.kernel.clock import Clock
from idp.sessions.models import Session
from idp.store.clock import DatabaseClock
from idp.store.engine import db
from tests.attacks.world import VERIFIER, parameters
from tests.live import LiveProvider
from tests.services.processes import ChildProcess
from tests.sessions.answering import APPLICATION, HEADER

IDLE = timedelta(seconds=8)
# What ends by itself long after the test.
LONG = timedelta(minutes=10)
WORKERS = 2
GIVEN_UP_AFTER = timedelta(seconds=60)
SECOND = timedelta(seconds=1)
# Processes that take the time from one server agree to this; nothing else is forgiven, and no transport is counted.
AGREEMENT = timedelta(milliseconds=300)
TOLD_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True)
class Heard:
    """One answer: when it was asked for, when it came, whether it was that of a live session, and whose it was."""

    asked: datetime
    came: datetime
    is_live: bool
    by: str


Says = Callable[[requests.Response], bool]


@pytest.fixture
def live(database_url: str, request: pytest.FixtureRequest) -> Iterator[LiveProvider]:
    """With sessions that end by themselves after the parameter."""
    timeouts = {"idle_timeout": request.param, "absolute_timeout": timedelta(hours=1)}
    provider = LiveProvider(database_url, workers=WORKERS, application=APPLICATION, session=timeouts)
    try:
        yield provider.start()
    finally:
        provider.stop()


class Client:
    """A client that reports, in a session that was just opened; every request on a connection of its own."""

    def __init__(self, live: LiveProvider) -> None:
        self.live, self.issuer = live, live.issuer
        client = live.make.client("app", session_activity="reported", redirect_uris=["https://app.example/callback"])
        self.auth = (client.client_id, client.secret or "")
        callback = live.sign_in(f"{live.issuer}/authorize?" + urlencode(parameters(client)))
        code = parse_qs(urlsplit(callback).query)["code"][0]
        self.refresh_token = self.token(
            grant_type="authorization_code", code=code, redirect_uri=client.redirect_uri, code_verifier=VERIFIER
        ).json()["refresh_token"]
        self.sid = self.row().sid

    def row(self) -> Session:
        """The one session that there is."""
        with self.live.app.app_context(), self.live.services.units.reading() as unit:
            return unit.scalars(select(Session)).one()

    def post(self, path: str, **form: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.post(f"{self.issuer}{path}", data=form, auth=self.auth, timeout=30)

    def token(self, **form: str) -> requests.Response:
        return self.post("/token", **form)

    def refresh(self) -> requests.Response:
        return self.token(grant_type="refresh_token", refresh_token=self.refresh_token)

    def access_token(self, form: str) -> str:
        with self.live.app.app_context():
            self.live.services.clients.set("app", access_token_format=form)
        token: str = self.refresh().json()["access_token"]
        return token

    def userinfo(self, access_token: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            header = {"Authorization": f"Bearer {access_token}"}
            return session.get(f"{self.issuer}/userinfo", headers=header, timeout=30)


def poll(clock: Clock, ask: Callable[[], requests.Response], says: Says, is_over: Callable[[], bool]) -> list[Heard]:
    """What one door answered, until it said no and everything is over."""
    heard: list[Heard] = []
    while not (heard and not heard[-1].is_live and is_over()):
        asked = clock.now()
        answer = ask()
        heard.append(Heard(asked, clock.now(), says(answer), answer.headers[HEADER]))
        if heard[-1].came > heard[0].asked + GIVEN_UP_AFTER:
            break
    return heard


def is_active(answer: requests.Response) -> bool:
    return bool(answer.json()["active"])


def is_good(answer: requests.Response) -> bool:
    return answer.status_code == 200


def doors_of(client: Client) -> dict[str, tuple[Callable[[], requests.Response], Says, timedelta]]:
    """By name: how to ask, what the answer says, and how much earlier it may be over: tokens last whole seconds."""
    opaque, jwt = client.access_token("opaque"), client.access_token("jwt")
    assert "." not in opaque and jwt.count(".") == 2

    def post(path: str, **form: str) -> Callable[[], requests.Response]:
        return lambda: client.post(path, **form)

    return {
        "status": (post("/session/status", sid=client.sid), is_active, AGREEMENT),
        "activity": (post("/session/activity", sid=client.sid, last_activity_at="1"), is_active, AGREEMENT),
        "introspection": (post("/introspect", token=client.refresh_token), is_active, AGREEMENT),
        "introspection of an opaque token": (post("/introspect", token=opaque), is_active, AGREEMENT + SECOND),
        "introspection of a JWT": (post("/introspect", token=jwt), is_active, AGREEMENT + SECOND),
        "userinfo by an opaque token": (lambda: client.userinfo(opaque), is_good, AGREEMENT + SECOND),
        "userinfo by a JWT": (lambda: client.userinfo(jwt), is_good, AGREEMENT + SECOND),
        "refresh": (client.refresh, is_good, AGREEMENT + SECOND),
    }


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("live", "reason"), [(IDLE, "idle"), (LONG, "ended_by_administrator")], indirect=["live"])
def test_session_is_over_at_the_same_instant_for_every_endpoint_of_every_process(
    live: LiveProvider, reason: str
) -> None:
    with live.app.app_context():
        clock = DatabaseClock(db.engine)
    command = [sys.executable, "-m", "idp.cli"]
    with ChildProcess([*command, "worker"], environment=live.environment) as worker:
        worker.wait_for_output("the worker has started", timeout=60)
        client = Client(live)
        # Tokens end with the deadline that was known when they were issued.
        assert is_active(client.post("/session/activity", sid=client.sid))
        doors = doors_of(client)
        over_at = client.row().idle_ends_at
        ended = Event()

        def is_over() -> bool:
            return (ended.is_set() if reason != "idle" else True) and clock.now() >= over_at + SECOND

        with ThreadPoolExecutor(len(doors)) as threads:
            polls = {name: threads.submit(poll, clock, ask, says, is_over) for name, (ask, says, _) in doors.items()}
            if reason != "idle":
                # In a process of its own, while everybody asks.
                end = [*command, "session", "end", client.sid]
                subprocess.run(end, env=live.environment, check=True, capture_output=True, timeout=60)
                known_at = over_at = clock.now()
                ended.set()
            heard = {name: each.result() for name, each in polls.items()}
        worker.wait_until(lambda: client.row().ended_at is not None, "the session has ended", timeout=30)
    row = client.row()
    assert row.ended_at is not None and row.end_reason == reason
    if reason == "idle":
        over_at = known_at = row.idle_ends_at
        assert timedelta(0) <= row.ended_at - over_at < TOLD_WITHIN
    else:
        # Between these the command was at work: both answers are true.
        over_at = row.ended_at
    for name, (_, _, early) in doors.items():
        late = [each for each in heard[name] if each.is_live and each.asked >= known_at + AGREEMENT]
        too_early = [each for each in heard[name] if not each.is_live and each.came <= over_at - early]
        assert not late and not too_early, (name, over_at, late, too_early)
        lived = [each.is_live for each in heard[name]]
        assert any(lived) and not all(lived), (name, "was asked before and after the end")
        assert lived == sorted(lived, reverse=True), (name, "was over and lived again")
    for is_live in (True, False):
        by = {each.by for answers in heard.values() for each in answers if each.is_live is is_live}
        assert len(by) == WORKERS, "every process was asked before and after the end"
