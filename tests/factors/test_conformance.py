"""Every second factor passes the same checks, and one that is broken does not."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import update

from idp.factors.base import Verdict
from idp.factors.email_code import EmailCode
from idp.factors.models import SentCode
from idp.factors.registry import FACTORS
from idp.factors.totp import Totp, matching_step
from idp.kernel.clock import FixedClock
from tests.factors import conformance
from tests.factors.conformance import CHECKS, HANDS, App, Check, Hand, Mailbox
from tests.journeys.driver import World


@pytest.fixture
def world(app: Flask, clock: FixedClock) -> World:
    return World(app, clock)


def test_every_factor_of_the_registry_has_a_hand_and_states_what_the_hand_expects() -> None:
    stated = {factor.name: (factor.reaches, ["pwd", *factor.amr]) for factor in FACTORS}
    assert stated == {hand.name: (hand.level, hand.amr) for hand in HANDS}


@pytest.mark.parametrize("hand", HANDS, ids=lambda hand: hand.name)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_factor_conforms(world: World, hand: Hand, check: Check) -> None:
    check(world, hand)


# Broken on purpose: each is noticed by the check that is named.

Break = Callable[[pytest.MonkeyPatch], None]


def takes_everything(patch: pytest.MonkeyPatch) -> None:
    verify = EmailCode.verify

    def careless(self: EmailCode, *arguments: Any) -> tuple[Verdict, int | None]:
        verify(self, *arguments)
        return Verdict.RIGHT, arguments[-1][0].id if arguments[-1] else None

    patch.setattr(EmailCode, "verify", careless)


def takes_a_code_again(patch: pytest.MonkeyPatch) -> None:
    def spend(self: EmailCode, unit: Any, account_id: int, mark: int | None, now: datetime) -> bool:
        return mark is not None

    patch.setattr(EmailCode, "_spend", spend)


def forgets_that_codes_get_old(patch: pytest.MonkeyPatch) -> None:
    send = EmailCode.send

    def for_ever(self: EmailCode, unit: Any, *arguments: Any) -> Any:
        sent = send(self, unit, *arguments)
        unit.execute(update(SentCode).values(expires_at=datetime.fromisoformat("2099-01-01T00:00:00+00:00")))
        return sent

    patch.setattr(EmailCode, "send", for_ever)


def takes_the_code_of_anybody(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(EmailCode, "_code_hash", lambda self, occasion, code: self._keys.mac("sent code", code))

    def live(self: EmailCode, unit: Any, occasion: Any, now: datetime) -> tuple[SentCode, ...]:
        return tuple(unit.query(SentCode))

    def verify(self: EmailCode, credential: Any, secret: bytes, answer: str, now: datetime, sent: Any = ()) -> Any:
        return self._matching(sent, answer, now)

    def use(self: EmailCode, unit: Any, credential: Any, mark: int | None, now: datetime) -> bool:
        return True

    for name, function in (("live", live), ("verify", verify), ("use", use)):
        patch.setattr(EmailCode, name, function)


def accepts_a_step_twice(patch: pytest.MonkeyPatch) -> None:
    def verify(self: Totp, credential: Any, secret: bytes, answer: str, now: datetime, sent: Any = ()) -> Any:
        step = matching_step(secret, answer, now)
        return (Verdict.WRONG, None) if step is None else (Verdict.RIGHT, step)

    patch.setattr(Totp, "verify", verify)
    patch.setattr(Totp, "use", lambda self, unit, credential, mark, now: True)


BROKEN: tuple[tuple[Hand, Break, Check], ...] = (
    (Mailbox(), takes_everything, conformance.wrong_answer_opens_nothing),
    (Mailbox(), takes_a_code_again, conformance.replayed_answer_is_refused),
    (Mailbox(), forgets_that_codes_get_old, conformance.old_answer_is_refused),
    (Mailbox(), takes_the_code_of_anybody, conformance.answer_of_somebody_else_is_refused),
    (App(), accepts_a_step_twice, conformance.replayed_answer_is_refused),
    (App(), accepts_a_step_twice, conformance.of_many_at_once_one_answer_wins),
)


@pytest.mark.parametrize(
    ("hand", "breaks", "check"), BROKEN, ids=[f"{hand.name}-{breaks.__name__}" for hand, breaks, _ in BROKEN]
)
def test_broken_factor_is_noticed(
    world: World, monkeypatch: pytest.MonkeyPatch, hand: Hand, breaks: Break, check: Check
) -> None:
    breaks(monkeypatch)
    with pytest.raises(AssertionError):
        check(world, hand)
