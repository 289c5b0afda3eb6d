"""The way out of the provider, to applications that lead on or want their answer in a form."""

from contextlib import ExitStack
from urllib.parse import parse_qsl

import pytest

from tests.browser.conftest import Begin
from tests.browser.elsewhere import ARRIVED, site_that
from tests.browser.world import World

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
