"""What a request asks for and gets: levels, ages, native clients, and requests for nothing but headers."""

import json
from datetime import timedelta
from urllib.parse import urlencode

from sqlalchemy import select

from idp.sessions.models import Session
from idp.signin.interaction import Interaction
from tests.attacks.world import World, parameters
from tests.regressions.ways import MINUTE, acr, claims_of, enrol


def test_essential_level_is_not_undercut_by_a_lower_one_among_the_wished(world: World) -> None:
    els, client = world.make.person(username="els"), world.make.client()
    essential = json.dumps({"id_token": {"acr": {"essential": True, "value": acr(3)}}})
    browser = world.browser()
    page = browser.submit(browser.begin(client, claims=essential, acr_values=acr(1)), **els.names)
    assert page.prompt == "enrol_second_factor"
    page, _ = enrol(world, browser, page, els)
    assert claims_of(world.redeem(client, page.code).body["id_token"])["acr"] == acr(3)


def test_max_age_holds_while_a_step_up_in_the_same_sign_in_makes_time_pass(world: World) -> None:
    els, client = world.make.person(username="els"), world.make.client()
    third = world.make.client("third", first_party=False)
    browser, _ = world.sign_in(client, els)
    world.clock.move(timedelta(seconds=50))
    page = browser.begin(third, max_age="60", acr_values=acr(3))
    page, _ = enrol(world, browser, page, els)
    assert page.prompt == "consent"
    world.clock.move(10 * MINUTE)
    assert browser.submit(page, decision="allow").prompt == "identify"


OF_ANY_PROGRAM = (
    "http://[::1]/callback",
    "http://[::1]:7000/callback",
    "http://127.0.0.1/callback",
    "http://127.0.0.1?x=1",
    "http://localhost/callback",
    "http://LOCALHOST/callback",
    "HTTP://LocalHost:7000",
    "nl.example.app://callback",
)


def test_public_client_that_any_program_can_pose_as_never_gets_a_code_without_a_page(world: World) -> None:
    els = world.make.person(username="els")
    browser, _ = world.sign_in(world.make.client(), els)
    public = {"token_endpoint_auth_method": "none", "application_type": "native"}
    for number, redirect_uri in enumerate(OF_ANY_PROGRAM):
        app = world.make.client(f"app-{number}", redirect_uris=[redirect_uri], **public)
        assert browser.authorize(app, prompt="none").answer.get("error") == "consent_required", redirect_uri
        page = browser.begin(app)
        assert page.prompt == "consent" and page.target is None, redirect_uri
        assert browser.submit(page, decision="allow").code


def test_public_client_with_an_address_of_its_own_on_the_web_gets_its_code_at_once(world: World) -> None:
    els = world.make.person(username="els")
    spa = world.make.client("spa", token_endpoint_auth_method="none", application_type="browser")
    browser, _ = world.sign_in(world.make.client(), els)
    assert browser.authorize(spa, prompt="none").code


def test_head_of_the_authorization_endpoint_gives_no_code_and_is_no_activity(world: World) -> None:
    els, client = world.make.person(username="els"), world.make.client()
    browser, _ = world.sign_in(client, els)
    before, opened_at = world.given_out(), world.clock.now()
    world.clock.move(MINUTE)
    answered = browser.send("HEAD", "/authorize?" + urlencode(parameters(client)))
    assert (answered.status, answered.header("Allow"), answered.location) == (405, "GET", None)
    assert world.given_out() == before
    with world.reading() as unit:
        assert unit.scalars(select(Session.last_activity_at)).all() == [opened_at]


def test_head_of_a_sign_in_neither_finishes_it_nor_begins_it_again(world: World) -> None:
    els, client = world.make.person(username="els"), world.make.client()
    browser = world.browser()
    answered = browser.press(browser.begin(client), **els.names)
    assert answered.location is not None and answered.prompt == "continue"
    for path in (answered.location, *(f"/s/{answered.interaction_id}/{name}" for name in ("restart", "leave"))):
        refused = browser.send("HEAD", path)
        assert (refused.status, refused.header("Allow"), refused.location) == (405, "GET", None), path
    assert world.count(Interaction) == 1
    assert browser.follow(answered).code


def test_head_of_the_end_session_endpoint_signs_nobody_out(world: World) -> None:
    els, client = world.make.person(username="els"), world.make.client()
    browser, page = world.sign_in(client, els)
    hint = world.redeem(client, page.code).body["id_token"]
    address = "/end_session?" + urlencode({"id_token_hint": hint})
    refused = browser.send("HEAD", address)
    assert (refused.status, refused.header("Allow"), refused.set_cookies) == (405, "GET", {})
    assert browser.begin(client).code
    assert browser.get(address).status == 303
    assert browser.begin(client).prompt == "identify"
