"""Every table that grows is emptied of what is old, at its own time, and of nothing else."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import and_, delete, event, func, select

from idp.attempts.models import AttemptBudget
from idp.audit.trail import AuditEvent
from idp.jobs import purge_expired
from idp.jobs.purge_expired import Retention, purge, retentions
from idp.kernel.clock import FixedClock
from idp.oidc.models import AccessToken, AuthorizationCode, RefreshFamily
from idp.outbox.models import OutboxMessage
from idp.schema import metadata
from idp.sessions.models import Participation, Session
from idp.signin.interaction import Interaction
from idp.store import schema
from idp.wiring import Services
from tests.conftest import START
from tests.factories import Factories
from tests.jobs.test_sweep_idle_sessions import open_sessions
from tests.oidc.journeys import Provider, body, error

DAY = timedelta(days=1)
INSTANT = timedelta(milliseconds=1)
REQUEST_LIFETIME = timedelta(hours=24)
# What somebody set up or enrolled: these grow with the number of people and applications, not with time.
KEPT = {
    *("accounts", "client_origins", "consents", "credentials", "initial_access_tokens"),
    *("organizations", "organization_logos", "signing_keys"),
}


def run(services: Services) -> dict[str, int]:
    return purge(services.units, services.clock, REQUEST_LIFETIME)


def add(services: Services, *rows: Any) -> None:
    with services.units.writing() as unit:
        unit.add_all(rows)


def number(services: Services, model: Any) -> int:
    with services.units.reading() as unit:
        return unit.scalar(select(func.count()).select_from(model)) or 0


def grant(account_id: int, now: datetime, **values: Any) -> dict[str, Any]:
    return {
        "client_id": "atosi",
        "account_id": account_id,
        "scope": "openid",
        "claims": {},
        "issued_at": now,
        "expires_at": now + timedelta(minutes=5),
        **values,
    }


def test_every_table_grows_no_further_than_people_or_has_a_retention() -> None:
    emptied = [table for retention in retentions(REQUEST_LIFETIME) for table in retention.tables]
    assert len(emptied) == len(set(emptied))
    assert set(emptied) | KEPT == set(metadata.tables)
    assert set(emptied).isdisjoint(KEPT)


def test_codes_and_tokens_go_a_day_after_they_expire(services: Services, make: Factories, clock: FixedClock) -> None:
    person, now = make.person(), clock.now()
    make.client()
    (session_id,) = open_sessions(services, person.id)
    proof = {"requested_acr": [], "level": 1, "amr": ["pwd"], "auth_time": now}
    of_session = grant(person.id, now, session_id=session_id)
    add(
        services,
        AuthorizationCode(code_hash=b"c", grant_id="g", redirect_uri="https://app.example", **proof, **of_session),
        AccessToken(token_hash=b"t", grant_id="g", **of_session),
        RefreshFamily(grant_id="g", handle_hash=b"h", **proof, **of_session),
    )
    clock.move(timedelta(minutes=5) + DAY)
    assert run(services) == {}
    clock.move(INSTANT)
    assert run(services) == {"authorization_codes": 1, "access_tokens": 1, "refresh_families": 1}


@pytest.mark.demand(33)
def test_code_that_is_forgotten_is_no_better_than_before(
    app: Flask, services: Services, make: Factories, clock: FixedClock
) -> None:
    party = Provider(app, clock, make).client()
    used, unused = party.code(), party.code()
    assert body(party.redeem(used))
    clock.move(2 * DAY)
    assert run(services)["authorization_codes"] == 2 and number(services, AuthorizationCode) == 0
    assert error(party.redeem(used)) == error(party.redeem(unused)) == "invalid_grant"


def test_interaction_goes_a_day_after_its_request_died(services: Services, make: Factories, clock: FixedClock) -> None:
    make.client()
    now = clock.now()
    add(
        services,
        Interaction(
            id="i", browser_hash=b"b", client_id="atosi", request={}, created_at=now - DAY, last_activity_at=now
        ),
    )
    clock.move(REQUEST_LIFETIME + DAY)
    assert run(services) == {}
    clock.move(INSTANT)
    assert run(services) == {"interactions": 1}


def test_session_goes_a_month_after_its_end_with_its_participations(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    person, client = make.person(), make.client()
    ended, _live = open_sessions(services, person.id, number=2, client_id=client.client_id)
    with services.units.writing() as unit:
        services.sessions.end(unit, unit.get_one(Session, ended), "logout")
    clock.move(30 * DAY)
    assert "sessions" not in run(services)
    clock.move(INSTANT)
    assert run(services)["sessions"] == 1
    assert number(services, Session) == 1 and number(services, Participation) == 1


def test_session_stays_while_something_speaks_of_it(services: Services, make: Factories, clock: FixedClock) -> None:
    person = make.person()
    make.client()
    (session_id,) = open_sessions(services, person.id, client_id="atosi")
    expires_at = clock.now() + 90 * DAY
    add(
        services,
        AccessToken(
            token_hash=b"t", grant_id="g", **grant(person.id, clock.now(), session_id=session_id, expires_at=expires_at)
        ),
    )
    with services.units.writing() as unit:
        services.sessions.end(unit, unit.get_one(Session, session_id), "logout")
    clock.move(60 * DAY)
    assert "sessions" not in run(services)
    assert number(services, Participation) == number(services, OutboxMessage) == 1
    clock.move(60 * DAY)
    assert run(services) == {"access_tokens": 1, "sessions": 1, "outbox_messages": 1}


def test_counters_of_passwords_go_after_a_day_and_those_of_second_factors_never(
    services: Services, clock: FixedClock
) -> None:
    add(
        services,
        *(
            AttemptBudget(key=kind.encode(), kind=kind, in_a_row=7, waits=2, updated_at=clock.now())
            for kind in ("password", "second_factor")
        ),
    )
    clock.move(DAY)
    assert run(services) == {}
    clock.move(INSTANT)
    assert run(services) == {"attempt_budgets": 1}
    clock.move(1000 * DAY)
    assert run(services) == {}
    assert number(services, AttemptBudget) == 1


def test_the_counters_that_the_password_step_pays_into_are_ones_that_go(services: Services, clock: FixedClock) -> None:
    from idp.accounts.identify import Typed

    services.identification.pay(Typed.of("10234", "nobody", "x"))
    clock.move(2 * DAY)
    assert run(services) == {"attempt_budgets": 1, "event_counts": 1}


def message(now: datetime, **values: Any) -> dict[str, Any]:
    return {"kind": "mail", "receiver": "a", "payload": {}, "created_at": now, "next_try_at": now, **values}


def test_receipts_of_a_session_are_whole_until_it_goes_and_then_go_with_it(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    person, client = make.person(), make.client()
    (session_id,) = open_sessions(services, person.id, client_id=client.client_id)
    with services.units.writing() as unit:
        session = unit.get_one(Session, session_id)
        services.sessions.end(unit, session, "logout")
        notice = unit.scalars(select(OutboxMessage)).one()
        notice.delivered_at, notice.failed_at, notice.failure = clock.now(), None, None
    clock.move(30 * DAY)
    assert run(services) == {}
    assert [each.outcome for each in services.session_administration.show(session.sid).receipts] == ["delivered"]
    clock.move(INSTANT)
    assert run(services) == {"sessions": 1, "outbox_messages": 1}


def test_notice_of_a_session_that_nobody_knows_goes_after_a_month(services: Services, clock: FixedClock) -> None:
    add(services, OutboxMessage(**message(clock.now(), kind="logout_notice", subject="gone")))
    clock.move(30 * DAY)
    assert run(services) == {}
    clock.move(INSTANT)
    assert run(services) == {"outbox_messages": 1}


def test_letters_go_a_week_after_delivery_or_a_month_after_they_were_written(
    services: Services, clock: FixedClock
) -> None:
    now = clock.now()
    common = message(now)
    add(services, OutboxMessage(**common, delivered_at=now), OutboxMessage(**common, failed_at=now))
    clock.move(7 * DAY)
    assert run(services) == {}
    clock.move(INSTANT)
    assert run(services) == {"outbox_messages": 1}
    clock.move(23 * DAY)
    assert run(services) == {"outbox_messages": 1}


def test_audit_events_stay_for_over_a_year(services: Services, clock: FixedClock) -> None:
    services.organizations.add("20345", "De Eik")
    clock.move(400 * DAY)
    assert run(services) == {}
    clock.move(INSTANT)
    assert run(services) == {"audit_events": 1}
    assert number(services, AuditEvent) == 0


def test_more_rows_than_a_batch_all_go(services: Services, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purge_expired, "BATCH", 2)
    for code in range(5):
        services.organizations.add(str(code), "Een")
    clock.move(401 * DAY)
    assert run(services) == {"audit_events": 5}


# The chain of the trail is read once, in its order, and no further than what goes.
LOOKED_UP = [each for each in retentions(REQUEST_LIFETIME) if each.key is not AuditEvent.id]


@pytest.mark.parametrize("retention", LOOKED_UP, ids=lambda each: each.tables[0])
def test_deleting_a_batch_reads_no_table_from_end_to_end(retention: Retention, sqlite_template: Path) -> None:
    # On SQLite everybody waits for it: 1200 clients that were due beside 100 000 consents took 6 s.
    key = retention.key
    deleting = delete(key.class_).where(and_(key.in_([key.type.python_type()]), retention.may_go(START)))
    with schema.engine(f"sqlite:///{sqlite_template}").connect() as connection:

        @event.listens_for(connection, "before_cursor_execute", retval=True)
        def _explain(_c: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> tuple[str, Any]:
            return f"EXPLAIN QUERY PLAN {statement}", parameters

        plan = [str(row[-1]) for row in connection.execute(deleting).cursor.fetchall()]
    assert [step for step in plan if step.startswith("SEARCH")] and not [step for step in plan if "SCAN" in step]
