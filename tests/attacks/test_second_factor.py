"""A32, A34, A38, A39: postponing where it is not offered, and the key of somebody who enrols."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import inspect, select, text, update

from idp.accounts.campaign import Campaign
from idp.audit.events import EnrolmentPostponed, PostponementRefused, SecondFactorEnrolled
from idp.factors.base import Enrolment
from idp.factors.models import Credential
from idp.factors.totp import Totp, key_groups, key_text
from idp.oidc.models import AuthorizationCode
from idp.sessions.models import Session
from idp.signin import checks
from idp.signin.interaction import Interaction
from tests.attacks.test_pipeline import secret_of
from tests.attacks.world import STEP, Browser, Page, World, mutation
from tests.factories import Somebody, SomeClient

POSTPONABLE: dict[str, Any] = {"required_from": date(2026, 11, 1), "postpone_until": date(2027, 2, 1)}
# 1 February is the last day in Amsterdam; it ends at 23:00 UTC.
LAST_MOMENT = datetime(2027, 2, 1, 22, 59, 59, tzinfo=UTC)


def at_choice(world: World, client: SomeClient, somebody: Somebody, **changes: str | None) -> tuple[Browser, Page]:
    """A browser that sees the choice of a method."""
    browser = world.browser()
    page = browser.submit(browser.begin(client, **changes), **somebody.names)
    assert page.prompt == "enrol_second_factor", (page.status, page.title)
    return browser, page


# A32


def postpone_across_the_deadline(world: World) -> tuple[Browser, Page]:
    """The page says yes until the last moment; the confirmation arrives after it."""
    world.clock.set(LAST_MOMENT)
    els = world.make.account(world.make.organization(**POSTPONABLE), "els")
    browser, page = at_choice(world, world.make.client(), els)
    assert 'value="postpone"' in page.text
    sure = browser.submit(page, method="postpone")
    form = {"method": "postpone", "confirm": sure.hidden("confirm")}
    world.clock.move(timedelta(seconds=1))
    return browser, browser.submit(sure, **form)


def test_a32_a_confirmation_that_arrives_after_the_deadline_is_refused(world: World) -> None:
    browser, after = postpone_across_the_deadline(world)
    assert after.prompt == "enrol_second_factor" and 'value="postpone"' not in after.text
    assert browser.session is None and world.given_out() == (0, 0)
    assert len(world.events(PostponementRefused)) == 1 and not world.events(EnrolmentPostponed)


@mutation
def test_a32_decided_by_the_page_that_was_open_it_would_be_taken(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.clock.set(LAST_MOMENT)
    monkeypatch.setattr(checks, "may_postpone", lambda situation: True)
    # The second defence: what was postponed lasts until the deadline only.
    monkeypatch.setattr(Campaign, "postponable_ends_at", lambda _: LAST_MOMENT + timedelta(days=1))
    browser, after = postpone_across_the_deadline(world)
    assert after.code and browser.session is not None


def test_a32_in_time_it_is_taken_and_ends_with_the_last_day(world: World) -> None:
    world.clock.set(LAST_MOMENT - timedelta(minutes=1))
    els = world.make.account(world.make.organization(**POSTPONABLE), "els")
    client = world.make.client()
    browser, page = at_choice(world, client, els)
    assert browser.postpone(page).code
    assert browser.authorize(client, prompt="none").code
    world.clock.set(LAST_MOMENT + timedelta(seconds=1))
    assert browser.authorize(client, prompt="none").answer["error"] == "interaction_required"


def test_a32_a_confirmation_of_somebody_else_or_of_another_attempt_confirms_nothing(world: World) -> None:
    organisation, client = world.make.organization(**POSTPONABLE), world.make.client()
    els, dirk = (world.make.account(organisation, name) for name in ("els", "dirk"))
    browser, page = at_choice(world, client, els)
    other, theirs = at_choice(world, client, dirk)
    again, earlier = at_choice(world, client, els)
    confirmations = [
        other.submit(theirs, method="postpone").hidden("confirm"),
        again.submit(earlier, method="postpone").hidden("confirm"),
    ]
    for confirm in ("", "1", *confirmations):
        assert browser.submit(page, method="postpone", confirm=confirm).target is None
        assert browser.submit(page, method="postpone", confirm=confirm).target is None
    assert world.given_out() == (0, 0) and not world.events(EnrolmentPostponed)


def test_a32_the_right_confirmation_before_the_question_was_asked_confirms_nothing(world: World) -> None:
    els = world.make.account(world.make.organization(**POSTPONABLE), "els")
    browser, page = at_choice(world, world.make.client(), els)
    sure = browser.submit(page, method="postpone")
    confirm = sure.hidden("confirm")
    with world.writing() as unit:
        unit.execute(update(Interaction).values(postpone_asked=False))
    assert browser.submit(page, method="postpone", confirm=confirm).target is None
    assert not world.events(EnrolmentPostponed)


# A34


def test_a34_postponing_is_refused_wherever_it_is_not_offered(world: World) -> None:
    client = world.make.client()
    strict = world.make.client("streng", minimum_acr=3)
    organisation = world.make.organization("1", **POSTPONABLE)
    level = {"acr_values": "https://login.example/acr/2"}

    def choice(client: SomeClient, somebody: Somebody, **changes: str | None) -> Callable[[], tuple[Browser, Page]]:
        return lambda: at_choice(world, client, somebody, **changes)

    def account(username: str, **values: Any) -> Somebody:
        return world.make.account(organisation, username, org_code="1", **values)

    enrolled, disabled = account("enrolled", totp=True), account("disabled", totp=True)
    with world.writing() as unit:
        unit.execute(
            update(Credential).where(Credential.account_id == disabled.id).values(disabled_at=world.clock.now())
        )

    def at_code(somebody: Somebody) -> Callable[[], tuple[Browser, Page]]:
        def act() -> tuple[Browser, Page]:
            browser = world.browser()
            first = browser.begin(client)
            browser.submit(first, **somebody.names)
            address = first.action.replace("identify", "enrol_second_factor")
            form = f'<form method="post" action="{address}">'
            token = f'<input type="hidden" name="csrf_token" value="{first.hidden("csrf_token")}">'
            return browser, Page(address, 200, (), (form + token).encode())

        return act

    over = world.make.organization("2", required_from=date(2026, 1, 1), postpone_until=date(2026, 11, 22))
    never = world.make.organization("3", required_from=date(2026, 1, 1))
    cells = {
        "has a factor": at_code(enrolled),
        "has a disabled factor": at_code(disabled),
        "staff": choice(client, account("desk", role="service_desk")),
        "an administrator": choice(client, account("boss", role="administrator")),
        "a level is asked for": choice(client, account("asked"), **level),
        "the client's minimum": choice(strict, account("minimum")),
        "after the last day": choice(client, world.make.account(over, "over", org_code="2")),
        "never postponable": choice(client, world.make.account(never, "never", org_code="3")),
    }
    for case, begin in cells.items():
        browser, page = begin()
        assert 'value="postpone"' not in page.text, case
        for _ in range(2):
            after = browser.submit(page, method="postpone", confirm="1")
            assert after.target is None and browser.session is None, case
    assert world.given_out() == (0, 0) and not world.events(EnrolmentPostponed)
    # Somebody with a factor is at another prompt: there nothing of the answer is even looked at.
    assert len(world.events(PostponementRefused)) == 2 * (len(cells) - 2)


# A38


def fixation(world: World) -> tuple[Browser, Page, Page]:
    """The victim's browser and its set-up page, and the set-up page that an attacker with the password has."""
    els = world.make.account(world.make.organization(required_from=date(2026, 11, 1)), "els")
    client = world.make.client()
    attacker, theirs = at_choice(world, client, els)
    victim, page = at_choice(world, client, els)
    return victim, victim.submit(page, method="totp"), attacker.submit(theirs, method="totp")


def code_of(world: World, page: Page) -> str:
    """What the app shows of somebody who scanned this page."""
    return Somebody(0, "", "", "", "", secret_of(page)).code(world.services)


def test_a38_the_key_of_one_interaction_confirms_nothing_in_another(world: World) -> None:
    victim, mine, theirs = fixation(world)
    assert secret_of(mine) != secret_of(theirs)
    planted = {"secret": key_text(secret_of(theirs)), "enrolling_sealed": key_text(secret_of(theirs))}
    after = victim.submit(mine, method="totp", code=code_of(world, theirs), **planted)
    assert after.prompt == "enrol_second_factor" and victim.session is None and world.count(Credential) == 0
    assert secret_of(after) == secret_of(mine), "nothing that was sent replaces the key"
    assert victim.submit(mine, method="totp", code=code_of(world, mine)).code


@mutation
def test_a38_with_a_key_that_is_the_same_for_both_the_attackers_code_would_be_taken(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Totp, "begin_enrolment", lambda *_: Enrolment(b"the same for all 123"))
    victim, mine, theirs = fixation(world)
    assert victim.submit(mine, method="totp", code=code_of(world, theirs)).code


def test_a38_an_attacker_who_began_first_cannot_finish_when_the_owner_has_enrolled(world: World) -> None:
    client = world.make.client()
    els = world.make.account(world.make.organization(required_from=date(2026, 11, 1)), "els")
    attacker, theirs = at_choice(world, client, els)
    set_up = attacker.submit(theirs, method="totp")
    owner, mine = at_choice(world, client, els)
    page = owner.submit(mine, method="totp")
    assert owner.submit(page, method="totp", code=code_of(world, page)).code
    world.clock.move(STEP)
    after = attacker.submit(set_up, method="totp", code=code_of(world, set_up))
    assert after.prompt == "verify_second_factor", "now the owner's factor has to be proven"
    assert attacker.session is None and world.count(Credential) == 1
    assert len(world.events(SecondFactorEnrolled)) == 1


def test_a38_the_password_alone_enrols_nothing_on_an_account_that_has_a_factor(world: World) -> None:
    anna = world.make.account(world.make.organization(required_from=date(2026, 11, 1)), "anna", totp=True)
    for client, level in ((world.make.client(), None), (world.make.client("streng", minimum_acr=3), "phr")):
        browser = world.browser()
        page = browser.submit(browser.begin(client, acr_values=level), **anna.names)
        assert page.prompt == "verify_second_factor"
        for form in ({"method": "totp"}, {"method": "totp", "code": "123456"}):
            sent = {"csrf_token": page.hidden("csrf_token"), **form}
            browser.post(f"/s/{page.interaction_id}/enrol_second_factor", sent)
    with world.reading() as unit:
        assert set(unit.scalars(select(Interaction.enrolling_sealed))) == {None}
    assert world.count(Credential) == 1 and world.given_out() == (0, 0)


# A39


def test_a39_the_key_is_shown_inline_never_stored_and_gone_once_it_is_confirmed(world: World) -> None:
    els = world.make.account(world.make.organization(required_from=date(2026, 11, 1)), "els")
    client = world.make.client()
    browser, page = at_choice(world, client, els)
    chosen = browser.press(page, method="totp")
    shown = browser.follow(chosen)
    secret = secret_of(shown)
    forms_of_it = (key_text(secret), key_groups(secret), secret.hex())
    for name, wanted in {
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }.items():
        assert shown.header(name) == wanted, name
    for element in ("<img", "<iframe", "<object", "url("):
        assert element not in shown.text
    leaks = (*(value for each in (chosen, shown) for _, value in each.headers), shown.url, *browser.cookies.values())
    assert not [leak for leak in leaks for form in forms_of_it if form in leak]
    assert 'name="secret"' not in shown.text
    assert not [form for form in forms_of_it if form in everything_stored(world)]
    assert browser.submit(shown, method="totp", code=code_of(world, shown)).code
    for address in (shown.url, shown.url + "?choose=1", f"/s/{shown.interaction_id}/continue"):
        for again in (browser, world.browser()):
            later = again.follow(again.get(address))
            assert not [form for form in forms_of_it if form in later.text]
    with world.reading() as unit:
        assert set(unit.scalars(select(Interaction.enrolling_sealed))) == {None}
    assert not [form for form in forms_of_it if form in everything_stored(world)]


def everything_stored(world: World) -> str:
    """All rows of all tables, bytes as text and as hexadecimal."""
    found = []
    with world.reading() as unit:
        for table in inspect(unit.connection()).get_table_names():
            for row in unit.execute(text(f'SELECT * FROM "{table}"')):  # noqa: S608 - names from the database itself
                for value in row:
                    is_bytes = isinstance(value, bytes)
                    found.append(value.hex() + value.decode("latin-1") if is_bytes else str(value))
    assert len(found) > 100
    return "\n".join(found)


def test_a39_what_is_stored_is_seen_by_the_search(world: World) -> None:
    browser, _ = world.sign_in(world.make.client(), world.make.person(totp=True))
    stored = everything_stored(world)
    with world.reading() as unit:
        secret_hash = unit.scalars(select(Session.secret_hash)).one()
        code_hash = unit.scalars(select(AuthorizationCode.code_hash)).one()
    assert secret_hash.hex() in stored and code_hash.hex() in stored
    assert browser.session is not None and browser.session not in stored
