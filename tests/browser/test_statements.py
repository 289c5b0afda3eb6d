"""What is said to be proven in a browser names tests that exist."""

import pytest

from tests.browser import NOT_YET, STATEMENTS
from tests.test_map import ROOT, names_in


def test_each_of_the_fifty_statements_has_tests() -> None:
    assert list(STATEMENTS) == list(range(1, 51))
    assert all(STATEMENTS.values()) and NOT_YET.keys() <= STATEMENTS.keys()


@pytest.mark.parametrize("number", STATEMENTS)
def test_tests_of_a_statement_exist(number: int) -> None:
    for reference in STATEMENTS[number]:
        path, _, name = reference.partition(":")
        assert name.startswith("test_") and name in names_in(ROOT / path), reference


def test_what_is_to_hold_without_a_script_is_tried_without_one() -> None:
    for reference in STATEMENTS[37]:
        path, _, name = reference.partition(":")
        signature = (ROOT / path).read_text().partition(f"def {name}(")[2].partition("->")[0]
        assert "script: bool" in signature, reference
