"""Two endpoints of our own by which applications take part in the 30-minute clock: docs/relying-applications.md.

    POST /session/activity    the person did something in the application: moves the deadline, says the new one
    GET  /session/status      says the deadline, and moves nothing; also by POST, with the parameters in the body

A client speaks only of sessions in which it received tokens: authenticated, with the session's `sid`, or by an access
token of the session. For all others - over, unknown, of other clients - the answer is the same: not active.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError, UnauthorizedClientError
from sqlalchemy.orm import Session as Unit

from idp.kernel.clock import Clock, whole_seconds
from idp.oidc.client_assertion import ClientAssertions
from idp.oidc.client_endpoint import ClientEndpoint, ClientRequest, ClientResponse
from idp.oidc.clients import Client
from idp.oidc.discovery import PATHS
from idp.oidc.parameters import Parameters
from idp.oidc.protected_resource import InvalidToken, ProtectedResources, ResourceRequest, in_authorization
from idp.oidc.recorded_refusals import RecordedRefusals
from idp.sessions import idle
from idp.sessions.lifecycle import Sessions
from idp.sessions.models import Session
from idp.store.units import UnitsOfWork

NOT_ACTIVE: Mapping[str, Any] = {"active": False}
# Year 9999: nothing later is a moment.
LATEST = datetime.max.replace(tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class _Caller:
    """The client that speaks, and the session that it speaks of; who holds an access token authenticated nobody."""

    client: Client
    sid: str
    is_authenticated: bool


class SessionActivity:
    """Answers both endpoints."""

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        refusals: RecordedRefusals,
        assertions: ClientAssertions,
        sessions: Sessions,
        protected_resources: ProtectedResources,
    ) -> None:
        self._units, self._clock, self._sessions = units, clock, sessions
        self._protected_resources = protected_resources
        self._endpoint = ClientEndpoint(
            "session",
            units,
            refusals,
            assertions,
            ("sid", "last_activity_at"),
            paths=(PATHS["session_activity_endpoint"], PATHS["session_status_endpoint"]),
        )

    def status(self, request: ClientRequest) -> ClientResponse:
        """The deadline of the session, which is not moved. Raises AccessTokenError for a token that is not good."""
        try:
            caller = self._caller(request, self._endpoint.read(request), PATHS["session_status_endpoint"])
        except OAuth2Error as error:
            return self._endpoint.refused(error)
        with self._units.reading() as unit:
            return self._answer(self._session(unit, caller))

    def report(self, request: ClientRequest) -> ClientResponse:
        """The deadline, moved to the reported moment's if that is later. Nothing revives a session that is over.

        `last_activity_at` (NumericDate, decimals allowed) is when the person last did something; now, if it is left
        out. Raises AccessTokenError for an access token that is not good.
        """
        authenticated = None
        try:
            read = self._endpoint.read(request)
            caller = self._caller(request, read, PATHS["session_activity_endpoint"])
            authenticated = caller.client if caller.is_authenticated else None
            if caller.client.session_activity != "reported":
                raise UnauthorizedClientError("the client is not registered with session_activity reported")
            at = _moment(read.get("last_activity_at")) or self._clock.now()
        except OAuth2Error as error:
            return self._endpoint.refused(error, authenticated)
        with self._units.reading() as unit:
            session = self._session(unit, caller)
            if session is None or not self._is_news(unit, session, caller, at):
                return self._answer(session)
        with self._units.writing() as unit:
            session = self._session(unit, caller)
            if session is not None and self._sessions.report(unit, session, at, caller.client.client_id):
                unit.refresh(session)
            return self._answer(session)

    def _caller(self, request: ClientRequest, read: Parameters, path: str) -> _Caller:
        shown, sid = in_authorization(request.authorization), read.get("sid")
        if shown is None:
            client = self._endpoint.confidential_client(request, read)
            if sid is None:
                raise InvalidRequestError("sid is missing")
            return _Caller(client, sid, is_authenticated=True)
        if {"client_id", "client_secret", "client_assertion"} & set(read.values):
            raise InvalidRequestError("either the client authenticates, or it sends an access token")
        asked = ResourceRequest(request.method, path, request.authorization, request.dpop)
        found = self._protected_resources.admit(asked)
        # A token of the client alone, or of offline access, speaks of no session.
        if found.session is None or sid not in (None, found.session.sid):
            raise InvalidToken(scheme=shown.scheme)
        return _Caller(found.client, found.session.sid, is_authenticated=False)

    def _session(self, unit: Unit, caller: _Caller) -> Session | None:
        return self._sessions.load_live_of_client(unit, caller.sid, caller.client.client_id)

    def _is_news(self, unit: Unit, session: Session, caller: _Caller, at: datetime) -> bool:
        """The report moves the clock, or is the first of this client: by that, those that never report are known."""
        if idle.is_worth_writing(session, min(at, self._clock.now())):
            return True
        return not self._sessions.has_signalled(unit, session, caller.client.client_id)

    def _answer(self, session: Session | None) -> ClientResponse:
        now = self._clock.now()
        if session is None or not idle.is_live(session, now):
            return ClientResponse(200, NOT_ACTIVE)
        return ClientResponse(
            200,
            {
                "active": True,
                "sid": session.sid,
                "now": whole_seconds(now),
                "last_activity_at": whole_seconds(session.last_activity_at),
                "ends_at": whole_seconds(idle.ends_at(session)),
                "absolute_ends_at": whole_seconds(session.absolute_ends_at),
                "expires_in": idle.seconds_left(session, now),
                "idle_timeout": int(session.idle_timeout.total_seconds()),
            },
        )


def _moment(numeric_date: str | None) -> datetime | None:
    """The moment that a NumericDate stands for (RFC 7519 2); None for none. Raises InvalidRequestError."""
    if numeric_date is None:
        return None
    wrong = InvalidRequestError("last_activity_at is not a number of seconds since 1970")
    if not numeric_date.isascii() or not numeric_date.replace(".", "", 1).isdigit():
        raise wrong
    seconds = float(numeric_date)
    if not math.isfinite(seconds) or seconds >= LATEST:
        raise wrong
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)
