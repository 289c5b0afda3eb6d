"""An application that signs people in in a window of its own, and waits for what that window hands to its opener."""

import pytest
from playwright.sync_api import Page, Route

from tests.browser.conftest import Begin
from tests.browser.visitor import CODE, Tab
from tests.browser.world import World

pytestmark = pytest.mark.xdist_group("browser")

APPLICATION = "https://window.example"
CALLBACK = f"{APPLICATION}/callback"


@pytest.mark.parametrize("response_mode", ["query", "form_post"])
def test_window_of_an_application_still_knows_its_opener_when_it_comes_back(
    visit: Begin, site: World, response_mode: str
) -> None:
    anna, visitor = site.app_user(), visit()
    visitor.context.route(f"{APPLICATION}/**", _empty_page)
    client_id = f"window-{response_mode}"
    site.live.add_client(client_id, CALLBACK)
    opener = visitor.tab().open(f"{APPLICATION}/")
    url = site.authorization_url(client_id, CALLBACK, response_mode=response_mode)
    with opener.page.expect_popup() as opened:
        opener.page.evaluate("url => { window.signingIn = window.open(url) }", url)
    window = Tab(visitor, opened.value)
    heading = f"Inloggen bij {client_id.capitalize()}"
    assert _knows_its_opener(window.at(heading).page)
    assert _knows_its_opener(window.log_in(anna).at(CODE).page)
    window.send_code(site.code(anna)).at("Terug")
    assert window.page.url.startswith(CALLBACK) and _knows_its_opener(window.page)
    assert opener.page.evaluate("() => window.signingIn.closed") is False


def _knows_its_opener(page: Page) -> bool:
    return bool(page.evaluate("() => window.opener !== null"))


def _empty_page(route: Route) -> None:
    body = "<!doctype html><html lang=nl><title>Terug</title><main><h1>Terug</h1></main></html>"
    route.fulfill(status=200, content_type="text/html", body=body)
