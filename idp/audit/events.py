"""The kinds of events. The class name in snake case is the event's type."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Event:
    """Base: what an event may be about. Subclasses add what is particular to them.

    `actor` is who did it to somebody else, as at the service desk; empty where people act for themselves.
    """

    account_id: int | None = field(default=None, kw_only=True)
    organization_id: int | None = field(default=None, kw_only=True)
    client_id: str | None = field(default=None, kw_only=True)
    sid: str | None = field(default=None, kw_only=True)
    interaction_id: str | None = field(default=None, kw_only=True)
    actor: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class AuthorizationRefused(Event):
    """An authorization request was not accepted; `shown`: the end-user saw a page, the client heard nothing."""

    error: str
    detail: str
    shown: bool


@dataclass(frozen=True)
class FormRefused(Event):
    """A form came in without the token of this browser: forged, or from a page of another sign-in."""


@dataclass(frozen=True)
class SignInBegun(Event):
    """An interaction was opened; `prompt` was the first one due, for these `reasons`, under these rules."""

    prompt: str
    reasons: list[str]
    policy: dict[str, int | bool]


@dataclass(frozen=True)
class AttemptRefused(Event):
    """An attempt was not evaluated because of a wait or an exhausted count."""

    kind: str
    outcome: str


@dataclass(frozen=True)
class PasswordChecked(Event):
    """A password was evaluated; `outcome` is `right`, `wrong` or `blocked`."""

    outcome: str


@dataclass(frozen=True)
class OrganizationUnderAttack(Event):
    """ALARM. So many passwords were wrong for one organisation within an hour; once in that hour."""

    failures: int


@dataclass(frozen=True)
class PasswordsUnderAttack(Event):
    """ALARM. So many passwords were wrong within an hour; each source has a tenth of its tries until it is over."""

    failures: int


@dataclass(frozen=True)
class SecondFactorChecked(Event):
    """A second factor was evaluated; `outcome` is a `Verdict`."""

    method: str
    outcome: str


@dataclass(frozen=True)
class PromptDue(Event):
    """What has to be asked next, why, and under which rules."""

    prompt: str
    reasons: list[str]
    policy: dict[str, int | bool]


@dataclass(frozen=True)
class MethodChosen(Event):
    """The person wants to prove another of their methods."""

    method: str


@dataclass(frozen=True)
class CodeSent(Event):
    """A code is on its way to the person."""

    method: str
    purpose: str


@dataclass(frozen=True)
class CodeNotSent(Event):
    """A code was asked for before the next one may go; `limit` is what stood in the way."""

    method: str
    purpose: str
    limit: str


@dataclass(frozen=True)
class EnrolmentChecked(Event):
    """The first code of a factor that is being enrolled was evaluated."""

    method: str
    outcome: str


@dataclass(frozen=True)
class SecondFactorEnrolled(Event):
    """A second factor was proven for the first time and belongs to the account now."""

    method: str


@dataclass(frozen=True)
class CredentialDisabled(Event):
    """A second factor is disabled after too many wrong attempts in a row; it still counts as enrolled."""

    method: str


@dataclass(frozen=True)
class EnrolmentPostponed(Event):
    """The person confirmed that they want to choose a second factor later."""

    until: str


@dataclass(frozen=True)
class PostponementRefused(Event):
    """Postponing was asked for where it is not offered."""

    reason: str


@dataclass(frozen=True)
class ConsentGiven(Event):
    """The person allowed the client these scopes."""

    scope: str


@dataclass(frozen=True)
class ConsentDenied(Event):
    """The person refused the client."""


@dataclass(frozen=True)
class SessionOpened(Event):
    """A single sign-on session exists from now on."""

    acr: str
    amr: list[str]


@dataclass(frozen=True)
class SessionReauthenticated(Event):
    """The same account proved itself again; the session kept its `sid` and got a new secret."""

    acr: str
    amr: list[str]


@dataclass(frozen=True)
class SessionEnded(Event):
    """A session is over, and so is everything bound to it."""

    reason: str
    clients: int


@dataclass(frozen=True)
class SessionsEndedByAdministrator(Event):
    """`actor` ended so many sessions of somebody: one, whose `sid` is named, or all that were live."""

    sessions: int


@dataclass(frozen=True)
class CodeIssued(Event):
    """An authorization code was handed to the client."""

    acr: str


@dataclass(frozen=True)
class TokensIssued(Event):
    """Tokens were issued; `grant_type` says for what."""

    grant_type: str
    grant_id: str


@dataclass(frozen=True)
class TokenRevoked(Event):
    """A client gave a token back; with a refresh token (`kind`) goes everything of its authorization."""

    kind: str
    grant_id: str


@dataclass(frozen=True)
class OfflineAccessEnded(Event):
    """An application may not come any more while nobody is signed in: so many authorizations ended."""

    authorizations: int


@dataclass(frozen=True)
class TokenRequestRefused(Event):
    """The token endpoint, or another that servers of clients call, answered with an error."""

    error: str
    detail: str
    endpoint: str = "token"


@dataclass(frozen=True)
class CodeReused(Event):
    """A code was presented again after its success; what its first use produced is revoked."""

    grant_id: str


@dataclass(frozen=True)
class RefreshTokenReused(Event):
    """ALARM. A superseded refresh token came back after the grace time; its whole family is revoked."""

    grant_id: str


@dataclass(frozen=True)
class AccountChanged(Event):
    """An administrator created or changed an account; `change` says how, without values."""

    change: str
    reason: str | None = None


@dataclass(frozen=True)
class SecondFactorReset(Event):
    """The service desk withdrew every second factor of somebody; enrolling is possible until `enrolment_open_until`."""

    reset_id: int
    credentials: int
    enrolment_open_until: str
    reason: str
    caller_checked: str


@dataclass(frozen=True)
class SecondFactorResetUndone(Event):
    """The service desk took a reset back before anything new was enrolled; so many `credentials` hold again."""

    reset_id: int
    credentials: int


@dataclass(frozen=True)
class WaitLifted(Event):
    """The service desk ended a wait after wrong attempts (`kind`: `password` or `second_factor`); the count stays."""

    kind: str
    would_have_ended_at: str


@dataclass(frozen=True)
class ExtensionGiven(Event):
    """The service desk let one person postpone until `until`, that day included."""

    until: str
    reason: str


@dataclass(frozen=True)
class ExtensionWithdrawn(Event):
    """The service desk took the extension until `until` back."""

    until: str
    reason: str | None = None


@dataclass(frozen=True)
class OrganizationChanged(Event):
    """An administrator created or changed an organisation."""

    change: str


@dataclass(frozen=True)
class ClientChanged(Event):
    """An administrator registered, changed or ended a client."""

    change: str


@dataclass(frozen=True)
class SigningKeyChanged(Event):
    """A signing key was made, brought forward or retired; no `actor` when that was by its age."""

    change: str
    kid: str
    alg: str


@dataclass(frozen=True)
class ClientRegistration(Event):
    """A client registered itself, with the initial access token of this number or without one, or changed or ended its
    registration; `change` says which members, without values.
    """

    change: str
    registered_with: int | None = None


@dataclass(frozen=True)
class InitialAccessTokenChanged(Event):
    """An administrator added or revoked the token of this number, with which clients register themselves."""

    change: str
    number: int
    label: str


@dataclass(frozen=True)
class DatabaseRestored(Event):
    """A backup was put back; so many of each kind of what it had brought to life again are over."""

    ended: dict[str, int]
