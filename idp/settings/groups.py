"""The tables of the configuration file."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from sqlalchemy.engine import make_url

from idp.settings.values import DAYS, HOURS, MINUTES, SECONDS, ZERO, DatabaseUrl, Duration, Host, Sender, lower


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
    pushed_request_lifetime: Duration = Field(
        default=90 * SECONDS,
        ge=5 * SECONDS,
        lt=10 * MINUTES,
        description="How long a browser can come with a request that was pushed (RFC 9126 2.2), in whole seconds.",
    )
    pushed_requests_per_minute: int = Field(
        default=300,
        ge=1,
        le=100000,
        description="Requests pushed within a minute from one address or IPv6 /64 by applications that keep no secret "
        "or registered themselves, and by each that registered itself and keeps one.",
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
    dpop_nonce: Annotated[Literal["off", "on"], BeforeValidator(lower)] = Field(
        default="off",
        description="Whether a DPoP proof must carry a nonce of ours, so that none is made in advance (RFC 9449 8).",
    )


class KeySettings(Group):
    """Keys that sign tokens, and how they follow each other."""

    publish_ahead: Duration = Field(
        default=24 * HOURS,
        ge=10 * MINUTES,
        le=30 * DAYS,
        description="How long a new key is published before it signs: as long as applications keep the keys they read.",
    )
    publish_after: Duration = Field(
        default=30 * DAYS,
        ge=DAYS,
        le=366 * DAYS,
        description="How long a key stays published when another one signs: so long an id_token_hint of it works.",
    )
    rotate_after: Duration | None = Field(
        default=None,
        ge=DAYS,
        le=3660 * DAYS,
        description="A key signs for so long, and another one follows it. Without it keys are rotated by hand only.",
        json_schema_extra={"allowed": "a duration of a day or more, such as 90d"},
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
    threads: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Threads that run Python, per process; where applications may register themselves 3 at least, and "
        "4 where anybody may register one.",
    )
    worker_embedded: bool = Field(
        default=True,
        description="Whether `idp serve` also does the work of `idp worker`: mail, notices to clients, idle sessions.",
    )


class RegistrationSettings(Group):
    """Applications that register themselves, as clients of third parties (RFC 7591)."""

    mode: Literal["off", "token", "open"] = Field(
        default="off",
        description="Who may: nobody, who has a token of `idp client token add`, or anybody.",
    )
    max_per_minute: int = Field(
        default=20,
        ge=1,
        le=10000,
        description="Registrations and changes from one address or IPv6 /64 within a minute.",
    )
    unused_lifetime: Duration = Field(
        default=24 * HOURS,
        ge=10 * MINUTES,
        le=366 * DAYS,
        description="An application that registered itself without a token is gone when nobody signed in to it for so "
        "long.",
    )
    require_pkce: bool = Field(
        default=True,
        description="Whether confidential clients of the profile oidc that registered themselves must use PKCE, as all "
        "others must.",
    )
    allow_loopback: bool = Field(
        default=False,
        description="Whether web applications may have redirect URIs on loopback. For development and tests.",
    )
    logos: bool = Field(
        default=False,
        description="Whether the logo of such an application is fetched, once, drawn anew and shown to who signs in.",
    )


class EgressSettings(Group):
    """What idp itself calls: applications, to tell them that a session ended, and to read their keys."""

    allow_loopback: bool = Field(
        default=False,
        description="Whether such a call may go to this machine or a private network. For the demo and tests.",
    )


class AuditSettings(Group):
    """What stands in the audit trail."""

    refusals_per_hour: int = Field(
        default=200,
        ge=1,
        le=1000000,
        description="Refused requests that anybody can send, of one address or IPv6 /64 within an hour, that stand in "
        "the audit trail; more of them are in the log only.",
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
    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower)] = Field(
        default="info", description="The least serious messages that are written."
    )
