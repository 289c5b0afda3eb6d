"""The service desk: a reset and its undoing, and the end of a wait. Who did it and why is always told."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from idp.accounts.identify import UNKNOWN_DEVICE
from idp.accounts.models import KnownDevice, Reset
from idp.admin.refusals import Refusals
from idp.attempts.budget import Attempts, Exhausted, MustWait, Paid
from idp.audit.events import Event, SecondFactorReset, SecondFactorResetUndone, WaitLifted
from idp.audit.trail import AuditEvent, events
from idp.factors.models import Credential
from idp.kernel.clock import FixedClock
from idp.kernel.errors import Refused
from idp.outbox.models import OutboxMessage
from idp.wiring import Services
from tests.admin.desk import (
    ACTOR,
    MINUTE,
    RESET,
    TICK,
    account,
    change,
    enrol,
    in_force,
    know_device,
    letters,
    reset,
    send_code,
    sessions_of,
    spent,
    undo,
)
from tests.factories import Factories
from tests.jobs.test_sweep_idle_sessions import open_sessions

WINDOW = timedelta(hours=72)
UNDO = 10 * MINUTE


def told(services: Services, kind: type[Event]) -> list[AuditEvent]:
    with services.units.reading() as unit:
        return list(events(unit, kind))


def refusal(action: Callable[[], object]) -> str:
    """The key of the reason for which it is refused."""
    with pytest.raises(Refused) as refused:
        action()
    return refused.value.message_key


# --- Reset -----------------------------------------------------------------------------------------------------------


def test_reset_withdraws_every_second_factor_and_opens_enrolment(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    organization = make.organization()
    anna, bram = make.account(organization, totp=True), make.account(organization, "bram", totp=True)
    enrol(services, anna.id, "email", disabled_at=clock.now())
    clock.move(MINUTE)
    done = reset(services)
    assert in_force(services, anna.id) == [] and in_force(services, bram.id) == ["totp"]
    with services.units.reading() as unit:
        withdrawn = unit.scalars(select(Credential).filter_by(account_id=anna.id)).all()
        assert {(each.withdrawn_at, each.withdrawn_by_reset_id) for each in withdrawn} == {(clock.now(), done.id)}
    left = account(services)
    assert (left.reset_at, left.proofs_void_before) == (clock.now(), clock.now())
    assert left.enrolment_open_until == clock.now() + WINDOW


def test_reset_leaves_what_was_withdrawn_before_to_the_reset_that_did_it(services: Services, make: Factories) -> None:
    anna = make.person(totp=True)
    first = reset(services)
    enrol(services, anna.id, "email")
    reset(services)
    with services.units.reading() as unit:
        (totp,) = unit.scalars(select(Credential).filter_by(method="totp"))
        assert totp.withdrawn_by_reset_id == first.id


def test_reset_ends_every_session_and_tells_the_applications(services: Services, make: Factories) -> None:
    anna = make.person(totp=True)
    client = make.client()
    bram = make.account(make.organization("20345"), "bram", "20345")
    open_sessions(services, anna.id, 2, client.client_id)
    open_sessions(services, bram.id)
    reset(services)
    assert sessions_of(services, anna.id) == ["credential_reset"] * 2
    assert sessions_of(services, bram.id) == [None]
    with services.units.reading() as unit:
        notices = unit.scalars(select(OutboxMessage).filter_by(kind="logout_notice")).all()
    assert [notice.receiver for notice in notices] == [client.client_id] * 2


def test_reset_takes_postponement_and_extension_and_keeps_what_they_were(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    anna = make.person()
    change(services, anna.id, last_postponed_at=clock.now(), postpone_extended_until=date(2027, 3, 1))
    done = reset(services)
    left = account(services)
    assert left.last_postponed_at is None and left.postpone_extended_until is None
    assert done.restores == {
        "last_postponed_at": clock.now().isoformat(),
        "postpone_extended_until": "2027-03-01",
        "reset_at": None,
        "enrolment_open_until": None,
    }


def test_reset_forgets_the_devices_and_spends_the_codes_of_this_person_only(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    organization = make.organization()
    anna, bram = make.account(organization), make.account(organization, "bram")
    for somebody in (anna, bram):
        know_device(services, somebody.id)
    his = send_code(services, bram.id)
    hers = [send_code(services, anna.id, purpose) for purpose in ("verification", "enrolment")]
    reset(services)
    assert spent(services) == {his: None, **dict.fromkeys(hers, clock.now())}
    with services.units.reading() as unit:
        assert list(unit.scalars(select(KnownDevice.account_id))) == [bram.id]


def test_reset_is_told_by_mail_to_the_address_of_the_account_and_to_the_one_that_was_proven(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    organization = make.organization(service_desk_phone="020 - 123 4567", service_desk_email="desk@linde.example")
    anna = make.account(organization, locale="en-GB")
    enrol(services, anna.id, "email", address="Anna.Oud@voorbeeld.example")
    reset(services)
    sent = letters(services, "second_factor_reset")
    assert [letter.to for letter in sent] == ["anna@voorbeeld.example", "Anna.Oud@voorbeeld.example"]
    assert {letter.language for letter in sent} == {"en"}
    assert sent[0].facts == {
        "brand": "Atosi",
        "organization": "De Linde",
        "phone": "020 - 123 4567",
        "reply_to": "desk@linde.example",
        "at": clock.now().isoformat(),
        "zone": "Europe/Amsterdam",
    }


def test_reset_is_told_once_to_a_mailbox_that_is_written_in_two_ways(services: Services, make: Factories) -> None:
    enrol(services, make.person().id, "email", address="Anna@Voorbeeld.example")
    reset(services)
    (letter,) = letters(services)
    assert (letter.language, letter.facts["phone"]) == ("nl", "088 - 600 6400")


def test_reset_of_somebody_without_an_address_sends_nothing(services: Services, make: Factories) -> None:
    make.person(email=None, totp=True)
    reset(services)
    assert letters(services) == []


def test_reset_is_in_the_audit_trail_with_who_why_and_how_the_caller_was_checked(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    anna = make.person(totp=True)
    done = reset(services)
    (event,) = told(services, SecondFactorReset)
    assert (event.actor, event.account_id) == ("karin", anna.id)
    assert event.details == {
        "reset_id": done.id,
        "credentials": 1,
        "enrolment_open_until": (clock.now() + WINDOW).isoformat(),
        "reason": "Telefoon kwijt",
        "caller_checked": "Teruggebeld",
    }
    assert (done.actor, done.reason, done.caller_checked) == ("karin", "Telefoon kwijt", "Teruggebeld")


@pytest.mark.parametrize("wrong", ["", "  ", "twee\nregels", "\x00", "x" * 501])
@pytest.mark.parametrize("field", ["reason", "caller_checked", "actor"])
def test_reset_without_a_line_on_why_and_by_whom_is_refused_and_changes_nothing(
    services: Services, make: Factories, field: str, wrong: str
) -> None:
    anna = make.person(totp=True)
    open_sessions(services, anna.id)
    with pytest.raises(Refusals, match=f"{field} is needed: one line"):
        services.service_desk.reset("10234", "anna", **{**RESET, field: wrong})
    assert in_force(services, anna.id) == ["totp"] and sessions_of(services, anna.id) == [None]
    assert account(services).reset_at is None and letters(services) == [] and told(services, SecondFactorReset) == []


def test_second_reset_opens_the_window_anew(services: Services, make: Factories, clock: FixedClock) -> None:
    make.person(totp=True)
    first = reset(services)
    clock.move(WINDOW + TICK)
    second = reset(services)
    assert account(services).enrolment_open_until == clock.now() + WINDOW and second.id != first.id
    with services.units.reading() as unit:
        assert len(unit.scalars(select(Reset)).all()) == 2


# --- Undo ------------------------------------------------------------------------------------------------------------


def test_undone_reset_leaves_everything_as_it_was(services: Services, make: Factories, clock: FixedClock) -> None:
    anna = make.person(totp=True)
    enrol(services, anna.id, "email", disabled_at=clock.now())
    postponed_at = clock.now()
    change(services, anna.id, last_postponed_at=postponed_at, postpone_extended_until=date(2027, 3, 1))
    reset(services)
    clock.move(UNDO - TICK)
    undone = undo(services)
    assert undone.undone_at == clock.now()
    assert in_force(services, anna.id) == ["totp", "email"]
    methods = services.accounts.show("10234", "anna").methods
    assert [(each.method, each.is_disabled) for each in methods] == [("totp", False), ("email", True)]
    left = account(services)
    assert (left.last_postponed_at, left.postpone_extended_until) == (postponed_at, date(2027, 3, 1))
    assert left.reset_at is None and left.enrolment_open_until is None


def test_reset_that_is_ten_minutes_old_stays(services: Services, make: Factories, clock: FixedClock) -> None:
    anna = make.person(totp=True)
    reset(services)
    clock.move(UNDO)
    assert refusal(lambda: undo(services)) == "service_desk.too_late"
    assert in_force(services, anna.id) == [] and told(services, SecondFactorResetUndone) == []


@pytest.mark.parametrize("disabled", [False, True])
def test_reset_stays_once_something_new_is_enrolled(
    services: Services, make: Factories, clock: FixedClock, disabled: bool
) -> None:
    anna = make.person(totp=True)
    reset(services)
    enrol(services, anna.id, "email", disabled_at=clock.now() if disabled else None)
    assert refusal(lambda: undo(services)) == "service_desk.enrolled_since"
    assert in_force(services, anna.id) == ["email"] and account(services).reset_at == clock.now()


def test_reset_is_undone_once(services: Services, make: Factories) -> None:
    make.person(totp=True)
    reset(services)
    undo(services)
    assert refusal(lambda: undo(services)) == "service_desk.undone_already"
    assert len(told(services, SecondFactorResetUndone)) == 1


def test_without_a_reset_there_is_nothing_to_undo(services: Services, make: Factories) -> None:
    organization = make.organization()
    make.account(organization, totp=True)
    make.account(organization, "bram", totp=True)
    reset(services, "bram")
    assert refusal(lambda: undo(services)) == "service_desk.no_reset"


def test_sessions_stay_ended_and_those_opened_since_end_too(services: Services, make: Factories) -> None:
    anna = make.person(totp=True)
    open_sessions(services, anna.id)
    reset(services)
    open_sessions(services, anna.id)
    undo(services)
    assert sessions_of(services, anna.id) == ["credential_reset"] * 2


def test_of_two_resets_the_newer_is_undone_and_then_the_older(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    anna = make.person(totp=True)
    first_at = clock.now()
    first = reset(services)
    clock.move(MINUTE)
    second = reset(services)
    assert undo(services).id == second.id
    left = account(services)
    assert (left.reset_at, left.enrolment_open_until) == (first_at, first_at + WINDOW) and not in_force(
        services, anna.id
    )
    assert undo(services).id == first.id
    assert account(services).reset_at is None and in_force(services, anna.id) == ["totp"]
    assert refusal(lambda: undo(services)) == "service_desk.undone_already"


def test_undo_brings_back_nothing_that_an_older_reset_with_the_same_number_withdrew(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    anna = make.person(totp=True)
    first = reset(services)
    clock.move(timedelta(days=401))
    with services.units.writing() as unit:
        # What the purge does; SQLite gives the number of the last row again.
        unit.execute(delete(Reset))
    enrol(services, anna.id, "email")
    second = reset(services)
    change_number(services, second.id, first.id)
    undo(services)
    assert in_force(services, anna.id) == ["email"]


def change_number(services: Services, of: int, to: int) -> None:
    """The reset has that number, on every database."""
    with services.units.writing() as unit:
        unit.execute(update(Reset).where(Reset.id == of).values(id=to))
        unit.execute(update(Credential).where(Credential.withdrawn_by_reset_id == of).values(withdrawn_by_reset_id=to))


def test_undone_reset_is_told_by_mail_and_in_the_audit_trail(services: Services, make: Factories) -> None:
    anna = make.person(totp=True)
    done = reset(services)
    undo(services)
    assert [letter.name for letter in letters(services)] == ["second_factor_reset", "second_factor_reset_undone"]
    (event,) = told(services, SecondFactorResetUndone)
    assert (event.actor, event.account_id) == ("karin", anna.id)
    assert event.details == {"reset_id": done.id, "credentials": 1}


def test_reset_and_undo_forgive_no_wrong_codes(services: Services, make: Factories) -> None:
    anna = make.person(totp=True)
    guess(services, attempts(services, "second_factor"), 5, str(anna.id), "totp")
    reset(services)
    undo(services)
    (wait,) = services.service_desk.show("10234", "anna").waits
    assert (wait.kind, wait.method, wait.until) == ("second_factor", "totp", services.clock.now() + MINUTE)


# --- Waits -----------------------------------------------------------------------------------------------------------


def attempts(services: Services, kind: str) -> Attempts:
    return services.service_desk._attempts[kind]  # type: ignore[index]


def guess(services: Services, budget: Attempts, number: int, *subject: str) -> list[object]:
    """So many wrong attempts, as far as they are taken."""
    payments: list[object] = []
    for _ in range(number):
        with services.units.writing() as unit:
            payments.append(budget.pay(unit, *subject))
    return payments


SUBJECTS: dict[str, Callable[[int], tuple[str, ...]]] = {
    "password": lambda _: ("10234", "anna", UNKNOWN_DEVICE),
    "second_factor": lambda account_id: (str(account_id), "totp"),
}


@pytest.mark.parametrize("kind", SUBJECTS)
def test_lifted_wait_gives_one_attempt_and_the_next_wrong_one_waits_as_long_as_it_would_have(
    services: Services, make: Factories, clock: FixedClock, kind: Any
) -> None:
    subject, budget = SUBJECTS[kind](make.person(totp=True).id), attempts(services, kind)
    assert isinstance(guess(services, budget, 6, *subject)[-1], MustWait)
    lengths = []
    for _ in range(3):
        services.service_desk.lift_wait("10234", "anna", kind=kind, **ACTOR)
        paid, refused = guess(services, budget, 2, *subject)
        assert isinstance(paid, Paid) and isinstance(refused, MustWait)
        lengths.append(refused.until - clock.now())
    assert lengths == [2 * MINUTE, 4 * MINUTE, 8 * MINUTE]


def test_lifted_wait_leaves_the_count_so_that_the_factor_is_disabled_all_the_same(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    anna, budget = make.person(totp=True), attempts(services, "second_factor")
    taken = len(guess(services, budget, 5, str(anna.id), "totp"))
    while isinstance(guess(services, budget, 1, str(anna.id), "totp")[0], MustWait):
        services.service_desk.lift_wait("10234", "anna", kind="second_factor", **ACTOR)
        assert isinstance(guess(services, budget, 1, str(anna.id), "totp")[0], Paid)
        taken += 1
    assert taken == 100
    clock.move(timedelta(days=400))
    assert isinstance(guess(services, budget, 1, str(anna.id), "totp")[0], Exhausted)


def test_wait_is_lifted_for_every_browser_that_is_known_too(services: Services, make: Factories) -> None:
    anna, budget = make.person(), attempts(services, "password")
    know_device(services, anna.id, b"\x01\x02")
    guess(services, budget, 5, "10234", "anna", "0102")
    assert len(services.service_desk.show("10234", "anna").waits) == 1
    services.service_desk.lift_wait("10234", "anna", kind="password", **ACTOR)
    assert services.service_desk.show("10234", "anna").waits == []


def test_wait_of_somebody_else_and_of_the_other_kind_stays(services: Services, make: Factories) -> None:
    organization = make.organization()
    anna, bram = make.account(organization, totp=True), make.account(organization, "bram", totp=True)
    for somebody in (anna, bram):
        guess(services, attempts(services, "second_factor"), 5, str(somebody.id), "totp")
    guess(services, attempts(services, "password"), 5, "10234", "anna", UNKNOWN_DEVICE)
    services.service_desk.lift_wait("10234", "anna", kind="second_factor", **ACTOR)
    shown = services.service_desk.show
    assert [wait.kind for wait in shown("10234", "anna").waits] == ["password"]
    assert [wait.kind for wait in shown("10234", "bram").waits] == ["second_factor"]


def test_lifted_wait_is_in_the_audit_trail(services: Services, make: Factories, clock: FixedClock) -> None:
    anna = make.person(totp=True)
    guess(services, attempts(services, "second_factor"), 5, str(anna.id), "totp")
    until = clock.now() + MINUTE
    assert services.service_desk.lift_wait("10234", "anna", kind="second_factor", **ACTOR) == until
    (event,) = told(services, WaitLifted)
    assert (event.actor, event.account_id) == ("karin", anna.id)
    assert event.details == {"kind": "second_factor", "would_have_ended_at": until.isoformat()}


@pytest.mark.parametrize("kind", SUBJECTS)
def test_wait_that_is_over_or_never_was_cannot_be_lifted(
    services: Services, make: Factories, clock: FixedClock, kind: Any
) -> None:
    subject = SUBJECTS[kind](make.person(totp=True).id)

    def lift() -> object:
        return services.service_desk.lift_wait("10234", "anna", kind=kind, **ACTOR)

    assert refusal(lift) == "service_desk.no_wait"
    guess(services, attempts(services, kind), 5, *subject)
    clock.move(MINUTE)
    assert refusal(lift) == "service_desk.no_wait"
    assert told(services, WaitLifted) == []


# --- What the desk sees ----------------------------------------------------------------------------------------------


def test_desk_sees_how_long_a_reset_can_be_undone(services: Services, make: Factories, clock: FixedClock) -> None:
    make.person(totp=True)
    assert services.service_desk.show("10234", "anna").undo_until is None
    reset(services)
    shown = services.service_desk.show("10234", "anna")
    assert shown.reset is not None and shown.reset.actor == "karin" and shown.methods == []
    assert shown.undo_until == clock.now() + UNDO
    clock.move(UNDO)
    assert services.service_desk.show("10234", "anna").undo_until is None


USES: dict[str, Callable[[Services], object]] = {
    "reset": lambda services: reset(services, "zoe"),
    "undo": lambda services: undo(services, "zoe"),
    "lift": lambda services: services.service_desk.lift_wait("10234", "zoe", kind="password", **ACTOR),
    "extend": lambda services: services.service_desk.extend(
        "10234", "zoe", until=date(2027, 3, 1), reason="Ziek", **ACTOR
    ),
    "withdraw": lambda services: services.service_desk.withdraw_extension("10234", "zoe", **ACTOR),
    "set": lambda services: services.accounts.set("10234", "zoe", name="Zoë"),
    "show": lambda services: services.service_desk.show("10234", "zoe"),
}


@pytest.mark.parametrize("use", USES)
def test_unknown_person_is_refused(services: Services, make: Factories, use: str) -> None:
    make.person()
    assert refusal(lambda: USES[use](services)) == "account.unknown"
