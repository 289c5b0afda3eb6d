"""The course of the suite's modules, against the command that a stranger starts."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from idp.kernel.clock import SystemClock, ticks
from tests.certification.automation import Automation
from tests.certification.conftest import Begin
from tests.certification.party import ALIAS, WITHOUT_PKCE, Provider, finish
from tests.certification.suite import Suite
from tests.client_assertions import claims_of, in_body, jwks_of, key_of, signed
from tests.demo.command import Demo
from tests.live import Person
from tests.proofs import b64
from tests.relying_party import ErrorResponse, RelyingParty, Tokens

# One demonstration, not one in each process of the tests.
pytestmark = pytest.mark.xdist_group("certification-course")

# OIDC Core 5.1: every standard claim, and the type that it has in JSON.
STANDARD_CLAIMS: dict[str, type] = {
    **dict.fromkeys(
        (
            "sub name given_name family_name middle_name nickname preferred_username profile picture website email "
            "gender birthdate zoneinfo locale phone_number"
        ).split(),
        str,
    ),
    **dict.fromkeys(("email_verified", "phone_number_verified"), bool),
    "address": dict,
    "updated_at": int,
}
REGISTRATIONS, MINUTE = 100, timedelta(minutes=1)
SIGN_INS = 100


def signed_in(suite: Suite, browser: Automation, party: RelyingParty, **changes: str | None) -> Tokens:
    """Verified tokens after a visit to the authorization endpoint."""
    asked = party.authorization_request(**{**WITHOUT_PKCE, **changes})
    browser.visit(asked.url)
    return finish(party, asked, suite.next("callback"))


def test_oidcc_server_registers_with_keys_without_kid_signs_in_and_reads_userinfo(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    registered = provider.register(suite)
    party = provider.party(registered)
    tokens = signed_in(suite, module("oidcc-server"), party)
    assert party.userinfo(tokens)["sub"] == tokens.claims["sub"]
    assert provider.unregister(registered) == 204


def test_oidcc_server_client_secret_post_is_admitted_by_the_method_that_it_registered(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    party = provider.party(provider.register(suite, token_endpoint_auth_method="client_secret_post"))
    assert signed_in(suite, module("oidcc-server-client-secret-post"), party).claims["sub"]


def test_static_clients_of_the_configuration_sign_in_with_the_secrets_that_stand_there(
    module: Begin, demo: Demo, provider: Provider, suite: Suite
) -> None:
    static = next(each for each in demo.answer["certification"]["plans"] if "static_client" in each["plan"])
    browser = module("oidcc-server", static["plan"])
    methods = {
        "client": "client_secret_basic",
        "client2": "client_secret_basic",
        "client_secret_post": "client_secret_post",
    }
    callback = suite.at(browser.configuration["alias"], "callback")
    for name, method in methods.items():
        client = browser.configuration[name]
        party = provider.party({**client, "redirect_uris": [callback], "token_endpoint_auth_method": method})
        assert signed_in(suite, browser, party).claims["aud"] in (client["client_id"], [client["client_id"]])


def test_oidcc_scope_all_every_standard_claim_comes_with_its_type(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    party = provider.party(provider.register(suite), scope="openid profile email address phone")
    tokens = signed_in(suite, module("oidcc-scope-all"), party)
    claims = party.userinfo(tokens)
    assert {name: type(claims.get(name)) for name in STANDARD_CLAIMS} == STANDARD_CLAIMS
    assert claims["email_verified"] is True and claims["phone_number_verified"] is True
    assert set(claims["address"]) == {
        "formatted",
        "street_address",
        "locality",
        "region",
        "postal_code",
        "country",
    }
    assert not [name for name, value in claims.items() if value in (None, "", "null", {})]
    assert not set(tokens.claims) & (set(STANDARD_CLAIMS) - {"sub"}), "what the scope asks for is userinfo's"


def test_oidcc_formpost_answers_come_as_forms_errors_too(module: Begin, provider: Provider, suite: Suite) -> None:
    party = provider.party(provider.register(suite))
    browser = module("oidcc-server", "oidcc-formpost-basic-certification-test-plan")
    asked = party.authorization_request(**WITHOUT_PKCE, response_mode="form_post", prompt="none")
    browser.visit(asked.url)
    received = suite.next("callback")
    assert received.method == "POST" and received.form["error"] == "login_required"
    assert signed_in(suite, browser, party, response_mode="form_post").claims["sub"]


def test_oidcc_prompt_none_fails_for_nobody_and_succeeds_once_somebody_is_signed_in_and_allowed_it(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    party, browser = provider.party(provider.register(suite)), module("oidcc-prompt-none-logged-in")
    with pytest.raises(ErrorResponse, match="login_required"):
        signed_in(suite, browser, party, prompt="none")
    first = signed_in(suite, browser, party)
    again = signed_in(suite, browser, party, prompt="none")
    assert (again.claims["sub"], again.claims["auth_time"]) == (first.claims["sub"], first.claims["auth_time"])
    hinted = signed_in(suite, browser, party, prompt="none", id_token_hint=first.id_token)
    assert hinted.claims["sub"] == first.claims["sub"]


def test_consent_stays_for_another_browser(module: Begin, provider: Provider, suite: Suite) -> None:
    party = provider.party(provider.register(suite))
    signed_in(suite, module("oidcc-server"), party)
    again = module("oidcc-server")
    [entry] = [entry for entry in again.configuration["browser"] if "authorize" in entry["match"]]
    entry["tasks"] = [task for task in entry["tasks"] if task["task"] != "Consent"]
    assert signed_in(suite, again, party).claims["sub"], "nobody was asked"


def test_oidcc_prompt_login_asks_for_the_password_again_and_shows_the_page(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    party, browser = provider.party(provider.register(suite)), module("oidcc-prompt-login")
    first = signed_in(suite, browser, party)
    seen = len(browser.pictures)
    time.sleep(1.1)
    second = signed_in(suite, browser, party, prompt="login")
    assert second.claims["auth_time"] > first.claims["auth_time"]
    assert second.claims["sub"] == first.claims["sub"]
    assert len(browser.pictures) == seen + 1, "the second login page was looked at"


def test_oidcc_max_age_1_asks_again_and_10000_does_not(module: Begin, provider: Provider, suite: Suite) -> None:
    party, browser = provider.party(provider.register(suite)), module("oidcc-max-age-1")
    first = signed_in(suite, browser, party, max_age="15000")
    time.sleep(2.1)
    same = signed_in(suite, browser, party, max_age="10000")
    assert same.claims["auth_time"] == first.claims["auth_time"]
    later = signed_in(suite, browser, party, max_age="1")
    assert later.claims["auth_time"] > first.claims["auth_time"]


def test_oidcc_ensure_registered_redirect_uri_shows_an_error_page_and_sends_nobody_away(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    party, browser = provider.party(provider.register(suite)), module("oidcc-ensure-registered-redirect-uri")
    browser.visit(party.authorization_request(redirect_uri=f"{party.redirect_uri}/random").url)
    assert len(browser.pictures) == 1 and suite.nothing_came()


def test_oidcc_ensure_request_object_with_redirect_uri_is_no_way_around_by_an_unsigned_object(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    party = provider.party(provider.register(suite))
    browser = module("oidcc-ensure-request-object-with-redirect-uri")
    asked = party.authorization_request(**WITHOUT_PKCE)
    header, payload = ({"alg": "none"}, dict(asked.parameters))
    unsigned = f"{b64(json.dumps(header).encode())}.{b64(json.dumps(payload).encode())}."
    outside = party.authorization_request(**WITHOUT_PKCE, redirect_uri=f"{party.redirect_uri}/other", request=unsigned)
    browser.visit(outside.url)
    assert len(browser.pictures) == 1 and suite.nothing_came()


def test_oidcc_request_uri_signed_rs256_is_fetched_from_a_private_address_and_believed_without_a_kid(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    address = suite.at(ALIAS, f"requesturi/{'a1' * 48}")
    registered = provider.register(suite, request_uris=[address], request_object_signing_alg="RS256")
    party = provider.party(registered)
    asked = party.authorization_request(**WITHOUT_PKCE)
    said = {**asked.parameters, "iss": party.client_id, "aud": party.issuer}
    suite.request_object = signed(said, key_of("RS256"), "RS256", typ=None)
    # OIDC Core 6.2: what OAuth demands stands outside too.
    kept = {name: asked.parameters[name] for name in ("response_type", "client_id", "scope")}
    endpoint = party.metadata["authorization_endpoint"]
    module("oidcc-request-uri-signed-rs256", "oidcc-dynamic-certification-test-plan").visit(
        f"{endpoint}?{urlencode({**kept, 'request_uri': address})}"
    )
    assert finish(party, asked, suite.next("callback")).claims["sub"]


def test_oidcc_registration_logo_policy_and_terms_are_on_the_login_page(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    registered = provider.register(
        suite, logo_uri=suite.at(ALIAS, "logo.png"), policy_uri=f"{suite.url}/policy", tos_uri=f"{suite.url}/terms"
    )
    browser = module("oidcc-registration-logo-uri", "oidcc-dynamic-certification-test-plan")
    browser.visit(provider.party(registered).authorization_request(**WITHOUT_PKCE).url)
    [picture] = browser.pictures
    assert "Privacy" in picture and "Terms" in picture and suite.nothing_came()
    assert suite.logos_fetched == 1, "at a private address"


def test_oidcc_registration_jwks_uri_is_read_at_a_private_address_and_again_for_an_unknown_key(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    registered = provider.register(
        suite, jwks=None, jwks_uri=suite.at(ALIAS, "jwks"), token_endpoint_auth_method="private_key_jwt"
    )
    party = provider.party({**registered, "token_endpoint_auth_method": "none"})
    for kid, alg in (("first", "RS256"), ("second", "ES256")):
        suite.jwks = jwks_of(key_of(alg), kid=kid)
        asked = party.authorization_request(**WITHOUT_PKCE)
        browser = module("oidcc-registration-jwks-uri")
        browser.visit(asked.url)
        said = claims_of(party.client_id, party.metadata["token_endpoint"], SystemClock().now())
        proof = in_body(signed(said, key_of(alg), alg, kid=kid))
        code = suite.next("callback").query["code"]
        assert party.exchange(code, asked, code_verifier=None, **proof).claims["sub"]


def test_oidcc_refresh_token_rp_key_rotation_offline_access_goes_on_with_the_clients_new_key(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    suite.jwks = jwks_of(key_of("RS256"), kid="old")
    registered = provider.register(
        suite,
        jwks=None,
        # Of its own: where somebody looked for an unknown key a moment ago, nobody looks again for ten seconds.
        jwks_uri=suite.at(f"{ALIAS}-rotation", "jwks"),
        grant_types=["authorization_code", "refresh_token"],
        token_endpoint_auth_method="private_key_jwt",
        scope="openid offline_access",
    )
    party = provider.party({**registered, "token_endpoint_auth_method": "none"}, scope="openid offline_access")

    def proof(alg: str, kid: str) -> dict[str, str]:
        said = claims_of(party.client_id, party.metadata["token_endpoint"], SystemClock().now())
        return in_body(signed(said, key_of(alg), alg, kid=kid))

    asked = party.authorization_request(**WITHOUT_PKCE, prompt="consent")
    module("oidcc-refresh-token-rp-key-rotation", "oidcc-dynamic-certification-test-plan").visit(asked.url)
    code = suite.next("callback").query["code"]
    tokens = party.exchange(code, asked, code_verifier=None, **proof("RS256", "old"))
    suite.jwks = jwks_of(key_of("ES256"), kid="new")
    assert party.refresh(tokens, **proof("ES256", "new")).claims["sub"] == tokens.claims["sub"]


def test_oidcc_rp_initiated_logout_returns_with_the_state_and_leaves_nobody_signed_in(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    after = suite.at(ALIAS, "post_logout_redirect")
    party = provider.party(provider.register(suite, post_logout_redirect_uris=[after]))
    browser = module("oidcc-rp-initiated-logout", "oidcc-rp-initiated-logout-certification-test-plan")
    tokens, state = signed_in(suite, browser, party), "~odd %&=+ state~" * 8
    browser.visit(party.end_session_url(tokens.id_token, client_id=None, post_logout_redirect_uri=after, state=state))
    assert suite.next("post_logout_redirect").parameters == {"state": state}
    with pytest.raises(ErrorResponse, match="login_required"):
        signed_in(suite, browser, party, prompt="none")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("no-params", {}), ("only-state", {"state": "abc"}), ("no-post-logout-redirect-uri", {"id_token_hint": "right"})],
)
def test_oidcc_rp_initiated_logout_that_names_no_place_to_go_ends_at_our_page(
    module: Begin, provider: Provider, suite: Suite, name: str, parameters: dict[str, str]
) -> None:
    browser, party, sent = _logging_out(module, provider, suite, name, parameters)
    browser.visit(sent)
    [picture] = browser.pictures
    assert "You are signed out" in picture and suite.nothing_came()
    with pytest.raises(ErrorResponse, match="login_required"):
        signed_in(suite, browser, party, prompt="none")


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("no-id-token-hint", {"post_logout_redirect_uri": "right", "state": "abc"}),
        ("modified-id-token-hint", {"id_token_hint": "modified", "post_logout_redirect_uri": "right"}),
        ("bad-post-logout-redirect-uri", {"id_token_hint": "right", "post_logout_redirect_uri": "bad"}),
        ("query-added-to-post-logout-redirect-uri", {"id_token_hint": "right", "post_logout_redirect_uri": "added"}),
    ],
)
def test_oidcc_rp_initiated_logout_with_something_wrong_in_it_is_a_question_and_sends_nobody_away(
    module: Begin, provider: Provider, suite: Suite, name: str, parameters: dict[str, str]
) -> None:
    browser, _, sent = _logging_out(module, provider, suite, name, parameters)
    browser.visit(sent)
    [picture] = browser.pictures
    assert "Do you want to sign out" in picture and suite.nothing_came()


def _logging_out(
    module: Begin, provider: Provider, suite: Suite, name: str, parameters: dict[str, str]
) -> tuple[Automation, RelyingParty, str]:
    """Somebody who signed in, the application, and the address at which it lets them log out."""
    after = suite.at(ALIAS, "post_logout_redirect")
    party = provider.party(provider.register(suite, post_logout_redirect_uris=[after]))
    browser = module(f"oidcc-rp-initiated-logout-{name}", "oidcc-rp-initiated-logout-certification-test-plan")
    id_token = signed_in(suite, browser, party).id_token or ""
    head, payload, signature = id_token.split(".")
    values = {
        ("id_token_hint", "right"): id_token,
        ("id_token_hint", "modified"): f"{head}.{payload}.{signature[::-1]}",
        ("post_logout_redirect_uri", "right"): after,
        ("post_logout_redirect_uri", "bad"): f"{after}/other",
        ("post_logout_redirect_uri", "added"): f"{after}?foo=bar",
    }
    sent = {key: values.get((key, value), value) for key, value in parameters.items()}
    return browser, party, party.end_session_url(**{"id_token_hint": None, "client_id": None, **sent})


def test_oidcc_backchannel_rp_initiated_logout_is_told_to_the_client_at_a_private_address(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    after = suite.at(ALIAS, "post_logout_redirect")
    party = provider.party(
        provider.register(
            suite,
            post_logout_redirect_uris=[after],
            backchannel_logout_uri=suite.at(ALIAS, "backchannel_logout"),
            backchannel_logout_session_required=True,
        )
    )
    browser = module(
        "oidcc-backchannel-rp-initiated-logout", "oidcc-backchannel-rp-initiated-logout-certification-test-plan"
    )
    tokens = signed_in(suite, browser, party)
    browser.visit(party.end_session_url(tokens.id_token, post_logout_redirect_uri=after, state="abc"))
    assert suite.next("post_logout_redirect").parameters == {"state": "abc"}
    notice = suite.next("backchannel_logout")
    assert notice.method == "POST" and set(notice.form) == {"logout_token"}
    said = _claims(notice.form["logout_token"])
    assert (said["sid"], said["sub"]) == (tokens.claims["sid"], tokens.claims["sub"]) and "nonce" not in said


def test_oidcc_frontchannel_rp_initiated_logout_loads_the_clients_page_before_it_leaves(
    module: Begin, provider: Provider, suite: Suite
) -> None:
    after = suite.at(ALIAS, "post_logout_redirect")
    party = provider.party(
        provider.register(
            suite,
            post_logout_redirect_uris=[after],
            frontchannel_logout_uri=suite.at(ALIAS, "frontchannel_logout"),
            frontchannel_logout_session_required=True,
        )
    )
    browser = module(
        "oidcc-frontchannel-rp-initiated-logout", "oidcc-frontchannel-rp-initiated-logout-certification-test-plan"
    )
    tokens = signed_in(suite, browser, party)
    browser.visit(party.end_session_url(tokens.id_token, post_logout_redirect_uri=after, state="abc"))
    assert suite.next("frontchannel_logout").query == {"iss": provider.issuer, "sid": tokens.claims["sid"]}
    assert suite.next("post_logout_redirect").parameters == {"state": "abc"}


def test_oidcc_3rd_party_init_login_is_registered_and_read_back_and_without_https_refused(
    provider: Provider, suite: Suite
) -> None:
    address = "https://rp.example/initiate_login"
    registered = provider.register(suite, initiate_login_uri=address)
    read = provider.send("GET", registered["registration_client_uri"], token=registered["registration_access_token"])
    assert read.status_code == 200 and read.json()["initiate_login_uri"] == address
    refused = provider.send(
        "POST",
        provider.metadata["registration_endpoint"],
        {"redirect_uris": [suite.at(ALIAS, "callback")], "initiate_login_uri": "http://rp.example/initiate_login"},
    )
    assert refused.status_code == 400 and refused.json()["error"] == "invalid_client_metadata"


def test_a_hundred_clients_register_within_a_minute_and_each_unregisters(provider: Provider, suite: Suite) -> None:
    begun = ticks()
    registered = [provider.register(suite) for _ in range(REGISTRATIONS)]
    assert ticks() - begun < MINUTE
    assert {provider.unregister(each) for each in registered} == {204}


def test_a_hundred_browsers_sign_the_same_person_in_and_none_is_turned_away(
    demo: Demo, provider: Provider, suite: Suite
) -> None:
    party = provider.party(provider.register(suite))
    told = demo.answer["certification"]
    names = {"organisation": told["organisation"], "username": told["username"], "password": told["password"]}
    for _ in range(SIGN_INS):
        somebody = Person()
        page = somebody.open(party.authorization_request(**WITHOUT_PKCE).url)
        page = somebody.submit(page, names, button="login-submit")
        if page.has("consent-allow"):
            somebody.submit(page, button="consent-allow")
        assert "code" in suite.next("callback").query


def _claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    found: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return found
