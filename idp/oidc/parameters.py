"""Request parameters: strictly decoded, single-valued, limited in length. Stands in front of Authlib, which is lenient.

A parameter without a value counts as omitted, unknown ones are ignored, none may be repeated (RFC 6749 3.1 and 3.2) but
`resource` (RFC 8707 2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

LONGEST_INPUT = 64 * 1024
MOST_PARAMETERS = 200
LONGEST_VALUE = 8192
MULTI_VALUED = ("resource",)


@dataclass(frozen=True)
class Parameters:
    """The parameters of one request. `repeated` and `too_long` name those that may not be used."""

    values: Mapping[str, str]
    repeated: frozenset[str] = frozenset()
    too_long: frozenset[str] = frozenset()
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def get(self, name: str) -> str | None:
        """The value; None when it is omitted, empty, repeated or too long."""
        return self.values.get(name) or None

    def get_all(self, name: str) -> tuple[str, ...]:
        """The values of a parameter that may be repeated, each once and none empty, in the order they came."""
        return self.lists.get(name, ())

    def is_unusable(self, name: str) -> bool:
        return name in self.repeated or name in self.too_long


class Unreadable(ValueError):
    """The input is no form-encoded text at all: not UTF-8, too large, too many parameters."""


def parse(encoded: bytes) -> Parameters:
    """The parameters of a query string or an `application/x-www-form-urlencoded` body. Raises Unreadable."""
    if len(encoded) > LONGEST_INPUT:
        raise Unreadable("too large")
    try:
        pairs = parse_qsl(
            encoded.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except UnicodeDecodeError as error:
        raise Unreadable("not UTF-8") from error
    except ValueError as error:
        raise Unreadable("too many parameters") from error
    return of_pairs(pairs)


def of_pairs(pairs: "list[tuple[str, str]]") -> Parameters:
    values: dict[str, str] = {}
    repeated: set[str] = set()
    too_long: set[str] = set()
    lists: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if name in values:
            repeated.add(name)
        elif len(value) > LONGEST_VALUE:
            too_long.add(name)
        elif name in MULTI_VALUED:
            if value:
                lists[name] = tuple(dict.fromkeys((*lists.get(name, ()), value)))
        else:
            values[name] = value
    for name in repeated:
        values.pop(name, None)
    return Parameters(values, frozenset(repeated), frozenset(too_long), lists)
