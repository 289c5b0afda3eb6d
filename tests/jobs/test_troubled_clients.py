"""How long a client with trouble is left alone: longer with each failure, counted once for what fails together."""

from datetime import timedelta

import pytest

from idp.jobs.troubled_clients import FAILURES_IN_A_ROW, FIRST_REST, LONGEST_REST, TroubledClients
from tests.conftest import START

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("later", [timedelta(0), FIRST_REST / 2])
def test_two_calls_that_time_out_together_are_one_failure(later: timedelta) -> None:
    troubled = TroubledClients()
    troubled.failed("app", False, START)
    troubled.failed("app", False, START + later)
    assert troubled.resting(START) == {"app": START + FIRST_REST}


def test_failure_after_a_rest_doubles_the_next_up_to_a_minute() -> None:
    troubled, now, rests = TroubledClients(), START, []
    for _ in range(6):
        troubled.failed("app", False, now)
        rests.append(troubled.resting(now)["app"] - now)
        now += rests[-1]
    assert rests == [5 * SECOND, 10 * SECOND, 20 * SECOND, 40 * SECOND, LONGEST_REST, LONGEST_REST]


def test_client_that_answers_with_failures_rests_after_five_in_a_row_also_when_they_come_together() -> None:
    troubled = TroubledClients()
    for number in range(FAILURES_IN_A_ROW):
        assert troubled.resting(START) == {}, number
        troubled.failed("app", True, START)
    assert troubled.resting(START) == {"app": START + FIRST_REST}
