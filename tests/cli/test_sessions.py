"""`idp session`: what an administrator reads of sessions and receipts, and what ending one says."""

import json
import os
import pwd
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, get_args

import pytest
from click.testing import CliRunner
from flask import Flask
from sqlalchemy import update

from idp import create_app
from idp.cli import main
from idp.cli.sessions import REASONS
from idp.outbox.models import OutboxMessage
from idp.sessions.lifecycle import EndReason
from idp.sessions.models import Session
from idp.wiring import Services
from tests.admin.test_sessions import open_one
from tests.conftest import SECRET_KEY, dispose, make_settings
from tests.factories import Factories

BACKCHANNEL = "https://app.example/backchannel"
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)


@pytest.fixture
def running(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Flask]:
    """An installation whose commands read the same settings."""
    given = {"IDP_MODE": "test", "IDP_ISSUER": "https://login.example", "IDP_SECRET_KEY": SECRET_KEY}
    for name, value in {**given, "IDP_DATABASE__URL": database_url}.items():
        monkeypatch.setenv(name, value)
    app: Flask = create_app(make_settings(database_url))
    with app.app_context():
        yield app
    dispose(app)


@pytest.fixture
def services(running: Flask) -> Services:
    found: Services = running.extensions["idp"]
    return found


@pytest.fixture
def sid(running: Flask, services: Services) -> str:
    """Anna's session, in which Atosi takes part, which can be told, and Rapportages, which cannot."""
    make = Factories(running)
    make.client("atosi", backchannel_logout_uri=BACKCHANNEL)
    make.client("rapportages")
    return open_one(services, make.person().id, "atosi", "rapportages")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["session", *arguments])
    return result.exit_code, result.output


def told(*arguments: str) -> Any:
    code, output = run(*arguments, "--json")
    assert code == 0, output
    return json.loads(output)


def change(services: Services, which: str, **columns: Any) -> None:
    with services.units.writing() as unit:
        unit.execute(update(Session).where(Session.sid == which).values(**columns))


def end(services: Services, sid: str) -> str:
    """What ending it says."""
    code, output = run("end", "--actor", "karin", sid)
    assert code == 0, output
    return output


# --- Seeing ----------------------------------------------------------------------------------------------------------


def test_without_sessions_the_list_says_so(services: Services) -> None:
    assert run("list") == (0, "Nobody is signed in.\n")
    assert run("list", "--ended") == (0, "No session is over.\n")
    assert told("list") == []


def test_live_session_is_listed_for_people_and_for_machines(services: Services, sid: str) -> None:
    code, table = run("list")
    header, row = table.splitlines()
    assert (
        code == 0
        and header.split()[:3] == ["sid", "org_code", "username"]
        and row.split()[:3]
        == [
            sid,
            "10234",
            "anna",
        ]
    )
    (listed,) = told("list")
    assert (listed["sid"], listed["applications"], listed["level"], listed["over_at"]) == (sid, 2, 1, None)
    assert listed["opened_at"] == listed["last_activity_at"] < listed["ends_at"]


def test_session_past_its_deadline_is_never_listed_as_live_though_nothing_swept_it(
    services: Services, sid: str
) -> None:
    change(services, sid, idle_ends_at=services.clock.now() - SECOND)
    assert told("list") == []
    (listed,) = told("list", "--ended")
    assert (listed["sid"], listed["reason"], listed["over_at"]) == (sid, "idle", listed["ends_at"])
    assert [each["outcome"] for each in told("show", sid)["receipts"]] == ["waiting", "waiting"]


def test_list_is_of_one_organisation_or_person_and_refuses_unknown_ones_in_words(services: Services, sid: str) -> None:
    assert [each["sid"] for each in told("list", "--org", "10234", "--user", "anna", "--limit", "1")] == [sid]
    assert told("list", "--user", "bram") == []
    assert run("list", "--org", "10234", "--user", "bram") == (
        1,
        "idp: organisation '10234' has no account 'bram'\n",
    )


def test_live_session_is_shown_without_receipts(services: Services, sid: str) -> None:
    code, text = run("show", sid)
    assert code == 0 and text.endswith("\n\nThe session is live: nobody was told of an end.\n")
    shown = told("show", sid)
    assert shown["receipts"] == [] and sorted(shown["client_ids"]) == ["atosi", "rapportages"]


def test_receipts_are_shown_with_outcome_tries_delay_and_failure(services: Services, sid: str) -> None:
    end(services, sid)
    with services.units.writing() as unit:
        ended_at = unit.query(Session).filter_by(sid=sid).one().ended_at
        assert ended_at is not None
        delivered = ended_at + timedelta(milliseconds=1234)
        unit.execute(
            update(OutboxMessage).where(OutboxMessage.receiver == "atosi").values(delivered_at=delivered, tries=2)
        )
    receipts = {each["client_id"]: each for each in told("show", sid)["receipts"]}
    assert receipts["atosi"] == {
        "client_id": "atosi",
        "client_name": "Atosi",
        "outcome": "delivered",
        "tries": 2,
        "delay": "1s230ms",
        "failure": None,
    }
    assert (receipts["rapportages"]["outcome"], receipts["rapportages"]["delay"]) == ("no address", None)
    code, text = run("show", sid)
    assert code == 0 and re.search(r"^reason +ended_by_administrator$", text, re.M)
    assert re.search(r"^atosi +Atosi +delivered +2 +1s230ms +-$", text, re.M)


def test_delivery_by_a_clock_that_is_a_little_behind_is_shown_without_a_negative_delay(
    services: Services, sid: str
) -> None:
    end(services, sid)
    with services.units.writing() as unit:
        ended_at = unit.query(Session).filter_by(sid=sid).one().ended_at
        assert ended_at is not None
        unit.execute(update(OutboxMessage).values(delivered_at=ended_at - SECOND, failure=None))
    assert {each["delay"] for each in told("show", sid)["receipts"]} == {"0s"}


def test_session_that_nobody_knows_is_told_in_words(services: Services) -> None:
    sentence = "idp: there is no session 'abc', or it is over for more than 30 days\n"
    assert run("show", "abc") == run("end", "abc") == (1, sentence)


# --- Ending ----------------------------------------------------------------------------------------------------------


def test_ending_tells_how_many_applications_are_told(services: Services, sid: str) -> None:
    assert end(services, sid) == (
        "The session is over. 1 application is being told; 1 cannot be told: no address for it.\n"
    )
    assert told("list") == []


def test_ending_in_json_names_the_session(services: Services, sid: str) -> None:
    assert told("end", sid) == {"ended": [sid], "applications_told": 1, "applications_not_told": 1}


def test_ending_an_ended_session_says_since_when_and_why_and_is_no_error(services: Services, sid: str) -> None:
    end(services, sid)
    again = end(services, sid)
    assert re.fullmatch(r"The session is over since \S+T\S+Z: an administrator ended it\.\n", again)
    assert told("end", sid)["ended"] == []


def test_ending_a_session_past_its_deadline_says_that_nothing_happened_in_it(services: Services, sid: str) -> None:
    change(services, sid, idle_ends_at=services.clock.now() - SECOND)
    assert "nothing happened in it for too long" in end(services, sid)


def test_all_sessions_of_an_account_are_ended(running: Flask, services: Services, sid: str) -> None:
    with services.units.reading() as unit:
        account_id = unit.query(Session).filter_by(sid=sid).one().account_id
    open_one(services, account_id)
    given = ("end", "--org", "10234", "--user", "anna")
    assert run(*given) == (
        0,
        "2 sessions are over. 1 application is being told; 1 cannot be told: no address for it.\n",
    )
    assert run(*given) == (0, "The account had no live session.\n")


def test_end_is_kept_under_the_name_of_who_typed_it(services: Services, sid: str) -> None:
    run("end", sid)
    result = CliRunner().invoke(main, ["--json", "audit", "list", "--type", "sessions_ended_by_administrator"])
    (event,) = json.loads(result.output)
    assert (event["actor"], event["sid"]) == (pwd.getpwuid(os.getuid()).pw_name, sid)


@pytest.mark.parametrize("hyphens", ["-", "--", "--json"])
def test_session_whose_name_begins_with_a_hyphen_is_shown_and_ended(services: Services, sid: str, hyphens: str) -> None:
    named = hyphens + sid[: 22 - len(hyphens)]
    change(services, sid, sid=named)
    assert told("show", named)["sid"] == named
    assert end(services, named).startswith("The session is over.")


@pytest.mark.parametrize("given", [[], ["--org", "10234"], ["--user", "anna"], ["sid", "--org", "1", "--user", "a"]])
def test_ending_neither_one_nor_all_of_an_account_is_wrong_usage(services: Services, given: list[str]) -> None:
    code, output = run("end", *given)
    assert code == 2 and "give the SID of one session, or --org and --user" in output


def test_every_reason_for_an_end_has_its_words() -> None:
    assert set(REASONS) == set(get_args(EndReason))
