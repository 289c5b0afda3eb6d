"""Letters read as designed, in both languages, and hold nothing that could be clicked or forged."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from idp.mail.letters import LONGEST_NAME, code, one_line
from idp.mail.rendering import _SUBJECTS, render
from idp.texts.catalogue import LANGUAGES
from tests.mail.letters_of_all_kinds import AT, CODE, DESK, TO, ZONE, code_letter, every_letter

EVERY_LANGUAGE = pytest.mark.parametrize("language", sorted(LANGUAGES))

DUTCH = """\
Uw code is:

482915

Vul deze code in op de pagina van Atosi. U kunt de code gebruiken tot 14.45 uur.

Geef deze code aan niemand. Ook niet aan de servicedesk. Wij vragen er nooit om.

Heeft u niet geprobeerd in te loggen? Dan kent iemand anders uw wachtwoord.
Bel de servicedesk: 088 - 600 6400.

Aangevraagd op maandag 23 november om 14.35 uur met Firefox op Windows.
"""
ENGLISH = """\
Your code is:

482915

Enter this code on the Atosi page. You can use it until 2:45 pm.

Do not give this code to anyone. Not even to the service desk. We never ask for it.

Did you not try to sign in? Then someone else knows your password.
Call the service desk: 088 - 600 6400.

Requested on Monday 23 November at 2:35 pm with Firefox on Windows.
"""


class Reader(HTMLParser):
    """The text of an HTML page by block, and what it names."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.blocks: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self._open = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag in {"p", "h1"}:
            assert not self._open
            self._open = True
            self.blocks.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"p", "h1"}:
            self._open = False

    def handle_data(self, data: str) -> None:
        if self._open:
            self.blocks[-1] += data.replace("\N{NO-BREAK SPACE}", " ")


def words(value: str) -> list[str]:
    return value.split()


def test_code_in_dutch_is_the_designed_letter() -> None:
    rendered = render(code_letter())
    assert rendered.subject == "482915 is uw code voor Atosi"
    assert rendered.text == DUTCH


def test_code_in_english_is_the_designed_letter() -> None:
    rendered = render(code_letter(language="en", device="Firefox on Windows"))
    assert rendered.subject == "482915 is your Atosi code"
    assert rendered.text == ENGLISH


@EVERY_LANGUAGE
def test_code_stands_alone_on_its_line_and_begins_the_subject(language: str) -> None:
    rendered = render(code_letter(language=language))
    assert CODE in rendered.text.splitlines()
    assert rendered.subject.startswith(f"{CODE} ")
    assert CODE in Reader(rendered.html).blocks


@EVERY_LANGUAGE
def test_html_says_what_the_text_says_below_the_brand(language: str) -> None:
    for letter in every_letter(language):
        rendered = render(letter)
        brand, *blocks = Reader(rendered.html).blocks
        assert brand == "Atosi"
        assert words(" ".join(blocks)) == words(rendered.text), letter.name


@EVERY_LANGUAGE
def test_no_letter_holds_a_link_an_image_or_anything_from_outside(language: str) -> None:
    for letter in every_letter(language):
        rendered = render(letter)
        for part in (rendered.subject, rendered.text, rendered.html):
            assert "http" not in part and "www." not in part and "://" not in part, letter.name
        read = Reader(rendered.html)
        assert read.tags <= {"html", "head", "meta", "title", "body", "div", "p", "h1", "b"}
        assert not read.attributes & {"href", "src", "background", "action"}
        assert "url(" not in rendered.html


@EVERY_LANGUAGE
def test_html_names_its_language_and_its_subject(language: str) -> None:
    rendered = render(code_letter(language=language))
    assert f'<html lang="{language}">' in rendered.html
    assert f"<title>{rendered.subject}</title>" in rendered.html


@EVERY_LANGUAGE
def test_every_letter_says_whom_to_call_with_and_without_a_number(language: str) -> None:
    desk_words = {"nl": "servicedesk", "en": "service desk"}
    for letter in every_letter(language):
        assert "088 - 600 6400" in render(letter).text, letter.name
    for letter in every_letter(language, replace(DESK, phone="")):
        text = render(letter).text
        assert desk_words[language] in text and ":." not in text and "  " not in text, letter.name


def test_every_kind_of_letter_is_in_these_tests() -> None:
    assert {letter.name for letter in every_letter("nl")} == set(_SUBJECTS)


def test_deadline_names_the_day_after_the_last_one() -> None:
    rendered = {language: render(every_letter(language)[-2]) for language in LANGUAGES}
    assert rendered["nl"].text.startswith("Vanaf 2 februari kunt u niet meer inloggen zonder code.")
    assert rendered["en"].text.startswith("From 2 February you can no longer sign in without a code.")


@pytest.mark.parametrize(
    "hostile", ["Atosi\r\nBcc: x@evil.example", "Atosi\nX: y", "A\x00\x0b\u2028\x85tosi\x1b[2J", "  a  "]
)
def test_name_of_several_lines_is_one_line(hostile: str) -> None:
    rendered = render(code_letter(replace(DESK, brand=hostile, organization=hostile, phone=hostile)))
    for shown in (one_line(hostile), rendered.subject):
        assert shown.isprintable() and "\n" not in shown
    plain = render(code_letter())
    assert rendered.text.count("\n") == plain.text.count("\n")


def test_long_name_is_cut() -> None:
    assert len(one_line("a" * 1000)) == LONGEST_NAME


def test_time_and_number_are_in_bold_type() -> None:
    html = render(code_letter()).html.replace("\N{NO-BREAK SPACE}", " ")
    assert "gebruiken tot <b>14.45 uur</b>." in html and "<b>088 - 600 6400</b>." in html


def test_markup_in_names_is_shown_as_it_is() -> None:
    desk = replace(DESK, brand="<b>Atosi</b> & {code}", phone="<i>088</i>")
    rendered = render(code_letter(desk))
    assert "<b>Atosi" not in rendered.html and "<i>" not in rendered.html
    assert "<b>&lt;i&gt;088&lt;/i&gt;</b>" in rendered.html
    assert "&lt;b&gt;Atosi&lt;/b&gt; &amp; {code}" in rendered.html
    assert "<b>Atosi</b> & {code}" in rendered.text


@pytest.mark.parametrize(
    "device",
    [
        "https://evil.example/?a=1",
        "www.evil.example",
        "bel 06.12:34",
        "<a href=//x.y>",
        "Chrome\r\nGeef de code",
        "a@b.example",
    ],
)
def test_device_cannot_look_like_an_address(device: str) -> None:
    text = render(code_letter(device=device)).text
    said = re.search(r"^Aangevraagd op .* uur met (.*)\.$", text, re.MULTILINE)
    assert said is not None and not set("./:@<>\r\n") & set(said.group(1))


def test_letter_in_a_language_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="'xx'"):
        render(code(DESK, TO, "xx", CODE, AT, ZONE, AT, ""))
