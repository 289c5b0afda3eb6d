"""Ends and notices are counted once, when they are true, and without anybody's name."""

from datetime import timedelta
from typing import get_args

import pytest
from prometheus_client import generate_latest

from idp.jobs.sweep_idle_sessions import sweep
from idp.kernel.clock import FixedClock
from idp.metrics.figures import DELAYS, Figures
from idp.oidc.backchannel_logout import Outcome
from idp.sessions.lifecycle import EndReason
from idp.sessions.models import Session
from idp.wiring import Services
from tests.factories import Factories
from tests.jobs.test_sweep_idle_sessions import IDLE, open_sessions
from tests.metrics.scraped import of

SECOND = timedelta(seconds=1)


class Undone(Exception):
    """A unit of work comes to nothing."""


def ends(services: Services) -> dict[str, float]:
    """How many ended, by reason; those of which there are none are left out."""
    told = of(services.figures.registry)
    return {
        reason: number
        for reason in get_args(EndReason)
        if (number := told[f'idp_session_ends_total{{reason="{reason}"}}']) > 0
    }


def end(services: Services, session_id: int, reason: EndReason, comes_to_nothing: bool = False) -> None:
    with services.units.writing() as unit:
        assert services.sessions.end(unit, unit.get_one(Session, session_id), reason)
        if comes_to_nothing:
            raise Undone


def test_end_is_counted_by_its_reason_once(services: Services, make: Factories) -> None:
    first, second = open_sessions(services, make.person().id, number=2)
    end(services, first, "logout")
    end(services, second, "ended_by_administrator")
    assert ends(services) == {"logout": 1, "ended_by_administrator": 1}


def test_end_is_not_counted_before_it_is_committed(services: Services, make: Factories) -> None:
    (session_id,) = open_sessions(services, make.person().id)
    with services.units.writing() as unit:
        services.sessions.end(unit, unit.get_one(Session, session_id), "logout")
        assert ends(services) == {}
    assert ends(services) == {"logout": 1}


def test_end_that_is_rolled_back_is_never_counted_even_when_the_next_unit_is_committed(
    services: Services, make: Factories
) -> None:
    (session_id,) = open_sessions(services, make.person().id)
    with pytest.raises(Undone):
        end(services, session_id, "logout", comes_to_nothing=True)
    with services.units.writing() as unit:
        unit.get_one(Session, session_id).level = 2
    assert ends(services) == {}
    end(services, session_id, "replaced")
    assert ends(services) == {"replaced": 1}


def test_savepoint_inside_the_unit_of_work_counts_nothing_yet(services: Services, make: Factories) -> None:
    (session_id,) = open_sessions(services, make.person().id)
    with services.units.writing() as unit:
        services.sessions.end(unit, unit.get_one(Session, session_id), "logout")
        with unit.begin_nested():
            unit.get_one(Session, session_id)
        assert ends(services) == {}
    assert ends(services) == {"logout": 1}


def test_sweep_counts_what_it_ends(services: Services, make: Factories, clock: FixedClock) -> None:
    open_sessions(services, make.person().id, number=3)
    clock.move(IDLE)
    sweep(services.units, services.sessions)
    assert ends(services) == {"idle": 3}


def test_delivered_notice_is_counted_with_its_delay() -> None:
    figures = Figures()
    figures.notice_settled("atosi", "delivered", 4 * SECOND)
    figures.notice_settled("atosi", "delivered", 6 * SECOND)
    told = of(figures.registry)
    assert told['idp_logout_notices_total{outcome="delivered"}'] == 2
    assert told["idp_logout_notice_delay_seconds_count"] == 2 and told["idp_logout_notice_delay_seconds_sum"] == 10
    assert [told[f'idp_logout_notice_delay_seconds_bucket{{le="{le}"}}'] for le in ("3.0", "5.0", "7.5")] == [0, 1, 2]


@pytest.mark.parametrize("outcome", ["refused", "expired"])
def test_notice_that_was_not_delivered_is_counted_without_a_delay(outcome: Outcome) -> None:
    figures = Figures()
    figures.notice_settled("atosi", outcome, None)
    told = of(figures.registry)
    assert told[f'idp_logout_notices_total{{outcome="{outcome}"}}'] == 1
    assert told["idp_logout_notice_delay_seconds_count"] == 0


def test_delivery_by_a_clock_that_is_behind_counts_as_at_once() -> None:
    figures = Figures()
    figures.notice_settled("atosi", "delivered", -SECOND)
    told = of(figures.registry)
    assert told["idp_logout_notice_delay_seconds_sum"] == 0
    assert told['idp_logout_notice_delay_seconds_bucket{le="0.1"}'] == 1


def test_every_outcome_and_reason_is_there_from_the_start() -> None:
    told = of(Figures().registry)
    for name, label, values in (
        ("idp_session_ends_total", "reason", get_args(EndReason)),
        ("idp_logout_notices_total", "outcome", get_args(Outcome)),
    ):
        assert [told[f'{name}{{{label}="{value}"}}'] for value in values] == [0] * len(values)


def test_promised_five_seconds_have_a_bucket_of_their_own() -> None:
    assert {5, 300, 259200} <= set(DELAYS)


def test_no_figure_names_a_client() -> None:
    figures = Figures()
    figures.notice_settled("atosi", "delivered", SECOND)
    assert "atosi" not in generate_latest(figures.registry).decode()
