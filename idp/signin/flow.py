"""The pipeline at work: begin, look, advance, complete.

    begin      a validated request comes in: answer it at once, or open an interaction
    look       the situation of an interaction right now, and the prompt that is pending in it
    record     an answer to the pending prompt: proof recorded, list read again, session opened when nothing is due
    complete   nothing is left to ask: the code, once

Every public method is one use case: it opens its units of work, and what it returns is a value that a view turns into a
page. Any doubt means no: an interaction that is unknown, foreign, finished or expired never advances.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session as Unit

from idp.accounts.devices import Devices
from idp.accounts.models import Account, lock_account
from idp.accounts.names import LONGEST_TYPED
from idp.audit.events import CodeIssued, PromptDue, SignInBegun
from idp.audit.trail import Trail
from idp.factors.base import SecondFactor
from idp.kernel.clock import Clock
from idp.kernel.levels import PASSWORD, AcrValues
from idp.kernel.secrets import hash_secret, is_same, random_identifier, random_token
from idp.oidc import answered_once, authorization_response, clients, pushed_requests
from idp.oidc.authorization_code import AuthorizationCodes
from idp.oidc.authorization_request import AuthorizationRequest, requested_levels
from idp.oidc.authorization_response import AuthorizationResponse
from idp.oidc.clients import OFFLINE_ACCESS, Client
from idp.oidc.requesting_client import anybody_can_pose_as, is_registered
from idp.oidc.subjects import Subjects
from idp.sessions.lifecycle import Opened, Proven, Sessions
from idp.sessions.models import Session
from idp.signin import checks
from idp.signin.interaction import Interaction
from idp.signin.people import person_of
from idp.signin.prompts import Pending, next_prompt, silent_error
from idp.signin.situation import Asked, Enrolled, LiveSession, Person, Proofs, Situation
from idp.store.units import UnitsOfWork

# What `random_identifier` makes; anything else was never an interaction.
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{22}")

# The notice above a login form that has to be filled in again.
ONCE_MORE = "identify.notice.once_more"

# Where the browser goes when nothing is left to ask.
CONTINUE = "continue"


@dataclass(frozen=True)
class Browser:
    """What the browser holds: the secrets of its two cookies, if it has them. And how it speaks.

    `language` is what the person chose on our pages, `accepts` what the browser asks for; `device` is what it says it
    is, for mails that tell where from. `known_device` is the secret of the cookie by which we know it, if it has one.
    """

    session_secret: str | None = None
    binding: str | None = None
    language: str | None = None
    accepts: str = "nl"
    device: str = ""
    known_device: str | None = None


@dataclass(frozen=True)
class Begun:
    """An interaction is open; `binding` is the secret that the browser has to keep for it."""

    interaction_id: str
    prompt: str
    binding: str


@dataclass(frozen=True)
class Answered:
    """Nothing had to be asked: here is the response."""

    response: AuthorizationResponse


@dataclass(frozen=True)
class Closed:
    """The interaction cannot go on. `why`: unknown, foreign, expired, too_old, finished."""

    why: str
    interaction: Interaction | None = None
    client: Client | None = None


@dataclass(frozen=True)
class Look:
    """An interaction right now. `pending` is None when nothing is left to ask."""

    interaction: Interaction
    request: AuthorizationRequest
    client: Client
    situation: Situation
    pending: Pending | None
    account: Account | None
    """Whose password was proven here, or else the session's."""
    session: Session | None
    session_account: Account | None
    now: datetime

    @property
    def account_id(self) -> int | None:
        return self.account.id if self.account else None

    @property
    def pending_name(self) -> str:
        """The prompt that is pending; `continue` when nothing is left to ask."""
        return self.pending.name if self.pending else CONTINUE

    @property
    def credentials(self) -> tuple[Enrolled, ...]:
        return self.situation.person.enrolled if self.situation.person else ()


@dataclass(frozen=True)
class Advanced:
    """An answer was dealt with; the browser goes to `prompt`.

    `opened`: its session is new or has a new secret; then we know it by `known_device` from now on.
    """

    interaction_id: str
    prompt: str
    opened: Opened | None = None
    known_device: str | None = None


@dataclass(frozen=True)
class Completed:
    """The interaction is over and the client gets this response."""

    look: Look
    response: AuthorizationResponse


@dataclass(frozen=True)
class Left:
    """The client that was refused gets this response."""

    client: Client
    response: AuthorizationResponse


@dataclass(frozen=True)
class OutOfReach:
    """The client's own minimum cannot be reached: a page says so before the client hears `access_denied`."""

    look: Look


@dataclass(frozen=True)
class Limits:
    """How long an interaction waits, its request can be started again, and a password is fresh enough to enrol."""

    interaction_idle: timedelta
    request_lifetime: timedelta
    fresh_for_enrolment: timedelta


# What an answer records: called inside the transaction, with the interaction as it stands there; it answers with the
# columns of the interaction that change.
Recorder = Callable[[Unit, Look], Mapping[str, Any]]


class Flow:
    """The sign-in pipeline over its stores."""

    def __init__(
        self,
        units: UnitsOfWork,
        clock: Clock,
        trail: Trail,
        sessions: Sessions,
        codes: AuthorizationCodes,
        devices: Devices,
        factors: tuple[SecondFactor, ...],
        subjects: Subjects,
        issuer: str,
        limits: Limits,
    ) -> None:
        self.units, self.clock, self.trail, self.sessions = units, clock, trail, sessions
        self._codes, self.devices, self.factors, self.issuer, self._limits = codes, devices, factors, issuer, limits
        self._subjects = subjects
        self.acr = AcrValues(issuer)

    # begin

    def begin(
        self, request: AuthorizationRequest, client: Client, browser: Browser, is_navigation: bool
    ) -> Begun | Answered:
        """The request is answered, or an interaction waits for the person: with a question, or with what to tell.

        `is_navigation`: a person opened this, so it counts as activity; never under `prompt=none`.
        """
        with self.units.writing() as unit:
            session = self._live_session(unit, browser, lock=True)
            interaction = self._new_interaction(request, browser)
            look = self._look(unit, interaction, client, session)
            if session is not None and is_navigation and not request.is_silent:
                self.sessions.touch(unit, session)
            out_of_reach = checks.shortfall(look.situation) == "client" and not request.is_silent
            if look.pending is None and not out_of_reach:
                return Answered(self._answer(unit, look))
            if look.pending is not None and request.is_silent:
                error = silent_error(look.pending)
                return Answered(authorization_response.failure(request, self.issuer, error, "somebody has to be asked"))
            binding = browser.binding or random_token()
            interaction.browser_hash = hash_secret(binding)
            unit.add(interaction)
            unit.flush()  # the event below names it
            if look.pending is not None:
                self._record_prompt(SignInBegun, unit, look, look.pending)
            if request.pushed_as is not None:
                pushed_requests.begin(unit, request.pushed_as, request.client_id, look.now)
            return Begun(interaction.id, look.pending_name, binding)

    def begin_again(
        self, interaction_id: str, browser: Browser, chosen: bool = False, leaves_session: bool = False
    ) -> Begun | Closed:
        """The same request, with nothing proven, in a new interaction for this browser. Closed: too old, or answered.

        `chosen`: the person just said that the browser's session is the right one. `leaves_session`: that it is not,
        so it answers nothing in the new interaction, and the name in the request is not filled in; it ends only when
        somebody else signs in.
        """
        if not _IDENTIFIER.fullmatch(interaction_id):
            return Closed("unknown")
        with self.units.writing() as unit:
            old = unit.get(Interaction, interaction_id)
            if old is None:
                return Closed("unknown")
            client = clients.find(unit, old.client_id)
            if client is not None and not _is_its_address(old, client):
                return Closed("unknown")
            if client is None or self._is_too_old(old):
                return Closed("too_old", old, client)
            if old.finished_at is not None and old.finished_how != "begun_again":
                # Its answer was given. Who did not get it hears no more than that it is too late.
                return Closed("finished", old, client) if self._is_bound(old, browser) else Closed("too_old")
            kept: dict[str, Any] = {"account_chosen": chosen}
            if leaves_session:
                kept = {"leaves_session": True, "typed_username": ""}
            if self._is_bound(old, browser) and old.typed_organisation:
                kept["typed_organisation"] = old.typed_organisation
            return self._again(unit, old, client, browser, **kept)

    def begin_once_more(
        self, interaction_id: str, browser: Browser, organisation: str, username: str
    ) -> Begun | Closed:
        """As `begin_again`, with what was just typed in a form that this browser sent without its cookies."""
        begun = self.begin_again(interaction_id, browser)
        if isinstance(begun, Begun):
            with self.units.writing() as unit:
                fresh = unit.get_one(Interaction, begun.interaction_id)
                fresh.typed_organisation = organisation[:LONGEST_TYPED] or fresh.typed_organisation
                fresh.typed_username = username[:LONGEST_TYPED] or fresh.typed_username
                fresh.notice = ONCE_MORE
        return begun

    def _again(self, unit: Unit, old: Interaction, client: Client, browser: Browser, **kept: Any) -> Begun:
        request = AuthorizationRequest.from_json(old.request)
        fresh = self._new_interaction(request, browser)
        for name, value in kept.items():
            setattr(fresh, name, value)
        # The request's age counts from when the client made it.
        fresh.created_at = old.created_at
        binding = browser.binding or random_token()
        fresh.browser_hash = hash_secret(binding)
        if self._is_bound(old, browser) and old.finished_at is None:
            old.finished_at, old.finished_how, old.enrolling_sealed = self.clock.now(), "begun_again", None
        unit.add(fresh)
        unit.flush()  # the event below names it
        look = self._look(unit, fresh, client, self._live_session(unit, browser))
        if look.pending is not None:
            self._record_prompt(SignInBegun, unit, look, look.pending)
        return Begun(fresh.id, look.pending_name, binding)

    def _new_interaction(self, request: AuthorizationRequest, browser: Browser) -> Interaction:
        now = self.clock.now()
        organisation, _, username = (request.login_hint or "").rpartition("\\")
        return Interaction(
            id=random_identifier(),
            browser_hash=hash_secret(browser.binding or ""),
            purpose="authorization",
            client_id=request.client_id,
            request=request.as_json(),
            created_at=now,
            last_activity_at=now,
            factor_amr=[],
            consented=False,
            account_chosen=False,
            leaves_session=False,
            names_another_account=False,
            enrolment_failures=0,
            postpone_asked=False,
            typed_organisation=organisation[:256],
            typed_username=username[:256],
        )

    # look

    def look(self, interaction_id: str, browser: Browser) -> Look | Closed:
        """The interaction as it stands. Changes nothing."""
        if not _IDENTIFIER.fullmatch(interaction_id):
            return Closed("unknown")
        with self.units.reading() as unit:
            return self._find(unit, interaction_id, browser)

    def _find(self, unit: Unit, interaction_id: str, browser: Browser, lock: bool = False) -> Look | Closed:
        query = select(Interaction).where(Interaction.id == interaction_id)
        interaction = unit.scalars(query.with_for_update() if lock else query).one_or_none()
        if interaction is None:
            return Closed("unknown")
        client = clients.find(unit, interaction.client_id)
        if client is None or not _is_its_address(interaction, client):
            return Closed("unknown")
        if not self._is_bound(interaction, browser):
            return Closed("foreign", None, client)
        if interaction.finished_at is not None:
            return Closed("finished", interaction, client)
        if self._is_too_old(interaction):
            return Closed("too_old", interaction, client)
        if self.clock.now() >= interaction.last_activity_at + self._limits.interaction_idle:
            return Closed("expired", interaction, client)
        return self._look(unit, interaction, client, self._live_session(unit, browser, lock))

    def _is_bound(self, interaction: Interaction, browser: Browser) -> bool:
        return browser.binding is not None and is_same(interaction.browser_hash, hash_secret(browser.binding))

    def _is_too_old(self, interaction: Interaction) -> bool:
        return self.clock.now() >= interaction.created_at + self._limits.request_lifetime

    def _live_session(self, unit: Unit, browser: Browser, lock: bool = False) -> Session | None:
        session = self.sessions.load_live(unit, browser.session_secret, lock)
        return None if session is None or _is_blocked(unit, session.account_id) else session

    def _look(self, unit: Unit, interaction: Interaction, client: Client, live: Session | None) -> Look:
        """The one place where a Situation is built."""
        now = self.clock.now()
        request = AuthorizationRequest.from_json(interaction.request)
        session = self._session_that_counts(unit, interaction, request, client, live)
        of_this = session is not None and interaction.session_id == session.id
        # Once proofs became a session they are spent: only that session speaks for the person.
        unspent = interaction.session_id is None and self._proofs_hold(unit, interaction, now)
        proofs = Proofs(
            account_id=interaction.account_id,
            password=unspent and interaction.password_proven_at is not None,
            password_age=now - interaction.password_proven_at if interaction.password_proven_at else None,
            factor_level=interaction.factor_level if unspent else None,
            has_postponed=unspent and interaction.postponed_until is not None and now < interaction.postponed_until,
            has_consented=interaction.consented,
            has_chosen_account=interaction.account_chosen,
            names_another_account=interaction.names_another_account,
        )
        if not proofs.password and session is None:
            # A factor or a consent without anybody known counts for nothing.
            proofs = Proofs(account_id=proofs.account_id)
        account_id = interaction.account_id if proofs.password else session.account_id if session else None
        account = unit.get(Account, account_id) if account_id else None
        session_account = unit.get(Account, session.account_id) if session else None
        asked = Asked(
            prompt=frozenset(request.prompt),
            max_age=request.max_age,
            requested_levels=requested_levels(request, self.acr),
            acr_is_essential=bool(request.essential_acr),
            client_minimum=client.minimum_acr or PASSWORD,
            scope=request.consent_scope,
            offline_access=OFFLINE_ACCESS in request.scope,
            first_party=client.first_party,
            anybody_can_pose_as_it=anybody_can_pose_as(client, request.redirect_uri),
        )
        situation = Situation(
            asked=asked,
            session=self._live(session, of_this and interaction.password_proven_at is not None, now)
            if session
            else None,
            proofs=proofs,
            person=self._person(unit, account, client, now) if account else None,
            fresh_for_enrolment=self._limits.fresh_for_enrolment,
        )
        pending = next_prompt(situation)
        return Look(interaction, request, client, situation, pending, account, session, session_account, now)

    def _proofs_hold(self, unit: Unit, interaction: Interaction, now: datetime) -> bool:
        """False for proofs that are too old, and for those given before a block, a new password or a reset.

        A half-made sign-in lives no longer after its password than an interaction may lie idle, however busy it is.
        """
        account = unit.get(Account, interaction.account_id) if interaction.account_id is not None else None
        if account is None:
            return True
        if account.blocked_at is not None:
            return False
        proven_at = interaction.password_proven_at
        if proven_at is None:
            return True
        is_void = account.proofs_void_before is not None and proven_at <= account.proofs_void_before
        return not is_void and now < proven_at + self._limits.interaction_idle

    def _session_that_counts(
        self,
        unit: Unit,
        interaction: Interaction,
        request: AuthorizationRequest,
        client: Client,
        live: Session | None,
    ) -> Session | None:
        if live is None or live.id == interaction.session_id:
            return live
        if interaction.leaves_session:
            return None
        if request.hinted_sub is not None:
            # The client means a particular person; anybody else's session is no answer (OIDC Core 3.1.2.1).
            account = unit.get_one(Account, live.account_id)
            return live if self._subjects.of(client, account) == request.hinted_sub else None
        return live

    def _live(self, session: Session, of_this_interaction: bool, now: datetime) -> LiveSession:
        return LiveSession(
            account_id=session.account_id,
            level=session.level,
            age=now - session.auth_time,
            factor_age=now - session.factor_proven_at if session.factor_proven_at else None,
            has_postponed=session.postponed_until is not None and now < session.postponed_until,
            is_of_this_interaction=of_this_interaction,
        )

    def _person(self, unit: Unit, account: Account, client: Client, now: datetime) -> Person:
        return person_of(unit, account, self.factors, now, client.client_id)

    # advance

    def record(
        self, look: Look, browser: Browser, recorder: Recorder, account_id: int | None = None
    ) -> Advanced | Closed:
        """What the recorder proves is written, and the list is read again.

        `account_id`: whose account the recorder writes, when it is not the one of the look.

        The interaction is read once more under lock: when its pending prompt is no longer the one that was answered
        (another tab was faster, the session ended), nothing is recorded and the browser goes to what is pending now.
        """
        with self.units.writing() as unit:
            # The account is locked first, as everywhere (see `store.units`): whoever blocks it or changes its password
            # meanwhile either comes before, and is seen below, or after, and ends the session that is opened here.
            lock_account(unit, account_id or look.account_id)
            present = self._find(unit, look.interaction.id, browser, lock=True)
            if isinstance(present, Closed):
                return present
            if present.pending_name != look.pending_name or present.account_id != look.account_id:
                return self._go(present)
            interaction = present.interaction
            interaction.notice = None
            changes = recorder(unit, present)
            for name, value in changes.items():
                setattr(interaction, name, value)
            interaction.last_activity_at = self.clock.now()
            if "factor_level" in changes:
                interaction.factor_proven_at = interaction.last_activity_at if changes["factor_level"] else None
            unit.flush()  # the look below reads what was just proven
            return self._settle(unit, interaction, present.client, browser, present.pending)

    def _settle(
        self, unit: Unit, interaction: Interaction, client: Client, browser: Browser, before: Pending | None
    ) -> Advanced:
        """THE ONE PLACE WHERE A SESSION OPENS: when no authentication prompt is due and there are proofs to spend."""
        live = self._live_session(unit, browser)
        look = self._look(unit, interaction, client, live)
        authenticated = look.pending is None or not look.pending.prompt.authenticates
        opened, known_device = None, None
        if authenticated and (look.situation.proofs.password or look.situation.proofs.factor_level is not None):
            opened = self._spend_proofs(unit, look, live)
            known_device = self.devices.remember(unit, opened.session.account_id, browser.known_device)
            browser = replace(browser, session_secret=opened.secret)
            interaction.session_id = opened.session.id
            unit.flush()  # the look below reads it
            look = self._look(unit, interaction, client, opened.session)
        elif live is not None:
            self.sessions.touch(unit, live)
        if look.pending is not None and look.pending != before:
            self._record_prompt(PromptDue, unit, look, look.pending)
        return self._go(look, opened, known_device)

    def _go(self, look: Look, opened: Opened | None = None, known_device: str | None = None) -> Advanced:
        return Advanced(look.interaction.id, look.pending_name, opened, known_device)

    def _spend_proofs(self, unit: Unit, look: Look, live: Session | None) -> Opened:
        account, interaction, session = look.account, look.interaction, look.session
        if account is None:
            raise RuntimeError("proofs without an account")
        has_password = look.situation.proofs.password
        level = look.situation.reached_level
        only_here = session is None or (has_password and not look.situation.factor_was_proven_in_session)
        methods = ["pwd"] if only_here or session is None else session.amr
        amr = list(dict.fromkeys([*methods, *interaction.factor_amr]))
        auth_time = interaction.password_proven_at if has_password else session.auth_time if session else None
        if auth_time is None:
            raise RuntimeError("a session needs the moment the password was asked")
        # A weaker factor than the level that the session keeps says nothing about that level.
        kept = live.level if live is not None and live.account_id == account.id else 0
        is_whole = (look.situation.proofs.factor_level or 0) >= max(level, kept)
        factor_proven_at = interaction.factor_proven_at if is_whole else None
        proven = Proven(level, self.acr.value(level), amr, auth_time, interaction.postponed_until, factor_proven_at)
        if live is not None and live.account_id == account.id:
            again = self.sessions.reauthenticate(unit, live, proven)
            if again is not None:
                return again
            if not has_password:
                raise RuntimeError("only a session vouched for the password, and it is over")
        elif live is not None:
            self.sessions.end(unit, live, "replaced")
        account.last_sign_in_at = self.clock.now()
        organization = account.organization
        return self.sessions.open(unit, account.id, proven, organization.idle_timeout, organization.absolute_timeout)

    # complete

    def complete(self, interaction_id: str, browser: Browser) -> Completed | OutOfReach | Advanced | Closed:
        """The response to the stored request, once; afterwards the interaction is finished."""
        with self.units.writing() as unit:
            look = self._find(unit, interaction_id, browser, lock=True)
            if isinstance(look, Closed):
                return look
            if look.pending is not None:
                return self._go(look)
            short_by = checks.shortfall(look.situation)
            self._finish(unit, look.interaction, "level_unreachable" if short_by == "client" else "completed")
            if short_by == "client":
                return OutOfReach(look)
            if look.session is not None:
                self._spend_password(unit, look, look.session)
                self.sessions.touch(unit, look.session)
            return Completed(look, self._answer(unit, look))

    def _spend_password(self, unit: Unit, look: Look, session: Session) -> None:
        """A password that was right here, where another tab answered all that was due after it, is the session's."""
        interaction = look.interaction
        if look.situation.proofs.password and interaction.password_proven_at is not None:
            interaction.session_id = session.id
            acr = self.acr.value(session.level)
            self.sessions.password_asked(unit, session, acr, interaction.password_proven_at)

    def deny(self, look: Look, browser: Browser) -> Completed | Advanced | Closed:
        """The person said no: the client hears `access_denied`, once."""
        with self.units.writing() as unit:
            present = self._find(unit, look.interaction.id, browser, lock=True)
            if isinstance(present, Closed):
                return present
            if present.pending is None or present.pending.name != "consent":
                return self._go(present)
            self._finish(unit, present.interaction, "denied")
            answered_once.use_up(unit, present.request, self.clock.now())
            return Completed(present, self._denied(present.request))

    def leave(self, interaction_id: str, browser: Browser) -> Left | Closed:
        """The way back to the client that was refused: by the person, or because its minimum cannot be reached."""
        if not _IDENTIFIER.fullmatch(interaction_id):
            return Closed("unknown")
        with self.units.reading() as unit:
            closed = self._find(unit, interaction_id, browser)
            if not isinstance(closed, Closed):
                return Closed("unknown")
            interaction, client = closed.interaction, closed.client
            if interaction is None or client is None or interaction.finished_how not in ("level_unreachable", "denied"):
                return closed
            return Left(client, self._denied(AuthorizationRequest.from_json(interaction.request)))

    def _finish(self, unit: Unit, interaction: Interaction, how: str) -> None:
        now = self.clock.now()
        finished = unit.execute(
            update(Interaction)
            .where(Interaction.id == interaction.id, Interaction.finished_at.is_(None))
            .values(finished_at=now, finished_how=how, enrolling_sealed=None)
            .returning(Interaction.id)
        ).one_or_none()
        if finished is None:
            raise RuntimeError("an interaction is finished once")

    def _denied(self, request: AuthorizationRequest) -> AuthorizationResponse:
        return authorization_response.failure(request, self.issuer, "access_denied", "the request was denied")

    def _answer(self, unit: Unit, look: Look) -> AuthorizationResponse:
        """The code, or the error of a level that was not reached. Only ever called when nothing is pending."""
        request, session = look.request, look.session
        short_by = checks.shortfall(look.situation)
        if look.pending is not None or session is None:
            raise RuntimeError("a code needs a session and nothing left to ask")
        sub = self._subjects.of(look.client, look.account) if look.account else None
        if request.hinted_sub is not None and sub != request.hinted_sub:
            # OIDC Core 3.1.2.1: a positive answer only about the person that the hint names.
            return authorization_response.failure(request, self.issuer, "login_required", "somebody else signed in")
        if short_by == "client" and request.is_silent:
            return authorization_response.failure(request, self.issuer, "interaction_required", "level not reached")
        if short_by == "client":
            return self._denied(request)
        if short_by == "essential":
            error = "unmet_authentication_requirements"
            return authorization_response.failure(request, self.issuer, error, "the essential acr was not reached")
        if not clients.use(unit, look.client):
            return authorization_response.failure(request, self.issuer, "unauthorized_client", "the client is gone")
        if (used := answered_once.use_up(unit, request, self.clock.now())) is not None:
            return authorization_response.failure(request, self.issuer, used, "this request was answered before")
        code = self._codes.issue(unit, request, session)
        self.trail.record(
            unit,
            CodeIssued(
                acr=self.acr.stated(request.acr_values, session.level),
                account_id=session.account_id,
                client_id=request.client_id,
                sid=session.sid,
                interaction_id=look.interaction.id,
            ),
        )
        return authorization_response.success(request, self.issuer, code)

    def _record_prompt(
        self, kind: type[SignInBegun] | type[PromptDue], unit: Unit, look: Look, pending: Pending
    ) -> None:
        event = kind(
            prompt=pending.name,
            reasons=list(pending.reasons),
            policy=checks.policy(look.situation),
            account_id=look.account_id,
            client_id=look.client.client_id,
            interaction_id=look.interaction.id,
        )
        self.trail.record(unit, event)


def _is_its_address(interaction: Interaction, client: Client) -> bool:
    """False when the answer would go to an address that was taken from the client since the attempt began."""
    return is_registered(str(interaction.request.get("redirect_uri")), client)


def _is_blocked(unit: Unit, account_id: int | None) -> bool:
    return unit.scalar(select(Account.blocked_at).where(Account.id == account_id)) is not None
