"""The provider on a port of this machine, with people and clients in it. Its time is the machine's: so is that of the
client libraries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from flask import Flask

from idp import create_app
from idp.demo.server import serving
from idp.kernel.clock import SystemClock
from tests.conftest import dispose, make_settings
from tests.factories import Factories, Somebody, SomeClient
from tests.relying_party import Browser
from tests.services.ports import free_port


class LiveProvider:
    """`clients` are those that were added, by client_id; `anna` is somebody who needs no code yet."""

    def __init__(self, app: Flask, issuer: str) -> None:
        self.issuer = issuer
        self.clients: dict[str, SomeClient] = {}
        self._app, self._make = app, Factories(app)
        self.anna: Somebody = self._make.person()

    def add_client(self, client_id: str, redirect_uri: str, **values: Any) -> tuple[str, str]:
        """The identifier and secret of a new confidential client."""
        client = self._make.client(client_id, redirect_uris=[redirect_uri], **values)
        assert client.secret is not None, "a public client has no secret"
        self.clients[client_id] = client
        return client_id, client.secret

    def browser(self) -> Browser:
        """A fresh browser at the provider."""
        return Browser(self._app.test_client(), self.issuer)

    def sign_in(self, authorization_url: str, browser: Browser | None = None) -> str:
        """The callback URL at which Anna arrives after signing in; in a browser where she is, nothing is asked."""
        page = (browser or self.browser()).open(authorization_url)
        if page.has("login-submit"):
            page = page.submit(self.anna.names, button="login-submit")
        return page.departure.url


@contextmanager
def running(database_url: str) -> Iterator[LiveProvider]:
    """A provider that answers at its issuer, `http://localhost:<port>`."""
    port = free_port()
    issuer = f"http://localhost:{port}"
    app = create_app(make_settings(database_url, issuer=issuer), SystemClock())
    with app.app_context():
        app.extensions["idp"].signing_keys.ensure()
    with serving(app, "localhost", urlsplit(issuer).port or port):
        yield LiveProvider(app, issuer)
    dispose(app)
