"""The one door: an answer takes effect only if its prompt is the pending one."""

from collections.abc import Callable, Mapping
from datetime import datetime

from idp.accounts.correspondence import Correspondence
from idp.accounts.identify import Identification
from idp.attempts.budget import Attempts
from idp.factors.base import SecondFactor
from idp.kernel.envelope import Envelope
from idp.kernel.secrets import DerivedKeys
from idp.mail.post import Post
from idp.sessions.lifecycle import Sessions
from idp.signin.answers.common import Answering, Form, Reaction
from idp.signin.answers.consent import Consent
from idp.signin.answers.enrol_second_factor import EnrolSecondFactor
from idp.signin.answers.identify import Identify
from idp.signin.answers.postpone import Postpone
from idp.signin.answers.sending import Sending
from idp.signin.answers.verify_second_factor import VerifySecondFactor
from idp.signin.outcomes import Advanced, Browser, Closed, Look


class Answers:
    """The answers to the prompts, over the services they use."""

    def __init__(
        self,
        answering: Answering,
        identification: Identification,
        factor_attempts: Attempts,
        enrolment_attempts: Attempts,
        factors: tuple[SecondFactor, ...],
        sessions: Sessions,
        envelope: Envelope,
        keys: DerivedKeys,
        post: Post,
        correspondence: Correspondence,
    ) -> None:
        self._flow = answering.flow
        self.factors: Mapping[str, SecondFactor] = {factor.name: factor for factor in factors}
        self.sending = Sending(answering, post, correspondence)
        shared = (envelope, self.sending, post, correspondence)
        self.verify = VerifySecondFactor(answering, self.factors, factor_attempts, *shared, sessions)
        postpone = Postpone(answering, keys)
        self.enrol = EnrolSecondFactor(answering, self.factors, enrolment_attempts, factor_attempts, *shared, postpone)
        self.identify = Identify(answering, identification, self.verify)
        self.answers: Mapping[str, Callable[[Look, Browser, Form], Reaction]] = {
            "identify": self.identify.answer,
            "verify_second_factor": self.verify.answer,
            "enrol_second_factor": self.enrol.answer,
            "consent": Consent(answering, keys).answer,
        }

    def advance(self, interaction_id: str, browser: Browser, prompt: str, form: Form) -> Reaction:
        """THE ONE DOOR. An answer takes effect only if its prompt is the pending one; else the browser goes there."""
        look = self._flow.look(interaction_id, browser)
        if isinstance(look, Closed):
            return self._revive(look, browser, prompt, form)
        if look.pending is None or look.pending.name != prompt:
            if prompt == "identify":
                return self.identify.somebody_else(look, browser, form)
            return Advanced(look.interaction.id, look.pending_name)
        return self.answers[prompt](look, browser, form)

    def is_blocked(self, look: Look) -> bool:
        """Whether the page about a blocked account is to be shown: only after its password was right."""
        return look.pending_name == "identify" and self.identify.is_blocked(look)

    def waits_until(self, look: Look, browser: Browser, method: str | None = None) -> datetime | None:
        """When the next attempt at the pending prompt will be taken; None when it is taken now."""
        if look.pending_name == "identify":
            return self.identify.waits_until(look, browser)
        if look.pending_name == "verify_second_factor":
            return self.verify.waits_until(look, method)
        return self.enrol.waits_until(look) if look.pending_name == "enrol_second_factor" else None

    def _revive(self, closed: Closed, browser: Browser, prompt: str, form: Form) -> Reaction:
        """A password typed on a login page that waited too long goes on in a fresh interaction; nothing else does."""
        if closed.why != "expired" or prompt != "identify" or closed.interaction is None:
            return closed
        begun = self._flow.begin_again(closed.interaction.id, browser)
        return begun if isinstance(begun, Closed) else self.advance(begun.interaction_id, browser, prompt, form)
