"""THE ORDER OF SIGN-IN. What we may have to ask, in order, and the reasons why each is due.

Verify stands before enrol, so that nobody who knows only the password can enrol a factor of their own on an account
that has one. Everything before `consent` authenticates: no session exists while one of these is due.
"""

from collections.abc import Callable
from dataclasses import dataclass

from idp.signin import checks
from idp.signin.situation import Situation


@dataclass(frozen=True)
class Check:
    """A pure reason why a prompt is due, with the word for it in the audit trail and on pages."""

    reason: str
    applies: Callable[[Situation], bool]


@dataclass(frozen=True)
class Prompt:
    """Something that we may have to ask. Under `prompt=none` it becomes `silent_error` (OIDC Core 3.1.2.6)."""

    name: str
    silent_error: str
    checks: tuple[Check, ...]
    authenticates: bool = True

    def reasons_in(self, situation: Situation) -> tuple[str, ...]:
        return tuple(check.reason for check in self.checks if check.applies(situation))


@dataclass(frozen=True)
class Pending:
    """The one prompt that is due now, and why."""

    prompt: Prompt
    reasons: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.prompt.name


PROMPTS = (
    Prompt(
        "identify",
        "login_required",
        (
            Check("no_session", checks.no_session),
            Check("prompt_login", checks.asked_to_log_in_again),
            Check("max_age", checks.too_old),
            Check("select_account", checks.asked_to_choose_account),
            Check("another_account", checks.another_account),
            Check("password_too_old_to_enrol", checks.password_too_old_to_enrol),
        ),
    ),
    Prompt(
        "verify_second_factor",
        "interaction_required",
        (
            Check("unproven", checks.has_credential_but_none_proven),
            Check("level", checks.enrolled_factor_reaches_demanded_level),
            Check("before_enrolment", checks.unproven_before_enrolment),
        ),
    ),
    Prompt(
        "enrol_second_factor",
        "interaction_required",
        (
            Check("campaign", checks.nothing_enrolled_and_required),
            Check("level", checks.nothing_enrolled_reaches_the_demanded_level),
        ),
    ),
    Prompt(
        "consent",
        "consent_required",
        (
            Check("scope_not_granted", checks.scope_not_granted),
            Check("prompt_consent", checks.asked_to_consent_again),
            Check("offline_access", checks.offline_access_is_asked),
            Check("application_is_unproven", checks.application_is_unproven),
        ),
        authenticates=False,
    ),
)


def next_prompt(situation: Situation, prompts: tuple[Prompt, ...] = PROMPTS) -> Pending | None:
    """The first prompt that has a reason, with its reasons; None when nothing is left to ask."""
    for prompt in prompts:
        if reasons := prompt.reasons_in(situation):
            return Pending(prompt, reasons)
    return None


def silent_error(pending: Pending) -> str:
    """What a pending prompt becomes under `prompt=none`; choosing an account has its own error."""
    if pending.reasons == ("select_account",):
        return "account_selection_required"
    return pending.prompt.silent_error
