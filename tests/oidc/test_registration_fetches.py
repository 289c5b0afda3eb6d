"""What registration fetches: the document of a sector, a logo; and where it never goes (demands 27 and 67; A64)."""

import io
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from PIL import Image
from sqlalchemy import func, select

from idp.attempts.models import EventCount
from idp.egress.guarded import GuardedClient
from idp.kernel.clock import FixedClock
from tests.attacks.test_notices import LOOPBACK_FORMS, OTHER_FORMS
from tests.egress.receivers import Receiver, sends, status
from tests.factories import Factories
from tests.oidc.journeys import Browser, Provider, RelyingParty, body
from tests.oidc.registering import CALLBACK, METADATA, Registrations, some_client
from tests.web.reading import Page
from tests.web.test_theme import picture


@pytest.fixture
def near() -> bool:
    """Whether this machine may be called."""
    return True


@pytest.fixture
def settings_values(near: bool) -> dict[str, Any]:
    return {
        "registration": {"mode": "open", "max_per_minute": 1000, "logos": True},
        "egress": {"allow_loopback": near},
    }


@pytest.fixture
def registrations(app: Flask) -> Registrations:
    return Registrations(app)


@pytest.fixture
def provider(app: Flask, clock: FixedClock) -> Provider:
    return Provider(app, clock, Factories(app))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


def says(document: Any) -> Any:
    return status(200, document if isinstance(document, bytes) else json.dumps(document).encode())


# Sectors


@pytest.mark.demand(67)
@pytest.mark.parametrize("document", [[CALLBACK], ["https://b.example/", CALLBACK]], ids=str)
def test_sector_document_with_all_redirect_uris_is_believed(
    registrations: Registrations, receiver: Receiver, document: Any
) -> None:
    # OpenID Connect Registration 5.
    receiver.behaviour = says(document)
    assert registrations.registered(sector_identifier_uri=receiver.url)["sector_identifier_uri"] == receiver.url
    assert [call.method for call in receiver.calls] == ["GET"]


BAD_DOCUMENTS: list[Any] = [
    [],
    ["https://b.example/"],
    [CALLBACK + "/"],
    [[CALLBACK]],
    {"redirect_uris": [CALLBACK]},
    {CALLBACK: CALLBACK},
    CALLBACK,
    None,
    b"",
    b"\xff",
    b"[" * 60_000,
    b'["' + CALLBACK.encode() + b'"',
]


@pytest.mark.demand(66, 67)
@pytest.mark.parametrize(
    "behaviour",
    [
        *(pytest.param(says(document), id=str(document)[:40]) for document in BAD_DOCUMENTS),
        pytest.param(status(404, json.dumps([CALLBACK]).encode()), id="404"),
        pytest.param(status(302, b"", Location=CALLBACK), id="redirect"),
        pytest.param(says([CALLBACK, "x" * 70_000]), id="too large"),
        pytest.param(sends(b""), id="closed"),
    ],
)
def test_sector_document_without_all_redirect_uris_refuses_and_writes_no_client(
    registrations: Registrations, receiver: Receiver, behaviour: Any
) -> None:
    receiver.behaviour = behaviour
    before = registrations.rows()
    wish = {**METADATA, "sector_identifier_uri": receiver.url}
    assert registrations.refused(wish) == "invalid_client_metadata"
    assert registrations.rows() == before


def test_sector_document_is_asked_again_when_redirect_uris_change(
    registrations: Registrations, receiver: Receiver
) -> None:
    receiver.behaviour = says([CALLBACK])
    told = registrations.registered(sector_identifier_uri=receiver.url)
    wish = {
        **METADATA,
        "client_id": told["client_id"],
        "sector_identifier_uri": receiver.url,
        "redirect_uris": [CALLBACK, "https://evil.example/"],
    }
    path, token = f"/register/{told['client_id']}", told["registration_access_token"]
    assert body(registrations.send("PUT", path, wish, token), 400)["error"] == "invalid_client_metadata"
    assert body(registrations.send("GET", path, token=token))["redirect_uris"] == [CALLBACK]


def test_what_is_refused_by_itself_makes_nobody_call(registrations: Registrations, receiver: Receiver) -> None:
    wish = {**METADATA, "sector_identifier_uri": receiver.url, "redirect_uris": [CALLBACK + "#"]}
    registrations.refused(wish)
    assert receiver.calls == []


@pytest.mark.parametrize("settings_values", [{"registration": {"mode": "open", "max_per_minute": 2}}])
def test_calls_are_counted_before_they_are_made(registrations: Registrations) -> None:
    wish = {**METADATA, "sector_identifier_uri": "https://rp.invalid/sector"}
    assert [registrations.post(wish).status_code for _ in range(3)] == [400, 400, 429]
    with registrations.app.app_context(), registrations.services.units.reading() as unit:
        assert unit.scalar(select(func.sum(EventCount.number)).where(EventCount.kind == "registrations")) == 2


# Logos


def signing_in(provider: Provider, told: dict[str, Any], **query: str) -> tuple[Browser, Page]:
    """The login page of a client."""
    browser = provider.browser()
    where = browser.authorize(RelyingParty(provider, some_client(told)), **query).headers["Location"]
    return browser, Page.read(browser.get(where).text)


def logo_in(page: Page) -> str | None:
    found = [image.attributes["src"] for image in page.root.one("main").all("img")]
    return found[0] if found else None


@pytest.mark.demand(27)
def test_logo_is_fetched_once_drawn_anew_and_shown_on_the_login_page_from_our_own_address(
    registrations: Registrations, provider: Provider, receiver: Receiver
) -> None:
    # A64.
    original = picture()
    receiver.behaviour = says(original + b"<script>alert(1)</script>")
    told = registrations.registered(logo_uri=receiver.url)
    browser, page = signing_in(provider, told)
    address = logo_in(page)
    assert address is not None and address.startswith(f"/c/{told['client_id']}/logo.") and address.endswith(".png")
    shown = browser.get(address)
    assert (shown.status_code, shown.content_type) == (200, "image/png")
    assert "immutable" in shown.headers["Cache-Control"] and b"script" not in shown.data
    with Image.open(io.BytesIO(shown.data)) as drawn:
        assert drawn.format == "PNG" and drawn.width <= 384 and drawn.height <= 80
    assert "img-src 'self'" in browser.seen[-2].headers["Content-Security-Policy"]
    signing_in(provider, told)
    assert len(receiver.calls) == 1
    assert browser.get(address.replace("logo.", "logo.0")).status_code == 404
    registrations.send("DELETE", f"/register/{told['client_id']}", token=told["registration_access_token"])
    assert browser.get(address).status_code == 404


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(says(b"<svg xmlns='http://www.w3.org/2000/svg'/>"), id="svg"),
        pytest.param(says(b"GIF89a"), id="gif"),
        pytest.param(says(b"\x89PNG\r\n\x1a\n" + b"\x00" * 100), id="broken"),
        pytest.param(status(404), id="404"),
        pytest.param(sends(b""), id="closed"),
    ],
)
def test_client_whose_logo_cannot_be_had_is_registered_without(
    registrations: Registrations, provider: Provider, receiver: Receiver, behaviour: Any
) -> None:
    receiver.behaviour = behaviour
    told = registrations.registered(logo_uri=receiver.url)
    assert told["logo_uri"] == receiver.url
    assert logo_in(signing_in(provider, told)[1]) is None


def test_logo_is_fetched_again_only_for_another_address(
    registrations: Registrations, provider: Provider, receiver: Receiver
) -> None:
    receiver.behaviour = says(picture())
    told = registrations.registered(logo_uri=receiver.url)
    path, token = f"/register/{told['client_id']}", told["registration_access_token"]
    for logo_uri, calls in ((receiver.url, 1), (f"{receiver.url}?2", 2), (None, 2)):
        wish = {**METADATA, "client_id": told["client_id"], "logo_uri": logo_uri}
        body(registrations.send("PUT", path, wish, token))
        assert len(receiver.calls) == calls
        assert (logo_in(signing_in(provider, told)[1]) is None) == (logo_uri is None)


@pytest.mark.parametrize("settings_values", [{"registration": {"mode": "open"}, "egress": {"allow_loopback": True}}])
def test_logo_is_not_fetched_unless_configuration_says_so(
    registrations: Registrations, provider: Provider, receiver: Receiver
) -> None:
    receiver.behaviour = says(picture())
    told = registrations.registered(logo_uri=receiver.url)
    assert receiver.calls == [] and logo_in(signing_in(provider, told)[1]) is None


# Links


@pytest.mark.demand(27)
def test_policy_and_terms_are_linked_on_the_login_page_in_the_language_of_the_person(
    registrations: Registrations, provider: Provider
) -> None:
    # OpenID Connect Registration 2.1.
    told = registrations.registered(
        **{
            "client_name#nl": "De derde",
            "policy_uri": "https://rp.example/policy",
            "policy_uri#nl": "https://rp.example/beleid",
            "tos_uri": "https://rp.example/terms",
            "tos_uri#nl-NL": "https://rp.example/voorwaarden",
        }
    )
    for language, name, links in (
        ("nl", "De derde", ["https://rp.example/beleid", "https://rp.example/voorwaarden"]),
        ("en", "Een derde partij", ["https://rp.example/policy", "https://rp.example/terms"]),
    ):
        _, page = signing_in(provider, told, ui_locales=language)
        shown = [link.attributes["href"] for link in page.root.one("footer").all("a")]
        assert shown == links
        assert name in page.root.one("h1").text


# A64


@pytest.mark.parametrize("near", [False])
def test_a64_no_form_of_this_machine_or_its_networks_is_called(
    registrations: Registrations, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected: list[Any] = []
    monkeypatch.setattr(GuardedClient, "get", _guarded(connected, GuardedClient.get))
    called = 0
    for host in (*LOOPBACK_FORMS, *OTHER_FORMS):
        uri = f"https://{host}:8443/x"
        before = registrations.rows()
        assert registrations.refused({**METADATA, "sector_identifier_uri": uri}) == "invalid_client_metadata"
        assert registrations.rows() == before
        answer = registrations.post({**METADATA, "logo_uri": uri})
        assert answer.status_code in (201, 400)
        called += answer.status_code == 201
    assert called > 60 and connected == []


def _guarded(connected: list[Any], get: Any) -> Any:
    """The same call, in which every connection that is tried is written down and none is made."""

    def call(self: GuardedClient, url: str) -> Any:
        with pytest.MonkeyPatch.context() as patch:

            def refuse(address: Any, *_: Any, **__: Any) -> socket.socket:
                connected.append(address)
                raise ConnectionRefusedError

            patch.setattr(socket, "create_connection", refuse)
            return get(self, url)

    return call
