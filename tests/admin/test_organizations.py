"""Organisations: what may be set, what is refused in words, and what the audit trail says about it."""

from datetime import date, timedelta
from typing import Any

import pytest

from idp.accounts.campaign import Campaign
from idp.admin.organizations import LAST_DAY, Organizations
from idp.admin.refusals import Refusals
from idp.audit.events import OrganizationChanged
from idp.audit.trail import events
from idp.kernel.errors import Refused
from idp.wiring import Services

FIRST, LAST = date(2022, 1, 1), date(2022, 2, 1)


def changes(services: Services) -> list[str]:
    with services.units.reading() as unit:
        return [event.details["change"] for event in events(unit, OrganizationChanged)]


def test_new_organisation_has_no_campaign_and_amsterdam_days(services: Services) -> None:
    services.organizations.add("10234", "De Linde")
    shown = services.organizations.show("10234")
    assert (shown.name, shown.time_zone) == ("De Linde", "Europe/Amsterdam")
    assert shown.second_factor_required_from is None and shown.postpone_until is None
    assert changes(services) == ["created"]


@pytest.mark.parametrize("spelling", ["ZORG-1", " zorg-1 ", "zorg-1"])
def test_code_in_another_spelling_is_the_same_organisation(services: Services, spelling: str) -> None:
    services.organizations.add("Zorg-1", "De Linde")
    assert services.organizations.show(spelling).org_code == "zorg-1"
    with pytest.raises(Refused) as refused:
        services.organizations.add(spelling, "Een ander")
    assert refused.value.message_key == "organization.exists"
    assert len(services.organizations.list()) == 1


@pytest.mark.parametrize("code", ["", "  ", "twee woorden", "a\\b", "a\u202eb"])
def test_code_that_cannot_be_typed_is_refused(services: Services, code: str) -> None:
    with pytest.raises(Refused) as refused:
        services.organizations.add(code, "De Linde")
    assert refused.value.message_key == "org_code.name_not_allowed"


def test_campaign_dates_are_set_and_cleared_one_by_one(services: Services) -> None:
    services.organizations.add("10234", "De Linde")
    services.organizations.set("10234", second_factor_required_from=FIRST, postpone_until=LAST)
    assert services.organizations.show("10234").postpone_until == LAST
    services.organizations.set("10234", postpone_until=None)
    shown = services.organizations.show("10234")
    assert shown.postpone_until is None and shown.second_factor_required_from == FIRST
    assert changes(services) == ["created", "set second_factor_required_from, postpone_until", "set postpone_until"]


def test_setting_what_already_holds_leaves_no_event(services: Services) -> None:
    services.organizations.add("10234", "De Linde")
    services.organizations.set("10234", name="De Linde")
    assert changes(services) == ["created"]


def test_last_day_of_postponing_may_be_the_first_of_the_campaign(services: Services) -> None:
    services.organizations.add("10234", "De Linde", second_factor_required_from=FIRST, postpone_until=FIRST)
    assert services.organizations.show("10234").postpone_until == FIRST


def test_latest_day_there_is_still_ends_at_a_moment_in_every_zone(services: Services) -> None:
    for number, zone in enumerate(("Pacific/Kiritimati", "Etc/GMT+12")):
        services.organizations.add(f"1000{number}", "De Linde", time_zone=zone, second_factor_required_from=FIRST)
        organization = services.organizations.set(f"1000{number}", postpone_until=LAST_DAY)
        end = Campaign.of(organization).postponable_ends_at()
        assert end is not None and end.year in (2999, 3000)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"postpone_until": LAST}, "organization.postpone_without_campaign"),
    (
        {"second_factor_required_from": LAST, "postpone_until": FIRST},
        "organization.postpone_before_required",
    ),
    (
        {"second_factor_required_from": FIRST, "postpone_until": LAST_DAY + timedelta(days=1)},
        "organization.postpone_until",
    ),
    ({"time_zone": "Europe/Amsterdan"}, "organization.time_zone_unknown"),
    ({"time_zone": "../etc/passwd"}, "organization.time_zone_unknown"),
    ({"time_zone": ""}, "organization.time_zone_unknown"),
    ({"idle_timeout": timedelta(minutes=30, microseconds=1)}, "organization.idle_timeout"),
    ({"idle_timeout": timedelta(0)}, "organization.idle_timeout"),
    ({"absolute_timeout": timedelta(hours=13)}, "organization.absolute_timeout"),
    ({"name": "  "}, "organization.name_missing"),
    ({"service_desk_phone": "0" * 41}, "organization.service_desk_phone"),
    ({"service_desk_hours": "van\nnegen"}, "organization.service_desk_hours"),
]


@pytest.mark.parametrize(("rules", "message_key"), REFUSED)
def test_rule_that_cannot_hold_is_refused_and_nothing_changes(
    services: Services, rules: dict[str, Any], message_key: str
) -> None:
    services.organizations.add("10234", "De Linde")
    with pytest.raises(Refusals) as refused:
        services.organizations.set("10234", **rules)
    assert refused.value.message_keys == (message_key,)
    shown = services.organizations.show("10234")
    assert (shown.name, shown.time_zone, shown.postpone_until, shown.idle_timeout) == (
        "De Linde",
        "Europe/Amsterdam",
        None,
        None,
    )
    assert changes(services) == ["created"]


def test_all_that_is_wrong_is_told_at_once(services: Services) -> None:
    with pytest.raises(Refusals) as refused:
        services.organizations.add("10234", "", time_zone="Mars", postpone_until=LAST)
    assert refused.value.message_keys == (
        "organization.name_missing",
        "organization.postpone_without_campaign",
        "organization.time_zone_unknown",
    )
    assert services.organizations.list() == []


def test_shorter_sessions_than_the_installation_has_are_allowed(services: Services) -> None:
    services.organizations.add("10234", "De Linde", idle_timeout=timedelta(minutes=10))
    assert services.organizations.show("10234").idle_timeout == timedelta(minutes=10)


def test_unknown_code_is_refused_in_words(services: Services) -> None:
    for use in (services.organizations.show, services.organizations.set):
        with pytest.raises(Refused, match="there is no organisation '99999'"):
            use("99999")


def organizations_of(services: Services, mail_is_set_up: bool = False) -> Organizations:
    """The use case in an installation with short sessions."""
    return Organizations(
        services.units,
        services.clock,
        services.trail,
        mail_is_set_up,
        longest_idle_timeout=timedelta(minutes=10),
        longest_absolute_timeout=timedelta(hours=1),
    )


def test_without_a_mail_relay_codes_by_mail_are_off_and_cannot_be_allowed(services: Services) -> None:
    organizations = organizations_of(services, mail_is_set_up=False)
    assert organizations.add("10234", "De Linde").email_allowed is False
    with pytest.raises(Refusals) as refused:
        organizations.set("10234", email_allowed=True)
    assert refused.value.message_keys == ("organization.no_mail",)


def test_with_a_mail_relay_codes_by_mail_are_on_and_can_be_taken_away(services: Services) -> None:
    organizations = organizations_of(services, mail_is_set_up=True)
    assert organizations.add("10234", "De Linde").email_allowed is True
    assert organizations.set("10234", email_allowed=False).email_allowed is False


@pytest.mark.parametrize(
    ("rule", "longest"), [("idle_timeout", timedelta(minutes=10)), ("absolute_timeout", timedelta(hours=1))]
)
def test_organisation_cannot_have_longer_sessions_than_the_installation(
    services: Services, rule: str, longest: timedelta
) -> None:
    organizations = organizations_of(services)
    allowed: Any = {rule: longest}
    longer: Any = {rule: longest + timedelta(microseconds=1)}
    organizations.add("10234", "De Linde", **allowed)
    with pytest.raises(Refusals) as refused:
        organizations.set("10234", **longer)
    assert refused.value.message_keys == (f"organization.{rule}",)
