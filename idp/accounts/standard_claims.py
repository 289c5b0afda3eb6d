"""The standard claims about a person that nothing here works with (OIDC Core 5.1): kept as applications are told them.

Those that have a column of their own (name, e-mail address, locale ...) are not among them.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

LONGEST_TEXT = 200
LONGEST_ADDRESS = 1000
# OIDC Core 5.1: year, month and day, or the year alone; 0000 when the year is not told.
_DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})")
_YEAR = re.compile(r"[0-9]{4}")
# E.164, with the extension of RFC 3966.
_PHONE_NUMBER = re.compile(r"\+[0-9][0-9 ().-]{2,38}(;ext=[0-9]{1,10})?")
MEMBERS_OF_ADDRESS = ("formatted", "street_address", "locality", "region", "postal_code", "country")


def _is_line(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT and value.isprintable() and value == value.strip()


def _is_address_of_web(value: Any) -> bool:
    if not isinstance(value, str) or len(value) > LONGEST_ADDRESS or not value.isascii() or not value.isprintable():
        return False
    try:
        parts = urlsplit(value)
    except ValueError:
        return False
    return parts.scheme in ("https", "http") and bool(parts.hostname) and " " not in value and "@" not in parts.netloc


def _is_birthdate(value: Any) -> bool:
    if not isinstance(value, str) or not value.isascii():
        return False
    if _YEAR.fullmatch(value):
        return value != "0000"
    found = _DATE.fullmatch(value)
    try:
        # A leap year where none is told, so that the 29th of February is a birthday too.
        return found is not None and date(int(found[1]) or 2000, int(found[2]), int(found[3])) is not None
    except ValueError:
        return False


def _is_time_zone(value: Any) -> bool:
    try:
        return isinstance(value, str) and value.isascii() and bool(ZoneInfo(value).key)
    except (KeyError, ValueError, OSError):
        return False


def _is_phone_number(value: Any) -> bool:
    return isinstance(value, str) and _PHONE_NUMBER.fullmatch(value) is not None


def _is_postal_address(value: Any) -> bool:
    """Lines may follow each other in `formatted` and `street_address` (5.1.1)."""
    if not isinstance(value, dict) or not value or not set(value) <= set(MEMBERS_OF_ADDRESS):
        return False
    return all(
        isinstance(part, str)
        and 0 < len(part) <= LONGEST_ADDRESS
        and part.replace("\n", "").isprintable()
        and part.strip()
        for part in value.values()
    )


_TEXT = (_is_line, f"a line of at most {LONGEST_TEXT} characters")
_WEB = (_is_address_of_web, "an address such as https://example.org/anna")
FORMS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "middle_name": _TEXT,
    "nickname": _TEXT,
    "profile": _WEB,
    "picture": _WEB,
    "website": _WEB,
    "gender": _TEXT,
    "birthdate": (_is_birthdate, "a date such as 1980-02-29, a year, or 0000-02-29 without one"),
    "zoneinfo": (_is_time_zone, "a time zone such as Europe/Amsterdam"),
    "phone_number": (_is_phone_number, "a number such as +31 20 123 4567"),
    "phone_number_verified": (lambda value: isinstance(value, bool), "true or false"),
    "address": (_is_postal_address, f"an object with some of {', '.join(MEMBERS_OF_ADDRESS)}"),
}


def problem_with(name: str, value: Any) -> str | None:
    """What is wrong with this value of the claim, in words; None when nothing is."""
    if name not in FORMS:
        return f"{name!r} is no claim that can be set: those are {', '.join(FORMS)}"
    is_right, form = FORMS[name]
    return None if is_right(value) else f"{name} is {form}"
