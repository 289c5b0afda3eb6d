"""The time that a session still has, as an application knows it, and when the provider is told of a user's activity.

    interval    between two reports: a minute, or a quarter of the idle time where that is shorter
    urgent      less than one and a half intervals before the deadline a report waits for nothing: one that arrives
                after the deadline revives nothing
    pending     the user did something that the provider does not know of yet; it is told at the end of the interval

Pure: no input, no output, no clock. Moments are by this application's clock; `ahead` is how far the provider's is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

LONGEST_INTERVAL = timedelta(minutes=1)
LONGEST_WARNING = timedelta(minutes=2)
# How often a page near its end may make the kit ask whether somebody was active in another application.
ASKS_EVERY = timedelta(seconds=5)
TRIES_AGAIN_AFTER = timedelta(seconds=5)
# Clocks that differ less are taken for the same: what the provider says of its own is in whole seconds.
SAME_CLOCK = timedelta(seconds=2)


@dataclass(frozen=True)
class Times:
    """What the provider said of a live session, when it was `asked_at`; never later than the truth."""

    asked_at: datetime
    ends_at: datetime
    absolute_ends_at: datetime
    idle_timeout: timedelta
    ahead: timedelta = timedelta(0)

    def after(self, activity_at: datetime, now: datetime) -> Times:
        """The same with a deadline counted here from this activity, for a provider that does not tell."""
        return replace(self, asked_at=now, ends_at=min(activity_at + self.idle_timeout, self.absolute_ends_at))


@dataclass(frozen=True)
class SessionClock:
    """The clock of one session. `last_activity_at` is the last thing that the user did here, `reported_at` the last
    such moment that the provider knows of, and no report leaves before `next_report_at` unless it is urgent."""

    times: Times
    last_activity_at: datetime
    reported_at: datetime
    next_report_at: datetime

    @classmethod
    def started(cls, times: Times) -> SessionClock:
        """The clock of somebody who came back from the provider, which is activity that it knows of."""
        at = times.asked_at
        return cls(times, at, at, at + interval_of(times.idle_timeout))

    @property
    def interval(self) -> timedelta:
        return interval_of(self.times.idle_timeout)

    @property
    def warn_before(self) -> timedelta:
        """How long before the deadline the user is warned."""
        return min(LONGEST_WARNING, self.times.idle_timeout / 3)

    @property
    def is_pending(self) -> bool:
        return self.last_activity_at > self.reported_at

    @property
    def is_at_limit(self) -> bool:
        """No activity moves the deadline. Both moments come in whole seconds."""
        return self.times.absolute_ends_at - self.times.ends_at <= timedelta(seconds=1)

    def has_passed(self, now: datetime) -> bool:
        """True from the known deadline on: only the provider can say that the session lives."""
        return now >= self.times.ends_at

    def may_be_out_of_date(self, now: datetime) -> bool:
        """Somebody would be warned now, and may have been active in another application since we asked."""
        pause = min(ASKS_EVERY, self.interval)
        is_near = self.times.ends_at - now <= self.warn_before + pause
        return is_near and now - self.times.asked_at >= pause

    def is_urgent(self, now: datetime) -> bool:
        """The deadline is near, and a report can move it."""
        can_move = self.times.ends_at < self.times.absolute_ends_at
        return can_move and self.times.ends_at - now < self.interval * 3 / 2

    def may_report(self, now: datetime) -> bool:
        return self.is_pending and (now >= self.next_report_at or self.is_urgent(now))

    def with_activity(self, at: datetime) -> SessionClock:
        """The user did something; earlier news changes nothing."""
        return replace(self, last_activity_at=max(self.last_activity_at, at))

    def with_claim(self, now: datetime) -> SessionClock:
        """A report leaves now, so others wait."""
        return replace(self, next_report_at=now + self.interval)

    def with_failure(self, now: datetime) -> SessionClock:
        """The provider did not take a report; it is tried again soon."""
        return replace(self, next_report_at=now + min(TRIES_AGAIN_AFTER, self.interval))

    def with_times(self, times: Times, reported_at: datetime | None = None) -> SessionClock:
        """What the provider answered counts, unless a later question was answered before."""
        newer = times if times.asked_at >= self.times.asked_at else self.times
        known = self.reported_at if reported_at is None else max(self.reported_at, reported_at)
        return replace(self, times=newer, reported_at=known)

    def at_provider(self, moment: datetime) -> float:
        """The moment by the provider's clock, in seconds since the epoch."""
        ahead = self.times.ahead
        return (moment + (ahead if abs(ahead) > SAME_CLOCK else timedelta(0))).timestamp()

    def as_row(self) -> dict[str, float]:
        """Numbers from which `from_row` makes the same clock."""
        return {
            "asked_at": self.times.asked_at.timestamp(),
            "ends_at": self.times.ends_at.timestamp(),
            "absolute_ends_at": self.times.absolute_ends_at.timestamp(),
            "idle_timeout": self.times.idle_timeout.total_seconds(),
            "ahead": self.times.ahead.total_seconds(),
            "last_activity_at": self.last_activity_at.timestamp(),
            "reported_at": self.reported_at.timestamp(),
            "next_report_at": self.next_report_at.timestamp(),
        }

    @classmethod
    def from_row(cls, row: dict[str, float]) -> SessionClock:
        def at(name: str) -> datetime:
            return datetime.fromtimestamp(row[name], UTC)

        times = Times(
            at("asked_at"),
            at("ends_at"),
            at("absolute_ends_at"),
            timedelta(seconds=row["idle_timeout"]),
            timedelta(seconds=row["ahead"]),
        )
        return cls(times, at("last_activity_at"), at("reported_at"), at("next_report_at"))


def interval_of(idle_timeout: timedelta) -> timedelta:
    return min(LONGEST_INTERVAL, idle_timeout / 4)
