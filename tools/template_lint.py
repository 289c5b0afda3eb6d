"""What no template may contain: `python -m tools.template_lint`, part of `make check`.

The content security policy of the pages allows no inline code, texts live in catalogues, and every form carries what
protects it. A template is read as HTML with its Jinja parts taken out; an expression in an attribute counts as a value.
"""

import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from idp.kernel.resources import folder

FORMS_TO_APPLICATIONS = frozenset({"signin/form_post.html"})
"""Templates whose form goes to an application (Form Post Response Mode): our csrf value must not travel there."""

MAIL = "mail/"
"""Templates of e-mails stand here: no policy holds there, styles have to be on the elements, and nothing is a link."""

_COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
_STATEMENT = re.compile(r"\{%.*?%\}", re.DOTALL)
_EXPRESSION = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_UNESCAPED = re.compile(r"\|\s*safe\b|\bMarkup\b|\bautoescape\b")
_WEB_ADDRESS = re.compile(r"https?:|[\"'(=]\s*//", re.IGNORECASE)
_READ_ATTRIBUTES = frozenset({"alt", "aria-label", "aria-description", "aria-roledescription", "title", "label"})
_UNLABELLED_TYPES = frozenset({"hidden", "submit", "button", "reset", "image"})
_PLACE = "\ue000"
"""Stands for a Jinja expression, followed by a number that equal expressions share. No letter, so it is no text."""


@dataclass(frozen=True, order=True)
class Finding:
    """A rule that a template breaks."""

    template: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"templates/{self.template}:{self.line}: {self.message}"


@dataclass
class _Form:
    line: int
    to_application: bool
    has_csrf_token: bool = False


@dataclass
class _Input:
    line: int
    id: str | None
    wrapped: bool


@dataclass
class _Reader(HTMLParser):
    """Reads one template and notes what is wrong with it."""

    template: str
    findings: list[Finding] = field(default_factory=list)
    inputs: list[_Input] = field(default_factory=list)
    label_targets: set[str] = field(default_factory=set)
    form: _Form | None = None
    label_depth: int = 0

    @property
    def is_mail(self) -> bool:
        return self.template.startswith(MAIL)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def note(self, message: str, line: int | None = None) -> None:
        self.findings.append(Finding(self.template, line or self.getpos()[0], message))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        for name, value in given.items():
            if name == "style" and not self.is_mail:
                self.note("inline style: the policy forbids it")
            if name in {"href", "src"} and self.is_mail:
                self.note(f"{name} in an e-mail: it holds no link and loads nothing")
            if name.startswith("on"):
                self.note(f"inline handler {name}: the policy forbids it")
            if value.strip().lower().startswith("javascript:"):
                self.note("javascript: address: the policy forbids it")
            if name == "placeholder":
                self.note("placeholder: a label and a hint say it for everybody")
            read_aloud = name in _READ_ATTRIBUTES or (name.startswith("data-") and name.endswith("text"))
            if (read_aloud or (tag == "input" and name == "value" and given.get("type") in {"submit", "button"})) and (
                _has_letters(value)
            ):
                self.note(f"text in {name} that is in no catalogue")
        if tag == "style":
            self.note("inline style: the policy forbids it")
        elif tag == "script" and not given.get("src"):
            self.note("inline script: the policy forbids it")
        elif tag == "label":
            self.label_depth += 1
            if "for" in given:
                self.label_targets.add(given["for"])
        elif tag == "form":
            self.form = _Form(self.getpos()[0], self.template in FORMS_TO_APPLICATIONS)
            if "novalidate" not in given:
                self.note("form without novalidate: errors are told in our own words")
        elif tag in {"input", "select", "textarea"}:
            if self.form is not None and given.get("name") == "csrf_token":
                self.form.has_csrf_token = True
            if given.get("type", "text") not in _UNLABELLED_TYPES:
                self.inputs.append(_Input(self.getpos()[0], given.get("id"), self.label_depth > 0))

    def handle_endtag(self, tag: str) -> None:
        if tag == "label":
            self.label_depth -= 1
        elif tag == "form" and self.form is not None:
            if self.form.has_csrf_token == self.form.to_application:
                self.note(
                    "csrf_token in a form that goes to an application"
                    if self.form.to_application
                    else "form without csrf_token",
                    self.form.line,
                )
            self.form = None

    def handle_data(self, data: str) -> None:
        if _has_letters(data):
            self.note(f"text that is in no catalogue: {data.strip()[:40]!r}")

    def finish(self) -> None:
        self.close()
        for control in self.inputs:
            if not control.wrapped and control.id not in self.label_targets:
                self.note("input without a label", control.line)


def lint(template: str, source: str) -> list[Finding]:
    """What is wrong with the template of that name (relative to the template folder) and that source."""
    numbers: dict[str, int] = {}

    def place(found: re.Match[str]) -> str:
        number = numbers.setdefault(found.group(), len(numbers))
        return f"{_PLACE}{number}{_PLACE}" + _newlines(found)

    source = _COMMENT.sub(_newlines, source)
    findings = [
        Finding(template, line, message)
        for line, content in enumerate(source.splitlines(), start=1)
        for pattern, message in (
            (_UNESCAPED, "escaping is switched off"),
            (_WEB_ADDRESS, "a fixed web address: pages load and link only what they are given"),
        )
        if pattern.search(content)
    ]
    reader = _Reader(template)
    reader.feed(_EXPRESSION.sub(place, _STATEMENT.sub(lambda found: " " + _newlines(found), source)))
    reader.finish()
    return sorted(findings + reader.findings)


def _newlines(found: re.Match[str]) -> str:
    return "\n" * found.group().count("\n")


def _has_letters(value: str) -> bool:
    return any(character.isalpha() for character in value)


def lint_folder(templates: Path) -> list[Finding]:
    """What is wrong with the pages and the HTML of e-mails in `templates`; plain text has nothing to go wrong."""
    return [
        finding
        for path in sorted(templates.rglob("*.html"))
        for finding in lint(path.relative_to(templates).as_posix(), path.read_text(encoding="utf-8"))
    ]


def main() -> int:
    """Prints the findings; 1 when there are any."""
    findings = lint_folder(folder("templates"))
    for finding in findings:
        print(finding)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
