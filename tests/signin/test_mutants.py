"""The state machine finds what it is there to find: with any one guard of the provider removed, it fails."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from flask import g, request
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import ColumnElement

from idp.factors.totp import Totp
from idp.sessions import idle
from idp.sessions.models import Session
from idp.signin.flow import Flow
from idp.signin.looks import Looks
from idp.signin.outcomes import Browser, Look
from idp.signin.prompts import PROMPTS, Pending, next_prompt
from idp.signin.situation import Situation
from tests.conftest import is_long
from tests.signin.machine import Journeys, Provider, machine

# The same examples in each run, with the mutant and without; what is found is not made smaller.
BOUNDED = settings(
    max_examples=45 * (20 if is_long() else 1),
    stateful_step_count=20,
    derandomize=True,
    database=None,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)

Mutant = Callable[[pytest.MonkeyPatch], None]


def without(*reasons: str) -> Mutant:
    """The list of prompts, without these checks."""
    kept = tuple(
        replace(prompt, checks=tuple(check for check in prompt.checks if check.reason not in reasons))
        for prompt in PROMPTS
    )

    def mutate(patch: pytest.MonkeyPatch) -> None:
        patch.setattr("idp.signin.looks.next_prompt", partial(next_prompt, prompts=kept))

    return mutate


def door_accepts_any_prompt(patch: pytest.MonkeyPatch) -> None:
    """Page and answer take the prompt of the address for the pending one; what follows an answer is as ever."""
    look_at = Looks.at

    def obliging(looks: Looks, *about: Any) -> Look:
        look = look_at(looks, *about)
        named = (request.view_args or {}).get("prompt")
        g.looks = g.get("looks", 0) + 1
        is_before_the_answer = g.looks <= (2 if request.method == "POST" else 1)
        for prompt in PROMPTS:
            if look.pending and look.account and prompt.name == named and is_before_the_answer:
                return replace(look, pending=Pending(prompt, ("asked for",)))
        return look

    patch.setattr(Looks, "at", obliging)


def may_postpone_always(patch: pytest.MonkeyPatch) -> None:
    def always(situation: Situation) -> bool:
        return situation.person is not None and situation.person.is_postponable_today

    patch.setattr("idp.signin.checks.may_postpone", always)


def interaction_is_any_browsers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Looks, "is_bound", lambda *_: True)


def spent_proofs_count_again(patch: pytest.MonkeyPatch) -> None:
    settle = Flow._settle

    def forgetful(flow: Flow, unit: Any, interaction: Any, *rest: Any) -> Any:
        advanced = settle(flow, unit, interaction, *rest)
        interaction.session_id = None
        return advanced

    patch.setattr(Flow, "_settle", forgetful)


def finished_interaction_answers_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Flow, "_finish", lambda *_: None)


def codes_are_accepted_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Totp, "use", lambda *_: True)


def session_opens_with_the_password(patch: pytest.MonkeyPatch) -> None:
    def early(flow: Flow, unit: Any, interaction: Any, client: Any, browser: Browser) -> Any:
        live = flow._looks.live_session(unit, browser)
        look: Look = flow._looks.at(unit, interaction, client, live)
        opened = flow._spend_proofs(unit, look, live) if look.situation.proofs.password else None
        return flow._go(look, opened)

    patch.setattr(Flow, "_settle", early)


def sessions_never_go_idle(patch: pytest.MonkeyPatch) -> None:
    def endless(_now: object) -> ColumnElement[bool]:
        return Session.ended_at.is_(None)

    patch.setattr(idle, "live", endless)


MUTANTS: Mapping[str, Mutant] = {
    "a second factor is not asked for": without("unproven"),
    "enrolment before verification": without("unproven", "before_enrolment"),
    "a demanded level is not asked for": without("level"),
    "the campaign asks nobody": without("campaign"),
    "another person's session is swapped silently": without("another_account"),
    "prompt=login asks nothing": without("prompt_login"),
    "max_age asks nothing": without("max_age"),
    "select_account asks nothing": without("select_account"),
    "consent is not asked for": without("scope_not_granted", "prompt_consent"),
    "the door accepts any prompt": door_accepts_any_prompt,
    "an interaction is any browser's": interaction_is_any_browsers,
    "spent proofs count again": spent_proofs_count_again,
    "a finished interaction answers again": finished_interaction_answers_again,
    "codes are accepted again": codes_are_accepted_again,
    "the session opens with the password": session_opens_with_the_password,
    "sessions never go idle": sessions_never_go_idle,
}

# Found within a few examples, whatever else was loaded (hypothesis draws by what it has seen of the code). The others
# need luck in 45 examples; the long run has twenty times as many.
FOUND_AT_ONCE = (
    "a second factor is not asked for",
    "enrolment before verification",
    "a demanded level is not asked for",
    "the campaign asks nobody",
    "another person's session is swapped silently",
    "prompt=login asks nothing",
    "a finished interaction answers again",
    "the session opens with the password",
)
TRIED = tuple(MUTANTS) if is_long() else FOUND_AT_ONCE


def test_control_without_a_mutant_passes(shared_provider: Provider) -> None:
    before = shared_provider.codes
    run_state_machine_as_test(machine(shared_provider), settings=BOUNDED)
    assert shared_provider.codes - before > 40


@pytest.mark.parametrize("name", TRIED)
def test_machine_fails_when_a_guard_is_removed(
    shared_provider: Provider, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    MUTANTS[name](monkeypatch)
    with pytest.raises(AssertionError) as found:
        run_state_machine_as_test(machine(shared_provider), settings=BOUNDED)
    print(str(found.value).splitlines()[0])


# Guards that stand at the end of a narrow path: the machine is led there, with the guard and without.

Path = Callable[[Journeys], None]


def staff_puts_it_off(journeys: Journeys) -> None:
    journeys.people_are(kinds=("staff", "plain"))
    journeys.put_it_off(browser=0, tab=0, who=0, client_id="eigen", seconds=1)


def app_is_added_at_a_session_of_the_lower_factor(journeys: Journeys) -> None:
    journeys.people_are(kinds=("paper", "plain"))
    journeys.enrol_at_an_open_session(browser=0, tab=0, who=0, seconds=0, begins=True)


def app_is_added_at_an_old_session(journeys: Journeys) -> None:
    journeys.people_are(kinds=("plain", "plain"))
    journeys.enrol_at_an_open_session(browser=0, tab=0, who=0, seconds=310, begins=True)


@pytest.mark.parametrize(
    ("path", "mutant"),
    [
        pytest.param(staff_puts_it_off, may_postpone_always, id="everybody may postpone"),
        pytest.param(
            app_is_added_at_a_session_of_the_lower_factor,
            without("before_enrolment"),
            id="a session's factor is enough to enrol another",
        ),
        pytest.param(
            app_is_added_at_an_old_session, without("password_too_old_to_enrol"), id="an old session may enrol"
        ),
    ],
)
def test_model_objects_on_a_narrow_path_only_when_its_guard_is_removed(
    shared_provider: Provider, monkeypatch: pytest.MonkeyPatch, path: Path, mutant: Mutant
) -> None:
    path(machine(shared_provider)())
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        path(machine(shared_provider)())
