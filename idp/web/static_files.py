"""The stylesheet, the scripts and the icon, under addresses that change with their content.

`static_url("idp.css")` gives `/static/idp.<hash>.css`. That address is served as immutable for a year. During a rollout
a page of one release may ask a node of another for its files: an address with another hash is answered with what is
here, uncached.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from flask import Blueprint, Response, abort, url_for

FOLDER = Path(__file__).resolve().parent / "static"

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

static_files = Blueprint("static_files", __name__)


@dataclass(frozen=True)
class _StaticFile:
    hashed_name: str
    content: bytes
    media_type: str


def _read(path: Path) -> _StaticFile:
    content = path.read_bytes()
    digest = sha256(content).hexdigest()[:16]
    return _StaticFile(f"{path.stem}.{digest}{path.suffix}", content, _MEDIA_TYPES[path.suffix])


_FILES = MappingProxyType({path.name: _read(path) for path in sorted(FOLDER.iterdir()) if path.suffix in _MEDIA_TYPES})


def static_url(name: str) -> str:
    """The address of the static file `name`. Raises KeyError when there is none."""
    return url_for("static_files.serve", hashed_name=_FILES[name].hashed_name)


@static_files.get("/static/<hashed_name>")
def serve(hashed_name: str) -> Response:
    """The file behind an address that `static_url` gave; 404 for a name that was never one."""
    stem, _, rest = hashed_name.partition(".")
    file = _FILES.get(f"{stem}.{rest.rpartition('.')[2]}")
    if file is None or rest.count(".") != 1:
        abort(404)
    response = Response(file.content, content_type=file.media_type)
    current = hashed_name == file.hashed_name
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if current else "no-store"
    return response
