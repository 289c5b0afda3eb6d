"""Durations as they are written: 30s, 5m, 12h, 1d, 1h30m or PT30M."""

import re
from datetime import timedelta

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_SHORT = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in _UNITS))
_ISO_WEEKS = re.compile(r"P(?P<w>[0-9]+)W")
_ISO = re.compile(
    r"P(?:(?P<d>[0-9]+)D)?"
    r"(?:T(?=[0-9])(?:(?P<h>[0-9]+)H)?(?:(?P<m>[0-9]+)M)?(?:(?P<s>[0-9]+)(?:[.,](?P<fraction>[0-9]{1,3}))?S)?)?"
)
DURATION_FORMS = "a duration such as 30s, 5m, 12h, 1d, 1h30m or PT30M"


def parse_duration(text: str) -> timedelta:
    """The duration that `30s`, `5m`, `1h30m`, `1d`, `500ms` or ISO 8601 (`PT30M`, `P1D`, `P2W`) says.

    Raises ValueError for anything else: a number without a unit, and ISO years and months, which have no fixed length.
    """
    written = text.strip()
    short = _SHORT.fullmatch(written)
    iso = _ISO.fullmatch(written.upper())
    weeks = _ISO_WEEKS.fullmatch(written.upper())
    try:
        if written and short:
            return sum((int(n) * _UNITS[unit] for unit, n in short.groupdict().items() if n), timedelta())
        if weeks:
            return timedelta(weeks=int(weeks["w"]))
        if iso and written.upper() != "P":
            parts = iso.groupdict()
            milliseconds = int((parts.pop("fraction") or "").ljust(3, "0"))
            whole = sum((int(n) * _UNITS[unit] for unit, n in parts.items() if n), timedelta())
            return whole + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError) as error:
        raise ValueError("is longer than any duration can be") from error
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", written):
        raise ValueError("has no unit")
    raise ValueError("is not a duration")


def format_duration(duration: timedelta) -> str:
    """The shortest way to write it that `parse_duration` reads back: `30m`, `12h`, `1h30m`. Whole milliseconds only."""
    if duration < timedelta() or duration % _UNITS["ms"]:
        raise ValueError("only whole milliseconds from 0 can be written")
    written, rest = "", duration
    for unit, length in _UNITS.items():
        number, rest = divmod(rest, length)
        written += f"{number}{unit}" if number else ""
    return written or "0s"


def to_duration(value: object) -> timedelta:
    """A duration, or text that says one. Raises ValueError, for a bare number too: it has no unit."""
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("has no unit")
    raise ValueError("is not a duration")
