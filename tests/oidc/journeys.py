"""What protocol tests are written in: a provider, browsers that sign people in, and clients that redeem and refresh."""

import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from flask import Flask
from joserfc import jwt
from joserfc.jwk import KeySet, OctKey
from sqlalchemy.orm import Session as Unit
from werkzeug.test import TestResponse

from idp.kernel.clock import FixedClock
from idp.oidc import keys
from idp.oidc.signatures import Registry
from idp.wiring import Services
from tests.client_assertions import claims_of, in_body, jwks_of, key_of, signed
from tests.factories import Factories, Somebody, SomeClient
from tests.web.reading import Page

VERIFIER = "a-verifier-of-more-than-43-characters-_.~0123456789"
FORM = "application/x-www-form-urlencoded"
STEP = timedelta(seconds=30)
# Well below the absolute limit of a session.
DESK_LASTS = timedelta(hours=6)
Parameter = str | None | list[str]

_numbers = count(1)


def challenge_of(verifier: str) -> str:
    """RFC 7636 4.2, written down a second time."""
    return urlsafe_b64encode(sha256(verifier.encode("ascii")).digest()).rstrip(b"=").decode()


def basic(client_id: str, secret: str) -> str:
    """The header of RFC 6749 2.3.1: both are form-encoded before they are joined."""
    pair = f"{quote_plus(client_id)}:{quote_plus(secret)}"
    return "Basic " + b64encode(pair.encode()).decode()


def form_encoded(parameters: Mapping[str, Parameter]) -> str:
    """Parameters as a query or body; None is left out, a list is sent as often as it is long."""
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if isinstance(value, list):
            pairs += [(name, each) for each in value]
        elif value is not None:
            pairs.append((name, value))
    return urlencode(pairs)


def _query(query: str | bytes) -> dict[str, str]:
    """A query exactly as it goes over the wire (WSGI carries bytes as Latin-1); none leaves the one in the path."""
    raw = query.encode() if isinstance(query, str) else query
    return {"QUERY_STRING": raw.decode("latin-1")} if raw else {}


@dataclass(frozen=True)
class Answer:
    """An authorization response as the client receives it: where it arrives, and in which of the three ways."""

    address: str
    query: Mapping[str, str] = field(default_factory=dict)
    fragment: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, str]:
        """Everything that came, whichever way."""
        return {**self.query, **self.fragment, **self.form}

    @classmethod
    def read(cls, response: TestResponse) -> "Answer":
        """From a redirect, a hand-off page or a form_post page. AssertionError for anything else."""
        if response.status_code == 303:
            return cls._at(response.headers["Location"])
        assert response.status_code == 200, (response.status_code, response.text)
        page = Page.read(response.text).root
        forms = [form for form in page.all("form") if form.attributes.get("id") == "form-post"]
        if forms:
            assert forms[0].attributes["method"] == "post"
            assert forms[0].attributes.get("enctype", FORM) == FORM
            inputs = [element.attributes for element in forms[0].all("input")]
            names = [each["name"] for each in inputs]
            assert len(names) == len(set(names)), names
            return cls(forms[0].attributes["action"], form={each["name"]: each["value"] for each in inputs})
        (refresh,) = page.having("http-equiv", "refresh")
        return cls._at(refresh.attributes["content"].removeprefix("0;url="))

    @classmethod
    def _at(cls, location: str) -> "Answer":
        parts = urlsplit(location)
        address = location.partition("#")[0].partition("?")[0]
        return cls(address, _single_valued(parts.query), _single_valued(parts.fragment))


def _single_valued(encoded: str) -> dict[str, str]:
    pairs = parse_qsl(encoded, keep_blank_values=True, strict_parsing=bool(encoded))
    assert len(pairs) == len(dict(pairs)), f"a parameter is repeated: {pairs}"
    return dict(pairs)


def body(response: TestResponse, status: int = 200) -> dict[str, Any]:
    """The JSON object that a response with this status carries."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/json"
    found = response.get_json()
    assert isinstance(found, dict)
    return found


def error(response: TestResponse, status: int = 400) -> str:
    """The OAuth error of a token response, in the form of RFC 6749 5.2."""
    said = body(response, status)
    assert set(said) <= {"error", "error_description"}
    text = str(said.get("error_description", ""))
    assert all(" " <= character <= "~" and character not in '"\\' for character in text)
    assert response.headers["Cache-Control"] == "no-store"
    return str(said["error"])


def was_sent(response: TestResponse) -> bool:
    """Whether the response leads to another site, by whatever means."""
    location = response.headers.get("Location", "")
    away = location.partition(":")[0] not in ("", location) and "://" in location
    return away or "http-equiv" in response.text or 'id="form-post"' in response.text


@dataclass(frozen=True)
class RelyingParty:
    """A registered client that speaks the protocol correctly, unless a test changes a parameter."""

    provider: "Provider"
    client: SomeClient
    authentication: str = "client_secret_basic"

    @property
    def client_id(self) -> str:
        return self.client.client_id

    @property
    def redirect_uri(self) -> str:
        return self.client.redirect_uri

    @property
    def secret(self) -> str:
        assert self.client.secret is not None
        return self.client.secret

    def request(self, **changes: Parameter) -> dict[str, Parameter]:
        """An authorization request; None leaves a parameter out, a list sends it more than once."""
        return {
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "scope": "openid profile email",
            "state": "st4te",
            "nonce": "n0nce",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            **changes,
        }

    def token(self, data: Mapping[str, Parameter], headers: Mapping[str, str] | None = None) -> TestResponse:
        """A POST to the token endpoint with the client's own authentication; `headers` replace it."""
        return self.post("/token", data, headers)

    def post(self, path: str, data: Mapping[str, Parameter], headers: Mapping[str, str] | None = None) -> TestResponse:
        """A POST to an endpoint for clients with the client's own authentication; `headers` replace it."""
        if headers is None:
            headers = {}
            if self.authentication == "client_secret_basic":
                headers = {"Authorization": basic(self.client_id, self.secret)}
            elif self.authentication == "client_secret_post":
                data = {"client_id": self.client_id, "client_secret": self.secret, **data}
            elif self.authentication in ("client_secret_jwt", "private_key_jwt"):
                data = {**in_body(self.assertion()), **data}
            else:
                data = {"client_id": self.client_id, **data}
        return self.provider.post(path, form_encoded(data), headers)

    def assertion(self, alg: str | None = None, **changes: Any) -> str:
        """An assertion of the client's own, for the token endpoint; changes are made to its claims."""
        claims = claims_of(self.client_id, f"{self.provider.issuer}/token", self.provider.clock.now(), **changes)
        if self.authentication == "client_secret_jwt":
            return signed(claims, OctKey.import_key(self.secret), alg or "HS256")
        return signed(claims, key_of(alg or "ES256"), alg or "ES256")

    def code_request(self, code: str, /, **changes: Parameter) -> dict[str, Parameter]:
        """The body of the token request for a code."""
        return {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": VERIFIER,
            **changes,
        }

    def redeem(self, code: str, /, **changes: Parameter) -> TestResponse:
        """The token request for a code."""
        return self.token(self.code_request(code, **changes))

    def refresh(self, refresh_token: str, /, **changes: Parameter) -> TestResponse:
        """The token request for a refresh token."""
        return self.token({"grant_type": "refresh_token", "refresh_token": refresh_token, **changes})

    def code(self, **changes: Parameter) -> str:
        """A code for whoever sits at the desk: a person with a password, whose session is in use just now."""
        browser, who = self.provider.desk()
        return browser.sign_in(self, who, **changes).values["code"]

    def signed_in(self, who: Somebody | None = None, **changes: Parameter) -> dict[str, Any]:
        """The token response after somebody signed in with a browser of their own; anybody at the desk will do."""
        if who is None:
            return body(self.redeem(self.code(**changes)))
        answer = self.provider.browser().sign_in(self, who, **changes)
        return body(self.redeem(answer.values["code"]))


@dataclass(frozen=True)
class Provider:
    """The provider of a test: its application, its clock, and the people and clients made in it."""

    app: Flask
    clock: FixedClock
    make: Factories
    desks: list[tuple[datetime, "Browser", Somebody]] = field(default_factory=list)

    @property
    def services(self) -> Services:
        services: Services = self.app.extensions["idp"]
        return services

    @property
    def issuer(self) -> str:
        return self.services.settings.issuer

    @property
    def path(self) -> str:
        return self.services.settings.issuer_path

    @property
    def origin(self) -> str:
        return self.issuer.removesuffix(self.path)

    @contextmanager
    def writing(self) -> Iterator[Unit]:
        with self.app.app_context(), self.services.units.writing() as unit:
            yield unit

    def somebody(self, required_from: Any = None, postpone_until: Any = None, **values: Any) -> Somebody:
        """A person in an organisation of their own, without a campaign unless told otherwise."""
        code = str(20000 + next(_numbers))
        organization = self.make.organization(code, required_from=required_from, postpone_until=postpone_until)
        return self.make.account(organization, values.pop("username", "anna"), org_code=code, **values)

    def client(self, client_id: str | None = None, **values: Any) -> RelyingParty:
        """A client; first-party, confidential and with the refresh_token grant unless told otherwise. One that
        authenticates by private_key_jwt has a key for each algorithm.
        """
        if values.get("token_endpoint_auth_method") == "private_key_jwt" and "jwks_uri" not in values:
            values.setdefault("jwks", jwks_of(*map(key_of, ("ES256", "RS256", "EdDSA"))))
        made = self.make.client(client_id or f"client-{next(_numbers)}", **values)
        return RelyingParty(self, made, values.get("token_endpoint_auth_method", "client_secret_basic"))

    def public_client(self, **values: Any) -> RelyingParty:
        return self.client(token_endpoint_auth_method="none", application_type="browser", **values)

    def browser(self) -> "Browser":
        return Browser(self)

    def desk(self) -> tuple["Browser", Somebody]:
        """A browser that stays signed in, and its person, for tests to which it does not matter who signs in."""
        now = self.clock.now()
        if not self.desks or now - self.desks[-1][0] > DESK_LASTS:
            self.desks.append((now, self.browser(), self.somebody()))
        return self.desks[-1][1:]

    def get(self, path: str, headers: Mapping[str, str] | None = None, query: str | bytes = "") -> TestResponse:
        """A GET without cookies, as a client's server makes it. Paths stand below the issuer's."""
        return self.app.test_client(use_cookies=False).get(
            self.path + path, base_url=self.origin, headers=dict(headers or {}), environ_overrides=_query(query)
        )

    def post(
        self,
        path: str,
        body: str | bytes,
        headers: Mapping[str, str] | None = None,
        content_type: str | None = FORM,
        query: str | bytes = "",
    ) -> TestResponse:
        return self.app.test_client(use_cookies=False).post(
            self.path + path,
            base_url=self.origin,
            data=body,
            headers=dict(headers or {}),
            content_type=content_type,
            environ_overrides=_query(query),
        )

    def userinfo(self, access_token: str) -> TestResponse:
        return self.get("/userinfo", {"Authorization": f"Bearer {access_token}"})

    def key_set(self) -> KeySet:
        """The published keys, as a client reads them."""
        keys: Any = body(self.get("/jwks"))
        return KeySet.import_key_set(keys)

    def decoded(self, id_token: str) -> jwt.Token:
        """Header and claims of a token whose signature verifies with a published key."""
        return jwt.decode(id_token, self.key_set(), registry=Registry(keys.ALGORITHMS))

    def claims(self, id_token: str) -> dict[str, Any]:
        return dict(self.decoded(id_token).claims)


class Browser:
    """A browser with its cookies. It answers the prompts it meets as the person would."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.client = provider.app.test_client()
        self.seen: list[TestResponse] = []

    def get(self, path: str, headers: Mapping[str, str] | None = None, query: str | bytes = "") -> TestResponse:
        """`path` below the issuer's path, or a location that the provider gave."""
        return self._kept(self.client.get, path, headers=dict(headers or {}), environ_overrides=_query(query))

    def post(
        self, path: str, body: Mapping[str, str] | str | bytes, headers: Mapping[str, str] | None = None
    ) -> TestResponse:
        return self._kept(self.client.post, path, data=body, headers=dict(headers or {}), content_type=FORM)

    def _kept(self, method: Callable[..., TestResponse], path: str, **options: Any) -> TestResponse:
        below = self.provider.path
        if not path.startswith(f"{below}/"):
            path = below + path
        response = method(path, base_url=self.provider.origin, **options)
        self.seen.append(response)
        return response

    def authorize(self, party: RelyingParty, **changes: Parameter) -> TestResponse:
        return self.get("/authorize", query=form_encoded(party.request(**changes)))

    def silent(self, party: RelyingParty, **changes: Parameter) -> Answer:
        """`prompt=none`."""
        return Answer.read(self.authorize(party, prompt="none", **changes))

    def sign_in(self, party: RelyingParty, who: Somebody, **changes: Parameter) -> Answer:
        """The whole journey of somebody who answers every prompt, and allows what is asked."""
        return Answer.read(self.finish(self.authorize(party, **changes), who))

    def deny(self, party: RelyingParty, who: Somebody, **changes: Parameter) -> Answer:
        """The journey of somebody who signs in and then allows nothing."""
        return Answer.read(self.finish(self.authorize(party, **changes), who, "deny"))

    def finish(self, response: TestResponse, who: Somebody, decision: str = "allow") -> TestResponse:
        """Goes on from a redirect of ours until the response leads back to the client."""
        for _ in range(20):
            if response.status_code == 303:
                location = response.headers["Location"]
                if urlsplit(location).scheme:
                    return response
                response = self.get(location)
                continue
            prompt = self._prompt(response)
            if prompt is None:
                return response
            response = self.post(*self.answered(response, self._filled_in(prompt, who, decision)))
        raise AssertionError("the journey has no end")

    def _prompt(self, response: TestResponse) -> str | None:
        found = re.fullmatch(rf"{self.provider.path}/s/[^/]+/([a-z_]+)", response.request.path)
        is_form = response.status_code == 200 and "csrf_token" in response.text
        return found[1] if found and is_form else None

    def _filled_in(self, prompt: str, who: Somebody, decision: str) -> dict[str, str]:
        if prompt == "identify":
            return who.names
        if prompt == "consent":
            return {"decision": decision}
        if prompt == "verify_second_factor":
            # One step later each time: every code is accepted once.
            self.provider.clock.move(STEP)
            return {"code": who.code(self.provider.services)}
        raise AssertionError(f"nobody knows how to answer {prompt}")

    def answered(self, response: TestResponse, fields: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """Where the form of a page goes, and what it carries with these answers."""
        (form,) = Page.read(response.text).root.one("main").all("form")[:1]
        hidden = {
            each.attributes["name"]: each.attributes.get("value", "")
            for each in form.all("input")
            if each.attributes.get("type") == "hidden"
        }
        return form.attributes.get("action") or response.request.path, {**hidden, **fields}
