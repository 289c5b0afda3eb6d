"""Authorization requests come in: by a browser, or pushed by the server of a client.

    from_browser    who asks; then the request that was pushed, or the one in the query, or in an object
    from_server     the same for a client that authenticated itself; nothing of it is shown to anybody

The parameters that count are found first, and then judged in one place: `authorization_request.validate`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Never

from idp.kernel.clock import Clock
from idp.oidc import clients, pushed_requests, used_identifiers
from idp.oidc.authorization_request import AuthorizationRequest, validate
from idp.oidc.clients import Client
from idp.oidc.errors import NotAccepted, SentToClient, ShownToEndUser
from idp.oidc.parameters import Parameters
from idp.oidc.request_checks import Checks
from idp.oidc.request_object import RequestObjects
from idp.oidc.requesting_client import certain_client, certain_redirect_uri, is_registered
from idp.store.units import UnitsOfWork


class RequestIntake:
    """Reads and judges authorization requests. Writes nothing."""

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        objects: RequestObjects,
        verified_id_token: Callable[[str], Mapping[str, Any] | None],
    ) -> None:
        self._units, self._clock, self._objects, self._verified_id_token = units, clock, objects, verified_id_token

    def from_browser(self, parameters: Parameters) -> tuple[AuthorizationRequest, Client]:
        """The request, and the client that makes it.

        Raises ShownToEndUser while client or redirect URI are not certain, SentToClient afterwards.
        """
        client = certain_client(parameters, self._find_client)
        request_uri = parameters.get("request_uri")
        if request_uri is not None and request_uri.startswith(pushed_requests.PREFIX):
            return self._pushed(request_uri, client), client
        if client.require_pushed_authorization_requests or client.profile == "fapi2":
            _refuse(parameters, client, "invalid_request", "this client pushes its requests, and this one was not")
        return self._accepted(parameters, client), client

    def from_server(self, parameters: Parameters, client: Client) -> AuthorizationRequest:
        """The request that an authenticated client makes. Raises NotAccepted, ShownToEndUser or SentToClient."""
        if parameters.get("request_uri") is not None or parameters.is_unusable("request_uri"):
            raise NotAccepted("invalid_request", "a request is pushed itself, not by a request_uri")
        if parameters.get("client_id") not in (None, client.client_id):
            raise NotAccepted("invalid_request", "client_id is not the client that authenticated itself")
        return self._accepted(parameters, client)

    def _accepted(self, parameters: Parameters, client: Client) -> AuthorizationRequest:
        try:
            read = self._objects.read(parameters, client)
            if read.parameters.get("client_id") is None:
                # RFC 9126 2.1, RFC 9101 4: it stands where the rest of the request does.
                raise NotAccepted("invalid_request", "client_id is missing")
        except NotAccepted as error:
            _refuse(parameters, client, error.error, error.description)
        request = validate(read.parameters, client, self._hinted_sub)
        if read.jti is None:
            return request
        with self._units.reading() as unit:
            is_used = used_identifiers.is_used(unit, "request_object", client.client_id, read.jti)
        if is_used:
            _refuse(read.parameters, client, "invalid_request_object", "the request object was used before")
        return replace(request, object_jti=read.jti, object_expires_at=read.expires_at)

    def _pushed(self, request_uri: str, client: Client) -> AuthorizationRequest:
        """What the client pushed. Nothing else that the browser brings counts (RFC 9126 4, RFC 9101 6.3)."""
        with self._units.reading() as unit:
            pushed = pushed_requests.find(unit, request_uri, client.client_id)
            now = self._clock.now()
        if pushed is None:
            raise ShownToEndUser("invalid_request_uri", "this client pushed no request with this request_uri")
        request = AuthorizationRequest.from_json(pushed.request)
        if not is_registered(request.redirect_uri, client):
            raise ShownToEndUser("invalid_request", "redirect_uri is not registered for the client any more")
        if pushed.completed_at is not None or now >= pushed.expires_at:
            raise SentToClient(
                "invalid_request_uri",
                "the request_uri was used before" if pushed.completed_at else "the request_uri has expired",
                client_id=client.client_id,
                redirect_uri=request.redirect_uri,
                response_mode=request.response_mode,
                state=request.state,
            )
        return request

    def _hinted_sub(self, hint: str) -> str | None:
        claims = self._verified_id_token(hint)
        return claims["sub"] if claims else None

    def _find_client(self, client_id: str) -> Client | None:
        with self._units.reading() as unit:
            return clients.find(unit, client_id)


def _refuse(parameters: Parameters, client: Client, error: str, description: str) -> Never:
    """The error is sent to the client where what can be read says where, and else shown."""
    try:
        redirect_uri = certain_redirect_uri(parameters, client)
    except ShownToEndUser:
        raise ShownToEndUser(error, description) from None
    Checks(parameters, client, redirect_uri).refuse(error, description)
