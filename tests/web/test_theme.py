"""The look of an organisation: colours that everybody can read, and files that only it has and that can do nothing."""

import io
import itertools
import re
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import update

from idp.accounts.models import Organization
from idp.kernel.clock import FixedClock
from idp.texts.catalogue import Texts
from idp.web import theme
from idp.web.headers import FORMS_TO_OURSELVES, POLICY
from idp.web.static_files import FOLDER
from idp.web.theme import READABLE, SURFACES, Palette, Scheme, contrast, palette, stylesheet
from tests.conftest import is_long
from tests.factories import Factories, Somebody
from tests.oidc.journeys import Browser, Provider
from tests.web.reading import Element, Page

COLOURS = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in itertools.product(range(0, 256, 15), repeat=3)]
# All brand colours in the long run; otherwise every 47th, which takes some of each red, green and blue.
SAMPLE = [*(COLOURS if is_long() else COLOURS[::47]), "#000000", "#ffffff", "#ffdd00", "#0b5b78", "#c30fe1"]
EVIL = "</style><script>alert(1)</script>\"'{{ 7 * 7 }}"


# --- Colours


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#ffffff", "#ffffff") == 1
    assert contrast("#0b5b78", "#ffffff") == contrast("#ffffff", "#0b5b78") == pytest.approx(7.55, abs=0.005)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def pairs(found: Palette, scheme: Scheme) -> dict[str, float]:
    """Everything that is read or seen, on everything that it stands on."""
    surfaces = SURFACES[scheme]
    links = {f"link on {behind}": contrast(found.primary, behind) for behind in surfaces.behind_links}
    return links | {
        "ring and icon on a chosen card": contrast(found.primary, found.sel),
        "text of a button": contrast(found.on_primary, found.primary),
        "text of a button under the pointer": contrast(found.on_primary, found.primary_hover),
        "text on a chosen card": contrast(surfaces.text, found.sel),
        "description on a chosen card": contrast(surfaces.muted, found.sel),
    }


@pytest.mark.parametrize("scheme", SURFACES)
def test_every_brand_colour_becomes_one_that_can_be_read(scheme: Scheme) -> None:
    worst = min(min(pairs(palette(colour, scheme), scheme).values()) for colour in SAMPLE)
    assert worst >= READABLE
    assert all(theme.is_colour(part) for colour in SAMPLE for part in vars(palette(colour, scheme)).values())


def test_colour_that_can_be_read_stays_and_another_keeps_its_hue() -> None:
    assert palette("#0b5b78", "light").primary == "#0b5b78"
    assert (palette("#ffdd00", "light").primary, palette("#ffdd00", "dark").primary) == ("#7a6a00", "#ffdd00")
    red, green, blue = (int(palette("#ff0000", "light").primary[at : at + 2], 16) for at in (1, 3, 5))
    assert red > 150 and green == blue == 0


def tokens(css: str) -> dict[str, str]:
    """The custom properties of a rule; short colours written out."""
    found = dict(re.findall(r"--([\w-]+): ([^;]+);", css))
    return {
        name: "#" + "".join(2 * digit for digit in value[1:]) if re.fullmatch("#[0-9a-f]{3}", value) else value
        for name, value in found.items()
    }


def test_surfaces_are_those_of_the_stylesheet() -> None:
    css = (FOLDER / "idp.css").read_text()
    light, dark = (tokens(rule) for rule in re.findall(r":root \{(.*?)\}", css, re.DOTALL)[:2])
    for scheme, present in (("light", light), ("dark", dark)):
        surfaces = SURFACES[scheme]  # type: ignore[index]
        assert surfaces.behind_links == tuple(present[name] for name in ("bg", "surface", "aside", "warn-bg"))
        assert (surfaces.surface, surfaces.text) == (present["surface"], present["text"])
        assert surfaces.muted == present["muted"]


def test_stylesheet_holds_custom_properties_of_idp_css_and_nothing_else() -> None:
    written = stylesheet("#ffdd00")
    rule = r":root \{ (?:--[a-z-]+: #[0-9a-f]{6}; ?)+\} \}\n"
    assert re.fullmatch(
        rf"@media screen \{{ {rule}@media screen and \(prefers-color-scheme: dark\) \{{ {rule}", written
    )
    assert set(tokens(written)) <= set(tokens((FOLDER / "idp.css").read_text()))


@pytest.mark.parametrize("value", ["", "#fd0", "#FFDD00", "#ffdd00\n", "red", "#ffdd00;}</style>", "#ffdd0g", "ffdd00"])
def test_what_is_no_colour_never_becomes_a_stylesheet(value: str) -> None:
    assert not theme.is_colour(value)
    with pytest.raises(ValueError, match="no colour"):
        stylesheet(value)


# --- On the pages


@pytest.fixture
def provider(app: Flask, clock: FixedClock) -> Provider:
    return Provider(app, clock, Factories(app))


def picture(colour: str = "#c2185b", size: tuple[int, int] = (600, 200)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def dressed(provider: Provider, *logos: str, code: str = "10234", **look: Any) -> Somebody:
    """Somebody whose second step is due in an organisation with this look, written past every check."""
    organization = provider.make.organization(code, **look)
    who = provider.make.account(organization, org_code=code, totp=True)
    with provider.app.app_context():
        for variant in logos:
            provider.services.logos.set(code, variant, picture())  # type: ignore[arg-type]
    return who


def page_of(provider: Provider, who: Somebody, query: str = "") -> Element:
    """The page with the code field of somebody's second step."""
    browser = Browser(provider)
    begun = browser.get(browser.authorize(provider.client()).headers["Location"])
    answered = browser.post(*browser.answered(begun, who.names))
    response = browser.get(answered.headers["Location"].partition("?")[0] + query)
    assert response.status_code == 200 and 'id="code"' in response.text
    assert response.headers["Content-Security-Policy"] == POLICY + FORMS_TO_OURSELVES
    assert EVIL not in response.text
    return Page.read(response.text).root


def stylesheets(page: Element) -> list[str]:
    return [link.attributes["href"] for link in page.all("link") if link.attributes["rel"] == "stylesheet"]


def test_before_the_organisation_is_known_the_neutral_look_shows(provider: Provider) -> None:
    dressed(provider, "light", brand_colour="#ffdd00", privacy_uri="https://linde.example/privacy")
    browser = provider.browser()
    page = Page.read(browser.get(browser.authorize(provider.client()).headers["Location"]).text).root
    assert len(stylesheets(page)) == 1 and not page.all("picture", "img")
    assert "De Linde" not in page.text and page.one("footer").all("a") == []


def test_known_organisation_shows_its_colour_name_texts_and_privacy_statement(provider: Provider) -> None:
    who = dressed(
        provider,
        brand_colour="#ffdd00",
        privacy_uri="https://linde.example/privacy",
        texts={"nl": {"code.help": "Bel Jan, op tafel 3.", "enrol.help": "Nooit hier."}, "en": {"code.help": "Ask."}},
    )
    page = page_of(provider, who)
    ours, own = stylesheets(page)
    assert ours.startswith("/static/idp.") and own.startswith("/t/10234/theme.")
    assert page.one("header").text.startswith("Atosi De Linde")
    assert "Bel Jan, op tafel 3." in page.one("aside").text and "Nooit hier" not in page.text
    (link,) = page.one("footer").all("a")
    assert (link.text, link.attributes["href"]) == ("Privacyverklaring van De Linde", "https://linde.example/privacy")
    assert "088" in page.one("aside").text, "the number to call stays"

    response = provider.get(own)
    assert response.text == stylesheet("#ffdd00")
    assert response.content_type == "text/css; charset=utf-8"
    assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in response.headers


def test_own_text_shows_in_its_language_only_and_ours_where_there_is_none(provider: Provider) -> None:
    who = dressed(provider, texts={"nl": {"code.help": "Bel Jan."}})
    english = page_of(provider, who, "?lang=en").one("aside").text
    assert "Bel Jan." not in english and Texts("en").text("code.help") in english
    assert len(stylesheets(page_of(provider, who))) == 1, "no colour, no stylesheet"


def test_logos_show_with_the_name_in_the_place_of_the_mark(provider: Provider) -> None:
    page = page_of(provider, dressed(provider, "light", "dark"))
    shown = page.one("picture")
    (source,) = shown.all("source")
    image = shown.one("img")
    assert source.attributes["media"] == "(prefers-color-scheme: dark)"
    assert image.attributes["alt"] == "De Linde"
    assert (image.attributes["width"], image.attributes["height"]) == ("120", "40")
    assert "plate" not in shown.attributes["class"]
    for address in (image.attributes["src"], source.attributes["srcset"]):
        response = provider.get(address)
        assert response.content_type == "image/png"
        assert Image.open(io.BytesIO(response.data)).size == (240, 80)
        assert response.headers["Content-Security-Policy"] == "sandbox; default-src 'none'"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_logo_without_a_dark_one_gets_a_white_plate(provider: Provider) -> None:
    shown = page_of(provider, dressed(provider, "light")).one("picture")
    assert "plate" in shown.attributes["class"].split() and not shown.all("source")


def test_files_are_there_for_their_own_organisation_under_their_present_address_only(provider: Provider) -> None:
    who = dressed(provider, "light", brand_colour="#ffdd00")
    dressed(provider, code="20345", brand_colour="#0b5b78")
    page = page_of(provider, who)
    own, logo = stylesheets(page)[1], page.one("img").attributes["src"]
    hashed = theme.stylesheet_hash("#0b5b78")
    for wrong in (
        own.replace(theme.stylesheet_hash("#ffdd00"), hashed),
        own.replace("10234", "20345"),
        own.replace("10234", "99999"),
        own.replace("10234", "%2e%2e"),
        own.replace(".css", ".css.css"),
        logo.replace("10234", "20345"),
        logo.replace("light", "dark"),
        logo.replace("light", "other"),
        re.sub(r"[0-9a-f]{64}", "0" * 64, logo),
    ):
        response = provider.get(wrong)
        assert (response.status_code, response.headers["Cache-Control"]) == (404, "no-store"), wrong
        assert response.headers["Content-Security-Policy"] == POLICY + FORMS_TO_OURSELVES
    with provider.app.app_context():
        provider.services.organizations.set("10234", brand_colour="#0b5b78")
        provider.services.logos.remove("10234", "light")
    assert [provider.get(address).status_code for address in (own, logo)] == [404, 404]


STRANGE = ["a/b", "/a", "../x", "a?b#c", "100%25", "<i>", "é", "a.theme.css", "-", "%2e%2e"]


def test_organisation_with_a_strange_code_has_its_look_too(provider: Provider) -> None:
    for code in STRANGE:
        page = page_of(provider, dressed(provider, "light", code=code, brand_colour="#ffdd00"))
        for address in (stylesheets(page)[1], page.one("img").attributes["src"]):
            assert re.fullmatch(r"/t/[A-Za-z0-9%._~-]+/[a-z-]+\.[0-9a-f]+\.(css|png)", address), address
            assert provider.get(address).status_code == 200, address


@pytest.mark.parametrize("code", ["%00", "%2500", "\udcff", "..", "%ff", "10234%0a", "a" * 5000, quote(EVIL, safe="")])
def test_address_with_a_code_that_cannot_be_is_not_found(provider: Provider, code: str) -> None:
    dressed(provider, brand_colour="#ffdd00")
    segment = quote(code, safe="%", errors="surrogateescape")
    for name in (f"theme.{theme.stylesheet_hash('#ffdd00')}.css", f"logo-light.{'0' * 64}.png"):
        assert provider.get(f"/t/{segment}/{name}").status_code == 404


def test_hostile_look_in_the_database_is_text_at_most(provider: Provider) -> None:
    who = dressed(
        provider,
        "light",
        name=EVIL,
        brand_colour="red;}/*",
        privacy_uri="javascript:alert(1)",
        texts={"nl": {"code.help": EVIL}},
    )
    page = page_of(provider, who)
    assert len(stylesheets(page)) == 1 and page.one("footer").all("a") == []
    assert page.one("img").attributes["alt"] == EVIL
    assert EVIL in page.one("aside").text
    assert not page.all("style") and len(page.all("script")) == 1
    with provider.writing() as unit:
        unit.execute(update(Organization).values(brand_colour="#ffdd0g"))
    assert provider.get(f"/t/10234/theme.{theme.stylesheet_hash('#ffdd00')}.css").status_code == 404


def test_somebody_who_signs_in_again_sees_the_look_of_their_session(provider: Provider) -> None:
    who = dressed(provider, "light", brand_colour="#ffdd00", texts={"nl": {"identify.help": "Bel Jan."}})
    browser, party = provider.browser(), provider.client()
    browser.sign_in(party, who)
    again = Page.read(browser.get(browser.authorize(party, prompt="login").headers["Location"]).text).root
    assert again.with_id("login-submit") and len(stylesheets(again)) == 2
    assert again.one("img").attributes["alt"] == "De Linde" and "Bel Jan." in again.one("aside").text
