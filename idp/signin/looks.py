"""THE SITUATION IS FOUND HERE: an interaction, its session and its person as they stand right now.

    find    the interaction of a browser, or why it cannot go on: unknown, foreign, finished, expired, too old
    at      what is known in it, and the prompt that is pending

Any doubt means no: what cannot be found never advances. Nothing here changes anything.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account
from idp.factors.base import SecondFactor
from idp.kernel.clock import Clock
from idp.kernel.levels import PASSWORD, AcrValues
from idp.kernel.secrets import hash_secret, is_same
from idp.oidc import clients
from idp.oidc.authorization_request import AuthorizationRequest, requested_levels
from idp.oidc.clients import OFFLINE_ACCESS, Client
from idp.oidc.requesting_client import anybody_can_pose_as, is_registered
from idp.oidc.subjects import Subjects
from idp.sessions.lifecycle import Sessions
from idp.sessions.models import Session
from idp.signin.interaction import Interaction
from idp.signin.outcomes import Browser, Closed, Look
from idp.signin.people import person_of
from idp.signin.prompts import next_prompt
from idp.signin.situation import Asked, LiveSession, Person, Proofs, Situation


@dataclass(frozen=True)
class Limits:
    """How long an interaction waits, its request can be started again, and a password is fresh enough to enrol."""

    interaction_idle: timedelta
    request_lifetime: timedelta
    fresh_for_enrolment: timedelta


class Looks:
    """Finds what a check may see."""

    def __init__(
        self,
        clock: Clock,
        sessions: Sessions,
        factors: tuple[SecondFactor, ...],
        subjects: Subjects,
        acr: AcrValues,
        limits: Limits,
    ) -> None:
        self._clock, self._sessions, self._factors, self._subjects = clock, sessions, factors, subjects
        self._acr, self._limits = acr, limits

    def find(self, unit: Unit, interaction_id: str, browser: Browser, lock: bool = False) -> Look | Closed:
        """The interaction as it stands, for the browser it is bound to; and else why not. `lock`: it stays as it is."""
        query = select(Interaction).where(Interaction.id == interaction_id)
        interaction = unit.scalars(query.with_for_update() if lock else query).one_or_none()
        if interaction is None:
            return Closed("unknown")
        client = clients.find(unit, interaction.client_id)
        if client is None or not is_its_address(interaction, client):
            return Closed("unknown")
        if not self.is_bound(interaction, browser):
            return Closed("foreign", None, client)
        if interaction.finished_at is not None:
            return Closed("finished", interaction, client)
        if self.is_too_old(interaction):
            return Closed("too_old", interaction, client)
        if self._clock.now() >= interaction.last_activity_at + self._limits.interaction_idle:
            return Closed("expired", interaction, client)
        return self.at(unit, interaction, client, self.live_session(unit, browser, lock))

    def is_bound(self, interaction: Interaction, browser: Browser) -> bool:
        """True when this is the browser that began the interaction."""
        return browser.binding is not None and is_same(interaction.browser_hash, hash_secret(browser.binding))

    def is_too_old(self, interaction: Interaction) -> bool:
        """True when the client has to ask again."""
        return self._clock.now() >= interaction.created_at + self._limits.request_lifetime

    def live_session(self, unit: Unit, browser: Browser, lock: bool = False) -> Session | None:
        """The session of the browser, of somebody who is not blocked; None when it is over."""
        session = self._sessions.load_live(unit, browser.session_secret, lock)
        return None if session is None or _is_blocked(unit, session.account_id) else session

    def at(self, unit: Unit, interaction: Interaction, client: Client, live: Session | None) -> Look:
        """The one place where a Situation is built."""
        now = self._clock.now()
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
            requested_levels=requested_levels(request, self._acr),
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
        return person_of(unit, account, self._factors, now, client.client_id)


def is_its_address(interaction: Interaction, client: Client) -> bool:
    """False when the answer would go to an address that was taken from the client since the attempt began."""
    return is_registered(str(interaction.request.get("redirect_uri")), client)


def _is_blocked(unit: Unit, account_id: int | None) -> bool:
    return unit.scalar(select(Account.blocked_at).where(Account.id == account_id)) is not None
