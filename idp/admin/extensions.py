"""When the service desk may let one person postpone longer, and why not.

The day is one of the organisation's calendar: not past, later than everybody's own, within a campaign. Staff never
postpone, nor does anybody who has a second factor or whose second factor was reset.
"""

from datetime import date, datetime, timedelta

from idp.accounts.campaign import Campaign
from idp.accounts.models import Account
from idp.admin.refusals import Reasons
from idp.kernel.errors import Refused

# An extension bridges a leave, an illness or a phone that is on its way. Half a year is enough for each of them and
# still an exception; it can be given again.
LONGEST_EXTENSION = timedelta(days=180)


def check_last_day(account: Account, until: date, now: datetime) -> None:
    """Raises Refusals when the day means nothing in the organisation's campaign, or is too far."""
    campaign = Campaign.of(account.organization)
    first, last, today = campaign.required_from, campaign.postpone_until, campaign.today(now)
    latest, wrong = today + LONGEST_EXTENSION, Reasons()
    wrong.unless(until >= today, "service_desk.day_is_past", f"{until} is past: today is {today}")
    wrong.unless(until <= latest, "service_desk.day_too_far", f"an extension ends on {latest} at the latest")
    if first is None:
        wrong.add("service_desk.no_campaign", "the organisation asks nobody for a second factor: nothing to postpone")
    elif last is None:
        wrong.unless(until >= first, "service_desk.day_adds_nothing", f"nobody is asked before {first}")
    else:
        wrong.unless(until > last, "service_desk.day_adds_nothing", f"everybody may postpone until {last} already")
    wrong.raise_any()


def why_none(account: Account) -> Refused:
    """Why this person has nothing to postpone."""
    if account.role != "person":
        return Refused("service_desk.staff", "administrators and service-desk staff never postpone")
    if account.reset_at is not None:
        return Refused("service_desk.reset_is_open", "after a reset nobody postpones: a method has to be chosen")
    return Refused("service_desk.enrolled", "there is nothing to postpone: a second factor is enrolled")
