"""The answer to `verify_second_factor`: a code of an enrolled method, another method, or the wish for a new code."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session as Unit

from idp.accounts.correspondence import Correspondence, language_of
from idp.attempts.budget import Attempts, Exhausted, Paid
from idp.audit.events import CredentialDisabled, MethodChosen, SecondFactorChecked
from idp.factors.base import SecondFactor, SendsCodes, Verdict
from idp.factors.models import Credential
from idp.kernel.envelope import Envelope
from idp.mail import letters
from idp.mail.post import Post
from idp.sessions.lifecycle import Sessions
from idp.signin.answers.common import (
    CODE_ERRORS,
    Answering,
    Form,
    Reaction,
    about,
    an_error,
    form_error,
    usable_credential,
    usable_methods,
)
from idp.signin.answers.sending import Sending
from idp.signin.outcomes import Advanced, Browser, Look


class VerifySecondFactor:
    """One usable credential is proven, freshly, in this interaction."""

    def __init__(
        self,
        answering: Answering,
        factors: Mapping[str, SecondFactor],
        attempts: Attempts,
        envelope: Envelope,
        sending: Sending,
        post: Post,
        correspondence: Correspondence,
        sessions: Sessions,
    ) -> None:
        self._answering, self._factors, self.attempts = answering, factors, attempts
        self._envelope, self._sessions, self._sending = envelope, sessions, sending
        self._post, self._correspondence = post, correspondence

    def answer(self, look: Look, browser: Browser, form: Form) -> Reaction:
        credential = usable_credential(look, self._answering.units, form.get("method"))
        if credential is None or look.account is None:
            return Advanced(look.interaction.id, "verify_second_factor")
        if form.get("action") == "choose":
            return self._choose(look, browser, form)
        factor = self._factors[credential.method]
        if form.get("action") == "send":
            return self._send(look, browser, factor, credential)
        return self._check(look, browser, factor, credential, form.get("code", ""))

    def send_first(self, interaction_id: str, browser: Browser) -> None:
        """The password was right a moment ago: where a code by mail is next, it leaves now."""
        look = self._answering.flow.look(interaction_id, browser)
        if not isinstance(look, Look) or look.pending_name != "verify_second_factor":
            return
        credential = usable_credential(look, self._answering.units)
        factor = self._factors[credential.method] if credential else None
        if credential is None or not isinstance(factor, SendsCodes):
            return
        if not self._sending.live(look, factor, "verification"):
            self._send(look, browser, factor, credential)

    def waits_until(self, look: Look, method: str | None = None) -> datetime | None:
        """When the next code of the shown method will be taken; None when it is taken now."""
        credential = usable_credential(look, self._answering.units, method)
        if credential is None or look.account is None:
            return None
        with self._answering.units.reading() as unit:
            return self.attempts.waiting_until(unit, str(look.account.id), credential.method)

    def _choose(self, look: Look, browser: Browser, form: Form) -> Reaction:
        """Another method of the person's own is shown from now on; a code by mail leaves with this POST."""
        method = form.get("method")
        if method not in usable_methods(look):
            return self._answering.again(look, browser, an_error("method", "choose.error.none"))
        credential = usable_credential(look, self._answering.units, method)
        if credential is None:
            return Advanced(look.interaction.id, "verify_second_factor")
        factor = self._factors[credential.method]

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            self._answering.trail.record(unit, about(present, MethodChosen(method=credential.method)))
            changes: dict[str, Any] = {"verifying_method": credential.method, "error": None}
            return {**changes, **self._sent(unit, present, browser, factor, credential)}

        return self._answering.flow.record(look, browser, record)

    def _send(self, look: Look, browser: Browser, factor: SecondFactor, credential: Credential) -> Reaction:
        def record(unit: Unit, present: Look) -> dict[str, Any]:
            return {"error": None, **self._sent(unit, present, browser, factor, credential)}

        return self._answering.flow.record(look, browser, record)

    def _sent(
        self, unit: Unit, present: Look, browser: Browser, factor: SecondFactor, credential: Credential
    ) -> dict[str, Any]:
        if not isinstance(factor, SendsCodes) or credential.address is None:
            return {}
        return self._sending.send(unit, present, browser, factor, "verification", credential.address)

    def _check(
        self, look: Look, browser: Browser, factor: SecondFactor, credential: Credential, answer: str
    ) -> Reaction:
        problem = factor.check_form(answer)
        if problem is not None:
            return self._answering.again(look, browser, form_error(problem, answer))
        subject = (str(credential.account_id), credential.method)
        with self._answering.units.writing() as unit:
            payment = self.attempts.pay(unit, *subject)
        if not isinstance(payment, Paid):
            if isinstance(payment, Exhausted):
                self._take_out_of_force(look, browser, credential)
            return self._answering.refused(look, browser, "code", payment)
        sent = self._sending.live(look, factor, "verification")
        secret = self._secret(credential)
        verdict, mark = factor.verify(credential, secret, answer, self._answering.clock.now(), sent)
        if verdict is not Verdict.RIGHT:
            return self._wrong_code(look, browser, credential, verdict, payment)

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            if not factor.use(unit, credential, mark, self._answering.clock.now()):
                event = SecondFactorChecked(method=factor.name, outcome=Verdict.USED)
                self._answering.trail.record(unit, about(present, event))
                return {"error": an_error("code", CODE_ERRORS[Verdict.USED])}
            self.attempts.succeed(unit, *subject)
            event = SecondFactorChecked(method=factor.name, outcome=verdict)
            self._answering.trail.record(unit, about(present, event))
            return {**proof(factor), "account_id": credential.account_id, "error": None}

        return self._answering.flow.record(look, browser, record)

    def _secret(self, credential: Credential) -> bytes:
        if credential.secret_sealed is None:
            return b""
        return self._envelope.open(credential.secret_sealed, f"credentials:{credential.account_id}")

    def _wrong_code(
        self, look: Look, browser: Browser, credential: Credential, verdict: Verdict, paid: Paid
    ) -> Reaction:
        limit = self.attempts.limits.disable_after
        repeated = paid.in_a_row > 1 and verdict is Verdict.WRONG
        key = wrong_again(credential.method) if repeated else wrong(credential.method, verdict)
        tries_left = paid.left if paid.in_a_row >= 3 and paid.left else None

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            event = SecondFactorChecked(method=credential.method, outcome=verdict)
            self._answering.trail.record(unit, about(present, event))
            if limit is not None and paid.in_a_row >= limit:
                self._disable(unit, present, browser, credential)
            # When the wait is over the page begins anew, with nothing wrong on it.
            begins_to_wait = not paid.left
            error = an_error("code", key, {"tries_left": tries_left} if tries_left else None)
            return {"error": None if begins_to_wait else error}

        return self._answering.flow.record(look, browser, record)

    def _take_out_of_force(self, look: Look, browser: Browser, credential: Credential) -> None:
        with self._answering.units.writing() as unit:
            self._disable(unit, look, browser, credential)

    def _disable(self, unit: Unit, look: Look, browser: Browser, credential: Credential) -> None:
        """After a hundred wrong answers in a row the credential is out of force, and still counts as enrolled."""
        now = self._answering.clock.now()
        disabled = unit.execute(
            update(Credential)
            .where(Credential.id == credential.id, Credential.disabled_at.is_(None))
            .values(disabled_at=now)
            .returning(Credential.id)
        ).one_or_none()
        if disabled is None:
            return
        self._answering.trail.record(unit, about(look, CredentialDisabled(method=credential.method)))
        self._sessions.end_all_of(unit, credential.account_id, "credential_disabled")
        if look.account is not None and look.account.email is not None:
            account = look.account
            desk, language = self._correspondence.desk(account.organization), language_of(account)
            zone = account.organization.time_zone
            letter = letters.method_disabled(
                desk, look.account.email, language, credential.method, now, zone, browser.device
            )
            self._post.enqueue(unit, letter)


def wrong(method: str, verdict: Verdict) -> str:
    """The sentence for a code that is not right; codes by mail have their own advice."""
    return "code.error.wrong_mail" if method == "email" and verdict is Verdict.WRONG else CODE_ERRORS[verdict]


def wrong_again(method: str) -> str:
    """The sentence for the second time."""
    return "code.error.wrong_mail" if method == "email" else "code.error.wrong_again"


def proof(factor: SecondFactor) -> dict[str, Any]:
    """What the interaction keeps of a factor that was proven."""
    return {"factor_method": factor.name, "factor_level": factor.reaches, "factor_amr": list(factor.amr)}
