"""A provider as a client sees it: by its metadata, its clients, and somebody's browser. Ours and the peer alike."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote_plus, urlencode

import requests
from joserfc import jws
from joserfc.jwk import OctKey

from idp.kernel.clock import SystemClock
from tests.client_assertions import AnyKey, claims_of, in_body
from tests.interop.differential.clients import ALG, CLIENTS, KEY, SCOPE
from tests.live import NetworkBrowser
from tests.proofs import ProofKey, b64
from tests.relying_party import Departure, Page

Pairs = Iterable[tuple[str, str]]
VERIFIER = "the-verifier-of-a-client-that-both-providers-know"
CHALLENGE = b64(sha256(VERIFIER.encode()).digest())
STATE = "a state & its = signs + %20"
NONCE = "a nonce"


@dataclass(frozen=True)
class Authentication:
    """What a client adds to a request to say who it is."""

    headers: Mapping[str, str]
    form: Mapping[str, str]


NOBODY = Authentication({}, {})


def jwt(claims: Mapping[str, Any], key: AnyKey, alg: str, header: Mapping[str, Any]) -> str:
    """A compact JWS by this key and algorithm, whatever its header says; None leaves a member of the header out.

    Where the header says that nothing signs it, nothing does.
    """
    said = {name: value for name, value in {"alg": alg, "typ": "JWT", **header}.items() if value is not None}
    message = ".".join(b64(json.dumps(part).encode()) for part in (said, claims))
    signature = b"" if said["alg"] == "none" else jws.JWSRegistry.algorithms[alg].sign(message.encode(), key)
    return f"{message}.{b64(signature)}"


class SiteBrowser(NetworkBrowser):
    """Goes on where a page would send itself by a script, as oidc-provider's do."""

    def _arrived(self, url: str, status: int, headers: dict[str, str], body: str) -> Page:
        if "document.forms[0].submit()" not in body:
            return super()._arrived(url, status, headers, body)
        page = Page(self, url, status, headers, body, None)
        form = next(element for element in page.root if element.tag == "form")
        action, filled = form.attributes["action"], page._filled(form, {})
        if action.startswith(self.issuer):
            return self.post(action, filled)
        return Page(self, url, status, headers, body, Departure(action, filled, "form_post", "form_post"))


class Site:
    """One provider. `secrets` are those of CLIENTS; `names` is what the person fills in."""

    def __init__(self, issuer: str, secrets: Mapping[str, str | None], names: Mapping[str, str]) -> None:
        self.issuer, self._secrets, self._names = issuer, secrets, names
        self._clock = SystemClock()
        self._session = requests.Session()
        self._session.trust_env = False
        # Of somebody who stays signed in, for codes of which it does not matter how they came.
        self._habitual = self.browser()
        self.metadata: dict[str, Any] = self.get(f"{issuer}/.well-known/openid-configuration").json()

    # --- What clients send

    def get(self, url: str, headers: Mapping[str, str] | None = None) -> requests.Response:
        return self.send("GET", url, headers=headers)

    def send(
        self,
        method: str,
        endpoint: str,
        form: Mapping[str, str] | Pairs | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> requests.Response:
        """The answer of an endpoint, by its name in the metadata or its address. No cookie is kept."""
        if form is not None:
            pairs = list(form.items()) if isinstance(form, Mapping) else list(form)
            body = urlencode(pairs).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        self._session.cookies.clear()
        return self._session.request(
            method, self.address(endpoint), headers=dict(headers or {}), data=body, allow_redirects=False, timeout=30
        )

    def post(
        self,
        endpoint: str,
        form: Mapping[str, str | None],
        by: Authentication = NOBODY,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """The answer to a form; None leaves a parameter out."""
        sent = {name: value for name, value in {**by.form, **form}.items() if value is not None}
        return self.send("POST", endpoint, sent, {**by.headers, **(headers or {})})

    def json(self, method: str, url: str, document: Any, token: str | None = None) -> requests.Response:
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        return self.send(method, url, headers=headers, body=json.dumps(document).encode())

    def address(self, endpoint: str) -> str:
        found: str = endpoint if "://" in endpoint else self.metadata[f"{endpoint}_endpoint"]
        return found

    # --- Who they say they are

    def secret(self, client_id: str) -> str:
        secret = self._secrets[client_id]
        assert secret is not None, client_id
        return secret

    def authentication(self, client_id: str) -> Authentication:
        """The one that the client is registered for."""
        method = CLIENTS[client_id]["token_endpoint_auth_method"]
        if method == "client_secret_basic":
            return self.basic(client_id, self.secret(client_id))
        if method == "client_secret_post":
            return Authentication({}, {"client_id": client_id, "client_secret": self.secret(client_id)})
        if method == "none":
            return Authentication({}, {"client_id": client_id})
        return Authentication({}, in_body(self.assertion(client_id)))

    @staticmethod
    def basic(client_id: str, secret: str) -> Authentication:
        encoded = b64encode(f"{quote_plus(client_id)}:{quote_plus(secret)}".encode()).decode()
        return Authentication({"Authorization": f"Basic {encoded}"}, {})

    def assertion(self, client_id: str, header: Mapping[str, Any] | None = None, **changes: Any) -> str:
        """A right one, but for the changes; its audience is the issuer."""
        claims = claims_of(client_id, changes.pop("aud", self.issuer), self._clock.now(), **changes)
        if CLIENTS[client_id]["token_endpoint_auth_method"] == "client_secret_jwt":
            key = OctKey.import_key(self.secret(client_id))
            return jwt(claims, key, "HS256", header or {})
        return jwt(claims, KEY, ALG, {"kid": "signing", **(header or {})})

    def now(self) -> datetime:
        return self._clock.now()

    def seconds(self, later: int = 0) -> int:
        """A NumericDate."""
        return int(self.now().timestamp()) + later

    def proof(self, key: ProofKey, method: str, endpoint: str, access_token: str | None = None, **changes: Any) -> str:
        """A proof for this request; the changes are those of its claims."""
        claims = key.claims(method, self.address(endpoint), self._clock.now(), **changes)
        if access_token is not None and "ath" not in changes:
            claims["ath"] = b64(sha256(access_token.encode()).digest())
        return key.signed(key.header(), claims)

    # --- Somebody's browser

    def browser(self) -> SiteBrowser:
        return SiteBrowser(self.issuer)

    def parameters(self, client_id: str, changes: Mapping[str, str | None] | None = None) -> dict[str, str]:
        """Those of a right authorization request, but for the changes; None leaves one out."""
        uris = CLIENTS[client_id]["redirect_uris"]
        right: dict[str, str | None] = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": uris[0] if uris else "https://app.example/callback",
            "scope": SCOPE,
            "state": STATE,
            "nonce": NONCE,
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        return {name: value for name, value in {**right, **(changes or {})}.items() if value is not None}

    def authorization_url(self, parameters: Mapping[str, str] | Pairs) -> str:
        pairs = list(parameters.items()) if isinstance(parameters, Mapping) else list(parameters)
        return f"{self.address('authorization')}?{urlencode(pairs)}"

    def sign_in(self, page: Page) -> Page:
        """The page after everything that somebody is asked on the way to their application, answered with yes."""
        for _ in range(4):
            if page.has_left:
                break
            if page.has("login-submit"):
                page = page.submit(self._names, button="login-submit")
            elif page.has("consent-allow"):
                page = page.submit(button="consent-allow")
        return page

    def signed_in_browser(self, client_id: str = "basic") -> SiteBrowser:
        """A browser in which somebody is signed in, for this client."""
        browser = self.browser()
        assert self.sign_in(browser.open(self.authorization_url(self.parameters(client_id)))).has_left
        return browser

    def code(
        self, client_id: str, changes: Mapping[str, str | None] | None = None, browser: SiteBrowser | None = None
    ) -> str:
        """A code, after signing in if need be."""
        opened = (browser or self._habitual).open(self.authorization_url(self.parameters(client_id, changes)))
        page = self.sign_in(opened)
        assert "code" in page.departure.parameters, page
        return page.departure.parameters["code"]

    def exchange(
        self, client_id: str, code: str, changes: Mapping[str, str | None] | None = None, dpop: str | None = None
    ) -> requests.Response:
        """The answer to a right exchange of the code, but for the changes."""
        form: dict[str, str | None] = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": CLIENTS[client_id]["redirect_uris"][0],
            "code_verifier": VERIFIER,
        }
        headers = {"DPoP": dpop} if dpop else {}
        return self.post("token", {**form, **(changes or {})}, self.authentication(client_id), headers)

    def tokens(
        self,
        client_id: str,
        changes: Mapping[str, str | None] | None = None,
        key: ProofKey | None = None,
        browser: SiteBrowser | None = None,
    ) -> dict[str, Any]:
        """The token response, after signing in."""
        code = self.code(client_id, changes, browser)
        proof = self.proof(key, "POST", "token") if key else None
        answer = self.exchange(client_id, code, dpop=proof)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found
