"""THE ORDER OF SIGN-IN as a truth table: situation -> the pending prompt and its reasons."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.signin import checks
from idp.signin.prompts import PROMPTS, next_prompt, silent_error
from idp.signin.situation import Asked, Enrolled, LiveSession, Person, Proofs, Situation

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
TICK = timedelta(microseconds=1)

TOTP = Enrolled("totp", reaches=3, is_usable=True)
EMAIL = Enrolled("email", reaches=2, is_usable=True)
PASSKEY = Enrolled("passkey", reaches=4, is_usable=True)
DISABLED_TOTP = replace(TOTP, is_usable=False)
SWITCHED_OFF_EMAIL = Enrolled("email", reaches=0, is_usable=False)
CAN_ENROL_ALL = (("totp", 3), ("email", 2))

ANNA, BRAM = 1, 2
NOTHING = None, ()


def asked(*prompt: str, **values: Any) -> Asked:
    return Asked(prompt=frozenset(prompt), **values)


def demanding(level: int) -> Asked:
    return Asked(requested_levels=(level,))


def person(*enrolled: Enrolled, **values: Any) -> Person:
    """Anna, with these second factors; she could enrol an authenticator app."""
    can_enrol = tuple(pair for pair in CAN_ENROL_ALL[:1] if pair[0] not in {each.method for each in enrolled})
    return Person(**{"account_id": ANNA, "enrolled": enrolled, "can_enrol": can_enrol, **values})


def in_campaign(*enrolled: Enrolled, **values: Any) -> Person:
    return person(*enrolled, is_required_to_enrol=True, **values)


def session(level: int = 1, age: timedelta = MINUTE, **values: Any) -> LiveSession:
    return LiveSession(**{"account_id": ANNA, "level": level, "age": age, **values})


def of_this_interaction(level: int = 1, **values: Any) -> LiveSession:
    return session(level, is_of_this_interaction=True, **values)


PASSWORD = Proofs(account_id=ANNA, password=True)
NOTHING_SPECIAL = Asked()


def with_factor(level: int = 3, **values: Any) -> Proofs:
    return replace(PASSWORD, factor_level=level, **values)


def signing_in(who: Person, request: Asked = NOTHING_SPECIAL, **proofs: Any) -> Situation:
    """The password was just proven, and there is no session."""
    return Situation(asked=request, proofs=replace(PASSWORD, **proofs), person=who)


def signed_in(
    who: Person, request: Asked = NOTHING_SPECIAL, live: LiveSession | None = None, **proofs: Any
) -> Situation:
    """A session is live, and nothing was proven in this interaction yet."""
    return Situation(asked=request, session=live or session(), proofs=Proofs(**proofs), person=who)


def pending(situation: Situation) -> tuple[str | None, tuple[str, ...]]:
    found = next_prompt(situation)
    return (found.name, found.reasons) if found else NOTHING


def test_password_known_and_credential_enrolled_when_higher_level_is_demanded_asks_to_verify_before_any_enrolment() -> (
    None
):
    for enrolled in (TOTP, EMAIL, DISABLED_TOTP, SWITCHED_OFF_EMAIL):
        for can_enrol in (CAN_ENROL_ALL, (("totp", 3),), (("passkey", 4),), ()):
            for level in (2, 3, 4):
                situation = signing_in(in_campaign(enrolled, can_enrol=can_enrol), demanding(level))
                assert pending(situation)[0] == "verify_second_factor", (enrolled, can_enrol, level)


IDENTIFY = [
    ("nobody is known", Situation(), ("no_session",)),
    ("nobody is known, whatever is asked", Situation(asked=asked("consent", requested_levels=(3,))), ("no_session",)),
    ("prompt=login on a live session", signed_in(person(), asked("login")), ("prompt_login",)),
    ("prompt=login without a session", Situation(asked=asked("login")), ("no_session", "prompt_login")),
    ("prompt=login and a fresh session of another interaction", signed_in(person(), asked("login"), session(age=TICK)),
     ("prompt_login",)),
    ("max_age=0 on a session of this instant", signed_in(person(), asked(max_age=0 * SECOND), session(age=0 * SECOND)),
     ("max_age",)),
    ("max_age=1 just passed", signed_in(person(), asked(max_age=SECOND), session(age=SECOND + TICK)), ("max_age",)),
    ("max_age and prompt=login", signed_in(person(), asked("login", max_age=SECOND), session(age=MINUTE)),
     ("prompt_login", "max_age")),
    ("select_account on a live session", signed_in(person(), asked("select_account")), ("select_account",)),
    ("select_account without a session asks for a name only",
     Situation(asked=asked("select_account")), ("no_session",)),
    ("login and select_account", signed_in(person(), asked("login", "select_account")),
     ("prompt_login", "select_account")),
    ("chosen, but prompt=login still holds",
     signed_in(person(), asked("login", "select_account"), has_chosen_account=True),
     ("prompt_login",)),
    ("somebody else's name was typed while a session is live", signed_in(person(), names_another_account=True),
     ("another_account",)),
    ("the interaction began as somebody else", signed_in(person(), account_id=BRAM), ("another_account",)),
    ("somebody proved the password while another's session is live",
     Situation(session=session(account_id=BRAM), proofs=PASSWORD, person=person(TOTP)), ("another_account",)),
    ("somebody proved both while another's session is live",
     Situation(session=session(account_id=BRAM), proofs=with_factor(), person=person(TOTP)), ("another_account",)),
    ("the campaign asks, and the session's password is older than five minutes",
     signed_in(in_campaign(), live=session(age=5 * MINUTE + TICK)), ("password_too_old_to_enrol",)),
    ("a level asks for enrolment, and the session's password is older than five minutes",
     signed_in(person(), demanding(3), session(age=6 * MINUTE)), ("password_too_old_to_enrol",)),
    ("an e-mail credential and an old session, when an app would have to be enrolled",
     signed_in(person(EMAIL, can_enrol=(("totp", 3),)), demanding(3), session(2, age=6 * MINUTE)),
     ("password_too_old_to_enrol",)),
    ("a postponed session is too old to enrol for a demanded level",
     signed_in(in_campaign(), demanding(3), session(age=6 * MINUTE, has_postponed=True)),
     ("password_too_old_to_enrol",)),
]  # fmt: skip

VERIFY = [
    ("password proven, app enrolled", signing_in(person(TOTP)), ("unproven",)),
    ("campaign or not", signing_in(in_campaign(TOTP, is_postponable_today=True)), ("unproven",)),
    ("a decision to postpone does not answer it", signing_in(in_campaign(TOTP), has_postponed=True), ("unproven",)),
    ("staff as everybody else", signing_in(in_campaign(TOTP, is_staff=True)), ("unproven",)),
    ("a disabled credential counts as enrolled", signing_in(person(DISABLED_TOTP)), ("unproven",)),
    ("a method that was switched off counts as enrolled", signing_in(in_campaign(SWITCHED_OFF_EMAIL)), ("unproven",)),
    ("a disabled credential, when a level is demanded", signing_in(person(DISABLED_TOTP), demanding(3)), ("unproven",)),
    ("a switched-off credential, when the app could be enrolled for the demanded level",
     signing_in(person(SWITCHED_OFF_EMAIL, can_enrol=(("totp", 3),)), demanding(3)), ("unproven", "before_enrolment")),
    ("the level that the app reaches is demanded", signing_in(person(TOTP), demanding(3)), ("unproven", "level")),
    ("the client's own minimum", signing_in(person(TOTP), asked(client_minimum=2)), ("unproven", "level")),
    ("the password was asked again in a session that knows the factor",
     Situation(session=session(3), proofs=PASSWORD, person=person(TOTP)), ("unproven",)),
    ("a session from before the enrolment", signed_in(person(TOTP)), ("unproven",)),
    ("a postponed session from before the enrolment", signed_in(in_campaign(TOTP), live=session(has_postponed=True)),
     ("unproven",)),
    ("session by e-mail, app demanded and enrolled",
     signed_in(person(EMAIL, TOTP), demanding(3), session(2)), ("level",)),
    ("e-mail proven here, app demanded and enrolled",
     Situation(asked=demanding(3), proofs=with_factor(2), person=person(EMAIL, TOTP)), ("level",)),
    ("a fresh session by e-mail, app demanded and to be enrolled",
     signed_in(person(EMAIL, can_enrol=(("totp", 3),)), demanding(3), session(2)), ("before_enrolment",)),
    ("this interaction's session by e-mail, app demanded and to be enrolled: proven freshly, in this interaction",
     signed_in(person(EMAIL, can_enrol=(("totp", 3),)), demanding(3), of_this_interaction(2)), ("before_enrolment",)),
    ("password and e-mail credential, app demanded",
     signing_in(person(EMAIL, can_enrol=(("totp", 3),)), demanding(3)), ("unproven", "before_enrolment")),
    ("before consent", signing_in(person(TOTP), asked("consent", first_party=False, scope=frozenset({"openid"}))),
     ("unproven",)),
]  # fmt: skip

ENROL = [
    ("the campaign asks", signing_in(in_campaign()), ("campaign",)),
    ("the campaign asks and may be postponed", signing_in(in_campaign(is_postponable_today=True)), ("campaign",)),
    ("staff", signing_in(in_campaign(is_staff=True)), ("campaign",)),
    ("the campaign began during the session", signed_in(in_campaign()), ("campaign",)),
    ("at five minutes the password is just fresh enough", signed_in(in_campaign(), live=session(age=5 * MINUTE)),
     ("campaign",)),
    ("an old password does not matter in the interaction that it was asked in",
     signed_in(in_campaign(), live=of_this_interaction(age=20 * MINUTE)), ("campaign",)),
    ("a level is demanded", signing_in(person(), demanding(3)), ("level",)),
    ("the client's own minimum", signing_in(person(), asked(client_minimum=3)), ("level",)),
    ("campaign and level", signing_in(in_campaign(), demanding(2)), ("campaign", "level")),
    ("postponed here, level demanded", signing_in(in_campaign(), demanding(3), has_postponed=True), ("level",)),
    ("postponed session, level demanded",
     signed_in(in_campaign(), demanding(3), session(has_postponed=True)), ("level",)),
    ("the lowest level asked for counts", signing_in(person(), Asked(requested_levels=(4, 3))), ("level",)),
    ("e-mail proven here, app demanded",
     Situation(asked=demanding(3), proofs=with_factor(2), person=person(EMAIL, can_enrol=(("totp", 3),))), ("level",)),
    ("e-mail proven in a fresh session and again here, app demanded",
     Situation(asked=demanding(3), session=session(2), proofs=Proofs(account_id=ANNA, factor_level=2),
               person=person(EMAIL, can_enrol=(("totp", 3),))), ("level",)),
    ("before consent", signing_in(in_campaign(), asked(first_party=False, scope=frozenset({"openid"}))), ("campaign",)),
]  # fmt: skip

THIRD = asked(first_party=False, scope=frozenset({"openid", "email"}))
CONSENT = [
    ("nothing granted", signing_in(person(), THIRD), ("scope_not_granted",)),
    ("less granted", signing_in(person(granted_scope=frozenset({"openid"})), THIRD), ("scope_not_granted",)),
    ("in a live session", signed_in(person(), THIRD), ("scope_not_granted",)),
    ("offline access, for a first-party client too", signed_in(person(), asked("consent", offline_access=True)),
     ("offline_access",)),
    ("offline access, though it was given before",
     signed_in(person(granted_scope=THIRD.scope | {"offline_access"}), replace(THIRD, offline_access=True)),
     ("offline_access",)),
    ("in a postponed session", signed_in(in_campaign(), THIRD, session(has_postponed=True)), ("scope_not_granted",)),
    ("after the second factor",
     Situation(asked=THIRD, proofs=with_factor(), person=person(TOTP)), ("scope_not_granted",)),
    ("prompt=consent although granted",
     signed_in(person(granted_scope=THIRD.scope), replace(THIRD, prompt=frozenset({"consent"}))), ("prompt_consent",)),
    ("prompt=consent, nothing granted", signed_in(person(), replace(THIRD, prompt=frozenset({"consent"}))),
     ("scope_not_granted", "prompt_consent")),
    ("any program can pose as the client, although granted",
     signed_in(person(granted_scope=THIRD.scope), replace(THIRD, anybody_can_pose_as_it=True)),
     ("application_is_unproven",)),
    ("any program can pose as a first-party client", signed_in(person(), asked(anybody_can_pose_as_it=True)),
     ("application_is_unproven",)),
]  # fmt: skip

NOTHING_TO_ASK = [
    ("a live session", signed_in(person())),
    ("a session with the second factor", signed_in(person(TOTP), live=session(3))),
    ("the password alone, before the campaign", signing_in(person())),
    ("password and app", Situation(proofs=with_factor(), person=person(TOTP))),
    ("password and app, in a campaign, level demanded",
     Situation(asked=demanding(3), proofs=with_factor(), person=in_campaign(TOTP))),
    ("a level below the session's", signed_in(person(TOTP), demanding(2), session(3))),
    ("postponed here", signing_in(in_campaign(is_postponable_today=True), has_postponed=True)),
    ("postponed in this session", signed_in(in_campaign(), live=session(age=600 * MINUTE, has_postponed=True))),
    ("prompt=login, and the password was proven here", signing_in(person(), asked("login"))),
    ("prompt=login, proven here and spent on a session", signed_in(person(), asked("login"), of_this_interaction())),
    ("max_age=0, proven here", signing_in(person(), asked(max_age=0 * SECOND))),
    ("max_age=0, proven here and spent on a session",
     signed_in(person(), asked(max_age=0 * SECOND), of_this_interaction(age=MINUTE))),
    ("max_age=0, asked again in an older session",
     Situation(asked=asked(max_age=0 * SECOND), session=session(), proofs=PASSWORD, person=person())),
    ("max_age=1 at exactly one second", signed_in(person(), asked(max_age=SECOND), session(age=SECOND))),
    ("max_age=10000 on a younger session",
     signed_in(person(), asked(max_age=10000 * SECOND), session(age=9999 * SECOND))),
    ("select_account, and chosen", signed_in(person(), asked("select_account"), has_chosen_account=True)),
    ("select_account, and signed in here", signed_in(person(), asked("select_account"), of_this_interaction())),
    ("the interaction is pinned to the session's account", signed_in(person(), account_id=ANNA)),
    ("a voluntary level that nothing reaches", signing_in(person(can_enrol=()), demanding(4))),
    ("a level above the app's, which is proven",
     Situation(asked=demanding(4), proofs=with_factor(), person=person(TOTP))),
    ("e-mail proven, app demanded but disabled",
     Situation(asked=demanding(3), proofs=with_factor(2), person=person(EMAIL, DISABLED_TOTP))),
    ("consent granted before", signed_in(person(granted_scope=THIRD.scope), THIRD)),
    ("more granted than asked", signed_in(person(granted_scope=THIRD.scope | {"profile"}), THIRD)),
    ("consented here", signed_in(person(), replace(THIRD, prompt=frozenset({"consent"})), has_consented=True)),
    ("prompt=consent of a first-party client", signed_in(person(), asked("consent", scope=THIRD.scope))),
    ("offline access, consented here", signed_in(person(), asked(offline_access=True), has_consented=True)),
    ("posing is possible, consented here", signed_in(person(), asked(anybody_can_pose_as_it=True), has_consented=True)),
]  # fmt: skip


@pytest.mark.parametrize(("situation", "reasons"), [pytest.param(*row[1:], id=row[0]) for row in IDENTIFY])
def test_identify_is_pending_with_these_reasons(situation: Situation, reasons: tuple[str, ...]) -> None:
    assert pending(situation) == ("identify", reasons)


@pytest.mark.parametrize(("situation", "reasons"), [pytest.param(*row[1:], id=row[0]) for row in VERIFY])
def test_verify_second_factor_is_pending_with_these_reasons(situation: Situation, reasons: tuple[str, ...]) -> None:
    assert pending(situation) == ("verify_second_factor", reasons)


@pytest.mark.parametrize(("situation", "reasons"), [pytest.param(*row[1:], id=row[0]) for row in ENROL])
def test_enrol_second_factor_is_pending_with_these_reasons(situation: Situation, reasons: tuple[str, ...]) -> None:
    assert pending(situation) == ("enrol_second_factor", reasons)


@pytest.mark.parametrize(("situation", "reasons"), [pytest.param(*row[1:], id=row[0]) for row in CONSENT])
def test_consent_is_pending_with_these_reasons(situation: Situation, reasons: tuple[str, ...]) -> None:
    assert pending(situation) == ("consent", reasons)


@pytest.mark.parametrize("situation", [pytest.param(row[1], id=row[0]) for row in NOTHING_TO_ASK])
def test_nothing_is_pending(situation: Situation) -> None:
    assert pending(situation) == NOTHING


def test_every_check_has_a_row_of_the_table_in_which_it_is_a_reason() -> None:
    shown = {
        (name, reason)
        for name, rows in (
            ("identify", IDENTIFY),
            ("verify_second_factor", VERIFY),
            ("enrol_second_factor", ENROL),
            ("consent", CONSENT),
        )
        for _, _, reasons in rows
        for reason in reasons
    }
    assert shown == {(prompt.name, check.reason) for prompt in PROMPTS for check in prompt.checks}


def test_prompts_stand_in_the_order_of_sign_in_and_only_consent_does_not_authenticate() -> None:
    assert [prompt.name for prompt in PROMPTS] == ["identify", "verify_second_factor", "enrol_second_factor", "consent"]
    assert [prompt.name for prompt in PROMPTS if not prompt.authenticates] == ["consent"]


@pytest.mark.parametrize(
    ("situation", "error"),
    [
        (Situation(asked=asked("none")), "login_required"),
        (signed_in(person(), asked("none", max_age=0 * SECOND)), "login_required"),
        (signed_in(person(TOTP), asked("none")), "interaction_required"),
        (signed_in(in_campaign(), asked("none")), "interaction_required"),
        (signed_in(person(), replace(THIRD, prompt=frozenset({"none"}))), "consent_required"),
    ],
)
def test_pending_prompt_under_prompt_none_becomes_its_error(situation: Situation, error: str) -> None:
    found = next_prompt(situation)
    assert found is not None and silent_error(found) == error


def test_choice_of_an_account_under_prompt_none_has_an_error_of_its_own() -> None:
    found = next_prompt(signed_in(person(), asked("select_account")))
    assert found is not None and silent_error(found) == "account_selection_required"
    found = next_prompt(signed_in(person(), asked("login", "select_account")))
    assert found is not None and silent_error(found) == "login_required"


# Every situation, also those that cannot come about today: a rule that holds for all of them holds for those that do.

LEVELS = st.integers(1, 4)
AGES = st.sampled_from([0 * SECOND, SECOND, MINUTE, 5 * MINUTE, 5 * MINUTE + TICK, 29 * MINUTE])
ACCOUNTS = st.sampled_from([ANNA, BRAM])
METHODS = st.sampled_from([("totp", 3), ("email", 2), ("passkey", 4)])
ENROLLED = st.builds(Enrolled, st.sampled_from(["totp", "email", "passkey"]), st.integers(0, 4), st.booleans())
SCOPES = st.frozensets(st.sampled_from(["openid", "profile", "email"]))
SITUATIONS = st.builds(
    Situation,
    asked=st.builds(
        Asked,
        prompt=st.frozensets(st.sampled_from(["none", "login", "consent", "select_account"])),
        max_age=st.none() | AGES,
        requested_levels=st.lists(LEVELS, max_size=2).map(tuple),
        acr_is_essential=st.booleans(),
        client_minimum=LEVELS,
        scope=SCOPES,
        offline_access=st.booleans(),
        first_party=st.booleans(),
        anybody_can_pose_as_it=st.booleans(),
    ),
    session=st.none() | st.builds(LiveSession, ACCOUNTS, LEVELS, AGES, st.booleans(), st.booleans()),
    proofs=st.builds(
        Proofs,
        account_id=st.none() | ACCOUNTS,
        password=st.booleans(),
        factor_level=st.none() | LEVELS,
        has_postponed=st.booleans(),
        has_consented=st.booleans(),
        has_chosen_account=st.booleans(),
        names_another_account=st.booleans(),
    ),
    person=st.none()
    | st.builds(
        Person,
        ACCOUNTS,
        enrolled=st.lists(ENROLLED, max_size=2).map(tuple),
        can_enrol=st.lists(METHODS, max_size=2).map(tuple),
        is_staff=st.booleans(),
        is_required_to_enrol=st.booleans(),
        is_postponable_today=st.booleans(),
        granted_scope=SCOPES,
    ),
)


@given(SITUATIONS)
def test_enrolment_is_never_pending_while_an_enrolled_credential_is_unproven_in_this_interaction(
    situation: Situation,
) -> None:
    if situation.person is not None and situation.person.enrolled and situation.proofs.factor_level is None:
        assert pending(situation)[0] != "enrol_second_factor"


@given(SITUATIONS)
def test_consent_is_never_pending_while_an_authentication_prompt_has_a_reason(situation: Situation) -> None:
    if pending(situation)[0] == "consent":
        assert not any(prompt.reasons_in(situation) for prompt in PROMPTS if prompt.authenticates)


@given(SITUATIONS)
def test_offline_access_is_never_given_unasked_whoever_the_client_is(situation: Situation) -> None:
    if situation.asked.offline_access and not situation.proofs.has_consented:
        assert pending(situation) != NOTHING


@given(SITUATIONS)
def test_pending_prompt_has_a_reason_and_is_the_first_that_has_one(situation: Situation) -> None:
    due = [(prompt.name, prompt.reasons_in(situation)) for prompt in PROMPTS if prompt.reasons_in(situation)]
    assert pending(situation) == (due[0] if due else NOTHING)


@given(SITUATIONS)
def test_nothing_is_ever_left_to_ask_while_nobody_is_known(situation: Situation) -> None:
    if situation.session is None and not situation.proofs.password:
        assert pending(situation)[0] == "identify"


@given(SITUATIONS)
def test_second_factor_of_an_enrolled_person_is_asked_whatever_was_postponed(situation: Situation) -> None:
    if situation.person is not None and situation.person.enrolled and not situation.has_proven_factor:
        assert pending(situation)[0] in ("identify", "verify_second_factor")


@given(SITUATIONS)
def test_postponing_never_changes_what_a_demanded_level_asks_for(situation: Situation) -> None:
    postponed = replace(situation, proofs=replace(situation.proofs, has_postponed=True))
    level = "level" in next(prompt for prompt in PROMPTS if prompt.name == "enrol_second_factor").reasons_in(situation)
    if level:
        assert pending(postponed)[0] in ("identify", "verify_second_factor", "enrol_second_factor")
    if checks.level_is_demanded(situation):
        assert not checks.may_postpone(situation)


@given(SITUATIONS)
def test_another_persons_session_never_answers_silently(situation: Situation) -> None:
    if situation.session is not None and situation.proofs.account_id not in (None, situation.session.account_id):
        assert pending(situation)[0] == "identify"
