"""Every demand in docs/specifications.md names code and a test that exist."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_map import names_in

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "specifications.md"
ROW = re.compile(
    r"\| (?P<clause>[0-9][0-9.]*(?:, R[0-9]+)?) \| (?P<demand>[^|]+) "
    r"\| `(?P<code>idp/[\w/]+\.py):(?P<name>[\w.]+)` \| `(?P<tests>tests/[\w/]+\.py):(?P<test>test_\w+)` \|"
)
NUMBERED = re.compile(
    r"\| (?P<number>E?[0-9]+) \| (?P<demand>[^|]+) \| (?:`(?P<code>idp/[\w/]+\.py):(?P<name>[\w.]+)`|–) "
    r"\| (?P<tests>(?:`tests/[\w/]+\.py:test_\w+`(?:, (?!\|))?)*)(?:; )?(?:follows: (?P<follows>[\w ]+))? ?\|"
)
PROOF = re.compile(r"`(tests/[\w/]+\.py):(test_\w+)`")
CERTIFICATION, REST = "Demands of certification", "Not met yet"
EXPECTED = (
    "RFC 6749",
    "RFC 6750",
    "RFC 7636",
    "RFC 7638",
    "RFC 9207",
    "OpenID Connect Core 1.0",
    "OpenID Connect Discovery 1.0",
    "OAuth 2.0 Form Post Response Mode",
    "OAuth 2.0 Multiple Response Type",
    "OpenID Connect RP-Initiated Logout 1.0",
    "OpenID Connect Back-Channel Logout 1.0",
    "RFC 6238",
    "RFC 4226",
    "RFC 8176",
    "RFC 8252",
    "RFC 9700",
)


def sections() -> dict[str, list[str]]:
    """The lines of each section by its title."""
    found: dict[str, list[str]] = {}
    for line in DOCUMENT.read_text().splitlines():
        if line.startswith("## "):
            found[line[3:]] = []
        elif found and line:
            found[list(found)[-1]].append(line)
    return found


MET = {title: lines for title, lines in sections().items() if title not in (CERTIFICATION, REST)}
MISSING = sections()[REST]


def rows(title: str) -> list[re.Match[str]]:
    """The demands of a section, without the head of its table."""
    matches = [(line, ROW.fullmatch(line)) for line in MET[title][2:]]
    unread = [line for line, match in matches if match is None]
    assert not unread, f"lines of another form: {unread}"
    return [match for _, match in matches if match is not None]


@pytest.mark.parametrize("title", MET)
def test_every_demand_names_code_and_a_test_that_exist(title: str) -> None:
    demands = rows(title)
    assert demands
    for demand in demands:
        assert demand["name"] in names_in(ROOT / demand["code"]), f"{title} {demand['clause']}: {demand['name']}"
        assert demand["test"] in names_in(ROOT / demand["tests"]), f"{title} {demand['clause']}: {demand['test']}"


@pytest.mark.parametrize("title", EXPECTED)
def test_every_specification_that_we_claim_has_a_section(title: str) -> None:
    assert [each for each in MET if each.startswith(title)]


@pytest.mark.parametrize("title", MET)
def test_no_demand_stands_twice(title: str) -> None:
    demands = [(row["clause"], row["demand"]) for row in rows(title)]
    assert len(demands) == len(set(demands))


def subjects_missing() -> list[str]:
    """What stands in bold under "Not met yet"."""
    return [line.removeprefix("- **").partition("**")[0] for line in MISSING if line.startswith("- **")]


def test_what_is_not_met_is_told_in_words() -> None:
    subjects = [line for line in MISSING if line.startswith("- ")]
    assert len(subjects) > 10
    assert all(re.fullmatch(r"- \*\*[^*]+\*\*: [^.].+\.", line) for line in subjects)


# Demands of certification


def demands() -> list[re.Match[str]]:
    """The numbered rows, without what stands above them."""
    table = [line for line in sections()[CERTIFICATION] if line.startswith("|")][2:]
    matches = [(line, NUMBERED.fullmatch(line)) for line in table]
    unread = [line for line, match in matches if match is None]
    assert not unread, f"lines of another form: {unread}"
    return [match for _, match in matches if match is not None]


def marked() -> Iterator[tuple[str, tuple[str, str]]]:
    """Each number that a test says it proves, and the test."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.parse(path.read_text()).body:
            for decorator in node.decorator_list if isinstance(node, ast.FunctionDef) else []:
                if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.demand":
                    for number in decorator.args:
                        yield str(ast.literal_eval(number)), (str(path.relative_to(ROOT)), node.name)


def test_every_demand_of_certification_stands_once() -> None:
    numbers = [row["number"] for row in demands()]
    assert numbers == [f"E{number}" for number in range(1, 8)] + [str(number) for number in range(1, 94)]


def test_every_demand_of_certification_names_its_code_and_what_proves_it_or_what_it_follows_with() -> None:
    missing = subjects_missing()
    for row in demands():
        assert bool(row["code"]) == bool(row["tests"]), row["number"]
        assert row["tests"] or row["follows"], row["number"]
        if row["code"]:
            assert row["name"] in names_in(ROOT / row["code"]), f"{row['number']}: {row['name']}"
        if follows := row["follows"]:
            said = [subject for subject in missing if subject.casefold().startswith(follows.casefold())]
            assert len(said) == 1, f"{row['number']}: {follows} is not told under {REST!r}"


def test_tests_of_a_demand_of_certification_are_those_that_say_its_number() -> None:
    named = Counter((row["number"], proof) for row in demands() for proof in PROOF.findall(row["tests"]))
    said = Counter(marked())
    assert named == said, f"only in the document: {named - said}; only in the tests: {said - named}"
    assert set(named.values()) == {1}
