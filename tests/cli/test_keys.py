"""`idp keys`: what somebody who looks after the keys types, and is told."""

import os
import pwd

import pytest

from idp.oidc.keys import ALGORITHMS
from tests.test_cli import Installation, empty, installation  # noqa: F401 - fixtures


def test_keys_are_listed_rotated_and_retired(installation: Installation) -> None:  # noqa: F811 - the fixture
    first = installation.done("keys", "list")
    assert {key["alg"] for key in first} == set(ALGORITHMS)
    assert all(key["signs_until"] is None and key["published_until"] is None for key in first)
    (made,) = installation.done("keys", "rotate", "--alg", "ES256")
    (again,) = installation.done("keys", "rotate", "--alg", "ES256")
    assert again == made and made["signs_from"] > made["created_at"]
    (old,) = (key for key in installation.done("keys", "list") if key["alg"] == "ES256" and key["kid"] != made["kid"])
    assert old["signs_until"] == made["signs_from"] < old["published_until"]
    assert "signs" in installation.refused("keys", "retire", old["kid"])
    assert installation.done("keys", "retire", made["kid"]) == {
        "kid": made["kid"],
        "retired": True,
        "depended_on_it": [],
    }
    (last,) = (event for event in installation.done("audit", "list") if event["details"].get("change") == "retired")
    assert (last["type"], last["actor"]) == ("signing_key_changed", pwd.getpwuid(os.getuid()).pw_name)


def test_all_keys_rotate_when_no_algorithm_is_named(installation: Installation) -> None:  # noqa: F811
    assert [key["alg"] for key in installation.done("keys", "rotate", "--now")] == list(ALGORITHMS)


@pytest.mark.parametrize("arguments", [("rotate", "--alg", "HS256"), ("rotate", "ES256"), ("retire",)])
def test_what_is_no_key_or_algorithm_is_wrong_usage(installation: Installation, arguments: tuple[str, ...]) -> None:  # noqa: F811
    assert installation.run("keys", *arguments).exit_code == 2


def test_key_that_is_not_there_cannot_be_retired(installation: Installation) -> None:  # noqa: F811
    assert "there is no key" in installation.refused("keys", "retire", "x")
