"""The audit trail tells each decision of a sign-in: which rule, which prompt and why, which factor, what came of it."""

from idp.audit.events import (
    CodeIssued,
    CodeSent,
    EnrolmentPostponed,
    PasswordChecked,
    PromptDue,
    SecondFactorEnrolled,
    SessionOpened,
    SignInBegun,
)
from idp.audit.trail import AuditEvent, event_type
from tests.journeys.driver import World, acr


def told(world: World) -> list[str]:
    """The kinds of all events of sign-ins, oldest first."""
    with world.app.app_context(), world.services.units.reading() as unit:
        rows = unit.query(AuditEvent).order_by(AuditEvent.id).all()
        return [row.type for row in rows if row.interaction_id or row.sid]


def kinds(*events: type) -> list[str]:
    return [event_type(event) for event in events]


def test_sign_in_with_enrolment_by_mail_is_told_step_by_step(world: World) -> None:
    els = world.campaigner()
    visit = world.visit().identify(els).choose("email")
    visit.type_code(world.mailed_code(els))
    assert told(world) == kinds(
        SignInBegun, PasswordChecked, PromptDue, CodeSent, SecondFactorEnrolled, SessionOpened, CodeIssued
    )
    [due] = world.events(PromptDue)
    assert due.details == {
        "prompt": "enrol_second_factor",
        "reasons": ["campaign"],
        "policy": {
            "demanded_level": 1,
            "reached_level": 1,
            "must_enrol": True,
            "may_postpone": True,
            "has_been_reset": False,
            "is_staff": False,
        },
    }
    assert due.account_id == els.id


def test_postponing_is_told_with_its_end(world: World) -> None:
    world.visit().identify(world.campaigner()).postpone()
    assert event_type(EnrolmentPostponed) in told(world)


def test_demanded_level_is_told_as_the_rule_under_which_a_prompt_was_due(world: World) -> None:
    anna = world.person(totp=True)
    world.visit(acr_values=acr(3)).identify(anna)
    assert world.events(SignInBegun)[0].details["policy"] == {"demanded_level": 3, "reached_level": 0}
    [due] = world.events(PromptDue)
    assert due.details["reasons"] == ["unproven", "level"] and due.details["policy"]["demanded_level"] == 3


def test_wrong_answer_to_the_same_prompt_is_no_new_decision(world: World) -> None:
    anna = world.person(totp=True)
    visit = world.visit().identify(anna)
    for _ in range(2):
        visit.type_code(world.wrong_code(anna))
    assert len(world.events(PromptDue)) == 1
