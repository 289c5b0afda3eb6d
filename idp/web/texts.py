"""Every word a person reads, from the catalogues in `idp/translations`, in Dutch or English.

A message id is a dotted key (`identify.title`); both languages carry a text for each. Texts hold slots in braces
(`{app}`). A whole number given for a slot chooses between the singular and the plural text and is written as a word up
to twelve.

The language of a page is the first of: `?lang=` on a GET, the cookie `idp_lang`, `ui_locales` of the request (OpenID
Connect Core 3.1.2.1; `flask.g.ui_locales` where it was stored earlier), `Accept-Language` as far as it names Dutch or
English, Dutch.
"""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import flask_babel  # type: ignore[import-untyped]
from babel.dates import format_date, format_datetime
from flask import Flask, current_app, g, request

LANGUAGES = {"nl": "Nederlands", "en": "English"}
"""The languages pages exist in, the default first, each with its own name for itself."""

DEFAULT_LANGUAGE = "nl"
DEFAULT_LANGUAGE_KEY = "IDP_DEFAULT_LANGUAGE"
"""`app.config` key of the language of an installation, where a person asked for none."""

RUN_TIME_KEYS = ("number.", "identify.error.", "identify.notice.", "choose.error.", "code.error.", "consent.gets.")
"""Beginnings of keys of which the rest is chosen while running: a page is told `identify.error.wrong` and shows it."""

_CATALOGUES = Path(__file__).resolve().parent.parent / "translations"
_LARGEST_NUMBER_WORD = 12
_NO_BREAK = "\N{NO-BREAK SPACE}"


class UnknownText(LookupError):
    """The catalogue of the current language has no such key."""


def init_texts(app: Flask) -> None:
    """`app` speaks the languages of the catalogues; the language is chosen anew for each request."""
    flask_babel.Babel(
        app,
        configure_jinja=False,
        default_locale=app.config.get(DEFAULT_LANGUAGE_KEY, DEFAULT_LANGUAGE),
        default_translation_directories=str(_CATALOGUES),
        locale_selector=_select_language,
    )


def language() -> str:
    """The language of this request: a key of `LANGUAGES`."""
    locale = flask_babel.get_locale()
    return locale.language if locale is not None else DEFAULT_LANGUAGE


def asked_language() -> str | None:
    """The language asked for by `?lang=` in this request, when it is a GET and names one that exists."""
    asked = request.args.get("lang")
    return asked if request.method in {"GET", "HEAD"} and asked in LANGUAGES else None


def language_cookie() -> str:
    """The name of the cookie that keeps the language; no other host can plant one with the prefix (see `cookies`)."""
    return "__Host-idp_lang" if current_app.config["SESSION_COOKIE_SECURE"] else "idp_lang"


def refresh_language() -> None:
    """What is known about the language is read again, for instance after `flask.g.ui_locales` was set."""
    flask_babel.refresh()


def _select_language() -> str:
    if (asked := asked_language()) is not None:
        return asked
    if (kept := request.cookies.get(language_cookie())) in LANGUAGES:
        return str(kept)
    ui_locales = request.args.get("ui_locales") or g.get("ui_locales") or ""
    for tag in str(ui_locales).split():
        if (primary := tag.lower().partition("-")[0]) in LANGUAGES:
            return primary
    for accepted, quality in request.accept_languages:
        if quality > 0 and (primary := accepted.lower().partition("-")[0]) in LANGUAGES:
            return primary
    return str(current_app.config.get(DEFAULT_LANGUAGE_KEY, DEFAULT_LANGUAGE))


def text(key: str, **slots: object) -> str:
    """The text `key` in the language of this request, its slots filled.

    Raises `UnknownText` when the catalogue lacks the key and KeyError when a slot of the text was not given.
    """
    translations = flask_babel.get_translations()
    found = key
    for value in slots.values():
        if isinstance(value, int) and not isinstance(value, bool):
            found = translations.ungettext(key, key, value)
            break
    if found == key:
        found = translations.ugettext(key)
    if found == key:
        raise UnknownText(key)
    return found.format_map({name: _slot(value) for name, value in slots.items()})


def _slot(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return number_text(value)
    return str(value)


def number_text(number: int) -> str:
    """`number` as a word up to twelve, in digits beyond."""
    if 0 <= number <= _LARGEST_NUMBER_WORD:
        return text(f"number.{number}")
    return str(number)


def day_text(day: date, today: date) -> str:
    """`day` as "1 februari", with its year from eleven months away from `today`. It does not break over lines."""
    early, late = sorted((day, today))
    months = (late.year - early.year) * 12 + late.month - early.month - (late.day < early.day)
    pattern = "d MMMM y" if months >= 11 else "d MMMM"
    return format_date(day, pattern, locale=language()).replace(" ", _NO_BREAK)


def moment_text(moment: datetime, zone: str) -> str:
    """The clock time of `moment` in the IANA time zone `zone`: "14.35 uur", "2:35 pm". It does not break over lines.

    Raises ValueError when `moment` has no time zone of its own.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    pattern = "H.mm" if language() == "nl" else "h:mm a"
    shown = format_datetime(moment.astimezone(ZoneInfo(zone)), pattern, locale=language())
    return text("date.time", time=shown.lower().replace(" ", _NO_BREAK))


def days_left_text(days: int) -> str:
    """How many days somebody still has: "twaalf dagen", "20 more days". It does not break over lines."""
    return text("date.days_left", days=days)


@dataclass(frozen=True)
class MaskedAddress:
    """As much of an e-mail address as its owner needs to recognise it."""

    first: str
    domain: str

    def __str__(self) -> str:
        return f"{self.first}•••••@{self.domain}"

    @property
    def spoken(self) -> str:
        """The same for somebody who listens to the page."""
        return text("address.spoken", first=self.first, domain=self.domain)


def masked_address(address: str) -> MaskedAddress:
    """`address` with all but its first letter and its domain hidden; the number of dots says nothing about its length.

    Raises ValueError when `address` is not of the form `local@domain`.
    """
    local, _, domain = address.rpartition("@")
    if not local or not domain:
        raise ValueError("an e-mail address has a part on either side of the @")
    return MaskedAddress(local[0], domain)
