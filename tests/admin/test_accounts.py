"""Accounts: made with names and passwords that hold, changed with the consequences for sessions."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from idp.admin.refusals import Refusals
from idp.audit.events import AccountChanged
from idp.audit.trail import events
from idp.factors.models import Credential
from idp.kernel.clock import FixedClock
from idp.kernel.errors import Refused
from idp.sessions.models import Session
from idp.wiring import Services
from tests.admin.desk import account, enrol, letters, send_code, spent
from tests.factories import Factories
from tests.jobs.test_sweep_idle_sessions import open_sessions

GOOD = "vier losse woorden hier"
OTHER = "een ander lang wachtwoord"


@pytest.fixture
def organisation(services: Services) -> str:
    return services.organizations.add("10234", "De Linde").org_code


def is_password(services: Services, password: str) -> bool:
    """Whether the first account there is opens with it."""
    return services.passwords.verify(password, services.accounts.list()[0].password_hash).matches


def changes(services: Services) -> list[str]:
    with services.units.reading() as unit:
        return [event.details["change"] for event in events(unit, AccountChanged)]


def end_reasons(services: Services) -> list[str | None]:
    with services.units.reading() as unit:
        return list(unit.scalars(select(Session.end_reason)))


def test_new_account_is_found_however_its_names_are_typed(services: Services, organisation: str) -> None:
    services.accounts.add(organisation, " Anna.deWit ", GOOD, name="Anna de Wit", email="anna@voorbeeld.example")
    account = services.accounts.show("10234 ", "ANNA.DEWIT").account
    assert (account.username, account.username_shown) == ("anna.dewit", "Anna.deWit")
    assert account.organization.org_code == "10234" and account.role == "person"
    assert changes(services) == ["created"]


def test_new_account_signs_in_with_its_password_only(services: Services, organisation: str) -> None:
    services.accounts.add(organisation, "anna", GOOD)
    assert is_password(services, GOOD)
    assert not is_password(services, GOOD + " ")


def test_subs_are_random_and_long(services: Services, organisation: str) -> None:
    subs = {services.accounts.add(organisation, name).sub for name in ("anna", "bram", "carla")}
    assert len(subs) == 3 and all(len(sub) == 22 for sub in subs)


def test_username_is_taken_in_one_organisation_and_free_in_another(services: Services, organisation: str) -> None:
    services.organizations.add("20345", "De Eik")
    services.accounts.add(organisation, "anna")
    services.accounts.add("20345", "anna")
    with pytest.raises(Refused) as refused:
        services.accounts.add(organisation, "Anna")
    assert refused.value.message_key == "account.exists"
    assert len(services.accounts.list()) == 2 and len(services.accounts.list(organisation)) == 1


REFUSED: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"role": "root"}, ("account.role_unknown",)),
    ({"email": "geen adres"}, ("account.email",)),
    ({"email": "a@b\nBcc: c@d"}, ("account.email",)),
    ({"email": f"{'a' * 250}@b.nl"}, ("account.email",)),
    ({"email_verified": True}, ("account.email",)),
    ({"locale": "Nederlands"}, ("account.locale",)),
    ({"name": "x" * 201}, ("account.name",)),
    ({"password": "te kort"}, ("password.too_short",)),
    ({"password": "anna.de.wit.10234", "name": "Anna de Wit"}, ("password.contains_name",)),
    ({"role": "root", "password": "12345678"}, ("account.role_unknown", "password.too_short", "password.too_common")),
]


@pytest.mark.parametrize(("about", "message_keys"), REFUSED)
def test_account_that_cannot_be_is_refused_with_every_reason(
    services: Services, organisation: str, about: dict[str, Any], message_keys: tuple[str, ...]
) -> None:
    with pytest.raises(Refusals) as refused:
        services.accounts.add(organisation, "anna", **about)
    assert refused.value.message_keys == message_keys
    assert services.accounts.list() == [] and changes(services) == []


@pytest.mark.parametrize("username", ["", "twee woorden", "a\\b", "аnna"])
def test_username_that_misleads_is_refused(services: Services, organisation: str, username: str) -> None:
    with pytest.raises(Refused) as refused:
        services.accounts.add(organisation, username)
    assert refused.value.message_key == "username.name_not_allowed"


def test_account_of_an_unknown_organisation_is_refused(services: Services) -> None:
    with pytest.raises(Refused) as refused:
        services.accounts.add("99999", "anna")
    assert refused.value.message_key == "organization.unknown"


def test_new_password_ends_every_session_and_the_old_one_works_no_more(services: Services, make: Factories) -> None:
    person, other = make.person(), make.organization("20345")
    elsewhere = make.account(other, "bram", "20345")
    open_sessions(services, person.id, number=2)
    open_sessions(services, elsewhere.id)
    services.accounts.set_password("10234", "anna", OTHER)
    assert sorted(end_reasons(services), key=str) == [None, "password_changed", "password_changed"]
    assert is_password(services, OTHER) and not is_password(services, person.password)
    assert changes(services) == ["password set"]


def test_password_of_8_is_enough_only_while_a_second_factor_is_enrolled(services: Services, make: Factories) -> None:
    organization_id = make.organization()
    make.account(organization_id, "anna", totp=True)
    make.account(organization_id, "bram")
    services.accounts.set_password("10234", "anna", "kort-maar")
    with pytest.raises(Refusals) as refused:
        services.accounts.set_password("10234", "bram", "kort-maar")
    assert refused.value.message_keys == ("password.too_short",)


def test_refused_password_changes_nothing(services: Services, make: Factories) -> None:
    person = make.person()
    open_sessions(services, person.id)
    with pytest.raises(Refusals):
        services.accounts.set_password("10234", "anna", "kort")
    assert end_reasons(services) == [None] and changes(services) == []


def test_blocking_ends_the_sessions_and_unblocking_gives_everything_back(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    person = make.person(totp=True)
    open_sessions(services, person.id)
    assert services.accounts.block("10234", "anna").blocked_at == clock.now()
    assert end_reasons(services) == ["account_disabled"]
    services.accounts.unblock("10234", "anna")
    shown = services.accounts.show("10234", "anna")
    assert shown.account.blocked_at is None and [each.method for each in shown.methods] == ["totp"]
    assert changes(services) == ["blocked", "unblocked"]


def test_blocking_twice_keeps_the_first_moment_and_one_event(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    make.person()
    first = services.accounts.block("10234", "anna").blocked_at
    clock.set(clock.now().replace(hour=23))
    assert services.accounts.block("10234", "anna").blocked_at == first
    assert changes(services) == ["blocked"]


def test_shown_methods_are_those_in_force_with_disabled_ones_marked(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    person = make.person(totp=True)
    with services.units.writing() as unit:
        now = clock.now()
        unit.add(Credential(account_id=person.id, method="email", enrolled_at=now, withdrawn_at=now))
        unit.add(Credential(account_id=person.id, method="passkey", enrolled_at=now, disabled_at=now))
    methods = services.accounts.show("10234", "anna").methods
    assert [(each.method, each.is_disabled) for each in methods] == [("totp", False), ("passkey", True)]


@pytest.mark.parametrize("use", ["show", "block", "unblock"])
def test_unknown_account_is_refused_in_words(services: Services, organisation: str, use: str) -> None:
    with pytest.raises(Refused, match="organisation '10234' has no account 'zoe'"):
        getattr(services.accounts, use)("10234", "zoe")


def test_blocking_and_unblocking_say_who_and_why(services: Services, make: Factories) -> None:
    make.person()
    services.accounts.block("10234", "anna", reason=" Uit dienst ", actor="karin")
    services.accounts.unblock("10234", "anna", actor="karin")
    with services.units.reading() as unit:
        told = [(event.details, event.actor) for event in events(unit, AccountChanged)]
    assert told == [
        ({"change": "blocked", "reason": "Uit dienst"}, "karin"),
        ({"change": "unblocked", "reason": None}, "karin"),
    ]


@pytest.mark.parametrize("reason", ["twee\nregels", "x" * 501])
@pytest.mark.parametrize("use", ["block", "unblock"])
def test_reason_that_is_no_line_is_refused_and_nothing_changes(
    services: Services, make: Factories, use: str, reason: str
) -> None:
    make.person()
    with pytest.raises(Refused, match="a reason is one line"):
        getattr(services.accounts, use)("10234", "anna", reason=reason)
    assert account(services).blocked_at is None and changes(services) == []


def test_changed_address_is_unproven_and_told_to_both_mailboxes(
    services: Services, make: Factories, clock: FixedClock
) -> None:
    anna = make.person(email_verified=True, locale="en")
    clock.move(timedelta(minutes=1))
    services.accounts.set("10234", "anna", email="nieuw@voorbeeld.example", actor="karin")
    left = account(services)
    assert (left.email, left.email_verified, left.updated_at) == ("nieuw@voorbeeld.example", False, clock.now())
    sent = letters(services)
    assert [(letter.name, letter.to, letter.language) for letter in sent] == [
        ("address_changed", "anna@voorbeeld.example", "en"),
        ("address_changed", "nieuw@voorbeeld.example", "en"),
    ]
    assert {(letter.facts["at"], letter.facts["zone"]) for letter in sent} == {
        (clock.now().isoformat(), "Europe/Amsterdam")
    }
    with services.units.reading() as unit:
        (event,) = events(unit, AccountChanged)
    assert (event.account_id, event.actor, event.details["change"]) == (anna.id, "karin", "set email")


def test_address_that_is_given_or_taken_away_is_told_to_the_one_mailbox_there_is(
    services: Services, make: Factories
) -> None:
    make.person(email=None)
    services.accounts.set("10234", "anna", email="nieuw@voorbeeld.example")
    services.accounts.set("10234", "anna", email=None)
    assert [letter.to for letter in letters(services)] == ["nieuw@voorbeeld.example"] * 2
    assert account(services).email is None


def test_codes_by_mail_go_on_to_the_address_that_was_proven(services: Services, make: Factories) -> None:
    anna = make.person()
    enrol(services, anna.id, "email", address="anna@voorbeeld.example")
    enrolling, verifying = (send_code(services, anna.id, purpose) for purpose in ("enrolment", "verification"))
    services.accounts.set("10234", "anna", email="nieuw@voorbeeld.example")
    with services.units.reading() as unit:
        (credential,) = unit.scalars(select(Credential))
    assert credential.address == "anna@voorbeeld.example" and credential.withdrawn_at is None
    assert spent(services) == {enrolling: services.clock.now(), verifying: None}


def test_other_changes_leave_the_address_proven_and_send_nothing(services: Services, make: Factories) -> None:
    make.person(email_verified=True)
    services.accounts.set("10234", "anna", name="Anna Groen", locale="en-GB", email="anna@voorbeeld.example")
    left = account(services)
    assert (left.name, left.locale, left.email_verified) == ("Anna Groen", "en-GB", True)
    assert letters(services) == [] and changes(services) == ["set name, locale"]


def test_setting_what_already_holds_leaves_no_event(services: Services, make: Factories) -> None:
    make.person()
    services.accounts.set("10234", "anna", name="Anna de Wit")
    assert changes(services) == []


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        ({"email": "geen adres"}, "account.email"),
        ({"email": ""}, "account.email"),
        ({"name": "twee\nregels"}, "account.name"),
        ({"locale": "Nederlands"}, "account.locale"),
    ],
)
def test_change_that_cannot_be_is_refused_and_nothing_changes(
    services: Services, make: Factories, wrong: Any, key: str
) -> None:
    make.person(email_verified=True)
    with pytest.raises(Refusals) as refused:
        services.accounts.set("10234", "anna", **wrong)
    assert refused.value.message_keys == (key,)
    left = account(services)
    assert (left.name, left.email, left.email_verified) == ("Anna de Wit", "anna@voorbeeld.example", True)
    assert changes(services) == [] and letters(services) == []
