"""The map and the decisions name files and functions that exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PLACES = "idp|clients|tests|tools|config|templates|migrations|docs"
REFERENCE = re.compile(rf"`((?:{PLACES})/[\w./{{}},<>*-]+?)(?::([\w.]+))?`")


def references(document: Path) -> list[tuple[str, str | None]]:
    return [(path, name) for path, name in REFERENCE.findall(document.read_text()) if not set("{<*") & set(path)]


def names_in(path: Path) -> set[str]:
    """Every name that a module defines: `function`, `Class`, `Class.method`, `CONSTANT`."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{inner.name}" for inner in node.body if isinstance(inner, ast.FunctionDef)}
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found


def documents() -> list[Path]:
    return [ROOT / "docs" / "map.md", ROOT / "README.md", *sorted((ROOT / "docs" / "decisions").glob("*.md"))]


@pytest.mark.parametrize("document", documents(), ids=lambda path: path.name)
def test_document_names_only_files_and_functions_that_exist(document: Path) -> None:
    for path, name in references(document):
        assert (ROOT / path).exists(), f"{document.name}: {path}"
        if name:
            assert name in names_in(ROOT / path), f"{document.name}: {path}:{name}"


def test_map_answers_the_questions_of_a_stranger() -> None:
    assert len(references(ROOT / "docs" / "map.md")) > 30
