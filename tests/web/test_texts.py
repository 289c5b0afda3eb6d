"""The catalogues are complete, used, compiled and plainly worded; dates, times and numbers read as people say them."""

import re
import string
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

from idp.kernel.resources import folder
from idp.signin.logout import EXPLAINED
from idp.web import texts
from idp.web.texts import LANGUAGES, RUN_TIME_KEYS, day_text, days_left_text, masked_address, moment_text, text
from tests.web.page_states import make_app

PACKAGE = Path(texts.__file__).resolve().parent.parent
APP = make_app()
NO_BREAK = "\N{NO-BREAK SPACE}"

EVERY_LANGUAGE = pytest.mark.parametrize("language", sorted(LANGUAGES))


def _catalogue_file(language: str) -> Path:
    return PACKAGE / "translations" / language / "LC_MESSAGES" / "messages.po"


def _catalogue(language: str) -> Catalog:
    with _catalogue_file(language).open("rb") as file:
        return read_po(file, abort_invalid=True)


def _by_key(catalogue: Catalog) -> dict[str, tuple[str, ...]]:
    """For each key its text, or its singular and plural text."""
    found: dict[str, tuple[str, ...]] = {}
    for message in catalogue:
        if message.id:
            key = message.id if isinstance(message.id, str) else message.id[0]
            assert key not in found
            found[key] = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
    return found


TEXTS = {language: _by_key(_catalogue(language)) for language in LANGUAGES}


def _slots(sentence: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(sentence) if name is not None}


def _templates() -> list[Path]:
    """Those of pages, and both kinds of those of e-mails."""
    return [path for path in folder("templates").rglob("*") if path.suffix in {".html", ".txt"}]


def _used_keys() -> set[str]:
    """Whatever stands in quotation marks in a template or in the code and looks like a key."""
    sources = [*_templates(), *PACKAGE.rglob("*.py")]
    return {
        key
        for source in sources
        for key in re.findall(r"""["']([a-z_]+(?:\.[a-z0-9_]+)+)["']""", source.read_text(encoding="utf-8"))
    }


def test_every_language_has_the_same_keys_with_the_same_slots() -> None:
    first, second = (TEXTS[language] for language in LANGUAGES)
    assert first.keys() == second.keys()
    for key in first:
        assert len(first[key]) == len(second[key]), key
        assert len({frozenset(_slots(sentence)) for sentence in first[key] + second[key]}) == 1, key


def test_plural_form_is_given_where_a_number_is_counted() -> None:
    for language in LANGUAGES:
        counted = {key for key, sentences in TEXTS[language].items() if len(sentences) == 2}
        assert counted == {
            key
            for key, sentences in TEXTS[language].items()
            if _slots(sentences[0]) & {"minutes", "hours", "digits", "tries"} or key == "date.days_left"
        }


@EVERY_LANGUAGE
def test_no_text_is_empty_or_marked_as_unsure(language: str) -> None:
    assert all(sentence.strip() for sentences in TEXTS[language].values() for sentence in sentences)
    assert not [message.id for message in _catalogue(language) if message.id and message.fuzzy]


def test_every_key_of_a_template_is_in_the_catalogues() -> None:
    in_templates = {
        key
        for template in _templates()
        for key in re.findall(r"""\btext\(\s*["']([^"']+)["']""", template.read_text(encoding="utf-8"))
    }
    assert in_templates
    assert in_templates <= TEXTS["nl"].keys()


def test_no_text_is_unused() -> None:
    chosen_at_run_time = {key for key in TEXTS["nl"] if key.startswith(RUN_TIME_KEYS)}
    assert TEXTS["nl"].keys() - _used_keys() - chosen_at_run_time == set()
    assert all(any(key.startswith(beginning) for key in TEXTS["nl"]) for beginning in RUN_TIME_KEYS)


@pytest.mark.parametrize(
    "key",
    [
        *(f"identify.error.{name}" for name in ("empty_organisation", "empty_username", "empty_password", "wrong")),
        *(f"choose.error.{name}" for name in ("none", "after_deadline", "not_offered")),
        *(
            f"code.error.{name}"
            for name in ("empty", "wrong", "wrong_again", "wrong_again_enrolling", "used", "short", "long", "chars")
        ),
        *(f"identify.notice.signed_out_{why}" for why in sorted(set(EXPLAINED.values()))),
    ],
)
def test_key_that_views_name_exists(key: str) -> None:
    assert key in TEXTS["nl"]


@EVERY_LANGUAGE
def test_compiled_catalogue_is_that_of_the_source(language: str) -> None:
    with _catalogue_file(language).with_suffix(".mo").open("rb") as file:
        compiled = read_mo(file)
    assert _by_key(compiled) == TEXTS[language]
    assert compiled.plural_expr == _catalogue(language).plural_expr


def _sentences(language: str) -> list[str]:
    """Every part of every text that ends as a sentence does, or with its text; a slot counts as one word."""
    return [
        sentence
        for key, found in TEXTS[language].items()
        if not key.startswith("number.")
        for one in found
        for sentence in re.split(r"(?<=[.!?])\s+", re.sub(r"\{\w+\}|\[\w+\]", "X", one))
    ]


@EVERY_LANGUAGE
def test_sentences_are_short(language: str) -> None:
    """Names of fields and buttons are no sentences: they would make the average look good."""
    lengths = {sentence: len(sentence.split()) for sentence in _sentences(language)}
    assert [sentence for sentence, words in lengths.items() if words > 20] == []
    whole = [words for sentence, words in lengths.items() if sentence.endswith((".", "!", "?"))]
    assert len(whole) > 100 and sum(whole) / len(whole) <= 12


@pytest.mark.parametrize("forbidden", [" je ", " jouw ", "authenticatie", "token", "factor"])
def test_dutch_is_formal_and_without_jargon(forbidden: str) -> None:
    words = [re.findall(r"\w+", sentence.lower()) for found in TEXTS["nl"].values() for sentence in found]
    said = [" " + " ".join(found) + " " for found in words]
    assert [sentence for sentence in said if forbidden in sentence] == []


def test_unknown_text_raises() -> None:
    with APP.test_request_context("/"), pytest.raises(texts.UnknownText):
        text("identify.no_such_text")


def test_missing_slot_raises() -> None:
    with APP.test_request_context("/"), pytest.raises(KeyError):
        text("identify.title")


def test_braces_in_a_value_stay_as_they_are() -> None:
    with APP.test_request_context("/?lang=en"):
        assert text("identify.title", app="{app} {0}") == "Sign in to {app} {0}"


@pytest.mark.parametrize(
    ("language", "day", "today", "expected"),
    [
        ("nl", date(2022, 2, 1), date(2021, 11, 23), "1 februari"),
        ("en", date(2022, 2, 1), date(2021, 11, 23), "1 February"),
        ("nl", date(2022, 2, 1), date(2022, 2, 1), "1 februari"),
        ("nl", date(2022, 2, 1), date(2021, 3, 2), "1 februari"),
        ("nl", date(2022, 2, 1), date(2021, 3, 1), "1 februari 2022"),
        ("nl", date(2022, 2, 1), date(2021, 2, 2), "1 februari 2022"),
        ("en", date(2021, 2, 1), date(2022, 2, 1), "1 February 2021"),
    ],
)
def test_day_shows_its_year_from_eleven_months_away(language: str, day: date, today: date, expected: str) -> None:
    with APP.test_request_context(f"/?lang={language}"):
        assert day_text(day, today) == expected.replace(" ", NO_BREAK)


@pytest.mark.parametrize(
    ("language", "moment", "zone", "expected"),
    [
        ("nl", datetime(2021, 11, 23, 13, 35, tzinfo=UTC), "Europe/Amsterdam", "14.35 uur"),
        ("nl", datetime(2021, 7, 1, 7, 5, tzinfo=UTC), "Europe/Amsterdam", "9.05 uur"),
        ("nl", datetime(2021, 11, 23, 23, 0, tzinfo=UTC), "Europe/Amsterdam", "0.00 uur"),
        ("en", datetime(2021, 11, 23, 13, 35, tzinfo=UTC), "Europe/Amsterdam", "2:35 pm"),
        ("en", datetime(2021, 11, 23, 23, 0, tzinfo=UTC), "Europe/Amsterdam", "12:00 am"),
        ("nl", datetime(2021, 11, 23, 13, 35, tzinfo=UTC), "America/Curacao", "9.35 uur"),
    ],
)
def test_moment_is_a_clock_time_in_the_zone(language: str, moment: datetime, zone: str, expected: str) -> None:
    with APP.test_request_context(f"/?lang={language}"):
        assert moment_text(moment, zone) == expected.replace(" ", NO_BREAK)


def test_moment_without_a_time_zone_is_refused() -> None:
    with APP.test_request_context("/"), pytest.raises(ValueError, match="time zone"):
        moment_text(datetime(2021, 11, 23, 13, 35), "Europe/Amsterdam")


@pytest.mark.parametrize(
    ("language", "days", "expected"),
    [("nl", 1, "één dag"), ("nl", 12, "twaalf dagen"), ("nl", 13, "13 dagen"), ("en", 1, "one more day")],
)
def test_days_left_are_counted_in_words(language: str, days: int, expected: str) -> None:
    with APP.test_request_context(f"/?lang={language}"):
        assert days_left_text(days) == expected.replace(" ", NO_BREAK)


@pytest.mark.parametrize("address", ["jan@voorbeeld.nl", "jan.jansen@voorbeeld.nl", '"j@n"@voorbeeld.nl'])
def test_masked_address_tells_nothing_but_first_letter_and_domain(address: str) -> None:
    masked = masked_address(address)
    assert str(masked) == f"{address[0]}•••••@voorbeeld.nl"
    with APP.test_request_context("/?lang=en"):
        assert masked.spoken == f"e-mail address that begins with {address[0]} and ends in voorbeeld.nl"


@pytest.mark.parametrize("address", ["", "jan", "@voorbeeld.nl", "jan@"])
def test_masked_address_of_something_else_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="either side"):
        masked_address(address)


def test_word_for_an_address_does_not_break_at_its_hyphen_on_a_page() -> None:
    said = {key: found for key, found in TEXTS["nl"].items() if not key.startswith("mail.") and key != "address.spoken"}
    assert [key for key, found in said.items() if any("e-mailadres" in each for each in found)] == []
    assert any("e\N{NON-BREAKING HYPHEN}mailadres" in each for found in said.values() for each in found)
