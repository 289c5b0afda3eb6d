"""What a conformance suite is given: people, clients, and configurations that fit our own pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from idp.demo import certification, conformance_suite
from idp.demo.certification import Certification, Clients, OtherSuite
from idp.demo.command import demo
from idp.oidc import claims
from idp.web.blueprint import ROUTES
from idp.wiring import Services
from tests.relying_party import Page
from tests.web.page_states import STATES, make_app

ROOT = Path(__file__).resolve().parents[2]
ISSUER = "https://idp.example"
KIT = Certification()
KEYS = certification.new_keys()
DOCUMENT = (ROOT / "docs" / "certification.md").read_text()


@pytest.fixture
def clients(services: Services) -> Clients:
    return certification.add(services, KIT, KEYS)


@pytest.fixture
def configurations(clients: Clients) -> Mapping[str, Any]:
    return conformance_suite.configurations(ISSUER, clients)


@pytest.fixture(scope="module")
def pages() -> Mapping[str, Page]:
    """Every page that we have, in English, by the names of their states."""
    client = make_app().test_client()
    answers = {name: client.get(f"/page/{name}?lang=en") for name in STATES}
    return {
        name: Page(None, f"/page/{name}", answer.status_code, _lower(answer.headers), answer.text, None)  # type: ignore[arg-type]
        for name, answer in answers.items()
    }


def commands(configuration: Mapping[str, Any]) -> Iterator[list[Any]]:
    """All commands of a configuration, those of its overrides too."""
    for held in (configuration, *configuration["override"].values()):
        for entry in held["browser"]:
            for task in entry["tasks"]:
                yield from task["commands"]


def test_every_element_that_the_configurations_name_is_on_a_page_of_ours(
    configurations: Mapping[str, Any], pages: Mapping[str, Page]
) -> None:
    named = {what for each in configurations.values() for _, by, what, *_ in commands(each) if by == "id"}
    # The one of the suite's own page.
    named.remove("submission_complete")
    assert named == {
        "main",
        "organisation",
        "username",
        "password",
        "login-submit",
        "consent-allow",
        "consent-deny",
        "logout-confirm",
    }
    assert not [each for each in named if not any(page.has(each) for page in pages.values())]


def test_every_text_that_the_configurations_wait_for_is_on_the_page_that_they_mean(
    configurations: Mapping[str, Any], pages: Mapping[str, Page]
) -> None:
    waited_for = {
        (what, more[1])
        for each in configurations.values()
        for verb, by, what, *more in commands(each)
        if (verb, by) == ("wait", "id") and len(more) > 1
    }
    meant = {
        conformance_suite.LOGIN_PAGE: "identify",
        conformance_suite.ERROR_PAGE: "bad-request",
        conformance_suite.LOGOUT_QUESTION_PAGE: "logout",
        conformance_suite.SIGNED_OUT_PAGE: "signed-out-plain",
    }
    assert waited_for == {("main", marker) for marker in meant}
    for marker, name in meant.items():
        found = {each for each, page in pages.items() if re.search(marker, page.element("main").text)}
        assert name in found
        assert not found & (set(meant.values()) - {name}), f"{marker} tells these pages apart"


def test_every_address_that_the_configurations_match_is_a_route_or_the_suites(
    configurations: Mapping[str, Any],
) -> None:
    paths = {re.sub(r"<[^>]*>", "*", path) for path, *_ in ROUTES} | {"/s/*/identify", "/s/*/consent", "/"}
    for configuration in configurations.values():
        assert configuration["server"]["discoveryUrl"] == f"{ISSUER}/.well-known/openid-configuration"
        for held in (configuration, *configuration["override"].values()):
            for entry in held["browser"]:
                for part in (entry, *entry["tasks"]):
                    match = part["match"]
                    assert match.endswith("*")
                    if not match.startswith(f"*/test/a/{configuration['alias']}/"):
                        assert match.removeprefix(ISSUER)[:-1] in paths, match


def test_person_has_every_standard_claim_and_no_second_factor_is_due(services: Services, clients: Clients) -> None:
    account = services.accounts.show(certification.ORG_CODE, certification.USERNAME).account
    told = claims.of_account(account)
    assert set(told) == set(claims.SUPPORTED)
    assert account.organization.second_factor_required_from is None


def test_adding_twice_changes_nothing_and_another_suite_is_refused(services: Services, clients: Clients) -> None:
    before = {each.client_id: each.redirect_uris for each in services.clients.list()}
    assert certification.add(services, KIT, KEYS) == clients
    with pytest.raises(OtherSuite, match="localhost.emobix.co.uk:8443"):
        certification.add(services, Certification("https://suite.example"), KEYS)
    assert {each.client_id: each.redirect_uris for each in services.clients.list()} == before


def test_clients_are_told_with_private_keys_and_registered_with_public_ones(
    services: Services, clients: Clients
) -> None:
    private = {"d", "p", "q", "dp", "dq", "qi"}
    with_keys = {name: client for name, client in clients.items() if client.jwks}
    assert len(with_keys) == 4
    kids = set()
    for client in with_keys.values():
        [told] = (client.jwks or {})["keys"]
        [registered] = (services.clients.show(client.client_id).jwks or {"keys": []})["keys"]
        kids.add(told["kid"])
        assert private <= set(told) and not private & set(registered)
        assert (registered["n"], registered["kid"], registered["alg"]) == (told["n"], told["kid"], "PS256")
    assert len(kids) == 4


def test_document_says_of_every_plan_how_it_is_chosen_and_configured() -> None:
    for plan in conformance_suite.PLANS:
        assert plan.chosen in DOCUMENT and plan.configuration in DOCUMENT


def test_document_names_the_modules_that_are_treated_apart(configurations: Mapping[str, Any]) -> None:
    treated = {module for each in configurations.values() for module in each["override"]}
    assert len(treated) > 15
    assert not [module for module in treated if f"`{module}`" not in DOCUMENT]


def test_documents_commands_are_those_of_the_program() -> None:
    shown = CliRunner().invoke(demo, ["--help"]).output
    named = set(re.findall(r"idp demo [^\n`]*", DOCUMENT))
    options = {option for command in named for option in re.findall(r"(--[a-z-]+)", command)}
    assert {"--certification", "--issuer", "--data", "--suite"} <= options
    assert not [option for option in options if option not in shown]


def test_documents_configuration_is_one_that_the_kit_writes(configurations: Mapping[str, Any]) -> None:
    [excerpt] = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    shown = json.loads(excerpt)
    assert shown["browser"] == json.loads(
        json.dumps(configurations["oidc.json"]["browser"][:1]).replace(ISSUER, "https://idp.test:9443")
    )
    assert shown["alias"] == configurations["oidc.json"]["alias"]


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
