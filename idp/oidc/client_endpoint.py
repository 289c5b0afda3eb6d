"""What the servers of clients call: how such a request is read, who sent it, and how it is refused. No Flask here.

read           parameters single-valued, decoded strictly
authenticate   one method, the registered one         (Authlib's registry, our readers)
refused        the error as the specification has it, and in the audit trail
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import ClientAuthentication, InvalidRequestError
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload

from idp.audit.events import TokenRequestRefused
from idp.oidc import client_authentication, clients, parameters
from idp.oidc.client_assertion import ClientAssertions
from idp.oidc.clients import Client
from idp.oidc.errors import plain_description
from idp.oidc.parameters import Parameters
from idp.oidc.recorded_refusals import RecordedRefusals
from idp.store.units import UnitsOfWork

log = logging.getLogger(__name__)

METHODS = list(clients.AUTHENTICATION_METHODS)
CREDENTIALS = ("client_id", "client_secret", "client_assertion", "client_assertion_type")
NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class ClientRequest:
    """A request as it came: `encoded` is the form body, or the query of a GET; `content_type` is None for a GET.

    `accept`: the media types that the client named, with any weight but nought.
    """

    encoded: bytes
    content_type: str | None
    authorization: str | None
    dpop: str | None = None
    method: str = "POST"
    accept: Collection[str] = ()


@dataclass(frozen=True)
class ClientResponse:
    """Status, JSON body and headers (RFC 6749 5). A body that is text has a type of its own in the headers."""

    status: int
    body: Mapping[str, Any] | str
    headers: tuple[tuple[str, str], ...] = NO_STORE


class ClientEndpoint:
    """Reads and refuses the requests of clients to the endpoint of this name."""

    def __init__(
        self,
        name: str,
        units: UnitsOfWork,
        refusals: RecordedRefusals,
        assertions: ClientAssertions,
        known_parameters: Sequence[str],
        records_strangers: bool = False,
        paths: Sequence[str] = (),
    ) -> None:
        """`records_strangers`: refusals stand in the audit trail also when no client proved who it is, a few an hour.

        `paths`: where it is, below the issuer, if not at its name.
        """
        self._name, self._units, self._refusals, self._records_strangers = name, units, refusals, records_strangers
        self._known_parameters = (*CREDENTIALS, *known_parameters)
        self._authentication = ClientAuthentication(self.find_client)
        self._authentication.register("none", client_authentication.none)
        self._authentication.register("client_secret_basic", client_authentication.client_secret_basic)
        self._authentication.register("client_secret_post", client_authentication.client_secret_post)
        for method in ("client_secret_jwt", "private_key_jwt"):
            self._authentication.register(method, assertions.reader(method, paths or (f"/{name}",)))

    def read(self, request: ClientRequest) -> Parameters:
        """The parameters. Raises InvalidRequestError for a body that is no form, and for a known one sent twice."""
        media_type = (request.content_type or "").partition(";")[0].strip().lower()
        has_body = request.content_type is not None and (request.encoded or media_type)
        if has_body and media_type != FORM:
            raise InvalidRequestError(f"the body must be {FORM}")
        try:
            read = parameters.parse(request.encoded)
        except parameters.Unreadable as error:
            raise InvalidRequestError(f"the parameters cannot be read: {error}") from error
        for name in self._known_parameters:
            if read.is_unusable(name):
                raise InvalidRequestError(f"{name} is sent more than once or is too long")
            if "\x00" in (read.get(name) or ""):
                raise InvalidRequestError(f"{name} contains a character that is not allowed")
        if request.content_type is None and ({"client_secret", "client_assertion"} & set(read.values)):
            # RFC 6749 2.3.1: never in the request URI, which ends up in logs.
            raise InvalidRequestError("client credentials do not belong into the query")
        return read

    def oauth2_request(self, request: ClientRequest, read: Parameters) -> OAuth2Request:
        """The request as Authlib takes it. Raises InvalidRequestError when the client authenticates in two ways."""
        client_authentication.require_one_method(read, request.authorization)
        sent = {"Authorization": request.authorization, "DPoP": request.dpop}
        headers = {name: value for name, value in sent.items() if value is not None}
        # Nothing reads the address; Authlib only wants one that is secure. Ours is where the proxy before us says.
        made = OAuth2Request("POST", f"https://{self._name}", headers=headers)
        made.payload = BasicOAuth2Payload({name: value for name, value in read.values.items() if value})
        return made

    def authenticate(self, request: OAuth2Request) -> Client:
        """The client that sent it, authenticated as it is registered. Raises InvalidClient."""
        method = client_authentication.method_of(request)
        try:
            client: Client = self._authentication(request, [method])
        except client_authentication.InvalidClient:
            raise
        except OAuth2Error as error:
            raise client_authentication.InvalidClient(f"no client authenticates so by {method}") from error
        return client

    def confidential_client(self, request: ClientRequest, read: Parameters) -> Client:
        """As `authenticate`; InvalidClient also for one that proved nothing because it keeps no secret."""
        client = self.authenticate(self.oauth2_request(request, read))
        if client.is_public:
            raise client_authentication.InvalidClient(f"{client.client_id} keeps no secret, and this is not for such")
        return client

    def refused(self, error: OAuth2Error, client: Client | None = None) -> ClientResponse:
        """The error response (RFC 6749 5.2), recorded if this client had proven by then that it is this one.

        What anybody can send as often as they like, also by a picture on some page, writes nothing: it is in the log.
        """
        status, body, headers = error()
        description = plain_description(str(body.get("error_description", "")))
        reason = plain_description(getattr(error, "reason", description))
        event = TokenRequestRefused(
            error=str(error.error),
            detail=reason,
            endpoint=self._name,
            client_id=client.client_id if client is not None else None,
        )
        if client is not None and (self._records_strangers or not client.is_public):
            self._refusals.record_for(client, event)
        elif client is None and self._records_strangers:
            self._refusals.record(event)
        else:
            log.warning("a request to %s was refused: %s: %s", self._name, error.error, reason)
        answer = {"error": error.error} | ({"error_description": description} if description else {})
        challenge = tuple(pair for pair in headers if pair[0] == "WWW-Authenticate")
        return ClientResponse(status or 400, answer, NO_STORE + challenge)

    def find_client(self, client_id: str) -> Client | None:
        """The client with exactly this identifier."""
        with self._units.reading() as unit:
            return clients.find(unit, client_id)
