"""Logos: what is drawn, what is refused, and that nothing of a hostile file is left in ours."""

import io
import struct
import threading
import zlib
from hashlib import sha256
from typing import Any

import pytest
from flask import Flask
from PIL import Image, PngImagePlugin

from idp.accounts.models import OrganizationLogo
from idp.admin.logos import LARGEST_FILE, LARGEST_SIDE, SIZE, drawn
from idp.audit.events import OrganizationChanged
from idp.audit.trail import events
from idp.kernel.errors import Refused
from idp.wiring import Services

SCRIPT = b"<script>alert(document.domain)</script>"


def picture(size: tuple[int, int] = (600, 200), file_format: str = "PNG", mode: str = "RGB", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size, options.pop("colour", 0)).save(file, file_format, **options)
    return file.getvalue()


def opened(png: bytes) -> Image.Image:
    found = Image.open(io.BytesIO(png), formats=("PNG",))
    found.load()
    return found


def chunks(png: bytes) -> list[bytes]:
    """The names of the parts of a PNG, to the last byte of the file."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    names, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        names.append(png[at + 4 : at + 8])
        at += 12 + length
    assert at == len(png)
    return names


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "JPEG"])
@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_every_kind_of_picture_becomes_a_plain_png(file_format: str, mode: str) -> None:
    if (file_format, mode) in {("JPEG", "LA"), ("JPEG", "P"), ("JPEG", "RGBA"), ("JPEG", "I;16"), ("PNG", "CMYK")}:
        with pytest.raises(OSError, match="cannot write mode"):
            picture(file_format=file_format, mode=mode)
        return
    png = drawn(picture(file_format=file_format, mode=mode))
    assert set(chunks(png)) == {b"IHDR", b"IDAT", b"IEND"}
    assert (opened(png).mode, opened(png).size) == ("RGBA", (240, 80))


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ((600, 200), (240, 80)),
        ((2000, 100), (384, 19)),
        ((100, 4000), (2, 80)),
        ((LARGEST_SIDE, 1), (384, 1)),
        ((1, LARGEST_SIDE), (1, 80)),
        ((LARGEST_SIDE, LARGEST_SIDE), (80, 80)),
        ((120, 40), (120, 40)),
        ((1, 1), (1, 1)),
    ],
)
def test_large_picture_is_drawn_small_and_a_small_one_as_it_is(given: tuple[int, int], wanted: tuple[int, int]) -> None:
    assert opened(drawn(picture(given, mode="L"))).size == wanted
    assert wanted[0] <= SIZE[0] and wanted[1] <= SIZE[1]


def test_colour_and_transparency_stay() -> None:
    assert opened(drawn(picture(mode="RGBA", colour=(200, 10, 20, 0)))).getpixel((5, 5))[3] == 0  # type: ignore[index]
    assert opened(drawn(picture(colour=(200, 10, 20)))).getpixel((5, 5)) == (200, 10, 20, 255)
    assert opened(drawn(picture(mode="I;16", colour=40_000))).getpixel((5, 5)) == (156, 156, 156, 255)


def test_of_an_animation_the_first_picture_is_kept() -> None:
    frames = [Image.new("RGB", (60, 20), colour) for colour in ("#ff0000", "#00ff00")]
    for file_format in ("PNG", "WEBP"):
        file = io.BytesIO()
        frames[0].save(file, file_format, save_all=True, append_images=frames[1:], lossless=True)
        png = drawn(file.getvalue())
        assert opened(png).getpixel((5, 5)) == (255, 0, 0, 255) and b"acTL" not in png


def test_nothing_but_the_picture_is_kept_of_a_file_that_is_something_else_too() -> None:
    about = PngImagePlugin.PngInfo()
    about.add_text("Comment", SCRIPT.decode())
    about.add_itxt("XML:com.adobe.xmp", SCRIPT.decode())
    exif = Image.Exif()
    exif[0x010E] = SCRIPT.decode()
    for hostile in (
        picture(pnginfo=about) + SCRIPT,
        picture(icc_profile=SCRIPT) + b"PK\x05\x06" + bytes(18),
        picture(file_format="JPEG", comment=SCRIPT, exif=exif) + SCRIPT,
        picture(file_format="WEBP", exif=exif, xmp=SCRIPT) + SCRIPT,
    ):
        assert SCRIPT in hostile or b"PK" in hostile
        png = drawn(hostile)
        assert set(chunks(png)) == {b"IHDR", b"IDAT", b"IEND"}
        assert SCRIPT not in png and SCRIPT[8:24] not in png and b"PK\x05\x06" not in png


# --- What is refused


def header(width: int, height: int, rows: int) -> bytes:
    """A black and white PNG that says to be of this size, and has this many rows."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    squeezed = zlib.compressobj(9)
    content = b"".join(squeezed.compress(bytes(1 + (width + 7) // 8)) for _ in range(rows)) + squeezed.flush()
    first = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", first) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


WEBP = picture((16_383, 4), "WEBP", quality=1)
REFUSED: list[tuple[str, bytes, str]] = [
    ("50 MB when unpacked", header(20_000, 20_000, 20_000), "logo.too_many_pixels"),
    ("a little more than Pillow warns of", header(9_500, 9_500, 1), "logo.too_many_pixels"),
    ("as large as a PNG can say", header(2**31 - 1, 2**31 - 1, 0), "logo.too_many_pixels"),
    ("one pixel too wide", header(LARGEST_SIDE + 1, 1, 1), "logo.too_many_pixels"),
    ("one pixel too high", header(1, LARGEST_SIDE + 1, 1), "logo.too_many_pixels"),
    ("as wide as a WebP can be", WEBP, "logo.too_many_pixels"),
    ("50 MB", bytes(50_000_000), "logo.too_large"),
    ("a byte too large", picture() + bytes(LARGEST_FILE), "logo.too_large"),
    ("nothing", b"", "logo.unknown"),
    ("a script", b"alert(1)", "logo.unknown"),
    ("a PDF", b"%PDF-1.7", "logo.unknown"),
    ("a GIF", picture(file_format="GIF", mode="L"), "logo.unknown"),
    ("a TIFF", picture((60, 20), "TIFF"), "logo.unknown"),
    ("an EPS, which is a program", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "logo.unknown"),
    ("an SVG", b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "logo.svg"),
    ("an SVG with a mark before it", b"\xef\xbb\xbf \n<?xml version='1.0'?><svg/>", "logo.svg"),
    ("an SVG in UTF-16", "<svg/>".encode("utf-16"), "logo.svg"),
    ("a packed SVG", b"\x1f\x8b\x08\x00", "logo.svg"),
    ("half a PNG", picture(size=(300, 100))[:60], "logo.broken"),
    ("half a JPEG", picture(file_format="JPEG")[:300], "logo.broken"),
    ("a WebP of zeros", b"RIFF\x1a\x00\x00\x00WEBPVP8L" + bytes(100), "logo.broken"),
]


@pytest.mark.parametrize(("content", "message_key"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_file_that_is_no_logo_is_refused_in_words(content: bytes, message_key: str) -> None:
    with pytest.raises(Refused) as refused:
        drawn(content)
    assert refused.value.message_key == message_key


def test_broken_file_is_refused_or_drawn_and_never_an_error_of_our_own() -> None:
    for good in (picture((90, 30)), picture((90, 30), "JPEG"), picture((90, 30), "WEBP")):
        for at in range(0, len(good), 3):
            try:
                assert opened(drawn(good[:at] + bytes([good[at] ^ 0xFF]) + good[at + 1 :])).height <= 80
            except Refused as refused:
                assert refused.message_key.startswith("logo.")


# --- The use case


def changes(services: Services) -> list[str]:
    with services.units.reading() as unit:
        return [event.details["change"] for event in events(unit, OrganizationChanged)]


def test_logo_is_kept_as_drawn_replaced_and_removed(services: Services) -> None:
    services.organizations.add("10234", "De Linde")
    first, second = picture(colour=(1, 2, 3)), picture(colour=(4, 5, 6))
    services.logos.set("10234", "light", first)
    services.logos.set("10234", "light", second)
    services.logos.set("10234", "dark", first)
    digests = {"light": sha256(drawn(second)).hexdigest(), "dark": sha256(drawn(first)).hexdigest()}
    assert services.logos.list("10234") == digests
    with services.units.reading() as unit:
        assert {logo.variant: logo.png for logo in unit.query(OrganizationLogo)} == {
            "light": drawn(second),
            "dark": drawn(first),
        }
    services.logos.remove("10234", "dark")
    assert list(services.logos.list("10234")) == ["light"]
    services.logos.set("10234", "dark", first)
    services.logos.remove("10234", "light")
    assert services.logos.list("10234") == {}
    assert changes(services) == [
        "created",
        *("set logo (light)", "set logo (light)", "set logo (dark)", "removed logo (dark)", "set logo (dark)"),
        "removed logo (light)",
    ]


def test_what_cannot_be_is_refused_and_leaves_no_event(services: Services) -> None:
    services.organizations.add("10234", "De Linde")
    for use, message_key in (
        (lambda: services.logos.set("10234", "dark", picture()), "logo.dark_alone"),
        (lambda: services.logos.set("10234", "light", SCRIPT), "logo.svg"),
        (lambda: services.logos.set("99999", "light", picture()), "organization.unknown"),
        (lambda: services.logos.remove("10234", "light"), "logo.none"),
        (lambda: services.logos.remove("99999", "light"), "organization.unknown"),
        (lambda: services.logos.list("99999"), "organization.unknown"),
    ):
        with pytest.raises(Refused) as refused:
            use()
        assert refused.value.message_key == message_key
    assert changes(services) == ["created"]


def test_logos_set_at_once_are_all_taken_and_the_last_one_stays(app: Flask, services: Services) -> None:
    services.organizations.add("10234", "De Linde")
    pictures = [picture((8, 8), colour=(number, 0, 0)) for number in range(8)]
    barrier, failures = threading.Barrier(len(pictures)), []

    def give(content: bytes) -> None:
        with app.app_context():
            barrier.wait()
            try:
                services.logos.set("10234", "light", content)
            except Exception as error:
                failures.append(error)

    for _ in range(4):
        threads = [threading.Thread(target=give, args=(content,)) for content in pictures]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert services.logos.list("10234")["light"] in {sha256(drawn(content)).hexdigest() for content in pictures}
        services.logos.remove("10234", "light")
    assert failures == []
    assert changes(services).count("set logo (light)") == 4 * len(pictures)
