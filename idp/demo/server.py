"""An application of the demonstration on a port of this machine, in one process: its sessions live in memory."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from types import FrameType

from flask import Flask
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

STOPS_WITHIN_SECONDS = 0.05


class _QuietRequests(WSGIRequestHandler):
    """Requests are not logged: callback URLs carry codes."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


def serve(app: Flask, host: str, port: int) -> None:
    """The application answers until the process gets SIGINT or SIGTERM; to be called in the main thread.

    Raises SystemExit when the port is taken.
    """
    # As the first process of a container nothing else would end it.
    signal.signal(signal.SIGTERM, _interrupt)
    with _bound(app, host, port) as server:
        server.serve_forever()


@contextmanager
def serving(app: Flask, host: str, port: int) -> Iterator[int]:
    """The application answers inside the `with` block, on the port that it yields; 0 lets the system choose."""
    with _bound(app, host, port) as server:
        thread = Thread(
            target=server.serve_forever, args=(STOPS_WITHIN_SECONDS,), name=f"demo on port {server.port}", daemon=True
        )
        thread.start()
        try:
            yield server.port
        finally:
            server.shutdown()
            thread.join()


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@contextmanager
def _bound(app: Flask, host: str, port: int) -> Iterator[BaseWSGIServer]:
    server = make_server(host, port, app, threaded=True, request_handler=_QuietRequests)
    try:
        yield server
    finally:
        server.server_close()
