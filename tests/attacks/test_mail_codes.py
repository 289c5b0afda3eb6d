"""A12-A15: guessing codes sent by mail over resends, bombing a mailbox, and using a code where it is not good."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import select

from idp.audit.events import SecondFactorChecked
from idp.factors.email_code import EmailCode
from idp.factors.models import Credential, SentCode
from idp.outbox.models import OutboxMessage
from tests.attacks.parallel import Node, often, run
from tests.attacks.world import Browser, Page, World, mutation
from tests.factories import Somebody, SomeClient

MINUTE = timedelta(minutes=1)
NODES = 3
PER_HOUR = 5


@dataclass(frozen=True)
class Flood:
    """What each process is told: whose mailbox, and how often."""

    client: SomeClient
    people: tuple[Somebody, ...]
    times: int
    unguarded: bool = False


def mailbox_of(world: World, somebody: Somebody, address: str | None = None) -> Somebody:
    """The person has proven a mailbox."""
    address = address or f"{somebody.username}@voorbeeld.example"
    with world.app.app_context(), world.services.units.writing() as unit:
        unit.add(
            Credential(
                account_id=somebody.id, method="email", address=address, enrolled_at=world.clock.now(),
                secret_sealed=world.services.envelope.seal(address.encode(), f"credentials:{somebody.id}"),
            )
        )  # fmt: skip
    return somebody


def codes_sent(world: World) -> list[str]:
    """The codes in the outbox, oldest first."""
    with world.reading() as unit:
        rows = unit.scalars(select(OutboxMessage).filter_by(kind="mail").order_by(OutboxMessage.id)).all()
        letters = [world.services.post.open(row.payload_sealed).letter for row in rows if row.payload_sealed]
    return [str(letter.facts["code"]) for letter in letters if letter.name == "code"]


def wrong(world: World) -> str:
    sent = set(codes_sent(world))
    return next(code for code in (f"{number:06}" for number in range(100)) if code not in sent)


def answer(browser: Browser, page: Page, code: str) -> Page:
    """The first form of the page, with this code; the second one asks for a new code."""
    form = {"csrf_token": page.hidden("csrf_token"), "method": "email", "code": code}
    return browser.follow(browser.post(page.action, form))


def resend(browser: Browser, page: Page) -> Page:
    return browser.follow(browser.post(page.action, {**page.fields, "method": "email", "action": "send"}))


# A12


def test_a12_the_count_of_wrong_codes_survives_every_new_code(world: World) -> None:
    client, bram = world.make.client(), mailbox_of(world, world.make.person(username="bram"))
    browser, page = world.at_code_page(client, bram)
    token, action = {"csrf_token": page.hidden("csrf_token"), "method": "email"}, page.action
    evaluated = 0
    for _ in range(often(50, 12)):
        for _ in range(5):
            browser.post(action, {**token, "code": wrong(world)})
        world.clock.move(timedelta(seconds=31))
        browser.post(action, {**token, "action": "send"})
        evaluated = len(world.outcomes(SecondFactorChecked))
    elapsed = 31 * often(50, 12)
    # Five at once, then one for each wait of 1, 2, 4 ... minutes that has passed.
    waits, allowed, length = 0, 5, 60
    while waits + length <= elapsed:
        waits, allowed, length = waits + length, allowed + 1, min(2 * length, 3600)
    assert 5 <= evaluated <= allowed, (evaluated, allowed)
    assert len(codes_sent(world)) <= PER_HOUR


def test_a12_a_mailbox_that_is_being_enrolled_is_guessed_at_no_more_often(world: World) -> None:
    client = world.make.client()
    els = world.make.account(world.make.organization(required_from=date(2026, 11, 1)), "els")
    statuses = []
    for _ in range(3):
        browser = world.browser()
        page = browser.submit(browser.begin(client), **els.names)
        page = browser.submit(page, method="email")
        for _ in range(4):
            if page.status != 200:
                break
            page = answer(browser, page, wrong(world))
        statuses.append(page.status)
    assert statuses[-1] == 429 and world.count(Credential) == 0


# A13


def ask_for_codes(node: Node, flood: Flood) -> int:
    """Everybody is at their code page; then everybody asks for a new code, in all processes at once."""
    if flood.unguarded:
        EmailCode._caps = lambda *_: ()  # type: ignore[method-assign]
    places = []
    for number in range(flood.times):
        somebody = flood.people[number % len(flood.people)]
        places.append(node.world.at_code_page(flood.client, somebody))
    node.world.clock.move(MINUTE)
    asked: list[Callable[[], int]] = [lambda place=place: resend(*place).status for place in places]  # type: ignore[misc]
    return len(node.at_once(asked))


def test_a13_of_many_wishes_in_three_processes_at_once_one_mail_goes_to_an_address(
    world: World, database_url: str
) -> None:
    client = world.make.client()
    organization = world.make.organization()
    people = tuple(
        mailbox_of(world, world.make.account(organization, f"p{number}"), "samen@voorbeeld.example")
        for number in range(4)
    )
    floods = [Flood(client, people, often(500, 12) // NODES)] * NODES
    run(ask_for_codes, floods, database_url, world.clock.now())
    # One with the first password, one a minute later; nobody else got through, whatever the account.
    assert len(codes_sent(world)) == 2 and world.count(SentCode) == 2


@mutation
def test_a13_without_the_caps_the_mailbox_would_be_bombed(world: World, database_url: str) -> None:
    client, bram = world.make.client(), mailbox_of(world, world.make.person(username="bram"))
    floods = [Flood(client, (bram,), 4, unguarded=True)] * NODES
    run(ask_for_codes, floods, database_url, world.clock.now())
    assert len(codes_sent(world)) > PER_HOUR


# A14


def test_a14_a_code_is_good_in_the_browser_that_asked_for_it_only(world: World) -> None:
    client, bram = world.make.client(), mailbox_of(world, world.make.person(username="bram"))
    _, page = world.at_code_page(client, bram)
    [code] = codes_sent(world)
    thief, their_page = world.at_code_page(client, bram)
    after = answer(thief, their_page, code)
    assert after.prompt == "verify_second_factor" and thief.session is None and page.status == 200


def test_a14_a_code_for_enrolling_is_not_good_for_signing_in_nor_the_other_way(world: World) -> None:
    client = world.make.client()
    els = world.make.account(world.make.organization(required_from=date(2026, 11, 1)), "els")
    browser = world.browser()
    page = browser.submit(browser.begin(client), **els.names)
    enrolling = browser.submit(page, method="email")
    [for_enrolling] = codes_sent(world)
    mailbox_of(world, els)
    world.clock.move(MINUTE)
    again = browser.submit(browser.begin(client), **els.names)
    assert again.prompt == "verify_second_factor"
    assert answer(browser, again, for_enrolling).prompt == "verify_second_factor" and browser.session is None
    assert enrolling.status == 200


def test_a14_a_code_of_somebody_else_in_the_same_browser_is_wrong(world: World) -> None:
    client, organization = world.make.client(), world.make.organization()
    anna, bram = (mailbox_of(world, world.make.account(organization, name)) for name in ("anna", "bram"))
    browser, _ = world.at_code_page(client, anna)
    [code] = codes_sent(world)
    _, page = world.at_code_page(client, bram, browser)
    assert answer(browser, page, code).prompt == "verify_second_factor" and browser.session is None


# A15


def test_a15_nothing_in_the_database_shows_a_code_or_an_address_that_gets_one(world: World) -> None:
    client, bram = world.make.client(), mailbox_of(world, world.make.person(username="bram"))
    world.at_code_page(client, bram)
    [code] = codes_sent(world)
    with world.reading() as unit:
        for model in (SentCode, OutboxMessage):
            for row in unit.scalars(select(model)):
                kept = repr([getattr(row, column.key) for column in model.__table__.columns])
                assert code not in kept and "bram" not in kept
