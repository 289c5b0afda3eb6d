"""The way out of the provider, to applications that lead on or want their answer in a form."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
import requests
from flask import Flask, request
from sqlalchemy import update

from idp.demo import server
from idp.outbox.models import OutboxMessage
from tests.browser.conftest import Begin
from tests.browser.elsewhere import ARRIVED, page, site_that
from tests.browser.visitor import Tab
from tests.browser.world import VERIFIER, World
from tests.factories import Somebody, SomeClient
from tests.services.ports import LOOPBACK

pytestmark = pytest.mark.xdist_group("browser")

POST_THIS = """(form, [target, fields]) => {
  form.action = target;
  for (const [name, value] of fields) form.append(Object.assign(document.createElement("input"),
    { type: "hidden", name, value }));
}"""


def test_application_that_redirects_on_to_a_third_origin_is_reached_through(
    visit: Begin, site: World, script: bool
) -> None:
    anna, tab = site.app_user(), visit(script).tab()
    with ExitStack() as stack:
        third, arrivals = stack.enter_context(site_that())
        address, received = stack.enter_context(site_that(onward=f"{third}/callback?from=application"))
        client = site.live.make.client(f"leads-on-{script}", redirect_uris=[f"{address}/callback"])
        tab.open(site.authorization_url(client.client_id, client.redirect_uri))
        tab.log_in(anna).send_code(site.code(anna)).at(ARRIVED)
    assert tab.page.url == f"{third}/callback?from=application"
    assert [answer["state"] for answer in received] == ["the state"] and "code" in received[0]
    assert arrivals == [{"method": "GET", "from": "application"}]


def test_this_browser_stops_a_redirect_after_a_form_that_leaves_the_policy(visit: Begin) -> None:
    """What the test above guards against is real here: without a hand-off page the chain would be cut."""
    visitor = visit()
    with ExitStack() as stack:
        third, arrivals = stack.enter_context(site_that())
        address, received = stack.enter_context(site_that(f"{third}/callback", policy="form-action 'self'"))
        page = visitor.tab().open(f"{address}/form").page
        with page.expect_event("console") as said:
            page.click("#send")
        assert "form-action" in said.value.text
    assert len(received) == 1 and arrivals == []
    assert any("form-action" in fault for fault in visitor.watch.faults), "the watch hears what browsers refuse"
    visitor.watch.forgive()


@pytest.mark.parametrize("mode", ["query", "fragment"])
def test_answer_in_the_address_arrives(visit: Begin, site: World, mode: str) -> None:
    anna, tab = site.password_user(), visit().tab()
    with site_that() as (address, received):
        client = site.live.make.client(f"mode-{mode}", redirect_uris=[f"{address}/callback"])
        tab.open(site.authorization_url(client.client_id, client.redirect_uri, response_mode=mode))
        tab.log_in(anna).at(ARRIVED)
    answer = received[0] | {name: "" for name in ("code", "state") if f"{name}=" in tab.page.url.partition("#")[2]}
    assert {"code", "state"} <= set(answer)


def test_answer_in_a_form_needs_one_click_without_a_script_and_none_with_it(
    visit: Begin, site: World, script: bool
) -> None:
    anna, visitor = site.password_user(), visit(script)
    tab = visitor.tab()
    with site_that() as (address, received):
        client = site.live.make.client(f"form-post-{script}", redirect_uris=[f"{address}/callback"])
        url = site.authorization_url(client.client_id, client.redirect_uri, response_mode="form_post")
        tab.open(url).log_in(anna)
        if not script:
            tab.at(f"U gaat nu naar {client.client_id.capitalize()}").press("#form-post-submit")
        tab.at(ARRIVED)
        # Once more with a session: nobody is asked anything.
        tab.open(url)
        if not script:
            tab.press("#form-post-submit")
        tab.at(ARRIVED)
    assert [(answer["method"], answer["state"]) for answer in received] == [("POST", "the state")] * 2
    assert all(answer["code"] and answer["iss"] == site.issuer and "csrf_token" not in answer for answer in received)


def test_application_of_a_third_party_gets_what_somebody_allows_and_hears_when_they_do_not(
    visit: Begin, site: World, script: bool
) -> None:
    anna, tab = site.password_user(), visit(script).tab()
    with site_that() as (address, received):
        client = site.live.make.client(
            f"third-party-{script}", client_name="Derden", redirect_uris=[f"{address}/callback"], first_party=False
        )
        url = site.authorization_url(client.client_id, client.redirect_uri)
        tab.open(url).log_in(anna).at("Mag Derden uw gegevens gebruiken?")
        assert "Anna de Wit" in tab.text("main")
        tab.press("#consent-deny").at(ARRIVED)
        tab.open(url).press("#consent-allow").at(ARRIVED)
        tab.open(url).at(ARRIVED)
    assert [answer.get("error", "allowed") for answer in received] == ["access_denied", "allowed", "allowed"]


def test_request_that_an_application_posts_is_answered_like_any_other(visit: Begin, site: World) -> None:
    anna, tab = site.password_user(), visit().tab()
    with site_that() as (address, received):
        client = site.live.make.client("posts-its-request", redirect_uris=[f"{address}/callback"])
        endpoint, _, query = site.authorization_url(client.client_id, client.redirect_uri).partition("?")
        for _ in range(2):  # the second time with a session, which the browser must send along
            tab.open(f"{address}/form")
            tab.find("form").evaluate(POST_THIS, [endpoint, parse_qsl(query)])
            with tab.page.expect_navigation():
                tab.page.click("#send")
            if not received:
                tab.log_in(anna)
            tab.at(ARRIVED)
    assert [answer["method"] for answer in received] == ["GET", "GET"]


# logging out


@dataclass
class Application:
    """An application at an origin of its own, with a page for front-channel logout; the journal is shared."""

    name: str
    address: str
    journal: list[tuple[str, str, dict[str, str]]]
    client: SomeClient
    codes: list[str] = field(default_factory=list)

    def takes_its_tokens(self, site: World) -> Any:
        """The code of the browser's last visit is redeemed, as a server does: the application takes part."""
        answer = requests.post(
            f"{site.issuer}/token",
            data={
                "grant_type": "authorization_code",
                "code": self.codes[-1],
                "redirect_uri": self.client.redirect_uri,
                "code_verifier": VERIFIER,
            },
            auth=(self.client.client_id, self.client.secret or ""),
            timeout=30,
        )
        return answer.json()["id_token"]

    def signs_in(self, site: World, tab: Tab, who: Somebody | None = None) -> str:
        """Its ID token, after the person signed in or was signed in already."""
        tab.open(site.authorization_url(self.client.client_id, self.client.redirect_uri))
        if who is not None:
            tab.log_in(who)
        tab.at(ARRIVED)
        return str(self.takes_its_tokens(site))


@contextmanager
def application(
    site: World, name: str, journal: list[tuple[str, str, dict[str, str]]], hangs: Event | None = None, **columns: Any
) -> Iterator[Application]:
    """`hangs`: its front-channel page answers nobody before this is set."""
    app, codes = Flask(name), list[str]()

    @app.get("/callback")
    def callback() -> str:
        codes.append(request.args["code"])
        return page(ARRIVED)

    @app.get("/frontchannel")
    def frontchannel() -> str:
        if hangs is not None:
            hangs.wait(60)
        journal.append((name, request.headers["Sec-Fetch-Dest"], request.args.to_dict()))
        return page("Uitgelogd")

    @app.get("/signed-out")
    def signed_out() -> str:
        journal.append((name, request.headers["Sec-Fetch-Dest"], request.args.to_dict()))
        return page(ARRIVED)

    @app.get("/icon.svg")
    def icon() -> tuple[str, int]:
        return "", 204

    with server.serving(app, LOOPBACK, 0) as port:
        address = f"http://{LOOPBACK}:{port}"
        client = site.live.make.client(
            name,
            redirect_uris=[f"{address}/callback"],
            post_logout_redirect_uris=[f"{address}/signed-out"],
            client_uri=f"{address}/signed-out",
            **{"frontchannel_logout_uri": f"{address}/frontchannel", **columns},
        )
        yield Application(name, address, journal, client, codes)


def _end_session_url(site: World, **parameters: str) -> str:
    return f"{site.issuer}/end_session?{urlencode(parameters)}"


@pytest.mark.demand(90, 91)
def test_applications_are_loaded_in_frames_before_the_browser_arrives_at_the_one_that_asked(
    visit: Begin, site: World, script: bool
) -> None:
    anna, tab, journal = site.password_user(), visit(script).tab(), list[tuple[str, str, dict[str, str]]]()
    with ExitStack() as stack:
        first = stack.enter_context(application(site, f"front-a-{script}", journal))
        second = stack.enter_context(application(site, f"front-b-{script}", journal))
        hint = first.signs_in(site, tab, anna)
        second.signs_in(site, tab)
        uri = f"{first.address}/signed-out"
        tab.open(_end_session_url(site, id_token_hint=hint, post_logout_redirect_uri=uri, state="s")).at(ARRIVED)
        assert tab.page.url == f"{uri}?state=s"
    *framed, arrived = journal
    assert arrived == (first.name, "document", {"state": "s"})
    assert sorted((name, destination) for name, destination, _ in framed) == [
        (first.name, "iframe"),
        (second.name, "iframe"),
    ]
    assert [set(sent) for _, _, sent in framed] == [{"iss", "sid"}] * 2
    assert {sent["iss"] for _, _, sent in framed} == {site.issuer}
    assert len({sent["sid"] for _, _, sent in framed}) == 1


def test_application_that_does_not_answer_keeps_nobody_waiting(visit: Begin, site: World) -> None:
    anna, tab, released = site.password_user(), visit().tab(), Event()
    journal = list[tuple[str, str, dict[str, str]]]()
    with application(site, "front-hangs", journal, hangs=released) as hanging:
        hint = hanging.signs_in(site, tab, anna)
        uri = f"{hanging.address}/signed-out"
        try:
            tab.page.goto(_end_session_url(site, id_token_hint=hint, post_logout_redirect_uri=uri), wait_until="commit")
            tab.at("U wordt uitgelogd").at(ARRIVED)
            assert [destination for _, destination, _ in journal] == ["document"]
        finally:
            released.set()


def test_page_after_logging_out_names_the_applications_as_they_are_told(
    visit: Begin, site: World, script: bool
) -> None:
    anna, visitor = site.password_user(), visit(script)
    tab, journal = visitor.tab(), list[tuple[str, str, dict[str, str]]]()
    told_here: dict[str, Any] = {
        "backchannel_logout_uri": "https://127.0.0.1:9/backchannel",
        "frontchannel_logout_uri": None,
    }
    with ExitStack() as stack:
        front = stack.enter_context(application(site, f"told-a-{script}", journal))
        back = stack.enter_context(application(site, f"told-b-{script}", journal, **told_here))
        lost = stack.enter_context(application(site, f"told-c-{script}", journal, frontchannel_logout_uri=None))
        front.signs_in(site, tab, anna)
        back.signs_in(site, tab)
        hint = lost.signs_in(site, tab)
        tab.open(_end_session_url(site, id_token_hint=hint)).at("U bent uitgelogd")
        tab.find("#waiting").wait_for()
        assert tab.text("#waiting") == back.client.client_id.capitalize()
        with site.live.app.app_context(), site.live.services.units.writing() as unit:
            settled = update(OutboxMessage).where(OutboxMessage.receiver == back.client.client_id)
            unit.execute(settled.values(delivered_at=site.live.services.clock.now()))
        tab.find("#told li").nth(1).wait_for()
        assert tab.find("#waiting").count() == 0 and tab.find(".note").count() == 0
        assert tab.text("#told").split() == [each.name.capitalize() for each in (back, lost)]
        assert tab.text("#asked") == front.name.capitalize()
        assert tab.text("#app-link") == f"Opnieuw inloggen bij {lost.name.capitalize()}"
        # Again, back, and in a second tab: the same page, never an error.
        address = tab.page.url
        tab.reload().at("U bent uitgelogd")
        other = visitor.tab().open(address).at("U bent uitgelogd")
        assert other.text("#told") == tab.text("#told")
        tab.open(site.issuer).back().at("U bent uitgelogd")
        visitor.forget()
        assert tab.reload().at("U bent uitgelogd").find("#told").count() == 0
