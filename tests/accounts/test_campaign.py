"""The dates of a campaign: days in the organisation's own zone, the last one inclusive."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from idp.accounts.campaign import Campaign
from idp.accounts.models import Organization

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
TICK = timedelta(microseconds=1)
NOVEMBER = date(2026, 11, 1)
FEBRUARY = date(2027, 2, 1)
CAMPAIGN = Campaign(NOVEMBER, FEBRUARY, AMSTERDAM)


def organization(
    required_from: date | None = NOVEMBER, postpone_until: date | None = FEBRUARY, zone: str = "Europe/Amsterdam"
) -> Organization:
    return Organization(second_factor_required_from=required_from, postpone_until=postpone_until, time_zone=zone)


def amsterdam(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=AMSTERDAM).astimezone(UTC)  # type: ignore[arg-type, misc]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_organisation_without_dates_has_no_campaign() -> None:
    campaign = Campaign(None, None, AMSTERDAM)
    assert not campaign.is_required(amsterdam(2026, 12, 1))
    assert not campaign.is_postponable(amsterdam(2026, 12, 1))
    assert campaign.postponable_ends_at() is None


def test_second_factor_is_required_from_the_first_moment_of_its_day() -> None:
    first = amsterdam(2026, 11, 1)
    assert not CAMPAIGN.is_required(first - TICK) and not CAMPAIGN.is_postponable(first - TICK)
    assert CAMPAIGN.is_required(first) and CAMPAIGN.is_postponable(first)


def test_last_day_to_postpone_is_inclusive() -> None:
    end = amsterdam(2027, 2, 2)
    assert CAMPAIGN.postponable_ends_at() == end == utc("2027-02-01T23:00:00")
    assert CAMPAIGN.is_postponable(end - TICK)
    assert not CAMPAIGN.is_postponable(end)
    assert CAMPAIGN.is_required(end) and CAMPAIGN.is_required(end + timedelta(days=4000))


def test_campaign_without_last_day_was_never_postponable() -> None:
    campaign = Campaign(NOVEMBER, None, AMSTERDAM)
    assert campaign.is_required(amsterdam(2026, 11, 1))
    assert not campaign.is_postponable(amsterdam(2026, 11, 1))
    assert campaign.postponable_ends_at() is None
    assert campaign.days_left(amsterdam(2026, 11, 1)) == 0


def test_campaign_of_one_day_is_postponable_on_that_day_only() -> None:
    campaign = Campaign(NOVEMBER, NOVEMBER, AMSTERDAM)
    assert campaign.is_postponable(amsterdam(2026, 11, 1, 12))
    assert not campaign.is_postponable(amsterdam(2026, 11, 2))


@pytest.mark.parametrize(
    ("now", "days"),
    [
        (amsterdam(2027, 1, 30, 23, 59), 2),
        (amsterdam(2027, 1, 31), 1),
        (amsterdam(2027, 2, 1), 0),
        (amsterdam(2027, 2, 1, 23, 59, 59), 0),
    ],
)
def test_days_left_are_days_of_the_calendar_and_none_on_the_last_day(now: datetime, days: int) -> None:
    assert CAMPAIGN.days_left(now) == days


def test_day_is_that_of_the_organisations_zone() -> None:
    evening_in_london = utc("2027-02-01T23:30:00")
    assert CAMPAIGN.today(evening_in_london) == date(2027, 2, 2)
    assert not CAMPAIGN.is_postponable(evening_in_london)
    assert Campaign(NOVEMBER, FEBRUARY, ZoneInfo("Europe/London")).is_postponable(evening_in_london)
    assert Campaign(NOVEMBER, FEBRUARY, ZoneInfo("America/Curacao")).is_postponable(evening_in_london)


@pytest.mark.parametrize(
    ("zone", "last_day", "ends_at"),
    [
        pytest.param("Europe/Amsterdam", "2027-03-27", "2027-03-27T23:00:00", id="the day before summer time"),
        pytest.param("Europe/Amsterdam", "2027-03-28", "2027-03-28T22:00:00", id="the day on which summer time begins"),
        pytest.param("Europe/Amsterdam", "2027-10-30", "2027-10-30T22:00:00", id="the day before winter time"),
        pytest.param("Europe/Amsterdam", "2027-10-31", "2027-10-31T23:00:00", id="the day on which summer time ends"),
        pytest.param("Europe/Amsterdam", "2027-12-31", "2027-12-31T23:00:00", id="the end of the year"),
        pytest.param("Europe/Amsterdam", "2028-02-28", "2028-02-28T23:00:00", id="a leap day follows"),
        pytest.param("America/Sao_Paulo", "2017-10-14", "2017-10-15T03:00:00", id="the next day has no midnight"),
        pytest.param("America/Sao_Paulo", "2017-10-15", "2017-10-16T02:00:00", id="a day without midnight"),
        pytest.param("America/Sao_Paulo", "2018-02-17", "2018-02-18T03:00:00", id="the last hour comes twice"),
        pytest.param("Africa/Cairo", "2023-04-27", "2023-04-27T22:00:00", id="no midnight in Cairo"),
        pytest.param("Africa/Cairo", "2023-10-26", "2023-10-26T22:00:00", id="the last hour twice in Cairo"),
        pytest.param(
            "America/Havana", "2017-11-04", "2017-11-05T04:00:00", id="midnight comes twice: the first counts"
        ),
        pytest.param("Asia/Beirut", "2022-03-26", "2022-03-26T22:00:00", id="no midnight in Beirut"),
        pytest.param("Asia/Beirut", "2022-03-27", "2022-03-27T21:00:00", id="a day without midnight in Beirut"),
        pytest.param("Asia/Beirut", "2022-10-29", "2022-10-29T22:00:00", id="the last hour twice in Beirut"),
        pytest.param("Pacific/Apia", "2011-12-29", "2011-12-30T10:00:00", id="the next day does not exist"),
        pytest.param("Pacific/Kiritimati", "2027-02-01", "2027-02-01T10:00:00", id="fourteen hours ahead"),
        pytest.param("America/Curacao", "2027-02-01", "2027-02-02T04:00:00", id="behind UTC"),
        pytest.param("Asia/Kathmandu", "2027-02-01", "2027-02-01T18:15:00", id="a quarter of an hour"),
    ],
)
def test_postponing_ends_at_the_first_moment_of_the_next_day(zone: str, last_day: str, ends_at: str) -> None:
    last, end = date.fromisoformat(last_day), utc(ends_at)
    first = last - timedelta(days=30)
    for campaign in (
        Campaign(first, last, ZoneInfo(zone)),
        # The same day, given to one person.
        Campaign.of(organization(first, first, zone), extended_until=last),
    ):
        assert campaign.postponable_ends_at() == end
        assert campaign.is_postponable(end - TICK) and campaign.today(end - TICK) == last
        assert not campaign.is_postponable(end) and campaign.today(end) > last


MARCH = date(2027, 3, 1)


def test_own_last_day_is_inclusive_and_counts_when_it_is_later() -> None:
    mine = Campaign.of(organization(), extended_until=MARCH)
    end = amsterdam(2027, 3, 2)
    assert mine.postpone_until == MARCH and mine.postponable_ends_at() == end
    assert mine.is_postponable(end - TICK) and not mine.is_postponable(end)
    assert mine.days_left(amsterdam(2027, 2, 1)) == 28 and mine.days_left(end - TICK) == 0
    assert Campaign.of(organization()).postpone_until == FEBRUARY, "nobody else's"


def test_own_last_day_that_is_earlier_takes_nothing_away() -> None:
    assert Campaign.of(organization(), extended_until=date(2026, 12, 1)) == Campaign.of(organization())


def test_own_last_day_lets_one_person_postpone_where_nobody_else_may() -> None:
    nobody_may = organization(postpone_until=None)
    mine = Campaign.of(nobody_may, extended_until=MARCH)
    assert mine.is_postponable(amsterdam(2027, 3, 1)) and not mine.is_postponable(amsterdam(2027, 3, 2))
    assert not Campaign.of(nobody_may).is_postponable(amsterdam(2027, 3, 1))


def test_own_last_day_means_nothing_without_a_campaign() -> None:
    mine = Campaign.of(organization(None, None), extended_until=MARCH)
    assert mine.postponable_ends_at() is None
    assert not mine.is_required(amsterdam(2027, 3, 1)) and not mine.is_postponable(amsterdam(2027, 3, 1))


def test_own_last_day_before_the_campaign_begins_means_nothing() -> None:
    mine = Campaign.of(organization(postpone_until=None), extended_until=NOVEMBER - timedelta(days=1))
    assert mine.postponable_ends_at() is None and not mine.is_postponable(amsterdam(2026, 11, 1))


def test_own_last_day_begins_to_count_with_the_campaign() -> None:
    mine = Campaign.of(organization(postpone_until=None), extended_until=NOVEMBER)
    first, end = amsterdam(2026, 11, 1), amsterdam(2026, 11, 2)
    assert not mine.is_postponable(first - TICK)
    assert mine.is_postponable(first) and mine.is_postponable(end - TICK) and not mine.is_postponable(end)


days = st.dates(date(2012, 1, 2), date(2037, 12, 30))
zones = st.sampled_from(sorted(available_timezones()))
moments = st.datetimes(datetime(2011, 12, 1), datetime(2038, 1, 31), timezones=st.just(UTC))


@given(required_from=days, length=st.none() | st.integers(0, 400), own=days, zone=zones, now=moments)
def test_own_last_day_adds_days_and_never_takes_one_away(
    required_from: date, length: int | None, own: date, zone: str, now: datetime
) -> None:
    last = None if length is None else required_from + timedelta(days=length)
    common = Campaign.of(organization(required_from, last, zone))
    mine = Campaign.of(organization(required_from, last, zone), extended_until=own)
    assert mine.is_required(now) == common.is_required(now), "it is required for everybody from the same moment"
    within_my_own = required_from <= mine.today(now) <= own
    assert mine.is_postponable(now) == (common.is_postponable(now) or within_my_own)
    assert mine.postpone_until is None or mine.postpone_until >= required_from


@given(own=st.none() | days, zone=zones, now=moments)
def test_nobody_is_asked_without_a_campaign_whatever_the_service_desk_gave(
    own: date | None, zone: str, now: datetime
) -> None:
    mine = Campaign.of(organization(None, None, zone), extended_until=own)
    assert not mine.is_required(now) and not mine.is_postponable(now) and mine.postpone_until is None


@given(
    zone=st.sampled_from(sorted(available_timezones())),
    last=st.dates(date(2012, 1, 2), date(2037, 12, 30)),
    offset=st.timedeltas(timedelta(hours=-30), timedelta(hours=30)),
)
def test_page_and_session_agree_when_postponing_ends_in_every_zone(zone: str, last: date, offset: timedelta) -> None:
    """The page asks for the calendar day, the session keeps the instant: both must change at once."""
    campaign = Campaign(last - timedelta(days=30), last, ZoneInfo(zone))
    end = campaign.postponable_ends_at()
    assert end is not None
    now = end + offset
    assert campaign.is_postponable(now) == (now < end)
