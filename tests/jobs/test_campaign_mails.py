"""The mails of a campaign: the right people, on the right days, once each."""

from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, select

from idp.accounts.models import CampaignMail
from idp.jobs import campaign_mails
from idp.jobs.campaign_mails import CampaignMails
from idp.jobs.schedule import tasks
from idp.jobs.worker import Worker
from idp.kernel.clock import FixedClock
from idp.outbox.models import OutboxMessage
from idp.wiring import Services
from tests.admin.desk import change, enrol, letters, reset
from tests.attacks.parallel import Node, run
from tests.conftest import START
from tests.factories import Factories, Somebody

AMSTERDAM = ZoneInfo("Europe/Amsterdam")
FIRST, LAST = date(2026, 11, 1), date(2027, 2, 1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def at(day: date, hour: int = 8, minute: int = 0, zone: ZoneInfo = AMSTERDAM) -> datetime:
    return datetime.combine(day, time(hour, minute), zone).astimezone(UTC)


@pytest.fixture
def mails(services: Services) -> CampaignMails:
    return campaign_mails_of(services)


def campaign_mails_of(services: Services) -> CampaignMails:
    return CampaignMails(services.units, services.clock, services.post, services.correspondence)


@pytest.fixture
def organization(make: Factories) -> int:
    return make.organization(required_from=FIRST, postpone_until=LAST)


@pytest.fixture
def anna(make: Factories, organization: int) -> Somebody:
    return make.account(organization)


def told(services: Services) -> list[str]:
    """Who was told, in that order."""
    return [letter.to.partition("@")[0] for letter in letters(services, "deadline")]


def days_told(services: Services, mails: CampaignMails, clock: FixedClock, first: date, last: date) -> dict[date, int]:
    """On which days how many were told, by a worker that looks every morning, noon and evening."""
    found: dict[date, int] = {}
    for number in range((last - first).days + 1):
        day = first + number * DAY
        for hour in (7, 8, 12, 20):
            clock.set(at(day, hour))
            if count := mails.run():
                assert hour == 8, "from 8:00 on"
                found[day] = found.get(day, 0) + count
    return found


def test_people_are_told_30_and_7_days_and_1_day_before_the_last_day_and_never_again(
    services: Services, mails: CampaignMails, clock: FixedClock, anna: Somebody
) -> None:
    on = days_told(services, mails, clock, LAST - 33 * DAY, LAST + 3 * DAY)
    assert on == {LAST - 30 * DAY: 1, LAST - 7 * DAY: 1, LAST - DAY: 1}
    with services.units.reading() as unit:
        rows = unit.scalars(select(CampaignMail).order_by(CampaignMail.enqueued_at)).all()
    assert [(row.account_id, row.last_day, row.days_before) for row in rows] == [
        (anna.id, LAST, days) for days in (30, 7, 1)
    ]
    assert rows[0].enqueued_at == at(LAST - 30 * DAY)


def test_letter_names_the_day_from_which_a_code_is_needed_in_the_persons_language(
    services: Services, mails: CampaignMails, clock: FixedClock, make: Factories
) -> None:
    organization = make.organization(
        required_from=FIRST, postpone_until=LAST, service_desk_phone="020 - 123 4567", service_desk_email="d@l.example"
    )
    make.account(organization, locale="en-GB")
    clock.set(at(LAST - 7 * DAY))
    assert mails.run() == 1
    (letter,) = letters(services)
    assert (letter.name, letter.to, letter.language) == ("deadline", "anna@voorbeeld.example", "en")
    assert letter.facts == {
        "brand": "Atosi",
        "organization": "De Linde",
        "phone": "020 - 123 4567",
        "reply_to": "d@l.example",
        "from": "2027-02-02",
        "today": "2027-01-25",
    }


def test_mail_that_was_not_sent_when_the_last_day_is_over_is_never_sent(
    services: Services, mails: CampaignMails, clock: FixedClock, anna: Somebody
) -> None:
    expire = []
    for days in (30, 1):
        clock.set(at(LAST - days * DAY))
        mails.run()
        with services.units.reading() as unit:
            expire.append(unit.scalars(select(OutboxMessage.expires_at).order_by(OutboxMessage.id.desc())).first())
    assert expire == [at(LAST - 27 * DAY), at(LAST + DAY, hour=0)]


@pytest.mark.parametrize(
    ("days_off_until", "days_before"), [(30, 30), (29, 30), (8, 30), (7, 7), (6, 7), (2, 7), (1, 1), (0, 1)]
)
def test_worker_that_was_off_sends_the_most_urgent_mail_only(
    services: Services, mails: CampaignMails, clock: FixedClock, anna: Somebody, days_off_until: int, days_before: int
) -> None:
    clock.set(at(LAST - days_off_until * DAY, 21))
    assert [mails.run(), mails.run()] == [1, 0]
    with services.units.reading() as unit:
        assert list(unit.scalars(select(CampaignMail.days_before))) == [days_before]


def test_nobody_is_told_before_8_in_the_organisations_zone_nor_after_the_last_day(
    services: Services, mails: CampaignMails, clock: FixedClock, anna: Somebody
) -> None:
    clock.set(at(LAST - 30 * DAY) - TICK)
    assert mails.run() == 0
    clock.set(at(LAST + DAY, hour=0) - TICK)
    assert mails.run() == 1
    change_last_day(services, LAST - DAY)
    assert mails.run() == 0


def change_last_day(services: Services, day: date | None) -> None:
    services.organizations.set("10234", postpone_until=day)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "America/Sao_Paulo", "Asia/Kathmandu", "Etc/GMT+12"])
def test_8_oclock_is_that_of_the_organisation(
    services: Services, mails: CampaignMails, clock: FixedClock, make: Factories, zone: str
) -> None:
    make.account(make.organization(required_from=FIRST, postpone_until=LAST, time_zone=zone))
    morning = at(LAST - 7 * DAY, zone=ZoneInfo(zone))
    clock.set(at(LAST - 8 * DAY, 23, zone=ZoneInfo(zone)))
    assert mails.run() == 1, "the first one"
    clock.set(morning - TICK)
    assert mails.run() == 0
    clock.set(morning)
    assert mails.run() == 1


def test_8_oclock_on_the_day_on_which_summer_time_begins_is_8_oclock(
    services: Services, mails: CampaignMails, clock: FixedClock, anna: Somebody
) -> None:
    begins = date(2027, 3, 28)
    change_last_day(services, begins + 7 * DAY)
    clock.set(at(begins - DAY))
    assert mails.run() == 1
    eight = datetime(2027, 3, 28, 6, tzinfo=UTC)
    clock.set(eight - TICK)
    assert mails.run() == 0
    clock.set(eight)
    assert mails.run() == 1


def enrolled(services: Services, person: Somebody) -> None:
    enrol(services, person.id)


def enrolled_and_disabled(services: Services, person: Somebody) -> None:
    enrol(services, person.id, disabled_at=START)


def was_reset(services: Services, person: Somebody) -> None:
    reset(services, person.username)
    with services.units.writing() as unit:
        unit.execute(delete(OutboxMessage))


def become(**values: Any) -> Callable[[Services, Somebody], None]:
    return lambda services, person: change(services, person.id, **values)


@pytest.mark.parametrize(
    "reason",
    [
        pytest.param(enrolled, id="enrolled"),
        pytest.param(enrolled_and_disabled, id="enrolled and disabled"),
        pytest.param(was_reset, id="reset"),
        pytest.param(become(blocked_at=START), id="blocked"),
        pytest.param(become(email=None), id="without an address"),
        pytest.param(become(role="service_desk"), id="service desk"),
        pytest.param(become(role="administrator"), id="administrator"),
    ],
)
def test_whom_it_does_not_concern_is_not_told_and_everybody_else_is(
    services: Services,
    mails: CampaignMails,
    clock: FixedClock,
    make: Factories,
    organization: int,
    anna: Somebody,
    reason: Callable[[Services, Somebody], None],
) -> None:
    reason(services, anna)
    make.account(organization, "bram")
    for days in (30, 7, 1):
        clock.set(at(LAST - days * DAY))
        assert mails.run() == 1
    assert told(services) == ["bram"] * 3


def test_somebody_whose_second_factor_was_withdrawn_without_a_reset_is_told(
    services: Services, mails: CampaignMails, clock: FixedClock, anna: Somebody
) -> None:
    enrol(services, anna.id, withdrawn_at=START)
    clock.set(at(LAST - DAY))
    assert mails.run() == 1


@pytest.mark.parametrize(
    ("first", "last"),
    [
        pytest.param(None, None, id="no campaign"),
        pytest.param(FIRST, None, id="never postponable"),
        pytest.param(LAST - 6 * DAY, LAST, id="not begun yet"),
    ],
)
def test_organisation_where_nobody_can_postpone_now_tells_nobody(
    services: Services, mails: CampaignMails, clock: FixedClock, make: Factories, first: date | None, last: date | None
) -> None:
    make.account(make.organization(required_from=first, postpone_until=last))
    clock.set(at(LAST - 7 * DAY))
    assert mails.run() == 0


def test_campaign_that_begins_late_tells_the_most_urgent_on_its_first_day(
    services: Services, mails: CampaignMails, clock: FixedClock, make: Factories
) -> None:
    make.account(make.organization(required_from=LAST - 6 * DAY, postpone_until=LAST))
    on = days_told(services, mails, clock, LAST - 31 * DAY, LAST + DAY)
    assert on == {LAST - 6 * DAY: 1, LAST - DAY: 1}


def test_extension_moves_the_days_for_this_person_only(
    services: Services, mails: CampaignMails, clock: FixedClock, make: Factories, organization: int, anna: Somebody
) -> None:
    make.account(organization, "bram")
    mine = LAST + 40 * DAY
    change(services, anna.id, postpone_extended_until=mine)
    days_told(services, mails, clock, LAST - 31 * DAY, LAST + 2 * DAY)
    assert told(services) == ["bram"] * 3
    on = days_told(services, mails, clock, LAST + 3 * DAY, mine + 2 * DAY)
    assert on == {mine - 30 * DAY: 1, mine - 7 * DAY: 1, mine - DAY: 1}
    assert told(services) == ["bram"] * 3 + ["anna"] * 3


def test_extension_that_is_earlier_than_everybodys_day_moves_nothing(
    services: Services, mails: CampaignMails, clock: FixedClock, anna: Somebody
) -> None:
    change(services, anna.id, postpone_extended_until=LAST - 10 * DAY)
    on = days_told(services, mails, clock, LAST - 31 * DAY, LAST)
    assert on == {LAST - 30 * DAY: 1, LAST - 7 * DAY: 1, LAST - DAY: 1}


def test_extension_that_is_given_at_the_end_is_told_with_its_own_day_at_once(
    services: Services, mails: CampaignMails, clock: FixedClock, anna: Somebody
) -> None:
    days_told(services, mails, clock, LAST - DAY, LAST - DAY)
    mine = LAST + 5 * DAY
    change(services, anna.id, postpone_extended_until=mine)
    assert days_told(services, mails, clock, LAST, mine) == {LAST: 1, mine - DAY: 1}
    assert [letter.facts["from"] for letter in letters(services)] == ["2027-02-02", "2027-02-07", "2027-02-07"]


def test_extension_counts_where_nobody_else_may_postpone(
    services: Services, mails: CampaignMails, clock: FixedClock, make: Factories
) -> None:
    organization = make.organization(required_from=FIRST)
    make.account(organization, postpone_extended_until=LAST)
    make.account(organization, "bram")
    make.account(organization, "carla", postpone_extended_until=FIRST - DAY)
    days_told(services, mails, clock, LAST - 31 * DAY, LAST + DAY)
    assert told(services) == ["anna"] * 3


def test_each_organisation_has_its_own_days(
    services: Services, mails: CampaignMails, clock: FixedClock, make: Factories, anna: Somebody
) -> None:
    make.account(make.organization("20345", required_from=FIRST, postpone_until=LAST + DAY), "bram", "20345")
    clock.set(at(LAST - 30 * DAY))
    mails.run()
    assert told(services) == ["anna"]
    clock.set(at(LAST - 29 * DAY))
    mails.run()
    assert told(services) == ["anna", "bram"]


def test_address_that_cannot_be_written_to_keeps_nobody_else_from_being_told(
    services: Services, mails: CampaignMails, clock: FixedClock, make: Factories, organization: int, anna: Somebody
) -> None:
    change(services, anna.id, email="nobody")
    make.account(organization, "bram")
    clock.set(at(LAST - DAY))
    assert [mails.run(), mails.run()] == [2, 0]
    assert told(services) == ["bram"]


def test_more_people_than_one_batch_holds_are_all_told_once(
    services: Services,
    mails: CampaignMails,
    clock: FixedClock,
    make: Factories,
    organization: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(campaign_mails, "BATCH", 3)
    names = [f"person{number}" for number in range(7)]
    for name in names:
        make.account(organization, name)
    clock.set(at(LAST - DAY))
    assert [mails.run(), mails.run()] == [7, 0]
    assert told(services) == names


def test_worker_that_fails_in_the_middle_has_told_nobody_of_that_batch_and_the_next_one_does(
    services: Services, mails: CampaignMails, clock: FixedClock, anna: Somebody, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> int:
        raise ZeroDivisionError

    clock.set(at(LAST - DAY))
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr(services.post, "enqueue", fail)
        mails.run()
    with services.units.reading() as unit:
        assert not unit.scalars(select(CampaignMail)).all()
    assert mails.run() == 1 and told(services) == ["anna"]


def tell_at_once(node: Node, _: None) -> int:
    def tell() -> int:
        with node.world.app.app_context():
            return campaign_mails_of(node.world.services).run()

    return sum(node.at_once([tell] * 2))


def test_workers_of_several_machines_at_once_tell_everybody_once(
    services: Services, make: Factories, organization: int, clock: FixedClock, database_url: str
) -> None:
    names = [f"person{number:02}" for number in range(30)]
    for name in names:
        make.account(organization, name)
    clock.set(at(LAST - DAY))
    assert sum(run(tell_at_once, [None] * 3, database_url, clock.now())) == 30
    assert sorted(told(services)) == names


@pytest.mark.parametrize("mail_is_sent", [True, False])
def test_worker_does_it_by_itself_where_mail_is_sent(
    services: Services, mails: CampaignMails, clock: FixedClock, anna: Somebody, mail_is_sent: bool
) -> None:
    clock.set(at(LAST - DAY))
    every = tasks(services.units, clock, services.derived_keys, DAY, DAY, mails if mail_is_sent else None)
    Worker(every, clock, nullcontext).run_due()
    assert told(services) == (["anna"] if mail_is_sent else [])
