"""Two processes that serve and one that works, with a real stopwatch: a session is over for all at once (F2)."""

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
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

IDLE = timedelta(seconds=4)
SECOND = timedelta(seconds=1)
# Processes that take the time from one server agree to this; nothing else is forgiven, and no transport is counted.
AGREEMENT = timedelta(milliseconds=100)
TOLD_WITHIN = timedelta(seconds=5)


@dataclass(frozen=True)
class Heard:
    """One answer: when it was asked for, when it came, and whether it was that of a live session."""

    asked: datetime
    came: datetime
    is_live: bool


@pytest.fixture
def live(database_url: str) -> Iterator[LiveProvider]:
    provider = LiveProvider(
        database_url, workers=2, session={"idle_timeout": IDLE, "absolute_timeout": timedelta(hours=1)}
    )
    try:
        yield provider.start()
    finally:
        provider.stop()


class Client:
    """A client that reports, in a session that was just opened; every request on a connection of its own."""

    def __init__(self, live: LiveProvider) -> None:
        self.issuer = live.issuer
        client = live.make.client(session_activity="reported", redirect_uris=["https://app.example/callback"])
        self.auth = (client.client_id, client.secret or "")
        callback = live.sign_in(f"{live.issuer}/authorize?" + urlencode(parameters(client)))
        code = parse_qs(urlsplit(callback).query)["code"][0]
        self.refresh_token = self.token(
            grant_type="authorization_code", code=code, redirect_uri=client.redirect_uri, code_verifier=VERIFIER
        ).json()["refresh_token"]
        with live.app.app_context(), live.services.units.reading() as unit:
            self.sid = unit.scalars(select(Session.sid)).one()

    def post(self, path: str, **form: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            return session.post(f"{self.issuer}{path}", data=form, auth=self.auth, timeout=30)

    def token(self, **form: str) -> requests.Response:
        return self.post("/token", **form)

    def refresh(self) -> requests.Response:
        return self.token(grant_type="refresh_token", refresh_token=self.refresh_token)

    def userinfo(self, access_token: str) -> requests.Response:
        with requests.Session() as session:
            session.trust_env = False
            header = {"Authorization": f"Bearer {access_token}"}
            return session.get(f"{self.issuer}/userinfo", headers=header, timeout=30)


def poll(clock: Clock, until: datetime, ask: Callable[[], bool]) -> list[Heard]:
    heard = []
    while (asked := clock.now()) < until:
        is_live = ask()
        heard.append(Heard(asked, clock.now(), is_live))
    return heard


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_session_is_over_at_the_same_instant_for_every_endpoint_of_every_process(live: LiveProvider) -> None:
    with live.app.app_context():
        clock = DatabaseClock(db.engine)
    command = [sys.executable, "-m", "idp.cli", "worker"]
    with ChildProcess(command, environment=live.environment) as worker:
        worker.wait_for_output("the worker has started", timeout=60)
        client = Client(live)
        assert client.post("/session/activity", sid=client.sid).json()["active"]
        access_token = client.refresh().json()["access_token"]
        with live.app.app_context(), live.services.units.reading() as unit:
            ends_at = unit.scalars(select(Session.idle_ends_at).filter_by(sid=client.sid)).one()
        # By name: how to ask, and how much earlier it may be over. Tokens last whole seconds, rounded down.
        doors: dict[str, tuple[Callable[[], bool], timedelta]] = {
            "status": (lambda: client.post("/session/status", sid=client.sid).json()["active"], AGREEMENT),
            "activity": (
                lambda: client.post("/session/activity", sid=client.sid, last_activity_at="1").json()["active"],
                AGREEMENT,
            ),
            "introspection": (
                lambda: client.post("/introspect", token=client.refresh_token).json()["active"],
                AGREEMENT,
            ),
            "introspection of the access token": (
                lambda: client.post("/introspect", token=access_token).json()["active"],
                AGREEMENT + SECOND,
            ),
            "userinfo": (lambda: client.userinfo(access_token).status_code == 200, AGREEMENT + SECOND),
            "refresh": (lambda: client.refresh().status_code == 200, AGREEMENT + SECOND),
        }
        with ThreadPoolExecutor(len(doors)) as threads:
            polls = {name: threads.submit(poll, clock, ends_at + SECOND, ask) for name, (ask, _) in doors.items()}
            heard = {name: each.result() for name, each in polls.items()}

        def ended() -> Session | None:
            with live.app.app_context(), live.services.units.reading() as unit:
                return unit.scalars(
                    select(Session).where(Session.sid == client.sid, Session.ended_at.is_not(None))
                ).first()

        worker.wait_until(lambda: ended() is not None, "the session has ended", timeout=30)
    for name, (_, early) in doors.items():
        late = [each for each in heard[name] if each.is_live and each.asked >= ends_at + AGREEMENT]
        too_early = [each for each in heard[name] if not each.is_live and each.came <= ends_at - early]
        assert not late and not too_early, (name, ends_at, late, too_early)
        lived = [each.is_live for each in heard[name]]
        assert any(lived) and not all(lived), (name, "was asked before and after the end")
        assert lived == sorted(lived, reverse=True), (name, "was over and lived again")
    row = ended()
    assert row is not None and row.ended_at is not None
    assert row.end_reason == "idle" and timedelta(0) <= row.ended_at - ends_at < TOLD_WITHIN
