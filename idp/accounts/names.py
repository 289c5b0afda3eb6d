"""The one canonical form of organisation codes and usernames.

Two spellings that look alike must not be two accounts, and one person must not be locked out by a capital letter:
NFKC, case-folded, outer white space removed. What remains invisible or misleading is refused at creation.
"""

import unicodedata

from idp.kernel.errors import Refused

LONGEST_TYPED = 256
LONGEST_STORED = 128
# Marks and letters that show nothing: what Unicode calls default ignorable and does not count among the controls and
# format characters, and the empty Braille pattern.
_SHOWS_NOTHING = frozenset(
    map(chr, (0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, *range(0x180B, 0x1810)))
).union(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))


def canonical(typed: str) -> str:
    """The form that is compared and stored. Idempotent; bounded in length whatever was typed."""
    # Control characters cannot be in a name, and one of them (NUL) cannot even be asked for on PostgreSQL.
    printable = "".join(character for character in typed[:LONGEST_TYPED] if unicodedata.category(character) != "Cc")
    folded = unicodedata.normalize("NFKC", printable.strip()).casefold()
    return unicodedata.normalize("NFKC", folded)[:LONGEST_TYPED].strip()


def checked(name: str, kind: str) -> str:
    """The canonical form of a name that is being created.

    Raises Refused for empty or long names, and for characters that cannot be seen, typed or told apart:
    controls, format characters (such as right-to-left overrides), unassigned ones, inner white space, a backslash
    (it separates organisation and username in `login_hint`).
    """
    result = canonical(name)
    forbidden = any(
        unicodedata.category(character)[0] in "CZ" or character == "\\" or character in _SHOWS_NOTHING
        for character in result + name.strip()
    )
    scripts = {unicodedata.name(character, "?").split()[0] for character in result if character.isalpha()}
    if not result or len(result) > LONGEST_STORED or forbidden or len(scripts) > 1 or result.endswith("."):
        raise Refused(f"{kind}.name_not_allowed", f"{kind} {name!r} is not allowed")
    return result
