"""Settings: where values come from, what is refused, and that everything wrong is said at once."""

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from idp.kernel.errors import Misconfigured
from idp.kernel.resources import folder
from idp.settings import (
    DEFAULT_ORIGIN,
    LEAVES,
    Settings,
    explain,
    format_duration,
    key_id,
    load,
    parse_duration,
    schema,
)

KEY = "k9Qv3nXz7LmP2wRt8BdF5hJc1GyS6aUe"
OTHER_KEY = "Zx4Vb8Nm2Qw6Er1Ty5Ui9Op3As7Df0Gh"
NEEDED = {"IDP_ISSUER": "https://login.example.org", "IDP_SECRET_KEY": KEY}


def problems_of(environ: Mapping[str, str], config: Path | None = None) -> list[str]:
    with pytest.raises(Misconfigured) as caught:
        load(config, environ)
    return list(caught.value.problems)


def only_problem(**environ: str) -> str:
    (problem,) = problems_of({**NEEDED, **environ})
    return problem


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "idp.toml"
    path.write_text('issuer = "https://file.example.org"\n[session]\nidle_timeout = "20m"\n')
    return path


# --- Order of the sources


def test_issuer_and_key_are_enough_for_production() -> None:
    settings = load(environ=NEEDED)
    assert settings.mode == "production"
    assert settings.issuer == "https://login.example.org"
    assert settings.session.idle_timeout == timedelta(minutes=30)
    assert settings.mail is None


def test_environment_wins_over_the_file_that_a_variable_names_and_that_over_the_configuration(
    tmp_path: Path, config: Path
) -> None:
    config.write_text(f'issuer = "https://file.example.org"\nsecret_key = "{KEY}"\n')
    secret = tmp_path / "secret"
    secret.write_text(OTHER_KEY + "\n")
    third = KEY[::-1]

    def used(**environ: str) -> str:
        return load(config, environ).secret_key.get_secret_value()

    assert used() == KEY
    assert used(IDP_SECRET_KEY_FILE=str(secret)) == OTHER_KEY
    assert used(IDP_SECRET_KEY_FILE=str(secret), IDP_SECRET_KEY=third) == third


def test_environment_wins_over_configuration_and_that_over_the_defaults(config: Path) -> None:
    environ = {"IDP_SECRET_KEY": KEY}
    assert load(config, environ).session.idle_timeout == timedelta(minutes=20)
    assert load(config, environ).issuer == "https://file.example.org"
    assert load(config, {**environ, "IDP_SESSION__IDLE_TIMEOUT": "10m"}).session.idle_timeout == timedelta(minutes=10)
    assert load(config, environ).session.absolute_timeout == timedelta(hours=12)


def test_origin_names_variable_file_and_defaults(config: Path) -> None:
    settings = load(config, {"IDP_SECRET_KEY": KEY, "IDP_MAIL__HOST": "mail", "IDP_MAIL__SENDER": "a@example.org"})
    assert settings.origin("secret_key") == "IDP_SECRET_KEY in the environment"
    assert settings.origin("session.idle_timeout") == str(config)
    assert settings.origin("server.port").endswith("default.toml")
    assert settings.origin("mail.port") == DEFAULT_ORIGIN


def test_configuration_file_named_in_the_environment_is_read(config: Path) -> None:
    assert load(environ={"IDP_CONFIG": str(config), "IDP_SECRET_KEY": KEY}).issuer == "https://file.example.org"


def test_empty_variable_counts_as_not_set(config: Path) -> None:
    environ = {"IDP_SECRET_KEY": KEY, "IDP_SESSION__IDLE_TIMEOUT": "", "IDP_MAIL__HOST": ""}
    settings = load(config, environ)
    assert settings.session.idle_timeout == timedelta(minutes=20)
    assert settings.mail is None


def test_process_environment_is_the_default_source(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**NEEDED, "IDP_SERVER__PORT": "8123"}.items():
        monkeypatch.setenv(name, value)
    assert load().server.port == 8123


def test_building_settings_directly_reads_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDP_BRAND_NAME", "Elsewhere")
    monkeypatch.setenv("BRAND_NAME", "Elsewhere")
    assert Settings(issuer="https://login.example.org", secret_key=SecretStr(KEY)).brand_name == "Inloggen"


def test_every_kind_of_value_is_read_from_the_environment() -> None:
    settings = load(
        environ={
            **NEEDED,
            "IDP_SERVER__WORKER_EMBEDDED": "false",
            "IDP_SERVER__THREADS": "4",
            "IDP_TRUSTED_PROXIES": "10.0.0.0/8, 2001:db8::/32",
            "IDP_PREVIOUS_SECRET_KEYS": json.dumps([OTHER_KEY]),
            "IDP_LOG__LEVEL": "WARNING",
            "IDP_TOKENS__REFRESH_ROTATION_GRACE": "PT45S",
        }
    )
    assert settings.server.worker_embedded is False
    assert settings.server.threads == 4
    assert [str(network) for network in settings.trusted_proxies] == ["10.0.0.0/8", "2001:db8::/32"]
    assert [key.get_secret_value() for key in settings.previous_secret_keys] == [OTHER_KEY]
    assert settings.log.level == "warning"
    assert settings.tokens.refresh_rotation_grace == timedelta(seconds=45)


def test_variables_of_the_demo_the_tests_and_kubernetes_are_not_settings() -> None:
    foreign = {
        "IDP_DEMO_PORT": "9000",
        "IDP_TEST_DATABASE": "x",
        "IDP_SERVICE_HOST": "10.1.2.3",
        "IDP_SERVICE_PORT_HTTP": "8000",
        "IDP_PORT": "tcp://10.1.2.3:8000",
        "IDP_PORT_8000_TCP_ADDR": "10.1.2.3",
    }
    assert load(environ={**NEEDED, **foreign}).server.port == 8000


def test_log_variable_chooses_the_format_for_people() -> None:
    assert load(environ={**NEEDED, "IDP_LOG": "console"}).log.format == "console"
    assert only_problem(IDP_LOG="pretty").startswith("log.format (IDP_LOG in the environment)")


def test_secret_files_hold_database_url_mail_password_and_earlier_keys(tmp_path: Path) -> None:
    for name, content in (("db", "postgres://u:p@db/idp\n"), ("mail", "s3cret\n"), ("keys", f"{OTHER_KEY}\n")):
        (tmp_path / name).write_text(content)
    settings = load(
        environ={
            **NEEDED,
            "IDP_DATABASE__URL_FILE": str(tmp_path / "db"),
            "IDP_MAIL__PASSWORD_FILE": str(tmp_path / "mail"),
            "IDP_PREVIOUS_SECRET_KEYS_FILE": str(tmp_path / "keys"),
            "IDP_MAIL__HOST": "mail.example.org",
            "IDP_MAIL__USERNAME": "idp",
            "IDP_MAIL__SENDER": "Inloggen <no-reply@example.org>",
        }
    )
    assert settings.database.url == "postgresql+psycopg://u:p@db/idp"
    assert settings.mail is not None and settings.mail.password is not None
    assert settings.mail.password.get_secret_value() == "s3cret"
    assert list(settings.secret_keys) == [key_id(SecretStr(KEY)), key_id(SecretStr(OTHER_KEY))]


def test_unreadable_secret_file_is_one_problem_that_names_variable_and_path() -> None:
    (problem,) = problems_of({"IDP_ISSUER": "https://login.example.org", "IDP_SECRET_KEY_FILE": "/nowhere/key"})
    assert problem.startswith("secret_key (IDP_SECRET_KEY_FILE in the environment)")
    assert "/nowhere/key" in problem


def test_file_variable_of_a_setting_that_is_no_secret_is_refused() -> None:
    assert "did you mean `brand_name`?" in only_problem(IDP_BRAND_NAME_FILE="/etc/name")


# --- What is refused


def test_all_problems_are_told_at_once_with_setting_source_and_what_is_allowed(tmp_path: Path) -> None:
    config = tmp_path / "idp.toml"
    config.write_text(
        'mode = "staging"\n[session]\nidle_timout = "5m"\nabsolute_timeout = "10m"\n[server]\nport = 99999\n'
    )
    environ = {"IDP_TOKENS__ACCESS_TOKEN_LIFETIME": "300", "IDP_SECOND_FACTOR__WAIT_LONGEST": "1s", "IDP_TYPO": "x"}
    found = problems_of(environ, config)
    expected = [
        f"unknown setting `session.idle_timout`: did you mean `session.idle_timeout`? ({config})",
        "unknown setting `typo`",
        f"mode ({config}): 'staging' .*allowed: one of production, development, demo, test",
        "issuer: is not set; .*IDP_ISSUER",
        "secret_key: is not set; .*IDP_SECRET_KEY or IDP_SECRET_KEY_FILE",
        f"server.port ({config}): 99999 .*allowed: a whole number, at least 1, at most 65535",
        "tokens.access_token_lifetime (IDP_TOKENS__ACCESS_TOKEN_LIFETIME in .*): '300' has no unit.*at most 1h",
        f"session.absolute_timeout ({config}): 10m is shorter than `session.idle_timeout` (30m)",
        "second_factor.wait_longest (IDP_SECOND_FACTOR__WAIT_LONGEST in the environment): 1s is shorter",
    ]
    for line in expected:
        pattern = ".*".join(re.escape(part) for part in line.split(".*"))
        assert any(re.match(pattern, problem) for problem in found), f"{line} is not in {found}"
    assert len(found) == len(expected)


@pytest.mark.parametrize(
    ("variable", "nearest"),
    [
        ("IDP_SESSION__IDLE_TIMOUT", "session.idle_timeout"),
        ("IDP_SESSION_IDLE_TIMEOUT", "session.idle_timeout"),
        ("IDP_SESION__IDLE_TIMEOUT", "session.idle_timeout"),
        ("IDP_SERVER__ISSUER", "issuer"),
        ("IDP_DATABASE_URL", "database.url"),
        ("IDP_IDLE_TIMEOUT", "session.idle_timeout"),
    ],
)
def test_unknown_variable_is_refused_with_the_nearest_setting(variable: str, nearest: str) -> None:
    problem = only_problem(**{variable: "1"})
    assert f"did you mean `{nearest}`?" in problem
    assert f"({variable} in the environment)" in problem


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        (
            '[sesion]\nidle_timeout = "5m"',
            "unknown setting `sesion.idle_timeout`: did you mean `session.idle_timeout`?",
        ),
        ("session = 5", "session ({path}): is a table"),
        ("[nonsense]", "unknown setting `nonsense`"),
        ("issuer = ", "{path}: is not TOML"),
        ('[issuer]\nurl = "x"', "issuer ({path}): "),
    ],
)
def test_file_that_does_not_fit_is_refused(tmp_path: Path, toml: str, said: str) -> None:
    path = tmp_path / "idp.toml"
    path.write_text(toml)
    environ = {name: value for name, value in NEEDED.items() if name != "IDP_ISSUER" or "[issuer]" not in toml}
    (problem,) = problems_of(environ, path)
    assert problem.startswith(said.format(path=path))


def test_missing_configuration_file_is_refused(tmp_path: Path) -> None:
    (problem,) = problems_of(NEEDED, tmp_path / "none.toml")
    assert problem.startswith(f"{tmp_path / 'none.toml'}: cannot be read")


@pytest.mark.parametrize(
    "issuer",
    [
        "https://login.example.org",
        "https://login.example.org:8443/realms/a",
        "http://localhost:8000",
        "http://idp.localhost:8000",
        "http://127.0.0.2:8000",
        "http://[::1]:8000/idp",
    ],
)
def test_good_issuer_is_kept_as_it_is_written(issuer: str) -> None:
    assert load(environ={**NEEDED, "IDP_ISSUER": issuer}).issuer == issuer


@pytest.mark.parametrize(
    "issuer",
    [
        "http://login.example.org",
        "http://localhost.example.org",
        "https://login.example.org/",
        "https://login.example.org/a/",
        "https://login.example.org/a//b",
        "https://login.example.org/../a",
        "https://login.example.org?x=1",
        "https://login.example.org?",
        "https://login.example.org#f",
        "https://user@login.example.org",
        "https://login.example.org:99999",
        "https:login.example.org",
        "login.example.org",
        "https://",
        "https://inlöggen.example.org",
        "https://login.example.org\n",
    ],
)
def test_bad_issuer_is_refused(issuer: str) -> None:
    assert only_problem(IDP_ISSUER=issuer).startswith("issuer (IDP_ISSUER in the environment)")


@pytest.mark.parametrize(
    "key",
    [
        "tooShort-q7",
        "a" * 64,
        "changeme" * 4,
        "1234567890" * 4,
        "abcdefghijklmnopqrstuvwxyzabcdefgh",
        "01" * 8 + "10" * 8,
    ],
)
def test_secret_key_that_is_not_random_is_refused_and_not_quoted(key: str) -> None:
    problem = only_problem(IDP_SECRET_KEY=key)
    assert problem.startswith("secret_key (IDP_SECRET_KEY in the environment)")
    assert key not in problem


@examples(deadline=None)
@given(st.binary(min_size=16, max_size=16).filter(lambda octets: len(set(octets)) > 12))
def test_secret_key_of_random_hexadecimal_digits_is_accepted(octets: bytes) -> None:
    assert load(environ={**NEEDED, "IDP_SECRET_KEY": octets.hex()}).secret_key.get_secret_value() == octets.hex()


@pytest.mark.parametrize("mode", ["demo", "test"])
def test_demo_and_test_make_up_a_key_of_their_own(mode: str) -> None:
    environ = {"IDP_MODE": mode, "IDP_ISSUER": "http://localhost:8000"}
    first, second = load(environ=environ), load(environ=environ)
    assert first.secret_key != second.secret_key
    assert load(environ={**environ, "IDP_SECRET_KEY": KEY}).secret_key.get_secret_value() == KEY


def test_production_and_development_make_up_no_key() -> None:
    for mode in ("production", "development"):
        (problem,) = problems_of({"IDP_MODE": mode, "IDP_ISSUER": "http://localhost:8000"})
        assert problem.startswith("secret_key: is not set")


def test_key_that_is_present_and_earlier_at_once_is_refused() -> None:
    assert only_problem(IDP_PREVIOUS_SECRET_KEYS=KEY).startswith("previous_secret_keys ")


@pytest.mark.parametrize(
    ("variable", "weak"),
    [("IDP_PASSWORDS__TIME_COST", "1"), ("IDP_PASSWORDS__MEMORY_KIB", "19455"), ("IDP_PASSWORDS__MEMORY_KIB", "8")],
)
def test_weaker_hashing_is_refused_except_in_test(variable: str, weak: str) -> None:
    for mode in ("production", "development", "demo"):
        problem = only_problem(IDP_MODE=mode, **{variable: weak})
        assert "weaker than the default" in problem
    assert load(environ={**NEEDED, "IDP_MODE": "test", variable: weak}).mode == "test"


def test_weaker_hashing_is_refused_when_settings_are_built_directly() -> None:
    values: dict[str, Any] = {"issuer": "https://login.example.org", "secret_key": KEY, "passwords": {"time_cost": 1}}
    with pytest.raises(ValidationError, match="weaker than the default"):
        Settings.model_validate(values)
    assert Settings.model_validate({**values, "mode": "test"}).passwords.time_cost == 1


@pytest.mark.parametrize(
    ("environ", "refused"),
    [
        ({"IDP_SESSION__ABSOLUTE_TIMEOUT": "29m59s"}, "session.absolute_timeout"),
        ({"IDP_SIGN_IN__REQUEST_LIFETIME": "10m"}, "sign_in.request_lifetime"),
        (
            {"IDP_SECOND_FACTOR__WAIT_FIRST": "1h", "IDP_SECOND_FACTOR__WAIT_LONGEST": "59m"},
            "second_factor.wait_longest",
        ),
        (
            {"IDP_PASSWORDS__MINIMUM_LENGTH": "9", "IDP_PASSWORDS__MINIMUM_LENGTH_WITH_SECOND_FACTOR": "10"},
            "passwords.minimum_length",
        ),
        ({"IDP_SERVER__THREADS": "6"}, "database.pool_size"),
        ({"IDP_REGISTRATION__MODE": "open"}, "server.threads"),
        ({"IDP_REGISTRATION__MODE": "open", "IDP_SERVER__THREADS": "3"}, "server.threads"),
        ({"IDP_REGISTRATION__MODE": "token", "IDP_SERVER__THREADS": "2"}, "server.threads"),
        ({"IDP_PASSWORDS__MINIMUM_LENGTH": "7"}, "passwords.minimum_length"),
        ({"IDP_TOKENS__AUTHORIZATION_CODE_LIFETIME": "10m1s"}, "tokens.authorization_code_lifetime"),
        ({"IDP_SESSION__IDLE_TIMEOUT": "0s"}, "session.idle_timeout"),
        ({"IDP_SECOND_FACTOR__DISABLE_AFTER": "101"}, "second_factor.disable_after"),
        ({"IDP_BRAND_NAME": "Inloggen: hier"}, "brand_name"),
        ({"IDP_BRAND_NAME": "x" * 61}, "brand_name"),
        ({"IDP_TRUSTED_PROXIES": "10.0.0.1/8"}, "trusted_proxies"),
        ({"IDP_TRUSTED_PROXIES": "0.0.0.0/0"}, "trusted_proxies"),
        ({"IDP_TRUSTED_PROXIES": "[1"}, "trusted_proxies"),
        ({"IDP_DEFAULT_LANGUAGE": "fr"}, "default_language"),
        ({"IDP_EGRESS__ALLOW_LOOPBACK": "perhaps"}, "egress.allow_loopback"),
    ],
)
def test_value_that_is_not_allowed_is_refused(environ: dict[str, str], refused: str) -> None:
    problem = only_problem(**environ)
    assert problem.startswith(f"{refused} ")
    assert "allowed: " in problem


def test_equal_timeouts_are_allowed() -> None:
    environ = {**NEEDED, "IDP_SESSION__IDLE_TIMEOUT": "1h", "IDP_SESSION__ABSOLUTE_TIMEOUT": "60m"}
    assert load(environ=environ).session.absolute_timeout == timedelta(hours=1)


# --- Database and mail


@pytest.mark.parametrize(
    ("written", "used"),
    [
        ("postgres://u:p%40@db:5433/idp?sslmode=require", "postgresql+psycopg://u:p%40@db:5433/idp?sslmode=require"),
        ("postgresql://db/idp", "postgresql+psycopg://db/idp"),
        ("postgresql+psycopg://db/idp", "postgresql+psycopg://db/idp"),
        ("sqlite:////var/lib/idp/idp.db", "sqlite:////var/lib/idp/idp.db"),
    ],
)
def test_database_url_is_brought_into_one_form(written: str, used: str) -> None:
    assert load(environ={**NEEDED, "IDP_DATABASE__URL": written}).database.url == used


def test_relative_database_path_starts_at_the_folder_of_the_configuration_file(config: Path) -> None:
    assert load(config, {"IDP_SECRET_KEY": KEY}).database.url == f"sqlite:///{config.parent}/idp.db"
    environ = {"IDP_SECRET_KEY": KEY, "IDP_DATABASE__URL": "sqlite:///data/../here.db"}
    assert load(config, environ).database.url == f"sqlite:///{config.parent}/here.db"


def test_relative_database_path_without_configuration_file_starts_where_the_process_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(environ=NEEDED).database.url == f"sqlite:///{tmp_path}/idp.db"


@pytest.mark.parametrize(
    "url",
    [
        "mysql://u:hunter2@db/idp",
        "postgresql+psycopg2://u:hunter2@db/idp",
        "sqlite://",
        "sqlite:///:memory:",
        "hunter2",
        "postgresql://db",
    ],
)
def test_other_database_is_refused_without_quoting_the_url(url: str) -> None:
    problem = only_problem(IDP_DATABASE__URL=url)
    assert problem.startswith("database.url ")
    assert "hunter2" not in problem


def test_mail_table_is_checked_as_soon_as_one_of_its_settings_is_given() -> None:
    found = problems_of({**NEEDED, "IDP_MAIL__PORT": "25"})
    assert [problem.partition(":")[0] for problem in found] == ["mail.host", "mail.sender"]


@pytest.mark.parametrize(
    ("mail", "refused"),
    [
        ({"USERNAME": "idp"}, "mail.password"),
        ({"PASSWORD": "hunter2"}, "mail.username"),
        ({"USERNAME": "idp", "PASSWORD": "hunter2", "TLS": "none"}, "mail.tls"),
        ({"SENDER": "nobody"}, "mail.sender"),
        ({"SENDER": "a@example.org\nBcc: b@example.org"}, "mail.sender"),
        ({"HOST": "mail example"}, "mail.host"),
        ({"TLS": "ssl"}, "mail.tls"),
    ],
)
def test_mail_settings_that_do_not_work_or_leak_the_password_are_refused(mail: dict[str, str], refused: str) -> None:
    values = {"HOST": "mail.example.org", "SENDER": "idp@example.org", **mail}
    problem = only_problem(**{f"IDP_MAIL__{name}": value for name, value in values.items()})
    assert problem.startswith(f"{refused} ")
    assert "hunter2" not in problem


# --- Secrets, properties, texts


def test_secrets_are_in_no_repr(tmp_path: Path) -> None:
    settings = load(
        environ={
            **NEEDED,
            "IDP_PREVIOUS_SECRET_KEYS": OTHER_KEY,
            "IDP_DATABASE__URL": "postgresql://u:hunter2@db/idp",
            "IDP_MAIL__HOST": "mail.example.org",
            "IDP_MAIL__SENDER": "idp@example.org",
            "IDP_MAIL__USERNAME": "idp",
            "IDP_MAIL__PASSWORD": "hunter2",
        }
    )
    for text in (
        repr(settings),
        str(settings),
        repr(settings.database),
        repr(settings.mail),
        settings.database.shown_url,
    ):
        assert not any(secret in text for secret in (KEY, OTHER_KEY, "hunter2"))


def test_pydantic_error_of_a_direct_build_does_not_quote_the_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate({"issuer": "https://login.example.org", "secret_key": "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_settings_cannot_be_changed() -> None:
    settings = load(environ=NEEDED)
    with pytest.raises(ValidationError):
        settings.issuer = "https://elsewhere.example.org"
    with pytest.raises(ValidationError):
        settings.session.idle_timeout = timedelta(days=1)


@pytest.mark.parametrize(
    ("issuer", "secure", "prefix", "path", "origin"),
    [
        ("https://login.example.org", True, "__Host-", "", "https://login.example.org"),
        ("https://login.example.org:443/a/b", True, "__Host-", "/a/b", "https://login.example.org"),
        ("http://localhost:8000", False, "", "", "http://localhost:8000"),
        ("http://[::1]:8000/idp", False, "", "/idp", "http://[::1]:8000"),
    ],
)
def test_properties_of_the_issuer(issuer: str, secure: bool, prefix: str, path: str, origin: str) -> None:
    settings = load(environ={**NEEDED, "IDP_ISSUER": issuer})
    assert settings.is_secure is secure
    assert settings.cookie_prefix == prefix
    assert settings.issuer_path == path
    assert settings.issuer_origin == origin


def test_key_id_is_the_beginning_of_the_digest_of_the_key() -> None:
    assert key_id(SecretStr("abc")) == "ba7816bf"


def test_every_setting_and_table_is_described() -> None:
    assert [key for key, leaf in LEAVES.items() if not leaf.field.description] == []
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []


@pytest.mark.parametrize("key", LEAVES)
def test_explanation_says_meaning_allowed_default_and_variable(key: str) -> None:
    text = explain(key)
    assert LEAVES[key].variable in text
    assert re.search(r"allowed: \S", text) and re.search(r"default: \S", text)


def test_explanation_of_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(Misconfigured, match="did you mean `session.idle_timeout`"):
        explain("session.idle_timout")


def test_schema_knows_every_setting_refuses_others_and_demands_none() -> None:
    document = json.loads(json.dumps(schema()))
    assert document["additionalProperties"] is False
    assert "required" not in document
    for key in LEAVES:
        group, _, name = key.rpartition(".")
        node = document["properties"][group or name]
        if group:
            reference = node.get("$ref") or next(choice["$ref"] for choice in node["anyOf"] if "$ref" in choice)
            node = document["$defs"][reference.rpartition("/")[2]]["properties"][name]
        assert node["description"], key


# --- The files in config/


def default_document() -> dict[str, Any]:
    return tomllib.loads((folder("config") / "default.toml").read_text())


def flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, value in document.items():
        result |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return result


def test_default_file_shows_every_setting() -> None:
    text = (folder("config") / "default.toml").read_text()
    shown = flat(tomllib.loads(re.sub(r"(?m)^#: ", "", text)))
    assert set(shown) == set(LEAVES)


def test_default_file_says_what_the_code_says() -> None:
    for key, value in flat(default_document()).items():
        assert LEAVES[key].check(value) == LEAVES[key].default(), key


def test_commented_examples_of_the_default_file_are_their_defaults_where_there_is_one() -> None:
    text = (folder("config") / "default.toml").read_text()
    examples = flat(tomllib.loads(re.sub(r"(?m)^#: ", "", text)))
    for key in set(examples) - set(flat(default_document())):
        leaf = LEAVES[key]
        assert leaf.field.is_required() or leaf.default() in (None, leaf.check(examples[key])), key


def test_development_file_loads_with_a_key() -> None:
    settings = load(folder("config") / "development.toml", {"IDP_SECRET_KEY": KEY})
    assert settings.mode == "development"
    assert settings.mail is not None


def test_production_example_loads_with_its_secrets() -> None:
    environ = {"IDP_SECRET_KEY": KEY, "IDP_MAIL__PASSWORD": "s3cret", "IDP_DATABASE__URL": "postgresql://db/idp"}
    settings = load(folder("config") / "production.example.toml", environ)
    assert settings.mode == "production"
    assert settings.mail is not None and settings.mail.tls == "starttls"


# --- Durations


@pytest.mark.parametrize(
    ("written", "duration"),
    [
        ("60s", timedelta(seconds=60)),
        ("5m", timedelta(minutes=5)),
        ("12h", timedelta(hours=12)),
        ("1d", timedelta(days=1)),
        ("1h30m", timedelta(minutes=90)),
        ("500ms", timedelta(milliseconds=500)),
        ("0s", timedelta()),
        (" 30m ", timedelta(minutes=30)),
        ("PT30M", timedelta(minutes=30)),
        ("P1DT2H", timedelta(hours=26)),
        ("pt0.5s", timedelta(milliseconds=500)),
        ("P2W", timedelta(weeks=2)),
    ],
)
def test_duration_is_read(written: str, duration: timedelta) -> None:
    assert parse_duration(written) == duration


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "30",
        "1.5h",
        "-5m",
        "m",
        "5 m",
        "30m1h",
        "P",
        "PT",
        "P1DT",
        "P1M",
        "P1Y",
        "PT-5M",
        "1w",
        "٣m",
        "9" * 30 + "d",
        "9" * 5000 + "s",
    ],
)
def test_text_that_is_no_duration_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="^(is not a duration|has no unit|is longer than any duration can be)$"):
        parse_duration(written)


@pytest.mark.parametrize("number", ["300", "300.5", "true", "[5]"])
def test_duration_that_is_no_text_in_the_file_is_refused(tmp_path: Path, number: str) -> None:
    path = tmp_path / "idp.toml"
    path.write_text(f"[session]\nidle_timeout = {number}\n")
    (problem,) = problems_of(NEEDED, path)
    assert problem.startswith("session.idle_timeout ")


@given(st.integers(min_value=0, max_value=10**14).map(lambda n: timedelta(milliseconds=n)))
def test_duration_that_is_written_is_read_as_the_same(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration


@given(st.integers(0, 999), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_duration_in_iso_8601_means_the_same_as_the_short_form(d: int, h: int, m: int, s: int) -> None:
    assert parse_duration(f"P{d}DT{h}H{m}M{s}S") == parse_duration(f"{d}d{h}h{m}m{s}s")


@given(st.text(max_size=20))
def test_any_text_is_a_duration_or_refused_in_words(text: str) -> None:
    try:
        duration = parse_duration(text)
    except ValueError as error:
        assert str(error) in ("is not a duration", "has no unit", "is longer than any duration can be")
    else:
        assert duration >= timedelta()


@pytest.mark.parametrize("duration", [timedelta(seconds=-1), timedelta(microseconds=1)])
def test_duration_that_cannot_be_written_is_refused(duration: timedelta) -> None:
    with pytest.raises(ValueError, match="milliseconds"):
        format_duration(duration)
