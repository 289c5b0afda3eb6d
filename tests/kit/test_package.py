"""The kit stands alone."""

import ast
import tomllib
from pathlib import Path

import idp_kit

PACKAGE = Path(idp_kit.__file__).parent
MODULES = sorted(PACKAGE.glob("*.py"))
ROOT = Path(__file__).resolve().parents[2]


def imported(module: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def test_kit_imports_nothing_of_the_provider_and_only_what_it_depends_on() -> None:
    known = {"authlib", "flask", "joserfc", "requests", "idp_kit", "markupsafe", "werkzeug"}
    standard = {"ast", "base64", "collections", "contextlib", "copy", "dataclasses", "datetime", "functools", "hashlib"}
    standard |= {"hmac", "json", "logging", "math", "pathlib", "secrets", "sqlite3", "threading", "time", "typing"}
    standard |= {"__future__", "urllib", "weakref"}
    used = {name.partition(".")[0] for module in MODULES for name in imported(module)}
    assert used <= known | standard, used - known - standard
    described = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    assert {each.partition(">")[0] for each in described["dependencies"]} == {"Authlib", "Flask", "joserfc", "requests"}


def test_kit_is_typed_and_its_map_names_every_module() -> None:
    assert (PACKAGE / "py.typed").exists()
    assert all(module.name in (idp_kit.__doc__ or "") for module in MODULES if module.name != "__init__.py")
    assert all(ast.get_docstring(ast.parse(module.read_text())) for module in MODULES)


def test_kit_reads_the_time_in_one_place() -> None:
    for module in MODULES:
        for node in ast.walk(ast.parse(module.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today", "time", "monotonic"):
                owner = ast.unparse(node.value)
                assert module.name == "clock.py" or owner not in ("datetime", "date", "time"), f"{module}: {owner}"


def test_provider_needs_the_kit_for_its_demonstration_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not any("idp-kit" in each for each in project["dependencies"])
    assert any(each.startswith("idp-kit") for each in project["optional-dependencies"]["demo"])
