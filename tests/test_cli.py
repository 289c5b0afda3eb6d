"""The command line: what it does, what it says, its exit codes, and that no secret is asked of its arguments."""

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey
from sqlalchemy import text

from idp import schema
from idp.cli import main
from idp.store.schema import engine as plain_engine
from tests.services.ports import free_port
from tests.services.processes import DIRECT, ChildProcess

PASSWORD = "vier losse woorden hier"
CALLBACK = "http://127.0.0.1:8001/callback"


class Installation:
    """A folder in which `idp` is run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "idp.toml"

    def run(self, *arguments: str, given: str | bytes = "", **environment: str) -> Result:
        return CliRunner(env=environment).invoke(main, arguments, input=given)

    def done(self, *arguments: str, given: str | bytes = "") -> Any:
        """What the command answers in JSON; it must succeed."""
        result = self.run("--json", *arguments, given=given)
        assert result.exit_code == 0, result.stderr
        return json.loads(result.stdout)

    def refused(self, *arguments: str, code: int = 1, given: str | bytes = "") -> str:
        """What the command says on standard error; it must fail with this exit code and say nothing else."""
        result = self.run(*arguments, given=given)
        assert result.exit_code == code, result.output
        assert result.stdout == "" and "Traceback" not in result.stderr
        return result.stderr


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A folder with nothing in it, the working folder of the command."""
    for name in os.environ:
        if name.startswith("IDP_"):
            monkeypatch.delenv(name)
    # What a command puts into the environment for its children goes with the test.
    monkeypatch.setenv("IDP_CONFIG", "")
    monkeypatch.chdir(tmp_path)
    return Installation(tmp_path)


@pytest.fixture
def installation(empty: Installation) -> Installation:
    empty.done("init")
    return empty


@pytest.fixture
def linde(installation: Installation) -> Installation:
    """An installation with organisation 10234."""
    installation.done("org", "add", "10234", "--name", "De Linde", "--required-from", "2022-01-01")
    return installation


def words(message: str) -> str:
    return re.sub(r"\s+", " ", message)


# --- Setting up ------------------------------------------------------------------------------------------------------


def test_idp_alone_says_what_to_do_first(empty: Installation) -> None:
    result = empty.run()
    assert result.exit_code == 0 and "Not initialised here: run `idp init`." in result.stdout


def test_init_makes_configuration_database_and_keys_for_the_owner_alone(empty: Installation) -> None:
    made = empty.done("init", "--issuer", "https://login.example.org")
    assert (
        made["config_made"] and made["migrations_applied"] and made["keys_made"] == ["RS256", "PS256", "ES256", "EdDSA"]
    )
    for file in (empty.config, empty.folder / "idp.db"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    result = empty.run()
    assert "https://login.example.org: the database" in result.stdout and "is up to date" in result.stdout


def test_init_again_overwrites_nothing(installation: Installation) -> None:
    before = installation.config.read_text()
    kids = [key["kid"] for key in installation.done("keys", "list")]
    again = installation.done("init", "--issuer", "https://other.example.org")
    assert not again["config_made"] and again["migrations_applied"] == [] and again["keys_made"] == []
    assert installation.config.read_text() == before
    assert [key["kid"] for key in installation.done("keys", "list")] == kids


def test_init_in_another_folder_is_used_by_naming_its_configuration(empty: Installation) -> None:
    empty.done("init", "elsewhere")
    assert not empty.config.exists()
    assert len(empty.done("--config", "elsewhere/idp.toml", "keys", "list")) == 4


def test_two_installations_have_different_secret_keys(empty: Installation) -> None:
    empty.done("init", "one")
    empty.done("init", "two")
    keys = {
        re.findall('secret_key = "(.+)"', (empty.folder / name / "idp.toml").read_text())[0] for name in ("one", "two")
    }
    assert len(keys) == 2 and all(len(key) == 43 for key in keys)


def test_init_with_an_issuer_that_cannot_be_leaves_nothing(empty: Installation) -> None:
    assert "must be https" in words(empty.refused("init", "--issuer", "http://login.example.org", code=2))
    assert list(empty.folder.iterdir()) == []


def test_wrong_settings_are_told_in_words(installation: Installation) -> None:
    installation.config.write_text(installation.config.read_text() + '\nlevl = "info"\n')
    assert "unknown setting" in installation.refused("org", "list")


def test_check_of_a_complete_database_agrees(installation: Installation) -> None:
    assert installation.done("db", "check")["differences"] == []
    assert installation.done("db", "upgrade")["migrations_applied"] == []


def change_database(installation: Installation, statement: str) -> None:
    engine = plain_engine(f"sqlite:///{installation.folder / 'idp.db'}")
    with engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()


def test_check_that_finds_a_difference_has_exit_code_3(installation: Installation) -> None:
    change_database(installation, "DROP INDEX ix_sessions_live_idle")
    result = installation.run("db", "check")
    assert result.exit_code == 3
    assert result.stdout == "add index: ix_sessions_live_idle\n" and "differs from this release" in result.stderr


@pytest.mark.parametrize("command", [["org", "list"], ["serve"], ["worker"], ["keys", "list"]])
def test_command_on_a_database_without_tables_names_the_way_out(empty: Installation, command: list[str]) -> None:
    empty.done("init")
    (empty.folder / "idp.db").unlink()
    message = empty.refused(*command)
    assert "run `idp db upgrade`" in message and schema.pending(f"sqlite:///{empty.folder / 'idp.db'}")[0] in message
    assert "is empty: run `idp db upgrade`" in empty.run().stdout
    assert not (empty.folder / "idp.db").exists()


def test_database_that_cannot_be_reached_is_told_in_words(installation: Installation) -> None:
    url = f"postgresql://idp@127.0.0.1:{free_port()}/idp"
    result = installation.run("org", "list", IDP_DATABASE__URL=url)
    assert result.exit_code == 1 and "the database cannot be used: " in result.stderr
    assert "Traceback" not in result.stderr


# --- Organisations ---------------------------------------------------------------------------------------------------


def test_postponement_is_set_and_taken_away(linde: Installation) -> None:
    assert linde.done("org", "set", "10234", "--postpone-until", "2022-02-01")["postpone_until"] == "2022-02-01"
    assert linde.done("org", "set", "10234", "--postpone-until", "")["postpone_until"] is None
    assert linde.done("org", "show", "10234")["second_factor_required_from"] == "2022-01-01"


def test_what_an_organisation_may_not_be_is_one_sentence_and_exit_code_1(linde: Installation) -> None:
    message = linde.refused("org", "set", "10234", "--postpone-until", "2021-02-01")
    assert message == "idp: postpone_until (2021-02-01) lies before second_factor_required_from (2022-01-01)\n"


@pytest.mark.parametrize(
    ("option", "value"), [("--postpone-until", "1-2-2022"), ("--idle-timeout", "30"), ("--required-from", "2022-13-01")]
)
def test_value_in_a_wrong_form_is_wrong_usage(linde: Installation, option: str, value: str) -> None:
    assert f"'{value}' is not a d" in words(linde.refused("org", "set", "10234", option, value, code=2))


def test_setting_nothing_is_wrong_usage(linde: Installation) -> None:
    assert "at least one thing" in linde.refused("org", "set", "10234", code=2)


def test_timeouts_are_written_as_they_are_read(linde: Installation) -> None:
    assert linde.done("org", "set", "10234", "--idle-timeout", "1m30s")["idle_timeout"] == "1m30s"
    assert "idle_timeout                 1m30s" in linde.run("org", "show", "10234").stdout


def test_json_may_be_asked_for_after_the_command_too(linde: Installation) -> None:
    assert json.loads(linde.run("org", "list", "--json").stdout) == linde.done("org", "list")


def test_list_for_people_is_a_table(linde: Installation) -> None:
    lines = linde.run("org", "list").stdout.splitlines()
    assert lines[0].split() == ["org_code", "name", "second_factor_required_from", "postpone_until"]
    assert lines[1].split() == ["10234", "De", "Linde", "2022-01-01", "-"]


# --- Accounts --------------------------------------------------------------------------------------------------------


def add_user(installation: Installation, *options: str, given: str | bytes = "") -> Any:
    return installation.done("user", "add", "10234", "anna", *options, given=given)


@pytest.mark.parametrize("line_end", ["", "\n", "\r\n"])
def test_password_comes_on_standard_input_without_its_line_end(linde: Installation, line_end: str) -> None:
    assert add_user(linde, "--password-stdin", given=PASSWORD + line_end)["has_password"]
    assert knows_password(linde, PASSWORD)


def test_password_comes_from_a_file(linde: Installation) -> None:
    file = linde.folder / "password"
    file.write_text(PASSWORD + "\n")
    add_user(linde, "--password-file", str(file))
    assert knows_password(linde, PASSWORD)


def test_password_comes_from_the_environment(linde: Installation) -> None:
    result = linde.run("user", "add", "10234", "anna", IDP_NEW_PASSWORD=PASSWORD)
    assert result.exit_code == 0, result.stderr
    assert knows_password(linde, PASSWORD)


def knows_password(installation: Installation, password: str) -> bool:
    from idp.cli.base import State

    with State(installation.config).services() as services:
        stored = services.accounts.show("10234", "anna").account.password_hash
        return services.passwords.verify(password, stored).matches


def test_password_given_twice_is_wrong_usage(linde: Installation) -> None:
    file = linde.folder / "password"
    file.write_text(PASSWORD)
    options = ["--password-stdin", "--password-file", str(file)]
    assert "give the password once" in linde.refused("user", "add", "10234", "anna", *options, code=2)


def test_without_a_terminal_nothing_is_asked(linde: Installation) -> None:
    message = linde.refused("user", "add", "10234", "anna", code=2, given=f"{PASSWORD}\n{PASSWORD}\n")
    assert "no terminal to ask for the password" in words(message)


def test_password_that_is_no_text_is_wrong_usage(linde: Installation) -> None:
    assert "not UTF-8" in linde.refused("user", "add", "10234", "anna", "--password-stdin", code=2, given=b"\xff" * 20)


def test_weak_password_is_refused_without_being_repeated(linde: Installation) -> None:
    message = linde.refused("user", "add", "10234", "anna", "--password-stdin", given="geheim123")
    assert "too short" in message and "geheim123" not in message


def test_account_is_shown_without_its_hash_and_blocked_and_unblocked(linde: Installation) -> None:
    add_user(linde, "--without-password", "--name", "Anna de Wit", "--role", "service_desk")
    shown = linde.done("user", "show", "10234", "ANNA")
    assert shown["name"] == "Anna de Wit" and shown["role"] == "service_desk" and not shown["has_password"]
    assert shown["second_factors"] == [] and "password_hash" not in shown
    assert linde.done("user", "block", "10234", "anna")["blocked_at"]
    assert linde.done("user", "unblock", "10234", "anna")["blocked_at"] is None
    assert [each["username"] for each in linde.done("user", "list", "10234")] == ["anna"]


def test_new_password_replaces_the_old_one(linde: Installation) -> None:
    add_user(linde, "--password-stdin", given=PASSWORD)
    linde.done("user", "set-password", "10234", "anna", "--password-stdin", given="een heel ander wachtwoord")
    assert knows_password(linde, "een heel ander wachtwoord") and not knows_password(linde, PASSWORD)


def parameters(command: click.Command, path: str = "idp") -> Iterator[tuple[str, click.Parameter]]:
    for parameter in command.params:
        yield f"{path} {parameter.name}", parameter
    if isinstance(command, click.Group):
        for name, each in command.commands.items():
            yield from parameters(each, f"{path} {name}")


def test_no_argument_or_option_takes_a_secret() -> None:
    secretive = [
        (path, parameter)
        for path, parameter in parameters(main)
        if re.search("password|secret|token", path.rsplit(" ", 1)[1])
    ]
    assert len(secretive) >= 7
    for path, parameter in secretive:
        is_flag = isinstance(parameter, click.Option) and parameter.is_flag
        assert is_flag or isinstance(parameter.type, click.Path | click.Choice), path


def test_every_command_answers_in_json_and_says_what_it_does() -> None:
    def commands(group: click.Group) -> Iterator[click.Command]:
        for each in group.commands.values():
            yield from commands(each) if isinstance(each, click.Group) else [each]

    for command in commands(main):
        assert any("--json" in parameter.opts for parameter in command.params), command.name
        assert command.help, command.name


# --- Clients ---------------------------------------------------------------------------------------------------------


def test_client_secret_is_shown_once(installation: Installation) -> None:
    added = installation.done("client", "add", "Atosi", "--redirect-uri", CALLBACK, "--id", "atosi")
    assert len(added["client_secret"]) == 43
    shown = installation.done("client", "show", "atosi")
    assert "client_secret" not in shown and added["client_secret"] not in json.dumps(shown)
    assert [each["client_id"] for each in installation.done("client", "list")] == ["atosi"]


def test_client_secret_goes_to_a_new_file_of_the_owner_and_nowhere_else(installation: Installation) -> None:
    file = installation.folder / "secret"
    options = ["Atosi", "--redirect-uri", CALLBACK, "--secret-file", str(file)]
    added = installation.run("client", "add", *options)
    assert added.exit_code == 0
    secret = file.read_text()
    assert len(secret) == 43 and secret not in added.output and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "exists: name a new file" in installation.refused("client", "add", *options)
    assert file.read_text() == secret and len(installation.done("client", "list")) == 1


def test_refused_client_leaves_no_secret_file(installation: Installation) -> None:
    file = installation.folder / "secret"
    options = ["Atosi", "--redirect-uri", "http://app.example/", "--secret-file", str(file)]
    assert "https is required" in installation.refused("client", "add", *options)
    assert not file.exists()


def test_refresh_tokens_make_refreshes_count_as_activity(installation: Installation) -> None:
    options = ["Atosi", "--redirect-uri", CALLBACK, "--refresh-tokens"]
    added = installation.done("client", "add", *options)
    assert added["grant_types"] == ["authorization_code", "refresh_token"]
    assert added["session_activity"] == "token_refresh"


def test_client_of_its_own_needs_no_redirect_uri_and_grants_come_and_go_one_by_one(installation: Installation) -> None:
    options = ["Nachttaken", "--id", "nacht", "--no-sign-in", "--client-credentials", "--scope", "reports:read"]
    added = installation.done("client", "add", *options)
    assert (added["grant_types"], added["redirect_uris"]) == (["client_credentials"], [])
    assert "needs a redirect URI" in installation.refused("client", "add", "Atosi")
    server = installation.done(
        "client", "add", "Salaris", "--no-sign-in", "--resource", "urn:x:a", "--resource", "urn:x:b"
    )
    assert (server["grant_types"], server["resources"]) == ([], ["urn:x:a", "urn:x:b"])
    installation.done("client", "add", "Atosi", "--redirect-uri", CALLBACK, "--id", "atosi", "--refresh-tokens")
    assert installation.done("client", "set", "atosi", "--client-credentials")["grant_types"] == [
        "authorization_code",
        "refresh_token",
        "client_credentials",
    ]
    options = ["atosi", "--no-client-credentials", "--no-refresh-tokens", "--session-activity", "none"]
    assert installation.done("client", "set", *options)["grant_types"] == ["authorization_code"]


def test_client_is_changed_and_an_empty_text_takes_an_address_away(installation: Installation) -> None:
    installation.done("client", "add", "Atosi", "--redirect-uri", CALLBACK, "--id", "atosi", "--client-uri", CALLBACK)
    notices = CALLBACK.replace("callback", "backchannel-logout")
    options = ("--backchannel-logout-uri", notices, "--session-activity", "reported", "--client-uri", "")
    installation.done("client", "set", "atosi", *options, "--refresh-tokens")
    shown = installation.done("client", "show", "atosi")
    assert (shown["backchannel_logout_uri"], shown["session_activity"]) == (notices, "reported")
    assert (shown["client_uri"], shown["grant_types"]) == (None, ["authorization_code", "refresh_token"])
    assert (shown["redirect_uris"], shown["client_name"]) == ([CALLBACK], "Atosi")


def test_client_is_not_changed_by_what_is_wrong_or_by_nothing(installation: Installation) -> None:
    installation.done("client", "add", "Atosi", "--redirect-uri", CALLBACK, "--id", "atosi")
    wrong = ("client", "set", "atosi", "--frontchannel-logout-uri", "https://elsewhere.example/x")
    assert "the scheme, host and port of a redirect URI" in installation.refused(*wrong)
    assert installation.run("client", "set", "atosi").exit_code == 2


def test_client_authenticates_by_the_keys_of_a_file_and_later_by_those_at_an_address(
    installation: Installation,
) -> None:
    file = installation.folder / "jwks.json"
    key = ECKey.generate_key("P-256").as_dict(private=False)
    file.write_text(json.dumps({"keys": [key]}))
    options = ["Atosi", "--redirect-uri", CALLBACK, "--id", "atosi", "--auth-method", "private_key_jwt"]
    added = installation.done(
        "client", "add", *options, "--jwks", str(file), "--token-endpoint-auth-signing-alg", "ES256"
    )
    assert added["jwks"] == {"keys": [key]} and "client_secret" not in added
    address = CALLBACK.replace("callback", "jwks")
    both = ("--jwks-uri", address, "--jwks", "", "--token-endpoint-auth-signing-alg", "")
    changed = installation.done("client", "set", "atosi", *both)
    assert (changed["jwks_uri"], changed["jwks"]) == (address, None)
    assert changed["token_endpoint_auth_signing_alg"] is None
    back = installation.done("client", "set", "atosi", "--auth-method", "client_secret_jwt", "--jwks-uri", "")
    assert len(back["client_secret"]) >= 64


def test_client_gets_tokens_that_are_bound_and_later_the_rest_of_fapi2(installation: Installation) -> None:
    options = ["Atosi", "--redirect-uri", CALLBACK, "--id", "atosi", "--dpop-bound-access-tokens"]
    assert installation.done("client", "add", *options)["dpop_bound_access_tokens"]
    refused = installation.run("client", "set", "atosi", "--profile", "fapi2")
    assert refused.exit_code == 1 and "a fapi2 client uses private_key_jwt" in refused.output
    keys = ("--auth-method", "private_key_jwt", "--jwks-uri", CALLBACK.replace("callback", "jwks"))
    changed = installation.done("client", "set", "atosi", "--profile", "fapi2", "--id-token-alg", "ES256", *keys)
    assert changed["profile"] == "fapi2" and changed["require_pushed_authorization_requests"]
    unbound = installation.run("client", "set", "atosi", "--no-dpop-bound-access-tokens")
    assert unbound.exit_code == 1 and "DPoP" in unbound.output


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\xff", None])
def test_file_without_json_is_told_in_words(installation: Installation, content: bytes | None) -> None:
    file = installation.folder / "jwks.json"
    if content is not None:
        file.write_bytes(content)
    result = installation.run("client", "add", "Atosi", "--redirect-uri", CALLBACK, "--jwks", str(file))
    assert result.exit_code in (1, 2) and "jwks.json" in result.output and "Traceback" not in result.output


def test_browser_client_must_choose_how_it_tells_of_activity(installation: Installation) -> None:
    options = ["Atosi", "--redirect-uri", CALLBACK, "--type", "browser"]
    assert "must choose how it tells" in installation.refused("client", "add", *options)
    assert "client_secret" not in installation.done("client", "add", *options, "--session-activity", "reported")


# --- As processes ----------------------------------------------------------------------------------------------------


def environment(**values: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}
    root = str(Path(__file__).parents[1])
    return inherited | {"PYTHONPATH": root} | values


def test_command_as_a_process_fails_with_one_line_and_its_exit_code(installation: Installation) -> None:
    command = [sys.executable, "-m", "idp.cli", "org", "show", "99999"]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == "idp: there is no organisation '99999'\n"


def test_serve_on_a_port_that_is_taken_says_so(installation: Installation) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = installation.run("serve", IDP_SERVER__PORT=str(port))
    assert result.exit_code == 1
    assert result.stderr == f"idp: cannot listen on 127.0.0.1, port {port}: Address already in use\n"


def serving(installation: Installation, port: int) -> ChildProcess:
    values = {"IDP_ISSUER": f"http://localhost:{port}", "IDP_SERVER__PORT": str(port), "IDP_SERVER__WORKERS": "1"}
    command = [sys.executable, "-m", "idp.cli", "serve"]
    return ChildProcess(command, environment=environment(**values), folder=installation.folder)


def listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def test_serve_that_is_killed_leaves_nothing_behind(installation: Installation) -> None:
    port = free_port()
    with serving(installation, port) as server:
        server.wait_until_answers(f"http://127.0.0.1:{port}/health/ready", timeout=90)
        server.wait_for_output("the worker has started", timeout=60)
        os.kill(server.pid, signal.SIGKILL)
        server.wait_for_exit()
        end = time.monotonic() + 60
        while (listens(port) or "the worker has stopped" not in server.output()) and time.monotonic() < end:
            time.sleep(0.1)
        assert not listens(port)
        assert "the worker has stopped" in server.output()


def test_serve_answers_runs_the_worker_and_ends_in_order(installation: Installation) -> None:
    port = free_port()
    with serving(installation, port) as server:
        server.wait_until_answers(f"http://127.0.0.1:{port}/health/ready", timeout=90)
        with DIRECT.open(f"http://127.0.0.1:{port}/.well-known/openid-configuration") as answer:
            assert json.load(answer)["issuer"] == f"http://localhost:{port}"
        server.wait_for_output("the worker has started", timeout=60)
        os.kill(server.pid, signal.SIGTERM)
        assert server.wait_for_exit(timeout=60) == 0
    assert "the worker has stopped" in server.output()
    assert server.output().count("service_desk_phone is not set") == 1, "pages without a number are warned of once"


def test_worker_ends_when_its_standard_input_does(installation: Installation) -> None:
    command = [sys.executable, "-m", "idp.cli", "worker", "--until-stdin-closes"]
    ended = subprocess.run(
        command, input=b"", capture_output=True, env=environment(), cwd=installation.folder, timeout=60, check=False
    )
    assert ended.returncode == 0
    assert b"the worker has stopped" in ended.stderr
