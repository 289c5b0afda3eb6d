"""`load`: environment, files and defaults become `Settings`, or one error that tells all that is wrong."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from pydantic import ValidationError
from sqlalchemy.engine import make_url

from idp.kernel.errors import Misconfigured
from idp.kernel.resources import folder
from idp.settings.model import DEFAULT_ORIGIN, FILE_SUFFIX, GROUPS, LEAVES, OPTIONAL_GROUPS, PREFIX, Settings, unknown
from idp.settings.rules import contradictions
from idp.settings.values import random_secret_key

# Read by other parts of idp (the demo, the test suite) or by `load` itself; never settings.
OTHER_VARIABLES = ("IDP_CONFIG", "IDP_LOG", "IDP_NEW_PASSWORD")
OTHER_PREFIXES = ("IDP_DEMO_", "IDP_TEST_")
# What Kubernetes tells every container about a Service that is called `idp`.
SERVICE_LINKS = re.compile(r"IDP_SERVICE_(HOST|PORT)(_\w+)?|IDP_PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?")


@dataclass(frozen=True)
class Given:
    """A value as it was written, and where."""

    value: Any
    origin: str


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this installation, from the environment, the configuration file and the defaults.

    `config` is the configuration file; without it the one that `IDP_CONFIG` names, without that none.
    `environ` stands for the environment of the process (`os.environ`).

    Raises Misconfigured with every problem there is: the setting, where its value came from and what is allowed.
    """
    environ = os.environ if environ is None else environ
    if config is None and environ.get("IDP_CONFIG"):
        config = Path(environ["IDP_CONFIG"])
    problems: list[str] = []
    given: dict[str, Given] = {}
    given |= _from_toml(folder("config") / "default.toml", problems)
    if config is not None:
        given |= _from_toml(config, problems)
    given |= _from_environment(environ, problems)
    values = _checked(given, problems)
    problems += [_problem(key, problem, given.get(key)) for key, problem in contradictions(values)]
    if problems:
        raise Misconfigured(problems)
    if "database.url" in values:
        start = config.resolve().parent if config is not None else Path.cwd()
        values["database.url"] = _with_absolute_path(values["database.url"], start)
    try:
        settings = Settings.model_validate(_nested(values))
    except ValidationError as error:
        raise Misconfigured([str(found["msg"]) for found in error.errors(include_input=False)]) from None
    settings._origins = MappingProxyType({key: written.origin for key, written in given.items()})
    return settings


def _from_toml(path: Path, problems: list[str]) -> dict[str, Given]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")
        return {}
    except UnicodeDecodeError:
        problems.append(f"{path}: is not UTF-8")
        return {}
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: is not TOML ({error})")
        return {}
    return dict(_flatten(document, "", str(path), problems))


def _flatten(table: Mapping[str, Any], prefix: str, origin: str, problems: list[str]) -> Iterator[tuple[str, Given]]:
    for name, value in table.items():
        key = prefix + name
        if key in LEAVES:
            yield key, Given(value, origin)
        elif isinstance(value, dict):
            if not value and key not in GROUPS:
                problems.append(unknown(key, origin))
            yield from _flatten(value, f"{key}.", origin, problems)
        elif key in GROUPS:
            problems.append(f"{key} ({origin}): is a table; allowed: [{key}] with its settings below it")
        else:
            problems.append(unknown(key, origin))


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, Given]:
    by_variable = {leaf.variable: leaf for leaf in LEAVES.values()}
    by_file = {leaf.variable + FILE_SUFFIX: leaf for leaf in LEAVES.values() if leaf.is_secret}
    direct: dict[str, Given] = {}
    from_files: dict[str, Given] = {}
    if environ.get("IDP_LOG"):
        direct["log.format"] = Given(environ["IDP_LOG"], "IDP_LOG in the environment")
    for variable in sorted(environ):
        name, value = variable.upper(), environ[variable]
        if not name.startswith(PREFIX) or name in OTHER_VARIABLES or name.startswith(OTHER_PREFIXES):
            continue
        if SERVICE_LINKS.fullmatch(name) or (name == "IDP_PORT" and "://" in value):
            continue
        if name not in by_variable and name not in by_file:
            key = name.removeprefix(PREFIX).lower().replace("__", ".")
            problems.append(unknown(key, f"{variable} in the environment"))
        elif value and name in by_variable:
            direct[by_variable[name].key] = Given(value, f"{variable} in the environment")
        elif value and not environ.get(by_file[name].variable):
            leaf = by_file[name]
            try:
                content = Path(value).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8"
                problems.append(f"{leaf.key} ({variable} in the environment): cannot read the file {value} ({reason})")
                # Known to be meant, so that it is not also called missing.
                from_files[leaf.key] = Given(_UNREADABLE, variable)
            else:
                from_files[leaf.key] = Given(content, f"{value}, named by {variable}")
    return from_files | direct


_UNREADABLE = object()


def _checked(given: Mapping[str, Given], problems: list[str]) -> dict[str, Any]:
    """Every valid setting by its key; what is wrong or missing is added to the problems."""
    values: dict[str, Any] = {}
    used = {key.partition(".")[0] for key in given}
    mode = given["mode"].value if "mode" in given else LEAVES["mode"].default()
    for key, leaf in LEAVES.items():
        written = given.get(key)
        group = key.partition(".")[0]
        if group in OPTIONAL_GROUPS and group not in used:
            continue
        if written is None:
            if not leaf.field.is_required():
                values[key] = leaf.default()
            elif key == "secret_key" and mode in ("demo", "test"):
                values[key] = random_secret_key()
            else:
                names = "the configuration file or the environment as " + " or ".join(leaf.variables)
                problems.append(f"{key}: is not set; set it in {names}; allowed: {leaf.allowed}")
        elif written.value is not _UNREADABLE:
            try:
                values[key] = leaf.check(written.value)
            except ValueError as error:
                shown = "" if leaf.is_secret else f"{_shown(written.value)} "
                problems.append(_problem(key, f"{shown}{error}; allowed: {leaf.allowed}", written))
    return values


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _problem(key: str, problem: str, written: Given | None) -> str:
    return f"{key} ({written.origin if written else DEFAULT_ORIGIN}): {problem}"


def _with_absolute_path(url: str, start: Path) -> str:
    parsed = make_url(url)
    if parsed.drivername != "sqlite":
        return url
    absolute = os.path.normpath(start / cast(str, parsed.database))
    return parsed.set(database=absolute).render_as_string(hide_password=False)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        group, _, name = key.rpartition(".")
        (tree.setdefault(group, {}) if group else tree)[name] = value
    return tree
