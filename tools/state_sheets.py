"""One picture for every state of every page: both languages, light and dark, desktop and telephone, side by side.

A part of `make screenshots`. The views are drawn smaller than they are, so that all of them fit; what a page looks like
at its own size is in the gallery's other pictures.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser

LANGUAGES = ("nl", "en")
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# Width of the window, and what it is drawn down to.
WIDTHS = ((1280, 420), (390, 156))
HEIGHT = 640
GAP = 12
DESK = (205, 212, 218)
COLOURS = 48

Views = dict[str, list[Image.Image]]


def draw(browser: Browser, origin: str, states: Sequence[str], folder: Path) -> Iterator[str]:
    """The file names of the sheets in `folder`, one for each state served at `/page/<name>`."""
    folder.mkdir(parents=True, exist_ok=True)
    views: Views = {name: [] for name in states}
    for width, shown in WIDTHS:
        for scheme in SCHEMES:
            context = browser.new_context(
                base_url=origin,
                viewport={"width": width, "height": HEIGHT},
                color_scheme=scheme,
                reduced_motion="reduce",
                has_touch=width < 900,
                is_mobile=width < 900,
            )
            page = context.new_page()
            for name in states:
                for language in LANGUAGES:
                    page.goto(f"/page/{name}?lang={language}", wait_until="commit")
                    page.wait_for_load_state("load")
                    if name.startswith("home"):
                        # Folded, they are all the same.
                        page.evaluate("document.querySelector('main details')?.setAttribute('open', '')")
                    picture = Image.open(BytesIO(page.screenshot(full_page=True, caret="hide"))).convert("RGB")
                    tall = round(picture.height * shown / picture.width)
                    views[name].append(picture.resize((shown, tall), Image.Resampling.LANCZOS))
            context.close()
    for name, pictures in views.items():
        file = f"{name}.png"
        side_by_side(pictures).quantize(COLOURS).save(folder / file, optimize=True)
        yield file


def side_by_side(pictures: Sequence[Image.Image]) -> Image.Image:
    """The pictures on a grey desk, from left to right."""
    wide = sum(picture.width + GAP for picture in pictures) + GAP
    sheet = Image.new("RGB", (wide, max(picture.height for picture in pictures) + 2 * GAP), DESK)
    left = GAP
    for picture in pictures:
        sheet.paste(picture, (left, GAP))
        left += picture.width + GAP
    return sheet


def gallery_lines(states: Sequence[str]) -> list[str]:
    """The part of the gallery that shows the sheets."""
    lines = [
        "## Every page in every state",
        "",
        "From left to right: desktop light (Dutch, English), desktop dark, telephone light, telephone dark.",
        "The names are those of `tests/web/page_states.py`.",
        "",
    ]
    for name in states:
        alt = f"{name}: both languages, light and dark, 1280 and 390 px"
        lines += [f"### {name}", "", f'<img src="screenshots/states/{name}.png" alt="{alt}" width="1000">', ""]
    return lines
