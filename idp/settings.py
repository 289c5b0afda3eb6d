"""What an installation can set, and how it is read.

    environment  >  *_FILE  >  configuration file  >  config/default.toml  >  defaults in this module

`load()` is the only reader. Building `Settings(...)` directly reads nothing from outside. A setting has one name
everywhere: `session.idle_timeout` in these texts, `idle_timeout` below `[session]` in TOML, `IDP_SESSION__IDLE_TIMEOUT`
in the environment. An empty environment variable counts as not set. Secrets can come from a file that
`IDP_SECRET_KEY_FILE` (and the like) names. Everything that is wrong is told at once, in one `Misconfigured`.
"""

import difflib
import json
import math
import os
import re
import secrets
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from email.utils import parseaddr
from functools import cache
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, cast, get_args
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PrivateAttr,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from idp.kernel.errors import Misconfigured
from idp.kernel.resources import folder

PREFIX = "IDP_"
FILE_SUFFIX = "_FILE"
# Read by other parts of idp (the demo, the test suite) or by `load` itself; never settings.
OTHER_VARIABLES = ("IDP_CONFIG", "IDP_LOG", "IDP_NEW_PASSWORD")
OTHER_PREFIXES = ("IDP_DEMO_", "IDP_TEST_")
# What Kubernetes tells every container about a Service that is called `idp`.
SERVICE_LINKS = re.compile(r"IDP_SERVICE_(HOST|PORT)(_\w+)?|IDP_PORT_[0-9]+_(TCP|UDP|SCTP)(_\w+)?")

# --- Durations -------------------------------------------------------------------------------------------------------

_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_SHORT = re.compile("".join(rf"(?:(?P<{unit}>[0-9]+){unit})?" for unit in _UNITS))
_ISO_WEEKS = re.compile(r"P(?P<w>[0-9]+)W")
_ISO = re.compile(
    r"P(?:(?P<d>[0-9]+)D)?"
    r"(?:T(?=[0-9])(?:(?P<h>[0-9]+)H)?(?:(?P<m>[0-9]+)M)?(?:(?P<s>[0-9]+)(?:[.,](?P<fraction>[0-9]{1,3}))?S)?)?"
)
_DURATION_FORMS = "a duration such as 30s, 5m, 12h, 1d, 1h30m or PT30M"


def parse_duration(text: str) -> timedelta:
    """The duration that `30s`, `5m`, `1h30m`, `1d`, `500ms` or ISO 8601 (`PT30M`, `P1D`, `P2W`) says.

    Raises ValueError for anything else: a number without a unit, and ISO years and months, which have no fixed length.
    """
    written = text.strip()
    short = _SHORT.fullmatch(written)
    iso = _ISO.fullmatch(written.upper())
    weeks = _ISO_WEEKS.fullmatch(written.upper())
    try:
        if written and short:
            return sum((int(n) * _UNITS[unit] for unit, n in short.groupdict().items() if n), timedelta())
        if weeks:
            return timedelta(weeks=int(weeks["w"]))
        if iso and written.upper() != "P":
            parts = iso.groupdict()
            milliseconds = int((parts.pop("fraction") or "").ljust(3, "0"))
            whole = sum((int(n) * _UNITS[unit] for unit, n in parts.items() if n), timedelta())
            return whole + timedelta(milliseconds=milliseconds)
    except (OverflowError, ValueError) as error:
        raise ValueError("is longer than any duration can be") from error
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", written):
        raise ValueError("has no unit")
    raise ValueError("is not a duration")


def format_duration(duration: timedelta) -> str:
    """The shortest way to write it that `parse_duration` reads back: `30m`, `12h`, `1h30m`. Whole milliseconds only."""
    if duration < timedelta() or duration % _UNITS["ms"]:
        raise ValueError("only whole milliseconds from 0 can be written")
    written, rest = "", duration
    for unit, length in _UNITS.items():
        number, rest = divmod(rest, length)
        written += f"{number}{unit}" if number else ""
    return written or "0s"


def _to_duration(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError("has no unit")
    raise ValueError("is not a duration")


# --- Values with rules of their own ----------------------------------------------------------------------------------


def _is_loopback(host: str) -> bool:
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
    if url.scheme == "http" and not _is_loopback(host):
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


def _to_list(value: object) -> object:
    """The items of a list that is written in one line: as a JSON array, or separated by commas or white space."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise ValueError("is not a JSON array") from None
    return [item for item in re.split(r"[\s,]+", value) if item]


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Duration = Annotated[
    timedelta, BeforeValidator(_to_duration, json_schema_input_type=str), PlainSerializer(format_duration)
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


# --- The settings ----------------------------------------------------------------------------------------------------


class Group(BaseModel):
    """A table of the configuration file."""

    # A pydantic error would otherwise quote the value, which may be a secret.
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class DatabaseSettings(Group):
    """Where the facts are kept."""

    url: DatabaseUrl = Field(
        default="sqlite:///idp.db",
        repr=False,
        description="The database: SQLite in a file for one machine, PostgreSQL for more than one node. "
        "A relative SQLite path starts at the folder of the configuration file.",
        json_schema_extra={"allowed": "sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME", "secret_file": True},
    )
    pool_size: int = Field(
        default=5,
        ge=1,
        le=200,
        description="Connections per process. One for each thread and some for the embedded worker.",
    )
    busy_timeout: Duration = Field(
        default=5 * SECONDS, gt=ZERO, le=MINUTES, description="How long a connection waits for SQLite's single writer."
    )

    @property
    def shown_url(self) -> str:
        """The URL with its password masked, for logs and the command line."""
        return make_url(self.url).render_as_string(hide_password=True)


class SessionSettings(Group):
    """The single sign-on session. An organisation may set shorter times, never longer ones."""

    idle_timeout: Duration = Field(
        default=30 * MINUTES, gt=ZERO, le=DAYS, description="A session ends this long after its last activity, exactly."
    )
    absolute_timeout: Duration = Field(
        default=12 * HOURS,
        gt=ZERO,
        le=30 * DAYS,
        description="A session ends this long after it began, however busy it is.",
    )


class SignInSettings(Group):
    """One attempt to sign in."""

    interaction_idle_timeout: Duration = Field(
        default=30 * MINUTES,
        gt=ZERO,
        le=DAYS,
        description="What was proven in an attempt to sign in counts no longer after this much time without an answer.",
    )
    request_lifetime: Duration = Field(
        default=24 * HOURS,
        gt=ZERO,
        le=7 * DAYS,
        description="How long an authorization request is kept, so that an old tab works.",
    )
    enrolment_reauthentication: Duration = Field(
        default=5 * MINUTES,
        gt=ZERO,
        le=HOURS,
        description="How fresh a proof must be before a second factor can be added or removed.",
    )
    known_device_lifetime: Duration = Field(
        default=90 * DAYS,
        gt=ZERO,
        le=366 * DAYS,
        description="How long a browser counts as known after somebody signed in with it; it has tries of its own.",
    )
    failures_per_source: int = Field(
        default=100,
        ge=5,
        le=100000,
        description="Wrong passwords from one address or IPv6 /64 within an hour before it is turned away.",
    )
    failures_per_organization: int = Field(
        default=300, ge=5, le=1000000, description="Wrong passwords for one organisation within an hour: an alarm."
    )
    failures_overall: int = Field(
        default=1000,
        ge=5,
        le=10000000,
        description="Wrong passwords within an hour: an alarm, and each source has a tenth of its tries left.",
    )


class TokenSettings(Group):
    """How long codes and tokens live."""

    authorization_code_lifetime: Duration = Field(
        default=60 * SECONDS,
        gt=ZERO,
        le=10 * MINUTES,
        description="Lifetime of an authorization code (RFC 6749 4.1.2: at most 10 minutes).",
    )
    access_token_lifetime: Duration = Field(
        default=5 * MINUTES,
        ge=SECONDS,
        le=HOURS,
        description="Lifetime of an access token; the idle deadline of its session ends it earlier.",
    )
    id_token_lifetime: Duration = Field(
        default=5 * MINUTES,
        ge=SECONDS,
        le=HOURS,
        description="Lifetime of an ID token. It proves a moment, not a session.",
    )
    refresh_rotation_grace: Duration = Field(
        default=30 * SECONDS,
        ge=ZERO,
        le=5 * MINUTES,
        description="How long a rotated refresh token still yields its unused successor, for an answer that got lost.",
    )
    offline_lifetime: Duration = Field(
        default=30 * DAYS,
        gt=ZERO,
        le=366 * DAYS,
        description="Access of an application without a session (offline_access) ends after this.",
    )


class SecondFactorSettings(Group):
    """How wrong codes are paid for, per account and factor, over all browsers and nodes."""

    attempts: int = Field(
        default=5,
        ge=5,
        le=5,
        description="Wrong tries within the window before the waits begin. The table of attempts holds five.",
    )
    attempts_window: Duration = Field(
        default=15 * MINUTES, gt=ZERO, le=DAYS, description="The window in which wrong tries are counted."
    )
    wait_first: Duration = Field(
        default=MINUTES, gt=ZERO, le=HOURS, description="The first wait; each next one is twice as long."
    )
    wait_longest: Duration = Field(default=60 * MINUTES, gt=ZERO, le=DAYS, description="No wait is longer than this.")
    disable_after: int = Field(
        default=100,
        ge=10,
        le=100,
        description="Wrong tries in a row that disable the factor (NIST SP 800-63B-4 3.2.2: at most 100).",
    )
    reset_window: Duration = Field(
        default=72 * HOURS,
        gt=ZERO,
        le=30 * DAYS,
        description="How long somebody can enrol anew after a reset by the service desk.",
    )
    reset_undo: Duration = Field(
        default=10 * MINUTES,
        gt=ZERO,
        le=DAYS,
        description="How long the service desk can undo a reset, while nothing new is enrolled.",
    )


class MailCodeSettings(Group):
    """Codes that are sent by e-mail."""

    lifetime: Duration = Field(
        default=10 * MINUTES,
        gt=ZERO,
        le=10 * MINUTES,
        description="How long a code can be used (NIST SP 800-63B-4 3.1.3.2: at most 10 minutes).",
    )
    pause: Duration = Field(
        default=30 * SECONDS, gt=ZERO, le=10 * MINUTES, description="Least time between two mails to one address."
    )
    per_hour: int = Field(default=5, ge=1, le=20, description="Mails with a code per account within an hour.")
    per_day: int = Field(default=20, ge=1, le=100, description="Mails with a code per account within a day.")
    per_address_per_hour: int = Field(
        default=30, ge=1, le=1000, description="Mails with a code per address within an hour, over all accounts."
    )


class PasswordSettings(Group):
    """Hashing with argon2id, and what a new password must be. Only mode test may hash weaker than the defaults."""

    time_cost: int = Field(default=2, ge=1, le=64, description="Argon2id passes over the memory.")
    memory_kib: int = Field(default=19456, ge=8, le=4194304, description="Argon2id memory of one hash, in KiB.")
    parallelism: int = Field(default=1, ge=1, le=16, description="Argon2id lanes.")
    concurrency: int = Field(default=2, ge=1, le=64, description="Hashes that run at the same time in one process.")
    queue: int = Field(
        default=20,
        ge=0,
        le=1000,
        description="Hashes that may wait for their turn in one process; more are turned away.",
    )
    minimum_length: int = Field(
        default=15,
        ge=8,
        le=64,
        description="Least length of a new password that can stand alone, in code points (NIST SP 800-63B-4 3.1.1.2).",
    )
    minimum_length_with_second_factor: int = Field(
        default=8,
        ge=8,
        le=64,
        description="Least length of a new password that a second factor always follows, in code points.",
    )


class MailSettings(Group):
    """The mail relay. Without this table idp sends no mail."""

    host: Host = Field(
        description="Name or address of the mail relay.", json_schema_extra={"allowed": "a host name or address"}
    )
    port: int = Field(default=587, ge=1, le=65535, description="Port of the mail relay.")
    username: str | None = Field(default=None, description="User name at the relay; leave out when it asks for none.")
    password: SecretStr | None = Field(default=None, description="Password at the relay.")
    sender: Sender = Field(
        description="The address mail comes from.",
        json_schema_extra={"allowed": "an address such as no-reply@example.org or Inloggen <no-reply@example.org>"},
    )
    tls: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="Encryption to the relay, its certificate checked. With a password none is for loopback only.",
    )
    timeout: Duration = Field(
        default=10 * SECONDS, gt=ZERO, le=2 * MINUTES, description="How long the relay may take for one step."
    )


class ServerSettings(Group):
    """The HTTP server that `idp serve` starts."""

    host: Host = Field(
        default="127.0.0.1",
        description="Address to listen on.",
        json_schema_extra={"allowed": "a host name or address"},
    )
    port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    workers: int = Field(default=2, ge=1, le=128, description="Processes.")
    threads: int = Field(default=1, ge=1, le=64, description="Threads that run Python, per process.")
    worker_embedded: bool = Field(
        default=True,
        description="Whether `idp serve` also does the work of `idp worker`: mail, notices to clients, idle sessions.",
    )


class EgressSettings(Group):
    """What idp itself fetches or calls: keys and logos of clients, back-channel logout."""

    allow_loopback: bool = Field(
        default=False,
        description="Whether such a call may go to this machine or a private network. For the demo and tests.",
    )


class MetricsSettings(Group):
    """Figures for Prometheus, on a port of their own: they are for who runs idp, and nobody else should reach them."""

    host: Host = Field(
        default="127.0.0.1",
        description="Address to listen on.",
        json_schema_extra={"allowed": "a host name or address"},
    )
    port: int | None = Field(default=None, ge=1, le=65535, description="Port to listen on. Without it there are none.")


class LogSettings(Group):
    """What idp tells on its standard error."""

    format: Literal["json", "console"] = Field(
        default="json", description="JSON lines for machines, or lines for people."
    )
    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        default="info", description="The least serious messages that are written."
    )


class Settings(BaseSettings):
    """All settings of one process, checked and unchangeable."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    mode: Mode = Field(
        default="production", description="What this installation is for. Everything but production relaxes something."
    )
    issuer: Issuer = Field(
        description="The issuer identifier: the URL that people, applications and tokens know this provider by.",
        json_schema_extra={
            "allowed": "https://HOST[:PORT][/PATH], no query, fragment or trailing slash; http on loopback"
        },
    )
    secret_key: SecretKey = Field(
        description="The key from which all others are derived. Modes demo and test make one up when it is missing.",
        json_schema_extra={"allowed": "32 random bytes or more, written as text: `openssl rand -base64 48`"},
    )
    previous_secret_keys: Annotated[tuple[SecretKey, ...], BeforeValidator(_to_list)] = Field(
        default=(),
        description="Earlier secret keys, newest first: what they sealed can still be read.",
        json_schema_extra={"allowed": "a list of keys"},
    )
    brand_name: BrandName = Field(
        default="Inloggen",
        max_length=60,
        description="The name of this service on its pages, in its mail and in authenticator apps.",
    )
    service_desk_phone: Text = Field(
        default="", max_length=60, description="The number people can call, as it should be read."
    )
    service_desk_hours: Text = Field(
        default="", max_length=120, description="When that number is answered, as it should be read."
    )
    default_language: Literal["nl", "en"] = Field(
        default="nl", description="The language for people whose own one is not known."
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_to_list)] = Field(
        default=(),
        description="Networks of the reverse proxies whose X-Forwarded-For is believed.",
        json_schema_extra={"allowed": "a list of networks such as 10.0.0.0/8 or 192.0.2.7/32"},
    )
    database: DatabaseSettings = Field(default=DatabaseSettings(), description="Where the facts are kept.")
    session: SessionSettings = Field(default=SessionSettings(), description="The single sign-on session.")
    sign_in: SignInSettings = Field(default=SignInSettings(), description="One attempt to sign in.")
    tokens: TokenSettings = Field(default=TokenSettings(), description="How long codes and tokens live.")
    second_factor: SecondFactorSettings = Field(
        default=SecondFactorSettings(), description="How wrong codes are paid for."
    )
    passwords: PasswordSettings = Field(
        default=PasswordSettings(), description="Hashing, and what a new password must be."
    )
    mail_codes: MailCodeSettings = Field(default=MailCodeSettings(), description="Codes that are sent by e-mail.")
    mail: MailSettings | None = Field(default=None, description="The mail relay. Without this table idp sends no mail.")
    server: ServerSettings = Field(default=ServerSettings(), description="The HTTP server.")
    egress: EgressSettings = Field(default=EgressSettings(), description="What idp itself fetches or calls.")
    metrics: MetricsSettings = Field(default=MetricsSettings(), description="Figures for Prometheus.")
    log: LogSettings = Field(default=LogSettings(), description="What idp tells on its standard error.")

    _origins: Mapping[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: `load` merges the layers, because it must know where each value came from."""
        return (init_settings,)

    @model_validator(mode="before")
    @classmethod
    def _make_up_secret_key(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("mode") in ("demo", "test") and "secret_key" not in values:
            return {**values, "secret_key": _random_secret_key()}
        return values

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problems = [f"{key}: {problem}" for key, problem in _contradictions(_flat(self))]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @property
    def is_secure(self) -> bool:
        """True when the issuer is https, so that cookies can be Secure."""
        return urlsplit(self.issuer).scheme == "https"

    @property
    def issuer_path(self) -> str:
        """The path of the issuer, without a trailing slash; empty when it has none."""
        return urlsplit(self.issuer).path

    @property
    def issuer_origin(self) -> str:
        """Scheme, host and port of the issuer, as a browser writes an origin (RFC 6454 6.2)."""
        url = urlsplit(self.issuer)
        port = url.port
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        standard = port is None or port == {"https": 443, "http": 80}[url.scheme]
        return f"{url.scheme}://{host}" if standard else f"{url.scheme}://{host}:{port}"

    @property
    def cookie_prefix(self) -> str:
        """What the names of cookies begin with; browsers accept `__Host-` only over https (RFC 6265bis 4.1.3.2)."""
        return "__Host-" if self.is_secure else ""

    @property
    def secret_key_id(self) -> str:
        """The id of the present secret key."""
        return key_id(self.secret_key)

    @property
    def secret_keys(self) -> Mapping[str, SecretStr]:
        """Every secret key by its id; the present one first."""
        return MappingProxyType({key_id(key): key for key in (self.secret_key, *self.previous_secret_keys)})

    def origin(self, key: str) -> str:
        """Where the value of a setting came from, for people: a variable, a file, or the defaults."""
        return self._origins.get(_leaf(key).key, DEFAULT_ORIGIN)


DEFAULT_ORIGIN = "default"


def key_id(key: SecretStr) -> str:
    """What a secret key is called where it must be named: the first 8 hexadecimal digits of its SHA-256."""
    return sha256(key.get_secret_value().encode()).hexdigest()[:8]


def _random_secret_key() -> SecretStr:
    return SecretStr(secrets.token_urlsafe(48))


# --- Rules between settings ------------------------------------------------------------------------------------------


def _contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Settings that are right by themselves and wrong together: (setting, what is wrong and what is allowed).

    `values` holds every valid setting by its key; a rule about a setting that is not in it is silent.
    """
    for shorter, longer in (
        ("session.idle_timeout", "session.absolute_timeout"),
        ("sign_in.interaction_idle_timeout", "sign_in.request_lifetime"),
        ("second_factor.wait_first", "second_factor.wait_longest"),
        ("tokens.refresh_rotation_grace", "tokens.offline_lifetime"),
    ):
        if shorter in values and longer in values and values[longer] < values[shorter]:
            lower, upper = format_duration(values[shorter]), format_duration(values[longer])
            yield longer, f"{upper} is shorter than `{shorter}` ({lower}); allowed: {lower} or longer"
    mode = values.get("mode")
    for key, least in (("passwords.time_cost", 2), ("passwords.memory_kib", 19456), ("passwords.parallelism", 1)):
        if mode is not None and mode != "test" and values.get(key, least) < least:
            yield key, f"{values[key]} is weaker than the default; allowed: {least} or more (less only in mode test)"
    lanes = values.get("passwords.parallelism", 1)
    if values.get("passwords.memory_kib", 8 * lanes) < 8 * lanes:
        least = 8 * lanes
        yield "passwords.memory_kib", f"is too little for {lanes} lanes; allowed: {least} or more (8 KiB per lane)"
    for key, floor in (
        ("passwords.minimum_length", "passwords.minimum_length_with_second_factor"),
        ("database.pool_size", "server.threads"),
        ("second_factor.disable_after", "second_factor.attempts"),
    ):
        if key in values and floor in values and values[key] < values[floor]:
            yield key, f"{values[key]} is less than `{floor}` ({values[floor]}); allowed: {values[floor]} or more"
    present, earlier = values.get("secret_key"), values.get("previous_secret_keys", ())
    ids = [key_id(key) for key in ((present,) if present else ()) + tuple(earlier)]
    if len(ids) != len(set(ids)):
        yield "previous_secret_keys", "holds a key twice, or the present one; allowed: each earlier key once"
    if "mail.host" in values:
        yield from _mail_contradictions(values)


def _mail_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "mail.username" in values and "mail.password" in values:
        if (values["mail.username"] is None) != (values["mail.password"] is None):
            missing = "mail.username" if values["mail.username"] is None else "mail.password"
            yield missing, "is missing; allowed: both `mail.username` and `mail.password`, or neither"
    if values.get("mail.tls") == "none" and values.get("mail.password") and not _is_loopback(values["mail.host"]):
        yield "mail.tls", "none would send the password readable to the relay; allowed: starttls or tls"


# --- One list of all settings ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaf:
    """One setting by its full name, with all there is to say about it."""

    key: str
    field: FieldInfo

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return PREFIX + self.key.upper().replace(".", "__")

    @property
    def variables(self) -> tuple[str, ...]:
        """Its environment variable, and for a secret the one that names a file."""
        return (self.variable, self.variable + FILE_SUFFIX) if self.is_secret else (self.variable,)

    @property
    def is_secret(self) -> bool:
        """True when the value may not be shown, and may come from a file that `<variable>_FILE` names."""
        return "SecretStr" in repr(self.field.annotation) or bool(self._extra.get("secret_file"))

    @property
    def allowed(self) -> str:
        """In words, which values are allowed."""
        said = self._extra.get("allowed")
        return str(said) if said else _allowed(self.field)

    @property
    def _extra(self) -> Mapping[str, Any]:
        extra = self.field.json_schema_extra
        return extra if isinstance(extra, dict) else {}

    def default(self) -> Any:
        return self.field.get_default(call_default_factory=True, validated_data={})

    def check(self, value: object) -> Any:
        """The value as the program uses it. Raises ValueError with what is wrong, without quoting the value."""
        try:
            return _adapter(self.key).validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            own = first.get("ctx", {}).get("error")
            reason = str(own) if own else first["msg"][:1].lower() + first["msg"][1:]
            place = f"item {first['loc'][0] + 1} " if first["loc"] and isinstance(first["loc"][0], int) else ""
            raise ValueError(place + reason) from None


@cache
def _adapter(key: str) -> TypeAdapter[Any]:
    field = LEAVES[key].field
    # Only what validates: the rest of the field (default, place in a repr) means nothing outside of its model.
    annotation: Any = cast(Any, Annotated)[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return TypeAdapter(annotation)


def _group_of(field: FieldInfo) -> type[Group] | None:
    """The model of a field that is a table; None for a setting."""
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, Group):
            return candidate
    return None


def _leaves() -> Iterator[Leaf]:
    for name, field in Settings.model_fields.items():
        group = _group_of(field)
        if group is None:
            yield Leaf(name, field)
        else:
            yield from (Leaf(f"{name}.{inner}", inner_field) for inner, inner_field in group.model_fields.items())


LEAVES: Mapping[str, Leaf] = MappingProxyType({leaf.key: leaf for leaf in _leaves()})
_GROUPS = frozenset(key.partition(".")[0] for key in LEAVES if "." in key)
_OPTIONAL_GROUPS = frozenset(name for name in _GROUPS if Settings.model_fields[name].default is None)


def _leaf(key: str) -> Leaf:
    if key not in LEAVES:
        raise Misconfigured([_unknown(key)])
    return LEAVES[key]


def _flat(settings: Settings) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key in LEAVES:
        holder: Any = settings
        *group, name = key.split(".")
        if group:
            holder = getattr(settings, group[0])
        if holder is not None:
            values[key] = getattr(holder, name)
    return values


def _allowed(field: FieldInfo) -> str:
    annotation = field.annotation
    choices = get_args(annotation)
    if annotation is bool:
        return "true or false"
    if choices and all(isinstance(choice, str) for choice in choices):
        return "one of " + ", ".join(choices)
    bounds = []
    for constraint in field.metadata:
        for kind, attribute, words in ((Gt, "gt", "more than"), (Ge, "ge", "at least"), (Le, "le", "at most")):
            if isinstance(constraint, kind):
                bound = getattr(constraint, attribute)
                bounds.append(f"{words} {format_duration(bound) if isinstance(bound, timedelta) else bound}")
    if annotation is timedelta:
        return ", ".join([_DURATION_FORMS, *bounds])
    if annotation is int:
        return "a whole number, " + ", ".join(bounds)
    longest = next((constraint.max_length for constraint in field.metadata if hasattr(constraint, "max_length")), None)
    return f"text of at most {longest} characters" if longest else "text"


def _unknown(key: str, origin: str = "") -> str:
    """The sentence about a key that is no setting, with the nearest one that is."""
    nearest = difflib.get_close_matches(key, LEAVES, n=1, cutoff=0.75)
    if not nearest:
        name = key.rpartition(".")[2]
        nearest = [leaf for leaf in LEAVES if leaf.rpartition(".")[2] == name][:1]
    nearest = nearest or difflib.get_close_matches(key, LEAVES, n=1, cutoff=0.5)
    hint = f": did you mean `{nearest[0]}`?" if nearest else "; `idp config template` lists all settings"
    return f"unknown setting `{key}`{hint}" + (f" ({origin})" if origin else "")


# --- Reading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Given:
    """A value as it was written, and where."""

    value: Any
    origin: str


def load(config: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this installation, from the environment, the configuration file and the defaults.

    `config` is the configuration file; without it the one that `IDP_CONFIG` names, without that none.
    `environ` stands for the environment of the process (`os.environ`).

    Raises Misconfigured with every problem there is: the setting, where its value came from and what is allowed.
    """
    environ = os.environ if environ is None else environ
    if config is None and environ.get("IDP_CONFIG"):
        config = Path(environ["IDP_CONFIG"])
    problems: list[str] = []
    given: dict[str, Given] = {}
    given |= _from_toml(folder("config") / "default.toml", problems)
    if config is not None:
        given |= _from_toml(config, problems)
    given |= _from_environment(environ, problems)
    values = _checked(given, problems)
    problems += [_problem(key, problem, given.get(key)) for key, problem in _contradictions(values)]
    if problems:
        raise Misconfigured(problems)
    if "database.url" in values:
        start = config.resolve().parent if config is not None else Path.cwd()
        values["database.url"] = _with_absolute_path(values["database.url"], start)
    try:
        settings = Settings.model_validate(_nested(values))
    except ValidationError as error:
        raise Misconfigured([str(found["msg"]) for found in error.errors(include_input=False)]) from None
    settings._origins = MappingProxyType({key: written.origin for key, written in given.items()})
    return settings


def _from_toml(path: Path, problems: list[str]) -> dict[str, Given]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror})")
        return {}
    except UnicodeDecodeError:
        problems.append(f"{path}: is not UTF-8")
        return {}
    except tomllib.TOMLDecodeError as error:
        problems.append(f"{path}: is not TOML ({error})")
        return {}
    return dict(_flatten(document, "", str(path), problems))


def _flatten(table: Mapping[str, Any], prefix: str, origin: str, problems: list[str]) -> Iterator[tuple[str, Given]]:
    for name, value in table.items():
        key = prefix + name
        if key in LEAVES:
            yield key, Given(value, origin)
        elif isinstance(value, dict):
            if not value and key not in _GROUPS:
                problems.append(_unknown(key, origin))
            yield from _flatten(value, f"{key}.", origin, problems)
        elif key in _GROUPS:
            problems.append(f"{key} ({origin}): is a table; allowed: [{key}] with its settings below it")
        else:
            problems.append(_unknown(key, origin))


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> dict[str, Given]:
    by_variable = {leaf.variable: leaf for leaf in LEAVES.values()}
    by_file = {leaf.variable + FILE_SUFFIX: leaf for leaf in LEAVES.values() if leaf.is_secret}
    direct: dict[str, Given] = {}
    from_files: dict[str, Given] = {}
    if environ.get("IDP_LOG"):
        direct["log.format"] = Given(environ["IDP_LOG"], "IDP_LOG in the environment")
    for variable in sorted(environ):
        name, value = variable.upper(), environ[variable]
        if not name.startswith(PREFIX) or name in OTHER_VARIABLES or name.startswith(OTHER_PREFIXES):
            continue
        if SERVICE_LINKS.fullmatch(name) or (name == "IDP_PORT" and "://" in value):
            continue
        if name not in by_variable and name not in by_file:
            key = name.removeprefix(PREFIX).lower().replace("__", ".")
            problems.append(_unknown(key, f"{variable} in the environment"))
        elif value and name in by_variable:
            direct[by_variable[name].key] = Given(value, f"{variable} in the environment")
        elif value and not environ.get(by_file[name].variable):
            leaf = by_file[name]
            try:
                content = Path(value).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "it is not UTF-8"
                problems.append(f"{leaf.key} ({variable} in the environment): cannot read the file {value} ({reason})")
                # Known to be meant, so that it is not also called missing.
                from_files[leaf.key] = Given(_UNREADABLE, variable)
            else:
                from_files[leaf.key] = Given(content, f"{value}, named by {variable}")
    return from_files | direct


_UNREADABLE = object()


def _checked(given: Mapping[str, Given], problems: list[str]) -> dict[str, Any]:
    """Every valid setting by its key; what is wrong or missing is added to the problems."""
    values: dict[str, Any] = {}
    used = {key.partition(".")[0] for key in given}
    mode = given["mode"].value if "mode" in given else LEAVES["mode"].default()
    for key, leaf in LEAVES.items():
        written = given.get(key)
        group = key.partition(".")[0]
        if group in _OPTIONAL_GROUPS and group not in used:
            continue
        if written is None:
            if not leaf.field.is_required():
                values[key] = leaf.default()
            elif key == "secret_key" and mode in ("demo", "test"):
                values[key] = _random_secret_key()
            else:
                names = "the configuration file or the environment as " + " or ".join(leaf.variables)
                problems.append(f"{key}: is not set; set it in {names}; allowed: {leaf.allowed}")
        elif written.value is not _UNREADABLE:
            try:
                values[key] = leaf.check(written.value)
            except ValueError as error:
                shown = "" if leaf.is_secret else f"{_shown(written.value)} "
                problems.append(_problem(key, f"{shown}{error}; allowed: {leaf.allowed}", written))
    return values


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _problem(key: str, problem: str, written: Given | None) -> str:
    return f"{key} ({written.origin if written else DEFAULT_ORIGIN}): {problem}"


def _with_absolute_path(url: str, start: Path) -> str:
    parsed = make_url(url)
    if parsed.drivername != "sqlite":
        return url
    absolute = os.path.normpath(start / cast(str, parsed.database))
    return parsed.set(database=absolute).render_as_string(hide_password=False)


def _nested(values: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in values.items():
        group, _, name = key.rpartition(".")
        (tree.setdefault(group, {}) if group else tree)[name] = value
    return tree


# --- For people and editors ------------------------------------------------------------------------------------------


def schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file, so that editors complete and check it."""
    document = Settings.model_json_schema(mode="validation")
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    # A file may leave to the environment what must be set.
    document.pop("required", None)
    return document


def explain(key: str) -> str:
    """What a setting means, what is allowed, its default and its names. Raises Misconfigured with the nearest key."""
    leaf = _leaf(key)
    lines = [key, f"  {leaf.field.description}", f"  allowed: {leaf.allowed}", f"  default: {_written_default(leaf)}"]
    lines.append(f"  environment: {' or '.join(leaf.variables)}")
    return "\n".join(lines)


def _written_default(leaf: Leaf) -> str:
    if leaf.field.is_required():
        return "none, must be set"
    default = leaf.default()
    if default is None:
        return "none"
    if isinstance(default, timedelta):
        return format_duration(default)
    return json.dumps(list(default) if isinstance(default, tuple) else default, ensure_ascii=False)
