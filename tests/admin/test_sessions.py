"""Administrators see sessions as the clock has them, and end them: one, or all of an account."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from idp.admin.sessions import ShownSession
from idp.audit.events import SessionEnded, SessionsEndedByAdministrator
from idp.audit.trail import events
from idp.jobs.sweep_idle_sessions import sweep
from idp.kernel.clock import FixedClock
from idp.kernel.errors import Refused
from idp.sessions.models import Session
from idp.wiring import Services
from tests.attacks.parallel import Node, run
from tests.factories import Factories
from tests.jobs.test_sweep_idle_sessions import open_sessions

IDLE = timedelta(minutes=30)
MINUTE = timedelta(minutes=1)
INSTANT = timedelta(microseconds=1)
BACKCHANNEL = "https://app.example/backchannel"


def sid_of(services: Services, session_id: int) -> str:
    with services.units.reading() as unit:
        return unit.get_one(Session, session_id).sid


def open_one(services: Services, account_id: int, *client_ids: str) -> str:
    (session_id,) = open_sessions(services, account_id)
    with services.units.writing() as unit:
        for client_id in client_ids:
            services.sessions.join(unit, session_id, client_id)
    return sid_of(services, session_id)


def live(services: Services, org_code: str | None = None, username: str | None = None) -> list[str]:
    return [each.session.sid for each in services.session_administration.list(org_code, username)]


def over(services: Services) -> list[ShownSession]:
    return list(services.session_administration.list(over=True))


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(Refused) as refused:
        action()
    return refused.value.message_key


# --- Seeing ----------------------------------------------------------------------------------------------------------


def test_session_is_live_until_its_deadline_and_over_from_it_on_before_any_sweep(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    sid = open_one(services, make.person().id, "atosi", "rapportages")
    deadline = clock.now() + IDLE
    clock.move(IDLE - INSTANT)
    (shown,) = services.session_administration.list()
    assert (shown.session.sid, shown.applications, shown.ends_at) == (sid, 2, deadline)
    assert (shown.over_at, shown.reason, over(services)) == (None, None, [])
    clock.move(INSTANT)
    assert live(services) == []
    (shown,) = over(services)
    assert (shown.session.sid, shown.over_at, shown.reason) == (sid, deadline, "idle")


def test_swept_session_was_over_at_its_deadline_however_late_the_sweep(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    open_one(services, make.person().id)
    deadline = clock.now() + IDLE
    clock.move(IDLE + MINUTE)
    sweep(services.units, services.sessions)
    (shown,) = over(services)
    assert (shown.over_at, shown.reason) == (deadline, "idle")


def test_sessions_are_listed_by_organisation_by_username_and_by_account(services: Services, make: Factories) -> None:
    linde, eik = make.organization("10234"), make.organization("20345")
    anna = open_one(services, make.account(linde, "anna").id)
    bram = open_one(services, make.account(linde, "bram").id)
    other = open_one(services, make.account(eik, "anna", org_code="20345").id)
    assert set(live(services)) == {anna, bram, other}
    assert set(live(services, "10234")) == {anna, bram}
    assert set(live(services, username="ANNA")) == {anna, other}
    assert live(services, "20345", "anna") == [other]
    assert refusal(lambda: services.session_administration.list("nobody")) == "organization.unknown"
    assert refusal(lambda: services.session_administration.list("20345", "bram")) == "account.unknown"


def test_list_begins_with_what_was_used_last_and_with_what_ended_last(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    person = make.person()
    sids = []
    for _ in range(3):
        sids.append(open_one(services, person.id))
        clock.move(MINUTE)
    administration = services.session_administration
    assert [each.session.sid for each in administration.list(limit=2)] == [sids[2], sids[1]]
    for sid in (sids[1], sids[0]):
        administration.end(sid, actor="karin")
        clock.move(MINUTE)
    clock.move(IDLE)
    # The third one, which nobody ended, was over half an hour after the two.
    assert [each.session.sid for each in over(services)] == [sids[2], sids[0], sids[1]]


def test_live_session_names_its_clients_and_has_no_receipts(services: Services, make: Factories) -> None:
    sid = open_one(services, make.person().id, "rapportages", "atosi")
    shown = services.session_administration.show(sid)
    assert sorted(shown.client_ids) == ["atosi", "rapportages"] and list(shown.receipts) == []


def test_ended_session_has_a_receipt_for_each_client(services: Services, make: Factories) -> None:
    make.client("atosi", backchannel_logout_uri=BACKCHANNEL)
    make.client("rapportages")
    sid = open_one(services, make.person().id, "atosi", "rapportages")
    services.session_administration.end(sid, actor="karin")
    shown = services.session_administration.show(sid)
    assert [(each.client_id, each.tries) for each in shown.receipts] == [("atosi", 0), ("rapportages", 0)]
    assert shown.shown.reason == "ended_by_administrator"


def test_unknown_session_is_refused(services: Services) -> None:
    assert refusal(lambda: services.session_administration.show("nothing")) == "session.unknown"
    assert refusal(lambda: services.session_administration.end("nothing", actor="karin")) == "session.unknown"


# --- Ending ----------------------------------------------------------------------------------------------------------


def test_ending_a_session_is_written_with_who_did_it_and_leaves_the_others(services: Services, make: Factories) -> None:
    person = make.person()
    first, second = open_one(services, person.id), open_one(services, person.id)
    ended = services.session_administration.end(first, actor=" karin ")
    assert ended.sids == [first] and live(services) == [second]
    with services.units.reading() as unit:
        (by_hand,) = events(unit, SessionsEndedByAdministrator)
        (event,) = events(unit, SessionEnded)
    assert (by_hand.actor, by_hand.sid, by_hand.account_id, by_hand.details) == (
        "karin",
        first,
        person.id,
        {"sessions": 1},
    )
    assert (event.sid, event.details["reason"]) == (first, "ended_by_administrator")


def test_ending_twice_changes_nothing_and_writes_nothing(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    sid = open_one(services, make.person().id, "atosi")
    services.session_administration.end(sid, actor="karin")
    ended_at = clock.now()
    clock.move(MINUTE)
    again = services.session_administration.end(sid, actor="piet")
    assert (again.sids, again.told, again.untold) == ([], 0, 0)
    assert services.session_administration.show(sid).shown.over_at == ended_at
    with services.units.reading() as unit:
        assert [each.actor for each in events(unit, SessionsEndedByAdministrator)] == ["karin"]


def test_session_past_its_deadline_keeps_the_reason_that_the_clock_gave(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    person = make.person()
    sid = open_one(services, person.id)
    clock.move(IDLE)
    assert services.session_administration.end(sid, actor="karin").sids == []
    assert services.session_administration.end_all_of("10234", "anna", actor="karin").sids == []
    sweep(services.units, services.sessions)
    assert services.session_administration.show(sid).shown.reason == "idle"


def test_all_sessions_of_one_account_are_ended_and_nobody_elses(services: Services, make: Factories) -> None:
    organization = make.organization()
    anna, bram = make.account(organization, "anna"), make.account(organization, "bram")
    first, second = open_one(services, anna.id), open_one(services, anna.id)
    other = open_one(services, bram.id)
    assert services.session_administration.end_all_of("10234", "ANNA", actor="karin").sids == [first, second]
    assert live(services) == [other]
    with services.units.reading() as unit:
        (event,) = events(unit, SessionsEndedByAdministrator)
    assert (event.account_id, event.sid, event.details) == (anna.id, None, {"sessions": 2})


@pytest.mark.parametrize("actor", ["", "  ", "two\nlines", "x" * 101])
def test_whoever_ends_a_session_says_who_they_are(services: Services, make: Factories, actor: str) -> None:
    sid = open_one(services, make.person().id)
    assert refusal(lambda: services.session_administration.end(sid, actor=actor)) == "session.actor"
    assert live(services) == [sid]


def end_it(node: Node, sid: str) -> list[int]:
    def end() -> int:
        with node.world.app.app_context():
            return len(node.world.services.session_administration.end(sid, actor="karin").sids)

    return node.at_once([end, end])


def test_of_many_who_end_a_session_at_once_one_ends_it(
    services: Services, make: Factories, database_url: str, clock: FixedClock
) -> None:
    sid = open_one(services, make.person().id, "atosi")
    ended = run(end_it, [sid, sid], database_url, clock.now())
    assert sorted(number for each in ended for number in each) == [0, 0, 0, 1]
    with services.units.reading() as unit:
        assert len(events(unit, SessionsEndedByAdministrator)) == len(events(unit, SessionEnded)) == 1
