"""The pushed authorization request endpoint (RFC 9126 2): a client's server hands over its request before the browser
comes.

The client is authenticated as at the token endpoint; a key that it proves to have binds the code, as `dpop_jkt` does
(RFC 9449 10.1). Its request is judged completely, and what the browser brings later can change nothing in it.
"""

from dataclasses import replace
from datetime import timedelta

from authlib.oauth2 import OAuth2Error

from idp.attempts.counts import Counts, source_of
from idp.audit.trail import request_origin
from idp.kernel.clock import Clock
from idp.kernel.errors import ProtocolError, Throttled
from idp.oidc import pushed_requests
from idp.oidc.authorization_request import AuthorizationRequest
from idp.oidc.client_assertion import ClientAssertions
from idp.oidc.client_endpoint import NO_STORE, ClientEndpoint, ClientRequest, ClientResponse
from idp.oidc.clients import Client
from idp.oidc.discovery import PATHS
from idp.oidc.dpop import InvalidDpopProof, Proof, Proofs
from idp.oidc.errors import plain_description
from idp.oidc.recorded_refusals import RecordedRefusals
from idp.oidc.request_checks import NAMES
from idp.oidc.request_intake import RequestIntake
from idp.store.units import UnitsOfWork

KNOWN_PARAMETERS = tuple(name for name in (*NAMES, "request", "request_uri") if name != "client_id")
PATH = PATHS["pushed_authorization_request_endpoint"]


class PushedAuthorization:
    """Answers the endpoint."""

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        refusals: RecordedRefusals,
        assertions: ClientAssertions,
        intake: RequestIntake,
        proofs: Proofs,
        counts: Counts,
        lifetime: timedelta,
        per_minute: int,
    ) -> None:
        """`per_minute`: how many are taken of those that nobody answers for."""
        self._units, self._clock, self._intake, self._proofs = units, clock, intake, proofs
        self._counts, self._lifetime, self._per_minute = counts, lifetime, per_minute
        self._endpoint = ClientEndpoint("par", units, refusals, assertions, KNOWN_PARAMETERS)

    def respond(self, request: ClientRequest) -> ClientResponse:
        """201 with a `request_uri` that this client can send browsers with; errors as at the token endpoint, 429 for
        too many (2.3).
        """
        client = None
        try:
            read = self._endpoint.read(request)
            client = self._endpoint.authenticate(self._endpoint.oauth2_request(request, read))
            self._pay(client)
            accepted = self._intake.from_server(read, client)
            proof = None
            if request.dpop is not None:
                proof = self._proofs.verified(request.dpop, client, "POST", PATH)
                accepted = _bound(accepted, proof)
            kept = self._kept(accepted, proof)
        except Throttled as throttled:
            return _turned_away(throttled)
        except OAuth2Error as error:
            return self._endpoint.refused(error, client)
        except ProtocolError as error:
            refused = OAuth2Error(plain_description(error.description), error=error.error, status_code=400)
            return self._endpoint.refused(refused, client)
        return ClientResponse(201, kept)

    def _pay(self, client: Client) -> None:
        """One more of whoever this is, in this minute; before anything costs more. Raises Throttled.

        A client that keeps no secret is anybody at that address. One that registered itself is anybody's, and whoever
        has one can have many: it pays for itself and for where it comes from, or for neither. For the others an
        administrator answers.
        """
        if not (client.is_public or client.registered_itself):
            return
        source = ("source", source_of(request_origin.get()))
        with self._units.writing() as unit:
            for who in (source,) if client.is_public else (("client", client.client_id), source):
                if not self._counts.pay(unit, self._per_minute, *who):
                    raise Throttled(self._counts.left(unit, *who) or self._counts.window)

    def _kept(self, request: AuthorizationRequest, proof: Proof | None) -> dict[str, object]:
        request_uri = pushed_requests.new_request_uri()
        stored = replace(request, pushed_as=pushed_requests.name_of(request_uri)).as_json()
        with self._units.writing() as unit:
            if proof is not None:
                self._proofs.use(unit, proof)
            now = self._clock.now()
            pushed_requests.keep(unit, request_uri, request.client_id, stored, now, now + self._lifetime)
        return {"request_uri": request_uri, "expires_in": int(self._lifetime.total_seconds())}


def _turned_away(throttled: Throttled) -> ClientResponse:
    """429 (RFC 6585 4). Nothing is recorded: it would be a row for whatever anybody sends."""
    after = str(max(1, round(throttled.retry_after.total_seconds())))
    return ClientResponse(429, {"error": "temporarily_unavailable"}, (*NO_STORE, ("Retry-After", after)))


def _bound(request: AuthorizationRequest, proof: Proof) -> AuthorizationRequest:
    """The request for a code that is bound to this key. Raises InvalidDpopProof when it names another one."""
    if request.dpop_jkt not in (None, proof.jkt):
        raise InvalidDpopProof("dpop_jkt is the thumbprint of another key")
    return replace(request, dpop_jkt=proof.jkt)
