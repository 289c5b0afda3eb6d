"""The page of the issuer itself: it frightens nobody who is lost, and tells developers what the configuration says."""

import threading
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from idp.kernel.clock import FixedClock
from idp.store.engine import db
from idp.web import examples
from tests.conftest import ISSUER
from tests.factories import Factories
from tests.oidc.journeys import Provider, body
from tests.web.reading import Element, Page

CONFIGURATION = "/.well-known/openid-configuration"


@pytest.fixture(params=[(ISSUER, "off"), (f"{ISSUER}/idp", "token"), (f"{ISSUER}:8443/a/b", "open")])
def deployment(request: pytest.FixtureRequest) -> tuple[str, str]:
    """An issuer, and who may register applications there."""
    found: tuple[str, str] = request.param
    return found


@pytest.fixture
def registration(deployment: tuple[str, str]) -> str:
    return deployment[1]


@pytest.fixture
def settings_values(deployment: tuple[str, str]) -> dict[str, Any]:
    return {"issuer": deployment[0], "registration": {"mode": deployment[1]}}


@pytest.fixture
def provider(app: Flask, clock: FixedClock) -> Provider:
    return Provider(app, clock, Factories(app))


def home(provider: Provider, language: str = "nl") -> Element:
    return Page.read(provider.get("/", {"Accept-Language": language}).text).root.one("main")


def listed(page: Element, name: str) -> dict[str, str]:
    """The terms of a list of the page, and what it says of each."""
    found = page.with_id(name)
    names, values = ([element.text for element in found.all(tag)] for tag in ("dt", "dd"))
    assert len(set(names)) == len(names) == len(values)
    return dict(zip(names, values, strict=True))


def keys_on(page: Element) -> list[list[str]]:
    """What stands there about each key."""
    return [[element.text for element in key.all("dt", "dd")] for key in page.with_id("keys").all("div")]


def as_read(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else ", ".join(value)


def test_page_says_first_that_there_is_nothing_to_do_and_folds_the_rest_away(provider: Provider) -> None:
    page = home(provider)
    lines = [page.all("p")[0], page.all("p")[1], page.one("details")]
    assert (
        lines[0].text
        == "Met deze dienst logt u veilig in bij uw programma's. Op deze pagina zelf hoeft u niets te doen."
    )
    assert lines[2].tag == "details" and "open" not in lines[2].attributes
    folded = page.one("details")
    assert [element for element in page.all("pre", "dl") if element not in folded.all("pre", "dl")] == []


def test_page_says_everything_that_the_configuration_says_and_nothing_else(provider: Provider) -> None:
    said, page = body(provider.get(CONFIGURATION)), home(provider, "en")
    addresses, supported = listed(page, "addresses"), listed(page, "supported")
    assert addresses == {name: value for name, value in said.items() if isinstance(value, str)}
    assert supported == {name: as_read(value) for name, value in said.items() if not isinstance(value, str)}
    assert page.with_id("configuration").text.split()[-1] == provider.issuer + CONFIGURATION
    for element in page.all("code"):
        for part in element.text.split("http")[1:]:
            assert ("http" + part).startswith((provider.issuer, "https://app.example/callback"))


def test_page_says_the_keys_that_are_published_and_since_when(provider: Provider) -> None:
    published = body(provider.get("/jwks"))["keys"]
    assert published
    since = "2026-11-23 13:35 UTC"
    assert keys_on(home(provider, "en")) == [
        [f"{key['alg']}, {key['use']}", key["kid"], f"Published from {since}", f"Signs from {since}"]
        for key in published
    ]


def test_page_says_until_when_a_key_signs_that_has_a_successor(provider: Provider, clock: FixedClock) -> None:
    clock.move(timedelta(minutes=1))
    with provider.app.app_context():
        successor = provider.services.signing_keys.rotate("ES256")
    clock.move(timedelta(minutes=1))
    first, second = (key for key in keys_on(home(provider, "en")) if key[0] == "ES256, sig")
    assert first[3] == "Signs from 2026-11-23 13:35 UTC – 2026-11-24 13:36 UTC"
    assert second[1:] == [successor.kid, "Published from 2026-11-23 13:36 UTC", "Signs from 2026-11-24 13:36 UTC"]


def test_page_comes_also_when_a_key_is_made_while_it_is_written(provider: Provider, clock: FixedClock) -> None:
    made: list[str] = []

    def rotate() -> None:
        with provider.app.app_context():
            made.append(provider.services.signing_keys.rotate("ES256").kid)

    def another_node(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if "FROM signing_keys" in statement and not made and threading.current_thread() is threading.main_thread():
            other = threading.Thread(target=rotate)
            other.start()
            other.join()

    clock.move(timedelta(minutes=1))
    with provider.app.app_context():
        engine = db.engine
    event.listen(engine, "after_cursor_execute", another_node)
    try:
        page = provider.get("/", {"Accept-Language": "en"})
    finally:
        event.remove(engine, "after_cursor_execute", another_node)
    assert page.status_code == 200 and made
    clock.move(timedelta(minutes=1))
    assert made[0] in {key[1] for key in keys_on(home(provider, "en"))}


def test_page_speaks_of_registration_as_it_is(provider: Provider, registration: str) -> None:
    text = home(provider, "en").text
    assert ("administrator registers" in text, "with a token" in text) == (
        registration == "off",
        registration == "token",
    )
    assert ("/register" in text) == (registration != "off")
    assert ("$INITIAL_ACCESS_TOKEN" in text) == (registration == "token")


def test_page_is_the_same_for_everybody_holds_no_secret_and_is_never_stored(provider: Provider) -> None:
    browser = provider.browser()
    party, who = provider.client(), provider.somebody()
    before = provider.get("/")
    browser.sign_in(party, who)
    after = browser.get("/")
    assert (after.text, after.headers["Cache-Control"]) == (before.text, "no-store")
    asked = provider.get("/", {"Accept": "application/json"})
    assert asked.mimetype == "text/html" and asked.text == before.text
    for private in (party.client_id, party.secret, who.username, who.sub):
        assert private not in after.text


def test_every_example_has_a_title_in_each_language(provider: Provider, registration: str) -> None:
    named = examples.of(body(provider.get(CONFIGURATION)), registration)
    for language in ("nl", "en"):
        page = home(provider, language)
        assert [(each.attributes["id"], each.text) for each in page.all("code") if "id" in each.attributes] == [
            (f"example-{name}", " ".join(example.split())) for name, example in named
        ]
        assert len({page.with_id(f"about-{name}").text for name, _ in named}) == len(named) >= 6
