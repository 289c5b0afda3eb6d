"""What of an organisation's look can be set in words, and in which form: colour, addresses, sentences.

An organisation says nothing else about a page: no style, no HTML, no font, no picture of another origin. The frame, the
number to call and what pages say about codes are not slots, so nobody can take them away.
"""

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from idp.accounts.addresses import is_email_address
from idp.accounts.models import Organization
from idp.admin.refusals import Reasons
from idp.texts.catalogue import LANGUAGES

SLOTS = ("identify.help", "choose.help", "code.help", "enrol.help")
"""Where a sentence of the organisation can stand in the place of ours."""
LONGEST_TEXT = 300
LONGEST_ADDRESS = 500

_COLOUR = re.compile(r"#[0-9a-f]{6}")
# RFC 3986 2: all that an address may consist of; quotes, spaces, backslashes and controls are none of it.
_ADDRESS = re.compile(r"https://[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")

Texts = Mapping[str, Mapping[str, str | None]]


def merged(present: Texts | None, given: Texts | None) -> dict[str, dict[str, str]] | None:
    """The texts after a change: what is given stands, None or "" takes one away, the others stay. None for none."""
    result: dict[str, dict[str, str]] = {}
    for texts in (present or {}, given or {}):
        for language, slots in texts.items():
            for slot, text in slots.items():
                result.setdefault(language, {})[slot] = text or ""
    kept = {language: {slot: text for slot, text in slots.items() if text} for language, slots in result.items()}
    return {language: slots for language, slots in kept.items() if slots} or None


def check_appearance(organization: Organization, wrong: Reasons) -> None:
    """Adds a reason for everything about the look that may not be."""
    colour = organization.brand_colour
    wrong.unless(
        colour is None or _COLOUR.fullmatch(colour) is not None,
        "organization.brand_colour",
        f"{colour!r} is no colour; write it as in #0b5b78",
    )
    wrong.unless(
        organization.privacy_uri is None or _is_address(organization.privacy_uri),
        "organization.privacy_uri",
        f"privacy_uri is an address that begins with https://, of at most {LONGEST_ADDRESS} characters",
    )
    email = organization.service_desk_email
    is_email = email is None or is_email_address(email)
    wrong.unless(is_email, "organization.service_desk_email", f"{email!r} is no e-mail address")
    for language, slots in (organization.texts or {}).items():
        for slot, text in slots.items():
            _check_text(language, slot, text, wrong)


def _check_text(language: str, slot: str, text: str, wrong: Reasons) -> None:
    wrong.unless(
        language in LANGUAGES,
        "organization.text_language",
        f"there are no pages in the language {language!r}, only in {', '.join(LANGUAGES)}",
    )
    wrong.unless(
        slot in SLOTS, "organization.text_slot", f"{slot!r} cannot be changed; what can be is {', '.join(SLOTS)}"
    )
    wrong.unless(
        len(text) <= LONGEST_TEXT and text.isprintable() and bool(text.strip()),
        "organization.text",
        f"the text for {language}:{slot} is one line of at most {LONGEST_TEXT} characters that can be seen",
    )


def _is_address(value: str) -> bool:
    if len(value) > LONGEST_ADDRESS or _ADDRESS.fullmatch(value) is None:
        return False
    try:
        parts = urlsplit(value)
        # What stands before an @ makes people read another host than the one that answers.
        return bool(parts.hostname) and "@" not in parts.netloc and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
