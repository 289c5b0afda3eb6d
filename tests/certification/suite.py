"""The addresses of a conformance suite, `/test/a/<alias>/<name>`: what is sent there is kept, and answered."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from flask import Flask, Response, jsonify, request
from PIL import Image

from idp.demo.server import serving

CAPTURED = '<!doctype html><html lang="en"><title>Captured</title><p id="submission_complete">Done.</p></html>'
SOON = 20.0


@dataclass(frozen=True)
class Received:
    """One request to an address of the suite."""

    alias: str
    name: str
    method: str
    query: dict[str, str]
    form: dict[str, str]

    @property
    def parameters(self) -> dict[str, str]:
        return {**self.query, **self.form}


class Suite:
    """What the suite's modules know of what came in, in the order in which it came."""

    def __init__(self) -> None:
        self.url = ""
        self.jwks: dict[str, Any] = {"keys": []}
        self.request_object = ""
        self.logos_fetched = 0
        self._received: list[Received] = []
        self._changed = threading.Condition()

    def at(self, alias: str, name: str) -> str:
        """The address of this name for a plan."""
        return f"{self.url}/test/a/{alias}/{name}"

    def next(self, name: str) -> Received:
        """The oldest request to an address of this name that nobody asked for yet. Raises AssertionError."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._find(name) is not None, SOON), (name, self._received)
            found = self._find(name)
            assert found is not None
            self._received.remove(found)
            return found

    def nothing_came(self) -> bool:
        return not self._received

    def forget(self) -> None:
        """Nothing came in."""
        with self._changed:
            self._received.clear()

    def keep(self, received: Received) -> None:
        with self._changed:
            self._received.append(received)
            self._changed.notify_all()

    def _find(self, name: str) -> Received | None:
        return next((each for each in self._received if each.name == name), None)


@contextmanager
def running() -> Iterator[Suite]:
    """The suite answers inside the `with` block."""
    suite = Suite()
    with serving(_application(suite), "127.0.0.1", 0) as port:
        suite.url = f"http://127.0.0.1:{port}"
        yield suite


def _application(suite: Suite) -> Flask:
    app = Flask(__name__)

    @app.get("/test/a/<alias>/jwks")
    def keys(alias: str) -> Response:
        return jsonify(suite.jwks)

    @app.get("/test/a/<alias>/requesturi/<name>")
    def request_object(alias: str, name: str) -> Response:
        return Response(suite.request_object, content_type="application/jwt")

    @app.get("/test/a/<alias>/logo.png")
    def logo(alias: str) -> Response:
        suite.logos_fetched += 1
        drawn = io.BytesIO()
        Image.new("RGB", (64, 64), "#0b5b78").save(drawn, "PNG")
        return Response(drawn.getvalue(), content_type="image/png")

    @app.route("/test/a/<alias>/<name>", methods=["GET", "POST"])
    def receive(alias: str, name: str) -> str:
        suite.keep(Received(alias, name, request.method, request.args.to_dict(), request.form.to_dict()))
        return CAPTURED

    return app
