"""client_secret_jwt and private_key_jwt: a JWT that says who the client is (RFC 7523 2.2 and 3, OIDC Core 9).

    who       iss and sub are the client, and so is client_id where it is sent
    whose     an HMAC with the client's secret, or a signature by one of the client's keys
    for whom  this provider: by its issuer, its token endpoint or the address that is called; from clients of profile
              `fapi2` by the issuer alone
    when      once, within five minutes: see `_usable_until`
    once      its jti, across all nodes

Nothing tells the client what was wrong; the audit trail and the log do.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc.jwk import OctKey

from idp.kernel.clock import Clock
from idp.kernel.envelope import CannotOpen, Envelope
from idp.oidc import used_identifiers
from idp.oidc.client_authentication import FindClient, InvalidClient
from idp.oidc.client_keys import ClientKeys
from idp.oidc.clients import Client, sealed_secret_place
from idp.oidc.signatures import (
    ALGORITHMS_OF_METHOD,
    LEAST_SECRET_BYTES,
    Signed,
    decoded_json,
    header_of,
    verified_by,
)
from idp.store.units import UnitsOfWork

log = logging.getLogger(__name__)

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
# At every endpoint: it is how clients know us (RFC 7523 3, RFC 9126 2).
TOKEN_PATH = "/token"  # noqa: S105 - an address, not a password
# What a JWT may call itself that is meant for this: other kinds that a client signs have names of their own.
TYPES = ("jwt", "client-authentication+jwt")
LIFETIME = timedelta(minutes=5)
FURTHEST_EXPIRY = timedelta(hours=1)
# How far a client's clock may be ahead of ours.
TOLERATED_SKEW = timedelta(seconds=60)


class ClientAssertions:
    """Judges what clients present. One in a process."""

    def __init__(self, units: UnitsOfWork, clock: Clock, envelope: Envelope, keys: ClientKeys, issuer: str) -> None:
        self._units, self._clock, self._envelope, self._keys, self._issuer = units, clock, envelope, keys, issuer

    def reader(self, method: str, paths: Collection[str]) -> Callable[[FindClient, Any], Client | None]:
        """Reads this method at the endpoint with these paths, as Authlib's registry asks for it."""
        addresses = frozenset(self._issuer + path for path in (TOKEN_PATH, *paths))
        return lambda find, request: self._client(find, request.payload.data, method, addresses)

    def _client(self, find: FindClient, data: Mapping[str, str], method: str, addresses: frozenset[str]) -> Client:
        """The client that made the assertion, which is used up now. Raises InvalidClient. No unit of work is open
        while keys are fetched and signatures verified.
        """
        assertion = data.get("client_assertion", "")
        if data.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidClient("client_assertion_type is not that of a JWT")
        # Only to find out whose keys to look at: nothing of this is believed.
        named = decoded_json(assertion, 1).get("sub")
        client = find(named) if isinstance(named, str) else None
        if client is None:
            raise InvalidClient("sub of the assertion is no client")
        if client.token_endpoint_auth_method != method:
            raise InvalidClient(f"{client.client_id} does not authenticate by {method}")
        signed = self._signed(client, assertion, method)
        if signed is None:
            raise InvalidClient(f"the assertion is not one that {client.client_id} signed with an algorithm it may use")
        try:
            self._check(client, signed, data.get("client_id"), addresses)
            jti, until = _jti(signed.claims), _usable_until(client, signed.claims, self._clock.now())
        except _Wrong as wrong:
            raise InvalidClient(f"the assertion of {client.client_id}: {wrong}") from None
        with self._units.writing() as unit:
            is_first = used_identifiers.use(unit, "client_assertion", client.client_id, jti, until)
        if not is_first:
            raise InvalidClient(f"the assertion of {client.client_id} was used before")
        return client

    def _signed(self, client: Client, assertion: str, method: str) -> Signed | None:
        registered = client.token_endpoint_auth_signing_alg
        allowed = ALGORITHMS_OF_METHOD[client.profile].get(method, ())
        algorithms = [alg for alg in allowed if registered in (None, alg)]
        if method == "private_key_jwt":
            return self._keys.verified(client, assertion, algorithms)
        alg = str(header_of(assertion).get("alg"))
        secret = self._secret(client)
        if alg not in algorithms or secret is None or len(secret) < LEAST_SECRET_BYTES[alg]:
            return None
        return verified_by(assertion, OctKey.import_key(secret), alg)

    def _secret(self, client: Client) -> bytes | None:
        if client.client_secret_sealed is None:
            return None
        try:
            return self._envelope.open(client.client_secret_sealed, sealed_secret_place(client))
        except CannotOpen as error:
            log.error("the secret of a client cannot be opened: %s", error)
            return None

    def _check(self, client: Client, signed: Signed, in_body: str | None, addresses: frozenset[str]) -> None:
        """Who it is from and who it is for. Raises _Wrong."""
        header, claims = signed.header, signed.claims
        kind = header.get("typ", "JWT")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in TYPES:
            raise _Wrong("typ is that of another kind of JWT")
        if any(claims.get(name) != client.client_id for name in ("iss", "sub")):
            raise _Wrong("iss or sub is not the client")
        if in_body not in (None, client.client_id):
            raise _Wrong("client_id is another")
        audience = claims.get("aud")
        if client.profile == "fapi2":
            # FAPI 2.0 Security Profile 5.3.2.1-8.
            if audience != self._issuer:
                raise _Wrong("aud is not the issuer, as a single string")
            return
        named = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(one, str) and (one == self._issuer or one in addresses) for one in named):
            raise _Wrong("aud is neither the issuer, the token endpoint nor the address that was called")


class _Wrong(ValueError):
    """What is wrong with the claims of an assertion, for those who run the provider."""


def _jti(claims: Mapping[str, Any]) -> str:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti:
        raise _Wrong("jti is missing")
    return jti


def _usable_until(client: Client, claims: Mapping[str, Any], now: datetime) -> datetime:
    """When nobody can use it any more. Raises _Wrong for one that cannot be used now.

    Five minutes are enough, counted from `iat` where it is there: libraries that let theirs expire after an hour are
    understood, and what they made is as useless to a thief as any other. See docs/decisions/0023.
    """
    expires_at, issued_at, not_before = (_moment(claims, name) for name in ("exp", "iat", "nbf"))
    if expires_at is None:
        raise _Wrong("exp is missing")
    if any(moment is not None and moment - now > TOLERATED_SKEW for moment in (issued_at, not_before)):
        raise _Wrong("iat or nbf is in the future")
    furthest = LIFETIME if issued_at is None or client.profile == "fapi2" else FURTHEST_EXPIRY
    if expires_at - now > furthest + TOLERATED_SKEW:
        raise _Wrong("exp is too far away")
    until = expires_at if issued_at is None else min(expires_at, issued_at + LIFETIME)
    if until <= now:
        raise _Wrong("it is too old")
    return until


def _moment(claims: Mapping[str, Any], name: str) -> datetime | None:
    """What a NumericDate stands for (RFC 7519 2); None where there is none. Raises _Wrong."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError, OSError):
            return datetime.fromtimestamp(value, UTC)
    raise _Wrong(f"{name} is no moment")
