"""`idp audit`: events are found by what is asked, and the chain is judged with exit codes for scripts."""

from typing import Any

import pytest

from idp.audit import chain
from idp.audit.events import SessionEnded
from idp.cli.base import State
from idp.kernel.secrets import DerivedKeys, random_token
from idp.wiring import Services
from tests.test_cli import Installation, change_database, empty, installation, linde  # noqa: F401 - fixtures

PASSWORD = "vier losse woorden hier"


@pytest.fixture
def busy(linde: Installation) -> Installation:  # noqa: F811 - the fixture
    """Something has happened here."""
    linde.done("user", "add", "10234", "anna", "--password-stdin", given=PASSWORD)
    linde.done("user", "add", "10234", "bram", "--without-password")
    linde.done("user", "block", "10234", "anna")
    return linde


def events(installation: Installation, *options: str) -> list[Any]:  # noqa: F811 - not the fixture
    found: list[Any] = installation.done("audit", "list", *options)
    return found


def link(installation: Installation) -> None:  # noqa: F811 - not the fixture
    with State(installation.config).services() as services:
        chain.link(services.units, services.derived_keys)


def test_events_are_listed_oldest_first_and_by_what_is_asked(busy: Installation) -> None:
    everything = events(busy)
    assert [each["id"] for each in everything] == sorted(each["id"] for each in everything)
    assert [each["type"] for each in everything][:2] == ["organization_changed", "account_changed"]
    of_anna = events(busy, "--account", "10234", "anna")
    assert {each["details"]["change"] for each in of_anna} == {"created", "blocked"}
    assert len(events(busy, "--type", "organization_changed")) == 1
    assert events(busy, "--limit", "1") == everything[-1:]
    assert events(busy, "--since", "1h") == everything
    assert events(busy, "--since", "2099-01-01") == []
    assert events(busy, "--request-code", "K7QM-3F") == []


def test_events_are_found_by_the_code_that_somebody_reads_out(busy: Installation) -> None:
    from idp.audit.trail import request_code

    with State(busy.config).services() as services:
        token = request_code.set("K7QM-3F")
        with services.units.writing() as unit:
            services.trail.record(unit, SessionEnded(reason="logout", clients=0))
        request_code.reset(token)
    assert [each["type"] for each in events(busy, "--request-code", " k7qm-3f ")] == ["session_ended"]


def test_list_for_people_says_what_happened_without_any_password(busy: Installation) -> None:
    told = busy.run("audit", "list").stdout
    assert "account_changed" in told and "change=blocked" in told and PASSWORD not in told


def test_what_cannot_be_asked_is_wrong_usage(busy: Installation) -> None:
    assert "neither a duration nor a moment" in busy.refused("audit", "list", "--since", "yesterday", code=2)
    assert "idp audit head" in busy.refused("audit", "verify", "--expect", "nothing", code=2)
    assert "nobody" in busy.refused("audit", "list", "--account", "10234", "nobody")


def test_verify_agrees_and_counts_what_is_not_linked_yet(busy: Installation) -> None:
    number = len(events(busy))
    assert busy.done("audit", "verify")["not_linked_yet"] == number
    link(busy)
    found = busy.done("audit", "verify")
    assert (found["whole"], found["not_linked_yet"], found["first_position"]) == (True, 0, 1)
    assert found["head"] == busy.done("audit", "head")["head"] == busy.run("audit", "head").stdout.strip()
    assert "every link fits" in busy.run("audit", "verify", "--expect", found["head"]).stdout


def test_verify_of_a_trail_that_was_changed_has_exit_code_3(busy: Installation) -> None:
    link(busy)
    noted = busy.done("audit", "head")["head"]
    change_database(busy, "DROP TRIGGER audit_events_are_never_changed")
    change_database(busy, "UPDATE audit_events SET details = '{}' WHERE id = 2")
    result = busy.run("audit", "verify")
    assert result.exit_code == 3
    assert "BROKEN at 2" in result.stdout and "broken at position 2" in result.stderr
    change_database(busy, "DELETE FROM audit_chain")
    assert busy.run("audit", "verify").exit_code == 0
    assert busy.run("audit", "verify", "--expect", noted).exit_code == 3


def test_links_of_an_earlier_secret_key_are_verified(busy: Installation) -> None:
    link(busy)
    text = busy.config.read_text()
    (earlier,) = [line.split('"')[1] for line in text.splitlines() if line.startswith("secret_key")]
    present = random_token()
    busy.config.write_text(text.replace(earlier, present))
    assert busy.run("audit", "verify").exit_code == 3
    busy.config.write_text(text.replace(earlier, present) + "\n")
    environment = {"IDP_PREVIOUS_SECRET_KEYS": earlier}
    result = busy.run("audit", "verify", **environment)
    assert result.exit_code == 0, result.output


def test_services_link_with_the_key_of_the_installation(services: Services) -> None:
    secret_key = services.settings.secret_key.get_secret_value()
    with services.units.writing() as unit:
        services.trail.record(unit, SessionEnded(reason="logout", clients=0))
    chain.link(services.units, services.derived_keys)
    assert chain.verify(services.units, [DerivedKeys(secret_key)]).why is None
