"""docs/differences.md, from what is known: `python -m tests.interop.differential.document` writes it."""

from __future__ import annotations

import json
import textwrap
from collections import defaultdict
from pathlib import Path

from tests.interop.differential.known import KNOWN, Difference
from tests.interop.differential.peer import PACKAGE
from tests.interop.differential.questions import QUESTIONS

FILE = Path(__file__).resolve().parents[3] / "docs" / "differences.md"
WIDTH = 150
INTRODUCTION = """
Two programs that follow the same specifications answer the same requests, but for what the specifications leave open.
A test (`tests/interop/test_differences.py`) asks this provider and npm's oidc-provider {version}, a certified
provider that is configured as near to it as it goes, {asked} questions: requests that are right, and requests that
are wrong in every way that came to mind. It compares what can be compared: status, error, members, challenge, media
type, whether an answer may be kept, and in a browser the page or the parameters at the application.

The answers are the same but for the {reasons} reasons below, which {differing} answers show. The test fails on any
other difference, and also when one of these is gone. It holds this document to what it found; what people read here
stands in `tests/interop/differential/known.toml`, and `python -m tests.interop.differential.document` writes the
document anew.
"""


def rendered() -> str:
    """The whole document."""
    introduction = INTRODUCTION.format(
        version=json.loads((PACKAGE / "package.json").read_text())["dependencies"]["oidc-provider"],
        asked=len(QUESTIONS),
        reasons=len(KNOWN),
        differing=len({name for each in KNOWN for name in each.questions}),
    )
    paragraphs = [_wrapped(paragraph) for paragraph in introduction.strip().split("\n\n")]
    sections = ["# Where another provider answers differently", *paragraphs, *map(_section, KNOWN)]
    return "\n\n".join(sections) + "\n"


def _section(difference: Difference) -> str:
    by_endpoint: defaultdict[str, list[str]] = defaultdict(list)
    for name in difference.questions:
        endpoint, _, question = name.partition("/")
        by_endpoint[endpoint].append(question)
    asked = "; ".join(f"{endpoint}: {', '.join(names)}" for endpoint, names in by_endpoint.items())
    lines = (
        f"- *They*: {difference.they}",
        f"- *We*: {difference.we}",
        f"- *Decided by*: {difference.clause}.",
        f"- *Why ours is right, or as right*: {difference.why}",
        f"- *Seen in {len(difference.questions)}*: {asked}.",
    )
    return f"## {difference.title}\n\n" + "\n".join(_wrapped(line) for line in lines)


def _wrapped(text: str) -> str:
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(
        " ".join(text.split()), WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


if __name__ == "__main__":
    FILE.write_text(rendered())
