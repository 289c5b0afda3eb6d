"""An administrator ends a client: nothing of it is worth anything any more, and its row stays (decision 0029)."""

import pytest
from flask import Flask

from idp.audit.events import ClientChanged
from idp.audit.trail import events
from idp.kernel.clock import FixedClock
from idp.kernel.errors import Refused
from idp.oidc.clients import Client
from tests.factories import Factories
from tests.oidc.journeys import Provider, body, error


@pytest.fixture
def provider(app: Flask, clock: FixedClock) -> Provider:
    return Provider(app, clock, Factories(app))


def test_client_that_is_deleted_has_no_tokens_and_no_identifier_to_give_away(provider: Provider) -> None:
    party, other, browser = provider.client(), provider.client(), provider.browser()
    tokens = body(party.redeem(browser.sign_in(party, provider.somebody()).values["code"]))
    unused = browser.silent(party).values["code"]
    with provider.app.app_context():
        provider.services.clients.delete(party.client_id)
    assert provider.userinfo(tokens["access_token"]).status_code == 401
    assert error(party.refresh(tokens["refresh_token"]), 401) == "invalid_client"
    assert error(party.redeem(unused), 401) == "invalid_client"
    assert browser.authorize(party).status_code == 400
    assert "code" in browser.silent(other).values, "the session goes on"
    with provider.app.app_context():
        clients = provider.services.clients
        with pytest.raises(Refused) as refused:
            clients.delete(party.client_id)
        assert refused.value.message_key == "client.unknown"
        with pytest.raises(Refused) as refused:
            clients.add("Een ander", [other.redirect_uri], client_id=party.client_id)
        assert refused.value.message_key == "client.exists"
        with provider.services.units.reading() as unit:
            (event,) = events(unit, ClientChanged, client_id=party.client_id)
            row = unit.get_one(Client, party.client_id)
    assert event.details["change"] == "deleted"
    assert row.deleted_at is not None and row.client_secret_hash is None and row.redirect_uris == []
