"""What may stand in a record as an e-mail address. Whether mail arrives there, only a code that comes back tells."""

import re

LONGEST_EMAIL = 254
_EMAIL = re.compile(r"[^@\s<>\"]+@[^@\s<>\"]+")


def is_email_address(text: str) -> bool:
    """True for one line of the form `local@domain`, without a display name, of at most 254 characters (RFC 5321)."""
    return len(text) <= LONGEST_EMAIL and text.isprintable() and _EMAIL.fullmatch(text) is not None
