"""A small real relying party and a small real browser, for tests that speak HTTP and need no Chromium.

    party = RelyingParty(client_id, secret, redirect_uri, issuer=ISSUER, clock=clock, transport=inside(app))
    browser = Browser(app.test_client(), ISSUER)

    asked = party.authorization_request(prompt="login")
    page = browser.open(asked.url)
    page = page.submit({"organisation": "10234", "username": "anna", "password": "..."}, button="login-submit")
    tokens = party.finish(page.departure, asked)

The relying party verifies like an application that distrusts its provider: state, `iss`, signature by the published
keys with pinned algorithms, and every claim of the ID token.
"""

from __future__ import annotations

import json
import secrets
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl, quote_plus, urlencode, urljoin, urlsplit

import requests
from flask import Flask
from flask.testing import FlaskClient

from idp.kernel.clock import Clock, SystemClock
from idp_kit.id_token import Expected, verify_id_token
from tests.proofs import ProofKey

# --- The relying party


@dataclass(frozen=True)
class HttpRequest:
    """What a relying party sends; `form` becomes a body of type application/x-www-form-urlencoded."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = None


@dataclass(frozen=True)
class HttpAnswer:
    """What came back; names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def __str__(self) -> str:
        return f"{self.status} {self.body[:2000].decode(errors='replace')}"


Transport = Callable[[HttpRequest], HttpAnswer]


def inside(app: Flask) -> Transport:
    """Requests reach the application without a network, and without anybody's cookies."""
    client = app.test_client(use_cookies=False)

    def send(request: HttpRequest) -> HttpAnswer:
        parts = urlsplit(request.url)
        with client.open(
            f"{parts.path}?{parts.query}" if parts.query else parts.path,
            method=request.method,
            base_url=f"{parts.scheme}://{parts.netloc}",
            headers=dict(request.headers),
            data=None if request.form is None else dict(request.form),
        ) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpAnswer(response.status_code, headers, response.get_data())

    return send


def over_the_network(timeout: float = 10.0, authority: Path | None = None) -> Transport:
    """Requests travel over the network. Redirects are not followed. `authority`: whose certificates are believed."""

    def send(request: HttpRequest) -> HttpAnswer:
        with requests.Session() as session:
            session.trust_env = False
            response = session.request(
                request.method,
                request.url,
                headers=dict(request.headers),
                data=None if request.form is None else dict(request.form),
                timeout=timeout,
                allow_redirects=False,
                verify=True if authority is None else str(authority),
            )
            headers = {name.lower(): value for name, value in response.headers.items()}
            return HttpAnswer(response.status_code, headers, response.content)

    return send


@dataclass(frozen=True)
class AuthorizationRequest:
    """A request as it was sent, and what the relying party must remember of it."""

    url: str
    parameters: Mapping[str, str]
    state: str
    nonce: str
    code_verifier: str


class ErrorResponse(Exception):
    """The provider answered with an error (RFC 6749 4.1.2.1 and 5.2)."""

    def __init__(self, error: str, parameters: Mapping[str, Any], status: int | None = None) -> None:
        super().__init__(f"{error}: {dict(parameters)}")
        self.error, self.parameters, self.status = error, parameters, status


@dataclass(frozen=True)
class Tokens:
    """A verified token response. `claims` are those of the ID token, empty when there was none."""

    access_token: str
    id_token: str | None
    refresh_token: str | None
    expires_in_seconds: int
    scope: str | None
    claims: Mapping[str, Any]
    answer: HttpAnswer


AuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]


class RelyingParty:
    """One client at one provider. A wrong answer of the provider raises AssertionError or `TokenRefused`."""

    def __init__(
        self,
        client_id: str,
        client_secret: str | None,
        redirect_uri: str,
        auth_method: AuthMethod = "client_secret_basic",
        *,
        issuer: str,
        transport: Transport,
        clock: Clock | None = None,
        scope: str = "openid profile email",
        key: ProofKey | None = None,
    ) -> None:
        """With a `key` it proves to have it in each request (RFC 9449), and believes in no tokens but bound ones."""
        self.client_id, self.client_secret, self.redirect_uri = client_id, client_secret, redirect_uri
        self.auth_method: AuthMethod = auth_method
        self.issuer, self.scope = issuer, scope
        self._transport, self._clock = transport, clock or SystemClock()
        self._metadata: Mapping[str, Any] | None = None
        self.key = key
        self._nonce: str | None = None

    @property
    def metadata(self) -> Mapping[str, Any]:
        """The provider's discovery document, read once; it belongs to the issuer (OIDC Discovery 4.3)."""
        if self._metadata is None:
            answer = self._transport(HttpRequest("GET", f"{self.issuer}/.well-known/openid-configuration"))
            assert answer.status == 200, answer
            self._metadata = answer.json()
            assert self._metadata is not None
            assert self._metadata["issuer"] == self.issuer, self._metadata
        return self._metadata

    def authorization_request(self, **changes: str | None) -> AuthorizationRequest:
        """A code request with PKCE, state and nonce. `changes` replace or add parameters; None leaves one out."""
        state, nonce, code_verifier = (secrets.token_urlsafe(32) for _ in range(3))
        challenge = urlsafe_b64encode(sha256(code_verifier.encode()).digest()).rstrip(b"=").decode()
        wanted: dict[str, str | None] = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        parameters = {name: value for name, value in wanted.items() if value is not None}
        url = f"{self.metadata['authorization_endpoint']}?{urlencode(parameters)}"
        return AuthorizationRequest(
            url, parameters, parameters.get("state", ""), parameters.get("nonce", ""), code_verifier
        )

    def code_of(self, departure: Departure, asked: AuthorizationRequest) -> str:
        """The code of a response that answers the request: right address, state and `iss`. Raises ErrorResponse."""
        sent = departure.parameters
        assert departure.url.partition("#")[0].startswith(self.redirect_uri), departure
        assert sent.get("state", "") == asked.state, f"state: {departure}"
        assert sent.get("iss") == self.issuer, f"iss (RFC 9207 2): {departure}"
        if "error" in sent:
            raise ErrorResponse(sent["error"], sent)
        return sent["code"]

    def exchange(self, code: str, asked: AuthorizationRequest, **changes: str | None) -> Tokens:
        """Verified tokens for the code. `changes` as in `token_request`. Raises ErrorResponse."""
        answer = self.token_request(
            grant_type="authorization_code",
            **{"code": code, "redirect_uri": self.redirect_uri, "code_verifier": asked.code_verifier, **changes},
        )
        return self._tokens(answer, asked.nonce or None)

    def finish(self, departure: Departure, asked: AuthorizationRequest) -> Tokens:
        """Verified tokens for an authorization response. Raises ErrorResponse."""
        return self.exchange(self.code_of(departure, asked), asked)

    def refresh(self, tokens: Tokens, **changes: str | None) -> Tokens:
        """Verified tokens for the refresh token; the ID token is about the same person (OIDC Core 12.2)."""
        answer = self.token_request(grant_type="refresh_token", **{"refresh_token": tokens.refresh_token, **changes})
        fresh = self._tokens(answer, None)
        for name in ("iss", "sub", "aud", "auth_time"):
            assert not fresh.claims or fresh.claims.get(name) == tokens.claims.get(name), name
        return fresh

    def token_request(self, **parameters: str | None) -> HttpAnswer:
        """The token endpoint's answer to these parameters and this client's authentication; None leaves one out."""
        form = {name: value for name, value in parameters.items() if value is not None}
        headers = {"Accept": "application/json"}
        if self.auth_method == "client_secret_basic":
            # RFC 6749 2.3.1: both parts are form-encoded first.
            pair = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret or '')}"
            headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        else:
            form.setdefault("client_id", self.client_id)
        if self.auth_method == "client_secret_post":
            form.setdefault("client_secret", self.client_secret or "")
        return self._proven(HttpRequest("POST", self.metadata["token_endpoint"], headers, form))

    def userinfo(self, tokens: Tokens, method: Literal["GET", "POST"] = "GET") -> Mapping[str, Any]:
        """The claims of userinfo, about the person of the ID token (OIDC Core 5.3.2). Raises ErrorResponse."""
        answer = self.userinfo_request(tokens.access_token, method)
        if answer.status != 200:
            challenge = answer.headers.get("www-authenticate", "")
            raise ErrorResponse(_quoted(challenge, "error"), {"www-authenticate": challenge}, answer.status)
        assert answer.headers["content-type"].startswith("application/json"), answer.headers
        claims: Mapping[str, Any] = answer.json()
        assert not tokens.claims or claims["sub"] == tokens.claims["sub"], claims
        return claims

    def userinfo_request(self, access_token: str, method: Literal["GET", "POST"] = "GET") -> HttpAnswer:
        """The userinfo endpoint's answer to an access token."""
        headers = {"Authorization": f"{'Bearer' if self.key is None else 'DPoP'} {access_token}"}
        return self._proven(HttpRequest(method, self.metadata["userinfo_endpoint"], headers), access_token)

    def end_session_url(self, id_token: str | None = None, **changes: str | None) -> str:
        """Where to send the browser to log out (OIDC RP-Initiated Logout 2); None leaves a parameter out."""
        wanted = {"id_token_hint": id_token, "client_id": self.client_id, **changes}
        parameters = {name: value for name, value in wanted.items() if value is not None}
        return f"{self.metadata['end_session_endpoint']}?{urlencode(parameters)}"

    def verify(self, id_token: str, nonce: str | None, access_token: str | None = None) -> dict[str, Any]:
        """The claims of a token that is signed by a published key and meant for this client. Raises TokenRefused."""
        answer = self._transport(HttpRequest("GET", self.metadata["jwks_uri"]))
        assert answer.status == 200, answer
        expected = Expected(self.issuer, self.client_id, nonce, access_token)
        return verify_id_token(id_token, answer.json(), expected, self._clock.now())

    def _proven(self, request: HttpRequest, access_token: str | None = None, is_again: bool = False) -> HttpAnswer:
        """The answer to the request with a proof of the key; asked for a nonce, it is sent once more with that."""
        if self.key is None:
            return self._transport(request)
        proof = self.key.proof(request.method, request.url, self._clock.now(), access_token, self._nonce)
        answer = self._transport(replace(request, headers={**request.headers, "DPoP": proof}))
        self._nonce = answer.headers.get("dpop-nonce", self._nonce)
        if answer.status in (400, 401) and answer.json().get("error") == "use_dpop_nonce" and not is_again:
            return self._proven(request, access_token, is_again=True)
        return answer

    def _tokens(self, answer: HttpAnswer, nonce: str | None) -> Tokens:
        sent = answer.json()
        if answer.status != 200:
            raise ErrorResponse(sent["error"], sent, answer.status)
        assert answer.headers["cache-control"] == "no-store", "RFC 6749 5.1"
        assert sent["token_type"].lower() == ("bearer" if self.key is None else "dpop"), sent
        assert isinstance(sent["expires_in"], int) and sent["expires_in"] > 0, sent
        id_token = sent.get("id_token")
        claims = self.verify(id_token, nonce, sent["access_token"]) if id_token else {}
        return Tokens(
            sent["access_token"],
            id_token,
            sent.get("refresh_token"),
            sent["expires_in"],
            sent.get("scope"),
            claims,
            answer,
        )


def _quoted(challenge: str, name: str) -> str:
    return challenge.partition(f'{name}="')[2].partition('"')[0]


# --- The browser


class Element:
    """One element of a page."""

    def __init__(self, tag: str, attributes: Mapping[str, str], parent: Element | None) -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Element | str] = []

    def __iter__(self) -> Iterator[Element]:
        """This element and all below it, in the order of the page."""
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child

    @property
    def text(self) -> str:
        """What a person reads here, with single spaces and plain hyphens."""
        return " ".join(" ".join(self._texts()).split()).replace("\N{NON-BREAKING HYPHEN}", "-")

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            elif child.tag not in ("script", "style", "head"):
                yield from child._texts()

    def get(self, name: str) -> str | None:
        return self.attributes.get(name)

    def inside(self, tag: str) -> Element | None:
        """The nearest enclosing element of that kind."""
        above = self.parent
        while above is not None and above.tag != tag:
            above = above.parent
        return above


class _Reader(HTMLParser):
    VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self._open = Element("#document", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs}, self._open)
        self._open.children.append(element)
        if tag not in self.VOID:
            self._open = element

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.children.append(Element(tag, {name: value or "" for name, value in attrs}, self._open))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        above: Element | None = self._open
        while above is not None and above.tag != tag:
            above = above.parent
        assert above is not None and above.parent is not None, f"</{tag}> closes nothing"
        self._open = above.parent

    def handle_data(self, data: str) -> None:
        self._open.children.append(data)


@dataclass(frozen=True)
class Departure:
    """The browser was sent away from the issuer: where to, how, and with which parameters.

    `mode` is where the parameters travel, `via` what sent the browser: an HTTP redirect, the hand-off page, or the page
    with the self-submitting form.
    """

    url: str
    parameters: Mapping[str, str]
    mode: Literal["query", "fragment", "form_post"]
    via: Literal["redirect", "handoff", "form_post"]


class Page:
    """What the browser shows now, or where it was sent."""

    def __init__(
        self,
        browser: Browser,
        url: str,
        status: int,
        headers: Mapping[str, str],
        body: str,
        departure: Departure | None,
    ) -> None:
        self._browser = browser
        self.url, self.status, self.headers, self.body = url, status, headers, body
        self._departure = departure
        reader = _Reader()
        if headers.get("content-type", "").startswith("text/html"):
            reader.feed(body)
            reader.close()
        self.root = reader.root

    def __repr__(self) -> str:
        gone = f" -> {self._departure}" if self._departure else ""
        return f"<Page {self.status} {self.url}{gone}: {self.root.text[:2000]}>"

    @property
    def has_left(self) -> bool:
        """True when the browser was sent away from the issuer."""
        return self._departure is not None

    @property
    def departure(self) -> Departure:
        """Where the browser was sent. Raises AssertionError when it is still here."""
        assert self._departure is not None, f"the browser did not leave: {self}"
        return self._departure

    @property
    def text(self) -> str:
        return self.root.text

    @property
    def title(self) -> str:
        return next((element.text for element in self.root if element.tag == "title"), "")

    @property
    def heading(self) -> str:
        return next((element.text for element in self.root if element.tag == "h1"), "")

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    def has(self, element_id: str) -> bool:
        return any(element.get("id") == element_id for element in self.root)

    def element(self, element_id: str) -> Element:
        """The element with that id. Raises AssertionError."""
        found = [element for element in self.root if element.get("id") == element_id]
        assert len(found) == 1, f"{len(found)} elements with the id {element_id!r} on {self}"
        return found[0]

    def field(self, name: str) -> Element:
        """The one field with that name. Raises AssertionError."""
        found = [element for element in self.root if element.tag in FIELDS and element.get("name") == name]
        assert len(found) == 1, f"{len(found)} fields named {name!r} on {self}"
        return found[0]

    def follow(self, element_id: str) -> Page:
        """The page behind a link."""
        href = self.element(element_id).get("href")
        assert href is not None, f"{element_id!r} is no link on {self}"
        return self._browser.open(urljoin(self.url, href))

    def submit(
        self,
        values: Mapping[str, str | None] | None = None,
        *,
        button: str,
        forged: Mapping[str, str] | None = None,
    ) -> Page:
        """The page after filling in the form of a button and pressing it.

        `values` are what a person can do: write in a field, pick an offered choice, tick a box, or with None leave
        one empty; anything else raises AssertionError. `forged` replaces or adds whatever it likes.
        """
        pressed = self.element(button)
        form = self._form_of(pressed)
        filled = self._filled(form, dict(values or {}))
        if pressed.get("name"):
            filled[pressed.attributes["name"]] = pressed.get("value") or ""
        filled.update(forged or {})
        action = urljoin(self.url, pressed.get("formaction") or form.get("action") or self.url)
        method = (pressed.get("formmethod") or form.get("method") or "get").lower()
        if method == "post":
            return self._browser.post(action, filled)
        return self._browser.open(f"{action.partition('?')[0]}?{urlencode(filled)}")

    def _form_of(self, pressed: Element) -> Element:
        form = self.element(pressed.attributes["form"]) if pressed.get("form") else pressed.inside("form")
        assert form is not None and form.tag == "form", f"no form around {pressed.get('id')!r} on {self}"
        assert pressed.get("type") in (None, "submit"), f"{pressed.get('id')!r} submits nothing"
        assert pressed.get("disabled") is None, f"{pressed.get('id')!r} is disabled"
        return form

    def _filled(self, form: Element, values: dict[str, str | None]) -> dict[str, str]:
        filled: dict[str, str] = {}
        offered: dict[str, list[str]] = {}
        for element in self.root:
            belongs = element.inside("form") is form or (form.get("id") and element.get("form") == form.get("id"))
            name, kind = element.get("name"), element.get("type") or "text"
            if not belongs or not name or element.tag not in FIELDS or element.get("disabled") is not None:
                continue
            if kind in ("radio", "checkbox"):
                value = element.get("value") or "on"
                offered.setdefault(name, []).append(value)
                if element.get("checked") is not None:
                    filled[name] = value
            elif kind not in ("submit", "button", "reset", "image"):
                filled[name] = element.text if element.tag == "textarea" else (element.get("value") or "")
        for name, wanted in values.items():
            assert name in filled or name in offered, f"no field {name!r} on {self}"
            assert name not in offered or wanted is None or wanted in offered[name], (
                f"{wanted!r} is not offered: {self}"
            )
            if wanted is None and name in offered:
                filled.pop(name, None)
            else:
                filled[name] = wanted or ""
        return filled


FIELDS = ("input", "textarea")
MOST_REDIRECTS = 10


class Browser:
    """A person's browser at the issuer: keeps cookies, follows redirects, and stops where it would leave."""

    def __init__(self, client: FlaskClient, issuer: str, headers: Mapping[str, str] | None = None) -> None:
        self.client, self.issuer = client, issuer
        self.headers = {"Accept": "text/html", "Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate"}
        self.headers.update(headers or {})

    def open(self, url: str) -> Page:
        """The page at a URL, or at a path of the issuer, after all redirects."""
        return self._send("GET", urljoin(f"{self.issuer}/", url), None)

    def post(self, url: str, form: Mapping[str, str]) -> Page:
        """The page after posting a form that no page showed, or after `Page.submit`."""
        return self._send("POST", urljoin(f"{self.issuer}/", url), form)

    def _send(self, method: str, url: str, form: Mapping[str, str] | None) -> Page:
        for _ in range(MOST_REDIRECTS):
            if _origin(url) != _origin(self.issuer):
                return self._leaving(url, 0, {}, "", "redirect")
            status, headers, body = self._ask(method, url, form)
            if status not in (301, 302, 303, 307, 308):
                return self._arrived(url, status, headers, body)
            target = urljoin(url, headers["location"])
            if _origin(target) != _origin(self.issuer):
                return self._leaving(target, status, headers, body, "redirect")
            if status in (307, 308):
                assert method == "GET", f"a form was sent on with {status} to {target}"
            url, method, form = target, "GET", None
        raise AssertionError(f"more than {MOST_REDIRECTS} redirects, the last to {url}")

    def _ask(self, method: str, url: str, form: Mapping[str, str] | None) -> tuple[int, dict[str, str], str]:
        parts = urlsplit(url)
        with self.client.open(
            f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/",
            method=method,
            base_url=f"{parts.scheme}://{parts.netloc}",
            headers=self.headers,
            data=None if form is None else dict(form),
        ) as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return response.status_code, headers, response.get_data(as_text=True)

    def _arrived(self, url: str, status: int, headers: dict[str, str], body: str) -> Page:
        page = Page(self, url, status, headers, body, None)
        for element in page.root:
            wait, _, leads_to = _refresh(element).partition(";")
            if wait == "0":
                target = urljoin(url, leads_to.strip().removeprefix("url="))
                if _origin(target) != _origin(self.issuer):
                    return self._leaving(target, status, headers, body, "handoff")
                return self.open(target)
            if element.get("id") == "handoff-link":
                target = urljoin(url, element.attributes["href"])
                return self._leaving(target, status, headers, body, "handoff")
            if element.get("id") == "form-post-submit":
                form = page._form_of(element)
                filled = page._filled(form, {})
                departure = Departure(urljoin(url, form.attributes["action"]), filled, "form_post", "form_post")
                return Page(self, url, status, headers, body, departure)
        return page

    def _leaving(
        self, target: str, status: int, headers: dict[str, str], body: str, via: Literal["redirect", "handoff"]
    ) -> Page:
        parts = urlsplit(target)
        mode: Literal["query", "fragment"] = "fragment" if parts.fragment else "query"
        pairs = parse_qsl(parts.fragment or parts.query, keep_blank_values=True, strict_parsing=False)
        assert len(dict(pairs)) == len(pairs), f"a parameter stands twice in {target}"
        return Page(self, target, status, headers, body, Departure(target, dict(pairs), mode, via))


def _refresh(element: Element) -> str:
    """What a page says of when to load what; a page that waits is one that somebody reads."""
    is_refresh = element.tag == "meta" and (element.get("http-equiv") or "").lower() == "refresh"
    return (element.get("content") or "") if is_refresh else ""


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
