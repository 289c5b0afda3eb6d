"""Notices are written with the end of a session; logout tokens are what OpenID Connect Back-Channel Logout 2.4 says."""

from datetime import datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import event

from idp.audit.events import SessionEnded
from idp.audit.trail import events
from idp.kernel.clock import FixedClock
from idp.oidc.backchannel_logout import EVENT, TRIED_FOR, LogoutTokens
from idp.oidc.keys import ALGORITHMS
from idp.sessions.models import Session
from idp.store.engine import db
from idp.wiring import Services
from tests.conftest import ISSUER
from tests.egress.receivers import Receiver, status
from tests.factories import Factories
from tests.jobs.notices import claims_of, delivery, end_session, ended, open_session, rows
from tests.oidc.journeys import Answer, Provider, body, form_encoded

ADDRESS = "https://app.example/logout"


@pytest.mark.demand(92)
@pytest.mark.parametrize("alg", ALGORITHMS)
def test_logout_token_says_what_the_specification_wants_and_no_more(
    services: Services, make: Factories, alg: str
) -> None:
    person = make.person()
    with Receiver() as receiver:
        make.client("app", backchannel_logout_uri=receiver.url, id_token_signed_response_alg=alg)
        (sid,) = ended(services, person.id, ["app"])
        assert delivery(services).run() == 1
        header, claims = claims_of(services, receiver.tokens[0])
    assert {name: header[name] for name in ("alg", "typ")} == {"alg": alg, "typ": "logout+jwt"}
    assert set(header) == {"alg", "typ", "kid"}
    now = int(services.clock.now().timestamp())
    jti = claims.pop("jti")
    assert len(jti) >= 20
    assert claims == {
        "iss": ISSUER,
        "sub": person.sub,
        "aud": "app",
        "iat": now,
        "exp": now + 120,
        "events": {EVENT: {}},
        "sid": sid,
    }


@pytest.mark.demand(90, 92)
@pytest.mark.parametrize("subject_type", ["public", "pairwise"])
def test_client_is_told_of_the_session_of_its_id_token_whether_or_not_the_browser_goes_on(
    app: Flask, services: Services, make: Factories, clock: FixedClock, subject_type: str
) -> None:
    provider = Provider(app, clock, make)
    with Receiver() as receiver:
        party = provider.client(
            backchannel_logout_uri=receiver.url,
            backchannel_logout_session_required=True,
            id_token_signed_response_alg="ES256",
            subject_type=subject_type,
            sector_identifier="app.example",
        )
        browser, who = provider.browser(), provider.somebody()
        tokens = body(party.redeem(browser.sign_in(party, who).values["code"]))
        asked = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "https://app.example/signed-out"}
        answer = Answer.read(browser.get("/end_session", query=form_encoded(asked)))
        assert answer.address == "https://app.example/signed-out"
        # The browser is still on its way; the notice is due by itself.
        assert delivery(services).run() == 1
        header, claims = claims_of(services, receiver.tokens[0])
    about = provider.claims(tokens["id_token"])
    assert (header["typ"], header["alg"]) == ("logout+jwt", "ES256")
    assert {name: claims[name] for name in ("iss", "sub", "aud", "sid")} == {
        name: about[name] for name in ("iss", "sub", "aud", "sid")
    }
    assert claims["events"] == {"http://schemas.openid.net/event/backchannel-logout": {}}
    assert "nonce" not in claims and claims["jti"]
    assert receiver.calls[0].method == "POST"
    assert receiver.calls[0].headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert set(receiver.calls[0].form) == {"logout_token"}


@pytest.mark.demand(92)
def test_every_try_has_a_token_of_its_own(services: Services, make: Factories, clock: FixedClock) -> None:
    person = make.person()
    with Receiver(status(503)) as receiver:
        make.client("app", backchannel_logout_uri=receiver.url)
        ended(services, person.id, ["app"])
        for _ in range(3):
            delivery(services).run()
            clock.move(timedelta(hours=1))
        claims = [claims_of(services, token)[1] for token in receiver.tokens]
    assert len({each["jti"] for each in claims}) == 3
    assert claims[2]["iat"] - claims[0]["iat"] == 7200 and claims[2]["exp"] - claims[2]["iat"] == 120


def test_logout_token_is_no_id_token(services: Services) -> None:
    token = LogoutTokens(services.keys, services.clock, ISSUER).make("app", "RS256", "the sid", "the sub")
    assert services.keys.verified_id_token(token, ISSUER) is None


def test_each_client_that_took_part_has_one_notice_with_72_hours(services: Services, make: Factories) -> None:
    person = make.person()
    for name in ("app", "agenda", "stranger"):
        make.client(name, backchannel_logout_uri=ADDRESS)
    (sid,) = ended(services, person.id, ["app", "agenda"])
    found = rows(services)
    assert sorted(each["receiver"] for each in found) == ["agenda", "app"]
    for each in found:
        assert each["payload"] == {"sid": sid, "sub": person.sub} and each["subject"] == sid
        assert each["expires_at"] - each["created_at"] == TRIED_FOR == timedelta(hours=72)
        assert (each["next_try_at"], each["tries"], each["failed_at"]) == (each["created_at"], 0, None)


def test_client_without_an_address_has_a_receipt_that_says_so(services: Services, make: Factories) -> None:
    make.client("app")
    make.client("agenda", backchannel_logout_uri=ADDRESS)
    ended(services, make.person().id, ["app", "agenda"])
    failures = {each["receiver"]: (each["failed_at"], each["failure"]) for each in rows(services)}
    assert failures == {"app": (services.clock.now(), "no address"), "agenda": (None, None)}


def test_session_without_clients_leaves_no_notice(services: Services, make: Factories) -> None:
    ended(services, make.person().id, [])
    assert rows(services) == []


def test_session_ends_once_and_so_do_its_notices(services: Services, make: Factories) -> None:
    make.client("app", backchannel_logout_uri=ADDRESS)
    session_id = open_session(services, make.person().id, ["app"])
    end_session(services, session_id)
    with services.units.writing() as unit:
        assert not services.sessions.end(unit, unit.get_one(Session, session_id), "idle")
    assert len(rows(services)) == 1


def test_end_notice_and_event_are_one_transaction(services: Services, make: Factories) -> None:
    make.client("app", backchannel_logout_uri=ADDRESS)
    session_id = open_session(services, make.person().id, ["app"])
    with pytest.raises(RuntimeError), services.units.writing() as unit:
        assert services.sessions.end(unit, unit.get_one(Session, session_id), "logout")
        raise RuntimeError
    assert rows(services) == []
    with services.units.reading() as unit:
        ended_at: datetime | None = unit.get_one(Session, session_id).ended_at
        assert ended_at is None and not events(unit, SessionEnded)


def test_many_clients_have_their_notices_from_one_statement(services: Services, make: Factories) -> None:
    names = [f"app-{number}" for number in range(12)]
    for name in names:
        make.client(name, backchannel_logout_uri=ADDRESS)
    session_id = open_session(services, make.person().id, names)
    written: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO outbox_messages"):
            written.append(statement)

    event.listen(db.engine, "before_cursor_execute", note)
    end_session(services, session_id)
    event.remove(db.engine, "before_cursor_execute", note)
    assert len(written) == 1 and len(rows(services)) == 12
