"""`idp demo` as somebody runs it: the command in a process of its own, and browsers that go through everything."""

from __future__ import annotations

import json
import os
import signal
import smtplib
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import requests

from idp.demo.provider import services_of
from idp.kernel.clock import SystemClock
from idp.settings import load
from idp.settings.groups import RegistrationSettings
from tests.demo.command import IDP, Demo, base_port, code, environment, running
from tests.live import Person
from tests.mail.letters_of_all_kinds import CODE, code_letter
from tests.services.processes import DIRECT

A_DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demonstration in a temporary folder."""
    folder = tmp_path_factory.mktemp("demo")
    with running(folder, IDP_DEMO_PORT=str(base_port())) as started:
        yield started


def descendants(pid: int) -> set[int]:
    """The processes that this one started, and those that they started."""
    found: set[int] = set()
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            found |= {child} | descendants(child)
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until_none_is_alive(pids: set[int]) -> None:
    for _ in range(200):
        if not any(map(is_alive, pids)):
            return
        time.sleep(0.1)
    raise AssertionError(f"still alive: {[pid for pid in pids if is_alive(pid)]}")


def arrived(demo: Demo, address: str) -> list[dict[str, Any]]:
    """The codes that came for this address, once there is one."""
    for _ in range(100):
        received: list[dict[str, Any]] = Person().json(f"{demo.answer['mailbox']}/api/messages")
        if found := [
            message for message in received if message["to"] == [address] and message["subject"][:6].isdigit()
        ]:
            return found
        time.sleep(0.1)
    raise AssertionError(f"no code came for {address}")


def test_one_line_of_json_says_where_everything_is_and_it_answers(demo: Demo) -> None:
    assert demo.process.output().count("\n") == 1
    assert set(demo.answer) == {"issuer", "applications", "mailbox", "config", "users"}
    assert set(demo.answer["users"]) == {"anna", "bram", "carla", "dirk", "els"}
    for url in (f"{demo.answer['issuer']}/health/ready", demo.atosi, demo.rapportages, demo.answer["mailbox"]):
        with DIRECT.open(url, timeout=10) as response:
            assert response.status == 200


def test_people_are_told_addresses_passwords_annas_key_and_how_to_stop(demo: Demo) -> None:
    told = demo.errors.read_text()
    for url in (demo.answer["issuer"], demo.atosi, demo.rapportages, demo.answer["mailbox"]):
        assert url in told
    for user in demo.answer["users"].values():
        assert user["password"] in told
    assert demo.answer["users"]["anna"]["totp_key"] in told
    assert "Ctrl-C" in told


def test_main_journey_els_chooses_the_app_and_reaches_both_applications_and_is_asked_again_the_next_day(
    tmp_path: Path,
) -> None:
    folder, port = tmp_path / "kept", str(base_port())
    with running(tmp_path, IDP_DEMO_PORT=port, IDP_DEMO_DATA=str(folder)) as demo:
        els = Person()
        page = demo.logging_in("els", els)
        page = els.submit(page, {"method": "totp"}, button="method-submit")
        key = page.element("key").text.replace(" ", "")
        page = els.submit(page, {"code": code(key)}, button="code-submit")
        assert page.url == f"{demo.atosi}/" and page.heading == "Welkom, Els Mulder"
        page = els.arrive(page.follow("other"))
        assert page.url == f"{demo.rapportages}/" and page.heading == "Welkom, Els Mulder", "nothing was asked"
        both = [els.json(f"{application}/api/session")["claims"] for application in (demo.atosi, demo.rapportages)]
        assert both[0]["sid"] == both[1]["sid"]
        assert both[0]["acr"] == f"{demo.answer['issuer']}/acr/3"
    secret_key = (folder / "idp.toml").read_text()
    with running(tmp_path, "--later", "1d", IDP_DEMO_DATA=str(folder)) as demo:
        assert demo.answer["issuer"] == f"http://localhost:{port}", "the folder remembers its ports"
        assert demo.answer["users"]["els"]["totp_key"] == key
        assert "1d ahead" in demo.errors.read_text()
        page = demo.logging_in("els", els)
        assert page.has("code-submit") and not page.has("key")
        assert els.submit(page, {"code": code(key)}, button="code-submit").has("code-submit"), "yesterday's code"
        page = els.submit(page, {"code": code(key, A_DAY)}, button="code-submit")
        assert page.heading == "Welkom, Els Mulder"
    assert (folder / "idp.toml").read_text() == secret_key
    assert (folder / "idp.toml").stat().st_mode & 0o077 == 0
    refused = subprocess.run(
        [*IDP, "demo"],
        env=environment(IDP_DEMO_PORT=str(int(port) + 1), IDP_DEMO_DATA=str(folder)),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1 and port in refused.stderr


def test_anna_is_asked_for_the_code_of_her_app(demo: Demo) -> None:
    anna = Person()
    page = demo.logging_in("anna", anna)
    assert not page.has("method-submit")
    page = anna.submit(page, {"code": code(demo.answer["users"]["anna"]["totp_key"])}, button="code-submit")
    assert page.heading == "Welkom, Anna de Wit"


def test_carla_is_reminded_and_can_postpone_again(demo: Demo) -> None:
    carla = Person()
    page = demo.logging_in("carla", carla)
    assert "U kunt nog 60 dagen zonder code inloggen" in page.text
    page = carla.submit(page, {"method": "postpone"}, button="method-submit")
    assert carla.submit(page, button="postpone-confirm").heading == "Welkom, Carla Bakker"


def test_bram_gets_a_code_in_the_mailbox_and_lands_at_the_application(demo: Demo) -> None:
    bram = Person()
    page = demo.logging_in("bram", bram)
    assert page.heading == "Vul de code uit uw e-mail in"
    [message] = arrived(demo, "bram@delinde.example")
    welcome = bram.submit(page, {"code": message["subject"].split()[0]}, button="code-submit")
    assert welcome.heading == "Welkom, Bram Jansen"


def test_dirk_is_told_to_call_the_service_desk(demo: Demo) -> None:
    page = demo.logging_in("dirk")
    assert page.status == 403 and "088 - 600 6400" in page.text


def test_mailbox_shows_what_its_smtp_server_receives(demo: Demo) -> None:
    message = EmailMessage()
    message["Subject"], message["To"] = "Goedemorgen", "bram@delinde.example"
    message.set_content("Het regent.")
    port = int(demo.answer["issuer"].rpartition(":")[2]) + 25
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as connection:
        connection.send_message(message, "els@delinde.example")
    assert "Goedemorgen" in Person().open(demo.answer["mailbox"]).text


def test_code_that_the_provider_mails_arrives_in_the_mailbox(demo: Demo) -> None:
    clock = SystemClock()
    with (
        services_of(load(Path(demo.answer["config"]), environ={}), clock) as services,
        services.units.writing() as unit,
    ):
        services.post.enqueue(unit, code_letter(to="els@delinde.example", at=clock.now()))
    found = [message for message in arrived(demo, "els@delinde.example") if message["subject"].startswith(CODE)]
    assert [message["to"] for message in found] == [["els@delinde.example"]]
    assert CODE in found[0]["text"].splitlines() and CODE in found[0]["html"]


def test_commands_work_on_the_running_demonstration(demo: Demo) -> None:
    listed = subprocess.run(
        [*IDP, "--config", demo.answer["config"], "user", "list", "--json"],
        env=environment(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    people = {row["username"]: row for row in json.loads(listed.stdout)}
    assert set(people) == set(demo.answer["users"])
    assert people["dirk"]["blocked_at"] is not None and people["carla"]["last_postponed_at"] is not None


def test_nothing_that_certification_opens_is_open_in_a_demonstration_without_it(demo: Demo) -> None:
    issuer = demo.answer["issuer"]
    assert requests.post(f"{issuer}/register", json={}, timeout=30).status_code == 404
    assert "registration_endpoint" not in Person().json(f"{issuer}/.well-known/openid-configuration")
    settings = load(Path(demo.answer["config"]), environ={})
    assert settings.registration == RegistrationSettings() and settings.trusted_proxies == ()
    with services_of(settings, SystemClock()) as services:
        assert [each.org_code for each in services.organizations.list()] == ["10234"]
        assert {each.client_id for each in services.clients.list()} == {"atosi", "rapportages"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--certification", "--host", "0.0.0.0"], "this machine alone"),  # noqa: S104 - the refused one
        (["--certification", "--host", "192.0.2.7"], "this machine alone"),
        (["--certification", "--issuer", "http://idp.example"], "must be https"),
        (["--certification", "--issuer", "https://idp.example/"], "slash"),
        (["--certification", "--issuer", 'https://idp.example"'], "HOST"),
        (["--certification", "--suite", "https://suite.example/*"], "HOST"),
        (["--issuer", "https://idp.example"], "needs --certification"),
        (["--suite", "https://suite.example"], "needs --certification"),
    ],
)
def test_certification_that_cannot_be_or_is_open_to_others_is_refused_and_leaves_nothing(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    refused = subprocess.run(
        [*IDP, "demo", *arguments],
        env=environment(IDP_DEMO_PORT=str(base_port()), IDP_DEMO_DATA=str(tmp_path / "data")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 2 and said in " ".join(refused.stderr.split()), refused.stderr
    assert not (tmp_path / "data").exists()


def test_taken_port_is_one_clear_sentence(demo: Demo, tmp_path: Path) -> None:
    port = demo.answer["issuer"].rpartition(":")[2]
    second = subprocess.run(
        [*IDP, "demo"],
        env=environment(IDP_DEMO_PORT=port, IDP_DEMO_DATA=str(tmp_path / "second")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 1 and second.stdout == ""
    assert second.stderr.count("\n") == 1 and f"Port {port} is taken" in second.stderr


def test_ctrl_c_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with running(tmp_path, IDP_DEMO_PORT=str(base_port()), TMPDIR=str(temporary)) as demo:
        folder, started = Path(demo.answer["config"]).parent, descendants(demo.process.pid)
        assert folder.parent == temporary and len(started) >= 2
        os.kill(demo.process.pid, signal.SIGINT)
        assert demo.process.wait_for_exit() == 0
        assert not any(map(is_alive, started))
        assert not folder.exists()


def test_processes_end_when_the_command_is_killed(tmp_path: Path) -> None:
    with running(tmp_path, IDP_DEMO_PORT=str(base_port()), IDP_DEMO_DATA=str(tmp_path / "kept")) as demo:
        started = descendants(demo.process.pid)
        assert len(started) >= 2
        os.kill(demo.process.pid, signal.SIGKILL)
        wait_until_none_is_alive(started)


def test_people_of_the_demonstration_are_refused_in_another_mode(tmp_path: Path) -> None:
    given = {"IDP_MODE": "development", "IDP_ISSUER": "http://localhost:8000", "IDP_SECRET_KEY": os.urandom(32).hex()}
    refused = subprocess.run(
        [*IDP, "demo", "--people-only"],
        env=environment(**given, IDP_DATABASE__URL=f"sqlite:///{tmp_path}/idp.db"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 1 and "mode demo" in refused.stderr


def test_application_alone_without_its_secret_says_what_it_needs() -> None:
    alone = subprocess.run(
        [*IDP, "demo", "--application", "atosi"], env=environment(), capture_output=True, text=True, timeout=60
    )
    assert alone.returncode == 2 and "IDP_DEMO_CLIENT_SECRET" in alone.stderr
