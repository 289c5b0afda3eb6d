"""`idp user reset` and its neighbours: what the service desk types, what it is told, and who did it."""

import os
import pwd
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from idp.accounts.identify import UNKNOWN_DEVICE
from idp.accounts.models import Account
from idp.cli.base import State
from idp.factors.models import Credential
from tests.test_cli import PASSWORD, Installation, empty, installation, linde, words  # noqa: F401 - fixtures

WHY = ("--reason", "Telefoon kwijt", "--caller-checked", "Teruggebeld")


@pytest.fixture
def desk(linde: Installation) -> Installation:  # noqa: F811 - the fixture
    """An installation with Anna, who has an authenticator app, in an organisation where postponing goes on for long."""
    linde.done("org", "set", "10234", "--postpone-until", "2022-02-01")
    options = ("--password-stdin", "--name", "Anna de Wit", "--email", "anna@voorbeeld.example")
    linde.done("user", "add", "10234", "anna", *options, given=PASSWORD)
    linde.done("user", "add", "10234", "bram", "--without-password")
    with State(linde.config).services() as services, services.units.writing() as unit:
        account_id = unit.scalars(select(Account.id).filter_by(username="anna")).one()
        unit.add(Credential(account_id=account_id, method="totp", enrolled_at=services.clock.now()))
    return linde


def show(desk: Installation, username: str = "anna") -> Any:
    return desk.done("user", "show", "10234", username)


def events(desk: Installation, kind: str) -> list[Any]:
    found: list[Any] = desk.done("audit", "list", "--type", kind)
    return found


def test_reset_is_done_told_and_kept_under_the_name_of_who_typed_it(desk: Installation) -> None:
    done = desk.done("user", "reset", "10234", "ANNA", *WHY)
    me = pwd.getpwuid(os.getuid()).pw_name
    assert done["second_factors"] == [] and done["reset_at"] and done["enrolment_open_until"] > done["reset_at"]
    assert done["state"] == [f"reset by {me}: a method can be chosen", "the reset can still be undone"]
    assert show(desk) == done
    (event,) = events(desk, "second_factor_reset")
    assert event["actor"] == me
    assert (event["details"]["reason"], event["details"]["caller_checked"]) == ("Telefoon kwijt", "Teruggebeld")


def test_reset_names_the_actor_that_is_given(desk: Installation) -> None:
    desk.done("user", "reset", "10234", "anna", *WHY, "--actor", "karin")
    assert events(desk, "second_factor_reset")[0]["actor"] == "karin"


@pytest.mark.parametrize("left_out", [0, 2])
def test_reset_without_a_reason_or_a_check_of_the_caller_is_wrong_usage(desk: Installation, left_out: int) -> None:
    given = [each for number, each in enumerate(WHY) if number not in (left_out, left_out + 1)]
    message = desk.refused("user", "reset", "10234", "anna", *given, code=2)
    assert f"Missing option '{WHY[left_out]}'" in message
    assert show(desk)["reset_at"] is None


def test_reset_with_an_empty_reason_is_refused_in_words(desk: Installation) -> None:
    message = desk.refused("user", "reset", "10234", "anna", *WHY, "--reason", " ")
    assert message == "idp: reason is needed: one line of at most 500 characters\n"


def test_reset_is_undone_once_and_then_says_why_not(desk: Installation) -> None:
    desk.done("user", "reset", "10234", "anna", *WHY)
    done = desk.done("user", "undo-reset", "10234", "anna")
    assert [each["method"] for each in done["second_factors"]] == ["totp"]
    assert done["reset_at"] is None and done["state"] == ["nothing particular"]
    assert desk.refused("user", "undo-reset", "10234", "anna") == "idp: the reset of 10234 anna is undone already\n"
    assert desk.refused("user", "undo-reset", "10234", "bram") == "idp: there was no reset of 10234 bram\n"


def test_wait_is_shown_and_lifted(desk: Installation) -> None:
    with State(desk.config).services() as services:
        for _ in range(5):
            with services.units.writing() as unit:
                services.service_desk._attempts["password"].pay(unit, "10234", "anna", UNKNOWN_DEVICE)
    waiting = show(desk)
    assert waiting["state"] == ["has to wait after wrong passwords"]
    assert [(wait["kind"], wait["method"]) for wait in waiting["waits"]] == [("password", None)]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", waiting["waits"][0]["until"])
    lifted = desk.done("user", "lift-wait", "10234", "anna", "--kind", "password")
    assert lifted["waits"] == [] and events(desk, "wait_lifted")
    message = desk.refused("user", "lift-wait", "10234", "anna", "--kind", "second-factor")
    assert message == "idp: there is no wait for the second factor of 'anna' to lift\n"


def test_kind_of_wait_has_to_be_said(desk: Installation) -> None:
    assert "Missing option '--kind'" in desk.refused("user", "lift-wait", "10234", "anna", code=2)


def test_extension_is_given_shown_and_taken_back(desk: Installation) -> None:
    with State(desk.config).services() as services:
        until = str(services.clock.now().date() + timedelta(days=40))
    given = desk.done("user", "extend", "10234", "bram", "--until", until, "--reason", "Verlof", "--actor", "karin")
    assert given["postpone_extended_until"] == until and f"extension until {until}" in given["state"]
    taken = desk.done("user", "extend", "10234", "bram", "--until", "")
    assert taken["postpone_extended_until"] is None
    assert [each["actor"] for each in events(desk, "extension_given")] == ["karin"]
    assert desk.refused("user", "extend", "10234", "bram", "--until", "") == (
        "idp: 'bram' has no extension to take back\n"
    )


@pytest.mark.parametrize(
    ("username", "options", "code", "sentence"),
    [
        ("bram", ["--until", "2022-03-01", "--reason", "Verlof"], 1, "2022-03-01 is past: today is"),
        ("bram", ["--until", "morgen", "--reason", "Verlof"], 2, "'morgen' is not a date such as 2022-02-01"),
        ("bram", ["--until", "2999-01-01"], 2, "an extension needs a --reason"),
        ("bram", ["--reason", "Verlof"], 2, "Missing option '--until'"),
        ("zoe", ["--until", "2999-01-01", "--reason", "Verlof"], 1, "organisation '10234' has no account 'zoe'"),
    ],
)
def test_extension_that_cannot_be_is_refused_in_words(
    desk: Installation, username: str, options: list[str], code: int, sentence: str
) -> None:
    assert sentence in words(desk.refused("user", "extend", "10234", username, *options, code=code))


def test_address_name_and_language_are_changed_and_cleared(desk: Installation) -> None:
    done = desk.done(
        "user", "set", "10234", "anna", "--email", "nieuw@voorbeeld.example", "--locale", "en", "--name", ""
    )
    assert (done["email"], done["email_verified"], done["locale"]) == ("nieuw@voorbeeld.example", False, "en")
    assert done["name"] is None
    change = events(desk, "account_changed")[-1]["details"]["change"]
    assert set(change.removeprefix("set ").split(", ")) == {"name", "email", "locale"}


def test_setting_nothing_is_wrong_usage_and_a_wrong_address_is_refused(desk: Installation) -> None:
    assert "give at least one thing to set" in desk.refused("user", "set", "10234", "anna", code=2)
    assert "is no e-mail address" in desk.refused("user", "set", "10234", "anna", "--email", "anna")


def test_block_keeps_reason_and_actor(desk: Installation) -> None:
    done = desk.done("user", "block", "10234", "anna", "--reason", "Uit dienst", "--actor", "karin")
    assert done["blocked_at"] and done["state"] == ["blocked"]
    event = events(desk, "account_changed")[-1]
    assert (event["actor"], event["details"]) == ("karin", {"change": "blocked", "reason": "Uit dienst"})
    assert desk.done("user", "unblock", "10234", "anna")["state"] == ["nothing particular"]


def test_show_says_for_people_what_is_particular(desk: Installation) -> None:
    desk.done("user", "reset", "10234", "bram", *WHY, "--actor", "karin")
    told = words(desk.run("user", "show", "10234", "bram").stdout)
    assert "state reset by karin: a method can be chosen, the reset can still be undone, has no password" in told
    assert "has no e-mail address: nothing is told by mail" in told
    assert "last_sign_in_at - " in told


def test_standard_claims_are_set_changed_and_taken_away(desk: Installation) -> None:
    address = '{"locality": "Utrecht", "country": "NL"}'
    given = ("birthdate=1980-02-29", "phone_number=+31 20 123 4567", "phone_number_verified=true", f"address={address}")
    done = desk.done("user", "set", "10234", "anna", *(word for each in given for word in ("--claim", each)))
    assert done["standard_claims"] == {
        "birthdate": "1980-02-29",
        "phone_number": "+31 20 123 4567",
        "phone_number_verified": True,
        "address": {"locality": "Utrecht", "country": "NL"},
    }
    # Another number is not verified.
    done = desk.done("user", "set", "10234", "anna", "--claim", "phone_number=+31 30 123 4567", "--claim", "birthdate=")
    assert set(done["standard_claims"]) == {"phone_number", "address"}


@pytest.mark.parametrize(
    "claim", ["birthdate=yesterday", "email=a@b.example", "address=[]", "address={", "birthdate", "=x"]
)
def test_claim_of_another_form_is_refused_and_nothing_changes(desk: Installation, claim: str) -> None:
    assert desk.run("user", "set", "10234", "anna", "--claim", claim).exit_code != 0
    assert show(desk)["standard_claims"] == {}
