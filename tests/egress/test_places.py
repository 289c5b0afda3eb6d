"""Threads that wait for servers of clients: nobody takes the last place of those who deserve one more (A65)."""

from contextlib import ExitStack

import pytest

from idp.egress.places import Places, Standing

EVERYBODY = list(Standing)


def taken(places: Places, standing: Standing, held: ExitStack) -> int:
    """All that somebody of this standing can get, one after the other; how many."""
    number = 0
    while held.enter_context(places.one(standing)):
        number += 1
    return number


@pytest.mark.parametrize("threads", [4, 5, 6, 8, 64])
def test_each_standing_leaves_a_place_for_the_one_above_and_all_leave_a_thread(threads: int) -> None:
    places = Places(threads)
    with ExitStack() as held:
        numbers = [taken(places, standing, held) for standing in reversed(EVERYBODY)]
    assert all(number > 0 for number in numbers) and sum(numbers) == threads - 1


@pytest.mark.parametrize(("threads", "expected"), [(1, [1, 0, 0]), (2, [1, 0, 0]), (3, [1, 0, 1])])
def test_fewer_threads_leave_nothing_to_some(threads: int, expected: list[int]) -> None:
    places = Places(threads)
    with ExitStack() as held:
        assert [taken(places, standing, held) for standing in reversed(EVERYBODY)] == expected


@pytest.mark.parametrize("standing", EVERYBODY)
def test_place_is_free_again_and_who_got_none_holds_none(standing: Standing) -> None:
    places = Places(4)
    for _ in range(2):
        with ExitStack() as held:
            assert taken(places, standing, held) == {0: 3, 1: 2, 2: 1}[standing]
    with ExitStack() as held:
        assert taken(places, Standing.ADMINISTERED, held) == 3
