"""Where Chromium is on this machine; the bootstrap and the browser tests ask here."""

from __future__ import annotations

import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
DEBIAN = Path("/usr/bin/chromium")

ADVICE = (
    "Chromium is needed for the browser tests and is not on this machine. "
    "Install it (Debian: `apt-get install chromium`) or put `chromium`, `chromium-browser` or `google-chrome` on PATH."
)


def find_chromium() -> Path | None:
    """The executable that the tests start, or None when this machine has none."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    return DEBIAN if DEBIAN.exists() else None
