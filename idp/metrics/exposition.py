"""Figures on a port of their own, for who runs idp: text of Prometheus at /metrics, and nothing else.

One process serves them for a family. Each child keeps its own in a file of a folder (prometheus_client's multiprocess
mode), and the parent adds them up. The file of a child that died stays and goes on counting, so that a sum never falls;
the one that takes its place begins a file of its own at zero.
"""

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from socket import AF_INET6
from socketserver import ThreadingMixIn
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

PATH = "/metrics"
FOLDER = "PROMETHEUS_MULTIPROC_DIR"


@contextmanager
def folder_for_children() -> Iterator[Path]:
    """Child processes that start inside the block keep their figures in this folder, which is gone after it."""
    before = os.environ.get(FOLDER)
    with TemporaryDirectory(prefix="idp-metrics-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER] = folder
        try:
            yield Path(folder)
        finally:
            if before is None:
                del os.environ[FOLDER]
            else:
                os.environ[FOLDER] = before


class FiguresOfChildren(Collector):
    """The sums over all children that keep their figures in the folder, dead ones too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        # A file is empty for microseconds when a process makes it, or for ever if the process died just then.
        files = [str(file) for file in self._folder.glob("*.db") if file.stat().st_size]
        merged: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return merged


class _Build(Collector):
    """Which release this is."""

    def collect(self) -> Iterator[Metric]:
        names = {"version": version("idp"), "python": platform.python_version()}
        yield InfoMetricFamily("idp_build", "The release that runs.", value=names)


class _Server(ThreadingMixIn, WSGIServer):
    """A thread for each request, none of which keeps the process from ending."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Somebody who hung up is not worth a traceback."""


class _ServerOnIpv6(_Server):
    address_family = AF_INET6


class _Handler(WSGIRequestHandler):
    # Seconds for somebody who connects and then says nothing.
    timeout = 10

    def log_message(self, format: str, *args: Any) -> None:
        """A look every few seconds is no news."""


def listening(host: str, port: int, collectors: Sequence[Collector]) -> WSGIServer:
    """A server at which whoever connects waits until `answering`. Raises OSError when the port is not to be had."""
    registry = CollectorRegistry()
    for collector in (*collectors, _Build()):
        registry.register(collector)
    figures = make_wsgi_app(registry)

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] == PATH:
            answer: Iterable[bytes] = figures(environ, start_response)
            return answer
        start_response("404 Not Found", [("Content-Type", "text/plain")])
        return [b"Figures are at /metrics.\n"]

    return make_server(host, port, application, _ServerOnIpv6 if ":" in host else _Server, _Handler)


@contextmanager
def answering(server: WSGIServer) -> Iterator[None]:
    """Inside the block the server answers, from a thread of its own; after it the port is free."""
    thread = Thread(target=server.serve_forever, name="serves metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
