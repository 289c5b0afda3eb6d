"""A letter becomes subject, plain text and HTML, in its own language, from `templates/mail` and the catalogues.

The two bodies say the same. There is no link, image or anything else from outside in either.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from idp.kernel.resources import folder
from idp.mail.letters import Letter, one_line
from idp.texts.catalogue import Texts, UnknownText

_NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Rendered:
    """A letter as it is read."""

    subject: str
    text: str
    html: str


def render(letter: Letter) -> Rendered:
    """Raises jinja2.TemplateNotFound for a letter without templates, and KeyError where a fact is missing."""
    texts = Texts(letter.language)
    slots = _slots(texts, letter.facts)
    given = {**slots, **_sentences(texts, slots), "text": texts.text, "language": letter.language}
    subject = one_line(texts.text(_SUBJECTS[letter.name], **slots))
    return Rendered(
        subject=subject,
        # A mail program breaks lines of plain text where it likes: ordinary spaces are easier to search and copy.
        text=_environment().get_template(f"{letter.name}.txt").render(given).replace(_NO_BREAK, " ").strip() + "\n",
        html=_environment().get_template(f"{letter.name}.html").render(given, subject=subject).strip() + "\n",
    )


_SUBJECTS = {
    "code": "mail.code.subject",
    "second_factor_reset": "mail.reset.subject",
    "second_factor_reset_undone": "mail.undone.subject",
    "method_added": "mail.added.subject",
    "method_disabled": "mail.disabled.subject",
    "deadline": "mail.deadline.subject",
    "address_changed": "mail.address.subject",
}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder("templates") / "mail"),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["bold"] = _bold
    return environment


def _bold(sentence: str, part: str) -> Markup:
    """HTML of the sentence, with the part of it that people look for in bold type."""
    bold = Markup("<b>{}</b>").format(part)
    return escape(sentence).replace(escape(part), bold) if part else escape(sentence)


def _slots(texts: Texts, facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts as they are said: days and moments in words, a number that stays on one line."""
    said = {**facts, "phone": facts["phone"].replace(" ", _NO_BREAK)}
    if "at" in facts:
        said["moment"] = texts.full_moment_text(datetime.fromisoformat(facts["at"]), facts["zone"])
    if "until" in facts:
        said["time"] = texts.moment_text(datetime.fromisoformat(facts["until"]), facts["zone"])
    if "from" in facts:
        said["day"] = texts.day_text(date.fromisoformat(facts["from"]), date.fromisoformat(facts["today"]))
    return said


def _sentences(texts: Texts, slots: Mapping[str, Any]) -> dict[str, str]:
    """Sentences that depend on what is known: a telephone number, a device, a method that has a name."""
    phone, method = slots["phone"], slots.get("method")
    said = {
        "call": texts.text("mail.call", phone=phone) if phone else texts.text("mail.call_unknown"),
        "call_now": texts.text("mail.call_now", phone=phone) if phone else texts.text("mail.call_now_unknown"),
    }
    if moment := slots.get("moment"):
        said["by_desk"] = texts.text("mail.by_desk", moment=moment)
        said["happened"] = texts.text("mail.happened", moment=moment)
        said["requested"] = texts.text("mail.code.requested", moment=moment)
        if device := slots.get("device"):
            said["happened"] = texts.text("mail.happened_with", moment=moment, device=device)
            said["requested"] = texts.text("mail.code.requested_with", moment=moment, device=device)
    if method is not None:
        said["added"] = _about_method(texts, "mail.added.", method)
        said["disabled"] = _about_method(texts, "mail.disabled.", method)
    return said


def _about_method(texts: Texts, beginning: str, method: str) -> str:
    """A method that the catalogues have no words for is still reported."""
    try:
        return texts.text(beginning + method)
    except UnknownText:
        return texts.text(beginning + "other")
