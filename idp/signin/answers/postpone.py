"""The answer to `enrol_second_factor` that is no enrolment: postponing, after "are you sure"."""

from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account
from idp.audit.events import EnrolmentPostponed, PostponementRefused
from idp.kernel.secrets import DerivedKeys, is_same
from idp.signin import checks
from idp.signin.answers.common import Answering, Form, Reaction, about, an_error, confirmation
from idp.signin.outcomes import Browser, Look
from idp.signin.people import campaign_of


class Postpone:
    """Whether it is admissible is decided when the answer arrives."""

    def __init__(self, answering: Answering, keys: DerivedKeys) -> None:
        self._answering, self._keys = answering, keys

    def answer(self, look: Look, browser: Browser, form: Form) -> Reaction:
        def record(unit: Unit, present: Look) -> dict[str, Any]:
            # Decided now, by the situation inside this transaction, never by the page that was open (A32).
            account = present.account
            if account is None or not checks.may_postpone(present.situation):
                after = present.situation.person is not None and not present.situation.person.is_postponable_today
                key = "choose.error.after_deadline" if after else "choose.error.not_offered"
                self._answering.trail.record(unit, about(present, PostponementRefused(reason=key)))
                return {"postpone_asked": False, "enrolling_method": None, "error": an_error("method", key)}
            confirmed = is_same(form.get("confirm", ""), confirmation(self._keys, present, "postpone"))
            if not (present.interaction.postpone_asked and confirmed):
                return {"postpone_asked": True, "enrolling_method": None, "error": None, "account_id": account.id}
            until = campaign_of(account).postponable_ends_at()
            # The choice at the next login reminds them of it.
            now = self._answering.clock.now()
            unit.execute(update(Account).where(Account.id == account.id).values(last_postponed_at=now))
            self._answering.trail.record(unit, about(present, EnrolmentPostponed(until=str(until))))
            changes = {"postponed_until": until, "postpone_asked": False, "enrolling_sealed": None, "error": None}
            return {**changes, "account_id": account.id, "enrolling_method": None}

        return self._answering.flow.record(look, browser, record)
