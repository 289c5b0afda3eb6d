"""Pictures of the pages, for people who want to see before they run: `make screenshots`.

Each page state is rendered by the templates, texts and stylesheet of the product, drawn by Chromium, and written to
`docs/screenshots/` as a PNG of at most 256 colours; every state besides, all its views on one sheet (`state_sheets`).
`docs/gallery.md` shows all of them and is written anew each time.

"""

import struct
import threading
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy
from flask import Flask, Response, abort
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from idp.web.pages import render
from tests.services.chromium import executable, launch_arguments
from tests.web.page_states import LEAVING, STATES, make_app
from tools import state_sheets

DOCS = Path(__file__).resolve().parent.parent / "docs"
PICTURES = DOCS / "screenshots"
SHEETS = PICTURES / "states"
GALLERY = DOCS / "gallery.md"

WIDTHS = (1280, 390)
HEIGHT = 640
MOST_COLOURS = 256


KNOWN_CLAIMS: Mapping[str, object] = {
    "claims": [
        ("consent.gets.name", "Anna de Wit"),
        ("consent.gets.username", "anna"),
        ("consent.gets.email", "anna@voorbeeld.nl"),
        ("consent.gets.organisation", "Gemeente Voorbeeld"),
    ]
}


@dataclass(frozen=True)
class Shown:
    """A page of the gallery: the name of its pictures, its state of `tests.web.page_states` with changes, what it is.

    `opened` unfolds what can be unfolded; a main page is also shown in the other languages and colours.
    """

    name: str
    state: str
    title: str
    text: str
    changes: Mapping[str, object] = field(default_factory=dict)
    opened: bool = False
    is_main: bool = False


SECTIONS: tuple[tuple[str, tuple[Shown, ...]], ...] = (
    (
        "Logging in",
        (
            Shown("login", "identify", "Login", "Organisation code, username and password on one page.", is_main=True),
            Shown(
                "login-wrong",
                "identify-error-wrong",
                "Wrong password",
                "What was typed is still there, the password is not. The sentence is the same for an unknown account.",
            ),
            Shown(
                "choose-account",
                "choose-account",
                "Somebody is signed in",
                "An application asked which account it is to be, or the tab was about to sign in somebody else.",
            ),
            Shown("blocked", "blocked", "Blocked account", "Only somebody with the right password gets to see this."),
        ),
    ),
    (
        "A second factor, set up",
        (
            Shown(
                "choose",
                "choose",
                "Choose a method",
                "After the first login. The app is selected, postponing never is.",
                is_main=True,
            ),
            Shown(
                "choose-reminder",
                "choose-reminder",
                "Choose a method, postponed before",
                "Every login while the choice is postponed says how long that can go on.",
            ),
            Shown("choose-last-day", "choose-last-day", "Choose a method, on the last day", "Tomorrow it is too late."),
            Shown(
                "choose-after-deadline",
                "choose-after-deadline",
                "Choose a method, after the deadline",
                "Postponing is not on the page any more, and a hand-made request for it is refused.",
            ),
            Shown(
                "choose-after-reset",
                "choose-after-reset",
                "Choose a method, after a reset",
                "The service desk withdrew what was lost. Enrolling is open for three days, postponing is not offered.",
            ),
            Shown(
                "choose-shared-address",
                "choose-shared-address",
                "Choose a method, a mailbox of two",
                "The same address stands on another account: perhaps somebody else reads this mail.",
            ),
            Shown(
                "choose-no-address",
                "choose-no-address",
                "Choose a method, no address",
                "Mail cannot be chosen where it would go nowhere.",
            ),
            Shown(
                "enrolment-closed",
                "enrolment-closed",
                "Too late after a reset",
                "Nothing can be set up any more; another reset is needed.",
            ),
            Shown("are-you-sure", "postpone", "Are you sure?", "Postponing takes one more answer."),
            Shown(
                "set-up",
                "enrol",
                "Set up the app",
                "The QR code is drawn by the server. On a telephone a button that opens the app comes first.",
                is_main=True,
            ),
            Shown(
                "set-up-key",
                "enrol",
                "Set up the app, key opened",
                "For whoever cannot scan. The key can be selected with one press.",
                opened=True,
            ),
            Shown(
                "set-up-wrong",
                "enrol-error-wrong",
                "Set up the app, wrong code",
                "The same QR code, and the same key in the app.",
            ),
            Shown(
                "set-up-mail",
                "enrol-mail",
                "Set up e-mail",
                "The mail left when the method was chosen. Reading the page again sends nothing.",
                is_main=True,
            ),
            Shown(
                "set-up-mail-sending",
                "enrol-mail-sending",
                "Set up e-mail, on its way",
                "The mail waits in the outbox; the next one can be asked for in a moment.",
            ),
            Shown(
                "set-up-mail-failing",
                "enrol-mail-failing",
                "Set up e-mail, the mail server is down",
                "The page knows whether the mail left, and says so.",
            ),
        ),
    ),
    (
        "A second factor, asked",
        (
            Shown("code", "verify", "Enter the code", "At every login with a method.", is_main=True),
            Shown(
                "code-wrong",
                "verify-error-wrong",
                "Wrong code",
                "The box has the focus, also without a script, and leads to the field.",
                is_main=True,
            ),
            Shown(
                "code-tries-left",
                "verify-error-tries-left",
                "Wrong code, few tries left",
                "From the third wrong code on, the sentence says how many are left.",
            ),
            Shown(
                "mail-code", "verify-mail", "Enter the code from the e-mail", "It left with the password.", is_main=True
            ),
            Shown(
                "mail-code-resent",
                "verify-mail-resent",
                "A new code was sent",
                "The one before it still works: mails overtake each other.",
            ),
            Shown(
                "mail-code-too-many",
                "enrol-mail-too-many",
                "Too many codes were asked for",
                "Five in an hour. The time is a time on the clock.",
            ),
            Shown(
                "choose-method",
                "choose-method",
                "Use another method",
                "For somebody with more than one. A mail leaves when it is chosen.",
            ),
            Shown("wait", "wait-code", "Wait", "After five wrong codes. The time is a time on the clock."),
            Shown(
                "no-method",
                "no-usable-factor",
                "No usable method",
                "A method that was guessed at too often is out of force; only the service desk can help.",
            ),
        ),
    ),
    (
        "Consent",
        (
            Shown(
                "consent",
                "consent",
                "Consent",
                "For applications of third parties only, with the values that they get. Both answers weigh the same.",
                KNOWN_CLAIMS,
            ),
        ),
    ),
    (
        "Logging out",
        (
            Shown("log-out", "logout", "Log out?", "Asked when the application did not say whose session it means."),
            Shown("signed-out", "signed-out", "Signed out", "For an application without a page of its own."),
        ),
    ),
    (
        "When something is in the way",
        (
            Shown("expired", "expired", "Expired", "The request is kept for a day, so one button starts again."),
            Shown("finished", "finished", "Already finished", "An old tab of a sign-in that came to its end."),
            Shown("cookies-off", "cookies-off", "Cookies are off", "Found out by one round trip."),
            Shown(
                "level-unreachable",
                "level-unreachable",
                "Not strong enough",
                "The application demands more than this account can reach.",
            ),
            Shown(
                "bad-request",
                "bad-request",
                "Bad request",
                "An application sent somebody here in a wrong way. Its developer unfolds the reason.",
                opened=True,
            ),
            Shown("not-found", "not-found", "Not found", "Every error carries the code under which it was logged."),
            Shown("server-error", "server-error", "Our fault", "The details are in the log only."),
            Shown("busy", "busy", "Busy", "The machine has too much to do; nobody did anything wrong."),
            Shown("home", "home", "The address itself", "For whoever types the address of the provider."),
            Shown(
                "home-developers",
                "home-anybody-registers",
                "The address itself, opened by a developer",
                "What the configuration says, with examples that work here.",
                opened=True,
            ),
        ),
    ),
)

OTHER_VIEWS = (("nl", "dark"), ("en", "light"), ("en", "dark"))
VIEW_NAMES = {("nl", "dark"): "Dutch, dark", ("en", "light"): "English, light", ("en", "dark"): "English, dark"}


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Says nothing: what a page loads is no news."""


def main() -> None:
    """Pictures and gallery are as the pages are now; pictures of pages that are no longer shown are gone."""
    PICTURES.mkdir(exist_ok=True)
    written = set(_draw_all())
    for old in PICTURES.rglob("*.png"):
        if old not in written:
            old.unlink()
    GALLERY.write_text(_gallery(), encoding="utf-8")
    kilobytes = sum(path.stat().st_size for path in PICTURES.rglob("*.png")) // 1024
    print(f"{len(written)} pictures in {PICTURES}, {kilobytes} kB")


def picture_name(shown: Shown, language: str, scheme: str, width: int) -> str:
    """The file of a picture. Dutch and light go without saying."""
    parts = [shown.name]
    parts += [language] if language != "nl" else []
    parts += [scheme] if scheme != "light" else []
    parts += [str(width)] if width != WIDTHS[0] else []
    return "-".join(parts) + ".png"


def _views(shown: Shown) -> Sequence[tuple[str, str]]:
    return (("nl", "light"), *(OTHER_VIEWS if shown.is_main else ()))


def _draw_all() -> Iterator[Path]:
    with _served() as origin, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=launch_arguments())
        for language in ("nl", "en"):
            for scheme in ("light", "dark"):
                for width in WIDTHS:
                    yield from (PICTURES / name for name in _draw(browser, origin, language, scheme, width))
        yield from (SHEETS / name for name in state_sheets.draw(browser, origin, _drawn_states(), SHEETS))
        browser.close()


def _drawn_states() -> Sequence[str]:
    """All but the pages that leave by themselves at once."""
    return [name for name in STATES if name not in LEAVING - {"handoff-app"}]


def _draw(browser: Browser, origin: str, language: str, scheme: str, width: int) -> Iterator[str]:
    is_telephone = width < 900
    context = browser.new_context(
        base_url=origin,
        viewport={"width": width, "height": HEIGHT},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",
        has_touch=is_telephone,
        is_mobile=is_telephone,
    )
    page = context.new_page()
    for _, pages in SECTIONS:
        for shown in pages:
            if (language, scheme) not in _views(shown):
                continue
            page.goto(f"/gallery/{shown.name}?lang={language}")
            if shown.opened:
                page.locator("main summary").click()
                page.mouse.move(0, 0)
            name = picture_name(shown, language, scheme, width)
            # As tall as its page: a picture of more than the window would be taken without the touch screen.
            page.set_viewport_size({"width": width, "height": HEIGHT})
            tall = page.evaluate("document.documentElement.scrollHeight")
            page.set_viewport_size({"width": width, "height": tall})
            (PICTURES / name).write_bytes(few_colours(page.screenshot(caret="hide")))
            yield name
    context.close()


def _gallery_app() -> Flask:
    """The pages as the gallery shows them, at `/gallery/<name>`."""
    app = make_app()
    shown_by_name = {shown.name: shown for _, pages in SECTIONS for shown in pages}

    @app.get("/gallery/<name>")
    def gallery(name: str) -> Response:
        shown = shown_by_name.get(name) or abort(404)
        state = STATES[shown.state]
        context = {**state.context, **shown.changes}
        return render(state.template, status=state.status, organization=state.organization, **context)

    return app


@contextmanager
def _served() -> Iterator[str]:
    server = make_server("127.0.0.1", 0, _gallery_app(), threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


def few_colours(png: bytes) -> bytes:
    """The same picture with a palette: a third of the size, and no difference that one can see.

    The palette holds the most frequent colours; any other, from the edge of a letter, becomes the nearest one.
    """
    decoded = cv2.imdecode(numpy.frombuffer(png, dtype=numpy.uint8), cv2.IMREAD_COLOR)
    if decoded is None:
        raise ValueError("not a picture")
    picture = decoded[:, :, ::-1].astype(numpy.int32)
    keys = (picture[:, :, 0] << 16) | (picture[:, :, 1] << 8) | picture[:, :, 2]
    colours, places, counts = numpy.unique(keys, return_inverse=True, return_counts=True)
    kept = numpy.sort(numpy.argsort(-counts, kind="stable")[:MOST_COLOURS])
    channels = numpy.stack([colours >> 16, (colours >> 8) & 255, colours & 255], axis=1)
    palette = channels[kept]
    distances = ((channels[:, None, :] - palette[None, :, :]) ** 2).sum(axis=2)
    indexed = distances.argmin(axis=1).astype(numpy.uint8)[places.reshape(keys.shape)]
    return _png(indexed, palette.astype(numpy.uint8))


def _png(indexed: Any, palette: Any) -> bytes:
    """A PNG of colour type 3 (ISO/IEC 15948 11.2.1): an index of one byte for each pixel."""
    height, width = indexed.shape
    # Each line starts with the number of its filter; none is best for indices.
    lines = numpy.concatenate([numpy.zeros((height, 1), dtype=numpy.uint8), indexed], axis=1).tobytes()
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", palette.tobytes()),
            _chunk(b"IDAT", zlib.compress(lines, 9)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _gallery() -> str:
    lines = [
        "# The pages",
        "",
        "What people see, as Chromium draws it: Dutch and light, on a desktop (1280 px) and a telephone (390 px).",
        "The main pages follow once more in the other languages and colours. `make screenshots` draws them.",
        "",
    ]
    for title, pages in SECTIONS:
        lines += [f"## {title}", ""]
        for shown in pages:
            lines += [f"### {shown.title}", "", shown.text, "", *_row(shown, "nl", "light"), ""]
    lines += ["## Other languages and colours", ""]
    for view in OTHER_VIEWS:
        lines += [f"### {VIEW_NAMES[view]}", ""]
        for _, pages in SECTIONS:
            for shown in pages:
                if shown.is_main:
                    lines += [*_row(shown, *view), ""]
    lines += state_sheets.gallery_lines(_drawn_states())
    return "\n".join(lines).rstrip() + "\n"


def _row(shown: Shown, language: str, scheme: str) -> list[str]:
    """Both widths beside each other. The alternative text says which page it is."""
    label = f"{shown.title}, {'Dutch' if language == 'nl' else 'English'}, {scheme}"
    wide, narrow = (f"screenshots/{picture_name(shown, language, scheme, width)}" for width in WIDTHS)
    pictures = [
        f'<img src="{file}" alt="{label}, {width} px" width="{shown_width}">'
        for file, width, shown_width in ((wide, WIDTHS[0], 640), (narrow, WIDTHS[1], 200))
    ]
    return ["| 1280 px | 390 px |", "| --- | --- |", f"| {pictures[0]} | {pictures[1]} |"]


if __name__ == "__main__":
    main()
