"""Every word a person reads, from the catalogues in `idp/translations`, in Dutch or English.

A message id is a dotted key (`identify.title`); both languages carry a text for each. Texts hold slots in braces
(`{app}`). A whole number given for a slot chooses between the singular and the plural text and is written as a word up
to twelve.

The language of a page is the first of: `?lang=` on a GET, the cookie `idp_lang`, `ui_locales` of the request (OpenID
Connect Core 3.1.2.1; `flask.g.ui_locales` where it was stored earlier), `Accept-Language` as far as it names Dutch or
English, Dutch.
"""

from datetime import date, datetime, timedelta

import flask_babel  # type: ignore[import-untyped]
from flask import Flask, current_app, g, request

from idp.texts import addresses
from idp.texts.catalogue import CATALOGUES, DEFAULT_LANGUAGE, LANGUAGES, Texts, UnknownText

__all__ = [
    "DEFAULT_LANGUAGE",
    "DEFAULT_LANGUAGE_KEY",
    "LANGUAGES",
    "RUN_TIME_KEYS",
    "MaskedAddress",
    "UnknownText",
    "asked_language",
    "day_text",
    "days_left_text",
    "full_moment_text",
    "init_texts",
    "language",
    "language_cookie",
    "masked_address",
    "moment_text",
    "number_text",
    "refresh_language",
    "text",
    "texts",
]

DEFAULT_LANGUAGE_KEY = "IDP_DEFAULT_LANGUAGE"
"""`app.config` key of the language of an installation, where a person asked for none."""

RUN_TIME_KEYS = (
    "number.",
    "identify.error.",
    "identify.notice.",
    "choose.error.",
    "code.error.",
    "code.notice.",
    "method.",
    "consent.gets.",
    "home.example.",
    "home.registration.",
    "mail.added.",
    "mail.disabled.",
)
"""Beginnings of keys of which the rest is chosen while running: a page is told `identify.error.wrong` and shows it."""


def init_texts(app: Flask) -> None:
    """`app` speaks the languages of the catalogues; the language is chosen anew for each request."""
    flask_babel.Babel(
        app,
        configure_jinja=False,
        default_locale=app.config.get(DEFAULT_LANGUAGE_KEY, DEFAULT_LANGUAGE),
        default_translation_directories=str(CATALOGUES),
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


def chosen_language() -> str | None:
    """The language that the person chose on our pages; None when nobody chose."""
    kept = request.cookies.get(language_cookie())
    return asked_language() or (kept if kept in LANGUAGES else None)


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


def texts() -> Texts:
    """The texts in the language of this request."""
    return Texts(language())


def text(key: str, **slots: object) -> str:
    """The text `key` in the language of this request, its slots filled.

    Raises `UnknownText` when the catalogue lacks the key and KeyError when a slot of the text was not given.
    """
    return texts().text(key, **slots)


def number_text(number: int) -> str:
    """`number` as a word up to twelve, in digits beyond."""
    return texts().number_text(number)


def day_text(day: date, today: date) -> str:
    """`day` as "1 februari", with its year from eleven months away from `today`. It does not break over lines."""
    return texts().day_text(day, today)


def moment_text(moment: datetime, zone: str, later: bool = False) -> str:
    """The clock time of `moment` in the IANA time zone `zone`: "14.35 uur", "2:35 pm". It does not break over lines.

    `later`: something is possible from then on, so a begun minute counts as the next one. Raises ValueError when
    `moment` has no time zone of its own.
    """
    return texts().moment_text(_next_minute(moment) if later else moment, zone)


def full_moment_text(moment: datetime, zone: str) -> str:
    """Day and clock time, for a moment that may not be today; a begun minute counts as the next one."""
    return texts().full_moment_text(_next_minute(moment), zone)


def _next_minute(moment: datetime) -> datetime:
    begun = bool(moment.second or moment.microsecond)
    return moment.replace(second=0, microsecond=0) + timedelta(minutes=1) if begun else moment


def days_left_text(days: int) -> str:
    """How many days somebody still has: "twaalf dagen", "20 more days". It does not break over lines."""
    return texts().days_left_text(days)


class MaskedAddress(addresses.MaskedAddress):
    """A masked address on a page."""

    @property
    def spoken(self) -> str:
        """The same for somebody who listens to the page."""
        return text("address.spoken", first=self.first, domain=self.domain)


def masked_address(address: str) -> MaskedAddress:
    """`address` with all but its first letter and its domain hidden; the number of dots says nothing about its length.

    Raises ValueError when `address` is not of the form `local@domain`.
    """
    masked = addresses.mask(address)
    return MaskedAddress(masked.first, masked.domain)
