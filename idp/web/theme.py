"""THEME: one brand colour becomes a few custom properties with which everybody can read the page.

An organisation's colour is taken as it is where it can be read, and otherwise made darker (on light pages) or lighter
(on dark ones) in steps of its lightness, until a link, the text of a button and the ring of a chosen card have the
contrast that WCAG 2.2 asks of text (1.4.3). Hue and saturation stay. Pure functions; `own_look` serves the stylesheet.
"""

import colorsys
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Literal

Scheme = Literal["light", "dark"]

READABLE = 4.5
"""The contrast ratio that text needs (WCAG 2.2, 1.4.3)."""

_COLOUR = re.compile(r"#[0-9a-f]{6}")
_STEP = 0.01
_HOVER = {"light": -0.07, "dark": 0.12}
_SEEN = 1.15
"""The contrast ratio from which on two colours side by side are seen to differ."""


@dataclass(frozen=True)
class Surfaces:
    """The colours of `idp.css` that stay: what links stand on, the panel, and the texts on a chosen card."""

    behind_links: tuple[str, ...]
    surface: str
    text: str
    muted: str
    on_primary: str
    tint: float
    """How much of the brand colour is in the background of a chosen card."""


SURFACES: dict[Scheme, Surfaces] = {
    "light": Surfaces(("#f2f5f7", "#ffffff", "#eaf1f4", "#fff3d6"), "#ffffff", "#15202b", "#475564", "#ffffff", 0.09),
    "dark": Surfaces(("#0e141a", "#171f27", "#1d2832", "#33270d"), "#171f27", "#eaf0f5", "#b2bfcb", "#0e141a", 0.14),
}
"""Page, panel, side panel and the box of a notice, as `idp.css` has them; a test compares them."""


@dataclass(frozen=True)
class Palette:
    """What takes the place of the petrol blue in one scheme."""

    primary: str
    primary_hover: str
    on_primary: str
    sel: str


def is_colour(value: str) -> bool:
    """True for `#rrggbb` in small letters, and nothing around it."""
    return _COLOUR.fullmatch(value) is not None


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 to 21 (WCAG 2.2, definition of contrast ratio)."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@lru_cache(maxsize=1024)
def palette(colour: str, scheme: Scheme) -> Palette:
    """The nearest readable colours to `colour`. Raises ValueError for what is no colour."""
    if not is_colour(colour):
        raise ValueError(f"{colour!r} is no colour")
    for candidate in _walk(colour, scheme):
        found = _around(candidate, scheme)
        if _is_readable(found, scheme):
            return found
    raise AssertionError(f"neither black nor white can be read in the {scheme} scheme")


@lru_cache(maxsize=1024)
def stylesheet(colour: str) -> str:
    """Custom properties for screens, light and dark, and nothing else. Raises ValueError for what is no colour."""
    light, dark = (_properties(palette(colour, scheme)) for scheme in SURFACES)
    return (
        f"@media screen {{ :root {{ {light} }} }}\n"
        f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )


def stylesheet_hash(colour: str) -> str:
    """What the address of the stylesheet changes with."""
    return sha256(stylesheet(colour).encode()).hexdigest()[:16]


def _properties(found: Palette) -> str:
    return (
        f"--primary: {found.primary}; --primary-hover: {found.primary_hover}; --on-primary: {found.on_primary};"
        f" --link: {found.primary}; --sel: {found.sel};"
    )


def _walk(colour: str, scheme: Scheme) -> Iterator[str]:
    """The colour itself, then ever darker ones down to black, or ever lighter ones up to white."""
    yield colour
    step, end = (-_STEP, 0.0) if scheme == "light" else (_STEP, 1.0)
    lightness = _hls(colour)[1]
    for taken in range(1, round(abs(end - lightness) / _STEP)):
        yield _with_lightness(colour, lightness + taken * step)
    yield _with_lightness(colour, end)


def _around(primary: str, scheme: Scheme) -> Palette:
    surfaces, lightness = SURFACES[scheme], _hls(primary)[1]
    hover = primary
    # Nothing is darker than black: what lies under the pointer then becomes lighter, as long as it can be read.
    for distance in (_HOVER[scheme], -_HOVER[scheme], -2 * _HOVER[scheme]):
        other = _with_lightness(primary, min(1.0, max(0.0, lightness + distance)))
        if contrast(other, surfaces.on_primary) >= READABLE and contrast(other, primary) > contrast(hover, primary):
            hover = other
        if contrast(hover, primary) >= _SEEN:
            break
    return Palette(primary, hover, surfaces.on_primary, _mixed(surfaces.surface, primary, surfaces.tint))


def _is_readable(found: Palette, scheme: Scheme) -> bool:
    surfaces = SURFACES[scheme]
    pairs = (
        *((found.primary, behind) for behind in (*surfaces.behind_links, found.sel)),
        (found.on_primary, found.primary),
        (found.on_primary, found.primary_hover),
        (surfaces.text, found.sel),
        (surfaces.muted, found.sel),
    )
    return all(contrast(one, other) >= READABLE for one, other in pairs)


def _channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue


def _written(channels: tuple[float, float, float]) -> str:
    return "#" + "".join(f"{round(channel * 255):02x}" for channel in channels)


def _hls(colour: str) -> tuple[float, float, float]:
    return colorsys.rgb_to_hls(*_channels(colour))


def _with_lightness(colour: str, lightness: float) -> str:
    hue, _, saturation = _hls(colour)
    return _written(colorsys.hls_to_rgb(hue, lightness, saturation))


def _mixed(ground: str, colour: str, share: float) -> str:
    red, green, blue = (
        below * (1 - share) + above * share for below, above in zip(_channels(ground), _channels(colour), strict=True)
    )
    return _written((red, green, blue))


@lru_cache(maxsize=4096)
def _luminance(colour: str) -> float:
    red, green, blue = (
        channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4 for channel in _channels(colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
