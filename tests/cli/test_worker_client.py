"""The client with which `idp worker` tells applications that a session ended, as the command makes it."""

from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from flask import Flask

from idp.cli import serving
from idp.egress.guarded import CallFailed, GuardedClient
from idp.jobs.deliver_logout_notices import LogoutNoticeDelivery
from idp.kernel.clock import ticks
from idp.wiring import Services
from tests.attacks.world import mutation
from tests.egress.receivers import Receiver, hangs

SECOND = timedelta(seconds=1)


@pytest.fixture
def settings_values() -> dict[str, Any]:
    return {"egress": {"allow_loopback": True}}


@mutation
def test_application_that_hangs_is_given_up_after_five_seconds(
    app: Flask, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[GuardedClient] = []

    class Noticed(LogoutNoticeDelivery):
        def __init__(self, units: Any, clock: Any, tokens: Any, client: GuardedClient, *more: Any) -> None:
            made.append(client)
            super().__init__(units, clock, tokens, client, *more)

    monkeypatch.setattr(serving, "LogoutNoticeDelivery", Noticed)
    serving._workers(app, services, Event())
    (client,) = made
    with Receiver(hangs) as receiver:
        started = ticks()
        with pytest.raises(CallFailed) as failed:
            client.post(receiver.url, {"logout_token": "t"})
        took = ticks() - started
    assert failed.value.failure == "timeout"
    assert 5 * SECOND <= took < 15 * SECOND
