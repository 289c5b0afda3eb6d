"""A69: what ends offline access ends it, also for refreshes of that very instant in other processes."""

from dataclasses import dataclass

import pytest

from idp.oidc import offline_access
from tests.attacks.parallel import Node, run
from tests.attacks.world import World
from tests.factories import Somebody, SomeClient

THREADS = 4


@dataclass(frozen=True)
class Part:
    """What one process does: refresh, or end it in this way."""

    client: SomeClient
    somebody: Somebody
    refresh_token: str
    ends_by: str | None = None


def play(node: Node, part: Part) -> list[str | None]:
    """The access tokens that the refreshes of this process yielded."""
    world = node.world

    def refresh() -> str | None:
        token: str | None = world.refresh(part.client, part.refresh_token).body.get("access_token")
        return token

    def end() -> None:
        services, who = world.services, part.somebody
        with world.app.app_context():
            if part.ends_by == "block":
                services.accounts.block(who.org_code, who.username)
            elif part.ends_by == "reset":
                said = {"reason": "lost", "caller_checked": "called back", "actor": "karin"}
                services.service_desk.reset(who.org_code, who.username, **said)
            else:
                services.offline_access.end(who.org_code, who.username, actor="karin")

    return node.at_once([end] if part.ends_by else [refresh] * THREADS)


@pytest.mark.parametrize("ends_by", ["block", "reset", "end"])
def test_a69_nothing_works_that_was_refreshed_while_offline_access_ended(
    world: World, database_url: str, ends_by: str
) -> None:
    client = world.make.client("derde", scope="openid offline_access")
    anna, scope = world.make.person(), "openid offline_access"
    browser = world.browser()
    asked = browser.submit(browser.begin(client, scope=scope, prompt="consent"), **anna.names)
    tokens = world.redeem(client, browser.submit(asked, decision="allow").code).body
    part = Part(client, anna, tokens["refresh_token"])
    parts = [part, part, Part(client, anna, tokens["refresh_token"], ends_by)]
    results = run(play, parts, database_url, world.clock.now())
    assert world.refresh(client, tokens["refresh_token"]).error == "invalid_grant"
    for token in (token for process in results for token in process if token is not None):
        assert world.userinfo(token) == 401


def test_a69_a_later_yes_brings_nothing_old_back(world: World) -> None:
    client = world.make.client("derde", scope="openid offline_access")
    anna, browser = world.make.person(), world.browser()
    asked = browser.submit(browser.begin(client, scope="openid offline_access", prompt="consent"), **anna.names)
    code = browser.submit(asked, decision="allow").code
    with world.writing() as unit:
        offline_access.end(unit, anna.id, client.client_id, "ended", world.clock.now())
    assert world.redeem(client, code).error == "invalid_grant", "the code was of before"
    again = browser.begin(client, scope="openid offline_access", prompt="consent")
    assert world.redeem(client, browser.submit(again, decision="allow").code).status == 200
    assert world.redeem(client, code).error == "invalid_grant"
