"""Rules of the house that no linter knows. The layers themselves are contracts in `pyproject.toml` (import-linter)."""

import ast
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask

import idp
from idp.factors.base import SecondFactor
from idp.factors.registry import FACTORS
from idp.kernel.resources import folder
from idp.settings import Settings
from idp.signin.answers.door import Answers
from idp.signin.prompts import PROMPTS
from idp.web.blueprint import ROUTES
from idp.web.screens import SCREENS

PACKAGE = Path(idp.__file__).parent
CLOCK = PACKAGE / "kernel" / "clock.py"


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(PACKAGE.parent)}:{getattr(node, 'lineno', '?')}"


def imports(tree: ast.Module) -> Iterator[tuple[ast.AST, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node, node.module or ""
            yield from ((node, f"{node.module}.{alias.name}") for alias in node.names)


def authlib_jose(tree: ast.Module) -> list[ast.AST]:
    return [node for node, name in imports(tree) if name == "authlib.jose" or name.startswith("authlib.jose.")]


def clocks(tree: ast.Module) -> list[ast.AST]:
    forbidden = {"now", "utcnow", "today", "time", "time_ns", "monotonic", "localtime", "gmtime"}
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id in {"datetime", "date", "time"}
        and node.attr in forbidden
    ]


def model_query(tree: ast.Module) -> list[ast.AST]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr == "query"
        and isinstance(node.value, ast.Name)
        and node.value.id[:1].isupper()
    ]


def sql_clocks(tree: ast.Module) -> list[ast.AST]:
    by_call = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "func"
        and node.attr in {"now", "current_timestamp", "current_date", "localtimestamp"}
    ]
    docstrings = {
        id(body[0].value)
        for node in ast.walk(tree)
        if isinstance(body := getattr(node, "body", None), list) and body and isinstance(body[0], ast.Expr)
    }
    words = re.compile(r"\b(now\(\)|CURRENT_TIMESTAMP|datetime\('now'\))", re.IGNORECASE)
    by_text = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in docstrings
        and words.search(node.value)
    ]
    return by_call + by_text


SECRET_NAME = re.compile(r"(^|_)(secret|password|token|hash|mac|verifier|csrf|otp)$")


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _is_column(node: ast.expr) -> bool:
    """`Model.column`, `table.c.column` and SQL expressions: the database compares, by an index on a hash."""
    if not isinstance(node, ast.Attribute):
        return False
    owner = node.value
    if isinstance(owner, ast.Attribute):
        return owner.attr == "c"
    return isinstance(owner, ast.Name) and (owner.id[:1].isupper() or owner.id == "family")


def compared_secrets(tree: ast.Module) -> list[ast.AST]:
    found: list[ast.AST] = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], ast.Eq | ast.NotEq):
            continue
        sides = [node.left, *node.comparators]
        if any(_is_column(side) or isinstance(side, ast.Constant) for side in sides):
            continue
        if any(SECRET_NAME.search(_name(side)) for side in sides):
            found.append(node)
    return found


RULES = {
    "authlib.jose is imported nowhere": (authlib_jose, set()),
    "only kernel/clock.py reads a clock": (clocks, {CLOCK}),
    "no Model.query": (model_query, set()),
    "no SQL function tells the time": (sql_clocks, set()),
    "secrets are compared in constant time": (compared_secrets, set()),
}

BROKEN = {
    "authlib.jose is imported nowhere": "from authlib.jose import jwt",
    "only kernel/clock.py reads a clock": "from datetime import datetime\nat = datetime.now()",
    "no Model.query": "rows = Account.query.all()",
    "no SQL function tells the time": "update.values(at=func.now())",
    "secrets are compared in constant time": "if form_token == csrf_token: pass",
}


@pytest.mark.parametrize("rule", RULES)
def test_code_keeps_the_rule(rule: str) -> None:
    check, excepted = RULES[rule]
    found = [place(path, node) for path in sources() if path not in excepted for node in check(parsed(path))]
    assert not found, f"{rule}: {found}"


@pytest.mark.parametrize("rule", RULES)
def test_rule_bites(rule: str) -> None:
    check, _ = RULES[rule]
    assert check(ast.parse(BROKEN[rule]))


def test_migrations_let_no_database_tell_the_time() -> None:
    for path in folder("migrations").rglob("*.py"):
        assert not sql_clocks(parsed(path)), path


def test_every_route_has_an_owner(app: Flask) -> None:
    """A route is in the table of `web/blueprint.py`, stands at the root for RFC 8414, or serves the static files."""
    others = {"idp_root.oauth_authorization_server", "static_files.serve"}
    owned = {f"idp.{endpoint}" for _, endpoint, _, _ in ROUTES} | others
    assert {rule.endpoint for rule in app.url_map.iter_rules()} == owned


def test_every_prompt_has_a_screen_and_an_answer(app: Flask) -> None:
    answers: Answers = app.extensions["idp"].answers
    names = [prompt.name for prompt in PROMPTS]
    assert list(SCREENS) == names
    assert list(answers.answers) == names


def test_every_factor_has_its_two_templates() -> None:
    for factor in FACTORS:
        for page in ("enrol", "verify"):
            assert (folder("templates") / "factors" / factor.name / f"{page}.html").is_file()


def test_every_factor_has_the_one_face() -> None:
    wanted = {name for name in vars(SecondFactor) if not name.startswith("_")} | set(SecondFactor.__annotations__)
    for factor in FACTORS:
        assert wanted <= set(dir(factor)), factor.name


def test_no_prompt_has_a_route_of_its_own() -> None:
    paths = " ".join(path for path, *_ in ROUTES)
    assert not any(prompt.name in paths for prompt in PROMPTS)


def test_every_duration_setting_is_a_timedelta() -> None:
    names = re.compile(r"(timeout|lifetime|window|grace|wait_|reauthentication)")
    settings = Settings(mode="test", issuer="https://login.example")
    found = 0
    for group in (settings.session, settings.sign_in, settings.tokens, settings.second_factor, settings.database):
        for name in type(group).model_fields:
            if names.search(name):
                found += 1
                assert isinstance(getattr(group, name), timedelta), name
    assert found > 10


def test_every_package_says_what_is_in_it() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        docstring = ast.get_docstring(parsed(path)) or ""
        assert docstring.strip(), path


def test_every_package_map_names_its_modules() -> None:
    """The map of the whole package is about questions; those below it are about modules."""
    missing = []
    for path in PACKAGE.rglob("*/__init__.py"):
        modules = {module.name for module in path.parent.glob("*.py")} - {"__init__.py", "__main__.py"}
        told = ast.get_docstring(parsed(path)) or ""
        missing += [f"{path.parent.name}/{name}" for name in sorted(modules) if name not in told]
    assert not missing


def test_every_public_class_and_module_of_the_core_has_a_docstring() -> None:
    missing = []
    for path in sources():
        tree = parsed(path)
        if ast.get_docstring(tree) is None:
            missing.append(str(path))
        missing += [
            place(path, node)
            for node in tree.body
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and ast.get_docstring(node) is None
        ]
    assert not missing, missing
