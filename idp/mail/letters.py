"""What is written to people: one function for each message, none with a link.

A letter holds facts; words and layout come when it is sent (see `rendering`). Whatever came from outside - names, a
device - is one line of plain characters, and a device cannot look like an address of the web.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

JSON = str | int | bool | None | Sequence["JSON"] | Mapping[str, "JSON"]

LONGEST_NAME = 120
LONGEST_DEVICE = 80
A_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Desk:
    """Who writes, and who can be called: the brand, the person's organisation and its service desk.

    Answers go to `reply_to`, an address of the service desk, when it is known. `phone` may be empty.
    """

    brand: str
    organization: str
    phone: str
    reply_to: str | None


@dataclass(frozen=True)
class Letter:
    """One message of the kind `name` to the address `to`, in a language of `texts.catalogue.LANGUAGES`."""

    name: str
    to: str
    language: str
    facts: dict[str, JSON]


def code(
    desk: Desk, to: str, language: str, code: str, until: datetime, zone: str, requested_at: datetime, device: str
) -> Letter:
    """A code to type in, usable until `until`; both moments are shown in the IANA time zone `zone`.

    `device` says with what it was asked for ("Firefox op Windows"), and may be empty.
    """
    moments: dict[str, JSON] = {"until": until.isoformat(), "at": requested_at.isoformat(), "zone": zone}
    return _letter("code", desk, to, language, {"code": code, **moments, "device": _device(device)})


def second_factor_reset(desk: Desk, to: str, language: str, at: datetime, zone: str) -> Letter:
    """The service desk withdrew the second factor."""
    return _letter("second_factor_reset", desk, to, language, _moment(at, zone))


def second_factor_reset_undone(desk: Desk, to: str, language: str, at: datetime, zone: str) -> Letter:
    """The service desk took the reset back."""
    return _letter("second_factor_reset_undone", desk, to, language, _moment(at, zone))


def method_added(desk: Desk, to: str, language: str, method: str, at: datetime, zone: str, device: str = "") -> Letter:
    """A second factor, named as in `factors.registry`, was enrolled."""
    return _letter(
        "method_added", desk, to, language, {"method": method, **_moment(at, zone), "device": _device(device)}
    )


def method_disabled(
    desk: Desk, to: str, language: str, method: str, at: datetime, zone: str, device: str = ""
) -> Letter:
    """A second factor was disabled after too many wrong tries."""
    facts = {"method": method, **_moment(at, zone), "device": _device(device)}
    return _letter("method_disabled", desk, to, language, facts)


def deadline(desk: Desk, to: str, language: str, last_day: date, today: date) -> Letter:
    """From the day after `last_day` nobody signs in without a code."""
    facts: dict[str, JSON] = {"from": (last_day + A_DAY).isoformat(), "today": today.isoformat()}
    return _letter("deadline", desk, to, language, facts)


def address_changed(desk: Desk, to: str, language: str, at: datetime, zone: str) -> Letter:
    """The account has another address. For the old one and the new one."""
    return _letter("address_changed", desk, to, language, _moment(at, zone))


def _letter(name: str, desk: Desk, to: str, language: str, facts: Mapping[str, JSON]) -> Letter:
    about: dict[str, JSON] = {
        "brand": one_line(desk.brand),
        "organization": one_line(desk.organization),
        "phone": one_line(desk.phone),
        "reply_to": desk.reply_to,
    }
    return Letter(name, to, language, {**about, **facts})


def _moment(at: datetime, zone: str) -> dict[str, JSON]:
    return {"at": at.isoformat(), "zone": zone}


def one_line(value: str) -> str:
    """`value` with every run of white space and of what cannot be printed as one space; bounded in length.

    `=?` begins an encoded word (RFC 2047), which a header would decode to anything, line ends included.
    """
    printable = "".join(character if character.isprintable() else " " for character in value.replace("=?", "= ?"))
    return " ".join(printable.split())[:LONGEST_NAME]


def _device(value: str) -> str:
    """What a browser calls itself is up to whoever sends it: nothing is left that a mail program makes a link of."""
    harmless = "".join(character if character.isalnum() or character in " -(),'" else " " for character in value)
    return one_line(harmless)[:LONGEST_DEVICE].strip()
