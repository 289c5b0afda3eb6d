"""The image and the compose file: what they promise, read from the files, and their commands, run here as processes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from idp.settings import load
from tests.services.ports import LOOPBACK, free_port, free_ports
from tests.services.postgresql import Postgresql
from tests.services.processes import ChildProcess
from tools.bootstrap import UV_VERSION

ROOT = Path(__file__).resolve().parent.parent
# Seconds, on a machine that does much else.
STARTS_WITHIN = 120.0
SECRETS = "/var/lib/idp-secrets"
ONE_SHOT = {"secrets", "people"}
# Where `idp` and `python` are, as in the image; nothing else of our environment is handed down.
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"


# --- reading the two files ---


@dataclass
class Stage:
    """One `FROM ... AS name` with its instructions."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        return [argument for found, argument in self.instructions if found == keyword]


def stages() -> dict[str, Stage]:
    text = re.sub(r"\\\n", " ", (ROOT / "Dockerfile").read_text())
    found: dict[str, Stage] = {}
    arguments: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        keyword, argument = line.strip().split(None, 1)
        if keyword == "ARG":
            name, value = argument.split("=", 1)
            arguments["${" + name + "}"] = value
        elif keyword == "FROM":
            base, _, name = argument.split()
            found[name] = Stage(name, arguments.get(base, base))
        else:
            list(found.values())[-1].instructions.append((keyword, argument))
    return found


def image(target: str) -> list[Stage]:
    """The stages that make up an image, the first one last."""
    known, chain, name = stages(), [], target
    while name in known:
        chain.append(known[name])
        name = known[name].base
    return chain


def last(target: str, keyword: str) -> str | None:
    """The instruction of this kind that is in force in an image."""
    return next((stage.all(keyword)[-1] for stage in image(target) if stage.all(keyword)), None)


def image_environment(target: str) -> dict[str, str]:
    words = [word for stage in reversed(image(target)) for line in stage.all("ENV") for word in shlex.split(line)]
    return dict(word.split("=", 1) for word in words)


def health_command(target: str) -> list[str] | None:
    """The words of the image's HEALTHCHECK."""
    written = last(target, "HEALTHCHECK")
    return json.loads(written.partition("CMD")[2]) if written else None


def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return document


SERVICES: dict[str, dict[str, Any]] = compose()["services"]
BUILT = sorted(name for name, service in SERVICES.items() if "build" in service)


def interpolated(value: str) -> str:
    """The value as compose passes it on when nothing is set outside."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value).replace("$$", "$")


def environment(service: str, secrets: Path) -> dict[str, str]:
    """What the container's process finds in its environment, with the secrets in a folder of this machine."""
    declared = {name: interpolated(value) for name, value in SERVICES[service].get("environment", {}).items()}
    inherited = image_environment(SERVICES[service]["build"]["target"])
    return {name: value.replace(SECRETS, str(secrets)) for name, value in {**inherited, **declared}.items()}


def command(service: str, secrets: Path) -> list[str]:
    words = SERVICES[service].get("command") or json.loads(last(SERVICES[service]["build"]["target"], "CMD") or "null")
    return [interpolated(word).replace(SECRETS, str(secrets)) for word in words]


# --- what the files promise ---


def test_image_is_the_provider_runs_without_root_and_says_how_it_is() -> None:
    assert list(stages())[-1] == "provider"
    assert json.loads(last("provider", "CMD") or "") == ["idp", "serve"]
    for target in ("provider", "demo"):
        assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", last(target, "USER") or "")


def test_image_is_built_from_bases_without_a_registry_and_from_locked_packages() -> None:
    assert {image(target)[-1].base for target in stages()} == {"python:3.11-slim"}
    runs = [line for stage in stages().values() for line in stage.all("RUN")]
    syncs = [line for line in runs if "uv sync" in line]
    assert syncs
    assert all("--locked" in line and "--no-dev" in line for line in syncs)
    assert [line.rpartition("uv==")[2] for line in runs if "uv==" in line] == [UV_VERSION]


def test_image_has_everything_that_the_wheel_is_made_of() -> None:
    copied = {
        source
        for argument in stages()["build"].all("COPY")
        for source in argument.split()[:-1]
        if not argument.startswith("--from")
    }
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert copied >= {*build["packages"], *build["force-include"], "pyproject.toml", "uv.lock"}
    admitted = {line[2:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!/")}
    assert copied == admitted
    assert all((ROOT / source).exists() for source in copied)


def test_demonstration_packages_are_not_in_the_image_of_the_provider() -> None:
    assert "--extra demo" in " ".join(stages()["build-demo"].all("RUN"))
    assert "--extra demo" not in " ".join(stages()["build"].all("RUN"))
    assert "--from=build " in (last("provider", "COPY") or "")


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_service_is_hardened_and_reachable_from_this_machine_only(name: str) -> None:
    service = SERVICES[name]
    if "build" in service:
        assert service["build"]["target"] in stages()
    else:
        assert re.fullmatch(r"[a-z]+:\d+", service["image"])
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", service["user"])
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port) for port in service.get("ports", []))
    assert service.get("network_mode") in (None, "none", "service:provider")


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_service_that_stays_has_a_healthcheck(name: str) -> None:
    check = SERVICES[name].get("healthcheck")
    if check is None:
        assert health_command(SERVICES[name]["build"]["target"]) is not None
        # The image's own check asks the provider's port, which in a shared network is another container's.
        assert "network_mode" not in SERVICES[name]
    else:
        assert check["test"][0] == "CMD"


def test_only_the_ports_of_the_demonstration_are_published() -> None:
    published = sorted(port for service in SERVICES.values() for port in service.get("ports", []))
    assert published == [f"127.0.0.1:{port}:{port}" for port in (8000, 8001, 8003)]


def test_no_secret_is_written_in_the_compose_file() -> None:
    declared = {
        name: interpolated(value)
        for service in SERVICES.values()
        for name, value in service.get("environment", {}).items()
    }
    suspicious = re.compile(r"SECRET|PASSWORD|DATABASE__URL")
    assert {value for name, value in declared.items() if suspicious.search(name) and not name.endswith("_FILE")} == {""}


# --- the commands, run ---


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The folder of secrets as the `secrets` service leaves it."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    make_secrets(folder)
    return folder


def make_secrets(folder: Path) -> None:
    subprocess.run([sys.executable, *command("secrets", folder)[1:]], check=True)


def test_secrets_are_made_once(secrets: Path) -> None:
    first = {path.name: path.read_text() for path in secrets.iterdir()}
    make_secrets(secrets)
    assert {path.name: path.read_text() for path in secrets.iterdir()} == first
    assert sorted(first) == ["database_password", "database_url", "demo_client_secret", "secret_key"]
    assert len(set(first.values())) == 4


@pytest.mark.parametrize("name", ["provider", "worker"])
def test_environment_of_the_service_is_a_valid_configuration(name: str, secrets: Path) -> None:
    settings = load(environ=environment(name, secrets))
    assert settings.issuer == "http://localhost:8000"
    assert settings.secret_key.get_secret_value() == (secrets / "secret_key").read_text()
    assert settings.database.url == (secrets / "database_url").read_text().replace("postgresql:", "postgresql+psycopg:")
    assert settings.mail is not None
    assert (settings.mail.host, settings.mail.port) == ("mailbox", 8025)
    assert settings.server.worker_embedded is False


def test_provider_and_worker_have_the_same_settings() -> None:
    assert SERVICES["provider"]["environment"] == SERVICES["worker"]["environment"]


def run(words: Sequence[str], variables: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """The command has ended, with nothing in its environment but these variables and PATH."""
    return subprocess.run(
        words,
        env={**variables, "PATH": PATH},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=STARTS_WITHIN,
    )


def test_image_serves_from_a_fresh_folder_and_its_healthcheck_sees_whether_it_does(tmp_path: Path) -> None:
    port = free_port()
    variables = {
        name: value.replace("/var/lib/idp", str(tmp_path)) for name, value in image_environment("provider").items()
    }
    variables |= {
        "IDP_SERVER__HOST": LOOPBACK,
        "IDP_SERVER__PORT": str(port),
        "IDP_ISSUER": f"http://localhost:{port}/inloggen",
        "IDP_SECRET_KEY": "kept by nobody but this test: 0123456789abcdef",
        "PATH": PATH,
    }
    healthcheck = health_command("provider")
    assert healthcheck is not None
    assert run(["idp", "db", "upgrade"], variables, tmp_path).returncode == 0
    assert run(healthcheck, variables, tmp_path).returncode != 0
    words = json.loads(last("provider", "CMD") or "")
    with ChildProcess(words, environment=variables, folder=tmp_path) as provider:
        provider.wait_until_answers(f"http://{LOOPBACK}:{port}/inloggen/health/ready", STARTS_WITHIN)
        assert run(healthcheck, variables, tmp_path).returncode == 0
        os.kill(provider.pid, signal.SIGTERM)
        assert provider.wait_for_exit() == 0
    assert run(healthcheck, variables, tmp_path).returncode != 0
    assert (tmp_path / "idp.db").exists()


class Stack:
    """The services of the compose file as processes of this machine, on a row of free ports from `first` on."""

    def __init__(self, secrets: Path, database_url: str) -> None:
        self._secrets = secrets
        self._first = free_ports(26)
        (secrets / "database_url").write_text(database_url)

    def url(self, port: int) -> str:
        """The address at which a service answers that has this port in the compose file."""
        return f"http://{LOOPBACK}:{self.moved(str(port))}"

    def moved(self, text: str) -> str:
        """The text with our ports in place of 8000, 8001, 8003 and 8025, and this machine for the mailbox."""
        moved = re.sub(r"\b80(00|01|03|25)\b", lambda found: str(self._first + int(found[1])), text)
        return re.sub(r"^(mailbox|0\.0\.0\.0)$", LOOPBACK, moved)

    def environment(self, name: str) -> dict[str, str]:
        found = {variable: self.moved(value) for variable, value in environment(name, self._secrets).items()}
        return {**found, "IDP_DEMO_PORT": str(self._first), "PATH": PATH}

    def process(self, name: str) -> ChildProcess:
        words = [self.moved(word) for word in command(name, self._secrets)]
        return ChildProcess(words, environment=self.environment(name), folder=self._secrets)

    def is_healthy(self, name: str) -> bool:
        """What the service's healthcheck says."""
        own = SERVICES[name].get("healthcheck")
        words = own["test"][1:] if own else health_command(SERVICES[name]["build"]["target"]) or []
        return run([self.moved(word) for word in words], self.environment(name), self._secrets).returncode == 0


@pytest.fixture
def stack(secrets: Path, postgresql: Postgresql) -> Iterator[Stack]:
    name = "composed"
    yield Stack(secrets, postgresql.create_database(name))
    postgresql.drop_database(name)


def test_services_start_in_their_order_and_lead_from_the_demo_application_to_the_login_page(stack: Stack) -> None:
    with stack.process("mailbox") as mailbox:
        mailbox.wait_until_answers(stack.url(8003), STARTS_WITHIN)
        assert stack.is_healthy("mailbox")
        with stack.process("provider") as provider:
            provider.wait_until_answers(f"{stack.url(8000)}/health/ready", STARTS_WITHIN)
            assert stack.is_healthy("provider")
            for _ in range(2):
                with stack.process("people") as people:
                    assert people.wait_for_exit(STARTS_WITHIN) == 0, people.output()
            with stack.process("worker") as worker, stack.process("demo") as demo:
                worker.wait_for_output("started", STARTS_WITHIN)
                assert stack.is_healthy("worker")
                demo.wait_until_answers(stack.url(8001), STARTS_WITHIN)
                assert stack.is_healthy("demo")

                browser = requests.Session()
                browser.trust_env = False
                page = browser.get(f"{stack.url(8001)}/login", timeout=30)
                assert page.status_code == 200
                assert page.url.startswith(stack.moved("http://localhost:8000/s/"))
                assert 'id="login-submit"' in page.text

                for process in (worker, provider):
                    os.kill(process.pid, signal.SIGTERM)
                    assert process.wait_for_exit() == 0, process.output()
                assert not stack.is_healthy("provider")
    assert not stack.is_healthy("mailbox")
