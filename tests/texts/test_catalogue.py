"""Texts in a language that is named, without a request."""

from datetime import UTC, date, datetime

import pytest

from idp.texts.addresses import mask
from idp.texts.catalogue import LANGUAGES, Texts, UnknownText

AT = datetime(2026, 11, 23, 13, 35, tzinfo=UTC)
ZONE = "Europe/Amsterdam"


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_languages_are_those_of_the_catalogues() -> None:
    assert {language: Texts(language).text("number.0") for language in LANGUAGES} == {"nl": "nul", "en": "zero"}


def test_language_without_a_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="'de'"):
        Texts("de")


def test_unknown_text_raises() -> None:
    with pytest.raises(UnknownText):
        Texts("nl").text("no.such_text")


@pytest.mark.parametrize(
    ("language", "moment", "expected"),
    [
        ("nl", AT, "maandag 23 november om 14.35 uur"),
        ("en", AT, "Monday 23 November at 2:35 pm"),
        ("nl", datetime(2026, 6, 30, 22, 5, tzinfo=UTC), "woensdag 1 juli om 0.05 uur"),
        ("en", datetime(2026, 6, 30, 22, 5, tzinfo=UTC), "Wednesday 1 July at 12:05 am"),
    ],
)
def test_full_moment_is_day_and_time_in_the_zone(language: str, moment: datetime, expected: str) -> None:
    assert plain(Texts(language).full_moment_text(moment, ZONE)) == expected


def test_moment_without_a_time_zone_is_refused() -> None:
    for show in (Texts("nl").full_moment_text, Texts("nl").moment_text):
        with pytest.raises(ValueError, match="time zone"):
            show(AT.replace(tzinfo=None), ZONE)


def test_day_number_and_days_left_read_as_on_the_pages() -> None:
    texts = Texts("nl")
    assert plain(texts.day_text(date(2027, 2, 1), date(2026, 11, 23))) == "1 februari"
    assert (texts.number_text(12), texts.number_text(13)) == ("twaalf", "13")
    assert plain(texts.days_left_text(1)) == "één dag"


@pytest.mark.parametrize("address", ["", "jan", "@voorbeeld.nl", "jan@"])
def test_only_an_address_is_masked(address: str) -> None:
    assert str(mask("jan.jansen@voorbeeld.nl")) == "j•••••@voorbeeld.nl"
    with pytest.raises(ValueError, match="either side"):
        mask(address)
