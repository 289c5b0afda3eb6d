"""Django's libraries at the provider: mozilla-django-oidc and social-auth (social-auth-core)."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import LiveProvider, Person
from tests.relying_party import Page
from tests.services.ports import LOOPBACK, free_port
from tests.services.processes import ChildProcess

# Where each begins, where it is called back, and how it authenticates itself unless it is told otherwise.
LIBRARIES = {
    "mozilla": ("/oidc/authenticate/", "/oidc/callback/", "client_secret_post"),
    "social": ("/enter/", "/social/complete/oidc/", "client_secret_basic"),
}


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def application(live_provider: LiveProvider, tmp_path: Path, library: str) -> Iterator[str]:
    """Where the application answers."""
    port = free_port()
    origin = f"http://{LOOPBACK}:{port}"
    _, callback, method = LIBRARIES[library]
    _, secret = live_provider.add_client(
        library, origin + callback, grant_types=["authorization_code"], token_endpoint_auth_method=method
    )
    process = ChildProcess(
        [sys.executable, "-m", "tests.interop.django_application"],
        environment={
            **os.environ,
            "ISSUER": live_provider.issuer,
            "PORT": str(port),
            "DATABASE": str(tmp_path / "django.db"),
            "SECRET_KEY": secrets.token_hex(32),
            "LIBRARY": library,
            "CLIENT_SECRET": secret,
        },
    )
    with process:
        process.wait_until_answers(origin, timeout=60)
        yield origin


def begin(person: Person, application: str, library: str) -> Page:
    """Where somebody ends who wants to sign in by this library."""
    page = person.open(application + LIBRARIES[library][0])
    return person.submit(page, button="login") if page.has("login") else page


def test_django_signs_somebody_in_knows_who_and_asks_nothing_the_second_time(
    live_provider: LiveProvider, application: str, library: str
) -> None:
    person, anna = Person(), live_provider.anna
    person.submit(begin(person, application, library), anna.names, button="login-submit")
    known = person.json(application)
    assert (known["signed_in"], known["email"]) == (True, "anna@voorbeeld.example"), known
    if library == "social":
        assert known["linked"] == {"oidc": anna.sub}
        assert (known["username"], known["full_name"]) == ("anna", "Anna de Wit")

    assert person.json(application + "/leave/") == {"signed_in": False}
    assert not begin(person, application, library).has("login-submit")
    assert person.json(application) == known
