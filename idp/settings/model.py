"""All settings, and one list of them by their full names."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, cast, get_args
from urllib.parse import urlsplit

from annotated_types import Ge, Gt, Le
from pydantic import BeforeValidator, Field, PrivateAttr, SecretStr, TypeAdapter, ValidationError, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from idp.kernel.errors import Misconfigured
from idp.settings.durations import DURATION_FORMS, format_duration
from idp.settings.groups import (
    AuditSettings,
    DatabaseSettings,
    EgressSettings,
    Group,
    KeySettings,
    LogSettings,
    MailCodeSettings,
    MailSettings,
    MetricsSettings,
    PasswordSettings,
    RegistrationSettings,
    SecondFactorSettings,
    ServerSettings,
    SessionSettings,
    SignInSettings,
    TokenSettings,
)
from idp.settings.rules import contradictions
from idp.settings.values import BrandName, Issuer, Mode, Network, SecretKey, Text, key_id, random_secret_key, to_list

PREFIX = "IDP_"
FILE_SUFFIX = "_FILE"
DEFAULT_ORIGIN = "default"


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
    previous_secret_keys: Annotated[tuple[SecretKey, ...], BeforeValidator(to_list)] = Field(
        default=(),
        description="Earlier secret keys, newest first: what they sealed can still be read. The oldest makes the names"
        " by which pairwise clients know people.",
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
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(to_list)] = Field(
        default=(),
        description="Networks of the reverse proxies whose X-Forwarded-For is believed.",
        json_schema_extra={"allowed": "a list of networks such as 10.0.0.0/8 or 192.0.2.7/32"},
    )
    database: DatabaseSettings = Field(default=DatabaseSettings(), description="Where the facts are kept.")
    session: SessionSettings = Field(default=SessionSettings(), description="The single sign-on session.")
    sign_in: SignInSettings = Field(default=SignInSettings(), description="One attempt to sign in.")
    tokens: TokenSettings = Field(default=TokenSettings(), description="How long codes and tokens live.")
    keys: KeySettings = Field(default=KeySettings(), description="Keys that sign tokens.")
    second_factor: SecondFactorSettings = Field(
        default=SecondFactorSettings(), description="How wrong codes are paid for."
    )
    passwords: PasswordSettings = Field(
        default=PasswordSettings(), description="Hashing, and what a new password must be."
    )
    mail_codes: MailCodeSettings = Field(default=MailCodeSettings(), description="Codes that are sent by e-mail.")
    mail: MailSettings | None = Field(default=None, description="The mail relay. Without this table idp sends no mail.")
    server: ServerSettings = Field(default=ServerSettings(), description="The HTTP server.")
    registration: RegistrationSettings = Field(
        default=RegistrationSettings(), description="Applications that register themselves."
    )
    egress: EgressSettings = Field(default=EgressSettings(), description="What idp itself fetches or calls.")
    audit: AuditSettings = Field(default=AuditSettings(), description="What stands in the audit trail.")
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
            return {**values, "secret_key": random_secret_key()}
        return values

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        problems = [f"{key}: {problem}" for key, problem in contradictions(_flat(self))]
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
        return self._origins.get(leaf_of(key).key, DEFAULT_ORIGIN)


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
GROUPS = frozenset(key.partition(".")[0] for key in LEAVES if "." in key)
OPTIONAL_GROUPS = frozenset(name for name in GROUPS if Settings.model_fields[name].default is None)


def leaf_of(key: str) -> Leaf:
    """The setting of this full name. Raises Misconfigured with the nearest one."""
    if key not in LEAVES:
        raise Misconfigured([unknown(key)])
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
        return ", ".join([DURATION_FORMS, *bounds])
    if annotation is int:
        return "a whole number, " + ", ".join(bounds)
    longest = next((constraint.max_length for constraint in field.metadata if hasattr(constraint, "max_length")), None)
    return f"text of at most {longest} characters" if longest else "text"


def unknown(key: str, origin: str = "") -> str:
    """The sentence about a key that is no setting, with the nearest one that is."""
    nearest = difflib.get_close_matches(key, LEAVES, n=1, cutoff=0.75)
    if not nearest:
        name = key.rpartition(".")[2]
        nearest = [leaf for leaf in LEAVES if leaf.rpartition(".")[2] == name][:1]
    nearest = nearest or difflib.get_close_matches(key, LEAVES, n=1, cutoff=0.5)
    hint = f": did you mean `{nearest[0]}`?" if nearest else "; `idp config template` lists all settings"
    return f"unknown setting `{key}`{hint}" + (f" ({origin})" if origin else "")
