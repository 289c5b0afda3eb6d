"""What all answers share."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.accounts.names import LONGEST_TYPED
from idp.attempts.budget import Exhausted, MustWait, Payment
from idp.audit.events import AttemptRefused, Event
from idp.audit.trail import Trail
from idp.factors.base import Enrolment, Verdict
from idp.factors.codes import cleaned
from idp.factors.models import Credential
from idp.kernel.clock import Clock
from idp.kernel.envelope import Envelope
from idp.kernel.secrets import DerivedKeys
from idp.signin.flow import Flow
from idp.signin.outcomes import Advanced, Browser, Closed, Completed, Look
from idp.store.units import UnitsOfWork


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
Changes = Mapping[str, Any]
NOTHING: Changes = {}

# A mark on the interaction, not an error: pages never render it.
BLOCKED = "blocked"

CODE_ERRORS: Mapping[Verdict, str] = {
    Verdict.WRONG: "code.error.wrong",
    Verdict.USED: "code.error.used",
    Verdict.EMPTY: "code.error.empty",
    Verdict.SHORT: "code.error.short",
    Verdict.LONG: "code.error.long",
    Verdict.NOT_DIGITS: "code.error.chars",
}


@dataclass(frozen=True)
class Answering:
    """The services that every answer uses, and what they all do with them."""

    flow: Flow
    units: UnitsOfWork
    clock: Clock
    trail: Trail

    def again(
        self,
        look: Look,
        browser: Browser,
        error: dict[str, Any] | None,
        event: Event | None = None,
        changes: Changes = NOTHING,
    ) -> Advanced | Closed:
        """The same prompt once more, with an error that the page shows."""

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            if event is not None:
                self.trail.record(unit, about(present, event))
            return {**changes, "error": error}

        return self.flow.record(look, browser, record)

    def refused(
        self, look: Look, browser: Browser, kind: str, payment: Payment, changes: Changes = NOTHING
    ) -> Advanced | Closed | Wait:
        """Nothing is evaluated: a wait, or a count that is exhausted."""
        event = AttemptRefused(kind=kind, outcome=type(payment).__name__)
        recorded = self.again(look, browser, None, event, changes)
        if isinstance(payment, Exhausted) or not isinstance(payment, MustWait):
            return recorded
        return Wait(look.interaction.id, kind, payment.until)

    def write(self, look: Look, event: Event) -> None:
        """The event is in the trail, whatever comes next."""
        with self.units.writing() as unit:
            self.trail.record(unit, about(look, event))


def about(look: Look, event: Event) -> Event:
    """The event, with whom and what it is about."""
    return replace(
        event,
        account_id=event.account_id or look.account_id,
        client_id=look.client.client_id,
        interaction_id=look.interaction.id,
    )


def offered_methods(look: Look) -> tuple[str, ...]:
    """The methods that may be enrolled now: where a level is demanded, those that reach it, if any does."""
    person, demanded = look.situation.person, look.situation.asked.demanded_level
    can_enrol = person.can_enrol if person else ()
    fitting = tuple(name for name, reaches in can_enrol if reaches >= demanded)
    return fitting or tuple(name for name, _ in can_enrol)


def usable_methods(look: Look) -> tuple[str, ...]:
    """The enrolled methods of which one has to be proven: usable, and reaching the level that is demanded now."""
    demanded = look.situation.asked.demanded_level if look.pending and "level" in look.pending.reasons else 0
    return tuple(each.method for each in look.credentials if each.is_usable and each.reaches >= demanded)


def usable_credential(look: Look, units: UnitsOfWork, method: str | None = None) -> Credential | None:
    """The credential to prove: of this method, or else of the one that the person chose, or the first that fits."""
    fitting = usable_methods(look)
    wishes = (method, look.interaction.verifying_method, *fitting)
    wanted = next((wish for wish in wishes if wish in fitting), None)
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


def an_error(field: str, key: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the page shows: the field that is wrong, and the sentence."""
    return {"field": field, "key": key, "params": params or {}}


def typed(form: Form, name: str) -> str:
    """What was typed, to be shown again: bounded, and without what a database cannot hold."""
    return form.get(name, "")[:LONGEST_TYPED].replace("\x00", "")


def form_error(problem: Verdict, answer: str) -> dict[str, Any]:
    """What is wrong with a code that needs no secret to be seen as wrong."""
    params = {"digits": len(cleaned(answer))} if problem is Verdict.SHORT else None
    return an_error("code", CODE_ERRORS[problem], params)
