"""How one finds out whether a provider can do what it could advertise: by doing it, as a client would.

    LISTS[member](provider, value)      True when it works, False when it is refused as the specification wants it
    FLAGS[member](provider)             the same for what is advertised as true or false
    REGISTERED[member](value)           the metadata with which a client asks for it when it registers

Anything else that happens is an AssertionError, and so is a value that nobody here knows how to use.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial
from typing import Any

from flask import Flask
from joserfc.jwk import ECKey, OctKey, OKPKey

from idp.egress.guarded import GuardedClient
from idp.jobs.deliver_logout_notices import LogoutNoticeDelivery
from idp.kernel.errors import Refused
from idp.oidc.backchannel_logout import LogoutTokens
from tests import canary
from tests.accounts.test_standard_claims import EVERY
from tests.client_assertions import AnyKey, claims_of, in_body, jwks_of, key_of, signed
from tests.egress.receivers import Receiver, status
from tests.factories import REDIRECT_URI, SomeClient
from tests.oidc.journeys import VERIFIER, Answer, Provider, RelyingParty, basic, body, challenge_of, error
from tests.oidc.known_values import HMAC, VALUES
from tests.oidc.signing import encoded
from tests.proofs import ProofKey
from tests.web.reading import Page

ENDPOINTS = {"token": "/token", "introspection": "/introspect", "revocation": "/revoke"}
HOSTS = "https://one.example/callback", "https://two.example/callback"
# What a client calls it that wants something encrypted.
ENCRYPTED = {
    "id_token": "id_token_encrypted_response",
    "userinfo": "userinfo_encrypted_response",
    "introspection": "introspection_encrypted_response",
    "authorization": "authorization_encrypted_response",
    "request_object": "request_object_encryption",
}
ABOUT_PEOPLE = "openid profile email phone address"


def registered(provider: Provider, redirect_uri: str = REDIRECT_URI, **wishes: Any) -> RelyingParty | None:
    """A client as an administrator registers it; None when that is refused."""
    with provider.app.app_context():
        try:
            client, secret = provider.services.clients.add(
                "Rooster", [redirect_uri], first_party=True, **{"scope": "openid email", **wishes}
            )
        except Refused:
            return None
    canary.knows(secret)
    return RelyingParty(provider, SomeClient(client.client_id, secret, redirect_uri))


def at_the_desk(party: RelyingParty, **changes: Any) -> dict[str, str]:
    """What the client hears after a request of somebody who is signed in."""
    browser, who = party.provider.desk()
    return browser.sign_in(party, who, **changes).values


def was_refused(values: Mapping[str, str], *errors: str) -> bool:
    """True for one of these errors; any other is a failure."""
    assert values.get("error") in (None, *errors), values
    return "error" in values


@cache
def signing_key(alg: str) -> AnyKey:
    """A key that can sign with any algorithm that there is."""
    if alg.startswith(("RS", "PS")):
        return key_of("RS256")
    curves = {"ES384": "P-384", "ES512": "P-521", "ES256K": "secp256k1"}
    if alg.startswith("ES"):
        return ECKey.generate_key(curves.get(alg, "P-256"))
    if alg in ("EdDSA", "Ed25519", "Ed448"):
        return OKPKey.generate_key("Ed448" if alg == "Ed448" else "Ed25519")
    return OctKey.generate_key(512)


def published(alg: str) -> dict[str, Any]:
    """The JWK Set of a client that signs with this; one that has nothing to publish names a key of another kind."""
    return jwks_of(key_of("ES256") if alg in (*HMAC, "none") else signing_key(alg))


# What a request says


def response_type(provider: Provider, value: str) -> bool:
    party = provider.client(response_types=[value])
    values = at_the_desk(party, response_type=value)
    return not was_refused(values, "unsupported_response_type") and bool(body(party.redeem(values["code"]))["id_token"])


def response_mode(provider: Provider, value: str) -> bool:
    party, (browser, who) = provider.client(), provider.desk()
    answer = browser.sign_in(party, who, response_mode=value)
    if was_refused(answer.values, "invalid_request"):
        return False
    carried = {"query": answer.query, "fragment": answer.fragment, "form_post": answer.form}[value]
    return bool(body(party.redeem(carried["code"])))


def code_challenge_method(provider: Provider, value: str) -> bool:
    party = provider.client()
    challenge = VERIFIER if value == "plain" else challenge_of(VERIFIER)
    values = at_the_desk(party, code_challenge=challenge, code_challenge_method=value)
    return not was_refused(values, "invalid_request") and bool(body(party.redeem(values["code"])))


def prompt(provider: Provider, value: str) -> bool:
    party, browser = provider.client(first_party=False), provider.browser()
    browser.sign_in(party, provider.somebody())
    asked = browser.authorize(party, prompt=value)
    if "://" in asked.headers["Location"]:
        return not was_refused(Answer.read(asked).values, "invalid_request")
    meets = {"login": "identify", "select_account": "identify", "consent": "consent"}[value]
    return asked.headers["Location"].endswith(f"/{meets}")


def display(provider: Provider, value: str) -> bool:
    """The ordinary page is what `page` means, and none of the others (OIDC Core 3.1.2.1)."""
    party = provider.client()
    ordinary, asked = (_login_page(party, display=wish).one("main").text for wish in (None, value))
    return (asked == ordinary) == (value == "page")


def ui_locale(provider: Provider, value: str) -> bool:
    language = _login_page(provider.client(), ui_locales=value).one("html").attributes["lang"]
    assert language in (value, "nl"), "a language that is not there is that of the installation"
    return language == value


def _login_page(party: RelyingParty, **changes: str | None) -> Any:
    browser = party.provider.browser()
    return Page.read(browser.get(browser.authorize(party, **changes).headers["Location"]).text).root


def scope(provider: Provider, value: str) -> bool:
    """What is not known is not granted, and the answer says what was (RFC 6749 3.3)."""
    party = provider.client(scope=f"openid {value}")
    # Offline access is given to who is registered for it and asks for consent (OIDC Core 11).
    return value in party.signed_in(scope=f"openid {value}", prompt="consent")["scope"].split()


def claim(provider: Provider, value: str) -> bool:
    return _told(provider.app, provider).get(value) not in (None, "", [])


_heard: dict[Flask, dict[str, Any]] = {}


def _told(app: Flask, provider: Provider) -> dict[str, Any]:
    """What a client hears that asks by name for everything, about somebody of whom everything is known."""
    if app not in _heard:
        who = provider.somebody(given_name="Anna", family_name="de Wit", locale="nl-NL", standard_claims=EVERY)
        wish = dict.fromkeys(VALUES["claims_supported"])
        asked = json.dumps({"id_token": wish, "userinfo": wish})
        tokens = provider.client(scope=ABOUT_PEOPLE).signed_in(who, scope=ABOUT_PEOPLE, claims=asked)
        _heard[app] = provider.claims(tokens["id_token"]) | body(provider.userinfo(tokens["access_token"]))
    return _heard[app]


def everything_told(provider: Provider) -> set[str]:
    """The names of all claims that were told to that client."""
    return set(_told(provider.app, provider))


def acr(provider: Provider, value: str) -> bool:
    """A level is reached and stated; one that is not there never is, and is an error where it is essential."""
    value, party, who = value.replace("{issuer}", provider.issuer), provider.client(), provider.somebody(totp=True)
    voluntary = provider.claims(party.signed_in(who, acr_values=value)["id_token"])["acr"]
    wish = json.dumps({"id_token": {"acr": {"essential": True, "values": [value]}}})
    answer = provider.browser().sign_in(party, who, claims=wish).values
    if was_refused(answer, "unmet_authentication_requirements"):
        assert voluntary != value
        return False
    return voluntary == provider.claims(body(party.redeem(answer["code"]))["id_token"])["acr"] == value


def request_object_algorithm(provider: Provider, value: str) -> bool:
    party = provider.client(jwks=published(value))
    key = OctKey.import_key(party.secret) if value in HMAC else signing_key(value)
    token = signed({**party.request(), "iss": party.client_id, "aud": provider.issuer}, key, value)
    values = at_the_desk(party, request=token)
    return not was_refused(values, "invalid_request_object") and bool(body(party.redeem(values["code"])))


def encrypted_request_object(provider: Provider, value: str, member: str = "alg") -> bool:
    """RFC 7516 3.1: five parts. There is no key of ours to encrypt with, so nobody can make one that we could read."""
    party, header = provider.client(), {"alg": "RSA-OAEP-256", "enc": "A256GCM", member: value}
    assert not [key for key in body(provider.get("/jwks"))["keys"] if key["use"] == "enc"]
    token = ".".join([encoded(header), *(encoded(b"x" * length) for length in (256, 12, 200, 16))])
    return not was_refused(at_the_desk(party, request=token), "invalid_request_object")


def authorization_details_type(provider: Provider, value: str) -> bool:
    """Nothing of it is in the answer, where RFC 9396 7 wants what was granted."""
    party = provider.client()
    values = at_the_desk(party, authorization_details=json.dumps([{"type": value}]))
    return not was_refused(values, "invalid_authorization_details") and (
        "authorization_details" in body(party.redeem(values["code"]))
    )


# What the servers of clients send


def grant_type(provider: Provider, value: str) -> bool:
    party = provider.client(grant_types=list(dict.fromkeys(["authorization_code", "refresh_token", value])))
    shown = {"username": "anna", "password": "x", "assertion": "x", "device_code": "x", "subject_token": "x"}
    more = {"ticket": "x", "pre-authorized_code": "x", "auth_req_id": "x"}
    tried = party.token({"grant_type": value, **shown, **more})
    if tried.status_code == 400 and error(tried) == "unsupported_grant_type":
        return False
    machine = provider.client(grant_types=["client_credentials"], scope="reports", response_types=[], redirect_uris=[])
    uses: dict[str, Callable[[], Any]] = {
        "authorization_code": lambda: party.signed_in()["access_token"],
        "refresh_token": lambda: body(party.refresh(party.signed_in()["refresh_token"]))["access_token"],
        "client_credentials": lambda: body(machine.token({"grant_type": "client_credentials"}))["access_token"],
    }
    return bool(uses[value]())


def authentication(endpoint: str, provider: Provider, value: str) -> bool:
    party = provider.client(token_endpoint_auth_method=value, application_type="browser" if value == "none" else "web")
    path = ENDPOINTS[endpoint]
    shown = party.code_request(party.code()) if endpoint == "token" else {"token": "x"}
    answer = party.post(path, shown)
    if answer.status_code == 401:
        assert error(answer, 401) == "invalid_client"
        if party.client.secret is not None:
            # Nor is a secret accepted in its place.
            by_secret = party.post(path, shown, {"Authorization": basic(party.client_id, party.secret)})
            assert error(by_secret, 401) == "invalid_client"
        return False
    return body(answer) is not None


def authentication_algorithm(endpoint: str, provider: Provider, value: str) -> bool:
    if value in HMAC:
        party = provider.client(token_endpoint_auth_method="client_secret_jwt")
        key: AnyKey = OctKey.import_key(party.secret)
    else:
        party = provider.client(token_endpoint_auth_method="private_key_jwt", jwks=published(value))
        key = signing_key(value)
    claims = claims_of(party.client_id, provider.issuer, provider.clock.now())
    shown = party.code_request(party.code()) if endpoint == "token" else {"token": "x"}
    answer = party.post(ENDPOINTS[endpoint], {**shown, **in_body(signed(claims, key, value))}, {})
    if answer.status_code == 401:
        assert error(answer, 401) == "invalid_client"
        return False
    return body(answer) is not None


def proof_algorithm(provider: Provider, value: str) -> bool:
    party, key = provider.client(), signing_key(value)
    claims = ProofKey().claims("POST", f"{provider.issuer}/token", provider.clock.now())
    jwk = key.as_dict() if isinstance(key, OctKey) else key.as_dict(private=False)
    headers = {
        "Authorization": basic(party.client_id, party.secret),
        "DPoP": signed(claims, key, value, typ="dpop+jwt", jwk=jwk),
    }
    answer = party.token(party.code_request(party.code()), headers)
    if answer.status_code == 400:
        assert error(answer) == "invalid_dpop_proof"
        return False
    return bool(body(answer)["token_type"] == "DPoP")


# What a client is registered with


def subject_type(provider: Provider, value: str) -> bool:
    parties = [registered(provider, uri, subject_type=value) for uri in HOSTS]
    who = provider.somebody()
    seen = {provider.claims(party.signed_in(who, scope="openid")["id_token"])["sub"] for party in parties if party}
    return {0: None, 1: "public", 2: "pairwise"}[len(seen)] == value


def id_token_algorithm(provider: Provider, value: str) -> bool:
    party = registered(provider, id_token_signed_response_alg=value)
    return party is not None and _alg(provider, party.signed_in()["id_token"]) == value


def userinfo_algorithm(provider: Provider, value: str) -> bool:
    party = registered(provider, userinfo_signed_response_alg=value)
    return party is not None and _alg(provider, provider.userinfo(party.signed_in()["access_token"]).text) == value


def introspection_algorithm(provider: Provider, value: str) -> bool:
    party = registered(provider, introspection_signed_response_alg=value)
    return party is not None and _alg(provider, party.post("/introspect", {"token": "x"}).text) == value


def _alg(provider: Provider, token: str) -> Any:
    return provider.decoded(token).header["alg"]


LISTS: Mapping[str, Callable[[Provider, str], bool]] = {
    "response_types_supported": response_type,
    "response_modes_supported": response_mode,
    "grant_types_supported": grant_type,
    "subject_types_supported": subject_type,
    "id_token_signing_alg_values_supported": id_token_algorithm,
    "userinfo_signing_alg_values_supported": userinfo_algorithm,
    "introspection_signing_alg_values_supported": introspection_algorithm,
    "request_object_signing_alg_values_supported": request_object_algorithm,
    "dpop_signing_alg_values_supported": proof_algorithm,
    **{f"{name}_endpoint_auth_methods_supported": partial(authentication, name) for name in ENDPOINTS},
    **{
        f"{name}_endpoint_auth_signing_alg_values_supported": partial(authentication_algorithm, name)
        for name in ENDPOINTS
    },
    "code_challenge_methods_supported": code_challenge_method,
    "scopes_supported": scope,
    "claims_supported": claim,
    "acr_values_supported": acr,
    "prompt_values_supported": prompt,
    "display_values_supported": display,
    "ui_locales_supported": ui_locale,
    "request_object_encryption_alg_values_supported": encrypted_request_object,
    "request_object_encryption_enc_values_supported": partial(encrypted_request_object, member="enc"),
    "authorization_details_types_supported": authorization_details_type,
}


def _authentication_algorithm_wished(value: str) -> dict[str, Any]:
    method = "client_secret_jwt" if value in HMAC else "private_key_jwt"
    keys = {} if value in HMAC else {"jwks": published(value)}
    return {"token_endpoint_auth_method": method, "token_endpoint_auth_signing_alg": value, **keys}


def _encryption_wished(name: str, value: str) -> dict[str, Any]:
    return {name: value}


REGISTERED: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "response_types_supported": lambda value: {"response_types": list(dict.fromkeys(["code", value]))},
    "grant_types_supported": lambda value: {"grant_types": list(dict.fromkeys(["authorization_code", value]))},
    "subject_types_supported": lambda value: {"subject_type": value},
    "id_token_signing_alg_values_supported": lambda value: {"id_token_signed_response_alg": value},
    "userinfo_signing_alg_values_supported": lambda value: {"userinfo_signed_response_alg": value},
    "introspection_signing_alg_values_supported": lambda value: {"introspection_signed_response_alg": value},
    "request_object_signing_alg_values_supported": lambda value: {"request_object_signing_alg": value},
    "token_endpoint_auth_methods_supported": lambda value: {
        "token_endpoint_auth_method": value,
        **({"jwks": published("ES256")} if value == "private_key_jwt" else {}),
        **({"session_activity": "none"} if value == "none" else {}),
    },
    "token_endpoint_auth_signing_alg_values_supported": _authentication_algorithm_wished,
    "scopes_supported": lambda value: {
        "scope": " ".join(dict.fromkeys(["openid", value])),
        "grant_types": ["authorization_code", "refresh_token"],
    },
    **{
        f"{what}_encryption_{kind}_values_supported": partial(_encryption_wished, f"{name}_{kind}")
        for what, name in ENCRYPTED.items()
        for kind in ("alg", "enc")
    },
    "authorization_signing_alg_values_supported": lambda value: {"authorization_signed_response_alg": value},
}


# What is advertised as true or false


def reads_claims_parameter(provider: Provider) -> bool:
    tokens = provider.client().signed_in(scope="openid", claims='{"userinfo": {"name": null}}')
    return "name" in body(provider.userinfo(tokens["access_token"]))


@contextmanager
def _object_at_an_address(provider: Provider) -> Iterator[tuple[RelyingParty, str]]:
    """A client whose request object stands at `{address}/request`, which is registered."""
    with Receiver() as shelf:
        at = f"http://127.0.0.1:{shelf.port}"
        party = provider.client(jwks=published("ES256"), request_uris=[f"{at}/request"])
        token = _signed_request(party)
        shelf.behaviour = status(200, token.encode(), **{"Content-Type": "application/oauth-authz-req+jwt"})
        yield party, at


def _signed_request(party: RelyingParty) -> str:
    claims = {**party.request(), "iss": party.client_id, "aud": party.provider.issuer}
    return signed(claims, signing_key("ES256"), "ES256")


def reads_request_parameter(provider: Provider) -> bool:
    party = provider.client(jwks=published("ES256"))
    values = at_the_desk(party, request=_signed_request(party))
    return not was_refused(values, "request_not_supported") and bool(body(party.redeem(values["code"])))


def reads_request_uri_parameter(provider: Provider) -> bool:
    with _object_at_an_address(provider) as (party, at):
        values = at_the_desk(party, request_uri=f"{at}/request")
        return not was_refused(values, "request_uri_not_supported") and bool(body(party.redeem(values["code"])))


def wants_request_uri_registered(provider: Provider) -> bool:
    with _object_at_an_address(provider) as (party, at):
        return was_refused(at_the_desk(party, request_uri=f"{at}/elsewhere"), "invalid_request_uri")


def refuses_plain_requests(provider: Provider) -> bool:
    return was_refused(at_the_desk(provider.client()), "invalid_request", "invalid_request_object")


def names_itself_in_answers(provider: Provider) -> bool:
    party = provider.client()
    said = [at_the_desk(party, **changes).get("iss") for changes in ({}, {"scope": "email"}, {"prompt": "none"})]
    assert len(set(said)) == 1
    return said[0] == provider.issuer


def session_is_over_at_back_channel(provider: Provider, with_sid: bool = False) -> bool:
    services, clock = provider.services, provider.clock
    tokens = LogoutTokens(services.keys, clock, provider.issuer)
    client = GuardedClient(allow_loopback=True, timeout=timedelta(seconds=5))
    with Receiver() as receiver:
        party, browser = provider.client(backchannel_logout_uri=receiver.url), provider.browser()
        id_token = _taken_part(party, browser)
        browser.get("/end_session", query=f"id_token_hint={id_token}")
        with provider.app.app_context():
            LogoutNoticeDelivery(services.units, clock, tokens, client, None, timedelta).run()
        said = [provider.claims(token) for token in receiver.tokens]
    told = [each for each in said if each["aud"] == party.client_id]
    return bool(told) and (not with_sid or told[0]["sid"] == provider.claims(id_token)["sid"])


def session_is_over_at_front_channel(provider: Provider, with_sid: bool = False) -> bool:
    party, browser = provider.client(frontchannel_logout_uri="https://app.example/front"), provider.browser()
    id_token = _taken_part(party, browser)
    left = browser.get("/end_session", query=f"id_token_hint={id_token}")
    frames = [frame.attributes["src"] for frame in Page.read(left.text).root.all("iframe")]
    return bool(frames) and (not with_sid or f"sid={provider.claims(id_token)['sid']}" in frames[0])


def _taken_part(party: RelyingParty, browser: Any) -> str:
    code = browser.sign_in(party, party.provider.somebody()).values["code"]
    return str(body(party.redeem(code))["id_token"])


FLAGS: Mapping[str, Callable[[Provider], bool]] = {
    "claims_parameter_supported": reads_claims_parameter,
    "request_parameter_supported": reads_request_parameter,
    "request_uri_parameter_supported": reads_request_uri_parameter,
    "require_request_uri_registration": wants_request_uri_registered,
    "require_signed_request_object": refuses_plain_requests,
    "require_pushed_authorization_requests": refuses_plain_requests,
    "authorization_response_iss_parameter_supported": names_itself_in_answers,
    "backchannel_logout_supported": session_is_over_at_back_channel,
    "backchannel_logout_session_supported": partial(session_is_over_at_back_channel, with_sid=True),
    "frontchannel_logout_supported": session_is_over_at_front_channel,
    "frontchannel_logout_session_supported": partial(session_is_over_at_front_channel, with_sid=True),
}
