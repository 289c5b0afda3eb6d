"""The authorization endpoint: what a browser meets, with nobody signed in and with somebody who is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tests.client_assertions import claims_of
from tests.interop.differential.clients import (
    ALG,
    CALLBACK,
    CLIENTS,
    KEY,
    OTHER_RESOURCE,
    RESOURCE,
    SCOPE,
    WITH_QUERY,
)
from tests.interop.differential.normal_form import Answer, arrived
from tests.interop.differential.question import Question
from tests.interop.differential.site import CHALLENGE, VERIFIER, Site, jwt

Changes = Mapping[str, str | None]
LONG = "x" * 1500

# Changes to a right request of a client: name -> (client, changes).
WRONG: Mapping[str, tuple[str, Changes]] = {
    "client-missing": ("basic", {"client_id": None}),
    "client-empty": ("basic", {"client_id": ""}),
    "client-unknown": ("basic", {"client_id": "nobody"}),
    "client-odd": ("basic", {"client_id": "a\x00b\u2028"}),
    "client-of-no-people": ("robot", {}),
    "client-without-grants": ("api", {}),
    "redirect-missing": ("basic", {"redirect_uri": None}),
    "redirect-missing-of-two": ("post", {"redirect_uri": None}),
    "redirect-empty": ("basic", {"redirect_uri": ""}),
    "redirect-second": ("post", {"redirect_uri": WITH_QUERY}),
    "redirect-query-left-out": ("post", {"redirect_uri": WITH_QUERY.partition("&")[0]}),
    "redirect-query-turned": ("post", {"redirect_uri": "https://app.example/callback?x=1&of=two"}),
    "redirect-of-nobody": ("basic", {"redirect_uri": "https://evil.example/callback"}),
    "redirect-path-added": ("basic", {"redirect_uri": f"{CALLBACK}/more"}),
    "redirect-path-up": ("basic", {"redirect_uri": "https://app.example/callback/../callback"}),
    "redirect-path-encoded": ("basic", {"redirect_uri": "https://app.example/%63allback"}),
    "redirect-query-added": ("basic", {"redirect_uri": f"{CALLBACK}?x=1"}),
    "redirect-fragment": ("basic", {"redirect_uri": f"{CALLBACK}#x"}),
    "redirect-upper-case": ("basic", {"redirect_uri": "https://APP.example/callback"}),
    "redirect-port": ("basic", {"redirect_uri": "https://app.example:443/callback"}),
    "redirect-user": ("basic", {"redirect_uri": "https://app.example@evil.example/callback"}),
    "redirect-host-suffix": ("basic", {"redirect_uri": "https://app.example.evil.example/callback"}),
    "redirect-http": ("basic", {"redirect_uri": "http://app.example/callback"}),
    "redirect-slashes": ("basic", {"redirect_uri": "//app.example/callback"}),
    "redirect-relative": ("basic", {"redirect_uri": "/callback"}),
    "redirect-script": ("basic", {"redirect_uri": "javascript:alert(1)"}),
    "redirect-data": ("basic", {"redirect_uri": "data:text/html,x"}),
    "redirect-space": ("basic", {"redirect_uri": f" {CALLBACK}"}),
    "redirect-line": ("basic", {"redirect_uri": f"{CALLBACK}\r\nX: y"}),
    "redirect-backslash": ("basic", {"redirect_uri": "https://app.example\\@evil.example/callback"}),
    "redirect-unicode": ("basic", {"redirect_uri": "https://app.example/callback\u200b"}),
    "redirect-of-nobody-and-wrong-type": ("basic", {"redirect_uri": "https://evil.example/", "response_type": "x"}),
    "redirect-native-port": ("native", {"redirect_uri": "http://127.0.0.1:51234/callback"}),
    "redirect-native-path": ("native", {"redirect_uri": "http://127.0.0.1:51234/other"}),
    "redirect-native-localhost": ("native", {"redirect_uri": "http://localhost:51234/callback"}),
    "redirect-native-scheme": ("native", {"redirect_uri": "com.example.app:/callback"}),
    "redirect-native-other-scheme": ("native", {"redirect_uri": "com.example.other:/callback"}),
    "redirect-web-port": ("basic", {"redirect_uri": "https://app.example:8443/callback"}),
    "type-missing": ("basic", {"response_type": None}),
    "type-empty": ("basic", {"response_type": ""}),
    "type-unknown": ("basic", {"response_type": "magic"}),
    "type-token": ("basic", {"response_type": "token"}),
    "type-id-token": ("basic", {"response_type": "id_token"}),
    "type-hybrid": ("basic", {"response_type": "code id_token"}),
    "type-none": ("basic", {"response_type": "none"}),
    "type-twice-the-same": ("basic", {"response_type": "code code"}),
    "type-upper-case": ("basic", {"response_type": "CODE"}),
    "mode-query": ("basic", {"response_mode": "query"}),
    "mode-fragment": ("basic", {"response_mode": "fragment"}),
    "mode-form-post": ("basic", {"response_mode": "form_post"}),
    "mode-unknown": ("basic", {"response_mode": "pigeon"}),
    "mode-jwt": ("basic", {"response_mode": "jwt"}),
    "mode-form-post-of-an-error": ("basic", {"response_mode": "form_post", "scope": "openid", "prompt": "none"}),
    "mode-fragment-of-an-error": ("basic", {"response_mode": "fragment", "prompt": "none"}),
    "scope-missing": ("basic", {"scope": None}),
    "scope-empty": ("basic", {"scope": ""}),
    "scope-without-openid": ("basic", {"scope": "profile email"}),
    "scope-unknown-too": ("basic", {"scope": "openid magic"}),
    "scope-not-the-clients": ("basic", {"scope": "openid phone"}),
    "scope-twice": ("basic", {"scope": "openid openid profile"}),
    "scope-openid-only": ("basic", {"scope": "openid"}),
    "scope-spaces": ("basic", {"scope": "openid  profile"}),
    "scope-quote": ("basic", {"scope": 'openid "profile"'}),
    "scope-upper-case": ("basic", {"scope": "OPENID"}),
    "scope-offline-without-consent": ("offline", {"scope": "openid offline_access"}),
    "scope-offline-of-a-client-without": ("basic", {"scope": "openid offline_access", "prompt": "consent"}),
    "state-missing": ("basic", {"state": None}),
    "state-empty": ("basic", {"state": ""}),
    "state-long": ("basic", {"state": LONG}),
    "state-odd": ("basic", {"state": "ü<script>'\"\u20ac"}),
    "nonce-missing": ("basic", {"nonce": None}),
    "nonce-long": ("basic", {"nonce": LONG}),
    "pkce-missing": ("basic", {"code_challenge": None, "code_challenge_method": None}),
    "pkce-missing-of-a-lax-client": ("lax", {"code_challenge": None, "code_challenge_method": None}),
    "pkce-missing-of-a-public-client": ("public", {"code_challenge": None, "code_challenge_method": None}),
    "pkce-challenge-missing": ("basic", {"code_challenge": None}),
    "pkce-challenge-missing-of-a-lax-client": ("lax", {"code_challenge": None}),
    "pkce-method-missing": ("basic", {"code_challenge_method": None}),
    "pkce-method-missing-of-a-lax-client": ("lax", {"code_challenge_method": None}),
    "pkce-plain": ("basic", {"code_challenge": VERIFIER, "code_challenge_method": "plain"}),
    "pkce-method-unknown": ("basic", {"code_challenge_method": "S512"}),
    "pkce-method-lower-case": ("basic", {"code_challenge_method": "s256"}),
    "pkce-short": ("basic", {"code_challenge": CHALLENGE[:42]}),
    "pkce-long": ("basic", {"code_challenge": CHALLENGE + "A"}),
    "pkce-odd": ("basic", {"code_challenge": CHALLENGE[:-1] + "="}),
    "pkce-very-long": ("basic", {"code_challenge": "a" * 200}),
    "prompt-empty": ("basic", {"prompt": ""}),
    "prompt-unknown": ("basic", {"prompt": "magic"}),
    "prompt-create": ("basic", {"prompt": "create"}),
    "prompt-none-and-login": ("basic", {"prompt": "none login"}),
    "prompt-none": ("basic", {"prompt": "none"}),
    "prompt-login": ("basic", {"prompt": "login"}),
    "prompt-consent": ("basic", {"prompt": "consent"}),
    "prompt-consent-of-a-stranger": ("stranger", {"prompt": "consent"}),
    "prompt-select": ("basic", {"prompt": "select_account"}),
    "prompt-login-consent": ("stranger", {"prompt": "login consent"}),
    "prompt-none-of-a-stranger": ("stranger", {"prompt": "none"}),
    "prompt-none-of-a-native-client": ("native", {"prompt": "none"}),
    "max-age": ("basic", {"max_age": "3600"}),
    "max-age-zero": ("basic", {"max_age": "0"}),
    "max-age-zero-silently": ("basic", {"max_age": "0", "prompt": "none"}),
    "max-age-negative": ("basic", {"max_age": "-1"}),
    "max-age-text": ("basic", {"max_age": "long"}),
    "max-age-fraction": ("basic", {"max_age": "1.5"}),
    "max-age-empty": ("basic", {"max_age": ""}),
    "max-age-huge": ("basic", {"max_age": "9" * 30}),
    "max-age-of-the-client": ("aged", {}),
    "acr-unknown": ("basic", {"acr_values": "1 2"}),
    "hint-nonsense": ("basic", {"id_token_hint": "nonsense"}),
    "hint-unsigned": ("basic", {"id_token_hint": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0."}),
    "login-hint": ("basic", {"login_hint": "buffy@app.example"}),
    "locales": ("basic", {"ui_locales": "se", "claims_locales": "se"}),
    "display-popup": ("basic", {"display": "popup"}),
    "display-unknown": ("basic", {"display": "hologram"}),
    "unknown-parameter": ("basic", {"extra": "foobar"}),
    "registration-parameter": ("basic", {"registration": "{}"}),
    "resource": ("shop", {"resource": RESOURCE}),
    "resource-unknown": ("shop", {"resource": "https://api.example/nothing"}),
    "resource-relative": ("shop", {"resource": "/orders"}),
    "resource-fragment": ("shop", {"resource": f"{RESOURCE}#x"}),
    "resource-of-a-client-without": ("basic", {"resource": OTHER_RESOURCE}),
    "jkt": ("basic", {"dpop_jkt": CHALLENGE}),
    "jkt-odd": ("basic", {"dpop_jkt": "short"}),
    "pushing-client-comes-itself": ("pushing", {}),
    "strict-client-comes-itself": ("strict", {}),
    "request-uri-unknown": ("basic", {"request_uri": "urn:ietf:params:oauth:request_uri:nothing"}),
    "request-uri-elsewhere": ("basic", {"request_uri": "https://app.example/request"}),
    "request-nonsense": ("basic", {"request": "nonsense"}),
    "request-and-uri": ("basic", {"request": "x.y.z", "request_uri": "https://app.example/request"}),
}

CLAIMS: Mapping[str, Any] = {
    "nothing": {},
    "userinfo-null": {"userinfo": {"name": None}},
    "userinfo-essential": {"userinfo": {"name": {"essential": True}}},
    "id-token": {"id_token": {"email": {"essential": True}}},
    "unknown-claim": {"userinfo": {"magic": None}},
    "unknown-section": {"magic": {"name": None}},
    "unknown-member": {"userinfo": {"name": {"magic": 1}}},
    "sub-of-nobody": {"id_token": {"sub": {"value": "nobody"}}},
    "acr-voluntary": {"id_token": {"acr": {"values": ["nothing"]}}},
    "acr-essential-unknown": {"id_token": {"acr": {"essential": True, "values": ["nothing"]}}},
    "acr-essential-value-unknown": {"id_token": {"acr": {"essential": True, "value": "nothing"}}},
    "list": [],
    "number": 5,
    "section-list": {"userinfo": []},
    "section-null": {"userinfo": None},
    "wish-text": {"userinfo": {"name": "yes"}},
    "wish-list": {"userinfo": {"name": []}},
}
REPEATED = (
    "client_id",
    "redirect_uri",
    "response_type",
    "response_mode",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "prompt",
    "max_age",
    "claims",
    "login_hint",
    "ui_locales",
    "acr_values",
    "id_token_hint",
    "extra",
)
# Asked again of somebody who is signed in.
ALSO_SIGNED_IN = ("prompt-", "max-age", "claims-", "login-hint", "acr-", "scope-openid-only", "mode-")

OBJECTS: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {
    # name -> (client, changes to the claims, changes to the header)
    "right": ("objects", {}, {}),
    "of-a-client-that-need-not": ("signing", {}, {}),
    "of-a-client-without-keys": ("basic", {}, {}),
    "expired": ("objects", {"exp": 1}, {}),
    "without-exp": ("objects", {"exp": None}, {}),
    "not-yet": ("objects", {"nbf": 4102444800}, {}),
    "for-somebody-else": ("objects", {"aud": "https://other.example"}, {}),
    "without-audience": ("objects", {"aud": None}, {}),
    "from-somebody-else": ("objects", {"iss": "other"}, {}),
    "without-issuer": ("objects", {"iss": None}, {}),
    "with-sub": ("objects", {"sub": "objects"}, {}),
    "of-another-client": ("objects", {"client_id": "basic"}, {}),
    "without-client": ("objects", {"client_id": None}, {}),
    "redirect-of-nobody": ("objects", {"redirect_uri": "https://evil.example/"}, {}),
    "without-redirect": ("objects", {"redirect_uri": None}, {}),
    "type-wrong": ("objects", {"response_type": "token"}, {}),
    "scope-without-openid": ("objects", {"scope": "profile"}, {}),
    "scope-a-list": ("objects", {"scope": ["openid"]}, {}),
    "max-age-number": ("objects", {"max_age": 3600}, {}),
    "max-age-text": ("objects", {"max_age": "3600"}, {}),
    "claims-object": ("objects", {"claims": {"userinfo": {"name": None}}}, {}),
    "state-number": ("objects", {"state": 5}, {}),
    "with-request-inside": ("objects", {"request": "x.y.z"}, {}),
    "with-request-uri-inside": ("objects", {"request_uri": "https://app.example/"}, {}),
    "typ-of-its-own": ("objects", {}, {"typ": "oauth-authz-req+jwt"}),
    "typ-of-another-kind": ("objects", {}, {"typ": "dpop+jwt"}),
    "without-typ": ("objects", {}, {"typ": None}),
    "algorithm-none": ("objects", {}, {"alg": "none"}),
    "algorithm-other": ("objects", {}, {"alg": "RS256"}),
    "key-unknown": ("objects", {}, {"kid": "unknown"}),
}


def questions() -> Iterator[Question]:
    for name, (client_id, changes) in WRONG.items():
        yield from _both(name, client_id, changes)
    for name, value in CLAIMS.items():
        yield from _both(f"claims-{name}", "basic", {"claims": json.dumps(value)})
    yield from _both("claims-no-json", "basic", {"claims": "{"})
    for name in REPEATED:
        yield Question(f"authorize/repeated-{name.replace('_', '-')}", _repeated(name))
    for name, (client_id, claims, header) in OBJECTS.items():
        yield Question(f"authorize/object-{name}", _with_object(client_id, claims, header, outside=True))
    yield Question("authorize/object-alone", _with_object("objects", {}, {}, outside=False))
    yield Question("authorize/object-missing-that-is-demanded", _opened("objects", {}))
    for name in CLIENTS:
        if CLIENTS[name]["redirect_uris"] and name not in ASKED_ONCE:
            yield Question(f"authorize/right-of-{name}", _opened(name, {}))
            yield Question(f"authorize/signs-in-for-{name}", _signed_in(name))
    yield Question("authorize/denied", _denied)
    yield Question("authorize/denied-by-form-post", lambda site: _denied(site, {"response_mode": "form_post"}))
    yield Question("authorize/offline-with-consent", _signed_in("offline", OFFLINE))
    yield Question("authorize/by-post", _by_post)
    for method in ("HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"):
        yield Question(f"authorize/method-{method.lower()}", _by_method(method))
    yield Question("authorize/post-of-json", _post_of_json)
    yield Question("authorize/hint-of-this-person", _hinted("basic", "basic"))
    yield Question("authorize/hint-of-another-client", _hinted("basic", "other"))
    yield Question("authorize/hint-of-this-person-silently", _hinted("basic", "basic", "none"))
    yield Question("authorize/hint-of-this-person-with-nobody-there", _hinted("basic", "basic", "none", fresh=True))
    yield Question("authorize/consent-is-remembered", _consent_is_remembered)
    yield Question("authorize/consent-to-more-is-asked", _consent_to_more)


ASKED_ONCE = ("denied", "remembered", "wanting")
OFFLINE: Changes = {"scope": f"{SCOPE} offline_access", "prompt": "consent"}


def _both(name: str, client_id: str, changes: Changes) -> Iterator[Question]:
    yield Question(f"authorize/{name}", _opened(client_id, changes))
    if name.startswith(ALSO_SIGNED_IN):
        yield Question(f"authorize/{name}-signed-in", _opened(client_id, changes, is_signed_in=True))


def _opened(client_id: str, changes: Changes, is_signed_in: bool = False) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        browser = site.signed_in_browser() if is_signed_in else site.browser()
        return arrived(browser.open(site.authorization_url(site.parameters(client_id, changes))), site.issuer)

    return ask


def _signed_in(client_id: str, changes: Changes | None = None) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        page = site.browser().open(site.authorization_url(site.parameters(client_id, changes)))
        return arrived(site.sign_in(page), site.issuer)

    return ask


def _repeated(name: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        right = site.parameters("basic")
        value = {"max_age": "3600", "claims": "{}", "prompt": "login", "response_mode": "query"}.get(name, "x")
        first = right.setdefault(name, value)
        return arrived(site.browser().open(site.authorization_url([*right.items(), (name, first)])), site.issuer)

    return ask


def request_object(site: Site, client_id: str, claims: Mapping[str, Any], header: Mapping[str, Any]) -> str:
    """A request as a JWT of the client: right, but for the changes (RFC 9101 4)."""
    right = claims_of(client_id, site.issuer, site.now(), sub=None) | site.parameters(client_id)
    said = {name: value for name, value in {**right, **claims}.items() if value is not None}
    return jwt(said, KEY, ALG, {"kid": "signing", "typ": "oauth-authz-req+jwt", **header})


def _with_object(
    client_id: str, claims: Mapping[str, Any], header: Mapping[str, Any], outside: bool
) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        parameters = {"client_id": client_id, "request": request_object(site, client_id, claims, header)}
        if outside:
            # OIDC Core 6.1: required outside as well.
            parameters |= {"response_type": "code", "scope": "openid"}
        return arrived(site.browser().open(site.authorization_url(parameters)), site.issuer)

    return ask


def _denied(site: Site, changes: Changes | None = None) -> Answer:
    browser = site.signed_in_browser()
    asked = browser.open(site.authorization_url(site.parameters("denied", changes)))
    return arrived(asked.submit(button="consent-deny"), site.issuer)


def _consent_is_remembered(site: Site) -> Answer:
    browser = site.signed_in_browser("remembered")
    address = site.authorization_url(site.parameters("remembered", {"prompt": "none"}))
    return arrived(browser.open(address), site.issuer)


def _consent_to_more(site: Site) -> Answer:
    browser = site.browser()
    site.code("wanting", {"scope": "openid email"}, browser)
    return arrived(browser.open(site.authorization_url(site.parameters("wanting"))), site.issuer)


def _by_post(site: Site) -> Answer:
    return arrived(site.browser().post(site.address("authorization"), site.parameters("basic")), site.issuer)


def _by_method(method: str) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        return {"status": site.send(method, site.authorization_url(site.parameters("basic"))).status_code}

    return ask


def _post_of_json(site: Site) -> Answer:
    answer = site.json("POST", site.address("authorization"), site.parameters("basic"))
    return {"status class": answer.status_code // 100}


def _hinted(client_id: str, hinted: str, prompt: str | None = None, fresh: bool = False) -> Callable[[Site], Answer]:
    def ask(site: Site) -> Answer:
        browser = site.browser()
        hint = site.tokens(hinted, browser=browser)["id_token"]
        changes = {"id_token_hint": hint, "prompt": prompt}
        opened = (site.browser() if fresh else browser).open(
            site.authorization_url(site.parameters(client_id, changes))
        )
        return arrived(opened, site.issuer)

    return ask
