"""Request objects: an authorization request, signed by its client (OIDC Core 6, RFC 9101).

    by value        `request` is the object
    by reference    `request_uri` is a registered address where it stands; asked each time, through the guarded client
    signed          always, with a key and an algorithm of the client; `none` is refused
    what counts     profile `oidc`: the object overrides what was sent beside it (OIDC Core 6.1);
                    profile `fapi2`, and clients that must sign: the object alone (RFC 9101 6.3)

No unit of work is open while a client's server is asked or a signature is verified.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite
from typing import Any

from idp.egress.guarded import Answer, CallFailed, GuardedClient
from idp.egress.pauses import Pauses
from idp.egress.places import Places
from idp.kernel.clock import Clock
from idp.oidc import parameters
from idp.oidc.client_keys import ClientKeys
from idp.oidc.clients import Client
from idp.oidc.errors import NotAccepted
from idp.oidc.parameters import Parameters
from idp.oidc.request_checks import NAMES
from idp.oidc.signatures import ASYMMETRIC, Signed

log = logging.getLogger(__name__)

ALGORITHMS: Mapping[str, Sequence[str]] = {
    "oidc": ASYMMETRIC,
    # FAPI 2.0 5.4.1.
    "fapi2": tuple(alg for alg in ASYMMETRIC if alg != "RS256"),
}
TYPES = (None, "JWT", "OAUTH-AUTHZ-REQ+JWT", "APPLICATION/OAUTH-AUTHZ-REQ+JWT")
# RFC 9101 9.4.1, RFC 7519 10.3.1, RFC 7515 9.2.1.
MEDIA_TYPES = ("application/oauth-authz-req+jwt", "application/jwt", "application/jose")
# Clocks of clients may be ahead of ours by this much.
SKEW = timedelta(seconds=10).total_seconds()
# FAPI 2.0 Message Signing 5.3.1.
LONGEST_LIFE = timedelta(minutes=60).total_seconds()
LONGEST_JTI = 500
# What is remembered has an end.
LONGEST_MEMORY = timedelta(days=3650).total_seconds()


@dataclass(frozen=True)
class ReadRequest:
    """The parameters that count, and what may be used once: the `jti` of an object, until the object expires."""

    parameters: Parameters
    jti: str | None = None
    expires_at: int | None = None


class RequestObjects:
    """Reads what clients signed."""

    def __init__(self, clock: Clock, keys: ClientKeys, outgoing: GuardedClient, places: Places, issuer: str) -> None:
        self._clock, self._keys, self._outgoing, self._places, self._issuer = clock, keys, outgoing, places, issuer
        self._pauses = Pauses()

    def read(self, outer: Parameters, client: Client) -> ReadRequest:
        """The parameters that count, of what was sent and of the object that came with it, if one did.

        Raises NotAccepted: `invalid_request_object`, by reference `invalid_request_uri`, and `invalid_request` when
        both were sent or neither, though the client signs all of its requests; `temporarily_unavailable` when no
        thread can be spared to fetch it.
        """
        for name in ("request", "request_uri"):
            if outer.is_unusable(name):
                raise NotAccepted("invalid_request", f"{name} is sent more than once or is too long")
        by_value, by_reference = outer.get("request"), outer.get("request_uri")
        if by_value is not None and by_reference is not None:
            raise NotAccepted("invalid_request", "request and request_uri do not go together")
        if by_value is not None:
            return self._opened(by_value, outer, client, "invalid_request_object")
        if by_reference is not None:
            return self._opened(self._fetched(by_reference, client), outer, client, "invalid_request_uri")
        if client.require_signed_request_object:
            raise NotAccepted("invalid_request", "this client signs its requests, and this one is not signed")
        return ReadRequest(outer)

    def _opened(self, token: str, outer: Parameters, client: Client, error: str) -> ReadRequest:
        signed = self._verified(token, client)
        if signed is None:
            raise NotAccepted(error, "the request object is not signed as this client is registered to sign")
        if (wrong := next(self._faults(signed, client), None)) is not None:
            raise NotAccepted(error, f"the request object cannot be accepted: {wrong}")
        try:
            inner = parameters.of_claims(signed.claims, NAMES)
        except ValueError as fault:
            raise NotAccepted(error, f"the request object cannot be accepted: {fault}") from fault
        outer = outer.without("request", "request_uri")
        types = {outer.get("response_type"), inner.get("response_type")} - {None}
        if client.profile == "oidc" and len(types) > 1:
            raise NotAccepted(error, "response_type is another one outside of the request object")
        # What a client that signs all of its requests did not sign, it did not ask for (RFC 9101 6.3 and 10.5).
        stands_alone = client.profile == "fapi2" or client.require_signed_request_object
        counts = inner if stands_alone else outer.overridden_by(inner)
        jti, expires_at = signed.claims.get("jti"), signed.claims.get("exp")
        if not jti or expires_at is None:
            # Nothing says how long it would have to be remembered.
            return ReadRequest(counts)
        return ReadRequest(counts, jti, int(min(expires_at, self._now() + LONGEST_MEMORY)))

    def _verified(self, token: str, client: Client) -> Signed | None:
        allowed = ALGORITHMS[client.profile]
        if client.request_object_signing_alg is not None:
            allowed = [alg for alg in allowed if alg == client.request_object_signing_alg]
        return self._keys.verified(client, token, allowed)

    def _faults(self, signed: Signed, client: Client) -> Iterator[str]:
        """What is wrong with an object whose signature is right: it could be meant for something or somebody else."""
        claims, typ, audience = signed.claims, signed.header.get("typ"), signed.claims.get("aud")
        if (typ.upper() if isinstance(typ, str) else typ) not in TYPES:
            yield "its typ is that of something else"
        if self._issuer not in (audience if isinstance(audience, list) else [audience]):
            yield "aud does not name this provider"
        if claims.get("iss", client.client_id) != client.client_id:
            yield "iss is not the client"
        if claims.get("client_id", None if client.profile == "fapi2" else client.client_id) != client.client_id:
            yield "client_id is not the client"
        # RFC 9101 10.8: so that none is taken for an assertion that authenticates the client.
        if claims.get("sub") == client.client_id:
            yield "sub is the client, as in a client assertion"
        if {"request", "request_uri"} & set(claims):
            yield "it holds another request"
        jti = claims.get("jti", "")
        if not isinstance(jti, str) or len(jti) > LONGEST_JTI:
            yield "jti is no text, or too long"
        yield from self._faults_of_time(claims, client.profile)

    def _faults_of_time(self, claims: Mapping[str, Any], profile: str) -> Iterator[str]:
        now, times = self._now(), {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
        if not all(_is_number(value) for value in times.values()):
            yield "a time is no number"
            return
        expires_at, not_before = times.get("exp"), times.get("nbf")
        if expires_at is not None and now >= expires_at:
            yield "it has expired"
        if not_before is not None and not_before > now + SKEW:
            yield "it is not valid yet"
        if profile == "fapi2":
            if expires_at is None or not_before is None:
                yield "exp and nbf are required"
            elif expires_at - not_before > LONGEST_LIFE or not_before < now - LONGEST_LIFE:
                yield "it lives too long, or is too old"

    def _fetched(self, request_uri: str, client: Client) -> str:
        """What stands at a registered address (OIDC Core 6.2). A fragment tells versions apart for who keeps objects,
        which nobody does here.
        """
        address = request_uri.partition("#")[0]
        if request_uri not in client.request_uris and address not in client.request_uris:
            raise NotAccepted("invalid_request_uri", "this request_uri is not registered for the client")
        answer = self._answer(address, client)
        media_type = answer.content_type.partition(";")[0].strip().lower()
        if answer.status != 200 or media_type not in MEDIA_TYPES:
            raise NotAccepted("invalid_request_uri", "there is no request object at request_uri")
        return answer.body.decode("ascii", "replace").strip()

    def _answer(self, address: str, client: Client) -> Answer:
        """What stands there. Raises NotAccepted. All addresses of a client that registered itself rest together."""
        resting = client.client_id if client.registered_itself else address
        if self._pauses.rests(resting):
            raise NotAccepted("invalid_request_uri", "the request object could not be fetched a moment ago")
        try:
            with self._places.one(client.standing) as has_place:
                if not has_place:
                    raise NotAccepted("temporarily_unavailable", "too many request objects are being fetched")
                answer = self._outgoing.get(address)
        except CallFailed as failed:
            self._pauses.failed(resting)
            log.warning("a request object of client %s cannot be fetched: %s", client.client_id, failed.failure)
            raise NotAccepted("invalid_request_uri", "the request object cannot be fetched") from failed
        self._pauses.answered(resting)
        return answer

    def _now(self) -> float:
        return self._clock.now().timestamp()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 2**53 and isfinite(value)
