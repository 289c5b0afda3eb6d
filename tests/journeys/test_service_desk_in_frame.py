"""The frame of every page: how to reach the service desk, and nothing that leads nowhere."""

from typing import Any

import pytest

from tests.journeys.driver import World

HOURS = "op werkdagen van 8.30 tot 17.00 uur"


@pytest.fixture
def phone() -> str:
    return "088 - 600 6400"


@pytest.fixture
def settings_values(phone: str) -> dict[str, Any]:
    return {"service_desk_phone": phone, "service_desk_hours": HOURS}


@pytest.mark.parametrize("phone", [""])
def test_without_a_number_there_is_no_link_to_call(world: World) -> None:
    visit = world.visit()
    assert "tel:" not in visit.page.body and "Bel de servicedesk:" not in visit.page.text
    assert HOURS not in visit.page.text, "hours of what?"
    assert "Neem dan contact op met de servicedesk." in visit.page.text


@pytest.mark.parametrize("phone", [""])
def test_number_of_the_organisation_is_shown_where_there_is_no_general_one(world: World) -> None:
    organization = world.make.organization("30000", service_desk_phone="088 - 123 4567")
    visit = world.visit().identify(world.make.account(organization, "bram", "30000", totp=True))
    assert 'href="tel:0881234567"' in visit.page.body


@pytest.mark.parametrize(("language", "marked"), [("nl", None), ("en", "nl")])
def test_hours_are_marked_as_what_they_are_in_on_a_page_of_another_language(
    world: World, language: str, marked: str | None
) -> None:
    visit = world.visit()
    visit.open(f"{visit.page.url}?lang={language}")
    assert visit.page.element("hours").text == HOURS
    assert visit.page.element("hours").get("lang") == marked
