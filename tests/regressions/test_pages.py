"""What pages say: a refusal that is loaded again, an organisation's own limits, the way back to an application."""

import html
import re
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.attacks.world import World
from tests.regressions.ways import MINUTE, on_sqlite

pytestmark = on_sqlite


@pytest.mark.parametrize("live", [False, True], ids=["signing in", "in a live session"])
def test_refusal_for_a_level_out_of_reach_is_no_success_when_it_is_loaded_again(world: World, live: bool) -> None:
    els, strict = world.make.person(username="els"), world.make.client("strict", minimum_acr=4)
    browser = world.browser()
    if live:
        world.sign_in(world.make.client(), els, browser)
        page = browser.begin(strict)
    else:
        page = browser.submit(browser.begin(strict), **els.names)
    assert page.status == 403
    for path in (page.url, f"/s/{page.interaction_id}/identify", f"/s/{page.interaction_id}/restart"):
        again = browser.follow(browser.get(path))
        assert again.answer["error"] == "access_denied", path
        assert "Strict" in again.title, "the application is named"


def test_refusal_by_the_person_stays_one_when_any_page_of_it_is_loaded_again(world: World) -> None:
    els, third = world.make.person(username="els"), world.make.client("third", first_party=False)
    browser = world.browser()
    page = browser.submit(browser.begin(third), **els.names)
    assert page.prompt == "consent"
    assert browser.submit(page, decision="deny").answer["error"] == "access_denied"
    for name in ("consent", "continue", "identify", "restart", "leave"):
        again = browser.follow(browser.get(f"/s/{page.interaction_id}/{name}"))
        assert again.answer["error"] == "access_denied", name


@pytest.mark.parametrize("phone", [None, "088 - 123 4567"], ids=["general service desk", "its own service desk"])
@pytest.mark.parametrize(("own", "said"), [(15 * MINUTE, "15 minuten"), (None, "30 minuten")])
def test_frame_says_after_how_many_minutes_the_organisations_own_session_ends(
    world: World, own: Any, said: str, phone: str | None
) -> None:
    organization = world.make.organization(idle_timeout=own, service_desk_phone=phone)
    anna = world.make.account(organization, "anna", totp=True)
    _, page = world.at_code_page(world.make.client(), anna)
    assert re.findall(r"\d+ minuten", html.unescape(page.text)) == [said]


@pytest.mark.parametrize(
    ("address", "is_button"), [("nl.example.app:/signed-out", True), ("https://app.example/signed-out", False)]
)
def test_way_back_after_logout_is_a_button_where_the_browser_may_not_go_by_itself(
    world: World, address: str, is_button: bool
) -> None:
    els = world.make.person(username="els")
    client = world.make.client(post_logout_redirect_uris=[address])
    browser, page = world.sign_in(client, els)
    hint = world.redeem(client, page.code).body["id_token"]
    asked = {"id_token_hint": hint, "post_logout_redirect_uri": address}
    left = browser.get("/end_session?" + urlencode(asked))
    assert left.status == 200 and left.target == address
    assert ('<a class="btn" id="handoff-link"' in left.text) is is_button
    assert browser.begin(client).prompt == "identify"
