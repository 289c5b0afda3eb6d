"""What the pipeline knows of a person: which methods they have and may add, and what their organisation asks of them.

The one place where an account becomes a `Person`, for signing in and for `simulate`.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session as Unit

from idp.accounts.campaign import Campaign
from idp.accounts.models import Account
from idp.consents.record import granted_scope
from idp.factors.base import SecondFactor, SendsCodes
from idp.factors.models import Credential
from idp.signin.situation import Enrolled, Person


def campaign_of(account: Account) -> Campaign:
    """The dates that hold for this person."""
    return Campaign.of(account.organization, account.postpone_extended_until)


def person_of(
    unit: Unit, account: Account, factors: Sequence[SecondFactor], now: datetime, client_id: str | None = None
) -> Person:
    """The person as a check sees them at this moment; what they allowed is that of the client."""
    in_force = select(Credential).filter_by(account_id=account.id, withdrawn_at=None).order_by(Credential.id)
    credentials = unit.scalars(in_force).all()
    switched_on = {factor.name: factor.reaches for factor in factors if is_switched_on(factor, account)}
    enrolled = tuple(
        Enrolled(
            method=credential.method,
            # One whose method is switched off reaches nothing, but it is enrolled.
            reaches=switched_on.get(credential.method, 0),
            is_usable=credential.disabled_at is None and credential.method in switched_on,
        )
        for credential in credentials
    )
    has = {credential.method for credential in credentials}
    campaign, is_staff = campaign_of(account), account.role != "person"
    return Person(
        account_id=account.id,
        enrolled=enrolled,
        can_enrol=tuple(
            (factor.name, factor.reaches)
            for factor in factors
            if factor.name in switched_on and factor.name not in has and has_what_it_needs(factor, account)
        ),
        is_staff=is_staff,
        is_required_to_enrol=campaign.is_required(now) or is_staff or account.reset_at is not None,
        is_postponable_today=campaign.is_postponable(now),
        has_been_reset=account.reset_at is not None,
        is_enrolment_closed=account.reset_at is not None
        and (account.enrolment_open_until is None or now >= account.enrolment_open_until),
        granted_scope=granted_scope(unit, account.id, client_id) if client_id else frozenset(),
    )


def is_switched_on(factor: SecondFactor, account: Account) -> bool:
    """Whether the organisation allows the method."""
    return not isinstance(factor, SendsCodes) or account.organization.email_allowed


def has_what_it_needs(factor: SecondFactor, account: Account) -> bool:
    """Whether a code could reach the person."""
    return not isinstance(factor, SendsCodes) or account.email is not None


def shares_address(unit: Unit, account: Account) -> bool:
    """Whether the person's address stands on another account too: a mailbox that is perhaps not theirs alone."""
    if account.email is None:
        return False
    others = select(Account.id).where(func.lower(Account.email) == account.email.lower(), Account.id != account.id)
    return unit.scalar(others.limit(1)) is not None
