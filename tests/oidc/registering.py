"""What tests of registration share: metadata, and requests to the endpoints."""

import json
from dataclasses import dataclass
from typing import Any

from flask import Flask
from sqlalchemy import select
from werkzeug.test import TestResponse

from idp.oidc.clients import Client
from idp.store.base import metadata as tables
from idp.wiring import Services
from tests import canary
from tests.conftest import ISSUER
from tests.factories import SomeClient

CALLBACK = "https://rp.example/callback"
# As the certification suite sends it (demand E2).
METADATA: dict[str, Any] = {
    "client_name": "Een derde partij",
    "grant_types": ["authorization_code"],
    "response_types": ["code"],
    "token_endpoint_auth_method": "client_secret_basic",
    "redirect_uris": [CALLBACK],
    "contacts": ["ops@rp.example"],
}


@dataclass(frozen=True)
class Registrations:
    """The endpoints, as a client sees them."""

    app: Flask

    @property
    def services(self) -> Services:
        services: Services = self.app.extensions["idp"]
        return services

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str | None = None,
        content_type: str = "application/json",
        **headers: str,
    ) -> TestResponse:
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        data = body if body is None or isinstance(body, bytes | str) else json.dumps(body)
        answer = self.app.test_client(use_cookies=False).open(
            path,
            method=method,
            base_url=ISSUER,
            data=data,
            headers=headers,
            content_type=None if body is None else content_type,
        )
        if answer.is_json and isinstance(answer.json, dict):
            canary.knows(answer.json.get("client_secret"), answer.json.get("registration_access_token"))
        return answer

    def post(self, body: Any = METADATA, token: str | None = None, **options: Any) -> TestResponse:
        return self.send("POST", "/register", body, token, **options)

    def registered(self, token: str | None = None, **changes: Any) -> dict[str, Any]:
        """What the answer says when a client with these changes to the metadata is registered."""
        answer = self.post({**METADATA, **changes}, token)
        assert answer.status_code == 201, answer.text
        return dict(answer.json or {})

    def refused(self, body: Any = METADATA, token: str | None = None) -> str:
        """The error code of a registration that is refused."""
        answer = self.post(body, token)
        assert answer.status_code == 400 and answer.content_type == "application/json", answer.text
        said: dict[str, str] = answer.json or {}
        assert set(said) == {"error", "error_description"}
        assert all(" " <= letter <= "~" for letter in said["error_description"])
        assert answer.headers["Cache-Control"] == "no-store"
        return said["error"]

    def row(self, client_id: str) -> Client:
        """The row itself, of a client that is gone too."""
        with self.app.app_context(), self.services.units.reading() as unit:
            return unit.scalars(select(Client).where(Client.client_id == client_id)).one()

    def rows(self) -> dict[str, int]:
        """How many rows each table has that a refused request may not write to."""
        with self.app.app_context(), self.services.units.reading() as unit:
            return {
                name: len(unit.execute(select(table)).all())
                for name, table in tables.tables.items()
                if name != "event_counts"
            }


def some_client(registered: dict[str, Any]) -> SomeClient:
    return SomeClient(registered["client_id"], registered.get("client_secret"), registered["redirect_uris"][0])
