"""All that a check may see, in one frozen value, built in one place (`looks`): no database, no clock, no request."""

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class Asked:
    """What the client asks for, from the stored request and the client's registration."""

    prompt: frozenset[str] = frozenset()
    max_age: timedelta | None = None
    requested_levels: tuple[int, ...] = ()
    """The known levels among those asked for with `acr_values` or the `acr` claim."""
    acr_is_essential: bool = False
    client_minimum: int = 1
    scope: frozenset[str] = frozenset()
    offline_access: bool = False
    """Access is asked for while nobody is signed in."""
    first_party: bool = True
    anybody_can_pose_as_it: bool = False
    """A public client on a loopback or custom-scheme redirect: nothing proves which program it is (RFC 8252 8.6)."""

    @property
    def is_silent(self) -> bool:
        return "none" in self.prompt

    @property
    def demanded_level(self) -> int:
        """The lowest level asked for, and never less than the client's own minimum."""
        return max(min(self.requested_levels, default=1), self.client_minimum)


@dataclass(frozen=True)
class LiveSession:
    """The browser's live session."""

    account_id: int
    level: int
    age: timedelta
    """Since the password was asked."""
    factor_age: timedelta | None = None
    """Since a second factor that reaches its level was proven."""
    has_postponed: bool = False
    is_of_this_interaction: bool = False
    """It was opened, or authenticated again, by this very interaction."""


@dataclass(frozen=True)
class Enrolled:
    """A second factor that belongs to the account."""

    method: str
    reaches: int
    is_usable: bool


@dataclass(frozen=True)
class Person:
    """The account at hand: the one whose password was right, or the session's."""

    account_id: int
    enrolled: tuple[Enrolled, ...] = ()
    can_enrol: tuple[tuple[str, int], ...] = ()
    """The methods that may be enrolled now, and the level each reaches."""
    is_staff: bool = False
    is_required_to_enrol: bool = False
    is_postponable_today: bool = False
    has_been_reset: bool = False
    """The service desk withdrew every second factor, and nothing was enrolled since."""
    is_enrolment_closed: bool = False
    """The time for enrolling after a reset is over; another reset is needed."""
    granted_scope: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Proofs:
    """What was proven and decided in this interaction, and not yet turned into a session."""

    account_id: int | None = None
    """The account this interaction is pinned to."""
    password: bool = False
    password_age: timedelta | None = None
    factor_level: int | None = None
    has_postponed: bool = False
    has_consented: bool = False
    has_chosen_account: bool = False
    names_another_account: bool = False
    """Somebody else's name was typed while a session was already live."""


@dataclass(frozen=True)
class Situation:
    """A request, the browser's session, the proofs so far, and the person."""

    asked: Asked = field(default_factory=Asked)
    session: LiveSession | None = None
    proofs: Proofs = field(default_factory=Proofs)
    person: Person | None = None
    fresh_for_enrolment: timedelta = timedelta(minutes=5)

    @property
    def authenticated_here(self) -> bool:
        """True when the password was proven in this interaction, whether or not a session came of it yet."""
        return self.proofs.password or (self.session is not None and self.session.is_of_this_interaction)

    @property
    def factor_was_proven_in_session(self) -> bool:
        """True when, after the password here, the same account proved its factor in the live session: in another tab.

        A session that proved it before this password counts for nothing here: `prompt=login` asks for everything.
        """
        session, proofs = self.session, self.proofs
        if session is None or not proofs.password or session.account_id != proofs.account_id or session.level < 2:
            return False
        if session.factor_age is None or proofs.password_age is None:
            return False
        return session.factor_age < proofs.password_age

    @property
    def reached_level(self) -> int:
        """The level that holds now; 0 when nobody is known."""
        if self.proofs.password and not self.factor_was_proven_in_session:
            base = 1
        else:
            base = self.session.level if self.session else 0
        return max(base, self.proofs.factor_level or 0) if base else 0

    @property
    def has_proven_factor(self) -> bool:
        """True when a second factor was proven: here, or in the session and not before a password that is newer."""
        if self.proofs.factor_level is not None or self.factor_was_proven_in_session:
            return True
        return not self.proofs.password and self.session is not None and self.session.level > 1

    @property
    def has_postponed(self) -> bool:
        """True when postponing answers the enrolment prompt: decided here, or in this account's live session."""
        if self.proofs.has_postponed:
            return True
        return (
            self.session is not None
            and self.person is not None
            and self.session.account_id == self.person.account_id
            and self.session.has_postponed
        )
