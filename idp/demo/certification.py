"""What a conformance suite finds at the provider under test: somebody with every standard claim, and clients.

Somebody of an organisation without a campaign, so that no second factor is ever due. The clients that a plan registers
itself are not among these; `conformance_suite` tells the suite of all.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from joserfc.jwk import RSAKey

from idp.kernel.errors import IdpError
from idp.wiring import Services

ORG_CODE = "cert"
USERNAME = "jane"
# No secret: it stands in files that go to the suite.
PASSWORD = "conformance is a virtue"  # noqa: S105 - everybody knows it
EMAIL = "jane@cert.example"
# Where the suite is when it runs on one's own machine.
SUITE = "https://localhost.emobix.co.uk:8443"
STATIC_ALIAS = "idp-static"
FAPI2_ALIAS = "idp-fapi2"
# The suite's second client of FAPI 2.0 asks for this.
SECOND_QUERY = "?dummy1=lorem&dummy2=ipsum"
KEY_BITS = 2048
# The clients that the plans do not register themselves: how they authenticate, or that they have keys.
WITH_SECRET = MappingProxyType(
    {"client": "client_secret_basic", "client2": "client_secret_basic", "client_secret_post": "client_secret_post"}
)
WITH_KEYS = ("fapi2", "fapi2-second", "fapi2-refused", "fapi2-second-refused")

# OIDC Core 5.1, but for those that an account has a column for.
STANDARD_CLAIMS: Mapping[str, Any] = MappingProxyType(
    {
        "middle_name": "Quinta",
        "nickname": "Janie",
        "profile": "https://cert.example/jane",
        "picture": "https://cert.example/jane.png",
        "website": "https://jane.cert.example/",
        "gender": "female",
        "birthdate": "1987-10-16",
        "zoneinfo": "Europe/Amsterdam",
        "phone_number": "+31 20 555 0123",
        "phone_number_verified": True,
        "address": {
            "formatted": "Keizersgracht 1\n1015 CC Amsterdam\nNetherlands",
            "street_address": "Keizersgracht 1",
            "locality": "Amsterdam",
            "region": "Noord-Holland",
            "postal_code": "1015 CC",
            "country": "Netherlands",
        },
    }
)


class OtherSuite(IdpError):
    """The folder's clients are registered for a suite elsewhere."""


@dataclass(frozen=True)
class Certification:
    """A demonstration that a conformance suite tests. `suite` is where that is, without a slash at its end; without an
    `issuer` it is the one of the demonstration, and with one a proxy on this machine speaks TLS.
    """

    suite: str = SUITE
    issuer: str | None = None

    def callback(self, alias: str) -> str:
        """Where a plan with this alias is answered."""
        return f"{self.suite}/test/a/{alias}/callback"


@dataclass(frozen=True)
class StaticClient:
    """A client as the suite is told of it; it has a secret or keys."""

    client_id: str
    client_secret: str | None = None
    jwks: Mapping[str, Any] | None = None


Clients = Mapping[str, StaticClient]
Keys = Mapping[str, Mapping[str, Any]]


def new_keys() -> Keys:
    """A private key for each client that has no secret, by the suite's names for them: PS256, because the suite leaves
    out what needs RSA keys for any other.
    """
    return {
        name: {
            "keys": [
                RSAKey.generate_key(KEY_BITS, {"kid": f"{name}-1", "use": "sig", "alg": "PS256"}, private=True).as_dict(
                    private=True
                )
            ]
        }
        for name in WITH_KEYS
    }


def add(services: Services, kit: Certification, keys: Keys) -> Clients:
    """The organisation, its person and the clients are there; those that are stay as they are. The clients, by the
    suite's names for them. Raises OtherSuite.
    """
    if not any(organization.org_code == ORG_CODE for organization in services.organizations.list()):
        services.organizations.add(ORG_CODE, "Certification")
        services.accounts.add(
            ORG_CODE,
            USERNAME,
            PASSWORD,
            name="Jane Quinta Doe",
            given_name="Jane",
            family_name="Doe",
            email=EMAIL,
            email_verified=True,
            locale="en",
            standard_claims=STANDARD_CLAIMS,
        )
    return {
        **{name: _with_secret(services, kit, name, method) for name, method in WITH_SECRET.items()},
        **{name: _with_keys(services, kit, name, keys[name]) for name in WITH_KEYS},
    }


def _with_secret(services: Services, kit: Certification, name: str, method: str) -> StaticClient:
    client_id = f"{STATIC_ALIAS}-{name.replace('_', '-')}"
    secret = services.derived_keys.mac_text("demo_client", client_id)
    callback = kit.callback(STATIC_ALIAS)
    if not _is_registered(services, client_id, callback):
        services.clients.add(
            f"Conformance suite, {name}",
            [callback],
            client_id=client_id,
            client_secret=secret,
            token_endpoint_auth_method=method,
            grant_types=("authorization_code", "refresh_token"),
            scope="openid profile email phone address offline_access",
            post_logout_redirect_uris=[f"{callback.removesuffix('callback')}post_logout_redirect"],
            # The classic plans send one request with PKCE, and the others without.
            require_pkce=False,
        )
    return StaticClient(client_id, client_secret=secret)


def _with_keys(services: Services, kit: Certification, name: str, jwks: Mapping[str, Any]) -> StaticClient:
    client_id, callback = f"idp-{name}", kit.callback(FAPI2_ALIAS)
    redirect_uris = [callback, callback + SECOND_QUERY] if "second" in name else [callback]
    if not _is_registered(services, client_id, callback):
        services.clients.add(
            f"Conformance suite, {name}",
            redirect_uris,
            client_id=client_id,
            token_endpoint_auth_method="private_key_jwt",  # noqa: S106 - the name of a method, not a password
            jwks=_public(jwks),
            grant_types=("authorization_code", "refresh_token"),
            scope="openid profile email phone address offline_access",
            profile="fapi2",
        )
    return StaticClient(client_id, jwks=jwks)


def _public(jwks: Mapping[str, Any]) -> dict[str, Any]:
    return {"keys": [RSAKey.import_key(dict(key)).as_dict(private=False) for key in jwks["keys"]]}


def _is_registered(services: Services, client_id: str, callback: str) -> bool:
    for client in services.clients.list():
        if client.client_id == client_id:
            registered = client.redirect_uris[0]
            if registered != callback:
                origin = urlsplit(registered)
                raise OtherSuite(
                    f"the clients of this folder are for the suite at {origin.scheme}://{origin.netloc}: "
                    "name that with --suite, or another folder with --data"
                )
            return True
    return False
