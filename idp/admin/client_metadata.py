"""The metadata of clients as it travels (RFC 7591 2, OpenID Connect Registration 2): read into columns, written back.

    parsed        the JSON object of a request, with nothing in it that two programs could read differently
    read          its members, of the right type, as columns; what we do not know is left out, null is as good as absent
    localized     members such as `client_name#nl`
    written       what a client is registered with, defaults too

Whether values are good for us is checked elsewhere: `admin.clients`, `admin.client_credentials`, `admin.client_wishes`.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from idp.admin.refusals import Reasons
from idp.kernel.errors import Refused
from idp.oidc.clients import Client

LONGEST_TEXT = 200
LONGEST_URI = 2000
LONGEST_SCOPE = 1000
MOST_VALUES = 50
MOST_LOCALIZED = 50
# As the column holds it; nobody's session is as old.
LARGEST_NUMBER = 2**31 - 1
# A language tag as far as it matters here (RFC 5646 2.1).
LOCALIZED = re.compile(
    r"(client_name|client_uri|logo_uri|policy_uri|tos_uri)#([A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8}){0,4})"
)


def parsed(body: bytes) -> dict[str, Any]:
    """The JSON object. Raises Refused for anything else, a member that stands there twice among it (RFC 8259 4)."""
    try:
        found = json.loads(
            body.decode(), object_pairs_hook=_once, parse_float=_finite, parse_constant=_finite, parse_int=_readable
        )
        # Half of a character has no UTF-8, and PostgreSQL takes no NUL.
        is_text = "\x00" not in _all_text(found)
    except (ValueError, RecursionError) as error:
        raise Refused("client.metadata_unreadable", "the body is not a JSON object that can be read") from error
    if not isinstance(found, dict) or not is_text:
        raise Refused("client.metadata_unreadable", "the body is not a JSON object that can be read")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) < len(pairs):
        raise ValueError("a member stands there twice")
    return dict(pairs)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a number of JSON")
    return number


def _readable(text: str) -> int:
    if len(text) > 30:
        raise ValueError("a number that nobody needs")
    return int(text)


def _all_text(value: Any) -> str:
    """Every text inside. Raises UnicodeEncodeError, RecursionError."""
    text = json.dumps(value, ensure_ascii=False)
    text.encode()
    return text.replace("\\u0000", "\x00")


def _text(longest: int) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if not isinstance(value, str) or not value or len(value) > longest or not value.isprintable():
            raise ValueError(f"is a text of one line with 1 to {longest} characters")
        return value

    return read


def _texts(longest: int) -> Callable[[Any], Any]:
    each = _text(longest)

    def read(value: Any) -> Any:
        if not isinstance(value, list) or len(value) > MOST_VALUES:
            raise ValueError(f"is a list of at most {MOST_VALUES} values")
        try:
            return [each(item) for item in value]
        except ValueError as error:
            raise ValueError(f"is a list, and each of its values {error}") from error

    return read


def _yes_or_no(value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError("is true or false")
    return value


def _seconds(value: Any) -> Any:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_NUMBER:
        raise ValueError(f"is a whole number from 0 to {LARGEST_NUMBER}")
    return value


def _object(value: Any) -> Any:
    if not isinstance(value, dict):
        raise ValueError("is a JSON object")
    return value


@dataclass(frozen=True)
class Member:
    """A member of the metadata: how it is read, and in which column it is kept."""

    column: str
    read: Callable[[Any], Any]
    default: Any = None


_WORD, _URI = _text(LONGEST_TEXT), _text(LONGEST_URI)
_WORDS, _URIS = _texts(LONGEST_TEXT), _texts(LONGEST_URI)

MEMBERS: Mapping[str, Member] = MappingProxyType(
    {
        name: Member(column or name, read, [] if read in (_WORDS, _URIS) else False if read is _yes_or_no else None)
        for name, read, column in (
            ("redirect_uris", _URIS, ""),
            ("response_types", _WORDS, ""),
            ("grant_types", _WORDS, ""),
            ("application_type", _WORD, ""),
            ("contacts", _WORDS, ""),
            ("client_name", _WORD, ""),
            ("client_uri", _URI, ""),
            ("logo_uri", _URI, ""),
            ("policy_uri", _URI, ""),
            ("tos_uri", _URI, ""),
            ("scope", _text(LONGEST_SCOPE), ""),
            ("jwks_uri", _URI, ""),
            ("jwks", _object, ""),
            ("sector_identifier_uri", _URI, ""),
            ("subject_type", _WORD, ""),
            ("id_token_signed_response_alg", _WORD, ""),
            ("userinfo_signed_response_alg", _WORD, ""),
            ("introspection_signed_response_alg", _WORD, ""),
            ("request_object_signing_alg", _WORD, ""),
            ("require_signed_request_object", _yes_or_no, ""),
            ("token_endpoint_auth_method", _WORD, ""),
            ("token_endpoint_auth_signing_alg", _WORD, ""),
            ("default_max_age", _seconds, "default_max_age_seconds"),
            ("require_auth_time", _yes_or_no, ""),
            ("default_acr_values", _WORDS, ""),
            ("initiate_login_uri", _URI, ""),
            ("request_uris", _URIS, ""),
            ("post_logout_redirect_uris", _URIS, ""),
            ("backchannel_logout_uri", _URI, ""),
            ("backchannel_logout_session_required", _yes_or_no, ""),
            ("frontchannel_logout_uri", _URI, ""),
            ("frontchannel_logout_session_required", _yes_or_no, ""),
            ("require_pushed_authorization_requests", _yes_or_no, ""),
            ("dpop_bound_access_tokens", _yes_or_no, ""),
            ("software_id", _WORD, ""),
            ("software_version", _WORD, ""),
            # Of our own: docs/relying-applications.md.
            ("session_activity", _WORD, ""),
            ("profile", _WORD, ""),
        )
    }
)
"""Every member that can be registered."""


def read(document: Mapping[str, Any], wrong: Reasons) -> dict[str, Any]:
    """What was given, by column; the others have their empty value."""
    columns = {}
    for name, member in MEMBERS.items():
        given = document.get(name)
        columns[member.column] = member.default
        if given is not None:
            try:
                columns[member.column] = member.read(given)
            except ValueError as error:
                wrong.add("client.metadata_type", f"{name} {error}")
    return columns


def localized(document: Mapping[str, Any], wrong: Reasons) -> dict[str, Any]:
    """The members in a language of their own (OpenID Connect Registration 2.1), by their full names."""
    found = {}
    for name, value in document.items():
        match = LOCALIZED.fullmatch(name)
        if match is None or value is None:
            continue
        try:
            found[name] = MEMBERS[match[1]].read(value)
        except ValueError as error:
            wrong.add("client.metadata_type", f"{name} {error}")
    wrong.unless(
        len(found) <= MOST_LOCALIZED, "client.metadata_many", f"at most {MOST_LOCALIZED} members are in a language"
    )
    return found


def written(client: Client) -> dict[str, Any]:
    """Everything that the client is registered with (RFC 7591 3.2.1); no secret."""
    columns = {name: getattr(client, member.column) for name, member in MEMBERS.items()}
    # An application in the page is a `web` client without a secret to the specifications.
    columns["application_type"] = "native" if client.application_type == "native" else "web"
    return {name: value for name, value in columns.items() if value not in (None, [])} | client.localized
