"""What a request says: whether a person or our own page made it, and what stands in it."""

import math
from urllib.parse import urlsplit

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from idp_kit.config import KitConfig, origin

HEADER = "X-Session-Kit"
# Of a page's report, which has one number.
MOST_BYTES = 4096


def local_path(wanted: str) -> str:
    """The path with query when it leads to a page of this application, else `/`: no open redirect.

    Browsers read a backslash as a slash and drop control characters, so `/\\host` and `/<tab>/host` would lead away.
    """
    try:
        parts = urlsplit(wanted)
    except ValueError:
        return "/"
    harmless = wanted.isprintable() and "\\" not in wanted and not parts.scheme and not parts.netloc
    return wanted if harmless and wanted.startswith("/") and not wanted.startswith("//") else "/"


def idle_seconds() -> int | float | None:
    """The number in the report of a page, which may be below zero and very large; None when there is none."""
    request.max_content_length = MOST_BYTES
    try:
        report = request.get_json(silent=True)
    except (RecursionError, RequestEntityTooLarge):
        return None
    idle = report.get("idle_seconds") if isinstance(report, dict) else None
    if isinstance(idle, float):
        return idle if math.isfinite(idle) else None
    return idle if isinstance(idle, int) and not isinstance(idle, bool) else None


def is_opened_by_a_person() -> bool:
    """A page was opened in a tab because somebody clicked, typed or submitted: browsers say so themselves (Fetch
    Metadata). Scripts, images, frames, polling and pages that load themselves again say something else."""
    headers = request.headers
    return (
        headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
        and headers.get("Sec-Fetch-User") == "?1"
    )


def is_our_page(config: KitConfig) -> bool:
    """The request was made by a script of a page of this application: others cannot set the header, nor hide where
    they are from."""
    fetched_from = request.headers.get("Sec-Fetch-Site", "same-origin")
    return (
        request.headers.get(HEADER) == "1"
        and request.headers.get("Origin") == origin(config.base_url)
        and fetched_from == "same-origin"
    )
