"""Cleaning what people type in a code field."""

import unicodedata

from idp.factors.base import Verdict

DIGITS = 6
# What people put between the digits: spaces of all kinds and hyphens, as in `123 456` and `123-456`.
_SEPARATORS = frozenset("-\u2010\u2011\u2012\u2013\u2014.\u00b7")
LONGEST_TYPED = 64


def cleaned(typed: str) -> str:
    """The digits as typed, full-width ones made plain, separators removed, leading zeros kept."""
    plain = unicodedata.normalize("NFKC", typed[:LONGEST_TYPED])
    return "".join(character for character in plain if not character.isspace() and character not in _SEPARATORS)


def form_problem(typed: str) -> Verdict | None:
    """What is wrong with a six-digit code whatever the right one is; None when it has to be verified."""
    code = cleaned(typed)
    if not code:
        return Verdict.EMPTY
    if not (code.isascii() and code.isdigit()):
        return Verdict.NOT_DIGITS
    if len(code) != DIGITS:
        return Verdict.SHORT if len(code) < DIGITS else Verdict.LONG
    return None
