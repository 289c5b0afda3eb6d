"""Whatever two people do in two browsers: no session and no code before everything that was due was given."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.conftest import is_long
from tests.signin.machine import Provider, machine

PATIENT = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    stateful_step_count=20,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
)
ROUNDS = 20 if is_long() else 1


def test_no_course_of_events_yields_a_code_that_was_not_earned(shared_provider: Provider) -> None:
    run_state_machine_as_test(machine(shared_provider), settings=settings(PATIENT, max_examples=10 * ROUNDS))
    assert shared_provider.codes > 10 * ROUNDS, "the machine hardly ever got to the end"


def test_no_course_of_events_yields_a_code_that_was_not_earned_on_postgresql(postgresql_provider: Provider) -> None:
    run_state_machine_as_test(machine(postgresql_provider), settings=settings(PATIENT, max_examples=5 * ROUNDS))
    assert postgresql_provider.codes > 5
