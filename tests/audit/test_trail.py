"""The audit trail: what happened, under a known name, findable by the code that the person saw."""

import re
from dataclasses import fields, is_dataclass
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from idp.audit import events as kinds
from idp.audit.events import Event, SessionEnded, SignInBegun
from idp.audit.trail import AuditEvent, Trail, event_type, events, request_code
from idp.kernel.clock import FixedClock
from idp.wiring import Services
from tests.factories import Factories
from tests.oidc.journeys import Provider, RelyingParty, body, form_encoded

EVERY_KIND = [
    kind for kind in vars(kinds).values() if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
]


@pytest.fixture
def provider(app: Flask, clock: FixedClock) -> Provider:
    return Provider(app, clock, Factories(app))


@pytest.fixture
def party(provider: Provider) -> RelyingParty:
    return provider.client()


def _trail(provider: Provider) -> list[AuditEvent]:
    with provider.app.app_context(), provider.services.units.reading() as unit:
        return list(unit.scalars(select(AuditEvent).order_by(AuditEvent.id)))


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_kind_of_event_has_a_type_in_snake_case_that_fits(kind: type[Event]) -> None:
    assert is_dataclass(kind)
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", event_type(kind))
    assert event_type(kind).replace("_", "") == kind.__name__.lower()
    assert len(event_type(kind)) <= 60


def test_types_are_distinct() -> None:
    assert len(EVERY_KIND) > 15
    assert len({event_type(kind) for kind in EVERY_KIND}) == len(EVERY_KIND)
    assert event_type(SessionEnded) == "session_ended"


@pytest.mark.parametrize("kind", EVERY_KIND, ids=lambda kind: kind.__name__)
def test_no_field_is_made_for_a_secret(kind: type[Event]) -> None:
    for each in fields(kind):
        assert not re.search(r"password$|secret|token$|^code$|cookie|verifier", each.name), each.name


def test_event_is_kept_only_when_its_unit_is(services: Services) -> None:
    with services.units.writing() as unit:
        services.trail.record(unit, SessionEnded(reason="logout", clients=1, sid="kept"))
    with pytest.raises(ZeroDivisionError), services.units.writing() as unit:
        services.trail.record(unit, SessionEnded(reason="logout", clients=1, sid="lost"))
        raise ZeroDivisionError
    with services.units.reading() as unit:
        assert [event.sid for event in events(unit, SessionEnded)] == ["kept"]


def test_event_carries_time_subject_and_particulars(services: Services, clock: FixedClock) -> None:
    clock.move(timedelta(hours=1))
    with services.units.writing() as unit:
        Trail(clock).record(unit, SessionEnded(reason="idle", clients=2, account_id=7, sid="s"))
    with services.units.reading() as unit:
        (event,) = events(unit, SessionEnded, sid="s")
    assert (event.at, event.type, event.account_id) == (clock.now(), "session_ended", 7)
    assert event.details == {"reason": "idle", "clients": 2}
    assert (event.request_code, event.client_address, event.client_id) == (None, None, None)


def test_event_outside_of_a_request_has_no_code(services: Services) -> None:
    assert request_code.get() is None


def test_code_on_the_event_is_the_one_of_the_response(provider: Provider, party: RelyingParty) -> None:
    begun = provider.browser().authorize(party)
    (event,) = _trail(provider)
    assert event.type == event_type(SignInBegun)
    assert event.request_code == begun.headers["X-Request-Id"]
    assert event.interaction_id == begun.headers["Location"].split("/")[2]
    assert event.client_id == party.client_id


def test_code_on_the_error_page_leads_to_the_event(provider: Provider) -> None:
    shown = provider.get("/authorize", query=form_encoded({"client_id": "nobody"}))
    (event,) = _trail(provider)
    assert event.request_code is not None
    assert event.request_code == shown.headers["X-Request-Id"]
    assert event.request_code in shown.text
    assert event.type == "authorization_refused"
    assert (event.details["error"], event.details["shown"]) == ("invalid_client", True)


def test_refused_token_request_is_found_by_the_code_of_its_response(provider: Provider, party: RelyingParty) -> None:
    refused = party.redeem("unknown")
    (event,) = _trail(provider)
    assert (event.type, event.request_code) == ("token_request_refused", refused.headers["X-Request-Id"])
    assert event.client_id == party.client_id
    assert event.details["error"] == "invalid_grant"


def test_whole_journey_is_told_in_order_each_by_the_request_that_did_it(
    provider: Provider, party: RelyingParty
) -> None:
    browser, who = provider.browser(), provider.somebody(totp=True)
    answer = browser.sign_in(party, who)
    redeemed = party.redeem(answer.values["code"])
    tokens = body(redeemed)
    again = party.redeem(answer.values["code"])
    ended = browser.get("/end_session", query=form_encoded({"id_token_hint": tokens["id_token"]}))
    trail = _trail(provider)
    assert [event.type for event in trail] == [
        "sign_in_begun",
        "password_checked",
        "prompt_due",
        "second_factor_checked",
        "session_opened",
        "code_issued",
        "tokens_issued",
        "code_reused",
        "token_request_refused",
        "session_ended",
    ]
    told = [response.headers["X-Request-Id"] for response in (*browser.seen[:-1], redeemed, again, ended)]
    assert [event.request_code for event in trail] == sorted(
        (event.request_code for event in trail), key=lambda code: told.index(str(code))
    )
    by_type = {event.type: event for event in trail}
    sid = provider.claims(tokens["id_token"])["sid"]
    for name in ("session_opened", "code_issued", "tokens_issued", "session_ended"):
        assert (by_type[name].sid, by_type[name].account_id) == (sid, who.id)
    assert by_type["session_ended"].request_code == ended.headers["X-Request-Id"]


def test_trail_holds_no_secret_of_the_journey(provider: Provider, party: RelyingParty) -> None:
    browser, who = provider.browser(), provider.somebody(totp=True)
    answer = browser.sign_in(party, who)
    tokens = body(party.redeem(answer.values["code"]))
    party.redeem(answer.values["code"])
    wrong = provider.browser()
    page = wrong.get(wrong.authorize(party).headers["Location"])
    wrong.post(*wrong.answered(page, {**who.names, "password": "a mistyped password"}))
    set_cookies = [cookie for response in browser.seen for cookie in response.headers.getlist("Set-Cookie")]
    cookies = [cookie.partition(";")[0].partition("=")[2] for cookie in set_cookies]
    secrets = [
        who.password,
        "a mistyped password",
        party.secret,
        answer.values["code"],
        tokens["access_token"],
        tokens["refresh_token"],
        tokens["id_token"],
        *[cookie for cookie in cookies if len(cookie) > 20],
    ]
    assert len(secrets) > 8
    columns = [column.key for column in AuditEvent.__table__.columns]
    told = " ".join(str(getattr(event, column)) for event in _trail(provider) for column in columns)
    assert "session_opened" in told
    assert not [secret for secret in secrets if secret in told]


@pytest.mark.parametrize("client_id", ["x" * 5000, "\x00", "\u2603\U0001f511", "a\nb"])
def test_strange_input_is_told_without_breaking_the_trail(provider: Provider, client_id: str) -> None:
    assert provider.get("/authorize", query=form_encoded({"client_id": client_id})).status_code == 400
    assert [event.type for event in _trail(provider)] == ["authorization_refused"]
