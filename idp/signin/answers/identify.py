"""The answer to `identify`: organisation code, username and password; or which account it is to be."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session as Unit

from idp.accounts.identify import Identification, Identified, Typed, find
from idp.attempts.budget import Paid
from idp.audit.events import PasswordChecked
from idp.signin.answers.common import (
    BLOCKED,
    Answering,
    Blocked,
    Changes,
    Form,
    Reaction,
    about,
    an_error,
    typed,
)
from idp.signin.answers.verify_second_factor import VerifySecondFactor
from idp.signin.outcomes import Advanced, Browser, Closed, Look

TYPED = ("typed_organisation", "typed_username")

# A new password proof begins everything anew: nothing that was proven before it counts any more.
NOTHING_PROVEN: Changes = {
    "factor_method": None,
    "factor_level": None,
    "factor_amr": [],
    "postponed_until": None,
    "consented": False,
    "session_id": None,
    "enrolling_method": None,
    "enrolling_sealed": None,
    "verifying_method": None,
    "postpone_asked": False,
}


class Identify:
    """The password step."""

    def __init__(self, answering: Answering, identification: Identification, second_factor: VerifySecondFactor) -> None:
        self._answering, self.identification, self._second_factor = answering, identification, second_factor

    def answer(self, look: Look, browser: Browser, form: Form) -> Reaction:
        if "account" in form:
            return self._choose_account(look, browser, form["account"])
        organisation, username = typed(form, "organisation"), typed(form, "username")
        shown = {"typed_organisation": organisation, "typed_username": username}
        for name in ("organisation", "username", "password"):
            if not form.get(name, "").strip():
                error = an_error(name, f"identify.error.empty_{name}")
                return self._answering.again(look, browser, error, changes=shown)
        claimed = Typed.of(organisation, username, form["password"])
        device = self.identification.device_of(claimed, browser.known_device)
        with self.identification.admitted(device):
            payment = self.identification.pay(claimed, device)
            identified = self.identification.verify(claimed) if isinstance(payment, Paid) else None
        if not isinstance(payment, Paid):
            return self._answering.refused(look, browser, "password", payment, changes=shown)
        if identified is None:
            self.identification.fail(claimed)
            error, wrong = an_error("organisation", "identify.error.wrong"), PasswordChecked(outcome="wrong")
            return self._answering.again(look, browser, error, wrong, shown)
        account = identified.account
        if account.blocked_at is not None:
            blocked = PasswordChecked(outcome="blocked", account_id=account.id)
            self._answering.again(look, browser, None, blocked, {**shown, "notice": BLOCKED})
            return Blocked(look.interaction.id)
        if look.interaction.account_id not in (None, account.id):
            # Pinned to the first account whose password was right; another one needs an interaction of its own.
            begun = self._answering.flow.begin_again(look.interaction.id, browser)
            fresh = begun if isinstance(begun, Closed) else self._answering.flow.look(begun.interaction_id, browser)
            if isinstance(fresh, Closed):
                return fresh
            if fresh.pending_name != "identify":
                return Advanced(fresh.interaction.id, fresh.pending_name)
            look = fresh
        proof = self._password_proof(identified, claimed, device, shown)
        recorded = self._answering.flow.record(look, browser, proof, account.id)
        if isinstance(recorded, Advanced) and recorded.prompt == "verify_second_factor":
            self._second_factor.send_first(recorded.interaction_id, browser)
        return recorded

    def waits_until(self, look: Look, browser: Browser) -> datetime | None:
        """When the next password for the typed name from this browser will be looked at; None when it is now."""
        interaction = look.interaction
        if not interaction.typed_username:
            return None
        claimed = Typed.of(interaction.typed_organisation, interaction.typed_username, "")
        device = self.identification.device_of(claimed, browser.known_device)
        return self.identification.waits_until(claimed, device)

    def is_blocked(self, look: Look) -> bool:
        """True when the last password was right for an account that is blocked, and it still is."""
        if look.interaction.notice != BLOCKED:
            return False
        claimed = Typed.of(look.interaction.typed_organisation, look.interaction.typed_username, "")
        with self._answering.units.reading() as unit:
            account = find(unit, claimed.org_code, claimed.username)
            return account is not None and account.blocked_at is not None

    def _password_proof(
        self, identified: Identified, claimed: Typed, device: str, shown: dict[str, str]
    ) -> Callable[[Unit, Look], dict[str, Any]]:
        def record(unit: Unit, look: Look) -> dict[str, Any]:
            if not self.identification.record(unit, identified, claimed, device):
                return {"error": an_error("organisation", "identify.error.wrong"), **shown}
            account_id = identified.account.id
            self._answering.trail.record(unit, about(look, PasswordChecked(outcome="right", account_id=account_id)))
            return {
                **shown,
                **NOTHING_PROVEN,
                "account_id": account_id,
                "password_proven_at": self._answering.clock.now(),
                "names_another_account": False,
                "error": None,
            }

        return record

    def _choose_account(self, look: Look, browser: Browser, choice: str) -> Reaction:
        chooses = {"select_account", "another_account"} & set(look.pending.reasons if look.pending else ())
        if not chooses or choice not in ("continue", "other"):
            return Advanced(look.interaction.id, "identify")
        if choice == "other":
            return self._answering.flow.record(
                look,
                browser,
                lambda unit, present: {"leaves_session": True, "names_another_account": False, "error": None},
            )
        # Going on as somebody else than the one who was about to sign in here: what was proven is discarded (A23).
        begun = self._answering.flow.begin_again(look.interaction.id, browser, chosen=True)
        return begun if isinstance(begun, Closed) else Advanced(begun.interaction_id, begun.prompt)

    def somebody_else(self, look: Look, browser: Browser, form: Form) -> Reaction:
        """A login form came in although a session (of another tab) already answers `identify`.

        The same person: the interaction simply goes on. Somebody else: they are asked, and no password is looked at.
        """
        session_account = look.session_account
        claimed = Typed.of(form.get("organisation", ""), form.get("username", ""), "")
        is_same_person = session_account is None or (
            session_account.organization.org_code == claimed.org_code and session_account.username == claimed.username
        )
        if is_same_person or look.session is None or look.interaction.session_id is not None:
            return Advanced(look.interaction.id, look.pending_name)
        shown = {name: typed(form, name.removeprefix("typed_")) for name in TYPED}
        changes = {"names_another_account": True, **shown}
        return self._answering.flow.record(look, browser, lambda unit, present: changes)
