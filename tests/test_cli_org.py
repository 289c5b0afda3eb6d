"""`idp org`: how an organisation looks, set and shown on a real installation."""

from pathlib import Path

import pytest
from PIL import Image

from tests.test_cli import Installation, empty, installation, linde, words  # noqa: F401 - fixtures

COLOUR = "#0b5b78"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "logo.webp"
    Image.new("RGB", (600, 200), "#c2185b").save(path)
    return path


def test_look_is_set_shown_and_taken_away(linde: Installation) -> None:  # noqa: F811
    help_text = "Bel Jan, tafel 3 = links."
    linde.done(
        *("org", "set", "10234", "--brand-colour", COLOUR.upper(), "--privacy-uri", "https://linde.example/privacy"),
        *("--service-desk-email", "ict@linde.example", "--text", f"nl:choose.help={help_text}"),
        *("--text", "en:code.help=Ask Jan."),
    )
    shown = linde.done("org", "show", "10234")
    assert shown["brand_colour"] == COLOUR
    assert shown["brand_colour_shown"]["light"] == COLOUR
    assert shown["privacy_uri"] == "https://linde.example/privacy"
    assert shown["service_desk_email"] == "ict@linde.example"
    assert shown["texts"] == {"nl": {"choose.help": help_text}, "en": {"code.help": "Ask Jan."}}
    assert help_text in linde.run("org", "show", "10234").stdout
    cleared = linde.done(
        *("org", "set", "10234", "--brand-colour", "", "--privacy-uri", "", "--service-desk-email", ""),
        *("--text", "nl:choose.help="),
    )
    assert cleared["texts"] == {"en": {"code.help": "Ask Jan."}}
    assert [cleared[name] for name in ("brand_colour", "privacy_uri", "service_desk_email")] == [None, None, None]
    assert linde.done("org", "show", "10234")["brand_colour_shown"] is None


def test_colour_that_few_can_read_is_taken_and_told_to_be_changed(linde: Installation) -> None:  # noqa: F811
    result = linde.run("org", "set", "10234", "--brand-colour", "#ffdd00")
    assert result.exit_code == 0
    assert words(result.stderr).strip() == (
        "On light pages #ffdd00 is made darker, #7a6a00, so that everybody can read the text."
    )
    assert linde.done("org", "show", "10234")["brand_colour_shown"] == {"light": "#7a6a00", "dark": "#ffdd00"}


REFUSED = (
    ("--brand-colour", "yellow", "no colour", 1),
    ("--brand-colour", "#fd0", "no colour", 1),
    ("--brand-colour", "#ffdd00;}</style>", "no colour", 1),
    ("--privacy-uri", "http://linde.example/privacy", "https://", 1),
    ("--privacy-uri", "javascript:alert(1)", "https://", 1),
    ("--service-desk-email", "nobody", "no e-mail address", 1),
    ("--text", "choose.help=Bel Jan.", "write it as in nl:", 2),
    ("--text", "nl:choose.help", "write it as in nl:", 2),
    ("--text", "nl:frame.call=Niet bellen.", "the slots are identify.help", 2),
    ("--text", "fr:choose.help=Bonjour.", "language 'fr'", 1),
    ("--text", f"nl:choose.help={'a' * 301}", "at most 300", 1),
)


def test_what_a_page_must_not_show_is_refused_in_words(linde: Installation) -> None:  # noqa: F811
    before = linde.done("org", "show", "10234")
    for option, value, said, code in REFUSED:
        assert said in words(linde.refused("org", "set", "10234", option, value, code=code))
    assert linde.done("org", "show", "10234") == before


def test_logos_are_set_and_removed(linde: Installation, picture: Path) -> None:  # noqa: F811
    assert "light pages" in linde.refused("org", "set-logo", "10234", str(picture), "--dark")
    light = linde.done("org", "set-logo", "10234", str(picture))
    assert list(light["logos"]) == ["light"]
    both = linde.done("org", "set-logo", "10234", str(picture), "--dark")
    assert sorted(both["logos"]) == ["dark", "light"]
    assert linde.done("org", "show", "10234")["logos"] == both["logos"]
    assert linde.done("org", "set-logo", "10234", "--dark", "--remove") == light
    linde.done("org", "set-logo", "10234", str(picture), "--dark")
    assert linde.done("org", "set-logo", "10234", "--remove")["logos"] == {}
    assert "has no light logo" in linde.refused("org", "set-logo", "10234", "--remove")


def test_file_that_is_no_logo_is_refused_in_words(linde: Installation, tmp_path: Path, picture: Path) -> None:  # noqa: F811
    svg = tmp_path / "logo.svg"
    svg.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    assert "save it as PNG" in linde.refused("org", "set-logo", "10234", str(svg))
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(50_000_000)
    assert "at most 200 kB" in linde.refused("org", "set-logo", "10234", str(large))
    assert "no organisation" in linde.refused("org", "set-logo", "99999", str(picture))
    linde.refused("org", "set-logo", "10234", code=2)
    linde.refused("org", "set-logo", "10234", str(picture), "--remove", code=2)
    assert linde.done("org", "show", "10234")["logos"] == {}
