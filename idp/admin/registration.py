"""Clients register themselves and manage what they registered (RFC 7591, RFC 7592, OpenID Connect Registration 1.0).

    register   201: a client of a third party, for whoever has an initial access token, or for anybody; or nobody
    read       200 \\
    replace    200  } with the registration access token that the client got
    delete     204 /

A request is read and judged by itself first; then it is counted, so that what makes us call somebody's server is
bounded; then servers are called, with no unit of work open; then one unit of work decides and writes.
"""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from sqlalchemy.orm import Session as Unit

from idp.admin import client_decisions, client_end, client_metadata, initial_access_tokens, registration_request
from idp.admin.client_credentials import give_secret
from idp.admin.logos import drawn
from idp.admin.registration_request import NOBODY, Judge, Rules, token_in, wrong_token
from idp.attempts.counts import Counts, source_of
from idp.audit.events import ClientRegistration
from idp.audit.trail import Trail, request_origin
from idp.egress.guarded import TIMEOUT_IN_A_REQUEST, CallFailed, GuardedClient
from idp.egress.places import Places, Standing
from idp.kernel.clock import Clock, whole_seconds
from idp.kernel.envelope import Envelope
from idp.kernel.errors import ProtocolError, Refused, Throttled
from idp.kernel.secrets import hash_secret, is_same, random_identifier, random_token
from idp.oidc import clients
from idp.oidc.clients import Client
from idp.store.units import UnitsOfWork

log = logging.getLogger(__name__)

PATH = "/register"
MINUTE = timedelta(minutes=1)
# What an administrator may have decided about a client stays when the client replaces its metadata.
KEPT = ("client_id", "first_party", "minimum_acr", "access_token_format", "resources")
# What a client cannot choose. It is a third party's: people are asked.
NEW: Mapping[str, Any] = MappingProxyType(
    {"first_party": False, "minimum_acr": None, "require_pkce": True, "access_token_format": "opaque", "resources": []}
)


class Registration:
    """The endpoint for registration, and those for each client's own."""

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        trail: Trail,
        envelope: Envelope,
        counts: Counts,
        egress: GuardedClient,
        places: Places,
        issuer: str,
        rules: Rules,
        supported: Mapping[str, Any],
    ) -> None:
        """`supported`: what the provider says about itself. Nothing else can be registered."""
        self._units, self._clock, self._trail, self._envelope = units, clock, trail, envelope
        self._counts, self._egress, self._places, self._issuer = counts, egress, places, issuer
        self.rules, self._judge = rules, Judge(rules, supported)

    @property
    def is_on(self) -> bool:
        """Whether clients may register themselves at all; those that did can manage themselves only then."""
        return self.rules.mode != "off"

    def register(self, body: bytes, content_type: str | None, authorization: str | None) -> dict[str, Any]:
        """The client exists; its metadata, its credentials and how it manages them (RFC 7591 3.2.1).

        Raises WrongToken without a good initial access token where one is needed, ProtocolError for what is wrong with
        the metadata, Throttled.
        """
        token = self._initial_token(authorization)
        document = registration_request.document(body, content_type)
        client = self._judge.client(document, Client(client_id=random_identifier(), **NEW))
        client.require_pkce = self.rules.requires_pkce or client.is_public or client.profile == "fapi2"
        self._look_up(client, Standing.STRANGER if token is None else Standing.KNOWN, new_logo=True)
        registration_token = random_token()
        secret = give_secret(client, self._envelope)
        with self._units.writing() as unit:
            if token is not None:
                client.registered_with = initial_access_tokens.take(unit, token, self._clock.now())
                if client.registered_with is None:
                    raise wrong_token()
            client.registration_access_token_hash = hash_secret(registration_token)
            client.created_at = client.updated_at = self._clock.now()
            if token is None:
                # Anybody could have asked for it; a token is somebody who vouches.
                client.unused_until = client.created_at + self.rules.unused_lifetime
            unit.add(client)
            unit.flush()
            self._record(unit, client, "registered", client.registered_with)
            return self._told(client, registration_token, secret)

    def read(self, client_id: str, authorization: str | None) -> dict[str, Any]:
        """What is registered (RFC 7592 2.1). The secret is not in it: nobody here knows it. Raises WrongToken."""
        token = token_in(authorization)
        with self._units.reading() as unit:
            return self._told(_of_its_own(unit, client_id, token), token)

    def replace(
        self, client_id: str, body: bytes, content_type: str | None, authorization: str | None
    ) -> dict[str, Any]:
        """The metadata given is all that is registered (RFC 7592 2.2), but for what an administrator decided. The
        client's secret and token stay, unless another method of authentication needs another secret. Raises as
        `register`.
        """
        token = token_in(authorization)
        with self._units.reading() as unit:
            present = _of_its_own(unit, client_id, token)
        document = registration_request.document(body, content_type)
        registration_request.check_identity(document, present)
        wished = self._wished(document, present)
        with_logo = wished.logo_uri != present.logo_uri
        self._look_up(wished, present.standing, new_logo=with_logo)
        with self._units.writing() as unit:
            client = _of_its_own(unit, client_id, token, lock=True)
            # Once more, by what an administrator may have decided in between.
            logo, wished = wished.logo, self._wished(document, client)
            wished.logo = logo
            places = _places(client)
            changed = _move(wished, client, with_logo)
            # Before the next statement: the database takes no client whose secret does not go with its method.
            secret = give_secret(client, self._envelope)
            if not _places(client) <= places:
                # Codes go where nobody agreed to: whoever holds this token must not be let in by what people, or an
                # administrator, allowed somebody else.
                changed += client_decisions.become_stranger(client)
                client_end.forget_permissions(unit, client_id, self._clock.now())
            client.updated_at = self._clock.now()
            unit.flush()
            self._record(unit, client, f"replaced {', '.join(changed)}".strip())
            return self._told(client, token, secret)

    def _wished(self, document: Mapping[str, Any], present: Client) -> Client:
        """The client as it would be by this replacement. Raises ProtocolError."""
        made = Client(**{**NEW, **{name: getattr(present, name) for name in KEPT}})
        said, held = client_decisions.own(document, present), client_decisions.held(present)
        wished = self._judge.client(said, made, held)
        registration_request.check_subjects(wished, present)
        wished.require_pkce = present.require_pkce or wished.is_public or wished.profile == "fapi2"
        return wished

    def delete(self, client_id: str, authorization: str | None) -> None:
        """The client is gone, and with it everything that it could use (RFC 7592 2.3). Raises WrongToken."""
        token = token_in(authorization)
        with self._units.writing() as unit:
            client = _of_its_own(unit, client_id, token, lock=True)
            client_end.end(unit, client, self._clock.now())
            unit.flush()
            self._record(unit, client, "deleted")

    def _initial_token(self, authorization: str | None) -> str | None:
        """The initial access token, if it would be taken now. One that is not good is refused where none is needed too:
        whoever sent it believes in it.
        """
        if self.rules.mode == "open" and not authorization:
            return None
        token = token_in(authorization)
        with self._units.reading() as unit:
            if not initial_access_tokens.is_good(unit, token, self._clock.now()):
                raise wrong_token()
        return token

    def _look_up(self, client: Client, standing: Standing, new_logo: bool) -> None:
        """What stands at addresses of others. Raises ProtocolError, Throttled."""
        self._pay()
        client.logo = None
        logo_uri = client.logo_uri if new_logo and self.rules.keeps_logos else None
        if client.sector_identifier_uri is None and logo_uri is None:
            return
        with self._places.one(standing) as has_place:
            if not has_place:
                raise Throttled(TIMEOUT_IN_A_REQUEST)
            if client.sector_identifier_uri is not None:
                self._check_sector_document(client.sector_identifier_uri, client.redirect_uris)
            if logo_uri is not None:
                client.logo = self._picture(logo_uri)

    def _pay(self) -> None:
        """One more registration of whoever this is, in this minute. Raises Throttled."""
        source = source_of(request_origin.get())
        with self._units.writing() as unit:
            is_paid = self._counts.pay(unit, self.rules.per_minute, source)
            left = self._counts.left(unit, source)
        if not is_paid:
            raise Throttled(left or MINUTE)

    def _check_sector_document(self, uri: str, redirect_uris: Sequence[str]) -> None:
        """OpenID Connect Registration 5: its owner says that these redirect URIs belong to it."""
        try:
            answer = self._egress.get(uri)
            listed = json.loads(answer.body) if answer.status == 200 else None
        except (CallFailed, ValueError, RecursionError) as error:
            log.warning("the document of a sector cannot be read: %s", _in_the_log(f"{uri}: {error}"))
            listed = None
        if not isinstance(listed, list) or not all(uri in listed for uri in redirect_uris):
            raise ProtocolError(
                "invalid_client_metadata", "at sector_identifier_uri stands no JSON array that holds all redirect_uris"
            )

    def _picture(self, uri: str) -> bytes | None:
        """The logo, drawn anew; None when there is none to be had: nobody is turned away because of a picture."""
        try:
            answer = self._egress.get(uri)
            if answer.status == 200:
                return drawn(answer.body)
            reason = f"http {answer.status}"
        except (CallFailed, Refused) as error:
            reason = str(error)
        log.warning("the logo of a client cannot be shown: %s", _in_the_log(f"{uri}: {reason}"))
        return None

    def _told(self, client: Client, token: str, secret: str | None = None) -> dict[str, Any]:
        """RFC 7591 3.2.1 and RFC 7592 3."""
        told: dict[str, Any] = {
            "client_id": client.client_id,
            "client_id_issued_at": whole_seconds(client.created_at),
            "registration_access_token": token,
            "registration_client_uri": f"{self._issuer}{PATH}/{quote(client.client_id, safe='')}",
        }
        if secret is not None:
            told["client_secret"] = secret
        if client.client_secret_hash is not None:
            told["client_secret_expires_at"] = 0
        return told | client_metadata.written(client)

    def _record(self, unit: Unit, client: Client, change: str, token: int | None = None) -> None:
        event = ClientRegistration(change=change, registered_with=token, client_id=client.client_id)
        self._trail.record(unit, event)


def _of_its_own(unit: Unit, client_id: str, token: str, lock: bool = False) -> Client:
    """The client whose registration access token this is. Raises WrongToken, for a client that nobody knows too."""
    client = clients.find(unit, client_id)
    if client is not None and lock:
        # Whoever changes or ends it at the same moment is waited for, and what they wrote is seen.
        unit.refresh(client, with_for_update={"key_share": True})
    kept = client.registration_access_token_hash if client is not None else None
    if not is_same(kept or NOBODY, hash_secret(token)) or client is None or client.deleted_at is not None:
        raise wrong_token()
    return client


def _places(client: Client) -> set[str]:
    """Where the client lives: the origins of its redirect URIs, and those whole that have none."""
    return {clients.origin(uri) or uri for uri in client.redirect_uris}


def _move(wished: Client, client: Client, with_logo: bool) -> list[str]:
    """The client has the metadata that was wished; which members changed."""
    columns = [member.column for member in client_metadata.MEMBERS.values()]
    columns += ["localized", "sector_identifier", "require_pkce"]
    changed = [name for name in columns if getattr(client, name) != getattr(wished, name)]
    for name in changed:
        setattr(client, name, getattr(wished, name))
    if with_logo:
        client.logo = wished.logo
    return changed


def _in_the_log(text: str) -> str:
    return text.encode("unicode_escape").decode()[:500]
