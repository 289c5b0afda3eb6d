"""Every demand in docs/specifications.md names code and a test that exist."""

import re
from pathlib import Path

import pytest

from tests.test_map import names_in

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "specifications.md"
ROW = re.compile(
    r"\| (?P<clause>[0-9][0-9.]*(?:, R[0-9]+)?) \| (?P<demand>[^|]+) "
    r"\| `(?P<code>idp/[\w/]+\.py):(?P<name>[\w.]+)` \| `(?P<tests>tests/[\w/]+\.py):(?P<test>test_\w+)` \|"
)
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


MET, MISSING = (
    {title: lines for title, lines in sections().items() if (title == "Not met yet") == is_missing}
    for is_missing in (False, True)
)


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


def test_what_is_not_met_is_told_in_words() -> None:
    (lines,) = MISSING.values()
    subjects = [line for line in lines if line.startswith("- ")]
    assert len(subjects) > 10
    assert all(re.fullmatch(r"- \*\*[^*]+\*\*: [^.].+\.", line) for line in subjects)
