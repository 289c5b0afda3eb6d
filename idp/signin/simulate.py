"""Who would meet what on a day: the same checks as at every sign-in, asked about a day that is not today.

Nothing is changed, and nobody's password is assumed to be known: the answer is what follows a right one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

from sqlalchemy import select
from sqlalchemy.orm import Session as Unit

from idp.accounts.models import Account, Organization
from idp.accounts.names import canonical
from idp.factors.base import SecondFactor
from idp.kernel.errors import Refused
from idp.kernel.levels import PASSWORD
from idp.signin import checks
from idp.signin.people import campaign_of, person_of
from idp.signin.prompts import next_prompt
from idp.signin.situation import Asked, Proofs, Situation
from idp.store.units import UnitsOfWork

BATCH = 500
NOON = time(12)

# What somebody meets after the password, besides the names of prompts.
BLOCKED = "blocked"
SIGNS_IN = "signs_in"
SERVICE_DESK = "service_desk"
OUT_OF_REACH = "level_out_of_reach"


@dataclass(frozen=True)
class Meeting:
    """What one person would meet after the right password.

    `meets`: a prompt (`verify_second_factor`, `enrol_second_factor`), `signs_in`, `blocked`, `service_desk` (something
    is enrolled and nothing of it can be used, or the time to enrol after a reset is over), `level_out_of_reach`.
    `days_left`: where it can be postponed, for how many days after this one; None where it cannot.
    """

    username: str
    meets: str
    reasons: tuple[str, ...] = ()
    days_left: int | None = None
    methods: tuple[str, ...] = ()


class Simulation:
    """The checks of signing in, about another day."""

    def __init__(self, units: UnitsOfWork, factors: Sequence[SecondFactor]) -> None:
        self._units, self._factors = units, factors

    def on(self, org_code: str, day: date, minimum_acr: int = PASSWORD) -> Sequence[Meeting]:
        """Everybody of the organisation, by username, at noon of its own day, in an application that demands so much.

        Raises Refused when there is no such organisation.
        """
        with self._units.reading() as unit:
            organization = unit.scalars(select(Organization).filter_by(org_code=canonical(org_code))).one_or_none()
            if organization is None:
                raise Refused("organization.unknown", f"there is no organisation {org_code!r}")
            return [self.of(unit, account, day, minimum_acr) for account in _accounts(unit, organization)]

    def of(self, unit: Unit, account: Account, day: date, minimum_acr: int = PASSWORD) -> Meeting:
        """What this person would meet."""
        campaign = campaign_of(account)
        now = datetime.combine(day, NOON, campaign.time_zone)
        person = person_of(unit, account, self._factors, now)
        proofs = Proofs(account_id=account.id, password=True)
        situation = Situation(asked=Asked(client_minimum=minimum_acr), proofs=proofs, person=person)
        methods = tuple(each.method for each in person.enrolled)
        if account.blocked_at is not None:
            return Meeting(account.username_shown, BLOCKED, methods=methods)
        pending = next_prompt(situation)
        if pending is None:
            meets = OUT_OF_REACH if checks.shortfall(situation) else SIGNS_IN
            return Meeting(account.username_shown, meets, methods=methods)
        days_left = campaign.days_left(now) if checks.may_postpone(situation) else None
        meets = SERVICE_DESK if _is_stuck(pending.name, situation) else pending.name
        return Meeting(account.username_shown, meets, pending.reasons, days_left, methods)


def _is_stuck(prompt: str, situation: Situation) -> bool:
    if prompt == "enrol_second_factor":
        return checks.enrolment_is_closed(situation)
    enrolled = situation.person.enrolled if situation.person else ()
    return prompt == "verify_second_factor" and not any(credential.is_usable for credential in enrolled)


def _accounts(unit: Unit, organization: Organization) -> Iterator[Account]:
    """Everybody of the organisation, never more than a batch at a time in memory."""
    last = ""
    while True:
        query = select(Account).where(Account.organization_id == organization.id, Account.username > last)
        batch = unit.scalars(query.order_by(Account.username).limit(BATCH)).all()
        if not batch:
            return
        yield from batch
        last = batch[-1].username
        unit.expunge_all()
