"""The canary sings: a test in which a secret is written down is red, whatever it was about to prove."""

import logging
import os
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import pytest

from tests import canary
from tests.attacks.parallel import Node, ParallelFailed, run
from tests.conftest import START
from tests.factories import PASSWORD

ROOT = Path(__file__).resolve().parent.parent

LEAKING = """
import logging

import pytest
from sqlalchemy import update

from idp.audit.events import SessionEnded
from idp.outbox.models import OutboxMessage
from tests import canary
from tests.attacks.world import World
from tests.factories import PASSWORD

log = logging.getLogger("idp.some.module")
once = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
both = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def world(app, clock):
    return World(app, clock)


@once
def test_that_tells_nothing(world):
    client, anna = world.make.client(), world.make.person(totp=True)
    world.tokens(client, anna)
    log.debug("anna signed in")


@once
def test_password_of_a_factory(world):
    world.make.person()
    log.debug("the password is %s", PASSWORD)


@once
def test_password_that_was_mistyped(world):
    client, browser = world.make.client(), world.browser()
    page = browser.begin(client)
    browser.submit(page, organisation="10234", username="anna", password="een heel ander geheim")
    log.info("wrong", extra={"typed": "een heel ander geheim"})


@once
def test_code_of_an_app(world):
    code = world.code(world.make.person(totp=True))
    log.warning("typed: %s.", code)


@once
def test_cookie_in_a_traceback(world):
    browser, _ = world.sign_in(world.make.client(), world.make.person())
    try:
        raise ValueError(browser.session)
    except ValueError:
        log.exception("failed")


@once
def test_token_in_an_address(world):
    tokens = world.tokens(world.make.client(), world.make.person())
    log.info("GET /end_session?id_token_hint=%s", tokens["id_token"])


@once
def test_secret_of_a_client(world):
    log.info("client %r", world.make.client().secret)


@both
def test_audit_trail(world):
    world.make.person()
    with world.writing() as unit:
        world.services.trail.record(unit, SessionEnded(reason=PASSWORD, clients=0))


@both
def test_outbox(world):
    secret, now = world.make.client().secret, world.clock.now()
    with world.writing() as unit:
        unit.add(OutboxMessage(kind="mail", receiver="x", payload={"s": [secret]}, created_at=now, next_try_at=now))
"""


def test_every_kind_of_leak_makes_its_test_red(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_leaking.py").write_text(LEAKING)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-rA", "--tb=short", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    lines = run.stdout.splitlines()
    told = {line.split("::")[1].split(" ")[0] for line in lines if line.startswith("ERROR ") and "::" in line}
    assert told == {
        "test_password_of_a_factory[sqlite]",
        "test_password_that_was_mistyped[sqlite]",
        "test_code_of_an_app[sqlite]",
        "test_cookie_in_a_traceback[sqlite]",
        "test_token_in_an_address[sqlite]",
        "test_secret_of_a_client[sqlite]",
        "test_audit_trail[sqlite]",
        "test_audit_trail[postgresql]",
        "test_outbox[sqlite]",
        "test_outbox[postgresql]",
    }, run.stdout[-3000:]
    assert "SecretTold" in run.stdout and "12 passed" not in run.stdout and "11 passed, 10 errors" in run.stdout


@pytest.mark.parametrize(
    "written",
    [
        "een lang geheim, met spaties & tekens",
        "een%20lang%20geheim%2C%20met%20spaties%20%26%20tekens",
        "een+lang+geheim%2C+met+spaties+%26+tekens",
    ],
)
def test_secret_is_found_as_it_is_and_as_a_url_writes_it(written: str) -> None:
    canary.knows("een lang geheim, met spaties & tekens")
    assert canary.found_in(f"before {written} after") == ["een lang geheim, met spaties & tekens"]


def test_code_is_found_as_a_word_and_not_within_a_time_or_a_longer_number() -> None:
    canary.knows("123456")
    assert canary.found_in("code=123456&") == ["123456"]
    assert canary.found_in("at 12:00:00.123456 by 91234567") == []


def test_codes_of_a_mail_become_known() -> None:
    message = EmailMessage()
    message["Subject"] = "Uw inlogcode is 654 321"
    message.set_content("Uw code: 123456. Bel 088 - 600 6400.")
    canary.knows_mail(message)
    assert canary.found_in("654321 123456 600640") == ["123456", "654321"]


def test_short_words_are_no_secrets() -> None:
    canary.knows("wrong", "", None)
    assert canary.found_in("wrong") == []


def test_what_a_process_printed_is_compared_with_the_secrets_of_all_tests_so_far() -> None:
    canary.knows("something that only anna knows")
    with pytest.raises(canary.SecretTold, match="what it printed"):
        canary.look_at("1\n2 something that only anna knows\n3", "what it printed")
    canary.look_at("nothing", "what it printed")


def test_debug_messages_are_heard_too(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("idp.web").debug("heard")
    assert "heard" in caplog.text


def tell_a_password(node: Node, _given: None) -> None:
    node.world.make.person(username=f"anna{node.number}")
    logging.getLogger("idp.web").debug("typed: %s", PASSWORD)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_processes_of_an_attack_are_listened_to_as_well(database_url: str) -> None:
    with pytest.raises(ParallelFailed, match="SecretTold"):
        run(tell_a_password, [None], database_url, START)
