"""An organisation with a garish colour and a dark logo, in a real browser: readable, loaded, under the same policy."""

import io

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image, ImageDraw

from idp.admin.logos import Variant
from idp.web.theme import Scheme, palette
from tests.browser.conftest import Begin
from tests.browser.visitor import CHOOSE, CODE, LOGIN, RULES, Tab, start
from tests.browser.world import World
from tests.factories import Somebody

pytestmark = pytest.mark.xdist_group("browser")

GARISH = "#ffdd00"
SHOWN_LOGO = """async () => {
  const image = document.querySelector("header img");
  await image.decode();
  const box = image.getBoundingClientRect();
  return {
    source: image.currentSrc.match(/logo-(\\w+)\\./)[1], loaded: image.naturalWidth > 0, width: box.width,
    height: box.height, plate: getComputedStyle(image).backgroundColor
  };
}"""
BUTTON = "(button) => getComputedStyle(button).backgroundColor"


def logo(colour: str) -> bytes:
    """Four leaves and a bar, on nothing."""
    picture = Image.new("RGBA", (720, 200))
    pen = ImageDraw.Draw(picture)
    for number in range(4):
        pen.ellipse((20 + 45 * number, 40, 100 + 45 * number, 160), fill=colour)
    pen.rectangle((300, 70, 700, 130), fill=colour)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def dress(site: World, who: Somebody, *variants: Variant) -> None:
    """The person's organisation has the garish colour, these logos, a privacy statement and a sentence of its own."""
    with site.live.app.app_context():
        site.live.services.organizations.set(
            who.org_code,
            brand_colour=GARISH,
            privacy_uri="https://linde.example/privacy",
            texts={"nl": {"choose.help": "Komt u er niet uit? Loop langs bij Jan, op de eerste verdieping."}},
        )
        for variant in variants:
            site.live.services.logos.set(who.org_code, variant, logo("#15202b" if variant == "light" else "#ffffff"))


def look_at(tab: Tab, scheme: Scheme) -> None:
    """What reads the same may look different here, so each page is looked at each time."""
    found = Axe().run(tab.page, options=RULES).response["violations"]
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in found] == []
    assert not tab.page.evaluate("document.documentElement.scrollWidth > innerWidth")
    red, green, blue = (int(palette(GARISH, scheme).primary[at : at + 2], 16) for at in (1, 3, 5))
    assert tab.find("main .btn").first.evaluate(BUTTON) == f"rgb({red}, {green}, {blue})"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_garish_colour_and_logo_are_readable_on_every_screen(
    visit: Begin, site: World, scheme: Scheme, width: int
) -> None:
    for who, heading in ((site.newcomer(), CHOOSE), (site.app_user(), CODE)):
        dress(site, who, "light", *(("dark",) if heading == CODE else ()))
        visitor = visit(viewport={"width": width, "height": 900}, color_scheme=scheme)
        tab = start(visitor.tab(), site.atosi).at(LOGIN)
        assert tab.find("header img").count() == 0
        tab.log_in(who).at(heading)
        look_at(tab, scheme)
        shown = tab.page.evaluate(SHOWN_LOGO)
        assert shown["loaded"] and shown["height"] == 40 and shown["width"] <= 192
        assert shown["source"] == (scheme if heading == CODE else "light")
        has_plate = scheme == "dark" and heading == CHOOSE
        assert shown["plate"] == ("rgb(255, 255, 255)" if has_plate else "rgba(0, 0, 0, 0)")
        assert tab.page.get_by_role("img", name="De Linde").is_visible()


def test_forced_colours_keep_the_ground_under_the_logo(visit: Begin, site: World) -> None:
    who = site.app_user()
    dress(site, who, "light")
    tab = start(visit(color_scheme="dark", forced_colors="active").tab(), site.atosi).at(LOGIN).log_in(who).at(CODE)
    assert tab.page.evaluate(SHOWN_LOGO)["plate"] == "rgb(255, 255, 255)"


def test_colour_of_the_screen_stays_away_from_paper(visit: Begin, site: World) -> None:
    who = site.app_user()
    dress(site, who)
    tab = start(visit().tab(), site.atosi).at(LOGIN).log_in(who).at(CODE)
    tab.page.emulate_media(media="print")
    assert tab.find("aside a").first.evaluate("(link) => getComputedStyle(link).color") == "rgb(0, 0, 0)"
    assert "De Linde" in tab.text("header")
