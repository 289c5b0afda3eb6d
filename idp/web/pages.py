"""Pages: a template, what it shows, and the frame around it.

`init_pages(app)` once; afterwards `render(template, ...)` gives a response. A template that meets a name it was not
given raises, so a page cannot silently leave something out.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from flask import Flask, Response, current_app, make_response, render_template, request
from jinja2 import StrictUndefined

from idp.web import texts
from idp.web.static_files import static_files, static_url

FRAME_KEY = "IDP_FRAME"
"""`app.config` key of the `FrameOrganization` for pages where no organisation is known yet."""

_LANGUAGE_COOKIE_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True)
class Logo:
    """A logo in the frame, 40 CSS pixels high; `dark_url` is for dark pages, where the other may not be seen."""

    url: str
    width: int
    dark_url: str | None = None
    dark_width: int = 0


@dataclass(frozen=True)
class FrameOrganization:
    """Whose name and service desk stand in the frame of a page. Its phone may be empty, and its hours.

    `hours_language` is that in which the hours are written; empty when nobody knows.
    The others are there once the organisation of the person is known, and only if it has them. `own_texts` are plain
    sentences by language and slot.
    """

    name: str
    service_desk_phone: str
    service_desk_hours: str = ""
    idle_minutes: int = 30
    hours_language: str = ""
    organization_name: str = ""
    theme_url: str | None = None
    logo: Logo | None = None
    privacy_uri: str | None = None
    own_texts: Mapping[str, Mapping[str, str]] = dataclasses.field(default_factory=dict)

    def own_text(self, slot: str) -> str | None:
        """The organisation's own sentence for this slot, in the language of the request; None when it has none."""
        return self.own_texts.get(texts.language(), {}).get(slot)

    @property
    def phone_link(self) -> str:
        """The number to dial: what people read, without spaces and dashes (RFC 3966)."""
        kept = "".join(character for character in self.service_desk_phone if character in "+0123456789")
        return f"tel:{kept}"

    @property
    def phone_text(self) -> str:
        """The number as people read it; it does not break over lines."""
        return self.service_desk_phone.replace(" ", "\N{NO-BREAK SPACE}")


@dataclass(frozen=True)
class ErrorText:
    """What is wrong with an answer: the field it is about, the key of the sentence, and what fills its slots.

    `tries_left` among the parameters adds how often it can still be tried.
    """

    field: str
    key: str
    params: Mapping[str, object] = dataclasses.field(default_factory=dict)


def init_pages(app: Flask, url_prefix: str | None = None) -> None:
    """`app` can render pages: texts, static files (below `url_prefix`) and what templates call are in place.

    The caller gives `app` its template folder, no static folder of its own, and a `FrameOrganization` in `IDP_FRAME`.
    """
    texts.init_texts(app)
    app.register_blueprint(static_files, url_prefix=url_prefix)
    environment = app.jinja_env
    environment.undefined = StrictUndefined
    environment.trim_blocks = True
    environment.lstrip_blocks = True
    environment.globals.update(
        text=texts.text,
        day_text=texts.day_text,
        moment_text=texts.moment_text,
        full_moment_text=texts.full_moment_text,
        days_left_text=texts.days_left_text,
        static_url=static_url,
        error_sentence=error_sentence,
    )
    environment.tests["web_address"] = is_web_address


def render(
    template: str, *, status: int = 200, organization: FrameOrganization | None = None, **context: object
) -> Response:
    """The page `template` in the language of the request, never stored by a browser.

    A language asked for by `?lang=` is remembered in a cookie.
    """
    texts.refresh_language()
    context.setdefault("error", None)
    frame = organization or current_app.config[FRAME_KEY]
    page = render_template(
        template, frame=frame, language=texts.language(), language_links=_language_links(), **context
    )
    response = make_response(page, status)
    response.headers["Cache-Control"] = "no-store"
    if (asked := texts.asked_language()) is not None:
        response.set_cookie(
            texts.language_cookie(),
            asked,
            max_age=_LANGUAGE_COOKIE_SECONDS,
            path="/",
            httponly=True,
            samesite="Lax",
            secure=bool(current_app.config["SESSION_COOKIE_SECURE"]),
        )
    return response


def error_sentence(error: ErrorText, tries_left: int | None = None) -> str:
    """The sentence that stands both in the summary and at the field."""
    sentence = texts.text(error.key, **error.params)
    left = error.params.get("tries_left", tries_left)
    if isinstance(left, int):
        sentence = f"{sentence} {texts.text('code.tries_left', tries=left)}"
    return sentence


def is_web_address(value: object) -> bool:
    """Whether `value` may stand in a link on a page: an absolute http or https address."""
    return isinstance(value, str) and urlsplit(value).scheme in {"http", "https"}


@dataclass(frozen=True)
class _LanguageLink:
    language: str
    name: str
    href: str


def _language_links() -> list[_LanguageLink]:
    """One link for each language: this address again, asked in that language.

    The links are only a query, so the path stays what the browser has: a path that starts with two slashes would
    otherwise become a link to another host.
    """
    kept = [(name, value) for name, value in request.args.items(multi=True) if name != "lang"]
    return [
        _LanguageLink(language, name, "?" + urlencode([*kept, ("lang", language)]))
        for language, name in texts.LANGUAGES.items()
    ]
