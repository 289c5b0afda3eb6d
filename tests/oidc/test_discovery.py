"""What the provider says about itself is true: each advertised value works, what is not advertised is refused.

Everything that could be advertised (`known_values`) is tried (`exercises`) in several deployments, and compared with
what each of them serves. OpenID Connect Discovery 3 and 4, RFC 8414 2 and 3, RFC 9207 3.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from babel.core import Locale

from idp import create_app
from idp.kernel.clock import FixedClock
from idp.oidc import discovery
from tests import canary
from tests.conftest import ISSUER, START, dispose, make_settings
from tests.factories import Factories
from tests.oidc.exercises import FLAGS, LISTS, REGISTERED, everything_told, registered
from tests.oidc.journeys import Provider, body, error
from tests.oidc.known_values import VALUES
from tests.oidc.registering import METADATA
from tests.services.postgresql import Postgresql

WELL_KNOWN = "/.well-known/openid-configuration"
# What a GET without anything gets to hear.
ADDRESSES = {
    "authorization_endpoint": 400,
    "pushed_authorization_request_endpoint": 405,
    "token_endpoint": 405,
    "userinfo_endpoint": 401,
    "jwks_uri": 200,
    "introspection_endpoint": 405,
    "revocation_endpoint": 405,
    "end_session_endpoint": 200,
    "session_activity_endpoint": 405,
    "session_status_endpoint": 401,
    "registration_endpoint": 405,
}
FOR_PEOPLE = {"authorization_endpoint", "end_session_endpoint"}
# docs/decisions/0028: who registers itself speaks for people, never for itself.
ONLY_BY_AN_ADMINISTRATOR = {("grant_types_supported", "client_credentials")}
# What an administrator chooses as well.
ADMINISTERED = (
    "grant_types_supported",
    "subject_types_supported",
    "id_token_signing_alg_values_supported",
    "userinfo_signing_alg_values_supported",
    "introspection_signing_alg_values_supported",
    "token_endpoint_auth_methods_supported",
    "token_endpoint_auth_signing_alg_values_supported",
    "scopes_supported",
)
EVERY_VALUE = [(name, value) for name, values in VALUES.items() for value in values]


@dataclass(frozen=True)
class Deployment:
    """A provider with settings of its own."""

    provider: Provider
    registration: str

    @cached_property
    def metadata(self) -> dict[str, Any]:
        return body(self.provider.get(WELL_KNOWN))

    def says(self, name: str, value: str) -> bool:
        """Whether it advertises the value."""
        return value.replace("{issuer}", self.provider.issuer) in self.metadata.get(name, ())

    def registers(self, wished: dict[str, Any]) -> bool:
        """Whether a client can register itself with this: what was wished is in the answer."""
        headers = {}
        if self.registration == "token":
            with self.provider.app.app_context():
                _, token = self.provider.services.initial_access_tokens.add("een leverancier")
            canary.knows(token)
            headers["Authorization"] = f"Bearer {token}"
        asked = json.dumps({**METADATA, **wished})
        answer = self.provider.post("/register", asked, headers, content_type="application/json")
        if answer.status_code == 400:
            assert error(answer) == "invalid_client_metadata"
            return False
        told = body(answer, 201)
        canary.knows(told.get("client_secret"), told["registration_access_token"])
        return wished.items() <= told.items()


DEPLOYMENTS: dict[str, tuple[str, str, str]] = {
    "closed": ("sqlite", ISSUER, "off"),
    "open, below a path": ("postgresql", f"{ISSUER}/aan/melden", "open"),
    "by token, at a port": ("sqlite", f"{ISSUER}:8443", "token"),
}


OPEN_TO_CLIENTS = [name for name, (_, _, registration) in DEPLOYMENTS.items() if registration != "off"]


@pytest.fixture(scope="module", params=DEPLOYMENTS)
def deployment(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    database, issuer, registration = DEPLOYMENTS[request.param]
    if database == "sqlite":
        path = tmp_path_factory.mktemp("discovery") / "idp.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        url = f"sqlite:///{path}"
    else:
        server: Postgresql = request.getfixturevalue("postgresql")
        template: str = request.getfixturevalue("postgresql_template")
        url = server.create_database(f"discovery_{uuid4().hex}", template=template)
    settings = make_settings(
        url,
        issuer=issuer,
        egress={"allow_loopback": True},
        registration={"mode": registration, "max_per_minute": 10000},
    )
    clock = FixedClock(START)
    application = create_app(settings, clock)
    made = Provider(application, clock, Factories(application))
    with application.app_context():
        made.services.signing_keys.ensure()
    yield Deployment(made, registration)
    dispose(application)


@pytest.fixture
def metadata(deployment: Deployment) -> dict[str, Any]:
    return deployment.metadata


# The document


def test_document_is_public_json_that_may_be_kept_for_a_while(deployment: Deployment) -> None:
    response = deployment.provider.get(WELL_KNOWN)
    assert body(response) == deployment.metadata
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in response.headers


@pytest.mark.demand("E1", 53)
def test_document_has_what_discovery_requires(deployment: Deployment, metadata: dict[str, Any]) -> None:
    required = {
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "userinfo_endpoint",
        "jwks_uri",
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    }
    assert required <= set(metadata)
    assert metadata["issuer"] == deployment.provider.issuer
    assert "RS256" in metadata["id_token_signing_alg_values_supported"]
    assert "none" not in metadata["id_token_signing_alg_values_supported"]
    assert all(value not in (None, "", []) for value in metadata.values())
    for name, value in metadata.items():
        if name.endswith(("_endpoint", "_uri")):
            assert value.startswith(deployment.provider.issuer + "/")
            assert not urlsplit(value).query and not urlsplit(value).fragment


@pytest.mark.demand(62)
def test_members_are_known_and_of_their_types(metadata: dict[str, Any]) -> None:
    # Discovery 3, RFC 8414 2; our own are named by the session they are about.
    for name, value in metadata.items():
        if name.endswith(("_endpoint", "_uri", "issuer", "service_documentation")):
            assert isinstance(value, str) and urlsplit(value).scheme == "https", name
        elif name.endswith(("_parameter_supported", "logout_supported", "session_supported")) or value in (True, False):
            assert isinstance(value, bool), name
        else:
            assert name.endswith("_supported") and isinstance(value, list), name
            assert value and all(isinstance(each, str) and each for each in value), name
            assert len(value) == len(set(value)), name


def test_document_stands_at_both_addresses_and_says_the_same(deployment: Deployment) -> None:
    """OpenID Connect puts its own behind the path of the issuer, OAuth in front of it (RFC 8414 3.1 and 5)."""
    provider = deployment.provider
    address = f"/.well-known/oauth-authorization-server{provider.path}"
    response = provider.app.test_client().get(address, base_url=provider.origin)
    assert body(response) == deployment.metadata
    assert response.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("name", ["openid-configuration/", "OpenID-configuration", "openid-configuration.json"])
def test_other_spellings_of_the_address_find_nothing(deployment: Deployment, name: str) -> None:
    assert deployment.provider.get(f"/.well-known/{name}").status_code == 404


def test_every_member_of_the_document_has_an_exercise_and_every_list_both_outcomes(metadata: dict[str, Any]) -> None:
    lists = {name: set(value) for name, value in metadata.items() if isinstance(value, list)}
    flags = {name for name, value in metadata.items() if isinstance(value, bool)}
    assert set(metadata) - set(lists) - flags <= {"issuer", *ADDRESSES}
    assert set(lists) <= set(LISTS) and flags <= set(FLAGS)
    assert set(LISTS) | set(REGISTERED) == set(VALUES)
    for name, advertised in lists.items():
        known = {value.replace("{issuer}", metadata["issuer"]) for value in VALUES[name]}
        assert advertised <= known, f"{name}: a value is advertised that no test tries"
        assert known - advertised, f"{name}: no value is tried that must be refused"
        assert len(advertised) == len(metadata[name])


# The addresses


@pytest.mark.parametrize("name", ADDRESSES)
def test_every_endpoint_is_where_it_says_and_nowhere_if_it_says_nothing(deployment: Deployment, name: str) -> None:
    said = deployment.metadata.get(name)
    if said is None:
        assert name == "registration_endpoint" and deployment.registration == "off"
        gone = deployment.provider.post("/register", "{}", content_type="application/json")
        assert gone.status_code == 404
        return
    path = said.removeprefix(deployment.provider.issuer)
    assert deployment.provider.get(path).status_code == ADDRESSES[name]


@pytest.mark.parametrize("name", sorted(set(ADDRESSES) - FOR_PEOPLE), ids=str)
def test_endpoint_for_programs_answers_a_wrong_method_in_json(deployment: Deployment, name: str) -> None:
    provider = deployment.provider
    path = urlsplit(deployment.metadata.get(name, f"{provider.issuer}/jwks")).path
    response = provider.app.test_client().put(path, base_url=provider.origin)
    assert body(response, 405) == {"error": "invalid_request"}
    assert response.headers["Allow"]


def test_pushed_request_works(deployment: Deployment) -> None:
    party = deployment.provider.client()
    pushed = body(party.post("/par", party.request()), 201)
    others = dict.fromkeys(set(party.request()) - {"client_id"})
    assert body(party.redeem(party.code(**others, request_uri=pushed["request_uri"])))["id_token"]


def test_published_keys_sign_with_what_is_advertised_and_nothing_else(deployment: Deployment) -> None:
    published = body(deployment.provider.get("/jwks"))["keys"]
    assert sorted(key["alg"] for key in published) == sorted(
        deployment.metadata["id_token_signing_alg_values_supported"]
    )
    assert {key["use"] for key in published} == {"sig"}


# What is said of values


@pytest.mark.demand("E3", 24)
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, value in EVERY_VALUE if name in LISTS])
def test_value_works_if_it_is_advertised_and_is_refused_if_not(deployment: Deployment, name: str, value: str) -> None:
    assert LISTS[name](deployment.provider, value) is deployment.says(name, value)


@pytest.mark.parametrize("deployment", OPEN_TO_CLIENTS, indirect=True)
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, value in EVERY_VALUE if name in REGISTERED])
def test_client_registers_itself_with_a_value_if_it_is_advertised_and_with_no_other(
    deployment: Deployment, name: str, value: str
) -> None:
    allowed = deployment.says(name, value) and (name, value) not in ONLY_BY_AN_ADMINISTRATOR
    assert deployment.registers(REGISTERED[name](value)) is allowed


@pytest.mark.parametrize("deployment", ["closed"], indirect=True)
@pytest.mark.parametrize(("name", "value"), [(name, value) for name, value in EVERY_VALUE if name in ADMINISTERED])
def test_administrator_registers_a_client_with_a_value_if_it_is_advertised_and_with_no_other(
    deployment: Deployment, name: str, value: str
) -> None:
    wished = REGISTERED[name](value)
    if wished.get("token_endpoint_auth_method") == "none":
        # Who keeps no secret runs in the page.
        wished["application_type"] = "browser"
    assert (registered(deployment.provider, **wished) is not None) is deployment.says(name, value)


@pytest.mark.demand(8)
@pytest.mark.parametrize("name", FLAGS)
def test_capability_is_there_if_it_is_said_to_be_and_not_if_not(deployment: Deployment, name: str) -> None:
    assert FLAGS[name](deployment.provider) is deployment.metadata.get(name, False)


def test_no_claim_is_given_that_is_not_advertised(deployment: Deployment) -> None:
    assert everything_told(deployment.provider) <= set(deployment.metadata["claims_supported"])


@pytest.mark.demand(62)
def test_languages_are_named_as_browsers_name_them(metadata: dict[str, Any]) -> None:
    for value in metadata["ui_locales_supported"]:
        assert str(Locale.parse(value, sep="-")) == value


@pytest.mark.parametrize("highest", [1, 2, 3, 4])
def test_levels_are_advertised_up_to_the_highest_that_can_be_reached(highest: int) -> None:
    advertised = discovery.metadata(ISSUER, highest_level=highest)["acr_values_supported"]
    assert advertised == [f"{ISSUER}/acr/1", f"{ISSUER}/acr/2", f"{ISSUER}/acr/3", "phr"][:highest]
