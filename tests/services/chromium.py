"""The browser of the browser tests: the system's Chromium, and the arguments that Playwright gives it."""

from __future__ import annotations

import os
from pathlib import Path

from tools.browser import ADVICE, find_chromium

QUIET = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def executable() -> Path:
    """Where Chromium is. Raises RuntimeError with what to do when this machine has none."""
    if (found := find_chromium()) is None:
        raise RuntimeError(ADVICE)
    return found


def launch_arguments() -> list[str]:
    """The command line for a headless run that talks to nobody but the pages under test."""
    # Chromium refuses to run its sandbox as root; for everybody else the sandbox stays.
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    return [*sandbox, *QUIET]
