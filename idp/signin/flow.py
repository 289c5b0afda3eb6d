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
from dataclasses import replace
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session as Unit

from idp.accounts.devices import Devices
from idp.accounts.models import lock_account
from idp.accounts.names import LONGEST_TYPED
from idp.audit.events import CodeIssued, PromptDue, SignInBegun
from idp.audit.trail import Trail
from idp.factors.base import SecondFactor
from idp.kernel.clock import Clock
from idp.kernel.levels import AcrValues
from idp.kernel.secrets import hash_secret, random_identifier, random_token
from idp.oidc import answered_once, authorization_response, clients, pushed_requests
from idp.oidc.authorization_code import AuthorizationCodes
from idp.oidc.authorization_request import AuthorizationRequest
from idp.oidc.authorization_response import AuthorizationResponse
from idp.oidc.clients import Client
from idp.oidc.subjects import Subjects
from idp.sessions.lifecycle import Opened, Proven, Sessions
from idp.sessions.models import Session
from idp.signin import checks
from idp.signin.interaction import Interaction
from idp.signin.looks import Limits, Looks, is_its_address
from idp.signin.outcomes import (
    ONCE_MORE,
    Advanced,
    Answered,
    Begun,
    Browser,
    Closed,
    Completed,
    Left,
    Look,
    OutOfReach,
)
from idp.signin.prompts import Pending, silent_error
from idp.store.units import UnitsOfWork

# What `random_identifier` makes; anything else was never an interaction.
_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]{22}")

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
        self._codes, self.devices, self.issuer = codes, devices, issuer
        self._subjects = subjects
        self.acr = AcrValues(issuer)
        self._looks = Looks(clock, sessions, factors, subjects, self.acr, limits)

    # begin

    def begin(
        self, request: AuthorizationRequest, client: Client, browser: Browser, is_navigation: bool
    ) -> Begun | Answered:
        """The request is answered, or an interaction waits for the person: with a question, or with what to tell.

        `is_navigation`: a person opened this, so it counts as activity; never under `prompt=none`.
        """
        with self.units.writing() as unit:
            session = self._looks.live_session(unit, browser, lock=True)
            interaction = self._new_interaction(request, browser)
            look = self._looks.at(unit, interaction, client, session)
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
            if client is not None and not is_its_address(old, client):
                return Closed("unknown")
            if client is None or self._looks.is_too_old(old):
                return Closed("too_old", old, client)
            if old.finished_at is not None and old.finished_how != "begun_again":
                # Its answer was given. Who did not get it hears no more than that it is too late.
                return Closed("finished", old, client) if self._looks.is_bound(old, browser) else Closed("too_old")
            kept: dict[str, Any] = {"account_chosen": chosen}
            if leaves_session:
                kept = {"leaves_session": True, "typed_username": ""}
            if self._looks.is_bound(old, browser) and old.typed_organisation:
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
        if self._looks.is_bound(old, browser) and old.finished_at is None:
            old.finished_at, old.finished_how, old.enrolling_sealed = self.clock.now(), "begun_again", None
        unit.add(fresh)
        unit.flush()  # the event below names it
        look = self._looks.at(unit, fresh, client, self._looks.live_session(unit, browser))
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
            return self._looks.find(unit, interaction_id, browser)

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
            present = self._looks.find(unit, look.interaction.id, browser, lock=True)
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
        live = self._looks.live_session(unit, browser)
        look = self._looks.at(unit, interaction, client, live)
        authenticated = look.pending is None or not look.pending.prompt.authenticates
        opened, known_device = None, None
        if authenticated and (look.situation.proofs.password or look.situation.proofs.factor_level is not None):
            opened = self._spend_proofs(unit, look, live)
            known_device = self.devices.remember(unit, opened.session.account_id, browser.known_device)
            browser = replace(browser, session_secret=opened.secret)
            interaction.session_id = opened.session.id
            unit.flush()  # the look below reads it
            look = self._looks.at(unit, interaction, client, opened.session)
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
            look = self._looks.find(unit, interaction_id, browser, lock=True)
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
            present = self._looks.find(unit, look.interaction.id, browser, lock=True)
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
            closed = self._looks.find(unit, interaction_id, browser)
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
