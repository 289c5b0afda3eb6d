"""POST /session/activity and /session/status: what applications say about the 30-minute clock, and are told of it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from idp.audit.events import TokenRequestRefused
from idp.audit.trail import events
from idp.sessions.models import Session
from tests.oidc.journeys import Provider, RelyingParty, basic, body, error, form_encoded

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
NOT_ACTIVE = {"active": False}
OVER = {"error": "invalid_token", "error_description": "the access token is unknown, expired or revoked"}


class SignedIn:
    """Somebody signed in with a client, and what the client knows of it."""

    def __init__(self, provider: Provider, party: RelyingParty) -> None:
        tokens = party.signed_in(provider.somebody())
        self.provider, self.party = provider, party
        self.access_token: str = tokens["access_token"]
        self.refresh_token: str = tokens["refresh_token"]
        self.sid: str = provider.claims(tokens["id_token"])["sid"]

    def status(self, **more: str) -> dict[str, Any]:
        return body(self.party.post("/session/status", {"sid": self.sid, **more}))

    def report(self, **more: str) -> dict[str, Any]:
        return body(self.party.post("/session/activity", {"sid": self.sid, **more}))

    def row(self) -> Session:
        with self.provider.writing() as unit:
            return unit.scalars(select(Session).filter_by(sid=self.sid)).one()

    def seconds(self, ago: timedelta = timedelta(0)) -> str:
        return str((self.provider.clock.now() - ago).timestamp())


@pytest.fixture
def reporting(provider: Provider) -> SignedIn:
    return SignedIn(provider, provider.client(session_activity="reported"))


def test_status_tells_the_deadline_and_moves_nothing(provider: Provider, reporting: SignedIn) -> None:
    before, opened = reporting.row(), provider.clock.now()
    provider.clock.move(10 * MINUTE + SECOND / 2)
    said = reporting.status()
    assert said == {
        "active": True,
        "sid": reporting.sid,
        "now": int(provider.clock.now().timestamp()),
        "last_activity_at": int(opened.timestamp()),
        "ends_at": int((opened + 30 * MINUTE).timestamp()),
        "absolute_ends_at": int((opened + 720 * MINUTE).timestamp()),
        "expires_in": 20 * 60 - 1,
        "idle_timeout": 30 * 60,
    }
    assert reporting.row().idle_ends_at == before.idle_ends_at


def test_status_by_get_takes_the_sid_from_the_query(provider: Provider, reporting: SignedIn) -> None:
    header = {"Authorization": basic(reporting.party.client_id, reporting.party.secret)}
    response = provider.get("/session/status", header, query=form_encoded({"sid": reporting.sid}))
    assert body(response)["active"] is True
    assert response.headers["Cache-Control"] == "no-store"


def test_secret_in_the_query_is_refused_even_if_it_is_right(provider: Provider, reporting: SignedIn) -> None:
    party = provider.client(token_endpoint_auth_method="client_secret_post")
    query = form_encoded({"sid": reporting.sid, "client_id": party.client_id, "client_secret": party.secret})
    assert error(provider.get("/session/status", query=query)) == "invalid_request"


def test_report_moves_the_deadline_to_the_moment_of_the_last_action(provider: Provider, reporting: SignedIn) -> None:
    provider.clock.move(10 * MINUTE)
    acted = provider.clock.now() - MINUTE
    said = reporting.report(last_activity_at=reporting.seconds(ago=MINUTE))
    assert said["last_activity_at"] == int(acted.timestamp())
    assert said["expires_in"] == 29 * 60
    assert reporting.row().idle_ends_at == acted + 30 * MINUTE


def test_report_without_a_moment_means_now(provider: Provider, reporting: SignedIn) -> None:
    provider.clock.move(10 * MINUTE)
    assert reporting.report()["expires_in"] == 30 * 60


def test_moment_in_the_future_counts_as_now(provider: Provider, reporting: SignedIn) -> None:
    provider.clock.move(10 * MINUTE)
    assert reporting.report(last_activity_at=reporting.seconds(ago=-600 * MINUTE))["expires_in"] == 30 * 60


def test_moment_before_the_last_known_activity_changes_nothing(provider: Provider, reporting: SignedIn) -> None:
    provider.clock.move(10 * MINUTE)
    for moment in (reporting.seconds(ago=20 * MINUTE), "0"):
        assert reporting.report(last_activity_at=moment)["expires_in"] == 20 * 60


def test_reports_within_fifteen_seconds_are_written_once_and_never_late(
    provider: Provider, reporting: SignedIn
) -> None:
    provider.clock.move(MINUTE)
    first = reporting.report()["ends_at"]
    provider.clock.move(14 * SECOND)
    assert reporting.report()["ends_at"] == first
    provider.clock.move(SECOND)
    assert reporting.report()["ends_at"] == first + 15


def test_report_of_less_than_fifteen_seconds_is_written_where_the_timeout_is_short(
    provider: Provider, reporting: SignedIn
) -> None:
    short = {"idle_timeout": 20 * SECOND, "idle_ends_at": provider.clock.now() + 20 * SECOND}
    with provider.writing() as unit:
        unit.execute(update(Session).where(Session.sid == reporting.sid).values(**short))
    for _ in range(10):
        provider.clock.move(10 * SECOND)
        assert reporting.report()["expires_in"] == 20


@pytest.mark.parametrize("late_by", [timedelta(0), SECOND, 600 * MINUTE])
def test_report_to_a_session_that_is_over_revives_nothing(
    provider: Provider, reporting: SignedIn, late_by: timedelta
) -> None:
    provider.clock.move(30 * MINUTE + late_by)
    # Whatever it claims: also that its person acted in time.
    for moment in ({}, {"last_activity_at": reporting.seconds(ago=late_by + SECOND)}):
        assert reporting.report(**moment) == NOT_ACTIVE
    assert reporting.status() == NOT_ACTIVE
    assert reporting.row().last_activity_at == reporting.row().opened_at


def test_report_never_reaches_past_the_absolute_limit(provider: Provider, reporting: SignedIn) -> None:
    opened = reporting.row().opened_at
    for _ in range(28):
        provider.clock.move(25 * MINUTE)
        assert reporting.report()["active"]
    provider.clock.move(10 * MINUTE)
    said = reporting.report()
    assert said["ends_at"] == said["absolute_ends_at"] == int((opened + 720 * MINUTE).timestamp())
    assert said["expires_in"] == 10 * 60 and said["idle_timeout"] == 30 * 60
    provider.clock.move(10 * MINUTE)
    assert reporting.report() == NOT_ACTIVE


def test_session_that_was_ended_is_not_active(provider: Provider, reporting: SignedIn) -> None:
    with provider.writing() as unit:
        session = unit.scalars(select(Session).filter_by(sid=reporting.sid)).one()
        provider.services.sessions.end(unit, session, "logout")
    assert reporting.status() == NOT_ACTIVE == reporting.report()


def test_session_of_others_is_as_unknown_as_one_that_never_was(provider: Provider, reporting: SignedIn) -> None:
    stranger = provider.client(session_activity="reported")
    before = reporting.row().last_activity_at
    provider.clock.move(MINUTE)
    for sid in (reporting.sid, "never-was"):
        assert body(stranger.post("/session/status", {"sid": sid})) == NOT_ACTIVE
        assert body(stranger.post("/session/activity", {"sid": sid})) == NOT_ACTIVE
    assert reporting.row().last_activity_at == before


@pytest.mark.parametrize("activity", ["none", "token_refresh"])
def test_client_that_is_not_registered_to_report_is_refused_and_may_still_ask(
    provider: Provider, activity: str
) -> None:
    signed_in = SignedIn(provider, provider.client(session_activity=activity))
    refused = signed_in.party.post("/session/activity", {"sid": signed_in.sid})
    assert error(refused, 400) == "unauthorized_client"
    assert signed_in.status()["active"] is True


# By an access token of the session


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_access_token_speaks_for_its_own_session(provider: Provider, reporting: SignedIn) -> None:
    provider.clock.move(2 * MINUTE)
    header = bearer(reporting.access_token)
    assert body(provider.get("/session/status", header))["expires_in"] == 28 * 60
    reported = provider.post("/session/activity", "", header, content_type=None)
    assert body(reported)["expires_in"] == 30 * 60
    same = provider.post("/session/activity", form_encoded({"sid": reporting.sid}), header)
    assert body(same)["sid"] == reporting.sid


def test_access_token_speaks_for_no_other_session(provider: Provider, reporting: SignedIn) -> None:
    other = SignedIn(provider, reporting.party)
    response = provider.post("/session/activity", form_encoded({"sid": other.sid}), bearer(reporting.access_token))
    assert response.status_code == 401 and 'error="invalid_token"' in response.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", ["/session/status", "/session/activity"])
def test_access_token_that_is_not_good_gets_a_challenge(provider: Provider, reporting: SignedIn, path: str) -> None:
    for token in ("x", "a.b.c", reporting.sid):
        response = provider.post(path, "", bearer(token))
        assert body(response, 401) == OVER
        assert response.headers["WWW-Authenticate"].startswith('Bearer realm="session", error="invalid_token"')


def test_access_token_gets_a_challenge_from_the_instant_at_which_its_session_is_over(
    provider: Provider, reporting: SignedIn
) -> None:
    provider.clock.move(28 * MINUTE)
    fresh = bearer(body(reporting.party.refresh(reporting.refresh_token))["access_token"])
    provider.clock.move(2 * MINUTE - timedelta(microseconds=1))
    assert body(provider.get("/session/status", fresh))["expires_in"] == 0
    provider.clock.move(timedelta(microseconds=1))
    for response in (provider.get("/session/status", fresh), provider.post("/session/activity", "", fresh)):
        assert body(response, 401) == OVER


# Requests that are wrong


def test_public_client_proves_nothing_by_its_name(provider: Provider) -> None:
    public = provider.public_client(session_activity="reported")
    signed_in = SignedIn(provider, public)
    for path in ("/session/status", "/session/activity"):
        assert error(public.post(path, {"sid": signed_in.sid}), 401) == "invalid_client"
    assert body(provider.get("/session/status", bearer(signed_in.access_token)))["active"] is True


def test_wrong_secret_is_refused(provider: Provider, reporting: SignedIn) -> None:
    header = {"Authorization": basic(reporting.party.client_id, "wrong")}
    response = reporting.party.post("/session/status", {"sid": reporting.sid}, header)
    assert error(response, 401) == "invalid_client"
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"sid": ["a", "b"]},
        {"sid": "x" * 9000},
        {"sid": "x\x00"},
        {"sid": "x", "last_activity_at": "yesterday"},
        {"sid": "x", "last_activity_at": "-1"},
        {"sid": "x", "last_activity_at": "1e9"},
        {"sid": "x", "last_activity_at": "1.2.3"},
        {"sid": "x", "last_activity_at": "."},
        {"sid": "x", "last_activity_at": "٣"},
        {"sid": "x", "last_activity_at": "9" * 300},
        {"sid": "x", "last_activity_at": "999999999999999"},
        {"sid": "x", "last_activity_at": "2026-11-23T13:35:00Z"},
    ],
)
def test_request_that_cannot_be_understood_is_refused(reporting: SignedIn, data: dict[str, Any]) -> None:
    assert error(reporting.party.post("/session/activity", data)) == "invalid_request"


def test_body_of_another_kind_is_refused(provider: Provider, reporting: SignedIn) -> None:
    header = {"Authorization": basic(reporting.party.client_id, reporting.party.secret)}
    response = provider.post("/session/activity", '{"sid": "x"}', header, content_type="application/json")
    assert error(response) == "invalid_request"


def test_access_token_together_with_client_credentials_is_refused(provider: Provider, reporting: SignedIn) -> None:
    data = form_encoded({"client_id": reporting.party.client_id, "client_secret": reporting.party.secret})
    assert error(provider.post("/session/status", data, bearer(reporting.access_token))) == "invalid_request"


def test_refusal_is_recorded_of_clients_that_are_known_and_strangers_write_nothing(
    provider: Provider, reporting: SignedIn
) -> None:
    def recorded() -> int:
        with provider.writing() as unit:
            return len(events(unit, TokenRequestRefused))

    before = recorded()
    stranger = {"Authorization": basic(reporting.party.client_id, "wrong")}
    for _ in range(3):
        assert provider.get("/session/status", query="sid=1").status_code == 401
        assert provider.post("/session/activity", "sid=1", stranger).status_code == 401
        assert provider.post("/introspect", "token=1", stranger).status_code == 401
    assert recorded() == before
    wrong = {"sid": reporting.sid, "last_activity_at": "yesterday"}
    assert reporting.party.post("/session/activity", wrong).status_code == 400
    assert reporting.party.post("/introspect", {}).status_code == 400
    assert recorded() == before + 2
