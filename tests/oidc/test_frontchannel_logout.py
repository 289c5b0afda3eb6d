"""Front-channel logout (OpenID Connect Front-Channel Logout 1.0), and the page that names the applications."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from sqlalchemy import update
from werkzeug.test import TestResponse

from idp.oidc.clients import Client
from idp.oidc.frontchannel_logout import frames
from idp.outbox.models import OutboxMessage
from idp.sessions.models import Session
from idp.web import signed_out
from tests.factories import Somebody
from tests.oidc.journeys import Answer, Browser, Provider, RelyingParty, body, form_encoded
from tests.web.reading import Element, Page

HOME = "https://app.example/"
SIGNED_OUT = "https://app.example/signed-out"
FRONT = "https://app.example/frontchannel"
BACK = "https://app.example/backchannel"
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@dataclass(frozen=True)
class SignedIn:
    """Somebody's browser, and who took part in its session."""

    browser: Browser
    who: Somebody

    def takes_part(self, party: RelyingParty) -> str:
        """The client's ID token of this session."""
        answer = self.browser.sign_in(party, self.who)
        return str(body(party.redeem(answer.values["code"]))["id_token"])

    def leaves(self, **parameters: str | None) -> TestResponse:
        """Logged out, without a question or after it."""
        response = self.browser.get("/end_session", query=form_encoded(parameters))
        form = Page.read(response.text).root.all("form") if response.status_code == 200 else []
        if form:
            fields = {each.attributes["name"]: each.attributes["value"] for each in form[0].all("input")}
            response = self.browser.post(form[0].attributes["action"], {**fields, "decision": "logout"})
        return response


@pytest.fixture
def signed_in(provider: Provider) -> SignedIn:
    return SignedIn(provider.browser(), provider.somebody())


def _framed(response: TestResponse) -> list[str]:
    return [frame.attributes["src"] for frame in Page.read(response.text).root.all("iframe")]


def _frame_src(response: TestResponse) -> list[str]:
    parts = [part.split() for part in response.headers["Content-Security-Policy"].split(";")]
    return [value for name, *values in parts if name == "frame-src" for value in values]


# the page of frames


@pytest.mark.demand(90, 91)
def test_clients_of_the_session_are_loaded_with_issuer_and_sid_before_the_browser_goes_on(
    provider: Provider, signed_in: SignedIn
) -> None:
    hint = signed_in.takes_part(provider.client(frontchannel_logout_uri=FRONT))
    other = "https://other.example:8443/out?tenant=1&x=%20"
    signed_in.takes_part(
        provider.client(redirect_uris=["https://other.example:8443/cb"], frontchannel_logout_uri=other)
    )
    signed_in.takes_part(provider.client())
    sid = provider.claims(hint)["sid"]
    response = signed_in.leaves(id_token_hint=hint, post_logout_redirect_uri=SIGNED_OUT, state="s")
    assert response.status_code == 200
    said = urlencode({"iss": provider.issuer, "sid": sid})
    assert _framed(response) == [f"{FRONT}?{said}", f"{other}&{said}"]
    assert _frame_src(response) == ["https://app.example", "https://other.example:8443"]
    answer = Answer.read(response)
    assert (answer.address, answer.values) == (SIGNED_OUT, {"state": "s"})
    assert "__Host-idp_session=;" in str(response.headers.getlist("Set-Cookie"))


def test_clients_of_other_sessions_and_strangers_are_not_loaded(provider: Provider, signed_in: SignedIn) -> None:
    stranger = provider.client(
        redirect_uris=["https://never.example/cb"], frontchannel_logout_uri="https://never.example/o"
    )
    elsewhere = SignedIn(provider.browser(), signed_in.who)
    elsewhere.takes_part(provider.client(frontchannel_logout_uri=FRONT))
    hint = signed_in.takes_part(provider.client())
    response = signed_in.leaves(id_token_hint=hint, frontchannel_logout_uri=FRONT, client=stranger.client_id)
    assert response.status_code == 303 and _frame_src(response) == []


def test_client_that_asks_without_having_taken_part_is_not_loaded(provider: Provider, signed_in: SignedIn) -> None:
    signed_in.takes_part(provider.client())
    stranger = provider.client(frontchannel_logout_uri=FRONT)
    response = signed_in.leaves(client_id=stranger.client_id, post_logout_redirect_uri=SIGNED_OUT)
    assert Answer.read(response).address == SIGNED_OUT
    assert _framed(response) == [] and _frame_src(response) == []


def test_without_such_clients_the_browser_goes_on_as_ever(provider: Provider, signed_in: SignedIn) -> None:
    response = signed_in.leaves(
        id_token_hint=signed_in.takes_part(provider.client()), post_logout_redirect_uri=SIGNED_OUT
    )
    assert 'id="handoff-link"' in response.text and _framed(response) == []


@pytest.mark.demand(91)
def test_no_other_page_may_have_frames(provider: Provider, signed_in: SignedIn) -> None:
    hint = signed_in.takes_part(provider.client(frontchannel_logout_uri=FRONT))
    for path in ("/", "/end_session", "/signed_out", "/signed_out?about=x"):
        assert _frame_src(signed_in.browser.get(path)) == [], path
    assert _frame_src(signed_in.leaves(id_token_hint=hint)) != []
    assert _frame_src(signed_in.leaves(id_token_hint=hint)) == [], "a second time there is nothing to end"


def test_logout_that_asks_first_loads_them_after_the_answer(provider: Provider, signed_in: SignedIn) -> None:
    signed_in.takes_part(provider.client(frontchannel_logout_uri=FRONT))
    response = signed_in.leaves()
    assert [src.partition("?")[0] for src in _framed(response)] == [FRONT]
    assert Answer.read(response).address == "/signed_out"


@pytest.mark.parametrize(
    "uri",
    [
        "https://a.example;script-src/o",
        "https://a.example,b.example/o",
        "https://*/o",
        "https://a'b/o",
        "javascript:x",
        "",
    ],
)
def test_address_that_could_say_more_in_a_policy_than_one_host_is_not_loaded(uri: str) -> None:
    assert frames([Client(client_name="x", frontchannel_logout_uri=uri)], "https://i.example", "s") == ()


@pytest.mark.parametrize(
    ("uri", "origin"),
    [
        ("https://A.example/o", "https://a.example"),
        ("http://127.0.0.1:80/o", "http://127.0.0.1"),
        ("http://[::1]:9/o", "http://[::1]:9"),
    ],
)
def test_policy_names_exactly_the_origin(uri: str, origin: str) -> None:
    (frame,) = frames([Client(client_name="x", frontchannel_logout_uri=uri)], "https://i.example", "s")
    assert (frame.origin, dict(parse_qsl(urlsplit(frame.address).query))) == (
        origin,
        {"iss": "https://i.example", "sid": "s"},
    )


def test_hostile_name_of_a_client_stays_a_text(provider: Provider, signed_in: SignedIn) -> None:
    hostile = "\"><script src='//x'></script>{{ 7 * 7 }}"
    signed_in.takes_part(provider.client(client_name=hostile, frontchannel_logout_uri=FRONT))
    response = signed_in.leaves()
    (frame,) = Page.read(response.text).root.all("iframe")
    assert frame.attributes["title"] == f"Uitloggen bij {hostile}"
    assert len(Page.read(response.text).root.all("script")) == 1
    shown = Page.read(signed_in.browser.get(_next(response)).text).root
    assert hostile in shown.text and len(shown.all("script")) == 1


# the page that names the applications


def _next(response: TestResponse) -> str:
    """Where the page of frames, or the redirect, leads on our own site."""
    if response.status_code == 303:
        return response.headers["Location"]
    (refresh,) = Page.read(response.text).root.having("http-equiv", "refresh")
    return refresh.attributes["content"].removeprefix("0;url=")


def _names(page: Element, identifier: str) -> list[str]:
    return [item.text for found in page.having("id", identifier) for item in found.all("li")]


@dataclass(frozen=True)
class Told:
    """What the page says: the applications in its lists, the notes above them, and when it asks for itself again."""

    told: list[str]
    waiting: list[str]
    notes: list[str]
    refresh: str | None

    @classmethod
    def read(cls, response: TestResponse) -> "Told":
        assert response.status_code == 200
        page = Page.read(response.text).root
        assert page.one("h1").text == "U bent uitgelogd"
        notes = [element.text for element in page.having("class", "note")]
        return cls(_names(page, "told"), _names(page, "waiting"), notes, response.headers.get("Refresh"))


NOTHING = Told([], [], [], None)


def _settle(provider: Provider, party: RelyingParty, **columns: Any) -> None:
    """What the worker writes when it delivered the client's notice, or could not."""
    with provider.writing() as unit:
        unit.execute(update(OutboxMessage).where(OutboxMessage.receiver == party.client_id).values(**columns))


@pytest.fixture
def asking(provider: Provider) -> RelyingParty:
    return provider.client(client_name="Atosi", backchannel_logout_uri=BACK)


@pytest.fixture
def other(provider: Provider) -> RelyingParty:
    return provider.client(client_name="Rapportages", backchannel_logout_uri=BACK)


@pytest.fixture
def address(signed_in: SignedIn, asking: RelyingParty, other: RelyingParty) -> Iterator[str]:
    """Atosi ended the session in which Rapportages took part too; this is where the browser was led."""
    hint = signed_in.takes_part(asking)
    signed_in.takes_part(other)
    yield _next(signed_in.leaves(id_token_hint=hint))


def test_page_says_who_is_still_being_told_and_asks_again(signed_in: SignedIn, address: str) -> None:
    shown = Told.read(signed_in.browser.get(address))
    assert (shown.told, shown.waiting, shown.notes) == (["Atosi"], ["Rapportages"], [])
    assert shown.refresh is not None and shown.refresh.startswith("1; url=/signed_out?about=")


def test_page_says_who_was_told_as_soon_as_it_is(
    provider: Provider, signed_in: SignedIn, address: str, other: RelyingParty
) -> None:
    signed_in.browser.get(address)
    _settle(provider, other, delivered_at=provider.clock.now(), tries=1)
    assert Told.read(signed_in.browser.get(address)) == Told(["Atosi", "Rapportages"], [], [], None)


def test_page_asks_a_few_times_within_seconds_and_then_says_that_there_was_no_answer(
    signed_in: SignedIn, address: str
) -> None:
    waited = 0
    for _ in range(10):
        shown = Told.read(signed_in.browser.get(address))
        if shown.refresh is None:
            break
        seconds, _, address = shown.refresh.partition("; url=")
        waited += int(seconds)
    assert waited == sum(signed_out.PAUSES) < 10
    note = "Rapportages heeft nog niet geantwoord. Sluit de browser om zeker te zijn."
    assert shown == Told(["Atosi"], [], [note], None)


@pytest.mark.parametrize("looked", ["-1", "99", "x", "", "٣"])
def test_count_that_somebody_made_up_ends_the_asking(signed_in: SignedIn, address: str, looked: str) -> None:
    assert Told.read(signed_in.browser.get(f"{address}&{urlencode({'looked': looked})}")).refresh is None


@pytest.mark.parametrize("failure", ["http 403", "timeout", "expired"])
def test_page_says_when_an_application_could_not_be_told(
    provider: Provider, signed_in: SignedIn, address: str, other: RelyingParty, failure: str
) -> None:
    _settle(provider, other, failure=failure, failed_at=provider.clock.now())
    note = "Bij Rapportages is het uitloggen niet gelukt. Sluit de browser om zeker te zijn."
    assert Told.read(signed_in.browser.get(address)) == Told(["Atosi"], [], [note], None)


def test_client_without_any_address_may_still_be_open_and_one_with_a_page_was_asked(
    provider: Provider, signed_in: SignedIn
) -> None:
    signed_in.takes_part(provider.client(client_name="Zonder adres"))
    signed_in.takes_part(provider.client(client_name="Met pagina", frontchannel_logout_uri=FRONT))
    response = signed_in.browser.get(_next(signed_in.leaves()))
    shown = Told.read(response)
    # Nobody learns what a frame did: the page says what is known.
    assert shown.told == [] and _names(Page.read(response.text).root, "asked") == ["Met pagina"]
    assert shown.notes == ["Zonder adres kan nog open staan. Log daar zelf uit."]


def test_client_that_somebody_only_names_has_not_left_by_itself(
    provider: Provider, signed_in: SignedIn, asking: RelyingParty
) -> None:
    """Anybody can write a client_id, or send an ID token of their own."""
    signed_in.takes_part(asking)
    theirs = SignedIn(provider.browser(), provider.somebody()).takes_part(asking)
    for claimed in ({"client_id": asking.client_id}, {"id_token_hint": theirs}):
        here = SignedIn(provider.browser(), signed_in.who)
        here.takes_part(asking)
        assert Told.read(here.browser.get(_next(here.leaves(**claimed)))).waiting == ["Atosi"], claimed


def test_button_leads_back_to_the_application_that_asked(signed_in: SignedIn, address: str) -> None:
    link = Page.read(signed_in.browser.get(address).text).root.with_id("app-link")
    assert (link.text, link.attributes["href"]) == ("Opnieuw inloggen bij Atosi", HOME)


def test_page_again_and_logging_out_again_are_never_an_error(signed_in: SignedIn, address: str) -> None:
    for _ in range(2):
        assert Told.read(signed_in.browser.get(address)).told == ["Atosi"]
    assert Told.read(signed_in.browser.get("/end_session")) == NOTHING
    assert Told.read(signed_in.browser.get("/signed_out")) == NOTHING


def test_reference_says_nothing_to_who_reads_it(signed_in: SignedIn, provider: Provider, asking: RelyingParty) -> None:
    hint = signed_in.takes_part(asking)
    address = _next(signed_in.leaves(id_token_hint=hint))
    assert provider.claims(hint)["sid"] not in address and asking.client_id not in address


def test_reference_opens_for_ten_minutes(provider: Provider, signed_in: SignedIn, address: str) -> None:
    provider.clock.move(10 * MINUTE - SECOND)
    assert Told.read(signed_in.browser.get(address)).told == ["Atosi"]
    provider.clock.move(SECOND)
    assert Told.read(signed_in.browser.get(address)) == NOTHING


def test_reference_of_somebody_else_names_nothing(provider: Provider, signed_in: SignedIn, address: str) -> None:
    stranger = SignedIn(provider.browser(), provider.somebody())
    assert Told.read(stranger.browser.get(address)) == NOTHING, "a browser that never was here"
    stranger.takes_part(provider.client())
    assert Told.read(stranger.browser.get(address)) == NOTHING, "a browser with cookies of its own"
    assert Told.read(signed_in.browser.get(address)) != NOTHING


def test_reference_that_somebody_changed_or_made_up_names_nothing(signed_in: SignedIn, address: str) -> None:
    (about,) = parse_qs(urlsplit(address).query)["about"]
    turned = "B" if about[40] != "B" else "C"
    forged = (
        about[:40] + turned + about[41:],
        about[:-6],
        about + "AAAA",
        about[:12],
        "A" * 80,
        "%00",
        "é",
        "",
        "x" * 5000,
    )
    for each in forged:
        assert Told.read(signed_in.browser.get("/signed_out", query=urlencode({"about": each}))) == NOTHING, each
    assert Told.read(signed_in.browser.get("/signed_out", query=b"about=%ff%fe&looked=%ff")) == NOTHING


def test_language_of_the_request_stays_with_the_page(
    provider: Provider, signed_in: SignedIn, other: RelyingParty
) -> None:
    signed_in.takes_part(other)
    address = _next(signed_in.leaves(ui_locales="en"))
    response = signed_in.browser.get(address)
    assert "You are signed out" in response.text and "ui_locales=en" in response.headers["Refresh"]


def test_application_that_failed_at_first_is_not_accused_before_it_was_tried_again(
    provider: Provider, signed_in: SignedIn, address: str, other: RelyingParty
) -> None:
    _settle(provider, other, failure="timeout", tries=1)
    shown = Told.read(signed_in.browser.get(address))
    assert (shown.waiting, shown.notes) == (["Rapportages"], []) and shown.refresh is not None
    last = Told.read(signed_in.browser.get(f"{address}&looked={len(signed_out.PAUSES)}"))
    note = "Bij Rapportages is het uitloggen niet gelukt. Sluit de browser om zeker te zijn."
    assert last == Told(["Atosi"], [], [note], None)


@pytest.mark.parametrize(
    ("idle", "absolute", "passed", "said"),
    [
        (45, 3600, 45, "U heeft een tijd niets gedaan."),
        (90, 3600, 90, "U heeft een tijd niets gedaan."),
        (600, 36000, 600, "U heeft tien minuten niets gedaan."),
        (1800, 1800, 1800, "U was lang ingelogd."),
        (7200, 7200, 7200, "U was twee uur ingelogd."),
    ],
)
def test_limit_is_named_only_where_it_is_a_whole_number(
    provider: Provider, signed_in: SignedIn, asking: RelyingParty, idle: int, absolute: int, passed: int, said: str
) -> None:
    sid = provider.claims(signed_in.takes_part(asking))["sid"]
    now, seconds = provider.clock.now(), timedelta(seconds=1)
    limits = {
        "opened_at": now,
        "idle_timeout": idle * seconds,
        "idle_ends_at": now + idle * seconds,
        "absolute_ends_at": now + absolute * seconds,
    }
    with provider.writing() as unit:
        unit.execute(update(Session).where(Session.sid == sid).values(**limits))
    provider.clock.move(passed * seconds)
    page = Page.read(signed_in.browser.get("/end_session").text).root
    assert said in " ".join(paragraph.text for paragraph in page.all("p"))
