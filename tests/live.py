"""The provider as people meet it: processes of its own, a port, and the machine's time.

live_provider      a fixture: a LiveProvider on each kind of database; import it in a `conftest.py`
NetworkBrowser     `tests.relying_party.Browser` over the network
Person             somebody with one browser at several sites, who goes where the sites send them
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from idp import create_app
from idp.demo.provider import APPLICATION, LATER, clock_later
from idp.settings import Settings, format_duration
from idp.wiring import Services
from tests.canary import look_at
from tests.conftest import SECRET_KEY, WEAK_HASH, dispose
from tests.factories import Factories, Somebody, SomeClient
from tests.relying_party import Browser, Page
from tests.services.ports import free_port
from tests.services.processes import ChildProcess

# Seconds. A busy machine is no fault of the provider.
STARTS_WITHIN = 120.0


class NetworkBrowser(Browser):
    """A browser at one site that speaks HTTP over the network. `cookies` may be shared with browsers at other sites."""

    def __init__(self, site: str, cookies: requests.Session | None = None) -> None:
        super().__init__(None, site)  # type: ignore[arg-type]
        self._session = cookies or _without_proxy()

    def _ask(self, method: str, url: str, form: Mapping[str, str] | None) -> tuple[int, dict[str, str], str]:
        answer = self._session.request(
            method,
            url,
            headers=self.headers,
            data=None if form is None else dict(form),
            allow_redirects=False,
            timeout=30,
        )
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return answer.status_code, headers, answer.content.decode()


class Person:
    """Somebody with one browser."""

    def __init__(self) -> None:
        self._cookies = _without_proxy()

    def open(self, url: str) -> Page:
        """The page at which somebody ends who opens the URL, at whatever site."""
        return self.arrive(NetworkBrowser(_site(url), self._cookies).open(url))

    def arrive(self, page: Page) -> Page:
        """The page at which somebody ends who was sent away from a page, perhaps more than once."""
        return self.open(page.departure.url) if page.has_left else page

    def submit(self, page: Page, values: Mapping[str, str | None] | None = None, *, button: str) -> Page:
        """The page at which somebody ends who fills in a form and presses the button."""
        return self.arrive(page.submit(values, button=button))

    def json(self, url: str) -> Any:
        """What a JSON address tells this browser."""
        return self._cookies.get(url, timeout=30).json()


class LiveProvider:
    """A provider in processes of its own at `issuer`, between `start` and `stop`.

    `services` and `make` work on its database from this process, by the same clock, `later` than the machine's.
    `clients` are those that `add_client` made, by client_id; `anna` is somebody who needs no code yet.
    """

    def __init__(
        self,
        database_url: str,
        later: timedelta = timedelta(0),
        workers: int = 1,
        worker_embedded: bool = False,
        application: str | None = None,
        path: str = "",
        **settings: Any,
    ) -> None:
        """`settings` are groups and values of the settings, as `tests.conftest.make_settings` takes them.

        `application`: what is served instead, as MODULE:FACTORY. `path`: of the issuer.
        """
        self.port = free_port()
        self.issuer = f"http://localhost:{self.port}{path}"
        self.clients: dict[str, SomeClient] = {}
        given = {
            "mode": "test",
            "issuer": self.issuer,
            "secret_key": SECRET_KEY,
            "brand_name": "Atosi",
            "service_desk_phone": "088 - 600 6400",
            "database": {"url": database_url},
            "passwords": WEAK_HASH,
            "egress": {"allow_loopback": True},
            **settings,
            "server": {"port": self.port, "workers": workers, "worker_embedded": worker_embedded},
        }
        self.app = create_app(Settings(**given), clock_later(later))
        self.services: Services = self.app.extensions["idp"]
        self.make = Factories(self.app)
        application = application or (APPLICATION if later else None)
        # What a further process of this provider needs, an `idp worker` for one.
        self.environment = {**_without_settings(), **_as_variables(given), LATER: format_duration(later)}
        self._process = ChildProcess(
            [sys.executable, "-m", "idp.cli", "serve", *(["--application", application] if application else [])],
            environment=self.environment,
        )

    def start(self) -> LiveProvider:
        """It answers, and there is somebody. Raises ProcessFailed."""
        with self.app.app_context():
            self.services.signing_keys.ensure()
        self.anna: Somebody = self.make.person()
        self._process.start()
        self._process.wait_until_answers(f"{self.issuer}/health/ready", timeout=STARTS_WITHIN)
        return self

    def stop(self) -> None:
        """Its processes have ended, no connection is left, and they printed no secret."""
        self._process.stop()
        dispose(self.app)
        look_at(self.output(), "what the provider printed")

    @property
    def pid(self) -> int:
        """The number of `idp serve`, the parent of all the others."""
        return self._process.pid

    def output(self) -> str:
        """What its processes printed."""
        return self._process.output()

    def add_client(self, client_id: str, redirect_uri: str, **values: Any) -> tuple[str, str]:
        """The identifier and secret of a new confidential client."""
        client = self.make.client(client_id, redirect_uris=[redirect_uri], **values)
        assert client.secret is not None, "a public client has no secret"
        self.clients[client_id] = client
        return client_id, client.secret

    def browser(self) -> NetworkBrowser:
        """A fresh browser at the provider."""
        return NetworkBrowser(self.issuer)

    def sign_in(self, authorization_url: str, browser: Browser | None = None) -> str:
        """The callback URL at which Anna arrives after signing in; in a browser where she is, nothing is asked."""
        page = (browser or self.browser()).open(authorization_url)
        if page.has("login-submit"):
            page = page.submit(self.anna.names, button="login-submit")
        return page.departure.url


@pytest.fixture
def live_provider(database_url: str) -> Iterator[LiveProvider]:
    live = LiveProvider(database_url)
    try:
        yield live.start()
    finally:
        live.stop()


def _without_proxy() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("IDP_")}


def _as_variables(values: Mapping[str, Any], prefix: str = "IDP_") -> dict[str, str]:
    """The settings as environment variables."""
    variables: dict[str, str] = {}
    for name, value in values.items():
        variable = prefix + name.upper()
        if isinstance(value, Mapping):
            variables |= _as_variables(value, f"{variable}__")
        else:
            variables[variable] = format_duration(value) if isinstance(value, timedelta) else str(value)
    return variables


def _site(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
