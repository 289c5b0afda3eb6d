"""Every rule about templates bites, and the templates keep them."""

import pytest

from idp.kernel.resources import folder
from tools.template_lint import lint, lint_folder

GOOD = """{# A comment with words, <style> and https: in it. #}
{% extends "base.html" %}
{% block main %}
<h1>{{ text("identify.title", app=app_name) }}</h1>
<form method="post" action="{{ action }}" novalidate>
<input type="hidden" name="csrf_token" value="{{ csrf_token }}">
<label for="{{ name }}">{{ label }}</label>
<input id="{{ name }}" name="code"{% if wrong %} aria-invalid="true"{% endif %}>
<label><input type="checkbox" name="remember" value="1"> {{ label }}</label>
<button aria-label="{{ label }}">&rarr; 1 / 2</button>
</form>
<script src="{{ static_url('idp.js') }}" defer></script>
{% endblock %}
"""


def _messages(source: str, template: str = "signin/page.html") -> list[str]:
    return [finding.message for finding in lint(template, source)]


def test_good_template_is_accepted() -> None:
    assert _messages(GOOD) == []


def test_templates_of_the_project_keep_the_rules() -> None:
    assert [str(finding) for finding in lint_folder(folder("templates"))] == []


def test_mail_may_carry_styles_and_no_link() -> None:
    assert _messages('<p style="color:red">{{ call }}</p>', "mail/code.html") == []
    assert _messages('<a href="{{ link }}">{{ call }}</a>', "mail/code.html") == [
        "href in an e-mail: it holds no link and loads nothing"
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<h1>", '<h1 style="color: {{ colour }}">', "inline style"),
        ("<h1>", "<style>{{ css }}</style><h1>", "inline style"),
        ("<h1>", "<script>{{ code }}</script><h1>", "inline script"),
        ("<h1>", '<h1 onclick="{{ code }}">', "inline handler onclick"),
        ("<h1>", '<a href="javascript:1">1</a><h1>', "javascript: address"),
        ('name="code"', 'name="code" placeholder="1"', "placeholder"),
        ('for="{{ name }}"', 'for="{{ other }}"', "input without a label"),
        ("app=app_name)", "app=app_name) | safe", "escaping is switched off"),
        ("<h1>", "{% autoescape false %}<h1>", "escaping is switched off"),
        ("<h1>", "<h1>Inloggen ", "text that is in no catalogue"),
        ("1 / 2", "1 of 2", "text that is in no catalogue"),
        ("<h1>", '<h1 title="Inloggen">', "text in title"),
        ('aria-label="{{ label }}"', 'aria-label="Terug naar {{ label }}"', "text in aria-label"),
        ("<h1>", '<h1 data-text="Terug">', "text in data-text"),
        ("</form>", '<input type="submit" value="Verzenden"></form>', "text in value"),
        ("csrf_token", "other", "form without csrf_token"),
        (" novalidate", "", "form without novalidate"),
        ("<h1>", '<a href="https://voorbeeld.nl">1</a><h1>', "a fixed web address"),
        ("{{ static_url('idp.js') }}", "//voorbeeld.nl/1.js", "a fixed web address"),
    ],
)
def test_rule_bites(old: str, new: str, message: str) -> None:
    assert old in GOOD
    found = _messages(GOOD.replace(old, new))
    assert found and all(finding.startswith(message) for finding in found)


def test_form_to_an_application_must_not_carry_our_csrf_value() -> None:
    assert _messages(GOOD, "signin/form_post.html") == ["csrf_token in a form that goes to an application"]
    without = GOOD.replace('<input type="hidden" name="csrf_token" value="{{ csrf_token }}">\n', "")
    assert _messages(without, "signin/form_post.html") == []


def test_finding_names_the_line_also_after_a_comment_of_many_lines() -> None:
    (finding,) = lint("signin/page.html", "{#\n\n#}\n{{ a\n}}\n<p>Inloggen</p>")
    assert str(finding) == "templates/signin/page.html:6: text that is in no catalogue: 'Inloggen'"
