"""What an answer to a prompt does.

    Answers.advance, the one door -> identify | verify_second_factor | enrol_second_factor | consent

Each answer goes the same way: what can be seen to be wrong without the secret costs nothing; an attempt is paid and
committed; it is verified with no transaction open; what it proves is recorded by `flow.record`, which reads the list
again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Unit

from idp.accounts.campaign import Campaign
from idp.accounts.identify import Identification, Identified, Typed
from idp.accounts.models import Account
from idp.accounts.names import LONGEST_TYPED
from idp.attempts.budget import Attempts, Exhausted, MustWait, Paid, Payment
from idp.audit.events import (
    AttemptRefused,
    ConsentDenied,
    ConsentGiven,
    CredentialDisabled,
    EnrolmentChecked,
    EnrolmentPostponed,
    Event,
    PasswordChecked,
    PostponementRefused,
    SecondFactorChecked,
    SecondFactorEnrolled,
)
from idp.audit.trail import Trail
from idp.consents.record import grant
from idp.factors.base import Enrolment, SecondFactor, Verdict
from idp.factors.codes import cleaned
from idp.factors.models import Credential
from idp.kernel.clock import Clock
from idp.kernel.envelope import Envelope
from idp.kernel.secrets import DerivedKeys, is_same
from idp.sessions.lifecycle import Sessions
from idp.signin import checks
from idp.signin.flow import Advanced, Browser, Closed, Completed, Flow, Look
from idp.store.units import UnitsOfWork

# A person who enrols has proven the password, so guessing is less of a danger; it is not free either.
ENROLMENT_TRIES = 10


@dataclass(frozen=True)
class Wait:
    """Nothing was evaluated: the waiting page. `kind` is `password` or `code`."""

    interaction_id: str
    kind: str
    until: datetime


@dataclass(frozen=True)
class Blocked:
    """The password was right, but the account is blocked; `BLOCKED` is on the interaction for the page that says so."""

    interaction_id: str


Reaction = Advanced | Closed | Completed | Wait | Blocked
Form = Mapping[str, str]
NOTHING: Mapping[str, Any] = {}


class Answers:
    """The four answers, over the services they use."""

    def __init__(
        self,
        flow: Flow,
        units: UnitsOfWork,
        clock: Clock,
        trail: Trail,
        identification: Identification,
        factor_attempts: Attempts,
        factors: tuple[SecondFactor, ...],
        sessions: Sessions,
        envelope: Envelope,
        keys: DerivedKeys,
    ) -> None:
        self._flow, self._units, self._clock, self._trail = flow, units, clock, trail
        self._identification, self._attempts = identification, factor_attempts
        self._factors = {factor.name: factor for factor in factors}
        self._sessions, self._envelope, self._keys = sessions, envelope, keys
        self.answers: Mapping[str, Callable[[Look, Browser, Form], Reaction]] = {
            "identify": self._identify,
            "verify_second_factor": self._verify,
            "enrol_second_factor": self._enrol,
            "consent": self._consent,
        }

    def advance(self, interaction_id: str, browser: Browser, prompt: str, form: Form) -> Reaction:
        """THE ONE DOOR. An answer takes effect only if its prompt is the pending one; else the browser goes there."""
        look = self._flow.look(interaction_id, browser)
        if isinstance(look, Closed):
            return self._revive(look, browser, prompt, form)
        if look.pending is None or look.pending.name != prompt:
            if prompt == "identify":
                return self._somebody_else(look, browser, form)
            return Advanced(look.interaction.id, look.pending_name)
        return self.answers[prompt](look, browser, form)

    def _revive(self, closed: Closed, browser: Browser, prompt: str, form: Form) -> Reaction:
        """A password typed on a login page that waited too long goes on in a fresh interaction; nothing else does."""
        if closed.why != "expired" or prompt != "identify" or closed.interaction is None:
            return closed
        begun = self._flow.begin_again(closed.interaction.id, browser)
        return begun if isinstance(begun, Closed) else self.advance(begun.interaction_id, browser, prompt, form)

    # identify

    def _identify(self, look: Look, browser: Browser, form: Form) -> Reaction:
        if "account" in form:
            return self._choose_account(look, browser, form["account"])
        organisation, username = _typed(form, "organisation"), _typed(form, "username")
        shown = {"typed_organisation": organisation, "typed_username": username}
        for name in ("organisation", "username", "password"):
            if not form.get(name, "").strip():
                return self._again(look, browser, _error(name, f"identify.error.empty_{name}"), changes=shown)
        typed = Typed.of(organisation, username, form["password"])
        with self._identification.admitted():
            payment = self._identification.pay(typed)
            identified = self._identification.verify(typed) if isinstance(payment, Paid) else None
        if not isinstance(payment, Paid):
            return self._refused(look, browser, "password", payment, changes=shown)
        if identified is None:
            error, wrong = _error("organisation", "identify.error.wrong"), PasswordChecked(outcome="wrong")
            return self._again(look, browser, error, wrong, shown)
        account = identified.account
        if account.blocked_at is not None:
            blocked = PasswordChecked(outcome="blocked", account_id=account.id)
            self._again(look, browser, _error("username", BLOCKED), blocked, shown)
            return Blocked(look.interaction.id)
        if look.interaction.account_id not in (None, account.id):
            # Pinned to the first account whose password was right; another one needs an interaction of its own.
            begun = self._flow.begin_again(look.interaction.id, browser)
            fresh = begun if isinstance(begun, Closed) else self._flow.look(begun.interaction_id, browser)
            if isinstance(fresh, Closed):
                return fresh
            if fresh.pending_name != "identify":
                return Advanced(fresh.interaction.id, fresh.pending_name)
            look = fresh
        return self._flow.record(look, browser, self._password_proof(identified, typed, shown), account.id)

    def _password_proof(
        self, identified: Identified, typed: Typed, shown: dict[str, str]
    ) -> Callable[[Unit, Look], dict[str, Any]]:
        def record(unit: Unit, look: Look) -> dict[str, Any]:
            if not self._identification.record(unit, identified, typed):
                return {"error": _error("organisation", "identify.error.wrong"), **shown}
            account_id = identified.account.id
            self._trail.record(unit, self._about(look, PasswordChecked(outcome="right", account_id=account_id)))
            return {
                **shown,
                **NOTHING_PROVEN,
                "account_id": account_id,
                "password_proven_at": self._clock.now(),
                "names_another_account": False,
                "error": None,
            }

        return record

    def _choose_account(self, look: Look, browser: Browser, choice: str) -> Reaction:
        chooses = {"select_account", "another_account"} & set(look.pending.reasons if look.pending else ())
        if not chooses or choice not in ("continue", "other"):
            return Advanced(look.interaction.id, "identify")
        if choice == "other":
            return self._flow.record(
                look,
                browser,
                lambda unit, present: {"leaves_session": True, "names_another_account": False, "error": None},
            )
        # Going on as somebody else than the one who was about to sign in here: what was proven is discarded (A23).
        begun = self._flow.begin_again(look.interaction.id, browser, chosen=True)
        return begun if isinstance(begun, Closed) else Advanced(begun.interaction_id, begun.prompt)

    def _somebody_else(self, look: Look, browser: Browser, form: Form) -> Reaction:
        """A login form came in although a session (of another tab) already answers `identify`.

        The same person: the interaction simply goes on. Somebody else: they are asked, and no password is looked at.
        """
        session_account = look.session_account
        typed = Typed.of(form.get("organisation", ""), form.get("username", ""), "")
        is_same_person = session_account is None or (
            session_account.organization.org_code == typed.org_code and session_account.username == typed.username
        )
        if is_same_person or look.session is None or look.interaction.session_id is not None:
            return Advanced(look.interaction.id, look.pending_name)
        shown = {name: _typed(form, name.removeprefix("typed_")) for name in TYPED}
        return self._flow.record(look, browser, lambda unit, present: {"names_another_account": True, **shown})

    # verify_second_factor

    def _verify(self, look: Look, browser: Browser, form: Form) -> Reaction:
        credential = usable_credential(look, self._units, form.get("method"))
        if credential is None or look.account is None:
            return Advanced(look.interaction.id, "verify_second_factor")
        factor, answer = self._factors[credential.method], form.get("code", "")
        problem = factor.check_form(answer)
        if problem is not None:
            return self._again(look, browser, _form_error(problem, answer))
        subject = (str(look.account.id), credential.method)
        with self._units.writing() as unit:
            payment = self._attempts.pay(unit, *subject)
        if not isinstance(payment, Paid):
            return self._refused(look, browser, "code", payment, credential)
        secret = self._envelope.open(credential.secret_sealed or b"", f"credentials:{credential.account_id}")
        verdict, step = factor.verify(credential, secret, answer, self._clock.now())
        if verdict is not Verdict.RIGHT:
            return self._wrong_code(look, browser, credential, verdict, payment)

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            if not factor.use(unit, credential, step, self._clock.now()):
                event = SecondFactorChecked(method=factor.name, outcome=Verdict.USED)
                self._trail.record(unit, self._about(present, event))
                return {"error": _error("code", CODE_ERRORS[Verdict.USED])}
            self._attempts.succeed(unit, *subject)
            self._trail.record(unit, self._about(present, SecondFactorChecked(method=factor.name, outcome=verdict)))
            return {**_proof(factor), "account_id": credential.account_id, "error": None}

        return self._flow.record(look, browser, record)

    def _wrong_code(
        self, look: Look, browser: Browser, credential: Credential, verdict: Verdict, paid: Paid
    ) -> Reaction:
        limit = self._attempts.limits.disable_after
        repeated = paid.in_a_row > 1 and verdict is Verdict.WRONG
        key = "code.error.wrong_again" if repeated else CODE_ERRORS[verdict]
        tries_left = paid.left if paid.in_a_row >= 3 and paid.left else None

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            self._trail.record(
                unit, self._about(present, SecondFactorChecked(method=credential.method, outcome=verdict))
            )
            if limit is not None and paid.in_a_row >= limit:
                self._disable(unit, present, credential)
            return {"error": _error("code", key, {"tries_left": tries_left} if tries_left else None)}

        return self._flow.record(look, browser, record)

    def _disable(self, unit: Unit, look: Look, credential: Credential) -> None:
        """After a hundred wrong answers in a row the credential is out of force, and still counts as enrolled."""
        disabled = unit.execute(
            update(Credential)
            .where(Credential.id == credential.id, Credential.disabled_at.is_(None))
            .values(disabled_at=self._clock.now())
            .returning(Credential.id)
        ).one_or_none()
        if disabled is not None:
            self._trail.record(unit, self._about(look, CredentialDisabled(method=credential.method)))
            self._sessions.end_all_of(unit, credential.account_id, "credential_disabled")

    # enrol_second_factor

    def _enrol(self, look: Look, browser: Browser, form: Form) -> Reaction:
        method = form.get("method")
        if method == "postpone":
            return self._postpone(look, browser, form)
        if method not in offered_methods(look):
            key = "choose.error.not_offered" if method else "choose.error.none"
            return self._again(look, browser, _error("method", key))
        if "code" not in form or look.interaction.enrolling_method != method:
            return self._begin_enrolment(look, browser, method)
        return self._finish_enrolment(look, browser, method, form["code"])

    def _begin_enrolment(self, look: Look, browser: Browser, method: str) -> Reaction:
        """The secret is made once for each interaction: going back and forth shows the same QR code."""
        factor = self._factors[method]

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            interaction = present.interaction
            changes: dict[str, Any] = {"enrolling_method": method, "postpone_asked": False, "error": None}
            if interaction.enrolling_sealed is None or interaction.enrolling_method != method:
                secret = factor.begin_enrolment().secret
                changes["enrolling_sealed"] = self._envelope.seal(secret, f"interactions:{interaction.id}")
                changes["account_id"] = present.account_id
            return changes

        return self._flow.record(look, browser, record)

    def _finish_enrolment(self, look: Look, browser: Browser, method: str, answer: str) -> Reaction:
        factor, enrolment = self._factors[method], pending_enrolment(look, self._envelope)
        if enrolment is None or look.account is None:
            return Advanced(look.interaction.id, "enrol_second_factor")
        problem = factor.check_form(answer)
        if problem is not None:
            return self._again(look, browser, _form_error(problem, answer))
        tries = self._pay_enrolment(look)
        if tries is None:
            changes = {"enrolling_method": None, "enrolling_sealed": None, "enrolment_failures": 0}
            return self._again(look, browser, _error("method", "choose.error.too_many_codes"), changes=changes)
        verdict, step = factor.verify_enrolment(enrolment, answer, self._clock.now())
        if verdict is not Verdict.RIGHT:
            key = CODE_ERRORS[verdict] if tries == 1 else "code.error.wrong_again_enrolling"
            return self._again(look, browser, _error("code", key), EnrolmentChecked(method=method, outcome=verdict))
        return self._flow.record(look, browser, self._enrolled(factor, enrolment, step))

    def _pay_enrolment(self, look: Look) -> int | None:
        """How many codes were tried for this enrolment, this one included; None when they are spent. Committed."""
        interaction = type(look.interaction)
        with self._units.writing() as unit:
            return unit.execute(
                update(interaction)
                .where(interaction.id == look.interaction.id, interaction.enrolment_failures < ENROLMENT_TRIES)
                .values(enrolment_failures=interaction.enrolment_failures + 1)
                .returning(interaction.enrolment_failures)
            ).scalar_one_or_none()

    def _enrolled(
        self, factor: SecondFactor, enrolment: Enrolment, step: int | None
    ) -> Callable[[Unit, Look], dict[str, Any]]:
        def record(unit: Unit, present: Look) -> dict[str, Any]:
            account = present.account
            if account is None or pending_enrolment(present, self._envelope) != enrolment:
                # Another tab of this interaction began anew; the code that was typed belongs to a secret that is gone.
                return {"error": _error("code", CODE_ERRORS[Verdict.WRONG])}
            now = self._clock.now()
            credential = Credential(
                account_id=account.id,
                method=factor.name,
                secret_sealed=self._envelope.seal(enrolment.secret, f"credentials:{account.id}"),
                last_step=step,
                enrolled_at=now,
                last_used_at=now,
            )
            try:
                with unit.begin_nested():
                    unit.add(credential)
                    unit.flush()
            except IntegrityError:
                # Another tab enrolled this method a moment ago. What it enrolled has to be proven, not replaced.
                return {"enrolling_method": None, "enrolling_sealed": None, "error": None}
            # Its own success: what was guessed at a credential before it does not count against this one.
            self._attempts.succeed(unit, str(account.id), factor.name)
            self._trail.record(unit, self._about(present, SecondFactorEnrolled(method=factor.name)))
            return {
                **_proof(factor),
                "account_id": account.id,
                "enrolling_method": None,
                "enrolling_sealed": None,
                "error": None,
            }

        return record

    def _postpone(self, look: Look, browser: Browser, form: Form) -> Reaction:
        def record(unit: Unit, present: Look) -> dict[str, Any]:
            # Decided now, by the situation inside this transaction, never by the page that was open (A32).
            account = present.account
            if account is None or not checks.may_postpone(present.situation):
                after = present.situation.person is not None and not present.situation.person.is_postponable_today
                key = "choose.error.after_deadline" if after else "choose.error.not_offered"
                self._trail.record(unit, self._about(present, PostponementRefused(reason=key)))
                return {"postpone_asked": False, "enrolling_method": None, "error": _error("method", key)}
            confirmed = is_same(form.get("confirm", ""), confirmation(self._keys, present, "postpone"))
            if not (present.interaction.postpone_asked and confirmed):
                return {"postpone_asked": True, "enrolling_method": None, "error": None, "account_id": account.id}
            until = Campaign.of(account.organization).postponable_ends_at()
            # The choice at the next login reminds them of it.
            unit.execute(update(Account).where(Account.id == account.id).values(last_postponed_at=self._clock.now()))
            self._trail.record(unit, self._about(present, EnrolmentPostponed(until=str(until))))
            changes = {"postponed_until": until, "postpone_asked": False, "enrolling_sealed": None, "error": None}
            return {**changes, "account_id": account.id, "enrolling_method": None}

        return self._flow.record(look, browser, record)

    # consent

    def _consent(self, look: Look, browser: Browser, form: Form) -> Reaction:
        if form.get("decision") == "deny":
            self._write(look, ConsentDenied())
            return self._flow.deny(look, browser)
        if form.get("decision") != "allow" or not is_same(
            form.get("confirm", ""), confirmation(self._keys, look, "consent")
        ):
            # Also when the page was about somebody else, who was signed in when it was opened (A27).
            return Advanced(look.interaction.id, "consent")

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            scope = present.request.consent_scope
            if present.account_id is None:
                return {}
            if not present.client.first_party:
                grant(unit, present.account_id, present.client.client_id, scope, self._clock.now())
            self._trail.record(unit, self._about(present, ConsentGiven(scope=" ".join(sorted(scope)))))
            return {"consented": True, "account_id": present.account_id, "error": None}

        return self._flow.record(look, browser, record)

    # what all of them share

    def _again(
        self,
        look: Look,
        browser: Browser,
        error: dict[str, Any],
        event: Event | None = None,
        changes: Mapping[str, Any] = NOTHING,
    ) -> Reaction:
        """The same prompt once more, with an error that the page shows."""

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            if event is not None:
                self._trail.record(unit, self._about(present, event))
            return {**changes, "error": error}

        return self._flow.record(look, browser, record)

    def _refused(
        self,
        look: Look,
        browser: Browser,
        kind: str,
        payment: Payment,
        credential: Credential | None = None,
        changes: Mapping[str, Any] = NOTHING,
    ) -> Reaction:
        """Nothing is evaluated: a wait, or the end of a credential that was guessed at too often."""

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            self._trail.record(unit, self._about(present, AttemptRefused(kind=kind, outcome=type(payment).__name__)))
            if isinstance(payment, Exhausted) and credential is not None:
                self._disable(unit, present, credential)
            return {**changes, "error": None}

        recorded = self._flow.record(look, browser, record)
        return Wait(look.interaction.id, kind, payment.until) if isinstance(payment, MustWait) else recorded

    def waits_until(self, look: Look) -> datetime | None:
        """When the next attempt at the pending prompt will be taken; None when it is taken now."""
        interaction, account = look.interaction, look.account
        if look.pending_name == "identify" and interaction.typed_username:
            typed = Typed.of(interaction.typed_organisation, interaction.typed_username, "")
            return self._identification.waits_until(typed)
        credential = usable_credential(look, self._units) if look.pending_name == "verify_second_factor" else None
        if credential is None or account is None:
            return None
        with self._units.reading() as unit:
            return self._attempts.waiting_until(unit, str(account.id), credential.method)

    def _write(self, look: Look, event: Event) -> None:
        with self._units.writing() as unit:
            self._trail.record(unit, self._about(look, event))

    def _about(self, look: Look, event: Event) -> Event:
        return replace(
            event,
            account_id=event.account_id or look.account_id,
            client_id=look.client.client_id,
            interaction_id=look.interaction.id,
        )


BLOCKED = "identify.blocked"
TYPED = ("typed_organisation", "typed_username")

# A new password proof begins everything anew: nothing that was proven before it counts any more.
NOTHING_PROVEN: Mapping[str, Any] = {
    "factor_method": None,
    "factor_level": None,
    "factor_amr": [],
    "postponed_until": None,
    "consented": False,
    "session_id": None,
    "enrolling_method": None,
    "enrolling_sealed": None,
    "postpone_asked": False,
}

CODE_ERRORS: Mapping[Verdict, str] = {
    Verdict.WRONG: "code.error.wrong",
    Verdict.USED: "code.error.used",
    Verdict.EMPTY: "code.error.empty",
    Verdict.SHORT: "code.error.short",
    Verdict.LONG: "code.error.long",
    Verdict.NOT_DIGITS: "code.error.chars",
}


def offered_methods(look: Look) -> tuple[str, ...]:
    """The methods that may be enrolled now: where a level is demanded, those that reach it, if any does."""
    person, demanded = look.situation.person, look.situation.asked.demanded_level
    can_enrol = person.can_enrol if person else ()
    fitting = tuple(name for name, reaches in can_enrol if reaches >= demanded)
    return fitting or tuple(name for name, _ in can_enrol)


def usable_credential(look: Look, units: UnitsOfWork, method: str | None = None) -> Credential | None:
    """The credential to prove: of this method, or else the first usable one that reaches what is demanded."""
    demanded = look.situation.asked.demanded_level if look.pending and "level" in look.pending.reasons else 0
    fitting = [each.method for each in look.credentials if each.is_usable and each.reaches >= demanded]
    wanted = method if method in fitting else next(iter(fitting), None)
    if wanted is None or look.account_id is None:
        return None
    with units.reading() as unit:
        query = select(Credential).filter_by(account_id=look.account_id, method=wanted, withdrawn_at=None)
        return unit.scalars(query.where(Credential.disabled_at.is_(None)).order_by(Credential.id)).first()


def pending_enrolment(look: Look, envelope: Envelope) -> Enrolment | None:
    """The enrolment that this interaction has begun, for the account it is pinned to."""
    interaction = look.interaction
    if interaction.enrolling_sealed is None or interaction.account_id != look.account_id:
        return None
    return Enrolment(secret=envelope.open(interaction.enrolling_sealed, f"interactions:{interaction.id}"))


def confirmation(keys: DerivedKeys, look: Look, question: str) -> str:
    """The value on a page that asks: it confirms this question, of this interaction and account, only."""
    return keys.mac_text(question, look.interaction.id, str(look.account_id))


def _proof(factor: SecondFactor) -> dict[str, Any]:
    return {"factor_method": factor.name, "factor_level": factor.reaches, "factor_amr": list(factor.amr)}


def _error(field: str, key: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"field": field, "key": key, "params": params or {}}


def _typed(form: Form, name: str) -> str:
    """What was typed, to be shown again: bounded, and without what a database cannot hold."""
    return form.get(name, "")[:LONGEST_TYPED].replace("\x00", "")


def _form_error(problem: Verdict, answer: str) -> dict[str, Any]:
    params = {"digits": len(cleaned(answer))} if problem is Verdict.SHORT else None
    return _error("code", CODE_ERRORS[problem], params)
