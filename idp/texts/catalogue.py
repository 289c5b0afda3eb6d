"""Texts of the catalogues in `idp/translations`, in one language that is given.

A message id is a dotted key (`identify.title`); every language carries a text for each. Texts hold slots in braces
(`{app}`). A whole number given for a slot chooses between the singular and the plural text and is written as a word up
to twelve.
"""

from datetime import date, datetime
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from babel.support import NullTranslations, Translations

LANGUAGES = {"nl": "Nederlands", "en": "English"}
"""The languages that texts exist in, the default first, each with its own name for itself."""

DEFAULT_LANGUAGE = "nl"
CATALOGUES = Path(__file__).resolve().parent.parent / "translations"

_LARGEST_NUMBER_WORD = 12
_NO_BREAK = "\N{NO-BREAK SPACE}"


class UnknownText(LookupError):
    """The catalogue of the language has no such key."""


class Texts:
    """The texts of one language."""

    def __init__(self, language: str) -> None:
        """Raises ValueError when there is no such language."""
        if language not in LANGUAGES:
            raise ValueError(f"there are no texts in {language!r}")
        self.language = language
        self._translations = _catalogue(language)

    def text(self, key: str, **slots: object) -> str:
        """The text `key`, its slots filled.

        Raises `UnknownText` when the catalogue lacks the key and KeyError when a slot of the text was not given.
        """
        found = key
        for value in slots.values():
            if isinstance(value, int) and not isinstance(value, bool):
                found = self._translations.ungettext(key, key, value)
                break
        if found == key:
            found = self._translations.ugettext(key)
        if found == key:
            raise UnknownText(key)
        return found.format_map({name: self._slot(value) for name, value in slots.items()})

    def _slot(self, value: object) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            return self.number_text(value)
        return str(value)

    def number_text(self, number: int) -> str:
        """`number` as a word up to twelve, in digits beyond."""
        if 0 <= number <= _LARGEST_NUMBER_WORD:
            return self.text(f"number.{number}")
        return str(number)

    def day_text(self, day: date, today: date) -> str:
        """`day` as "1 februari", with its year from eleven months away from `today`. It does not break over lines."""
        early, late = sorted((day, today))
        months = (late.year - early.year) * 12 + late.month - early.month - (late.day < early.day)
        pattern = "d MMMM y" if months >= 11 else "d MMMM"
        return _unbroken(format_date(day, pattern, locale=self.language))

    def moment_text(self, moment: datetime, zone: str) -> str:
        """The clock time of `moment` in the IANA time zone `zone`: "14.35 uur", "2:35 pm". It stays on one line.

        Raises ValueError when `moment` has no time zone of its own.
        """
        pattern = "H.mm" if self.language == "nl" else "h:mm a"
        shown = format_datetime(_in_zone(moment, zone), pattern, locale=self.language)
        return self.text("date.time", time=_unbroken(shown.lower()))

    def full_moment_text(self, moment: datetime, zone: str) -> str:
        """Day and clock time in `zone`: "maandag 23 november om 14.35 uur", "Monday 23 November at 2:35 pm".

        Raises ValueError when `moment` has no time zone of its own.
        """
        day = format_date(_in_zone(moment, zone).date(), "EEEE d MMMM", locale=self.language)
        return self.text("date.moment", day=day, time=self.moment_text(moment, zone))

    def days_left_text(self, days: int) -> str:
        """How many days somebody still has: "twaalf dagen", "20 more days". It does not break over lines."""
        return self.text("date.days_left", days=days)


@cache
def _catalogue(language: str) -> NullTranslations:
    return Translations.load(CATALOGUES, [language])


def _in_zone(moment: datetime, zone: str) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(ZoneInfo(zone))


def _unbroken(words: str) -> str:
    return words.replace(" ", _NO_BREAK)
