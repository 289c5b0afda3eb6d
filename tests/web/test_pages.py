"""Every page in every state and both languages: what holds on all of them, and what is special to some."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from flask import Flask, g
from flask.testing import FlaskClient
from jinja2 import UndefinedError

from idp.kernel.resources import folder
from idp.texts import catalogue
from idp.web.pages import FRAME_KEY, FrameOrganization, error_sentence, init_pages, render
from idp.web.static_files import FOLDER, static_url
from idp.web.texts import LANGUAGES, MaskedAddress
from tests.web.page_states import FRAME, OTPAUTH_URI, SECRET, STATES, PageState, make_app
from tests.web.reading import Element, Page

EVERY_STATE = pytest.mark.parametrize("name", sorted(STATES))
EVERY_LANGUAGE = pytest.mark.parametrize("language", sorted(LANGUAGES))
TRANSLATIONS = Path(static_url.__code__.co_filename).parent.parent / "translations"


@cache
def _app() -> Flask:
    return make_app()


@pytest.fixture
def client() -> FlaskClient:
    return _app().test_client()


def _rendered(template: str, context: Mapping[str, object], organization: FrameOrganization | None = None) -> Element:
    """The page that `template` makes of `context` in the current request."""
    response = render(template, status=200, organization=organization, **context)
    return Page.read(response.get_data(as_text=True)).root


@cache
def _source(name: str, language: str) -> str:
    response = _app().test_client().get(f"/page/{name}?lang={language}")
    assert response.status_code == STATES[name].status
    return response.text


def _page(name: str, language: str = "nl") -> Element:
    return Page.read(_source(name, language)).root


def _frame(state: PageState) -> FrameOrganization:
    return state.organization or FRAME


@EVERY_LANGUAGE
@EVERY_STATE
def test_page_has_one_heading_and_one_of_each_landmark(name: str, language: str) -> None:
    page = _page(name, language)
    assert [element.tag for element in page.all("h1", "h2", "h3", "h4")].count("h1") == 1
    for tag in ("header", "main", "footer", "aside", "nav"):
        page.one(tag)
    levels = [int(element.tag[1]) for element in page.one("main").all("h1", "h2", "h3", "h4")]
    after_title = levels[levels.index(1) :]
    assert all(next_level <= level + 1 for level, next_level in zip(after_title, after_title[1:], strict=False))


@EVERY_LANGUAGE
@EVERY_STATE
def test_page_says_its_language_and_links_the_other(name: str, language: str) -> None:
    page = _page(name, language)
    assert page.one("html").attributes["lang"] == language
    links = page.one("nav").all("a")
    assert {link.attributes["lang"]: link.text for link in links} == dict(LANGUAGES)
    assert [link.attributes["lang"] for link in links if "aria-current" in link.attributes] == [language]


@EVERY_LANGUAGE
@EVERY_STATE
def test_title_names_page_and_organisation_and_begins_with_the_error_mark(name: str, language: str) -> None:
    state = STATES[name]
    title = _page(name, language).one("title").text
    mark = {"nl": "Fout: ", "en": "Error: "}[language]
    assert title.endswith(f" – {_frame(state).name}")
    assert title.startswith(mark) == (state.error is not None)
    assert len(title.removeprefix(mark)) > len(f" – {_frame(state).name}")


@EVERY_LANGUAGE
@EVERY_STATE
def test_every_input_has_a_label_and_every_reference_a_target(name: str, language: str) -> None:
    page = _page(name, language)
    ids = [element.attributes["id"] for element in page.having("id")]
    assert len(ids) == len(set(ids))
    labelled = {label.attributes["for"] for label in page.all("label")}
    for control in page.all("input", "select", "textarea"):
        if control.attributes.get("type") != "hidden":
            assert control.attributes["id"] in labelled
            assert "placeholder" not in control.attributes
    for attribute in ("for", "aria-describedby", "aria-labelledby", "aria-controls", "data-shows", "data-copies"):
        for element in page.having(attribute):
            assert set(element.attributes[attribute].split()) <= set(ids)
    for link in page.all("a"):
        if (href := link.attributes["href"]).startswith("#"):
            assert href[1:] in ids


@EVERY_LANGUAGE
@EVERY_STATE
def test_service_desk_can_be_called_from_every_page(name: str, language: str) -> None:
    frame = _frame(STATES[name])
    links = [link for link in _page(name, language).one("aside").all("a")]
    assert [link.attributes["href"] for link in links] == [frame.phone_link]
    assert frame.service_desk_phone in links[0].text
    assert frame.service_desk_hours in _page(name, language).one("aside").text


@EVERY_STATE
def test_page_has_no_inline_code_and_nothing_of_another_origin(name: str) -> None:
    page = _page(name)
    assert not page.all("style") and not page.having("style")
    for script in page.all("script"):
        assert script.attributes["src"].startswith("/static/") and not script.children
    for element in page.all(*{found.tag for found in page.having("class")}):
        assert not [attribute for attribute in element.attributes if attribute.startswith("on")]
    for element in page.all("link", "img", "script"):
        assert (element.attributes.get("href") or element.attributes["src"]).startswith("/static/")


@EVERY_STATE
def test_form_carries_the_csrf_value_and_leaves_complaints_to_us(name: str) -> None:
    for form in _page(name).all("form"):
        assert form.attributes["method"] == "post"
        assert "novalidate" in form.attributes
        values = [field.attributes["value"] for field in form.having("name", "csrf_token")]
        assert values == ([] if name == "form-post" else ["4f2a"])
        assert not form.having("disabled")


@EVERY_STATE
def test_only_one_thing_asks_for_the_focus(name: str) -> None:
    focused = _page(name).having("autofocus")
    assert len(focused) <= 1
    if STATES[name].error is not None:
        assert focused[0].attributes["id"] == "summary"
    reached = [element for element in _page(name).having("tabindex") if element.attributes["tabindex"] != "-1"]
    # What scrolls inside itself is read with the keyboard too (WCAG 2.1.1).
    assert [(element.tag, element.attributes["tabindex"]) for element in reached] == [("pre", "0")] * len(reached)
    assert all("aria-label" in element.attributes or "aria-labelledby" in element.attributes for element in reached)


@EVERY_LANGUAGE
@pytest.mark.parametrize("name", sorted(name for name, state in STATES.items() if state.error is not None))
def test_error_stands_in_the_summary_and_with_the_same_words_at_the_field(name: str, language: str) -> None:
    state = STATES[name]
    assert state.error is not None
    page = _page(name, language)
    with _app().test_request_context(f"/?lang={language}"):
        tries_left = state.context.get("tries_left")
        sentence = error_sentence(state.error, tries_left if isinstance(tries_left, int) else None)
    summary = page.with_id("summary")
    assert summary.attributes["role"] == "alert" and summary.attributes["tabindex"] == "-1"
    assert [(link.text, link.attributes["href"]) for link in summary.all("a")] == [(sentence, f"#{state.error.field}")]
    assert page.with_id(f"{state.error.field}-error").text.endswith(sentence)
    described_by = [
        element
        for element in page.having("aria-describedby")
        if f"{state.error.field}-error" in element.attributes["aria-describedby"].split()
    ]
    assert len(described_by) == 1
    if state.error.field != "method":
        assert described_by[0].attributes["id"] == state.error.field
        assert described_by[0].attributes["aria-invalid"] == "true"


@EVERY_STATE
def test_only_the_field_of_the_error_is_marked_as_wrong(name: str) -> None:
    error = STATES[name].error
    invalid = [field.attributes["id"] for field in _page(name).having("aria-invalid")]
    assert invalid == ([error.field] if error is not None and error.field != "method" else [])


def _pseudo(catalogue: Path, target: Path) -> None:
    """Writes `catalogue` with every letter of its texts replaced by a sign that is no letter; slots stay."""
    with catalogue.open("rb") as file:
        source = read_po(file)
    pseudo = Catalog(locale=source.locale)
    for message in source:
        if message.id:
            texts = (message.string,) if isinstance(message.string, str) else tuple(message.string or ())
            signs = [re.sub(r"(\{\w+\})|\w", lambda found: found.group(1) or "¤", text) for text in texts]
            pseudo.add(message.id, signs[0] if isinstance(message.string, str) else signs)
    target.parent.mkdir(parents=True)
    with target.open("wb") as file:
        write_mo(file, pseudo)


def _given_words(value: object) -> Iterator[str]:
    match value:
        case str() | MaskedAddress():
            yield from re.findall(r"[^\W\d_]+", str(value))
        case FrameOrganization():
            own = [text for slots in value.own_texts.values() for text in slots.values()]
            yield from _given_words([value.name, value.organization_name, *own])
        case dict():
            yield from _given_words(list(value.values()))
        case list() | tuple():
            for part in value:
                yield from _given_words(part)


def _read_aloud(page: Element) -> Iterator[str]:
    yield page.one("body").text
    yield page.one("title").text
    for attribute in ("aria-label", "alt", "title"):
        for element in page.having(attribute):
            yield element.attributes[attribute]
    for element in page.having("data-text") + page.having("data-show-text") + page.having("data-hide-text"):
        yield from (value for name, value in element.attributes.items() if name.startswith("data-") and "text" in name)


@pytest.fixture
def pseudo_catalogues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Catalogues in which no text has a letter of its own."""
    for existing in LANGUAGES:
        _pseudo(
            TRANSLATIONS / existing / "LC_MESSAGES" / "messages.po", tmp_path / existing / "LC_MESSAGES" / "messages.mo"
        )
    monkeypatch.setattr(catalogue, "CATALOGUES", tmp_path)
    catalogue._catalogue.cache_clear()
    yield
    catalogue._catalogue.cache_clear()


@EVERY_LANGUAGE
def test_page_has_no_word_outside_the_catalogues(language: str, pseudo_catalogues: None) -> None:
    app = Flask("pseudo", template_folder=str(folder("templates")), static_folder=None)
    app.config[FRAME_KEY] = FRAME
    init_pages(app)
    # The names of days and months come from the Unicode locale data.
    months = {"februari", "February", "dinsdag", "november", "Tuesday", "November"}
    clock = {"pm"}
    for state in STATES.values():
        with app.test_request_context(f"/?lang={language}"):
            page = _rendered(state.template, state.context, state.organization)
        given = set(_given_words(list(state.context.values()))) | set(_given_words(_frame(state)))
        words = {word for said in _read_aloud(page) for word in re.findall(r"[^\W\d_]+", said)}
        assert words - given - months - clock <= set(LANGUAGES.values()), state.name


def test_page_is_never_stored() -> None:
    assert _app().test_client().get("/page/identify").headers["Cache-Control"] == "no-store"


def test_template_that_was_not_given_a_name_raises() -> None:
    with _app().test_request_context("/"), pytest.raises(UndefinedError):
        render("signin/choose_account.html", app_name="Atosi")


# The language


@pytest.mark.parametrize(
    ("query", "cookie", "accept", "expected"),
    [
        ("", None, None, "nl"),
        ("", None, "en-GB,nl;q=0.5", "en"),
        ("", None, "fr,de;q=0.8", "nl"),
        ("", None, "fr,en;q=0.3", "en"),
        ("?ui_locales=fr en-US nl", None, "nl", "en"),
        ("?ui_locales=fr", None, "en", "en"),
        ("?ui_locales=en", "nl", "en", "nl"),
        ("?lang=en&ui_locales=nl", "nl", "nl", "en"),
        ("?lang=fr", "en", "nl", "en"),
        ("", "fr", "en", "en"),
    ],
)
def test_language_follows_the_order_of_choice(
    client: FlaskClient, query: str, cookie: str | None, accept: str | None, expected: str
) -> None:
    if cookie is not None:
        client.set_cookie("idp_lang", cookie)
    response = client.get(f"/page/home{query}", headers={"Accept-Language": accept} if accept else {})
    assert Page.read(response.text).root.one("html").attributes["lang"] == expected


def test_language_asked_for_is_remembered(client: FlaskClient) -> None:
    first = client.get("/page/home?lang=en")
    cookie = first.headers["Set-Cookie"]
    assert cookie.startswith("idp_lang=en;")
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie and "Path=/" in cookie and "Domain" not in cookie
    second = client.get("/page/home")
    assert "Set-Cookie" not in second.headers
    assert Page.read(second.text).root.one("html").attributes["lang"] == "en"


def test_language_cookie_is_secure_when_cookies_of_the_application_are() -> None:
    app = make_app()
    app.config["SESSION_COOKIE_SECURE"] = True
    assert "Secure" in app.test_client().get("/page/home?lang=en").headers["Set-Cookie"]


def test_language_stored_with_the_request_counts_like_ui_locales() -> None:
    with _app().test_request_context("/", headers={"Accept-Language": "nl"}):
        g.ui_locales = "de en"
        assert 'lang="en"' in render("issuer/home.html", **STATES["home"].context).get_data(as_text=True)


def test_language_link_keeps_the_query_and_never_the_path(client: FlaskClient) -> None:
    page = Page.read(client.get("/page/home?a=1&a=%26%22&lang=nl").text).root
    assert [link.attributes["href"] for link in page.one("nav").all("a")] == [
        "?a=1&a=%26%22&lang=nl",
        "?a=1&a=%26%22&lang=en",
    ]


# What is special to a page


def test_login_keeps_organisation_and_username_and_empties_the_password() -> None:
    page = _page("identify-error-wrong")
    assert page.with_id("organisation").attributes["value"] == "10234"
    assert page.with_id("username").attributes["value"] == "j.jansen"
    assert "value" not in page.with_id("password").attributes
    assert "checked" in page.with_id("remember").attributes


def test_login_fields_say_what_password_managers_need() -> None:
    fields = [
        (field.attributes["name"], field.attributes["type"], field.attributes["autocomplete"])
        for field in _page("identify").one("form").having("autocomplete")
    ]
    assert fields == [
        ("organisation", "text", "on"),
        ("username", "text", "username webauthn"),
        ("password", "password", "current-password"),
    ]


def test_login_with_a_known_organisation_starts_in_the_first_empty_field() -> None:
    assert _page("identify-known-organisation").having("autofocus") == [
        _page("identify-known-organisation").with_id("username")
    ]
    assert _page("identify-sign-in-again").having("autofocus")[0].attributes["id"] == "password"
    assert _page("identify").having("autofocus") == []


def test_login_links_only_web_addresses_of_the_application() -> None:
    links = {link.text: link.attributes["href"] for link in _page("identify-policies").one("footer").all("a")}
    assert links == {
        "Privacyverklaring van Atosi": "https://app.example/privacy",
        "Voorwaarden van Atosi": "https://app.example/terms",
    }
    context = dict(STATES["identify"].context) | {"policy_uri": "javascript:alert(1)", "tos_uri": "//x.example"}
    with _app().test_request_context("/"):
        page = _rendered("signin/identify.html", context)
    assert page.one("footer").all("a") == []


def test_what_only_a_script_can_do_is_hidden_until_the_script_shows_it() -> None:
    for name in ("identify", "enrol"):
        buttons = [button for button in _page(name).all("button") if button.attributes.get("type") == "button"]
        assert buttons and all("hidden" in button.attributes for button in buttons)


def _methods(name: str) -> dict[str, bool]:
    return {card.attributes["value"]: "checked" in card.attributes for card in _page(name).having("name", "method")}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("choose", {"totp": True, "email": False, "postpone": False}),
        ("choose-app-only", {"totp": True, "postpone": False}),
        ("choose-no-address", {"totp": True, "postpone": False}),
        ("choose-email-only", {"email": True, "postpone": False}),
        ("choose-after-deadline", {"totp": True, "email": False}),
        ("choose-demanded", {"totp": True, "email": False}),
    ],
)
def test_choice_offers_what_there_is_and_never_preselects_postponing(name: str, expected: dict[str, bool]) -> None:
    assert _methods(name) == expected


@pytest.mark.parametrize(
    ("name", "notes"),
    [
        ("choose", []),
        (
            "choose-reminder",
            [
                "U heeft uw keuze uitgesteld. U kunt nog 20 dagen zonder code inloggen. "
                "Kies liever vandaag nog een methode."
            ],
        ),
        (
            "choose-reminder-one-day",
            [
                "U heeft uw keuze uitgesteld. U kunt nog één dag zonder code inloggen. "
                "Kies liever vandaag nog een methode."
            ],
        ),
        ("choose-last-day", ["Vandaag kunt u voor het laatst uitstellen."]),
        (
            "choose-after-deadline",
            ["Uitstellen kan niet meer. Kies nu een methode. U heeft die nodig om in te loggen."],
        ),
        ("choose-error-after-deadline", []),
        ("choose-demanded", ["Voor Rapportages is een code verplicht."]),
        ("choose-after-reset", ["De servicedesk heeft uw account gereset. Kies opnieuw een methode."]),
    ],
)
def test_choice_says_why_it_is_asked(name: str, notes: list[str]) -> None:
    assert [note.text for note in _page(name).having("class", "note")] == notes


def test_choice_shows_the_year_of_a_deadline_that_is_far_away() -> None:
    assert _page("choose").with_id("method-postpone-title").text == "Uitstellen tot uiterlijk 1 februari"
    title = _page("choose-far-deadline").with_id("method-postpone-title").text
    assert title == "Uitstellen tot uiterlijk 1 februari 2023"


def test_choice_masks_the_address_and_reads_it_out() -> None:
    assert "j•••••@voorbeeld.nl" in _page("choose").text
    assert "e-mailadres dat begint met j en eindigt op voorbeeld.nl" in _page("choose").text
    assert "jan@" not in _source("choose", "nl")


def test_choice_without_an_address_says_so_in_a_line() -> None:
    assert "Er is nog geen e-mailadres bij uw account bekend." in _page("choose-no-address").text
    assert "Er is nog geen e-mailadres bij uw account bekend." not in _page("choose-app-only").text


def test_secret_stands_in_no_form_field_and_no_address_but_the_apps() -> None:
    page = _page("enrol")
    assert [field.attributes["name"] for field in page.all("input")] == ["csrf_token", "method", "code"]
    assert not [field for field in page.all("input") if SECRET in field.attributes.get("value", "")]
    assert [link.attributes["id"] for link in page.all("a") if SECRET in link.attributes["href"]] == ["otpauth-link"]


def test_link_to_the_app_comes_before_the_qr_code() -> None:
    page = _page("enrol")
    assert page.with_id("otpauth-link").attributes["href"] == OTPAUTH_URI
    order = [element.attributes["id"] for element in page.having("id")]
    assert order.index("otpauth-link") < order.index("qr") < order.index("key") < order.index("code")


def test_qr_code_is_drawn_on_white_and_has_a_name_that_points_to_the_key() -> None:
    drawing = _page("enrol").with_id("qr")
    assert drawing.attributes["role"] == "img" and "sleutel hieronder" in drawing.attributes["aria-label"]
    assert [(part.tag, part.attributes["fill"]) for part in drawing.children if isinstance(part, Element)] == [
        ("rect", "#fff"),
        ("path", "#000"),
    ]


@pytest.mark.parametrize("name", ["enrol", "verify"])
def test_code_is_one_text_field_for_one_time_codes(name: str) -> None:
    (field,) = _page(name).having("name", "code")
    expected = {"type": "text", "inputmode": "numeric", "autocomplete": "one-time-code", "maxlength": "12"}
    assert expected.items() <= field.attributes.items()
    assert field.attributes["aria-required"] == "true" and "value" not in field.attributes


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("verify-error-short", "U heeft vijf cijfers ingevuld. De code heeft zes cijfers."),
        ("verify-error-one-digit", "U heeft één cijfer ingevuld. De code heeft zes cijfers."),
        ("verify-error-tries-left", "Vul de code in die u nu in de app ziet. U kunt het nog twee keer proberen."),
        ("verify-error-last-try", "Vul de code in die u nu in de app ziet. U kunt het nog één keer proberen."),
    ],
)
def test_code_error_counts_in_words(name: str, sentence: str) -> None:
    assert sentence in _page(name).with_id("code-error").text


def test_wait_says_the_clock_time_of_the_zone() -> None:
    assert "om 14.35 uur opnieuw" in _page("wait-code").text
    assert "at 2:35 pm" in _page("wait-code", "en").text


@pytest.mark.parametrize(
    ("name", "buttons"),
    [
        ("identify", [("login-submit", "", "")]),
        ("choose-account", [("account-continue", "account", "continue"), ("account-other", "account", "other")]),
        ("choose", [("method-submit", "", "")]),
        ("postpone", [("postpone-confirm", "", "")]),
        ("enrol", [("code-submit", "", "")]),
        ("verify", [("code-submit", "", "")]),
        ("consent", [("consent-allow", "decision", "allow"), ("consent-deny", "decision", "deny")]),
        ("logout", [("logout-confirm", "decision", "logout"), ("logout-cancel", "decision", "stay")]),
        ("form-post", [("form-post-submit", "", "")]),
    ],
)
def test_buttons_have_the_names_that_are_fixed(name: str, buttons: list[tuple[str, str, str]]) -> None:
    found = [
        (button.attributes["id"], button.attributes.get("name", ""), button.attributes.get("value", ""))
        for button in _page(name).one("form").all("button")
        if button.attributes.get("type") != "button"
    ]
    assert found == buttons


def test_postponing_is_confirmed_with_the_one_time_value() -> None:
    hidden = {
        field.attributes["name"]: field.attributes["value"]
        for field in _page("postpone").all("input")
        if field.attributes["type"] == "hidden"
    }
    assert hidden == {"csrf_token": "4f2a", "method": "postpone", "confirm": "9c1e"}


@pytest.mark.parametrize("name", ["handoff", "handoff-app"])
def test_handoff_leaves_at_once_and_by_a_visible_link(name: str) -> None:
    target = STATES[name].context["target"]
    page = _page(name)
    assert page.having("http-equiv", "refresh")[0].attributes["content"] == f"0;url={target}"
    link = page.with_id("handoff-link")
    assert link.attributes["href"] == target
    assert ("btn" in link.attributes["class"].split()) == (name == "handoff-app")


def test_handoff_cannot_be_broken_out_of() -> None:
    target = 'https://app.example/?state="><script>alert(1)</script>'
    with _app().test_request_context("/"):
        page = Page.read(
            render("signin/handoff.html", target=target, app_name="<b>", is_web=True).get_data(as_text=True)
        ).root
    assert page.with_id("handoff-link").attributes["href"] == target
    assert [script.attributes["src"][:8] for script in page.all("script")] == ["/static/"]


def test_form_post_carries_the_answer_to_the_application() -> None:
    page = _page("form-post")
    assert page.one("form").attributes["action"] == "/stay"
    answer = [(field.attributes["name"], field.attributes["value"]) for field in page.all("input")]
    assert answer == [("code", "1"), ("state", "<2>")]
    assert [script.attributes["src"].split(".")[0] for script in page.all("script")] == ["/static/form_post"]


def test_error_page_shows_the_request_code_and_escapes_what_it_repeats() -> None:
    for name in ("bad-request", "not-found", "server-error", "too-many", "busy", "forbidden"):
        assert _page(name).with_id("request-code").text == "K7QM-3F"
    assert "<https://x.example>" in _page("bad-request").one("details").text
    assert _page("bad-request-plain").all("details") == []


# Static files


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.iterdir()))
def test_static_file_is_served_as_immutable_under_its_hash(client: FlaskClient, name: str) -> None:
    with _app().test_request_context("/"):
        address = static_url(name)
    response = client.get(address)
    assert response.status_code == 200
    assert response.data == (FOLDER / name).read_bytes()
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert name.partition(".")[0] in address and address != f"/static/{name}"


def test_static_file_of_another_release_is_served_uncached(client: FlaskClient) -> None:
    response = client.get("/static/idp.0123456789abcdef.css")
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["idp.css", "other.0123456789abcdef.css", "idp.py", "..%2ftexts.py", "idp.a.b.css"])
def test_static_name_that_was_never_given_is_not_found(client: FlaskClient, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_sign_in_page_is_at_most_sixty_kilobytes() -> None:
    assets = sum((FOLDER / name).stat().st_size for name in ("idp.css", "idp.js", "icon.svg"))
    assert max(len(_source(name, "nl").encode()) for name in STATES) + assets <= 60_000
