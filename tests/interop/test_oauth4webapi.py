"""npm's oauth4webapi at the provider: the library judges every single answer, and leaves no check to its user.

RELAXED names what a script asks it to be lenient in, and why. Nothing else of its options may stand in the script.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from joserfc.jwk import ECKey

from tests.interop.node_journey import PACKAGE, POST_LOGOUT_REDIRECT_URI, REDIRECT_URI, Journey
from tests.live import LiveProvider

SCRIPT = "webapi.mjs"
RELAXED = {"allowInsecureRequests": "the provider of a test speaks http, on a port of this machine"}
# What the library offers to whoever wants less of it.
LENIENT = (
    "allowInsecureRequests",
    "clockSkew",
    "clockTolerance",
    "expectNoNonce",
    "expectNoState",
    "nopkce",
    "skipAuthTimeCheck",
    "skipStateCheck",
    "skipSubjectCheck",
)
RESOURCE, OWN_SCOPE = "https://api.example/", "orders:read"


def test_script_relaxes_nothing_but_what_has_a_reason_here() -> None:
    used = set(re.findall(r"\boauth\.(\w+)", (PACKAGE / SCRIPT).read_text()))
    assert used & set(LENIENT) == set(RELAXED)


def test_lenient_options_are_all_that_the_library_has(package: Path) -> None:
    declared = (package / "node_modules" / "oauth4webapi" / "build" / "index.d.ts").read_text()
    symbols = set(re.findall(r"^export declare const (\w+): unique symbol;", declared, re.MULTILINE))
    others = {"customFetch", "jweDecrypt", "jwksCache", "modifyAssertion"}
    assert symbols == set(LENIENT) | others


def test_oauth4webapi_registers_itself_and_finds_every_answer_right(open_provider: LiveProvider, package: Path) -> None:
    registered, verified = travelled(open_provider, Journey(package, open_provider, script=SCRIPT))
    assert registered["registration_client_uri"].startswith(open_provider.issuer)
    assert verified["userinfo"]["aud"] == registered["client_id"], "signed"
    assert "at_resource_server" not in verified


def test_oauth4webapi_finds_access_tokens_right_that_are_jwts(open_provider: LiveProvider, package: Path) -> None:
    key = ECKey.generate_key("P-256", {"kid": "signing", "use": "sig", "alg": "ES256"}, private=True)
    open_provider.make.client(
        "steps",
        profile="fapi2",
        redirect_uris=[REDIRECT_URI],
        post_logout_redirect_uris=[POST_LOGOUT_REDIRECT_URI],
        grant_types=["authorization_code", "refresh_token", "client_credentials"],
        scope=f"openid profile email {OWN_SCOPE}",
        token_endpoint_auth_method="private_key_jwt",
        jwks={"keys": [key.as_dict(private=False)]},
        id_token_signed_response_alg="ES256",
        access_token_format="jwt",
        resources=[RESOURCE],
        require_pushed_authorization_requests=True,
        dpop_bound_access_tokens=True,
    )
    journey = Journey(
        package,
        open_provider,
        ("steps", ""),
        SCRIPT,
        PRIVATE_JWK=json.dumps(key.as_dict(private=True)),
        RESOURCE=RESOURCE,
        OWN_SCOPE=OWN_SCOPE,
    )
    _, verified = travelled(open_provider, journey)
    of_person, own = verified["at_resource_server"]["person"], verified["at_resource_server"]["own"]
    assert of_person["sub"] == open_provider.anna.sub and own["sub"] == "steps"
    assert own["scope"] == OWN_SCOPE and "auth_time" not in own
    assert of_person["aud"] == own["aud"] == RESOURCE
    assert of_person["cnf"]["jkt"] == own["cnf"]["jkt"]
    assert of_person["jti"] != own["jti"]


def travelled(provider: LiveProvider, journey: Journey) -> tuple[dict[str, Any], dict[str, Any]]:
    """How the client is registered, and what the library found right on the whole way."""
    browser = provider.browser()
    try:
        said = journey.first_words()
        asked = dict(parse_qsl(urlsplit(said["authorization_url"]).query))
        assert set(asked) == {"client_id", "request_uri"}
        page = browser.open(said["authorization_url"]).submit(provider.anna.names, button="login-submit")
        if page.has("consent-allow"):
            # Whoever registered itself is nobody's own application.
            page = page.submit(button="consent-allow")
        verified, complaint = journey.finish(page.departure.url)
    finally:
        journey.stop()
    assert verified is not None, complaint
    sub = provider.anna.sub
    assert verified["claims"]["sub"] == verified["userinfo"]["sub"] == verified["refreshed"]["sub"] == sub
    assert verified["refreshed"]["auth_time"] == verified["claims"]["auth_time"]
    # The library writes it in small letters, as it compares it (RFC 6749 5.1).
    assert (verified["token_type"], verified["refreshed_type"]) == ("dpop", "dpop")
    assert verified["before"]["active"] is True and verified["before"]["cnf"]["jkt"]
    assert verified["after"] == {"active": False}
    # Asked for a nonce once, at the first request, it has the next one from each answer (RFC 9449 8.2).
    asks_for_nonces = provider.environment["IDP_TOKENS__DPOP_NONCE"] == "on"
    assert verified["retries"] == (1 if asks_for_nonces else 0)
    left = browser.open(verified["end_session_url"]).departure
    assert left.url.startswith(POST_LOGOUT_REDIRECT_URI) and left.parameters == {"state": verified["state"]}
    return said["registered"], verified
