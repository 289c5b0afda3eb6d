"""Kinds of values that have rules of their own."""

import json
import math
import re
import secrets
from collections import Counter
from datetime import timedelta
from email.utils import parseaddr
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from idp.settings.durations import format_duration, to_duration


def is_loopback(host: str) -> bool:
    """True for a name or address of this machine itself (RFC 6761 6.3)."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _check_issuer(value: str) -> str:
    """An issuer identifier (OpenID Connect Discovery 3, RFC 8414 2). It is compared as a string, so kept as it is."""
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise ValueError("may hold printable ASCII only (an international host name in its xn-- form)")
    try:
        url = urlsplit(value)
        host, _ = url.hostname, url.port
    except ValueError as error:
        raise ValueError("is not a URL") from error
    if url.scheme not in ("https", "http") or not host:
        raise ValueError("is not an https URL")
    if url.scheme == "http" and not is_loopback(host):
        raise ValueError("must be https: http is only for a loopback host")
    if url.username is not None or url.password is not None:
        raise ValueError("may not hold a user name or password")
    if "?" in value or "#" in value:
        raise ValueError("may not have a query or fragment")
    if value.endswith("/"):
        raise ValueError("may not end in a slash")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", url.path) or {".", ".."} & set(url.path.split("/")):
        raise ValueError("has a path with more than plain segments of letters, digits and . _ ~ -")
    return value


def _check_secret_key(value: SecretStr) -> SecretStr:
    """Refuses what is visibly no random key; random bytes written as hexadecimal or base64 pass."""
    key = value.get_secret_value()
    if len(key.encode()) < 32:
        raise ValueError("is shorter than 32 bytes")
    if any(key[period:] == key[:-period] for period in range(1, len(key) // 2 + 1)):
        raise ValueError("is one piece that repeats itself")
    steps = Counter(ord(right) - ord(left) for left, right in zip(key, key[1:], strict=False))
    if steps[1] + steps[-1] > len(key) / 2:
        raise ValueError("is a row of neighbouring characters")
    bits = -sum(n * math.log2(n / len(key)) for n in Counter(key).values())
    if bits < 80:
        raise ValueError("uses too few different characters to be random")
    return value


def _check_text(value: str) -> str:
    if not value.isprintable():
        raise ValueError("may not hold control characters")
    return value.strip()


def _check_brand_name(value: str) -> str:
    if not value:
        raise ValueError("is empty")
    if ":" in value:
        raise ValueError("may not hold a colon, which separates issuer and account in an authenticator app")
    return value


def _check_database_url(value: str) -> str:
    """SQLite in a file, or PostgreSQL through psycopg 3."""
    try:
        # `postgres://` is what hosting platforms hand out; SQLAlchemy has no dialect of that name.
        url = make_url(re.sub(r"^postgres://", "postgresql://", value))
    except (ArgumentError, ValueError) as error:
        raise ValueError("is not a database URL") from error.__cause__
    if url.drivername == "sqlite":
        if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
            raise ValueError("must name a file: each connection to a database in memory would see another one")
    elif url.drivername in ("postgresql", "postgresql+psycopg"):
        url = url.set(drivername="postgresql+psycopg")
        if not url.database:
            raise ValueError("does not name a database")
    else:
        raise ValueError("is for another kind of database")
    return url.render_as_string(hide_password=False)


def _check_sender(value: str) -> str:
    _, address = parseaddr(value)
    if not value.isprintable() or not re.fullmatch(r"[^@\s]+@[^@\s]+", address):
        raise ValueError("is not an e-mail address")
    return value


def _check_host(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.:_-]+", value):
        raise ValueError("is not a host name or address")
    return value


def _check_network(value: IPv4Network | IPv6Network) -> IPv4Network | IPv6Network:
    if value.prefixlen == 0:
        raise ValueError("would trust every address there is: anybody could then choose the address idp sees")
    return value


def to_list(value: object) -> object:
    """The items of a list that is written in one line: as a JSON array, or separated by commas or white space."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise ValueError("is not a JSON array") from None
    return [item for item in re.split(r"[\s,]+", value) if item]


def lower(value: object) -> object:
    """Text in lower case; anything else as it is."""
    return value.lower() if isinstance(value, str) else value


Duration = Annotated[
    timedelta, BeforeValidator(to_duration, json_schema_input_type=str), PlainSerializer(format_duration)
]
Text = Annotated[str, AfterValidator(_check_text)]
BrandName = Annotated[Text, AfterValidator(_check_brand_name)]
Issuer = Annotated[str, AfterValidator(_check_issuer)]
SecretKey = Annotated[SecretStr, AfterValidator(_check_secret_key)]
DatabaseUrl = Annotated[str, AfterValidator(_check_database_url)]
Host = Annotated[str, AfterValidator(_check_host)]
Sender = Annotated[str, AfterValidator(_check_sender)]
Network = Annotated[IPv4Network | IPv6Network, AfterValidator(_check_network)]
Mode = Literal["production", "development", "demo", "test"]

ZERO = timedelta()
SECONDS, MINUTES, HOURS, DAYS = (timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1))


def key_id(key: SecretStr) -> str:
    """What a secret key is called where it must be named: the first 8 hexadecimal digits of its SHA-256."""
    return sha256(key.get_secret_value().encode()).hexdigest()[:8]


def random_secret_key() -> SecretStr:
    """A new key: 384 random bits."""
    return SecretStr(secrets.token_urlsafe(48))
