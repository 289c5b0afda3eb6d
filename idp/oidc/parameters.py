"""Request parameters: strictly decoded, single-valued, limited in length. Stands in front of Authlib, which is lenient.

A parameter without a value counts as omitted, unknown ones are ignored, none may be repeated (RFC 6749 3.1 and 3.2) but
`resource` (RFC 8707 2).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

LONGEST_INPUT = 64 * 1024
MOST_PARAMETERS = 200
LONGEST_VALUE = 8192
# A request object holds a whole request, and a signature.
LONGEST_OBJECT = 32 * 1024
LONGER = {"request": LONGEST_OBJECT}
MULTI_VALUED = ("resource",)
# Members of a request object that are no text (OIDC Core 6.1).
_NUMBERS = ("max_age",)
_OBJECTS = ("claims",)


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

    def without(self, *names: str) -> "Parameters":
        """All others."""
        left = {name: value for name, value in self.values.items() if name not in names}
        return replace(
            self, values=left, repeated=self.repeated.difference(names), too_long=self.too_long.difference(names)
        )

    def overridden_by(self, other: "Parameters") -> "Parameters":
        """These, and what the other has of its own in their place."""
        own = {name: value for name, value in other.values.items() if value}
        repeated, too_long = self.repeated | other.repeated, self.too_long | other.too_long
        merged = Parameters({**self.values, **own}, repeated, too_long, {**self.lists, **other.lists})
        # What was sent more than once stays unusable, whatever it is overridden by.
        usable = {name: value for name, value in merged.values.items() if not merged.is_unusable(name)}
        return replace(merged, values=usable)


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


def of_pairs(pairs: Iterable[tuple[str, str]]) -> Parameters:
    values: dict[str, str] = {}
    repeated: set[str] = set()
    too_long: set[str] = set()
    lists: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        if len(value) > LONGER.get(name, LONGEST_VALUE):
            too_long.add(name)
        elif name in MULTI_VALUED:
            if value:
                lists[name] = tuple(dict.fromkeys((*lists.get(name, ()), value)))
        elif name in values:
            repeated.add(name)
        else:
            values[name] = value
    for name in repeated | too_long:
        values.pop(name, None)
    return Parameters(values, frozenset(repeated), frozenset(too_long), lists)


def of_claims(claims: Mapping[str, Any], names: Iterable[str]) -> Parameters:
    """The parameters with these names among the claims of a request object (OIDC Core 6.1, RFC 9101 4).

    `max_age` may be a number, `claims` an object, `resource` a list; all others are text.

    Raises ValueError with the reason in words for a value of the wrong type.
    """
    pairs: list[tuple[str, str]] = []
    for name in names:
        value = claims.get(name)
        if value is None:
            continue
        if name in MULTI_VALUED and isinstance(value, list) and all(isinstance(each, str) for each in value):
            pairs += [(name, each) for each in value]
        elif isinstance(value, str):
            pairs.append((name, value))
        elif name in _NUMBERS and isinstance(value, int) and not isinstance(value, bool):
            pairs.append((name, str(value) if abs(value) < 10**20 else "-"))
        elif name in _OBJECTS and isinstance(value, dict):
            pairs.append((name, json.dumps(value)))
        else:
            raise ValueError(f"{name} has the wrong type")
    if not all(_is_text(value) for _, value in pairs):
        raise ValueError("a value is no text")
    return of_pairs(pairs)


def _is_text(value: str) -> bool:
    """False for half of a character, which JSON can write and UTF-8 cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
