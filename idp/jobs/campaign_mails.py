"""Tells people by mail that their last day for postponing comes near: 30, 7 and 1 day before it, each once.

Only the most urgent mail that is due goes out. A worker that was off for days sends one mail, not three, and who joins
five days before the end hears of it at once. From 8:00 of the organisation's day, within its campaign, to people who
can sign in, have an address and may still postpone: without a second factor, not blocked, not reset, not staff.

One statement decides: the row that says "told" is written for whom all of that holds in the transaction that puts the
letter in the outbox, and of two workers one writes it. An extension moves the day and so begins anew.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from sqlalchemy import ColumnElement, Date, Integer, exists, literal, or_, select
from sqlalchemy.orm import Session as Unit

from idp.accounts.campaign import Campaign
from idp.accounts.correspondence import Correspondence, language_of
from idp.accounts.models import Account, CampaignMail, Organization
from idp.factors.models import Credential
from idp.kernel.clock import Clock
from idp.mail import letters
from idp.mail.post import LONGEST_WAIT, Post
from idp.store.base import UtcDateTime
from idp.store.dialects import insert_or
from idp.store.units import UnitsOfWork

log = logging.getLogger(__name__)

DAYS_BEFORE = (30, 7, 1)
OPENS = time(8)
BATCH = 100


@dataclass(frozen=True)
class Due:
    """The people of this organisation whose last day is `last_day` are to be told now, as `days_before` before it."""

    organization: Organization
    last_day: date
    days_before: int
    today: date
    expires_at: datetime


class CampaignMails:
    """Puts the mails of all campaigns in the outbox."""

    def __init__(self, units: UnitsOfWork, clock: Clock, post: Post, correspondence: Correspondence) -> None:
        self._units, self._clock = units, clock
        self._post, self._correspondence = post, correspondence

    def run(self) -> int:
        """Everybody who is due was told once; how many were told now."""
        with self._units.reading() as unit:
            in_campaign = select(Organization).where(Organization.second_factor_required_from.is_not(None))
            organizations = unit.scalars(in_campaign.order_by(Organization.id)).all()
            due = [each for organization in organizations for each in self._due(unit, organization)]
        told = 0
        for each in due:
            while (number := self._tell_some(each)) > 0:
                told += number
        return told

    def _due(self, unit: Unit, organization: Organization) -> Sequence[Due]:
        """For each day that is the last one of somebody, the most urgent mail."""
        common, now = Campaign.of(organization), self._clock.now()
        today = common.today(now)
        if not common.is_required(now) or now.astimezone(common.time_zone).time() < OPENS:
            return ()
        until = today + timedelta(days=max(DAYS_BEFORE))
        extended = select(Account.postpone_extended_until).where(
            Account.organization_id == organization.id, Account.postpone_extended_until.between(today, until)
        )
        campaigns = {Campaign.of(organization, own) for own in (None, *unit.scalars(extended.distinct()))}
        found = []
        for campaign in campaigns:
            last_day, ends_at = campaign.postpone_until, campaign.postponable_ends_at()
            if last_day is not None and ends_at is not None and today <= last_day <= until:
                days_before = min(number for number in DAYS_BEFORE if campaign.days_left(now) <= number)
                found.append(Due(organization, last_day, days_before, today, min(ends_at, now + LONGEST_WAIT)))
        return sorted(found, key=lambda each: each.last_day)

    def _tell_some(self, due: Due) -> int:
        """The number that were told; each unit is short, because on SQLite everybody waits for it."""
        desk = self._correspondence.desk(due.organization)
        with self._units.writing() as unit:
            ids = self._claim(unit, due)
            for account in unit.scalars(select(Account).where(Account.id.in_(ids)).order_by(Account.id)):
                letter = letters.deadline(desk, account.email or "", language_of(account), due.last_day, due.today)
                try:
                    self._post.enqueue(unit, letter, expires_at=due.expires_at)
                except ValueError:
                    log.warning("account %s has no usable address: no mail about the last day", account.id)
        return len(ids)

    def _claim(self, unit: Unit, due: Due) -> Sequence[int]:
        """Who is told here and now, and nowhere else."""
        told = exists().where(
            CampaignMail.account_id == Account.id,
            CampaignMail.last_day == due.last_day,
            CampaignMail.days_before == due.days_before,
        )
        people = (
            select(
                Account.id,
                literal(due.last_day, Date()),
                literal(due.days_before, Integer()),
                literal(self._clock.now(), UtcDateTime()),
            )
            .where(*_is_to_be_told(due), ~told)
            .order_by(Account.id)
            .limit(BATCH)
        )
        columns = [CampaignMail.account_id, CampaignMail.last_day, CampaignMail.days_before, CampaignMail.enqueued_at]
        claim = insert_or(unit, CampaignMail).from_select([column.key for column in columns], people)
        return unit.scalars(claim.on_conflict_do_nothing().returning(CampaignMail.account_id)).all()


def _is_to_be_told(due: Due) -> tuple[ColumnElement[bool], ...]:
    own, common = Account.postpone_extended_until, due.organization.postpone_until
    # As in `Campaign.of`: the later day counts.
    is_last_day = or_(own.is_(None), own <= due.last_day) if due.last_day == common else own == due.last_day
    return (
        Account.organization_id == due.organization.id,
        is_last_day,
        Account.role == "person",
        Account.email.is_not(None),
        Account.blocked_at.is_(None),
        Account.reset_at.is_(None),
        ~exists().where(Credential.account_id == Account.id, Credential.withdrawn_at.is_(None)),
    )
