"""Which process serves the figures of `metrics`: `idp serve` for its children, `idp worker` when it is alone."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from flask import Flask
from prometheus_client.registry import Collector

from idp.cli.base import Failure, State
from idp.metrics.database import DatabaseFigures
from idp.metrics.exposition import FiguresOfChildren, answering, folder_for_children, listening
from idp.settings import Settings
from idp.wiring import Services


@contextmanager
def of_children(state: State, settings: Settings, assemble: Callable[[Settings], Flask]) -> Iterator[None]:
    """The figures of all processes that start inside the block are served, if they are asked for. Raises Failure."""
    port = settings.metrics.port
    if port is None:
        yield
        return
    if port == settings.server.port:
        raise Failure(f"metrics.port and server.port are both {port}: figures need a port of their own")
    with folder_for_children() as folder, state.app(settings, assemble) as app:
        with _served(app, port, [FiguresOfChildren(folder)]):
            yield


@contextmanager
def of_this_process(app: Flask) -> Iterator[None]:
    """The figures of this process are served, if they are asked for. Raises Failure."""
    services: Services = app.extensions["idp"]
    port = services.settings.metrics.port
    if port is None:
        yield
        return
    with _served(app, port, [services.figures.registry]):
        yield


@contextmanager
def _served(app: Flask, port: int, collectors: Sequence[Collector]) -> Iterator[None]:
    services: Services = app.extensions["idp"]
    host = services.settings.metrics.host
    in_database = DatabaseFigures(services.units, services.clock, app.app_context)
    try:
        server = listening(host, port, [*collectors, in_database])
    except OSError as error:
        raise Failure(
            f"cannot serve metrics on {host}, port {port}: {error.strerror}. Another `idp serve` or `idp worker` of"
            " this machine may have it: give each a metrics.port of its own"
        ) from error
    with answering(server):
        yield
