"""Why a prompt is due. Each function is one reason; it sees a Situation and nothing else."""

from datetime import timedelta

from idp.signin.situation import Enrolled, Situation

# identify


def no_session(situation: Situation) -> bool:
    """Nobody is known."""
    return not situation.proofs.password and situation.session is None


def asked_to_log_in_again(situation: Situation) -> bool:
    """`prompt=login`, until the password was proven in this interaction (OIDC Core 3.1.2.1)."""
    return "login" in situation.asked.prompt and not situation.authenticated_here


def too_old(situation: Situation) -> bool:
    """`max_age` has passed since the password was asked; 0 always has (OIDC Core 3.1.2.1)."""
    asked, session = situation.asked, situation.session
    if asked.max_age is None or session is None or situation.authenticated_here:
        return False
    return asked.max_age == timedelta(0) or session.age > asked.max_age


def asked_to_choose_account(situation: Situation) -> bool:
    """`prompt=select_account`, until somebody chose."""
    chosen = situation.proofs.has_chosen_account or situation.authenticated_here
    return "select_account" in situation.asked.prompt and situation.session is not None and not chosen


def another_account(situation: Situation) -> bool:
    """The browser's session is somebody else's than who signs in here: ask, never swap silently (A27, A28)."""
    session, proofs = situation.session, situation.proofs
    if session is None:
        return False
    return proofs.names_another_account or proofs.account_id not in (None, session.account_id)


def password_too_old_to_enrol(situation: Situation) -> bool:
    """Something is to be enrolled on an older session: whoever found the computer unlocked must not do that (A40)."""
    if situation.session is None or situation.authenticated_here or not _enrolment_is_due(situation):
        return False
    return situation.session.age > situation.fresh_for_enrolment


# verify_second_factor


def has_credential_but_none_proven(situation: Situation) -> bool:
    """Someone with a credential is always asked for it, campaign or not; a disabled one still counts."""
    return _is_enrolled(situation) and not situation.has_proven_factor


def enrolled_factor_reaches_demanded_level(situation: Situation) -> bool:
    """A higher level is demanded, and something usable that is enrolled reaches it."""
    return _falls_short(situation) and any(
        credential.is_usable and credential.reaches >= situation.asked.demanded_level
        for credential in _enrolled(situation)
    )


def unproven_before_enrolment(situation: Situation) -> bool:
    """Verify before enrol: one credential freshly, in this interaction, before another can be added.

    Otherwise somebody who knows only the password, or sits at an open session, enrols a factor of their own by asking
    for a higher `acr`.
    """
    return _is_enrolled(situation) and _enrolment_is_due(situation) and situation.proofs.factor_level is None


# enrol_second_factor


def nothing_enrolled_and_required(situation: Situation) -> bool:
    """The organisation's campaign asks for a second factor, and the person has none and did not postpone."""
    person = situation.person
    return (
        person is not None
        and not _is_enrolled(situation)
        and person.is_required_to_enrol
        and not situation.has_postponed
    )


def nothing_enrolled_reaches_the_demanded_level(situation: Situation) -> bool:
    """A level is demanded that no enrolled factor reaches, and one that could be enrolled does."""
    person, demanded = situation.person, situation.asked.demanded_level
    if person is None or not _falls_short(situation):
        return False
    enrolled_reaches = any(credential.reaches >= demanded for credential in person.enrolled)
    return not enrolled_reaches and any(reaches >= demanded for _, reaches in person.can_enrol)


# consent


def scope_not_granted(situation: Situation) -> bool:
    """A third party's client asks for something that the person did not allow it yet."""
    asked, person = situation.asked, situation.person
    if asked.first_party or person is None or situation.proofs.has_consented:
        return False
    return not asked.scope <= person.granted_scope


def asked_to_consent_again(situation: Situation) -> bool:
    """`prompt=consent`; first-party clients ask nothing."""
    asked = situation.asked
    return "consent" in asked.prompt and not asked.first_party and not situation.proofs.has_consented


def offline_access_is_asked(situation: Situation) -> bool:
    """Access while nobody is signed in is asked for: each time anew, by whichever client (OIDC Core 11)."""
    return situation.asked.offline_access and not situation.proofs.has_consented


def application_is_unproven(situation: Situation) -> bool:
    """Any program on the device could be this client: a person always sees which one gets in (RFC 8252 8.6)."""
    return situation.asked.anybody_can_pose_as_it and not situation.proofs.has_consented


# answers


def may_postpone(situation: Situation) -> bool:
    """Whether postponing is admissible now. Decided when the answer arrives, never by the page that was open."""
    person = situation.person
    return (
        person is not None
        and person.is_required_to_enrol
        and person.is_postponable_today
        and not _is_enrolled(situation)
        and not person.is_staff
        and not person.has_been_reset
        and not level_is_demanded(situation)
    )


def enrolment_is_closed(situation: Situation) -> bool:
    """Whether nothing may be enrolled: the time after a reset by the service desk is over."""
    return situation.person is not None and situation.person.is_enrolment_closed


def level_is_demanded(situation: Situation) -> bool:
    """More than the password is demanded; that is never answered by postponing."""
    return situation.asked.demanded_level > 1


def shortfall(situation: Situation) -> str | None:
    """When nothing is left to ask and the demanded level was still not reached: who demanded it.

    `client` - its own minimum; `essential` - the `acr` claim, marked essential (OIDC Core 5.5.1.1); None when
    the level is reached or was only wished for.
    """
    asked, reached = situation.asked, situation.reached_level
    if asked.client_minimum > reached:
        return "client"
    if asked.acr_is_essential and not any(level <= reached for level in asked.requested_levels):
        return "essential"
    return None


def policy(situation: Situation) -> dict[str, int | bool]:
    """The rules under which the prompts of this situation are decided, for the audit trail."""
    person, asked = situation.person, situation.asked
    rules: dict[str, int | bool] = {"demanded_level": asked.demanded_level, "reached_level": situation.reached_level}
    if person is None:
        return rules
    return {
        **rules,
        "must_enrol": person.is_required_to_enrol,
        "may_postpone": may_postpone(situation),
        "has_been_reset": person.has_been_reset,
        "is_staff": person.is_staff,
    }


def _enrolled(situation: Situation) -> tuple[Enrolled, ...]:
    return situation.person.enrolled if situation.person else ()


def _is_enrolled(situation: Situation) -> bool:
    return bool(_enrolled(situation))


def _falls_short(situation: Situation) -> bool:
    return situation.person is not None and situation.reached_level < situation.asked.demanded_level


def _enrolment_is_due(situation: Situation) -> bool:
    return nothing_enrolled_and_required(situation) or nothing_enrolled_reaches_the_demanded_level(situation)
