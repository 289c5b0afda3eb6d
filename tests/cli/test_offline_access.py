"""`idp session offline`: which applications may come while nobody is signed in, and ending that."""

from datetime import timedelta

import pytest
from flask import Flask

from idp.consents import record
from idp.kernel.secrets import random_identifier
from idp.oidc.models import RefreshFamily
from idp.wiring import Services
from tests.cli.test_sessions import run, running, services, told
from tests.factories import Factories, Somebody

__all__ = ["running", "services"]
CLIENTS = ("atosi", "rapportages")


@pytest.fixture
def anna(running: Flask, services: Services) -> Somebody:
    """Somebody who allowed two applications to come while she is not signed in."""
    make = Factories(running)
    anna, now = make.person(), services.clock.now()
    for client_id in CLIENTS:
        make.client(client_id, scope="openid offline_access")
        with services.units.writing() as unit:
            record.grant(unit, anna.id, client_id, frozenset({"offline_access"}), now)
            unit.add(
                RefreshFamily(
                    grant_id=random_identifier(),
                    handle_hash=client_id.encode(),
                    client_id=client_id,
                    account_id=anna.id,
                    scope="openid offline_access",
                    requested_acr=[],
                    claims={},
                    level=1,
                    amr=["pwd"],
                    auth_time=now,
                    issued_at=now,
                    expires_at=now + timedelta(days=30),
                )
            )
    return anna


def test_list_shows_what_holds_and_end_ends_one_or_all(anna: Somebody) -> None:
    whose = ("--org", anna.org_code, "--user", anna.username)
    assert {row["client_id"] for row in told("offline", "list", *whose)} == set(CLIENTS)
    assert {row["username"] for row in told("offline", "list")} == {anna.username}
    assert told("offline", "end", *whose, "--client", "atosi", "--actor", "karin") == {"ended": 1}
    assert [row["client_id"] for row in told("offline", "list", *whose)] == ["rapportages"]
    assert told("offline", "end", *whose) == {"ended": 1}
    assert told("offline", "list") == []
    code, output = run("offline", "end", *whose)
    assert (code, output) == (0, "There was none.\n")


def test_unknown_names_are_told_in_words(anna: Somebody) -> None:
    for arguments, sentence in (
        (("list", "--org", "99999"), "there is no organisation"),
        (("end", "--org", anna.org_code, "--user", "nobody"), "has no account"),
        (("end", "--org", anna.org_code, "--user", anna.username, "--client", "nobody"), "there is no client"),
        (("end", "--org", anna.org_code, "--user", anna.username, "--actor", "a\nb"), "actor is one line"),
    ):
        code, output = run("offline", *arguments)
        assert code == 1 and sentence in output, output
