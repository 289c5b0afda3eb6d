"""What the provider says about itself is true: each advertised value works, what is not advertised is refused.

OpenID Connect Discovery 3 and 4, RFC 8414 2, RFC 9207 3.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from babel.core import Locale
from joserfc.jwk import ECKey

from idp.kernel.levels import AcrValues
from idp.oidc import discovery
from idp.oidc.clients import SCOPES
from tests.accounts.test_standard_claims import EVERY
from tests.client_assertions import claims_of, in_body, jwks_of, key_of, signed
from tests.conftest import ISSUER
from tests.egress.receivers import Receiver, status
from tests.oidc.journeys import Answer, Browser, Provider, RelyingParty, basic, body, error, form_encoded
from tests.oidc.signing import encoded, public_keys
from tests.oidc.signing import signed as signed_object
from tests.proofs import ProofKey
from tests.web.reading import Page

# What the application says is compared with this below; here it only gives the tests their parameters.
METADATA = discovery.metadata(ISSUER, highest_level=3)


def _each(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("value", METADATA[name])


@pytest.fixture
def metadata(provider: Provider) -> dict[str, Any]:
    return body(provider.get("/.well-known/openid-configuration"))


def test_document_is_public_json_that_may_be_kept_for_a_while(provider: Provider, metadata: dict[str, Any]) -> None:
    response = provider.get("/.well-known/openid-configuration")
    assert metadata == METADATA
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in response.headers


@pytest.mark.demand("E1", 53)
def test_document_has_what_discovery_requires(provider: Provider, metadata: dict[str, Any]) -> None:
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
    assert metadata["issuer"] == provider.issuer
    assert "RS256" in metadata["id_token_signing_alg_values_supported"]
    assert "none" not in metadata["id_token_signing_alg_values_supported"]
    assert all(value not in (None, "", []) for value in metadata.values())
    for name, value in metadata.items():
        if name.endswith(("_endpoint", "_uri")):
            assert value.startswith(provider.issuer + "/")
            assert not urlsplit(value).query and not urlsplit(value).fragment


@pytest.mark.demand(62)
def test_members_are_known_and_of_their_types(provider: Provider, metadata: dict[str, Any]) -> None:
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


@pytest.mark.parametrize("name", discovery.PATHS)
def test_every_endpoint_is_where_it_says(provider: Provider, metadata: dict[str, Any], name: str) -> None:
    path = metadata[name].removeprefix(provider.issuer)
    expected = {
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
    }
    assert provider.get(path).status_code == expected[name]


@pytest.mark.parametrize(
    "name", sorted(set(discovery.PATHS) - {"authorization_endpoint", "end_session_endpoint"}), ids=str
)
def test_endpoint_for_programs_answers_a_wrong_method_in_json(
    provider: Provider, metadata: dict[str, Any], name: str
) -> None:
    path = urlsplit(metadata[name]).path
    response = provider.app.test_client().put(path, base_url=provider.origin)
    assert body(response, 405) == {"error": "invalid_request"}
    assert response.headers["Allow"]


def token_type_with_proof(party: RelyingParty, key: ProofKey) -> str:
    proof = key.proof("POST", party.provider.issuer + "/token", party.provider.clock.now())
    headers = {"Authorization": basic(party.client_id, party.secret), "DPoP": proof}
    return str(body(party.token(party.code_request(party.code()), headers))["token_type"])


# Each advertised value sees success


@_each("response_types_supported")
def test_response_type_works(party: RelyingParty, value: str) -> None:
    assert party.signed_in(response_type=value)["id_token"]


@_each("response_modes_supported")
def test_response_mode_works(provider: Provider, party: RelyingParty, browser: Browser, value: str) -> None:
    answer = browser.sign_in(party, provider.somebody(), response_mode=value)
    carried = {"query": answer.query, "fragment": answer.fragment, "form_post": answer.form}[value]
    assert body(party.redeem(carried["code"]))


@_each("grant_types_supported")
def test_grant_type_works(provider: Provider, party: RelyingParty, value: str) -> None:
    machine = provider.client(grant_types=["client_credentials"], scope="reports", response_types=[], redirect_uris=[])
    tokens = party.signed_in()
    uses: dict[str, Callable[[], Any]] = {
        "authorization_code": lambda: tokens["access_token"],
        "refresh_token": lambda: body(party.refresh(tokens["refresh_token"]))["access_token"],
        "client_credentials": lambda: body(machine.token({"grant_type": "client_credentials"}))["access_token"],
    }
    assert uses[value]()


@_each("subject_types_supported")
def test_subject_type_is_what_clients_see(provider: Provider, value: str) -> None:
    who = provider.somebody()
    sectors = "one.example", "two.example"
    parties = [provider.client(subject_type=value, sector_identifier=sector) for sector in sectors]
    seen = {provider.claims(party.signed_in(who)["id_token"])["sub"] for party in parties}
    assert {1: "public", 2: "pairwise"}[len(seen)] == value


@_each("id_token_signing_alg_values_supported")
def test_signing_algorithm_works(provider: Provider, value: str) -> None:
    tokens = provider.client(id_token_signed_response_alg=value).signed_in()
    assert provider.decoded(tokens["id_token"]).header["alg"] == value


@_each("userinfo_signing_alg_values_supported")
def test_userinfo_is_signed_with_this(provider: Provider, value: str) -> None:
    tokens = provider.client(userinfo_signed_response_alg=value).signed_in()
    assert provider.decoded(provider.userinfo(tokens["access_token"]).text).header["alg"] == value


@_each("introspection_signing_alg_values_supported")
def test_introspection_is_signed_with_this(provider: Provider, value: str) -> None:
    party = provider.client(introspection_signed_response_alg=value)
    assert provider.decoded(party.post("/introspect", {"token": "x"}).text).header["alg"] == value


@pytest.mark.demand("E3")
@_each("token_endpoint_auth_methods_supported")
def test_client_authentication_works(provider: Provider, value: str) -> None:
    kind = "browser" if value == "none" else "web"
    party = provider.client(token_endpoint_auth_method=value, application_type=kind)
    assert body(party.refresh(party.signed_in()["refresh_token"]))


@_each("dpop_signing_alg_values_supported")
def test_proof_by_the_algorithm_works(provider: Provider, party: RelyingParty, value: str) -> None:
    assert token_type_with_proof(party, ProofKey(value)) == "DPoP"


@_each("introspection_endpoint_auth_methods_supported")
def test_client_authentication_works_at_introspection(provider: Provider, value: str) -> None:
    assert body(provider.client(token_endpoint_auth_method=value).post("/introspect", {"token": "x"}))


@_each("revocation_endpoint_auth_methods_supported")
def test_client_authentication_works_at_revocation(provider: Provider, value: str) -> None:
    kind = "browser" if value == "none" else "web"
    party = provider.client(token_endpoint_auth_method=value, application_type=kind)
    assert body(party.post("/revoke", {"token": "x"})) == {}


@pytest.mark.parametrize("endpoint", ["token", "introspection", "revocation"])
@_each("token_endpoint_auth_signing_alg_values_supported")
def test_algorithm_of_client_authentication_works(
    provider: Provider, metadata: dict[str, Any], endpoint: str, value: str
) -> None:
    assert value in metadata[f"{endpoint}_endpoint_auth_signing_alg_values_supported"]
    method = "client_secret_jwt" if value.startswith("HS") else "private_key_jwt"
    party = provider.client(token_endpoint_auth_method=method)
    shown = {"token": "x", "grant_type": "refresh_token", "refresh_token": "x", **in_body(party.assertion(value))}
    answer = provider.post(urlsplit(metadata[f"{endpoint}_endpoint"]).path, form_encoded(shown))
    assert answer.status_code == (400 if endpoint == "token" else 200)
    assert endpoint != "token" or error(answer) == "invalid_grant"


@_each("code_challenge_methods_supported")
def test_code_challenge_method_works(party: RelyingParty, value: str) -> None:
    assert party.signed_in(code_challenge_method=value)


@_each("scopes_supported")
def test_scope_works(provider: Provider, value: str) -> None:
    # Offline access is given to who is registered for it and asks for consent (OIDC Core 11).
    party = provider.client(scope=" ".join(SCOPES))
    assert value in party.signed_in(scope=f"openid {value}", prompt="consent")["scope"].split()


@pytest.fixture(scope="module")
def given(provider: Provider) -> dict[str, Any]:
    """What a client hears about somebody of whom everything is known."""
    who = provider.somebody(given_name="Anna", family_name="de Wit", locale="nl-NL", standard_claims=EVERY)
    every = " ".join(METADATA["scopes_supported"])
    tokens = provider.client(scope=every).signed_in(who, scope=every)
    return provider.claims(tokens["id_token"]) | body(provider.userinfo(tokens["access_token"]))


@_each("claims_supported")
def test_claim_is_given_to_who_asks_for_it(given: dict[str, Any], value: str) -> None:
    assert given[value] not in (None, "", [])


@_each("acr_values_supported")
def test_level_can_be_reached_and_is_stated(provider: Provider, party: RelyingParty, value: str) -> None:
    tokens = party.signed_in(provider.somebody(totp=True), acr_values=value)
    assert provider.claims(tokens["id_token"])["acr"] == value


@_each("prompt_values_supported")
def test_prompt_works(provider: Provider, browser: Browser, value: str) -> None:
    party, who = provider.client(first_party=False), provider.somebody()
    browser.sign_in(party, who)
    asked = browser.authorize(party, prompt=value)
    if value == "none":
        assert "code" in Answer.read(asked).values
    else:
        meets = {"login": "identify", "select_account": "identify", "consent": "consent"}[value]
        assert asked.headers["Location"].endswith(f"/{meets}")


@_each("display_values_supported")
def test_display_works(party: RelyingParty, value: str) -> None:
    assert party.signed_in(display=value)


@pytest.mark.demand(62)
@_each("ui_locales_supported")
def test_language_works(party: RelyingParty, browser: Browser, value: str) -> None:
    assert str(Locale.parse(value, sep="-")) == value
    page = browser.get(browser.authorize(party, ui_locales=f"xx {value}").headers["Location"])
    assert Page.read(page.text).root.one("html").attributes["lang"] == value


@pytest.mark.demand(8)
@pytest.mark.parametrize("value", sorted(name for name, said in METADATA.items() if said is True))
def test_capability_that_is_said_to_be_there_is(provider: Provider, party: RelyingParty, value: str) -> None:
    if value == "claims_parameter_supported":
        tokens = party.signed_in(scope="openid", claims='{"userinfo": {"name": null}}')
        assert body(provider.userinfo(tokens["access_token"]))["name"]
    elif value in (
        "request_parameter_supported",
        "request_uri_parameter_supported",
        "require_request_uri_registration",
    ):
        _request_objects_work(provider, by_reference=value != "request_parameter_supported")
    elif value.startswith(("backchannel_logout", "frontchannel_logout")):
        # The sid that notices name is in the ID token (Back-Channel Logout 2.1); the notices have tests of their own.
        assert provider.claims(party.signed_in()["id_token"])["sid"]
    else:
        assert value == "authorization_response_iss_parameter_supported"
        assert provider.browser().silent(party).values["iss"] == provider.issuer


def _request_objects_work(provider: Provider, by_reference: bool) -> None:
    """An object is accepted by value, or where it stands at a registered address, and at no other."""
    with Receiver() as shelf:
        at = f"http://127.0.0.1:{shelf.port}"
        party = provider.client(jwks=public_keys("ES256"), request_uris=[f"{at}/request"])
        token = signed_object({**party.request(), "iss": party.client_id, "aud": provider.issuer})
        shelf.behaviour = status(200, token.encode(), **{"Content-Type": "application/oauth-authz-req+jwt"})
        asked = {"request_uri": f"{at}/request"} if by_reference else {"request": token}
        assert body(party.redeem(party.code(**asked)))["id_token"]
        if by_reference:
            elsewhere = provider.browser().authorize(party, request_uri=f"{at}/elsewhere")
            assert Answer.read(elsewhere).values["error"] == "invalid_request_uri"


@_each("request_object_signing_alg_values_supported")
def test_algorithm_of_request_objects_works(provider: Provider, value: str) -> None:
    party = provider.client(jwks=public_keys(value), request_object_signing_alg=value)
    token = signed_object({**party.request(), "iss": party.client_id, "aud": provider.issuer}, value)
    assert body(party.redeem(party.code(request=token)))["id_token"]


@pytest.mark.demand(24)
@pytest.mark.parametrize("value", ["none", "HS256"])
def test_algorithm_of_request_objects_that_is_not_advertised_is_refused(
    provider: Provider, metadata: dict[str, Any], browser: Browser, value: str
) -> None:
    assert value not in metadata["request_object_signing_alg_values_supported"]
    party = provider.client(jwks=public_keys("ES256"))
    claims = {**party.request(), "iss": party.client_id, "aud": provider.issuer}
    forged = f"{encoded({'alg': value})}.{encoded(claims)}.{encoded(b'x' * 32 if value != 'none' else b'')}"
    assert Answer.read(browser.authorize(party, request=forged)).values["error"] == "invalid_request_object"


@pytest.mark.parametrize("value", sorted(name for name, said in METADATA.items() if said is False))
def test_what_is_said_not_to_be_required_is_not(party: RelyingParty, value: str) -> None:
    assert value == "require_signed_request_object"
    assert body(party.redeem(party.code()))["id_token"]


def test_pushed_request_works(party: RelyingParty) -> None:
    pushed = body(party.post("/par", party.request()), 201)
    others = dict.fromkeys(set(party.request()) - {"client_id"})
    assert body(party.redeem(party.code(**others, request_uri=pushed["request_uri"])))["id_token"]


def test_levels_above_what_there_is_are_not_advertised(provider: Provider, metadata: dict[str, Any]) -> None:
    acr = AcrValues(provider.issuer)
    assert [acr.level(value) for value in metadata["acr_values_supported"]] == [1, 2, 3]


# What is not advertised is refused


@pytest.mark.parametrize(
    "value", ["token", "id_token", "id_token token", "code id_token", "code token", "code id_token token", "none"]
)
def test_response_type_that_is_not_advertised_is_refused(
    metadata: dict[str, Any], party: RelyingParty, browser: Browser, value: str
) -> None:
    assert value not in metadata["response_types_supported"]
    assert Answer.read(browser.authorize(party, response_type=value)).values["error"] == "unsupported_response_type"


@pytest.mark.parametrize("value", ["jwt", "query.jwt", "fragment.jwt", "form_post.jwt", "web_message"])
def test_response_mode_that_is_not_advertised_is_refused(
    metadata: dict[str, Any], party: RelyingParty, browser: Browser, value: str
) -> None:
    assert value not in metadata["response_modes_supported"]
    assert Answer.read(browser.authorize(party, response_mode=value)).query["error"] == "invalid_request"


@pytest.mark.parametrize(
    "value",
    [
        "implicit",
        "password",
        "urn:ietf:params:oauth:grant-type:device_code",
        "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "urn:ietf:params:oauth:grant-type:token-exchange",
        "urn:openid:params:grant-type:ciba",
    ],
)
def test_grant_type_that_is_not_advertised_is_refused(
    metadata: dict[str, Any], party: RelyingParty, value: str
) -> None:
    assert value not in metadata["grant_types_supported"]
    shown = {"username": "anna", "password": "x", "assertion": "x", "device_code": "x", "subject_token": "x"}
    assert error(party.token({"grant_type": value, **shown})) == "unsupported_grant_type"


@pytest.mark.demand("E3")
@pytest.mark.parametrize("value", ["tls_client_auth", "self_signed_tls_client_auth"])
def test_client_authentication_that_is_not_advertised_is_refused(
    provider: Provider, metadata: dict[str, Any], party: RelyingParty, value: str
) -> None:
    assert value not in metadata["token_endpoint_auth_methods_supported"]
    shown = {"grant_type": "authorization_code", "code": "x", "client_id": party.client_id}
    assert error(provider.post("/token", form_encoded(shown)), 401) == "invalid_client"


@pytest.mark.parametrize("value", ["RS384", "RS512", "PS384", "PS512", "ES384", "ES512", "ES256K", "Ed25519", "none"])
def test_algorithm_of_client_authentication_that_is_not_advertised_is_refused(
    provider: Provider, metadata: dict[str, Any], value: str
) -> None:
    assert value not in metadata["token_endpoint_auth_signing_alg_values_supported"]
    rsa, p384, p521 = key_of("RS256"), ECKey.generate_key("P-384"), ECKey.generate_key("P-521")
    makers = {"RS": rsa, "PS": rsa, "ES384": p384, "ES512": p521, "ES256K": ECKey.generate_key("secp256k1")}
    key = next((makers[name] for name in makers if value.startswith(name)), key_of("EdDSA"))
    party = provider.client(token_endpoint_auth_method="private_key_jwt", jwks=jwks_of(key))
    claims = claims_of(party.client_id, provider.issuer, provider.clock.now())
    shown = {"grant_type": "refresh_token", "refresh_token": "x", **in_body(signed(claims, key, value))}
    assert error(provider.post("/token", form_encoded(shown)), 401) == "invalid_client"


@pytest.mark.parametrize("value", ["none", "HS256", "RS384", "PS512", "ES384", "ES256K", "Ed448"])
def test_proof_by_an_algorithm_that_is_not_advertised_is_refused(
    metadata: dict[str, Any], party: RelyingParty, value: str
) -> None:
    assert value not in metadata["dpop_signing_alg_values_supported"]
    key = ProofKey()
    proof = key.signed(
        key.header(alg=value), key.claims("POST", metadata["token_endpoint"], party.provider.clock.now())
    )
    headers = {"Authorization": basic(party.client_id, party.secret), "DPoP": proof}
    assert error(party.token(party.code_request(party.code()), headers)) == "invalid_dpop_proof"


@pytest.mark.parametrize("value", ["plain", "S512"])
def test_code_challenge_method_that_is_not_advertised_is_refused(
    metadata: dict[str, Any], party: RelyingParty, browser: Browser, value: str
) -> None:
    assert value not in metadata["code_challenge_methods_supported"]
    assert Answer.read(browser.authorize(party, code_challenge_method=value)).values["error"] == "invalid_request"


def test_prompt_that_is_not_advertised_is_refused(
    metadata: dict[str, Any], party: RelyingParty, browser: Browser
) -> None:
    assert "create" not in metadata["prompt_values_supported"]
    assert Answer.read(browser.authorize(party, prompt="create")).values["error"] == "invalid_request"


@pytest.mark.parametrize(
    "endpoint",
    [
        "registration_endpoint",
        "device_authorization_endpoint",
        "check_session_iframe",
    ],
)
def test_endpoint_that_is_not_there_is_not_advertised(metadata: dict[str, Any], endpoint: str) -> None:
    assert endpoint not in metadata


@pytest.mark.parametrize("name", ["openid-configuration/", "OpenID-configuration", "openid-configuration.json"])
def test_other_spellings_of_the_address_find_nothing(provider: Provider, name: str) -> None:
    assert provider.get(f"/.well-known/{name}").status_code == 404
