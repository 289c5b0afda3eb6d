"""The answer to `enrol_second_factor`: a method is chosen, and proven for the first time."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session as Unit

from idp.accounts.correspondence import Correspondence, language_of
from idp.accounts.models import Account
from idp.attempts.budget import Attempts, Paid
from idp.audit.events import EnrolmentChecked, SecondFactorEnrolled
from idp.factors.base import Enrolment, SecondFactor, SendsCodes, Verdict
from idp.factors.models import Credential
from idp.kernel.envelope import Envelope
from idp.mail import letters
from idp.mail.post import Post
from idp.signin import checks
from idp.signin.answers.common import (
    CODE_ERRORS,
    Answering,
    Form,
    Reaction,
    about,
    an_error,
    form_error,
    offered_methods,
    pending_enrolment,
)
from idp.signin.answers.postpone import Postpone
from idp.signin.answers.sending import Sending, occasion
from idp.signin.answers.verify_second_factor import proof, wrong
from idp.signin.interaction import Interaction
from idp.signin.outcomes import Advanced, Browser, Look

# A person who enrols has proven the password, so guessing is less of a danger; it is not free either.
ENROLMENT_TRIES = 10


class EnrolSecondFactor:
    """A new credential belongs to the account, or the choice is put off."""

    def __init__(
        self,
        answering: Answering,
        factors: Mapping[str, SecondFactor],
        attempts: Attempts,
        verification_attempts: Attempts,
        envelope: Envelope,
        sending: Sending,
        post: Post,
        correspondence: Correspondence,
        postpone: Postpone,
    ) -> None:
        self._answering, self._factors = answering, factors
        self.attempts, self._verification_attempts = attempts, verification_attempts
        self._envelope, self._sending, self._postpone = envelope, sending, postpone
        self._post, self._correspondence = post, correspondence

    def answer(self, look: Look, browser: Browser, form: Form) -> Reaction:
        if checks.enrolment_is_closed(look.situation):
            return Advanced(look.interaction.id, "enrol_second_factor")
        method = form.get("method")
        if method == "postpone":
            return self._postpone.answer(look, browser, form)
        if method not in offered_methods(look):
            key = "choose.error.not_offered" if method else "choose.error.none"
            return self._answering.again(look, browser, an_error("method", key))
        if look.interaction.enrolling_method == method:
            if form.get("action") == "send":
                return self._send(look, browser, method)
            if "code" in form:
                return self._finish(look, browser, method, form["code"])
        return self._begin(look, browser, method)

    def waits_until(self, look: Look) -> datetime | None:
        """When the next code of the method that is being set up will be taken; None when it is taken now."""
        method = look.interaction.enrolling_method
        if method is None or look.account is None or not isinstance(self._factors.get(method), SendsCodes):
            return None
        with self._answering.units.reading() as unit:
            return self.attempts.waiting_until(unit, str(look.account.id), method)

    def _begin(self, look: Look, browser: Browser, method: str) -> Reaction:
        """The secret is made once for each interaction: going back and forth shows the same QR code."""
        factor = self._factors[method]

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            interaction, account = present.interaction, present.account
            changes: dict[str, Any] = {"enrolling_method": method, "postpone_asked": False, "error": None}
            begun = pending_enrolment(present, self._envelope) if interaction.enrolling_method == method else None
            address = account.email if account else None
            # An address that the service desk corrected meanwhile is not the one that was begun with.
            if begun is None or not _is_still_meant(factor, begun, account):
                secret = factor.begin_enrolment(address).secret
                changes["enrolling_sealed"] = self._envelope.seal(secret, f"interactions:{interaction.id}")
                changes["account_id"] = present.account_id
            if isinstance(factor, SendsCodes) and address is not None:
                changes |= self._sending.send(unit, present, browser, factor, "enrolment", address)
            return changes

        return self._answering.flow.record(look, browser, record)

    def _send(self, look: Look, browser: Browser, method: str) -> Reaction:
        factor, enrolment = self._factors[method], pending_enrolment(look, self._envelope)
        if enrolment is None or not isinstance(factor, SendsCodes):
            return Advanced(look.interaction.id, "enrol_second_factor")

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            if not _is_still_meant(factor, enrolment, present.account):
                # The service desk corrected the address meanwhile: it is chosen anew, and the code goes there.
                return {"enrolling_method": None, "enrolling_sealed": None, "error": None}
            address = enrolment.secret.decode()
            return {"error": None, **self._sending.send(unit, present, browser, factor, "enrolment", address)}

        return self._answering.flow.record(look, browser, record)

    def _finish(self, look: Look, browser: Browser, method: str, answer: str) -> Reaction:
        factor, enrolment = self._factors[method], pending_enrolment(look, self._envelope)
        if enrolment is None or look.account is None:
            return Advanced(look.interaction.id, "enrol_second_factor")
        problem = factor.check_form(answer)
        if problem is not None:
            return self._answering.again(look, browser, form_error(problem, answer))
        begins_to_wait = False
        if isinstance(factor, SendsCodes):
            # Who enrols an app holds its key and guesses nothing. A code that travels can be guessed, by somebody who
            # has the password and not the mailbox: it is paid for over all browsers, with waits, as at every login. The
            # count is one of its own: what was guessed at a credential that is gone must not keep its owner out.
            with self._answering.units.writing() as unit:
                payment = self.attempts.pay(unit, str(look.account.id), method)
            if not isinstance(payment, Paid):
                return self._answering.refused(look, browser, "code", payment)
            begins_to_wait = not payment.left
        tries = self._pay(look)
        if tries is None:
            changes = {"enrolling_method": None, "enrolling_sealed": None, "enrolment_failures": 0}
            return self._answering.again(
                look, browser, an_error("method", "choose.error.too_many_codes"), changes=changes
            )
        sent = self._sending.live(look, factor, "enrolment")
        verdict, mark = factor.verify_enrolment(enrolment, answer, self._answering.clock.now(), sent)
        if verdict is not Verdict.RIGHT:
            again = "code.error.wrong_again_enrolling" if not isinstance(factor, SendsCodes) else wrong(method, verdict)
            key = wrong(method, verdict) if tries == 1 else again
            event = EnrolmentChecked(method=method, outcome=verdict)
            error = None if begins_to_wait else an_error("code", key)
            return self._answering.again(look, browser, error, event)
        return self._answering.flow.record(look, browser, self._enrolled(browser, factor, enrolment, mark))

    def _pay(self, look: Look) -> int | None:
        """How many codes were tried for this enrolment, this one included; None when they are spent. Committed."""
        with self._answering.units.writing() as unit:
            return unit.execute(
                update(Interaction)
                .where(Interaction.id == look.interaction.id, Interaction.enrolment_failures < ENROLMENT_TRIES)
                .values(enrolment_failures=Interaction.enrolment_failures + 1)
                .returning(Interaction.enrolment_failures)
            ).scalar_one_or_none()

    def _enrolled(
        self, browser: Browser, factor: SecondFactor, enrolment: Enrolment, mark: int | None
    ) -> Callable[[Unit, Look], dict[str, Any]]:
        def record(unit: Unit, present: Look) -> dict[str, Any]:
            account, now = present.account, self._answering.clock.now()
            if account is None or pending_enrolment(present, self._envelope) != enrolment:
                # Another tab of this interaction began anew; the code that was typed belongs to a secret that is gone.
                return {"error": an_error("code", CODE_ERRORS[Verdict.WRONG])}
            if not _is_still_meant(factor, enrolment, account):
                return {"enrolling_method": None, "enrolling_sealed": None, "error": None}
            if checks.enrolment_is_closed(present.situation):
                return {"error": None}
            if not factor.use_enrolment(unit, occasion(present, "enrolment"), mark, now):
                return {"error": an_error("code", CODE_ERRORS[Verdict.USED])}
            if not self._insert(unit, account, factor, enrolment, mark, now):
                # Another tab enrolled this method a moment ago. What it enrolled has to be proven, not replaced.
                return {"enrolling_method": None, "enrolling_sealed": None, "error": None}
            # Its own success: what was guessed at a credential before it does not count against this one.
            self.attempts.succeed(unit, str(account.id), factor.name)
            self._verification_attempts.succeed(unit, str(account.id), factor.name)
            unit.execute(
                update(Account).where(Account.id == account.id).values(reset_at=None, enrolment_open_until=None)
            )
            self._answering.trail.record(unit, about(present, SecondFactorEnrolled(method=factor.name)))
            self._tell(unit, account, factor, now, browser.device)
            return {
                **proof(factor),
                "account_id": account.id,
                "enrolling_method": None,
                "enrolling_sealed": None,
                "error": None,
            }

        return record

    def _insert(
        self, unit: Unit, account: Account, factor: SecondFactor, enrolment: Enrolment, mark: int | None, now: datetime
    ) -> bool:
        """The credential is there; False when the account has one of this method in force already."""
        credential = Credential(
            account_id=account.id,
            method=factor.name,
            secret_sealed=self._envelope.seal(enrolment.secret, f"credentials:{account.id}"),
            enrolled_at=now,
            last_used_at=now,
            **factor.new_credential(enrolment, mark),
        )
        try:
            with unit.begin_nested():
                unit.add(credential)
                unit.flush()
        except IntegrityError:
            return False
        return True

    def _tell(self, unit: Unit, account: Account, factor: SecondFactor, now: datetime, device: str) -> None:
        """The person hears of every method that is added, so that nobody adds one behind their back."""
        if account.email is None:
            return
        desk, language = self._correspondence.desk(account.organization), language_of(account)
        zone = account.organization.time_zone
        letter = letters.method_added(desk, account.email, language, factor.name, now, zone, device)
        self._post.enqueue(unit, letter)


def _is_still_meant(factor: SecondFactor, enrolment: Enrolment, account: Account | None) -> bool:
    """False when the address that is being proven is not the person's any more."""
    if not isinstance(factor, SendsCodes):
        return True
    return account is not None and account.email is not None and enrolment == factor.begin_enrolment(account.email)
