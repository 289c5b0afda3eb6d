"""The answer to `consent`: yes or no to an application."""

from typing import Any

from sqlalchemy.orm import Session as Unit

from idp.audit.events import ConsentDenied, ConsentGiven
from idp.consents.record import grant
from idp.kernel.secrets import DerivedKeys, is_same
from idp.oidc.clients import OFFLINE_ACCESS
from idp.signin.answers.common import Answering, Form, Reaction, about, confirmation
from idp.signin.outcomes import Advanced, Browser, Look


class Consent:
    """What was allowed is kept for third parties; a refusal ends the interaction."""

    def __init__(self, answering: Answering, keys: DerivedKeys) -> None:
        self._answering, self._keys = answering, keys

    def answer(self, look: Look, browser: Browser, form: Form) -> Reaction:
        if form.get("decision") == "deny":
            self._answering.write(look, ConsentDenied())
            return self._answering.flow.deny(look, browser)
        if form.get("decision") != "allow" or not is_same(
            form.get("confirm", ""), confirmation(self._keys, look, "consent")
        ):
            # Also when the page was about somebody else, who was signed in when it was opened (A27).
            return Advanced(look.interaction.id, "consent")

        def record(unit: Unit, present: Look) -> dict[str, Any]:
            scope = present.request.consent_scope
            if present.account_id is None:
                return {}
            # Of a first-party client nothing has to be remembered but that it may come while nobody is signed in.
            kept = scope & {OFFLINE_ACCESS} if present.client.first_party else scope
            if kept:
                grant(unit, present.account_id, present.client.client_id, kept, self._answering.clock.now())
            self._answering.trail.record(unit, about(present, ConsentGiven(scope=" ".join(sorted(scope)))))
            return {"consented": True, "account_id": present.account_id, "error": None}

        return self._answering.flow.record(look, browser, record)
