"""The differences that are known (`known.toml`): what they do, what we do, and the clause that decides."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parent / "known.toml"
MOST = 30


@dataclass(frozen=True)
class Seen:
    """What differs in the answers to these questions: its name in the normal form, theirs and ours."""

    aspect: str
    theirs: Any
    ours: Any
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Difference:
    """A reason why answers differ, and everything that is seen of it."""

    id: str
    title: str
    they: str
    we: str
    clause: str
    why: str
    seen: tuple[Seen, ...]

    @property
    def questions(self) -> tuple[str, ...]:
        """The names of all questions whose answers differ for this reason."""
        return tuple(dict.fromkeys(name for each in self.seen for name in each.questions))


def _difference(table: Mapping[str, Any]) -> Difference:
    texts = {name: " ".join(value.split()) for name, value in table.items() if isinstance(value, str)}
    seen = [
        Seen(each["aspect"], each.get("theirs"), each.get("ours"), tuple(_names(each["where"])))
        for each in table["seen"]
    ]
    return Difference(**texts, seen=tuple(seen))


def _names(where: str) -> Iterator[str]:
    for prefix, group, alone in re.findall(r"([^\s{]+)\{([^}]*)\}|(\S+)", where):
        yield from (f"{prefix}{name}" for name in group.split()) if group else (alone,)


KNOWN: tuple[Difference, ...] = tuple(_difference(table) for table in tomllib.loads(FILE.read_text())["difference"])
