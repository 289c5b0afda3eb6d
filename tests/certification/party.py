"""A client as the suite's modules make it: registered by itself with keys that have no `kid`, and without PKCE."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import requests

from tests.certification.suite import Received, Suite
from tests.client_assertions import jwks_of, key_of
from tests.relying_party import AuthorizationRequest, Departure, RelyingParty, Tokens, over_the_network

ALIAS = "idp-oidc"
WITHOUT_PKCE: dict[str, str | None] = {"code_challenge": None, "code_challenge_method": None}


class Provider:
    """The provider's front door, as the suite's back end knows it. `authority`: whose certificates it believes."""

    def __init__(self, issuer: str, authority: Any = None) -> None:
        self.issuer, self.authority = issuer, authority
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = True if authority is None else str(authority)

    def send(self, method: str, url: str, body: Any = None, token: str | None = None) -> requests.Response:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = None if body is None else json.dumps(body)
        return self._session.request(method, url, data=data, headers=headers, timeout=30)

    def push(self, form: Mapping[str, str]) -> requests.Response:
        """The answer to a pushed authorization request."""
        address = self.metadata["pushed_authorization_request_endpoint"]
        return self._session.post(address, data=dict(form), timeout=30)

    @property
    def metadata(self) -> Mapping[str, Any]:
        answer = self.send("GET", f"{self.issuer}/.well-known/openid-configuration")
        assert answer.status_code == 200
        found: Mapping[str, Any] = answer.json()
        return found

    def register(self, suite: Suite, **changes: Any) -> Mapping[str, Any]:
        """The answer to a registration as the modules send it, which is checked as they check it."""
        sent = {
            "client_name": "first-client",
            "grant_types": ["authorization_code"],
            "jwks": jwks_of(key_of("RS256"), kid=None),
            "token_endpoint_auth_method": "client_secret_basic",
            "response_types": ["code"],
            "redirect_uris": [suite.at(ALIAS, "callback")],
            "contacts": ["certification@cert.example"],
            **changes,
        }
        sent["jwks"] = {"keys": [_without_kid(key) for key in sent["jwks"]["keys"]]} if sent["jwks"] else None
        wanted = {name: value for name, value in sent.items() if value is not None}
        answer = self.send("POST", self.metadata["registration_endpoint"], wanted)
        assert answer.status_code == 201, answer.text
        assert answer.headers["Content-Type"] == "application/json"
        registered: Mapping[str, Any] = answer.json()
        assert registered["client_id"] and registered["registration_access_token"]
        assert registered["registration_client_uri"].startswith(self.issuer)
        if "client_secret" in registered:
            assert registered["client_secret_expires_at"] == 0
        assert {name: registered.get(name) for name in wanted} == wanted
        return registered

    def unregister(self, registered: Mapping[str, Any]) -> int:
        """The status of the answer to who gives its registration up."""
        address, token = registered["registration_client_uri"], registered["registration_access_token"]
        return self.send("DELETE", address, token=token).status_code

    def party(self, registered: Mapping[str, Any], **changes: Any) -> RelyingParty:
        """The client of an answer to a registration."""
        return RelyingParty(
            registered["client_id"],
            registered.get("client_secret"),
            registered["redirect_uris"][0],
            registered["token_endpoint_auth_method"],
            **{
                "issuer": self.issuer,
                "scope": "openid",
                "transport": over_the_network(30, self.authority),
                **changes,
            },
        )


def finish(party: RelyingParty, asked: AuthorizationRequest, received: Received) -> Tokens:
    """Verified tokens for what came to the callback, without PKCE. Raises ErrorResponse."""
    return party.exchange(party.code_of(departure(party, received), asked), asked, code_verifier=None)


def departure(party: RelyingParty, received: Received) -> Departure:
    """How an answer came to the callback."""
    by_form = received.method == "POST"
    assert not (by_form and received.query), "nothing is in the query of a form_post answer"
    mode, via = ("form_post", "form_post") if by_form else ("query", "handoff")
    return Departure(party.redirect_uri, received.parameters, mode, via)  # type: ignore[arg-type]


def _without_kid(key: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in key.items() if name != "kid"}
