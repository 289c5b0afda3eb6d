"""A33, A35-A37, A40-A42: around the deadline, and around the second factor by an older session or a new password."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pyotp
import pytest

from idp.accounts.models import Account, Organization
from idp.audit.events import EnrolmentPostponed, PostponementRefused, SecondFactorEnrolled
from idp.factors.models import Credential
from idp.kernel import clock as clocks
from idp.outbox.models import OutboxMessage
from idp.sessions.models import Session
from idp.store.clock import DatabaseClock
from idp.store.engine import db
from idp.wiring import clock_for
from tests.attacks.parallel import Node, often, run
from tests.attacks.world import Browser, Page, World
from tests.conftest import ISSUER
from tests.factories import Somebody, SomeClient

NOVEMBER, LAST_DAY = date(2026, 11, 1), date(2026, 12, 1)
DEADLINE = datetime(2026, 12, 2, tzinfo=ZoneInfo("Europe/Amsterdam")).astimezone(UTC)
NODES = 3
MINUTE = timedelta(minutes=1)


@pytest.fixture
def els(world: World) -> Somebody:
    """Somebody who may postpone until the 1st of December."""
    return world.make.account(world.make.organization(required_from=NOVEMBER, postpone_until=LAST_DAY), "els")


@pytest.fixture
def client(world: World) -> SomeClient:
    return world.make.client()


def at_choice(world: World, client: SomeClient, somebody: Somebody, browser: Browser | None = None) -> Page:
    browser = browser or world.browser()
    return browser.submit(browser.begin(client), **somebody.names)


# A33


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a33_a_node_whose_own_clock_is_two_days_behind_decides_by_the_databases(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.app.app_context():
        honest = DatabaseClock(db.engine).now()
        monkeypatch.setattr(clocks.SystemClock, "now", lambda _: honest - timedelta(days=2))
        # The clock that every process of an installation gets.
        behind = clock_for(db.engine).now()
    assert abs(behind - honest) < timedelta(hours=1)


# A35


@dataclass(frozen=True)
class Many:
    """What each process is told."""

    client: SomeClient
    somebody: Somebody
    times: int
    later: timedelta


def confirm_at_once(node: Node, many: Many) -> list[bool]:
    """Everybody stands at "are you sure"; the deadline comes; everybody is sure, in all processes at once."""
    places = []
    for _ in range(many.times):
        browser = node.world.browser()
        page = at_choice(node.world, many.client, many.somebody, browser)
        places.append((browser, browser.submit(page, method="postpone")))
    node.world.clock.move(many.later)

    def confirm(browser: Browser, page: Page) -> Callable[[], bool]:
        return lambda: browser.submit(page).target is not None

    return node.at_once([confirm(*place) for place in places])


def test_a35_of_many_confirmations_at_once_after_the_deadline_none_counts(
    world: World, client: SomeClient, els: Somebody, database_url: str
) -> None:
    before = DEADLINE - MINUTE
    many = [Many(client, els, often(50, 9) // NODES, MINUTE)] * NODES
    results = run(confirm_at_once, many, database_url, before)
    assert not any(went for of_node in results for went in of_node)
    assert world.count(Session) == 0 and world.events(EnrolmentPostponed) == []
    assert len(world.events(PostponementRefused)) == sum(each.times for each in many)


def test_a35_of_many_confirmations_at_once_before_it_each_opens_its_own_session_until_the_deadline(
    world: World, client: SomeClient, els: Somebody, database_url: str
) -> None:
    many = [Many(client, els, 3, timedelta(0))] * NODES
    results = run(confirm_at_once, many, database_url, DEADLINE - MINUTE)
    assert all(went for of_node in results for went in of_node)
    with world.reading() as unit:
        assert {session.postponed_until for session in unit.query(Session)} == {DEADLINE}


# A36

SMUGGLED = {
    "postpone_until": "2030-01-01",
    "postponed_until": "2030-01-01",
    "postpone_extended_until": "2030-01-01",
    "second_factor_required_from": "2030-01-01",
    "enrolment_open_until": "2030-01-01",
    "factor_level": "3",
    "account_id": "1",
    "role": "administrator",
    "session_id": "1",
}


def test_a36_fields_that_no_form_has_change_no_date_no_role_and_no_proof(
    world: World, client: SomeClient, els: Somebody
) -> None:
    world.clock.set(DEADLINE)
    browser = world.browser()
    page = browser.submit(browser.begin(client), **els.names, **SMUGGLED)
    for method in ("postpone", "totp", "email"):
        page = browser.submit(page, method=method, **SMUGGLED)
    assert browser.session is None and world.count(Session) == 0
    with world.reading() as unit:
        account, organization = unit.get_one(Account, els.id), unit.query(Organization).one()
        assert (account.role, account.postpone_extended_until, account.enrolment_open_until) == ("person", None, None)
        assert (organization.second_factor_required_from, organization.postpone_until) == (NOVEMBER, LAST_DAY)


def test_a36_a_person_who_is_made_anew_gets_no_new_deadline(world: World, client: SomeClient, els: Somebody) -> None:
    world.clock.set(DEADLINE)
    with world.writing() as unit:
        organization = unit.get_one(Account, els.id).organization_id
    again = world.make.account(organization, "els2")
    browser = world.browser()
    page = at_choice(world, client, again, browser)
    assert 'value="postpone"' not in page.text
    browser.submit(page, method="postpone")
    assert browser.session is None


# A37


def test_a37_a_postponed_session_says_its_level_and_does_not_reach_a_higher_one(
    world: World, client: SomeClient, els: Somebody
) -> None:
    browser = world.browser()
    assert browser.postpone(at_choice(world, client, els, browser)).code
    strict = world.make.client("streng", minimum_acr=2)
    assert browser.authorize(strict, prompt="none").answer["error"] == "interaction_required"
    asked = browser.begin(client, acr_values=f"{ISSUER}/acr/2")
    assert asked.prompt == "enrol_second_factor" and 'value="postpone"' not in asked.text
    assert browser.submit(asked, method="postpone").prompt == "enrol_second_factor"


# A40


def test_a40_an_old_session_enrols_nothing_without_the_password_and_the_owner_hears_of_what_is_added(
    world: World, client: SomeClient
) -> None:
    anna = world.make.person()
    browser, _ = world.sign_in(client, anna)
    world.clock.move(timedelta(minutes=6))
    thief = world.browser()
    thief.cookies = dict(browser.cookies)
    page = thief.begin(client, acr_values=f"{ISSUER}/acr/3")
    assert page.prompt == "identify"
    thief.post(f"/s/{page.interaction_id}/enrol_second_factor", {**page.fields, "method": "totp"})
    assert world.count(Credential) == 0
    owner = browser.begin(client, acr_values=f"{ISSUER}/acr/3")
    choice = browser.submit(owner, **anna.names)
    set_up = browser.submit(choice, method="totp")
    key = set_up.text.partition('id="key"')[2].partition(">")[2].partition("<")[0].replace(" ", "")
    code = pyotp.TOTP(key).at(world.clock.now())
    form = {"csrf_token": set_up.hidden("csrf_token"), "method": "totp", "code": code}
    assert browser.follow(browser.post(set_up.action, form)).code
    assert len(world.events(SecondFactorEnrolled)) == 1
    with world.reading() as unit:
        mails = unit.query(OutboxMessage).filter_by(kind="mail").all()
        assert [mail.payload["letter"] for mail in mails] == ["method_added"]


# A41


def test_a41_a_new_password_does_not_replace_the_second_factor(world: World, client: SomeClient) -> None:
    anna = world.make.person(totp=True)
    with world.app.app_context():
        world.services.accounts.set_password(anna.org_code, anna.username, "een heel nieuw wachtwoord")
    world.clock.move(MINUTE)
    browser = world.browser()
    page = browser.submit(browser.begin(client), **{**anna.names, "password": "een heel nieuw wachtwoord"})
    assert page.prompt == "verify_second_factor" and browser.session is None


# A42


def test_a42_there_is_no_link_to_steal_because_no_mail_and_no_route_carries_one(world: World) -> None:
    paths = [str(rule) for rule in world.app.url_map.iter_rules()]
    assert not any(word in path for path in paths for word in ("reset", "token/", "magic", "verify/"))
