"""The chain holds every event, whoever links them, and tells what was changed afterwards."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from idp.audit import chain
from idp.audit.chain import Head, Verified, link, verify
from idp.audit.events import SessionEnded
from idp.jobs import purge_expired
from idp.jobs.purge_expired import purge
from idp.kernel.clock import FixedClock
from idp.kernel.secrets import DerivedKeys
from idp.settings import Settings
from idp.store import schema
from idp.store.units import UnitsOfWork
from idp.wiring import Services
from tests.attacks.parallel import Node, run

TRIGGERS = {
    "sqlite": "DROP TRIGGER {table}_are_never_changed",
    "postgresql": "DROP TRIGGER {table}_are_never_changed ON {table}",
}


def record(services: Services, number: int = 1, name: str = "s") -> None:
    for count in range(number):
        with services.units.writing() as unit:
            services.trail.record(unit, SessionEnded(reason="logout", clients=count, sid=f"{name}{count}"))


def linked(services: Services, everything: bool = False) -> int:
    return link(services.units, services.derived_keys, everything)


def verified(services: Services, expected: Head | None = None) -> Verified:
    return verify(services.units, [services.derived_keys], expected)


def tamper(services: Services, *statements: str) -> None:
    """Somebody who owns the database takes the triggers away and does as they like."""
    engine: Engine = schema.engine(services.settings.database.url)
    with engine.begin() as connection:
        for table in ("audit_events", "audit_chain"):
            connection.execute(text(TRIGGERS[engine.dialect.name].format(table=table)))
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def test_every_event_becomes_a_link_in_order_and_the_chain_is_whole(services: Services) -> None:
    assert verified(services) == Verified(None, None, Head(0, b""), 0)
    record(services, 3)
    assert verified(services).unlinked == 3
    assert linked(services) == 3 and linked(services) == 0
    record(services, 2)
    assert linked(services) == 2
    found = verified(services)
    assert (found.first, found.head.position, found.unlinked, found.why) == (1, 5, 0, None)
    assert found.since == services.clock.now()
    assert found.head == chain.head(services.units)


def test_more_events_than_a_batch_are_linked_at_once(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "BATCH", 2)
    record(services, 5)
    assert linked(services) == 5
    assert verified(services).head.position == 5


def test_an_event_that_was_committed_late_comes_next(services: Services) -> None:
    record(services, 2)
    tamper(services, "UPDATE audit_events SET id = 9 WHERE id = 2")
    assert linked(services) == 2
    tamper_free = schema.engine(services.settings.database.url)
    with tamper_free.begin() as connection:
        connection.execute(text(COPY.format(id=2)))
    tamper_free.dispose()
    assert linked(services) == 1
    found = verified(services)
    assert (found.why, found.head.position, found.unlinked) == (None, 3, 0)


COPY = (
    "INSERT INTO audit_events (id, at, type, details) SELECT {id}, at, 'session_ended', details"
    " FROM audit_events WHERE id = 1"
)


def test_events_far_below_the_newest_link_are_found_by_the_thorough_look(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "LOOK_BACK", 2)
    record(services, 6)
    tamper(services, "DELETE FROM audit_events WHERE id = 2")
    assert linked(services) == 5
    engine = schema.engine(services.settings.database.url)
    with engine.begin() as connection:
        connection.execute(text(COPY.format(id=2)))
    engine.dispose()
    assert linked(services) == 0 and verified(services).unlinked == 1
    assert linked(services, everything=True) == 1 and verified(services).unlinked == 0


Tampering = tuple[str, tuple[str, ...], int, str]
TAMPERINGS: tuple[Tampering, ...] = (
    ("details changed", ("UPDATE audit_events SET details = '[]' WHERE id = 3",), 3, "was changed"),
    ("moved in time", ("UPDATE audit_events SET at = (SELECT at FROM audit_events WHERE id = 6) WHERE id = 3",), 3, ""),
    ("another account", ("UPDATE audit_events SET account_id = 7 WHERE id = 1",), 1, "was changed"),
    ("another type", ("UPDATE audit_events SET type = 'session_opened' WHERE id = 5",), 5, "was changed"),
    ("deleted", ("DELETE FROM audit_events WHERE id = 3",), 3, "event 3 is missing"),
    (
        "deleted with its link",
        ("DELETE FROM audit_events WHERE id = 3", "DELETE FROM audit_chain WHERE position = 3"),
        3,
        "the link is missing",
    ),
    (
        "deleted and closed up",
        (
            "DELETE FROM audit_events WHERE id = 3",
            "DELETE FROM audit_chain WHERE position = 3",
            "UPDATE audit_chain SET position = 3 WHERE position = 4",
            "UPDATE audit_chain SET position = 4 WHERE position = 5",
            "UPDATE audit_chain SET position = 5 WHERE position = 6",
        ),
        3,
        "was changed",
    ),
    (
        "inserted between",
        (
            COPY.format(id=9),
            "UPDATE audit_chain SET position = 7 WHERE position = 6",
            "UPDATE audit_chain SET position = 6 WHERE position = 5",
            "UPDATE audit_chain SET position = 5 WHERE position = 4",
            "INSERT INTO audit_chain (position, event_id, digest)"
            " SELECT 4, 9, digest FROM audit_chain WHERE position = 3",
        ),
        4,
        "not the one that was linked here",
    ),
    (
        "reordered",
        (
            "UPDATE audit_chain SET event_id = 99 WHERE position = 3",
            "UPDATE audit_chain SET event_id = 3 WHERE position = 4",
            "UPDATE audit_chain SET event_id = 4 WHERE position = 3",
        ),
        3,
        "not the one that was linked here",
    ),
    ("the first link cut off", ("DELETE FROM audit_chain WHERE position = 1",), 1, "the link is missing"),
)


@pytest.mark.parametrize(
    ("statements", "position", "why"), [each[1:] for each in TAMPERINGS], ids=[each[0] for each in TAMPERINGS]
)
def test_what_was_tampered_with_is_named(
    services: Services, clock: FixedClock, statements: tuple[str, ...], position: int, why: str
) -> None:
    record(services, 5)
    clock.move(timedelta(minutes=1))
    record(services, 1)
    linked(services)
    assert verified(services).why is None
    tamper(services, *statements)
    found = verified(services)
    assert found.broken_at == position
    assert found.why is not None and why in found.why


CUT = ("DELETE FROM audit_events WHERE id > 3", "DELETE FROM audit_chain WHERE position > 3")


def test_newest_events_cut_off_are_told_by_a_head_that_was_noted(services: Services) -> None:
    record(services, 5)
    linked(services)
    noted = Head.read(str(chain.head(services.units)))
    record(services, 1)
    linked(services)
    assert verified(services, noted).why is None
    tamper(services, *CUT)
    assert verified(services).why is None, "without the head, a shorter chain is a chain"
    found = verified(services, noted)
    assert (found.broken_at, found.why) == (4, "the chain ends here, and was known to reach 5")
    record(services, 4)
    linked(services)
    found = verified(services, noted)
    assert found.broken_at == 5 and found.why == "the link is another one than the one that was known"


@pytest.mark.parametrize("written", ["", "5", "x:00", "-1:00", "5:zz", "٣:00"])
def test_head_is_read_strictly(written: str) -> None:
    if written == "5":
        assert Head.read(written) == Head(5, b"")
        return
    with pytest.raises(ValueError):
        Head.read(written)


def test_links_of_a_replaced_secret_key_still_hold(services: Services) -> None:
    record(services, 2)
    linked(services)
    newer = DerivedKeys("another secret key that only this test knows, 987")
    record(services, 1)
    assert link(services.units, newer) == 1
    assert verify(services.units, [newer, services.derived_keys]).why is None
    found = verify(services.units, [newer])
    assert found.broken_at == 1
    assert verified(services).broken_at == 3


def test_nobody_without_the_key_makes_a_link(services: Services) -> None:
    record(services, 2)
    link(services.units, DerivedKeys("a key that somebody made up, 0123456789 abcdef"))
    assert verified(services).broken_at == 1


def test_purge_takes_the_oldest_and_the_rest_stays_verifiable(
    services: Services, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge_expired, "BATCH", 2)
    record(services, 5)
    clock.move(timedelta(days=100))
    record(services, 2)
    linked(services)
    clock.move(timedelta(days=301))
    gone = purge(services.units, clock, timedelta(hours=24))
    assert gone == {"audit_events": 5, "audit_chain": 4}
    found = verified(services)
    assert (found.why, found.first, found.head.position) == (None, 6, 7)
    record(services, 1)
    linked(services)
    assert (verified(services).why, verified(services).head.position) == (None, 8)
    tamper(services, "DELETE FROM audit_events WHERE id = 7")
    assert verified(services).broken_at == 7


def test_purge_goes_no_further_than_the_first_young_event_of_the_chain(services: Services, clock: FixedClock) -> None:
    record(services, 4)
    # The third was committed late, and its request had begun long before the others.
    tamper(services, "UPDATE audit_events SET at = '1999-01-01 00:00:00.000000' WHERE id = 3")
    linked(services)
    assert purge(services.units, clock, timedelta(hours=24)) == {}
    assert verified(services).why is None


def test_trail_without_any_event_left_is_not_whole(services: Services) -> None:
    record(services, 6)
    linked(services)
    tamper(services, "DELETE FROM audit_events")
    found = verified(services)
    assert (found.broken_at, found.why) == (6, "the event of the newest link is missing")


def test_newest_event_of_the_chain_stays_so_that_its_number_is_never_given_again(
    services: Services, clock: FixedClock
) -> None:
    record(services, 3)
    linked(services)
    clock.move(timedelta(days=500))
    assert purge(services.units, clock, timedelta(hours=24)) == {"audit_events": 2, "audit_chain": 1}
    record(services, 1)
    assert linked(services) == 1
    found = verified(services)
    assert (found.why, found.first, found.head.position) == (None, 3, 4)


@pytest.mark.parametrize("table", ["audit_events", "audit_chain"])
def test_database_refuses_to_change_the_trail(services: Services, table: str) -> None:
    record(services, 1)
    linked(services)
    column = {"audit_events": "actor = 'somebody else'", "audit_chain": "position = 2"}[table]
    with pytest.raises(DBAPIError, match="never changed"), services.units.writing() as unit:
        unit.execute(text(f"UPDATE {table} SET {column}"))  # noqa: S608 - our own tables
    assert verified(services).why is None


# Several workers


def link_and_record(node: Node, rounds: int) -> int:
    """Each process writes events and links whatever is there, all at the same time."""
    services = node.world.services

    def act() -> int:
        added = 0
        with node.world.app.app_context():
            for number in range(rounds):
                record(services, 2, f"{node.number}-{number}-")
                added += linked(services)
        return added

    return sum(node.at_once([act, act]))


def test_several_workers_make_one_chain(services: Services, settings: Settings, clock: FixedClock) -> None:
    rounds = 6
    added = run(link_and_record, [rounds] * 3, settings.database.url, clock.now())
    assert sum(added) + linked(services) == 3 * 2 * rounds * 2
    found = verified(services)
    assert (found.why, found.head.position, found.unlinked) == (None, 3 * 2 * rounds * 2, 0)


def link_without_turns(node: Node, rounds: int) -> int:
    """THE FAULT: nobody takes turns, and reading the head takes a while."""
    head = chain._head

    def slowly(unit: object) -> Head:
        found = head(unit)  # type: ignore[arg-type]
        time.sleep(0.05)
        return found

    chain._head = slowly
    chain.take_turns = lambda *_: None  # type: ignore[attr-defined]
    return link_and_record(node, rounds)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_without_turns_two_workers_would_want_the_same_place(settings: Settings, clock: FixedClock) -> None:
    with pytest.raises(AssertionError, match="pk_audit_chain|uq_audit_chain"):
        run(link_without_turns, [4] * 3, settings.database.url, clock.now())


def test_head_is_written_as_it_is_read() -> None:
    noted = Head(12, bytes(range(32)))
    assert Head.read(str(noted)) == noted != replace(noted, position=13)


def test_a_noted_head_that_was_purged_is_not_there_any_more(services: Services, clock: FixedClock) -> None:
    record(services, 1)
    linked(services)
    noted = chain.head(services.units)
    record(services, 2)
    clock.move(timedelta(days=401))
    record(services, 1)
    linked(services)
    assert verified(services, noted).why is None
    purge(services.units, clock, timedelta(hours=24))
    found = verified(services, noted)
    assert found.broken_at == 1 and found.why is not None and "purged" in found.why
    assert verified(services).why is None and verified(services, Head(0, b"")).why is None


def test_purge_during_the_verification_is_not_taken_for_tampering(
    services: Services, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(services, 6)
    clock.move(timedelta(days=401))
    record(services, 2)
    linked(services)
    monkeypatch.setattr(chain, "BATCH", 2)
    look, looks = chain._some_links, []

    def purged_meanwhile(units: UnitsOfWork, position: int) -> object:
        rows = look(units, position)
        looks.append(position)
        if len(looks) == 1:
            assert purge(services.units, clock, timedelta(hours=24))["audit_events"] == 6
        return rows

    monkeypatch.setattr(chain, "_some_links", purged_meanwhile)
    found = verified(services)
    assert (found.why, found.first, found.head.position) == (None, 7, 8)
    assert looks[0] == 0 and looks.count(0) == 2, "it was looked at again"
