"""Organisations, people and clients for tests, written straight into the database of an application."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pyotp
from flask import Flask

from idp.accounts.models import Account, Organization
from idp.factors.models import Credential
from idp.factors.totp import key_text
from idp.kernel.secrets import hash_secret, random_identifier, random_token
from idp.oidc.clients import Client
from idp.wiring import Services
from tests import canary

PASSWORD = "een lang geheim wachtwoord 1"
REDIRECT_URI = "https://app.example/callback"


@dataclass(frozen=True)
class Somebody:
    """A person of a test: what they know and hold."""

    id: int
    org_code: str
    username: str
    password: str
    sub: str
    totp_secret: bytes | None = None

    @property
    def names(self) -> dict[str, str]:
        """The login form, filled in."""
        return {"organisation": self.org_code, "username": self.username, "password": self.password}

    def code(self, services: Services, steps: int = 0) -> str:
        """What the person's app shows now, or some steps of 30 seconds later."""
        assert self.totp_secret is not None
        at = services.clock.now() + timedelta(seconds=30 * steps)
        shown = pyotp.TOTP(key_text(self.totp_secret)).at(at)
        canary.knows(shown)
        return shown


@dataclass(frozen=True)
class SomeClient:
    """A client of a test, and its secret."""

    client_id: str
    secret: str | None
    redirect_uri: str


class Factories:
    """Makes what tests need; every call commits."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._services: Services = app.extensions["idp"]

    def organization(
        self,
        org_code: str = "10234",
        required_from: date | None = None,
        postpone_until: date | None = None,
        **values: Any,
    ) -> int:
        with self._app.app_context(), self._services.units.writing() as unit:
            organization = Organization(
                org_code=org_code,
                name=values.pop("name", "De Linde"),
                second_factor_required_from=required_from,
                postpone_until=postpone_until,
                created_at=self._services.clock.now(),
                **values,
            )
            unit.add(organization)
            unit.flush()
            return organization.id

    def account(
        self, organization_id: int, username: str = "anna", org_code: str = "10234", totp: bool = False, **values: Any
    ) -> Somebody:
        password = values.pop("password", PASSWORD)
        secret = self._services.answers.factors["totp"].begin_enrolment().secret if totp else None
        canary.knows(password, key_text(secret) if secret else None, secret.hex() if secret else None)
        with self._app.app_context():
            password_hash = self._services.passwords.hash(password)
            with self._services.units.writing() as unit:
                now = self._services.clock.now()
                account = Account(
                    organization_id=organization_id,
                    username=username,
                    username_shown=username,
                    sub=random_identifier(),
                    password_hash=password_hash,
                    name=values.pop("name", "Anna de Wit"),
                    email=values.pop("email", f"{username}@voorbeeld.example"),
                    created_at=now,
                    updated_at=now,
                    **values,
                )
                unit.add(account)
                unit.flush()
                if secret is not None:
                    sealed = self._services.envelope.seal(secret, f"credentials:{account.id}")
                    unit.add(Credential(account_id=account.id, method="totp", secret_sealed=sealed, enrolled_at=now))
                return Somebody(account.id, org_code, username, password, account.sub, secret)

    def person(self, **values: Any) -> Somebody:
        """Somebody in an organisation without a campaign."""
        return self.account(self.organization(), **values)

    def client(self, client_id: str = "atosi", **values: Any) -> SomeClient:
        method = values.get("token_endpoint_auth_method")
        secret = None if method in ("none", "private_key_jwt") else random_token() + random_token()
        sealed = None
        if secret is not None and method == "client_secret_jwt":
            sealed = self._services.envelope.seal(secret.encode(), f"clients:{client_id}")
        canary.knows(secret)
        now = self._services.clock.now()
        given: dict[str, Any] = {
            "client_id": client_id,
            "client_name": client_id.capitalize(),
            "client_secret_hash": hash_secret(secret) if secret else None,
            "client_secret_sealed": sealed,
            "token_endpoint_auth_method": "client_secret_basic",
            "application_type": "web",
            "redirect_uris": [REDIRECT_URI],
            "post_logout_redirect_uris": ["https://app.example/signed-out"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "scope": "openid profile email",
            "session_activity": "none",
            "first_party": True,
            "client_uri": "https://app.example/",
            "created_at": now,
            "updated_at": now,
        }
        client = Client(**{**given, **values})
        with self._app.app_context(), self._services.units.writing() as unit:
            unit.add(client)
        return SomeClient(client_id, secret, client.redirect_uris[0] if client.redirect_uris else "")
