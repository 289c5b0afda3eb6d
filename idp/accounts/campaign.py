"""An organisation's roll-out of the second factor: required, postponable, mandatory. Pure questions about dates.

    before `required_from`                        nobody without a factor is asked
    from then to the end of `postpone_until`      choose, or postpone after "are you sure"
    after it                                      choose

`postpone_until` is inclusive: the 1st of February ends at 00:00 local time of the 2nd, also on days when summer time
begins or ends. The service desk may give one person a later last day; it is inclusive too, and only ever adds days.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from idp.accounts.models import Organization


@dataclass(frozen=True)
class Campaign:
    """The dates of one organisation in its own time zone, as they hold for one person."""

    required_from: date | None
    postpone_until: date | None
    time_zone: ZoneInfo

    @classmethod
    def of(cls, organization: Organization, extended_until: date | None = None) -> "Campaign":
        """The dates that hold for somebody of the organisation whose own last day may be `extended_until`.

        The later last day counts. Without a campaign, and before it begins, an extension means nothing; where nobody
        else may postpone it makes postponing possible for this person.
        """
        required_from, postpone_until = organization.second_factor_required_from, organization.postpone_until
        if required_from is not None and extended_until is not None and extended_until >= required_from:
            postpone_until = max(postpone_until or extended_until, extended_until)
        return cls(required_from, postpone_until, ZoneInfo(organization.time_zone))

    def today(self, now: datetime) -> date:
        """The organisation's calendar day at this instant."""
        return now.astimezone(self.time_zone).date()

    def is_required(self, now: datetime) -> bool:
        """True from the first moment of `required_from`."""
        return self.required_from is not None and self.today(now) >= self.required_from

    def is_postponable(self, now: datetime) -> bool:
        """True while the second factor is required and may still be put off."""
        return self.is_required(now) and self.postpone_until is not None and self.today(now) <= self.postpone_until

    def postponable_ends_at(self) -> datetime | None:
        """The first instant at which postponing is over: the start of the day after `postpone_until`, in UTC.

        A day that starts without a midnight (some zones move their clocks then) starts at its first moment: `zoneinfo`
        maps the missing 00:00 to the same instant as that moment.
        """
        if self.postpone_until is None:
            return None
        midnight = datetime.combine(self.postpone_until + timedelta(days=1), time.min, self.time_zone)
        return midnight.astimezone(UTC)

    def days_left(self, now: datetime) -> int:
        """How many more days one can sign in without a code; 0 on the last day."""
        return (self.postpone_until - self.today(now)).days if self.postpone_until else 0
